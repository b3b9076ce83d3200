/* Reads of this node's own clients, where no proposer is beside this learner: the leader confirms them, and this learner
 * answers. */
#include "core/agents/follower_reads.h"
#include "core/agents/learner_agent_internal.h"

static bool is_apart(const struct learner_agent *agent) { return (duties_of(&agent->config) & DUTY_PROPOSES) == 0; }

/* This node may have stood still since its clock showed `now`: what has come in this step may have been sent later. So when
 * it came is known by the time of the next step. */
static void add_stale(struct learner_agent *agent, const struct client_batch *batch, uint64_t age, uint64_t now)
{
    struct entry entry = {.kind = ENTRY_COMMANDS, .value = batch->value};
    const struct message m = {
        .kind = MESSAGE_QUERY, .to = UINT64_MAX, .batch = {.number = batch->token}, .entries = {&entry, 1}};
    if (!queries_add(&agent->stale, agent->config.node, &m, now)) {
        follower_reads_refuse(batch->token, OUTCOME_BUSY, agent->leader_ballot.node, &agent->effects);
        return;
    }
    agent->stale.items[agent->stale.count - 1].age = age;
    if (is_apart(agent))
        read_rounds_stale(&agent->reads, age, now);
}

/* From which time on the state must have been current for those that came in earlier steps. */
static void time_stale(struct learner_agent *agent, uint64_t now)
{
    for (size_t i = 0; i < agent->stale.count; i++) {
        struct query *q = &agent->stale.items[i];
        if (q->index == UINT64_MAX && q->arrived_at < now)
            q->index = now > q->age ? now - q->age : 1;
    }
}

/* An earlier round that needs as much or more is forgotten: its slots may never be executed, because a leader that was lost
 * may have proposed in slots of which the next one knows nothing. */
void learner_agent_note_current(struct learner_agent *agent, uint64_t at, uint64_t index)
{
    struct known_current *next = &agent->next_current, *last = &agent->last_current;
    *last = (struct known_current){at, index};
    if (next->index == 0 || next->index >= index) {
        *next = *last;
        *last = (struct known_current){0};
    }
}

static void look_whether_current(struct learner_agent *agent)
{
    struct known_current *next = &agent->next_current;
    while (next->index != 0 && next->index <= agent->executed) {
        agent->current_at = next->at > agent->current_at ? next->at : agent->current_at;
        *next = agent->last_current;
        agent->last_current = (struct known_current){0};
    }
}

void learner_agent_read(struct learner_agent *agent, const struct client_batch *batch, uint64_t now)
{
    uint64_t age;
    if (batch_may_be_stale(&batch->value, &age)) {
        add_stale(agent, batch, age, now);
        return;
    }
    read_rounds_add(&agent->reads, batch->token, &batch->value, now);
}

/* The learner that is asked about what is confirmed is this one. */
static void ask_own(struct learner_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    struct read_batch *b;
    uint64_t number;
    while ((b = read_rounds_unasked(&agent->reads, now, c->retry_interval, &number)) != NULL) {
        const uint64_t index = b->index;
        const struct message m = {
            .kind = MESSAGE_QUERY, .to = index, .batch = {c->node, c->incarnation, number}, .entries = {&b->entry, 1}};
        queries_add(&agent->queries, c->node, &m, now);
    }
}

void learner_agent_read_confirmed(struct learner_agent *agent, uint32_t sender, const struct message *m)
{
    const uint64_t before = agent->reads.confirmed_at;
    follower_reads_told(&agent->reads, &agent->config, sender, m);
    if (agent->reads.confirmed_at != before)
        learner_agent_note_current(agent, agent->reads.confirmed_at, agent->reads.index);
}

void learner_agent_go_on_with_reads(struct learner_agent *agent, uint64_t now)
{
    struct read_rounds *r = &agent->reads;
    struct batch_id expired;
    const uint32_t leader = agent->leader_ballot.node;
    while (queries_expired(&agent->stale, now, &expired))
        follower_reads_refuse(expired.number, OUTCOME_BUSY, leader, &agent->effects);
    agent->stepped_at = now;
    time_stale(agent, now);
    look_whether_current(agent);
    if (r->ballot.node != leader)
        read_rounds_drop(r);
    follower_reads_give_up(r, &agent->config, leader, leader != 0, &agent->effects, now);
    if (leader != 0)
        follower_reads_ask(r, &agent->config, leader, &agent->effects, now);
    ask_own(agent, now);
}

bool learner_agent_read_answered(struct learner_agent *agent, const struct query *answered, const struct payload *replies)
{
    uint64_t token;
    if (answered->proposer != agent->config.node || !read_rounds_done(&agent->reads, answered->batch.number, &token))
        return false;
    effects_add(&agent->effects, EFFECT_REPLY)->val.reply = (struct client_reply){
        .token = token, .outcome = OUTCOME_EXECUTED, .leader = agent->leader_ballot.node, .replies = *replies};
    return true;
}

uint64_t learner_agent_reads_wake_at(const struct learner_agent *agent)
{
    uint64_t at = UINT64_MAX;
    const struct queries *stale = &agent->stale;
    if (agent->reads.count > 0 || (stale->count > 0 && agent->reads.open))
        at = read_rounds_next(&agent->reads, agent->config.retry_interval);
    if (stale->count > 0 && stale->items[0].arrived_at + stale->patience < at)
        at = stale->items[0].arrived_at + stale->patience;
    for (size_t i = 0; i < stale->count; i++)
        at = stale->items[i].index == UINT64_MAX ? 0 : at;
    return at;
}

bool learner_agent_answer_stale(struct learner_agent *agent, uint64_t *work)
{
    struct query answered;
    struct entry entry = {.slot = 0};
    enum query_state state;
    while ((state = queries_run(&agent->stale, agent->execution.machine, execution_now(&agent->execution), agent->current_at,
                                work, &answered, &entry.value)) == QUERY_ANSWERED) {
        const struct message m = {.kind = MESSAGE_QUERY_ANSWER, .entries = {&entry, 1}};
        effects_add(&agent->effects, EFFECT_REPLY)->val.reply =
            (struct client_reply){.token = answered.batch.number,
                                  .outcome = OUTCOME_EXECUTED,
                                  .leader = agent->leader_ballot.node,
                                  .replies = effects_keep(&agent->effects, &m)->entries.ptr[0].value};
    }
    return state == QUERIES_LEFT;
}

struct credit learner_agent_credit(const struct learner_agent *agent)
{
    const uint64_t most = agent->config.batches_in_flight, waiting = agent->reads.count;
    return (struct credit){.reads = waiting < most ? (uint32_t)(most - waiting) : 0};
}
