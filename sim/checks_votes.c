/* The ground truth: for each slot, what was proposed at which ballot, and which acceptors have durable votes for it. What
 * has durable votes of a phase-2 quorum is chosen, whether a node knows it or not (Lamport, "Paxos Made Simple", section
 * 2.2).
 *
 *   slots:      1     2     3     4     5 ...          prefix: the first slot in which nothing is chosen
 *               |     |     |
 *   proposals:  7.1   9.2   9.2        each with its value's hash and its voters, the highest ballot first
 *                     |
 *                     7.1
 *
 * Checked here, for every proposal and every durable vote:
 *  - OneValuePerBallot: a slot has one value at one ballot;
 *  - Agreement: what is chosen in a slot at two ballots is the same. More than that: once a value is chosen, every proposal
 *    at a higher ballot carries it (P2b, which holds for proposals, not only for votes). A broken P2b is the bug; two chosen
 *    values may be the result;
 *  - AtMostOnce: no refused batch is chosen. In two slots only a batch is chosen that was forwarded (the network doubles
 *    messages, and a leader that gets one twice proposes it twice). Of those two, learners execute one (decision 0008). The
 *    log alone says which, so the checks know how many commands each learner must have executed before each slot;
 *  - Bounds: a new batch is less than alpha slots beyond what a majority of the learners has executed (P16). */
#include "core/formats/batch.h"
#include "sim/checks_internal.h"

struct slot_truth *checks_slot(struct checks *c, uint64_t slot)
{
    if (slot >= c->slot_count) {
        size_t before = c->slot_capacity;
        c->slots = memory_reserve(c->slots, &c->slot_capacity, (size_t)slot + 1, sizeof *c->slots);
        memset(c->slots + before, 0, (c->slot_capacity - before) * sizeof *c->slots);
        c->slot_count = (size_t)slot + 1;
    }
    return &c->slots[slot];
}

/* The first proposal of a slot that is known. */
static uint32_t first_proposal(const struct checks *c, uint64_t slot)
{
    return slot < c->slot_count ? c->slots[slot].proposals : 0;
}

struct proposal *checks_proposal(struct checks *c, uint64_t slot, uint64_t rank)
{
    for (uint32_t i = first_proposal(c, slot); i != 0; i = c->proposals[i].next)
        if (c->proposals[i].rank == rank)
            return &c->proposals[i];
    return NULL;
}

const struct proposal *checks_chosen(const struct checks *c, uint64_t slot)
{
    uint32_t chosen = slot < c->slot_count ? c->slots[slot].chosen : 0;
    return chosen != 0 ? &c->proposals[chosen] : NULL;
}

const struct proposal *checks_vote_below(const struct checks *c, uint32_t node, uint64_t slot, uint64_t below)
{
    for (uint32_t i = first_proposal(c, slot); i != 0; i = c->proposals[i].next)
        if (c->proposals[i].rank < below && node_set_has(c->proposals[i].voters, node))
            return &c->proposals[i];
    return NULL;
}

bool checks_is_proposed(const struct checks *c, uint64_t slot, struct batch_id batch)
{
    for (uint32_t i = first_proposal(c, slot); i != 0; i = c->proposals[i].next) {
        const struct batch *b = &c->batches[c->proposals[i].batch];
        if (c->proposals[i].batch != 0 && batch_id_equal(batch, (struct batch_id){b->node, b->incarnation, b->number}))
            return true;
    }
    return false;
}

/* Whether the node has had this life. What an earlier instance has said may still be on its way when its disk is gone. */
static bool has_lived(const struct checks *c, struct ballot ballot)
{
    bool lived = ballot.incarnation <= c->nodes[ballot.node].incarnation;
    for (size_t i = 0; i < c->former_count && !lived; i++)
        lived = c->former[i].node == ballot.node && ballot.incarnation <= c->former[i].incarnation;
    return lived && ballot.incarnation > 0;
}

bool checks_ballot_known(const struct checks *c, struct ballot ballot)
{
    return ballot.round > 0 && rank_of(ballot) != RANK_NONE_SUCH && node_set_has(checks_proposers(c), ballot.node) &&
           has_lived(c, ballot);
}

/* ---- Proposals ---- */

/* The first proposal in this slot is not a recovered value: its leader must have seen that a majority of the learners
 * follows. */
static bool is_followed(struct checks *c, uint32_t node, const struct entry *e)
{
    const uint64_t executed = checks_followed(c, e->slot), end = executed + checks_governing(c, e->slot)->alpha;
    if (e->kind == ENTRY_NOOP || e->slot < end)
        return true;
    checks_fail(c, CHECK_BOUNDS,
                "node %u proposes a new batch in slot %" PRIu64 ", though a majority has executed %" PRIu64 " only", node,
                e->slot, executed);
    return false;
}

/* The number of the proposal's batch. If another proposal in the slot has the same value, it is that one's. */
static uint32_t batch_of(struct checks *c, uint32_t node, const struct entry *e, struct value_hash hash)
{
    for (uint32_t i = first_proposal(c, e->slot); i != 0; i = c->proposals[i].next)
        if (c->proposals[i].hash == hash.value)
            return c->proposals[i].batch;
    return checks_value(c, node, e->kind, &e->value, hash);
}

/* Whether it repeats what was proposed in the slot at another ballot: then it was stamped at that one. */
static bool is_repeated(const struct checks *c, const struct slot_truth *s, struct proposal *p)
{
    uint32_t i = s->proposals;
    while (i != 0 && c->proposals[i].hash != p->hash)
        i = c->proposals[i].next;
    p->stamped_at = c->proposals[i].stamped_at;
    return i != 0;
}

/* Puts a proposal into its slot after the proposal number `before` (0: as the first one). */
static uint32_t insert(struct checks *c, struct slot_truth *s, uint32_t before, const struct proposal *p)
{
    uint32_t number = (uint32_t)c->proposal_count++;
    c->proposals = memory_reserve(c->proposals, &c->proposal_capacity, c->proposal_count, sizeof *c->proposals);
    uint32_t *link = before != 0 ? &c->proposals[before].next : &s->proposals;
    c->proposals[number] = *p;
    c->proposals[number].next = *link;
    *link = number;
    return number;
}

/* Whether a value may be proposed in a slot at `rank` ("Paxos Made Simple", P2c). There must be a phase-1 quorum of
 * acceptors that have promised the ballot, and either none of them has a vote below it, or the one of these votes at the
 * highest ballot is for this value. Votes below a promise do not change, so it does not matter when this is asked. */
static bool is_safe(const struct checks *c, uint64_t slot, uint64_t rank, uint64_t hash)
{
    const struct checked_configuration *governing = checks_governing(c, slot);
    uint32_t quorum = governing->phase1_quorum;
    /* those that promised, without those that voted at a higher ballot than the one looked at */
    node_set left = checks_promised(c, governing, rank);
    for (uint32_t i = first_proposal(c, slot); i != 0 && node_set_count(left) >= quorum; i = c->proposals[i].next) {
        const struct proposal *p = &c->proposals[i];
        if (p->rank >= rank || (p->voters & left) == 0)
            continue;
        if (p->hash == hash)
            return true;
        left &= ~p->voters;
    }
    return node_set_count(left) >= quorum;
}

uint32_t checks_propose(struct checks *c, uint32_t node, uint64_t rank, const struct entry *e, struct value_hash hash)
{
    struct slot_truth *s = checks_slot(c, e->slot);
    uint32_t before = 0, i = s->proposals;
    for (; i != 0 && c->proposals[i].rank > rank; i = c->proposals[i].next)
        before = i;
    if (i != 0 && c->proposals[i].rank == rank) {
        if (c->proposals[i].hash == hash.value)
            return i;
        checks_fail(c, CHECK_ONE_VALUE_PER_BALLOT, "node %u: another value in slot %" PRIu64 " at ballot %s", node, e->slot,
                    rank_text(rank).text);
        return 0;
    }
    const struct proposal *chosen = checks_chosen(c, e->slot);
    if (chosen != NULL && rank > chosen->rank && hash.value != chosen->hash) {
        checks_fail(c, CHECK_AGREEMENT, "node %u: another value in slot %" PRIu64 " at ballot %s than was chosen at %s",
                    node, e->slot, rank_text(rank).text, rank_text(chosen->rank).text);
        return 0;
    }
    if (!is_safe(c, e->slot, rank, hash.value)) {
        checks_fail(c, CHECK_AGREEMENT,
                    "node %u: a value in slot %" PRIu64 " at ballot %s that no quorum of promises allows", node, e->slot,
                    rank_text(rank).text);
        return 0;
    }
    struct proposal p = {.rank = rank, .hash = hash.value, .bytes = e->value.len, .kind = e->kind};
    p.batch = batch_of(c, node, e, hash);
    p.has_stamp = stamp_read(e, &p.stamp);
    if (!c->verdict.failed && !is_repeated(c, s, &p))
        checks_stamped(c, e->slot, &p);
    if (c->verdict.failed || (s->proposals == 0 && !is_followed(c, node, e)))
        return 0;
    i = insert(c, s, before, &p);
    reached_proposed(c, s, &c->proposals[i]);
    return i;
}

/* ---- What is chosen ---- */

/* Whether what has this stamp counts (P25). */
static bool leads_on(struct checks *c, const struct proposal *p)
{
    if (p->has_stamp && rank_of(p->stamp.ballot) < rank_of(c->led))
        return false;
    c->led = p->has_stamp ? p->stamp.ballot : c->led;
    return true;
}

/* Decides whether learners execute the batch in `slot`: at most once, by origin, life and number, and nothing of an earlier
 * leader than the one before (core/agents/execution.c). */
static void execute(struct checks *c, uint64_t slot, struct batch *b, const struct proposal *p)
{
    struct batch_id *last = &c->executed_last[b->node];
    bool newer = b->incarnation != last->incarnation ? b->incarnation > last->incarnation : b->number > last->number;
    if (!newer || !leads_on(c, p))
        return;
    *last = (struct batch_id){b->node, b->incarnation, b->number};
    batch_time_stamp(&b->value, p->stamp);
    if (c->reference != NULL)
        c->reference_hash = reference_execute(c->reference, slot, &b->value, checks_governing(c, slot)->state_bytes_max);
    if (c->reference != NULL && reference_wrong(c->reference) != NULL)
        checks_fail(c, CHECK_EXPIRY, "slot %" PRIu64 ": %s", slot, reference_wrong(c->reference));
    b->executed_in = slot;
    c->slots[slot].changes = c->reference != NULL ? reference_changes(c->reference) : 0;
    c->slots[slot + 1].commands += b->commands;
}

static void advance_prefix(struct checks *c)
{
    for (const struct proposal *p; (p = checks_chosen(c, c->prefix)) != NULL; c->prefix++) {
        struct slot_truth *next = checks_slot(c, c->prefix + 1); /* this may move all slots */
        next->commands = c->slots[c->prefix].commands;
        if (p->batch != 0)
            execute(c, c->prefix, &c->batches[p->batch], p);
        else if (p->kind == ENTRY_CONFIGURATION)
            checks_choose_configuration(c, p->hash);
        else if (p->has_stamp && leads_on(c, p) && c->reference != NULL)
            c->reference_hash = reference_pass(c->reference, p->stamp);
        payload_free(&c->batches[p->batch].value); /* a no-op has an empty one */
        if (c->reference != NULL) {
            c->slots[c->prefix + 1].state_hash = c->reference_hash;
            c->slots[c->prefix + 1].state_known = true;
            c->slots[c->prefix + 1].reached = (struct stamp){reference_moment(c->reference), c->led};
            const bool counts = p->has_stamp && ballot_compare(p->stamp.ballot, c->led) == 0;
            if (counts && (p->batch == 0 || c->batches[p->batch].executed_in == c->prefix))
                checks_passed(c, c->prefix, p);
        }
    }
}

static void choose_batch(struct checks *c, uint64_t slot, struct batch *b)
{
    bool refused = b->answered && (b->outcome == OUTCOME_MOVED || b->outcome == OUTCOME_BUSY);
    if (refused)
        checks_fail(c, CHECK_AT_MOST_ONCE,
                    "slot %" PRIu64 " is chosen with a batch of node %u that was refused to its clients", slot, b->node);
    if (b->chosen_in != 0 && !b->forwarded)
        checks_fail(c, CHECK_AT_MOST_ONCE, "batch %" PRIu64 " of node %u is chosen in slots %" PRIu64 " and %" PRIu64,
                    b->number, b->node, b->chosen_in, slot);
    if (b->chosen_in == 0)
        b->chosen_in = slot;
}

/* A quorum has voted for a proposal: it is chosen at its ballot. Proposals above it must be the same. Those below it were
 * checked when they were proposed. */
static void choose(struct checks *c, uint64_t slot, uint32_t number)
{
    struct slot_truth *s = &c->slots[slot];
    struct proposal *p = &c->proposals[number];
    bool again = s->chosen != 0;
    p->chosen = true;
    for (uint32_t i = s->proposals; c->proposals[i].rank > p->rank; i = c->proposals[i].next)
        if (c->proposals[i].hash != p->hash)
            checks_fail(c, CHECK_AGREEMENT, "slot %" PRIu64 " is chosen at ballot %s, and another value was %s at %s", slot,
                        rank_text(p->rank).text, c->proposals[i].chosen ? "chosen" : "proposed",
                        rank_text(c->proposals[i].rank).text);
    if (!again || p->rank < c->proposals[s->chosen].rank)
        s->chosen = number;
    reached_chosen(c, p, again);
    if (again)
        return;
    if (p->batch != 0)
        choose_batch(c, slot, &c->batches[p->batch]);
    advance_prefix(c);
}

void checks_vote(struct checks *c, uint32_t node, uint64_t slot, uint32_t number)
{
    struct slot_truth *s = &c->slots[slot];
    const struct checked_configuration *governing = checks_governing(c, slot);
    node_set voter = node_set_of(node);
    bool overtakes = false;
    for (uint32_t i = c->proposals[number].next; i != 0; i = c->proposals[i].next) {
        overtakes = overtakes || (c->proposals[i].latest & voter) != 0;
        c->proposals[i].latest &= ~voter;
    }
    struct proposal *p = &c->proposals[number];
    p->voters |= voter;
    p->latest |= voter;
    if (checks_is_acceptor(c, governing, node))
        p->counted |= voter;
    reached_voted(c, s, overtakes);
    if (!p->chosen && node_set_count(p->counted) >= governing->phase2_quorum)
        choose(c, slot, number);
}
