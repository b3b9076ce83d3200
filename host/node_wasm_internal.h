/* Declarations shared by the files of a node as a component. No other file includes this. Each calls only those below it:
 *
 *   node_wasm.c        the life: instance, calls
 *   node_imports.c     what its component may import, and who serves that
 *   node_sandbox.c     WASI for it: one folder, and sockets to and for the nodes of the configuration
 *   node_serializer.c  the serializer, where that is the host's
 *   node_deadline.c    how long it may compute */
#ifndef SYNOD_HOST_NODE_WASM_INTERNAL_H
#define SYNOD_HOST_NODE_WASM_INTERNAL_H

#include <stdatomic.h>

#include "host/node_life.h"
#include "host/wasmtime_typed.h"

#define SYNOD(name) "synod:paxos/" name "@0.1.0"

/* What a component imports of what there is. */
struct node_imports {
    uint64_t rows; /* bit n: row n of the table in node_imports.c */
    bool wasi;
};

struct node_wasm {
    struct node_life life;
    struct node_life_operations operations;
    struct ports *ports;
    struct node_wasm_options options; /* its strings are copies */
    struct node_imports imports;
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
    struct typed_func *turn, *status, *run, *open_identity, *accept_peer, *close_identity; /* NULL: not exported */
    uint64_t allowed;        /* microseconds of computing, for the call that it is in */
    bool ticked;             /* a tick has come in it */
    uint64_t computed_since; /* the thread's computing at the first one */
    atomic_bool interrupted;
    int failed_with; /* the exit code that a part gave; 0: none did */
    char loop[64];   /* the export wasi:cli/run, with its version; empty: there is none */
    bool exports_identity;
    struct sandbox *sandbox;       /* NULL: it imports nothing of WASI */
    struct host_serializer *codec; /* NULL: not imported */
    uint64_t words[4];             /* who the node is, for identity.open */
    struct packet identity;
};

/* ---- node_deadline.c ---- */

/* The guest may compute for `allowed` microseconds from now on. */
void node_deadline_allow(struct node_wasm *w, uint64_t allowed);
/* At each tick of the engine: the guest goes on for so many ticks more; 0: its call is ended. */
uint64_t node_deadline_on_tick(void *node_wasm);

/* ---- node_imports.c ---- */

/* Notes what the component imports. False: something that this host does not give. */
bool node_imports_check(struct node_wasm *w, const wasmtime_component_t *component, struct problem *problem);
/* Defines that in the linker, once there is a store. */
bool node_imports_define(struct node_wasm *w, struct problem *problem);

/* ---- node_sandbox.c ---- */

/* Gives WASI to the store. */
bool node_sandbox_open(struct node_wasm *w, struct problem *problem);
/* The life ends: nothing refused is said any more. NULL is none. */
void node_sandbox_close(struct sandbox *s);

/* ---- node_serializer.c ---- */

/* A serializer for guests whose messages, all of one call, are not longer than `bytes_max`. */
struct host_serializer *host_serializer_new(uint64_t bytes_max);
void host_serializer_free(struct host_serializer *s);
/* Defines interface serializer. Returns a status of host/wasmtime_typed.h. */
int32_t host_serializer_define(struct host_serializer *s, wasmtime_component_linker_instance_t *instance, char **message);

#endif
