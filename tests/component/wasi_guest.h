/* A component with WASI's sockets, for tests: every address is allowed. */
#ifndef SYNOD_TESTS_COMPONENT_WASI_GUEST_H
#define SYNOD_TESTS_COMPONENT_WASI_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/wasmtime_typed.h"

struct wasi_guest {
    wasm_engine_t *engine;
    wasmtime_component_t *component;
    wasmtime_component_linker_t *linker;
    wasmtime_component_linker_instance_t *root;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
};

static inline void wasi_guest_check(wasmtime_error_t *error)
{
    if (error == NULL)
        return;
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    fail_msg("%.*s", (int)message.size, message.data);
}

static inline bool wasi_guest_any_socket(void *env, const struct typed_socket *socket, bool may_wait)
{
    (void)env;
    (void)socket;
    (void)may_wait;
    return true;
}

static inline void wasi_guest_release(void *env) { (void)env; }

static inline wasmtime_component_t *wasi_guest_load(wasm_engine_t *engine, const char *folder, const char *name)
{
    char path[4096];
    wasmtime_component_t *component;
    snprintf(path, sizeof path, "%s/%s.wasm", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("there is no %s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    wasi_guest_check(wasmtime_component_new(engine, bytes, size, &component));
    free(bytes);
    return component;
}

/* Makes linker and store; the caller defines what else the component imports at `root`, and then instantiates it. */
static inline void wasi_guest_prepare(struct wasi_guest *g, wasm_engine_t *engine, wasmtime_component_t *component,
                                      int64_t memory_max)
{
    const struct typed_wasi wasi = {
        .tcp = true, .udp = true, .names = true, .check = wasi_guest_any_socket, .release = wasi_guest_release};
    char *message = NULL;
    *g = (struct wasi_guest){.engine = engine, .component = component};
    g->linker = wasmtime_component_linker_new(engine);
    wasi_guest_check(wasmtime_component_linker_add_wasip2(g->linker));
    g->root = wasmtime_component_linker_root(g->linker);
    g->store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_store_limiter(g->store, memory_max, -1, -1, -1, -1);
    g->context = wasmtime_store_context(g->store);
    if (typed_wasi_set(g->context, &wasi, &message) != TYPED_OK)
        fail_msg("%s", message);
}

static inline void wasi_guest_start(struct wasi_guest *g)
{
    wasmtime_component_linker_instance_delete(g->root);
    wasi_guest_check(wasmtime_component_linker_instantiate(g->linker, g->context, g->component, &g->instance));
}

static inline struct typed_func *wasi_guest_find(struct wasi_guest *g, const char *interface, const char *name,
                                                 struct typed_shape shape)
{
    char *message = NULL;
    struct typed_func *func = typed_func_new(g->context, &g->instance, interface, name, shape, &message);
    if (func == NULL)
        fail_msg("%s", message);
    return func;
}

static inline void wasi_guest_end(struct wasi_guest *g)
{
    wasmtime_store_delete(g->store);
    wasmtime_component_linker_delete(g->linker);
}

#endif
