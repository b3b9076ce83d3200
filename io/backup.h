/* Snapshots outside of a data folder: a copy of one, and a copy as the beginning of a new cluster (decision 0042).
 * (io/beginning.h says what its folders have.)
 *
 * Calls block. They run beside a node that uses the folder that is saved from. */
#ifndef SYNOD_IO_BACKUP_H
#define SYNOD_IO_BACKUP_H

#include "io/config.h"
#include "io/disk.h"
#include "io/problem.h"
#include "io/snapshot_store.h"

/* What an operator should know. */
struct backup_notices {
    void (*on_notice)(void *context, const char *text);
    void *context;
};

/* Copies the newest sound snapshot of a data folder to `file`, which must not exist, and makes it durable. Until then it is
 * `file`.NUMBER.part. False: a problem, and there is no `file`, or it is another's. */
bool backup_save(struct disk *disk, const char *data_folder, const char *file, const struct backup_notices *notices,
                 struct snapshot_stored *saved, struct problem *problem);

/* Reads all of a snapshot. False: it is not one, not sound, or cannot be read. */
bool backup_check(struct disk *disk, const char *file, struct snapshot_stored *found, struct problem *problem);

/* Makes the data folder of a node of a new cluster, whose beginning is what backup_check found in `file`. False: a problem,
 * and there is no such folder. */
bool backup_restore(struct disk *disk, const char *file, const struct snapshot_stored *found, const struct config *config,
                    uint32_t node, struct problem *problem);

#endif
