/* The journal on a loop: the front (io/journal_front.h) with a thread that waits for the disk. Everything here runs on the
 * loop's thread but `worker`.
 *
 * The worker takes one submitted group at a time, so that group n+1 is written only after group n is durable (J1). While it
 * syncs, the loop goes on with the next turns, whose records gather in the next group: the slower the disk, the larger the
 * groups.
 *
 * A dedicated thread with a condition variable, and not uv_queue_work: the pool's threads are shared with whatever else
 * blocks, and a group must never wait for a name lookup. */
#include "host/journal.h"

#include "core/base/memory.h"
#include "host/journal_internal.h"

static uint64_t now_us(void) { return uv_hrtime() / 1000; }

/* Notes a failure; the loop reports it. */
static void journal_fail(struct journal *j, const struct problem *problem)
{
    uv_mutex_lock(&j->lock);
    journal_front_fail(j->front, problem);
    uv_mutex_unlock(&j->lock);
    uv_async_send(&j->handles->async);
}

/* ---- The worker ---- */

/* Takes one group to the disk. Under the lock, which is free meanwhile. */
static void write_group(struct journal *j, struct journal_front_group *g)
{
    struct problem problem;
    const uint64_t submitted = j->submitted_us;
    j->submitted_us = 0;
    uv_mutex_unlock(&j->lock);
    bool ok = journal_front_room(j->front, g, &problem);
    const uint64_t began = now_us();
    ok = ok && journal_front_write(j->front, g, &problem);
    const uint64_t now = now_us();
    uv_mutex_lock(&j->lock);
    j->wait_us_total += submitted != 0 ? began - submitted : 0;
    j->written_us = j->written_us != 0 ? j->written_us : now;
    if (ok && j->options.durability == DURABILITY_FSYNC) {
        j->sync_us_total += now - began;
        j->sync_us_max = now - began > j->sync_us_max ? now - began : j->sync_us_max;
    }
    journal_front_written(j->front, g, ok ? NULL : &problem, now);
    uv_async_send(&j->handles->async);
}

/* Waits until there may be something to write. Under the lock. */
static void await_group(struct journal *j)
{
    const uint64_t retry_at = journal_front_retry_at(j->front), now = now_us();
    if (retry_at == UINT64_MAX)
        uv_cond_wait(&j->wake, &j->lock);
    else if (retry_at > now)
        uv_cond_timedwait(&j->wake, &j->lock, (retry_at - now) * 1000);
}

static void worker(void *context)
{
    struct journal *j = context;
    uv_mutex_lock(&j->lock);
    for (;;) {
        struct journal_front_group *g = journal_front_next(j->front, now_us());
        if (g != NULL)
            write_group(j, g);
        else if (!j->stop)
            await_group(j);
        else
            break;
    }
    uv_mutex_unlock(&j->lock);
}

/* ---- What the worker has done ---- */

static void tell_failure(struct journal *j)
{
    struct problem failure;
    uv_mutex_lock(&j->lock);
    const struct problem *noted = journal_front_failure(j->front);
    const bool failed = noted != NULL;
    if (failed)
        failure = *noted;
    uv_mutex_unlock(&j->lock);
    if (!failed || j->failure_told)
        return;
    j->failure_told = true;
    j->options.on_failure(j->options.context, &failure);
}

/* True: whether there is room has changed. */
static bool tell_notices(struct journal *j)
{
    struct problem spare;
    char text[sizeof spare.text + 128];
    const bool spare_failed = journal_spare_failed(&j->spare, &spare);
    bool room = false;
    for (;;) {
        uv_mutex_lock(&j->lock);
        enum journal_notice notice =
            journal_front_notice(j->front, spare_failed ? &spare : NULL, now_us(), text, sizeof text);
        uv_mutex_unlock(&j->lock);
        if (notice == JOURNAL_NOTICE_NONE)
            return room;
        room = room || notice == JOURNAL_NOTICE_ROOM;
        if (j->options.on_notice != NULL)
            j->options.on_notice(j->options.context, text);
    }
}

/* Has the spare's thread remove what is not needed any more, one segment after the other. */
static void remove_segments(struct journal *j)
{
    struct problem problem;
    enum removal removal = REMOVAL_NONE;
    if (!j->spare.started)
        return;
    const bool over = journal_spare_removed(&j->spare, &removal, &problem);
    uv_mutex_lock(&j->lock);
    if (over)
        journal_front_removed(j->front, removal == REMOVAL_DONE ? NULL : &problem, now_us());
    const uint64_t first_lsn = journal_front_removal(j->front, now_us());
    uv_mutex_unlock(&j->lock);
    if (first_lsn != 0)
        journal_spare_unwanted(&j->spare, journal_front_store(j->front), first_lsn, &j->handles->async);
}

/* Under the lock. */
static void count_told(struct journal *j)
{
    j->told_us_total += j->written_us != 0 ? now_us() - j->written_us : 0;
    j->written_us = 0;
}

static void on_async(uv_async_t *async)
{
    struct handles *handles = async->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    uv_mutex_lock(&j->lock);
    bool moved = journal_front_retire(j->front) || j->options.durability == DURABILITY_MEMORY;
    count_told(j);
    uv_mutex_unlock(&j->lock);
    remove_segments(j);
    moved = tell_notices(j) || moved;
    if (moved || (j->forsaken && journal_settled(j)))
        j->options.on_durable(j->options.context);
    /* The callback may have closed the journal. */
    if (handles->journal != NULL)
        tell_failure(j);
}

static void on_idle(uv_timer_t *timer)
{
    struct handles *handles = timer->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    uv_mutex_lock(&j->lock);
    if (journal_front_idle(j->front, now_us()))
        uv_cond_signal(&j->wake);
    uv_mutex_unlock(&j->lock);
    remove_segments(j);
}

/* ---- Opening and closing ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct handles *handles = handle->data;
    if (--handles->open == 0)
        free(handles);
}

static void handles_close(struct handles *handles)
{
    handles->journal = NULL;
    uv_close((uv_handle_t *)&handles->async, on_handle_closed);
    uv_close((uv_handle_t *)&handles->idle, on_handle_closed);
}

static bool handles_open(struct journal *j, uv_loop_t *loop, struct problem *problem)
{
    struct handles *handles = memory_new(1, sizeof *handles);
    int error = uv_async_init(loop, &handles->async, on_async);
    if (error != 0) {
        free(handles);
        return problem_set(problem, EXIT_TROUBLE, "journal %s: %s", j->folder, uv_strerror(error));
    }
    uv_timer_init(loop, &handles->idle);
    handles->async.data = handles->idle.data = handles;
    handles->open = 2;
    handles->journal = j;
    uv_timer_start(&handles->idle, on_idle, JOURNAL_IDLE_US / 1000, JOURNAL_IDLE_US / 1000);
    uv_unref((uv_handle_t *)&handles->idle);
    j->handles = handles;
    return true;
}

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *j = memory_new(1, sizeof *j);
    j->options = *options;
    j->folder = strdup(options->folder);
    invariant(j->folder != NULL);
    uv_mutex_init(&j->lock);
    uv_cond_init(&j->wake);
    return j;
}

static void journal_free(struct journal *j)
{
    journal_spare_stop(&j->spare);
    if (j->front != NULL)
        journal_front_close(j->front);
    uv_mutex_destroy(&j->lock);
    uv_cond_destroy(&j->wake);
    free(j->folder);
    free(j);
}

static bool open_front(struct journal *j, struct problem *problem)
{
    const struct journal_options *o = &j->options;
    const bool memory = o->durability == DURABILITY_MEMORY;
    const struct journal_front_options options = {
        .store.disk = o->disk,
        .store.folder = j->folder,
        .store.identity = o->identity,
        .store.memory = o->memory,
        .store.durability = o->durability,
        .store.segment_bytes = o->segment_bytes,
        .store.spares = memory ? NULL : &j->spare.spares,
        .store.on_notice = o->on_notice,
        .store.context = o->context,
    };
    return (memory || journal_spare_start(&j->spare, o->disk, j->folder, o->durability == DURABILITY_FSYNC, problem)) &&
           journal_front_open(&j->front, &options, now_us(), problem);
}

bool journal_open(struct journal **out, uv_loop_t *loop, const struct journal_options *options, struct problem *problem)
{
    struct journal *j = journal_new(options);
    bool ok = open_front(j, problem) && handles_open(j, loop, problem);
    if (ok && options->durability != DURABILITY_MEMORY) {
        j->worker_started = uv_thread_create(&j->worker, worker, j) == 0;
        ok = j->worker_started || problem_set(problem, EXIT_TROUBLE, "journal %s: cannot start a thread", j->folder);
        if (!ok)
            handles_close(j->handles);
    }
    if (!ok) {
        journal_free(j);
        return false;
    }
    *out = j;
    return true;
}

void journal_close(struct journal *j)
{
    if (j->worker_started) {
        uv_mutex_lock(&j->lock);
        journal_front_finish(j->front);
        j->stop = true;
        uv_cond_signal(&j->wake);
        uv_mutex_unlock(&j->lock);
        uv_thread_join(&j->worker);
    }
    journal_spare_stop(&j->spare); /* it would send to a handle */
    handles_close(j->handles);
    tell_failure(j);
    journal_free(j);
}

/* ---- Appending ---- */

void journal_append(struct journal *j, const struct packet *records, size_t count)
{
    struct problem problem;
    bool ok = true;
    uv_mutex_lock(&j->lock);
    for (size_t i = 0; ok && i < count; i++)
        ok = journal_front_append(j->front, &records[i], &problem);
    uv_mutex_unlock(&j->lock);
    if (!ok)
        journal_fail(j, &problem);
}

void journal_submit(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    if (journal_front_submit(j->front)) {
        j->submitted_us = j->submitted_us != 0 ? j->submitted_us : now_us();
        if (j->worker_started)
            uv_cond_signal(&j->wake);
        else
            uv_async_send(&j->handles->async);
    }
    uv_mutex_unlock(&j->lock);
}

void journal_truncate(struct journal *j, uint64_t lsn)
{
    uv_mutex_lock(&j->lock);
    journal_front_truncate(j->front, lsn);
    uv_mutex_unlock(&j->lock);
}

/* ---- Another life ---- */

void journal_forsake(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    journal_front_forsake(j->front);
    uv_cond_signal(&j->wake); /* there may be a group that no turn adds to any more */
    uv_mutex_unlock(&j->lock);
    j->forsaken = true;
}

bool journal_settled(const struct journal *j) { return journal_front_settled(j->front); }

void journal_reborn(struct journal *j, uint32_t incarnation)
{
    uv_mutex_lock(&j->lock);
    journal_front_reborn(j->front, incarnation, now_us());
    uv_mutex_unlock(&j->lock);
    j->forsaken = false;
}

/* ---- Asking ---- */

bool journal_has_room(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    bool room = journal_front_has_room(j->front);
    uv_mutex_unlock(&locked->lock);
    return room;
}

uint64_t journal_durable(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    uint64_t durable = journal_front_durable(j->front);
    uv_mutex_unlock(&locked->lock);
    return durable;
}

uint64_t journal_last(const struct journal *j) { return journal_front_last(j->front); }

struct journal_statistics journal_statistics(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    const struct journal_store_statistics s = journal_front_statistics(j->front);
    uv_mutex_lock(&locked->lock);
    struct journal_statistics statistics = {s.groups,         s.records,        s.bytes,
                                            s.syncs,          j->sync_us_total, j->sync_us_max,
                                            j->wait_us_total, j->told_us_total, s.torn_tails};
    uv_mutex_unlock(&locked->lock);
    return statistics;
}

struct packet_list journal_read(struct journal *j, uint64_t from, uint64_t bytes_max)
{
    struct packet_list found;
    struct problem problem;
    if (!journal_front_read(j->front, from, bytes_max, &found, &problem))
        journal_fail(j, &problem);
    return found;
}

bool journal_recover(struct journal *j, struct packet_list *out)
{
    struct problem problem;
    if (journal_front_recover(j->front, out, &problem))
        return true;
    journal_fail(j, &problem);
    *out = (struct packet_list){NULL, 0};
    tell_failure(j); /* at once: nothing of this life counts */
    return false;
}
