#include "io/snapshot_copy.h"

#include "io/snapshot_writer.h"

/* The folder in which `path` is; the caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = strdup(slash == NULL ? "." : slash == path ? "/" : path);
    invariant(folder != NULL);
    if (slash != NULL && slash != path)
        folder[slash - path] = '\0';
    return folder;
}

bool snapshot_copy_sync_name(struct disk *disk, const char *path, struct problem *problem)
{
    char *folder = folder_of(path);
    const int error = disk_sync_folder(disk, folder);
    const bool ok = error == 0 || problem_set_folder_sync(problem, folder, error);
    free(folder);
    return ok;
}

bool snapshot_copy_first(const struct snapshot_piece *piece, const uint64_t *body, struct execution_piece *said)
{
    const struct payload payload = {.words = {(uint64_t *)(uintptr_t)body, words_for(piece->len)}, .len = piece->len};
    return execution_piece_read(&payload, said);
}

static struct payload state_alone(const struct snapshot_piece *piece, const uint64_t *body, uint64_t *words)
{
    struct execution_piece said;
    if (!snapshot_copy_first(piece, body, &said))
        return (struct payload){0};
    return execution_piece_write(&(struct execution_piece){.state_hash = said.state_hash,
                                                           .commands_executed = said.commands_executed,
                                                           .seeded = said.seeded,
                                                           .reached.moment = said.reached.moment},
                                 words);
}

static bool add_piece(struct snapshot_writer *w, const struct snapshot_reader *r, const struct snapshot_piece *piece,
                      const uint64_t *body, enum snapshot_copying how, const char *path, struct problem *problem)
{
    uint64_t words[EXECUTION_PIECE_MAX / 8];
    if (how == SNAPSHOT_COPY_AS_IT_IS || piece->kind != SNAPSHOT_LEARNER)
        return problem_check(problem, path, snapshot_writer_add(w, piece->kind, body, piece->len));
    const struct payload first = state_alone(piece, body, words);
    if (first.len == 0)
        return problem_set(problem, EXIT_DATA, "%s: what the learner remembers is malformed", r->path);
    return problem_check(problem, path, snapshot_writer_add(w, piece->kind, first.words.ptr, first.len));
}

/* Copies what is read to its end, and syncs it. `*read` says what has come of the reading. */
static bool copy_pieces(struct snapshot_reader *r, struct snapshot_writer *w, enum snapshot_copying how, const char *path,
                        enum snapshot_read *read, struct problem *problem)
{
    struct snapshot_piece piece;
    const uint64_t *body;
    while ((*read = snapshot_reader_next(r, &piece, &body, problem)) == SNAPSHOT_READ_PIECE)
        if (!add_piece(w, r, &piece, body, how, path, problem))
            return false;
    if (*read != SNAPSHOT_READ_ALL || !problem_check(problem, path, snapshot_writer_end(w)))
        return false;
    const int error = disk_sync(w->disk, w->file);
    return error == 0 || problem_set_error(problem, EXIT_TROUBLE, error, "%s: sync: ", path);
}

bool snapshot_copy(struct snapshot_reader *r, const char *path, uint64_t cluster, uint64_t slot, enum snapshot_copying how,
                   enum snapshot_read *read, struct problem *problem)
{
    struct snapshot_writer w = {0};
    *read = SNAPSHOT_READ_PIECE;
    if (!problem_check(problem, path, snapshot_writer_open(&w, r->disk, path, DISK_MAKE)))
        return false;
    const bool ok = problem_check(problem, path, snapshot_writer_begin(&w, cluster, slot)) &&
                    copy_pieces(r, &w, how, path, read, problem);
    snapshot_writer_close(&w);
    snapshot_writer_free(&w);
    if (!ok)
        disk_remove(r->disk, path);
    return ok;
}
