/* Any bytes as a snapshot, and as lines of commands. A snapshot that is accepted is the one that the state gives again; a
 * machine loaded from a snapshot cannot be told from the one that gave it, by what it answers from then on. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ONE_CHUNK = 256 * 1024 };

static void load_bytes(const uint8_t *data, size_t size)
{
    struct state_machine *m = state_machine_new();
    const char *error = NULL;
    struct bytes chunk = {.ptr = (uint8_t *)(uintptr_t)data, .len = size};
    if (state_machine_snapshot_load(m, chunk, true, true, &error)) {
        struct snapshot_chunk again = state_machine_snapshot_save(m, 0);
        if (size < ONE_CHUNK)
            invariant(again.cursor == 0 && again.bytes.len == size && memcmp(again.bytes.ptr, data, size) == 0);
    } else {
        invariant(error != NULL);
    }
    state_machine_free(m);
}

static struct state_machine *copy_of(struct state_machine *m)
{
    struct state_machine *copy = state_machine_new();
    uint64_t cursor = 0;
    do {
        const char *error = NULL;
        struct snapshot_chunk c = state_machine_snapshot_save(m, cursor);
        invariant(state_machine_snapshot_load(copy, c.bytes, cursor == 0, c.cursor == 0, &error));
        cursor = c.cursor;
    } while (cursor != 0);
    return copy;
}

/* Both machines answer this command with the same bytes. */
static void apply_to_both(struct state_machine *a, struct state_machine *b, const struct command *command)
{
    struct batch_builder packed[2] = {{0}, {0}};
    struct reply_list first = state_machine_apply(a, command, 1, REPLY_ROOM_ANY).replies;
    struct payload x = replies_pack(&packed[0], first.ptr, first.len);
    struct reply_list second = state_machine_apply(b, command, 1, REPLY_ROOM_ANY).replies;
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
    struct state_machine *m = state_machine_new(), *other = state_machine_new();
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
        apply_to_both(m, other, &(struct command){{request.args, request.argc}});
        if (++count % 16 == 0) { /* the other one starts anew from a snapshot */
            state_machine_free(other);
            other = copy_of(m);
        }
    }
    compare_all(m, other);
    resp_parser_close(&parser);
    resp_request_close(&request);
    free(copy);
    state_machine_free(m);
    state_machine_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load_bytes(data, size);
    run_lines(data, size);
    return 0;
}
