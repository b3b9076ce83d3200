/* The ports of a node in its host: TCP, the client port, the journal, the snapshots. */
#ifndef SYNOD_HOST_NODE_PORTS_H
#define SYNOD_HOST_NODE_PORTS_H

#include "host/journal.h"
#include "host/ports.h"
#include "host/snapshots.h"
#include "io/client_server.h"
#include "io/logger.h"
#include "io/network.h"

struct node_ports {
    struct ports ports;            /* node_ports_init */
    struct network *network;       /* NULL: it is in the sandbox with the node; nothing arrives, nothing leaves */
    struct client_server *clients; /* NULL: the node has no client port, or brings its own */
    struct journal *journal;       /* NULL: storage is in the sandbox, too */
    struct snapshots *snapshots;   /* the same */
    /* Where configurations of the cluster come from and go to (core/runners/ports.h); NULL: there are none. */
    struct packet_list (*given)(void *context);
    void (*known)(void *context, const struct packet *configuration);
    void *members;
    struct logger *logger;
    bool configure; /* the node is asked to take configurations */
    bool stopping;  /* the node is asked to finish; no commands are taken any more */
    bool crash;     /* the node is asked to crash */
    bool silent;    /* its journal cannot be read: what it says has no effect */
    int exit_code;  /* EXIT_OK, until a part says that the node cannot go on and its process ends with this */
    uint64_t leader;
    struct credit credit; /* batches the node would take, when it last asked for commands */
    uint64_t slot;  /* how far it has got, as far as this tells: in a record that it appended, or a status that it told */
    uint32_t asked; /* how often the node has asked what is wanted of it, since this was set to 0 */
    uint8_t role;   /* enum role */
};

/* Ports of a node of this role (enum role), which lead nowhere yet: the other fields are the caller's to fill in, and what
 * they point to stays the caller's. */
void node_ports_init(struct node_ports *p, uint8_t role);

/* A part cannot go on; the first one counts. `code` comes from a component: any number. */
void node_ports_fail(struct node_ports *p, uint64_t code);

/* Another life begins at the same ports. */
void node_ports_reset(struct node_ports *p);

#endif
