/* Looking at a journal. The decisions are those of recovery (core/formats/journal_walk.c), but nothing is cut, written again
 * or synced. */
#include <string.h>

#include "io/journal_store_internal.h"

struct look {
    struct journal_store *store;
    const struct journal_view *view;
    struct opened opened;
    size_t shown; /* segments */
};

static bool read_only(void *context, size_t segment, uint64_t offset, void *to, size_t len)
{
    struct look *l = context;
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
static void show_segments(struct look *l, size_t last)
{
    for (; l->shown <= last; l->shown++) {
        const struct journal_file *file = &l->store->files[l->shown];
        char *path = journal_segment_path(l->store->folder, file->first_lsn);
        l->view->segment(l->view->context, strrchr(path, '/') + 1, file->bytes);
        free(path);
    }
}

static bool show(struct look *l, struct problem *problem)
{
    struct journal_store *s = l->store;
    struct journal_source source = {.read = read_only, .context = l};
    struct journal_walk w;
    enum journal_step step;
    journal_walk_begin(&w, source, &s->owner, s->files, s->file_count);
    while ((step = journal_walk_next(&w)) == JOURNAL_STEP_GROUP) {
        show_segments(l, w.last_segment);
        l->view->group(l->view->context, w.last_offset, &w.group);
    }
    bool sound = step == JOURNAL_STEP_END || journal_walk_problem(s, &w, problem);
    if (sound) {
        show_segments(l, w.segment);
        l->view->end(l->view->context, w.next_lsn, w.offset, w.torn_to - w.offset);
    }
    journal_walk_close(&w);
    return sound;
}

bool journal_store_look(const struct journal_store_options *options, const struct journal_view *view,
                        struct problem *problem)
{
    struct look l = {.store = journal_store_new(options), .view = view, .opened = {.file = -1}};
    bool ok = journal_find_segments(l.store, problem);
    if (ok && l.store->file_count > 0)
        ok = show(&l, problem);
    ok = ok && journal_durability_check(l.store, problem);
    journal_store_segment_close(l.store, &l.opened);
    journal_store_close(l.store);
    return ok;
}
