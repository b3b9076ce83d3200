/* Opening a journal: which segments there are, whether they are sound, and how they end. The decisions are made in
 * core/formats/journal_walk.c; this file gives it bytes, and carries out what it decided before anything that was read
 * counts as durable (J3 and J10).
 *
 * The first pass, here, keeps nothing but the index and the sticky records; journal_store_recover reads all of it a second
 * time in chunks, so that memory is bounded by a chunk and not by history. */
#include <errno.h>
#include <stdio.h>

#include "io/journal_store_internal.h"

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

static void note_name(void *context, const char *name)
{
    struct journal_file file = {0};
    if (parse_name(name, &file.first_lsn))
        journal_store_file_add(context, &file);
}

bool journal_find_segments(struct journal_store *s, struct problem *problem)
{
    int error = disk_list(s->disk, s->folder, note_name, s);
    if (error != 0)
        return problem_set(problem, EXIT_DATA, "journal %s: cannot open the folder: %s", s->folder, strerror(-error));
    if (s->file_count > 1)
        qsort(s->files, s->file_count, sizeof *s->files, compare_files);
    for (size_t i = 0; i < s->file_count; i++) {
        char *path = journal_segment_path(s->folder, s->files[i].first_lsn);
        int64_t bytes = disk_size(s->disk, path);
        if (bytes < 0)
            problem_set(problem, EXIT_DATA, "journal %s: cannot be read: %s", path, strerror((int)-bytes));
        free(path);
        if (bytes < 0)
            return false;
        s->files[i].bytes = (uint64_t)bytes;
    }
    return true;
}

struct reader {
    struct journal_store *store;
    struct opened opened;
};

static bool read_opened(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct reader *r = context;
    int file = journal_store_segment(r->store, &r->opened, segment);
    return file >= 0 && disk_read(r->store->disk, file, offset, to, len) == (int64_t)len;
}

static bool open_problem(const char *path, int error, struct problem *problem)
{
    return problem_set(problem, EXIT_DATA, "journal %s: cannot be opened: %s", path, strerror(-error));
}

bool journal_walk_problem(const struct journal_store *s, const struct journal_walk *w, struct problem *problem)
{
    char proof[128] = "";
    if (w->proven && w->proof_segment == w->fault_segment)
        snprintf(proof, sizeof proof, ", and the group at offset %llu proves that it was once sound",
                 (unsigned long long)w->proof_offset);
    else if (w->proven)
        snprintf(proof, sizeof proof, ", and the next segment (journal-%020llu.log) proves that it was once sound",
                 (unsigned long long)s->files[w->proof_segment].first_lsn);
    char *path = journal_segment_path(s->folder, s->files[w->fault_segment].first_lsn);
    problem_set(problem, EXIT_DATA, "journal %s: offset %llu: %s%s", path, (unsigned long long)w->fault_offset,
                journal_fault_text(w->fault), proof);
    free(path);
    return false;
}

/* J3. */
static bool cut_tail(struct reader *r, const struct journal_walk *w, struct problem *problem)
{
    struct journal_store *s = r->store;
    if (w->torn_to <= w->offset)
        return true;
    char *path = journal_segment_path(s->folder, s->files[w->segment].first_lsn);
    int file = journal_store_segment(s, &r->opened, w->segment);
    bool ok = file >= 0 || open_problem(path, file, problem);
    ok = ok && journal_write_zeros(s->disk, file, path, w->offset, w->torn_to - w->offset, problem) &&
         (!s->writer.sync || journal_sync_file(s->disk, file, path, problem));
    s->statistics.torn_tails++;
    if (ok && s->options.on_notice != NULL) {
        char text[512];
        snprintf(text, sizeof text, "journal %s: offset %llu: cut a torn tail of %llu bytes after lsn %llu", path,
                 (unsigned long long)w->offset, (unsigned long long)(w->torn_to - w->offset),
                 (unsigned long long)(w->next_lsn - 1));
        s->options.on_notice(s->options.context, text);
    }
    free(path);
    return ok;
}

/* J10. */
static bool rewrite_last(struct reader *r, const struct journal_walk *w, struct problem *problem)
{
    struct journal_store *s = r->store;
    if (w->last_bytes == 0)
        return true;
    char *path = journal_segment_path(s->folder, s->files[w->last_segment].first_lsn);
    void *bytes = memory_new((size_t)w->last_bytes, 1);
    int file = journal_store_segment(s, &r->opened, w->last_segment);
    bool ok = file >= 0 || open_problem(path, file, problem);
    int64_t n = ok ? disk_read(s->disk, file, w->last_offset, bytes, (size_t)w->last_bytes) : 0;
    if (ok && n != (int64_t)w->last_bytes)
        ok = problem_set(problem, EXIT_DATA, "journal %s: offset %llu: cannot be read: %s", path,
                         (unsigned long long)w->last_offset, n < 0 ? strerror((int)-n) : "the file has become shorter");
    ok = ok && journal_write_bytes(s->disk, file, path, w->last_offset, bytes, (size_t)w->last_bytes, problem) &&
         (!s->writer.sync || journal_sync_file(s->disk, file, path, problem));
    free(bytes);
    free(path);
    return ok;
}

static bool sync_all(struct reader *r, struct problem *problem)
{
    struct journal_store *s = r->store;
    bool ok = true;
    for (size_t i = 0; ok && i < s->file_count; i++) {
        char *path = journal_segment_path(s->folder, s->files[i].first_lsn);
        int file = journal_store_segment(s, &r->opened, i);
        ok = (file >= 0 || open_problem(path, file, problem)) && journal_sync_file(s->disk, file, path, problem);
        free(path);
    }
    return ok && journal_sync_folder(s->disk, s->folder, problem);
}

/* Hands the end of the journal to the writer, and everything else to those who read. */
static bool take_over(struct journal_store *s, struct journal_walk *w, struct problem *problem)
{
    s->writer.path = journal_segment_path(s->folder, s->files[w->segment].first_lsn);
    int file = disk_open(s->disk, s->writer.path, DISK_WRITE);
    if (file < 0)
        return open_problem(s->writer.path, file, problem);
    s->writer.file = file;
    s->writer.segment = s->files[w->segment];
    s->writer.segment_state = SEGMENT_SYNCED;
    s->writer.oldest_lsn = w->oldest_lsn;
    s->writer.offset = w->offset;
    s->writer.previous = w->previous;
    s->writer.segment_previous = w->segment_previous;
    s->writer.sticky = w->sticky;
    s->inherited = w->inherited;
    w->sticky = w->inherited = (struct journal_sticky){0};
    s->last_lsn = s->recover_end = w->next_lsn - 1;
    s->recover_next = s->files[0].first_lsn;
    s->ends_in_mark = w->last_bytes == 0 || w->last_is_mark;
    return true;
}

static bool recover_segments(struct journal_store *s, struct problem *problem)
{
    struct reader reader = {.store = s, .opened = {.file = -1}};
    struct journal_source source = {.read = read_opened, .context = &reader, .scan_bytes = s->options.scan_bytes};
    struct journal_walk w;
    enum journal_step step;
    journal_walk_begin(&w, source, &s->owner, s->files, s->file_count);
    while ((step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP)
        journal_store_index(s, w.group.first_lsn, w.last_offset, w.last_segment, w.last_bytes);
    bool ok = step == JOURNAL_STEP_END || journal_walk_problem(s, &w, problem);
    ok = ok && cut_tail(&reader, &w, problem) && rewrite_last(&reader, &w, problem);
    /* An earlier life may have run without syncs, or have died before the sync of the folder. */
    ok = ok && (!s->writer.sync || sync_all(&reader, problem)) && take_over(s, &w, problem);
    journal_store_segment_close(s, &reader.opened);
    journal_walk_close(&w);
    return ok;
}

/* The first segment of a new journal. */
static bool first_segment(struct journal_store *s, struct problem *problem)
{
    s->writer.oldest_lsn = 1;
    if (!journal_writer_segment(&s->writer, 1, 0, problem))
        return false;
    journal_store_file_add(s, &s->writer.segment);
    s->recover_next = 1;
    s->ends_in_mark = true;
    return true;
}

/* `durability: memory` has nothing to recover, and must not hide what there is. */
static bool no_segments(struct journal_store *s, struct problem *problem)
{
    s->recover_next = 1;
    s->ends_in_mark = true;
    s->writer.segment.first_lsn = 1;
    s->writer.segment_state = SEGMENT_SYNCED;
    return s->file_count == 0 ||
           problem_set(problem, EXIT_DATA, "journal %s: holds a journal, which `durability: memory` would forget",
                       s->folder);
}

bool journal_recovery(struct journal_store *s, struct problem *problem)
{
    bool memory = s->options.durability == DURABILITY_MEMORY;
    if (!memory)
        journal_spare_remove(s->disk, s->folder); /* of an earlier life: it may be incomplete */
    bool ok = journal_find_segments(s, problem) && journal_durability_check(s, problem);
    if (ok && memory)
        ok = no_segments(s, problem);
    else if (ok)
        ok = s->file_count > 0 ? recover_segments(s, problem) : first_segment(s, problem);
    return ok && journal_durability_note(s, s->options.durability, problem) && journal_writer_finish(&s->writer, problem);
}

bool journal_store_settle(struct journal_store *s, struct problem *problem)
{
    struct reader reader = {.store = s, .opened = {.file = -1}};
    if (s->options.durability != DURABILITY_OS || s->writer.failed)
        return true;
    bool ok = sync_all(&reader, problem) && journal_durability_note(s, DURABILITY_FSYNC, problem);
    journal_store_segment_close(s, &reader.opened);
    return ok;
}
