/* A life breaks, and the next one takes over.
 *
 * What can break a life, and is then over with it alone: a trap (an invariant, memory used up), a turn that does not end
 * (the epoch deadline), silence (the watch interrupts it). What ends the node instead: a failed sync, because it is unknown
 * what is on the disk (P14); a data folder or a component that cannot be used; a part that says so (host-control.fail: a
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
 *      appended was not submitted and is dropped, so lsns go on after the last record that is durable; that one is part of
 *      what the next life recovers. It numbers its first record by what it has recovered, and journal and node agree again.
 *   3. To drop such records is as sound as to keep them: no promise or vote left before its record was durable. To all other
 *      nodes the life died like a process that is killed between two writes.
 *   4. Batches that it was given and has not answered are answered -UNKNOWN outcome before the next life begins, and their
 *      tokens with them: an answer to one of them would be ignored. Batches that it was not given wait for the next life.
 *   5. The two cannot be taken for one: the next incarnation is durable before the new life says its first word.
 *
 * A life that was ended because it computed (or was silent) for too long is followed by one that may do so for twice as
 * long, up to turn_timeout_max. Its turn may have been long and not endless: a command in the log, which every life executes
 * again, on a machine that is slow or busy. With more time, a turn that can end does end. When a life has recovered and
 * served for a while, it has the usual time again.
 *
 * The spare is made when the node is ready and has had time for what was waiting: linked and instantiated, without a word to
 * it. Nothing in it is of the life before it. */
#include "host/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

enum {
    SPARE_AFTER_MS = 10,
    SERVED_US = 30 * 1000 * 1000, /* a life that was ready for so long begins the count anew */
    BACKOFF_MAX_US = 10 * 1000 * 1000,
};

static uint64_t now_us(void) { return uv_hrtime() / 1000; }

static bool make_life(struct supervisor *s, struct node_life **out, struct problem *problem)
{
    *out = NULL;
    return s->options.operations->make_life(s->options.host, out, problem);
}

static bool may_follow(const struct supervisor *s) { return s->options.operations->may_follow(s->options.host); }

static void fail(struct supervisor *s, const struct problem *problem)
{
    s->options.operations->on_failure(s->options.host, problem);
}

static void make_due(struct supervisor *s) { s->options.operations->on_due(s->options.host); }

/* ---- The spare ---- */

static void make_spare(struct supervisor *s)
{
    struct problem problem;
    if (s->spare != NULL || !s->options.sandboxed || make_life(s, &s->spare, &problem))
        return;
    if (!s->spare_refused)
        logger_log(s->options.ports->logger, LOG_WARNING, "supervisor", "no spare could be made: %s", problem.text);
    s->spare_refused = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    if (s->state == LIFE_BURIED)
        make_due(s);
    else if (s->state == LIFE_READY && may_follow(s))
        make_spare(s);
}

/* ---- The time that a life has ---- */

/* The silence that counts as hung grows with the time that a turn may take. */
static void allow(struct supervisor *s, uint64_t turn_timeout)
{
    const struct config *config = s->options.config;
    s->turn_timeout = turn_timeout;
    watch_allow(s->options.watch, config->ping_timeout * turn_timeout / config->turn_timeout);
    if (s->life != NULL && s->life->operations->allow != NULL)
        s->life->operations->allow(s->life, turn_timeout);
}

/* The next life has more time, if this one had too little. Returns whether it has. */
static bool allow_more(struct supervisor *s)
{
    const uint64_t max = s->options.config->turn_timeout_max;
    if ((strcmp(s->last_fault, "deadline") != 0 && strcmp(s->last_fault, "hung") != 0) || s->turn_timeout >= max)
        return false;
    s->turn_timeout = s->turn_timeout < max / 2 ? 2 * s->turn_timeout : max;
    return true;
}

static void on_served(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    if (s->state != LIFE_READY || !may_follow(s))
        return;
    logger_log(s->options.ports->logger, LOG_INFO, "supervisor", "a turn may take turn_timeout_ms again, and no longer");
    allow(s, s->options.config->turn_timeout);
}

/* ---- The fault ---- */

void supervisor_interrupt(struct supervisor *s)
{
    if (s->life->operations->interrupt != NULL)
        s->life->operations->interrupt(s->life);
}

void supervisor_interrupt_hung(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->watched != NULL && s->watched->operations->interrupt != NULL) {
        s->hung = true;
        s->watched->operations->interrupt(s->watched);
    }
    pthread_mutex_unlock(&s->lock);
}

void supervisor_broke(struct supervisor *s, const struct problem *problem)
{
    if (s->state == LIFE_BROKEN)
        return;
    s->problem = *problem;
    s->fault_at = now_us();
    if (s->state == LIFE_READY || s->down_at == 0)
        s->down_at = s->fault_at;
    life_state_enter(&s->state, LIFE_BROKEN);
    make_due(s);
}

/* Takes the life out of the watch's reach. */
static const char *fault_of(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    bool hung = s->hung;
    s->watched = NULL;
    s->hung = false;
    pthread_mutex_unlock(&s->lock);
    return s->options.ports->crash ? "crash" : hung ? "hung" : s->life->fault != NULL ? s->life->fault : "error";
}

/* False: the node ends, for the reason that stands in s->problem then. */
static bool may_restart(struct supervisor *s)
{
    const uint32_t restarts_max = s->options.config->restarts_max;
    if (s->options.ports->exit_code != EXIT_OK) {
        s->problem.exit_code = s->options.ports->exit_code;
        return false;
    }
    if (s->problem.exit_code != EXIT_TROUBLE || !may_follow(s) || !s->options.sandboxed)
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

static uint64_t backoff(const struct supervisor *s)
{
    uint64_t delay = s->options.config->restart_backoff;
    if (s->in_row == 0)
        return 0;
    for (uint32_t i = 1; i < s->in_row && delay < BACKOFF_MAX_US; i++)
        delay *= 2;
    return delay < BACKOFF_MAX_US ? delay : BACKOFF_MAX_US;
}

/* What the life had asked for, or been given, goes with it. */
static void forsake(struct supervisor *s)
{
    struct node_ports *ports = s->options.ports;
    s->life->operations->free(s->life);
    s->life = NULL;
    s->options.operations->on_buried(s->options.host);
    uv_timer_stop(&s->served);
    node_ports_reset(ports);
    if (ports->journal != NULL)
        journal_forsake(ports->journal);
    if (ports->clients != NULL)
        client_server_lost(ports->clients);
}

static void bury(struct supervisor *s)
{
    s->last_fault = fault_of(s);
    if (!may_restart(s)) {
        life_state_enter(&s->state, LIFE_DEAD);
        fail(s, &s->problem);
        return;
    }
    uint64_t delay = backoff(s);
    const bool more = allow_more(s);
    s->in_row++;
    s->begins_at = s->fault_at + delay;
    logger_log(s->options.ports->logger, LOG_ERROR, "supervisor",
               "broke (%s) at slot %llu; restart %u of at most %u in a row%s: %s", s->last_fault,
               (unsigned long long)s->options.ports->slot, s->in_row, s->options.config->restarts_max,
               delay > 0 ? ", after a pause" : "", s->problem.text);
    if (more)
        logger_log(s->options.ports->logger, LOG_WARNING, "supervisor",
                   "the next life may compute for %llu ms in a turn, since this one needed more than it had",
                   (unsigned long long)s->turn_timeout / 1000);
    forsake(s);
    life_state_enter(&s->state, LIFE_BURIED);
    if (delay > 0)
        uv_timer_start(&s->timer, on_timer, delay / 1000 + 1, 0);
}

/* ---- The next life ---- */

void supervisor_begun(struct supervisor *s)
{
    life_state_enter(&s->state, LIFE_RECOVERING);
    pthread_mutex_lock(&s->lock);
    s->watched = s->life;
    pthread_mutex_unlock(&s->lock);
    make_due(s);
}

static void restart(struct supervisor *s)
{
    struct problem problem;
    s->ready_at = 0;
    s->restarts++;
    watch_expect(s->options.watch, false); /* a boot waits for the disk */
    s->life = s->spare;
    s->spare = NULL;
    bool made = s->life != NULL || make_life(s, &s->life, &problem);
    allow(s, s->turn_timeout);
    if (!made)
        fail(s, &problem);
    else if (s->options.operations->begin_life(s->options.host, &problem))
        supervisor_begun(s);
    else
        supervisor_broke(s, &problem);
    watch_expect(s->options.watch, true);
}

static bool journal_is_settled(const struct supervisor *s)
{
    return s->options.ports->journal == NULL || journal_settled(s->options.ports->journal);
}

void supervisor_step(struct supervisor *s)
{
    if (s->state == LIFE_BROKEN)
        bury(s);
    if (s->state == LIFE_BURIED && may_follow(s) && now_us() >= s->begins_at && journal_is_settled(s))
        restart(s);
}

void supervisor_ready(struct supervisor *s)
{
    life_state_enter(&s->state, LIFE_READY);
    s->ready_at = now_us();
    uv_timer_start(&s->timer, on_timer, SPARE_AFTER_MS, 0);
    if (s->turn_timeout > s->options.config->turn_timeout)
        uv_timer_start(&s->served, on_served, s->options.served_ms > 0 ? s->options.served_ms : SERVED_US / 1000, 0);
    if (s->restarts == 0)
        return;
    s->restart_us = s->ready_at - s->down_at;
    if (s->restart_us > s->restart_us_max)
        s->restart_us_max = s->restart_us;
    logger_log(s->options.ports->logger, LOG_INFO, "supervisor",
               "ready again %.1f ms after the fault (restart %u of at most %u in a row)", (double)s->restart_us / 1000.0,
               s->in_row, s->options.config->restarts_max);
}

void supervisor_over(struct supervisor *s) { life_state_enter(&s->state, LIFE_OVER); }

/* ---- Crashes that the configuration asks for ---- */

void supervisor_look_for_crash(struct supervisor *s)
{
    const struct config *config = s->options.config;
    struct node_ports *ports = s->options.ports;
    for (size_t i = 0; i < config->crash_count; i++) {
        if (config->crashes[i].node != s->options.node || s->crashed[i] || ports->slot < config->crashes[i].slot)
            continue;
        s->crashed[i] = ports->crash = true;
        make_due(s);
        logger_log(ports->logger, LOG_WARNING, "supervisor", "crashes: the node is told to crash at slot %llu",
                   (unsigned long long)config->crashes[i].slot);
    }
}

/* ---- Beginning and end ---- */

void supervisor_init(struct supervisor *s, const struct supervisor_options *options)
{
    *s = (struct supervisor){.options = *options, .last_fault = "none", .turn_timeout = options->config->turn_timeout};
    s->crashed = memory_new(options->config->crash_count, sizeof *s->crashed);
    s->timer.data = s->served.data = s;
    uv_timer_init(options->loop, &s->timer);
    uv_timer_init(options->loop, &s->served);
    pthread_mutex_init(&s->lock, NULL);
}

void supervisor_close(struct supervisor *s)
{
    uv_close((uv_handle_t *)&s->timer, NULL);
    uv_close((uv_handle_t *)&s->served, NULL);
}

void supervisor_free(struct supervisor *s)
{
    struct node_life *const lives[] = {s->life, s->spare};
    for (size_t i = 0; i < 2; i++)
        if (lives[i] != NULL)
            lives[i]->operations->free(lives[i]);
    free(s->crashed);
    pthread_mutex_destroy(&s->lock);
}
