/* The Wasmtime engine that all nodes of a process share, the compiled components, and the clock that ends runaway turns. */
#ifndef SYNOD_HOST_ENGINE_H
#define SYNOD_HOST_ENGINE_H

#include <stdint.h>

#include <wasm.h>
#include <wasmtime/component.h>

#include "io/problem.h"

struct engine;

struct engine_options {
    uint64_t turn_timeout; /* microseconds: the shortest that a node will have; an epoch lasts a quarter of it at most */
    /* Where compiled code is kept. NULL: $XDG_CACHE_HOME/synod/compiled, or $HOME/.cache/synod/compiled. */
    const char *cache_folder;
    /* Something an operator may want to know, such as a cache that cannot be used. NULL: not wanted. Any thread. */
    void (*on_notice)(void *context, const char *text);
    void *context;
};

bool engine_open(struct engine **out, const struct engine_options *options, struct problem *problem);
/* Every store must be gone. */
void engine_close(struct engine *e);

wasm_engine_t *engine_wasm(const struct engine *e);

/* Reads a file that looks like a component; the bytes are the caller's to free. Otherwise an error that names it. */
bool engine_read_component(const char *file, uint8_t **bytes, size_t *len, struct problem *problem);

/* The compiled component of a file: from memory, from the cache folder, or compiled now. It is the engine's, valid until
 * engine_close. Any thread. A file that cannot be read or is no component is an error that names it (EXIT_BAD_INPUT). */
bool engine_component(struct engine *e, const char *file, const wasmtime_component_t **out, struct problem *problem);

struct engine_statistics {
    uint64_t compiled, from_cache;
};
struct engine_statistics engine_statistics(struct engine *e);

/* Puts Wasmtime's message after `about` into `problem`, on one line, and deletes it. Returns false. */
bool engine_problem(struct problem *problem, int exit_code, const char *about, wasmtime_error_t *error);

#endif
