#include "core/paxos/leader_detector.h"

uint32_t leader_detector_highest(node_set alive, uint32_t current)
{
    (void)current;
    return alive == 0 ? 0 : NODE_ID_MAX - (uint32_t)__builtin_clzll(alive);
}

uint32_t leader_detector_sticky(node_set alive, uint32_t current)
{
    return current != 0 && node_set_has(alive, current) ? current : leader_detector_highest(alive, current);
}
