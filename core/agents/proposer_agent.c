/* The work of a proposer apart from elections (election.c): client batches, which `outstanding.c` keeps from arrival to
 * answer, whichever node leads by then; and while this node leads, the window of slots and what is sent again. */
#include "core/agents/proposer_agent.h"

#include "core/agents/effects.h"
#include "core/agents/election.h"
#include "core/agents/outstanding.h"
#include "core/agents/progress.h"
#include "core/formats/batch.h"

/* At most so many times batches_in_flight batches are without an answer, however often the leader changes meanwhile. */
enum { LEADERS_AWAITED = 4 };

struct proposer_agent {
    struct node_config config;
    struct proposer *proposer;
    struct progress progress;
    struct election election;
    bool recovered;
    struct leadership told;
    uint64_t leader_changes;

    bool in_flight;             /* at the end of the last step, some slots were */
    uint64_t retransmit_at;     /* next look at what is in flight */
    uint64_t retransmit_chosen; /* the window at that look */
    uint64_t prompt_until;      /* other nodes wait for slots below this one: tell at once when they are chosen */

    uint64_t overdue_at;  /* next look for batches to ask about */
    uint32_t followed;    /* the leader at the last look */
    struct ballot served; /* of the leader that batches are now meant for; none: no leader was known yet */
    uint64_t changed_at;  /* when it last changed */
    struct outstanding outstanding;
    struct message *forwarded; /* limits.forwarded of them at most */
    size_t forwarded_count;
    uint64_t forwarded_bytes;
    /* a batch forwarded to this leader got no answer: until then, clients are sent to it directly */
    uint64_t forward_again_at;
    struct effects effects;
};

struct proposer_agent *proposer_agent_new(const struct node_config *config)
{
    struct proposer_agent *agent = memory_new(1, sizeof *agent);
    invariant(config->phase1_quorum + config->phase2_quorum > node_set_count(config->acceptors)); /* any two of them meet */
    agent->config = *config;
    agent->config.limits = limits_effective(&config->limits);
    agent->forwarded = memory_new(agent->config.limits.forwarded, sizeof *agent->forwarded);
    agent->proposer = proposer_new(config);
    progress_init(&agent->progress, config->learners);
    election_init(&agent->election, &agent->config, agent->proposer, &agent->progress, &agent->effects);
    outstanding_init(&agent->outstanding);
    return agent;
}

static void drop_forwarded(struct proposer_agent *agent)
{
    for (size_t i = 0; i < agent->forwarded_count; i++)
        message_free(&agent->forwarded[i]);
    agent->forwarded_count = 0;
    agent->forwarded_bytes = 0;
}

void proposer_agent_free(struct proposer_agent *agent)
{
    drop_forwarded(agent);
    free(agent->forwarded);
    election_close(&agent->election);
    proposer_free(agent->proposer);
    outstanding_close(&agent->outstanding);
    effects_close(&agent->effects);
    free(agent);
}

static bool is_leading(const struct proposer_agent *agent) { return agent->election.state == PROPOSER_LEADING; }

static void tell_leadership(struct proposer_agent *agent)
{
    size_t before = agent->effects.count;
    struct leadership now = {agent->election.leader, agent->election.ballot};
    effects_tell_leader(&agent->effects, &agent->told, now);
    agent->leader_changes += agent->effects.count != before && now.leader != 0;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

/* The learner that a batch of this proposer asks for its results: the one of its own node, otherwise one that keeps up, by
 * turns. */
static uint32_t choose_answerer(const struct proposer_agent *agent, uint64_t number)
{
    if (node_set_has(agent->config.learners, agent->config.node))
        return agent->config.node;
    uint64_t close = progress_executed_anywhere(&agent->progress);
    close = close > agent->config.alpha ? close - agent->config.alpha : 1;
    node_set keeping_up = progress_knowing(&agent->progress, close - 1);
    node_set among = keeping_up != 0 ? keeping_up : agent->config.learners;
    for (uint64_t skip = number % node_set_count(among); skip > 0; skip--)
        among &= among - 1;
    return node_set_first(among);
}

/* A learner tells what became of a batch. */
static void on_executed(struct proposer_agent *agent, const struct message *m)
{
    bool other_life = m->batch.incarnation != agent->config.incarnation;
    if (m->batch.origin != agent->config.node || other_life)
        return;
    uint8_t outcome = OUTCOME_EXECUTED;
    if (m->flags & MESSAGE_FORGOTTEN)
        outcome = OUTCOME_UNKNOWN;
    else if (m->flags & MESSAGE_ANOTHER)
        outcome = OUTCOME_MOVED; /* its only slot holds another batch */
    else if (m->entries.len != 1)
        return;
    struct client_reply reply = {.outcome = outcome, .leader = agent->election.leader};
    if (!outstanding_answer(&agent->outstanding, m->batch.number, m->from, outcome, &reply.token))
        return;
    if (outcome == OUTCOME_EXECUTED)
        reply.replies = m->entries.ptr[0].value;
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = reply;
}

static void on_forward(struct proposer_agent *agent, const struct message *m)
{
    if (!is_leading(agent) || m->entries.len != 1 || agent->forwarded_count == agent->config.limits.forwarded ||
        agent->forwarded_bytes >= agent->config.bytes_in_flight_max)
        return;
    agent->forwarded_bytes += m->entries.ptr[0].value.len;
    agent->forwarded[agent->forwarded_count++] = message_copy(m);
}

static void on_message(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    if (sender > NODE_ID_MAX)
        return;
    election_message(&agent->election, sender, m, now);
    switch (m->kind) {
    case MESSAGE_ACCEPTED:
        proposer_accepted(agent->proposer, sender, m->ballot, m->from, m->to);
        break;
    case MESSAGE_PROGRESS:
        progress_heard(&agent->progress, sender, m->to, m->floor);
        break;
    case MESSAGE_EXECUTED:
        on_executed(agent, m);
        break;
    case MESSAGE_FORWARD:
        on_forward(agent, m);
        break;
    default:
        break; /* about leadership, or for another role */
    }
}

static void answer(struct proposer_agent *agent, uint64_t token, uint8_t outcome)
{
    struct client_reply reply = {.token = token, .outcome = outcome, .leader = agent->election.leader};
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = reply;
}

static void on_commands(struct proposer_agent *agent, const struct client_batch *batch, uint64_t now)
{
    struct batch_header header;
    uint64_t number = outstanding_next(&agent->outstanding);
    struct batch_id id = {agent->config.node, agent->config.incarnation, number};
    struct payload value = batch->value;
    bool leading = is_leading(agent);
    bool forwards = agent->config.forward && agent->election.leader != 0 && now >= agent->forward_again_at;
    if (!batch_header_read(&value, &header) || !(leading || forwards)) {
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
    effects_send(&agent->effects, node_set_of(agent->election.leader), effects_keep(&agent->effects, &m));
}

/* --- the leader's work -------------------------------------------------------------------------------------------- */

/* Slots that may still be given out without running further ahead than a majority of learners can follow (P16). */
static bool has_room(const struct proposer_agent *agent, const struct proposer_window *w)
{
    bool followed = w->next < progress_executed(&agent->progress) + agent->config.alpha;
    return followed && w->next < w->chosen + agent->config.alpha && w->bytes < agent->config.bytes_in_flight_max;
}

static void propose_waiting(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    uint64_t number;
    struct payload *value;
    while (has_room(agent, &w) && (value = outstanding_first(&agent->outstanding, &number)) != NULL) {
        uint64_t bytes = value->len, slot = proposer_propose(agent->proposer, ENTRY_COMMANDS, value);
        if (slot == 0)
            return;
        outstanding_proposed(&agent->outstanding, number, slot); /* this frees the value */
        w.next = slot + 1;
        w.bytes += bytes;
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
        agent->prompt_until = w.next; /* the window is full: it moves only when others have executed */
}

/* Who hears of values: acceptors to vote, learners to have them when they are chosen. */
static void send_accepts(struct proposer_agent *agent, const struct proposer_window *w, const struct entry_list *entries,
                         node_set to)
{
    struct message m = {.kind = MESSAGE_ACCEPT, .entries = *entries};
    election_fill_word(&agent->election, w, &m);
    effects_send(&agent->effects, to, &m);
}

/* Tells the nodes that wait for it that more is chosen. The others hear it with the next values or the next heartbeat. */
static void send_chosen(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    if (w.chosen == agent->election.chosen_told)
        return;
    node_set to = agent->config.learners;
    if (node_set_has(to, agent->config.node) && agent->election.chosen_told >= agent->prompt_until)
        to = node_set_of(agent->config.node);
    struct message m = {.kind = MESSAGE_CHOSEN};
    election_fill_word(&agent->election, &w, &m);
    effects_send(&agent->effects, to, &m);
    agent->election.chosen_told = w.chosen;
}

/* Sends unanswered entries again when nothing was chosen for a whole interval. True when it did. */
static bool retransmit(struct proposer_agent *agent, uint64_t now)
{
    if (now < agent->retransmit_at)
        return false;
    struct proposer_window w = proposer_window_now(agent->proposer);
    bool stuck = w.chosen == agent->retransmit_chosen && w.chosen < w.next;
    agent->retransmit_at = now + agent->config.retry_interval;
    agent->retransmit_chosen = w.chosen;
    if (!stuck)
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

/* True when there is more to send than one message holds. */
static bool lead_on(struct proposer_agent *agent, uint64_t now)
{
    const struct proposer_window before = proposer_window_now(agent->proposer);
    const uint64_t floor = progress_settled(&agent->progress);
    if (floor > before.chosen && floor <= before.next) /* a slot that was never proposed is held nowhere */
        proposer_settle(agent->proposer, floor);
    if (!agent->in_flight)
        agent->retransmit_at = now + agent->config.retry_interval;
    propose_waiting(agent);
    election_heartbeat(&agent->election, true, now);
    send_chosen(agent);
    if (retransmit(agent, now))
        return true;
    /* This is the last call to the proposer in a step: its entries are valid until the next call. */
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

/* Clients of a new leader do not wait for what was forwarded to the last one: those batches no longer count against the
 * credit. If the last leader proposed them, the new one proposes again what it finds, and results come within a moment. If
 * it did not, they are lost with it. But the old leader may also come back and still propose them. So the answer can only be
 * "unknown". */
static void watch_change(struct proposer_agent *agent, uint64_t now)
{
    const struct election *e = &agent->election;
    struct outstanding_overdue orphan;
    const bool is_news = e->leader != agent->followed;
    agent->followed = e->leader;
    if (is_news && e->leader != 0 && ballot_compare(e->ballot, agent->served) != 0) {
        agent->served = e->ballot;
        agent->changed_at = now;
        agent->forward_again_at = 0;
        outstanding_changed(&agent->outstanding);
    }
    if (e->leader == 0 || now - agent->changed_at < agent->config.dead_timeout / 2)
        return;
    while (outstanding_orphaned(&agent->outstanding, &orphan))
        answer(agent, orphan.token, OUTCOME_UNKNOWN);
}

/* Looks after batches that have waited too long. It asks a learner that must know about a proposed one, or gives up: "busy"
 * for a batch that is still queued, otherwise "unknown". If forwarded batches do not reach a leader that is heard, clients
 * may still reach it themselves. */
static void watch_outstanding(struct proposer_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    struct outstanding_overdue overdue;
    while (outstanding_expired(&agent->outstanding, now, c->request_timeout, &overdue)) {
        answer(agent, overdue.token, overdue.queued ? OUTCOME_BUSY : OUTCOME_UNKNOWN);
        if (!overdue.queued && !is_leading(agent))
            agent->forward_again_at = now + c->request_timeout;
    }
    if (!is_leading(agent))
        while (outstanding_unqueue(&agent->outstanding, &overdue))
            answer(agent, overdue.token, OUTCOME_MOVED); /* it was never proposed */
    if (now < agent->overdue_at)
        return;
    agent->overdue_at = now + c->retry_interval / 4;
    outstanding_scan(&agent->outstanding);
    while (outstanding_overdue(&agent->outstanding, now, c->retry_interval, &overdue)) {
        node_set knowing = progress_knowing(&agent->progress, overdue.slot);
        if (knowing == 0)
            continue;
        node_set own = knowing & node_set_of(c->node);
        struct message m = {.kind = MESSAGE_RESULT_REQUEST, .from = overdue.slot};
        m.batch = (struct batch_id){c->node, c->incarnation, overdue.number};
        effects_send(&agent->effects, own != 0 ? own : knowing, &m); /* more than one, as one of them may be gone */
    }
}

static uint64_t wake_at(const struct proposer_agent *agent, uint64_t now, bool more)
{
    if (more)
        return now;
    uint64_t wake = election_wake_at(&agent->election, now);
    return is_leading(agent) && agent->in_flight && agent->retransmit_at < wake ? agent->retransmit_at : wake;
}

/* How many more client batches to take. Few while some are unanswered, so that commands gather into large batches. */
static uint32_t credit(const struct proposer_agent *agent)
{
    uint64_t waiting = outstanding_current(&agent->outstanding), all = outstanding_count(&agent->outstanding);
    bool leads = is_leading(agent) || (agent->config.forward && agent->election.leader != 0);
    bool takes = leads && !agent->election.stopping;
    uint64_t most = agent->config.batches_in_flight;
    return takes && waiting < most && all < most * LEADERS_AWAITED ? (uint32_t)(most - waiting) : 0;
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
        election_durable(&agent->election, event->val.durable, now);
        break;
    case EVENT_RECOVERED:
        agent->recovered = true;
        break;
    case EVENT_STOP:
        election_stop(&agent->election, now);
        break;
    default:
        break;
    }
}

struct step_result proposer_agent_step(struct proposer_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count)
{
    struct election *e = &agent->election;
    effects_begin(&agent->effects, lsn);
    election_begin(e, now);
    for (size_t i = 0; i < count; i++)
        on_event(agent, &events[i], now);
    if (!agent->recovered)
        return effects_end(&agent->effects, UINT64_MAX, 0);
    election_watch(e, now, lsn);
    if (!is_leading(agent)) {
        drop_forwarded(agent);
        agent->in_flight = false;
    }
    watch_change(agent, now);
    watch_outstanding(agent, now);
    if (!is_leading(agent))
        election_heartbeat(e, count > 0, now);
    tell_leadership(agent);
    bool more = is_leading(agent) && lead_on(agent, now);
    return effects_end(&agent->effects, wake_at(agent, now, more), credit(agent));
}

struct node_status proposer_agent_status(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    return (struct node_status){
        .node = agent->config.node,
        .incarnation = agent->config.incarnation,
        .leader = agent->election.leader,
        .proposer_state = agent->election.state,
        .ballot = agent->election.ballot,
        .chosen = is_leading(agent) ? w.chosen : progress_executed_anywhere(&agent->progress),
        .leader_changes = agent->leader_changes,
        .batches_waiting = outstanding_count(&agent->outstanding),
    };
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void proposer_agent_audit(const struct proposer_agent *agent)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < agent->forwarded_count; i++)
        bytes += agent->forwarded[i].entries.ptr[0].value.len;
    invariant(agent->forwarded_count <= agent->config.limits.forwarded && agent->forwarded_bytes == bytes);
    invariant(!agent->recovered || is_leading(agent) || agent->forwarded_count == 0);
    proposer_audit(agent->proposer);
    outstanding_audit(&agent->outstanding);
}
#endif
