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
 *         '------------------ a fault that ends the node ----------------------^
 *
 * 3. A failed sync ends the thread at once: nothing is flushed, nothing is answered, no reply leaves (P14).
 * 4. A life that breaks is not the end of the node: within RUNNING the next one takes over (supervisor.c), on the same loop,
 *    with the same sockets and the same journal.
 * 5. A node whose network is in the sandbox has the thread, and calls the loop from within, once between two of its turns
 *    (node_surroundings.c). `check` then only notes what is to be done about the life.
 * 6. The watch sees whether the loop comes round. The ping timer makes it do so while nothing happens, so that silence
 *    always means that the thread is stuck: in a guest that computes, which the watch can interrupt, or in a call of the
 *    system, which nobody can; then the process ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/logger.h"
#include "host/node_host_internal.h"

/* ---- what happens to the node ---- */

static void on_idle(uv_idle_t *idle) { (void)idle; }

void host_make_due(struct node_host *h)
{
    h->due = true;
    if (!uv_is_active((uv_handle_t *)&h->idle) && !uv_is_closing((uv_handle_t *)&h->idle))
        uv_idle_start(&h->idle, on_idle);
}

static void on_deadline(uv_timer_t *timer) { host_make_due(timer->data); }

void host_fail(struct node_host *h, const struct problem *problem)
{
    if (h->failed)
        return;
    h->failed = true;
    h->problem = *problem;
    host_make_due(h);
}

/* A part has said that the node cannot go on. */
static void look_for_failure(struct node_host *h)
{
    struct problem problem;
    if (h->ports.exit_code == EXIT_OK || h->supervisor.broken)
        return;
    problem_set(&problem, h->ports.exit_code, "%s: a part of the node says that it cannot go on; the log has the reason",
                h->path);
    host_fail(h, &problem);
}

void host_interrupt(struct node_host *h)
{
    if (h->life->operations->interrupt != NULL)
        h->life->operations->interrupt(h->life);
}

/* On the watch's thread. It does first what has to be done, and says so afterwards: whatever the node's thread is stuck in,
 * the log may be stuck in as well. */
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
    pthread_mutex_lock(&h->lock);
    if (h->watched != NULL && h->watched->operations->interrupt != NULL) {
        h->hung = true;
        h->watched->operations->interrupt(h->watched);
    }
    pthread_mutex_unlock(&h->lock);
    logger_log(h->ports.logger, LOG_WARNING, "watch", "no sign of life for %llu ms (ping_timeout_ms)", timeout_ms);
}

static void on_ping(uv_timer_t *timer) { (void)timer; }

/* ---- status, for INFO ---- */

/* Never from within a turn: a guest may not be entered again. */
struct node_status host_status(struct node_host *h)
{
    struct problem problem;
    if (h->life == NULL || h->in_turn || h->runs || h->failed || h->supervisor.broken || h->status_turn == h->turns)
        return h->status;
    h->in_turn = true;
    if (h->life->operations->status(h->life, &h->status, &problem))
        h->status_turn = h->turns;
    else
        supervisor_broke(h, &problem);
    h->in_turn = false;
    return h->status;
}

/* ---- turns ---- */

static void say_ready(struct node_host *h)
{
    char incarnation[32] = "", clients[320] = "no client port";
    h->announced = true;
    if (h->origin.incarnation != 0) /* else only the sandbox knows */
        snprintf(incarnation, sizeof incarnation, ", incarnation %u", h->origin.incarnation);
    if (h->self->client.host[0] != '\0')
        snprintf(clients, sizeof clients, "clients at %s port %u", h->self->client.host, h->self->client.port);
    logger_log(h->ports.logger, LOG_INFO, "node", "ready after %.1f ms: %s%s, %s, nodes at %s port %u, %s",
               (double)(now_us() - h->started_us) / 1000.0, role_name(h->self->role), incarnation, h->life->name,
               h->self->address.host, h->ports.network != NULL ? network_port(h->ports.network) : h->self->address.port,
               clients);
}

/* libuv counts milliseconds from when the poll returned; rounding up, the turn is late by at most one, never early. */
static void schedule(struct node_host *h, uint64_t now, uint64_t deadline)
{
    enum { FAR_MS = 3600 * 1000 };
    if (deadline <= now) {
        host_make_due(h);
        return;
    }
    uint64_t ms = (deadline - now) / 1000 + 1;
    uv_timer_start(&h->timer, on_deadline, ms < FAR_MS ? ms : FAR_MS, 0);
}

/* A runner asks what is wanted of it in every turn but those in which it recovers; and a loop in the sandbox asks once, too,
 * each time that it comes round (components/wasi-loop). That is what can be seen of any node, whoever has its storage. */
static bool has_recovered(struct node_host *h)
{
    uint32_t asked = h->ports.asked;
    h->ports.asked = 0;
    return asked > (host_network(h) ? 0 : 1);
}

void host_after_turn(struct node_host *h)
{
    h->turns++;
    if (h->ports.journal != NULL)
        journal_submit(h->ports.journal);
    if (!h->ready && has_recovered(h)) {
        h->ready = true;
        if (!h->announced)
            say_ready(h);
        supervisor_ready(h);
    }
    supervisor_look_for_crash(h);
    look_for_failure(h);
}

static void run_turn(struct node_host *h)
{
    struct problem problem;
    uint64_t now = now_us(), deadline = now;
    h->due = false;
    h->in_turn = true;
    bool sound = h->life->operations->turn(h->life, now, &deadline, &problem);
    h->in_turn = false;
    if (!sound) { /* what it has appended is not submitted */
        supervisor_broke(h, &problem);
        return;
    }
    host_after_turn(h);
    uint64_t took = now_us() - now;
    h->turn_us_total += took;
    h->turn_us_max = took > h->turn_us_max ? took : h->turn_us_max;
    schedule(h, now, deadline);
}

void host_begin(struct node_host *h)
{
    pthread_mutex_lock(&h->lock);
    h->watched = h->life;
    pthread_mutex_unlock(&h->lock);
    host_make_due(h);
}

/* ---- the end ---- */

static void on_clients_closed(void *context)
{
    struct node_host *h = context;
    h->clients_closed = true;
    host_make_due(h);
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
    if (!h->hurried) { /* half of the time is over */
        h->hurried = true;
        if (h->phase == DRAINING && !h->runs)
            close_clients(h);
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

/* Storage in the sandbox ends in good order, as that of the host does. */
static void close_identity(struct node_host *h)
{
    struct problem problem;
    if (h->life == NULL || h->failed || !host_network(h) || host_storage(h))
        return;
    if (!h->life->operations->close_identity(h->life, &problem)) {
        h->exit_code = h->ports.exit_code != EXIT_OK ? h->ports.exit_code : problem.exit_code;
        logger_log(h->ports.logger, LOG_ERROR, "node", "%s", problem.text);
    }
}

/* Everything that keeps the loop alive; it returns when their callbacks have run. */
static void close_loop_handles(struct node_host *h)
{
    h->phase = CLOSED;
    watch_expect(h->watch, false);
    pthread_mutex_lock(&h->lock);
    h->reachable = false;
    pthread_mutex_unlock(&h->lock);
    uv_close((uv_handle_t *)&h->wake, NULL);
    uv_close((uv_handle_t *)&h->check, NULL);
    uv_close((uv_handle_t *)&h->idle, NULL);
    uv_close((uv_handle_t *)&h->timer, NULL);
    uv_close((uv_handle_t *)&h->ping, NULL);
    supervisor_close(h);
    if (h->ports.network != NULL)
        network_close(h->ports.network, NULL, NULL);
    h->ports.network = NULL;
    close_identity(h);
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

/* The node has heard that it must stop and nobody waits for it any more; one that is still recovering has said nothing yet,
 * and one with a loop of its own has come back from it. */
static bool is_drained(struct node_host *h)
{
    return !h->ready || !host_network(h) || (!h->due && host_status(h).batches_waiting == 0);
}

static void on_check(uv_check_t *check)
{
    struct node_host *h = check->data;
    uv_idle_stop(&h->idle);
    watch_sign(h->watch);
    begin_stop(h);
    if (h->runs) { /* it has its turn now; and it has this call, so nothing of the life's may be touched */
        h->due = false;
        return;
    }
    if (h->phase < CLOSING && h->due && !h->failed && h->life != NULL && !h->supervisor.broken && host_network(h))
        run_turn(h);
    supervisor_step(h);
    if (h->failed && h->exit_code == EXIT_OK)
        begin_failure(h);
    if (h->phase == DRAINING && is_drained(h) && !h->failed)
        close_clients(h);
    if (h->phase == CLOSING && h->clients_closed)
        close_loop_handles(h);
    watch_sign(h->watch);
}

static void on_wake(uv_async_t *wake) { host_make_due(wake->data); }

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
    h->wake.data = h->check.data = h->idle.data = h->timer.data = h->grace.data = h;
    uv_check_init(&h->loop, &h->check); /* these take nothing of the system, and cannot fail */
    uv_check_start(&h->check, on_check);
    uv_idle_init(&h->loop, &h->idle);
    uv_timer_init(&h->loop, &h->timer);
    uv_timer_init(&h->loop, &h->grace);
    uv_timer_init(&h->loop, &h->ping);
    uint64_t interval_ms = watch_interval(h->watch) / 1000;
    uv_timer_start(&h->ping, on_ping, interval_ms, interval_ms > 0 ? interval_ms : 1);
    return true;
}

/* The life has the thread, until it ends or breaks. */
static void run_life(struct node_host *h)
{
    struct problem problem;
    h->runs = true;
    watch_expect(h->watch, false); /* until it comes to its loop: it may have a journal to read before */
    bool sound = h->life->operations->run(h->life, &problem);
    h->runs = false;
    watch_expect(h->watch, true);
    if (sound && h->phase == RUNNING)
        sound = problem_set(&problem, EXIT_TROUBLE, "the node's loop has ended, though nobody asked it to");
    if (!sound && h->hurried && h->ports.exit_code == EXIT_OK)
        logger_log(h->ports.logger, LOG_WARNING, "node", "the node's loop took longer than grace_period_ms to end");
    else if (!sound)
        supervisor_broke(h, &problem);
    h->over = sound || h->hurried;
    host_make_due(h);
}

/* Until nothing keeps the loop alive any more, or the node is ended by force. */
static void run_loop(struct node_host *h)
{
    const struct config *config = h->options.config;
    const bool polls = config->waiting == WAITING_POLLING && host_network(h);
    const uv_run_mode mode = polls ? UV_RUN_NOWAIT : host_network(h) ? UV_RUN_DEFAULT : UV_RUN_ONCE;
    bool active = true;
    while (active && !h->forced) {
        bool alive = h->life != NULL && !h->supervisor.broken && !h->over && !h->failed && h->phase < CLOSING;
        if (!host_network(h) && alive)
            run_life(h);
        active = uv_run(&h->loop, mode) != 0;
        if (polls && active && h->phase < CLOSING) { /* an experiment: look, instead of being told */
            usleep((useconds_t)config->tick);
            h->due = true;
        }
    }
}

/* From closed data folder to closed data folder. */
static void run_node(struct node_host *h)
{
    struct problem problem;
    if (parts_open(h, &problem))
        host_begin(h);
    else
        host_fail(h, &problem);
    watch_expect(h->watch, true);
    run_loop(h);
    watch_expect(h->watch, false);
    if (h->failed && h->exit_code == EXIT_OK) { /* found by journal_close */
        h->exit_code = h->problem.exit_code;
        logger_log(h->ports.logger, LOG_ERROR, "node", "%s", h->problem.text);
    }
}

/* After force or a failed sync, libuv and the journal may still use memory of this node: it is left to the process's end,
 * which follows. */
static void release(struct node_host *h)
{
    watch_stop(h->watch);
    if (h->life != NULL)
        h->life->operations->free(h->life);
    supervisor_free(h);
    if (h->forced)
        return;
    uv_close((uv_handle_t *)&h->grace, NULL);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
    surroundings_close(h);
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
    supervisor_init(h);
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
    if (!h->forced)
        free_host(h);
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
