#include "core/paxos/leader_detector.h"

uint32_t leader_detector_elect(node_set alive, uint32_t current)
{
    (void)current;
    return alive == 0 ? 0 : 63u - (uint32_t)__builtin_clzll(alive);
}
