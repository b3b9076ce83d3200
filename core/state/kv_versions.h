/* What the kv-store has now, and beside it what a snapshot in progress still needs of what it had at the snapshot's begin.
 *
 * A snapshot goes through the keys in order of (hash, key), while commands go on changing them. Keys that it has passed
 * need nothing more. For each of the others, the first change after the begin leaves a trace:
 *
 *   the key had a value    its old version goes into `kept`
 *   the key was not there  its name goes into `born`
 *
 * So the state at the begin is: the live table, without what is in `born`, and with the versions in `kept` instead of its
 * own. FLUSHALL makes the whole live table the snapshot's (`frozen`) and begins with an empty one in a pool of its own. From
 * then on nothing that a command does concerns the snapshot.
 *
 *                 kv_versions_begin                kv_versions_clear
 *     NO_SNAPSHOT ------------------> OF_LIVE ------------------------> OF_FROZEN
 *          ^                             | kv_versions_passed(0)            |
 *          +-----------------------------+----------------------------------+
 *
 * A change costs no more than without a snapshot, except those in place (APPEND, SETRANGE, INCR, EXPIRE), which copy the
 * old value: for SET and DEL the old version changes tables, but stays where it is. A version has its time, and only those
 * of the live table are in order of time. All this memory is bounded: when what the next command may need is not left
 * (kv_versions_has_room), the store executes nothing until the snapshot has gone on. */
#ifndef SYNOD_CORE_STATE_KV_VERSIONS_H
#define SYNOD_CORE_STATE_KV_VERSIONS_H

#include "core/state/kv_times.h"
#include "core/state/kv_watch.h"

enum kv_snapshot { KV_NO_SNAPSHOT, KV_SNAPSHOT_OF_LIVE, KV_SNAPSHOT_OF_FROZEN };

/* Not to be moved: its tables have the addresses of its pools. */
struct kv_versions {
    struct kv_table live;
    struct kv_times times; /* of the live table */
    struct kv_pieces pieces;
    struct kv_pool pools[2];
    enum kv_snapshot snapshot;
    uint64_t cursor;            /* keys with lower hashes have been passed */
    struct kv_table kept, born; /* while there is a snapshot */
    struct kv_table frozen;     /* KV_SNAPSHOT_OF_FROZEN */
    uint64_t state_bytes_max;   /* what live.bytes may rise to; it is above, while this was lowered below what there was */
    uint64_t snapshot_bytes;    /* live.bytes at the begin of the snapshot */
    struct kv_watches *watches; /* of keys of the live table, the caller's; they hear of each change. NULL: there are none */
};

void kv_versions_init(struct kv_versions *v, uint64_t state_bytes_max);
/* Forgets everything, also the snapshot that is in progress. */
void kv_versions_reset(struct kv_versions *v);
void kv_versions_close(struct kv_versions *v);

/* The changes of a table (kv_table.h), for the live one. Readers take `live` itself. A key that is set has no time any more;
 * one whose value is replaced keeps it. */
void kv_versions_set(struct kv_versions *v, struct bytes key, struct bytes value);
void kv_versions_replace(struct kv_versions *v, struct bytes key, struct bytes value);
struct kv_entry *kv_versions_append(struct kv_versions *v, struct bytes key, const uint8_t *bytes, size_t len);
void kv_versions_overwrite(struct kv_versions *v, struct kv_entry *e, size_t offset, struct bytes bytes);
bool kv_versions_remove(struct kv_versions *v, struct bytes key);
void kv_versions_clear(struct kv_versions *v);
/* The last moment at which a key is there. Precondition: the key is there. */
void kv_versions_set_until(struct kv_versions *v, struct bytes key, uint64_t until);
/* Precondition: the entry has a time. */
void kv_versions_persist(struct kv_versions *v, struct kv_entry *e);

/* The last moment at which an entry of the live table is there; KV_FOREVER. */
uint64_t kv_versions_until(const struct kv_versions *v, const struct kv_entry *e);
/* The same of the entry that ends first. */
uint64_t kv_versions_first_until(const struct kv_versions *v);
/* The key of that one, and its removal. Precondition: there is one. */
struct bytes kv_versions_first(const struct kv_versions *v);
void kv_versions_remove_first(struct kv_versions *v);

/* What was spent on all tables since the last call with `reset`, in the units of kv_table.h. */
uint64_t kv_versions_work(const struct kv_versions *v);
void kv_versions_work_reset(struct kv_versions *v);

/* Pieces that the store takes at most: for the live table, for what a snapshot needs beside it, and for buckets. */
uint64_t kv_versions_pieces_max(uint64_t state_bytes_max);
/* Whether there is room for a command that may take this many bytes of blocks beside what it gives back. Always, while there
 * is no snapshot. After FLUSHALL during a snapshot, free blocks of its pool do not count until it has ended. */
bool kv_versions_has_room(const struct kv_versions *v, uint64_t bytes);

/* Fixes what the snapshot will have. Precondition: there is none in progress. */
void kv_versions_begin(struct kv_versions *v);

/* A walk through the entries that the snapshot still needs, in order of (hash, key). Valid until the next change. */
struct kv_run {
    struct kv_table *table;
    struct kv_entry *const *list;
    size_t at, count;
    uint64_t next; /* where the next visit begins; 0, after the first: nowhere */
    enum { KV_RUN_BEGINS, KV_RUN_GOES_ON } state;
};
struct kv_walk {
    struct kv_run source, kept;
};
struct kv_walk kv_versions_walk(struct kv_versions *v);
/* The next entry, or NULL after the last one; with `*is_born` it does not belong to the snapshot. Its bytes are read with
 * the table that is returned by kv_versions_source. */
const struct kv_entry *kv_versions_next(struct kv_versions *v, struct kv_walk *w, bool *is_born);
/* The table that the snapshot is of. */
struct kv_table *kv_versions_source(struct kv_versions *v);

/* The snapshot has what has a hash below `cursor`; 0: it has everything, and is no longer in progress. */
void kv_versions_passed(struct kv_versions *v, uint64_t cursor);

#endif
