/* core/state/state_machine.h by the import of `interface state-machine`: one instance, which has the state. It begins empty
 * with the component; state_machine_snapshot_load replaces all of its state. */
#include "components/state-machine/layout.h"
#include "core/base/memory.h"

STATE_MACHINE_LAYOUT(synod_paxos_state_machine);
STATE_MACHINE_TAGS(SYNOD_PAXOS_STATE_MACHINE);

struct state_machine {
    struct arena results;
    struct arena descriptions; /* never dropped, because they are constant */
    struct command_info_list described;
    char error[160];
    uint64_t *chunk; /* the last one that had to be copied */
    size_t chunk_capacity;
};

static struct state_machine imported;

struct state_machine *state_machine_new(void) { return &imported; }

void state_machine_free(struct state_machine *m) { (void)m; }

void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work)
{
    (void)m;
    synod_paxos_state_machine_start(state_bytes_max, call_work);
}

void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high)
{
    (void)m;
    synod_paxos_state_machine_seed(low, high);
}

bool state_machine_tell_events(struct state_machine *m, bool on)
{
    (void)m;
    return synod_paxos_state_machine_tell_events(on);
}

struct applied state_machine_apply(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room)
{
    struct applied applied;
    synod_paxos_state_machine_list_command_t list = {(synod_paxos_state_machine_command_t *)commands, count};
    shim_results_begin(&m->results);
    synod_paxos_state_machine_apply((synod_paxos_state_machine_moment_t *)&now, &list,
                                    (synod_paxos_state_machine_reply_room_t *)&room,
                                    (synod_paxos_state_machine_applied_t *)&applied);
    shim_results_end();
    return applied;
}

struct applied state_machine_query(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room)
{
    struct applied applied;
    synod_paxos_state_machine_list_command_t list = {(synod_paxos_state_machine_command_t *)commands, count};
    shim_results_begin(&m->results);
    synod_paxos_state_machine_query((synod_paxos_state_machine_moment_t *)&now, &list,
                                    (synod_paxos_state_machine_reply_room_t *)&room,
                                    (synod_paxos_state_machine_applied_t *)&applied);
    shim_results_end();
    return applied;
}

struct command_info_list state_machine_describe(struct state_machine *m)
{
    if (m->described.len == 0) {
        shim_results_begin(&m->descriptions);
        synod_paxos_state_machine_describe((synod_paxos_state_machine_list_command_info_t *)&m->described);
        shim_results_end();
    }
    return m->described;
}

uint64_t state_machine_size(struct state_machine *m)
{
    (void)m;
    return synod_paxos_state_machine_size();
}

void state_machine_snapshot_begin(struct state_machine *m)
{
    (void)m;
    synod_paxos_state_machine_snapshot_begin();
}

struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m)
{
    synod_paxos_state_machine_tuple2_chunk_bool_t saved;
    shim_results_begin(&m->results);
    synod_paxos_state_machine_snapshot_save(&saved);
    shim_results_end();
    const size_t most = saved.f0.words.len * sizeof(uint64_t); /* a stranger may say more than it gives */
    return (struct snapshot_chunk){.bytes = {(uint8_t *)saved.f0.words.ptr, saved.f0.len < most ? saved.f0.len : most},
                                   .last = saved.f1};
}

/* The chunk in words: itself where it lies in such already. */
static struct payload in_words(struct state_machine *m, struct bytes chunk)
{
    const size_t words = words_for(chunk.len);
    if (words == 0 || ((uintptr_t)chunk.ptr % sizeof(uint64_t) == 0 && chunk.len % sizeof(uint64_t) == 0))
        return (struct payload){.words = {(uint64_t *)(uintptr_t)chunk.ptr, words}, .len = (uint32_t)chunk.len};
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, words, sizeof *m->chunk);
    m->chunk[words - 1] = 0;
    memcpy(m->chunk, chunk.ptr, chunk.len);
    return (struct payload){.words = {m->chunk, words}, .len = (uint32_t)chunk.len};
}

bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error)
{
    struct bytes text = {0};
    struct payload words = in_words(m, chunk);
    shim_results_begin(&m->results);
    bool loaded =
        synod_paxos_state_machine_snapshot_load((synod_paxos_state_machine_chunk_t *)&words, first, last, (void *)&text);
    shim_results_end();
    if (!loaded) {
        size_t len = text.len < sizeof m->error - 1 ? text.len : sizeof m->error - 1;
        memcpy(m->error, text.ptr, len);
        m->error[len] = 0;
        *error = m->error;
    }
    return loaded;
}
