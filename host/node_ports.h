/* The ports of a node in its host: TCP, the client port, the journal. */
#ifndef SYNOD_HOST_NODE_PORTS_H
#define SYNOD_HOST_NODE_PORTS_H

#include "io/client_server.h"
#include "host/journal.h"
#include "io/logger.h"
#include "io/network.h"
#include "host/ports.h"

struct node_ports {
    struct ports ports; /* node_ports_init */
    struct network *network;
    struct client_server *clients; /* NULL: the node has no client port */
    struct journal *journal;
    struct logger *logger;
    bool stopping;  /* the node is asked to finish; no commands are taken any more */
    bool recovered; /* every record found at start has been given to the node */
    uint64_t leader;
    uint64_t credit; /* batches the node would take, when it last asked for commands */
};

/* Ports that lead nowhere yet: the fields are the caller's to fill in, and what they point to stays the caller's. */
void node_ports_init(struct node_ports *p);

#endif
