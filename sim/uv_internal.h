/* What the files of libuv's API in virtual time share, beside what they have in common with those over WASI (io/uv/core.h):
 *   uv_loop.c      time, and which handles are ready
 *   uv_tcp.c       connections
 *   uv_udp.c       datagrams
 *   uv_address.c   addresses and names */
#ifndef SYNOD_SIM_UV_INTERNAL_H
#define SYNOD_SIM_UV_INTERNAL_H

#include <uv.h>

#include "core/base/memory.h"
#include "io/uv/core.h"

/* ---- uv_address.c ---- */

/* What an address of the simulated world means; host 0: any of this host's. False: it is none of that world. */
bool simuv_address_read(const struct sockaddr *address, struct datagram_end *end);
/* Fills in a name as getsockname does. */
int simuv_address_write(struct datagram_end end, struct sockaddr *name, int *size);

#endif
