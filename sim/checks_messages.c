/* What messages claim, against the ground truth at the time at which they leave.
 *
 *   PREPARE, ACCEPT, CHOSEN, leading HEARTBEAT   the ballot is the sender's own, in this life
 *   ACCEPT, CHOSEN, leading HEARTBEAT            slots [from, chosen) are chosen at the ballot, all before are chosen;
 *                                                learners hold everything below the floor
 *   ACCEPT                                       one value for a slot and ballot; a window of alpha slots; no more is
 *                                                proposed when bytes_in_flight_max are in flight
 *   PROMISE, NACK, ACCEPTED                      the promise is durable, and not below one that was told before, in any life
 *   ALIVE                                        at a ballot that is not below a promise told before
 *   PROMISE                                      in [from, to), and beyond if it is the last chunk, exactly the durable
 *                                                votes
 *   ACCEPTED, LEARN of an acceptor               durable votes
 *   LEARN of a learner, EXECUTED, PROGRESS       chosen values; the batch that was executed; what is executed and durably
 *                                                held
 *   FORWARD                                      a batch that was submitted to the sender
 *   RESULT_REQUEST                               a batch of the sender's, and a slot in which it was proposed
 *   LEARN_REQUEST                                slots that the sender has not executed
 *   READ_CONFIRMED                               at a ballot that is not below a promise told before
 *   QUERY, QUERY_ANSWER                          what was answered before the reads arrived is below the index, and executed
 *
 * A promise is put together some time before it leaves, and votes may be cast in between; but only at its ballot or above,
 * because that was promised. So only durable votes below the ballot are compared. Promises are told in the order in which
 * they are made (decision 0009). So if a lower one comes after a higher one, the higher one was forgotten in between. */
#include "core/formats/batch.h"
#include "sim/checks_internal.h"

static bool check_own_ballot(struct checks *c, uint32_t node, struct ballot b)
{
    const struct checked_node *n = &c->nodes[node];
    if (b.round > 0 && b.node == node && b.incarnation == n->incarnation && rank_of(b) != RANK_NONE_SUCH)
        return true;
    checks_fail(c, CHECK_BALLOT_UNIQUE, "node %u in life %u leads or prepares at ballot %" PRIu64 ".%u.%u", node,
                n->incarnation, b.round, b.node, b.incarnation);
    return false;
}

/* ---- Leaders ---- */

/* Slots [from, to) are chosen at `rank`. */
static bool check_chosen_at(struct checks *c, uint32_t node, uint64_t rank, uint64_t from, uint64_t to)
{
    for (uint64_t slot = from; slot < to; slot++) {
        const struct proposal *p = checks_proposal(c, slot, rank);
        if (p != NULL && p->chosen)
            continue;
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u says that slot %" PRIu64 " was chosen at ballot %s", node, slot,
                    rank_text(rank).text);
        return false;
    }
    return true;
}

/* What a leader says about the slots before its window. What it said before of the same ballot is not checked again. */
static bool check_leader_word(struct checks *c, uint32_t node, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    uint64_t rank = rank_of(m->ballot);
    if (m->chosen > c->prefix) {
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u says that all below slot %" PRIu64 " is chosen; slot %" PRIu64 " is not",
                    node, m->chosen, c->prefix);
        return false;
    }
    if (m->floor > c->floor_most) {
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u says that learners hold all below slot %" PRIu64 "; a majority held up to %" PRIu64, node,
                    m->floor, c->floor_most);
        return false;
    }
    if (n->claim_rank != rank || m->from < n->claim_from || m->from > n->claim_to) {
        n->claim_rank = rank;
        n->claim_from = n->claim_to = m->from;
    }
    if (m->chosen <= n->claim_to)
        return true;
    uint64_t from = n->claim_to;
    n->claim_to = m->chosen;
    return check_chosen_at(c, node, rank, from, m->chosen);
}

/* Only this leader has proposed a value for the slot: the bytes before it in the window left room for it. */
static void check_bytes(struct checks *c, uint32_t node, uint64_t rank, uint64_t slot, uint64_t bytes_before)
{
    const struct proposal *p = checks_proposal(c, slot, rank);
    if (p != NULL && p->next == 0 && p->bytes > 0 && bytes_before >= c->nodes[node].bytes_in_flight_max)
        checks_fail(c, CHECK_BOUNDS, "node %u proposes slot %" PRIu64 " with %" PRIu64 " bytes in flight before it", node,
                    slot, bytes_before);
}

static void check_accept(struct checks *c, uint32_t node, const struct message *m)
{
    uint64_t rank = rank_of(m->ballot), bytes = 0, next = m->chosen;
    for (size_t i = 0; i < m->entries.len && !c->verdict.failed; i++) {
        const struct entry *e = &m->entries.ptr[i];
        if (e->slot == 0 || e->slot >= m->chosen + checks_governing(c, m->chosen)->alpha)
            checks_fail(c, CHECK_BOUNDS,
                        "node %u proposes slot %" PRIu64 ", and knows only slots below %" PRIu64 " as chosen", node, e->slot,
                        m->chosen);
        else if (ballot_compare(e->ballot, m->ballot) != 0)
            checks_fail(c, CHECK_BALLOT_UNIQUE, "node %u proposes slot %" PRIu64 " at ballot %s in a message at %s", node,
                        e->slot, rank_text(rank_of(e->ballot)).text, rank_text(rank).text);
        else
            checks_configuration_of(c, node, rank, e->slot);
        if (!c->verdict.failed)
            checks_propose(c, node, rank, e, checks_hash(e->kind, &e->value));
        for (; next < e->slot && !c->verdict.failed; next++) {
            const struct proposal *p = checks_proposal(c, next, rank);
            bytes += p != NULL ? p->bytes : 0;
        }
        if (!c->verdict.failed)
            check_bytes(c, node, rank, e->slot, bytes);
    }
}

/* A leader has been elected: a phase-1 quorum has promised its ballot, on disk (Paxos Made Simple, section 2.2, phase
 * 2a). */
static bool check_elected(struct checks *c, uint32_t node, struct ballot ballot)
{
    struct checked_node *n = &c->nodes[node];
    uint64_t rank = rank_of(ballot);
    uint32_t promised = 0;
    if (n->elected_rank == rank)
        return true;
    const struct checked_configuration *of = checks_prepared_with(c, node, rank);
    promised = node_set_count(checks_promised(c, of, rank));
    n->elected_rank = rank;
    if (promised >= of->phase1_quorum)
        return true;
    checks_fail(c, CHECK_PROMISE_DURABLE, "node %u leads at ballot %s, which %u acceptors have promised; a quorum is %u",
                node, rank_text(rank).text, promised, of->phase1_quorum);
    return false;
}

static void check_leader(struct checks *c, uint32_t node, const struct message *m)
{
    if (check_own_ballot(c, node, m->ballot) && check_elected(c, node, m->ballot) && check_leader_word(c, node, m) &&
        m->kind == MESSAGE_ACCEPT)
        check_accept(c, node, m);
}

/* ---- Acceptors ---- */

static bool check_told_promise(struct checks *c, uint32_t node, struct ballot ballot)
{
    struct checked_node *n = &c->nodes[node];
    uint64_t rank = rank_of(ballot);
    if (rank > n->safe.promise)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u tells of its promise of ballot %s, and what is durable is %s", node,
                    rank_text(rank).text, rank_text(n->safe.promise).text);
    else if (rank < n->promise_told)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u tells of its promise of ballot %s and promised %s before", node,
                    rank_text(rank).text, rank_text(n->promise_told).text);
    n->promise_told = rank;
    return !c->verdict.failed;
}

/* The entry is exactly a durable vote. */
static bool check_vote(struct checks *c, uint32_t node, const struct entry *e)
{
    uint64_t rank = rank_of(e->ballot);
    const struct proposal *p = checks_proposal(c, e->slot, rank);
    if (p != NULL && node_set_has(p->voters, node) && p->hash == checks_hash(e->kind, &e->value).value)
        return true;
    checks_fail(c, CHECK_VOTE_DURABLE,
                "node %u tells of a vote in slot %" PRIu64 " at ballot %s that it has not durably cast", node, e->slot,
                rank_text(rank).text);
    return false;
}

/* In slots [from, to) `node` has no durable vote below `rank`. */
static bool check_no_votes(struct checks *c, uint32_t node, uint64_t from, uint64_t to, uint64_t rank)
{
    for (uint64_t slot = from; slot < to; slot++) {
        const struct proposal *p = checks_vote_below(c, node, slot, rank);
        if (p == NULL)
            continue;
        checks_fail(c, CHECK_VOTE_DURABLE,
                    "node %u promises ballot %s and keeps its vote in slot %" PRIu64 " at ballot %s to itself", node,
                    rank_text(rank).text, slot, rank_text(p->rank).text);
        return false;
    }
    return true;
}

/* The entry is the vote at the highest ballot below the one promised. */
static bool check_highest_vote(struct checks *c, uint32_t node, const struct entry *e, uint64_t rank)
{
    const struct proposal *highest = checks_vote_below(c, node, e->slot, rank);
    uint64_t told = rank_of(e->ballot);
    if (!check_vote(c, node, e))
        return false;
    if (told > rank || (highest != NULL && told < highest->rank))
        checks_fail(c, CHECK_VOTE_DURABLE,
                    "node %u promises ballot %s and tells of its vote in slot %" PRIu64 " at ballot %s, not %s", node,
                    rank_text(rank).text, e->slot, rank_text(told).text,
                    highest != NULL ? rank_text(highest->rank).text : "below");
    return !c->verdict.failed;
}

static void check_promise(struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    uint64_t rank = rank_of(m->ballot), next = m->from;
    if (m->from < n->admitted)
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u promises ballot %s from slot %" PRIu64 " on; what it promises counts from %" PRIu64 " on", node,
                    rank_text(rank).text, m->from, n->admitted);
    if (!check_told_promise(c, node, m->ballot))
        return;
    if (m->floor > c->floor_most) {
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u has forgotten all below slot %" PRIu64 "; a majority held up to %" PRIu64, node, m->floor,
                    c->floor_most);
        return;
    }
    for (size_t i = 0; i < m->entries.len; i++) {
        const struct entry *e = &m->entries.ptr[i];
        if (e->slot < next || e->slot >= m->to) {
            checks_fail(c, CHECK_VOTE_DURABLE, "node %u tells of slot %" PRIu64 " out of turn in a promise", node, e->slot);
            return;
        }
        if (!check_highest_vote(c, node, e, rank) || !check_no_votes(c, node, next, e->slot, rank))
            return;
        next = e->slot + 1;
    }
    bool last = (m->flags & MESSAGE_LAST) != 0;
    uint64_t end = last || m->to > n->votes_end ? n->votes_end : m->to;
    check_no_votes(c, node, next, end, rank);
}

static void check_accepted(struct checks *c, uint32_t node, const struct message *m)
{
    uint64_t rank = rank_of(m->ballot);
    for (uint64_t slot = m->from; slot < m->to; slot++) {
        const struct proposal *p = checks_proposal(c, slot, rank);
        if (p != NULL && node_set_has(p->voters, node))
            continue;
        checks_fail(c, CHECK_VOTE_DURABLE,
                    "node %u tells of its vote in slot %" PRIu64 " at ballot %s, which is not durable", node, slot,
                    rank_text(rank).text);
        return;
    }
    check_told_promise(c, node, m->ballot);
}

/* It had promised nothing above: what it promises later in the same turn has not left it yet. */
static void check_confirmed(struct checks *c, uint32_t node, const struct message *m)
{
    const uint64_t promise = c->nodes[node].promise_told;
    if (rank_of(m->ballot) < promise)
        checks_fail(c, CHECK_READS_CURRENT, "node %u confirms reads at ballot %s, and has promised %s", node,
                    rank_text(rank_of(m->ballot)).text, rank_text(promise).text);
}

/* ---- Learners ---- */

static bool check_learned(struct checks *c, uint32_t node, const struct entry *e)
{
    const struct proposal *chosen = checks_chosen(c, e->slot);
    uint64_t rank = rank_of(e->ballot);
    if (chosen == NULL || rank < chosen->rank)
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u gives slot %" PRIu64 " at ballot %s as chosen", node, e->slot,
                    rank_text(rank).text);
    else if (chosen->hash != checks_hash(e->kind, &e->value).value)
        checks_fail(c, CHECK_AGREEMENT, "node %u gives another value for slot %" PRIu64 " than was chosen", node, e->slot);
    return !c->verdict.failed;
}

static void check_learn(struct checks *c, uint32_t node, const struct message *m)
{
    bool chosen = (m->flags & MESSAGE_IS_CHOSEN) != 0;
    for (size_t i = 0; i < m->entries.len; i++)
        if (!(chosen ? check_learned(c, node, &m->entries.ptr[i]) : check_vote(c, node, &m->entries.ptr[i])))
            return;
}

/* The slot has the batch, and it was executed there; or the slot has another one. */
static void check_executed(struct checks *c, uint32_t node, const struct message *m)
{
    if (m->flags & MESSAGE_FORGOTTEN)
        return;
    const struct proposal *chosen = m->from < c->prefix ? checks_chosen(c, m->from) : NULL;
    if (chosen == NULL) {
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u tells the result of slot %" PRIu64 ", which is not chosen", node,
                    m->from);
        return;
    }
    const struct batch *b = &c->batches[chosen->batch]; /* a no-op's number is 0 */
    bool holds = b->number != 0 && batch_id_equal(m->batch, (struct batch_id){b->node, b->incarnation, b->number});
    bool another = (m->flags & MESSAGE_ANOTHER) != 0;
    if (another ? holds : !holds || b->executed_in != m->from)
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u says that batch %u.%u.%" PRIu64 " was %s in slot %" PRIu64, node,
                    m->batch.origin, m->batch.incarnation, m->batch.number, another ? "not the one" : "executed", m->from);
}

static void check_progress(struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    if (m->to > c->prefix)
        checks_fail(c, CHECK_CHOSEN_TRUE,
                    "node %u says that it has executed all below slot %" PRIu64 "; slot %" PRIu64 " is not chosen", node,
                    m->to, c->prefix);
    else if (m->floor > n->safe.mark)
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u says that it holds all below slot %" PRIu64 "; its disk has up to %" PRIu64, node, m->floor,
                    n->safe.mark);
    else if (m->chosen != checks_newest_below(c, m->to))
        checks_fail(c, CHECK_CONFIGURATIONS,
                    "node %u says that the newest configuration below slot %" PRIu64 " is that of slot %" PRIu64
                    ", not %" PRIu64,
                    node, m->to, m->chosen, checks_newest_below(c, m->to));
    else if (m->from != 0)
        checks_state(c, node, m->from, m->batch.number);
    struct stamp reached;
    if (m->entries.len >= 1 && stamp_read(&m->entries.ptr[0], &reached) && !c->verdict.failed)
        checks_moment(c, node, m->to, reached.moment, &reached.ballot);
    if (!c->verdict.failed)
        checks_executed(c, node, m->to);
}

static void check_forward(struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    if (m->entries.len != 1)
        return;
    const struct entry *e = &m->entries.ptr[0];
    uint32_t number = checks_value(c, node, e->kind, &e->value, checks_hash(e->kind, &e->value));
    struct batch *b = &c->batches[number];
    if (number == 0 || c->verdict.failed)
        return;
    if (m->batch.origin != node || m->batch.incarnation != n->incarnation || m->batch.number != b->number || b->node != node)
        checks_fail(c, CHECK_VALIDITY, "node %u forwards batch %u.%u.%" PRIu64 ", which is not its own", node,
                    m->batch.origin, m->batch.incarnation, m->batch.number);
    b->forwarded = true;
}

/* Whether a batch may have waited for its turn to be proposed in a slot that its proposer had given it as a leader
 * (limits.accept_bytes). One that resigns before has said nothing of it. It gives slots as far as P16 allows. */
static bool is_unsaid(const struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_configuration *governing = checks_governing(c, m->from);
    if (!node_set_has(checks_proposers(c), node) || m->from == 0 ||
        m->from >= governing->executed_by_majority + governing->alpha)
        return false;
    for (size_t i = 1; i < c->batch_count; i++) {
        const struct batch *b = &c->batches[i];
        if (b->stamped != 0 && batch_id_equal(m->batch, (struct batch_id){b->node, b->incarnation, b->number}))
            return false;
    }
    return true;
}

static void check_result_request(struct checks *c, uint32_t node, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    bool own = m->batch.origin == node && m->batch.incarnation == n->incarnation && m->batch.number != 0;
    if (!own || (!checks_is_proposed(c, m->from, m->batch) && !is_unsaid(c, node, m)))
        checks_fail(c, CHECK_VALIDITY,
                    "node %u asks for the result of batch %u.%u.%" PRIu64 " in slot %" PRIu64 ", where it was not proposed",
                    node, m->batch.origin, m->batch.incarnation, m->batch.number, m->from);
}

static void check_learn_request(struct checks *c, uint32_t node, const struct message *m)
{
    if (m->from < c->nodes[node].executed || m->from >= m->to)
        checks_fail(c, CHECK_VALIDITY, "node %u asks for slots %" PRIu64 " to %" PRIu64 ", and has executed %" PRIu64, node,
                    m->from, m->to, c->nodes[node].executed);
}

void checks_message(struct checks *c, uint32_t node, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_PREPARE:
        check_own_ballot(c, node, m->ballot);
        break;
    case MESSAGE_HEARTBEAT:
        if (m->flags & MESSAGE_LEADING)
            check_leader(c, node, m);
        break;
    case MESSAGE_ACCEPT:
    case MESSAGE_CHOSEN:
        check_leader(c, node, m);
        break;
    case MESSAGE_PROMISE:
        check_promise(c, node, m);
        break;
    case MESSAGE_ACCEPTED:
        check_accepted(c, node, m);
        break;
    case MESSAGE_NACK:
        check_told_promise(c, node, m->ballot);
        break;
    case MESSAGE_ALIVE:
        if (rank_of(m->ballot) < c->nodes[node].promise_told)
            checks_fail(c, CHECK_PROMISE_DURABLE, "node %u answers a leader at ballot %s and promised %s before", node,
                        rank_text(rank_of(m->ballot)).text, rank_text(c->nodes[node].promise_told).text);
        break;
    case MESSAGE_RESULT_REQUEST:
        check_result_request(c, node, m);
        break;
    case MESSAGE_LEARN_REQUEST:
        check_learn_request(c, node, m);
        break;
    case MESSAGE_LEARN:
        check_learn(c, node, m);
        break;
    case MESSAGE_EXECUTED:
        check_executed(c, node, m);
        break;
    case MESSAGE_PROGRESS:
        check_progress(c, node, m);
        break;
    case MESSAGE_CONFIGURATION:
        for (size_t i = 0; i < m->entries.len; i++)
            checks_configured(c, node, m->entries.ptr[i].slot, &m->entries.ptr[i].value);
        break;
    case MESSAGE_FORWARD:
        check_forward(c, node, m);
        break;
    case MESSAGE_READ_ROUND:
        check_own_ballot(c, node, m->ballot);
        break;
    case MESSAGE_READ_CONFIRMED:
        check_confirmed(c, node, m);
        break;
    case MESSAGE_QUERY:
        checks_query(c, node, m);
        break;
    case MESSAGE_QUERY_ANSWER:
        checks_query_answer(c, node, m);
        break;
    default:
        break; /* claims nothing */
    }
}
