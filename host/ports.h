/* The native side of core/runners/ports.h: what a node's runner reaches outside, be it linked in or in a component. */
#ifndef SYNOD_HOST_PORTS_H
#define SYNOD_HOST_PORTS_H

#include "core/runners/ports.h"
#include "host/client_server.h"
#include "host/journal.h"
#include "host/logger.h"
#include "host/network.h"

struct ports {
    struct network *network;
    struct client_server *clients; /* NULL: the node has no client port */
    struct journal *journal;
    struct logger *logger;
    bool stopping;  /* the node is asked to finish; no commands are taken any more */
    bool recovered; /* every record found at start has been given to the node */
    uint64_t leader;
    uint64_t credit; /* batches the node would take, when it last asked for commands */
};

#endif
