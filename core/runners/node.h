/* The sans-IO face of a node: what a runner drives. Implemented by the coordinator (all roles), and by each agent alone
 * (runners/node_<role>.c forwards to it) for nodes with one role. */
#ifndef SYNOD_CORE_RUNNERS_NODE_H
#define SYNOD_CORE_RUNNERS_NODE_H

#include "core/base/types.h"

struct node;

/* A node of the configured roles, before recovery. */
struct node *node_new(const struct node_config *config);
void node_free(struct node *node);

/* Handles `events` (borrowed) in order at time `now`. `lsn` is the number that the next appended record gets; appends
 * are numbered from it in the order of the effects. The result is the node's, valid until its next call. */
struct step_result node_step(struct node *node, uint64_t now, uint64_t lsn, const struct event *events, size_t count);

struct node_status node_status(struct node *node);

/* For tests: traps unless its counters agree with its contents. */
void node_audit(const struct node *node);

#endif
