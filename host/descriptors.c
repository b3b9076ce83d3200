#include "host/descriptors.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>

/* What is opened after the reservation, as counted in running nodes, with some to spare. */
enum {
    OF_PROCESS = 8,         /* signals, loop, cache of compiled code */
    OF_IMAGES = 13,         /* of a composed node: the initial memory of each part */
    OF_IMAGES_IN_GUEST = 5, /* and of those that do I/O */
    OF_NODE = 16,           /* loop, lock, listening sockets; journal: written, read, next, folder; snapshots: written, read,
                             * folder; a file being replaced */
    OF_GUEST_NETWORK = 10,  /* the runtime under WASI's sockets */
    OF_GRPC = 16,           /* gRPC's own */
    OF_PEER = 3,            /* its connection, ours, and one of them that is on its way out */
    OF_CLIENTS = 10,        /* beyond client_connections_max: operators, and those that are told that there are too many */
    ASSUMED_OPEN = 16,      /* where the system does not tell what is open */
};

/* What is open now. */
static uint64_t count_open(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return ASSUMED_OPEN;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += (unsigned)(entry->d_name[0] != '.');
    closedir(dir);
    return count - 1; /* that of the folder */
}

static uint64_t needed_by(const struct config *config, const struct config_node *node, bool native)
{
    bool in_guest = config_network_is_in_guest(node) || node->storage == PLACE_GUEST;
    uint64_t needed = OF_NODE + OF_PEER * (config->node_count - 1);
    if (!native)
        needed += OF_IMAGES;
    if (in_guest)
        needed += OF_IMAGES_IN_GUEST;
    if (config_network_is_in_guest(node))
        needed += OF_GUEST_NETWORK;
    if (node->network == NETWORK_GRPC)
        needed += OF_GRPC;
    return needed;
}

static uint64_t raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

bool descriptors_reserve(struct config *config, const struct config_group *group, bool native,
                         char notice[DESCRIPTORS_NOTICE_SIZE], struct problem *problem)
{
    const uint64_t limit = raise_limit();
    uint64_t needed = count_open() + OF_PROCESS, ports = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct config_node *node = config_find(config, group->nodes[i]);
        needed += needed_by(config, node, native);
        ports += (unsigned)(node->client.host[0] != '\0');
    }
    needed += ports * OF_CLIENTS;
    notice[0] = '\0';
    if (limit < needed + ports)
        return problem_set(problem, EXIT_TROUBLE,
                           "%llu files may be open (ulimit -n), and journal, other nodes and operators alone need %llu",
                           (unsigned long long)limit, (unsigned long long)needed);
    uint64_t each = ports > 0 ? (limit - needed) / ports : UINT64_MAX;
    if (each >= config->client_connections_max)
        return true;
    snprintf(notice, DESCRIPTORS_NOTICE_SIZE,
             "client_connections_max: %llu instead of %u, because only %llu files may be open (ulimit -n)",
             (unsigned long long)each, config->client_connections_max, (unsigned long long)limit);
    config->client_connections_max = (uint32_t)each;
    return true;
}
