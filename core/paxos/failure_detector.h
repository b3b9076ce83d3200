/* The failure detector: alive, suspected or dead, from when a node was last heard and the time now.
 * Eventually strong in a partially synchronous network (Chandra and Toueg, "Unreliable Failure Detectors", 1996). */
#ifndef SYNOD_CORE_PAXOS_FAILURE_DETECTOR_H
#define SYNOD_CORE_PAXOS_FAILURE_DETECTOR_H

#include "core/base/types.h"

struct failure_detector;

struct health {
    node_set alive;
    node_set suspected;
    node_set dead;
};

/* Watches all proposers. This node is always alive; the others are until they have been silent for a suspect timeout
 * counted from `now`. */
struct failure_detector *failure_detector_new(const struct node_config *config, uint64_t now);
void failure_detector_free(struct failure_detector *f);

/* Something came from `node` at `now`. Nodes not watched are ignored; time never goes back for a node. */
void failure_detector_heard(struct failure_detector *f, uint32_t node, uint64_t now);

/* Sorts the watched nodes: silent for less than suspect_timeout: alive; less than dead_timeout: suspected; else dead. */
struct health failure_detector_check(struct failure_detector *f, uint64_t now);

#endif
