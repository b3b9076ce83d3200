/* The snapshots of a node, in the folder `snapshots` of its data folder: one file each (core/formats/snapshot.h), named by
 * its slot.
 *
 *     snapshot-00000000000000065536                     a whole one
 *     snapshot-00000000000000131072.part                one that is being written, or was when the node stopped
 *     received-00000000000000131072-SIZE-CHECKSUM.part  one that comes from peers, as far as it has come
 *     snapshot-00000000000000065536.damaged             one that is not sound: kept to be looked into, one at most
 *
 * A snapshot counts when it has its final name and the folder has been synced. Until then nothing depends on it: a write or
 * a sync that fails costs this snapshot and nothing else (P14 is about data that counts). The newest ones are kept; with
 * each new one, older ones are removed. But one that peers have read since the last one was stored is lent to them for up to
 * SNAPSHOT_LENT_MAX more, for a slow fetch. What this node was writing when it stopped is removed at the next start; what it
 * was receiving is gone on with.
 *
 * Calls block. One thread at a time. */
#ifndef SYNOD_IO_SNAPSHOT_STORE_H
#define SYNOD_IO_SNAPSHOT_STORE_H

#include "io/snapshot_reader.h"

struct snapshot_store;

enum { SNAPSHOT_KEEP_MAX = 16, SNAPSHOT_LENT_MAX = 4 };

struct snapshot_stored {
    uint64_t slot, size;
    uint64_t checksum; /* stands for all its bytes (S1) */
};

struct snapshot_store_options {
    struct disk *disk;       /* borrowed */
    const char *data_folder; /* in which `snapshots` is made when the first one is begun */
    uint64_t cluster;        /* the hash of the cluster's name */
    uint32_t keep;           /* 1..SNAPSHOT_KEEP_MAX */
    /* What an operator should know, such as a snapshot that is damaged. Called by the functions below. */
    void (*on_notice)(void *context, const char *text);
    void *context;
};

/* What a file in the folder is, by its name. */
enum snapshot_file {
    SNAPSHOT_FILE_WHOLE,
    SNAPSHOT_FILE_PART,
    SNAPSHOT_FILE_DAMAGED,
    SNAPSHOT_FILE_RECEIVED,
    SNAPSHOT_FILES
};

/* SNAPSHOT_FILES: none of these. Otherwise `*said` has the slot, and of what is received size and checksum, too. */
enum snapshot_file snapshot_file_of(const char *name, struct snapshot_stored *said);

/* Opens the snapshots of a data folder. Removes what was being written; sets aside what is not sound as far as its header
 * and its end say. False: a problem. */
bool snapshot_store_open(struct snapshot_store **s, const struct snapshot_store_options *options, struct problem *problem);
void snapshot_store_close(struct snapshot_store *s);

/* All snapshots, the newest first. The store's, valid until its next function without `const`. */
const struct snapshot_stored *snapshot_store_list(const struct snapshot_store *s, size_t *count);
/* NULL: there is none of this slot. Valid as long. */
const struct snapshot_stored *snapshot_store_find(const struct snapshot_store *s, uint64_t slot);
/* The same for a peer that reads it now, also where it is not kept for this node any more. */
const struct snapshot_stored *snapshot_store_lend(struct snapshot_store *s, uint64_t slot);

/* The snapshot of this slot is damaged: gives it another name, under which it is never read. */
void snapshot_store_set_aside(struct snapshot_store *s, uint64_t slot);
/* It cannot be read: it counts no longer, until the snapshots are opened again. */
void snapshot_store_leave_out(struct snapshot_store *s, uint64_t slot);
/* Whether there is one that could not be read, also when they were opened. */
bool snapshot_store_unread(const struct snapshot_store *s);

/* ---- Writing: begin, pieces, commit ---- */

/* Begins a snapshot. One that was being written or received is given up; what had come of it is removed. False: a problem,
 * and none is being written. */
bool snapshot_store_begin(struct snapshot_store *s, uint64_t slot, struct problem *problem);
/* Adds a piece. False: a problem, and the snapshot is given up. Preconditions: one is being written; `len` is at most
 * SNAPSHOT_PIECE_MAX. */
bool snapshot_store_add(struct snapshot_store *s, enum snapshot_piece_kind kind, const void *body, uint32_t len,
                        struct problem *problem);
/* Makes the snapshot durable, under its name, and removes older ones that are no longer kept. False: a problem, and the
 * snapshot is given up. */
bool snapshot_store_commit(struct snapshot_store *s, struct snapshot_stored *stored, struct problem *problem);
/* Gives up what is being written or received, if there is anything. What had been received stays for another time. */
void snapshot_store_give_up(struct snapshot_store *s);
/* The slot of what was received, and is not received now; 0: there is nothing of the kind. */
uint64_t snapshot_store_received(const struct snapshot_store *s);
/* Removes it. */
void snapshot_store_discard(struct snapshot_store *s);

/* Whether one is being written; received. */
bool snapshot_store_writes(const struct snapshot_store *s);
bool snapshot_store_receives(const struct snapshot_store *s);

/* ---- Receiving: receive, check what is there, bytes, check again, finish ---- */

/* Begins to receive the bytes of a snapshot, or goes on: `*has` bytes of it are there, and have to be checked. What was
 * being written or received is given up. False: a problem. */
bool snapshot_store_receive(struct snapshot_store *s, const struct snapshot_stored *wanted, uint64_t *has,
                            struct problem *problem);
/* Writes the next bytes that came. False: a problem; the snapshot is given up, and removed. Precondition: they are of the
 * file, as far as its size says. */
bool snapshot_store_take(struct snapshot_store *s, uint64_t offset, const void *bytes, uint32_t len,
                         struct problem *problem);
/* Opens what has come, to check it. As snapshot_reader_open. */
enum snapshot_read snapshot_store_check(const struct snapshot_store *s, struct snapshot_reader *r, struct problem *problem);
/* All has come and was read: makes it durable, as snapshot_store_commit. */
bool snapshot_store_finish(struct snapshot_store *s, struct snapshot_stored *stored, struct problem *problem);
/* What has come is not what was wanted: it is given up, and removed. */
void snapshot_store_reject(struct snapshot_store *s);

/* ---- Reading ---- */

/* As snapshot_reader_open. */
enum snapshot_read snapshot_store_read(const struct snapshot_store *s, uint64_t slot, struct snapshot_reader *r,
                                       struct problem *problem);
/* Reads up to `len` bytes of a file as they are, for a peer. Returns how many; negative: a problem. */
int64_t snapshot_store_bytes(const struct snapshot_store *s, uint64_t slot, uint64_t offset, void *to, size_t len,
                             struct problem *problem);

#endif
