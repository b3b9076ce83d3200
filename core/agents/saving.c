#include "core/agents/saving.h"

#include "core/formats/snapshot.h"

void saving_init(struct saving *s, const struct node_config *config)
{
    *s = (struct saving){.bytes_min = config->snapshot_bytes, .slots_max = config->snapshot_slots};
    s->interval = s->bytes_min;
}

void saving_close(struct saving *s) { free(s->chunk); }

/* As many bytes as the state has: then a large state is not written over and over. */
static void begin_interval(struct saving *s, struct execution *x)
{
    const uint64_t state = state_machine_size(x->machine);
    s->interval = state > s->bytes_min ? state : s->bytes_min;
    s->bytes = s->slots = 0;
}

bool saving_executed(struct saving *s, uint64_t bytes, struct execution *x)
{
    s->bytes += bytes > SAVING_SLOT_BYTES ? bytes : SAVING_SLOT_BYTES;
    s->slots++;
    const bool many_bytes = s->bytes_min != 0 && s->bytes >= s->interval;
    const bool many_slots = s->slots_max != 0 && s->slots >= s->slots_max;
    if (!many_bytes && !many_slots)
        return false;
    begin_interval(s, x);
    return true;
}

void saving_begin(struct saving *s, uint64_t slot, struct execution *x, struct effects *effects)
{
    if (s->state != SAVING_NOTHING)
        return;
    s->state = SAVING_STATE;
    s->slot = slot;
    s->written = 0;
    s->part = SAVING_SESSIONS;
    sessions_snapshot_begin(x->sessions);
    state_machine_snapshot_begin(x->machine);
    const struct payload first = execution_save(x, slot, s->first);
    s->given = first.len;
    effects_snapshot(effects, SNAPSHOT_BEGIN, slot, (struct payload){0});
    effects_snapshot(effects, SNAPSHOT_PIECE, SNAPSHOT_LEARNER, first);
}

/* A copy of the chunk in words, valid until the next one. */
static struct payload keep_chunk(struct saving *s, struct bytes chunk)
{
    const size_t words = words_for(chunk.len);
    s->chunk = memory_reserve(s->chunk, &s->chunk_capacity, words, sizeof *s->chunk);
    if (words > 0) {
        s->chunk[words - 1] = 0;
        memcpy(s->chunk, chunk.ptr, chunk.len);
    }
    return (struct payload){.words = {s->chunk, words}, .len = (uint32_t)chunk.len};
}

/* The snapshot counts only with a journal that goes on from its slot: should it be damaged, the one before it and the
 * journal must have everything. */
static void commit(struct saving *s, uint64_t held, struct effects *effects)
{
    if (held < s->slot)
        return;
    effects_snapshot(effects, SNAPSHOT_COMMIT, s->slot, (struct payload){0});
    s->state = SAVING_COMMIT;
}

/* Whether the state machine has something to save, and there is room for it. */
static bool may_save(const struct saving *s)
{
    return s->state == SAVING_REST || (s->state == SAVING_STATE && s->given - s->written < SAVING_AHEAD_MAX);
}

/* The next chunk, of the sessions or of the state machine; `*kind` is that of its piece. */
static struct snapshot_chunk next_chunk(struct saving *s, struct execution *x, uint32_t *kind)
{
    struct snapshot_chunk chunk;
    if (s->part == SAVING_MACHINE) {
        chunk = state_machine_snapshot_save(x->machine);
        *kind = chunk.last ? SNAPSHOT_STATE_LAST : SNAPSHOT_STATE;
        return chunk;
    }
    chunk = sessions_snapshot_save(x->sessions);
    *kind = chunk.last ? SNAPSHOT_SESSIONS_LAST : SNAPSHOT_SESSIONS;
    s->part = chunk.last ? SAVING_MACHINE : SAVING_SESSIONS;
    return chunk;
}

bool saving_step(struct saving *s, struct execution *x, uint64_t held, uint64_t now, struct effects *effects)
{
    uint32_t kind;
    if (s->state == SAVING_WHOLE)
        commit(s, held, effects);
    if (!may_save(s) || (now < s->next_at && !x->stalled))
        return false;
    const bool is_given = s->state == SAVING_STATE;
    const struct snapshot_chunk chunk = next_chunk(s, x, &kind);
    s->next_at = now + (uint64_t)chunk.bytes.len * 1000000 / SAVING_RATE;
    if (is_given && (chunk.bytes.len > 0 || chunk.last)) {
        effects_snapshot(effects, SNAPSHOT_PIECE, kind, keep_chunk(s, chunk.bytes));
        s->given += chunk.bytes.len;
    }
    if (kind != SNAPSHOT_STATE_LAST)
        return x->stalled;
    s->state = is_given ? SAVING_WHOLE : SAVING_NOTHING;
    if (is_given)
        commit(s, held, effects);
    return false;
}

uint64_t saving_wake_at(const struct saving *s) { return may_save(s) ? s->next_at : UINT64_MAX; }

/* Whether storage has something of the snapshot in progress. */
static bool is_with_storage(const struct saving *s)
{
    return s->state == SAVING_STATE || s->state == SAVING_WHOLE || s->state == SAVING_COMMIT;
}

void saving_give_up(struct saving *s, struct effects *effects)
{
    if (!is_with_storage(s))
        return;
    effects_snapshot(effects, SNAPSHOT_ABANDON, s->slot, (struct payload){0});
    s->state = s->state == SAVING_STATE ? SAVING_REST : SAVING_NOTHING;
}

void saving_loading(struct saving *s) { s->state = SAVING_NOTHING; }

void saving_loaded(struct saving *s, struct execution *x) { begin_interval(s, x); }

void saving_told(struct saving *s, const struct snapshot_item *item)
{
    if (!is_with_storage(s))
        return;
    if (item->kind == SNAPSHOT_WRITTEN && item->id > s->written)
        s->written = item->id < s->given ? item->id : s->given;
    if (item->id != s->slot)
        return;
    if (item->kind == SNAPSHOT_STORED || item->kind == SNAPSHOT_FAILED)
        s->state = s->state == SAVING_STATE ? SAVING_REST : SAVING_NOTHING;
}
