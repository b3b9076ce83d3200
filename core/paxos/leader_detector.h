/* The leader detector: who should lead. Two rules; safety never depends on the answer (P15).
 *
 *   sticky   (default) stays with the current leader while it is alive, else takes the highest id
 *   highest  always takes the highest id that is alive
 *
 * As components each rule is a part of its own, and which one a node is composed with decides. Natively the configuration does. */
#ifndef SYNOD_CORE_PAXOS_LEADER_DETECTOR_H
#define SYNOD_CORE_PAXOS_LEADER_DETECTOR_H

#include "core/base/types.h"

/* The node that should lead, given who is alive and who leads now (0: nobody); 0 when nobody is alive. */
uint32_t leader_detector_elect(const struct node_config *config, node_set alive, uint32_t current);

/* The rules. */
uint32_t leader_detector_sticky(node_set alive, uint32_t current);
uint32_t leader_detector_highest(node_set alive, uint32_t current);

#endif
