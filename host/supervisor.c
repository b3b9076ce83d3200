/* A life breaks, and the next one takes over.
 *
 * What can break a life, and is then over with it alone: a trap (an invariant, memory used up), a turn that does not end
 * (the epoch deadline), silence (the watch interrupts it). What ends the node instead: a failed sync, for nobody knows what
 * is on the disk (P14); a data folder or a component that cannot be used; a part that says so (host-control.fail: a
 * state that has diverged, the data folder of a node with its storage in the sandbox); a native life, whose trap is the
 * process's end; more than `restarts_max` restarts in a row.
 *
 *     a call fails --> bury --> wait: journal settled, backoff over --> next incarnation durable --> the spare begins
 *                       |                                                                                 |
 *                       '-- store dropped; clients of what it had been given: -UNKNOWN outcome            v
 *          a new spare <-- ready <-- turns, the first of which recover from the journal that stays open --'
 *
 * Why does nothing of the old life reach the new one?
 *
 *   1. Effects that it held were in its memory, which is gone. Frames of its that still wait in the network are dropped;
 *      those that have left were released by P2, and name the old incarnation.
 *   2. Completions of the journal carry no life: what the loop learns is one number, the highest durable lsn. So the next
 *      life begins only when the journal has settled: no write is in flight, and none is waiting. What the dead turn had
 *      appended was not submitted and is dropped, so lsns go on behind the last record that is durable; that one is part of
 *      what the next life recovers. It numbers its first record by what it has recovered, and journal and node agree again.
 *   3. To drop and to keep are both sound: no promise or vote had left before its record was durable, so to all others the
 *      life died as a process dies that is killed between two writes.
 *   4. Batches that it was given and has not answered are answered -UNKNOWN outcome before the next life begins, and their
 *      tokens with them: an answer to one of them would be ignored. Batches that it was not given wait for the next life.
 *   5. Nobody can take the two for one: the next incarnation is durable before the new life says its first word.
 *
 * A life that was ended because it computed (or was silent) for too long is followed by one that may do so for twice as long,
 * up to turn_timeout_max. For all that we know its turn was not endless but long: a command in the log, which every life
 * executes again, on a machine that is slow or has much else to do. So what is finite ends at some time. When a life has
 * recovered and served for a while, there is no more time than usual.
 *
 * The spare is made when the node is ready and has had time for what was waiting: linked and instantiated, without a word to
 * it. Nothing in it is of the life before it. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "host/node_host_internal.h"

enum {
    SPARE_AFTER_MS = 10,
    SERVED_US = 30 * 1000 * 1000, /* a life that was ready for so long begins the count anew */
    BACKOFF_MAX_US = 10 * 1000 * 1000,
};

/* ---- The spare ---- */

static void make_spare(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    struct problem problem;
    if (s->spare != NULL || h->options.engine == NULL || parts_make_life(h, &s->spare, &problem))
        return;
    s->spare = NULL;
    if (!s->spare_refused)
        logger_log(h->ports.logger, LOG_WARNING, "supervisor", "no spare could be made: %s", problem.text);
    s->spare_refused = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct node_host *h = timer->data;
    if (h->supervisor.restarting)
        host_make_due(h);
    else if (h->ready && !h->failed)
        make_spare(h);
}

/* ---- The time that a life has ---- */

/* The silence that counts as hung grows with the time that a turn may take. */
static void allow(struct node_host *h, uint64_t turn_timeout)
{
    const struct config *config = h->options.config;
    h->supervisor.turn_timeout = turn_timeout;
    watch_allow(h->watch, config->ping_timeout * turn_timeout / config->turn_timeout);
    if (h->life != NULL && h->life->operations->allow != NULL)
        h->life->operations->allow(h->life, turn_timeout);
}

/* The next life has more time, if this one had too little. Returns whether it has. */
static bool allow_more(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    const uint64_t max = h->options.config->turn_timeout_max;
    if ((strcmp(s->last_fault, "deadline") != 0 && strcmp(s->last_fault, "hung") != 0) || s->turn_timeout >= max)
        return false;
    s->turn_timeout = s->turn_timeout < max / 2 ? 2 * s->turn_timeout : max;
    return true;
}

static void on_served(uv_timer_t *timer)
{
    struct node_host *h = timer->data;
    if (!h->ready || h->failed || h->supervisor.broken)
        return;
    logger_log(h->ports.logger, LOG_INFO, "supervisor", "a turn may take turn_timeout_ms again, and no longer");
    allow(h, h->options.config->turn_timeout);
}

/* ---- The fault ---- */

void supervisor_broke(struct node_host *h, const struct problem *problem)
{
    struct supervisor *s = &h->supervisor;
    if (s->broken)
        return;
    s->broken = true;
    s->problem = *problem;
    s->fault_at = now_us();
    if (h->ready || s->down_at == 0)
        s->down_at = s->fault_at;
    host_make_due(h);
}

/* Takes the life out of the watch's reach. */
static const char *fault_of(struct node_host *h)
{
    pthread_mutex_lock(&h->lock);
    bool hung = h->hung;
    h->watched = NULL;
    h->hung = false;
    pthread_mutex_unlock(&h->lock);
    return h->ports.crash ? "crash" : hung ? "hung" : h->life->fault != NULL ? h->life->fault : "error";
}

/* False: the node ends, for the reason that stands in s->problem then. */
static bool may_restart(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    const uint32_t restarts_max = h->options.config->restarts_max;
    if (h->ports.exit_code != EXIT_OK) {
        s->problem.exit_code = h->ports.exit_code;
        return false;
    }
    if (s->problem.exit_code != EXIT_TROUBLE || h->phase != RUNNING || h->failed || h->options.engine == NULL)
        return false;
    if (s->ready_at != 0 && s->fault_at - s->ready_at >= SERVED_US)
        s->in_row = 0;
    if (s->in_row < restarts_max)
        return true;
    size_t len = strlen(s->problem.text);
    snprintf(s->problem.text + len, sizeof s->problem.text - len, " (after %u restarts in a row, of restarts_max %u)",
             s->in_row, restarts_max);
    return false;
}

static uint64_t backoff(const struct node_host *h)
{
    uint64_t delay = h->options.config->restart_backoff;
    if (h->supervisor.in_row == 0)
        return 0;
    for (uint32_t i = 1; i < h->supervisor.in_row && delay < BACKOFF_MAX_US; i++)
        delay *= 2;
    return delay < BACKOFF_MAX_US ? delay : BACKOFF_MAX_US;
}

static void bury(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    s->broken = false;
    s->last_fault = fault_of(h);
    if (!may_restart(h)) {
        host_fail(h, &s->problem);
        return;
    }
    uint64_t delay = backoff(h);
    const bool more = allow_more(h);
    s->in_row++;
    s->restarting = true;
    s->begins_at = s->fault_at + delay;
    logger_log(h->ports.logger, LOG_ERROR, "supervisor", "broke (%s) at slot %llu; restart %u of at most %u in a row%s: %s",
               s->last_fault, (unsigned long long)h->ports.slot, s->in_row, h->options.config->restarts_max,
               delay > 0 ? ", after a pause" : "", s->problem.text);
    if (more)
        logger_log(h->ports.logger, LOG_WARNING, "supervisor",
                   "the next life may compute for %llu ms in a turn, since this one needed more than it had",
                   (unsigned long long)s->turn_timeout / 1000);
    h->life->operations->free(h->life);
    h->life = NULL;
    h->ready = h->due = false;
    uv_timer_stop(&h->timer);
    uv_timer_stop(&s->served);
    node_ports_reset(&h->ports);
    if (h->ports.journal != NULL)
        journal_forsake(h->ports.journal);
    if (h->ports.clients != NULL)
        client_server_lost(h->ports.clients);
    if (delay > 0)
        uv_timer_start(&s->timer, on_timer, delay / 1000 + 1, 0);
}

/* ---- The next life ---- */

static void restart(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    struct problem problem;
    s->restarting = false;
    s->ready_at = 0;
    s->restarts++;
    watch_expect(h->watch, false); /* a boot waits for the disk */
    h->life = s->spare;
    s->spare = NULL;
    bool sound = h->life != NULL || parts_make_life(h, &h->life, &problem);
    allow(h, s->turn_timeout);
    if (sound && parts_reborn(h, &problem))
        host_begin(h);
    else if (h->life != NULL)
        supervisor_broke(h, &problem);
    else
        host_fail(h, &problem);
    watch_expect(h->watch, true);
}

void supervisor_step(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    if (s->broken)
        bury(h);
    if (s->restarting && h->phase == RUNNING && !h->failed && now_us() >= s->begins_at &&
        (h->ports.journal == NULL || journal_settled(h->ports.journal)))
        restart(h);
}

void supervisor_ready(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    s->ready_at = now_us();
    uv_timer_start(&s->timer, on_timer, SPARE_AFTER_MS, 0);
    if (s->turn_timeout > h->options.config->turn_timeout)
        uv_timer_start(&s->served, on_served, h->options.served_ms > 0 ? h->options.served_ms : SERVED_US / 1000, 0);
    if (s->restarts == 0)
        return;
    s->restart_us = s->ready_at - s->down_at;
    if (s->restart_us > s->restart_us_max)
        s->restart_us_max = s->restart_us;
    logger_log(h->ports.logger, LOG_INFO, "supervisor",
               "ready again %.1f ms after the fault (restart %u of at most %u in a row)", (double)s->restart_us / 1000.0,
               s->in_row, h->options.config->restarts_max);
}

/* ---- Crashes that the configuration asks for ---- */

void supervisor_look_for_crash(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    const struct config *config = h->options.config;
    for (size_t i = 0; i < config->crash_count; i++) {
        if (config->crashes[i].node != h->self->id || s->crashed[i] || h->ports.slot < config->crashes[i].slot)
            continue;
        s->crashed[i] = h->ports.crash = true;
        host_make_due(h);
        logger_log(h->ports.logger, LOG_WARNING, "supervisor", "crashes: the node is told to crash at slot %llu",
                   (unsigned long long)config->crashes[i].slot);
    }
}

/* ---- Beginning and end ---- */

void supervisor_init(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    s->last_fault = "none";
    s->crashed = memory_new(h->options.config->crash_count, sizeof *s->crashed);
    s->turn_timeout = h->options.config->turn_timeout;
    s->timer.data = s->served.data = h;
    uv_timer_init(&h->loop, &s->timer);
    uv_timer_init(&h->loop, &s->served);
}

void supervisor_close(struct node_host *h)
{
    uv_close((uv_handle_t *)&h->supervisor.timer, NULL);
    uv_close((uv_handle_t *)&h->supervisor.served, NULL);
}

void supervisor_free(struct node_host *h)
{
    struct supervisor *s = &h->supervisor;
    if (s->spare != NULL)
        s->spare->operations->free(s->spare);
    s->spare = NULL;
    free(s->crashed);
}
