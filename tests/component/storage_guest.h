/* What the tests of wasi-storage work with: the component under Wasmtime, driven call by call, and the same journal and data
 * folder linked in. Both belong to node 1 of the cluster "demo". */
#ifndef SYNOD_TESTS_COMPONENT_STORAGE_GUEST_H
#define SYNOD_TESTS_COMPONENT_STORAGE_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>
#include <wasmtime/component.h>

#include "core/base/memory.h"
#include "host/engine.h"
#include "host/wasmtime_typed.h"
#include "io/config_packet.h"
#include "io/data_folder.h"
#include "io/journal_store.h"

enum { SEGMENT = 256 << 10, MEMORY_MAX = 48 << 20, STICKY = 200 };

static const uint8_t instance[16] = {0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const char *component_file;
static struct engine *engine;
static struct problem problem;

/* ---- Records: which bytes one has follows from its lsn ---- */

static inline uint32_t record_len(uint64_t lsn) { return (uint32_t)(lsn * 7919 % 3000); }

static inline struct packet record_make(uint64_t lsn, uint32_t len)
{
    uint64_t *words = memory_new(words_for(len) + 1, sizeof *words);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)words)[i] = (uint8_t)(lsn * 31 + i);
    return (struct packet){
        .id = lsn, .kind = lsn % 10 == 0 ? STICKY : (uint32_t)(lsn % 5), .len = len, .words = {words, words_for(len)}};
}

static inline void record_check(const struct packet *record, uint64_t lsn, uint32_t len)
{
    struct packet expected = record_make(lsn, len);
    assert_int_equal(record->id, lsn);
    assert_int_equal(record->kind, expected.kind);
    assert_int_equal(record->len, len);
    assert_memory_equal(record->words.ptr, expected.words.ptr, len);
    free(expected.words.ptr);
}

/* ---- The guest ---- */

enum { RECOVER, APPEND, DURABLE, READ, TRUNCATE, ASK, TOLD, OPEN, ACCEPT_PEER, CLOSE, FUNCTIONS };

struct guest {
    struct node_settings settings;
    struct packet told[2]; /* they, and a configuration, if it has a slot */
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
    struct typed_func *functions[FUNCTIONS];
    char log[4096];     /* all lines */
    uint64_t exit_code; /* that it failed with */
    bool has_read;      /* all of its journal */
};

static inline void check(wasmtime_error_t *error)
{
    wasm_name_t message;
    if (error == NULL)
        return;
    wasmtime_error_message(error, &message);
    fail_msg("%.*s", (int)message.size, message.data);
}

static inline int32_t settings_get(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct guest *g = env;
    (void)context;
    call->result_packets = (struct packet_list){g->told, g->told[1].id != 0 ? 2 : 1};
    return 0;
}

static inline int32_t control_fail(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct guest *g = env;
    (void)context;
    g->exit_code = call->scalars[0];
    call->error = "failed";
    return -1;
}

static inline void on_log(void *env, uint32_t level, const char *text, size_t len)
{
    struct guest *g = env;
    size_t used = strlen(g->log);
    (void)level;
    snprintf(g->log + used, sizeof g->log - used, "%.*s\n", (int)len, text);
}

static inline wasmtime_component_linker_instance_t *interface(wasmtime_component_linker_instance_t *root, const char *name)
{
    wasmtime_component_linker_instance_t *added;
    check(wasmtime_component_linker_instance_add_instance(root, name, strlen(name), &added));
    return added;
}

static inline void define_imports(struct guest *g)
{
    check(wasmtime_component_linker_add_wasip2(g->linker));
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(g->linker), *one;
    one = interface(root, "synod:paxos/settings@0.1.0");
    assert_int_equal(typed_define(one, "get", (struct typed_shape){0, false, TYPED_GIVES_PACKETS}, settings_get, g, NULL),
                     0);
    wasmtime_component_linker_instance_delete(one);
    one = interface(root, "synod:paxos/host-control@0.1.0");
    assert_int_equal(typed_define(one, "fail", (struct typed_shape){1, false, TYPED_GIVES_NOTHING}, control_fail, g, NULL),
                     0);
    wasmtime_component_linker_instance_delete(one);
    one = interface(root, "synod:paxos/logger@0.1.0");
    assert_int_equal(typed_define_log(one, "log", on_log, g, NULL), 0);
    wasmtime_component_linker_instance_delete(one);
    wasmtime_component_linker_instance_delete(root);
}

static inline void find_functions(struct guest *g)
{
    static const struct {
        const char *interface, *name;
        struct typed_shape shape;
    } rows[FUNCTIONS] = {
        [RECOVER] = {"synod:paxos/storage@0.1.0", "recover", {0, false, TYPED_GIVES_PACKETS}},
        [APPEND] = {"synod:paxos/storage@0.1.0", "append", {0, true, TYPED_GIVES_NOTHING}},
        [DURABLE] = {"synod:paxos/storage@0.1.0", "durable", {0, false, TYPED_GIVES_U64}},
        [READ] = {"synod:paxos/storage@0.1.0", "read", {2, false, TYPED_GIVES_PACKETS}},
        [TRUNCATE] = {"synod:paxos/storage@0.1.0", "truncate", {1, false, TYPED_GIVES_NOTHING}},
        [ASK] = {"synod:paxos/snapshots@0.1.0", "ask", {0, true, TYPED_GIVES_NOTHING}},
        [TOLD] = {"synod:paxos/snapshots@0.1.0", "told", {0, false, TYPED_GIVES_PACKETS}},
        [OPEN] = {"synod:paxos/identity@0.1.0", "open", {0, false, TYPED_GIVES_PACKETS}},
        [ACCEPT_PEER] = {"synod:paxos/identity@0.1.0", "accept-peer", {0, true, TYPED_GIVES_U64}},
        [CLOSE] = {"synod:paxos/identity@0.1.0", "close", {0, false, TYPED_GIVES_NOTHING}},
    };
    for (size_t i = 0; i < FUNCTIONS; i++) {
        char *message = NULL;
        g->functions[i] = typed_func_new(g->context, &g->instance, rows[i].interface, rows[i].name, rows[i].shape, &message);
        if (g->functions[i] == NULL)
            fail_msg("%s", message);
    }
}

/* The configuration of the cluster. */
static inline struct config guest_config(struct config_node *node, uint8_t durability)
{
    struct config c = {.cluster = "demo", .log_level = 2, .segment_bytes = SEGMENT, .memory_bytes_max = 8 << 20};
    *node = (struct config_node){.id = 1, .address = {.host = "127.0.0.1", .port = 1}};
    c.load_snapshots = true;
    c.node_config.durability = durability;
    c.node_config.learners = node_set_of(1);
    c.node_config.snapshots_max = 2;
    c.nodes = node;
    c.node_count = 1;
    return c;
}

/* A node in the sandbox that may see `root`; its data folder is `folder` below. Nothing is opened yet. */
static inline struct guest *guest_new(const char *root, const char *folder, bool exclusive, uint8_t durability)
{
    struct guest *g = memory_new(1, sizeof *g);
    struct config_node node;
    g->settings = (struct node_settings){.node = 1, .exclusive = exclusive};
    strcpy(g->settings.folder, folder);
    g->settings.config = guest_config(&node, durability);
    g->told[0] = config_packet_encode(&g->settings);
    const wasmtime_component_t *component;
    if (!engine_component(engine, component_file, &component, &problem))
        fail_msg("%s", problem.text);
    g->linker = wasmtime_component_linker_new(engine_wasm(engine));
    g->store = wasmtime_store_new(engine_wasm(engine), NULL, NULL);
    g->context = wasmtime_store_context(g->store);
    wasmtime_store_limiter(g->store, MEMORY_MAX, -1, -1, -1, -1);
    wasmtime_context_set_epoch_deadline(g->context, UINT64_MAX / 2);
    wasi_config_t *wasi = wasi_config_new();
    assert_true(wasi_config_preopen_dir(wasi, root, "/data", true));
    check(wasmtime_context_set_wasi(g->context, wasi));
    define_imports(g);
    check(wasmtime_component_linker_instantiate(g->linker, g->context, component, &g->instance));
    find_functions(g);
    return g;
}

/* As a node that is killed. */
static inline void guest_drop(struct guest *g)
{
    for (size_t i = 0; i < FUNCTIONS; i++)
        typed_func_free(g->functions[i]);
    wasmtime_store_delete(g->store);
    wasmtime_component_linker_delete(g->linker);
    free(g->told[0].words.ptr);
    free(g);
}

static inline struct typed_call guest_call(struct guest *g, size_t function, struct typed_call call)
{
    char *message = NULL;
    if (typed_func_call(g->functions[function], g->context, &call, &message) != TYPED_OK)
        fail_msg("%s; its log: %s", message, g->log);
    return call;
}

/* A call that must end in host-control.fail. */
static inline void guest_fails(struct guest *g, size_t function, struct typed_call call, uint64_t exit_code,
                               const char *text)
{
    assert_int_equal(typed_func_call(g->functions[function], g->context, &call, NULL), TYPED_HOST);
    assert_int_equal(g->exit_code, exit_code);
    if (strstr(g->log, text) == NULL)
        fail_msg("'%s' is not in the log: %s", text, g->log);
}

/* Opens; returns the incarnation. */
static inline uint32_t guest_open(struct guest *g)
{
    struct typed_call call = guest_call(g, OPEN, (struct typed_call){0});
    assert_int_equal(call.result_packets.len, 1);
    const struct packet *p = call.result_packets.ptr;
    if (p->id != 1)
        fail_msg("%.*s", (int)p->len, (const char *)p->words.ptr);
    assert_int_equal(p->len, 32);
    assert_int_equal(p->words.ptr[0], frame_cluster("demo", 4));
    assert_memory_equal(p->words.ptr + 1, instance, sizeof instance);
    return p->kind;
}

static inline void guest_open_refused(struct guest *g, uint32_t exit_code, const char *text)
{
    for (int i = 0; i < 2; i++) { /* every caller hears the same */
        struct typed_call call = guest_call(g, OPEN, (struct typed_call){0});
        assert_int_equal(call.result_packets.len, 1);
        const struct packet *p = call.result_packets.ptr;
        char reason[1024];
        snprintf(reason, sizeof reason, "%.*s", (int)p->len, (const char *)p->words.ptr);
        assert_int_equal(p->id, 0);
        assert_int_equal(p->kind, exit_code);
        if (strstr(reason, text) == NULL)
            fail_msg("'%s' is not in '%s'", text, reason);
    }
    guest_drop(g);
}

/* Before anything is appended. */
static inline void guest_read_all(struct guest *g)
{
    while (!g->has_read)
        g->has_read = guest_call(g, RECOVER, (struct typed_call){0}).result_packets.len == 0;
}

static inline void guest_append_len(struct guest *g, uint64_t first, uint32_t count, uint32_t len)
{
    guest_read_all(g);
    struct packet *records = memory_new(count, sizeof *records);
    for (uint32_t i = 0; i < count; i++)
        records[i] = record_make(first + i, len == 0 ? record_len(first + i) : len);
    guest_call(g, APPEND, (struct typed_call){.packets = {records, count}});
    assert_int_equal(guest_call(g, DURABLE, (struct typed_call){0}).result, first + count - 1);
    for (uint32_t i = 0; i < count; i++)
        free(records[i].words.ptr);
    free(records);
}

static inline void guest_append(struct guest *g, uint64_t first, uint32_t count) { guest_append_len(g, first, count, 0); }

/* Everything is found, from lsn 1 on. Returns the last lsn. */
static inline uint64_t guest_recover(struct guest *g)
{
    for (uint64_t next = 1;;) {
        struct typed_call call = guest_call(g, RECOVER, (struct typed_call){0});
        if (call.result_packets.len == 0) {
            g->has_read = true;
            assert_int_equal(guest_call(g, DURABLE, (struct typed_call){0}).result, next - 1);
            return next - 1;
        }
        for (size_t i = 0; i < call.result_packets.len; i++, next++)
            record_check(&call.result_packets.ptr[i], next, record_len(next));
    }
}

static inline void guest_end(struct guest *g)
{
    guest_call(g, CLOSE, (struct typed_call){0});
    guest_call(g, CLOSE, (struct typed_call){0}); /* once is enough, twice does not hurt */
    guest_drop(g);
}

/* ---- The same, linked in ---- */

struct native {
    struct data_folder *folder;
    struct journal_store *store;
    char notice[512];
};

static inline void on_notice(void *context, const char *text)
{
    snprintf(((struct native *)context)->notice, sizeof((struct native *)context)->notice, "%s", text);
}

static inline struct native *native_open(const char *folder)
{
    struct native *n = memory_new(1, sizeof *n);
    if (!data_folder_open(&n->folder, disk_posix(), folder, "demo", 1, &problem))
        fail_msg("%s", problem.text);
    const struct journal_store_options options = {
        .disk = disk_posix(),
        .folder = folder,
        .identity = *data_folder_identity(n->folder),
        .memory = {data_folder_newest_segment, n->folder},
        .durability = DURABILITY_FSYNC,
        .segment_bytes = SEGMENT,
        .on_notice = on_notice,
        .context = n,
    };
    if (!journal_store_open(&n->store, &options, &problem))
        fail_msg("%s", problem.text);
    return n;
}

static inline void native_read_all(struct native *n)
{
    struct packet_list found;
    while (!journal_store_is_open(n->store))
        if (!journal_store_recover(n->store, &found, &problem))
            fail_msg("%s", problem.text);
}

static inline void native_append(struct native *n, uint64_t first, uint32_t count)
{
    struct journal_group group = {0};
    struct journal_written written;
    native_read_all(n);
    assert_int_equal(journal_store_last(n->store) + 1, first);
    journal_group_begin(&group, first);
    for (uint32_t i = 0; i < count; i++) {
        struct packet record = record_make(first + i, record_len(first + i));
        assert_true(journal_group_add(&group, &record));
        free(record.words.ptr);
    }
    if (!journal_store_group(n->store, &group, &written, &problem))
        fail_msg("%s", problem.text);
    journal_group_free(&group);
}

static inline uint64_t native_recover(struct native *n)
{
    struct packet_list list;
    for (uint64_t next = 1;;) {
        if (!journal_store_recover(n->store, &list, &problem))
            fail_msg("%s", problem.text);
        if (list.len == 0) {
            assert_int_equal(journal_store_last(n->store), next - 1);
            return next - 1;
        }
        for (size_t i = 0; i < list.len; i++, next++)
            record_check(&list.ptr[i], next, record_len(next));
    }
}

static inline void native_end(struct native *n)
{
    journal_store_close(n->store);
    data_folder_close(n->folder);
    free(n);
}

#endif
