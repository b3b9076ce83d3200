/* gRPC between nodes: the face of the network.
 *
 * As with TCP (io/tcp_network.c), every node dials every other one and sends on the connections it made; it receives on
 * those that others made. A connection carries one call of Deliver, whose first message greets. Any other client may
 * connect too, and ask for the Status.
 *
 *   1. A frame is encoded once, however many nodes it goes to; its body is copied only for those whose socket or HTTP/2
 *      window is full, and queued up to `peer_queue_bytes_max` a peer. Beyond, frames are dropped and counted. To a peer
 *      that is not connected nothing is queued: the protocol retransmits.
 *   2. While the inbox holds more than `peer_queue_bytes_max`, no peer is told that it may send more (HTTP/2's flow
 *      control); what is under way then, up to one window from each peer, is still taken.
 *   3. A peer is asked for a sign of life (PING) every PING_MS.
 *   4. Both ends of a connection say GOAWAY before they close it. */
#include "host/grpc_network.h"

#include <stdlib.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

enum { PING_MS = 5000 };

static uint16_t port(const struct network *base)
{
    return network_listener_port(&((const struct grpc_network *)base)->links.listener);
}

static struct packet_list receive(struct network *base)
{
    struct packet_list frames = inbox_take(&base->inbox);
    if (base->paused)
        grpc_links_resume((struct grpc_network *)base);
    return frames;
}

/* The heads of all frames; a frame that is too large for any node is left out. Returns whom the batch goes to. */
static node_set prepare_batch(struct grpc_network *n, const struct packet *frames, size_t count)
{
    struct grpc_batch *b = &n->batch;
    b->frames = frames;
    b->count = count;
    b->heads = memory_reserve(b->heads, &b->heads_capacity, count, sizeof *b->heads);
    b->parcels = memory_reserve(b->parcels, &b->parcels_capacity, count, sizeof *b->parcels);
    node_set to = 0;
    for (size_t i = 0; i < count; i++) {
        b->parcels[i] = NULL;
        b->heads[i].len = 0;
        if (network_too_long(&n->base, &frames[i]))
            continue;
        grpc_frame_encode(&n->base.options.origin, frames[i].words.ptr, frames[i].len, &b->heads[i]);
        to |= frames[i].id;
    }
    return to & n->base.members;
}

static void send_frames(struct network *base, const struct packet *frames, size_t count)
{
    struct grpc_network *n = (struct grpc_network *)base;
    if (base->closing)
        return;
    for (node_set to = prepare_batch(n, frames, count); to != 0; to &= to - 1)
        grpc_peer_send(&n->peers[node_set_first(to)], &n->batch);
    for (size_t i = 0; i < count; i++)
        if (n->batch.parcels[i] != NULL)
            grpc_parcel_release(n->batch.parcels[i]);
}

static void greet_anew(struct network *base)
{
    struct grpc_network *n = (struct grpc_network *)base;
    for (node_set to = base->options.sends ? base->members : 0; to != 0; to &= to - 1)
        grpc_peer_reborn(&n->peers[node_set_first(to)]);
}

static void join(struct network *base, uint32_t id) { grpc_peer_open((struct grpc_network *)base, &base->roster.nodes[id]); }

static void leave(struct network *base, uint32_t id) { grpc_peer_leave(&((struct grpc_network *)base)->peers[id]); }

static void on_timer(uv_timer_t *timer)
{
    struct grpc_network *n = timer->data;
    for (node_set all = n->base.members; all != 0; all &= all - 1)
        grpc_peer_ping(&n->peers[node_set_first(all)]);
}

static void on_closed(uv_handle_t *handle) { network_released(&((struct grpc_network *)handle->data)->base); }

static void close_all(struct network *base)
{
    struct grpc_network *n = (struct grpc_network *)base;
    links_close(&n->links);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (dialer_is_open(&n->peers[i].dialer))
            grpc_peer_close(&n->peers[i]);
    uv_close((uv_handle_t *)&n->timer, on_closed);
}

static void release(struct network *base)
{
    struct grpc_network *n = (struct grpc_network *)base;
    grpc_arena_close(&n->arena);
    free(n->batch.heads);
    free(n->batch.parcels);
    free(n->buffer);
    free(n);
}

bool grpc_network_open(struct network **out, uv_loop_t *loop, const struct network_options *options, struct problem *problem)
{
    static const struct network_operations operations = {receive, send_frames, greet_anew, join,
                                                         leave,   port,        close_all,  release};
    struct grpc_network *n = memory_new(1, sizeof *n);
    network_init(&n->base, &operations, loop, options);
    n->buffer = memory_new(1, GRPC_READ_SIZE);
    n->timer.data = n;
    uv_timer_init(loop, &n->timer);
    n->base.open++;
    if (!links_open(&n->links, &n->base, &grpc_link_operations, problem)) {
        network_close(&n->base, NULL, NULL);
        return false;
    }
    network_join_all(&n->base);
    uv_timer_start(&n->timer, on_timer, PING_MS, PING_MS);
    *out = &n->base;
    return true;
}
