/* A proposer agent follows, asks, prepares, or leads:
 *
 *              elected by the leader detector            quorum has lost the leader too
 *   FOLLOWING ------------------------------> ASKING -----------------------------------> PREPARING
 *       ^                                       |                                             |
 *       | a leader is heard, a higher ballot, no quorum, a stalled disk                       | quorum of promises
 *       +---------------------------------------+--------------------- LEADING <-------------+
 *
 * Asking has no effect on the acceptors (rule 15 of the design), so that a node that was merely cut off disturbs nobody.
 * Client batches live in `outstanding.c` from their arrival to their answer, whoever leads by then. */
#include "core/agents/proposer_agent.h"

#include "core/agents/effects.h"
#include "core/agents/outstanding.h"
#include "core/formats/batch.h"
#include "core/paxos/failure_detector.h"
#include "core/paxos/leader_detector.h"
#include "core/paxos/proposer.h"

/* Questions in a prepare_timeout, while they are answered. */
enum { ASKED_AGAIN = 16 };

/* Whoever is refused for a higher ballot keeps quiet for a while, each proposer for another one, so that two do not take turns in
 * refusing each other; twice as long each time, this many times. The first time is short: a node that has just started knows
 * of no ballots, and finds that one is in its way which nobody fights for any more. */
enum { BACKOFFS = 4 };

struct proposer_agent {
    struct node_config config;
    struct proposer *proposer;
    struct failure_detector *detector;
    bool recovered;
    uint8_t state; /* enum proposer_state */

    uint32_t leader;      /* 0: nobody known */
    struct ballot ballot; /* the leader's, else the highest heard of */
    struct leadership told;
    uint64_t leader_changes;
    uint64_t quiet_until; /* no election of one's own before */
    uint32_t refused;     /* ballots of one's own in a row, for a higher one; BACKOFFS at most */

    uint64_t question; /* number of the last one asked */
    node_set lost;     /* acceptors that answered "lost, too" */
    node_set answered; /* acceptors that answered at all */
    bool unheard;      /* the question before found no quorum of answers */
    node_set unfit;    /* proposers that asked not to be elected */
    bool stopping;
    uint64_t asked_at;
    uint64_t prepared_at; /* last PREPARE sent */

    uint64_t heartbeat_at;      /* last one sent */
    bool in_flight;             /* slots were, at the end of the last step */
    uint64_t retransmit_at;     /* next look at what is in flight */
    uint64_t retransmit_chosen; /* the window's state at the last look */
    uint64_t acceptor_heard_at[NODE_ID_MAX + 1];

    uint64_t executed[NODE_ID_MAX + 1]; /* first slot not executed, by learner */
    uint64_t held[NODE_ID_MAX + 1];     /* first slot not durably held, by learner */
    uint64_t chosen_told;               /* up to where the learners were told */
    uint64_t prompt_until;              /* slots below are awaited by other nodes: tell at once */

    uint64_t durable, durable_at; /* to notice a stalled disk */
    uint64_t overdue_at;          /* next look for batches to ask about */

    struct outstanding outstanding;
    struct message *forwarded; /* limits.forwarded of them at most */
    size_t forwarded_count;
    uint64_t forwarded_bytes;
    struct effects effects;
};

struct proposer_agent *proposer_agent_new(const struct node_config *config)
{
    struct proposer_agent *agent = memory_new(1, sizeof *agent);
    agent->config = *config;
    agent->config.limits = limits_effective(&config->limits);
    agent->forwarded = memory_new(agent->config.limits.forwarded, sizeof *agent->forwarded);
    agent->proposer = proposer_new(config);
    outstanding_init(&agent->outstanding);
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        agent->executed[n] = agent->held[n] = 1;
    return agent;
}

void proposer_agent_free(struct proposer_agent *agent)
{
    proposer_free(agent->proposer);
    if (agent->detector != NULL)
        failure_detector_free(agent->detector);
    outstanding_close(&agent->outstanding);
    for (size_t i = 0; i < agent->forwarded_count; i++)
        message_free(&agent->forwarded[i]);
    free(agent->forwarded);
    effects_close(&agent->effects);
    free(agent);
}

/* --- what is known of the learners ------------------------------------------------------------------------------- */

/* The highest slot that at least a majority of learners has reached in `by_learner`. */
static uint64_t majority_reached(const struct proposer_agent *agent, const uint64_t *by_learner)
{
    node_set learners = agent->config.learners;
    uint32_t majority = MUTANT(FLOOR_OF_ONE_LEARNER) && by_learner == agent->held ? 1 : node_set_count(learners) / 2 + 1;
    uint64_t best = 1;
    for (node_set i = learners; i != 0; i &= i - 1) {
        uint64_t slot = by_learner[node_set_first(i)];
        uint32_t reached = 0;
        for (node_set j = learners; j != 0; j &= j - 1)
            reached += by_learner[node_set_first(j)] >= slot;
        if (reached >= majority && slot > best)
            best = slot;
    }
    return best;
}

/* Everything below is chosen: some learner has executed it. */
static uint64_t executed_anywhere(const struct proposer_agent *agent)
{
    uint64_t best = 1;
    for (node_set i = agent->config.learners; i != 0; i &= i - 1)
        if (agent->executed[node_set_first(i)] > best)
            best = agent->executed[node_set_first(i)];
    return best;
}

/* The learner that a batch of this proposer asks for its results: its own node, else in turn one that keeps up. */
static uint32_t choose_answerer(const struct proposer_agent *agent, uint64_t number)
{
    if (node_set_has(agent->config.learners, agent->config.node))
        return agent->config.node;
    uint64_t close = executed_anywhere(agent);
    close = close > agent->config.alpha ? close - agent->config.alpha : 1;
    node_set keeping_up = 0;
    for (node_set i = agent->config.learners; i != 0; i &= i - 1)
        keeping_up |= agent->executed[node_set_first(i)] >= close ? i & -i : 0;
    node_set among = keeping_up != 0 ? keeping_up : agent->config.learners;
    for (uint64_t skip = number % node_set_count(among); skip > 0; skip--)
        among &= among - 1;
    return node_set_first(among);
}

/* --- leadership --------------------------------------------------------------------------------------------------- */

static node_set all_nodes(const struct proposer_agent *agent)
{
    return agent->config.proposers | agent->config.acceptors | agent->config.learners;
}

static void tell_leadership(struct proposer_agent *agent)
{
    size_t before = agent->effects.count;
    effects_tell_leader(&agent->effects, &agent->told, (struct leadership){agent->leader, agent->ballot});
    agent->leader_changes += agent->effects.count != before && agent->leader != 0;
}

/* Every slot below is chosen and held by so many learners that the others get it from them. What lies above has to be proposed
 * again by a new leader, although a learner may have executed it: if that one is lost, nobody else need have the values. */
static uint64_t settled(const struct proposer_agent *agent)
{
    return majority_reached(agent, MUTANT(FLOOR_NOT_DURABLE) ? agent->executed : agent->held);
}

static void fill_chosen(const struct proposer_agent *agent, const struct proposer_window *w, struct message *m)
{
    m->ballot = w->ballot;
    m->from = w->first;
    m->chosen = MUTANT(PROPOSED_IS_CHOSEN) ? w->next : w->chosen;
    m->floor = settled(agent);
}

/* The longest silence of a proposer. One that does not lead is heard half as often, for that only matters once a leader is
 * lost, and speaks when it is awake anyhow: to wake up for it would cost an idle node more than all else. */
static uint64_t heartbeat_interval(const struct proposer_agent *agent, bool awake)
{
    uint64_t interval = agent->config.heartbeat_interval;
    if (agent->state == PROPOSER_LEADING)
        return interval;
    return awake ? interval + interval / 2 : interval * 5 / 2;
}

static void send_heartbeat(struct proposer_agent *agent, uint64_t now, uint8_t flags)
{
    struct message m = {.kind = MESSAGE_HEARTBEAT, .flags = flags, .ballot = agent->ballot};
    node_set to = agent->config.proposers;
    if (flags & MESSAGE_LEADING) {
        struct proposer_window w = proposer_window_now(agent->proposer);
        fill_chosen(agent, &w, &m);
        agent->chosen_told = w.chosen;
    }
    if (flags != 0)
        to = all_nodes(agent);
    if (flags == 0)
        to &= ~node_set_of(agent->config.node);
    effects_send(&agent->effects, to, &m);
    agent->heartbeat_at = now;
}

/* Back to following. A leader says goodbye, and what was never proposed goes back to its clients. */
static void follow(struct proposer_agent *agent, uint64_t now)
{
    if (agent->state == PROPOSER_LEADING) {
        send_heartbeat(agent, now, MESSAGE_RESIGNED);
        agent->leader = 0;
    }
    if (agent->state >= PROPOSER_PREPARING)
        proposer_resign(agent->proposer);
    agent->state = PROPOSER_FOLLOWING;
    for (size_t i = 0; i < agent->forwarded_count; i++)
        message_free(&agent->forwarded[i]);
    agent->forwarded_count = 0;
    agent->forwarded_bytes = 0;
}

/* Someone holds a promise for, or leads at, a ballot above ours. */
static void hear_ballot(struct proposer_agent *agent, struct ballot ballot, uint64_t now)
{
    if (ballot_compare(ballot, agent->ballot) <= 0)
        return;
    if (agent->state >= PROPOSER_PREPARING) {
        follow(agent, now);
        agent->quiet_until =
            now + (agent->config.prepare_timeout * (1 + agent->config.node % 4) >> (BACKOFFS - agent->refused));
        agent->refused += agent->refused < BACKOFFS;
    }
    agent->ballot = ballot;
    if (agent->leader != ballot.node)
        agent->leader = 0;
}

static void hear_leader(struct proposer_agent *agent, uint32_t sender, struct ballot ballot, uint64_t now)
{
    /* Someone may have prepared a higher ballot and never led: who leads at a lower one is better than nobody. */
    bool late = ballot_compare(ballot, agent->ballot) < 0;
    if ((late && (agent->leader != 0 || agent->state >= PROPOSER_PREPARING)) || ballot.node != sender ||
        sender == agent->config.node)
        return;
    hear_ballot(agent, ballot, now);
    agent->leader = sender;
    agent->refused = 0;
    agent->unheard = false;
    if (agent->state == PROPOSER_ASKING)
        agent->state = PROPOSER_FOLLOWING;
}

static void ask(struct proposer_agent *agent, uint64_t now)
{
    agent->unheard = agent->state == PROPOSER_ASKING && node_set_count(agent->answered) < agent->config.phase1_quorum;
    agent->state = PROPOSER_ASKING;
    agent->lost = agent->answered = 0;
    agent->asked_at = now;
    struct message m = {.kind = MESSAGE_ASK, .from = ++agent->question};
    effects_send(&agent->effects, agent->config.acceptors, &m);
}

static void send_prepares(struct proposer_agent *agent, node_set acceptors, uint64_t now)
{
    for (node_set i = acceptors; i != 0; i &= i - 1) {
        uint32_t acceptor = node_set_first(i);
        uint64_t wanted = proposer_promise_wanted(agent->proposer, acceptor);
        struct message m = {.kind = MESSAGE_PREPARE, .ballot = agent->ballot, .from = wanted};
        if (wanted != 0)
            effects_send(&agent->effects, node_set_of(acceptor), &m);
    }
    agent->prepared_at = now;
}

/* An acceptor refuses since our ballot is too far above what it has promised (ROUND_JUMP_MAX). It is helped up by ballots between, which
 * it promises and nobody ever proposes at: what it answers to them is ignored, for it names another ballot than ours. */
static void help_up(struct proposer_agent *agent, uint32_t acceptor, struct ballot promised)
{
    if (agent->state < PROPOSER_PREPARING || promised.round + ROUND_JUMP_MAX >= agent->ballot.round)
        return;
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = agent->ballot, .from = SLOT_MAX - 1};
    m.ballot.round = promised.round + ROUND_JUMP_MAX;
    effects_send(&agent->effects, node_set_of(acceptor), &m);
    m.ballot = agent->ballot;
    m.from = proposer_promise_wanted(agent->proposer, acceptor);
    if (m.from == 0) /* we lead already: its answer to the ballot counts for nothing, but tells how far it got */
        m.from = SLOT_MAX - 1;
    effects_send(&agent->effects, node_set_of(acceptor), &m);
}

static void prepare(struct proposer_agent *agent, uint64_t now)
{
    agent->state = PROPOSER_PREPARING;
    agent->leader = 0;
    uint64_t floor = MUTANT(PREPARED_FROM_EXECUTED) ? executed_anywhere(agent) : settled(agent);
    agent->ballot = proposer_prepare(agent->proposer, agent->ballot, floor);
    send_prepares(agent, agent->config.acceptors, now);
}

static void lead(struct proposer_agent *agent, uint64_t now)
{
    agent->state = PROPOSER_LEADING;
    agent->leader = agent->config.node;
    agent->refused = 0;
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        agent->acceptor_heard_at[n] = now;
    agent->retransmit_at = now + agent->config.retry_interval;
    agent->retransmit_chosen = 0;
    agent->durable_at = now;
    send_heartbeat(agent, now, MESSAGE_LEADING);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void on_lost(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (agent->state != PROPOSER_ASKING || m->from != agent->question || !node_set_has(agent->config.acceptors, sender))
        return;
    agent->answered |= node_set_of(sender);
    agent->unheard = agent->unheard && node_set_count(agent->answered) < agent->config.phase1_quorum;
    if (m->flags & MESSAGE_YES)
        agent->lost |= node_set_of(sender);
    if (node_set_count(agent->lost) >= agent->config.phase1_quorum)
        prepare(agent, now);
}

static void on_promise(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (agent->state != PROPOSER_PREPARING)
        return;
    struct promise_result r = proposer_promise(agent->proposer, sender, m);
    if (r.outcome == PROMISE_MORE)
        send_prepares(agent, node_set_of(sender), now);
    else if (r.outcome == PROMISE_ELECTED)
        lead(agent, now);
}

static void on_heartbeat(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    agent->unfit &= ~node_set_of(sender);
    if (m->flags & MESSAGE_RESIGNED)
        agent->unfit |= node_set_of(sender);
    if (m->flags & MESSAGE_LEADING)
        hear_leader(agent, sender, m->ballot, now);
    else if (agent->leader == sender)
        agent->leader = 0; /* it resigned, or started anew */
    if (ballot_compare(m->ballot, agent->ballot) > 0 && agent->state < PROPOSER_PREPARING)
        agent->ballot = m->ballot;
}

static void on_progress(struct proposer_agent *agent, uint32_t sender, const struct message *m)
{
    if (!node_set_has(agent->config.learners, sender))
        return;
    agent->executed[sender] = m->to; /* its latest word: what was wrong with an earlier one is over */
    agent->held[sender] = m->floor;
}

/* A batch's fate, from a learner. */
static void on_executed(struct proposer_agent *agent, const struct message *m)
{
    bool other_life = m->batch.incarnation != agent->config.incarnation && !MUTANT(RESULT_OF_EARLIER_LIFE);
    if (m->batch.origin != agent->config.node || other_life)
        return;
    uint8_t outcome = OUTCOME_EXECUTED;
    if (m->flags & MESSAGE_FORGOTTEN)
        outcome = MUTANT(FORGOTTEN_IS_REFUSED) ? OUTCOME_MOVED : OUTCOME_UNKNOWN;
    else if (m->flags & MESSAGE_ANOTHER)
        outcome = OUTCOME_MOVED; /* the only slot it was ever proposed in holds another batch */
    else if (m->entries.len != 1)
        return;
    struct client_reply reply = {.outcome = outcome, .leader = agent->leader};
    if (!outstanding_answer(&agent->outstanding, m->batch.number, m->from, outcome, &reply.token))
        return;
    if (outcome == OUTCOME_EXECUTED)
        reply.replies = m->entries.ptr[0].value;
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = reply;
}

static void on_forward(struct proposer_agent *agent, const struct message *m)
{
    if (agent->state != PROPOSER_LEADING || m->entries.len != 1 ||
        agent->forwarded_count == agent->config.limits.forwarded ||
        agent->forwarded_bytes >= agent->config.bytes_in_flight_max)
        return;
    agent->forwarded_bytes += m->entries.ptr[0].value.len;
    agent->forwarded[agent->forwarded_count++] = message_copy(m);
}

static void on_message(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (sender > NODE_ID_MAX)
        return;
    failure_detector_heard(agent->detector, sender, now);
    agent->acceptor_heard_at[sender] = now;
    switch (m->kind) {
    case MESSAGE_PROMISE:
        on_promise(agent, sender, m, now);
        break;
    case MESSAGE_ACCEPTED:
        proposer_accepted(agent->proposer, sender, m->ballot, m->from, m->to);
        break;
    case MESSAGE_NACK:
        help_up(agent, sender, m->ballot);
        if (!MUTANT(NACK_IGNORED))
            hear_ballot(agent, m->ballot, now);
        break;
    case MESSAGE_ALIVE:
        if (!MUTANT(NACK_IGNORED))
            hear_ballot(agent, m->ballot, now);
        break;
    case MESSAGE_HEARTBEAT:
        on_heartbeat(agent, sender, m, now);
        break;
    case MESSAGE_LOST:
        on_lost(agent, sender, m, now);
        break;
    case MESSAGE_PROGRESS:
        on_progress(agent, sender, m);
        break;
    case MESSAGE_EXECUTED:
        on_executed(agent, m);
        break;
    case MESSAGE_FORWARD:
        on_forward(agent, m);
        break;
    default:
        break; /* for another role */
    }
}

static void answer(struct proposer_agent *agent, uint64_t token, uint8_t outcome)
{
    struct client_reply reply = {.token = token, .outcome = outcome, .leader = agent->leader};
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = reply;
}

static void on_commands(struct proposer_agent *agent, const struct client_batch *batch, uint64_t now)
{
    struct batch_header header;
    uint64_t number = outstanding_next(&agent->outstanding);
    struct batch_id id = {agent->config.node, agent->config.incarnation, number};
    struct payload value = batch->value;
    bool leading = agent->state == PROPOSER_LEADING;
    if (!batch_header_read(&value, &header) || !(leading || (agent->config.forward && agent->leader != 0))) {
        answer(agent, batch->token, OUTCOME_MOVED);
        return;
    }
    batch_header_stamp(&value, id, choose_answerer(agent, number), now);
    batch_seed_stamp(&value, agent->config.seed);
    outstanding_add(&agent->outstanding, batch->token, now);
    if (leading) {
        outstanding_queue(&agent->outstanding, number, &value);
        return;
    }
    struct entry entry = {.kind = ENTRY_COMMANDS, .value = value};
    struct message m = {.kind = MESSAGE_FORWARD, .batch = id, .entries = {&entry, 1}};
    effects_send(&agent->effects, node_set_of(agent->leader), effects_keep(&agent->effects, &m));
}

/* --- the leader's work -------------------------------------------------------------------------------------------- */

/* Slots that may still be given out without running further ahead than a majority of learners can follow (rule 16). */
static bool has_room(const struct proposer_agent *agent, const struct proposer_window *w)
{
    bool followed = w->next < majority_reached(agent, agent->executed) + agent->config.alpha || MUTANT(LEARNERS_OUTRUN);
    return followed && w->next < w->chosen + agent->config.alpha && w->bytes < agent->config.bytes_in_flight_max;
}

static void propose_waiting(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    uint64_t number;
    struct payload *value;
    while (has_room(agent, &w) && (value = outstanding_first(&agent->outstanding, &number)) != NULL) {
        uint64_t slot = proposer_propose(agent->proposer, ENTRY_COMMANDS, value);
        if (slot == 0)
            return;
        outstanding_proposed(&agent->outstanding, number, slot);
        w.next = slot + 1;
        w.bytes += value->len;
    }
    size_t done = 0;
    for (; done < agent->forwarded_count && has_room(agent, &w); done++) {
        struct message *m = &agent->forwarded[done];
        uint64_t slot = proposer_propose(agent->proposer, ENTRY_COMMANDS, &m->entries.ptr[0].value);
        if (slot == 0)
            break;
        w.next = slot + 1;
        w.bytes += m->entries.ptr[0].value.len;
        agent->forwarded_bytes -= m->entries.ptr[0].value.len;
        agent->prompt_until = w.next;
        message_free(m);
    }
    agent->forwarded_count -= done;
    memmove(agent->forwarded, agent->forwarded + done, agent->forwarded_count * sizeof *agent->forwarded);
    if (outstanding_first(&agent->outstanding, &number) != NULL)
        agent->prompt_until = w.next; /* the window is full: others must execute before it moves */
}

/* Who hears of values: acceptors to vote, learners to have them when they are chosen. */
static void send_accepts(struct proposer_agent *agent, const struct proposer_window *w, const struct entry_list *entries,
                         node_set to)
{
    struct message m = {.kind = MESSAGE_ACCEPT, .entries = *entries};
    fill_chosen(agent, w, &m);
    effects_send(&agent->effects, to, &m);
}

/* Tells who waits for it that more is chosen; the others hear it with the next values or the next heartbeat. */
static void send_chosen(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    if (w.chosen == agent->chosen_told)
        return;
    node_set to = agent->config.learners;
    if (node_set_has(to, agent->config.node) && agent->chosen_told >= agent->prompt_until)
        to = node_set_of(agent->config.node);
    struct message m = {.kind = MESSAGE_CHOSEN};
    fill_chosen(agent, &w, &m);
    effects_send(&agent->effects, to, &m);
    agent->chosen_told = w.chosen;
}

/* Sends again what nobody answered when nothing was chosen for a whole interval. True when it did. */
static bool retransmit(struct proposer_agent *agent, uint64_t now)
{
    if (now < agent->retransmit_at)
        return false;
    struct proposer_window w = proposer_window_now(agent->proposer);
    bool stuck = w.chosen == agent->retransmit_chosen && w.chosen < w.next;
    agent->retransmit_at = now + agent->config.retry_interval;
    agent->retransmit_chosen = w.chosen;
    if (!stuck || MUTANT(ACCEPT_NOT_REPEATED))
        return false;
    for (node_set i = agent->config.acceptors; i != 0; i &= i - 1) {
        uint32_t acceptor = node_set_first(i);
        struct message m = {.kind = MESSAGE_ACCEPT};
        m.entries = proposer_unanswered(agent->proposer, acceptor, agent->config.limits.accept_bytes);
        if (m.entries.len == 0)
            continue;
        const struct message *kept = effects_keep(&agent->effects, &m);
        send_accepts(agent, &w, &kept->entries, node_set_of(acceptor));
    }
    return true;
}

static bool has_quorum(const struct proposer_agent *agent, uint64_t now)
{
    uint32_t heard = 0;
    for (node_set i = agent->config.acceptors; i != 0; i &= i - 1)
        heard += now - agent->acceptor_heard_at[node_set_first(i)] < agent->config.dead_timeout;
    return heard >= agent->config.phase2_quorum;
}

/* True when records have been waiting for this node's own disk for too long. */
static bool disk_stalled(const struct proposer_agent *agent, uint64_t now)
{
    return now - agent->durable_at >= agent->config.dead_timeout;
}

/* True when there is more to send than one message holds. */
static bool lead_on(struct proposer_agent *agent, uint64_t now)
{
    const struct proposer_window before = proposer_window_now(agent->proposer);
    const uint64_t floor = settled(agent);
    if (floor > before.chosen && floor <= before.next) /* nobody holds what was never proposed */
        proposer_settle(agent->proposer, floor);
    if (!agent->in_flight)
        agent->retransmit_at = now + agent->config.retry_interval;
    propose_waiting(agent);
    if (now - agent->heartbeat_at >= heartbeat_interval(agent, true))
        send_heartbeat(agent, now, MESSAGE_LEADING);
    send_chosen(agent);
    if (retransmit(agent, now))
        return true;
    /* The last call to the proposer in a step: its entries live until the next one. */
    struct proposer_window w = proposer_window_now(agent->proposer);
    agent->in_flight = w.chosen < w.next;
    struct entry_list pending = proposer_pending(agent->proposer, agent->config.limits.accept_bytes);
    if (pending.len == 0)
        return false;
    send_accepts(agent, &w, &pending, agent->config.acceptors | agent->config.learners);
    uint64_t end = w.chosen + agent->config.alpha;
    return pending.ptr[pending.len - 1].slot + 1 < (w.next < end ? w.next : end);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Enough acceptors have answered the question, and too few of them have lost the leader: some may just be late to notice that it
 * is gone. Asking has no effect, so it is soon asked again. */
static uint64_t patience(const struct proposer_agent *agent)
{
    bool answered = node_set_count(agent->answered) >= agent->config.phase1_quorum;
    return answered ? agent->config.prepare_timeout / ASKED_AGAIN : agent->config.prepare_timeout;
}

static void watch_leader(struct proposer_agent *agent, uint64_t now)
{
    struct health health = failure_detector_check(agent->detector, now);
    if (agent->leader != 0 && agent->leader != agent->config.node && !node_set_has(health.alive, agent->leader))
        agent->leader = 0;
    node_set self = node_set_of(agent->config.node);
    node_set fit = health.alive & ~agent->unfit & ~self;
    if (!agent->stopping && !disk_stalled(agent, now))
        fit |= self;
    bool mine = leader_detector_elect(&agent->config, fit, agent->leader) == agent->config.node;
    if (agent->state == PROPOSER_LEADING && (!mine || !has_quorum(agent, now))) {
        follow(agent, now);
        agent->quiet_until = now + agent->config.suspect_timeout;
    }
    if (agent->state != PROPOSER_LEADING && agent->state != PROPOSER_FOLLOWING && !mine)
        follow(agent, now);
    if (!mine || agent->leader != 0 || now < agent->quiet_until)
        return;
    if (agent->state == PROPOSER_FOLLOWING || (agent->state == PROPOSER_ASKING && now - agent->asked_at >= patience(agent)))
        ask(agent, now);
    else if (agent->state == PROPOSER_PREPARING && now - agent->prepared_at >= agent->config.prepare_timeout)
        send_prepares(agent, MUTANT(PREPARE_NOT_REPEATED) ? 0 : agent->config.acceptors, now);
}

/* Looks after batches that have waited too long: asks a learner that must know, or gives up: with "busy" while it is still queued, else
 * with "unknown". */
static void watch_outstanding(struct proposer_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    struct outstanding_overdue overdue;
    uint8_t unknown = MUTANT(UNKNOWN_IS_REFUSED) ? OUTCOME_MOVED : OUTCOME_UNKNOWN;
    while (outstanding_expired(&agent->outstanding, now, c->request_timeout, &overdue))
        answer(agent, overdue.token, overdue.queued ? OUTCOME_BUSY : unknown);
    if (agent->state != PROPOSER_LEADING)
        while (outstanding_unqueue(&agent->outstanding, &overdue))
            answer(agent, overdue.token, OUTCOME_MOVED); /* it was never proposed */
    if (now < agent->overdue_at)
        return;
    agent->overdue_at = now + c->retry_interval / 4;
    outstanding_scan(&agent->outstanding);
    while (outstanding_overdue(&agent->outstanding, now, c->retry_interval, &overdue)) {
        node_set knowing = 0;
        for (node_set i = c->learners; i != 0; i &= i - 1)
            if (agent->executed[node_set_first(i)] > overdue.slot)
                knowing |= i & -i;
        if (knowing == 0)
            continue;
        node_set own = knowing & node_set_of(c->node);
        struct message m = {.kind = MESSAGE_RESULT_REQUEST, .from = overdue.slot};
        m.batch = (struct batch_id){c->node, c->incarnation, overdue.number};
        effects_send(&agent->effects, own != 0 ? own : knowing, &m); /* one of them may be gone */
    }
}

static uint64_t wake_at(const struct proposer_agent *agent, uint64_t now, bool more)
{
    if (more)
        return now;
    const struct node_config *c = &agent->config;
    uint64_t wake = agent->heartbeat_at + heartbeat_interval(agent, false);
    if (agent->state == PROPOSER_LEADING && agent->in_flight && agent->retransmit_at < wake)
        wake = agent->retransmit_at;
    if (agent->state == PROPOSER_FOLLOWING && agent->leader == 0 && agent->quiet_until > now && agent->quiet_until < wake)
        wake = agent->quiet_until;
    if (agent->state == PROPOSER_ASKING && agent->asked_at + patience(agent) < wake)
        wake = agent->asked_at + patience(agent);
    if (agent->state == PROPOSER_PREPARING && agent->prepared_at + c->prepare_timeout < wake)
        wake = agent->prepared_at + c->prepare_timeout;
    return wake;
}

/* How many more client batches to take: few while some are unanswered, so that commands gather into large batches. */
static uint32_t credit(const struct proposer_agent *agent)
{
    uint64_t waiting = outstanding_count(&agent->outstanding);
    bool leads = agent->state == PROPOSER_LEADING || (agent->config.forward && agent->leader != 0);
    bool takes = leads && !agent->stopping;
    return takes && waiting < agent->config.batches_in_flight ? (uint32_t)(agent->config.batches_in_flight - waiting) : 0;
}

static void on_event(struct proposer_agent *agent, const struct event *event, uint64_t now)
{
    switch (event->tag) {
    case EVENT_MESSAGE:
        on_message(agent, event->val.message.sender, &event->val.message.message, now);
        break;
    case EVENT_COMMANDS:
        on_commands(agent, &event->val.commands, now);
        break;
    case EVENT_DURABLE:
        agent->durable = event->val.durable;
        agent->durable_at = now;
        break;
    case EVENT_RECOVERED:
        agent->recovered = true;
        break;
    case EVENT_STOP:
        follow(agent, now);
        agent->stopping = true;
        break;
    default:
        break;
    }
}

struct step_result proposer_agent_step(struct proposer_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count)
{
    effects_begin(&agent->effects, lsn);
    if (agent->detector == NULL)
        agent->detector = failure_detector_new(&agent->config, now);
    for (size_t i = 0; i < count; i++)
        on_event(agent, &events[i], now);
    if (!agent->recovered)
        return effects_end(&agent->effects, UINT64_MAX, 0);
    if (agent->durable + 1 >= lsn)
        agent->durable_at = now;
    watch_leader(agent, now);
    watch_outstanding(agent, now);
    if (agent->state != PROPOSER_LEADING && now - agent->heartbeat_at >= heartbeat_interval(agent, count > 0))
        send_heartbeat(agent, now, agent->stopping || agent->unheard || disk_stalled(agent, now) ? MESSAGE_RESIGNED : 0);
    tell_leadership(agent);
    bool more = agent->state == PROPOSER_LEADING && lead_on(agent, now);
    return effects_end(&agent->effects, wake_at(agent, now, more), credit(agent));
}

struct node_status proposer_agent_status(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    return (struct node_status){
        .node = agent->config.node,
        .incarnation = agent->config.incarnation,
        .leader = agent->leader,
        .proposer_state = agent->state,
        .ballot = agent->ballot,
        .chosen = agent->state == PROPOSER_LEADING ? w.chosen : executed_anywhere(agent),
        .leader_changes = agent->leader_changes,
        .batches_waiting = outstanding_count(&agent->outstanding),
    };
}
