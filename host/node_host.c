/* One node in its loop.
 *
 *   poll: sockets, the journal's completions, stop requests -- they only set `due` (and start the idle handle, while
 *     |   which is active no poll waits: nothing that becomes due is slept over, whatever phase of the loop it comes from)
 *   check: due? -> one turn -> journal_submit -> when is the next turn due? Now: `due` again. Later: a timer.
 *     |
 *   next iteration
 *
 * 1. Everything that arrived in one iteration is one turn: load makes batches, idleness makes answers prompt.
 * 2. Nothing is closed inside a callback of what is closed: faults and requests set a phase, `check` acts on it.
 *
 *      RUNNING --stop--> DRAINING --nothing waits, or half of grace_period--> CLOSING --clients closed--> CLOSED
 *         '------------------ a fault (trap, epoch deadline) ------------------^
 *
 * 3. A failed sync ends the thread at once: nothing is flushed, nothing is answered, no reply leaves (rule 14).
 * 4. `run_node` is what a supervisor would call again with the next incarnation after a trap: everything that belongs to one
 *    life is made in it and gone when it returns. */
#include "host/node_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "io/data_folder.h"
#include "host/node_life.h"
#include "host/node_ports.h"

enum phase { RUNNING, DRAINING, CLOSING, CLOSED };

struct node_host {
    struct node_host_options options;
    const struct config_node *self;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `reachable` and `stop_wanted` */
    bool reachable;       /* the loop can be woken through `wake` */
    bool stop_wanted;
    int exit_code;

    uv_loop_t loop;
    uv_async_t wake;
    uv_check_t check;
    uv_idle_t idle;   /* active: the next poll does not wait */
    uv_timer_t timer; /* the node's deadline */
    uv_timer_t grace;
    enum phase phase;
    bool due, in_turn, ready, forced, clients_closed;
    bool failed; /* `problem` ends the node */
    struct problem problem;

    struct data_folder *folder;
    struct node_ports ports;
    struct node_life *life;
    char file[4096];
    struct node_status status; /* as of turn `status_turn` */
    uint64_t status_turn;
    uint64_t turns, turn_us_max, turn_us_total, started_us;
};

static uint64_t now_us(void) { return uv_hrtime() / 1000; }

/* ---- what happens to the node ---- */

static void on_idle(uv_idle_t *idle) { (void)idle; }

static void make_due(struct node_host *h)
{
    h->due = true;
    if (!uv_is_active((uv_handle_t *)&h->idle) && !uv_is_closing((uv_handle_t *)&h->idle))
        uv_idle_start(&h->idle, on_idle);
}

static void on_input(void *context) { make_due(context); }

/* Commands that the node would not take yet can wait until it asks for them. */
static void on_commands(void *context)
{
    struct node_host *h = context;
    if (h->ports.credit > 0)
        make_due(h);
}

static void on_deadline(uv_timer_t *timer) { make_due(timer->data); }

static void fail(struct node_host *h, const struct problem *problem)
{
    if (h->failed)
        return;
    h->failed = true;
    h->problem = *problem;
    make_due(h);
}

static void on_journal_failure(void *context, const struct problem *problem) { fail(context, problem); }

static void on_journal_notice(void *context, const char *text)
{
    logger_log(((struct node_host *)context)->ports.logger, LOG_WARNING, "journal", "%s", text);
}

/* ---- status, for INFO ---- */

/* Asked of the node at most once a turn, and never from within one: a guest may not be entered again. */
static struct node_status status_of(void *context)
{
    struct node_host *h = context;
    struct problem problem;
    if (h->life == NULL || h->in_turn || h->failed || h->status_turn == h->turns)
        return h->status;
    h->in_turn = true;
    if (h->life->operations->status(h->life, &h->status, &problem))
        h->status_turn = h->turns;
    else
        fail(h, &problem);
    h->in_turn = false;
    return h->status;
}

static size_t info_of(void *context, char *out, size_t size)
{
    struct node_host *h = context;
    struct network_statistics net = network_statistics(h->ports.network);
    struct journal_statistics log = journal_statistics(h->ports.journal);
    int len = snprintf(
        out, size,
        "synod_life:%s\r\nsynod_turns:%llu\r\nsynod_turn_us_total:%llu\r\nsynod_turn_us_max:%llu\r\n"
        "synod_frames_in:%llu\r\nsynod_frames_out:%llu\r\nsynod_bytes_in:%llu\r\nsynod_bytes_out:%llu\r\n"
        "synod_frames_dropped:%llu\r\nsynod_bad_frames:%llu\r\nsynod_reconnects:%llu\r\n"
        "synod_journal_groups:%llu\r\nsynod_journal_records:%llu\r\nsynod_journal_bytes:%llu\r\n"
        "synod_journal_syncs:%llu\r\nsynod_journal_sync_us_total:%llu\r\nsynod_journal_sync_us_max:%llu\r\n"
        "synod_journal_torn_tails:%llu\r\n",
        h->life != NULL ? h->life->name : "none", (unsigned long long)h->turns, (unsigned long long)h->turn_us_total,
        (unsigned long long)h->turn_us_max, (unsigned long long)net.frames_in, (unsigned long long)net.frames_out,
        (unsigned long long)net.bytes_in, (unsigned long long)net.bytes_out, (unsigned long long)net.dropped,
        (unsigned long long)net.bad_frames, (unsigned long long)net.reconnects, (unsigned long long)log.groups,
        (unsigned long long)log.records, (unsigned long long)log.bytes, (unsigned long long)log.syncs,
        (unsigned long long)log.sync_us_total, (unsigned long long)log.sync_us_max, (unsigned long long)log.torn_tails);
    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

/* ---- turns ---- */

static void say_ready(struct node_host *h)
{
    char clients[320] = "no client port";
    if (h->ports.clients != NULL)
        snprintf(clients, sizeof clients, "clients at %s port %u", h->self->client.host, h->self->client.port);
    h->ready = true;
    logger_log(h->ports.logger, LOG_INFO, "node", "ready after %.1f ms: %s, incarnation %u, %s, nodes at %s port %u, %s",
               (double)(now_us() - h->started_us) / 1000.0, role_name(h->self->role),
               data_folder_identity(h->folder)->incarnation, h->life->name, h->self->address.host,
               network_port(h->ports.network), clients);
}

/* libuv counts milliseconds from when the poll returned; rounding up, the turn is late by at most one, never early. */
static void schedule(struct node_host *h, uint64_t now, uint64_t deadline)
{
    enum { FAR_MS = 3600 * 1000 };
    if (deadline <= now) {
        make_due(h);
        return;
    }
    uint64_t ms = (deadline - now) / 1000 + 1;
    uv_timer_start(&h->timer, on_deadline, ms < FAR_MS ? ms : FAR_MS, 0);
}

static void run_turn(struct node_host *h)
{
    struct problem problem;
    uint64_t now = now_us(), deadline = now;
    h->due = false;
    h->in_turn = true;
    bool sound = h->life->operations->turn(h->life, now, &deadline, &problem);
    h->in_turn = false;
    h->turns++;
    if (!sound) {
        fail(h, &problem);
        return;
    }
    journal_submit(h->ports.journal);
    uint64_t took = now_us() - now;
    h->turn_us_total += took;
    h->turn_us_max = took > h->turn_us_max ? took : h->turn_us_max;
    if (!h->ready && h->ports.recovered)
        say_ready(h);
    schedule(h, now, deadline);
}

/* ---- the end ---- */

static void on_clients_closed(void *context)
{
    struct node_host *h = context;
    h->clients_closed = true;
    make_due(h);
}

static void close_clients(struct node_host *h)
{
    h->phase = CLOSING;
    h->clients_closed = h->ports.clients == NULL;
    if (h->ports.clients != NULL)
        client_server_close(h->ports.clients, on_clients_closed, h);
    h->ports.clients = NULL;
}

static void on_grace_over(uv_timer_t *timer)
{
    struct node_host *h = timer->data;
    if (h->phase == DRAINING) {
        close_clients(h); /* half of the time is over */
        return;
    }
    logger_log(h->ports.logger, LOG_WARNING, "node", "closing took longer than grace_period_ms; ended by force");
    h->forced = true;
    uv_stop(&h->loop);
}

static void start_grace(struct node_host *h)
{
    uint64_t half = h->options.config->grace_period / 2000;
    uv_timer_start(&h->grace, on_grace_over, half > 0 ? half : 1, half > 0 ? half : 1);
}

/* Everything that keeps the loop alive; it returns when their callbacks have run. */
static void close_loop_handles(struct node_host *h)
{
    h->phase = CLOSED;
    pthread_mutex_lock(&h->lock);
    h->reachable = false;
    pthread_mutex_unlock(&h->lock);
    uv_close((uv_handle_t *)&h->wake, NULL);
    uv_close((uv_handle_t *)&h->check, NULL);
    uv_close((uv_handle_t *)&h->idle, NULL);
    uv_close((uv_handle_t *)&h->timer, NULL);
    if (h->ports.network != NULL)
        network_close(h->ports.network, NULL, NULL);
    h->ports.network = NULL;
    if (h->ports.journal != NULL)
        journal_close(h->ports.journal); /* what the last turns appended is made durable */
    h->ports.journal = NULL;
    uv_unref((uv_handle_t *)&h->grace); /* goes on guarding, but keeps nobody waiting */
}

static void begin_stop(struct node_host *h)
{
    pthread_mutex_lock(&h->lock);
    bool wanted = h->stop_wanted;
    pthread_mutex_unlock(&h->lock);
    if (!wanted || h->phase != RUNNING)
        return;
    logger_log(h->ports.logger, LOG_INFO, "node", "stopping");
    h->phase = DRAINING;
    h->ports.stopping = true;
    start_grace(h);
    h->due = true; /* the next turn tells the node */
}

static void begin_failure(struct node_host *h)
{
    h->exit_code = h->problem.exit_code;
    logger_log(h->ports.logger, LOG_ERROR, "node", "%s", h->problem.text);
    if (h->exit_code == EXIT_SYNC_FAILED) {
        h->forced = true;
        uv_stop(&h->loop);
    } else if (h->phase < CLOSING) {
        start_grace(h);
        close_clients(h);
    }
}

/* The node has heard that it must stop and nobody waits for it any more; one that is still recovering has said nothing yet.
 */
static bool is_drained(struct node_host *h) { return !h->ports.recovered || (!h->due && status_of(h).batches_waiting == 0); }

static void on_check(uv_check_t *check)
{
    struct node_host *h = check->data;
    uv_idle_stop(&h->idle);
    begin_stop(h);
    if (h->phase < CLOSING && h->due && !h->failed)
        run_turn(h);
    if (h->failed && h->exit_code == EXIT_OK)
        begin_failure(h);
    if (h->phase == DRAINING && is_drained(h) && !h->failed)
        close_clients(h);
    if (h->phase == CLOSING && h->clients_closed)
        close_loop_handles(h);
}

static void on_wake(uv_async_t *wake) { make_due(wake->data); }

/* ---- the beginning ---- */

static void open_loop(struct node_host *h)
{
    uv_loop_init(&h->loop);
    h->wake.data = h->check.data = h->idle.data = h->timer.data = h->grace.data = h;
    uv_async_init(&h->loop, &h->wake, on_wake);
    uv_check_init(&h->loop, &h->check);
    uv_check_start(&h->check, on_check);
    uv_idle_init(&h->loop, &h->idle);
    uv_timer_init(&h->loop, &h->timer);
    uv_timer_init(&h->loop, &h->grace);
}

static bool open_storage(struct node_host *h, struct problem *problem)
{
    const struct config *config = h->options.config;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/node-%u", config->data, h->self->id) >= (int)sizeof path)
        return problem_set(problem, EXIT_DATA, "data: the path is too long");
    if (!data_folder_open(&h->folder, disk_posix(), path, config->cluster, h->self->id, problem))
        return false;
    const struct journal_options options = {
        .folder = data_folder_path(h->folder),
        .identity = *data_folder_identity(h->folder),
        .durability = config->node_config.durability,
        .segment_bytes = config->segment_bytes,
        .on_durable = on_input,
        .on_failure = on_journal_failure,
        .on_notice = on_journal_notice,
        .context = h,
    };
    return journal_open(&h->ports.journal, &h->loop, &options, problem);
}

static bool accept_peer(void *context, uint32_t peer, const uint8_t instance[16])
{
    return data_folder_accept_peer(((struct node_host *)context)->folder, peer, instance);
}

static bool open_sockets(struct node_host *h, struct problem *problem)
{
    const struct config *config = h->options.config;
    const struct network_options network = {
        .config = config,
        .origin = identity_origin(data_folder_identity(h->folder)),
        .sends = true,
        .receives = true,
        .accept_peer = accept_peer,
        .logger = h->ports.logger,
        .on_input = on_input,
        .context = h,
    };
    if (!tcp_network_open(&h->ports.network, &h->loop, &network, problem))
        return false;
    if (h->self->client.host[0] == '\0')
        return true;
    const struct client_server_options clients = {
        .config = config,
        .node = h->self->id,
        .logger = h->ports.logger,
        .on_input = on_commands,
        .status = status_of,
        .info = info_of,
        .context = h,
    };
    return client_server_open(&h->ports.clients, &h->loop, &clients, problem);
}

static const char *const place_names[] = {"host", "guest"};

static bool open_life(struct node_host *h, struct problem *problem)
{
    const struct config *config = h->options.config;
    struct node_config node = config->node_config;
    node.node = h->self->id;
    node.incarnation = data_folder_identity(h->folder)->incarnation;
    if (h->options.engine == NULL)
        return node_native_new(&h->life, &h->ports.ports, problem) && h->life->operations->start(h->life, &node, problem);
    node_host_file(h->file, sizeof h->file, h->options.nodes_folder, h->self, node.leader_rule);
    if (access(h->file, R_OK) != 0)
        return problem_set(problem, EXIT_BAD_INPUT,
                           "there is no %s; compose it: compositions/compose.sh %s-node %s %s %s %s (or set SYNOD_NODES)",
                           h->file, role_name(h->self->role), network_name(h->self->network), place_names[h->self->storage],
                           place_names[h->self->serializer], node.leader_rule == LEADER_HIGHEST ? "highest" : "sticky");
    const struct node_wasm_options options = {
        .engine = h->options.engine,
        .file = h->file,
        .memory_bytes_max = config->memory_bytes_max,
        .turn_timeout = config->turn_timeout,
    };
    return node_wasm_new(&h->life, &options, &h->ports.ports, problem) && h->life->operations->start(h->life, &node, problem);
}

static void warn_about_durability(struct node_host *h)
{
    static const char *const texts[] = {
        [DURABILITY_OS] =
            "durability: os -- nothing is synced; a machine that goes down may lose votes and BREAK the cluster's promises",
        [DURABILITY_MEMORY] =
            "durability: memory -- nothing is written; a node that restarts has lost its votes and must not come back",
    };
    uint8_t durability = h->options.config->node_config.durability;
    if (durability == DURABILITY_OS || durability == DURABILITY_MEMORY)
        logger_log(h->ports.logger, LOG_WARNING, "node", "%s", texts[durability]);
}

/* One life of the node, from an open data folder to a closed one. */
static void run_node(struct node_host *h)
{
    struct problem problem;
    warn_about_durability(h);
    if (open_storage(h, &problem) && open_life(h, &problem) && open_sockets(h, &problem))
        make_due(h);
    else
        fail(h, &problem);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    if (h->failed && h->exit_code == EXIT_OK) { /* found by journal_close */
        h->exit_code = h->problem.exit_code;
        logger_log(h->ports.logger, LOG_ERROR, "node", "%s", h->problem.text);
    }
}

/* After force or a failed sync, libuv and the journal may still use memory of this node: it is left to the process's end,
 * which follows. */
static void release(struct node_host *h)
{
    if (h->life != NULL)
        h->life->operations->free(h->life);
    if (h->forced)
        return;
    uv_close((uv_handle_t *)&h->grace, NULL);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
    if (h->folder != NULL)
        data_folder_close(h->folder);
}

static void *node_thread(void *argument)
{
    struct node_host *h = argument;
    h->started_us = now_us();
    run_node(h);
    pthread_mutex_lock(&h->lock);
    h->reachable = false;
    pthread_mutex_unlock(&h->lock);
    release(h);
    logger_log(h->ports.logger, LOG_INFO, "node", "ended with exit code %d", h->exit_code);
    h->options.on_ended(h->options.context);
    return NULL;
}

/* ---- the face ---- */

bool node_host_start(struct node_host **out, const struct node_host_options *options, struct problem *problem)
{
    char name[16];
    struct node_host *h = memory_new(1, sizeof *h);
    h->options = *options;
    h->self = config_find(options->config, options->node);
    h->status_turn = UINT64_MAX;
    node_ports_init(&h->ports);
    h->ports.logger = logger_new(options->node, options->config->log_level);
    pthread_mutex_init(&h->lock, NULL);
    open_loop(h);
    h->reachable = true;
    int error = pthread_create(&h->thread, NULL, node_thread, h);
    if (error != 0)
        return problem_set(problem, EXIT_TROUBLE, "node %u: cannot start a thread: %s", options->node, strerror(error));
    snprintf(name, sizeof name, "node-%u", options->node);
    pthread_setname_np(h->thread, name);
    *out = h;
    return true;
}

void node_host_stop(struct node_host *h)
{
    pthread_mutex_lock(&h->lock);
    h->stop_wanted = true;
    if (h->reachable)
        uv_async_send(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

int node_host_join(struct node_host *h)
{
    pthread_join(h->thread, NULL);
    int exit_code = h->exit_code;
    if (h->forced)
        return exit_code;
    logger_free(h->ports.logger);
    pthread_mutex_destroy(&h->lock);
    free(h);
    return exit_code;
}

void node_host_file(char *out, size_t size, const char *nodes_folder, const struct config_node *node, uint8_t leader_rule)
{
    bool elects = node->role == ROLE_COORDINATOR || node->role == ROLE_PROPOSER;
    snprintf(out, size, "%s/%s-node%s%s%s%s%s.wasm", nodes_folder, role_name(node->role),
             config_network_in_guest(node) ? "-" : "", config_network_in_guest(node) ? network_name(node->network) : "",
             node->storage == PLACE_GUEST ? "-guest-storage" : "", node->serializer == PLACE_HOST ? "-host-serializer" : "",
             elects && leader_rule == LEADER_HIGHEST ? "-highest" : "");
}

void node_host_default_folder(char *out, size_t size)
{
    const char *given = getenv("SYNOD_NODES");
    char executable[4000];
    ssize_t len = readlink("/proc/self/exe", executable, sizeof executable - 1);
    executable[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(executable, '/');
    if (slash != NULL)
        *slash = '\0';
    if (given != NULL && given[0] != '\0')
        snprintf(out, size, "%s", given);
    else
        snprintf(out, size, "%s/../nodes", slash != NULL ? executable : ".");
}
