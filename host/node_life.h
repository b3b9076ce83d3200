/* The two lives in which a host runs a node: its component in Wasmtime, or the same C linked in. The ports are the same. */
#ifndef SYNOD_HOST_NODE_LIFE_H
#define SYNOD_HOST_NODE_LIFE_H

#include "core/base/types.h"
#include "host/engine.h"
#include "host/ports.h"
#include "host/problem.h"

struct node_life;

struct node_life_operations {
    /* One turn at `now`; *deadline: when the next one is due at the latest. False: the node is broken and only freed. */
    bool (*turn)(struct node_life *life, uint64_t now, uint64_t *deadline, struct problem *problem);
    bool (*status)(struct node_life *life, struct node_status *status, struct problem *problem);
    void (*free)(struct node_life *life);
};

struct node_life {
    const struct node_life_operations *operations;
    const char *name; /* "native" or "wasm" */
};

/* The node as native code. */
bool node_native_new(struct node_life **out, const struct node_config *config, struct ports *ports, struct problem *problem);

struct node_wasm_options {
    struct engine *engine;
    const char *file;          /* a component that exports synod:paxos/runner */
    uint64_t memory_bytes_max; /* of each linear memory */
    uint64_t turn_timeout;     /* microseconds */
};

/* The node as a component. One that imports what this host does not give is refused by the import's name. */
bool node_wasm_new(struct node_life **out, const struct node_wasm_options *options, const struct node_config *config,
                   struct ports *ports, struct problem *problem);

#endif
