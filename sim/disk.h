/* The disk of one simulated node, under the very journal and data folder that ship (io/disk.h is the seam).
 *
 * Everything that is written is seen at once by every reader (the page cache), and is *pending* until the world settles it:
 * calls return at once, but the world lets their time pass before they may be relied on. If power goes before, a part of
 * what is pending is lost: of what follows the last sync that was over, any part of any write, in any order, and renames
 * whose folder was not synced. A killed process alone loses nothing. */
#ifndef SYNOD_SIM_DISK_H
#define SYNOD_SIM_DISK_H

#include "io/disk.h"
#include "sim/dice.h"
#include "sim/faults.h"

struct disk_sim;

/* `faults` is borrowed: rates may change. Rolled for each call: READ_ERROR, WRITE_ERROR, FULL_DISK, FAILED_SYNC,
 * MISDIRECTED_WRITE; for each settling: SLOW_DISK, STALLED_DISK, HUNG_DISK; at power loss: TORN_WRITE, REORDERED_WRITES,
 * LOST_RENAME (LOST_WRITES is counted then). */
struct disk_sim *disk_sim_new(uint64_t seed, uint32_t node, struct faults *faults);
void disk_sim_free(struct disk_sim *d);

/* The seam, for journal_store_open and data_folder_open. */
struct disk *disk_sim_disk(struct disk_sim *d);

/* How long what is pending will take, in microseconds: rolled anew at each call. */
uint64_t disk_sim_time(struct disk_sim *d);
/* What is pending has had its time: whatever a sync covers is durable now. */
void disk_sim_settle(struct disk_sim *d);
/* The same for one file, which was written, synced, named and its name synced: it is durable now, and nothing else. */
void disk_sim_settle_one(struct disk_sim *d, const char *path);
/* Power goes: files are what is durable, plus what the faults that are on leave of the rest. */
void disk_sim_power_loss(struct disk_sim *d);

/* Another byte at some place that holds something, in a journal file or a snapshot; durable at once. False: there is no such
 * place. */
bool disk_sim_flip(struct disk_sim *d);
/* Everything is gone. */
void disk_sim_lose(struct disk_sim *d);
/* Keeps a copy of everything as it is durable now; and puts that copy back. False: none was kept. */
void disk_sim_keep(struct disk_sim *d);
bool disk_sim_put_back(struct disk_sim *d);

/* Whether, since the disk was made, something happened to it that a node may not survive (a misdirected
 * write, a flipped byte, loss, an old copy). */
bool disk_sim_damaged(const struct disk_sim *d);
/* Bytes of memory that its files take. */
uint64_t disk_sim_bytes(const struct disk_sim *d);
/* While true no fault is rolled (power loss still loses what is pending, whole). */
void disk_sim_calm(struct disk_sim *d, bool calm);

#endif
