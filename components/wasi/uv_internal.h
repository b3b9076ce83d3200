/* What the files of libuv's API over WASI share, beside what they have in common with the simulator's (io/uv/core.h):
 *   uv_loop.c     what is waited for
 *   uv_tcp.c      sockets and streams
 *   uv_udp.c      datagrams
 *   uv_lookup.c   names
 *   uv_address.c  addresses and errors, between C and WASI
 *
 * Rules of the inside, beside those of io/uv/core.h:
 * 1. Resources are dropped children first: pollables, then streams, then the socket. A pollable that uv_run polls is its
 *    watch's own; those that others wait for are made for them each time (components/wasi/loop.h).
 * 2. Lists that WASI returns land in an arena (components/shim.h), which the next such call empties. */
#ifndef SYNOD_COMPONENTS_WASI_UV_INTERNAL_H
#define SYNOD_COMPONENTS_WASI_UV_INTERNAL_H

#include <uv.h>

#include "core/base/memory.h"
#include "io/uv/core.h"
#include "world.h"

/* ---- uv_loop.c ---- */

/* Prepares a watch of `from`, which must stay until uv__watch_close. `ready(owner)` is called when `from` gets ready while
 * the watch is on. */
void uv__watch_init(struct uv__watch *w, uv_loop_t *loop, uv__resource from, uv__resource (*subscribe)(uv__resource from),
                    void (*ready)(void *owner), void *owner);
void uv__watch_start(struct uv__watch *w);
void uv__watch_stop(struct uv__watch *w);
/* Stops it and drops its pollable; to be called before what it watches is dropped. */
void uv__watch_close(struct uv__watch *w);

wasi_sockets_network_borrow_network_t uv__network(uv_loop_t *loop);
/* Waits until what `pollable` was made of is ready, and drops the pollable. */
void uv__block(uv__resource pollable);

/* ---- uv_address.c ---- */

int uv__error(wasi_sockets_network_error_code_t code);
/* False: another address family than these two. */
bool uv__address_to(const struct sockaddr *from, wasi_sockets_network_ip_socket_address_t *to);
/* These return the size of the address. */
int uv__address_from(const wasi_sockets_network_ip_socket_address_t *from, struct sockaddr_storage *to);
int uv__host_from(const wasi_sockets_network_ip_address_t *from, uint16_t port, struct sockaddr_storage *to);
/* Fills in a name as getsockname does. */
int uv__name_from(const wasi_sockets_network_ip_socket_address_t *from, struct sockaddr *name, int *size);

#endif
