/* The failure detector: alive, suspected or dead, by the time since a node was last heard. Eventually strong in a partially
 * synchronous network (Chandra and Toueg, "Unreliable Failure Detectors", 1996). */
#ifndef SYNOD_CORE_PAXOS_FAILURE_DETECTOR_H
#define SYNOD_CORE_PAXOS_FAILURE_DETECTOR_H

#include "core/base/types.h"

struct failure_detector;

struct health {
    node_set alive;
    node_set suspected;
    node_set dead;
};

/* Watches all proposers. This node is always alive. The others count as heard at `now`. */
struct failure_detector *failure_detector_new(const struct node_config *config, uint64_t now);
void failure_detector_free(struct failure_detector *f);

/* A message came from `node` at `now`. Nodes that are not watched are ignored; a node's time never goes back. */
void failure_detector_heard(struct failure_detector *f, uint32_t node, uint64_t now);

/* Sorts the watched nodes by their silence: alive below suspect_timeout, suspected below dead_timeout, dead from then on. */
struct health failure_detector_check(struct failure_detector *f, uint64_t now);

#endif
