/* `interface state-machine` by core/state/state_machine.h, which core/state/kv_store.c implements here. */
#include "components/state-machine/layout.h"
#include "core/base/memory.h"

STATE_MACHINE_LAYOUT(exports_synod_paxos_state_machine);
STATE_MACHINE_TAGS(EXPORTS_SYNOD_PAXOS_STATE_MACHINE);

/* The machine, made at its first use: `describe` may be called before `start`. */
static struct state_machine *machine(void)
{
    static struct state_machine *one;
    if (one == NULL)
        one = state_machine_new();
    return one;
}

void exports_synod_paxos_state_machine_start(uint64_t state_bytes_max, uint32_t call_work)
{
    state_machine_start(machine(), state_bytes_max, call_work);
    shim_call_done();
}

void exports_synod_paxos_state_machine_seed(uint64_t low, uint64_t high)
{
    state_machine_seed(machine(), low, high);
    shim_call_done();
}

bool exports_synod_paxos_state_machine_tell_events(bool on)
{
    shim_call_done();
    return state_machine_tell_events(machine(), on);
}

void exports_synod_paxos_state_machine_apply(exports_synod_paxos_state_machine_moment_t *now,
                                             exports_synod_paxos_state_machine_list_command_t *commands,
                                             exports_synod_paxos_state_machine_reply_room_t *room,
                                             exports_synod_paxos_state_machine_applied_t *ret)
{
    *(struct applied *)ret =
        state_machine_apply(machine(), *(const struct moment *)now, (const struct command *)commands->ptr, commands->len,
                            *(const struct reply_room *)room);
}
SHIM_POST(state_machine_apply, "state-machine@0.1.0#apply");

void exports_synod_paxos_state_machine_query(exports_synod_paxos_state_machine_moment_t *now,
                                             exports_synod_paxos_state_machine_list_command_t *commands,
                                             exports_synod_paxos_state_machine_reply_room_t *room,
                                             exports_synod_paxos_state_machine_applied_t *ret)
{
    *(struct applied *)ret =
        state_machine_query(machine(), *(const struct moment *)now, (const struct command *)commands->ptr, commands->len,
                            *(const struct reply_room *)room);
}
SHIM_POST(state_machine_query, "state-machine@0.1.0#query");

void exports_synod_paxos_state_machine_describe(exports_synod_paxos_state_machine_list_command_info_t *ret)
{
    *(struct command_info_list *)ret = state_machine_describe(machine());
}
SHIM_POST(state_machine_describe, "state-machine@0.1.0#describe");

uint64_t exports_synod_paxos_state_machine_size(void) { return state_machine_size(machine()); }

void exports_synod_paxos_state_machine_snapshot_begin(void)
{
    state_machine_snapshot_begin(machine());
    shim_call_done();
}

/* A copy of the machine's bytes in words, valid until the next one. */
static struct payload in_words(struct bytes chunk)
{
    static uint64_t *words;
    static size_t capacity;
    const size_t count = words_for(chunk.len);
    words = memory_reserve(words, &capacity, count, sizeof *words);
    if (count > 0) {
        words[count - 1] = 0;
        memcpy(words, chunk.ptr, chunk.len);
    }
    return (struct payload){.words = {words, count}, .len = (uint32_t)chunk.len};
}

void exports_synod_paxos_state_machine_snapshot_save(exports_synod_paxos_state_machine_tuple2_chunk_bool_t *ret)
{
    const struct snapshot_chunk saved = state_machine_snapshot_save(machine());
    *(struct payload *)&ret->f0 = in_words(saved.bytes);
    ret->f1 = saved.last;
}
SHIM_POST(state_machine_snapshot_save, "state-machine@0.1.0#snapshot-save");

bool exports_synod_paxos_state_machine_snapshot_load(exports_synod_paxos_state_machine_chunk_t *chunk, bool first, bool last,
                                                     world_string_t *err)
{
    const char *error = "the chunk has fewer words than bytes";
    const struct bytes bytes = {(uint8_t *)chunk->words.ptr, chunk->len};
    const bool loaded = chunk->len <= chunk->words.len * sizeof(uint64_t) &&
                        state_machine_snapshot_load(machine(), bytes, first, last, &error);
    err->ptr = (uint8_t *)error;
    err->len = strlen(error);
    return loaded;
}
SHIM_POST(state_machine_snapshot_load, "state-machine@0.1.0#snapshot-load");
