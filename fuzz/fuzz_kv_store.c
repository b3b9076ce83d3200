/* Any bytes as a snapshot, and as lines of commands. A snapshot that is accepted is the one that the state gives again; a
 * machine loaded from a snapshot cannot be told from the one that gave it, by what it answers from then on. A snapshot that
 * is saved after more commands has what was there at its begin.
 *
 * The cost oracle: what a command costs by the state machine's own count is at least a constant share of what it really
 * does, by another count (fuzz/counted.h): basic blocks passed, and bytes that library functions went through. And it is
 * bounded. Inputs that begin with '!' find a store with many keys, long ones and large values in it; those that begin with
 * "!!" find it in the middle of a snapshot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/resp.h"
#include "core/state/kv_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ONE_CHUNK = 256 * 1024 };

/* ---- The cost oracle ---- */

/* Steps really done in excess of what may be free, for each unit of work counted: at most so many. A step is a basic block,
 * or 8 bytes in one go. And what one call may cost at most. */
enum { STEPS_A_UNIT = 2, STEPS_FREE = 2000, CALL_WORK_MAX = KV_CALL_WORK_MAX + 2 * KV_COMMAND_WORK_MAX };

void __wrap___sanitizer_cov_trace_pc(void); /* libFuzzer has one that does nothing: the linker puts this in its place */

uint64_t fuzz_bytes;
static uint64_t blocks;

/* The compiler calls it in each basic block of the state machine. */
__attribute__((no_sanitize("coverage"))) void __wrap___sanitizer_cov_trace_pc(void) { blocks++; }

/* One for each power of two of work, all of it and by byte of command: libFuzzer keeps inputs that get to another. */
__attribute__((used, section("__libfuzzer_extra_counters"))) static uint8_t reached_work[2][64];

static struct {
    double steps_a_unit;
    double work_a_byte;
    uint64_t work;
} worst;

static void report(void)
{
    fprintf(stderr, "worst: %.2f steps a unit of work, %.0f units of work a byte of command, %llu units in a command\n",
            worst.steps_a_unit, worst.work_a_byte, (unsigned long long)worst.work);
}

static uint64_t command_size(const struct command *command)
{
    uint64_t size = 1;
    for (size_t i = 0; i < command->args.len; i++)
        size += command->args.ptr[i].len + 1;
    return size;
}

/* When commands are executed. */
static struct moment now;

/* Time passes, as long as the last argument of a command says. */
static void let_time_pass(const struct command *command)
{
    const struct bytes last = command->args.ptr[command->args.len - 1];
    now.elapsed += last.len > 0 ? last.ptr[last.len - 1] : 0;
    now.unix = 1000000 + now.elapsed;
}

/* Executes one command, and looks at what it cost. */
static struct reply_list apply(struct state_machine *m, const struct command *command)
{
    static bool reporting;
    if (!reporting)
        reporting = atexit(report) == 0;
    blocks = fuzz_bytes = 0;
    struct applied done = state_machine_apply(m, now, command, 1, REPLY_ROOM_ANY);
    uint64_t steps = blocks + fuzz_bytes / 8, size = command_size(command);
    invariant(done.replies.len == 1 && done.work > 0);
    invariant(steps <= STEPS_FREE + STEPS_A_UNIT * done.work);
    invariant(done.work <= CALL_WORK_MAX);
    reached_work[0][63 - __builtin_clzll(done.work)] = 1;
    reached_work[1][63 - __builtin_clzll(done.work / size + 1)] = 1;
    if (steps > STEPS_FREE && (double)steps / (double)done.work > worst.steps_a_unit)
        worst.steps_a_unit = (double)steps / (double)done.work;
    if ((double)done.work / (double)size > worst.work_a_byte)
        worst.work_a_byte = (double)done.work / (double)size;
    if (done.work > worst.work)
        worst.work = done.work;
    return done.replies;
}

static void set_filled(struct state_machine *m, size_t key_len, uint8_t key_byte, size_t value_len)
{
    uint8_t *bytes = memory_new(key_len + value_len, 1);
    memset(bytes, key_byte, key_len);
    struct bytes args[] = {{(uint8_t *)(uintptr_t)"SET", 3}, {bytes, key_len}, {bytes + key_len, value_len}};
    apply(m, &(struct command){{args, 3}});
    free(bytes);
}

/* The next chunk of a snapshot, however many calls it takes. */
static struct snapshot_chunk save(struct state_machine *m)
{
    struct snapshot_chunk c;
    do
        c = state_machine_snapshot_save(m);
    while (c.bytes.len == 0);
    return c;
}

/* A store in which commands can cost something. It is made once, as a snapshot. */
static struct state_machine *large_store(void)
{
    static uint8_t *saved;
    static size_t len;
    struct state_machine *m = state_machine_new();
    const char *error = NULL;
    if (saved != NULL) {
        invariant(state_machine_snapshot_load(m, (struct bytes){saved, len}, true, true, &error));
        return m;
    }
    for (int i = 0; i < 2000; i++) {
        uint8_t key[16];
        struct bytes args[] = {{(uint8_t *)(uintptr_t)"SET", 3}, {key, 0}, {(uint8_t *)(uintptr_t)"12", 2}};
        args[1].len = (size_t)snprintf((char *)key, sizeof key, "k%d", i);
        apply(m, &(struct command){{args, 3}});
    }
    set_filled(m, 20 * 1000, 'a', 1);
    set_filled(m, 3000, 'b', 100);
    set_filled(m, 1, 'v', 60 * 1000);
    state_machine_snapshot_begin(m);
    struct snapshot_chunk chunk = save(m);
    invariant(chunk.last);
    len = chunk.bytes.len;
    saved = memory_new(len, 1);
    memcpy(saved, chunk.bytes.ptr, len);
    return m;
}

static void run_on_large_store(const uint8_t *data, size_t size)
{
    static const struct resp_limits limits = {.args_max = 64, .bytes_max = 64 * 1024};
    struct state_machine *m = large_store();
    struct resp_parser parser = {0};
    struct resp_request request = {0};
    if (size > 1 && data[0] == '!') {
        state_machine_snapshot_begin(m);
        data++;
        size--;
    }
    uint8_t *copy = memory_new(size, 1);
    memcpy(copy, data, size);
    for (size_t at = 0; resp_parse(&parser, &limits, copy + at, size - at, &request) == RESP_WHOLE; at += request.size)
        if (request.argc > 0) {
            let_time_pass(&(struct command){{request.args, request.argc}});
            apply(m, &(struct command){{request.args, request.argc}});
        }
    resp_parser_close(&parser);
    resp_request_close(&request);
    free(copy);
    state_machine_free(m);
}

/* ---- Snapshots and lines ---- */

static void load_bytes(const uint8_t *data, size_t size)
{
    struct state_machine *m = state_machine_new();
    const char *error = NULL;
    struct bytes chunk = {.ptr = (uint8_t *)(uintptr_t)data, .len = size};
    if (state_machine_snapshot_load(m, chunk, true, true, &error)) {
        state_machine_snapshot_begin(m);
        struct snapshot_chunk again = save(m);
        if (size < ONE_CHUNK)
            invariant(again.last && again.bytes.len == size && memcmp(again.bytes.ptr, data, size) == 0);
    } else {
        invariant(error != NULL);
    }
    state_machine_free(m);
}

static struct state_machine *copy_of(struct state_machine *m)
{
    struct state_machine *copy = state_machine_new();
    struct snapshot_chunk c = {.last = false};
    state_machine_snapshot_begin(m);
    for (bool first = true; !c.last; first = false) {
        const char *error = NULL;
        c = save(m);
        invariant(state_machine_snapshot_load(copy, c.bytes, first, c.last, &error));
    }
    return copy;
}

/* What is left of the snapshot that is in progress in `slow` is what the one of `fixed` has, which nothing has changed. */
static void compare_snapshots(struct state_machine *slow, struct state_machine *fixed)
{
    struct snapshot_chunk a, b;
    state_machine_snapshot_begin(fixed);
    do {
        a = save(slow);
        b = save(fixed);
        invariant(a.last == b.last && a.bytes.len == b.bytes.len && memcmp(a.bytes.ptr, b.bytes.ptr, a.bytes.len) == 0);
    } while (!a.last);
}

/* Both machines answer this command with the same bytes. */
static void apply_to_both(struct state_machine *a, struct state_machine *b, const struct command *command)
{
    struct batch_builder packed[2] = {{0}, {0}};
    struct reply_list first = apply(a, command);
    struct payload x = replies_pack(&packed[0], first.ptr, first.len);
    struct reply_list second = apply(b, command);
    struct payload y = replies_pack(&packed[1], second.ptr, second.len);
    invariant(x.len == y.len && memcmp(x.words.ptr, y.words.ptr, x.len) == 0);
    batch_builder_free(&packed[0]);
    batch_builder_free(&packed[1]);
}

static void compare_all(struct state_machine *a, struct state_machine *b)
{
    struct bytes keys[] = {{(uint8_t *)(uintptr_t)"keys", 4}, {(uint8_t *)(uintptr_t)"*", 1}};
    struct bytes scan[] = {{(uint8_t *)(uintptr_t)"scan", 4}, {(uint8_t *)(uintptr_t)"0", 1}};
    apply_to_both(a, b, &(struct command){{keys, 2}});
    apply_to_both(a, b, &(struct command){{scan, 2}});
}

static void run_lines(const uint8_t *data, size_t size)
{
    static const struct resp_limits limits = {.args_max = 64, .bytes_max = 64 * 1024};
    struct state_machine *m = state_machine_new(), *other = state_machine_new(), *fixed = NULL;
    struct resp_parser parser = {0};
    struct resp_request request = {0};
    uint8_t *copy = malloc(size > 0 ? size : 1);
    invariant(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    size_t count = 0;
    for (size_t at = 0; resp_parse(&parser, &limits, copy + at, size - at, &request) == RESP_WHOLE; at += request.size) {
        if (request.argc == 0)
            continue;
        const struct command command = {{request.args, request.argc}};
        let_time_pass(&command);
        apply_to_both(m, other, &command);
        if (++count % 16 == 8) {
            fixed = copy_of(m);
            state_machine_snapshot_begin(m);
        } else if (count % 16 == 0) { /* the other one starts anew from a snapshot */
            compare_snapshots(m, fixed);
            state_machine_free(fixed);
            fixed = NULL;
            state_machine_free(other);
            other = copy_of(m);
        }
    }
    compare_all(m, other);
    resp_parser_close(&parser);
    resp_request_close(&request);
    free(copy);
    if (fixed != NULL)
        compare_snapshots(m, fixed);
    state_machine_free(fixed);
    state_machine_free(m);
    state_machine_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    now = MOMENT_ZERO;
    if (size > 1 && data[0] == '!') {
        run_on_large_store(data + 1, size - 1);
        return 0;
    }
    load_bytes(data, size);
    run_lines(data, size);
    return 0;
}
