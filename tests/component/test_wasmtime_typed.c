/* host/wasmtime_typed.h, with a guest that calls and exports every shape: what arrives on either side is what was sent,
 * nothing leaks, and every kind of failure comes back as its status. The argument is the folder with typed-guest.wasm. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/wasmtime_typed.h"
#include "tests/component/wasm_signals.h"

#define HOST   "synod:paxos/typed-host@0.1.0"
#define GUEST  "synod:paxos/typed-guest@0.1.0"
#define LOGGER "synod:paxos/logger@0.1.0"

enum { MIB = 1 << 20, PACKETS_MAX = 8, ROUNDS = 100 * 1000, MEMORY_MAX = 8 * MIB };

static const char *folder;
static wasm_engine_t *engine;
static wasmtime_component_t *component;

/* What the callbacks give, and what they saw. */
struct host {
    struct packet gives[PACKETS_MAX];
    size_t gives_count;
    uint64_t scalars[2];
    size_t taken_count;
    struct packet taken[PACKETS_MAX];
    uint64_t taken_hash;
    int32_t code;
    const char *error;
    char logged[64];
    unsigned level;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_linker_t *linker;
    wasmtime_component_instance_t instance;
};

/* ---- The host's side ---- */

static uint64_t hash(const struct packet *packets, size_t count)
{
    uint64_t h = count;
    for (size_t i = 0; i < count; i++) {
        h = (h ^ packets[i].id ^ packets[i].kind ^ packets[i].len) * 0x9e3779b97f4a7c15u;
        for (size_t w = 0; w < packets[i].words.len; w++)
            h = (h ^ packets[i].words.ptr[w]) * 0x9e3779b97f4a7c15u;
    }
    return h;
}

static void see(struct host *h, const struct typed_call *call)
{
    memcpy(h->scalars, call->scalars, sizeof h->scalars);
    h->taken_count = call->packets.len;
    if (call->packets.len > 0)
        memcpy(h->taken, call->packets.ptr, call->packets.len * sizeof *h->taken);
    h->taken_hash = hash(call->packets.ptr, call->packets.len);
}

static int32_t give(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct host *h = env;
    (void)context;
    see(h, call);
    call->result_packets = (struct packet_list){h->gives, h->gives_count};
    call->error = h->error;
    return h->code;
}

static int32_t take(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct host *h = env;
    (void)context;
    see(h, call);
    call->result = h->taken_hash;
    return 0;
}

static int32_t number(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)env;
    (void)context;
    call->result = call->scalars[0] * 1000 + call->scalars[1];
    return 0;
}

static void log_text(void *env, uint32_t level, const char *text, size_t len)
{
    struct host *h = env;
    h->level = level;
    snprintf(h->logged, sizeof h->logged, "%.*s", (int)len, text);
}

/* ---- Setting up ---- */

static void check(wasmtime_error_t *error)
{
    if (error == NULL)
        return;
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    fail_msg("%.*s", (int)message.size, message.data);
}

static int load(void **state)
{
    static uint8_t bytes[MIB];
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/typed-guest.wasm", folder);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    check(wasmtime_component_new(engine, bytes, size, &component));
    return 0;
}

static int unload(void **state)
{
    (void)state;
    wasmtime_component_delete(component);
    wasm_engine_delete(engine);
    return 0;
}

static wasmtime_component_linker_instance_t *interface(wasmtime_component_linker_instance_t *root, const char *name)
{
    wasmtime_component_linker_instance_t *instance;
    check(wasmtime_component_linker_instance_add_instance(root, name, strlen(name), &instance));
    return instance;
}

static int open_guest(void **state)
{
    static const struct {
        const char *name;
        struct typed_shape shape;
        typed_callback callback;
    } functions[] = {
        {"give", {0, false, TYPED_GIVES_PACKETS}, give}, {"give-two", {2, false, TYPED_GIVES_PACKETS}, give},
        {"take", {0, true, TYPED_GIVES_NOTHING}, take},  {"take-one", {1, true, TYPED_GIVES_U64}, take},
        {"number", {2, false, TYPED_GIVES_U64}, number}, {"nothing", {1, false, TYPED_GIVES_NOTHING}, take},
    };
    struct host *h = calloc(1, sizeof *h);
    if (h == NULL)
        return -1;
    h->linker = wasmtime_component_linker_new(engine);
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(h->linker);
    wasmtime_component_linker_instance_t *instance = interface(root, HOST);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        assert_int_equal(typed_define(instance, functions[i].name, functions[i].shape, functions[i].callback, h, NULL),
                         TYPED_OK);
    wasmtime_component_linker_instance_delete(instance);
    instance = interface(root, LOGGER);
    assert_int_equal(typed_define_log(instance, "log", log_text, h, NULL), TYPED_OK);
    wasmtime_component_linker_instance_delete(instance);
    wasmtime_component_linker_instance_delete(root);
    h->store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_store_limiter(h->store, MEMORY_MAX, -1, -1, -1, -1);
    h->context = wasmtime_store_context(h->store);
    wasmtime_context_set_epoch_deadline(h->context, 1);
    check(wasmtime_component_linker_instantiate(h->linker, h->context, component, &h->instance));
    *state = h;
    return 0;
}

static int close_guest(void **state)
{
    struct host *h = *state;
    wasmtime_store_delete(h->store);
    wasmtime_component_linker_delete(h->linker);
    free(h);
    return 0;
}

static struct typed_func *find(struct host *h, const char *name, struct typed_shape shape)
{
    char *message = NULL;
    struct typed_func *func = typed_func_new(h->context, &h->instance, GUEST, name, shape, &message);
    if (func == NULL)
        fail_msg("%s", message);
    return func;
}

/* Calls a function that must fail. */
static void expect(struct host *h, const char *name, struct typed_shape shape, struct typed_call call, int status,
                   const char *text)
{
    char *message = NULL;
    struct typed_func *func = find(h, name, shape);
    assert_int_equal(typed_func_call(func, h->context, &call, &message), status);
    assert_non_null(message);
    if (strstr(message, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, message);
    typed_message_free(message);
    typed_func_free(func);
}

static void *some_words(size_t count)
{
    uint64_t *words = malloc(count * sizeof *words);
    assert_non_null(words);
    for (size_t i = 0; i < count; i++)
        words[i] = i * 0x0102030405060708u;
    return words;
}

/* ---- Tests ---- */

static void turns(void **state)
{
    struct host *h = *state;
    uint64_t words[2] = {11, 22};
    h->gives[0] = (struct packet){.id = UINT64_MAX, .kind = 3, .len = 16, .words = {words, 2}};
    h->gives[1] = (struct packet){.id = 5, .kind = UINT32_MAX, .len = 9, .words = {words, 2}};
    h->gives[2] = (struct packet){.id = 6}; /* an empty one, at NULL */
    struct typed_func *turn = find(h, "turn", (struct typed_shape){.scalars = 1, .gives = TYPED_GIVES_U64});
    for (size_t count = 0; count <= 3; count++) {
        struct typed_call call = {.scalars = {42}};
        h->gives_count = count;
        assert_int_equal(typed_func_call(turn, h->context, &call, NULL), TYPED_OK);
        assert_int_equal(call.result, 42000 + count);
        assert_int_equal(h->taken_count, count);
        assert_int_equal(h->taken_hash, hash(h->gives, count));
        assert_string_equal(h->logged, "a turn");
        assert_int_equal(h->level, 2);
    }
    assert_int_equal(h->taken[0].id, UINT64_MAX);
    assert_int_equal(h->taken[1].kind, UINT32_MAX);
    assert_int_equal(h->taken[1].len, 9);
    assert_int_equal(h->taken[2].len, 0);
    typed_func_free(turn);
}

static void start_is_refused_or_not(void **state)
{
    struct host *h = *state;
    const struct typed_shape shape = {.packets = true, .gives = TYPED_GIVES_STATUS};
    struct packet packet = {.kind = 7};
    struct typed_call call = {.packets = {&packet, 1}};
    struct typed_func *start = find(h, "start", shape);
    assert_int_equal(typed_func_call(start, h->context, &call, NULL), TYPED_OK);
    expect(h, "start", shape, (struct typed_call){0}, TYPED_REFUSED, "not one packet of kind 7");
    assert_int_equal(typed_func_call(start, h->context, &call, NULL), TYPED_OK); /* a refusal does no harm */
    typed_func_free(start);
}

static void finish_fails_or_not(void **state)
{
    struct host *h = *state;
    const struct typed_shape shape = {.scalars = 1, .gives = TYPED_GIVES_RESULT};
    struct typed_call call = {0};
    struct typed_func *finish = find(h, "finish", shape);
    assert_int_equal(typed_func_call(finish, h->context, &call, NULL), TYPED_OK);
    expect(h, "finish", shape, (struct typed_call){.scalars = {1}}, TYPED_REFUSED, "it says that it failed");
    assert_int_equal(typed_func_call(finish, h->context, &call, NULL), TYPED_OK);
    typed_func_free(finish);
}

static void packets_of_all_sizes(void **state)
{
    struct host *h = *state;
    uint64_t *words = some_words(MIB / 8);
    struct typed_func *echo = find(h, "echo", (struct typed_shape){.packets = true, .gives = TYPED_GIVES_PACKETS});
    struct typed_func *status = find(h, "status", (struct typed_shape){.gives = TYPED_GIVES_PACKETS});
    for (uint32_t len = 0; len <= MIB; len = len < 20 ? len + 1 : len * 2 > MIB ? MIB + (len == MIB) : len * 2) {
        struct packet packets[2] = {{.id = 1, .kind = 2, .len = len, .words = {words, words_for(len)}},
                                    {.id = 2, .len = 1, .words = {words, 1}}};
        struct typed_call call = {.packets = {packets, 2}};
        assert_int_equal(typed_func_call(echo, h->context, &call, NULL), TYPED_OK);
        assert_int_equal(call.result_packets.len, 2);
        assert_int_equal(call.result_packets.ptr[0].len, len);
        assert_int_equal(hash(call.result_packets.ptr, 2), hash(packets, 2));
        h->gives[0] = packets[0];
        h->gives_count = 1;
        assert_int_equal(typed_func_call(status, h->context, &call, NULL), TYPED_OK);
        assert_int_equal(hash(call.result_packets.ptr, call.result_packets.len), hash(packets, 1));
    }
    typed_func_free(echo);
    typed_func_free(status);
    free(words);
}

/* The guest's memory is limited: a leak of 100 bytes a round would end in a trap. */
static void rounds_without_leaks(void **state)
{
    struct host *h = *state;
    uint64_t *words = some_words(32);
    h->gives[0] = (struct packet){.id = 1, .len = 256, .words = {words, 32}};
    h->gives[1] = (struct packet){.id = 2, .len = 3, .words = {words, 1}};
    h->gives_count = 2;
    struct typed_func *round = find(h, "round", (struct typed_shape){.scalars = 2, .gives = TYPED_GIVES_U64});
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct typed_call call = {.scalars = {i, ~i}};
        h->gives[0].id = i;
        assert_int_equal(typed_func_call(round, h->context, &call, NULL), TYPED_OK);
        assert_int_equal(call.result, hash(h->gives, 2));
        assert_int_equal(h->scalars[0], i);
    }
    typed_func_free(round);
    free(words);
}

static void callback_fails(void **state)
{
    struct host *h = *state;
    h->code = -5;
    h->error = "the disk is gone";
    expect(h, "turn", (struct typed_shape){1, false, TYPED_GIVES_U64}, (struct typed_call){0}, TYPED_HOST,
           "the disk is gone");
}

static void callback_fails_without_a_word(void **state)
{
    struct host *h = *state;
    h->code = -5;
    expect(h, "turn", (struct typed_shape){1, false, TYPED_GIVES_U64}, (struct typed_call){0}, TYPED_HOST, "error -5");
}

static void guest_traps(void **state)
{
    struct host *h = *state;
    const struct typed_shape shape = {.scalars = 1};
    wasm_signals_restore();
    expect(h, "trap", shape, (struct typed_call){.scalars = {1}}, TYPED_TRAP, "unreachable");
    expect(h, "trap", shape, (struct typed_call){0}, TYPED_TRAP, "cannot enter"); /* the store is poisoned */
}

static void guest_is_interrupted(void **state)
{
    struct host *h = *state;
    wasmtime_context_set_epoch_deadline(h->context, 1);
    wasmtime_engine_increment_epoch(engine);
    expect(h, "spin", (struct typed_shape){0}, (struct typed_call){0}, TYPED_INTERRUPTED, "interrupt");
}

/* Moves the deadline twice. */
static uint64_t on_deadline(void *env) { return ++*(unsigned *)env <= 2; }

static void *count_epochs(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        wasmtime_engine_increment_epoch(engine);
        sched_yield();
    }
    return NULL;
}

static void deadline_is_moved(void **state)
{
    struct host *h = *state;
    unsigned times = 0;
    atomic_bool stop = false;
    pthread_t counter;
    typed_on_deadline(h->store, on_deadline, &times);
    wasmtime_context_set_epoch_deadline(h->context, 1);
    assert_int_equal(pthread_create(&counter, NULL, count_epochs, &stop), 0);
    expect(h, "spin", (struct typed_shape){0}, (struct typed_call){0}, TYPED_INTERRUPTED, "interrupt");
    atomic_store(&stop, true);
    pthread_join(counter, NULL);
    assert_int_equal(times, 3);
}

static void guest_lies_about_a_length(void **state)
{
    struct host *h = *state;
    uint64_t word = 1;
    h->gives[0] = (struct packet){.id = 9, .len = 8, .words = {&word, 1}};
    h->gives_count = 1;
    expect(h, "lie", (struct typed_shape){0}, (struct typed_call){0}, TYPED_ERROR, "packet 9");
}

static void host_gives_no_words(void **state)
{
    struct host *h = *state;
    h->gives[0] = (struct packet){.id = 9, .len = 8, .words = {NULL, 1}};
    h->gives_count = 1;
    expect(h, "status", (struct typed_shape){.gives = TYPED_GIVES_PACKETS}, (struct typed_call){0}, TYPED_ERROR,
           "words at 0x0");
}

static void host_gives_too_few_words(void **state)
{
    struct host *h = *state;
    uint64_t word = 1;
    h->gives[0] = (struct packet){.id = 9, .len = 9, .words = {&word, 1}};
    h->gives_count = 1;
    expect(h, "status", (struct typed_shape){.gives = TYPED_GIVES_PACKETS}, (struct typed_call){0}, TYPED_ERROR,
           "9 bytes are claimed to be in 1 words");
}

static void wrong_lookups(void **state)
{
    struct host *h = *state;
    static const struct {
        const char *interface, *function;
        struct typed_shape shape;
    } wrong[] = {
        {GUEST, "none-such", {0, false, TYPED_GIVES_NOTHING}},
        {"synod:paxos/none-such@0.1.0", "turn", {1, false, TYPED_GIVES_U64}},
        {GUEST, "turn", {2, false, TYPED_GIVES_U64}},
        {GUEST, "turn", {1, false, TYPED_GIVES_PACKETS}},
        {GUEST, "turn", {4, false, TYPED_GIVES_U64}},
        {GUEST, "turn", {1, false, 9}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *message = NULL;
        assert_null(
            typed_func_new(h->context, &h->instance, wrong[i].interface, wrong[i].function, wrong[i].shape, &message));
        assert_non_null(message);
        typed_message_free(message);
        assert_null(typed_func_new(h->context, &h->instance, wrong[i].interface, wrong[i].function, wrong[i].shape, NULL));
    }
    typed_message_free(NULL);
    typed_func_free(NULL);
}

static void wrong_definitions(void **state)
{
    struct host *h = *state;
    char *message = NULL;
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(h->linker);
    assert_int_equal(typed_define(root, "f", (struct typed_shape){4, false, TYPED_GIVES_NOTHING}, take, h, &message),
                     TYPED_ERROR);
    typed_message_free(message);
    assert_int_equal(typed_define(root, "f", (struct typed_shape){0, false, TYPED_GIVES_STATUS}, take, h, NULL),
                     TYPED_ERROR);
    assert_int_equal(typed_define(root, "f", (struct typed_shape){0}, take, h, NULL), TYPED_OK);
    assert_int_equal(typed_define(root, "f", (struct typed_shape){0}, take, h, NULL), TYPED_ERROR); /* twice */
    wasmtime_component_linker_instance_delete(root);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(turns, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(start_is_refused_or_not, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(finish_fails_or_not, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(packets_of_all_sizes, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(rounds_without_leaks, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(callback_fails, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(callback_fails_without_a_word, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(guest_traps, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(guest_is_interrupted, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(deadline_is_moved, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(guest_lies_about_a_length, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(host_gives_no_words, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(host_gives_too_few_words, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(wrong_lookups, open_guest, close_guest),
        cmocka_unit_test_setup_teardown(wrong_definitions, open_guest, close_guest),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_epoch_interruption_set(config, true);
    engine = wasm_engine_new_with_config(config);
    wasm_signals_keep();
    return cmocka_run_group_tests(tests, load, unload);
}
