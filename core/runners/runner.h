/* The runner: one turn of a node. Receives, steps, persists, sends, replies; the only part that touches I/O.
 *
 * Order of a turn: what has become durable is released first, then everything that arrived since the last turn is one
 * batch of events for the node (or one thing of it: node_config.event_driven); its appends become one group, its messages leave
 * when the records behind them are durable (P2). */
#ifndef SYNOD_CORE_RUNNERS_RUNNER_H
#define SYNOD_CORE_RUNNERS_RUNNER_H

#include "core/formats/packet.h"
#include "core/runners/ports.h"

struct runner;

/* A runner with its node, about to recover. `ports` stays the caller's and outlives it. */
struct runner *runner_new(const struct node_config *config, struct ports *ports);
void runner_free(struct runner *r);

/* Does what there is to do at `now` (microseconds), without blocking. Returns when it must be called again at the latest. */
uint64_t runner_turn(struct runner *r, uint64_t now);

struct node_status runner_status(struct runner *r);

/* For tests: traps unless everything that this node counts, in all its parts, is what it holds: counters, bytes, windows. Between
 * turns, and not in a component, whose parts cannot be looked into. */
void runner_audit(const struct runner *r);

#endif
