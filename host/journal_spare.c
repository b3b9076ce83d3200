/* The next segment: made under the name journal-spare.tmp, filled with zeros and synced, long before it is needed.
 *
 * Why write zeros, when fallocate alone gives a file that reads as zeros? Because its extents are then marked unwritten,
 * and the first write to each must commit metadata: an fdatasync of 4 KiB took 0.18 ms on such a file, 0.11 ms on one
 * that had been written before, and 0.39 ms on one that grows. Why a thread of its own? Filling a segment takes tens of
 * milliseconds, during which the worker goes on with its groups. It writes in small steps and waits for each, so that
 * the disk never has more than one step of it queued in front of a group. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/journal_internal.h"

enum { STEP_BYTES = 256 << 10 };

static bool asked_to_stop(struct spare *s)
{
    uv_mutex_lock(&s->lock);
    bool stop = s->stop;
    uv_mutex_unlock(&s->lock);
    return stop;
}

static bool spare_problem(const struct spare *s, uint64_t bytes, int error, struct problem *problem)
{
    return problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot make a segment of %llu bytes: %s", s->path,
                       (unsigned long long)bytes, strerror(error));
}

static bool fill(struct spare *s, int fd, uint64_t bytes, struct problem *problem)
{
    static char zeros[STEP_BYTES]; /* never written */
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0 && error != EOPNOTSUPP && error != EINVAL)
        return spare_problem(s, bytes, error, problem);
    for (uint64_t at = 0; at < bytes; at += STEP_BYTES) {
        size_t len = bytes - at < STEP_BYTES ? (size_t)(bytes - at) : STEP_BYTES;
        if (asked_to_stop(s))
            return problem_set(problem, EXIT_TROUBLE, "journal %s: stopped", s->path);
        if (!journal_write_bytes(fd, s->path, at, zeros, len, problem))
            return false;
        if (s->sync)
            (void)sync_file_range(fd, (off_t)at, (off_t)len,
                                  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }
    /* The sync that counts: the steps above only spread the work. */
    if (s->sync && fsync(fd) != 0)
        return spare_problem(s, bytes, errno, problem);
    return true;
}

/* Makes the file. Returns its descriptor, or -1. */
static int make(struct spare *s, uint64_t bytes, struct problem *problem)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        spare_problem(s, bytes, errno, problem);
        return -1;
    }
    if (!fill(s, fd, bytes, problem)) {
        close(fd);
        unlink(s->path);
        return -1;
    }
    return fd;
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
        int fd = make(s, bytes, &problem);
        uv_mutex_lock(&s->lock);
        s->wanted = false;
        s->ready = fd >= 0;
        s->failed = fd < 0;
        s->fd = fd;
        s->problem = problem;
        uv_cond_broadcast(&s->changed);
    }
    uv_mutex_unlock(&s->lock);
}

bool journal_spare_start(struct spare *s, const char *folder, bool sync, struct problem *problem)
{
    *s = (struct spare){.path = journal_path(folder, "journal-spare.tmp"), .sync = sync, .fd = -1};
    unlink(s->path); /* of an earlier life: it may be incomplete */
    uv_mutex_init(&s->lock);
    uv_cond_init(&s->changed);
    s->started = uv_thread_create(&s->thread, spare_thread, s) == 0;
    if (s->started)
        return true;
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    free(s->path);
    return problem_set(problem, EXIT_TROUBLE, "journal %s: cannot start a thread", folder);
}

static void want(struct spare *s, uint64_t bytes)
{
    s->bytes = bytes;
    s->wanted = true;
    s->failed = false;
    uv_cond_broadcast(&s->changed);
}

void journal_spare_want(struct spare *s, uint64_t bytes)
{
    uv_mutex_lock(&s->lock);
    if (!s->wanted && !s->ready && !s->failed)
        want(s, bytes);
    uv_mutex_unlock(&s->lock);
}

bool journal_spare_take(struct spare *s, uint64_t *bytes, int *fd, struct problem *problem)
{
    uv_mutex_lock(&s->lock);
    while (s->wanted && !s->stop)
        uv_cond_wait(&s->changed, &s->lock);
    if (!s->ready || s->bytes < *bytes) { /* an unusually large group, or it failed before and there may be room now */
        if (s->ready)
            close(s->fd);
        s->ready = false;
        want(s, *bytes);
        while (s->wanted && !s->stop)
            uv_cond_wait(&s->changed, &s->lock);
    }
    bool ok = s->ready;
    if (ok) {
        *fd = s->fd;
        *bytes = s->bytes;
    } else {
        *problem = s->problem;
    }
    s->ready = false;
    s->fd = -1;
    uv_mutex_unlock(&s->lock);
    return ok;
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
        close(s->fd);
    unlink(s->path);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    free(s->path);
    s->started = false;
}
