/* The runner: one turn of a node. It receives, steps, persists, sends and replies; it is the only part that does I/O.
 *
 * Order of a turn: first the messages leave whose records have become durable. Then everything that arrived since the last
 * turn is one batch of events for the node (or one event of it: node_config.event_driven). The records that the node appends
 * become one group. Its messages leave when the records that they depend on are durable (P2). */
#ifndef SYNOD_CORE_RUNNERS_RUNNER_H
#define SYNOD_CORE_RUNNERS_RUNNER_H

#include "core/formats/packet.h"
#include "core/runners/ports.h"

struct runner;

/* A runner with its node, about to recover. `ports` stays the caller's and outlives it. */
struct runner *runner_new(const struct node_config *config, struct ports *ports);
void runner_free(struct runner *r);

/* Does what there is to do at `now` (microseconds), without blocking. Only a node that has recovered, and handles events
 * together, goes by `news`; otherwise all ports are asked. Returns the time at which it must be called again at the
 * latest. */
uint64_t runner_turn(struct runner *r, uint64_t now, struct news news);

struct node_status runner_status(struct runner *r);

/* For tests: traps unless the counters of this node, in all its parts, agree with their contents. To be called between
 * turns. Not in a component, whose parts cannot be looked into. */
void runner_audit(const struct runner *r);

#endif
