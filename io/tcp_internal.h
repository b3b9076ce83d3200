/* What the three files of the network share: tcp_network.c (the face), tcp_peer.c (connections that this node made, to
 * send on), tcp_link.c (connections that others made, to receive from). */
#ifndef SYNOD_IO_TCP_INTERNAL_H
#define SYNOD_IO_TCP_INTERNAL_H

#include "io/network_transport.h"

enum {
    LINKS_MAX = 4 * PEERS_MAX, /* incoming connections at once */
    RECEIVE_SIZE = 64 * 1024,  /* of a link's buffer while frames are small */
};

/* A frame that could not be written at once, shared by all the peers that it still has to go to. */
struct parcel {
    size_t refs;
    size_t size; /* bytes of `words` */
    uint64_t words[];
};

/* Frames of one network_send: headers are made once, parcels only when somebody's socket is full. */
struct batch {
    const struct packet *frames;
    size_t count;
    uint64_t (*headers)[FRAME_HEADER_WORDS];
    struct parcel **parcels;
    size_t headers_capacity, parcels_capacity;
};

/* A connection that this node made. It outlives its peer's interest in it until libuv has called everything back. */
struct connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct tcp_network *network;
    struct peer *peer; /* NULL once given up */
    uint64_t since;    /* uv_now */
    struct parcel **queue;
    size_t head, count, capacity; /* the queue is queue[head .. head + count) */
    size_t written;               /* bytes of the first one that are gone */
    size_t writing;               /* how many of the first are with libuv */
    uint64_t bytes;
};

enum peer_state { PEER_WAITING, PEER_RESOLVING, PEER_CONNECTING, PEER_CONNECTED };

struct peer {
    struct tcp_network *network;
    const struct config_node *config; /* NULL: there is no such node */
    enum peer_state state;
    uint32_t attempt; /* dials in a row that came to nothing */
    bool was_connected;
    struct link *link;    /* where it speaks to us */
    struct connection *connection;
    uv_timer_t timer; /* WAITING: until the next dial; CONNECTING: patience */
    uv_getaddrinfo_t resolve;
};

/* A connection that somebody else made. */
struct link {
    uv_tcp_t tcp;
    struct tcp_network *network;
    struct link *next, *previous;
    struct peer *peer; /* NULL until the first frame says who it is */
    struct frame_origin origin;
    bool closing;
    char from[80];
    uint64_t *buffer;     /* a frame begins at its start, therefore on 8 bytes */
    size_t capacity, len; /* bytes */
};

struct tcp_network {
    struct network base;
    uv_loop_t *loop;
    uv_tcp_t listener;
    struct peer peers[PEERS_MAX];
    struct link *links;
    size_t links_count;
    bool paused, closing;
    struct batch batch;
    uint64_t drop_logged; /* uv_now */
    size_t open;          /* handles and requests that libuv has yet to call back about */
    void (*on_closed)(void *context);
    void *closed_context;
};

/* Counts one handle or request less; the last one of a closing network releases it. */
void tcp_released(struct tcp_network *n);

/* ---- tcp_peer.c ---- */
/* The peer of this configuration; dialed if the network sends. */
void peer_open(struct tcp_network *n, const struct config_node *config);
/* Sends the frames of the batch that are for this peer. */
void peer_send(struct peer *p, struct batch *batch);
/* The peer has just connected to us: it is there, so dial now instead of waiting. */
void peer_retry(struct peer *p);
/* A frame names its sender's life, which does not change within a connection: ends this one, and dials anew at once. */
void peer_reborn(struct peer *p);
void peer_close(struct peer *p);
void parcel_release(struct parcel *parcel);

/* ---- tcp_link.c ---- */
void link_accept(struct tcp_network *n);
void link_close(struct link *l);
void links_pause(struct tcp_network *n, bool pause);

#endif
