/* The work of a proposer apart from elections (election.c): client batches, which `outstanding.c` keeps from arrival to
 * answer, whichever node leads by then; and while this node leads, the window of slots and what is sent again. */
#include "core/agents/proposer_agent.h"

#include "core/agents/agreed_clock.h"
#include "core/agents/answers.h"
#include "core/agents/effects.h"
#include "core/agents/election.h"
#include "core/agents/handover.h"
#include "core/agents/membership.h"
#include "core/agents/outstanding.h"
#include "core/agents/progress.h"
#include "core/agents/reads.h"
#include "core/base/kept.h"
#include "core/formats/batch.h"
#include "core/formats/operator_request.h"
#include "core/paxos/leader_detector.h"

/* At most so many times batches_in_flight batches are without an answer, however often the leader changes meanwhile. */
enum { LEADERS_AWAITED = 4 };

/* A leader's wall clock that is so far from the log's is worth a word. */
enum { WALL_CLOCKS_FAR_MS = 60000 };

/* A leader lets time pass by a no-op so often at most. */
enum { PASSES_EVERY_US = 100000 };

struct proposer_agent {
    struct node_config config;
    struct proposer *proposer;
    struct configurations configurations;
    struct progress progress;
    struct election election;
    struct handover handover;
    struct membership membership;
    struct reads reads;
    struct agreed_clock clock;
    struct moment reached;    /* by the log, as was known before the clock showed `reached_at` */
    struct ballot reached_by; /* something of this leader is executed; none: that is not known */
    uint64_t reached_at;
    uint64_t wall_clock, wall_clock_at; /* what the host's showed, and when that was, by the monotonic clock; 0: not known */
    uint64_t passed_at;                 /* when this leader last proposed a no-op to let time pass */
    int64_t wall_clock_told;            /* how far ahead of the log's it was when this was said last; 0: never, or not far */
    uint64_t limit_told;                /* to the proposer, in this leadership */
    struct ballot limit_ballot;         /* of the leadership in which that was */
    uint64_t question;                  /* for a newer configuration: its number; 0: none is open */
    uint64_t asked_at;
    uint64_t leave_at; /* a leader that is to be none looks again then for a successor */
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
    uint64_t executed_at; /* when, after that, a majority of the learners had executed all that was proposed before */
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
    invariant(config->joined != 0 || /* any two quorums meet */
              config->phase1_quorum + config->phase2_quorum > node_set_count(config->acceptors));
    agent->config = *config;
    agent->config.limits = limits_effective(&config->limits);
    agent->forwarded = memory_new(agent->config.limits.forwarded, sizeof *agent->forwarded);
    agent->proposer = proposer_new(config);
    configurations_init(&agent->configurations, config);
    progress_init(&agent->progress, &agent->configurations);
    election_init(&agent->election, &agent->config, &agent->configurations, agent->proposer, &agent->progress,
                  &agent->effects);
    membership_init(&agent->membership, &agent->config, &agent->configurations, &agent->election, &agent->effects);
    handover_init(&agent->handover, &agent->config, &agent->election, &agent->effects);
    reads_init(&agent->reads, &agent->config, &agent->election, &agent->effects);
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
    membership_close(&agent->membership);
    reads_close(&agent->reads);
    proposer_free(agent->proposer);
    outstanding_close(&agent->outstanding);
    effects_close(&agent->effects);
    free(agent);
}

static bool is_leading(const struct proposer_agent *agent) { return agent->election.state == PROPOSER_LEADING; }

/* Whether client batches are for this node: it leads, or prepares anew for a moment. */
static bool takes_batches(const struct proposer_agent *agent) { return election_is_led_here(&agent->election); }

static void tell_leadership(struct proposer_agent *agent)
{
    size_t before = agent->effects.count;
    if (agent->election.state == PROPOSER_PREPARING && agent->election.leader != 0)
        return; /* it takes over: the ballot is its own, and the other one still leads */
    struct leadership now = {agent->election.leader, agent->election.ballot};
    effects_tell_leader(&agent->effects, &agent->told, now);
    agent->leader_changes += agent->effects.count != before && now.leader != 0;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

/* The learner that a batch of this proposer asks for its results: the one of its own node, otherwise one that keeps up, by
 * turns. */
static uint32_t choose_answerer(const struct proposer_agent *agent, uint64_t number)
{
    if ((duties_of(&agent->config) & DUTY_LEARNS) != 0)
        return agent->config.node;
    return progress_keeping_up(&agent->progress, agent->configurations.newest.alpha, number);
}

/* Whether no learner can tell any more what became of the batch, now that `sender` has forgotten it. A learner that has not
 * executed it yet will know. */
static bool all_have_forgotten(struct proposer_agent *agent, uint32_t sender, const struct message *m)
{
    const node_set forgotten = outstanding_forgotten(&agent->outstanding, m->batch.number, m->from, sender);
    return (configurations_learners(&agent->configurations) & ~forgotten) == 0;
}

/* A learner tells what became of a batch. */
static void on_executed(struct proposer_agent *agent, uint32_t sender, const struct message *m)
{
    bool other_life = m->batch.incarnation != agent->config.incarnation;
    if (m->batch.origin != agent->config.node || other_life)
        return;
    if ((m->flags & MESSAGE_FORGOTTEN) != 0 && !all_have_forgotten(agent, sender, m))
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
    if (outcome == OUTCOME_EXECUTED) {
        reply.slot = m->from;
        reply.replies = m->entries.ptr[0].value;
    }
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = reply;
}

static void on_forward(struct proposer_agent *agent, const struct message *m)
{
    if (!takes_batches(agent) || m->entries.len != 1 || agent->forwarded_count == agent->config.limits.forwarded ||
        agent->forwarded_bytes >= agent->config.bytes_in_flight_max)
        return;
    agent->forwarded_bytes += m->entries.ptr[0].value.len;
    agent->forwarded[agent->forwarded_count++] = message_copy(m);
}

/* --- configurations ----------------------------------------------------------------------------------------------- */

/* A node that learns, too, hears of them from its learner, and tells its host through it. */
static bool is_alone(const struct proposer_agent *agent) { return (duties_of(&agent->config) & DUTY_LEARNS) == 0; }

/* What is known has changed, or the newest one is settled. */
static void configured(struct proposer_agent *agent, node_set forgotten, uint64_t now)
{
    progress_configure(&agent->progress, &agent->configurations, forgotten);
    election_configured(&agent->election, now);
}

static void on_configuration(struct proposer_agent *agent, const struct configured *said, uint64_t now)
{
    const struct configuration *newest = &agent->configurations.newest;
    const node_set forgotten = configurations_forgotten(&agent->configurations, &said->configuration);
    if (said->configuration.slot != 0 && !configurations_given(&agent->configurations, said))
        return;
    agent->election.replaced = agent->election.replaced || is_replaced_by(&agent->config, &said->text);
    membership_known(&agent->membership, said);
    election_known(&agent->election, newest->slot + 1);
    configured(agent, forgotten, now);
}

/* A learner says what this node has asked for, or wants to know the newest one. */
static void on_configuration_message(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    struct configured said;
    if (is_alone(agent) && m->entries.len == 0)
        membership_tell_node(&agent->membership, sender, m);
    if (!configurations_answered(&agent->configurations, &agent->question, m, &said))
        return;
    on_configuration(agent, &said, now);
    effects_configuration(&agent->effects, &said);
}

/* A learner has executed a newer configuration. The learner of this node will tell it, unless it is far behind. */
static bool lacks_configuration(const struct proposer_agent *agent, const struct message *m)
{
    return is_alone(agent) || m->to >= agent->progress.executed[agent->config.node] + agent->configurations.newest.alpha;
}

/* A learner that has executed no configuration beyond those that are known here says up to where there is no other one. The
 * word of this node's own is enough, otherwise a majority must say so. */
static void on_progress(struct proposer_agent *agent, uint32_t sender, const struct message *m, uint64_t now)
{
    const uint64_t newest = agent->configurations.newest.slot;
    struct stamp reached, due = {.moment.elapsed = UINT64_MAX};
    progress_heard(&agent->progress, sender, m->to, m->floor);
    if (m->entries.len == 2)
        (void)stamp_read(&m->entries.ptr[1], &due);
    if (m->entries.len >= 1 && stamp_read(&m->entries.ptr[0], &reached))
        progress_moment(&agent->progress, sender, reached, due.moment.elapsed);
    membership_heard(&agent->membership, sender, (uint64_t)m->batch.incarnation << 10, now);
    if (m->chosen <= newest) {
        progress_vouched(&agent->progress, sender);
        election_known(&agent->election, sender == agent->config.node ? m->to : progress_known(&agent->progress));
    } else if (lacks_configuration(agent, m) &&
               (agent->asked_at == 0 || now - agent->asked_at >= agent->config.retry_interval)) {
        agent->question = agent->question != 0 ? agent->question : now;
        agent->asked_at = now;
        const struct message ask = configurations_question(newest, agent->question);
        effects_send(&agent->effects, node_set_of(sender), &ask);
    }
}

/* When a majority of the learners holds all before it, the newest configuration is the only one. */
static void settle(struct proposer_agent *agent, uint64_t now)
{
    struct configurations *c = &agent->configurations;
    if (!configurations_pending(c) || progress_held(&agent->progress, configuration_counted(&c->newest)) < c->newest.governs)
        return;
    configurations_settle(c);
    configured(agent, 0, now);
    const struct configured settled = {.configuration = c->newest, .settled = true};
    if (is_alone(agent))
        effects_configuration(&agent->effects, &settled);
}

/* Tells the proposer the limit when the one told last is in its way. */
static void tell_limit(struct proposer_agent *agent, uint64_t next)
{
    if (ballot_compare(agent->limit_ballot, agent->election.ballot) != 0)
        agent->limit_told = 0;
    if (next < agent->limit_told || election_limit(&agent->election) <= agent->limit_told)
        return;
    agent->limit_ballot = agent->election.ballot;
    agent->limit_told = election_limit(&agent->election);
    proposer_limit(agent->proposer, agent->limit_told);
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
        on_progress(agent, sender, m, now);
        break;
    case MESSAGE_CONFIGURATION:
        on_configuration_message(agent, sender, m, now);
        break;
    case MESSAGE_EXECUTED:
        on_executed(agent, sender, m);
        break;
    case MESSAGE_FORWARD:
        on_forward(agent, m);
        break;
    case MESSAGE_HANDOVER:
        handover_message(&agent->handover, sender, m);
        break;
    case MESSAGE_READ_CONFIRMED:
    case MESSAGE_READ_INDEX:
    case MESSAGE_QUERY_ANSWER:
        reads_message(&agent->reads, sender, m);
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

/* Whether clients' batches may go to another node that leads. Others listen only to proposers; one that is joining is none
 * yet. */
static bool forwards(const struct proposer_agent *agent)
{
    return agent->config.forward && agent->election.leader != 0 &&
           node_set_has(configurations_proposers(&agent->configurations), agent->config.node);
}

static void on_commands(struct proposer_agent *agent, const struct client_batch *batch, uint64_t now)
{
    struct batch_header header;
    uint64_t number = outstanding_next(&agent->outstanding);
    struct batch_id id = {agent->config.node, agent->config.incarnation, number};
    struct payload value = batch->value;
    bool leading = takes_batches(agent);
    bool may_forward = forwards(agent) && now >= agent->forward_again_at;
    if (!batch_header_read(&value, &header) || !(leading || may_forward)) {
        answer(agent, batch->token, OUTCOME_MOVED);
        return;
    }
    batch_header_stamp(&value, id, choose_answerer(agent, number));
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

/* They take no slot: this node leads, or the leader confirms them. */
static void on_reads(struct proposer_agent *agent, const struct client_batch *batch, uint64_t now)
{
    struct batch_header header;
    uint64_t age;
    const bool confirmed = takes_batches(agent) || reads_may_follow(&agent->reads);
    if (!is_alone(agent) && batch_may_be_stale(&batch->value, &age))
        reads_stale(&agent->reads, age, now); /* the learner beside it has them, too, and answers them */
    else if (confirmed && batch_header_read(&batch->value, &header))
        reads_add(&agent->reads, batch, now);
    else
        answer(agent, batch->token, OUTCOME_MOVED);
}

/* What an operator asks (decision 0039). It is sent on to the leader, as commands are. */
static void on_request(struct proposer_agent *agent, const struct client_batch *asked, uint64_t now)
{
    struct operator_request request;
    const char *wrong = operator_request_read(&asked->value, &request);
    if (wrong != NULL)
        answer_operator(&agent->effects, agent->election.leader, asked->token, REPLY_ERROR, wrong, strlen(wrong));
    else if (request.verb == OPERATOR_HELD && is_alone(agent))
        answer_held(&agent->effects, agent->election.leader, asked->token, agent->config.node, 0, &agent->progress);
    else if (request.verb == OPERATOR_HELD)
        return; /* the learner beside it answers */
    else if (request.verb == OPERATOR_CONFIGURATION)
        membership_tell(&agent->membership, asked->token);
    else if (!is_leading(agent))
        answer(agent, asked->token, OUTCOME_MOVED);
    else if (request.verb == OPERATOR_MEMBER_LIST)
        membership_tell(&agent->membership, asked->token);
    else if (request.verb == OPERATOR_LEADER_MOVE)
        handover_ask(&agent->handover, request.node, asked->token, now);
    else
        membership_ask(&agent->membership, &request, asked->token, now);
}

/* --- the leader's work -------------------------------------------------------------------------------------------- */

/* Slots that may still be given out without running further ahead than a majority of learners can follow (P16). */
static bool has_room(const struct proposer_agent *agent, const struct proposer_window *w)
{
    const uint64_t alpha = agent->election.acting.alpha;
    bool followed = w->next < progress_executed(&agent->progress) + alpha;
    return followed && w->next < w->chosen + alpha && w->next < election_limit(&agent->election) &&
           w->bytes < agent->config.bytes_in_flight_max;
}

static bool knows_time(const struct proposer_agent *agent)
{
    return agreed_clock_runs(&agent->clock, agent->election.ballot);
}

/* The leader's stamp on what it proposes now (P22). Until something of its own is executed, it does not know what time it
 * is: what earlier leaders have proposed may still count before that. */
static struct stamp stamp_at(const struct proposer_agent *agent, uint64_t now)
{
    const uint64_t since = (now - agent->wall_clock_at) / 1000;
    return (struct stamp){.moment.elapsed = knows_time(agent) ? agreed_clock_at(&agent->clock, now) : 0,
                          .moment.unix = agent->wall_clock != 0 ? agent->wall_clock + since : 0,
                          .ballot = agent->election.ballot};
}

/* Says so when this leader's wall clock is far from the log's. The log follows one that is ahead, and does not go back. */
static void compare_wall_clocks(struct proposer_agent *agent, uint64_t now)
{
    const struct moment log = agent->reached, own = stamp_at(agent, now).moment;
    if (log.unix == 0 || own.unix == 0 || !knows_time(agent))
        return;
    const int64_t ahead = (int64_t)(own.unix - log.unix - (own.elapsed - log.elapsed));
    const int64_t change = ahead - agent->wall_clock_told;
    if (ahead > -WALL_CLOCKS_FAR_MS && ahead < WALL_CLOCKS_FAR_MS)
        agent->wall_clock_told = 0;
    else if (change <= -WALL_CLOCKS_FAR_MS || change >= WALL_CLOCKS_FAR_MS)
        effects_add(&agent->effects, EFFECT_WALL_CLOCK)->val.wall_clock = agent->wall_clock_told = ahead;
}

/* Gives a value the next slot. False: the proposer has none. */
static bool propose(struct proposer_agent *agent, struct proposer_window *w, uint8_t kind, const struct payload *value)
{
    tell_limit(agent, w->next);
    const uint64_t slot = proposer_propose(agent->proposer, kind, value);
    if (slot == 0)
        return false;
    w->next = slot + 1;
    w->bytes += value->len;
    return true;
}

/* A change of the configuration comes before what clients want. */
static void propose_change(struct proposer_agent *agent, struct proposer_window *w, uint64_t now)
{
    const struct payload *text = has_room(agent, w) ? membership_next(&agent->membership, now) : NULL;
    if (text == NULL || !propose(agent, w, ENTRY_CONFIGURATION, text))
        return;
    membership_proposed(&agent->membership, w->next - 1);
    agent->prompt_until = w->next;
}

/* While another configuration is to govern, the slots before it are filled, so that its turn comes. */
static void fill(struct proposer_agent *agent, struct proposer_window *w)
{
    static const struct payload nothing; /* not even a time: they are many, and say all the same */
    const struct configuration *newest = &agent->configurations.newest;
    if (agent->election.acting.slot == newest->slot)
        return;
    while (has_room(agent, w) && propose(agent, w, ENTRY_NOOP, &nothing))
        continue;
    agent->prompt_until = newest->governs;
}

/* How long until something of the state ends by itself; 0: it is due. UINT64_MAX: never, or too late to matter. */
static uint64_t ends_in_us(const struct proposer_agent *agent, uint64_t now)
{
    const uint64_t due = progress_due(&agent->progress, agent->config.node);
    if (due == UINT64_MAX)
        return UINT64_MAX;
    const uint64_t time = agreed_clock_at(&agent->clock, now);
    if (!knows_time(agent) || due <= time)
        return 0; /* once a no-op is executed, it knows the time */
    return due - time < UINT64_MAX / 1000 / 2 ? (due - time) * 1000 : UINT64_MAX;
}

/* When no command lets time pass, and something ends by it, a no-op does. */
static void let_time_pass(struct proposer_agent *agent, struct proposer_window *w, uint64_t now)
{
    uint64_t words[STAMP_SIZE / 8];
    const struct payload stamp = stamp_pack(stamp_at(agent, now), words);
    if (w->next > w->chosen || now - agent->passed_at < PASSES_EVERY_US || ends_in_us(agent, now) > 0)
        return;
    if (has_room(agent, w) && propose(agent, w, ENTRY_NOOP, &stamp))
        agent->passed_at = now;
}

static void propose_waiting(struct proposer_agent *agent, uint64_t now)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    uint64_t number;
    struct payload *value;
    propose_change(agent, &w, now);
    while (has_room(agent, &w) && (value = outstanding_first(&agent->outstanding, &number)) != NULL) {
        payload_alone(value);
        batch_time_stamp(value, stamp_at(agent, now));
        if (!propose(agent, &w, ENTRY_COMMANDS, value))
            return;
        outstanding_proposed(&agent->outstanding, number, w.next - 1);
    }
    size_t done = 0;
    for (; done < agent->forwarded_count && has_room(agent, &w); done++) {
        struct message *m = &agent->forwarded[done];
        payload_alone(&m->entries.ptr[0].value);
        batch_time_stamp(&m->entries.ptr[0].value, stamp_at(agent, now));
        if (!propose(agent, &w, ENTRY_COMMANDS, &m->entries.ptr[0].value))
            break;
        agent->forwarded_bytes -= m->entries.ptr[0].value.len;
        agent->prompt_until = w.next;
        message_free(m);
    }
    agent->forwarded_count -= done;
    memmove(agent->forwarded, agent->forwarded + done, agent->forwarded_count * sizeof *agent->forwarded);
    fill(agent, &w);
    let_time_pass(agent, &w, now);
    if (outstanding_first(&agent->outstanding, &number) != NULL)
        agent->prompt_until = w.next; /* the window is full: it moves only when others have executed */
}

/* Who hears of values: acceptors to vote, learners to have them when they are chosen. */
static void send_accepts(struct proposer_agent *agent, const struct proposer_window *w, const struct entry_list *entries,
                         node_set to)
{
    struct message m = {.kind = MESSAGE_ACCEPT, .to = agent->election.acting.slot, .entries = *entries};
    election_fill_word(&agent->election, w, &m);
    effects_send(&agent->effects, to, &m);
}

/* Tells the nodes that wait for it that more is chosen. The others hear it with the next values or the next heartbeat. */
static void send_chosen(struct proposer_agent *agent)
{
    struct proposer_window w = proposer_window_now(agent->proposer);
    if (w.chosen == agent->election.chosen_told)
        return;
    node_set to = configurations_learners(&agent->configurations);
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
    for (node_set i = agent->election.acting.acceptors; i != 0; i &= i - 1) {
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

/* A leader that is no proposer of the newest configuration looks for one to take its place, while it still leads. */
static void leave(struct proposer_agent *agent, uint64_t now)
{
    const struct configuration *newest = &agent->configurations.newest;
    if (node_set_has(newest->proposers, agent->config.node) || handover_is_on(&agent->handover) || now < agent->leave_at)
        return;
    const node_set fit = election_fit(&agent->election, now) & newest->proposers;
    agent->leave_at = now + agent->config.suspect_timeout;
    if (fit != 0)
        handover_ask(&agent->handover, leader_detector_elect(&agent->config, fit, 0), 0, now);
}

/* What governs has changed: this leader prepares anew, unless it was just told who else is to lead. */
static void cross(struct proposer_agent *agent, uint64_t now)
{
    const struct configurations *c = &agent->configurations;
    struct election *e = &agent->election;
    if (e->state < PROPOSER_PREPARING || e->acting.slot == c->newest.slot || configurations_pending(c) ||
        !handover_may_propose(&agent->handover))
        return;
    election_cross(e, now);
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
    leave(agent, now);
    if (ballot_compare(agent->reached_by, agent->election.ballot) == 0)
        agreed_clock_go(&agent->clock, agent->reached_by, agent->reached.elapsed, now);
    compare_wall_clocks(agent, now);
    reads_lead(&agent->reads, &before, now);
    if (agent->reads.prompt_until > agent->prompt_until)
        agent->prompt_until = agent->reads.prompt_until;
    if (agent->election.own_from >
        agent->prompt_until) /* clients of any node may wait for what an earlier leader proposed */
        agent->prompt_until = agent->election.own_from;
    if (handover_may_propose(&agent->handover))
        propose_waiting(agent, now);
    election_heartbeat(&agent->election, true, now);
    send_chosen(agent);
    if (retransmit(agent, now))
        return true;
    /* This is the last call to the proposer in a step: its entries are valid until the next call. */
    struct proposer_window w = proposer_window_now(agent->proposer);
    tell_limit(agent, w.next);
    agent->in_flight = w.chosen < w.next;
    struct entry_list pending = proposer_pending(agent->proposer, agent->config.limits.accept_bytes);
    if (pending.len == 0)
        return false;
    send_accepts(agent, &w, &pending, agent->election.acting.acceptors | configurations_learners(&agent->configurations));
    uint64_t end = w.chosen + agent->election.acting.alpha;
    end = agent->limit_told < end ? agent->limit_told : end;
    return pending.ptr[pending.len - 1].slot + 1 < (w.next < end ? w.next : end);
}

/* Calls the proposer only when nothing is in flight: what it gave to be sent is valid up to its next call. A change of the
 * configuration that it has proposed, or found, may remove the successor: it waits until it knows. */
static void hand_over(struct proposer_agent *agent, uint64_t now)
{
    uint64_t number;
    const bool knows = agent->membership.state != CHANGE_PROPOSED && agent->election.known >= agent->election.own_from;
    const bool idle = is_leading(agent) && !agent->in_flight && agent->forwarded_count == 0 && knows;
    const bool drained = idle && outstanding_first(&agent->outstanding, &number) == NULL;
    if (handover_is_on(&agent->handover))
        handover_watch(&agent->handover, drained, drained ? proposer_window_now(agent->proposer).next : 0, now);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Whether this node, or the learners if it has none, have executed all that was proposed before the leader changed, and have
 * answered. A round of the new leader tells (P9). Any learner may be the one that answers: once a majority has executed,
 * the others have a heartbeat's time to do so, too, unless they are down. */
static bool has_executed_earlier(struct proposer_agent *agent, uint64_t now)
{
    const struct progress *p = &agent->progress;
    uint64_t index;
    if (!read_rounds_since(&agent->reads.rounds, agent->changed_at, &index))
        return false;
    if (!is_alone(agent))
        return p->executed[agent->config.node] >= index;
    if (progress_executed(p) < index)
        return false;
    if (agent->executed_at < agent->changed_at)
        agent->executed_at = now;
    return (p->learners & ~progress_knowing(p, index - 1)) == 0 ||
           now - agent->executed_at >= agent->config.heartbeat_interval;
}

/* Clients of a new leader do not wait for what was forwarded to the last one: those batches no longer count against the
 * credit. If the last leader proposed them, the new one proposes again what it finds, and results come within a moment. If
 * it did not, they are lost with it. But the old leader may also come back and still propose them. So the answer can only be
 * "unknown". It is given when all that the new leader found is executed, or after a while. */
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
    if (e->leader == 0 || !outstanding_has_earlier(&agent->outstanding))
        return;
    if (!has_executed_earlier(agent, now) && now - agent->changed_at < agent->config.dead_timeout / 2)
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
    if (!takes_batches(agent))
        while (outstanding_unqueue(&agent->outstanding, &overdue))
            answer(agent, overdue.token, OUTCOME_MOVED); /* it was never proposed */
    if (now < agent->overdue_at)
        return;
    agent->overdue_at = now + c->retry_interval / 4;
    outstanding_scan(&agent->outstanding);
    while (outstanding_overdue(&agent->outstanding, now, c->retry_interval, &overdue)) {
        node_set knowing = progress_knowing(&agent->progress, overdue.slot) & ~overdue.forgotten;
        if (knowing == 0)
            continue;
        node_set own = knowing & node_set_of(c->node);
        struct message m = {.kind = MESSAGE_RESULT_REQUEST, .from = overdue.slot};
        m.batch = (struct batch_id){c->node, c->incarnation, overdue.number};
        effects_send(&agent->effects, own != 0 ? own : knowing, &m); /* more than one, as one of them may be gone */
    }
}

/* When this leader has to let time pass. While something is in flight there is a step anyway when that is chosen. */
static uint64_t passes_at(const struct proposer_agent *agent, uint64_t now)
{
    if (!is_leading(agent) || agent->in_flight)
        return UINT64_MAX;
    const uint64_t in = ends_in_us(agent, now), least = agent->passed_at + PASSES_EVERY_US;
    if (in > UINT64_MAX - now)
        return UINT64_MAX;
    const uint64_t at = now + in > least ? now + in : least;
    return at > now ? at : now + PASSES_EVERY_US; /* this step could not propose anything */
}

static uint64_t wake_at(const struct proposer_agent *agent, uint64_t now, bool more)
{
    if (more)
        return now;
    const uint64_t handover = handover_wake_at(&agent->handover), election = election_wake_at(&agent->election, now);
    const uint64_t reads = reads_wake_at(&agent->reads);
    uint64_t wake = handover < election ? handover : election;
    wake = reads < wake ? reads : wake;
    const uint64_t passes = passes_at(agent, now);
    wake = passes < wake ? passes : wake;
    return is_leading(agent) && agent->in_flight && agent->retransmit_at < wake ? agent->retransmit_at : wake;
}

/* How many more client batches to take. Few while some are unanswered, so that commands gather into large batches. */
static struct credit credit(const struct proposer_agent *agent)
{
    const uint64_t waiting = outstanding_current(&agent->outstanding);
    const uint64_t all = outstanding_count(&agent->outstanding);
    const uint64_t reads = reads_count(&agent->reads);
    bool leads = takes_batches(agent) || forwards(agent) || reads_may_follow(&agent->reads);
    const bool moves = handover_is_on(&agent->handover) || election_is_held(&agent->election);
    bool takes = leads && !moves && !agent->election.stopping;
    uint64_t most = agent->config.batches_in_flight;
    const bool takes_reads = (leads || !is_alone(agent)) && !moves && !agent->election.stopping; /* they may be stale */
    const bool takes_commands = takes && waiting < most && all < most * LEADERS_AWAITED;
    return (struct credit){.commands = takes_commands ? (uint32_t)(most - waiting) : 0,
                           .reads = takes_reads && reads < most ? (uint32_t)(most - reads) : 0};
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
    case EVENT_READS:
        on_reads(agent, &event->val.reads, now);
        break;
    case EVENT_STOP:
        election_stop(&agent->election, now);
        break;
    case EVENT_REQUEST:
        on_request(agent, &event->val.request, now);
        break;
    case EVENT_CONFIGURATION:
        on_configuration(agent, &event->val.configuration, now);
        break;
    case EVENT_WALL_CLOCK:
        agent->wall_clock = event->val.wall_clock;
        agent->wall_clock_at = now;
        break;
    default:
        break;
    }
}

/* This node may have stood still since its clock showed `now`, and what it hears in this turn may have been said later.
 * Taken for the time at `now`, it would put the agreed clock ahead by that pause. So it counts from the next turn on. */
static void note_reached(struct proposer_agent *agent, uint64_t now)
{
    if (now == agent->reached_at)
        return;
    const struct ballot ballot = agent->election.ballot;
    struct moment *reached = &agent->reached;
    const bool known = progress_elapsed(&agent->progress, agent->config.node, ballot, &reached->elapsed);
    reached->unix = known ? progress_wall_clock(&agent->progress, reached->elapsed) : 0;
    agent->reached_by = known ? ballot : (struct ballot){0};
    agent->reached_at = now;
}

struct step_result proposer_agent_step(struct proposer_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count)
{
    struct election *e = &agent->election;
    effects_begin(&agent->effects, lsn);
    agent->membership.told = 0;
    note_reached(agent, now);
    election_begin(e, now);
    for (size_t i = 0; i < count; i++)
        on_event(agent, &events[i], now);
    if (!agent->recovered)
        return effects_end(&agent->effects, UINT64_MAX, (struct credit){0});
    settle(agent, now);
    cross(agent, now);
    election_watch(e, now, lsn);
    membership_watch(&agent->membership, agent->election.known, now);
    if (!takes_batches(agent))
        drop_forwarded(agent);
    if (!is_leading(agent))
        agent->in_flight = false;
    watch_change(agent, now);
    watch_outstanding(agent, now);
    reads_watch(&agent->reads, now);
    if (!is_leading(agent))
        election_heartbeat(e, count > 0, now);
    tell_leadership(agent);
    bool more = is_leading(agent) && lead_on(agent, now);
    hand_over(agent, now);
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
        .batches_waiting = outstanding_count(&agent->outstanding) + reads_count(&agent->reads),
    };
}

#ifndef __wasm__ /* as a component, what it calls is in other components */
void proposer_agent_audit(const struct proposer_agent *agent)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < agent->forwarded_count; i++)
        bytes += agent->forwarded[i].entries.ptr[0].value.len;
    invariant(agent->forwarded_count <= agent->config.limits.forwarded && agent->forwarded_bytes == bytes);
    invariant(!agent->recovered || takes_batches(agent) || agent->forwarded_count == 0);
    proposer_audit(agent->proposer);
    outstanding_audit(&agent->outstanding);
    read_rounds_audit(&agent->reads.rounds);
}
#endif
