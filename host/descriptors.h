/* File descriptors: clients must not take those that the journal and the other nodes need. */
#ifndef SYNOD_HOST_DESCRIPTORS_H
#define SYNOD_HOST_DESCRIPTORS_H

#include <stdbool.h>

#include "io/config.h"
#include "io/problem.h"

enum { DESCRIPTORS_NOTICE_SIZE = 256 };

/* Raises the soft limit of open files to the hard one, sets aside what the nodes of `group` need in this process, and lowers
 * `client_connections_max` to what is left, if that is less; `notice` says so then, and is "" otherwise. To be called when
 * what the process itself has open is open. `native`: without Wasmtime. False (EXIT_TROUBLE): there are too few for any
 * client. */
bool descriptors_reserve(struct config *config, const struct config_group *group, bool native,
                         char notice[DESCRIPTORS_NOTICE_SIZE], struct problem *problem);

#endif
