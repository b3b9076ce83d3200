/* Reads of this node's own clients, where no proposer is beside this learner: the leader confirms them, and this learner
 * answers. */
#include "core/agents/follower_reads.h"
#include "core/agents/learner_agent_internal.h"

void learner_agent_read(struct learner_agent *agent, const struct client_batch *batch, uint64_t now)
{
    read_rounds_add(&agent->reads, batch->token, &batch->value, now);
}

/* The learner that is asked about what is confirmed is this one. */
static void ask_own(struct learner_agent *agent, uint64_t now)
{
    const struct node_config *c = &agent->config;
    struct read_batch *b;
    uint64_t number;
    while ((b = read_rounds_unasked(&agent->reads, now, c->retry_interval, &number)) != NULL) {
        const struct message m = {
            .kind = MESSAGE_QUERY, .to = b->index, .batch = {c->node, c->incarnation, number}, .entries = {&b->entry, 1}};
        queries_add(&agent->queries, c->node, &m, now);
    }
}

void learner_agent_go_on_with_reads(struct learner_agent *agent, uint64_t now)
{
    struct read_rounds *r = &agent->reads;
    const uint32_t leader = agent->leader_ballot.node;
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
    return agent->reads.count > 0 ? read_rounds_next(&agent->reads, agent->config.retry_interval) : UINT64_MAX;
}

struct credit learner_agent_credit(const struct learner_agent *agent)
{
    const uint64_t most = agent->config.batches_in_flight, waiting = agent->reads.count;
    return (struct credit){.reads = waiting < most ? (uint32_t)(most - waiting) : 0};
}
