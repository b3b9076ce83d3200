/* The coordinator: all roles in one node. It hands each message to the agents that it is for, and passes local ones
 * directly. */
#ifndef SYNOD_CORE_RUNNERS_COORDINATOR_H
#define SYNOD_CORE_RUNNERS_COORDINATOR_H

#include "core/base/types.h"

struct coordinator;

/* A coordinator with its three agents, before recovery. */
struct coordinator *coordinator_new(const struct node_config *config);
void coordinator_free(struct coordinator *c);

/* As node_step in runners/node.h. Each agent is stepped at most once. What they say to each other in this step is heard in
 * the next one; the result asks for that step at once. */
struct step_result coordinator_step(struct coordinator *c, uint64_t now, uint64_t lsn, const struct event *events,
                                    size_t count);

struct node_status coordinator_status(struct coordinator *c);

/* For tests: traps unless its counters agree with its contents. */
void coordinator_audit(const struct coordinator *c);

#endif
