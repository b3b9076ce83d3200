/* TCP between nodes: the face of the network.
 *
 * Every node dials every other one. It sends on the connections that it made, and receives on those that others made. That
 * takes two connections for each pair instead of one. But the nodes need not agree about which one to keep, both sides work
 * alike, and a connection that fails in one direction does not cut off the other. What a peer must know about a connection
 * is in each frame (core/formats/frame.h). A greeting with the governed settings comes first.
 *
 *   1. A frame is encoded and its checksum computed once, however many nodes it goes to.
 *   2. It is written to each socket at once, directly from the caller's memory. Only what a socket does not take is
 *      copied, once for all peers, and queued up to `peer_queue_bytes_max` for each peer. Beyond that frames are dropped
 *      and counted. Nothing is queued for a peer that is not connected: the protocol retransmits.
 *   3. Frames that arrive are copied out of their connection's buffer into an inbox. `network_receive` hands out one inbox
 *      while the other is filled. Nothing is allocated for a frame once buffers have grown to what the load needs.
 *   4. Any fault in a frame closes its connection, with one log line that says what and from where. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/tcp_internal.h"

uint16_t tcp_port(const struct network *base)
{
    return network_listener_port(&((const struct tcp_network *)base)->links.listener);
}

struct packet_list tcp_receive(struct network *base)
{
    struct packet_list frames = inbox_take(&base->inbox);
    if (base->paused)
        tcp_links_pause((struct tcp_network *)base, false);
    return frames;
}

node_set tcp_batch_prepare(struct tcp_network *n, const struct packet *frames, size_t count)
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

void tcp_batch_send(struct tcp_network *n, node_set to)
{
    for (; to != 0; to &= to - 1)
        peer_send(&n->peers[node_set_first(to)], &n->batch);
    for (size_t i = 0; i < n->batch.count; i++)
        if (n->batch.parcels[i] != NULL)
            parcel_release(n->batch.parcels[i]);
}

static void send_frames(struct network *base, const struct packet *frames, size_t count)
{
    struct tcp_network *n = (struct tcp_network *)base;
    if (!base->closing)
        tcp_batch_send(n, tcp_batch_prepare(n, frames, count));
}

void tcp_reborn(struct network *base)
{
    struct tcp_network *n = (struct tcp_network *)base;
    for (node_set to = base->options.sends ? base->members : 0; to != 0; to &= to - 1)
        peer_reborn(&n->peers[node_set_first(to)]);
}

void tcp_join(struct network *base, uint32_t id) { peer_open((struct tcp_network *)base, &base->roster.nodes[id]); }

void tcp_leave(struct network *base, uint32_t id) { peer_leave(&((struct tcp_network *)base)->peers[id]); }

void tcp_close(struct network *base)
{
    struct tcp_network *n = (struct tcp_network *)base;
    links_close(&n->links);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (dialer_is_open(&n->peers[i].dialer))
            dialer_close(&n->peers[i].dialer);
}

void tcp_release(struct network *base)
{
    struct tcp_network *n = (struct tcp_network *)base;
    free(n->batch.headers);
    free(n->batch.parcels);
    free(n);
}

bool tcp_open(struct tcp_network *n, const struct network_operations *operations, uv_loop_t *loop,
              const struct network_options *options, struct problem *problem)
{
    network_init(&n->base, operations, loop, options);
    if (!links_open(&n->links, &n->base, &tcp_link_operations, problem)) {
        network_close(&n->base, NULL, NULL);
        return false;
    }
    network_join_all(&n->base);
    return true;
}

bool tcp_network_open(struct network **out, uv_loop_t *loop, const struct network_options *options, struct problem *problem)
{
    static const struct network_operations operations = {tcp_receive, send_frames, tcp_reborn, tcp_join,
                                                         tcp_leave,   tcp_port,    tcp_close,  tcp_release};
    struct tcp_network *n = memory_new(1, sizeof *n);
    if (!tcp_open(n, &operations, loop, options, problem))
        return false;
    *out = &n->base;
    return true;
}
