/* The agent around an acceptor. It turns messages into calls, has records made before it answers, and sends votes to the
 * proposer and, when configured, also to the learners. */
#ifndef SYNOD_CORE_AGENTS_ACCEPTOR_AGENT_H
#define SYNOD_CORE_AGENTS_ACCEPTOR_AGENT_H

#include "core/base/types.h"

struct acceptor_agent;

/* An agent with its parts, before recovery. */
struct acceptor_agent *acceptor_agent_new(const struct node_config *config);
void acceptor_agent_free(struct acceptor_agent *agent);

/* Handles `events` (borrowed) in order at time `now` (microseconds). `lsn` is the number that the next appended record
 * gets; appends are numbered from it in the order of the effects. The result is the agent's, valid until its next call. */
struct step_result acceptor_agent_step(struct acceptor_agent *agent, uint64_t now, uint64_t lsn, const struct event *events,
                                       size_t count);

/* Whether it shares the memory of its caller, and so does not copy what that keeps (core/base/kept.h). */
bool acceptor_agent_is_near(void);

/* What this agent knows of the node; fields of other roles are zero. */
struct node_status acceptor_agent_status(struct acceptor_agent *agent);

/* For tests: traps unless its counters agree with its contents. */
void acceptor_agent_audit(const struct acceptor_agent *agent);

#endif
