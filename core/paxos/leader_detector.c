#include "core/paxos/leader_detector.h"

uint32_t leader_detector_elect(const struct node_config *config, node_set alive, uint32_t current)
{
    bool highest = config->leader_rule == LEADER_HIGHEST;
    return highest ? leader_detector_highest(alive, current) : leader_detector_sticky(alive, current);
}
