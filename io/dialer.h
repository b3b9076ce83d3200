/* A TCP connection that this node keeps trying to have to another node, to send on.
 *
 *   WAITING --timer, or the peer dials us--> RESOLVING --address--> CONNECTING --connected--> CONNECTED
 *      ^------------- any failure; 50 ms doubling to 1 s, and up to a quarter more ---------------'
 *
 * The extra quarter is a hash of who dials whom for the how-manieth time: nodes that lost each other at one moment do not
 * come back at one moment, and yet the same run gives the same times. */
#ifndef SYNOD_IO_DIALER_H
#define SYNOD_IO_DIALER_H

#include "io/network_transport.h"

struct dialer;

/* A part of the owner's struct for a connection. It outlives its dialer's interest in it until libuv has called everything
 * back. */
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
    /* The dialer's connection can be used. */
    void (*connected)(struct dialer *d);
    /* Frees the connection, with which libuv is done. */
    void (*release)(struct dialed *c);
};

enum dialer_state { DIALER_WAITING, DIALER_RESOLVING, DIALER_CONNECTING, DIALER_CONNECTED };

/* The first field of its owner's struct. Zero: never opened. */
struct dialer {
    const struct dialer_operations *operations;
    struct network *network;
    const struct config_node *config; /* whom it dials */
    enum dialer_state state;
    uint32_t attempt; /* dials in a row that came to nothing */
    bool was_connected;
    bool refused; /* the last time, by the peer: going on trying is no news */
    struct dialed *connection;
    uv_timer_t timer; /* WAITING: until the next dial; CONNECTING: patience */
    uv_getaddrinfo_t resolve;
};

/* The dialer of this node; it dials if the network sends. */
void dialer_open(struct dialer *d, const struct dialer_operations *operations, struct network *network,
                 const struct config_node *config);
/* The connection came to an end that this node did not want. */
void dialer_failed(struct dialer *d, const char *why);
/* The same, since the peer does not listen to this node; that is logged already. */
void dialer_refused(struct dialer *d);
/* The peer has just connected to us: it is there, so dial now instead of waiting. */
void dialer_retry(struct dialer *d);
/* Gives the connection up if there is one, and dials anew at once. */
void dialer_again(struct dialer *d);
void dialer_close(struct dialer *d);

#endif
