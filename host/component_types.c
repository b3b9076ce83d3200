#include "host/component_types.h"

#include <stdio.h>

enum { NAME_SIZE = 256 };

struct walk {
    const wasm_engine_t *engine;
    bool (*visit)(void *context, const struct component_name *name);
    void *context;
};

static bool walk_instance(const struct walk *w, const char *interface, const wasmtime_component_instance_type_t *type)
{
    size_t count = wasmtime_component_instance_type_export_count(type, w->engine);
    for (size_t i = 0; i < count; i++) {
        wasmtime_component_item_t item;
        const char *name;
        size_t len;
        char text[NAME_SIZE];
        if (!wasmtime_component_instance_type_export_nth(type, w->engine, i, &name, &len, &item))
            continue;
        snprintf(text, sizeof text, "%.*s", (int)len, name);
        const struct component_name found = {interface, text, item.kind == WASMTIME_COMPONENT_ITEM_TYPE};
        wasmtime_component_item_delete(&item);
        if (!w->visit(w->context, &found))
            return false;
    }
    return true;
}

static bool walk_item(const struct walk *w, const char *name, size_t len, const wasmtime_component_item_t *item)
{
    char text[NAME_SIZE];
    snprintf(text, sizeof text, "%.*s", (int)len, name);
    const struct component_name found = {text, NULL, item->kind == WASMTIME_COMPONENT_ITEM_TYPE};
    if (!w->visit(w->context, &found))
        return false;
    if (item->kind == WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE)
        return walk_instance(w, text, item->of.component_instance);
    const struct component_name itself = {text, "", found.is_type};
    return w->visit(w->context, &itself);
}

bool component_walk(const wasmtime_component_t *component, const wasm_engine_t *engine, enum component_side side,
                    bool (*visit)(void *context, const struct component_name *name), void *context)
{
    const struct walk w = {engine, visit, context};
    wasmtime_component_type_t *type = wasmtime_component_type(component);
    size_t count = side == COMPONENT_IMPORTS ? wasmtime_component_type_import_count(type, engine)
                                             : wasmtime_component_type_export_count(type, engine);
    bool all = true;
    for (size_t i = 0; all && i < count; i++) {
        wasmtime_component_item_t item;
        const char *name;
        size_t len;
        bool there = side == COMPONENT_IMPORTS ? wasmtime_component_type_import_nth(type, engine, i, &name, &len, &item)
                                               : wasmtime_component_type_export_nth(type, engine, i, &name, &len, &item);
        if (!there)
            continue;
        all = walk_item(&w, name, len, &item);
        wasmtime_component_item_delete(&item);
    }
    wasmtime_component_type_delete(type);
    return all;
}
