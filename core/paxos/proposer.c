/* Phase 1 gathers, per slot from the floor on, the value voted for at the highest ballot among a quorum of acceptors; what
 * they voted for must be proposed again, what they did not becomes a no-op (Paxos Made Simple, section 3). Phase 2 then
 * runs in one window:
 *
 *      first        chosen        sent           next        chosen + alpha
 *        |  chosen    |  in flight  |  not yet sent |   free      |
 *
 * Nothing is sent at or above the limit, which may lie anywhere from `sent` on.
 */
#include "core/paxos/proposer.h"

#include "core/base/kept.h"
#include "core/base/memory.h"
#include "core/base/slot_ring.h"

enum proposer_mode { IDLE, PREPARING, LEADING };

struct proposal {
    struct ballot ballot; /* phase 1: the highest ballot this slot's value was voted for at */
    struct payload value;
    uint8_t kind;
    bool chosen;
    node_set voters;
};

struct proposer {
    uint32_t node, incarnation;
    node_set acceptors;
    uint32_t phase1_quorum, phase2_quorum;
    uint64_t alpha;
    uint64_t limit;

    uint8_t mode;   /* enum proposer_mode */
    uint64_t round; /* the highest used */
    struct ballot ballot;
    uint64_t first, sent, next;
    uint64_t bytes;
    struct slot_ring proposals; /* base: the floor in phase 1, chosen in phase 2 */

    node_set promised; /* acceptors whose chunks cover floor to last */
    uint64_t wanted[NODE_ID_MAX + 1];

    struct entry *entries;
    size_t entries_capacity;
};

static const struct ballot no_ballot;

struct proposer *proposer_new(const struct node_config *config)
{
    struct proposer *p = memory_new(1, sizeof *p);
    p->node = config->node;
    p->incarnation = config->incarnation;
    p->acceptors = config->acceptors;
    p->phase1_quorum = config->phase1_quorum;
    p->phase2_quorum = config->phase2_quorum;
    p->alpha = config->alpha;
    p->limit = UINT64_MAX;
    slot_ring_init(&p->proposals, sizeof(struct proposal), p->alpha, 1);
    p->first = p->sent = p->next = 1;
    return p;
}

/* Drops the proposals below `slot`. */
static void forget_below(struct proposer *p, uint64_t slot)
{
    while (p->proposals.base < slot && p->proposals.base < p->next) {
        struct proposal *item = slot_ring_at(&p->proposals, p->proposals.base);
        p->bytes -= item->value.len;
        payload_release(&item->value);
        slot_ring_advance(&p->proposals);
    }
    if (p->proposals.base < slot)
        slot_ring_jump(&p->proposals, slot);
    if (p->next < slot)
        p->next = slot;
}

/* An empty window that begins at `floor`, which may lie anywhere. */
static void restart_window(struct proposer *p, uint64_t floor)
{
    forget_below(p, p->next);
    invariant(p->bytes == 0);
    p->proposals.base = floor;
    p->first = p->sent = p->next = floor;
}

void proposer_free(struct proposer *p)
{
    forget_below(p, p->next);
    slot_ring_close(&p->proposals);
    free(p->entries);
    free(p);
}

struct ballot proposer_prepare(struct proposer *p, struct ballot above, uint64_t floor)
{
    if (above.round > p->round)
        p->round = above.round - p->round < ROUND_JUMP_MAX ? above.round : p->round + ROUND_JUMP_MAX - 1;
    p->round++;
    p->ballot = (struct ballot){p->round, p->node, p->incarnation};
    p->mode = PREPARING;
    restart_window(p, floor > 0 ? floor : 1);
    p->promised = 0;
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        p->wanted[n] = p->first;
    return p->ballot;
}

void proposer_resign(struct proposer *p)
{
    restart_window(p, p->proposals.base);
    p->mode = IDLE;
}

void proposer_configure(struct proposer *p, const struct configuration *configuration)
{
    proposer_resign(p);
    p->acceptors = configuration->acceptors;
    p->phase1_quorum = configuration->phase1_quorum;
    p->phase2_quorum = configuration->phase2_quorum;
    p->alpha = configuration->alpha;
    p->limit = 0;
}

void proposer_limit(struct proposer *p, uint64_t slot) { p->limit = slot > p->limit ? slot : p->limit; }

/* Keeps a recovered vote unless its slot has one at a higher ballot. */
static void recover(struct proposer *p, const struct entry *e)
{
    struct proposal *item = slot_ring_reach(&p->proposals, e->slot);
    invariant(ballot_compare(e->ballot, p->ballot) < 0);
    if (ballot_compare(e->ballot, item->ballot) <= 0)
        return;
    p->bytes = p->bytes - item->value.len + e->value.len;
    payload_release(&item->value);
    item->ballot = e->ballot;
    item->kind = e->kind;
    item->value = payload_keep(&e->value);
    if (e->slot >= p->next)
        p->next = e->slot + 1;
}

/* Slots below an acceptor's truncation floor are chosen, and learners hold them: there is nothing to prepare there. */
static void raise_floor(struct proposer *p, uint64_t floor)
{
    if (floor <= p->first)
        return;
    forget_below(p, floor);
    p->first = p->sent = floor;
}

/* True when the chunk continues what `sender` has told so far and is consistent in itself. */
static bool chunk_is_sound(const struct proposer *p, uint32_t sender, const struct message *chunk)
{
    uint64_t wanted = p->wanted[sender] > p->first ? p->wanted[sender] : p->first;
    bool contiguous = chunk->from <= wanted || (chunk->from == chunk->floor && chunk->floor > wanted);
    bool last = (chunk->flags & MESSAGE_LAST) != 0;
    bool tells_more = chunk->to > wanted || (last && chunk->to == wanted); /* otherwise it is a duplicate */
    if (!contiguous || chunk->from < chunk->floor || chunk->to < chunk->from || !tells_more)
        return false;
    uint64_t floor = chunk->floor > p->first ? chunk->floor : p->first;
    for (size_t i = 0; i < chunk->entries.len; i++) {
        const struct entry *e = &chunk->entries.ptr[i];
        if (e->slot < chunk->from || e->slot >= chunk->to || ballot_compare(e->ballot, p->ballot) >= 0)
            return false;
        if (e->slot >= floor && e->slot - floor >= PROPOSER_RECOVERED_MAX)
            return false;
    }
    return true;
}

struct promise_result proposer_promise(struct proposer *p, uint32_t sender, const struct message *chunk)
{
    struct promise_result ignored = {.outcome = PROMISE_IGNORED};
    bool other_ballot = ballot_compare(chunk->ballot, p->ballot) != 0;
    if (p->mode != PREPARING || other_ballot || !node_set_has(p->acceptors, sender) || node_set_has(p->promised, sender) ||
        !chunk_is_sound(p, sender, chunk))
        return ignored;
    raise_floor(p, chunk->floor);
    for (size_t i = 0; i < chunk->entries.len; i++)
        if (chunk->entries.ptr[i].slot >= p->first)
            recover(p, &chunk->entries.ptr[i]);
    p->wanted[sender] = chunk->to;
    if ((chunk->flags & MESSAGE_LAST) == 0)
        return (struct promise_result){.outcome = PROMISE_MORE, .next = chunk->to};
    p->promised |= node_set_of(sender);
    if (node_set_count(p->promised) < p->phase1_quorum)
        return (struct promise_result){.outcome = PROMISE_WAITING};
    invariant(p->first == p->proposals.base && p->sent == p->first); /* nothing was proposed in phase 1 */
    p->mode = LEADING;
    return (struct promise_result){.outcome = PROMISE_ELECTED};
}

uint64_t proposer_promise_wanted(struct proposer *p, uint32_t acceptor)
{
    if (p->mode != PREPARING || !node_set_has(p->acceptors, acceptor) || node_set_has(p->promised, acceptor))
        return 0;
    return p->wanted[acceptor] > p->first ? p->wanted[acceptor] : p->first;
}

uint64_t proposer_propose(struct proposer *p, uint8_t kind, const struct payload *value)
{
    if (p->mode != LEADING || p->next - p->proposals.base >= p->alpha || p->next >= p->limit)
        return 0;
    struct proposal *item = slot_ring_reach(&p->proposals, p->next);
    invariant(item->value.words.ptr == NULL && item->voters == 0);
    *item = (struct proposal){.value = payload_keep(value), .kind = kind};
    p->bytes += value->len;
    return p->next++;
}

static void add_entry(struct proposer *p, size_t *count, uint64_t slot, const struct proposal *item)
{
    p->entries = memory_reserve(p->entries, &p->entries_capacity, *count + 1, sizeof *p->entries);
    p->entries[(*count)++] = (struct entry){.slot = slot, .ballot = p->ballot, .kind = item->kind, .value = item->value};
}

struct entry_list proposer_pending(struct proposer *p, uint32_t bytes_max)
{
    size_t count = 0;
    uint64_t bytes = 0;
    if (p->mode != LEADING)
        return (struct entry_list){0};
    const uint64_t alpha_end = p->proposals.base + p->alpha, end = p->limit < alpha_end ? p->limit : alpha_end;
    while (p->sent < p->next && p->sent < end && (count == 0 || bytes < bytes_max)) {
        const struct proposal *item = slot_ring_at(&p->proposals, p->sent);
        add_entry(p, &count, p->sent++, item);
        bytes += item->value.len;
    }
    return (struct entry_list){p->entries, count};
}

struct proposer_window proposer_window_now(struct proposer *p)
{
    struct proposer_window w = {.first = p->first, .chosen = p->proposals.base, .next = p->next, .bytes = p->bytes};
    w.ballot = p->mode == LEADING ? p->ballot : no_ballot;
    return w;
}

/* Moves the window up to the first slot that is not chosen. */
static void pass_chosen(struct proposer *p)
{
    uint64_t chosen = p->proposals.base;
    while (chosen < p->sent && ((struct proposal *)slot_ring_at(&p->proposals, chosen))->chosen)
        forget_below(p, ++chosen);
}

struct proposer_window proposer_accepted(struct proposer *p, uint32_t sender, struct ballot ballot, uint64_t from,
                                         uint64_t to)
{
    bool other_ballot = ballot_compare(ballot, p->ballot) != 0;
    if (p->mode != LEADING || other_ballot || !node_set_has(p->acceptors, sender))
        return proposer_window_now(p);
    uint64_t slot = from > p->proposals.base ? from : p->proposals.base;
    uint64_t end = to < p->sent ? to : p->sent;
    for (; slot < end; slot++) {
        struct proposal *item = slot_ring_at(&p->proposals, slot);
        item->voters |= node_set_of(sender);
        item->chosen = node_set_count(item->voters) >= p->phase2_quorum;
    }
    pass_chosen(p);
    return proposer_window_now(p);
}

struct proposer_window proposer_settle(struct proposer *p, uint64_t slot)
{
    if (p->mode == LEADING && slot > p->proposals.base) {
        forget_below(p, slot);
        p->first = slot;
        if (p->sent < slot)
            p->sent = slot;
        pass_chosen(p); /* later slots may have been chosen before this one */
    }
    return proposer_window_now(p);
}

struct entry_list proposer_unanswered(struct proposer *p, uint32_t acceptor, uint32_t bytes_max)
{
    size_t count = 0;
    uint64_t bytes = 0;
    if (p->mode != LEADING)
        return (struct entry_list){0};
    for (uint64_t slot = p->proposals.base; slot < p->sent && (count == 0 || bytes < bytes_max); slot++) {
        const struct proposal *item = slot_ring_at(&p->proposals, slot);
        if (item->chosen || node_set_has(item->voters, acceptor))
            continue;
        add_entry(p, &count, slot, item);
        bytes += item->value.len;
    }
    return (struct entry_list){p->entries, count};
}

void proposer_audit(const struct proposer *p)
{
    uint64_t bytes = 0;
    for (uint64_t slot = p->proposals.base; slot < p->next; slot++) {
        const struct proposal *item = slot_ring_at(&p->proposals, slot);
        invariant(item != NULL);
        bytes += item->value.len;
    }
    invariant(p->bytes == bytes && p->first <= p->proposals.base && p->proposals.base <= p->sent && p->sent <= p->next);
    invariant(p->mode == LEADING || p->sent == p->proposals.base);
}
