/* The situations that a simulation should reach, recognized in what passes through the checks anyway. (The world counts
 * REACHED_HELD_AT_CRASH, REACHED_ALL_DOWN, REACHED_TORN_TAIL, REACHED_SEGMENT_ROLLED, REACHED_NO_ROOM,
 * REACHED_SNAPSHOT_LOST, REACHED_NO_REPLY_ROOM, REACHED_NO_STATE_ROOM, REACHED_RECOVERY_REFUSED, REACHED_PORT_FULL,
 * REACHED_CONNECTION_RESET, REACHED_NETWORK_FULL, REACHED_LINK_RESET, REACHED_CROWDED_OUT, REACHED_PROCESS_MISSED, and what
 * becomes of an operator's changes.) */
#include "sim/checks_internal.h"

static const char *const names[REACHED_STATES] = {
    [REACHED_DIFFERING_BALLOTS] = "differing-ballots",
    [REACHED_DIFFERING_VALUES] = "differing-values",
    [REACHED_PROMISE_IN_CHUNKS] = "promise-in-chunks",
    [REACHED_CHANGE_BETWEEN_CHUNKS] = "change-between-chunks",
    [REACHED_TWO_LEADERS] = "two-leaders",
    [REACHED_DUELLING_PREPARES] = "duelling-prepares",
    [REACHED_GAP_NOOP] = "gap-noop",
    [REACHED_VALUE_ADOPTED] = "value-adopted",
    [REACHED_CHOSEN_AT_TWO_BALLOTS] = "chosen-at-two-ballots",
    [REACHED_NACK] = "nack",
    [REACHED_VOTE_OVERTAKEN] = "vote-overtaken",
    [REACHED_LEARNED_FROM_PEER] = "learned-from-peer",
    [REACHED_LEARNED_FROM_ACCEPTOR] = "learned-from-acceptor",
    [REACHED_LEARNED_FROM_DISK] = "learned-from-disk",
    [REACHED_FORWARDED] = "forwarded",
    [REACHED_RESULT_REQUESTED] = "result-requested",
    [REACHED_EXECUTED_ANOTHER] = "executed-another",
    [REACHED_TRUNCATED] = "truncated",
    [REACHED_FLOOR_RAISED] = "floor-raised",
    [REACHED_RESIGNED] = "resigned",
    [REACHED_WINDOW_FULL] = "window-full",
    [REACHED_HELD_AT_CRASH] = "held-at-crash",
    [REACHED_PROMISE_AFTER_RESTART] = "promise-after-restart",
    [REACHED_LEADER_RESTARTED] = "leader-restarted",
    [REACHED_ALL_DOWN] = "all-down",
    [REACHED_TORN_TAIL] = "torn-tail",
    [REACHED_SEGMENT_ROLLED] = "segment-rolled",
    [REACHED_SEGMENT_REMOVED] = "segment-removed",
    [REACHED_NO_ROOM] = "no-room",
    [REACHED_SNAPSHOT_LOST] = "snapshot-lost",
    [REACHED_GOVERNED_REFUSED] = "governed-refused",
    [REACHED_RECOVERY_REFUSED] = "recovery-refused",
    [REACHED_DIVERGED] = "diverged",
    [REACHED_OUTCOME_UNKNOWN] = "outcome-unknown",
    [REACHED_NO_REPLY_ROOM] = "no-reply-room",
    [REACHED_NO_STATE_ROOM] = "no-state-room",
    [REACHED_BUSY] = "busy",
    [REACHED_MOVED] = "moved",
    [REACHED_PORT_FULL] = "port-full",
    [REACHED_CONNECTION_RESET] = "connection-reset",
    [REACHED_NETWORK_FULL] = "network-full",
    [REACHED_LINK_RESET] = "link-reset",
    [REACHED_LEADER_MOVED] = "leader-moved",
    [REACHED_LEADER_NOT_MOVED] = "leader-not-moved",
    [REACHED_CROWDED_OUT] = "crowded-out",
    [REACHED_MEMBER_ADDED] = "member-added",
    [REACHED_MEMBER_REMOVED] = "member-removed",
    [REACHED_MEMBER_REPLACED] = "member-replaced",
    [REACHED_SETTINGS_CHANGED] = "settings-changed",
    [REACHED_CHANGE_REFUSED] = "change-refused",
    [REACHED_REMOVED_ENDED] = "removed-ended",
    [REACHED_FORMED] = "formed",
    [REACHED_PROMOTED] = "promoted",
    [REACHED_VOID_CHANGE] = "void-change",
    [REACHED_OTHER_QUORUMS] = "other-quorums",
    [REACHED_READ] = "read",
    [REACHED_READ_ELSEWHERE] = "read-elsewhere",
    [REACHED_READ_APART] = "read-apart",
    [REACHED_STALE_READ] = "stale-read",
    [REACHED_READ_WAITED] = "read-waited",
    [REACHED_READ_REFUSED] = "read-refused",
    [REACHED_READ_FOLLOWED] = "read-followed",
    [REACHED_SESSION_ENDED] = "session-ended",
    [REACHED_MESSAGE_TOLD] = "message-told",
    [REACHED_MESSAGES_MISSED] = "messages-missed",
    [REACHED_PROCESS_MISSED] = "process-missed",
};

const char *reached_name(enum reached state) { return names[state]; }

uint64_t *checks_reached(struct checks *c) { return c->reached; }

static void count(struct checks *c, enum reached state) { c->reached[state]++; }

/* ---- Proposals and votes ---- */

void reached_proposed(struct checks *c, const struct slot_truth *slot, const struct proposal *p)
{
    if (p->kind == ENTRY_NOOP)
        return;
    for (uint32_t i = slot->proposals; i != 0; i = c->proposals[i].next) {
        const struct proposal *other = &c->proposals[i];
        if (other->rank < p->rank && other->hash == p->hash && rank_node(other->rank) != rank_node(p->rank)) {
            count(c, REACHED_VALUE_ADOPTED);
            return;
        }
    }
}

void reached_voted(struct checks *c, struct slot_truth *slot, bool overtakes)
{
    const struct proposal *seen = NULL;
    bool ballots = false, values = false;
    if (overtakes)
        count(c, REACHED_VOTE_OVERTAKEN);
    for (uint32_t i = slot->proposals; i != 0; i = c->proposals[i].next) {
        const struct proposal *p = &c->proposals[i];
        if (p->latest == 0)
            continue;
        ballots = ballots || seen != NULL;
        values = values || (seen != NULL && seen->hash != p->hash);
        seen = p;
    }
    if (ballots && !slot->ballots_differed)
        count(c, REACHED_DIFFERING_BALLOTS);
    if (values && !slot->values_differed)
        count(c, REACHED_DIFFERING_VALUES);
    slot->ballots_differed = slot->ballots_differed || ballots;
    slot->values_differed = slot->values_differed || values;
}

void reached_chosen(struct checks *c, const struct proposal *p, bool again)
{
    if (again)
        count(c, REACHED_CHOSEN_AT_TWO_BALLOTS);
    else if (p->kind == ENTRY_NOOP)
        count(c, REACHED_GAP_NOOP); /* only a gap makes one */
}

/* ---- Records and messages ---- */

void reached_appended(struct checks *c, struct checked_node *n, const struct log_record *r)
{
    bool promises = r->kind == RECORD_PROMISED || r->kind == RECORD_ACCEPTED;
    if (promises && n->chunk_rank != 0 && rank_of(r->entry.ballot) > n->chunk_rank) {
        count(c, REACHED_CHANGE_BETWEEN_CHUNKS);
        n->chunk_rank = 0;
    }
    if (r->kind == RECORD_FLOOR)
        count(c, REACHED_TRUNCATED);
}

static void sent_promise(struct checks *c, struct checked_node *n, const struct message *m)
{
    uint64_t rank = rank_of(m->ballot);
    bool last = (m->flags & MESSAGE_LAST) != 0;
    if (n->chunk_rank == rank && m->from >= n->chunk_to)
        count(c, REACHED_PROMISE_IN_CHUNKS);
    n->chunk_rank = last ? 0 : rank;
    n->chunk_to = m->to;
}

static void sent_accept(struct checks *c, const struct message *m)
{
    if (m->entries.len > 0 &&
        m->entries.ptr[m->entries.len - 1].slot + 1 - m->chosen >= checks_governing(c, m->chosen)->alpha)
        count(c, REACHED_WINDOW_FULL);
}

static void sent_prepare(struct checked_node *n, const struct message *m)
{
    uint64_t rank = rank_of(m->ballot);
    if (n->prepare_rank == rank)
        return;
    n->prepare_rank = rank;
    n->prepare_from = m->from;
}

void reached_sent(struct checks *c, uint32_t node, const struct message *m)
{
    struct checked_node *n = &c->nodes[node];
    switch (m->kind) {
    case MESSAGE_PREPARE:
        sent_prepare(n, m);
        break;
    case MESSAGE_PROMISE:
        sent_promise(c, n, m);
        break;
    case MESSAGE_ACCEPT:
        sent_accept(c, m);
        break;
    case MESSAGE_NACK:
        count(c, REACHED_NACK);
        if (rank_of(m->ballot) == n->promise_found)
            count(c, REACHED_PROMISE_AFTER_RESTART);
        break;
    case MESSAGE_FORWARD:
        count(c, REACHED_FORWARDED);
        break;
    case MESSAGE_RESULT_REQUEST:
        count(c, REACHED_RESULT_REQUESTED);
        break;
    default:
        break;
    }
}

static void received_learn(struct checks *c, const struct checked_node *n, uint32_t from, const struct message *m)
{
    if (m->entries.len == 0 || m->entries.ptr[m->entries.len - 1].slot < n->executed)
        return; /* nothing new */
    if ((m->flags & MESSAGE_IS_CHOSEN) == 0) {
        count(c, REACHED_LEARNED_FROM_ACCEPTOR);
        return;
    }
    count(c, REACHED_LEARNED_FROM_PEER);
    if (c->nodes[from].has_read)
        count(c, REACHED_LEARNED_FROM_DISK);
}

void reached_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m)
{
    const struct checked_node *n = &c->nodes[node];
    if (m->kind == MESSAGE_LEARN)
        received_learn(c, n, from, m);
    else if (m->kind == MESSAGE_EXECUTED && (m->flags & MESSAGE_ANOTHER) != 0)
        count(c, REACHED_EXECUTED_ANOTHER);
    else if (m->kind == MESSAGE_QUERY && m->to > n->executed)
        count(c, REACHED_READ_WAITED);
    else if (m->kind == MESSAGE_READ_ROUND && rank_of(m->ballot) < n->written.promise)
        count(c, REACHED_READ_REFUSED);
    else if (m->kind == MESSAGE_READ_INDEX && (m->flags & MESSAGE_YES) != 0)
        count(c, REACHED_READ_FOLLOWED);
    else if (m->kind == MESSAGE_PROMISE && rank_of(m->ballot) == n->prepare_rank && m->floor > n->prepare_from)
        count(c, REACHED_FLOOR_RAISED);
}

void reached_answered(struct checks *c, uint8_t outcome)
{
    if (outcome == OUTCOME_UNKNOWN)
        count(c, REACHED_OUTCOME_UNKNOWN);
    else if (outcome == OUTCOME_BUSY)
        count(c, REACHED_BUSY);
    else if (outcome == OUTCOME_MOVED)
        count(c, REACHED_MOVED);
}

/* ---- Who leads ---- */

void reached_down(struct checked_node *n)
{
    n->proposer_state = PROPOSER_FOLLOWING;
    n->leading_rank = n->chunk_rank = 0;
    n->has_read = false;
}

/* True when another node is in this state, too. */
static bool is_shared(const struct checks *c, uint32_t node, uint8_t state)
{
    for (uint32_t i = 1; i <= c->options.nodes; i++)
        if (i != node && c->nodes[i].proposer_state == state)
            return true;
    return false;
}

static void began_to_lead(struct checks *c, uint32_t node, const struct node_status *s)
{
    struct checked_node *n = &c->nodes[node];
    if (is_shared(c, node, PROPOSER_LEADING)) /* no two nodes share a ballot */
        count(c, REACHED_TWO_LEADERS);
    if (n->led_in != 0 && n->led_in != n->incarnation)
        count(c, REACHED_LEADER_RESTARTED);
    n->led_in = n->incarnation;
    n->leading_rank = rank_of(s->ballot);
}

void reached_status(struct checks *c, uint32_t node, const struct node_status *s)
{
    struct checked_node *n = &c->nodes[node];
    if (s->proposer_state == n->proposer_state)
        return;
    if (n->proposer_state == PROPOSER_LEADING && rank_of(s->ballot) == n->leading_rank)
        count(c, REACHED_RESIGNED); /* otherwise a higher ballot made it follow */
    n->proposer_state = s->proposer_state;
    if (s->proposer_state == PROPOSER_LEADING)
        began_to_lead(c, node, s);
    else if (s->proposer_state == PROPOSER_PREPARING && is_shared(c, node, PROPOSER_PREPARING))
        count(c, REACHED_DUELLING_PREPARES);
}
