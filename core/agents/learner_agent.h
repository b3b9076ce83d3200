/* The agent around a learner and a state machine: learning, catching up, executing, and sending results to those that
 * ask. */
#ifndef SYNOD_CORE_AGENTS_LEARNER_AGENT_H
#define SYNOD_CORE_AGENTS_LEARNER_AGENT_H

#include "core/base/types.h"

struct learner_agent;

/* An agent with its parts, before recovery. */
struct learner_agent *learner_agent_new(const struct node_config *config);
void learner_agent_free(struct learner_agent *agent);

/* Handles `events` (borrowed) in order at time `now` (microseconds). `lsn` is the number that the next appended record
 * gets; appends are numbered from it in the order of the effects. The result is the agent's, valid until its next call. */
struct step_result learner_agent_step(struct learner_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                      size_t count);

/* What this agent knows of the node; fields of other roles are zero. */
struct node_status learner_agent_status(struct learner_agent *agent);

/* For tests: traps unless its counters agree with its contents. */
void learner_agent_audit(const struct learner_agent *agent);

#endif
