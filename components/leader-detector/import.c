/* core/paxos/leader_detector.h by the import of `interface leader-detector`. */
#include "core/paxos/leader_detector.h"

#include "components/shim.h"

uint32_t leader_detector_elect(node_set alive, uint32_t current)
{
    return synod_paxos_leader_detector_elect(alive, current);
}
