/* Groups and segments to disk. The worker thread takes one submitted buffer at a time, so that group n+1 is written only
 * after group n is durable (rule 1 of core/formats/journal.h). While it syncs, the loop goes on with the next turns, whose
 * appends gather in the next buffer: the slower the disk, the larger the groups.
 *
 * A dedicated thread with a condition variable, and not uv_queue_work: the pool's threads are shared with whatever else
 * blocks, and a group must never wait behind a name lookup. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/journal_internal.h"

char *journal_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = memory_new(size, 1);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

char *journal_segment_path(const char *folder, uint64_t first_lsn)
{
    char name[64];
    snprintf(name, sizeof name, "journal-%020llu.log", (unsigned long long)first_lsn);
    return journal_path(folder, name);
}

bool journal_write_bytes(int fd, const char *path, uint64_t offset, const void *from, size_t len, struct problem *problem)
{
    const char *bytes = from;
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, bytes + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return problem_set(problem, EXIT_SYNC_FAILED, "journal %s: offset %llu: cannot write %zu bytes: %s", path,
                               (unsigned long long)(offset + done), len - done, strerror(n < 0 ? errno : ENOSPC));
        done += (size_t)n;
    }
    return true;
}

bool journal_sync_file(int fd, const char *path, struct problem *problem)
{
    if (fdatasync(fd) == 0)
        return true;
    return problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot sync: %s", path, strerror(errno));
}

bool journal_sync_folder(const char *folder, struct problem *problem)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot sync the folder: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Rule 8: header and sync first, the name and the folder's sync second. */
static bool segment_name(const struct writer *w, int fd, const uint64_t *header, const struct journal_segment *segment,
                         struct problem *problem)
{
    char *path = journal_segment_path(w->folder, segment->first_lsn);
    bool ok = journal_write_bytes(fd, path, 0, header, segment->header_bytes, problem) &&
              (!w->sync || journal_sync_file(fd, path, problem));
    if (ok && rename(w->spare->path, path) != 0)
        ok = problem_set(problem, EXIT_SYNC_FAILED, "journal %s: cannot rename %s to it: %s", path, w->spare->path,
                         strerror(errno));
    ok = ok && (!w->sync || journal_sync_folder(w->folder, problem));
    free(path);
    return ok;
}

bool journal_writer_segment(struct writer *w, uint64_t first_lsn, uint64_t room, struct problem *problem)
{
    uint64_t header_bytes = journal_segment_header_bytes(&w->sticky);
    uint64_t bytes = header_bytes + room > w->segment_bytes ? header_bytes + room : w->segment_bytes;
    int fd = -1;
    if (!journal_spare_take(w->spare, &bytes, &fd, problem))
        return false;
    /* The last segment holds no record, and its name is needed: its marks go with it (rule 8). */
    bool replaces = w->fd >= 0 && w->segment.first_lsn == first_lsn;
    uint64_t previous = replaces ? w->segment_previous : w->previous;
    struct journal_segment segment = {
        .bytes = bytes, .first_lsn = first_lsn, .oldest_lsn = w->oldest_lsn, .previous = previous};
    uint64_t *header = memory_new(header_bytes, 1);
    journal_segment_write(header, &w->owner, &segment, &w->sticky);
    bool ok = segment_name(w, fd, header, &segment, problem);
    free(header);
    if (!ok) {
        close(fd);
        return false;
    }
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
    w->segment = (struct journal_file){.first_lsn = first_lsn, .bytes = bytes, .header_bytes = segment.header_bytes};
    w->offset = segment.header_bytes;
    w->previous = w->segment_previous = previous;
    return true;
}

bool journal_writer_group(struct writer *w, struct buffer *b, struct problem *problem)
{
    struct journal_group *g = &b->group;
    uint64_t bytes = journal_pages(g->len);
    if (w->segment.bytes - w->offset < bytes && !journal_writer_segment(w, g->first_lsn, bytes, problem))
        return false;
    struct journal_place place = {.owner = &w->owner, .segment = w->segment.first_lsn, .offset = w->offset};
    journal_group_seal(g, &place, w->previous);
    char *path = journal_segment_path(w->folder, w->segment.first_lsn);
    uint64_t began = uv_hrtime();
    bool ok = journal_write_bytes(w->fd, path, w->offset, g->words, (size_t)bytes, problem) &&
              (!w->sync || journal_sync_file(w->fd, path, problem));
    free(path);
    if (!ok)
        return false;
    b->sync_us = (uv_hrtime() - began) / 1000;
    b->segment = w->segment;
    b->offset = w->offset;
    b->bytes = bytes;
    w->offset += bytes;
    w->previous = g->checksum;
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; journal_group_next(g, &offset, &index, &record);)
        journal_sticky_keep(&w->sticky, &record);
    if (w->offset > w->segment.bytes / 2)
        journal_spare_want(w->spare, w->segment_bytes);
    return true;
}

/* The first buffer that is to be written; NULL: none yet. Under the lock. */
static struct buffer *next_submitted(struct journal *j)
{
    struct buffer *b = j->first;
    while (b != NULL && b->state == BUFFER_DONE)
        b = b->next;
    return b != NULL && b->state == BUFFER_SUBMITTED ? b : NULL;
}

void journal_worker(void *context)
{
    struct journal *j = context;
    uv_mutex_lock(&j->lock);
    for (;;) {
        struct buffer *b = next_submitted(j);
        if (j->failed || (b == NULL && j->stop))
            break;
        if (b == NULL) {
            uv_cond_wait(&j->wake, &j->lock);
            continue;
        }
        b->state = BUFFER_IN_FLIGHT;
        uv_mutex_unlock(&j->lock);
        struct problem problem;
        bool ok = journal_writer_group(&j->writer, b, &problem);
        if (!ok)
            journal_fail(j, &problem);
        uv_mutex_lock(&j->lock);
        if (ok) {
            b->state = BUFFER_DONE;
            j->durable = b->group.first_lsn + b->group.count - 1;
        }
        uv_async_send(&j->handles->async);
    }
    uv_mutex_unlock(&j->lock);
}
