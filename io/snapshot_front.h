/* The snapshots of a node in front of their files: what a node asks, what it is told (enum snapshot_item_kind), and the work
 * in between, in steps that block for a bounded time: a piece, a megabyte, a sync. There is no thread, no clock and no loop
 * in it. Those who drive it do nothing but carry out its steps:
 *
 *   host/snapshots.c            a thread of its own, so that the journal never waits for a snapshot
 *   components/wasi-storage     direct calls
 *   sim/machine_snapshots.c     virtual time
 *
 *   snapshot_front_ask ...; then, as often as there is one,
 *       if (snapshot_front_next(f)) { snapshot_front_work(f); snapshot_front_done(f); }
 *   snapshot_front_told ...
 *
 * It begins with a look for the newest sound snapshot: each candidate is read once to check it, because a state machine that
 * was given a part of a damaged one would have lost what it had; and then again, to tell its pieces. Asks come after that,
 * in order. What is told waits until it is fetched; of a snapshot that is being loaded, only about `ahead_bytes` are read
 * ahead.
 *
 * Nothing that fails here ends the node: a snapshot is given up, and the reason is a notice.
 *
 * Where one thread works and another asks, a lock of theirs guards every call but snapshot_front_work. */
#ifndef SYNOD_IO_SNAPSHOT_FRONT_H
#define SYNOD_IO_SNAPSHOT_FRONT_H

#include "core/formats/packet.h"
#include "io/config.h"
#include "io/snapshot_store.h"

struct snapshot_front;

enum snapshot_use {
    SNAPSHOTS_NONE,   /* none is stored, and there are none */
    SNAPSHOTS_STORED, /* as they should be, but at start none is loaded */
    SNAPSHOTS_LOADED,
};

/* What a node's settings say. */
enum snapshot_use snapshot_use(const struct config *config, uint32_t node);

struct snapshot_front_options {
    struct disk *disk; /* borrowed */
    const char *data_folder;
    uint64_t cluster; /* the hash of the cluster's name */
    uint32_t keep;    /* 1..SNAPSHOT_KEEP_MAX */
    enum snapshot_use use;
    /* Bounds of its own making; 0: the standard ones. */
    uint32_t told_bytes;  /* that snapshot_front_told gives at once (4 MiB) */
    uint32_t ahead_bytes; /* read, and not fetched yet (4 MiB) */
    uint32_t step_bytes;  /* that a step reads (1 MiB) */
};

enum { SNAPSHOT_BYTES_MAX = 1 << 20 /* of what a peer is given at once */ };

/* Opens the snapshots. False: their folder cannot be read. */
bool snapshot_front_open(struct snapshot_front **out, const struct snapshot_front_options *options, struct problem *problem);
/* What is not finished is given up. */
void snapshot_front_close(struct snapshot_front *f);

/* Asks (copied). What is no ask, or more than any node should have on its way (64 MiB), gives up what is being written. */
void snapshot_front_ask(struct snapshot_front *f, const struct packet *asks, size_t count);

/* Whether there is something to tell. */
bool snapshot_front_has_told(const struct snapshot_front *f);
/* What is to be told next, one packet at least if there is any. Valid until the next call. */
struct packet_list snapshot_front_told(struct snapshot_front *f);

/* True: there is a step, and it is the caller's: snapshot_front_work, then snapshot_front_done. */
bool snapshot_front_next(struct snapshot_front *f);
void snapshot_front_work(struct snapshot_front *f);
/* True: there is more to tell, or a notice, than before. */
bool snapshot_front_done(struct snapshot_front *f);

/* What an operator should know and has not been told: goes to `text`, once. False: nothing. */
bool snapshot_front_notice(struct snapshot_front *f, char *text, size_t size);

/* Whether a snapshot could not be read because of its disk, not because it is damaged: another process may read it. Not to
 * be called during snapshot_front_work. */
bool snapshot_front_unread(const struct snapshot_front *f);

/* The next life of the node begins: what the last one asked is forgotten, and it hears everything from the beginning. */
void snapshot_front_reborn(struct snapshot_front *f);

#endif
