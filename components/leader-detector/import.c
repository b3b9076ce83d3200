/* core/paxos/leader_detector.h by the import of `interface leader-detector`: the component there decides the rule. */
#include "core/paxos/leader_detector.h"

#include "components/shim.h"

uint32_t leader_detector_elect(const struct node_config *config, node_set alive, uint32_t current)
{
    (void)config;
    return synod_paxos_leader_detector_elect(alive, current);
}
