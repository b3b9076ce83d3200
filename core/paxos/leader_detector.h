/* The leader detector: who should lead. Two rules, two implementations of this one function:
 * leader_detector_sticky.c (default) stays with the current leader while it is alive, else takes the highest id;
 * leader_detector_highest.c always takes the highest id alive. Safety never depends on the answer (rule 15). */
#ifndef SYNOD_CORE_PAXOS_LEADER_DETECTOR_H
#define SYNOD_CORE_PAXOS_LEADER_DETECTOR_H

#include "core/base/types.h"

/* The node that should lead, given who is alive and who leads now (0: nobody); 0 when nobody is alive. */
uint32_t leader_detector_elect(node_set alive, uint32_t current);

#endif
