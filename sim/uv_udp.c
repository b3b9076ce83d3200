/* UDP over simulated sockets. */
#include "sim/uv_internal.h"

enum {
    DATAGRAM_SUGGESTED = 64 * 1024,
    RECEIVES_MAX = 32, /* in one iteration, as libuv has it */
};

static const uint64_t never = UINT64_MAX;

/* ---- Handles ---- */

/* What the system does when the handle, or its process, is gone. */
static void release(uv_udp_t *udp)
{
    if (udp->socket != NULL)
        dsock_close(udp->socket);
    udp->socket = NULL;
}

static void udp_close(uv_handle_t *handle)
{
    uv_udp_recv_stop((uv_udp_t *)handle);
    release((uv_udp_t *)handle);
}

static bool udp_active(const uv_handle_t *handle) { return ((const uv_udp_t *)handle)->recv_cb != NULL; }

static uint64_t udp_ready_at(const uv_handle_t *handle)
{
    const uv_udp_t *udp = (const uv_udp_t *)handle;
    return udp->recv_cb != NULL && udp->socket != NULL ? dsock_readable_at(udp->socket) : never;
}

static void give_address(const uv_udp_t *udp, struct datagram_end from, int size, const uv_buf_t *buffer)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    simuv_address_write(from, (struct sockaddr *)&address, &len);
    udp->recv_cb((uv_udp_t *)(uintptr_t)udp, size, buffer, (struct sockaddr *)&address, 0);
}

static void udp_ready(uv_handle_t *handle)
{
    uv_udp_t *udp = (uv_udp_t *)handle;
    for (size_t i = 0; i < RECEIVES_MAX && udp->recv_cb != NULL && udp->socket != NULL; i++) {
        uv_buf_t buffer = {0};
        struct datagram_end from;
        udp->alloc_cb(handle, DATAGRAM_SUGGESTED, &buffer);
        if (buffer.base == NULL || buffer.len == 0) {
            udp->recv_cb(udp, UV_ENOBUFS, &buffer, NULL, 0);
            return;
        }
        const int size = dsock_receive(udp->socket, buffer.base, buffer.len, &from);
        if (size >= 0) {
            give_address(udp, from, size, &buffer);
            continue;
        }
        udp->recv_cb(udp, size == UV_EAGAIN ? 0 : size, &buffer, NULL, 0);
        return;
    }
}

static void udp_kill(uv_handle_t *handle) { release((uv_udp_t *)handle); }

static const struct uv__kind udp_kind = {udp_close, udp_active, udp_ready_at, udp_ready, udp_kill};

int uv_udp_init(uv_loop_t *loop, uv_udp_t *udp)
{
    *udp = (uv_udp_t){.data = udp->data};
    uvcore_handle_init(loop, (uv_handle_t *)udp, &udp_kind);
    return 0;
}

int uv_udp_bind(uv_udp_t *udp, const struct sockaddr *address, unsigned flags)
{
    struct datagram_end at;
    (void)flags;
    if (udp->socket != NULL || udp->loop->datagrams == NULL || !simuv_address_read(address, &at))
        return UV_EINVAL;
    if (at.host != 0 && at.host != udp->loop->host)
        return UV_EADDRNOTAVAIL;
    at.host = udp->loop->host;
    udp->socket = datagrams_bind(udp->loop->datagrams, at);
    return udp->socket != NULL ? 0 : UV_EADDRINUSE;
}

int uv_udp_getsockname(const uv_udp_t *udp, struct sockaddr *name, int *size)
{
    return udp->socket != NULL ? simuv_address_write(dsock_name(udp->socket), name, size) : UV_EINVAL;
}

/* The simulated world decides how large buffers are, so they are never as large as was asked for. */
static int buffer_size(const uv_handle_t *handle)
{
    return handle->kind == &udp_kind && ((const uv_udp_t *)handle)->socket != NULL ? 0 : UV_EINVAL;
}

int uv_recv_buffer_size(uv_handle_t *handle, int *size)
{
    (void)size;
    return buffer_size(handle);
}

int uv_send_buffer_size(uv_handle_t *handle, int *size)
{
    (void)size;
    return buffer_size(handle);
}

/* ---- Receiving, sending ---- */

int uv_udp_recv_start(uv_udp_t *udp, uv_alloc_cb alloc_cb, uv_udp_recv_cb recv_cb)
{
    if (alloc_cb == NULL || recv_cb == NULL || udp->socket == NULL)
        return UV_EINVAL;
    if (udp->recv_cb != NULL)
        return UV_EALREADY;
    udp->alloc_cb = alloc_cb;
    udp->recv_cb = recv_cb;
    udp->loop->stale = true;
    return 0;
}

int uv_udp_recv_stop(uv_udp_t *udp)
{
    udp->recv_cb = NULL;
    udp->loop->stale = true;
    return 0;
}

int uv_udp_try_send(uv_udp_t *udp, const uv_buf_t buffers[], unsigned count, const struct sockaddr *address)
{
    static uint64_t gathered[DATAGRAM_SUGGESTED / sizeof(uint64_t)];
    struct datagram_end to;
    size_t size = 0;
    if (udp->socket == NULL || !simuv_address_read(address, &to) || to.host == 0 || to.v6 != dsock_name(udp->socket).v6)
        return UV_EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > sizeof gathered - size)
            return UV_EMSGSIZE;
        memcpy((char *)gathered + size, buffers[i].base, buffers[i].len);
        size += buffers[i].len;
    }
    return dsock_send(udp->socket, to, gathered, size);
}
