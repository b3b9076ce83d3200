/* Calls into a node's life, and the two ways in which it shares the thread with the host's loop.
 *
 *   the host drives   the loop waits, and calls the life for a turn when one is due. For a node whose network is the host's.
 *   the life drives   a life whose network is in the sandbox has the thread: it waits in there, for its sockets and for
 *                     `loop_fd` (node_surroundings.c), and calls the host's loop between two of its turns. What ends it is
 *                     only noted, and it is interrupted: the loop must not call back into it. */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/node_host_internal.h"

bool driver_may_call(const struct node_host *h)
{
    return life_state_is_sound(h->supervisor.state) && !h->entered && !host_has_failed(h);
}

/* ---- what follows a turn, with either driver ---- */

static void say_ready(struct node_host *h)
{
    char incarnation[32] = "", clients[320] = "no client port";
    h->announced = true;
    if (h->origin.incarnation != 0) /* otherwise only the sandbox knows */
        snprintf(incarnation, sizeof incarnation, ", incarnation %u", h->origin.incarnation);
    if (h->self->client.host[0] != '\0')
        snprintf(clients, sizeof clients, "clients at %s port %u", h->self->client.host, h->self->client.port);
    logger_log(h->ports.logger, LOG_INFO, "node", "ready after %.1f ms: %s%s, %s, nodes at %s port %u, %s",
               (double)(now_us() - h->started_us) / 1000.0, role_name(h->self->role), incarnation, h->supervisor.life->name,
               h->self->address.host, h->ports.network != NULL ? network_port(h->ports.network) : h->self->address.port,
               clients);
}

/* Whether the life has recovered. A runner asks what is wanted of it in each turn, but not while it recovers. A loop in the
 * sandbox asks once more each time that it comes round (components/wasi-loop). That can be seen of any node, wherever its
 * storage is. */
static bool has_recovered(struct node_host *h)
{
    uint32_t asked = h->ports.asked;
    h->ports.asked = 0;
    return asked > h->driver->asked_in_recovery;
}

/* A part has said that the node cannot go on. */
static void look_for_failure(struct node_host *h)
{
    struct problem problem;
    if (h->ports.exit_code == EXIT_OK || h->supervisor.state == LIFE_BROKEN)
        return;
    problem_set(&problem, h->ports.exit_code, "%s: a part of the node says that it cannot go on; the log has the reason",
                h->path);
    host_fail(h, &problem);
}

static void after_turn(struct node_host *h)
{
    h->turns++;
    if (h->ports.journal != NULL)
        journal_submit(h->ports.journal);
    if (h->supervisor.state == LIFE_RECOVERING && has_recovered(h)) {
        if (!h->announced)
            say_ready(h);
        supervisor_ready(&h->supervisor);
    }
    supervisor_look_for_crash(&h->supervisor);
    look_for_failure(h);
}

/* ---- the host drives ---- */

static bool fits_turns(const struct node_host *h)
{
    const struct node_life_operations *life = h->supervisor.life->operations;
    return life->start != NULL && (is_storage_in_host(h) || life->open_identity != NULL);
}

static bool begin_turns(struct node_host *h, struct problem *problem)
{
    struct node_life *life = h->supervisor.life;
    struct node_config config;
    if (!is_storage_in_host(h) && !life->operations->open_identity(life, &h->origin, problem))
        return false;
    config = members_begin(h);
    config.node = h->self->id;
    config.incarnation = h->origin.incarnation;
    if (getrandom(&config.seed, sizeof config.seed, 0) != sizeof config.seed)
        return problem_set(problem, EXIT_TROUBLE, "no random bytes for the seed of node %u", h->self->id);
    return life->operations->start(life, &config, problem);
}

static void on_deadline(uv_timer_t *timer) { host_make_due(timer->data); }

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

static void run_turn(struct node_host *h)
{
    struct problem problem;
    struct node_life *life = h->supervisor.life;
    uint64_t now = now_us(), deadline = now;
    h->due = false;
    h->entered = true;
    bool sound = life->operations->turn(life, now, &deadline, &problem);
    h->entered = false;
    if (!sound) { /* what it has appended is not submitted */
        supervisor_broke(&h->supervisor, &problem);
        return;
    }
    after_turn(h);
    uint64_t took = now_us() - now;
    h->turn_us_total += took;
    h->turn_us_max = took > h->turn_us_max ? took : h->turn_us_max;
    schedule(h, now, deadline);
}

/* `waiting: polling`, an experiment: looks after each tick, instead of being told. */
static bool poll_for_events(struct node_host *h)
{
    bool alive = uv_run(&h->loop, UV_RUN_NOWAIT) != 0;
    if (alive && h->phase < CLOSING) {
        usleep((useconds_t)h->options.config->tick);
        h->due = true;
    }
    return alive;
}

static bool wait_for_events(struct node_host *h)
{
    if (h->options.config->waiting == WAITING_POLLING)
        return poll_for_events(h);
    return uv_run(&h->loop, UV_RUN_DEFAULT) != 0;
}

/* The node has heard that it must stop, and no client waits for it any more. One that is still recovering has said nothing
 * yet. */
static bool has_answered(struct node_host *h)
{
    return h->supervisor.state != LIFE_READY || (!h->due && driver_status(h).batches_waiting == 0);
}

/* Storage in the sandbox ends in good order, as that of the host does. */
static bool close_identity(struct node_host *h, struct problem *problem)
{
    struct node_life *life = h->supervisor.life;
    return is_storage_in_host(h) || life->operations->close_identity(life, problem);
}

/* Never from within a turn: a guest may not be entered again. */
struct node_status driver_status(struct node_host *h)
{
    struct problem problem;
    struct node_life *life = h->supervisor.life;
    if (!driver_may_call(h) || h->status_turn == h->turns)
        return h->status;
    h->entered = true;
    if (life->operations->status(life, &h->status, &problem))
        h->status_turn = h->turns;
    else
        supervisor_broke(&h->supervisor, &problem);
    h->entered = false;
    return h->status;
}

static enum peer_verdict accept_peer(struct node_host *h, const struct frame_origin *peer)
{
    struct node_life *life = h->supervisor.life;
    if (h->folder != NULL)
        return data_folder_accept_peer(h->folder, peer);
    if (!driver_may_call(h))
        return PEER_UNKNOWN_WHY;
    h->entered = true;
    enum peer_verdict verdict = life->operations->accept_peer(life, peer);
    h->entered = false;
    return verdict;
}

enum peer_verdict driver_accept_peer(void *node_host, const struct frame_origin *peer)
{
    if (!members_have(node_host, peer)) {
        members_early(node_host, peer);
        return PEER_OTHER_INSTANCE;
    }
    const enum peer_verdict verdict = accept_peer(node_host, peer);
    if (verdict == PEER_ACCEPTED)
        members_greeted(node_host, peer);
    return verdict;
}

/* ---- the life drives ---- */

static bool fits_run(const struct node_host *h) { return h->supervisor.life->operations->run != NULL; }

/* Everything comes to it through its surroundings. */
static bool begin_run(struct node_host *h, struct problem *problem)
{
    (void)problem;
    members_begin(h);
    return true;
}

/* It has its turns by itself. */
static void no_turn(struct node_host *h) { (void)h; }

/* The life has the thread, until it ends or breaks. */
static void run_life(struct node_host *h)
{
    struct problem problem;
    struct node_life *life = h->supervisor.life;
    h->entered = true;
    watch_expect(h->watch, false); /* until it comes to its loop: it may have a journal to read before */
    bool sound = life->operations->run(life, &problem), late = false;
    h->entered = false;
    watch_expect(h->watch, true);
    if (sound && h->phase == RUNNING)
        sound = problem_set(&problem, EXIT_TROUBLE, "the node's loop has ended, though nobody asked it to");
    if (!sound && h->grace >= GRACE_SECOND_HALF && h->ports.exit_code == EXIT_OK) {
        logger_log(h->ports.logger, LOG_WARNING, "node", "the node's loop took longer than grace_period_ms to end");
        late = true;
    }
    if (sound || late)
        supervisor_over(&h->supervisor);
    else
        supervisor_broke(&h->supervisor, &problem);
    host_make_due(h);
}

static bool run_and_look(struct node_host *h)
{
    if (driver_may_call(h) && h->phase < CLOSING)
        run_life(h);
    return uv_run(&h->loop, UV_RUN_ONCE) != 0;
}

/* The host does in between what it otherwise does around a turn: hands what was appended to the journal's thread, lets
 * completions and requests come in. */
uint64_t driver_come_round(struct node_host *h)
{
    watch_expect(h->watch, true);
    after_turn(h);
    uv_run(&h->loop, UV_RUN_NOWAIT);
    if (host_has_failed(h) || h->grace >= GRACE_SECOND_HALF || h->ports.exit_code != EXIT_OK)
        supervisor_interrupt(&h->supervisor);
    int timeout_ms = uv_backend_timeout(&h->loop);
    return timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000;
}

/* It has come back from its loop, or never came to it. */
static bool is_back(struct node_host *h) { return !h->entered; }

static bool end_run(struct node_host *h, struct problem *problem)
{
    (void)h;
    (void)problem;
    return true;
}

/* ---- the table ---- */

const struct loop_driver *driver_choose(const struct config_node *self)
{
    static const struct loop_driver host_drives = {
        .fits = fits_turns,
        .begin = begin_turns,
        .turn = run_turn,
        .go_round = wait_for_events,
        .is_drained = has_answered,
        .end = close_identity,
        .asked_in_recovery = 0,
    };
    static const struct loop_driver life_drives = {
        .fits = fits_run,
        .begin = begin_run,
        .turn = no_turn,
        .go_round = run_and_look,
        .is_drained = is_back,
        .end = end_run,
        .asked_in_recovery = 1,
    };
    return config_network_is_in_guest(self) ? &life_drives : &host_drives;
}
