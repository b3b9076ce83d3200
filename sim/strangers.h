/* Who connects to the client ports of a simulated world and does not behave: they ask for more than they read, send
 * half a request and wait, send bytes that are no request, read a byte at a time, come and go. They only read keys, so
 * no history has to know of them. */
#ifndef SYNOD_SIM_STRANGERS_H
#define SYNOD_SIM_STRANGERS_H

#include "core/base/types.h"
#include "sim/sockets.h"

struct strangers;

struct strangers *strangers_new(uint64_t seed, uint32_t count, struct sockets *sockets, node_set ports);
void strangers_free(struct strangers *s);

/* When one of them does something; UINT64_MAX: never. */
uint64_t strangers_next(const struct strangers *s);
void strangers_run(struct strangers *s);
/* They hang up, for good. */
void strangers_stop(struct strangers *s);

#endif
