/* The configuration file: YAML, one for a whole cluster. docs/configuration.md lists every key. */
#ifndef SYNOD_HOST_CONFIG_H
#define SYNOD_HOST_CONFIG_H

#include "io/config.h"

/* Reads, checks and completes a configuration. False: `problem` has one line naming file, line and key. */
bool config_load(struct config *config, const char *file, struct problem *problem);

/* Every key with type, default, range and meaning, as the Markdown tables of docs/configuration.md and, the last one, of
 * docs/reference-rows.md. The caller frees it; NULL: out of memory. */
char *config_describe(void);

#endif
