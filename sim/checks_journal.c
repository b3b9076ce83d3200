/* Journals: what a node appends, what of it is durable, and what it comes back with.
 *
 * A record counts when the disk has it, and not before: only then a vote is a vote, a promise is a promise, and a slot is
 * held. Until then its effect waits in `pending`. After a crash the node comes back with everything that was durable and
 * perhaps some of the rest. So a hash of each record is kept, by lsn.
 *
 * When does a learner *hold* a slot durably (decision 0006)? Its journal has a RECORD_CHOSEN that covers the slot. Before
 * that, within the window of 4 alpha slots that recovery keeps after the last RECORD_CHOSEN, it has records of the slot's
 * value, and the one with the highest ballot carries what was chosen. So the checks repeat what recovery would do: they keep
 * the best record of each slot in a window, and look through it whenever a RECORD_CHOSEN becomes durable. The slots that a
 * majority of the learners held at some time bound what acceptors may forget. A retired node still counts there for what it
 * held when it was retired: nodes that heard of that cannot know better, and a lost disk is one of those that the majority
 * outweighs. */
#include "core/base/checksum.h"
#include "sim/checks_internal.h"

/* ---- Appending ---- */

static bool check_promised(struct checks *c, uint32_t node, const struct log_record *r, uint64_t rank)
{
    const struct checked_node *n = &c->nodes[node];
    if (!checks_ballot_known(c, r->entry.ballot))
        checks_fail(c, CHECK_BALLOT_UNIQUE, "node %u promises ballot %s, which no proposer ever had", node,
                    rank_text(rank).text);
    else if (rank < n->written.promise || rank <= n->written.promise_recorded)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u promises ballot %s after %s", node, rank_text(rank).text,
                    rank_text(n->written.promise).text);
    return !c->verdict.failed;
}

static bool check_accepted(struct checks *c, uint32_t node, const struct log_record *r, uint64_t rank)
{
    const struct checked_node *n = &c->nodes[node];
    uint64_t slot = r->entry.slot;
    const struct proposal *last = checks_vote_below(c, node, slot, UINT64_MAX);
    if (!checks_ballot_known(c, r->entry.ballot))
        checks_fail(c, CHECK_BALLOT_UNIQUE, "node %u votes at ballot %s, which no proposer ever had", node,
                    rank_text(rank).text);
    else if (rank < n->written.promise)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u votes in slot %" PRIu64 " at ballot %s and has promised %s", node,
                    slot, rank_text(rank).text, rank_text(n->written.promise).text);
    else if (slot == 0 || slot >= c->floor_most + checks_window(c))
        checks_fail(c, CHECK_BOUNDS, "node %u votes in slot %" PRIu64 ", and learners hold up to %" PRIu64 " only", node,
                    slot, c->floor_most);
    else if (slot < n->admitted)
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u votes in slot %" PRIu64
                    ", for which an earlier instance of it has promised what it does not know",
                    node, slot);
    else if (slot < n->written.floor)
        checks_fail(c, CHECK_TRUNCATION_SAFE, "node %u votes in slot %" PRIu64 ", below its floor %" PRIu64, node, slot,
                    n->written.floor);
    else if (last != NULL && last->rank >= rank)
        checks_fail(c, CHECK_VOTE_DURABLE, "node %u votes in slot %" PRIu64 " at ballot %s and has voted at %s", node, slot,
                    rank_text(rank).text, rank_text(last->rank).text);
    return !c->verdict.failed;
}

static bool check_learned(struct checks *c, uint32_t node, const struct log_record *r, uint64_t rank, uint64_t hash)
{
    const struct proposal *chosen = checks_chosen(c, r->entry.slot);
    if (chosen == NULL || rank < chosen->rank)
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u records a value for slot %" PRIu64 " at ballot %s, where none is chosen",
                    node, r->entry.slot, rank_text(rank).text);
    else if (chosen->hash != hash)
        checks_fail(c, CHECK_AGREEMENT, "node %u learns another value in slot %" PRIu64 " than was chosen", node,
                    r->entry.slot);
    return !c->verdict.failed;
}

/* Slots that a snapshot has are not in the journal, which says so with a mark of no slots. */
static bool is_mark_of_snapshot(const struct checked_node *n, const struct log_record *r)
{
    return r->entry.slot == r->to && r->to > n->written.mark && r->to <= n->snapshot;
}

static bool check_marked(struct checks *c, uint32_t node, const struct log_record *r)
{
    const struct checked_node *n = &c->nodes[node];
    if (r->to > c->prefix)
        checks_fail(c, CHECK_CHOSEN_TRUE,
                    "node %u records that all below slot %" PRIu64 " is chosen; slot %" PRIu64 " is not", node, r->to,
                    c->prefix);
    else if (r->to < r->entry.slot || (r->entry.slot != n->written.mark && !is_mark_of_snapshot(n, r)))
        checks_fail(c, CHECK_TRUNCATION_SAFE, "node %u marks slots [%" PRIu64 ", %" PRIu64 ") after those below %" PRIu64,
                    node, r->entry.slot, r->to, n->written.mark);
    return !c->verdict.failed;
}

static bool check_floor(struct checks *c, uint32_t node, const struct log_record *r)
{
    if (r->entry.slot > c->floor_most)
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u forgets all below slot %" PRIu64 ", and learners hold up to %" PRIu64 " only", node,
                    r->entry.slot, c->floor_most);
    return !c->verdict.failed;
}

static bool check_record(struct checks *c, uint32_t node, const struct log_record *r, uint64_t rank, uint64_t hash)
{
    switch (r->kind) {
    case RECORD_PROMISED:
        return check_promised(c, node, r, rank);
    case RECORD_ACCEPTED:
        return check_accepted(c, node, r, rank);
    case RECORD_LEARNED:
        return check_learned(c, node, r, rank, hash);
    case RECORD_CHOSEN:
        return check_marked(c, node, r);
    default:
        return check_floor(c, node, r);
    }
}

static uint64_t hash_record(const struct log_record *r, uint64_t value)
{
    const struct entry *e = &r->entry;
    uint64_t words[] = {r->lsn,         r->kind, r->to,        e->slot, e->ballot.round,
                        e->ballot.node, e->kind, e->value.len, value,   e->ballot.incarnation};
    return checksum(words, sizeof words, 0);
}

/* Room for one more record that is not durable yet. */
static struct pending_record *add_pending(struct checked_node *n)
{
    if (n->appended - n->durable >= n->pending_capacity) {
        uint64_t capacity = n->pending_capacity > 0 ? n->pending_capacity * 2 : 64;
        struct pending_record *grown = memory_new((size_t)capacity, sizeof *grown);
        for (uint64_t lsn = n->durable + 1; lsn <= n->appended; lsn++)
            grown[lsn & (capacity - 1)] = n->pending[lsn & (n->pending_capacity - 1)];
        free(n->pending);
        n->pending = grown;
        n->pending_capacity = capacity;
    }
    n->records = memory_reserve(n->records, &n->records_capacity, (size_t)n->appended + 1, sizeof *n->records);
    return &n->pending[++n->appended & (n->pending_capacity - 1)];
}

static void raise(uint64_t *to, uint64_t value)
{
    if (value > *to)
        *to = value;
}

static void take_mark(struct record_state *s, const struct pending_record *p)
{
    raise(&s->mark, p->to);
    s->window = p->window;
}

/* Applies a record to `s`. */
static void take_record(struct record_state *s, const struct pending_record *p)
{
    if (p->kind == RECORD_PROMISED || p->kind == RECORD_ACCEPTED)
        raise(&s->promise, p->rank);
    if (p->kind == RECORD_PROMISED)
        raise(&s->promise_recorded, p->rank);
    else if (p->kind == RECORD_FLOOR)
        raise(&s->floor, p->slot);
    else if (p->kind == RECORD_CHOSEN)
        take_mark(s, p);
}

void checks_appended(struct checks *c, uint32_t node, const struct log_record *r)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    if (r->lsn != n->appended + 1) {
        checks_fail(c, CHECK_RECOVERY, "node %u appends record %" PRIu64 " after %" PRIu64, node, r->lsn, n->appended);
        return;
    }
    uint64_t rank = rank_of(r->entry.ballot);
    struct value_hash hash = checks_hash(r->entry.kind, &r->entry.value);
    if (!check_record(c, node, r, rank, hash.value))
        return;
    struct pending_record p = {.kind = r->kind, .slot = r->entry.slot, .to = r->to, .rank = rank, .hash = hash.value};
    if (p.kind == RECORD_CHOSEN && r->entry.value.words.len > 0)
        p.window = r->entry.value.words.ptr[0];
    if (p.kind == RECORD_ACCEPTED && (p.proposal = checks_propose(c, node, rank, &r->entry, hash)) == 0)
        return;
    reached_appended(c, n, r);
    *add_pending(n) = p;
    if (record_is_sticky(r->kind)) {
        n->sticky = memory_reserve(n->sticky, &n->sticky_capacity, n->sticky_count + 1, sizeof *n->sticky);
        n->sticky[n->sticky_count++] = (struct sticky_record){r->lsn, r->kind};
    }
    n->records[n->appended - 1] = (struct checked_record){hash_record(r, hash.value), r->entry.slot, r->kind};
    take_record(&n->written, &p);
}

/* ---- Becoming durable ---- */

/* Keeps a record of a slot's value, if recovery would: the slot is in the window after the last RECORD_CHOSEN, as that has
 * it. */
static void hold(const struct checks *c, struct checked_node *n, const struct pending_record *p)
{
    const uint64_t window = n->safe.window != 0 ? n->safe.window : checks_window(c);
    if (p->slot < n->safe.mark || p->slot - n->safe.mark >= window)
        return;
    struct held_record *h = &n->held[p->slot & (c->held_capacity - 1)];
    if (h->slot == p->slot && p->hash == h->hash)
        h->lsn = n->durable; /* one of the records is enough */
    if (h->slot != p->slot || p->rank > h->rank)
        *h = (struct held_record){p->slot, p->rank, p->hash, n->durable};
}

/* Room for `count` lsns; what is new is zero. */
static uint64_t *reserve_zeros(uint64_t *lsns, size_t *capacity, size_t count)
{
    const size_t before = *capacity;
    lsns = memory_reserve(lsns, capacity, count, sizeof *lsns);
    if (*capacity > before)
        memset(lsns + before, 0, (*capacity - before) * sizeof *lsns);
    return lsns;
}

/* Every slot below `to` is held from now on, those below `from` in a snapshot. */
static void hold_marked(struct checks *c, uint32_t node, uint64_t from, uint64_t to)
{
    struct checked_node *n = &c->nodes[node];
    n->values = reserve_zeros(n->values, &n->values_capacity, (size_t)to);
    for (uint64_t slot = from > n->safe.mark ? from : n->safe.mark; slot < to; slot++) {
        const struct held_record *h = &n->held[slot & (c->held_capacity - 1)];
        const struct proposal *chosen = checks_chosen(c, slot);
        if (h->slot == slot && chosen != NULL && h->hash == chosen->hash) {
            n->values[slot] = h->lsn;
            continue;
        }
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u marks slots up to %" PRIu64 " as chosen, and recovery would find %s for slot %" PRIu64, node,
                    to, h->slot == slot ? "another value" : "none", slot);
        return;
    }
    raise(&n->safe.mark, to);
    if (checks_learns(c, node) && to > c->floor_most)
        checks_count_held(c);
}

/* The votes that recovery would keep have at most so many bytes: twice what a leader may have in flight, and a quarter of
 * that for a floor whose record comes late. Added to that are values of any length: one that crosses the bound, and those in
 * the slots at three floors, the recorded one, the one in force, and the one in force in the life before. */
static void check_votes_bytes(struct checks *c, uint32_t node)
{
    const struct checked_node *n = &c->nodes[node];
    uint64_t bytes = 0, longest = 0;
    for (uint64_t slot = n->safe.floor > n->admitted ? n->safe.floor : n->admitted; slot < n->votes_end; slot++) {
        const struct proposal *vote = checks_vote_below(c, node, slot, UINT64_MAX);
        const uint64_t len = vote != NULL ? vote->bytes : 0;
        bytes += len;
        longest = len > longest ? len : longest;
    }
    if (bytes > n->bytes_in_flight_most * 5 / 2 + 4 * longest)
        checks_fail(c, CHECK_BOUNDS, "node %u keeps votes of %" PRIu64 " bytes in slots from %" PRIu64 " on", node, bytes,
                    n->safe.floor);
}

static void become_durable(struct checks *c, uint32_t node, const struct pending_record *p)
{
    struct checked_node *n = &c->nodes[node];
    if (p->kind == RECORD_ACCEPTED) {
        raise(&n->votes_end, p->slot + 1);
        checks_vote(c, node, p->slot, p->proposal);
        check_votes_bytes(c, node);
    }
    if (p->kind == RECORD_ACCEPTED || p->kind == RECORD_LEARNED)
        hold(c, n, p);
    else if (p->kind == RECORD_CHOSEN)
        hold_marked(c, node, p->slot, p->to);
    take_record(&n->safe, p);
    if ((p->kind == RECORD_PROMISED || p->kind == RECORD_ACCEPTED) && p->rank == n->safe.promise)
        n->promise_lsn = n->durable;
}

void checks_durable(struct checks *c, uint32_t node, uint64_t lsn)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    invariant(lsn <= n->appended);
    while (n->durable < lsn && !c->verdict.failed) {
        n->durable++;
        become_durable(c, node, &n->pending[n->durable & (n->pending_capacity - 1)]);
    }
}

/* Votes may go below the durable floor. */
static void check_gone(struct checks *c, uint32_t node, const struct checked_record *r)
{
    const struct checked_node *n = &c->nodes[node];
    if (r->kind == RECORD_ACCEPTED && r->slot >= n->safe.floor)
        checks_fail(c, CHECK_TRUNCATION_SAFE, "node %u drops its vote in slot %" PRIu64 "; its floor is %" PRIu64, node,
                    r->slot, n->safe.floor);
}

/* The values of slots that a snapshot on disk has may go. */
static void check_values_left(struct checks *c, uint32_t node, uint64_t lsn)
{
    const struct checked_node *n = &c->nodes[node];
    for (uint64_t slot = n->snapshot > 0 ? n->snapshot : 1; slot < n->safe.mark; slot++) {
        if (n->values[slot] == 0 || n->values[slot] >= lsn)
            continue;
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u drops the value of slot %" PRIu64 "; its newest snapshot is of slot %" PRIu64, node, slot,
                    n->snapshot);
        return;
    }
}

void checks_truncated(struct checks *c, uint32_t node, uint64_t lsn)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    if (lsn > n->durable)
        checks_fail(c, CHECK_RECOVERY, "node %u needs nothing below record %" PRIu64 ", and only %" PRIu64 " are durable",
                    node, lsn, n->durable);
    if (n->safe.promise_recorded < n->safe.promise && n->promise_lsn < lsn)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u drops the vote that promised ballot %s, and no other record does",
                    node, rank_text(n->safe.promise).text);
    for (uint64_t gone = n->truncated > 0 ? n->truncated : 1; gone < lsn && !c->verdict.failed; gone++)
        check_gone(c, node, &n->records[gone - 1]);
    if (checks_learns(c, node))
        check_values_left(c, node, lsn);
    raise(&n->truncated, lsn);
}

/* ---- Lives ---- */

void checks_down(struct checks *c, uint32_t node)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    n->up = n->watch.on = false;
    leadership_starts(n);
    reached_down(n);
}

void checks_starts(struct checks *c, uint32_t node, uint32_t incarnation)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    if (incarnation <= n->incarnation)
        checks_fail(c, CHECK_BALLOT_UNIQUE, "node %u begins life %u after life %u", node, incarnation, n->incarnation);
    n->incarnation = incarnation;
    n->up = false;
    n->recovered = 0;
    n->found_others = false;
    memset(n->sticky_found, 0, sizeof n->sticky_found);
    n->executed = n->read_least = 0;
    reached_down(n);
}

/* Before the first record that is left come the latest of each sticky kind; all others that are skipped were not needed. */
static bool may_follow(const struct checked_node *n, uint64_t lsn)
{
    return lsn == n->recovered + 1 || (lsn > n->recovered && lsn <= n->truncated && !n->found_others);
}

void checks_recovered(struct checks *c, uint32_t node, const struct log_record *r)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    uint64_t lsn = r->lsn;
    uint64_t hash = hash_record(r, checks_hash(r->entry.kind, &r->entry.value).value);
    if (!may_follow(n, lsn))
        checks_fail(c, CHECK_RECOVERY,
                    "node %u finds record %" PRIu64 " where %" PRIu64 " follows, and needs those from %" PRIu64 " on", node,
                    lsn, n->recovered + 1, n->truncated);
    else if (lsn > n->appended)
        checks_fail(c, CHECK_RECOVERY, "node %u finds record %" PRIu64 ", which it never wrote", node, lsn);
    else if (hash != n->records[lsn - 1].hash)
        checks_fail(c, CHECK_RECOVERY, "node %u finds another record %" PRIu64 " than it wrote", node, lsn);
    n->recovered = lsn;
    if (record_is_sticky(r->kind))
        n->sticky_found[r->kind] = lsn;
    else
        n->found_others = true;
}

/* The latest sticky record of each kind must have come back, wherever it was. */
static void check_sticky(struct checks *c, uint32_t node)
{
    struct checked_node *n = &c->nodes[node];
    uint64_t latest[RECORD_KINDS] = {0};
    while (n->sticky_count > 0 && n->sticky[n->sticky_count - 1].lsn > n->recovered)
        n->sticky_count--; /* they are lost, and were not durable */
    for (size_t i = 0; i < n->sticky_count; i++)
        latest[n->sticky[i].kind] = n->sticky[i].lsn;
    for (uint8_t kind = 0; kind < RECORD_KINDS; kind++)
        if (latest[kind] != n->sticky_found[kind])
            checks_fail(c, CHECK_RECOVERY, "node %u comes back without record %" PRIu64 ", which is sticky", node,
                        latest[kind]);
}

/* What it found is durable, because the journal writes and syncs it again before it gives it out (J10). */
void checks_up(struct checks *c, uint32_t node)
{
    if (c->nodes[node].retired && !c->verdict.failed)
        checks_fail(c, CHECK_RECOVERY, "node %u comes back with a disk that is beyond help", node);
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    if (n->recovered < n->durable) {
        checks_fail(c, CHECK_RECOVERY, "node %u comes back with %" PRIu64 " records of %" PRIu64 " durable ones", node,
                    n->recovered, n->durable);
        return;
    }
    check_sticky(c, node);
    checks_durable(c, node, n->recovered);
    n->appended = n->recovered;
    n->written = n->safe;
    n->promise_found = n->safe.promise;
    raise(&n->promise_told, n->safe.promise); /* no answer of this life may be below */
    n->claim_rank = 0;
    n->up = n->unheard = true;
}

void checks_retired(struct checks *c, uint32_t node)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    n->retired = true;
    n->up = false;
    reached_down(n);
}
