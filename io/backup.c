#include "io/backup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/agents/execution.h"
#include "io/beginning.h"
#include "io/journal_store.h"
#include "io/snapshot_copy.h"

enum { LOOKS_MAX = 8 /* at a folder whose snapshots are replaced meanwhile */ };

/* `path` and an ending; the caller frees it. */
static char *with_ending(const char *path, const char *ending)
{
    const size_t len = strlen(path), size = strlen(ending) + 1;
    char *name = memory_new(len + size, 1);
    memcpy(name, path, len);
    memcpy(name + len, ending, size);
    return name;
}

/* ---- Saving ---- */

struct slots {
    uint64_t newest, below; /* the newest slot below that; 0: none */
};

static void look_at(void *context, const char *name)
{
    struct slots *s = context;
    struct snapshot_stored said;
    if (snapshot_file_of(name, &said) == SNAPSHOT_FILE_WHOLE && said.slot < s->below && said.slot > s->newest)
        s->newest = said.slot;
}

/* The newest snapshot below a slot; 0: there is none. False: the folder cannot be read. */
static bool find_newest(struct disk *disk, const char *snapshots, uint64_t below, uint64_t *slot, struct problem *problem)
{
    struct slots found = {.below = below};
    const int error = disk_list(disk, snapshots, look_at, &found);
    *slot = found.newest;
    return error == 0 || error == -ENOENT || problem_set_error(problem, EXIT_DATA, error, "%s: ", snapshots);
}

/* Saves the snapshot of a slot as `part`. SNAPSHOT_READ_ALL: it is there. SNAPSHOT_READ_PIECE: it cannot be written. */
static enum snapshot_read save_slot(struct disk *disk, const char *snapshots, uint64_t cluster, uint64_t slot,
                                    const char *part, struct snapshot_stored *saved, struct problem *problem)
{
    struct snapshot_reader r;
    char name[64];
    snprintf(name, sizeof name, "snapshot-%020" PRIu64, slot);
    char *path = disk_path(snapshots, name);
    enum snapshot_read read = snapshot_reader_open(&r, disk, path, cluster, slot, problem);
    free(path);
    if (read != SNAPSHOT_READ_PIECE)
        return read;
    if (!snapshot_copy(&r, part, cluster, slot, SNAPSHOT_COPY_AS_IT_IS, &read, problem) && read == SNAPSHOT_READ_ALL)
        read = SNAPSHOT_READ_PIECE;
    *saved = (struct snapshot_stored){.slot = slot, .size = r.place.offset, .checksum = r.place.checksum};
    snapshot_reader_close(&r);
    return read;
}

/* Saves the newest sound snapshot as `part`. A node that runs may remove one at any moment, after it has stored a newer one:
 * then it is looked for again. One that is still there, and cannot be read, is as good as damaged. */
static bool save_newest(struct disk *disk, const char *snapshots, uint64_t cluster, const char *part,
                        const struct backup_notices *notices, struct snapshot_stored *saved, struct problem *problem)
{
    uint64_t slot, unread = 0, below = UINT64_MAX;
    for (uint32_t looks = 0; looks < LOOKS_MAX; looks++) {
        if (!find_newest(disk, snapshots, below, &slot, problem))
            return false;
        if (slot == 0)
            return problem_set(problem, EXIT_DATA, "%s: there is no sound snapshot", snapshots);
        const enum snapshot_read read = save_slot(disk, snapshots, cluster, slot, part, saved, problem);
        if (read == SNAPSHOT_READ_ALL || read == SNAPSHOT_READ_PIECE)
            return read == SNAPSHOT_READ_ALL;
        if (read == SNAPSHOT_READ_DAMAGED || slot == unread) {
            notices->on_notice(notices->context, problem->text);
            below = slot;
        }
        unread = slot;
    }
    return false;
}

static bool check_new(struct disk *disk, const char *file, struct problem *problem)
{
    return disk_size(disk, file) < 0 ||
           problem_set(problem, EXIT_BAD_INPUT, "%s: there is such a file, which is not replaced", file);
}

/* Gives what was saved its name, unless another one has got it meanwhile. */
static bool name_file(struct disk *disk, const char *part, const char *file, struct problem *problem)
{
    if (!check_new(disk, file, problem) || !problem_check(problem, file, disk_rename(disk, part, file))) {
        disk_remove(disk, part);
        return false;
    }
    return snapshot_copy_sync_name(disk, file, problem);
}

bool backup_save(struct disk *disk, const char *data_folder, const char *file, const struct backup_notices *notices,
                 struct snapshot_stored *saved, struct problem *problem)
{
    struct identity identity;
    uint64_t number;
    char ending[32];
    if (!data_folder_look(disk, data_folder, &identity, problem) || !check_new(disk, file, problem))
        return false;
    if (!disk_random(disk, &number, sizeof number))
        return problem_set(problem, EXIT_TROUBLE, "%s: there are no random bytes for a temporary name", file);
    snprintf(ending, sizeof ending, ".%016" PRIx64 ".part", number); /* two may save to one file at once */
    const uint64_t cluster = journal_cluster_hash(identity.cluster, strlen(identity.cluster));
    char *snapshots = disk_path(data_folder, "snapshots"), *part = with_ending(file, ending);
    const bool ok =
        save_newest(disk, snapshots, cluster, part, notices, saved, problem) && name_file(disk, part, file, problem);
    free(snapshots);
    free(part);
    return ok;
}

bool backup_check(struct disk *disk, const char *file, struct snapshot_stored *found, struct problem *problem)
{
    struct snapshot_reader r;
    struct snapshot_piece piece;
    struct execution_piece said;
    const uint64_t *body;
    uint64_t cluster;
    bool first = true, fits = true;
    uint32_t before = SNAPSHOT_END;
    enum snapshot_read read = snapshot_reader_open_any(&r, disk, file, &cluster, &found->slot, problem);
    while (read == SNAPSHOT_READ_PIECE && fits) {
        read = snapshot_reader_next(&r, &piece, &body, problem);
        if (read != SNAPSHOT_READ_PIECE && read != SNAPSHOT_READ_ALL)
            break;
        fits = first ? piece.kind == SNAPSHOT_LEARNER && snapshot_copy_first(&piece, body, &said)
                     : snapshot_pieces_follow(before, piece.kind);
        first = false;
        before = piece.kind;
    }
    found->size = r.place.offset;
    found->checksum = r.place.checksum;
    snapshot_reader_close(&r);
    return fits ? read == SNAPSHOT_READ_ALL
                : problem_set(problem, EXIT_DATA, "%s: at byte %" PRIu64 ": its pieces are not those of a learner", file,
                              found->size);
}

/* ---- Restoring ---- */

bool backup_restore(struct disk *disk, const char *file, const struct snapshot_stored *found, const struct config *config,
                    uint32_t node, struct problem *problem)
{
    const struct beginning beginning = {.snapshot = file, .found = *found, .end = found->slot};
    return beginning_make(disk, &beginning, config, node, problem);
}
