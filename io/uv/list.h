/* What io/ uses of libuv's API: the names, arguments, results and rules that docs.libuv.org describes. Synod has two
 * implementations of it: over WASI 0.2 (components/wasi/) and in virtual time (sim/). Files of io/ include <uv.h>, which is
 * libuv's own in the host, and in the other two a header that includes this one; that header says what differs there.
 *
 * What both have alike is beside this file: iterations, timers, handles, requests, writes that wait, lookups, texts. What
 * each keeps for itself in a struct comes from its <uv.h>, in macros: UV__LOOP_FIELDS, UV__KIND_FIELDS, UV__TCP_FIELDS,
 * UV__UDP_FIELDS, UV__LOOKUP_FIELDS.
 *
 * What differs in both from libuv:
 * - uv_run knows UV_RUN_NOWAIT alone.
 * - A bind says at once that an address is in use, where libuv leaves that to uv_listen.
 * - There are no file descriptors and no process id.
 *
 * What begins with uv__ or stands below "inside" is no part of the API. */
#ifndef SYNOD_IO_UV_LIST_H
#define SYNOD_IO_UV_LIST_H

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

/* ---- Errors ---- */

enum {
    UV_EACCES = -EACCES,
    UV_EADDRINUSE = -EADDRINUSE,
    UV_EADDRNOTAVAIL = -EADDRNOTAVAIL,
    UV_EAFNOSUPPORT = -EAFNOSUPPORT,
    UV_EAGAIN = -EAGAIN,
    UV_EALREADY = -EALREADY,
    UV_EBUSY = -EBUSY,
    UV_ECANCELED = -ECANCELED,
    UV_ECONNABORTED = -ECONNABORTED,
    UV_ECONNREFUSED = -ECONNREFUSED,
    UV_ECONNRESET = -ECONNRESET,
    UV_EHOSTUNREACH = -EHOSTUNREACH,
    UV_EINVAL = -EINVAL,
    UV_EISCONN = -EISCONN,
    UV_EMFILE = -EMFILE,
    UV_EMSGSIZE = -EMSGSIZE,
    UV_ENOBUFS = -ENOBUFS,
    UV_ENOMEM = -ENOMEM,
    UV_ENOTCONN = -ENOTCONN,
    UV_ENOTSUP = -ENOTSUP,
    UV_EPIPE = -EPIPE,
    UV_ETIMEDOUT = -ETIMEDOUT,
    UV_EAI_AGAIN = -3001,
    UV_EAI_CANCELED = -3003,
    UV_EAI_FAIL = -3004,
    UV_EAI_NONAME = -3008,
    UV_EAI_SERVICE = -3010,
    UV_UNKNOWN = -4094,
    UV_EOF = -4095,
};

const char *uv_strerror(int error);

/* ---- Types ---- */

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_timer_s uv_timer_t;
typedef struct uv_tcp_s uv_tcp_t;
typedef struct uv_tcp_s uv_stream_t; /* there is no other stream */
typedef struct uv_udp_s uv_udp_t;
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
typedef void (*uv_udp_recv_cb)(uv_udp_t *socket, ssize_t len, const uv_buf_t *buffer, const struct sockaddr *from,
                               unsigned flags);
typedef void (*uv_getaddrinfo_cb)(uv_getaddrinfo_t *request, int status, struct addrinfo *found);

/* ---- inside: what the structs have in common ---- */

struct uv__kind {
    void (*close)(uv_handle_t *handle); /* gives back what it has; its own requests get UV_ECANCELED */
    bool (*active)(const uv_handle_t *handle);
    UV__KIND_FIELDS
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
    uv_req_t *next; /* of those that are done and not called back yet */                                                    \
    uv_handle_t *owner;                                                                                                     \
    void (*call_back)(uv_req_t * request);                                                                                  \
    int status;

struct uv_req_s {
    UV__REQUEST_FIELDS
};

/* ---- Loops ---- */

typedef enum { UV_RUN_NOWAIT = 2 } uv_run_mode;

struct uv_loop_s {
    uint64_t now_ms;
    uv_handle_t *open, *closing;
    uv_timer_t *timers; /* running ones, the next to be due first */
    uv_req_t *done;     /* requests to call back about, oldest first */
    uv_req_t **done_end;
    size_t requests; /* not called back yet */
    UV__LOOP_FIELDS
};

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
    uv_connection_cb connection_cb; /* of one that listens */
    uv_alloc_cb alloc_cb;
    uv_read_cb read_cb;
    uv_connect_t *connecting;
    uv_write_t *writes, **writes_end; /* oldest first */
    UV__TCP_FIELDS
};

struct uv_connect_s {
    UV__REQUEST_FIELDS
    uv_stream_t *handle;
    uv_connect_cb callback;
};

/* How far a write is: `skip` bytes into buffers[at]. */
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

/* ---- UDP ---- */

enum uv_udp_flags { UV_UDP_IPV6ONLY = 1, UV_UDP_PARTIAL = 2 };

struct uv_udp_s {
    UV__HANDLE_FIELDS
    uv_alloc_cb alloc_cb;
    uv_udp_recv_cb recv_cb;
    UV__UDP_FIELDS
};

int uv_udp_init(uv_loop_t *loop, uv_udp_t *udp);
int uv_udp_bind(uv_udp_t *udp, const struct sockaddr *address, unsigned flags);
int uv_udp_getsockname(const uv_udp_t *udp, struct sockaddr *name, int *size);
int uv_udp_recv_start(uv_udp_t *udp, uv_alloc_cb alloc_cb, uv_udp_recv_cb recv_cb);
int uv_udp_recv_stop(uv_udp_t *udp);
int uv_recv_buffer_size(uv_handle_t *handle, int *size); /* of UDP sockets, both */
int uv_send_buffer_size(uv_handle_t *handle, int *size);
int uv_udp_try_send(uv_udp_t *udp, const uv_buf_t buffers[], unsigned count, const struct sockaddr *address);

/* ---- Names and addresses ---- */

struct uv_getaddrinfo_s {
    UV__REQUEST_FIELDS
    uv_loop_t *loop;
    struct addrinfo *addrinfo;
    uv_getaddrinfo_cb callback;
    struct addrinfo **end;
    int family, socktype;
    uint16_t port;
    UV__LOOKUP_FIELDS
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
