/* What a node's component may import, and who serves it: the interfaces of wit/ by the ports (core/runners/ports.h) that the
 * native node calls as well, by what surrounds the node (host/node_life.h), or by the host itself; and WASI 0.2 by Wasmtime.
 *
 * Packets from the guest are views of its memory, valid for the call; packets to the guest are copied once, by Wasmtime.
 * What a port returned stays the port's until its next call, so it outlives this one. */
#include <stdio.h>
#include <string.h>

#include "host/component_types.h"
#include "host/node_wasm_internal.h"

/* ---- the runner's ports ---- */

static int32_t network_receive(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result_packets = ports_network_receive(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t network_send(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_network_send(((struct node_wasm *)env)->ports, call->packets.ptr, call->packets.len);
    return 0;
}

static int32_t client_receive(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    const struct credit credit = {.commands = (uint32_t)call->scalars[0], .reads = (uint32_t)call->scalars[1]};
    call->result_packets = ports_client_receive(((struct node_wasm *)env)->ports, credit);
    return 0;
}

static int32_t client_reply(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_client_reply(((struct node_wasm *)env)->ports, call->packets.ptr, call->packets.len);
    return 0;
}

static int32_t client_leader(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_client_leader(((struct node_wasm *)env)->ports, call->scalars[0], call->scalars[1]);
    return 0;
}

static int32_t client_status(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    if (call->packets.len == 1)
        ports_client_status(((struct node_wasm *)env)->ports, call->packets.ptr);
    return 0;
}

/* Each chunk of records is a piece of work of its own. */
static int32_t storage_recover(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    bool failed = false;
    call->result_packets = w->ports->operations->storage_recover(w->ports, &failed);
    node_deadline_allow(w, w->options.turn_timeout);
    if (failed)
        call->error = "the journal cannot be read";
    return failed ? -1 : 0;
}

static int32_t storage_append(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_storage_append(((struct node_wasm *)env)->ports, call->packets.ptr, call->packets.len);
    return 0;
}

static int32_t storage_durable(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_storage_durable(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t storage_room(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_storage_room(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t storage_read(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    call->result_packets = ports_storage_read(w->ports, call->scalars[0], call->scalars[1]);
    node_deadline_allow(w, w->options.turn_timeout);
    return 0;
}

static int32_t storage_truncate(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_storage_truncate(((struct node_wasm *)env)->ports, call->scalars[0]);
    return 0;
}

static int32_t snapshots_ask_for(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_snapshots_ask(((struct node_wasm *)env)->ports, call->packets.ptr, call->packets.len);
    return 0;
}

/* Pieces of a snapshot are work, as chunks of records are. */
static int32_t snapshots_told_of(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    call->result_packets = ports_snapshots_told(w->ports);
    if (call->result_packets.len > 0)
        node_deadline_allow(w, w->options.turn_timeout);
    return 0;
}

static int32_t control_command(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_control_command(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t control_wall_clock(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_control_wall_clock(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t configuration_given(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result_packets = ports_configuration_given(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t configuration_known(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    if (call->packets.len == 1)
        ports_configuration_known(((struct node_wasm *)env)->ports, call->packets.ptr);
    return 0;
}

/* Ends the guest's call, wherever it came from. */
static int32_t control_fail(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    uint64_t code = call->scalars[0];
    (void)context;
    ports_control_fail(w->ports, code);
    w->failed_with = code > EXIT_OK && code <= UINT8_MAX ? (int)code : EXIT_TROUBLE;
    call->error = "a part cannot go on";
    return -1;
}

static void log_text(void *env, uint32_t level, const char *text, size_t len)
{
    ports_log(((struct node_wasm *)env)->ports, level, text, len);
}

static int32_t define_log(struct node_wasm *w, wasmtime_component_linker_instance_t *instance, char **message)
{
    return typed_define_log(instance, "log", log_text, w, message);
}

/* ---- what surrounds the node ---- */

static int32_t settings_get(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct surroundings *s = ((struct node_wasm *)env)->options.surroundings;
    (void)context;
    call->result_packets = s->operations->settings(s);
    return 0;
}

/* The folder is the host's, and open. */
static int32_t identity_open(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    struct surroundings *s = w->options.surroundings;
    const struct frame_origin *origin = s->operations->origin(s);
    (void)context;
    w->words[0] = origin->cluster;
    memcpy(&w->words[1], origin->instance, sizeof origin->instance);
    w->words[3] = origin->nonce;
    w->identity = (struct packet){origin->sender, origin->incarnation, sizeof w->words, {w->words, 4}};
    call->result_packets = (struct packet_list){&w->identity, 1};
    return 0;
}

static int32_t identity_accept_peer(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct surroundings *s = ((struct node_wasm *)env)->options.surroundings;
    const struct packet *peer = call->packets.ptr;
    (void)context;
    if (call->packets.len != 1 || peer->len != 24 || peer->id == 0 || peer->id > NODE_ID_MAX) {
        call->error = "identity.accept-peer wants one packet with a node's number, its life and its instance id";
        return -1;
    }
    struct frame_origin origin = {
        .sender = (uint32_t)peer->id, .incarnation = peer->kind, .nonce = (uint32_t)peer->words.ptr[2]};
    memcpy(origin.instance, peer->words.ptr, sizeof origin.instance);
    call->result = s->operations->accept_peer(s, &origin);
    return 0;
}

/* The side that opened the folder closes it. */
static int32_t identity_close(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)env;
    (void)context;
    (void)call;
    return 0;
}

static int32_t loop_run(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    struct surroundings *s = w->options.surroundings;
    (void)context;
    call->result = s->operations->loop_run(s);
    node_deadline_allow(w, w->options.turn_timeout);
    if (!atomic_load(&w->interrupted))
        return 0;
    call->error = "interrupted";
    return -1;
}

static int32_t faults_next(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct surroundings *s = ((struct node_wasm *)env)->options.surroundings;
    (void)context;
    call->result = s->operations->fault(s, call->scalars[0]);
    return 0;
}

static int32_t define_subscribe(struct node_wasm *w, wasmtime_component_linker_instance_t *instance, char **message)
{
    struct surroundings *s = w->options.surroundings;
    return typed_define_pollable(instance, "subscribe", s->operations->loop_fd(s), message);
}

/* ---- the host ---- */

/* Both functions of the interface. */
static int32_t define_serializer(struct node_wasm *w, wasmtime_component_linker_instance_t *instance, char **message)
{
    if (w->codec != NULL)
        return TYPED_OK;
    w->codec = host_serializer_new(w->options.memory_bytes_max);
    return host_serializer_define(w->codec, instance, message);
}

/* ---- the table ---- */

#define CLIENT_SERVER SYNOD("client-server")
#define STORAGE       SYNOD("storage")
#define SNAPSHOTS     SYNOD("snapshots")
#define HOST_CONTROL  SYNOD("host-control")
#define IDENTITY      SYNOD("identity")
#define HOST_LOOP     SYNOD("host-loop")
#define SERIALIZER    SYNOD("serializer")

/* Functions of one interface stand side by side. */
static const struct import {
    const char *interface, *function;
    struct typed_shape shape;
    typed_callback callback;
    /* Where the shape is another one. Neither this nor `callback`: a type that has its definition elsewhere. */
    int32_t (*define)(struct node_wasm *w, wasmtime_component_linker_instance_t *instance, char **message);
    bool surroundings; /* only where there are some */
} imports[] = {
    {SYNOD("network-server"), "receive", {0, false, TYPED_GIVES_PACKETS}, network_receive, NULL, false},
    {SYNOD("network-client"), "send", {0, true, TYPED_GIVES_NOTHING}, network_send, NULL, false},
    {CLIENT_SERVER, "receive", {2, false, TYPED_GIVES_PACKETS}, client_receive, NULL, false},
    {CLIENT_SERVER, "reply", {0, true, TYPED_GIVES_NOTHING}, client_reply, NULL, false},
    {CLIENT_SERVER, "leader", {2, false, TYPED_GIVES_NOTHING}, client_leader, NULL, false},
    {CLIENT_SERVER, "status", {0, true, TYPED_GIVES_NOTHING}, client_status, NULL, false},
    {STORAGE, "recover", {0, false, TYPED_GIVES_PACKETS}, storage_recover, NULL, false},
    {STORAGE, "append", {0, true, TYPED_GIVES_NOTHING}, storage_append, NULL, false},
    {STORAGE, "durable", {0, false, TYPED_GIVES_U64}, storage_durable, NULL, false},
    {STORAGE, "room", {0, false, TYPED_GIVES_U64}, storage_room, NULL, false},
    {STORAGE, "read", {2, false, TYPED_GIVES_PACKETS}, storage_read, NULL, false},
    {STORAGE, "truncate", {1, false, TYPED_GIVES_NOTHING}, storage_truncate, NULL, false},
    {SNAPSHOTS, "ask", {0, true, TYPED_GIVES_NOTHING}, snapshots_ask_for, NULL, false},
    {SNAPSHOTS, "told", {0, false, TYPED_GIVES_PACKETS}, snapshots_told_of, NULL, false},
    {HOST_CONTROL, "command", {0, false, TYPED_GIVES_U64}, control_command, NULL, false},
    {HOST_CONTROL, "wall-clock", {0, false, TYPED_GIVES_U64}, control_wall_clock, NULL, false},
    {HOST_CONTROL, "configuration-given", {0, false, TYPED_GIVES_PACKETS}, configuration_given, NULL, false},
    {HOST_CONTROL, "configuration-known", {0, true, TYPED_GIVES_NOTHING}, configuration_known, NULL, false},
    {HOST_CONTROL, "fail", {1, false, TYPED_GIVES_NOTHING}, control_fail, NULL, false},
    {SYNOD("logger"), "log", {0}, NULL, define_log, false},
    {SYNOD("settings"), "get", {0, false, TYPED_GIVES_PACKETS}, settings_get, NULL, true},
    {IDENTITY, "open", {0, false, TYPED_GIVES_PACKETS}, identity_open, NULL, true},
    {IDENTITY, "accept-peer", {0, true, TYPED_GIVES_U64}, identity_accept_peer, NULL, true},
    {IDENTITY, "close", {0, false, TYPED_GIVES_NOTHING}, identity_close, NULL, true},
    {HOST_LOOP, "run", {0, false, TYPED_GIVES_U64}, loop_run, NULL, true},
    {HOST_LOOP, "pollable", {0}, NULL, NULL, true},
    {HOST_LOOP, "subscribe", {0}, NULL, define_subscribe, true},
    {SYNOD("faults"), "next", {1, false, TYPED_GIVES_U64}, faults_next, NULL, true},
    {SERIALIZER, "encode", {0}, NULL, define_serializer, false},
    {SERIALIZER, "decode", {0}, NULL, define_serializer, false},
};
enum { IMPORTS = sizeof imports / sizeof *imports };
_Static_assert(IMPORTS <= 64, "a bit for each in struct node_imports");

/* ---- checking ---- */

/* Of WASI 0.2, every interface that Wasmtime has beside HTTP. What they let the node reach, the sandbox says. */
static bool is_wasi(const char *interface)
{
    static const char *const packages[] = {"wasi:cli/", "wasi:clocks/", "wasi:filesystem/",
                                           "wasi:io/",  "wasi:random/", "wasi:sockets/"};
    const char *version = strchr(interface, '@');
    if (version == NULL || strncmp(version, "@0.2.", 5) != 0)
        return false;
    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
        if (strncmp(interface, packages[i], strlen(packages[i])) == 0)
            return true;
    return false;
}

/* A node has a use for WASI when its network or its storage is in the sandbox with it. */
static bool has_wasi(const struct node_wasm *w)
{
    const struct config_node *self = w->options.config != NULL ? config_find(w->options.config, w->options.node) : NULL;
    return self != NULL && (config_network_is_in_guest(self) || self->storage == PLACE_GUEST);
}

struct import_check {
    struct node_wasm *w;
    struct problem *problem;
};

static bool check_import(void *context, const struct component_name *name)
{
    struct import_check *check = context;
    struct node_wasm *w = check->w;
    if (has_wasi(w) && is_wasi(name->interface)) {
        w->imports.wasi = true;
        return true;
    }
    if (name->item == NULL || name->is_type)
        return true;
    for (size_t i = 0; i < IMPORTS; i++)
        if (strcmp(imports[i].interface, name->interface) == 0 && strcmp(imports[i].function, name->item) == 0 &&
            (!imports[i].surroundings || w->options.surroundings != NULL)) {
            w->imports.rows |= UINT64_C(1) << i;
            return true;
        }
    return problem_set(check->problem, EXIT_BAD_INPUT, "%s: it imports %s%s%s, which this host does not give",
                       w->options.file, name->interface, name->item[0] != '\0' ? "#" : "", name->item);
}

bool node_imports_check(struct node_wasm *w, const wasmtime_component_t *component, struct problem *problem)
{
    struct import_check check = {w, problem};
    return component_walk(component, engine_wasm(w->options.engine), COMPONENT_IMPORTS, check_import, &check);
}

/* ---- defining ---- */

static bool is_imported(const struct node_wasm *w, size_t i) { return (w->imports.rows >> i & 1) != 0; }

static int32_t define(struct node_wasm *w, const struct import *import, wasmtime_component_linker_instance_t *instance,
                      char **message)
{
    if (import->define != NULL)
        return import->define(w, instance, message);
    if (import->callback == NULL)
        return TYPED_OK;
    return typed_define(instance, import->function, import->shape, import->callback, w, message);
}

/* Defines what is imported of one interface, from row `*i` on. */
static bool define_interface(struct node_wasm *w, wasmtime_component_linker_instance_t *root, size_t *i,
                             struct problem *problem)
{
    const char *interface = imports[*i].interface;
    wasmtime_component_linker_instance_t *instance;
    wasmtime_error_t *error = wasmtime_component_linker_instance_add_instance(root, interface, strlen(interface), &instance);
    if (error != NULL)
        return engine_problem(problem, EXIT_TROUBLE, interface, error);
    int32_t status = TYPED_OK;
    char *message = NULL;
    for (; status == TYPED_OK && *i < IMPORTS && strcmp(imports[*i].interface, interface) == 0; ++*i)
        if (is_imported(w, *i))
            status = define(w, &imports[*i], instance, &message);
    wasmtime_component_linker_instance_delete(instance);
    if (status != TYPED_OK)
        problem_set(problem, EXIT_TROUBLE, "%s: %s", interface, message);
    typed_message_free(message);
    return status == TYPED_OK;
}

bool node_imports_define(struct node_wasm *w, struct problem *problem)
{
    bool defined = true;
    if (w->imports.wasi) {
        wasmtime_error_t *error = wasmtime_component_linker_add_wasip2(w->linker);
        if (error != NULL)
            return engine_problem(problem, EXIT_TROUBLE, "WASI", error);
    }
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(w->linker);
    for (size_t i = 0; defined && i < IMPORTS;)
        if (is_imported(w, i))
            defined = define_interface(w, root, &i, problem);
        else
            i++;
    wasmtime_component_linker_instance_delete(root);
    return defined;
}
