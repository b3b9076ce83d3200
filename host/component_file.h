/* What the bytes of a component say of the parts in it, without compiling them. */
#ifndef SYNOD_HOST_COMPONENT_FILE_H
#define SYNOD_HOST_COMPONENT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "io/problem.h"

/* Checks that a state machine in the composed node of `file` gets nothing from outside: the component that exports
 * synod:paxos/state-machine imports no more than the names of types. The node's own imports cannot tell that: a node
 * may import a clock for its network, and imports do not say which part they are for. False: names the import
 * (EXIT_BAD_INPUT). A file that is no component is left to Wasmtime, which refuses it. */
bool component_file_check(const char *file, struct problem *problem);

/* The same for bytes that are in memory. */
bool component_bytes_check(const char *file, const uint8_t *bytes, size_t len, struct problem *problem);

#endif
