/* libuv's API over WASI 0.2, as far as io/ uses it (io/uv/list.h), so that the same files are the host's network and that
 * of a node whose network is in the sandbox. What differs:
 *
 * - Nothing waits but uv_getaddrinfo, uv_tcp_bind, uv_listen and uv_udp_bind where WASI makes them. components/wasi/loop.h
 *   says what is to be waited for between two calls of uv_run.
 * - TCP sockets never hold small writes back, as with uv_tcp_nodelay. IPv6 sockets are always UV_TCP_IPV6ONLY.
 * - There are no names of interfaces in IPv6 addresses ("fe80::1%eth0").
 *
 * What begins with uv__ belongs to components/wasi/uv_*.c. */
#ifndef SYNOD_COMPONENTS_WASI_UV_H
#define SYNOD_COMPONENTS_WASI_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A resource of WASI, by its handle; 0 is none. */
typedef int32_t uv__resource;

/* What something waits for: one pollable of a socket, a stream or a lookup, made when first needed and kept as long as
 * that. */
struct uv__watch {
    struct uv_loop_s *loop;
    uv__resource (*subscribe)(uv__resource from);
    void (*ready)(void *owner);
    void *owner;
    uv__resource from, pollable;
    bool on;
    size_t place; /* in loop->watches, while it is on */
};

/* A socket, and its two streams once it is connected; of UDP, they are of datagrams. */
struct uv__connection {
    uv__resource socket, input, output;
};

#define UV__LOOP_FIELDS                                                                                                     \
    struct uv__watch **watches;                                                                                             \
    size_t watches_count, watches_capacity;                                                                                 \
    size_t lingering;                                                                                                       \
    uv__resource network, always; /* `always`: a pollable that is always ready */

#define UV__KIND_FIELDS

#define UV__TCP_FIELDS                                                                                                      \
    struct uv__connection connection;                                                                                       \
    struct uv__connection accepted; /* a listener's, until uv_accept takes it */                                            \
    struct uv__watch incoming;      /* of a socket that listens or is being connected */                                    \
    uv_timer_t *again;              /* of a listener: when it looks again after a failure */                                \
    struct uv__watch input, output;                                                                                         \
    bool listening;                                                                                                         \
    bool wrote; /* what was written may still be on its way to the socket */

#define UV__UDP_FIELDS                                                                                                      \
    struct uv__connection connection;                                                                                       \
    struct uv__watch input;

#define UV__LOOKUP_FIELDS                                                                                                   \
    struct uv__watch answer;                                                                                                \
    uv__resource lookup;

#include "io/uv/list.h"

int uv_loop_init(uv_loop_t *loop);
uint64_t uv_hrtime(void);

#endif
