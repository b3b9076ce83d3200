/* What a component imports and exports, one name at a time. */
#ifndef SYNOD_HOST_COMPONENT_TYPES_H
#define SYNOD_HOST_COMPONENT_TYPES_H

#include <stdbool.h>

#include <wasmtime/component.h>

enum component_side { COMPONENT_IMPORTS, COMPONENT_EXPORTS };

struct component_name {
    const char *interface; /* "synod:paxos/storage@0.1.0", or the name of what is not an interface */
    const char *item; /* "append"; NULL: the interface itself, said once before its items; "": what is not an interface */
    bool is_type;     /* only a name for a type, which need not be provided */
};

/* Calls `visit` for every interface and everything in it, in the component's order, until it returns false. Returns whether
 * all was visited. The strings are valid during the call. */
bool component_walk(const wasmtime_component_t *component, const wasm_engine_t *engine, enum component_side side,
                    bool (*visit)(void *context, const struct component_name *name), void *context);

#endif
