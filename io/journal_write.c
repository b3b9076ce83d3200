/* Groups and segments to disk: one write and one sync a group (J1 and J8). */
#include "io/journal_store_internal.h"

/* ---- Segments ---- */

/* An open file of at least `*bytes` zeros, whose length then is `*bytes`; -1: there is none. */
static int take_spare(const struct writer *w, uint64_t *bytes, struct problem *problem)
{
    struct journal_spare spare = {.disk = w->disk, .folder = w->folder, .sync = w->sync ? SPARE_SYNCED : SPARE_NOT_SYNCED};
    int file = -1;
    bool ok = w->spares != NULL ? w->spares->take(w->spares->context, bytes, &file, problem)
                                : journal_spare_take(&spare, journal_spare_finish, bytes, &file, problem);
    return ok ? file : -1;
}

/* J8: header and sync first, the name second. */
static bool segment_name(const struct writer *w, int file, const char *path, const uint64_t *header,
                         const struct journal_segment *segment, struct problem *problem)
{
    bool ok = journal_write_bytes(w->disk, file, path, 0, header, segment->header_bytes, problem);
    int error = ok && w->sync ? disk_sync_data(w->disk, file) : 0;
    ok = ok && (error == 0 || journal_spare_problem(path, segment->bytes, error, problem));
    char *spare = journal_spare_path(w->folder);
    error = ok ? disk_rename(w->disk, spare, path) : 0;
    if (error != 0)
        ok = problem_set_error(problem, EXIT_SYNC_FAILED, error, "journal %s: cannot rename %s to it: ", path, spare);
    if (!ok)
        disk_remove(w->disk, spare);
    free(spare);
    return ok;
}

static bool remember(const struct writer *w, uint64_t first_lsn, struct problem *problem)
{
    return w->memory.remember == NULL || w->memory.remember(w->memory.context, first_lsn, problem);
}

bool journal_writer_segment(struct writer *w, uint64_t first_lsn, uint64_t room, struct problem *problem)
{
    uint64_t header_bytes = journal_segment_header_bytes(&w->sticky);
    uint64_t bytes = header_bytes + room > w->segment_bytes ? header_bytes + room : w->segment_bytes;
    int file = take_spare(w, &bytes, problem);
    if (file < 0)
        return false;
    /* The last segment holds no record, and its name is needed: its marks go with it (J8). */
    bool replaces = w->file >= 0 && w->segment.first_lsn == first_lsn;
    uint64_t previous = replaces ? w->segment_previous : w->previous;
    struct journal_segment segment = {
        .bytes = bytes, .first_lsn = first_lsn, .oldest_lsn = w->oldest_lsn, .previous = previous};
    uint64_t *header = memory_pages((size_t)header_bytes);
    char *path = journal_segment_path(w->folder, first_lsn);
    journal_segment_write(header, w->owner, &segment, &w->sticky);
    bool ok = segment_name(w, file, path, header, &segment, problem);
    free(header);
    if (!ok) {
        disk_close(w->disk, file);
        free(path);
        return false;
    }
    if (w->file >= 0)
        disk_close(w->disk, w->file);
    free(w->path);
    w->file = file;
    w->path = path;
    w->segment = (struct journal_file){.first_lsn = first_lsn, .bytes = bytes, .header_bytes = segment.header_bytes};
    w->segment_state = SEGMENT_NAMED;
    w->segment_oldest_lsn = segment.oldest_lsn;
    w->offset = segment.header_bytes;
    w->previous = w->segment_previous = previous;
    return true;
}

bool journal_writer_finish(struct writer *w, struct problem *problem)
{
    if (w->segment_state == SEGMENT_NAMED) {
        if (w->sync && !journal_sync_folder(w->disk, w->folder, problem))
            return false;
        w->segment_state = SEGMENT_SYNCED;
    }
    if (w->segment_state == SEGMENT_SYNCED) {
        if (!remember(w, w->segment.first_lsn, problem))
            return false;
        w->segment_state = SEGMENT_REMEMBERED;
    }
    return true;
}

/* ---- Groups ---- */

/* Having no room is no failure: nothing that is relied on has become doubtful. */
static bool fails(struct writer *w, const struct problem *problem)
{
    w->failed = w->failed || !problem->no_room;
    return false;
}

static bool failed_before(const struct writer *w, struct problem *problem)
{
    return problem_set(problem, EXIT_SYNC_FAILED, "journal %s: an earlier write or sync failed, which is final", w->folder);
}

bool journal_store_room(struct journal_store *s, const struct journal_group *g, struct problem *problem)
{
    struct writer *w = &s->writer;
    uint64_t bytes = journal_pages(g->len);
    if (w->failed)
        return failed_before(w, problem);
    bool fits = w->segment.bytes - w->offset >= bytes;
    bool ok = (fits || journal_writer_segment(w, g->first_lsn, bytes, problem)) && journal_writer_finish(w, problem);
    return ok || fails(w, problem);
}

bool journal_store_write(struct journal_store *s, struct journal_group *g, struct journal_written *written,
                         struct problem *problem)
{
    struct writer *w = &s->writer;
    if (w->failed)
        return failed_before(w, problem);
    struct journal_place place = {.owner = w->owner, .segment = w->segment.first_lsn, .offset = w->offset};
    uint64_t bytes = journal_group_seal(g, &place, w->previous);
    invariant(w->segment.bytes - w->offset >= bytes);
    if (!journal_write_bytes(w->disk, w->file, w->path, w->offset, g->words, (size_t)bytes, problem) ||
        (w->sync && !journal_sync_file(w->disk, w->file, w->path, problem)))
        return fails(w, problem);
    *written = (struct journal_written){
        .first_lsn = g->first_lsn,
        .count = g->count,
        .segment = w->segment,
        .oldest_lsn = w->segment_oldest_lsn,
        .offset = w->offset,
        .bytes = bytes,
    };
    w->offset += bytes;
    w->last_lsn = g->first_lsn + g->count - 1;
    w->previous = g->checksum;
    struct packet record;
    uint32_t offset = 0;
    for (uint32_t index = 0; journal_group_next(g, &offset, &index, &record);)
        journal_sticky_keep(&w->sticky, &record);
    if (w->spares != NULL && w->offset > w->segment.bytes / 2)
        w->spares->want(w->spares->context, w->segment_bytes);
    return true;
}
