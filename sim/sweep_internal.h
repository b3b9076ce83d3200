/* Declarations shared by the files of the sweeps.
 *
 *   sweep.c           the sweeps
 *   sweep_journal.c   the journal that they damage: its records, how it is written, and where its groups are
 *   sweep_snapshots.c the same for snapshots
 *   sweep_recorder.c  a disk that notes the calls on it, and can repeat them */
#ifndef SYNOD_SIM_SWEEP_INTERNAL_H
#define SYNOD_SIM_SWEEP_INTERNAL_H

#include "io/journal_store.h"
#include "sim/disk_internal.h"
#include "sim/sweep.h"

#define SWEEP_FOLDER "node"

/* ---- sweep_recorder.c ---- */

enum recorded_kind {
    RECORDED_WRITE,
    RECORDED_ALLOCATE,
    RECORDED_MAKE,
    RECORDED_RENAME,
    RECORDED_REMOVE,
    RECORDED_SYNC,
    RECORDED_SYNC_FOLDER,
};

/* A call that changed the disk. */
struct recorded {
    uint8_t kind;          /* enum recorded_kind */
    char path[PATH_BYTES]; /* the name that the file had then */
    char to[PATH_BYTES];
    uint64_t offset, len;
    uint8_t *bytes;          /* WRITE */
    uint64_t acked, written; /* lsns: acknowledged by then; including those on their way */
    uint64_t truncated;      /* records from here on were needed */
};

struct recorder {
    struct disk disk; /* first, because the calls get it back */
    struct disk *under;
    struct recorded *ptr;
    size_t count, capacity;
    char (*paths)[PATH_BYTES]; /* of the open files */
    size_t path_count, path_capacity;
    uint64_t acked, written, truncated; /* for the next call to note */
};

/* Notes the calls made on it, and makes them on `under`. */
void recorder_init(struct recorder *r, struct disk *under);
void recorder_close(struct recorder *r);
/* Repeats a call on another disk. */
void recorder_repeat(const struct recorded *call, struct disk_sim *sim);

/* ---- sweep_journal.c ---- */

/* The place of a group. */
struct placed {
    uint64_t segment; /* its first lsn */
    uint64_t offset, bytes;
    uint64_t first_lsn;
    uint32_t count;
};

struct sweep_journal {
    uint64_t segment_bytes;
    struct journal_result records; /* number i has lsn i + 1 */
    struct packet_list list;       /* of them */
    uint32_t *groups;              /* how many records each has; 0: a mark */
    size_t group_count, group_capacity;
    struct recorder recorder; /* of how it was written */
    struct placed *placed;
    size_t placed_count, placed_capacity;
    struct journal_file *segments;
    size_t segment_count, segment_capacity;
    size_t removed; /* segments */
};

/* Chooses the records and writes the journal. */
bool sweep_journal_init(struct sweep_journal *j, const struct sweep_options *options, struct problem *problem);
void sweep_journal_close(struct sweep_journal *j);
/* A node's data folder and its journal, opened. */
struct sweep_node {
    struct data_folder *folder;
    struct journal_store *store;
};
/* Opens them on a disk, in a life after those that wrote there. False: nothing is open. */
bool sweep_node_open(const struct sweep_journal *j, struct disk *disk, struct sweep_node *out, struct problem *problem);
void sweep_node_close(struct sweep_node *node);
/* A disk with only the formatted data folder in which the journal will be written. */
struct disk_sim *sweep_disk_new(struct faults *faults);
void sweep_segment_path(uint64_t first_lsn, char path[PATH_BYTES]);

#endif
