/* The lease on a data folder. It keeps two nodes from using one folder where the file system has no locks (WASI 0.2). */
#ifndef SYNOD_IO_LEASE_H
#define SYNOD_IO_LEASE_H

#include "io/disk.h"
#include "io/problem.h"

enum {
    LEASE_PERIOD_S = 5, /* a holder that was silent for so long counts as dead */
    LEASE_RENEW_US = 1000000,
};

struct lease {
    struct disk *disk; /* borrowed */
    char *path;
    uint64_t holder; /* random; names the holder */
    uint64_t count;
    uint64_t renewed; /* when, by the disk's clock */
};

/* Makes sure that no node holds `folder` by a lease. If there is a lease, watches it for longer than its period, which
 * blocks, and removes it (`*left` is true then). False: its holder is alive, or it cannot be read; the problem says so and
 * names the folder. */
bool lease_clear(struct disk *disk, const char *folder, bool *left, struct problem *problem);

/* Takes the lease, after lease_clear; blocks for half a second. False: another node was faster, or the disk failed; then
 * there is nothing to release. */
bool lease_take(struct lease *l, struct disk *disk, const char *folder, struct problem *problem);

/* To be called whenever the holder does anything, and before it writes: renews the lease when it is due. Cheap otherwise.
 * False: another node has it, or it cannot be written; the holder must not touch the folder any more. */
bool lease_renew(struct lease *l, struct problem *problem);

/* Gives it back, if it is still ours. */
void lease_release(struct lease *l);

#endif
