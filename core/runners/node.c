/* A node as native code: the coordinator, or one agent, by the roles that the configuration gives this node. A node made of
 * components is composed instead (compositions/). */
#include "core/runners/node.h"
#include "core/agents/acceptor_agent.h"
#include "core/agents/configurations.h"
#include "core/agents/learner_agent.h"
#include "core/agents/proposer_agent.h"
#include "core/base/memory.h"
#include "core/runners/coordinator.h"

struct node {
    struct coordinator *coordinator;
    struct proposer_agent *proposer;
    struct acceptor_agent *acceptor;
    struct learner_agent *learner;
};

struct node *node_new(const struct node_config *config)
{
    struct node *node = memory_new(1, sizeof *node);
    const uint8_t duties = duties_of(config);
    const bool proposes = (duties & DUTY_PROPOSES) != 0, accepts = (duties & DUTY_ACCEPTS) != 0;
    if (proposes && accepts)
        node->coordinator = coordinator_new(config);
    else if (proposes)
        node->proposer = proposer_agent_new(config);
    else if (accepts)
        node->acceptor = acceptor_agent_new(config);
    else
        node->learner = learner_agent_new(config);
    return node;
}

void node_free(struct node *node)
{
    if (node->coordinator != NULL)
        coordinator_free(node->coordinator);
    if (node->proposer != NULL)
        proposer_agent_free(node->proposer);
    if (node->acceptor != NULL)
        acceptor_agent_free(node->acceptor);
    if (node->learner != NULL)
        learner_agent_free(node->learner);
    free(node);
}

struct step_result node_step(struct node *node, uint64_t now, uint64_t lsn, const struct event *events, size_t count)
{
    if (node->coordinator != NULL)
        return coordinator_step(node->coordinator, now, lsn, events, count);
    if (node->proposer != NULL)
        return proposer_agent_step(node->proposer, now, lsn, events, count);
    if (node->acceptor != NULL)
        return acceptor_agent_step(node->acceptor, now, lsn, events, count);
    return learner_agent_step(node->learner, now, lsn, events, count);
}

struct node_status node_status(struct node *node)
{
    if (node->coordinator != NULL)
        return coordinator_status(node->coordinator);
    if (node->proposer != NULL)
        return proposer_agent_status(node->proposer);
    if (node->acceptor != NULL)
        return acceptor_agent_status(node->acceptor);
    return learner_agent_status(node->learner);
}

void node_audit(const struct node *node)
{
    if (node->coordinator != NULL)
        coordinator_audit(node->coordinator);
    else if (node->proposer != NULL)
        proposer_agent_audit(node->proposer);
    else if (node->acceptor != NULL)
        acceptor_agent_audit(node->acceptor);
    else
        learner_agent_audit(node->learner);
}
