/* Where the compositions are: the files that compositions/compose.sh makes, a node each. */
#ifndef SYNOD_HOST_COMPOSITION_H
#define SYNOD_HOST_COMPOSITION_H

#include "io/config.h"

/* The folder of the composed nodes: $SYNOD_NODES, or ../nodes beside the folder of the running executable. */
void composition_folder(char *out, size_t size);

/* The file of the composition for a node and a leader rule in that folder, as compositions/compose.sh names it. */
void composition_file(char *out, size_t size, const char *folder, const struct config_node *node, uint8_t leader_rule);

#endif
