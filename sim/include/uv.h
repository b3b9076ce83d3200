/* libuv's API in virtual time, over simulated sockets (sim/sockets.h), as far as io/ uses it: the same names,
 * arguments, results and rules as docs.libuv.org describes, so that the files that ship run in the simulated world.
 * components/wasi/include/uv.h is the same over WASI. What differs:
 *
 * - Nothing waits: uv_run knows UV_RUN_NOWAIT alone, and simuv_next says when it has something to do.
 * - A loop belongs to a host of the simulated world, and its clock is that world's (simuv_loop_init).
 * - A bind says at once that an address is in use, where libuv leaves that to uv_listen. The port is never chosen by
 *   the system.
 * - There are no file descriptors, and no names: uv_getaddrinfo takes numeric addresses alone. The last byte of an
 *   address is the number of the host.
 * - There is no UDP yet.
 *
 * Programs of the simulator have real libuv in them, too. So all names here are others to the linker. What begins with
 * simuv_ or uv__, or stands below "inside", is no part of libuv's API. */
#ifndef SYNOD_SIM_INCLUDE_UV_H
#define SYNOD_SIM_INCLUDE_UV_H

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "sim/sockets.h"

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
#define uv_ref simuv_ref
#define uv_run simuv_run
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
#define uv_unref simuv_unref
#define uv_update_time simuv_update_time
#define uv_write simuv_write
/* clang-format on */

/* ---- Errors ---- */

enum {
    UV_EADDRINUSE = -EADDRINUSE,
    UV_EADDRNOTAVAIL = -EADDRNOTAVAIL,
    UV_EAGAIN = -EAGAIN,
    UV_EALREADY = -EALREADY,
    UV_EBUSY = -EBUSY,
    UV_ECANCELED = -ECANCELED,
    UV_ECONNREFUSED = -ECONNREFUSED,
    UV_ECONNRESET = -ECONNRESET,
    UV_EINVAL = -EINVAL,
    UV_ENOBUFS = -ENOBUFS,
    UV_ENOTCONN = -ENOTCONN,
    UV_ENOTSUP = -ENOTSUP,
    UV_EPIPE = -EPIPE,
    UV_ETIMEDOUT = -ETIMEDOUT,
    UV_EAI_CANCELED = -3003,
    UV_EAI_NONAME = -3008,
    UV_EAI_SERVICE = -3010,
    UV_EOF = SOCK_END,
};

const char *uv_strerror(int error);

/* ---- Types ---- */

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_timer_s uv_timer_t;
typedef struct uv_tcp_s uv_tcp_t;
typedef struct uv_tcp_s uv_stream_t; /* there is no other stream */
typedef struct uv_req_s uv_req_t;
typedef struct uv_connect_s uv_connect_t;
typedef struct uv_write_s uv_write_t;
typedef struct uv_getaddrinfo_s uv_getaddrinfo_t;
typedef int uv_os_fd_t;
typedef pid_t uv_pid_t;

typedef struct uv_buf_t {
    char *base;
    size_t len;
} uv_buf_t;

typedef void (*uv_close_cb)(uv_handle_t *handle);
typedef void (*uv_timer_cb)(uv_timer_t *timer);
typedef void (*uv_alloc_cb)(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
typedef void (*uv_read_cb)(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);
typedef void (*uv_connection_cb)(uv_stream_t *listener, int status);
typedef void (*uv_connect_cb)(uv_connect_t *request, int status);
typedef void (*uv_write_cb)(uv_write_t *request, int status);
typedef void (*uv_getaddrinfo_cb)(uv_getaddrinfo_t *request, int status, struct addrinfo *found);

/* ---- inside: what the structs have in common ---- */

struct uv__kind {
    void (*close)(uv_handle_t *handle); /* gives back what it has; a request of its own gets UV_ECANCELED */
    bool (*active)(const uv_handle_t *handle);
    uint64_t (*ready_at)(const uv_handle_t *handle); /* the world's time; NULL: it waits for nothing but time */
    void (*ready)(uv_handle_t *handle);
};

#define UV__HANDLE_FIELDS                                                                                                   \
    void *data;                                                                                                             \
    uv_loop_t *loop;                                                                                                        \
    const struct uv__kind *kind;                                                                                            \
    uv_handle_t *next, *previous; /* of the loop's open ones, or of those that are closing */                               \
    uv_close_cb close_cb;                                                                                                   \
    bool closing, unreferenced;

struct uv_handle_s {
    UV__HANDLE_FIELDS
};

#define UV__REQUEST_FIELDS                                                                                                  \
    void *data;                                                                                                             \
    uv_req_t *next; /* of those that are done and not yet called back */                                                    \
    uv_handle_t *owner;                                                                                                     \
    void (*call_back)(uv_req_t * request);                                                                                  \
    int status;

struct uv_req_s {
    UV__REQUEST_FIELDS
};

/* ---- Loops ---- */

typedef enum { UV_RUN_NOWAIT = 2 } uv_run_mode;

struct uv_loop_s {
    struct sockets *sockets;
    uint32_t host;
    uint64_t now_ms;
    uv_handle_t *open, *closing;
    uv_timer_t *timers; /* running ones, the next to be due first */
    uv_req_t *done;     /* requests to call back about, oldest first */
    uv_req_t **done_end;
    size_t requests;     /* not yet called back about */
    uint64_t next_ready; /* of a handle, as of `changes`, unless it is stale */
    uint64_t changes;
    bool stale;
    uv_handle_t **ready;
    size_t ready_capacity;
};

/* A loop on a host (1 to 254), whose time is that of `sockets`, which outlives it. */
void simuv_loop_init(uv_loop_t *loop, struct sockets *sockets, uint32_t host);
/* When uv_run has something to do, in the world's time; UINT64_MAX: never, as things are. It is asked after each event of
 * the world, so it looks at handles only when something has happened to them. */
uint64_t simuv_next(uv_loop_t *loop);
/* The process ends: the system closes its sockets. From then on they fail; handles stay until their owners close them. */
void simuv_kill(uv_loop_t *loop);
/* Precondition: all handles are closed, and uv_run has called back about it. */
void simuv_loop_close(uv_loop_t *loop);

int uv_run(uv_loop_t *loop, uv_run_mode mode);
uint64_t uv_now(const uv_loop_t *loop);
void uv_update_time(uv_loop_t *loop);
uv_pid_t uv_os_getpid(void);

/* ---- Handles ---- */

void uv_close(uv_handle_t *handle, uv_close_cb close_cb);
int uv_is_closing(const uv_handle_t *handle);
int uv_is_active(const uv_handle_t *handle);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
int uv_fileno(const uv_handle_t *handle, uv_os_fd_t *fd);

struct uv_timer_s {
    UV__HANDLE_FIELDS
    uv_timer_cb callback;
    uint64_t due_ms, repeat_ms;
    bool running;
    uv_timer_t *later;
};

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer);
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms);
int uv_timer_stop(uv_timer_t *timer);

/* ---- TCP ---- */

enum uv_tcp_flags { UV_TCP_IPV6ONLY = 1 };

struct uv_tcp_s {
    UV__HANDLE_FIELDS
    struct sock *sock;              /* NULL: not connected, or the process has ended */
    struct sock_listener *listener; /* from the bind on */
    struct sock *accepted;          /* a listener's, until uv_accept takes it */
    uint16_t port;                  /* of a listener */
    uv_connection_cb connection_cb; /* of one that listens */
    uv_alloc_cb alloc_cb;
    uv_read_cb read_cb;
    uv_connect_t *connecting;
    uv_write_t *writes, **writes_end; /* oldest first */
    bool reading;
    bool killed; /* its process has ended: whatever is tried fails */
};

struct uv_connect_s {
    UV__REQUEST_FIELDS
    uv_stream_t *handle;
    uv_connect_cb callback;
};

/* Where a write has got to: `skip` bytes into buffers[at]. */
struct uv__cursor {
    const uv_buf_t *buffers;
    unsigned count, at;
    size_t skip;
};

struct uv_write_s {
    UV__REQUEST_FIELDS
    uv_stream_t *handle;
    uv_write_cb callback;
    uv_buf_t *buffers;
    struct uv__cursor cursor;
    uv_write_t *behind;
};

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp);
int uv_tcp_nodelay(uv_tcp_t *tcp, int enable);
int uv_tcp_keepalive(uv_tcp_t *tcp, int enable, unsigned delay_s);
int uv_tcp_bind(uv_tcp_t *tcp, const struct sockaddr *address, unsigned flags);
int uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *name, int *size);
int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *name, int *size);
int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address, uv_connect_cb callback);
int uv_listen(uv_stream_t *stream, int backlog, uv_connection_cb callback);
int uv_accept(uv_stream_t *listener, uv_stream_t *client);
int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb);
int uv_read_stop(uv_stream_t *stream);
int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t buffers[], unsigned count, uv_write_cb callback);
int uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count);

/* ---- Addresses ---- */

struct uv_getaddrinfo_s {
    UV__REQUEST_FIELDS
    struct addrinfo *addrinfo;
    uv_getaddrinfo_cb callback;
};

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback, const char *node,
                   const char *service, const struct addrinfo *hints);
void uv_freeaddrinfo(struct addrinfo *found);
int uv_cancel(uv_req_t *request);

int uv_ip4_addr(const char *text, int port, struct sockaddr_in *address);
int uv_ip6_addr(const char *text, int port, struct sockaddr_in6 *address);
int uv_ip4_name(const struct sockaddr_in *address, char *out, size_t size);
int uv_ip6_name(const struct sockaddr_in6 *address, char *out, size_t size);

static inline uv_buf_t uv_buf_init(char *base, unsigned len) { return (uv_buf_t){base, len}; }

#endif
