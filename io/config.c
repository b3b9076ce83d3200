#include "io/config.h"

#include <stdio.h>
#include <stdlib.h>

const char *role_name(uint8_t role)
{
    static const char *const names[] = {"coordinator", "proposer", "acceptor", "learner"};
    return role <= ROLE_LEARNER ? names[role] : "unknown";
}

const char *network_name(uint8_t network)
{
    static const char *const names[] = {"host-tcp", "host-udp", "grpc", "guest-tcp", "guest-udp"};
    return network <= NETWORK_GUEST_UDP ? names[network] : "unknown";
}

void config_close(struct config *config)
{
    free(config->file);
    free(config->data);
    free(config->nodes);
    free(config->groups);
    free(config->crashes);
    *config = (struct config){0};
}

void config_place(const struct config *config, uint32_t id, const struct endpoint *endpoint, char *out, size_t size)
{
    if (endpoint->line != 0)
        snprintf(out, size, "%s:%u: key '%s'", config->file, endpoint->line, endpoint->key);
    else
        snprintf(out, size, "node %u", id);
}

const struct config_node *config_find(const struct config *config, uint32_t id)
{
    for (size_t i = 0; i < config->node_count; i++)
        if (config->nodes[i].id == id)
            return &config->nodes[i];
    return NULL;
}

const struct config_group *config_group_of(const struct config *config, uint32_t id)
{
    for (size_t g = 0; g < config->group_count; g++)
        for (size_t n = 0; n < config->groups[g].count; n++)
            if (config->groups[g].nodes[n] == id)
                return &config->groups[g];
    return NULL;
}
