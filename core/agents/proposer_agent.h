/* The agent around a proposer: elections, client batches, the window, retransmission, and answers to clients. */
#ifndef SYNOD_CORE_AGENTS_PROPOSER_AGENT_H
#define SYNOD_CORE_AGENTS_PROPOSER_AGENT_H

#include "core/base/types.h"

struct proposer_agent;

/* An agent with its parts, before recovery. */
struct proposer_agent *proposer_agent_new(const struct node_config *config);
void proposer_agent_free(struct proposer_agent *agent);

/* Handles `events` (borrowed) in order at time `now` (microseconds). `lsn` is the number that the next appended record
 * gets; appends are numbered from it in the order of the effects. The result is the agent's, valid until its next call. */
struct step_result proposer_agent_step(struct proposer_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count);

/* What this agent knows of the node; fields of other roles are zero. */
struct node_status proposer_agent_status(struct proposer_agent *agent);

/* For tests: traps unless its counters agree with its contents. */
void proposer_agent_audit(const struct proposer_agent *agent);

#endif
