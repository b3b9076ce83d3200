#include "core/paxos/leader_detector.h"

uint32_t leader_detector_elect(node_set alive, uint32_t current)
{
    if (alive == 0)
        return 0;
    if (current != 0 && node_set_has(alive, current))
        return current;
    return 63u - (uint32_t)__builtin_clzll(alive);
}
