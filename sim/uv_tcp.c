/* TCP over simulated sockets. */
#include "sim/uv_internal.h"

enum {
    READ_SUGGESTED = 64 * 1024,
    READS_MAX = 32,   /* of one connection in one iteration, as libuv has it */
    ACCEPTS_MAX = 64, /* in one iteration */
    PROBES_S = 10,    /* that keepalive asks in vain, one a second */
    SECOND_US = 1000000,
};

static const uint64_t never = UINT64_MAX;

_Static_assert((int)UV_EOF == (int)SOCK_END, "what a socket says at its end");

/* ---- Writing ---- */

int uvsys_may_write(const uv_tcp_t *tcp)
{
    if (tcp->sock == NULL)
        return tcp->killed ? UV_ECONNRESET : UV_ENOTCONN;
    return tcp->connecting != NULL ? UV_EAGAIN : 0;
}

ssize_t uvsys_write_some(uv_tcp_t *tcp, struct uv__cursor *c)
{
    size_t written = 0;
    if (tcp->killed)
        return UV_ECONNRESET;
    while (!uvcore_cursor_is_at_end(c)) {
        const uv_buf_t *buffer = &c->buffers[c->at];
        const ssize_t taken = sock_write(tcp->sock, buffer->base + c->skip, buffer->len - c->skip);
        if (taken < 0)
            return written > 0 || taken == UV_EAGAIN ? (ssize_t)written : taken;
        c->skip += (size_t)taken;
        written += (size_t)taken;
    }
    return (ssize_t)written;
}

void uvsys_await_room(uv_tcp_t *tcp) { tcp->loop->stale = true; }

/* ---- Reading ---- */

static void read_ready(uv_tcp_t *tcp)
{
    for (size_t i = 0; i < READS_MAX && tcp->reading && !tcp->closing; i++) {
        uv_buf_t buffer = {0};
        if (!tcp->killed && sock_readable_at(tcp->sock) > sockets_now(tcp->loop->sockets))
            return;
        tcp->alloc_cb((uv_handle_t *)tcp, READ_SUGGESTED, &buffer);
        if (buffer.base == NULL || buffer.len == 0) {
            tcp->read_cb(tcp, UV_ENOBUFS, &buffer);
            return;
        }
        const ssize_t len = tcp->killed ? UV_ECONNRESET : sock_read(tcp->sock, buffer.base, buffer.len);
        if (len < 0)
            tcp->reading = false;
        tcp->read_cb(tcp, len, &buffer);
    }
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb)
{
    if (stream->closing || alloc_cb == NULL || read_cb == NULL)
        return UV_EINVAL;
    if (stream->sock == NULL)
        return UV_ENOTCONN;
    if (stream->reading)
        return UV_EALREADY;
    stream->alloc_cb = alloc_cb;
    stream->read_cb = read_cb;
    stream->reading = true;
    stream->loop->stale = true;
    return 0;
}

int uv_read_stop(uv_stream_t *stream)
{
    stream->reading = false;
    stream->loop->stale = true;
    return 0;
}

/* ---- Connecting ---- */

int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address, uv_connect_cb callback)
{
    struct datagram_end to;
    if (tcp->connecting != NULL || tcp->sock != NULL)
        return UV_EALREADY;
    if (!simuv_address_read(address, &to) || to.host == 0)
        return UV_EINVAL;
    tcp->sock = sockets_connect(tcp->loop->sockets, tcp->loop->host, to.host, tcp_port_of(to));
    tcp->at = to;
    uvcore_connect_begin(request, tcp, callback);
    tcp->loop->stale = true;
    return 0;
}

static void connect_ready(uv_tcp_t *tcp)
{
    const int status = tcp->killed ? UV_ECONNRESET : sock_connected(tcp->sock);
    if (status != UV_EAGAIN)
        uvcore_connect_end(tcp, status);
}

/* ---- Accepting ---- */

static void accept_ready(uv_tcp_t *tcp)
{
    for (size_t i = 0; i < ACCEPTS_MAX && !tcp->closing && tcp->listener != NULL && tcp->accepted == NULL; i++) {
        tcp->accepted = sock_accept(tcp->listener);
        if (tcp->accepted == NULL)
            return;
        tcp->connection_cb(tcp, 0);
    }
}

int uv_tcp_bind(uv_tcp_t *tcp, const struct sockaddr *address, unsigned flags)
{
    (void)flags;
    if (tcp->listener != NULL || !simuv_address_read(address, &tcp->at))
        return UV_EINVAL;
    if (tcp->at.host != tcp->loop->host)
        return UV_EADDRNOTAVAIL;
    tcp->listener = sockets_listen(tcp->loop->sockets, tcp->at.host, tcp_port_of(tcp->at));
    return tcp->listener != NULL ? 0 : UV_EADDRINUSE;
}

int uv_listen(uv_stream_t *stream, int backlog, uv_connection_cb callback)
{
    (void)backlog; /* how many may wait is a wish */
    if (stream->listener == NULL)
        return UV_EINVAL;
    stream->connection_cb = callback;
    stream->loop->stale = true;
    return 0;
}

int uv_accept(uv_stream_t *listener, uv_stream_t *client)
{
    if (listener->accepted == NULL)
        return UV_EAGAIN;
    client->sock = listener->accepted;
    client->loop->stale = true;
    listener->accepted = NULL;
    return 0;
}

/* ---- Handles ---- */

static bool listens(const uv_tcp_t *tcp) { return tcp->listener != NULL && tcp->connection_cb != NULL; }

/* What the system does when the handle, or its process, is gone. */
static void release(uv_tcp_t *tcp)
{
    if (tcp->listener != NULL)
        sock_listener_close(tcp->listener);
    if (tcp->accepted != NULL)
        sock_close(tcp->accepted);
    if (tcp->sock != NULL)
        sock_close(tcp->sock);
    tcp->listener = NULL;
    tcp->accepted = tcp->sock = NULL;
}

static void tcp_close(uv_handle_t *handle)
{
    uv_tcp_t *tcp = (uv_tcp_t *)handle;
    uvcore_stream_cancel(tcp);
    tcp->reading = false;
    release(tcp);
}

static bool tcp_active(const uv_handle_t *handle)
{
    const uv_tcp_t *tcp = (const uv_tcp_t *)handle;
    return listens(tcp) || tcp->reading || tcp->connecting != NULL || tcp->writes != NULL;
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t tcp_ready_at(const uv_handle_t *handle)
{
    const uv_tcp_t *tcp = (const uv_tcp_t *)handle;
    if (listens(tcp))
        return tcp->accepted == NULL ? sock_listener_ready_at(tcp->listener) : never;
    if (tcp->killed)
        return tcp->reading || tcp->connecting != NULL || tcp->writes != NULL ? sockets_now(tcp->loop->sockets) : never;
    if (tcp->sock == NULL)
        return never;
    if (tcp->connecting != NULL)
        return sock_connected_at(tcp->sock);
    const uint64_t reads = tcp->reading ? sock_readable_at(tcp->sock) : never;
    const uint64_t writes = tcp->writes != NULL ? sock_writable_at(tcp->sock) : never;
    return sooner(reads, writes);
}

static void tcp_ready(uv_handle_t *handle)
{
    uv_tcp_t *tcp = (uv_tcp_t *)handle;
    if (listens(tcp)) {
        accept_ready(tcp);
        return;
    }
    if (tcp->connecting != NULL)
        connect_ready(tcp);
    if (!tcp->closing && tcp->connecting == NULL)
        read_ready(tcp);
    if (!tcp->closing && tcp->connecting == NULL)
        uvcore_writes_go_on(tcp);
}

static void tcp_kill(uv_handle_t *handle)
{
    uv_tcp_t *tcp = (uv_tcp_t *)handle;
    tcp->killed = tcp->sock != NULL;
    release(tcp);
}

static const struct uv__kind tcp_kind = {tcp_close, tcp_active, tcp_ready_at, tcp_ready, tcp_kill};

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    *tcp = (uv_tcp_t){.data = tcp->data, .writes_end = &tcp->writes};
    uvcore_handle_init(loop, (uv_handle_t *)tcp, &tcp_kind);
    return 0;
}

int uv_tcp_keepalive(uv_tcp_t *tcp, int enable, unsigned delay_s)
{
    if (tcp->sock == NULL)
        return UV_ENOTCONN;
    sock_keepalive(tcp->sock, enable ? (uint64_t)(delay_s + PROBES_S) * SECOND_US : 0);
    return 0;
}

int uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *name, int *size)
{
    if (tcp->listener != NULL)
        return simuv_address_write(tcp->at, name, size);
    if (tcp->sock == NULL)
        return UV_EINVAL;
    return simuv_address_write((struct datagram_end){sock_host(tcp->sock), sock_port(tcp->sock), false}, name, size);
}

int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *name, int *size)
{
    if (tcp->sock == NULL)
        return UV_ENOTCONN;
    const struct datagram_end dialer = {sock_peer_host(tcp->sock), sock_peer_port(tcp->sock), false};
    return simuv_address_write(tcp->at.host != 0 ? tcp->at : dialer, name, size);
}
