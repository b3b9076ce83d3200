/* The data folders with which a new cluster begins that goes on with the state of another one (decisions 0042 and 0043).
 *
 * A new cluster has nothing of the old one but the state. It begins with a snapshot, and with the slots after it if there
 * are some, which are chosen for it. From `end` on its log is its own, and its ballots, lives and batches begin anew. Such a
 * folder is a formatted one with
 *
 *   snapshots/snapshot-SLOT   of a node that is a learner, with the name of the new cluster
 *   journal-*                 a RECORD_FLOOR of an acceptor: it never votes for a slot before `end`;
 *                             a RECORD_CHOSEN of a learner, of no slots: without the snapshot it refuses to start;
 *                             and a RECORD_LEARNED for each slot from the snapshot's up to `end`, with marks that say so
 *
 * A folder gets its name when all of it is durable. */
#ifndef SYNOD_IO_BEGINNING_H
#define SYNOD_IO_BEGINNING_H

#include "io/config.h"
#include "io/disk.h"
#include "io/problem.h"
#include "io/snapshot_store.h"

struct beginning {
    const char *snapshot;         /* the file; NULL: none, and the log begins with slot 1 */
    struct snapshot_stored found; /* what it has: it was read to its end, and is sound */
    uint64_t end;                 /* the first slot of the new cluster itself */
    /* The entry of a slot from that of the snapshot (or 1) up to `end`, in their order. It stays valid until the next call.
     * NULL: there are no such slots. False: a problem. */
    bool (*entry)(void *context, uint64_t slot, struct entry *entry, struct problem *problem);
    void *context;
};

/* Makes the data folder of a node of the new cluster. False: a problem, and there is no such folder; but there may be what
 * was made of it, under another name. */
bool beginning_make(struct disk *disk, const struct beginning *beginning, const struct config *config, uint32_t node,
                    struct problem *problem);

/* Whether beginning_make could make that folder, as far as can be seen without making anything. */
bool beginning_check(struct disk *disk, const struct config *config, uint32_t node, struct problem *problem);

#endif
