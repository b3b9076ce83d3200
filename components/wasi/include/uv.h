/* libuv's API over WASI 0.2, as far as io/ uses it: the same names, arguments, results and rules as docs.libuv.org
 * describes, so that the same files are the host's network and that of a node whose network is in the sandbox. What differs:
 *
 * - Nothing waits but uv_getaddrinfo, uv_tcp_bind, uv_listen and uv_udp_bind where WASI makes them: uv_run knows
 *   UV_RUN_NOWAIT alone. components/wasi/loop.h says what is to be waited for between two of its calls.
 * - A bind says at once that an address is in use, where libuv leaves that to uv_listen.
 * - TCP sockets never hold small writes back, as with uv_tcp_nodelay. IPv6 sockets are always UV_TCP_IPV6ONLY.
 * - There are no file descriptors, no process id, and no names of interfaces in IPv6 addresses ("fe80::1%eth0").
 *
 * What begins with uv__ or stands below "inside" belongs to components/wasi/uv_*.c. */
#ifndef SYNOD_COMPONENTS_WASI_UV_H
#define SYNOD_COMPONENTS_WASI_UV_H

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

/* A resource of WASI, by its handle; 0 is none. */
typedef int32_t uv__resource;

/* What something waits for: one pollable of a socket, a stream or a lookup, made when first needed and kept as long as
 * that. */
struct uv__watch {
    uv_loop_t *loop;
    uv__resource (*subscribe)(uv__resource from);
    void (*ready)(void *owner);
    void *owner;
    uv__resource from, pollable;
    bool on;
    size_t place; /* in loop->watches, while it is on */
};

struct uv__kind {
    void (*close)(uv_handle_t *handle); /* gives back what it has; its own requests get UV_ECANCELED */
    bool (*active)(const uv_handle_t *handle);
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
    uv_handle_t *open;
    uv_handle_t *closing;
    uv_timer_t *timers; /* running ones, the next to be due first */
    uv_req_t *done;     /* requests to call back about, oldest first */
    uv_req_t **done_end;
    size_t requests; /* not called back yet */
    struct uv__watch **watches;
    size_t watches_count, watches_capacity;
    size_t lingering;
    uv__resource network, always; /* `always`: a pollable that is always ready */
};

int uv_loop_init(uv_loop_t *loop);
int uv_run(uv_loop_t *loop, uv_run_mode mode);
uint64_t uv_now(const uv_loop_t *loop);
void uv_update_time(uv_loop_t *loop);
uint64_t uv_hrtime(void);
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

/* A socket, and its two streams once it is connected. */
struct uv__connection {
    uv__resource socket, input, output;
};

struct uv_tcp_s {
    UV__HANDLE_FIELDS
    struct uv__connection connection;
    struct uv__connection accepted; /* a listener's, until uv_accept takes it */
    struct uv__watch incoming;      /* of a socket that listens or is being connected */
    uv_timer_t *again;              /* of a listener: when it looks again after a failure */
    struct uv__watch input, output;
    uv_connection_cb connection_cb;
    uv_alloc_cb alloc_cb;
    uv_read_cb read_cb;
    uv_connect_t *connecting;
    uv_write_t *writes, **writes_end; /* oldest first */
    bool listening;
    bool wrote; /* what was written may still be on its way to the socket */
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
    struct uv__connection connection; /* its streams are of datagrams */
    struct uv__watch input;
    uv_alloc_cb alloc_cb;
    uv_udp_recv_cb recv_cb;
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
    struct uv__watch answer;
    uv__resource lookup;
    int family, socktype;
    uint16_t port;
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
