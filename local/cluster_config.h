/* The folder, the ports and the configuration file of a local cluster; internal to local/cluster.c. */
#ifndef SYNOD_LOCAL_CLUSTER_CONFIG_H
#define SYNOD_LOCAL_CLUSTER_CONFIG_H

#include "local/cluster.h"

enum { PORTS_MAX = 2 * (NODE_ID_MAX + 1) };

/* Makes a fresh folder in $TMPDIR, /var/tmp or /tmp. */
bool folder_make(char *path, size_t size, struct problem *problem);
/* Removes a folder with all that is in it. */
void folder_remove(const char *path);
/* True when it is on a file system in memory. */
bool folder_in_memory(const char *path);

/* Finds `count` different ports that are free. */
bool ports_find(uint16_t *ports, size_t count, struct problem *problem);

/* The number of nodes that the plan makes. */
uint32_t plan_node_count(const struct cluster_plan *plan);

/* Writes the configuration file of a plan. */
bool config_write(const char *path, const struct cluster_plan *plan, struct problem *problem);

#endif
