/* UDP between nodes. A datagram is one frame, the same bytes as on TCP.
 *
 *   1. A UDP network is a TCP network (io/tcp_network.c) that sends short frames as datagrams. It listens on one port number
 *      for both, and frames longer than `datagram_bytes_max` go over the connections. Which nodes may speak, what has
 *      arrived and what is counted is shared.
 *   2. Datagrams may be lost, doubled and reordered, and may overtake frames that go over TCP. All of that is harmless: the
 *      protocol orders its messages by what they contain, and retransmits.
 *   3. A node does not know whether a peer is there, and does not need to. A datagram is sent to the peer's address, and is
 *      lost if the peer is not there. Nothing is queued. What the socket does not take at once is dropped and counted.
 *   4. A node listens for both at one address. So a peer's datagrams go where TCP has reached it last: TCP tries all
 *      addresses that a name has, and knows which one works. Before that, no datagram would be heard anyway, because none is
 *      before the greeting. (An address in numbers is known at once.) */
#include <stdlib.h>

#include "core/base/memory.h"
#include "io/udp_internal.h"

enum { BUFFER_SIZE = 4 << 20 /* of the sockets, both ways: what arrives during a turn waits there */ };

/* ---- sockets ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct udp_network *n = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)n->datagram, DATAGRAM_SIZE_MAX);
}

static void on_datagram(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
    struct udp_network *n = udp->data;
    (void)buffer;
    if (n->tcp.base.closing || (len == 0 && from == NULL))
        return; /* there is nothing more to read */
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (from == NULL)
        from = &nobody;
    if (len < 0)
        udp_refuse(n, from, uv_strerror((int)len));
    else if ((flags & UV_UDP_PARTIAL) != 0)
        udp_refuse(n, from, "longer than any datagram");
    else
        udp_take(n, n->datagram, (size_t)len, from);
}

static enum family family_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4;
}

/* Opens a socket of the address's family, bound to it. Returns an error of libuv. */
static int open_socket(struct udp_network *n, const struct sockaddr *address)
{
    struct udp_socket *s = &n->sockets[family_of(address)];
    int size = BUFFER_SIZE;
    uv_udp_init(n->tcp.base.loop, &s->udp);
    n->tcp.base.open++;
    s->open = true;
    s->udp.data = n;
    int error = uv_udp_bind(&s->udp, address, 0);
    if (error != 0)
        return error;
    uv_recv_buffer_size((uv_handle_t *)&s->udp, &size); /* less is enough, or even none */
    size = BUFFER_SIZE;
    uv_send_buffer_size((uv_handle_t *)&s->udp, &size);
    return uv_udp_recv_start(&s->udp, on_alloc, on_datagram);
}

/* The socket for sending to this address. If it could not be opened, sending says so. */
static uv_udp_t *socket_for(struct udp_network *n, const struct sockaddr *address)
{
    enum family family = family_of(address);
    struct udp_address any = {0};
    if (!n->sockets[family].open) {
        if (family == FAMILY_IPV6)
            uv_ip6_addr("::", 0, &any.at.v6);
        else
            uv_ip4_addr("0.0.0.0", 0, &any.at.v4);
        open_socket(n, &any.at.any);
    }
    return &n->sockets[family].udp;
}

/* ---- addresses of the others ---- */

static struct udp_address address_of(const struct sockaddr *address)
{
    struct udp_address a = {0};
    if (address->sa_family == AF_INET) {
        a.at.v4 = *(const struct sockaddr_in *)address;
        a.known = true;
    } else if (address->sa_family == AF_INET6) {
        a.at.v6 = *(const struct sockaddr_in6 *)address;
        a.known = true;
    }
    return a;
}

static void on_reached(struct peer *peer)
{
    struct udp_network *n = (struct udp_network *)peer->dialer.network;
    struct sockaddr_storage at = {0};
    int len = sizeof at;
    if (uv_tcp_getpeername(&peer->dialer.connection->tcp, (struct sockaddr *)&at, &len) == 0)
        n->to[peer->dialer.config->id] = address_of((struct sockaddr *)&at);
}

/* Where a peer is, if its configuration says that in numbers. */
static struct udp_address address_in_numbers(const struct endpoint *at)
{
    struct udp_address a = {0};
    a.known = uv_ip4_addr(at->host, at->port, &a.at.v4) == 0 || uv_ip6_addr(at->host, at->port, &a.at.v6) == 0;
    return a;
}

/* ---- the network ---- */

static void send_datagram(struct udp_network *n, const struct udp_address *to, uint64_t *header, const struct packet *frame)
{
    struct network_statistics *statistics = &n->tcp.base.statistics;
    size_t size = words_for(frame->len) * sizeof(uint64_t);
    const uv_buf_t parts[] = {uv_buf_init((char *)header, FRAME_HEADER_SIZE),
                              uv_buf_init((char *)frame->words.ptr, (unsigned)size)};
    if (!to->known || uv_udp_try_send(socket_for(n, &to->at.any), parts, size > 0 ? 2 : 1, &to->at.any) < 0) {
        statistics->dropped++;
        return;
    }
    statistics->frames_out++;
    statistics->bytes_out += FRAME_HEADER_SIZE + size;
}

/* Sends short frames as datagrams, and leaves them out of the batch that then goes over TCP. */
static void send_frames(struct network *base, const struct packet *frames, size_t count)
{
    struct udp_network *n = (struct udp_network *)base;
    if (base->closing)
        return;
    node_set all = tcp_batch_prepare(&n->tcp, frames, count), long_ones = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *header = n->tcp.batch.headers[i];
        if (header[0] == 0)
            continue;
        if (FRAME_HEADER_SIZE + words_for(frames[i].len) * sizeof(uint64_t) > base->options.config->datagram_bytes_max) {
            long_ones |= frames[i].id;
            continue;
        }
        for (node_set to = frames[i].id & all; to != 0; to &= to - 1)
            send_datagram(n, &n->to[node_set_first(to)], header, &frames[i]);
        header[0] = 0;
    }
    tcp_batch_send(&n->tcp, long_ones & all);
}

static void join(struct network *base, uint32_t id)
{
    ((struct udp_network *)base)->to[id] = address_in_numbers(&base->roster.nodes[id].address);
    tcp_join(base, id);
}

static void on_closed(uv_handle_t *handle) { network_released(&((struct udp_network *)handle->data)->tcp.base); }

static void close_all(struct network *base)
{
    struct udp_network *n = (struct udp_network *)base;
    for (size_t f = 0; f < FAMILIES; f++)
        if (n->sockets[f].open)
            uv_close((uv_handle_t *)&n->sockets[f].udp, on_closed);
    tcp_close(base);
}

static void release(struct network *base)
{
    free(((struct udp_network *)base)->datagram);
    tcp_release(base);
}

/* Listens for datagrams where TCP listens. */
static bool listen_for_datagrams(struct udp_network *n, struct problem *problem)
{
    struct network *base = &n->tcp.base;
    struct sockaddr_storage at;
    int len = sizeof at;
    char place[512], text[80];
    int error = uv_tcp_getsockname(&n->tcp.links.listener, (struct sockaddr *)&at, &len);
    if (error == 0)
        error = open_socket(n, (struct sockaddr *)&at);
    if (error == 0)
        return true;
    network_place(base, place, sizeof place);
    network_address_text((struct sockaddr *)&at, text, sizeof text);
    return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot receive datagrams of other nodes at %s: %s", place, text,
                       uv_strerror(error));
}

bool udp_network_open(struct network **out, uv_loop_t *loop, const struct network_options *options, struct problem *problem)
{
    static const struct network_operations operations = {tcp_receive, send_frames, tcp_reborn, join,
                                                         tcp_leave,   tcp_port,    close_all,  release};
    struct udp_network *n = memory_new(1, sizeof *n);
    n->datagram = memory_new(1, DATAGRAM_SIZE_MAX);
    n->tcp.reached = on_reached;
    if (!tcp_open(&n->tcp, &operations, loop, options, problem))
        return false;
    if (!listen_for_datagrams(n, problem)) {
        network_close(&n->tcp.base, NULL, NULL);
        return false;
    }
    *out = &n->tcp.base;
    return true;
}
