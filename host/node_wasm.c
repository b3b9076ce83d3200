/* A node as a component: the imports of wit/io.wit are served by the same functions (core/runners/ports.h) that the native
 * node calls, and turns are calls of synod:paxos/runner.
 *
 *   1. Everything that crosses is a few numbers and a list of packets, through host/wasmtime_typed.h. Packets from the guest
 * are views of its memory, valid for the call; packets to the guest are copied once, by Wasmtime.
 *   2. A store is one node. After a trap or an interruption it is only freed: its memory is in no known state.
 *   3. The epoch deadline is set before each call into the guest, and again by imports that may wait for the disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

#include "core/base/memory.h"
#include "core/formats/config_frame.h"
#include "host/component_types.h"
#include "host/node_life.h"
#include "host/wasmtime_typed.h"

#define VERSION "@0.1.0"
#define RUNNER  "synod:paxos/runner" VERSION
#define LOGGER  "synod:paxos/logger" VERSION

struct node_wasm {
    struct node_life life;
    struct ports *ports;
    struct node_wasm_options options;
    uint64_t ticks; /* that a turn may take */
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
    struct typed_func *turn, *status;
    /* Packets in the shape of the other side. */
    struct packet *taken;
    struct typed_packet *given;
    size_t taken_capacity, given_capacity;
};

/* ---- packets ---- */

/* What the guest passed, for a port to read. */
static const struct packet *take(struct node_wasm *w, const struct typed_call *call)
{
    w->taken = memory_reserve(w->taken, &w->taken_capacity, call->packets_count, sizeof *w->taken);
    for (size_t i = 0; i < call->packets_count; i++) {
        const struct typed_packet *p = &call->packets[i];
        w->taken[i] = (struct packet){p->id, p->kind, p->len, {(uint64_t *)p->words, words_for(p->len)}};
    }
    return w->taken;
}

/* What a port returned, for the guest. It stays the port's until its next call, so it outlives this one. */
static int32_t give(struct node_wasm *w, struct packet_list list, struct typed_call *call)
{
    w->given = memory_reserve(w->given, &w->given_capacity, list.len, sizeof *w->given);
    for (size_t i = 0; i < list.len; i++) {
        const struct packet *p = &list.ptr[i];
        w->given[i] = (struct typed_packet){p->id, p->kind, p->len, p->words.ptr};
    }
    call->result_packets = w->given;
    call->result_packets_count = list.len;
    return 0;
}

/* ---- imports ---- */

static int32_t network_receive_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    return give(w, ports_network_receive(w->ports), call);
}

static int32_t network_send_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    ports_network_send(w->ports, take(w, call), call->packets_count);
    return 0;
}

static int32_t client_receive_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    return give(w, ports_client_receive(w->ports, call->scalars[0]), call);
}

static int32_t client_reply_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    ports_client_reply(w->ports, take(w, call), call->packets_count);
    return 0;
}

static int32_t client_leader_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    ports_client_leader(((struct node_wasm *)env)->ports, call->scalars[0], call->scalars[1]);
    return 0;
}

static int32_t storage_recover_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    int32_t code = give(w, ports_storage_recover(w->ports), call);
    wasmtime_context_set_epoch_deadline(context, w->ticks); /* the disk's time is not the guest's */
    return code;
}

static int32_t storage_append_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    (void)context;
    ports_storage_append(w->ports, take(w, call), call->packets_count);
    return 0;
}

static int32_t storage_durable_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_storage_durable(((struct node_wasm *)env)->ports);
    return 0;
}

static int32_t storage_read_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    struct node_wasm *w = env;
    int32_t code = give(w, ports_storage_read(w->ports, call->scalars[0], call->scalars[1]), call);
    wasmtime_context_set_epoch_deadline(context, w->ticks);
    return code;
}

static int32_t command_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)context;
    call->result = ports_control_command(((struct node_wasm *)env)->ports);
    return 0;
}

static void log_import(void *env, uint32_t level, const char *text, size_t len)
{
    ports_log(((struct node_wasm *)env)->ports, level, text, len);
}

static const struct import {
    const char *interface, *function;
    struct typed_shape shape;
    typed_callback callback; /* NULL: the log function, which has a shape of its own */
} imports[] = {
    {"synod:paxos/network-server" VERSION, "receive", {0, false, TYPED_GIVES_PACKETS}, network_receive_import},
    {"synod:paxos/network-client" VERSION, "send", {0, true, TYPED_GIVES_NOTHING}, network_send_import},
    {"synod:paxos/client-server" VERSION, "receive", {1, false, TYPED_GIVES_PACKETS}, client_receive_import},
    {"synod:paxos/client-server" VERSION, "reply", {0, true, TYPED_GIVES_NOTHING}, client_reply_import},
    {"synod:paxos/client-server" VERSION, "leader", {2, false, TYPED_GIVES_NOTHING}, client_leader_import},
    {"synod:paxos/storage" VERSION, "recover", {0, false, TYPED_GIVES_PACKETS}, storage_recover_import},
    {"synod:paxos/storage" VERSION, "append", {0, true, TYPED_GIVES_NOTHING}, storage_append_import},
    {"synod:paxos/storage" VERSION, "durable", {0, false, TYPED_GIVES_U64}, storage_durable_import},
    {"synod:paxos/storage" VERSION, "read", {2, false, TYPED_GIVES_PACKETS}, storage_read_import},
    {"synod:paxos/host-control" VERSION, "command", {0, false, TYPED_GIVES_U64}, command_import},
    {LOGGER, "log", {0, false, TYPED_GIVES_NOTHING}, NULL},
};
enum { IMPORTS = sizeof imports / sizeof *imports };

/* ---- errors ---- */

/* Why a call or a definition failed, on one line. Returns false. */
static bool typed_problem(const struct node_wasm *w, int exit_code, const char *what, int32_t status, char *message,
                          struct problem *problem)
{
    for (char *c = message; c != NULL && *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    const char *text = message != NULL ? message : "no reason given";
    if (status == TYPED_INTERRUPTED)
        problem_set(problem, exit_code, "%s: %s took longer than turn_timeout_ms (%llu) and was ended: %s", w->options.file,
                    what, (unsigned long long)(w->options.turn_timeout / 1000), text);
    else
        problem_set(problem, exit_code, "%s: %s%s: %s", w->options.file, what, status == TYPED_TRAP ? " trapped" : "", text);
    typed_message_free(message);
    return false;
}

/* ---- linking ---- */

struct import_check {
    const char *file;
    struct problem *problem;
};

static bool check_import(void *context, const struct component_name *name)
{
    struct import_check *check = context;
    if (name->item == NULL || name->is_type)
        return true;
    for (size_t i = 0; i < IMPORTS; i++)
        if (strcmp(imports[i].interface, name->interface) == 0 && strcmp(imports[i].function, name->item) == 0)
            return true;
    return problem_set(check->problem, EXIT_BAD_INPUT, "%s: it imports %s%s%s, which this host does not give", check->file,
                       name->interface, name->item[0] != '\0' ? "#" : "", name->item);
}

/* Defines the imports of one interface, which stand side by side in the table from `*i` on. */
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
    for (; status == TYPED_OK && *i < IMPORTS && strcmp(imports[*i].interface, interface) == 0; ++*i) {
        const struct import *import = &imports[*i];
        status = import->callback != NULL
                     ? typed_define(instance, import->function, import->shape, import->callback, w, &message)
                     : typed_define_log(instance, import->function, log_import, w, &message);
    }
    wasmtime_component_linker_instance_delete(instance);
    return status == TYPED_OK || typed_problem(w, EXIT_TROUBLE, interface, status, message, problem);
}

static bool define_imports(struct node_wasm *w, struct problem *problem)
{
    bool defined = true;
    w->linker = wasmtime_component_linker_new(engine_wasm(w->options.engine));
    wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(w->linker);
    for (size_t i = 0; defined && i < IMPORTS;)
        defined = define_interface(w, root, &i, problem);
    wasmtime_component_linker_instance_delete(root);
    return defined;
}

static bool instantiate(struct node_wasm *w, struct problem *problem)
{
    const wasmtime_component_t *component;
    struct engine *engine = w->options.engine;
    if (!engine_component(engine, w->options.file, &component, problem))
        return false;
    struct import_check check = {w->options.file, problem};
    if (!component_walk(component, engine_wasm(engine), COMPONENT_IMPORTS, check_import, &check))
        return false;
    if (!define_imports(w, problem))
        return false;
    w->store = wasmtime_store_new(engine_wasm(engine), NULL, NULL);
    w->context = wasmtime_store_context(w->store);
    wasmtime_store_limiter(w->store, (int64_t)w->options.memory_bytes_max, -1, -1, -1, -1);
    wasmtime_context_set_epoch_deadline(w->context, w->ticks);
    wasmtime_error_t *error = wasmtime_component_linker_instantiate(w->linker, w->context, component, &w->instance);
    return error == NULL || engine_problem(problem, EXIT_BAD_INPUT, w->options.file, error);
}

static bool find(struct node_wasm *w, const char *function, struct typed_shape shape, struct typed_func **out,
                 struct problem *problem)
{
    char *message = NULL;
    *out = typed_func_new(w->context, &w->instance, RUNNER, function, shape, &message);
    return *out != NULL || typed_problem(w, EXIT_BAD_INPUT, RUNNER, TYPED_ERROR, message, problem);
}

static bool call_guest(struct node_wasm *w, struct typed_func *func, const char *what, struct typed_call *call,
                       struct problem *problem)
{
    char *message = NULL;
    wasmtime_context_set_epoch_deadline(w->context, w->ticks);
    int32_t status = typed_func_call(func, w->context, call, &message);
    return status == TYPED_OK || typed_problem(w, EXIT_TROUBLE, what, status, message, problem);
}

static bool wasm_start(struct node_life *life, const struct node_config *config, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_func *func;
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet packet;
    if (!find(w, "start", (struct typed_shape){0, true, TYPED_GIVES_STATUS}, &func, problem))
        return false;
    config_frame_encode(config, words, &packet);
    const struct typed_packet given = {packet.id, packet.kind, packet.len, packet.words.ptr};
    struct typed_call call = {.packets = &given, .packets_count = 1};
    bool started = call_guest(w, func, "start", &call, problem);
    typed_func_free(func);
    return started;
}

/* ---- the life ---- */

static bool wasm_turn(struct node_life *life, uint64_t now, uint64_t *deadline, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {.scalars = {now}};
    if (!call_guest(w, w->turn, "a turn", &call, problem))
        return false;
    *deadline = call.result;
    return true;
}

static bool wasm_status(struct node_life *life, struct node_status *status, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {0};
    if (!call_guest(w, w->status, "status", &call, problem))
        return false;
    if (call.result_packets_count == 1) {
        const struct typed_packet *p = call.result_packets;
        const struct packet packet = {p->id, p->kind, p->len, {(uint64_t *)p->words, words_for(p->len)}};
        if (status_frame_decode(&packet, status))
            return true;
    }
    return problem_set(problem, EXIT_TROUBLE, "%s: its status is not one that this version knows", w->options.file);
}

static void wasm_free(struct node_life *life)
{
    struct node_wasm *w = (struct node_wasm *)life;
    typed_func_free(w->turn);
    typed_func_free(w->status);
    if (w->store != NULL)
        wasmtime_store_delete(w->store);
    if (w->linker != NULL)
        wasmtime_component_linker_delete(w->linker);
    free(w->taken);
    free(w->given);
    free(w);
}

bool node_wasm_new(struct node_life **out, const struct node_wasm_options *options, struct ports *ports,
                   struct problem *problem)
{
    static const struct node_life_operations operations = {
        .start = wasm_start, .turn = wasm_turn, .status = wasm_status, .free = wasm_free};
    struct node_wasm *w = memory_new(1, sizeof *w);
    w->life = (struct node_life){&operations, "wasm"};
    w->options = *options;
    w->ports = ports;
    w->ticks = engine_ticks(options->engine, options->turn_timeout);
    if (instantiate(w, problem) && find(w, "turn", (struct typed_shape){1, false, TYPED_GIVES_U64}, &w->turn, problem) &&
        find(w, "status", (struct typed_shape){0, false, TYPED_GIVES_PACKETS}, &w->status, problem)) {
        *out = &w->life;
        return true;
    }
    wasm_free(&w->life);
    return false;
}
