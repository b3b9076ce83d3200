/* The old end of a journal (J11): which segments are of no value any more, and what is still to be removed of them.
 *
 *   journal_store_truncate   the writer knows from where on records are needed; the next segment's header says so
 *   journal_store_drop       that header is durable: segments that end before are forgotten, and may be removed
 *   journal_store_remove     one of them goes, at any time and on any thread. Nothing depends on when, or whether */
#include <errno.h>

#include "io/journal_store_internal.h"

void journal_store_truncate(struct journal_store *s, uint64_t lsn)
{
    struct writer *w = &s->writer;
    uint64_t oldest = lsn < w->last_lsn ? lsn : w->last_lsn;
    if (oldest > w->oldest_lsn)
        w->oldest_lsn = oldest;
}

/* The first `count` segments are not there any more. */
static void forget_segments(struct journal_store *s, size_t count)
{
    s->removals = memory_reserve(s->removals, &s->removal_capacity, s->removal_count + count, sizeof *s->removals);
    for (size_t i = 0; i < count; i++)
        s->removals[s->removal_count++] = s->files[i].first_lsn;
    s->statistics.dropped += count;
    s->file_count -= count;
    memmove(s->files, s->files + count, s->file_count * sizeof *s->files);
    /* A file that is open keeps its space, and gives it back on this thread. */
    if (s->reading.file >= 0 && s->reading.segment < count)
        journal_store_segment_close(s, &s->reading);
    s->reading.segment -= s->reading.file >= 0 ? count : 0;
    if (s->read_next.segment < count)
        s->read_next = (struct index_entry){0};
    else
        s->read_next.segment -= count;
    journal_store_index_forget(s, count);
}

void journal_store_drop(struct journal_store *s, uint64_t oldest_lsn)
{
    size_t count = 0;
    while (count + 1 < s->file_count && s->files[count + 1].first_lsn <= oldest_lsn)
        count++;
    if (count > 0)
        forget_segments(s, count);
}

uint64_t journal_store_removable(const struct journal_store *s) { return s->removal_count > 0 ? s->removals[0] : 0; }

bool journal_store_remove(const struct journal_store *s, uint64_t first_lsn, struct problem *problem)
{
    char *path = journal_segment_path(s->folder, first_lsn);
    int error = disk_remove(s->disk, path);
    bool ok = error == 0 || error == -ENOENT;
    if (!ok)
        problem_set_error(problem, EXIT_TROUBLE, error, "journal %s: is not needed any more and cannot be removed: ", path);
    free(path);
    return ok;
}

void journal_store_removed(struct journal_store *s)
{
    invariant(s->removal_count > 0);
    s->removal_count--;
    memmove(s->removals, s->removals + 1, s->removal_count * sizeof *s->removals);
}
