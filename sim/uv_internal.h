/* What the files of libuv's API in virtual time share:
 *   uv_loop.c      iterations, timers, handles, requests that are done
 *   uv_tcp.c       sockets
 *   uv_address.c   addresses, errors
 *
 * Rules of the inside, the same as over WASI (components/wasi/uv_internal.h):
 * 1. Callbacks run from within uv_run only. What is done earlier is put on the loop's list of requests that are done.
 * 2. Handles are freed by their owners in close callbacks, requests in their own ones. Close callbacks run last in an
 *    iteration, so what was ready when it began is still there when its turn comes, if only to be found closed. */
#ifndef SYNOD_SIM_UV_INTERNAL_H
#define SYNOD_SIM_UV_INTERNAL_H

#include <uv.h>

#include "core/base/memory.h"

/* ---- uv_loop.c ---- */

void simuv_handle_init(uv_loop_t *loop, uv_handle_t *handle, const struct uv__kind *kind);

/* Counts a request that has begun; `owner` is the handle it is about, or NULL. */
void simuv_request_begin(uv_loop_t *loop, uv_req_t *request, uv_handle_t *owner, void (*call_back)(uv_req_t *request));
/* It is over: calls back in the next iteration. */
void simuv_request_done(uv_loop_t *loop, uv_req_t *request, int status);
/* The same, at once: from within an iteration. */
void simuv_request_end(uv_loop_t *loop, uv_req_t *request, int status);

/* ---- uv_address.c ---- */

/* The host and port of an address, which is one of the simulated world's: false otherwise. */
bool simuv_address_read(const struct sockaddr *address, uint32_t *host, uint16_t *port);
/* Fills in a name as getsockname does. */
int simuv_address_write(uint32_t host, uint16_t port, struct sockaddr *name, int *size);

#endif
