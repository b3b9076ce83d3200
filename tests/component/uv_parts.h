/* A guest whose parts are a node's network and client port (uv-tcp.wac, uv-udp.wac), driven by a test: node 2 of a
 * network fixture whose other nodes are native. The test is the host: it gives settings and identity, and remembers what
 * is logged. */
#ifndef SYNOD_TESTS_COMPONENT_UV_PARTS_H
#define SYNOD_TESTS_COMPONENT_UV_PARTS_H

#include "io/config_packet.h"
#include "tests/component/wasi_guest.h"
#include "tests/component/wasm_signals.h"
#include "tests/unit/network_fixture.h"

#define DRIVER "synod:paxos/uv-driver@0.1.0"

enum { PARTS_MEMORY_MAX = 64 * 1024 * 1024, WAIT_US = 200 };

struct parts {
    struct wasi_guest guest;
    struct fixture *fixture;
    struct node *node; /* that the guest is: what it has received is collected there */
    struct packet settings;
    uint64_t identity[4];
    struct packet identity_packet; /* what identity.open gives */
    bool stranger_comes;           /* no peer is known */
    size_t peers_asked;
    uint64_t failed; /* with which code; 0: not */
    char log[16 * 1024];
    struct typed_func *work, *receive, *send, *commands, *reply, *leader, *status;
};

static const char *parts_folder;
static wasm_engine_t *parts_engine;

/* ---- The host's side ---- */

static inline int32_t give_settings(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct parts *p = env;
    (void)context;
    call->result_packets = (struct packet_list){&p->settings, p->settings.len > 0};
    return 0;
}

static inline int32_t give_identity(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct parts *p = env;
    (void)context;
    call->result_packets = (struct packet_list){&p->identity_packet, 1};
    return 0;
}

static inline int32_t accept_stranger(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct parts *p = env;
    (void)context;
    assert_int_equal(call->packets.len, 1);
    const struct packet *peer = call->packets.ptr;
    assert_int_equal(peer->len, 24);
    struct frame_origin origin = {
        .sender = (uint32_t)peer->id, .incarnation = peer->kind, .nonce = (uint32_t)peer->words.ptr[2]};
    memcpy(origin.instance, peer->words.ptr, sizeof origin.instance);
    p->peers_asked++;
    call->result = p->stranger_comes ? PEER_OTHER_INSTANCE : data_folder_accept_peer(p->node->folder, &origin);
    return 0;
}

static inline int32_t note_failure(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ((struct parts *)env)->failed = call->scalars[0];
    return 0;
}

static inline void note_log(void *env, uint32_t level, const char *text, size_t len)
{
    struct parts *p = env;
    size_t at = strlen(p->log);
    snprintf(p->log + at, sizeof p->log - at, "%u %.*s\n", level, (int)len, text);
}

static inline void define(struct parts *p, const char *interface, const char *name, struct typed_shape shape,
                          typed_callback callback)
{
    wasmtime_component_linker_instance_t *instance;
    wasi_guest_check(
        wasmtime_component_linker_instance_add_instance(p->guest.root, interface, strlen(interface), &instance));
    if (callback == NULL)
        assert_int_equal(typed_define_log(instance, name, note_log, p, NULL), TYPED_OK);
    else
        assert_int_equal(typed_define(instance, name, shape, callback, p, NULL), TYPED_OK);
    wasmtime_component_linker_instance_delete(instance);
}

static inline void define_identity(struct parts *p)
{
    static const char name[] = "synod:paxos/identity@0.1.0";
    wasmtime_component_linker_instance_t *instance;
    wasi_guest_check(wasmtime_component_linker_instance_add_instance(p->guest.root, name, strlen(name), &instance));
    assert_int_equal(
        typed_define(instance, "open", (struct typed_shape){.gives = TYPED_GIVES_PACKETS}, give_identity, p, NULL),
        TYPED_OK);
    assert_int_equal(
        typed_define(instance, "accept-peer", (struct typed_shape){0, true, TYPED_GIVES_U64}, accept_stranger, p, NULL),
        TYPED_OK);
    wasmtime_component_linker_instance_delete(instance);
}

/* ---- Beginning and end ---- */

/* What guests and native networks have in common: they would refuse each other otherwise. */
static inline struct node_config parts_node_config(void)
{
    return (struct node_config){
        .proposers = 14, .acceptors = 14, .learners = 14, .phase1_quorum = 2, .phase2_quorum = 2, .alpha = 64};
}

static inline void parts_configure(struct parts *p)
{
    struct node_settings settings = {.config = p->fixture->config, .node = p->node->id, .folder = "."};
    settings.config.log_level = LOG_DEBUG;
    settings.config.node_config = parts_node_config();
    p->settings = config_packet_encode(&settings);
    const struct frame_origin origin = identity_origin(data_folder_identity(p->node->folder));
    p->identity[0] = origin.cluster;
    memcpy(p->identity + 1, origin.instance, sizeof origin.instance);
    p->identity[3] = origin.nonce;
    p->identity_packet =
        (struct packet){.id = p->node->id, .kind = origin.incarnation, .len = sizeof p->identity, .words = {p->identity, 4}};
}

/* Node 2 of the fixture as a guest, `name` the composition; not yet called. */
static inline struct parts *parts_new(struct fixture *f, wasmtime_component_t *component)
{
    struct parts *p = memory_new(1, sizeof *p);
    struct problem problem;
    p->fixture = f;
    p->node = &f->nodes[1];
    if (!data_folder_open(&p->node->folder, disk_posix(), p->node->folder_path, f->config.cluster, p->node->id, &problem))
        fail_msg("%s", problem.text);
    parts_configure(p);
    wasi_guest_prepare(&p->guest, parts_engine, component, PARTS_MEMORY_MAX);
    define(p, "synod:paxos/settings@0.1.0", "get", (struct typed_shape){.gives = TYPED_GIVES_PACKETS}, give_settings);
    define(p, "synod:paxos/host-control@0.1.0", "fail", (struct typed_shape){.scalars = 1}, note_failure);
    define(p, "synod:paxos/logger@0.1.0", "log", (struct typed_shape){0}, NULL);
    define_identity(p);
    wasi_guest_start(&p->guest);
    p->work = wasi_guest_find(&p->guest, DRIVER, "work", (struct typed_shape){1, false, TYPED_GIVES_U64});
    p->receive = wasi_guest_find(&p->guest, DRIVER, "receive", (struct typed_shape){0, false, TYPED_GIVES_PACKETS});
    p->send = wasi_guest_find(&p->guest, DRIVER, "send", (struct typed_shape){0, true, TYPED_GIVES_NOTHING});
    p->commands = wasi_guest_find(&p->guest, DRIVER, "commands", (struct typed_shape){2, false, TYPED_GIVES_PACKETS});
    p->reply = wasi_guest_find(&p->guest, DRIVER, "reply", (struct typed_shape){0, true, TYPED_GIVES_NOTHING});
    p->leader = wasi_guest_find(&p->guest, DRIVER, "leader", (struct typed_shape){2, false, TYPED_GIVES_NOTHING});
    p->status = wasi_guest_find(&p->guest, DRIVER, "status", (struct typed_shape){0, true, TYPED_GIVES_NOTHING});
    return p;
}

static inline void parts_free(struct parts *p)
{
    struct typed_func *const all[] = {p->work, p->receive, p->send, p->commands, p->reply, p->leader, p->status};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        typed_func_free(all[i]);
    wasi_guest_end(&p->guest);
    data_folder_close(p->node->folder);
    free(p->settings.words.ptr);
    free(p);
}

/* ---- Calls ---- */

static inline void parts_call(struct parts *p, struct typed_func *func, struct typed_call *call)
{
    char *message = NULL;
    if (typed_func_call(func, p->guest.context, call, &message) != TYPED_OK)
        fail_msg("%s\n%s", message, p->log);
}

/* Lets both sides work for a moment. Returns whether there is something for a turn of the guest's. */
static inline bool parts_work(struct parts *p)
{
    struct typed_call call = {.scalars = {WAIT_US}};
    uv_run(&p->fixture->loop, UV_RUN_NOWAIT);
    parts_call(p, p->work, &call);
    return call.result != 0;
}

static inline void parts_send(struct parts *p, const struct packet *frames, size_t count)
{
    struct typed_call call = {.packets = {(struct packet *)frames, count}};
    parts_call(p, p->send, &call);
}

/* Copies what the guest has received to its node. */
static inline void parts_collect(struct parts *p)
{
    struct typed_call call = {0};
    parts_call(p, p->receive, &call);
    for (size_t i = 0; i < call.result_packets.len; i++) {
        const struct packet *got = &call.result_packets.ptr[i];
        const struct payload body = {got->words, got->len};
        if (is_rebirth(got)) {
            p->node->reborn++;
            continue;
        }
        assert_true(p->node->count < 4096);
        p->node->packets[p->node->count] = *got;
        p->node->packets[p->node->count++].words = payload_copy(&body).words;
    }
}

#endif
