/* libuv's API in virtual time, over simulated sockets (sim/sockets.h, sim/datagrams.h), as far as io/ uses it
 * (io/uv/list.h), so that the files that ship run in the simulated world. What differs:
 *
 * - Nothing waits: simuv_next says when uv_run has something to do.
 * - A loop belongs to a host of the simulated world, and its clock is that world's (simuv_loop_init).
 * - The port is never chosen by the system.
 * - The last byte of an address is the number of the host. A host has an address of each family, and a name, "node-7", which
 *   is found at once. A socket is of one family.
 * - Buffers of UDP sockets have the size that the world gives them.
 *
 * Programs of the simulator have real libuv in them, too. So all names here are others to the linker. What begins with
 * simuv_ is no part of libuv's API. */
#ifndef SYNOD_SIM_INCLUDE_UV_H
#define SYNOD_SIM_INCLUDE_UV_H

#include "sim/datagrams.h"

/* clang-format off */
#define uv_accept simuv_accept
#define uv_cancel simuv_cancel
#define uv_close simuv_close
#define uv_fileno simuv_fileno
#define uv_freeaddrinfo simuv_freeaddrinfo
#define uv_getaddrinfo simuv_getaddrinfo
#define uv_ip4_addr simuv_ip4_addr
#define uv_ip4_name simuv_ip4_name
#define uv_ip6_addr simuv_ip6_addr
#define uv_ip6_name simuv_ip6_name
#define uv_is_active simuv_is_active
#define uv_is_closing simuv_is_closing
#define uv_listen simuv_listen
#define uv_now simuv_now
#define uv_os_getpid simuv_os_getpid
#define uv_read_start simuv_read_start
#define uv_read_stop simuv_read_stop
#define uv_recv_buffer_size simuv_recv_buffer_size
#define uv_ref simuv_ref
#define uv_run simuv_run
#define uv_send_buffer_size simuv_send_buffer_size
#define uv_strerror simuv_strerror
#define uv_tcp_bind simuv_tcp_bind
#define uv_tcp_connect simuv_tcp_connect
#define uv_tcp_getpeername simuv_tcp_getpeername
#define uv_tcp_getsockname simuv_tcp_getsockname
#define uv_tcp_init simuv_tcp_init
#define uv_tcp_keepalive simuv_tcp_keepalive
#define uv_tcp_nodelay simuv_tcp_nodelay
#define uv_timer_init simuv_timer_init
#define uv_timer_start simuv_timer_start
#define uv_timer_stop simuv_timer_stop
#define uv_try_write simuv_try_write
#define uv_udp_bind simuv_udp_bind
#define uv_udp_getsockname simuv_udp_getsockname
#define uv_udp_init simuv_udp_init
#define uv_udp_recv_start simuv_udp_recv_start
#define uv_udp_recv_stop simuv_udp_recv_stop
#define uv_udp_try_send simuv_udp_try_send
#define uv_unref simuv_unref
#define uv_update_time simuv_update_time
#define uv_write simuv_write
/* clang-format on */

#define UV__LOOP_FIELDS                                                                                                     \
    struct sockets *sockets;                                                                                                \
    struct datagrams *datagrams;                                                                                            \
    uint32_t host;                                                                                                          \
    uint64_t next_ready; /* of a handle, as of `changes`, unless it is stale */                                             \
    uint64_t changes;                                                                                                       \
    bool stale;                                                                                                             \
    uv_handle_t **ready;                                                                                                    \
    size_t ready_capacity;

#define UV__KIND_FIELDS                                                                                                     \
    uint64_t (*ready_at)(const uv_handle_t *handle); /* the world's time; NULL: it waits for nothing but time */            \
    void (*ready)(uv_handle_t * handle);                                                                                    \
    void (*kill)(uv_handle_t * handle); /* the process ends; NULL: the system has nothing to close */

#define UV__TCP_FIELDS                                                                                                      \
    struct sock *sock;              /* NULL: not connected, or the process has ended */                                     \
    struct sock_listener *listener; /* from the bind on */                                                                  \
    struct sock *accepted;          /* a listener's, until uv_accept takes it */                                            \
    struct datagram_end at;         /* where it listens, or what it was connected to; no host: it was accepted */           \
    bool reading;                                                                                                           \
    bool killed; /* its process has ended: whatever is tried fails */

#define UV__UDP_FIELDS struct dsock *socket; /* NULL: not bound, or the process has ended */

#define UV__LOOKUP_FIELDS

#include "io/uv/list.h"

/* A loop on a host (1 to 254), whose time is that of `sockets`, which outlives it, as `datagrams` does. NULL: no UDP. */
void simuv_loop_init(uv_loop_t *loop, struct sockets *sockets, struct datagrams *datagrams, uint32_t host);
/* When uv_run has something to do, in the world's time; UINT64_MAX: never, as things are. It is asked after each event of
 * the world, so it looks at handles only when something has happened to them. */
uint64_t simuv_next(uv_loop_t *loop);
/* The process ends: the system closes its sockets. From then on they fail; handles stay until their owners close them. */
void simuv_kill(uv_loop_t *loop);
/* Precondition: all handles are closed, and uv_run has called back about it. */
void simuv_loop_close(uv_loop_t *loop);

#endif
