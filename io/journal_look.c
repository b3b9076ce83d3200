/* Looking at a journal. The decisions are those of recovery (core/formats/journal_walk.c), but nothing is cut, written again
 * or synced. */
#include <string.h>

#include "io/journal_store_internal.h"

struct journal_look {
    struct journal_store *store;
    const struct journal_view *view;
    struct opened opened;
    size_t first; /* the segment that was shown first */
    size_t shown; /* segments up to this one */
    bool began;
};

static bool read_only(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct journal_look *l = context;
    struct disk *disk = l->store->disk;
    if (l->opened.file < 0 || l->opened.segment != segment) {
        journal_store_segment_close(l->store, &l->opened);
        char *path = journal_segment_path(l->store->folder, l->store->files[segment].first_lsn);
        l->opened = (struct opened){.file = disk_open(disk, path, DISK_READ), .segment = segment};
        free(path);
    }
    return l->opened.file >= 0 && disk_read(disk, l->opened.file, offset, to, len) == (int64_t)len;
}

/* Names the segments up to this one. */
static void show_segments(struct journal_look *l, size_t last)
{
    for (; l->shown <= last; l->shown++) {
        const struct journal_file *file = &l->store->files[l->shown];
        char *path = journal_segment_path(l->store->folder, file->first_lsn);
        l->view->segment(l->view->context, strrchr(path, '/') + 1, file->bytes);
        free(path);
    }
}

/* Once, before the first group. */
static void show_first(struct journal_look *l, const struct journal_walk *w)
{
    if (l->began)
        return;
    l->began = true;
    l->first = l->shown = w->first;
    show_segments(l, w->first);
    for (size_t i = 0; i < w->inherited.len; i++)
        l->view->carried(l->view->context, &w->inherited.ptr[i]);
}

static bool show(struct journal_look *l, struct problem *problem)
{
    struct journal_store *s = l->store;
    struct journal_source source = {.read = read_only, .context = l};
    struct journal_walk w;
    enum journal_step step;
    journal_walk_begin(&w, source, &s->owner, s->files, s->file_count);
    while ((step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP) {
        show_first(l, &w);
        show_segments(l, w.last_segment);
        l->view->group(l->view->context, w.last_offset, &w.group);
    }
    bool sound = step == JOURNAL_STEP_END || journal_walk_problem(s, &w, problem);
    if (sound) {
        show_first(l, &w);
        show_segments(l, w.segment);
        l->view->end(l->view->context, w.next_lsn, w.offset, w.torn_to - w.offset);
    }
    journal_walk_close(&w);
    return sound;
}

bool journal_look_open(struct journal_look **out, const struct journal_store_options *options, struct problem *problem)
{
    struct journal_look *l = memory_new(1, sizeof *l);
    l->store = journal_store_new(options);
    l->opened.file = -1;
    *out = l;
    if (journal_find_segments(l->store, problem))
        return true;
    journal_look_close(l);
    return false;
}

bool journal_look_show(struct journal_look *l, const struct journal_view *view, struct problem *problem)
{
    l->view = view;
    l->began = false;
    return (l->store->file_count == 0 || show(l, problem)) && journal_durability_check(l->store, problem);
}

bool journal_look_group(struct journal_look *l, size_t segment, uint64_t offset, struct journal_group *g,
                        struct problem *problem)
{
    const struct journal_store *s = l->store;
    const struct journal_source source = {.read = read_only, .context = l};
    const size_t file = l->first + segment;
    invariant(file < s->file_count);
    const enum journal_fault fault = journal_group_load(g, source, &s->owner, s->files, file, offset);
    if (fault == JOURNAL_SOUND)
        return true;
    char *path = journal_segment_path(s->folder, s->files[file].first_lsn);
    problem_set(problem, EXIT_DATA, "journal %s: offset %llu: %s", path, (unsigned long long)offset,
                journal_fault_text(fault));
    free(path);
    return false;
}

void journal_look_close(struct journal_look *l)
{
    journal_store_segment_close(l->store, &l->opened);
    journal_store_close(l->store);
    free(l);
}

bool journal_store_look(const struct journal_store_options *options, const struct journal_view *view,
                        struct problem *problem)
{
    struct journal_look *l;
    if (!journal_look_open(&l, options, problem))
        return false;
    const bool ok = journal_look_show(l, view, problem);
    journal_look_close(l);
    return ok;
}
