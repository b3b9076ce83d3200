/* The two lives in which a host runs a node: its component in Wasmtime, or the same C linked in. The ports are the same.
 *
 * A life is made ahead of time, as a spare, and starts when it is needed:
 *
 *   node_wasm_new or node_native_new -> start -> turn, turn, status, turn ... -> free
 *                                  or         -> run: a node that brings its own loop; returns when it ends
 *
 * Where storage is in the sandbox, `open_identity` comes before start: the configuration needs the incarnation. */
#ifndef SYNOD_HOST_NODE_LIFE_H
#define SYNOD_HOST_NODE_LIFE_H

#include "core/base/types.h"
#include "host/engine.h"
#include "host/ports.h"
#include "io/config.h"
#include "io/data_folder.h"
#include "io/problem.h"

struct node_life;

struct node_life_operations {
    /* Begins: the first call, once. False: it cannot be used, and is only freed. */
    bool (*start)(struct node_life *life, const struct node_config *config, struct problem *problem);
    /* One turn at `now`; *deadline: when the next one is due at the latest. False: the node is broken and only freed. */
    bool (*turn)(struct node_life *life, uint64_t now, uint64_t *deadline, struct problem *problem);
    bool (*status)(struct node_life *life, struct node_status *status, struct problem *problem);
    /* For tests; NULL: it cannot be looked into. Traps unless everything that the node counts is what it holds. */
    void (*audit)(struct node_life *life);
    /* NULL unless the network is in the sandbox: turns and all, until the node ends as it was told to. `start` is not called
     * then. False: it broke. */
    bool (*run)(struct node_life *life, struct problem *problem);
    /* NULL unless storage is in the sandbox: opens the data folder there, which is one boot more. */
    bool (*open_identity)(struct node_life *life, struct frame_origin *origin, struct problem *problem);
    /* As data_folder_accept_peer. Never from within a turn. */
    enum peer_verdict (*accept_peer)(struct node_life *life, const struct frame_origin *peer);
    /* As open_identity: the node has ended in good order. Gives the folder back; the life is only freed after that. */
    bool (*close_identity)(struct node_life *life, struct problem *problem);
    /* NULL: nothing ends its calls. From now on a turn may compute for so many microseconds. Between calls, and in
     * loop_run. */
    void (*allow)(struct node_life *life, uint64_t turn_timeout);
    /* NULL: it cannot. Ends the call that the life is in, as soon as it computes: that returns false then. Any thread. */
    void (*interrupt)(struct node_life *life);
    void (*free)(struct node_life *life);
};

struct node_life {
    const struct node_life_operations *operations;
    const char *name; /* "native" or "wasm" */
    const char
        *fault; /* once a call has returned false: why, in one word, such as "trap" or "deadline"; NULL: no one knows */
};

/* What a part in the sandbox asks of its host beyond the runner's ports (`settings`, `identity` and `host-loop`
 * of wit/). The host of a node gives it functions. */
struct surroundings;
struct surroundings_operations {
    /* The configuration as the guest gets it; valid until the next call. */
    struct packet_list (*settings)(struct surroundings *s);
    /* Who this node is, where storage is the host's. */
    const struct frame_origin *(*origin)(struct surroundings *s);
    enum peer_verdict (*accept_peer)(struct surroundings *s, const struct frame_origin *peer);
    /* A file descriptor that is readable when the host's loop has something to do. */
    int (*loop_fd)(struct surroundings *s);
    /* Does it, without waiting. Within how many microseconds it wants to be called again at the latest. */
    uint64_t (*loop_run)(struct surroundings *s);
    /* What a part that is made to break must do now (host/faults.h). */
    uint64_t (*fault)(struct surroundings *s, uint64_t part);
    /* The sandbox refused something; one line for the log. Any thread. */
    void (*refused)(struct surroundings *s, const char *what);
};
struct surroundings {
    const struct surroundings_operations *operations;
};

/* The node as native code. */
bool node_native_new(struct node_life **out, struct ports *ports, struct problem *problem);

struct node_wasm_options {
    struct engine *engine;
    const char *file;          /* a component that exports synod:paxos/runner, or wasi:cli/run; copied */
    uint64_t memory_bytes_max; /* of each linear memory */
    uint64_t turn_timeout;     /* microseconds of computing */
    /* For nodes that use WASI; NULL (the simulator): there is none. */
    const struct config *config; /* outlives the life */
    uint32_t node;
    const char *folder; /* the node's data folder, the only one it may see; NULL: none. Copied */
    struct surroundings *surroundings;
};

/* The node as a component, instantiated and linked. One that imports what this host does not give is refused by the import's
 * name. */
bool node_wasm_new(struct node_life **out, const struct node_wasm_options *options, struct ports *ports,
                   struct problem *problem);

#endif
