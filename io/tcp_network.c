/* TCP between nodes: the face of the network.
 *
 * Every node dials every other one and sends on the connections it made; it receives on those that others made. Two
 * connections a pair instead of one, but no agreement about which of two to keep, no difference between the sides, and
 * a connection that refuses one direction's frames does not cut off the other. What a peer must know about a
 * connection stands in each frame (core/formats/frame.h); a greeting, a frame without a body, goes first.
 *
 *   1. A frame is encoded and its checksum computed once, however many nodes it goes to.
 *   2. It is written to each socket at once, straight from the caller's memory. Only what a socket does not take is
 *      copied, once for all peers, and queued up to `peer_queue_bytes_max` a peer; beyond, frames are dropped and counted.
 * To a peer that is not connected nothing is queued: the protocol retransmits.
 *   3. Frames that arrive are copied out of their connection's buffer into an inbox; `network_receive` hands one inbox out
 *      and lets the other be filled. Nothing is allocated for a frame once buffers have grown to what the load needs.
 *   4. Any fault in a frame closes its connection with one log line that says what and from where. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/tcp_internal.h"

void tcp_released(struct tcp_network *n)
{
    if (--n->open > 0)
        return;
    void (*on_closed)(void *) = n->on_closed;
    void *context = n->closed_context;
    inbox_close(&n->base.inbox);
    free(n->batch.headers);
    free(n->batch.parcels);
    free(n);
    if (on_closed != NULL)
        on_closed(context);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct tcp_network *n = listener->data;
    if (status < 0)
        logger_log(n->base.options.logger, LOG_WARNING, "network", "cannot accept a connection: %s", uv_strerror(status));
    else
        link_accept(n);
}

/* Binds to the first address of the name that can be had. */
static bool listen_on(struct tcp_network *n, const struct endpoint *at, struct problem *problem)
{
    char port[8], place[512];
    snprintf(port, sizeof port, "%u", at->port);
    network_place(&n->base, place, sizeof place);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t resolve;
    int error = uv_getaddrinfo(n->loop, &resolve, NULL, at->host, port, &hints);
    if (error != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot resolve %s: %s", place, at->host, uv_strerror(error));
    for (const struct addrinfo *a = resolve.addrinfo; a != NULL; a = a->ai_next) {
        error = uv_tcp_bind(&n->listener, a->ai_addr, 0);
        if (error == 0)
            break;
    }
    uv_freeaddrinfo(resolve.addrinfo);
    if (error == 0)
        error = uv_listen((uv_stream_t *)&n->listener, 128, on_connection);
    if (error != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot listen on %s port %u for other nodes: %s", place, at->host,
                           at->port, uv_strerror(error));
    return true;
}

static uint16_t port_of(const struct network *base)
{
    const struct tcp_network *n = (const struct tcp_network *)base;
    struct sockaddr_storage address;
    int len = sizeof address;
    if (uv_tcp_getsockname(&n->listener, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static struct packet_list receive_frames(struct network *base)
{
    struct tcp_network *n = (struct tcp_network *)base;
    struct packet_list frames = inbox_take(&base->inbox);
    if (n->paused && frames.len > 0)
        links_pause(n, false);
    return frames;
}

/* The headers of all frames; a frame too large to be taken by anybody is left out. Returns whom the batch goes to. */
static node_set prepare_batch(struct tcp_network *n, const struct packet *frames, size_t count)
{
    struct batch *b = &n->batch;
    b->frames = frames;
    b->count = count;
    b->headers = memory_reserve(b->headers, &b->headers_capacity, count, sizeof *b->headers);
    b->parcels = memory_reserve(b->parcels, &b->parcels_capacity, count, sizeof *b->parcels);
    node_set to = 0;
    for (size_t i = 0; i < count; i++) {
        b->parcels[i] = NULL;
        b->headers[i][0] = 0;
        if (network_too_long(&n->base, &frames[i]))
            continue;
        frame_encode(&n->base.options.origin, frames[i].words.ptr, frames[i].len, b->headers[i]);
        to |= frames[i].id;
    }
    return to & n->base.members;
}

static void send_frames(struct network *base, const struct packet *frames, size_t count)
{
    struct tcp_network *n = (struct tcp_network *)base;
    if (n->closing)
        return;
    for (node_set to = prepare_batch(n, frames, count); to != 0; to &= to - 1)
        peer_send(&n->peers[node_set_first(to)], &n->batch);
    for (size_t i = 0; i < count; i++)
        if (n->batch.parcels[i] != NULL)
            parcel_release(n->batch.parcels[i]);
}

static void greet_anew(struct network *base)
{
    struct tcp_network *n = (struct tcp_network *)base;
    for (node_set to = base->options.sends ? base->members : 0; to != 0; to &= to - 1)
        peer_reborn(&n->peers[node_set_first(to)]);
}

static void on_listener_closed(uv_handle_t *handle) { tcp_released(handle->data); }

static void close_all(struct network *base, void (*on_closed)(void *context), void *context)
{
    struct tcp_network *n = (struct tcp_network *)base;
    n->closing = true;
    n->on_closed = on_closed;
    n->closed_context = context;
    while (n->links != NULL)
        link_close(n->links);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (n->peers[i].config != NULL)
            peer_close(&n->peers[i]);
    uv_close((uv_handle_t *)&n->listener, on_listener_closed);
}

bool tcp_network_open(struct network **out, uv_loop_t *loop, const struct network_options *options, struct problem *problem)
{
    static const struct network_operations operations = {receive_frames, send_frames, greet_anew, port_of, close_all};
    const struct config_node *self = config_find(options->config, options->origin.sender);
    struct tcp_network *n = memory_new(1, sizeof *n);
    network_init(&n->base, &operations, options);
    n->loop = loop;
    n->open = 1;
    n->listener.data = n;
    uv_tcp_init(loop, &n->listener);
    if (options->receives && self->address.host[0] != '\0' && !listen_on(n, &self->address, problem)) {
        close_all(&n->base, NULL, NULL);
        return false;
    }
    for (size_t i = 0; i < options->config->node_count; i++)
        if (options->config->nodes[i].id != self->id)
            peer_open(n, &options->config->nodes[i]);
    *out = &n->base;
    return true;
}
