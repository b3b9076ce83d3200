/* A node as a component. Turns are calls of synod:paxos/runner; a node that brings its own loop has one long call of
 * wasi:cli/run.
 *
 *   1. Everything that crosses is a few numbers and a list of packets, through host/wasmtime_typed.h.
 *   2. A store is one node. After a trap or an interruption it is only freed: its memory is in no known state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

#include "core/base/memory.h"
#include "core/formats/config_frame.h"
#include "host/component_file.h"
#include "host/component_types.h"
#include "host/node_wasm_internal.h"

/* Opening a data folder takes its journal to be read from end to end: it may compute as long as so many turns. */
enum { OPENING_TURNS = 600 };

/* ---- from other threads, or between calls ---- */

static void wasm_allow(struct node_life *life, uint64_t turn_timeout)
{
    ((struct node_wasm *)life)->options.turn_timeout = turn_timeout;
}

static void wasm_interrupt(struct node_life *life) { atomic_store(&((struct node_wasm *)life)->interrupted, true); }

/* ---- errors ---- */

/* What a status says in one word. */
static const char *fault_of(const struct node_wasm *w, int32_t status)
{
    if (w->failed_with != 0)
        return "failed";
    if (atomic_load(&w->interrupted))
        return "interrupted";
    return status == TYPED_INTERRUPTED ? "deadline" : status == TYPED_TRAP ? "trap" : "error";
}

/* Why a call or a definition failed, on one line. Returns false. */
static bool typed_problem(struct node_wasm *w, int exit_code, const char *what, int32_t status, char *message,
                          struct problem *problem)
{
    const char *file = w->options.file, *text = message != NULL ? message : "no reason given";
    unsigned long long turn_ms = w->options.turn_timeout / 1000, turns = w->allowed / w->options.turn_timeout;
    w->life.fault = fault_of(w, status);
    if (w->failed_with != 0)
        problem_set(problem, w->failed_with, "%s: a part says in %s that it cannot go on; the log has the reason", file,
                    what);
    else if (atomic_load(&w->interrupted))
        problem_set(problem, exit_code, "%s: %s was interrupted", file, what);
    else if (status == TYPED_INTERRUPTED && turns == 1)
        problem_set(problem, exit_code, "%s: %s took longer than %llu ms (turn_timeout_ms) and was ended: %s", file, what,
                    turn_ms, text);
    else if (status == TYPED_INTERRUPTED)
        problem_set(problem, exit_code, "%s: %s took longer than %llu times %llu ms (turn_timeout_ms) and was ended: %s",
                    file, what, turns, turn_ms, text);
    else
        problem_set(problem, exit_code, "%s: %s%s: %s", file, what, status == TYPED_TRAP ? " trapped" : "", text);
    for (char *c = problem->text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    typed_message_free(message);
    return false;
}

/* ---- linking ---- */

/* Notes what the component exports of what a node may. */
static bool note_export(void *context, const struct component_name *name)
{
    static const char run[] = "wasi:cli/run@0.2.";
    struct node_wasm *w = context;
    if (name->item != NULL)
        return true;
    if (strncmp(name->interface, run, sizeof run - 1) == 0)
        snprintf(w->loop, sizeof w->loop, "%s", name->interface);
    w->exports_identity = w->exports_identity || strcmp(name->interface, SYNOD("identity")) == 0;
    return true;
}

static bool instantiate(struct node_wasm *w, struct problem *problem)
{
    const wasmtime_component_t *component;
    struct engine *engine = w->options.engine;
    if (!component_file_check(w->options.file, problem) || !engine_component(engine, w->options.file, &component, problem) ||
        !node_imports_check(w, component, problem))
        return false;
    component_walk(component, engine_wasm(engine), COMPONENT_EXPORTS, note_export, w);
    w->linker = wasmtime_component_linker_new(engine_wasm(engine));
    w->store = wasmtime_store_new(engine_wasm(engine), NULL, NULL);
    w->context = wasmtime_store_context(w->store);
    wasmtime_store_limiter(w->store, (int64_t)w->options.memory_bytes_max, -1, -1, -1, -1);
    typed_on_deadline(w->store, node_deadline_on_tick, w);
    if ((w->imports.wasi && !node_sandbox_open(w, problem)) || !node_imports_define(w, problem))
        return false;
    node_deadline_allow(w, w->options.turn_timeout);
    wasmtime_error_t *error = wasmtime_component_linker_instantiate(w->linker, w->context, component, &w->instance);
    return error == NULL || engine_problem(problem, EXIT_BAD_INPUT, w->options.file, error);
}

static bool find(struct node_wasm *w, const char *interface, const char *function, struct typed_shape shape,
                 struct typed_func **out, struct problem *problem)
{
    char *message = NULL;
    *out = typed_func_new(w->context, &w->instance, interface, function, shape, &message);
    return *out != NULL || typed_problem(w, EXIT_BAD_INPUT, interface, TYPED_ERROR, message, problem);
}

static bool call_guest(struct node_wasm *w, struct typed_func *func, const char *what, uint64_t allowed,
                       struct typed_call *call, struct problem *problem)
{
    char *message = NULL;
    node_deadline_allow(w, allowed);
    int32_t status = typed_func_call(func, w->context, call, &message);
    return status == TYPED_OK || typed_problem(w, EXIT_TROUBLE, what, status, message, problem);
}

/* ---- a node that is called for each turn ---- */

static bool wasm_start(struct node_life *life, const struct node_config *config, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_func *func;
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet packet;
    if (!find(w, SYNOD("runner"), "start", (struct typed_shape){0, true, TYPED_GIVES_STATUS}, &func, problem))
        return false;
    config_frame_encode(config, words, &packet);
    struct typed_call call = {.packets = {&packet, 1}};
    bool started = call_guest(w, func, "start", w->options.turn_timeout, &call, problem);
    typed_func_free(func);
    return started;
}

static bool wasm_turn(struct node_life *life, uint64_t now, uint64_t *deadline, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    const struct news news = w->ports->operations->news(w->ports);
    struct typed_call call = {.scalars = {now, news.bits, news.durable}};
    if (!call_guest(w, w->turn, "a turn", w->options.turn_timeout, &call, problem))
        return false;
    *deadline = call.result;
    return true;
}

static bool wasm_status(struct node_life *life, struct node_status *status, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {0};
    if (!call_guest(w, w->status, "status", w->options.turn_timeout, &call, problem))
        return false;
    return (call.result_packets.len == 1 && status_frame_decode(call.result_packets.ptr, status)) ||
           problem_set(problem, EXIT_TROUBLE, "%s: its status is not one that this version knows", w->options.file);
}

static bool find_runner(struct node_wasm *w, struct problem *problem)
{
    w->operations.start = wasm_start;
    w->operations.turn = wasm_turn;
    w->operations.status = wasm_status;
    return find(w, SYNOD("runner"), "turn", (struct typed_shape){3, false, TYPED_GIVES_U64}, &w->turn, problem) &&
           find(w, SYNOD("runner"), "status", (struct typed_shape){0, false, TYPED_GIVES_PACKETS}, &w->status, problem);
}

/* ---- a node that brings its own loop ---- */

static bool wasm_run(struct node_life *life, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {0};
    return call_guest(w, w->run, "the node's loop", OPENING_TURNS * w->options.turn_timeout, &call, problem);
}

static bool find_loop(struct node_wasm *w, struct problem *problem)
{
    w->operations.run = wasm_run;
    return find(w, w->loop, "run", (struct typed_shape){0, false, TYPED_GIVES_RESULT}, &w->run, problem);
}

/* ---- a node that has its data folder in the sandbox ---- */

/* A folder that cannot be used: the reason is from a component, and may be any bytes. */
static bool no_identity(struct node_wasm *w, const struct packet *p, struct problem *problem)
{
    char text[512];
    size_t len = p->len < sizeof text - 1 ? p->len : sizeof text - 1;
    for (size_t i = 0; i < len; i++) {
        char c = (char)payload_bytes(&(struct payload){p->words, p->len})[i];
        text[i] = c >= 0 && c < ' ' ? ' ' : c;
    }
    text[len] = '\0';
    w->life.fault = "failed";
    return problem_set(problem, p->kind > EXIT_OK && p->kind <= UINT8_MAX ? (int)p->kind : EXIT_TROUBLE, "%s", text);
}

static bool wasm_open_identity(struct node_life *life, struct frame_origin *origin, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {0};
    if (!call_guest(w, w->open_identity, "opening the data folder", OPENING_TURNS * w->options.turn_timeout, &call, problem))
        return false;
    const struct packet *p = call.result_packets.ptr;
    if (call.result_packets.len == 1 && p->id == 0)
        return no_identity(w, p, problem);
    if (call.result_packets.len != 1 || p->id > NODE_ID_MAX || p->len != 32)
        return problem_set(problem, EXIT_TROUBLE, "%s: what it says about its data folder is not what this version knows",
                           w->options.file);
    *origin = (struct frame_origin){
        .cluster = p->words.ptr[0], .sender = (uint32_t)p->id, .incarnation = p->kind, .nonce = (uint32_t)p->words.ptr[3]};
    memcpy(origin->instance, &p->words.ptr[1], sizeof origin->instance);
    return true;
}

static enum peer_verdict wasm_accept_peer(struct node_life *life, const struct frame_origin *peer)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct problem problem;
    uint64_t words[3];
    memcpy(words, peer->instance, sizeof peer->instance);
    words[2] = peer->nonce;
    struct packet packet = {peer->sender, peer->incarnation, sizeof words, {words, 3}};
    struct typed_call call = {.packets = {&packet, 1}};
    if (call_guest(w, w->accept_peer, "accepting a peer", w->options.turn_timeout, &call, &problem))
        return call.result <= PEER_TOO_LATE_LIFE ? (enum peer_verdict)call.result : PEER_UNKNOWN_WHY;
    ports_log(w->ports, LOG_ERROR, problem.text, strlen(problem.text)); /* the next call will fail, too */
    return PEER_UNKNOWN_WHY;
}

static bool wasm_close_identity(struct node_life *life, struct problem *problem)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_call call = {0};
    return call_guest(w, w->close_identity, "closing the data folder", w->options.turn_timeout, &call, problem);
}

static bool find_identity(struct node_wasm *w, struct problem *problem)
{
    static const char identity[] = SYNOD("identity");
    w->operations.open_identity = wasm_open_identity;
    w->operations.accept_peer = wasm_accept_peer;
    w->operations.close_identity = wasm_close_identity;
    return find(w, identity, "open", (struct typed_shape){0, false, TYPED_GIVES_PACKETS}, &w->open_identity, problem) &&
           find(w, identity, "accept-peer", (struct typed_shape){0, true, TYPED_GIVES_U64}, &w->accept_peer, problem) &&
           find(w, identity, "close", (struct typed_shape){0, false, TYPED_GIVES_NOTHING}, &w->close_identity, problem);
}

/* ---- from beginning to end ---- */

static void wasm_free(struct node_life *life)
{
    struct node_wasm *w = (struct node_wasm *)life;
    struct typed_func *const funcs[] = {w->turn, w->status, w->run, w->open_identity, w->accept_peer, w->close_identity};
    for (size_t i = 0; i < sizeof funcs / sizeof *funcs; i++)
        typed_func_free(funcs[i]);
    if (w->store != NULL)
        wasmtime_store_delete(w->store);
    if (w->linker != NULL)
        wasmtime_component_linker_delete(w->linker);
    node_sandbox_close(w->sandbox);
    host_serializer_free(w->codec);
    free((char *)w->options.file);
    free((char *)w->options.folder);
    free(w);
}

static char *copy_of(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    invariant(text == NULL || copy != NULL);
    return copy;
}

bool node_wasm_new(struct node_life **out, const struct node_wasm_options *options, struct ports *ports,
                   struct problem *problem)
{
    struct node_wasm *w = memory_new(1, sizeof *w);
    w->operations.allow = wasm_allow;
    w->operations.interrupt = wasm_interrupt;
    w->operations.free = wasm_free;
    w->life = (struct node_life){&w->operations, "wasm", NULL};
    w->options = *options;
    w->options.file = copy_of(options->file);
    w->options.folder = copy_of(options->folder);
    w->ports = ports;
    if (instantiate(w, problem) && (w->loop[0] != '\0' ? find_loop(w, problem) : find_runner(w, problem)) &&
        (!w->exports_identity || find_identity(w, problem))) {
        *out = &w->life;
        return true;
    }
    wasm_free(&w->life);
    return false;
}
