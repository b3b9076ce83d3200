#include "host/composition.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/program.h"

void composition_folder(char *out, size_t size)
{
    const char *given = getenv("SYNOD_NODES");
    char programs[4000];
    if (given != NULL && given[0] != '\0')
        snprintf(out, size, "%s", given);
    else
        snprintf(out, size, "%s/../nodes", program_folder(programs, sizeof programs) ? programs : ".");
}

void composition_file(char *out, size_t size, const char *folder, const struct config_node *node, uint8_t leader_rule)
{
    const bool elects = node->role == ROLE_COORDINATOR || node->role == ROLE_PROPOSER;
    const bool has_rule = elects && node->granularity == GRANULARITY_PARTS; /* otherwise it knows both */
    const bool has_role = node->granularity != GRANULARITY_NODE;            /* otherwise it knows all */
    snprintf(out, size, "%s/%s%snode%s%s%s%s%s%s.wasm", folder, has_role ? role_name(node->role) : "", has_role ? "-" : "",
             config_network_is_in_guest(node) ? "-" : "",
             config_network_is_in_guest(node) ? network_name(node->network) : "",
             node->storage == PLACE_GUEST ? "-guest-storage" : "", node->serializer == PLACE_HOST ? "-host-serializer" : "",
             has_rule && leader_rule == LEADER_HIGHEST ? "-highest" : "",
             node->granularity == GRANULARITY_AGENTS ? "-agents" : "");
}
