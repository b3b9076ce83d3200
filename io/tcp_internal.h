/* Declarations shared by the files of the TCP network: tcp_network.c (the face), tcp_peer.c (connections that this node
 * made, to send on), tcp_link.c (connections that others made, to receive from). udp_network.c uses some of it. */
#ifndef SYNOD_IO_TCP_INTERNAL_H
#define SYNOD_IO_TCP_INTERNAL_H

#include "io/dialer.h"
#include "io/links.h"

enum { RECEIVE_SIZE = 64 * 1024 }; /* of a link's buffer while frames are small */

/* A frame that could not be written at once, shared by all the peers that it still has to go to. */
struct parcel {
    size_t refs;
    size_t size; /* bytes of `words` */
    uint64_t words[];
};

/* Frames of one network_send. Headers are made once, parcels only when some socket is full. */
struct batch {
    const struct packet *frames;
    size_t count;
    uint64_t (*headers)[FRAME_HEADER_WORDS];
    struct parcel **parcels;
    size_t headers_capacity, parcels_capacity;
};

/* A connection that this node made. */
struct connection {
    struct dialed dialed;
    uv_write_t write;
    struct parcel **queue;
    size_t head, count, capacity; /* the queue is queue[head .. head + count) */
    size_t written;               /* bytes of the first one that are written */
    size_t writing;               /* how many of the first ones libuv has */
    uint64_t bytes;
    uint64_t said[FRAME_HEADER_WORDS + REFUSAL_WORDS]; /* what the other side answers: why it refuses this node */
    size_t said_len;
};

/* Another node, or one that was or may be; its dialer says. */
struct peer {
    struct dialer dialer;         /* of its connection, a struct connection */
    struct tcp_link *link;        /* the connection on which it sends to us */
    struct frame_origin admitted; /* its origin when its greeting was last accepted; zero: never */
};

/* A connection that another node made. */
struct tcp_link {
    struct link link;
    struct tcp_network *network;
    struct peer *peer; /* NULL until the first frame names the peer */
    struct frame_origin origin;
    uint64_t *buffer;     /* begins with a frame, so frames are 8-aligned */
    size_t capacity, len; /* bytes */
};

struct tcp_network {
    struct network base;
    struct links links;
    struct peer peers[PEERS_MAX];
    struct batch batch;
    /* Of a network that sends little over its connections, and so does not notice when one is dead: called when a connection
     * to this peer was made. NULL: it sends everything over them. */
    void (*reached)(struct peer *p);
};

/* ---- tcp_network.c ---- */
/* Opens the zeroed network at `n`, which operations->release frees. False: it is closed again. */
bool tcp_open(struct tcp_network *n, const struct network_operations *operations, uv_loop_t *loop,
              const struct network_options *options, struct problem *problem);
/* Sets the batch up with the headers of all frames. A frame that is too long to be sent gets zeros, and peers leave out
 * frames whose header begins with zero. Returns the nodes that it goes to. */
node_set tcp_batch_prepare(struct tcp_network *n, const struct packet *frames, size_t count);
/* Sends the batch, which is not needed afterwards. */
void tcp_batch_send(struct tcp_network *n, node_set to);
/* The operations. */
struct packet_list tcp_receive(struct network *base);
void tcp_reborn(struct network *base);
void tcp_join(struct network *base, uint32_t id);
void tcp_leave(struct network *base, uint32_t id);
uint16_t tcp_port(const struct network *base);
void tcp_close(struct network *base);
void tcp_release(struct network *base);

/* ---- tcp_peer.c ---- */
/* Opens the peer of this configuration; it is dialled if the network sends. */
void peer_open(struct tcp_network *n, const struct config_node *config);
/* Ends both connections: the node does not belong to the cluster any more, or is another instance of it now. */
void peer_leave(struct peer *p);
/* Sends the frames of the batch that are for this peer. */
void peer_send(struct peer *p, struct batch *batch);
/* Ends the connection and dials again at once, because frames name their sender's life, and that does not change within a
 * connection. Or because the peer begins another life, and the connection is to the one before: if its machine lost power,
 * nothing has ended that connection, and only a greeting makes the new life hear this node's datagrams. */
void peer_reborn(struct peer *p);
void parcel_release(struct parcel *parcel);

/* ---- tcp_link.c ---- */
/* A network's links are these. */
extern const struct link_operations tcp_link_operations;
/* Takes `len` bytes more, which were read to the end of its buffer's first `len` bytes. That may close the link. */
void tcp_link_take(struct tcp_link *l, size_t len);
void tcp_links_pause(struct tcp_network *n, bool pause);

#endif
