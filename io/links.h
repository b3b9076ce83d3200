/* Connections that other nodes make to this one, in a transport that receives on them. A link is the transport's: it begins
 * with a struct link. */
#ifndef SYNOD_IO_LINKS_H
#define SYNOD_IO_LINKS_H

#include "io/network_transport.h"

enum { LINKS_MAX = 4 * PEERS_MAX }; /* at once */

struct link {
    uv_tcp_t tcp;
    struct links *links;
    struct link *next, *previous;
    bool closing;
    char from[80]; /* "192.0.2.7 port 4711" */
};

struct link_operations {
    size_t size;                            /* of the transport's link */
    void (*opened)(struct link *l);         /* it is zeroed, and nothing is connected to it yet */
    void (*accepted)(struct link *l);       /* it is connected now */
    bool (*is_known)(const struct link *l); /* whether a node has said on it which one it is */
    void (*closing)(struct link *l);        /* it is about to be closed */
    void (*closed)(struct link *l);         /* frees what the link has; it is freed itself afterwards */
};

struct links {
    struct network *network;
    const struct link_operations *operations;
    uv_tcp_t listener;
    struct link *first; /* the newest */
    size_t count;
};

/* Opens the zeroed links of `network`, and listens if this node receives and has an address. False: they have to be closed,
 * with the network. */
bool links_open(struct links *links, struct network *network, const struct link_operations *operations,
                struct problem *problem);
/* Closes them all, and the listener. The network is released after the last has been closed. */
void links_close(struct links *links);
/* A link that nothing is connected to yet. If there are too many, the oldest that no node speaks on is closed. */
struct link *link_new(struct links *links);
/* Closes it, unless that has been done. */
void link_close(struct link *l);

#endif
