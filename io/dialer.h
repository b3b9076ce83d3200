/* A TCP connection to another node, to send on, which this node makes again whenever it ends.
 *
 *   WAITING --timer, or the peer dials us--> RESOLVING --address--> CONNECTING --connected--> CONNECTED
 *    |   ^------------- any failure; 50 ms doubling to 1 s, and up to a quarter more ---------------'
 *    '-- from IDLE, and from each of them back to it, as the node is one to speak with or not
 *
 * When the last connection with a node that was heard has ended, whichever of them made it, the node is *missed*: it is
 * dialled at once (P28). If that is refused, by all addresses that it may have, no process listens there, and it is gone. An
 * end alone, a dial that is not answered, or one that fails in another way, say nothing about the process. A process that is
 * just ending may still take connections, so a missed node is dialled a few times in short order. It is dialled even by a
 * network that does not send, which ends a connection that it gets at once.
 *
 * The extra quarter is a hash of the two nodes and the number of the attempt. So nodes that lost each other at the same
 * moment do not come back at the same moment, and still the same run gives the same times. */
#ifndef SYNOD_IO_DIALER_H
#define SYNOD_IO_DIALER_H

#include "io/network_transport.h"

struct dialer;

/* The first part of the owner's struct for a connection. It stays until libuv has made all its callbacks, which may be later
 * than its dialer needs it. */
struct dialed {
    uv_tcp_t tcp; /* its `data` is this struct */
    uv_connect_t connect;
    struct dialer *dialer;
    bool given_up;
    uint64_t since; /* uv_now */
};

struct dialer_operations {
    /* Memory for a connection, zeroed. */
    struct dialed *(*make)(void);
    /* The dialer's connection is ready for use. */
    void (*connected)(struct dialer *d);
    /* No connection with the node is left, and nothing listens where it is. False: ask again when it has refused again. */
    bool (*gone)(struct dialer *d);
    /* Frees the connection; libuv is done with it. */
    void (*release)(struct dialed *c);
};

enum dialer_state { DIALER_IDLE, DIALER_WAITING, DIALER_RESOLVING, DIALER_CONNECTING, DIALER_CONNECTED };

/* The first field of its owner's struct. Zero: never opened. */
struct dialer {
    const struct dialer_operations *operations;
    struct network *network;
    const struct config_node *config; /* the node that it dials */
    enum dialer_state state;
    uint32_t attempt;                                                                    /* dials in a row that failed */
    enum dialer_presence { PRESENCE_UNKNOWN, PRESENCE_HEARD, PRESENCE_MISSED } presence; /* of the node's process */
    uint32_t looks;             /* MISSED: dials that came soon after the one before */
    uint32_t refusals, choices; /* MISSED: dials in a row that were refused; how many it takes to try all addresses */
    bool was_connected;
    bool refused; /* by the peer, the last time: further attempts are not logged */
    struct dialed *connection;
    uv_timer_t timer; /* WAITING: until the next dial; CONNECTING: the time-out */
    uv_getaddrinfo_t resolve;
    enum dialer_lookup { LOOKUP_NONE, LOOKUP_RUNS, LOOKUP_IS_STALE } lookup; /* of an address */
};

/* Whether it was ever opened: then it must be closed. */
static inline bool dialer_is_open(const struct dialer *d) { return d->operations != NULL; }

/* Opens a dialer to this node, again after dialer_idle. If the network does not send, it dials only a node that it misses.
 * `config` stays as it is until dialer_idle. */
void dialer_open(struct dialer *d, const struct dialer_operations *operations, struct network *network,
                 const struct config_node *config);
/* The connection ended, and this node did not want that. */
void dialer_failed(struct dialer *d, const char *why);
/* The same, because the peer refuses this node; that is logged already. */
void dialer_refused(struct dialer *d);
/* The peer has just connected to us, so it is there: dials now instead of waiting. */
void dialer_heard(struct dialer *d);
/* That connection has ended, and there is no other one that it has made. */
void dialer_unheard(struct dialer *d);
/* Ends the connection if there is one, and dials again at once. */
void dialer_again(struct dialer *d);
/* Ends the connection, and dials no more. */
void dialer_idle(struct dialer *d);
void dialer_close(struct dialer *d);

#endif
