/* The leader detector: which node should lead. There are two rules; safety never depends on the answer (P15).
 *
 *   sticky   (default) keeps the current leader while it is alive, otherwise takes the highest id
 *   highest  always takes the highest id that is alive
 *
 * As components, each rule is a part of its own, and the composition decides. Natively the configuration decides. */
#ifndef SYNOD_CORE_PAXOS_LEADER_DETECTOR_H
#define SYNOD_CORE_PAXOS_LEADER_DETECTOR_H

#include "core/base/types.h"

/* The node that should lead, given which nodes are alive and which one leads now (0: none). 0 when none is alive. */
uint32_t leader_detector_elect(const struct node_config *config, node_set alive, uint32_t current);

/* The rules. */
uint32_t leader_detector_sticky(node_set alive, uint32_t current);
uint32_t leader_detector_highest(node_set alive, uint32_t current);

#endif
