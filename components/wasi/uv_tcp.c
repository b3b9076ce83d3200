/* TCP over WASI: a socket, and an input and an output stream once it is connected.
 *
 * Writing. An output stream says how many bytes it takes, and then it has them: that is what uv_try_write counts as
 * written. They may still be on their way to the socket, in the host, and to drop the stream then means to lose them or,
 * under Wasmtime, to wait for them. So a closed connection lingers until its stream takes bytes again or has failed;
 * only this file knows. What still comes from the peer is thrown away, because the peer may read only after it has written.
 * Each lingering connection holds a socket, as long as its peer likes if that does not read: beyond LINGERING_MAX of them no
 * connection is accepted.
 *
 * Reading. One read more than gives bytes clears the host's note that a socket is ready. That saves an iteration. */
#include "components/shim.h"
#include "components/wasi/uv_internal.h"

enum {
    READ_FIRST = 16 * 1024, /* of a ready connection: a host may zero as much before it looks what there is */
    READ_MAX = 64 * 1024,   /* after that much has come; a host gives no more */
    READ_AGAIN = 4096,      /* to see that there is nothing more */
    READS_MAX = 16,         /* of one connection in one iteration */
    ACCEPTS_MAX = 64,       /* in one iteration */
    ACCEPT_AGAIN_MS = 100,  /* after a failure: a file descriptor is missing, for a while */
    GATHER_MAX = 64 * 1024,
    DIRECT_MIN = 8 * 1024, /* larger buffers are written from where they are */
    LINGERING_MAX = 256,
    KEEPALIVE_PROBES = 10,
};

static const uint64_t second_ns = 1000000000;

static wasi_sockets_tcp_borrow_tcp_socket_t socket_of(const uv_tcp_t *tcp)
{
    return (wasi_sockets_tcp_borrow_tcp_socket_t){tcp->connection.socket};
}

static wasi_io_streams_borrow_input_stream_t input_of(const struct uv__connection *c)
{
    return (wasi_io_streams_borrow_input_stream_t){c->input};
}

static wasi_io_streams_borrow_output_stream_t output_of(const struct uv__connection *c)
{
    return (wasi_io_streams_borrow_output_stream_t){c->output};
}

static uv__resource subscribe_socket(uv__resource from)
{
    return wasi_sockets_tcp_method_tcp_socket_subscribe((wasi_sockets_tcp_borrow_tcp_socket_t){from}).__handle;
}

static uv__resource subscribe_input(uv__resource from)
{
    return wasi_io_streams_method_input_stream_subscribe((wasi_io_streams_borrow_input_stream_t){from}).__handle;
}

static uv__resource subscribe_output(uv__resource from)
{
    return wasi_io_streams_method_output_stream_subscribe((wasi_io_streams_borrow_output_stream_t){from}).__handle;
}

static void connection_drop(struct uv__connection *c)
{
    if (c->input != 0)
        wasi_io_streams_input_stream_drop_own((wasi_io_streams_own_input_stream_t){c->input});
    if (c->output != 0)
        wasi_io_streams_output_stream_drop_own((wasi_io_streams_own_output_stream_t){c->output});
    if (c->socket != 0)
        wasi_sockets_tcp_tcp_socket_drop_own((wasi_sockets_tcp_own_tcp_socket_t){c->socket});
    *c = (struct uv__connection){0};
}

/* The error of a stream, which says only that there was one. */
static int stream_error(const wasi_io_streams_stream_error_t *error, int closed)
{
    if (error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED)
        return closed;
    wasi_io_error_error_drop_own(error->val.last_operation_failed);
    return UV_ECONNRESET;
}

/* ---- Lingering ---- */

struct lingering {
    uv_handle_t handle; /* because it becomes ready and is over in the middle of an iteration, like others */
    struct uv__connection connection;
    struct uv__watch input, output;
};

/* True while bytes may be on their way to the socket. */
static bool is_draining(const struct uv__connection *c)
{
    uint64_t permit;
    wasi_io_streams_stream_error_t error;
    if (wasi_io_streams_method_output_stream_check_write(output_of(c), &permit, &error))
        return permit == 0;
    stream_error(&error, 0);
    return false;
}

static void handle_free(uv_handle_t *handle) { free(handle); }

static void linger_close(uv_handle_t *handle)
{
    struct lingering *l = (struct lingering *)handle;
    uv__watch_close(&l->input);
    uv__watch_close(&l->output);
    connection_drop(&l->connection);
}

static bool linger_active(const uv_handle_t *handle)
{
    (void)handle;
    return false;
}

static void on_drained(void *owner)
{
    struct lingering *l = owner;
    if (is_draining(&l->connection))
        return;
    l->handle.loop->lingering--;
    uv_close(&l->handle, handle_free);
}

static void on_unwanted(void *owner)
{
    struct lingering *l = owner;
    wasi_io_streams_stream_error_t error;
    uint64_t skipped;
    for (size_t i = 0; i < READS_MAX; i++) {
        if (!wasi_io_streams_method_input_stream_skip(input_of(&l->connection), READ_MAX, &skipped, &error)) {
            stream_error(&error, 0);
            uv__watch_stop(&l->input);
            return;
        }
        if (skipped == 0)
            return;
    }
}

static void linger(uv_loop_t *loop, struct uv__connection *c)
{
    static const struct uv__kind kind = {linger_close, linger_active};
    struct lingering *l = memory_new(1, sizeof *l);
    uvcore_handle_init(loop, &l->handle, &kind);
    l->connection = *c;
    *c = (struct uv__connection){0};
    loop->lingering++;
    uv__watch_init(&l->input, loop, l->connection.input, subscribe_input, on_unwanted, l);
    uv__watch_init(&l->output, loop, l->connection.output, subscribe_output, on_drained, l);
    uv__watch_start(&l->input);
    uv__watch_start(&l->output);
}

/* ---- Handles ---- */

static void tcp_close(uv_handle_t *handle)
{
    uv_tcp_t *tcp = (uv_tcp_t *)handle;
    if (tcp->again != NULL)
        uv_close((uv_handle_t *)tcp->again, handle_free);
    uv__watch_close(&tcp->incoming);
    uv__watch_close(&tcp->input);
    uv__watch_close(&tcp->output);
    uvcore_stream_cancel(tcp);
    connection_drop(&tcp->accepted);
    if (tcp->wrote && is_draining(&tcp->connection))
        linger(tcp->loop, &tcp->connection);
    connection_drop(&tcp->connection);
}

static bool tcp_active(const uv_handle_t *handle)
{
    const uv_tcp_t *tcp = (const uv_tcp_t *)handle;
    return tcp->listening || tcp->input.on || tcp->connecting != NULL || tcp->writes != NULL;
}

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    static const struct uv__kind kind = {tcp_close, tcp_active};
    *tcp = (uv_tcp_t){.data = tcp->data, .writes_end = &tcp->writes};
    uvcore_handle_init(loop, (uv_handle_t *)tcp, &kind);
    return 0;
}

static int socket_make(uv_tcp_t *tcp, int family)
{
    wasi_sockets_tcp_own_tcp_socket_t made;
    wasi_sockets_tcp_error_code_t error;
    if (tcp->connection.socket != 0)
        return 0;
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(family == AF_INET6 ? WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6
                                                                             : WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4,
                                                          &made, &error))
        return uv__error(error);
    tcp->connection.socket = made.__handle;
    return 0;
}

/* Whether a step that WASI splits into two is over. If not, waits until it can be asked again. */
static bool is_over(const uv_tcp_t *tcp, bool done, wasi_sockets_tcp_error_code_t error)
{
    if (done || error != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK)
        return true;
    uv__block(subscribe_socket(tcp->connection.socket));
    return false;
}

int uv_tcp_bind(uv_tcp_t *tcp, const struct sockaddr *address, unsigned flags)
{
    wasi_sockets_tcp_ip_socket_address_t at;
    wasi_sockets_tcp_error_code_t error = 0;
    (void)flags;
    if (!uv__address_to(address, &at))
        return UV_EINVAL;
    int failed = socket_make(tcp, address->sa_family);
    if (failed != 0)
        return failed;
    if (!wasi_sockets_tcp_method_tcp_socket_start_bind(socket_of(tcp), uv__network(tcp->loop), &at, &error))
        return uv__error(error);
    bool done;
    do
        done = wasi_sockets_tcp_method_tcp_socket_finish_bind(socket_of(tcp), &error);
    while (!is_over(tcp, done, error));
    return done ? 0 : uv__error(error);
}

/* As in libuv: after `delay_s` of silence, one probe a second. */
int uv_tcp_keepalive(uv_tcp_t *tcp, int enable, unsigned delay_s)
{
    wasi_sockets_tcp_error_code_t error;
    if (tcp->connection.socket == 0)
        return UV_ENOTCONN;
    bool set = wasi_sockets_tcp_method_tcp_socket_set_keep_alive_enabled(socket_of(tcp), enable != 0, &error);
    if (set && enable)
        set = wasi_sockets_tcp_method_tcp_socket_set_keep_alive_idle_time(socket_of(tcp), delay_s * second_ns, &error) &&
              wasi_sockets_tcp_method_tcp_socket_set_keep_alive_interval(socket_of(tcp), second_ns, &error) &&
              wasi_sockets_tcp_method_tcp_socket_set_keep_alive_count(socket_of(tcp), KEEPALIVE_PROBES, &error);
    return set ? 0 : uv__error(error);
}

int uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *name, int *size)
{
    wasi_sockets_tcp_ip_socket_address_t address;
    wasi_sockets_tcp_error_code_t error;
    if (tcp->connection.socket == 0)
        return UV_EINVAL;
    if (!wasi_sockets_tcp_method_tcp_socket_local_address(socket_of(tcp), &address, &error))
        return uv__error(error);
    return uv__name_from(&address, name, size);
}

int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *name, int *size)
{
    wasi_sockets_tcp_ip_socket_address_t address;
    wasi_sockets_tcp_error_code_t error;
    if (tcp->connection.socket == 0)
        return UV_ENOTCONN;
    if (!wasi_sockets_tcp_method_tcp_socket_remote_address(socket_of(tcp), &address, &error))
        return uv__error(error);
    return uv__name_from(&address, name, size);
}

/* ---- Reading ---- */

/* Returns how many bytes; 0 when there are none; or an error. */
static ssize_t read_some(const uv_tcp_t *tcp, const uv_buf_t *buffer, size_t want)
{
    static struct arena results;
    wasi_library_list_u8_t bytes;
    wasi_io_streams_stream_error_t error;
    shim_results_begin(&results);
    bool read = wasi_io_streams_method_input_stream_read(input_of(&tcp->connection), want, &bytes, &error);
    shim_results_end();
    if (!read)
        return stream_error(&error, UV_EOF);
    if (bytes.len > 0)
        memcpy(buffer->base, bytes.ptr, bytes.len);
    return (ssize_t)bytes.len;
}

static void on_input(void *owner)
{
    uv_tcp_t *tcp = owner;
    size_t want = READ_FIRST;
    for (size_t i = 0; i < READS_MAX && tcp->input.on; i++) {
        uv_buf_t buffer = {0};
        tcp->alloc_cb((uv_handle_t *)tcp, READ_MAX, &buffer);
        if (buffer.base == NULL || buffer.len == 0) {
            tcp->read_cb(tcp, UV_ENOBUFS, &buffer);
            return;
        }
        want = buffer.len < want ? buffer.len : want;
        ssize_t len = read_some(tcp, &buffer, want);
        if (len < 0)
            uv__watch_stop(&tcp->input);
        bool more = len > 0;
        want = more && (size_t)len < want ? READ_AGAIN : READ_MAX;
        tcp->read_cb(tcp, len, &buffer);
        if (!more)
            return;
    }
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb)
{
    if (stream->closing || alloc_cb == NULL || read_cb == NULL)
        return UV_EINVAL;
    if (stream->connection.input == 0)
        return UV_ENOTCONN;
    if (stream->input.on)
        return UV_EALREADY;
    stream->alloc_cb = alloc_cb;
    stream->read_cb = read_cb;
    uv__watch_start(&stream->input);
    return 0;
}

int uv_read_stop(uv_stream_t *stream)
{
    uv__watch_stop(&stream->input);
    return 0;
}

/* ---- Writing ---- */

/* The next bytes to write, `max` at most: from their place in a large buffer; small buffers are joined. */
static wasi_library_list_u8_t cursor_take(struct uv__cursor *c, size_t max)
{
    static uint8_t gathered[GATHER_MAX];
    size_t len = 0;
    max = max < GATHER_MAX ? max : GATHER_MAX;
    while (!uvcore_cursor_is_at_end(c) && len < max) {
        uint8_t *from = (uint8_t *)c->buffers[c->at].base + c->skip;
        size_t rest = c->buffers[c->at].len - c->skip;
        if (len > 0 && rest >= DIRECT_MIN)
            break;
        size_t piece = rest < max - len ? rest : max - len;
        c->skip += piece;
        if (len == 0 && (rest >= DIRECT_MIN || c->at + 1 == c->count))
            return (wasi_library_list_u8_t){from, piece};
        memcpy(gathered + len, from, piece);
        len += piece;
    }
    return (wasi_library_list_u8_t){gathered, len};
}

int uvsys_may_write(const uv_tcp_t *tcp) { return tcp->connection.output != 0 ? 0 : UV_ENOTCONN; }

void uvsys_await_room(uv_tcp_t *tcp) { uv__watch_start(&tcp->output); }

/* An error after some bytes were taken shows at the next call. */
ssize_t uvsys_write_some(uv_tcp_t *tcp, struct uv__cursor *c)
{
    wasi_io_streams_borrow_output_stream_t output = output_of(&tcp->connection);
    wasi_io_streams_stream_error_t error;
    size_t written = 0;
    while (!uvcore_cursor_is_at_end(c)) {
        uint64_t permit;
        if (!wasi_io_streams_method_output_stream_check_write(output, &permit, &error)) {
            int failed = stream_error(&error, UV_EPIPE);
            return written > 0 ? (ssize_t)written : failed;
        }
        if (permit == 0)
            break;
        struct uv__cursor before = *c;
        wasi_library_list_u8_t bytes = cursor_take(c, permit < SIZE_MAX ? (size_t)permit : SIZE_MAX);
        if (!wasi_io_streams_method_output_stream_write(output, &bytes, &error)) {
            *c = before;
            int failed = stream_error(&error, UV_EPIPE);
            return written > 0 ? (ssize_t)written : failed;
        }
        tcp->wrote = true;
        written += bytes.len;
    }
    return (ssize_t)written;
}

static void on_output(void *owner)
{
    uv_tcp_t *tcp = owner;
    uvcore_writes_go_on(tcp);
    if (tcp->writes == NULL)
        uv__watch_stop(&tcp->output);
}

/* ---- Connecting ---- */

static void streams_open(uv_tcp_t *tcp)
{
    uv__watch_init(&tcp->input, tcp->loop, tcp->connection.input, subscribe_input, on_input, tcp);
    uv__watch_init(&tcp->output, tcp->loop, tcp->connection.output, subscribe_output, on_output, tcp);
}

static void on_connecting(void *owner)
{
    uv_tcp_t *tcp = owner;
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    wasi_sockets_tcp_error_code_t error;
    int status = 0;
    if (wasi_sockets_tcp_method_tcp_socket_finish_connect(socket_of(tcp), &streams, &error)) {
        tcp->connection.input = streams.f0.__handle;
        tcp->connection.output = streams.f1.__handle;
        streams_open(tcp);
    } else if (error == WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) {
        return;
    } else {
        status = uv__error(error);
    }
    uv__watch_close(&tcp->incoming);
    uvcore_connect_end(tcp, status);
}

int uv_tcp_connect(uv_connect_t *request, uv_tcp_t *tcp, const struct sockaddr *address, uv_connect_cb callback)
{
    wasi_sockets_tcp_ip_socket_address_t to;
    wasi_sockets_tcp_error_code_t error;
    if (tcp->connecting != NULL)
        return UV_EALREADY;
    if (!uv__address_to(address, &to))
        return UV_EINVAL;
    int failed = socket_make(tcp, address->sa_family);
    if (failed != 0)
        return failed;
    if (!wasi_sockets_tcp_method_tcp_socket_start_connect(socket_of(tcp), uv__network(tcp->loop), &to, &error))
        return uv__error(error);
    uvcore_connect_begin(request, tcp, callback);
    uv__watch_init(&tcp->incoming, tcp->loop, tcp->connection.socket, subscribe_socket, on_connecting, tcp);
    uv__watch_start(&tcp->incoming);
    return 0;
}

/* ---- Accepting ---- */

/* Takes the next connection that waits. Returns 0, UV_EAGAIN when there is none, or an error. */
static int take_connection(uv_tcp_t *listener)
{
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t taken;
    wasi_sockets_tcp_error_code_t error;
    if (!wasi_sockets_tcp_method_tcp_socket_accept(socket_of(listener), &taken, &error))
        return uv__error(error);
    listener->accepted = (struct uv__connection){taken.f0.__handle, taken.f1.__handle, taken.f2.__handle};
    if (listener->loop->lingering < LINGERING_MAX)
        return 0;
    connection_drop(&listener->accepted);
    return UV_EMFILE;
}

static void on_again(uv_timer_t *timer) { uv__watch_start(&((uv_tcp_t *)timer->data)->incoming); }

static void on_incoming(void *owner)
{
    uv_tcp_t *listener = owner;
    for (size_t i = 0; i < ACCEPTS_MAX && listener->incoming.on; i++) {
        int status = take_connection(listener);
        if (status == UV_EAGAIN)
            return;
        if (status == UV_ECONNABORTED) /* it has gone again */
            continue;
        if (status == 0)
            uv__watch_stop(&listener->incoming); /* until uv_accept takes it */
        listener->connection_cb(listener, status);
        if (status != 0) {
            uv__watch_stop(&listener->incoming); /* it would keep saying that it is ready */
            uv_timer_start(listener->again, on_again, ACCEPT_AGAIN_MS, 0);
            return;
        }
    }
}

int uv_listen(uv_stream_t *stream, int backlog, uv_connection_cb callback)
{
    wasi_sockets_tcp_error_code_t error = 0;
    if (stream->connection.socket == 0)
        return UV_EINVAL;
    /* The backlog is only a wish. */
    wasi_sockets_tcp_method_tcp_socket_set_listen_backlog_size(socket_of(stream), backlog > 0 ? (uint64_t)backlog : 1,
                                                               &error);
    if (!wasi_sockets_tcp_method_tcp_socket_start_listen(socket_of(stream), &error))
        return uv__error(error);
    bool done;
    do
        done = wasi_sockets_tcp_method_tcp_socket_finish_listen(socket_of(stream), &error);
    while (!is_over(stream, done, error));
    if (!done)
        return uv__error(error);
    stream->connection_cb = callback;
    stream->listening = true;
    stream->again = memory_new(1, sizeof *stream->again);
    uv_timer_init(stream->loop, stream->again);
    uv_unref((uv_handle_t *)stream->again);
    stream->again->data = stream;
    uv__watch_init(&stream->incoming, stream->loop, stream->connection.socket, subscribe_socket, on_incoming, stream);
    uv__watch_start(&stream->incoming);
    return 0;
}

int uv_accept(uv_stream_t *listener, uv_stream_t *client)
{
    if (listener->accepted.socket == 0)
        return UV_EAGAIN;
    client->connection = listener->accepted;
    listener->accepted = (struct uv__connection){0};
    streams_open(client);
    uv__watch_start(&listener->incoming);
    return 0;
}
