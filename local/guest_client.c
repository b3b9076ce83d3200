#include "local/guest_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/composition.h"
#include "host/engine.h"
#include "host/wasmtime_typed.h"
#include "load/load_packet.h"

#define CLIENT "synod:paxos/client@0.1.0"

enum { STOP_LOOK_US = 1000000 }; /* a guest that computes is asked to stop four times in this long */
static const int64_t memory_bytes_max = INT64_C(1) << 30;

struct guest {
    const struct load_options *options;
    const struct load_address *addresses;
    struct load_shared *shared;
    struct engine *engine;
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
};

static void component_file(char *out, size_t size)
{
    char folder[4000];
    composition_folder(folder, sizeof folder);
    snprintf(out, size, "%s/guest-client.wasm", folder);
}

static bool typed_problem(struct problem *problem, char *message)
{
    problem_set(problem, EXIT_TROUBLE, "%s", message != NULL ? message : "Wasmtime gives no reason");
    typed_message_free(message);
    return false;
}

/* ---- What the guest may do ---- */

static bool check_socket(void *env, const struct typed_socket *socket, bool may_wait)
{
    const struct guest *g = env;
    (void)may_wait;
    if (socket->wish == TYPED_TCP_BIND)
        return socket->port == 0; /* as connecting does */
    if (socket->wish != TYPED_TCP_CONNECT)
        return false;
    for (size_t i = 0; i < g->options->target_count; i++) {
        const struct load_address *a = &g->addresses[i];
        if (a->port == socket->port && a->is_ipv6 == (socket->family == 6) &&
            memcmp(a->bytes, socket->address, a->is_ipv6 ? 16 : 4) == 0)
            return true;
    }
    return false;
}

static void nothing_to_release(void *env) { (void)env; }

static uint64_t on_deadline(void *env)
{
    const struct guest *g = env;
    return atomic_load_explicit(&g->shared->stop, memory_order_relaxed) ? 0 : 1;
}

/* ---- One process ---- */

static bool instantiate(struct guest *g, struct problem *problem)
{
    const struct engine_options options = {.turn_timeout = STOP_LOOK_US};
    const struct typed_wasi wasi = {.tcp = true, .check = check_socket, .release = nothing_to_release, .env = g};
    const wasmtime_component_t *component;
    char file[4096], *message = NULL;
    component_file(file, sizeof file);
    if (!engine_open(&g->engine, &options, problem) || !engine_component(g->engine, file, &component, problem))
        return false;
    g->linker = wasmtime_component_linker_new(engine_wasm(g->engine));
    wasmtime_error_t *error = wasmtime_component_linker_add_wasip2(g->linker);
    if (error != NULL)
        return engine_problem(problem, EXIT_TROUBLE, file, error);
    g->store = wasmtime_store_new(engine_wasm(g->engine), NULL, NULL);
    g->context = wasmtime_store_context(g->store);
    wasmtime_store_limiter(g->store, memory_bytes_max, -1, -1, -1, -1);
    typed_on_deadline(g->store, on_deadline, g);
    wasmtime_context_set_epoch_deadline(g->context, 1);
    if (typed_wasi_set(g->context, &wasi, &message) != TYPED_OK)
        return typed_problem(problem, message);
    error = wasmtime_component_linker_instantiate(g->linker, g->context, component, &g->instance);
    return error == NULL || engine_problem(problem, EXIT_BAD_INPUT, file, error);
}

/* Calls the guest, and puts its result into `share`. A guest that was stopped has no result. */
static bool call(struct guest *g, const struct load_job *job, struct load_share *share, struct problem *problem)
{
    static const struct typed_shape shape = {0, true, TYPED_GIVES_PACKETS};
    char *message = NULL;
    struct typed_func *run = typed_func_new(g->context, &g->instance, CLIENT, "run", shape, &message);
    if (run == NULL)
        return typed_problem(problem, message);
    struct packet packet = load_job_encode(job);
    struct typed_call typed = {.packets = {&packet, 1}};
    uint64_t start = load_now_us();
    int32_t status = typed_func_call(run, g->context, &typed, &message);
    free(packet.words.ptr);
    if (status == TYPED_INTERRUPTED) {
        typed_message_free(message);
        return true;
    }
    if (status != TYPED_OK)
        return typed_problem(problem, message);
    if (typed.result_packets.len == 1 && load_result_decode(&typed.result_packets.ptr[0], share, start))
        return true;
    return problem_set(problem, EXIT_TROUBLE, "the client component gave something that is no result");
}

/* A load_runner. Its process ends afterwards, and with it everything that was opened. */
static void run_guest(const struct load_options *options, const struct load_address *addresses, uint32_t number,
                      uint32_t connections, struct load_shared *shared, struct load_share *share)
{
    struct guest g = {.options = options, .addresses = addresses, .shared = shared};
    struct load_job job = {*options, addresses, connections, options->requests * number / options->processes};
    struct problem problem;
    job.options.requests = options->requests * (number + 1) / options->processes;
    if (!instantiate(&g, &problem) || !call(&g, &job, share, &problem))
        snprintf(share->problem, sizeof share->problem, "%.*s", (int)sizeof share->problem - 1, problem.text);
    share->finished = true;
}

bool guest_client_use(struct load_options *options, struct problem *problem)
{
    char file[4096];
    component_file(file, sizeof file);
    if (options->protocol != PROTOCOL_RESP)
        return problem_set(problem, EXIT_BAD_INPUT, "--guest-client speaks RESP only");
    if (access(file, R_OK) != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "the client component is not there: %s: %s", file, strerror(errno));
    options->run = run_guest;
    return true;
}
