/* The data folders that are left of a cluster that has lost a majority: what they have, and what is lost (decision 0043).
 * They are only read. No process may use them meanwhile; the caller sees to that.
 *
 * What they have becomes the beginning of a new cluster: the newest sound snapshot, and after it the slots that
 * core/paxos/survivors.h keeps, as
 *
 *   what is kept          the new cluster gets
 *   a batch               the batch, if it is to be executed (P8); numbered anew, as of no life of the new cluster
 *   a configuration       a no-op: the new cluster has its own members, and forms anew
 *   nothing, or a no-op   a no-op
 *
 * So it executes the same commands in the same order, and the batches of its own lives are newer than all of these. Calls
 * block. */
#ifndef SYNOD_IO_SURVIVOR_FOLDERS_H
#define SYNOD_IO_SURVIVOR_FOLDERS_H

#include "core/paxos/survivors.h"
#include "io/backup.h"
#include "io/data_folder.h"

struct survivor_folders;

/* One folder. */
struct survivor_folder {
    const char *path;
    struct identity identity;
    struct survivor journal;
    char governed[GOVERNED_TEXT_MAX];
};

struct survivor_findings {
    const struct survivor_folder *folders;
    size_t count;
    struct survivors_found found;

    const char *snapshot; /* the file that is the newest sound one; NULL: there is none */
    const struct survivor_folder *snapshot_of;
    struct snapshot_stored stored; /* what it has */

    struct configuration newest; /* what is known to be chosen: the members at the end */
    struct configuration voted;  /* one that survivors have voted for, to replace `newest`; slot 0: none */
    node_set members, lost;      /* by `newest`: all, and those that no folder is of */
    uint32_t alpha;              /* the largest that is known */
    uint64_t state_bytes_max;    /* with which the last of these slots are executed, as the log says; 0: it does not */
    bool state_changed;          /* others of them were executed with another one, or may have been */
    bool is_exact;               /* nothing that was chosen can be missing */
    bool lost_alone;             /* otherwise: those that are lost are enough to choose without the survivors */
};

/* Reads them. False: one is not a data folder, of another cluster, not a member's, damaged, or an older copy by what another
 * one remembers; two are of one node; or there is nothing to begin with. The paths are borrowed. */
bool survivor_folders_open(struct survivor_folders **out, struct disk *disk, const char *const *paths, size_t count,
                           const struct backup_notices *notices, struct problem *problem);
void survivor_folders_close(struct survivor_folders *s);

/* The folders', until they are closed. */
const struct survivor_findings *survivor_folders_findings(const struct survivor_folders *s);

/* The entry of a slot of the new cluster (struct beginning's). `folders` is a survivor_folders. */
bool survivor_folders_entry(void *folders, uint64_t slot, struct entry *entry, struct problem *problem);

#endif
