/* The common part of every transport (the first field of its struct is a struct network): which nodes may speak, what has
 * arrived, what is counted, and which handles libuv still uses. Only transports include this. */
#ifndef SYNOD_IO_NETWORK_TRANSPORT_H
#define SYNOD_IO_NETWORK_TRANSPORT_H

#include "io/governed.h"
#include "io/inbox.h"
#include "io/network.h"

enum {
    PEERS_MAX = NODE_ID_MAX + 1,
    NETWORK_WHY_SIZE = 240,
    REFUSAL_WORDS = 1 + NETWORK_WHY_SIZE / 8, /* of the frame that says why a node is refused */
};

/* As the functions of the same names in io/network.h. */
struct network_operations {
    struct packet_list (*receive)(struct network *n);
    void (*send)(struct network *n, const struct packet *frames, size_t count);
    /* `options` has the new origin already. */
    void (*reborn)(struct network *n);
    /* A node that this one is to speak with, from now on, at n->roster.nodes[id]; and one that it speaks with no more:
     * that one may come again. */
    void (*join)(struct network *n, uint32_t id);
    void (*leave)(struct network *n, uint32_t id);
    uint16_t (*port)(const struct network *n);
    void (*close)(struct network *n);
    /* Frees the transport and the network itself: libuv is done with all of it. */
    void (*release)(struct network *n);
};

struct network {
    const struct network_operations *operations;
    uv_loop_t *loop;
    struct network_options options;
    struct network_statistics statistics;
    struct roster roster;
    struct roster hearsay;            /* network_hearsay; slot 0: nothing was said */
    node_set members;                 /* all other nodes that belong to `roster` */
    node_set heard;                   /* nodes that have greeted on a connection to this one, which goes on */
    uint32_t incarnations[PEERS_MAX]; /* of each, the highest heard of */
    uint8_t instances[PEERS_MAX][16]; /* of each that was heard of, the instance */
    struct inbox inbox;
    bool paused; /* the inbox is full: connections are not read on until it is taken */
    /* The beginning of each connection: the governed settings; once the cluster has formed, the newest configuration's
     * slot. */
    uint64_t greeting[GOVERNED_TEXT_MAX / sizeof(uint64_t)];
    uint32_t greeting_len;
    node_set refused_life;                   /* nodes that refused this node's life */
    node_set refused_member;                 /* nodes that know that this node, or this disk of it, is no member any more */
    node_set refused_governed;               /* nodes that refused its governed settings */
    uint64_t refused_governed_at[PEERS_MAX]; /* and when they last did, uv_now */
    bool expelled;
    uint64_t said[PEERS_MAX]; /* checksum of what was last logged about each node */
    uint64_t drop_logged;     /* uv_now */
    bool closing;
    size_t open; /* handles and requests that libuv still has to call back about */
    void (*on_closed)(void *context);
    void *closed_context;
};

void network_init(struct network *n, const struct network_operations *operations, uv_loop_t *loop,
                  const struct network_options *options);

/* Calls `join` for each other node. To be called once, when the transport is open. */
void network_join_all(struct network *n);

/* Counts one handle or request less. The last one of a closing network releases it. */
void network_released(struct network *n);

/* Why a node refuses another one. It tells that node, which may have to end (network_refused_by). */
enum network_refusal {
    REFUSAL_NONE,
    REFUSAL_OTHER,    /* for any other reason */
    REFUSAL_LIFE,     /* a life of it is known that this one is not, and does not come after */
    REFUSAL_GOVERNED, /* its governed settings differ */
    REFUSAL_MEMBER,   /* it was removed, or its disk was replaced */
    REFUSAL_EARLY,    /* it is not yet a member, as far as is known here: it will be heard later */
    REFUSALS
};

/* Whether this sender, which has greeted with these bytes, may be listened to (P12). If not, `why` says what is wrong with
 * it. If its life is later than the one heard before, that is noted in the inbox (inbox_add_resignation). */
enum network_refusal network_admit(struct network *n, const struct frame_origin *origin, const void *greeting, size_t len,
                                   char *why, size_t size);

/* How loud it is logged that `sender` is refused. It comes again and again, and is loud when that is news. One that is early
 * is no trouble. */
uint32_t network_refusal_level(struct network *n, uint32_t sender, enum network_refusal refusal, const char *why);

/* Where a node is by hearsay; NULL: nothing is said of it that is not known. */
const struct endpoint *network_place_by_hearsay(const struct network *n, uint32_t id);

/* The first frame of each connection to `peer`. Its words stay the network's. */
struct packet network_greeting(struct network *n, uint32_t peer);

/* Another node, which this one dialled, refuses to listen to it. */
void network_refused_by(struct network *n, uint32_t peer, enum network_refusal refusal, const char *why);

/* The process that was this life of a node is not there any more (P28). False: that cannot be said now, because this node
 * hears no quorum. */
bool network_gone(struct network *n, const struct frame_origin *peer);

/* Copies text that came from outside so that it may stand in a log line. */
void network_clean_text(char *out, size_t size, const char *text, size_t len);

/* Checks for a frame that is longer than any node takes. It must not be sent: counts it, logs it, and returns true. */
bool network_too_long(struct network *n, const struct packet *frame);

/* A frame for this node is dropped, because what waits for it has reached peer_queue_bytes_max: counts it, and logs it once
 * a second. */
void network_queue_full(struct network *n, uint32_t peer);

/* Where this node's own address was configured, for errors: "key 'address' of node 3" for instance. */
void network_place(const struct network *n, char *out, size_t size);

/* Listens for connections on the first usable one of this node's addresses. */
bool network_listen(struct network *n, uv_tcp_t *listener, uv_connection_cb on_connection, struct problem *problem);
/* The port that it listens on. */
uint16_t network_listener_port(const uv_tcp_t *listener);

/* "192.0.2.7 port 4711". */
void network_address_text(const struct sockaddr *address, char *out, size_t size);
/* The same for the other end of a connection. */
void network_peer_text(const uv_tcp_t *tcp, char *out, size_t size);

/* Whether two frames come from the same life of the same node. */
bool network_same_origin(const struct frame_origin *a, const struct frame_origin *b);

#endif
