/* Opening a journal: which segments there are, whether they are sound, and how they end. The decisions are made in
 * core/formats/journal_walk.c; this file gives it bytes, and carries out what it decided before anything that was read
 * counts as durable (rules 3 and 10 of core/formats/journal.h).
 *
 * The first pass, here, keeps nothing but the index and the sticky records; journal_recover reads all of it a second time
 * in chunks, so that memory is bounded by a chunk and not by history. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/journal_internal.h"

struct opened {
    struct journal *j;
    int fd; /* of `segment`; -1: none */
    size_t segment;
};

void journal_index_add(struct journal *j, uint64_t lsn, size_t segment, uint64_t offset, uint64_t bytes)
{
    if (j->index_count == 0 || j->indexed_bytes >= INDEX_BYTES || j->index[j->index_count - 1].segment != segment) {
        j->index = memory_reserve(j->index, &j->index_capacity, j->index_count + 1, sizeof *j->index);
        j->index[j->index_count++] = (struct index_entry){.lsn = lsn, .segment = segment, .offset = offset};
        j->indexed_bytes = 0;
    }
    j->indexed_bytes += bytes;
}

/* The lsn in a segment's name. False: this is not one. */
static bool parse_name(const char *name, uint64_t *first_lsn)
{
    char again[64];
    unsigned long long lsn;
    if (sscanf(name, "journal-%20llu.log", &lsn) != 1)
        return false;
    snprintf(again, sizeof again, "journal-%020llu.log", lsn);
    *first_lsn = lsn;
    return strcmp(name, again) == 0;
}

static int compare_files(const void *a, const void *b)
{
    const struct journal_file *x = a, *y = b;
    return x->first_lsn < y->first_lsn ? -1 : x->first_lsn > y->first_lsn;
}

static bool list_segments(struct journal *j, struct problem *problem)
{
    DIR *dir = opendir(j->folder);
    if (dir == NULL)
        return problem_set(problem, EXIT_DATA, "journal %s: cannot open the folder: %s", j->folder, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir)) != NULL;) {
        struct journal_file file = {0};
        struct stat status;
        if (!parse_name(entry->d_name, &file.first_lsn))
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &status, 0) != 0) {
            ok = problem_set(problem, EXIT_DATA, "journal %s/%s: cannot be read: %s", j->folder, entry->d_name,
                             strerror(errno));
            break;
        }
        file.bytes = (uint64_t)status.st_size;
        j->files = memory_reserve(j->files, &j->file_capacity, j->file_count + 1, sizeof *j->files);
        j->files[j->file_count++] = file;
    }
    closedir(dir);
    if (j->file_count > 1)
        qsort(j->files, j->file_count, sizeof *j->files, compare_files);
    return ok;
}

/* Opens a segment for reading and writing, and keeps it open until another is asked for. */
static int open_segment(struct opened *o, size_t segment)
{
    if (o->fd >= 0 && o->segment == segment)
        return o->fd;
    if (o->fd >= 0)
        close(o->fd);
    char *path = journal_segment_path(o->j->folder, o->j->files[segment].first_lsn);
    o->fd = open(path, O_RDWR | O_CLOEXEC);
    o->segment = segment;
    free(path);
    return o->fd;
}

static bool read_opened(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    int fd = open_segment(context, segment);
    return fd >= 0 && journal_read_bytes(fd, offset, to, len);
}

static bool fault_problem(const struct journal *j, const struct journal_walk *w, struct problem *problem)
{
    char proof[128] = "";
    if (w->proven && w->proof_segment == w->fault_segment)
        snprintf(proof, sizeof proof, ", and the group at offset %llu proves that it was once sound",
                 (unsigned long long)w->proof_offset);
    else if (w->proven)
        snprintf(proof, sizeof proof, ", and the next segment (journal-%020llu.log) proves that it was once sound",
                 (unsigned long long)j->files[w->proof_segment].first_lsn);
    char *path = journal_segment_path(j->folder, j->files[w->fault_segment].first_lsn);
    problem_set(problem, EXIT_DATA, "journal %s: offset %llu: %s%s", path, (unsigned long long)w->fault_offset,
                journal_fault_text(w->fault), proof);
    free(path);
    return false;
}

static bool zero_range(int fd, const char *path, uint64_t from, uint64_t to, struct problem *problem)
{
    static const char zeros[16 * JOURNAL_PAGE];
    while (from < to) {
        size_t len = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        if (!journal_write_bytes(fd, path, from, zeros, len, problem))
            return false;
        from += len;
    }
    return true;
}

/* Rule 3. */
static bool cut_tail(struct journal *j, struct opened *o, const struct journal_walk *w, struct problem *problem)
{
    if (w->torn_to <= w->offset)
        return true;
    char *path = journal_segment_path(j->folder, j->files[w->segment].first_lsn);
    int fd = open_segment(o, w->segment);
    bool ok = zero_range(fd, path, w->offset, w->torn_to, problem);
    ok = ok && (!j->writer.sync || journal_sync_file(fd, path, problem));
    j->statistics.torn_tails++;
    if (ok && j->options.on_notice != NULL) {
        char text[512];
        snprintf(text, sizeof text, "journal %s: offset %llu: cut a torn tail of %llu bytes after lsn %llu", path,
                 (unsigned long long)w->offset, (unsigned long long)(w->torn_to - w->offset),
                 (unsigned long long)(w->next_lsn - 1));
        j->options.on_notice(j->options.context, text);
    }
    free(path);
    return ok;
}

/* Rule 10. */
static bool rewrite_last(struct journal *j, struct opened *o, const struct journal_walk *w, struct problem *problem)
{
    if (w->last_bytes == 0)
        return true;
    char *path = journal_segment_path(j->folder, j->files[w->last_segment].first_lsn);
    void *bytes = memory_new((size_t)w->last_bytes, 1);
    int fd = open_segment(o, w->last_segment);
    bool ok = fd >= 0 && journal_read_bytes(fd, w->last_offset, bytes, (size_t)w->last_bytes);
    if (!ok)
        problem_set(problem, EXIT_DATA, "journal %s: offset %llu: cannot be read: %s", path,
                    (unsigned long long)w->last_offset, strerror(errno));
    ok = ok && journal_write_bytes(fd, path, w->last_offset, bytes, (size_t)w->last_bytes, problem) &&
         (!j->writer.sync || journal_sync_file(fd, path, problem));
    free(bytes);
    free(path);
    return ok;
}

/* An earlier life may have run without syncs, or have died before the sync of the folder. */
static bool sync_all(struct journal *j, struct opened *o, struct problem *problem)
{
    bool ok = true;
    for (size_t i = 0; ok && j->writer.sync && i < j->file_count; i++) {
        char *path = journal_segment_path(j->folder, j->files[i].first_lsn);
        ok = journal_sync_file(open_segment(o, i), path, problem);
        free(path);
    }
    return ok && (!j->writer.sync || journal_sync_folder(j->folder, problem));
}

/* Hands the end of the journal to the writer, and everything else to the loop's side. */
static bool take_over(struct journal *j, struct journal_walk *w, struct problem *problem)
{
    char *path = journal_segment_path(j->folder, j->files[w->segment].first_lsn);
    j->writer.fd = open(path, O_RDWR | O_CLOEXEC);
    bool ok = j->writer.fd >= 0;
    if (!ok)
        problem_set(problem, EXIT_DATA, "journal %s: cannot be opened: %s", path, strerror(errno));
    free(path);
    j->writer.segment = j->files[w->segment];
    j->writer.oldest_lsn = w->oldest_lsn;
    j->writer.offset = w->offset;
    j->writer.previous = w->previous;
    j->writer.segment_previous = w->segment_previous;
    j->writer.sticky = w->sticky;
    j->inherited = w->inherited;
    w->sticky = w->inherited = (struct journal_sticky){0};
    j->last_lsn = j->retired_lsn = j->durable = j->recover_end = w->next_lsn - 1;
    j->recover_next = j->files[0].first_lsn;
    j->ends_in_mark = w->last_bytes == 0 || w->last_is_mark;
    return ok;
}

static bool recover_segments(struct journal *j, struct problem *problem)
{
    struct opened opened = {.j = j, .fd = -1};
    struct journal_source source = {.read = read_opened, .context = &opened};
    struct journal_walk w;
    enum journal_step step;
    journal_walk_begin(&w, source, &j->owner, j->files, j->file_count);
    while ((step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP)
        journal_index_add(j, w.group.first_lsn, w.last_segment, w.last_offset, w.last_bytes);
    bool ok = step == JOURNAL_STEP_END || fault_problem(j, &w, problem);
    ok = ok && cut_tail(j, &opened, &w, problem) && rewrite_last(j, &opened, &w, problem) && sync_all(j, &opened, problem) &&
         take_over(j, &w, problem);
    if (opened.fd >= 0)
        close(opened.fd);
    journal_walk_close(&w);
    return ok;
}

/* The first segment of a new journal. */
static bool first_segment(struct journal *j, struct problem *problem)
{
    j->writer.oldest_lsn = 1;
    if (!journal_writer_segment(&j->writer, 1, 0, problem))
        return false;
    j->files = memory_reserve(j->files, &j->file_capacity, 1, sizeof *j->files);
    j->files[0] = j->writer.segment;
    j->file_count = 1;
    j->recover_next = 1;
    j->ends_in_mark = true;
    return true;
}

/* `durability: memory` has nothing to recover, and must not hide what there is. */
static bool no_segments(struct journal *j, struct problem *problem)
{
    j->recover_next = 1;
    j->ends_in_mark = true;
    return j->file_count == 0 ||
           problem_set(problem, EXIT_DATA, "journal %s: holds a journal, which `durability: memory` would forget",
                       j->folder);
}

bool journal_recovery(struct journal *j, struct problem *problem)
{
    bool ok = list_segments(j, problem) && journal_durability_check(j, problem);
    if (ok && j->options.durability == DURABILITY_MEMORY)
        ok = no_segments(j, problem);
    else if (ok)
        ok = j->file_count > 0 ? recover_segments(j, problem) : first_segment(j, problem);
    return ok && journal_durability_note(j, problem);
}
