/* The face of the journal: everything here runs on the loop's thread. journal_internal.h says which file does what. */
#include "host/journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void journal_fail(struct journal *j, const struct problem *problem)
{
    uv_mutex_lock(&j->lock);
    if (!j->failed) {
        j->failed = true;
        j->failure = *problem;
    }
    uv_async_send(&j->handles->async);
    uv_mutex_unlock(&j->lock);
}

/* ---- What the worker has done ---- */

/* Notes the segment of a group that was written: the last one, a new one, or one that has replaced the last. */
static void note_segment(struct journal *j, const struct journal_file *segment)
{
    struct journal_file *last = &j->files[j->file_count - 1];
    if (last->first_lsn != segment->first_lsn) {
        j->files = memory_reserve(j->files, &j->file_capacity, j->file_count + 1, sizeof *j->files);
        j->files[j->file_count++] = *segment;
    } else if (last->bytes != segment->bytes) {
        *last = *segment;
        while (j->index_count > 0 && j->index[j->index_count - 1].segment == j->file_count - 1)
            j->index_count--;
        j->read_next = (struct index_entry){0};
        if (j->read_fd >= 0)
            close(j->read_fd);
        j->read_fd = -1;
    }
}

static void retire(struct journal *j, const struct buffer *b)
{
    struct journal_statistics *s = &j->statistics;
    note_segment(j, &b->segment);
    journal_index_add(j, b->group.first_lsn, j->file_count - 1, b->offset, b->bytes);
    j->retired_lsn = b->group.first_lsn + b->group.count - 1;
    j->ends_in_mark = b->is_mark;
    s->groups++;
    s->records += b->group.count;
    s->bytes += b->bytes;
    if (j->writer.sync) {
        s->syncs++;
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

static void on_async(uv_async_t *async)
{
    struct handles *handles = async->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    bool memory = j->options.durability == DURABILITY_MEMORY;
    bool moved = memory || retire_done(j);
    tell_spare(j);
    if (moved)
        j->options.on_durable(j->options.context);
    /* The callback may have closed the journal. */
    if (handles->journal != NULL)
        tell_failure(j);
}

/* Rule 5 of the format: a mark when nothing was appended for a while. */
static void on_idle(uv_timer_t *timer)
{
    struct handles *handles = timer->data;
    struct journal *j = handles->journal;
    if (j == NULL)
        return;
    uv_mutex_lock(&j->lock);
    if (!j->appended_since_tick && !j->ends_in_mark && j->first == NULL && !j->failed) {
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
    const struct identity *identity = &options->identity;
    j->options = *options;
    j->folder = journal_path(options->folder, "");
    j->folder[strlen(j->folder) - 1] = '\0';
    j->owner = (struct journal_owner){
        .cluster = journal_cluster_hash(identity->cluster, strnlen(identity->cluster, sizeof identity->cluster)),
        .node = identity->node,
        .incarnation = identity->incarnation,
    };
    memcpy(j->owner.instance, identity->instance, sizeof j->owner.instance);
    j->read_fd = -1;
    uint64_t segment_bytes = options->segment_bytes > 4 * JOURNAL_PAGE ? options->segment_bytes : 4 * JOURNAL_PAGE;
    j->writer = (struct writer){
        .folder = j->folder,
        .owner = j->owner,
        .sync = options->durability == DURABILITY_FSYNC,
        .segment_bytes = journal_pages(segment_bytes),
        .fd = -1,
        .spare = &j->spare,
    };
    uv_mutex_init(&j->lock);
    uv_cond_init(&j->wake);
    return j;
}

static void journal_free(struct journal *j)
{
    journal_spare_stop(&j->spare);
    while (j->first != NULL)
        buffer_free(buffer_pop(j));
    if (j->writer.fd >= 0)
        close(j->writer.fd);
    if (j->read_fd >= 0)
        close(j->read_fd);
    journal_sticky_free(&j->writer.sticky);
    journal_sticky_free(&j->inherited);
    journal_result_free(&j->recovered);
    journal_result_free(&j->read);
    journal_group_free(&j->read_group);
    uv_mutex_destroy(&j->lock);
    uv_cond_destroy(&j->wake);
    free(j->files);
    free(j->index);
    free(j->folder);
    free(j);
}

bool journal_open(struct journal **out, uv_loop_t *loop, const struct journal_options *options, struct problem *problem)
{
    struct journal *j = journal_new(options);
    bool memory = options->durability == DURABILITY_MEMORY;
    bool ok = (memory || journal_spare_start(&j->spare, j->folder, j->writer.sync, problem)) &&
              journal_recovery(j, problem) && handles_open(j, loop, problem);
    if (ok && !memory) {
        j->worker_started = uv_thread_create(&j->worker, journal_worker, j) == 0;
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
    bool ends_in_mark = j->last_lsn == j->retired_lsn && j->ends_in_mark;
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
    uint64_t full = j->options.durability == DURABILITY_MEMORY ? RECOVER_BYTES : BUFFER_BYTES;
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

void journal_submit(struct journal *j)
{
    uv_mutex_lock(&j->lock);
    if (j->options.durability == DURABILITY_MEMORY) {
        submit_to_memory(j);
    } else {
        bool any = false;
        for (struct buffer *b = j->first; b != NULL; b = b->next) {
            if (b->state == BUFFER_FILLING && b->group.count > 0) {
                b->state = BUFFER_SUBMITTED;
                any = true;
            }
        }
        if (any)
            uv_cond_signal(&j->wake);
    }
    uv_mutex_unlock(&j->lock);
}

/* ---- Asking ---- */

uint64_t journal_durable(const struct journal *j)
{
    struct journal *locked = (struct journal *)j;
    uv_mutex_lock(&locked->lock);
    uint64_t durable = locked->durable;
    uv_mutex_unlock(&locked->lock);
    return durable;
}

uint64_t journal_last(const struct journal *j) { return j->last_lsn; }

struct journal_statistics journal_statistics(const struct journal *j) { return j->statistics; }

struct packet_list journal_recover(struct journal *j)
{
    struct result *r = &j->recovered;
    if (!j->recover_began) {
        j->recover_began = true;
        for (size_t i = 0; i < j->inherited.len; i++)
            journal_result_add(r, &j->inherited.ptr[i]);
        if (r->count > 0)
            return journal_result_packets(r);
    }
    r->count = 0;
    r->words_len = 0;
    if (j->recover_next <= j->recover_end) {
        journal_collect(j, r, j->recover_next, RECOVER_BYTES);
        /* Appends may have begun already; they were not found at opening. */
        while (r->count > 0 && r->packets[r->count - 1].id > j->recover_end)
            r->count--;
        j->recover_next += r->count;
    }
    return journal_result_packets(r);
}

struct packet_list journal_read(struct journal *j, uint64_t from, uint64_t bytes_max)
{
    journal_collect(j, &j->read, from, bytes_max);
    return journal_result_packets(&j->read);
}
