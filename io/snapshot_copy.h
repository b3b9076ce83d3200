/* A snapshot that is copied from one file to another, and checked as it is copied. Calls block. */
#ifndef SYNOD_IO_SNAPSHOT_COPY_H
#define SYNOD_IO_SNAPSHOT_COPY_H

#include "core/agents/execution.h"
#include "io/snapshot_reader.h"

enum snapshot_copying {
    SNAPSHOT_COPY_AS_IT_IS,
    /* What another cluster can begin with: the state. The last batches executed are left out, and the configurations: the
     * other cluster has its own lives and members, and forms anew. */
    SNAPSHOT_COPY_STATE,
};

/* Reads what a learner remembers, the body of the first piece. False: it is malformed. */
bool snapshot_copy_first(const struct snapshot_piece *piece, const uint64_t *body, struct execution_piece *said);

/* Writes the copy of an open snapshot, whole and synced, to `path`, whose name is not. The header names cluster and slot.
 * False: a problem, and nothing is left of the copy; `*read` says what has come of the reading. */
bool snapshot_copy(struct snapshot_reader *r, const char *path, uint64_t cluster, uint64_t slot, enum snapshot_copying how,
                   enum snapshot_read *read, struct problem *problem);

/* Makes durable that the folder in which `path` is has that name. */
bool snapshot_copy_sync_name(struct disk *disk, const char *path, struct problem *problem);

#endif
