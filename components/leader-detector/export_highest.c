/* `interface leader-detector` by the rule "highest" of core/paxos/leader_detector.h. */
#include "core/paxos/leader_detector.h"

#include "components/shim.h"

uint32_t exports_synod_paxos_leader_detector_elect(uint64_t alive, uint32_t current)
{
    return leader_detector_highest(alive, current);
}
