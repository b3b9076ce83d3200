/* load/load_sockets.h over the sockets of WASI. A socket's resources are dropped children first: pollables, streams,
 * socket. */
#include "load/load_sockets.h"

#include <string.h>

#include "components/shim.h"
#include "core/base/memory.h"

enum { READ_BYTES = 64 * 1024, NS_A_US = 1000, US_A_MS = 1000 };

enum socket_state { STATE_CLOSED, STATE_CONNECTING, STATE_OPEN };

struct load_socket {
    uint8_t state;
    wasi_sockets_tcp_own_tcp_socket_t tcp;
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams; /* of one that is open */
    wasi_io_poll_own_pollable_t input; /* ready: connected, or there is something to read */
    bool blocked;
    wasi_io_poll_own_pollable_t output; /* of one that is blocked; ready: it takes bytes again */
    char *out;                          /* bytes that it has not taken */
    size_t out_at, out_len, out_capacity;
};

struct load_sockets {
    const struct load_socket_events *events;
    void *owner;
    wasi_sockets_network_own_network_t network;
    uint32_t count;
    wasi_io_poll_borrow_pollable_t *polled; /* two for each socket, and the timer */
    uint32_t *polled_socket;
    struct load_socket sockets[];
};

uint64_t load_now_us(void) { return wasi_clocks_monotonic_clock_now() / NS_A_US; }

/* The sandbox reaches only the addresses that it was given. */
bool load_resolve(const char *host, uint16_t port, struct load_address *out, char *error, size_t error_size)
{
    static const char unknown[] = "redirected to an address that is not among those given";
    (void)host;
    (void)port;
    (void)out;
    memcpy(error, unknown, error_size < sizeof unknown ? error_size : sizeof unknown);
    error[error_size - 1] = '\0';
    return false;
}

struct load_sockets *load_sockets_new(const struct load_socket_events *events, void *owner, uint32_t count)
{
    struct load_sockets *s = memory_new(1, sizeof *s + count * sizeof s->sockets[0]);
    s->events = events;
    s->owner = owner;
    s->count = count;
    s->network = wasi_sockets_instance_network_instance_network();
    s->polled = memory_new(2 * (size_t)count + 1, sizeof *s->polled);
    s->polled_socket = memory_new(2 * (size_t)count, sizeof *s->polled_socket);
    return s;
}

void load_sockets_free(struct load_sockets *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        load_sockets_close(s, i);
        free(s->sockets[i].out);
    }
    wasi_sockets_network_network_drop_own(s->network);
    free(s->polled);
    free(s->polled_socket);
    free(s);
}

/* ---- Errors ---- */

static enum load_socket_result failed(wasi_sockets_network_error_code_t code, const char **why)
{
    static const char *const texts[] = {
        [WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED] = "the sandbox does not allow it",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_TIMEOUT] = "Connection timed out",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_NEW_SOCKET_LIMIT] = "Too many open files",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_REMOTE_UNREACHABLE] = "No route to host",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_REFUSED] = "Connection refused",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_RESET] = "Connection reset by peer",
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_ABORTED] = "Connection aborted",
    };
    bool known = code < sizeof texts / sizeof *texts && texts[code] != NULL;
    *why = known ? texts[code] : "the socket failed";
    return SOCKET_FAILED;
}

/* Releases what came with a stream's error. True: the stream was closed at the other end. */
static bool stream_closed(wasi_io_streams_stream_error_t *error)
{
    if (error->tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED)
        wasi_io_error_error_drop_own(error->val.last_operation_failed);
    return error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
}

/* ---- Opening and closing ---- */

static wasi_sockets_network_ip_socket_address_t wasi_address(const struct load_address *from)
{
    wasi_sockets_network_ip_socket_address_t to = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    if (from->is_ipv6) {
        uint16_t groups[8];
        for (size_t i = 0; i < 8; i++)
            groups[i] = (uint16_t)(from->bytes[2 * i] << 8 | from->bytes[2 * i + 1]);
        to.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV6;
        to.val.ipv6.port = from->port;
        to.val.ipv6.scope_id = from->scope;
        memcpy(&to.val.ipv6.address, groups, sizeof groups);
    } else {
        to.val.ipv4.port = from->port;
        memcpy(&to.val.ipv4.address, from->bytes, 4);
    }
    return to;
}
_Static_assert(sizeof(wasi_sockets_network_ipv4_address_t) == 4, "an IPv4 address is its bytes");
_Static_assert(sizeof(wasi_sockets_network_ipv6_address_t) == 16, "an IPv6 address is its groups");

enum load_socket_result load_sockets_connect(struct load_sockets *s, uint32_t i, const struct load_address *address,
                                             const char **why)
{
    struct load_socket *of = &s->sockets[i];
    wasi_sockets_network_error_code_t code;
    wasi_sockets_network_ip_socket_address_t to = wasi_address(address);
    uint8_t family =
        address->is_ipv6 ? WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6 : WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4;
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(family, &of->tcp, &code))
        return failed(code, why);
    wasi_sockets_tcp_borrow_tcp_socket_t tcp = wasi_sockets_tcp_borrow_tcp_socket(of->tcp);
    if (!wasi_sockets_tcp_method_tcp_socket_start_connect(tcp, wasi_sockets_network_borrow_network(s->network), &to,
                                                          &code)) {
        wasi_sockets_tcp_tcp_socket_drop_own(of->tcp);
        return failed(code, why);
    }
    of->input = wasi_sockets_tcp_method_tcp_socket_subscribe(tcp);
    of->state = STATE_CONNECTING;
    return SOCKET_LATER;
}

static void unblock(struct load_socket *of)
{
    if (of->blocked)
        wasi_io_poll_pollable_drop_own(of->output);
    of->blocked = false;
}

void load_sockets_close(struct load_sockets *s, uint32_t i)
{
    struct load_socket *of = &s->sockets[i];
    if (of->state == STATE_CLOSED)
        return;
    unblock(of);
    wasi_io_poll_pollable_drop_own(of->input);
    if (of->state == STATE_OPEN) {
        wasi_io_streams_input_stream_drop_own(of->streams.f0);
        wasi_io_streams_output_stream_drop_own(of->streams.f1);
    }
    wasi_sockets_tcp_tcp_socket_drop_own(of->tcp);
    of->state = STATE_CLOSED;
}

/* ---- Sending ---- */

/* Writes as much as it takes now. False: it failed. */
static bool write_some(struct load_socket *to, const char *bytes, size_t size, size_t *taken)
{
    wasi_io_streams_stream_error_t error;
    wasi_io_streams_borrow_output_stream_t stream = wasi_io_streams_borrow_output_stream(to->streams.f1);
    for (*taken = 0; *taken < size;) {
        uint64_t room;
        bool sound = wasi_io_streams_method_output_stream_check_write(stream, &room, &error);
        if (sound && room == 0)
            return true;
        size_t piece = sound && room < size - *taken ? (size_t)room : size - *taken;
        paxos_client_world_list_u8_t list = {(uint8_t *)bytes + *taken, piece};
        if (!sound || !wasi_io_streams_method_output_stream_write(stream, &list, &error)) {
            stream_closed(&error);
            return false;
        }
        *taken += piece;
    }
    return true;
}

enum load_socket_result load_sockets_send(struct load_sockets *s, uint32_t i, const char *bytes, size_t size,
                                          const char **why)
{
    struct load_socket *to = &s->sockets[i];
    size_t taken;
    if (!write_some(to, bytes, size, &taken))
        return failed(WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_RESET, why);
    if (taken == size)
        return SOCKET_DONE;
    to->out_at = 0;
    to->out_len = size - taken;
    to->out = memory_reserve(to->out, &to->out_capacity, to->out_len, 1);
    memcpy(to->out, bytes + taken, to->out_len);
    to->output = wasi_io_streams_method_output_stream_subscribe(wasi_io_streams_borrow_output_stream(to->streams.f1));
    to->blocked = true;
    return SOCKET_LATER;
}

/* ---- Waiting ---- */

static void on_connected(struct load_sockets *s, uint32_t i)
{
    struct load_socket *of = &s->sockets[i];
    wasi_sockets_network_error_code_t code;
    const char *why;
    if (!wasi_sockets_tcp_method_tcp_socket_finish_connect(wasi_sockets_tcp_borrow_tcp_socket(of->tcp), &of->streams,
                                                           &code)) {
        if (code == WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK)
            return;
        failed(code, &why);
        s->events->lost(s->owner, i, why);
        return;
    }
    wasi_io_poll_pollable_drop_own(of->input);
    of->input = wasi_io_streams_method_input_stream_subscribe(wasi_io_streams_borrow_input_stream(of->streams.f0));
    of->state = STATE_OPEN;
    s->events->connected(s->owner, i);
}

static void on_writable(struct load_sockets *s, uint32_t i)
{
    struct load_socket *to = &s->sockets[i];
    size_t taken;
    if (!write_some(to, to->out + to->out_at, to->out_len, &taken)) {
        s->events->lost(s->owner, i, "Connection reset by peer");
        return;
    }
    to->out_at += taken;
    to->out_len -= taken;
    if (to->out_len > 0)
        return;
    unblock(to);
    s->events->sent(s->owner, i);
}

static void on_readable(struct load_sockets *s, uint32_t i)
{
    static struct arena results;
    paxos_client_world_list_u8_t bytes;
    wasi_io_streams_stream_error_t error;
    wasi_io_streams_borrow_input_stream_t stream = wasi_io_streams_borrow_input_stream(s->sockets[i].streams.f0);
    shim_results_begin(&results);
    bool sound = wasi_io_streams_method_input_stream_read(stream, READ_BYTES, &bytes, &error);
    shim_results_end();
    if (!sound)
        s->events->lost(s->owner, i, stream_closed(&error) ? "connection closed by the server" : "Connection reset by peer");
    else if (bytes.len > 0)
        s->events->received(s->owner, i, (const char *)bytes.ptr, bytes.len);
}

/* All that is waited for, in the order of the sockets: the input, then the output if it is blocked. */
static size_t gather(struct load_sockets *s)
{
    size_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct load_socket *of = &s->sockets[i];
        if (of->state == STATE_CLOSED)
            continue;
        s->polled_socket[count] = i;
        s->polled[count++] = wasi_io_poll_borrow_pollable(of->input);
        if (of->blocked) {
            s->polled_socket[count] = i;
            s->polled[count++] = wasi_io_poll_borrow_pollable(of->output);
        }
    }
    return count;
}

/* Socket `i` is ready for something; that may be over by now, because another event of this round closed it. */
static void on_ready(struct load_sockets *s, uint32_t i)
{
    struct load_socket *of = &s->sockets[i];
    if (of->state == STATE_CONNECTING) {
        on_connected(s, i);
        return;
    }
    if (of->blocked)
        on_writable(s, i);
    if (of->state == STATE_OPEN)
        on_readable(s, i);
}

void load_sockets_wait(struct load_sockets *s, uint32_t timeout_ms)
{
    static struct arena results;
    size_t count = gather(s);
    wasi_io_poll_own_pollable_t timer =
        wasi_clocks_monotonic_clock_subscribe_duration((uint64_t)timeout_ms * US_A_MS * NS_A_US);
    s->polled[count] = wasi_io_poll_borrow_pollable(timer);
    wasi_io_poll_list_borrow_pollable_t all = {s->polled, count + 1};
    paxos_client_world_list_u32_t ready;
    shim_results_begin(&results);
    wasi_io_poll_poll(&all, &ready);
    shim_results_end();
    wasi_io_poll_pollable_drop_own(timer);
    for (size_t r = 0; r < ready.len; r++)
        if (ready.ptr[r] < count && (r == 0 || s->polled_socket[ready.ptr[r]] != s->polled_socket[ready.ptr[r - 1]]))
            on_ready(s, s->polled_socket[ready.ptr[r]]);
}
