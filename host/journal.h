/* The journal of a node: segments of groups, one write and one fdatasync a group, one group in flight (design section 5).
 * The bytes are drawn in core/formats/journal.h and docs/disk-format.md. */
#ifndef SYNOD_HOST_JOURNAL_H
#define SYNOD_HOST_JOURNAL_H

#include <stddef.h>
#include <uv.h>

#include "core/formats/packet.h"
#include "io/data_folder.h"
#include "io/journal_store.h"
#include "io/problem.h"

struct journal;

struct journal_options {
    struct disk *disk; /* borrowed; its calls come from several threads */
    const char *folder;
    struct identity identity;
    struct journal_memory memory; /* called on a thread of the journal's */
    uint8_t durability;           /* enum durability */
    uint64_t segment_bytes;
    /* Called on the loop's thread when `journal_durable` has moved, or what `journal_has_room` says has changed. */
    void (*on_durable)(void *context);
    /* Called on the loop's thread, once, when a write or sync failed: the node must stop (P14). */
    void (*on_failure)(void *context, const struct problem *problem);
    /* Something an operator should know, such as a torn tail that was cut, or that there is no room. NULL: not wanted. */
    void (*on_notice)(void *context, const char *text);
    void *context;
};

/* Opens the journal in `folder`, or makes one where there is none. journal_recover reads what there is. */
bool journal_open(struct journal **out, uv_loop_t *loop, const struct journal_options *options, struct problem *problem);

/* The next chunk of what was there when this life began, in lsn order; empty at the end. Valid until the next call. In the
 * first life this reads and checks the journal, and the last call cuts a torn tail, writes the last valid group again and
 * syncs it: before that, nothing that it gave may have an effect outside, and nothing may be appended. False: corruption
 * (the text names file and offset), or a disk that fails; `on_failure` has been called, and the life must end. */
bool journal_recover(struct journal *j, struct packet_list *out);

/* Adds records (copied) to the group being gathered; their lsns (packet id) follow the last one without a gap. */
void journal_append(struct journal *j, const struct packet *records, size_t count);

/* Starts writing what was gathered, unless a group is in flight (then it goes when that one is durable). Call after each
 * turn. */
void journal_submit(struct journal *j);

/* No record below `lsn` is needed any more, but for the latest one of each sticky kind. Segments that hold nothing else are
 * removed, once that is safe (io/journal_truncate.c). */
void journal_truncate(struct journal *j, uint64_t lsn);

/* ---- Another life of the node ----
 *
 * The journal outlives the life that appends to it:  journal_forsake; wait until journal_settled; journal_reborn;
 * journal_recover ... */

/* The life is gone: drops what it appended since the last journal_submit. What was submitted still becomes durable. */
void journal_forsake(struct journal *j);
/* Whether nothing is on its way to the disk. After journal_forsake, `on_durable` is called when it has come to that. */
bool journal_settled(const struct journal *j);
/* The next life, of this incarnation, begins: journal_recover starts anew and gives all there is. The journal is settled. */
void journal_reborn(struct journal *j, uint32_t incarnation);

/* Whether there was room the last time that something was written. Without room, what is appended is kept, and tried again
 * until it is written: nothing is lost, but nothing more becomes durable meanwhile. */
bool journal_has_room(const struct journal *j);

/* The highest lsn that is durable. */
uint64_t journal_durable(const struct journal *j);
/* The highest lsn appended or recovered. */
uint64_t journal_last(const struct journal *j);

/* Records from lsn `from` on, about `bytes_max` bytes and one at least; empty past the end. Valid until the next call. */
struct packet_list journal_read(struct journal *j, uint64_t from, uint64_t bytes_max);

/* Times of groups: `wait` from the end of the turn until the write begins, `sync` from there until the group is durable,
 * `told` from there until the loop hears of it. */
struct journal_statistics {
    uint64_t groups, records, bytes, syncs, sync_us_total, sync_us_max, wait_us_total, told_us_total, torn_tails;
};
struct journal_statistics journal_statistics(const struct journal *j);

/* Writes and syncs what is gathered, unless there is no room, then closes. Blocks. */
void journal_close(struct journal *j);

#endif
