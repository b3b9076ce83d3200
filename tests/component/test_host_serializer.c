/* host/node_serializer.c: a guest that goes through the host's serializer gets the very bytes that it gets from the
 * serializer component, and cannot do harm with messages that are none. The argument is the folder with
 * serializer-driver.wasm (which has the host's) and serializer-test.wasm (which has the component). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/node_wasm_internal.h"
#include "tests/component/wasm_signals.h"

enum { MEMORY_MAX = 16 << 20, MESSAGES = 64, ENTRIES_MAX = 5, BAD = 4, LONG_VALUE = 30000, POOL_WORDS = 1 << 16 };

static const char *folder;
static wasm_engine_t *engine;

/* A driver with one of the two serializers. */
struct driver {
    struct host_serializer *serializer; /* NULL: it is in the component */
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
};

static void check(wasmtime_error_t *error)
{
    if (error == NULL)
        return;
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    fail_msg("%.*s", (int)message.size, message.data);
}

static wasmtime_component_t *load(const char *name)
{
    static uint8_t bytes[1 << 20];
    char path[4096];
    wasmtime_component_t *component;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    check(wasmtime_component_new(engine, bytes, size, &component));
    return component;
}

typedef int32_t define_serializer(struct driver *d, wasmtime_component_linker_instance_t *instance);

static int32_t define_hosts(struct driver *d, wasmtime_component_linker_instance_t *instance)
{
    d->serializer = host_serializer_new(MEMORY_MAX);
    return host_serializer_define(d->serializer, instance, NULL);
}

static void open_driver(struct driver *d, const char *name, define_serializer *define)
{
    static const char interface[] = SYNOD("serializer");
    memset(d, 0, sizeof *d);
    d->component = load(name);
    d->linker = wasmtime_component_linker_new(engine);
    if (define != NULL) {
        wasmtime_component_linker_instance_t *instance, *root = wasmtime_component_linker_root(d->linker);
        check(wasmtime_component_linker_instance_add_instance(root, interface, sizeof interface - 1, &instance));
        assert_int_equal(define(d, instance), TYPED_OK);
        wasmtime_component_linker_instance_delete(instance);
        wasmtime_component_linker_instance_delete(root);
    }
    d->store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_store_limiter(d->store, MEMORY_MAX, -1, -1, -1, -1);
    d->context = wasmtime_store_context(d->store);
    check(wasmtime_component_linker_instantiate(d->linker, d->context, d->component, &d->instance));
}

static void close_driver(struct driver *d)
{
    wasmtime_store_delete(d->store);
    wasmtime_component_linker_delete(d->linker);
    wasmtime_component_delete(d->component);
    host_serializer_free(d->serializer);
}

static struct typed_func *find(struct driver *d, const char *function, struct typed_shape shape)
{
    char *message = NULL;
    struct typed_func *func =
        typed_func_new(d->context, &d->instance, SYNOD("serializer-driver"), function, shape, &message);
    if (func == NULL)
        fail_msg("%s", message);
    return func;
}

/* ---- The same bytes ---- */

struct messages {
    struct outgoing list[MESSAGES];
    struct entry entries[MESSAGES][ENTRIES_MAX];
    uint64_t words[POOL_WORDS];
    size_t used;
};

static struct payload make_value(struct messages *m, uint32_t len)
{
    struct payload value = {{m->words + m->used, words_for(len)}, len};
    m->used += words_for(len);
    assert_in_range(m->used, 0, POOL_WORDS);
    for (uint32_t i = 0; i < len; i++)
        payload_bytes(&value)[i] = (uint8_t)(m->used + i * 31);
    return value;
}

/* Messages of all kinds, with values of all sorts of lengths; hardly a field is zero. */
static void make_messages(struct messages *m)
{
    for (uint32_t i = 0; i < MESSAGES; i++) {
        m->list[i] = (struct outgoing){.to = node_set_of(i % NODE_ID_MAX + 1), .after = i};
        m->list[i].message = (struct message){.kind = (uint8_t)(i % MESSAGE_KINDS),
                                              .flags = (uint8_t)(i % 128),
                                              .ballot = {UINT64_MAX - i, i % NODE_ID_MAX, UINT32_MAX - i},
                                              .from = i + 1,
                                              .to = i + 2,
                                              .floor = i + 3,
                                              .chosen = UINT64_MAX,
                                              .batch = {i % NODE_ID_MAX, i + 5, i + 6},
                                              .entries = {m->entries[i], i % (ENTRIES_MAX + 1)}};
        for (uint32_t e = 0; e < m->list[i].message.entries.len; e++)
            m->entries[i][e] = (struct entry){.slot = i * 10 + e,
                                              .ballot = {e, e, 9},
                                              .kind = (uint8_t)(e % ENTRY_KINDS),
                                              .value = make_value(m, e == 4 ? LONG_VALUE + i : (i * 7 + e * 3) % 41)};
    }
}

/* The bodies of the messages, each from the node that it was for, and some that are none. */
static size_t make_bodies(struct messages *m, struct serializer *s, struct packet *bodies)
{
    static uint64_t damaged[BAD][9];
    make_messages(m);
    struct packet_list frames = serializer_encode(s, m->list, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++) {
        bodies[i] = frames.ptr[i];
        bodies[i].id = node_set_first(bodies[i].id);
    }
    for (size_t i = 0; i < BAD; i++) {
        memcpy(damaged[i], frames.ptr[0].words.ptr, sizeof damaged[i]); /* of 9 words: it has no entries */
        bodies[MESSAGES + i] = bodies[0];
        bodies[MESSAGES + i].words.ptr = damaged[i];
        bodies[MESSAGES + i].id = i + 1;
    }
    ((uint8_t *)damaged[0])[0] = MESSAGE_KINDS;
    ((uint8_t *)damaged[1])[1] = 128;
    ((uint8_t *)damaged[2])[2] = 9;
    bodies[MESSAGES + 3].len -= 8;
    bodies[MESSAGES + 3].words.len--;
    return MESSAGES + BAD;
}

static void compare(const struct packet *got, const struct packet *bodies, size_t i)
{
    const struct packet *body = &bodies[i];
    if (i >= MESSAGES) {
        assert_int_equal(got->kind, 1);
        assert_int_equal(got->id, body->id);
        return;
    }
    assert_int_equal(got->kind, 0);
    assert_int_equal(got->id, node_set_of((uint32_t)body->id));
    assert_int_equal(got->len, body->len);
    assert_memory_equal(got->words.ptr, body->words.ptr, body->len);
}

static void repack(const char *component, define_serializer *define)
{
    struct driver d;
    struct messages *m = calloc(1, sizeof *m);
    struct serializer *s = serializer_new();
    struct packet bodies[MESSAGES + BAD];
    size_t count = make_bodies(m, s, bodies);
    open_driver(&d, component, define);
    struct typed_func *func = find(&d, "repack", (struct typed_shape){0, true, TYPED_GIVES_PACKETS});
    for (int round = 0; round < 100; round++) {
        struct typed_call call = {.packets = {bodies, round == 0 ? 0 : count}};
        char *message = NULL;
        if (typed_func_call(func, d.context, &call, &message) != TYPED_OK)
            fail_msg("%s", message);
        assert_int_equal(call.result_packets.len, call.packets.len);
        for (size_t i = 0; i < call.packets.len; i++)
            compare(&call.result_packets.ptr[i], bodies, i);
    }
    typed_func_free(func);
    close_driver(&d);
    serializer_free(s);
    free(m);
}

static void test_host(void **state)
{
    (void)state;
    repack("serializer-driver.wasm", define_hosts);
}

static void test_component(void **state)
{
    (void)state;
    repack("serializer-test.wasm", NULL);
}

/* ---- What a guest must not do ---- */

static void lie(define_serializer *define, uint64_t how, int32_t expected, const char *text)
{
    struct driver d;
    struct typed_call call = {.scalars = {how}};
    char *message = NULL;
    open_driver(&d, "serializer-driver.wasm", define);
    struct typed_func *func = find(&d, "lie", (struct typed_shape){1, false, TYPED_GIVES_U64});
    int32_t status = typed_func_call(func, d.context, &call, &message);
    if (status != expected || (message == NULL) != (text == NULL) || (text != NULL && strstr(message, text) == NULL))
        fail_msg("lie %u: status %d, not %d; \"%s\" is not in: %s", (unsigned)how, status, expected, text, message);
    if (status == TYPED_OK)
        assert_int_equal(call.result, 1);
    typed_message_free(message);
    typed_func_free(func);
    close_driver(&d);
}

static void test_lies(void **state)
{
    (void)state;
    wasm_signals_restore();
    lie(define_hosts, 0, TYPED_OK, NULL);
    lie(define_hosts, 1, TYPED_ERROR, "65537 bytes are claimed to be in 8192 words");
    lie(define_hosts, 2, TYPED_ERROR, "discriminant");
    lie(define_hosts, 3, TYPED_ERROR, "discriminant");
    lie(define_hosts, 4, TYPED_HOST, "more bytes than");
    lie(define_hosts, 5, TYPED_HOST, "more bytes than");
}

/* ---- What the host must not do ---- */

static int32_t encode_nothing(void *env, const struct outgoing *messages, size_t count, struct typed_call *call)
{
    (void)env;
    (void)messages;
    (void)count;
    call->error = "not in the mood";
    return -1;
}

static struct entry given_entry;
static struct delivery given = {.sender = 1, .message.entries = {&given_entry, 1}};

static int32_t decode_to_given(void *env, struct typed_call *call, struct decoded *decoded)
{
    (void)env;
    (void)call;
    *decoded = (struct decoded){.messages = {&given, 1}};
    return 0;
}

static int32_t define_strange(struct driver *d, wasmtime_component_linker_instance_t *instance)
{
    (void)d;
    return typed_define_serializer(instance, encode_nothing, decode_to_given, NULL, NULL);
}

static void test_host_errors(void **state)
{
    (void)state;
    lie(define_strange, 0, TYPED_HOST, "not in the mood");
    given.message.kind = MESSAGE_KINDS;
    char unknown[32];
    snprintf(unknown, sizeof unknown, "MessageKind %u", (unsigned)MESSAGE_KINDS);
    lie(define_strange, 5, TYPED_ERROR, unknown);
    given.message.kind = 0;
    given_entry.kind = ENTRY_KINDS;
    lie(define_strange, 5, TYPED_ERROR, "EntryKind 4");
    given_entry.kind = 0;
    given_entry.value.len = 1;
    lie(define_strange, 5, TYPED_ERROR, "1 bytes are claimed");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_component),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_host_errors),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    engine = wasm_engine_new();
    wasm_signals_keep();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wasm_engine_delete(engine);
    return failed;
}
