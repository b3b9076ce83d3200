/* What a process must be able to get from the system before it runs nodes; its descriptors are in host/descriptors.h.
 * Libraries that find no thread or address space end the process, and the log does not say why. So the process tries to get
 * them before, and refuses to start, with one line, when it cannot. */
#ifndef SYNOD_HOST_LIMITS_H
#define SYNOD_HOST_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/problem.h"

/* Tries to get what `nodes` nodes take at the least, and gives it back. `native`: without Wasmtime, which takes more. */
bool limits_check(size_t nodes, bool native, struct problem *problem);

/* Whether there is address space (not memory) left for what the process may yet allocate, now that so much is reserved for
 * components. */
bool limits_have_room(struct problem *problem);

#endif
