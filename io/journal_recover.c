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
    struct opened *opened;
};

static bool read_opened(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct journal_store *s = context;
    int file = journal_store_segment(s, &s->opening->opened, segment);
    return file >= 0 && disk_read(s->disk, file, offset, to, len) == (int64_t)len;
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
    int file = journal_store_segment(s, r->opened, w->segment);
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
    int file = journal_store_segment(s, r->opened, w->last_segment);
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

/* The segments from `first` on, and the folder. */
static bool sync_all(struct reader *r, size_t first, struct problem *problem)
{
    struct journal_store *s = r->store;
    bool ok = true;
    for (size_t i = first; ok && i < s->file_count; i++) {
        char *path = journal_segment_path(s->folder, s->files[i].first_lsn);
        int file = journal_store_segment(s, r->opened, i);
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
    if (s->writer.sync)
        disk_in_pages(s->disk, file);
    s->writer.segment = s->files[w->segment];
    s->writer.segment_state = SEGMENT_SYNCED;
    s->writer.oldest_lsn = s->writer.segment_oldest_lsn = w->oldest_lsn;
    s->writer.last_lsn = w->next_lsn - 1;
    s->writer.offset = w->offset;
    s->writer.previous = w->previous;
    s->writer.segment_previous = w->segment_previous;
    s->writer.sticky = w->sticky;
    w->sticky = (struct journal_sticky){0};
    s->last_lsn = s->recover_end = w->next_lsn - 1;
    journal_store_drop(s, w->oldest_lsn);
    s->recover_next = s->last_lsn + 1; /* all of them are in s->recovered, or were there before */
    s->recover_began = true;
    s->ends_in_mark = w->last_bytes == 0 || w->last_is_mark;
    return true;
}

/* How it runs from now on is durable, and so is its newest segment, before the first group. */
static bool begin_writing(struct journal_store *s, struct problem *problem)
{
    return journal_durability_note(s, s->options.durability, problem) && journal_writer_finish(&s->writer, problem);
}

/* All groups have been read, and are sound. */
static bool finish_opening(struct journal_store *s, struct problem *problem)
{
    struct opening *o = s->opening;
    struct reader reader = {.store = s, .opened = &o->opened};
    /* An earlier life may have run without syncs, or have died before the sync of the folder. */
    bool ok = cut_tail(&reader, &o->walk, problem) && rewrite_last(&reader, &o->walk, problem) &&
              (!s->writer.sync || sync_all(&reader, o->walk.first, problem)) && take_over(s, &o->walk, problem) &&
              begin_writing(s, problem);
    if (ok)
        journal_recovery_close(s);
    return ok;
}

static void begin_walk(struct journal_store *s)
{
    struct opening *o = memory_new(1, sizeof *o);
    const struct journal_source source = {.read = read_opened, .context = s, .scan_bytes = s->options.scan_bytes};
    o->opened.file = -1;
    s->opening = o;
    journal_walk_begin(&o->walk, source, &s->owner, s->files, s->file_count);
}

/* Takes one step. At the first one, what was inherited comes before the others. */
static bool take_step(struct journal_store *s, enum journal_step *step, struct problem *problem)
{
    struct opening *o = s->opening;
    struct journal_walk *w = &o->walk;
    *step = journal_walk_next(w);
    if (*step == JOURNAL_STEP_FAULT)
        return journal_walk_problem(s, w, problem);
    for (size_t i = 0; !o->began && i < w->inherited.len; i++)
        journal_result_add(&s->recovered, &w->inherited.ptr[i]);
    if (!o->began)
        o->next = s->files[w->first].first_lsn;
    o->began = true;
    if (*step == JOURNAL_STEP_GROUP)
        journal_store_index(s, w->group.first_lsn, w->last_offset, w->last_segment, w->last_bytes);
    return true;
}

static bool more(struct journal_store *s, struct problem *problem)
{
    struct opening *o = s->opening;
    struct journal_result *r = &s->recovered;
    enum journal_step step = JOURNAL_STEP_GROUP;
    while (step == JOURNAL_STEP_GROUP && (r->count == 0 || r->bytes < s->options.recover_bytes)) {
        if (o->next < o->walk.next_lsn && o->began) /* some of this group are left */
            journal_result_take(r, &o->walk.group, &o->next, s->options.recover_bytes);
        else if (!take_step(s, &step, problem))
            return false;
    }
    return step == JOURNAL_STEP_GROUP || finish_opening(s, problem);
}

/* At the end of the journal: cuts, writes again, syncs, and there is no `opening` any more. */
static bool walk_on(struct journal_store *s, struct problem *problem)
{
    struct opening *o = s->opening;
    if (!o->failed && more(s, &o->problem))
        return true;
    o->failed = true;
    *problem = o->problem;
    return false;
}

bool journal_store_recover(struct journal_store *s, struct packet_list *out, struct problem *problem)
{
    struct journal_result *r = &s->recovered;
    bool ok = true;
    journal_result_clear(r);
    if (s->opening != NULL) {
        ok = walk_on(s, problem);
    } else if (!s->recover_began) {
        s->recover_began = true;
        ok = s->file_count == 0 || journal_store_inherited(s, problem);
    }
    if (ok && r->count == 0 && s->recover_next <= s->recover_end) {
        ok = journal_store_collect(s, r, &s->recover_next, s->options.recover_bytes, problem);
        /* Groups may have been written already; they were not found at opening. */
        while (r->count > 0 && r->packets[r->count - 1].id > s->recover_end)
            r->count--;
    }
    *out = journal_result_packets(r);
    return ok;
}

void journal_recovery_close(struct journal_store *s)
{
    if (s->opening == NULL)
        return;
    journal_store_segment_close(s, &s->opening->opened);
    journal_walk_close(&s->opening->walk);
    free(s->opening);
    s->opening = NULL;
}

void journal_recovery_again(struct journal_store *s)
{
    journal_recovery_close(s);
    s->index_count = 0;
    begin_walk(s);
}

/* The first segment of a new journal. */
static bool first_segment(struct journal_store *s, struct problem *problem)
{
    s->writer.oldest_lsn = 1;
    if (!journal_writer_segment(&s->writer, 1, 0, problem))
        return false;
    journal_store_file_add(s, &s->writer.segment);
    return true;
}

/* `durability: memory` has nothing to recover, and must not hide what there is. */
static bool no_segments(struct journal_store *s, struct problem *problem)
{
    s->writer.segment.first_lsn = 1;
    s->writer.segment_state = SEGMENT_SYNCED;
    return s->file_count == 0 ||
           problem_set(problem, EXIT_DATA, "journal %s: holds a journal, which `durability: memory` would forget",
                       s->folder);
}

bool journal_recovery_begin(struct journal_store *s, struct problem *problem)
{
    bool memory = s->options.durability == DURABILITY_MEMORY;
    if (!memory)
        journal_spare_remove(s->disk, s->folder); /* of an earlier life: it may be incomplete */
    if (!journal_find_segments(s, problem) || !journal_durability_check(s, problem))
        return false;
    s->ends_in_mark = true;
    s->recover_next = 1;
    if (!memory && s->file_count > 0)
        begin_walk(s);
    return s->opening != NULL ||
           ((memory ? no_segments(s, problem) : first_segment(s, problem)) && begin_writing(s, problem));
}

bool journal_store_settle(struct journal_store *s, struct problem *problem)
{
    struct opened opened = {.file = -1};
    struct reader reader = {.store = s, .opened = &opened};
    if (s->options.durability != DURABILITY_OS || s->writer.failed || s->opening != NULL)
        return true;
    bool ok = sync_all(&reader, 0, problem) && journal_durability_note(s, DURABILITY_FSYNC, problem);
    journal_store_segment_close(s, &opened);
    return ok;
}
