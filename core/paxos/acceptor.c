#include "core/paxos/acceptor.h"

#include "core/base/kept.h"
#include "core/base/memory.h"
#include "core/base/slot_ring.h"

struct vote {
    struct ballot ballot; /* none: no vote */
    struct payload value;
    uint8_t kind;
};

struct acceptor {
    uint64_t window;
    uint64_t bytes, bytes_max; /* of the votes' values */
    struct ballot promised;
    uint64_t top;           /* every vote lies below */
    struct slot_ring votes; /* base: the floor */
    struct entry *entries;
    size_t entries_capacity;
    struct acceptor_vote_run *runs;
    size_t runs_capacity;
};

static const struct ballot no_ballot;

struct acceptor *acceptor_new(const struct node_config *config)
{
    struct acceptor *a = memory_new(1, sizeof *a);
    a->window = acceptor_window(config->alpha);
    a->bytes_max = acceptor_bytes_max(config);
    a->top = 1;
    slot_ring_init(&a->votes, sizeof(struct vote), a->window, 1);
    return a;
}

void acceptor_free(struct acceptor *a)
{
    acceptor_truncate(a, a->top);
    slot_ring_close(&a->votes);
    free(a->entries);
    free(a->runs);
    free(a);
}

void acceptor_widen(struct acceptor *a, uint32_t alpha)
{
    const uint64_t window = acceptor_window(alpha);
    a->window = window > a->window ? window : a->window;
}

uint64_t acceptor_bytes(const struct acceptor *a) { return a->bytes; }

struct acceptor_prepare_result acceptor_prepare(struct acceptor *a, struct ballot ballot)
{
    int order = ballot_compare(ballot, a->promised);
    if (order > 0)
        a->promised = ballot;
    return (struct acceptor_prepare_result){.granted = order >= 0, .is_new = order > 0, .promised = a->promised};
}

struct acceptor_vote_chunk acceptor_votes(struct acceptor *a, uint64_t from, uint32_t bytes_max)
{
    uint64_t floor = a->votes.base;
    uint64_t slot = from > floor ? from : floor;
    struct acceptor_vote_chunk chunk = {.from = slot, .floor = floor};
    size_t count = 0;
    uint64_t bytes = 0;
    for (; slot < a->top && (count == 0 || bytes < bytes_max); slot++) {
        const struct vote *v = slot_ring_at(&a->votes, slot);
        if (ballot_compare(v->ballot, no_ballot) == 0)
            continue;
        a->entries = memory_reserve(a->entries, &a->entries_capacity, count + 1, sizeof *a->entries);
        a->entries[count++] = (struct entry){.slot = slot, .ballot = v->ballot, .kind = v->kind, .value = v->value};
        bytes += v->value.len;
    }
    chunk.to = slot;
    chunk.last = slot >= a->top;
    chunk.entries = (struct entry_list){a->entries, count};
    return chunk;
}

/* Whether there is room for a new vote in the slot. One value may cross the bound, just as a leader lets one cross its own:
 * a value can be longer than all that a leader may have in flight. */
static bool has_room(const struct acceptor *a, const struct entry *e, const struct vote *v)
{
    return e->slot == a->votes.base || e->value.len <= v->value.len || a->bytes - v->value.len < a->bytes_max;
}

static void keep_vote(struct acceptor *a, struct ballot ballot, const struct entry *e)
{
    struct vote *v = slot_ring_reach(&a->votes, e->slot);
    a->bytes = a->bytes - v->value.len + e->value.len;
    payload_release(&v->value);
    *v = (struct vote){.ballot = ballot, .value = payload_keep(&e->value), .kind = e->kind};
    if (e->slot >= a->top)
        a->top = e->slot + 1;
}

/* Adds a slot to the last run if it continues it, otherwise opens a new run. */
static void add_to_runs(struct acceptor *a, size_t *count, uint64_t slot, bool is_new)
{
    if (*count > 0 && a->runs[*count - 1].to == slot && a->runs[*count - 1].is_new == is_new) {
        a->runs[*count - 1].to++;
        return;
    }
    a->runs = memory_reserve(a->runs, &a->runs_capacity, *count + 1, sizeof *a->runs);
    a->runs[(*count)++] = (struct acceptor_vote_run){slot, slot + 1, is_new};
}

struct acceptor_accept_result acceptor_accept(struct acceptor *a, struct ballot ballot, const struct entry *entries,
                                              size_t count)
{
    size_t runs = 0;
    if (ballot_compare(ballot, a->promised) < 0)
        return (struct acceptor_accept_result){.granted = false, .promised = a->promised};
    for (size_t i = 0; i < count; i++) {
        uint64_t slot = entries[i].slot;
        if (slot < a->votes.base || slot - a->votes.base >= a->window)
            continue;
        const struct vote *v = slot_ring_reach(&a->votes, slot);
        invariant(ballot_compare(v->ballot, ballot) <= 0); /* no vote is above the promise */
        bool is_new = ballot_compare(v->ballot, ballot) != 0;
        if (is_new && !has_room(a, &entries[i], v))
            continue;
        if (is_new) {
            a->promised = ballot; /* only together with a vote, whose record carries it */
            keep_vote(a, ballot, &entries[i]);
        }
        add_to_runs(a, &runs, slot, is_new);
    }
    return (struct acceptor_accept_result){.granted = true, .promised = a->promised, .runs = {a->runs, runs}};
}

uint64_t acceptor_truncate(struct acceptor *a, uint64_t floor)
{
    while (a->votes.base < floor && a->votes.base < a->top) {
        struct vote *v = slot_ring_at(&a->votes, a->votes.base);
        a->bytes -= v->value.len;
        payload_release(&v->value);
        slot_ring_advance(&a->votes);
    }
    if (a->votes.base < floor) {
        slot_ring_jump(&a->votes, floor);
        a->top = floor;
    }
    invariant(a->votes.base <= a->top && a->votes.base >= floor);
    return a->votes.base;
}

void acceptor_restore(struct acceptor *a, const struct log_record *record)
{
    switch (record->kind) {
    case RECORD_PROMISED:
        acceptor_prepare(a, record->entry.ballot);
        break;
    case RECORD_ACCEPTED:
        acceptor_prepare(a, record->entry.ballot);
        if (record->entry.slot >= a->votes.base)
            keep_vote(a, record->entry.ballot, &record->entry);
        break;
    case RECORD_FLOOR:
        acceptor_truncate(a, record->entry.slot);
        break;
    default:
        break;
    }
}

void acceptor_audit(const struct acceptor *a, uint64_t floor)
{
    uint64_t bytes = 0;
    invariant(a->votes.base <= a->top && a->votes.base == floor);
    for (uint64_t slot = a->votes.base; slot < a->votes.base + a->votes.capacity; slot++) {
        const struct vote *v = slot_ring_at(&a->votes, slot);
        const bool voted = ballot_compare(v->ballot, no_ballot) != 0;
        invariant(voted ? slot < a->top && ballot_compare(v->ballot, a->promised) <= 0 : v->value.words.ptr == NULL);
        bytes += v->value.len;
    }
    invariant(bytes == a->bytes);
}
