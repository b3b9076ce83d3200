#include "lab/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

#include "core/base/memory.h"
#include "core/formats/serializer.h"
#include "host/composition.h"
#include "host/node_life.h"
#include "host/wasmtime_typed.h"

#define SYNOD(name) "synod:paxos/" name "@0.1.0"

enum { TURN_TIMEOUT_US = 1000000, FAR_EPOCHS = 1000000000 };
static const uint64_t memory_bytes_max = UINT64_C(256) << 20;

/* ---- nodes/crossings.wasm ---- */

struct lab_guest {
    struct engine *engine;
    struct serializer *serializer;
    wasmtime_component_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_component_instance_t instance;
    struct typed_func *take, *loops[GUEST_LOOPS];
};

static bool typed_problem(struct problem *problem, const char *what, char *message)
{
    problem_set(problem, EXIT_TROUBLE, "%s: %s", what, message != NULL ? message : "no reason given");
    typed_message_free(message);
    return false;
}

static int32_t take_import(void *env, wasmtime_context_t *context, struct typed_call *call)
{
    (void)env;
    (void)context;
    for (size_t i = 0; i < call->packets.len; i++)
        call->result += call->packets.ptr[i].len;
    return 0;
}

static int32_t encode_import(void *env, const struct outgoing *messages, size_t count, struct typed_call *call)
{
    call->result_packets = serializer_encode(((struct lab_guest *)env)->serializer, messages, count);
    return 0;
}

static int32_t decode_import(void *env, struct typed_call *call, struct decoded *decoded)
{
    (void)env;
    (void)call;
    *decoded = (struct decoded){0};
    return 0;
}

static bool define_imports(struct lab_guest *g, struct problem *problem)
{
    static const struct typed_shape shape = {0, true, TYPED_GIVES_U64};
    static const char host[] = SYNOD("crossing-host"), serializer[] = SYNOD("serializer");
    wasmtime_component_linker_instance_t *root, *instance;
    char *message = NULL;
    int32_t status = TYPED_ERROR;
    g->linker = wasmtime_component_linker_new(engine_wasm(g->engine));
    wasmtime_error_t *error = wasmtime_component_linker_add_wasip2(g->linker);
    if (error != NULL)
        return engine_problem(problem, EXIT_TROUBLE, "WASI", error);
    root = wasmtime_component_linker_root(g->linker);
    error = wasmtime_component_linker_instance_add_instance(root, host, strlen(host), &instance);
    if (error == NULL) {
        status = typed_define(instance, "take", shape, take_import, g, &message);
        wasmtime_component_linker_instance_delete(instance);
        error = wasmtime_component_linker_instance_add_instance(root, serializer, strlen(serializer), &instance);
    }
    if (error == NULL) {
        if (status == TYPED_OK)
            status = typed_define_serializer(instance, encode_import, decode_import, g, &message);
        wasmtime_component_linker_instance_delete(instance);
    }
    wasmtime_component_linker_instance_delete(root);
    if (error != NULL)
        return engine_problem(problem, EXIT_TROUBLE, host, error);
    return status == TYPED_OK || typed_problem(problem, host, message);
}

static bool no_sockets(void *env, const struct typed_socket *socket, bool may_wait)
{
    (void)env;
    (void)socket;
    (void)may_wait;
    return false;
}

static void nothing_to_release(void *env) { (void)env; }

static bool instantiate(struct lab_guest *g, const char *file, struct problem *problem)
{
    const struct typed_wasi wasi = {.check = no_sockets, .release = nothing_to_release}; /* it needs the clock */
    const wasmtime_component_t *component;
    char *message = NULL;
    if (!engine_component(g->engine, file, &component, problem) || !define_imports(g, problem))
        return false;
    g->store = wasmtime_store_new(engine_wasm(g->engine), NULL, NULL);
    g->context = wasmtime_store_context(g->store);
    wasmtime_store_limiter(g->store, (int64_t)memory_bytes_max, -1, -1, -1, -1);
    wasmtime_context_set_epoch_deadline(g->context, FAR_EPOCHS);
    if (typed_wasi_set(g->context, &wasi, &message) != TYPED_OK)
        return typed_problem(problem, file, message);
    wasmtime_error_t *error = wasmtime_component_linker_instantiate(g->linker, g->context, component, &g->instance);
    return error == NULL || engine_problem(problem, EXIT_BAD_INPUT, file, error);
}

static bool find(struct lab_guest *g, const char *function, struct typed_shape shape, struct typed_func **out,
                 struct problem *problem)
{
    char *message = NULL;
    *out = typed_func_new(g->context, &g->instance, SYNOD("crossing-guest"), function, shape, &message);
    return *out != NULL || typed_problem(problem, function, message);
}

bool lab_guest_open(struct lab_guest **out, struct problem *problem)
{
    static const char *const names[GUEST_LOOPS] = {"to-host",        "to-sink-bytes", "to-sink-words",
                                                   "to-sink-blocks", "to-serializer", "to-clock"};
    const struct engine_options options = {.turn_timeout = TURN_TIMEOUT_US};
    struct lab_guest *g = memory_new(1, sizeof *g);
    char folder[4000], file[4096];
    composition_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/crossings.wasm", folder);
    g->serializer = serializer_new();
    bool opened = engine_open(&g->engine, &options, problem) && instantiate(g, file, problem) &&
                  find(g, "take", (struct typed_shape){0, true, TYPED_GIVES_U64}, &g->take, problem);
    for (size_t i = 0; opened && i < GUEST_LOOPS; i++)
        opened = find(g, names[i], (struct typed_shape){2, false, TYPED_GIVES_U64}, &g->loops[i], problem);
    *out = opened ? g : NULL;
    if (!opened)
        lab_guest_close(g);
    return opened;
}

void lab_guest_close(struct lab_guest *g)
{
    typed_func_free(g->take);
    for (size_t i = 0; i < GUEST_LOOPS; i++)
        typed_func_free(g->loops[i]);
    if (g->store != NULL)
        wasmtime_store_delete(g->store);
    if (g->linker != NULL)
        wasmtime_component_linker_delete(g->linker);
    if (g->engine != NULL)
        engine_close(g->engine);
    serializer_free(g->serializer);
    free(g);
}

struct engine *lab_guest_engine(const struct lab_guest *g) { return g->engine; }

bool lab_guest_take(struct lab_guest *g, uint64_t count, const struct packet *packet, struct problem *problem)
{
    char *message = NULL;
    for (uint64_t i = 0; i < count; i++) {
        struct typed_call call = {.packets = {(struct packet *)packet, 1}};
        if (typed_func_call(g->take, g->context, &call, &message) != TYPED_OK)
            return typed_problem(problem, "take", message);
    }
    return true;
}

bool lab_guest_loop(struct lab_guest *g, enum guest_loop loop, uint64_t count, uint64_t len, struct problem *problem)
{
    char *message = NULL;
    struct typed_call call = {.scalars = {count, len}};
    int32_t status = typed_func_call(g->loops[loop], g->context, &call, &message);
    return status == TYPED_OK || typed_problem(problem, "a loop of the component", message);
}

/* ---- An idle node ---- */

enum { SETTLING_TURNS = 3000, SETTLING_STEP_US = 1000 };

struct lab_idle {
    struct ports ports;
    struct node_life *life;
    uint64_t now, durable;
    bool begun; /* it was told that there is no snapshot */
};

static struct packet_list nothing(struct ports *p)
{
    (void)p;
    return (struct packet_list){NULL, 0};
}
static struct packet_list no_journal(struct ports *p, bool *failed)
{
    *failed = false;
    return nothing(p);
}
static struct packet_list no_commands(struct ports *p, struct credit credit)
{
    (void)credit;
    return nothing(p);
}
static struct packet_list no_records(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    (void)from;
    (void)bytes_max;
    return nothing(p);
}
static void drop(struct ports *p, const struct packet *packets, size_t count)
{
    (void)p;
    (void)packets;
    (void)count;
}
static void drop_leader(struct ports *p, uint64_t node, uint64_t round)
{
    (void)p;
    (void)node;
    (void)round;
}
static void drop_status(struct ports *p, const struct packet *status)
{
    (void)p;
    (void)status;
}
static void drop_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    (void)p;
    (void)level;
    (void)text;
    (void)len;
}
static struct news idle_news(struct ports *p) { return (struct news){.durable = ((struct lab_idle *)p)->durable}; }
/* A disk that is done at once. */
static void append(struct ports *p, const struct packet *records, size_t count)
{
    if (count > 0)
        ((struct lab_idle *)p)->durable = records[count - 1].id;
}
static uint64_t durable(struct ports *p) { return ((struct lab_idle *)p)->durable; }
static bool room(struct ports *p)
{
    (void)p;
    return true;
}
static uint64_t go_on(struct ports *p)
{
    (void)p;
    return CONTROL_RUN;
}
static void keep_all(struct ports *p, uint64_t lsn)
{
    (void)p;
    (void)lsn;
}
/* There is no snapshot to begin with. */
static struct packet_list no_snapshots(struct ports *p)
{
    static struct packet none = {.kind = SNAPSHOT_LOADED};
    struct lab_idle *idle = (struct lab_idle *)p;
    const size_t count = idle->begun ? 0 : 1;
    idle->begun = true;
    return (struct packet_list){&none, count};
}
static void ignore_failure(struct ports *p, uint64_t code)
{
    (void)p;
    (void)code;
}

static const struct ports_operations idle_ports = {
    .news = idle_news,
    .network_receive = nothing,
    .network_send = drop,
    .client_receive = no_commands,
    .client_reply = drop,
    .client_leader = drop_leader,
    .client_status = drop_status,
    .storage_recover = no_journal,
    .storage_append = append,
    .storage_durable = durable,
    .storage_room = room,
    .storage_read = no_records,
    .storage_truncate = keep_all,
    .snapshots_ask = drop,
    .snapshots_told = no_snapshots,
    .log = drop_log,
    .control_command = go_on,
    .control_wall_clock = go_on,
    .configuration_given = nothing,
    .configuration_known = drop_status,
    .control_fail = ignore_failure,
};

/* A cluster of one, with the times that a configuration file has by default. */
static const struct node_config idle_config = {
    .node = 1,
    .incarnation = 1,
    .proposers = 2,
    .acceptors = 2,
    .learners = 2,
    .phase1_quorum = 1,
    .phase2_quorum = 1,
    .alpha = 64,
    .batches_in_flight = 3,
    .bytes_in_flight_max = 64 << 20,
    .chunk_bytes_max = 256 << 10,
    .learn_gap_max = 50,
    .event_driven = true,
    .heartbeat_interval = 100000,
    .suspect_timeout = 400000,
    .dead_timeout = 1000000,
    .prepare_timeout = 100000,
    .retry_interval = 100000,
    .exec_interval = 100000,
    .request_timeout = 5000000,
};

static bool open_life(struct lab_idle *idle, struct engine *engine, struct problem *problem)
{
    static const struct config_node node = {.id = 1, .role = ROLE_COORDINATOR, .serializer = PLACE_GUEST};
    char folder[4000], file[4096];
    if (engine == NULL)
        return node_native_new(&idle->life, &idle->ports, problem);
    composition_folder(folder, sizeof folder);
    composition_file(file, sizeof file, folder, &node, LEADER_STICKY);
    const struct node_wasm_options options = {
        .engine = engine, .file = file, .memory_bytes_max = memory_bytes_max, .turn_timeout = TURN_TIMEOUT_US, .node = 1};
    return node_wasm_new(&idle->life, &options, &idle->ports, problem);
}

/* Turns it, with time passing, until it leads and has nothing left to do. */
static bool become_idle(struct lab_idle *idle, struct problem *problem)
{
    struct node_status status;
    uint64_t deadline;
    for (size_t i = 0; i < SETTLING_TURNS; i++) {
        idle->now += SETTLING_STEP_US;
        if (!idle->life->operations->turn(idle->life, idle->now, &deadline, problem))
            return false;
    }
    if (!idle->life->operations->status(idle->life, &status, problem))
        return false;
    return status.leader == 1 || problem_set(problem, EXIT_TROUBLE, "the idle node does not lead itself");
}

bool lab_idle_open(struct lab_idle **out, struct engine *engine, struct problem *problem)
{
    struct lab_idle *idle = memory_new(1, sizeof *idle);
    idle->ports.operations = &idle_ports;
    bool opened = open_life(idle, engine, problem) && idle->life->operations->start(idle->life, &idle_config, problem) &&
                  become_idle(idle, problem);
    *out = opened ? idle : NULL;
    if (!opened)
        lab_idle_close(idle);
    return opened;
}

void lab_idle_close(struct lab_idle *idle)
{
    if (idle->life != NULL)
        idle->life->operations->free(idle->life);
    free(idle);
}

/* Time stands still, so nothing becomes due. */
bool lab_idle_turns(struct lab_idle *idle, uint64_t count, struct problem *problem)
{
    uint64_t deadline;
    for (uint64_t i = 0; i < count; i++)
        if (!idle->life->operations->turn(idle->life, idle->now, &deadline, problem))
            return false;
    return true;
}
