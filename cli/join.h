/* The data folder of a node that joins a running cluster: one that was added, or whose disk was replaced. */
#ifndef SYNOD_CLI_JOIN_H
#define SYNOD_CLI_JOIN_H

#include "host/config.h"

/* Formats `path` for node `node`, which is a member of the running cluster, with an instance that the cluster took.
 * `instance`: the member's, as 32 hexadecimal digits; who gives it vouches that no other folder has it. NULL: the folder
 * makes one, and the other nodes of the configuration are asked to replace the member's by that. */
bool join_node(const struct config *config, uint32_t node, const char *path, const char *governed, const char *instance,
               struct problem *problem);

#endif
