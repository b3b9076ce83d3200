/* `interface leader-detector` by core/paxos/leader_detector.h. Two components are made of it, one for each rule. */
#include "core/paxos/leader_detector.h"

#include "components/shim.h"

uint32_t exports_synod_paxos_leader_detector_elect(uint64_t alive, uint32_t current)
{
    return leader_detector_elect(alive, current);
}
