/* The journal on a loop: everything here runs on the loop's thread but `worker`, the thread that waits for the disk.
 * journal_internal.h draws what goes from one to the other.
 *
 * The worker takes one submitted buffer at a time, so that group n+1 is written only after group n is durable (J1). While
 * it syncs, the loop goes on with the next turns, whose appends gather in the next buffer: the slower the disk, the
 * larger the groups.
 *
 * A dedicated thread with a condition variable, and not uv_queue_work: the pool's threads are shared with whatever else
 * blocks, and a group must never wait behind a name lookup. */
#include "host/journal.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "host/journal_internal.h"

/* ---- Buffers ---- */

static void buffer_free(struct buffer *b)
{
    journal_group_free(&b->group);
    free(b);
}

/* A new buffer at the end of the list. Under the lock. */
static struct buffer *buffer_push(struct journal *j, bool is_mark)
{
    struct buffer *b = memory_new(1, sizeof *b);
    journal_group_begin(&b->group, j->last_lsn + 1);
    b->is_mark = is_mark;
    if (j->last != NULL)
        j->last->next = b;
    else
        j->first = b;
    j->last = b;
    return b;
}

/* Takes the first buffer off the list. Under the lock. */
static struct buffer *buffer_pop(struct journal *j)
{
    struct buffer *b = j->first;
    j->first = b->next;
    if (j->first == NULL)
        j->last = NULL;
    return b;
}

/* Notes a failure (the first one counts); the loop reports it. Any thread. */
static void journal_fail(struct journal *j, const struct problem *problem)
{
    uv_mutex_lock(&j->lock);
    if (!j->failed) {
        j->failed = true;
        j->failure = *problem;
    }
    uv_async_send(&j->handles->async);
    uv_mutex_unlock(&j->lock);
}

/* ---- The worker ---- */

/* The first buffer that is to be written, or written again; NULL: none yet. Under the lock. */
static struct buffer *next_submitted(struct journal *j)
{
    struct buffer *b = j->first;
    while (b != NULL && b->state == BUFFER_DONE)
        b = b->next;
    return b != NULL && b->state >= BUFFER_SUBMITTED ? b : NULL;
}

static bool write_buffer(struct journal *j, struct buffer *b, struct problem *problem)
{
    if (!journal_store_room(j->store, &b->group, problem))
        return false;
    uint64_t began = uv_hrtime();
    bool ok = journal_store_write(j->store, &b->group, &b->written, problem);
    b->sync_us = (uv_hrtime() - began) / 1000;
    return ok;
}

/* Waits until what there was no room for may be tried again, each time longer. False: the journal closes. Under the lock. */
static bool wait_for_room(struct journal *j, const struct problem *problem, uint64_t *delay_ms)
{
    uint64_t now = uv_hrtime();
    j->no_room = *problem;
    if (j->no_room_since == 0)
        j->no_room_since = now;
    uv_async_send(&j->handles->async);
    for (uint64_t until = now + *delay_ms * 1000000; !j->stop && now < until; now = uv_hrtime())
        uv_cond_timedwait(&j->wake, &j->lock, until - now);
    *delay_ms = *delay_ms * 2 < ROOM_RETRY_MAX_MS ? *delay_ms * 2 : ROOM_RETRY_MAX_MS;
    return !j->stop;
}

static void worker(void *context)
{
    struct journal *j = context;
    uint64_t delay_ms = ROOM_RETRY_MIN_MS;
    uv_mutex_lock(&j->lock);
    for (;;) {
        struct buffer *b = next_submitted(j);
        if (j->failed || (b == NULL && j->stop))
            break;
        if (b == NULL) {
            uv_cond_wait(&j->wake, &j->lock);
            continue;
        }
        b->state = BUFFER_IN_FLIGHT; /* until it is done: what was written of it is written again as it is */
        uv_mutex_unlock(&j->lock);
        struct problem problem;
        bool ok = write_buffer(j, b, &problem);
        if (!ok && !problem.no_room)
            journal_fail(j, &problem);
        uv_mutex_lock(&j->lock);
        if (ok) {
            b->state = BUFFER_DONE;
            j->durable = b->group.first_lsn + b->group.count - 1;
            j->no_room_since = 0;
            delay_ms = ROOM_RETRY_MIN_MS;
        } else if (problem.no_room && !wait_for_room(j, &problem, &delay_ms)) {
            break;
        }
        uv_async_send(&j->handles->async);
    }
    uv_mutex_unlock(&j->lock);
}

/* ---- What the worker has done ---- */

static void retire(struct journal *j, const struct buffer *b)
{
    struct journal_statistics *s = &j->statistics;
    journal_store_note(j->store, &b->written);
    if (j->options.durability == DURABILITY_FSYNC) {
        s->sync_us_total += b->sync_us;
        if (b->sync_us > s->sync_us_max)
            s->sync_us_max = b->sync_us;
    }
}

/* Retires all buffers that are done. True: something has become durable. */
static bool retire_done(struct journal *j)
{
    bool moved = false;
    for (;;) {
        uv_mutex_lock(&j->lock);
        struct buffer *b = j->first != NULL && j->first->state == BUFFER_DONE ? buffer_pop(j) : NULL;
        uv_mutex_unlock(&j->lock);
        if (b == NULL)
            return moved;
        retire(j, b);
        moved = moved || b->group.count > 0;
        buffer_free(b);
    }
}

static void tell_failure(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    bool failed = j->failed;
    struct problem failure = j->failure;
    uv_mutex_unlock(&j->lock);
    if (!failed || j->failure_told)
        return;
    j->failure_told = true;
    j->options.on_failure(j->options.context, &failure);
}

/* A spare that could not be made is no failure yet, but an operator can still make room. */
static void tell_spare(struct journal *j)
{
    struct problem problem;
    if (j->spare_told || !j->spare.started || !journal_spare_failed(&j->spare, &problem))
        return;
    j->spare_told = true;
    if (j->options.on_notice != NULL)
        j->options.on_notice(j->options.context, problem.text);
}

/* One line when the room is used up, and one when there is some again. True: that has changed. */
static bool tell_room(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    uint64_t since = j->no_room_since;
    struct problem problem = j->no_room;
    uv_mutex_unlock(&j->lock);
    if (since == j->no_room_told)
        return false;
    char text[sizeof problem.text + 128];
    if (since != 0)
        snprintf(text, sizeof text, "%s; no record becomes durable until there is room, which is looked for again and again",
                 problem.text);
    else
        snprintf(text, sizeof text, "there is room again, after %llu ms",
                 (unsigned long long)(uv_hrtime() - j->no_room_told) / 1000000);
    j->no_room_told = since;
    j->spare_told = j->spare_told && since != 0;
    if (j->options.on_notice != NULL)
        j->options.on_notice(j->options.context, text);
    return true;
}

static void on_async(uv_async_t *async)
{
    struct handles *handles = async->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    bool memory = j->options.durability == DURABILITY_MEMORY;
    bool moved = memory || retire_done(j);
    tell_spare(j);
    moved = tell_room(j) || moved;
    if (moved || (j->forsaken && journal_settled(j)))
        j->options.on_durable(j->options.context);
    /* The callback may have closed the journal. */
    if (handles->journal != NULL)
        tell_failure(j);
}

/* J5 of the format: a mark when nothing was appended for a while. */
static void on_idle(uv_timer_t *timer)
{
    struct handles *handles = timer->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    uv_mutex_lock(&j->lock);
    if (!j->appended_since_tick && !journal_store_ends_in_mark(j->store) && j->first == NULL && !j->failed) {
        buffer_push(j, true)->state = BUFFER_SUBMITTED;
        uv_cond_signal(&j->wake);
    }
    j->appended_since_tick = false;
    uv_mutex_unlock(&j->lock);
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
    uv_timer_start(&handles->idle, on_idle, IDLE_MS, IDLE_MS);
    uv_unref((uv_handle_t *)&handles->idle);
    j->handles = handles;
    return true;
}

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *j = memory_new(1, sizeof *j);
    j->options = *options;
    j->recover_next = 1;
    j->folder = strdup(options->folder);
    invariant(j->folder != NULL);
    uv_mutex_init(&j->lock);
    uv_cond_init(&j->wake);
    return j;
}

static void journal_free(struct journal *j)
{
    journal_spare_stop(&j->spare);
    while (j->first != NULL)
        buffer_free(buffer_pop(j));
    if (j->store != NULL)
        journal_store_close(j->store);
    journal_result_free(&j->read);
    uv_mutex_destroy(&j->lock);
    uv_cond_destroy(&j->wake);
    free(j->folder);
    free(j);
}

static bool open_store(struct journal *j, struct problem *problem)
{
    const struct journal_options *o = &j->options;
    const bool memory = o->durability == DURABILITY_MEMORY;
    const struct journal_store_options options = {
        .disk = o->disk,
        .folder = j->folder,
        .identity = o->identity,
        .memory = o->memory,
        .durability = o->durability,
        .segment_bytes = o->segment_bytes,
        .spares = memory ? NULL : &j->spare.spares,
        .on_notice = o->on_notice,
        .context = o->context,
    };
    if (!memory && !journal_spare_start(&j->spare, options.disk, j->folder, o->durability == DURABILITY_FSYNC, problem))
        return false;
    if (!journal_store_open(&j->store, &options, problem))
        return false;
    j->last_lsn = j->durable = journal_store_last(j->store);
    return true;
}

bool journal_open(struct journal **out, uv_loop_t *loop, const struct journal_options *options, struct problem *problem)
{
    struct journal *j = journal_new(options);
    bool ok = open_store(j, problem) && handles_open(j, loop, problem);
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
    bool ends_in_mark = j->last_lsn == journal_store_last(j->store) && journal_store_ends_in_mark(j->store);
    if (j->worker_started) {
        journal_submit(j);
        uv_mutex_lock(&j->lock);
        if (!j->failed && !ends_in_mark && (j->last == NULL || !j->last->is_mark))
            buffer_push(j, true)->state = BUFFER_SUBMITTED;
        j->stop = true;
        uv_cond_signal(&j->wake);
        uv_mutex_unlock(&j->lock);
        uv_thread_join(&j->worker);
    }
    handles_close(j->handles);
    tell_failure(j);
    journal_free(j);
}

/* ---- Appending ---- */

static bool append(struct journal *j, const struct packet *record)
{
    struct buffer *b = j->last;
    uint64_t full = j->options.durability == DURABILITY_MEMORY ? MEMORY_BUFFER_BYTES : BUFFER_BYTES;
    if (b == NULL || b->is_mark || b->state > BUFFER_SUBMITTED || b->group.len >= full)
        b = buffer_push(j, false);
    if (!journal_group_add(&b->group, record))
        return false;
    b->state = BUFFER_FILLING;
    j->last_lsn++;
    return true;
}

void journal_append(struct journal *j, const struct packet *records, size_t count)
{
    struct problem problem;
    bool ok = true;
    uv_mutex_lock(&j->lock);
    for (size_t i = 0; ok && i < count; i++)
        ok = append(j, &records[i]);
    uv_mutex_unlock(&j->lock);
    j->appended_since_tick = true;
    if (!ok) {
        problem_set(&problem, EXIT_TROUBLE, "journal %s: record after lsn %llu: too long, or shorter than it says",
                    j->folder, (unsigned long long)j->last_lsn);
        journal_fail(j, &problem);
    }
}

/* `durability: memory`: everything is "durable" at once and kept for reading back, up to a bound. Under the lock. */
static void submit_to_memory(struct journal *j)
{
    if (j->durable == j->last_lsn)
        return;
    uint64_t bytes = 0;
    for (const struct buffer *b = j->first; b != NULL; b = b->next)
        bytes += b->group.len;
    while (bytes > MEMORY_BYTES_MAX && j->first != j->last) {
        struct buffer *b = buffer_pop(j);
        bytes -= b->group.len;
        buffer_free(b);
    }
    j->statistics.groups++;
    j->statistics.records += j->last_lsn - j->durable;
    j->durable = j->last_lsn;
    uv_async_send(&j->handles->async);
}

/* Lets the worker have what is complete. Under the lock. */
static void submit_buffer(struct journal *j, struct buffer *b)
{
    b->state = BUFFER_SUBMITTED;
    b->submitted_count = b->group.count;
    b->submitted_len = b->group.len;
    uv_cond_signal(&j->wake);
}

void journal_submit(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    for (struct buffer *b = j->first; b != NULL; b = b->next)
        if (b->state == BUFFER_FILLING && b->group.count > 0)
            submit_buffer(j, b);
    if (j->options.durability == DURABILITY_MEMORY)
        submit_to_memory(j);
    uv_mutex_unlock(&j->lock);
}

/* ---- Another life ---- */

void journal_forsake(struct journal *j)
{
    struct buffer *kept = NULL, *b;
    uv_mutex_lock(&j->lock);
    for (b = j->first; b != NULL && (b->state != BUFFER_FILLING || b->submitted_count > 0); b = b->next) {
        if (b->state == BUFFER_FILLING) { /* the last of them; the life that died was adding to it */
            b->group.count = b->submitted_count;
            b->group.len = b->submitted_len;
            submit_buffer(j, b);
        }
        kept = b;
    }
    if (kept != NULL)
        kept->next = NULL;
    else
        j->first = NULL;
    j->last = kept;
    j->last_lsn = kept != NULL ? kept->group.first_lsn + kept->group.count - 1 : journal_store_last(j->store);
    j->forsaken = true;
    uv_mutex_unlock(&j->lock);
    while (b != NULL) {
        struct buffer *next = b->next;
        buffer_free(b);
        b = next;
    }
}

bool journal_settled(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    bool settled = j->first == NULL || j->options.durability == DURABILITY_MEMORY;
    uv_mutex_unlock(&locked->lock);
    return settled;
}

void journal_reborn(struct journal *j, uint32_t incarnation)
{
    invariant(journal_settled(j));
    uv_mutex_lock(&j->lock);
    journal_store_reborn(j->store, incarnation);
    uv_mutex_unlock(&j->lock);
    j->forsaken = false;
    j->recover_next = 1;
    j->recover_end = j->last_lsn;
}

/* ---- Asking ---- */

bool journal_has_room(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    bool room = locked->no_room_since == 0;
    uv_mutex_unlock(&locked->lock);
    return room;
}

uint64_t journal_durable(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    uint64_t durable = locked->durable;
    uv_mutex_unlock(&locked->lock);
    return durable;
}

uint64_t journal_last(const struct journal *j) { return j->last_lsn; }

struct journal_statistics journal_statistics(const struct journal *j)
{
    struct journal_statistics statistics = j->statistics;
    const struct journal_store_statistics store = journal_store_statistics(j->store);
    statistics.groups += store.groups;
    statistics.records += store.records;
    statistics.bytes += store.bytes;
    statistics.syncs += store.syncs;
    statistics.torn_tails += store.torn_tails;
    return statistics;
}

/* ---- Reading back ---- */

/* From the buffers that are gathered, waiting or in flight; moves `*next` behind it. */
static void collect_buffers(struct journal *j, uint64_t *next, uint64_t bytes_max)
{
    struct journal_result *r = &j->read;
    struct problem problem;
    uv_mutex_lock(&j->lock);
    uint64_t from = *next;
    bool forgotten = j->first == NULL || from < j->first->group.first_lsn;
    for (const struct buffer *b = j->first; b != NULL && (r->count == 0 || r->bytes < bytes_max); b = b->next) {
        if (*next >= b->group.first_lsn && *next < b->group.first_lsn + b->group.count)
            journal_result_take(r, &b->group, next, bytes_max);
    }
    uv_mutex_unlock(&j->lock);
    if (!forgotten)
        return;
    problem_set(&problem, EXIT_DATA, "journal %s: lsn %llu is no longer kept: durability memory keeps %u bytes", j->folder,
                (unsigned long long)from, (unsigned)MEMORY_BYTES_MAX);
    journal_fail(j, &problem);
}

struct packet_list journal_read(struct journal *j, uint64_t from, uint64_t bytes_max)
{
    struct journal_result *r = &j->read;
    struct problem problem;
    journal_result_clear(r);
    if (from == 0 || from > j->last_lsn)
        return journal_result_packets(r);
    bool ok = journal_store_collect(j->store, r, &from, bytes_max, &problem);
    if (!ok)
        journal_fail(j, &problem);
    else if (from > journal_store_last(j->store) && from <= j->last_lsn)
        collect_buffers(j, &from, bytes_max);
    return journal_result_packets(r);
}

struct packet_list journal_recover(struct journal *j)
{
    struct packet_list found;
    struct problem problem;
    if (j->options.durability != DURABILITY_MEMORY) {
        if (!journal_store_recover(j->store, &found, &problem))
            journal_fail(j, &problem);
        return found;
    }
    journal_result_clear(&j->read);
    if (j->recover_next <= j->recover_end)
        collect_buffers(j, &j->recover_next, MEMORY_BUFFER_BYTES);
    found = journal_result_packets(&j->read);
    while (found.len > 0 && found.ptr[found.len - 1].id > j->recover_end)
        found.len--; /* appended by this life already */
    return found;
}
