#include "io/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const char *const granularity_names[] = {"parts", "agents", "node", NULL};

/* Apart, the state, the votes of an acceptor, the values of a learner, and what the runner has on its way to the disk could
 * fill a memory each; together they have as much, as far as a component can have it. */
uint64_t config_component_bytes_max(const struct config_node *node, uint64_t memory_bytes_max)
{
    const uint64_t addressable = UINT64_C(4) << 30, together = 4 * memory_bytes_max;
    if (node->granularity == GRANULARITY_PARTS)
        return memory_bytes_max;
    return together < addressable ? together : addressable;
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

bool endpoint_read(const char *text, struct endpoint *out)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    const unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    struct endpoint place = {0};
    if (port == 0 || port > UINT16_MAX || end == NULL || *end != '\0' || colon[1] < '0' || colon[1] > '9')
        return false;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof place.host)
        return false;
    memcpy(place.host, text, len);
    place.port = (uint16_t)port;
    *out = place;
    return true;
}

void endpoint_print(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_MAX])
{
    const char *form = strchr(endpoint->host, ':') != NULL ? "[%s]:%u" : "%s:%u";
    if (endpoint->host[0] == '\0')
        snprintf(out, ENDPOINT_TEXT_MAX, "-");
    else
        snprintf(out, ENDPOINT_TEXT_MAX, form, endpoint->host, endpoint->port);
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
