/* One node in its loop.
 *
 *   poll: sockets, the journal's completions, stop requests -- they only set `due` (and start the idle handle, while
 *     |   which is active no poll waits: nothing that becomes due is slept over, whatever phase of the loop it comes from)
 *   check: due? -> one turn -> journal_submit -> when is the next turn due? Now: `due` again. Later: a timer.
 *     |            (node_drivers.c)
 *   next iteration
 *
 * 1. Everything that arrived in one iteration is one turn: load makes batches, idleness makes answers prompt.
 * 2. Nothing is closed inside a callback of what is closed: faults and requests set a phase, `check` acts on it.
 *
 *      RUNNING --stop--> DRAINING --nothing waits, or half of grace_period--> CLOSING --> CLIENTS_CLOSED --> CLOSED
 *         '------------------ a fault that ends the node ----------------------^
 *
 * 3. A failed sync ends the thread at once: nothing is flushed, nothing is answered, no reply leaves (P14).
 * 4. A life that breaks is not the end of the node: within RUNNING the next one takes over (supervisor.c), on the same loop,
 *    with the same sockets and the same journal.
 * 5. A node whose network is in the sandbox has the thread, and calls the loop from within, once between two of its turns
 *    (node_drivers.c). `check` then only notes what is to be done about the life.
 * 6. The watch sees whether the loop comes round. The ping timer makes it do so while nothing happens, so that silence
 *    always means that the thread is stuck: in a guest that computes, which the watch can interrupt, or in a call of the
 *    system, which is not possible; then the process ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "host/composition.h"
#include "host/logger.h"
#include "host/node_host_internal.h"

/* ---- what happens to the node ---- */

/* On the watch's thread. It acts first and logs afterwards: the log may be stuck in the same thing as the node's thread. */
static void on_silence(void *context, unsigned times)
{
    struct node_host *h = context;
    unsigned long long timeout_ms = h->options.config->ping_timeout / 1000;
    if (times > 1) {
        logger_log(h->ports.logger, LOG_ERROR, "watch",
                   "still no sign of life, and no way to end what it waits for: the process ends with exit code %d",
                   EXIT_TROUBLE);
        logger_flush(LAST_WORDS_MS);
        _Exit(EXIT_TROUBLE);
    }
    supervisor_interrupt_hung(&h->supervisor);
    logger_log(h->ports.logger, LOG_WARNING, "watch", "no sign of life for %llu ms (ping_timeout_ms)", timeout_ms);
}

static void on_ping(uv_timer_t *timer) { (void)timer; }

/* ---- the end ---- */

static void enter_phase(struct node_host *h, enum phase phase)
{
    invariant(phase > h->phase); /* there is no way back */
    h->phase = phase;
}

static void on_clients_closed(void *context)
{
    struct node_host *h = context;
    enter_phase(h, CLIENTS_CLOSED);
    host_make_due(h);
}

static void close_clients(struct node_host *h)
{
    struct client_server *clients = h->ports.clients;
    h->ports.clients = NULL;
    enter_phase(h, CLOSING);
    if (clients != NULL)
        client_server_close(clients, on_clients_closed, h);
    else
        enter_phase(h, CLIENTS_CLOSED);
}

static void end_by_force(struct node_host *h)
{
    h->grace = GRACE_OVER;
    uv_stop(&h->loop);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct node_host *h = timer->data;
    if (h->grace == GRACE_FIRST_HALF) {
        h->grace = GRACE_SECOND_HALF;
        if (h->phase == DRAINING && !h->entered)
            close_clients(h);
        return;
    }
    logger_log(h->ports.logger, LOG_WARNING, "node", "closing took longer than grace_period_ms; ended by force");
    end_by_force(h);
}

/* A node that fails while it stops has no more halves than before. */
static void start_grace(struct node_host *h)
{
    uint64_t half = h->options.config->grace_period / 2000;
    if (h->grace == GRACE_NOT_BEGUN)
        h->grace = GRACE_FIRST_HALF;
    uv_timer_start(&h->grace_timer, on_grace_over, half > 0 ? half : 1, half > 0 ? half : 1);
}

static void end_life(struct node_host *h)
{
    struct problem problem;
    if (h->supervisor.life == NULL || host_has_failed(h) || h->driver->end(h, &problem))
        return;
    h->exit_code = h->ports.exit_code != EXIT_OK ? h->ports.exit_code : problem.exit_code;
    logger_log(h->ports.logger, LOG_ERROR, "node", "%s", problem.text);
}

/* Everything that keeps the loop alive; it returns when their callbacks have run. */
static void close_loop_handles(struct node_host *h)
{
    enter_phase(h, CLOSED);
    watch_expect(h->watch, false);
    pthread_mutex_lock(&h->lock);
    h->reachable = false;
    pthread_mutex_unlock(&h->lock);
    uv_close((uv_handle_t *)&h->wake, NULL);
    uv_close((uv_handle_t *)&h->check, NULL);
    uv_close((uv_handle_t *)&h->idle, NULL);
    uv_close((uv_handle_t *)&h->timer, NULL);
    uv_close((uv_handle_t *)&h->ping, NULL);
    supervisor_close(&h->supervisor);
    members_ask_no_more(h);
    if (h->ports.network != NULL)
        network_close(h->ports.network, NULL, NULL);
    h->ports.network = NULL;
    end_life(h);
    if (h->ports.journal != NULL)
        journal_close(h->ports.journal); /* what the last turns appended is made durable */
    h->ports.journal = NULL;
    if (h->ports.snapshots != NULL)
        snapshots_close(h->ports.snapshots);
    h->ports.snapshots = NULL;
    uv_unref((uv_handle_t *)&h->grace_timer); /* goes on guarding, but does not keep the loop running */
}

static void begin_stop(struct node_host *h)
{
    pthread_mutex_lock(&h->lock);
    bool wanted = h->stop_wanted;
    pthread_mutex_unlock(&h->lock);
    if (!wanted || h->phase != RUNNING)
        return;
    logger_log(h->ports.logger, LOG_INFO, "node", "stopping");
    enter_phase(h, DRAINING);
    h->ports.stopping = true;
    start_grace(h);
    h->due = true; /* the next turn tells the node */
}

static void begin_failure(struct node_host *h)
{
    h->exit_code = h->problem.exit_code;
    logger_log(h->ports.logger, LOG_ERROR, "node", "%s", h->problem.text);
    if (h->exit_code == EXIT_SYNC_FAILED) {
        end_by_force(h);
    } else if (h->phase < CLOSING) {
        start_grace(h);
        close_clients(h);
    }
}

static void on_check(uv_check_t *check)
{
    struct node_host *h = check->data;
    uv_idle_stop(&h->idle);
    watch_sign(h->watch);
    begin_stop(h);
    if (h->entered) { /* the life has its turn now; and it has this call, so nothing of the life's may be touched */
        h->due = false;
        return;
    }
    if (h->phase < CLOSING && h->due && driver_may_call(h))
        h->driver->turn(h);
    supervisor_step(&h->supervisor);
    if (host_has_failed(h) && h->exit_code == EXIT_OK)
        begin_failure(h);
    if (h->phase == DRAINING && h->driver->is_drained(h) && !host_has_failed(h))
        close_clients(h);
    if (h->phase == CLIENTS_CLOSED)
        close_loop_handles(h);
    watch_sign(h->watch);
}

static void on_wake(uv_async_t *wake) { host_make_due(wake->data); }

/* ---- what the supervisor asks ---- */

static bool make_life(void *host, struct node_life **out, struct problem *problem)
{
    return parts_make_life(host, out, problem);
}

static bool begin_life(void *host, struct problem *problem) { return parts_reborn(host, problem); }

static bool may_follow(void *host)
{
    const struct node_host *h = host;
    return h->phase == RUNNING && !host_has_failed(h);
}

static void on_buried(void *host)
{
    struct node_host *h = host;
    h->due = false;
    uv_timer_stop(&h->timer);
}

static void on_due(void *host) { host_make_due(host); }

static void on_failure(void *host, const struct problem *problem) { host_fail(host, problem); }

static void start_supervisor(struct node_host *h)
{
    static const struct supervisor_operations operations = {
        .make_life = make_life,
        .begin_life = begin_life,
        .may_follow = may_follow,
        .on_buried = on_buried,
        .on_due = on_due,
        .on_failure = on_failure,
    };
    const struct supervisor_options options = {
        .operations = &operations,
        .host = h,
        .config = h->options.config,
        .node = h->self->id,
        .sandboxed = h->options.engine != NULL,
        .served_ms = h->options.served_ms,
        .ports = &h->ports,
        .watch = h->watch,
        .loop = &h->loop,
    };
    supervisor_init(&h->supervisor, &options);
}

/* ---- the thread ---- */

static bool open_loop(struct node_host *h, struct problem *problem)
{
    int error = uv_loop_init(&h->loop);
    if (error != 0)
        return problem_set(problem, EXIT_TROUBLE, "node %u: cannot wait for anything: %s", h->self->id, uv_strerror(error));
    error = uv_async_init(&h->loop, &h->wake, on_wake);
    if (error != 0) {
        uv_loop_close(&h->loop);
        return problem_set(problem, EXIT_TROUBLE, "node %u: cannot be woken: %s", h->self->id, uv_strerror(error));
    }
    h->wake.data = h->check.data = h->idle.data = h->timer.data = h->grace_timer.data = h;
    uv_check_init(&h->loop, &h->check); /* these take nothing of the system, and cannot fail */
    uv_check_start(&h->check, on_check);
    uv_idle_init(&h->loop, &h->idle);
    uv_timer_init(&h->loop, &h->timer);
    uv_timer_init(&h->loop, &h->grace_timer);
    uv_timer_init(&h->loop, &h->ping);
    uint64_t interval_ms = watch_interval(h->watch) / 1000;
    uv_timer_start(&h->ping, on_ping, interval_ms, interval_ms > 0 ? interval_ms : 1);
    return true;
}

/* From closed data folder to closed data folder. */
static void run_node(struct node_host *h)
{
    struct problem problem;
    if (parts_open(h, &problem))
        supervisor_begun(&h->supervisor);
    else
        host_fail(h, &problem);
    watch_expect(h->watch, true);
    while (h->grace != GRACE_OVER && h->driver->go_round(h))
        ;
    watch_expect(h->watch, false);
    if (host_has_failed(h) && h->exit_code == EXIT_OK) { /* found by journal_close */
        h->exit_code = h->problem.exit_code;
        logger_log(h->ports.logger, LOG_ERROR, "node", "%s", h->problem.text);
    }
}

/* After force or a failed sync, libuv and the journal may still use memory of this node. So it is not freed: the process
 * ends soon. */
static void release(struct node_host *h)
{
    watch_stop(h->watch);
    supervisor_free(&h->supervisor);
    if (h->grace == GRACE_OVER)
        return;
    uv_close((uv_handle_t *)&h->grace_timer, NULL);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
    surroundings_close(h);
    members_close(h);
    if (h->folder != NULL)
        data_folder_close(h->folder);
    if (h->folder_lock >= 0)
        disk_unlock(disk_posix(), h->folder_lock);
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

static void free_host(struct node_host *h)
{
    logger_free(h->ports.logger);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

bool node_host_start(struct node_host **out, const struct node_host_options *options, struct problem *problem)
{
    char name[16];
    struct node_host *h = memory_new(1, sizeof *h);
    h->options = *options;
    h->self = config_find(options->config, options->node);
    h->driver = driver_choose(h->self);
    if (options->engine != NULL)
        composition_file(h->file, sizeof h->file, options->nodes_folder, h->self, options->config->node_config.leader_rule);
    h->status_turn = UINT64_MAX;
    h->folder_lock = -1;
    node_ports_init(&h->ports, h->self->role);
    h->ports.logger = logger_new(options->node, options->config->log_level);
    pthread_mutex_init(&h->lock, NULL);
    if (!watch_start(&h->watch, options->config->ping_timeout, on_silence, h)) {
        free_host(h);
        return problem_set(problem, EXIT_TROUBLE, "node %u: cannot start a thread to watch it", options->node);
    }
    if (!open_loop(h, problem)) {
        watch_stop(h->watch);
        free_host(h);
        return false;
    }
    surroundings_init(h);
    start_supervisor(h);
    h->reachable = true;
    int error = pthread_create(&h->thread, NULL, node_thread, h); /* should it fail, the process ends */
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
    if (h->grace != GRACE_OVER)
        free_host(h);
    return exit_code;
}
