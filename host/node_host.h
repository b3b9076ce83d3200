/* Hosts one node: one thread, one libuv loop, one store. Nodes of a process share the engine and nothing else. */
#ifndef SYNOD_HOST_NODE_HOST_H
#define SYNOD_HOST_NODE_HOST_H

#include "host/config.h"
#include "host/engine.h"

struct node_host;

struct node_host_options {
    const struct config *config; /* outlives the host */
    uint32_t node;
    struct engine *engine;    /* outlives the host; NULL: the node runs as native code */
    const char *nodes_folder; /* where the composed nodes are */
    /* Called on the node's thread as the last thing it does. */
    void (*on_ended)(void *context);
    void *context;
    uint64_t served_ms; /* after so much service a life has no more time for a turn than usual; 0: half a minute */
};

/* Starts the node's thread. What goes wrong from then on is logged and is the exit code that node_host_join returns. */
bool node_host_start(struct node_host **out, const struct node_host_options *options, struct problem *problem);

/* Asks the node to finish: it resigns, answers what it can, and closes; after grace_period it is closed by force. Any
 * thread. */
void node_host_stop(struct node_host *h);

/* Waits until the node has ended and releases it. Returns its exit code: EXIT_OK when it was asked to stop. */
int node_host_join(struct node_host *h);

#endif
