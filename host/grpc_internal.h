/* What the files of the gRPC network share:
 *
 *   grpc_network.c   the face: opens, closes, sends to all
 *   grpc_peer.c      connections that this node made, each with one call of Deliver
 *   grpc_link.c      connections that others made
 *   grpc_service.c   the server that speaks on these, without a socket: bytes in, bytes out
 *   grpc_session.c   an end of an HTTP/2 connection, of either kind
 *   grpc_message.c   messages */
#ifndef SYNOD_HOST_GRPC_INTERNAL_H
#define SYNOD_HOST_GRPC_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "host/grpc_message.h"
#include "io/dialer.h"
#include "io/links.h"

enum {
    GRPC_CALLS_MAX = 16,              /* on a connection that another node made */
    GRPC_WINDOW_SIZE = 4 << 20,       /* bytes that may be under way to this node on a connection, and on a stream */
    GRPC_DATA_SIZE = 256 << 10,       /* of an HTTP/2 frame */
    GRPC_FRAMES_A_DATA = 24,          /* messages, or parts of them, in one of those */
    GRPC_HEADERS_SIZE = 16 << 10,     /* of a call's headers, as this node tells its clients */
    GRPC_UNKNOWN_MESSAGE_SIZE = 4096, /* of a message of a node that is not admitted yet */
    GRPC_READ_SIZE = 64 << 10,
};

/* ---- grpc_session.c ---- */

/* One end of an HTTP/2 connection. What it has to say is gathered in pieces until the socket gets all of it at once: small
 * pieces are copied, large ones stay where they are. */
struct grpc_session {
    nghttp2_session *h2;
    uint8_t *bytes; /* copies */
    size_t len, capacity;
    struct grpc_piece {
        const void *elsewhere; /* NULL: the next ones of `bytes` */
        size_t len;
    } *pieces;
    size_t count, pieces_capacity;
    size_t total; /* bytes of all pieces */
    uv_write_t write;
    uint8_t *rest;                                          /* what the socket did not take at once; libuv has it */
    void (*on_written)(struct grpc_session *s, int status); /* it has been taken now */
    char trouble[160];                                      /* what nghttp2 says of the other end; empty: nothing */
};

/* Callbacks that both kinds of session have. */
void grpc_session_callbacks(nghttp2_session_callbacks *callbacks);
/* Says what there is to say, as long as the socket takes it. False: the connection is broken, `*why` says how.
 * `after_write`, if it is not NULL, is called whenever no piece lies elsewhere any more. */
bool grpc_session_pump(struct grpc_session *s, uv_stream_t *stream, void (*after_write)(struct grpc_session *s),
                       const char **why);
/* Tells the other end that this is the end, if the socket takes that at once. */
void grpc_session_goodbye(struct grpc_session *s, uv_stream_t *stream);
/* Adds to what is to be said. */
void grpc_session_add(struct grpc_session *s, const void *bytes, size_t len);
void grpc_session_add_elsewhere(struct grpc_session *s, const void *bytes, size_t len);
/* Whether enough has been gathered for one write. */
bool grpc_session_is_full(const struct grpc_session *s);
void grpc_session_close(struct grpc_session *s);

/* A header whose name and value stay where they are until it has been sent, which nghttp2 copies. */
nghttp2_nv grpc_header(const char *name, const char *value);

/* ---- grpc_service.c ---- */

/* A call that a peer makes to this node. */
struct grpc_call {
    struct grpc_service *service;
    struct grpc_call *next, *previous;
    int32_t id;
    bool is_post, is_grpc;
    bool ended;    /* the other end has said all */
    bool answered; /* the rest of what it says is ignored */
    char path[64];
    enum grpc_method { METHOD_UNKNOWN, METHOD_DELIVER, METHOD_STATUS } method;
    /* The message that is being received. */
    uint8_t prefix[GRPC_PREFIX_SIZE];
    size_t prefix_len;
    uint8_t *message;
    size_t message_len, message_got, message_capacity;
    uint64_t messages;
    size_t unconsumed; /* bytes that its sender may not replace by others yet */
    /* Deliver */
    bool admitted;
    struct frame_origin origin;
    uint64_t frames, bytes;
    /* The answer. */
    uint8_t *reply;
    size_t reply_len, reply_sent;
};

/* The server on one connection. */
struct grpc_service {
    struct grpc_session session; /* first, for callbacks */
    struct grpc_network *network;
    const char *from; /* where the other end is */
    struct grpc_call *calls;
    size_t unconsumed; /* of calls that are over */
    /* Called when it has something to say, though nothing has come in. */
    void (*on_output)(struct grpc_service *s);
};

/* `from` outlives the service. */
void grpc_service_open(struct grpc_service *s, struct grpc_network *network, const char *from);
/* Takes bytes of the other end. False: the connection is over, and one log line says why. */
bool grpc_service_take(struct grpc_service *s, const uint8_t *bytes, size_t len);
/* The inbox has been emptied: the other end may send more. */
void grpc_service_resume(struct grpc_service *s);
/* Whether nothing is to be said or heard any more. Logs what was wrong with what was heard, if it did not yet. */
bool grpc_service_is_over(struct grpc_service *s);
/* Ends a call with an error that says why. */
void grpc_call_end(struct grpc_call *c, const char *why);
/* Whether any call is of an admitted node. */
bool grpc_service_is_known(const struct grpc_service *s);
void grpc_service_close(struct grpc_service *s);

/* ---- grpc_link.c ---- */

/* A connection that a peer made. */
struct grpc_link {
    struct link link;
    struct grpc_service service;
};

/* A network's links are these. */
extern const struct link_operations grpc_link_operations;
/* Goes on receiving after a pause. */
void grpc_links_resume(struct grpc_network *n);

/* ---- grpc_peer.c ---- */

/* A frame that could not be written at once, shared by all the peers that it still has to go to. */
struct grpc_parcel {
    size_t refs;
    uint8_t bytes[];
};

/* Frames of one network_send: heads are made once, parcels only when some socket or window is full. */
struct grpc_batch {
    const struct packet *frames;
    size_t count;
    struct grpc_head *heads; /* of no length: left out */
    struct grpc_parcel **parcels;
    size_t heads_capacity, parcels_capacity;
};

/* Another node, or one that was or may be; its dialer says. */
struct grpc_peer {
    struct dialer dialer;
    struct grpc_call *call;       /* with which it speaks to us */
    struct frame_origin admitted; /* its origin when its greeting was last accepted; zero: never */
};

void grpc_peer_open(struct grpc_network *n, const struct config_node *config);
/* Ends its connection and its call: the node does not belong to the cluster any more, or is another instance of it now. */
void grpc_peer_leave(struct grpc_peer *p);
/* Sends the frames of the batch that are for this peer. */
void grpc_peer_send(struct grpc_peer *p, struct grpc_batch *batch);
void grpc_parcel_release(struct grpc_parcel *parcel);
/* Asks whether the peer is still there; one that did not answer the last time is not. */
void grpc_peer_ping(struct grpc_peer *p);
/* Another life: ends the connection, and dials anew at once. */
void grpc_peer_reborn(struct grpc_peer *p);
void grpc_peer_close(struct grpc_peer *p);

/* ---- grpc_network.c ---- */

struct grpc_network {
    struct network base;
    struct links links;
    uv_timer_t timer; /* of pings */
    struct grpc_peer peers[PEERS_MAX];
    struct grpc_batch batch;
    struct grpc_arena arena;
    uint8_t *buffer; /* GRPC_READ_SIZE bytes, for what is being read */
};

#endif
