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

/* ---- Writing ---- */

static bool cursor_is_at_end(struct uv__cursor *c)
{
    while (c->at < c->count && c->skip == c->buffers[c->at].len) {
        c->at++;
        c->skip = 0;
    }
    return c->at == c->count;
}

/* Writes what the socket takes. Returns how many bytes, or an error if it took none; UV_EAGAIN: it takes none now. */
static ssize_t write_some(const uv_tcp_t *tcp, struct uv__cursor *c)
{
    size_t written = 0;
    while (!cursor_is_at_end(c)) {
        const uv_buf_t *buffer = &c->buffers[c->at];
        ssize_t taken = sock_write(tcp->sock, buffer->base + c->skip, buffer->len - c->skip);
        if (taken < 0)
            return written > 0 ? (ssize_t)written : taken;
        c->skip += (size_t)taken;
        written += (size_t)taken;
    }
    return (ssize_t)written;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count)
{
    struct uv__cursor cursor = {buffers, count, 0, 0};
    if (stream->sock == NULL)
        return stream->killed ? UV_ECONNRESET : UV_ENOTCONN;
    if (stream->writes != NULL || stream->connecting != NULL)
        return UV_EAGAIN;
    return (int)write_some(stream, &cursor);
}

static void write_call_back(uv_req_t *request)
{
    uv_write_t *write = (uv_write_t *)request;
    free(write->buffers);
    if (write->callback != NULL)
        write->callback(write, write->status);
}

/* Takes the oldest write away if it is over; returns it, or NULL. */
static uv_write_t *writes_take(uv_tcp_t *tcp, int *status)
{
    uv_write_t *write = tcp->writes;
    if (write == NULL)
        return NULL;
    const ssize_t written = tcp->killed ? UV_ECONNRESET : write_some(tcp, &write->cursor);
    if (written == UV_EAGAIN || (written >= 0 && !cursor_is_at_end(&write->cursor)))
        return NULL;
    *status = written < 0 ? (int)written : 0;
    tcp->writes = write->behind;
    if (tcp->writes == NULL)
        tcp->writes_end = &tcp->writes;
    return write;
}

static void write_ready(uv_tcp_t *tcp)
{
    int status;
    for (uv_write_t *write; !tcp->closing && (write = writes_take(tcp, &status)) != NULL;)
        simuv_request_end(tcp->loop, (uv_req_t *)write, status);
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t buffers[], unsigned count, uv_write_cb callback)
{
    int status;
    if (stream->sock == NULL)
        return UV_ENOTCONN;
    simuv_request_begin(stream->loop, (uv_req_t *)request, (uv_handle_t *)stream, write_call_back);
    request->handle = stream;
    request->callback = callback;
    request->buffers = memory_new(count, sizeof *buffers);
    memcpy(request->buffers, buffers, count * sizeof *buffers);
    request->cursor = (struct uv__cursor){request->buffers, count, 0, 0};
    request->behind = NULL;
    stream->loop->stale = true;
    *stream->writes_end = request;
    stream->writes_end = &request->behind;
    if (stream->writes == request && stream->connecting == NULL && writes_take(stream, &status) != NULL)
        simuv_request_done(stream->loop, (uv_req_t *)request, status);
    return 0;
}

static void cancel_writes(uv_tcp_t *tcp)
{
    while (tcp->writes != NULL) {
        uv_write_t *write = tcp->writes;
        tcp->writes = write->behind;
        simuv_request_done(tcp->loop, (uv_req_t *)write, UV_ECANCELED);
    }
    tcp->writes_end = &tcp->writes;
}

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

static void connect_call_back(uv_req_t *request)
{
    uv_connect_t *connect = (uv_connect_t *)request;
    connect->callback(connect, connect->status);
}

int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address, uv_connect_cb callback)
{
    uint32_t host;
    uint16_t port;
    if (tcp->connecting != NULL || tcp->sock != NULL)
        return UV_EALREADY;
    if (!simuv_address_read(address, &host, &port))
        return UV_EINVAL;
    tcp->sock = sockets_connect(tcp->loop->sockets, tcp->loop->host, host, port);
    simuv_request_begin(tcp->loop, (uv_req_t *)request, (uv_handle_t *)tcp, connect_call_back);
    request->handle = tcp;
    request->callback = callback;
    tcp->connecting = request;
    tcp->loop->stale = true;
    return 0;
}

static void connect_ready(uv_tcp_t *tcp)
{
    const int status = tcp->killed ? UV_ECONNRESET : sock_connected(tcp->sock);
    uv_connect_t *request = tcp->connecting;
    if (status == UV_EAGAIN)
        return;
    tcp->connecting = NULL;
    simuv_request_end(tcp->loop, (uv_req_t *)request, status);
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
    uint32_t host;
    (void)flags;
    if (tcp->listener != NULL || !simuv_address_read(address, &host, &tcp->port))
        return UV_EINVAL;
    if (host != tcp->loop->host)
        return UV_EADDRNOTAVAIL;
    tcp->listener = sockets_listen(tcp->loop->sockets, host, tcp->port);
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
    if (tcp->connecting != NULL)
        simuv_request_done(tcp->loop, (uv_req_t *)tcp->connecting, UV_ECANCELED);
    tcp->connecting = NULL;
    tcp->reading = false;
    cancel_writes(tcp);
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
        write_ready(tcp);
}

static const struct uv__kind tcp_kind = {tcp_close, tcp_active, tcp_ready_at, tcp_ready};

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    *tcp = (uv_tcp_t){.data = tcp->data, .writes_end = &tcp->writes};
    simuv_handle_init(loop, (uv_handle_t *)tcp, &tcp_kind);
    return 0;
}

void simuv_kill(uv_loop_t *loop)
{
    loop->stale = true;
    for (uv_handle_t *handle = loop->open; handle != NULL; handle = handle->next)
        if (handle->kind == &tcp_kind) {
            uv_tcp_t *tcp = (uv_tcp_t *)handle;
            tcp->killed = tcp->sock != NULL;
            release(tcp);
        }
}

int uv_tcp_nodelay(uv_tcp_t *tcp, int enable)
{
    (void)tcp;
    return enable ? 0 : UV_ENOTSUP;
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
        return simuv_address_write(tcp->loop->host, tcp->port, name, size);
    if (tcp->sock == NULL)
        return UV_EINVAL;
    return simuv_address_write(sock_host(tcp->sock), sock_port(tcp->sock), name, size);
}

int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *name, int *size)
{
    if (tcp->sock == NULL)
        return UV_ENOTCONN;
    return simuv_address_write(sock_peer_host(tcp->sock), sock_peer_port(tcp->sock), name, size);
}
