/* UDP over WASI: a socket and its two streams, of datagrams that come and of datagrams that go. */
#include "components/shim.h"
#include "components/wasi/uv_internal.h"

enum {
    RECEIVE_MAX = 32, /* datagrams at once */
    RECEIVES_MAX = 8, /* in one iteration */
    DATAGRAM_MAX = 64 * 1024,
};

static wasi_sockets_udp_borrow_udp_socket_t socket_of(const uv_udp_t *udp)
{
    return (wasi_sockets_udp_borrow_udp_socket_t){udp->connection.socket};
}

static uv__resource subscribe_input(uv__resource from)
{
    return wasi_sockets_udp_method_incoming_datagram_stream_subscribe(
               (wasi_sockets_udp_borrow_incoming_datagram_stream_t){from})
        .__handle;
}

static uv__resource subscribe_socket(uv__resource from)
{
    return wasi_sockets_udp_method_udp_socket_subscribe((wasi_sockets_udp_borrow_udp_socket_t){from}).__handle;
}

/* ---- Handles ---- */

static void udp_drop(uv_udp_t *udp)
{
    struct uv__connection *c = &udp->connection;
    uv__watch_close(&udp->input);
    if (c->input != 0)
        wasi_sockets_udp_incoming_datagram_stream_drop_own((wasi_sockets_udp_own_incoming_datagram_stream_t){c->input});
    if (c->output != 0)
        wasi_sockets_udp_outgoing_datagram_stream_drop_own((wasi_sockets_udp_own_outgoing_datagram_stream_t){c->output});
    if (c->socket != 0)
        wasi_sockets_udp_udp_socket_drop_own((wasi_sockets_udp_own_udp_socket_t){c->socket});
    *c = (struct uv__connection){0};
}

static void udp_close(uv_handle_t *handle) { udp_drop((uv_udp_t *)handle); }

static bool udp_active(const uv_handle_t *handle) { return ((const uv_udp_t *)handle)->input.on; }

static const struct uv__kind kind = {udp_close, udp_active};

int uv_udp_init(uv_loop_t *loop, uv_udp_t *udp)
{
    *udp = (uv_udp_t){.data = udp->data};
    uvcore_handle_init(loop, (uv_handle_t *)udp, &kind);
    return 0;
}

static int bind_to(uv_udp_t *udp, wasi_sockets_udp_ip_socket_address_t *at)
{
    wasi_sockets_udp_own_udp_socket_t made;
    wasi_sockets_udp_tuple2_own_incoming_datagram_stream_own_outgoing_datagram_stream_t streams;
    wasi_sockets_udp_error_code_t error;
    if (!wasi_sockets_udp_create_socket_create_udp_socket(at->tag, &made, &error))
        return uv__error(error);
    udp->connection.socket = made.__handle;
    if (!wasi_sockets_udp_method_udp_socket_start_bind(socket_of(udp), uv__network(udp->loop), at, &error))
        return uv__error(error);
    while (!wasi_sockets_udp_method_udp_socket_finish_bind(socket_of(udp), &error)) {
        if (error != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK)
            return uv__error(error);
        uv__block(subscribe_socket(udp->connection.socket));
    }
    if (!wasi_sockets_udp_method_udp_socket_stream(socket_of(udp), NULL, &streams, &error))
        return uv__error(error);
    udp->connection.input = streams.f0.__handle;
    udp->connection.output = streams.f1.__handle;
    return 0;
}

int uv_udp_getsockname(const uv_udp_t *udp, struct sockaddr *name, int *size)
{
    wasi_sockets_udp_ip_socket_address_t address;
    wasi_sockets_udp_error_code_t error;
    if (udp->connection.socket == 0)
        return UV_EINVAL;
    if (!wasi_sockets_udp_method_udp_socket_local_address(socket_of(udp), &address, &error))
        return uv__error(error);
    return uv__name_from(&address, name, size);
}

/* ---- The buffers of the system ---- */

typedef bool buffer_getter(wasi_sockets_udp_borrow_udp_socket_t, uint64_t *, wasi_sockets_udp_error_code_t *);
typedef bool buffer_setter(wasi_sockets_udp_borrow_udp_socket_t, uint64_t, wasi_sockets_udp_error_code_t *);

static int buffer_size(const uv_handle_t *handle, int *size, buffer_getter *get, buffer_setter *set)
{
    const uv_udp_t *udp = (const uv_udp_t *)handle;
    wasi_sockets_udp_error_code_t error;
    uint64_t is = 0;
    if (handle->kind != &kind)
        return UV_ENOTSUP;
    if (udp->connection.socket == 0 || *size < 0)
        return UV_EINVAL;
    bool done = *size > 0 ? set(socket_of(udp), (uint64_t)*size, &error) : get(socket_of(udp), &is, &error);
    if (!done)
        return uv__error(error);
    if (*size == 0)
        *size = is < INT32_MAX ? (int)is : INT32_MAX;
    return 0;
}

int uv_recv_buffer_size(uv_handle_t *handle, int *size)
{
    return buffer_size(handle, size, wasi_sockets_udp_method_udp_socket_receive_buffer_size,
                       wasi_sockets_udp_method_udp_socket_set_receive_buffer_size);
}

int uv_send_buffer_size(uv_handle_t *handle, int *size)
{
    return buffer_size(handle, size, wasi_sockets_udp_method_udp_socket_send_buffer_size,
                       wasi_sockets_udp_method_udp_socket_set_send_buffer_size);
}

/* ---- Receiving ---- */

static void hand_over(uv_udp_t *udp, const wasi_sockets_udp_incoming_datagram_t *datagram)
{
    struct sockaddr_storage from;
    uv_buf_t buffer = {0};
    size_t len = datagram->data.len;
    uv__address_from(&datagram->remote_address, &from);
    udp->alloc_cb((uv_handle_t *)udp, DATAGRAM_MAX, &buffer);
    if (buffer.base == NULL || buffer.len == 0) {
        udp->recv_cb(udp, UV_ENOBUFS, &buffer, NULL, 0);
        return;
    }
    if (len > buffer.len)
        len = buffer.len;
    if (len > 0)
        memcpy(buffer.base, datagram->data.ptr, len);
    udp->recv_cb(udp, (ssize_t)len, &buffer, (struct sockaddr *)&from, len < datagram->data.len ? UV_UDP_PARTIAL : 0);
}

static void on_input(void *owner)
{
    static struct arena results;
    uv_udp_t *udp = owner;
    wasi_sockets_udp_list_incoming_datagram_t list = {.len = 1};
    for (size_t i = 0; i < RECEIVES_MAX && udp->input.on && list.len > 0; i++) {
        wasi_sockets_udp_error_code_t error;
        shim_results_begin(&results);
        bool received = wasi_sockets_udp_method_incoming_datagram_stream_receive(
            (wasi_sockets_udp_borrow_incoming_datagram_stream_t){udp->connection.input}, RECEIVE_MAX, &list, &error);
        shim_results_end();
        if (!received) {
            uv_buf_t none = {0};
            udp->recv_cb(udp, uv__error(error), &none, NULL, 0);
            return;
        }
        for (size_t k = 0; k < list.len && udp->input.on; k++)
            hand_over(udp, &list.ptr[k]);
    }
}

int uv_udp_bind(uv_udp_t *udp, const struct sockaddr *address, unsigned flags)
{
    wasi_sockets_udp_ip_socket_address_t at;
    (void)flags;
    if (udp->connection.socket != 0 || !uv__address_to(address, &at))
        return UV_EINVAL;
    int failed = bind_to(udp, &at);
    if (failed != 0)
        udp_drop(udp);
    else
        uv__watch_init(&udp->input, udp->loop, udp->connection.input, subscribe_input, on_input, udp);
    return failed;
}

int uv_udp_recv_start(uv_udp_t *udp, uv_alloc_cb alloc_cb, uv_udp_recv_cb recv_cb)
{
    if (alloc_cb == NULL || recv_cb == NULL || udp->connection.input == 0)
        return UV_EINVAL;
    if (udp->input.on)
        return UV_EALREADY;
    udp->alloc_cb = alloc_cb;
    udp->recv_cb = recv_cb;
    uv__watch_start(&udp->input);
    return 0;
}

int uv_udp_recv_stop(uv_udp_t *udp)
{
    uv__watch_stop(&udp->input);
    return 0;
}

/* ---- Sending ---- */

int uv_udp_try_send(uv_udp_t *udp, const uv_buf_t buffers[], unsigned count, const struct sockaddr *address)
{
    static uint8_t gathered[DATAGRAM_MAX];
    wasi_sockets_udp_borrow_outgoing_datagram_stream_t output = {udp->connection.output};
    wasi_sockets_udp_outgoing_datagram_t datagram = {.data = {gathered, 0}, .remote_address.is_some = true};
    wasi_sockets_udp_error_code_t error;
    uint64_t permit, sent;
    if (udp->connection.output == 0 || !uv__address_to(address, &datagram.remote_address.val))
        return UV_EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > sizeof gathered - datagram.data.len)
            return UV_EMSGSIZE;
        memcpy(gathered + datagram.data.len, buffers[i].base, buffers[i].len);
        datagram.data.len += buffers[i].len;
    }
    if (!wasi_sockets_udp_method_outgoing_datagram_stream_check_send(output, &permit, &error))
        return uv__error(error);
    if (permit == 0)
        return UV_EAGAIN;
    if (!wasi_sockets_udp_method_outgoing_datagram_stream_send(
            output, &(wasi_sockets_udp_list_outgoing_datagram_t){&datagram, 1}, &sent, &error))
        return uv__error(error);
    return sent == 1 ? (int)datagram.data.len : UV_EAGAIN;
}
