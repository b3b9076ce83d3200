/* The next segment: made under the name journal-spare.tmp, filled with zeros and synced, long before it is needed.
 *
 * Why a thread of its own? Filling a segment takes tens of milliseconds, during which the worker goes on with its groups. */
#include "host/journal_internal.h"

static bool asked_to_stop(void *context)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    bool stop = s->stop;
    uv_mutex_unlock(&s->lock);
    return stop;
}

static void spare_thread(void *context)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->wanted) {
            uv_cond_wait(&s->changed, &s->lock);
            continue;
        }
        uint64_t bytes = s->bytes;
        uv_mutex_unlock(&s->lock);
        struct problem problem = {0};
        int file = journal_spare_make(s->disk, s->folder, bytes, s->sync, asked_to_stop, s, &problem);
        uv_mutex_lock(&s->lock);
        s->wanted = false;
        s->ready = file >= 0;
        s->failed = file < 0;
        s->file = file;
        s->problem = problem;
        uv_cond_broadcast(&s->changed);
    }
    uv_mutex_unlock(&s->lock);
}

static void want(struct spare *s, uint64_t bytes)
{
    s->bytes = bytes;
    s->wanted = true;
    s->failed = false;
    uv_cond_broadcast(&s->changed);
}

static void spare_want(void *context, uint64_t bytes)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    if (!s->wanted && !s->ready && !s->failed)
        want(s, bytes);
    uv_mutex_unlock(&s->lock);
}

static bool spare_take(void *context, uint64_t *bytes, int *file, struct problem *problem)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    while (s->wanted && !s->stop)
        uv_cond_wait(&s->changed, &s->lock);
    if (!s->ready || s->bytes < *bytes) { /* an unusually large group, or it failed before and there may be room now */
        if (s->ready)
            disk_close(s->disk, s->file);
        s->ready = false;
        want(s, *bytes);
        while (s->wanted && !s->stop)
            uv_cond_wait(&s->changed, &s->lock);
    }
    bool ok = s->ready;
    if (ok) {
        *file = s->file;
        *bytes = s->bytes;
    } else {
        *problem = s->problem;
    }
    s->ready = false;
    s->file = -1;
    uv_mutex_unlock(&s->lock);
    return ok;
}

bool journal_spare_start(struct spare *s, struct disk *disk, const char *folder, bool sync, struct problem *problem)
{
    *s = (struct spare){.disk = disk, .folder = folder, .sync = sync, .file = -1};
    s->spares = (struct journal_spares){.take = spare_take, .want = spare_want, .context = s};
    uv_mutex_init(&s->lock);
    uv_cond_init(&s->changed);
    s->started = uv_thread_create(&s->thread, spare_thread, s) == 0;
    if (s->started)
        return true;
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    return problem_set(problem, EXIT_TROUBLE, "journal %s: cannot start a thread", folder);
}

bool journal_spare_failed(struct spare *s, struct problem *problem)
{
    uv_mutex_lock(&s->lock);
    bool failed = s->failed;
    if (failed)
        *problem = s->problem;
    uv_mutex_unlock(&s->lock);
    return failed;
}

void journal_spare_stop(struct spare *s)
{
    if (!s->started)
        return;
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_broadcast(&s->changed);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->thread);
    if (s->ready)
        disk_close(s->disk, s->file);
    journal_spare_remove(s->disk, s->folder);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    s->started = false;
}
