/* The journal in front of its files: what was appended is gathered in groups, which are written one after the other (J1),
 * and what is on its way to the disk can be read back all the same. There is no thread, no clock and no loop in it: time
 * comes in as an argument, in microseconds of a clock that is never set. Those who drive it do nothing but carry groups to
 * the disk:
 *
 *   host/journal.c              a thread that writes, beside the loop that appends
 *   components/wasi-storage     direct calls: what is appended is written before the call returns
 *   sim/machine.c               virtual time
 *
 *   journal_front_append ...; journal_front_submit; then, as often as there is one,
 *       g = journal_front_next(f, now); journal_front_write(f, g, ...); journal_front_written(f, g, ...);
 *       journal_front_retire(f);
 *
 * The groups, oldest first, with the state of each:
 *
 *     WRITTEN ... WRITTEN | one IN_FLIGHT or REFUSED | SUBMITTED ... SUBMITTED, the last of them perhaps GATHERING
 *
 * Where one thread writes and another appends, a lock of theirs guards every call, with these exceptions: the thread that
 * writes calls journal_front_room and journal_front_write without it; the thread that appends journal_front_read,
 * journal_front_recover, journal_front_last, journal_front_settled and journal_front_statistics. The others are the
 * appending thread's, but for journal_front_next and journal_front_written, which are the writing one's, and
 * journal_front_fail, which any thread may call. */
#ifndef SYNOD_IO_JOURNAL_FRONT_H
#define SYNOD_IO_JOURNAL_FRONT_H

#include "io/journal_store.h"

enum { JOURNAL_IDLE_US = 1000000 /* without groups of records: a mark follows */ };

struct journal_front;

struct journal_front_options {
    struct journal_store_options store; /* `on_notice` says what opening finds; what comes later, journal_front_notice */
    /* Bounds of its own making; 0: the standard ones. */
    uint32_t group_bytes;      /* a group that has grown beyond this is closed, the next one begins (4 MiB) */
    uint64_t memory_bytes_max; /* what `durability: memory` keeps for reading back (1 GiB) */
};

enum group_state {
    GROUP_GATHERING, /* more records come before it is written */
    GROUP_SUBMITTED, /* it may be written, and records may still be added */
    GROUP_REFUSED,   /* there was no room. What is written again has to be the same: it is closed */
    GROUP_IN_FLIGHT,
    GROUP_WRITTEN,
};

/* A group on its way; the front's. */
struct journal_front_group {
    struct journal_front_group *next;
    struct journal_group group;
    uint8_t state; /* enum group_state */
    bool is_mark;
    uint32_t submitted_count, submitted_len; /* of the group, when it was submitted last: what came later may be dropped */
    struct journal_written written;          /* where it lies now */
};

/* Opens the journal as journal_store_open does: what is there is read by journal_front_recover, before anything is
 * appended. */
bool journal_front_open(struct journal_front **out, const struct journal_front_options *options, uint64_t now,
                        struct problem *problem);

/* Writes nothing. */
void journal_front_close(struct journal_front *f);

/* The store under it, for what is no matter of the front. */
struct journal_store *journal_front_store(const struct journal_front *f);

/* ---- Appending ---- */

/* Adds a record (copied) to the group that gathers; its lsn follows the last one, whatever its id. False: it is too long, or
 * shorter than it says, or the journal has not been read to its end. */
bool journal_front_append(struct journal_front *f, const struct packet *record, struct problem *problem);

/* What was gathered may be written: to be called between turns. With `durability: memory` it is durable. False: there was
 * nothing. */
bool journal_front_submit(struct journal_front *f);

/* J5: submits a mark, if no records were written for JOURNAL_IDLE_US and none wait. To be called now and then.
 * False: no mark is needed. */
bool journal_front_idle(struct journal_front *f, uint64_t now);

/* For a good end: submits what was gathered and the mark after it. */
void journal_front_finish(struct journal_front *f);

/* ---- Writing ---- */

/* The group that is to be written, which is IN_FLIGHT then; NULL: there is none, or one is in flight already, or it is not
 * yet time to look for room again, or nothing may be written any more. */
struct journal_front_group *journal_front_next(struct journal_front *f, uint64_t now);

/* When room is looked for again; UINT64_MAX: it is not looked for. */
uint64_t journal_front_retry_at(const struct journal_front *f);

/* As journal_store_room and journal_store_write. Writing sees to the room as well: the first is for those who measure. */
bool journal_front_room(struct journal_front *f, const struct journal_front_group *g, struct problem *problem);
bool journal_front_write(struct journal_front *f, struct journal_front_group *g, struct problem *problem);

/* The group is durable; or, with a problem, there is no room for it yet, or writing it has failed (journal_front_fail). */
void journal_front_written(struct journal_front *f, struct journal_front_group *g, const struct problem *problem,
                           uint64_t now);

/* Forgets the groups that are WRITTEN, which can be read from the files from now on. True: something has become durable. */
bool journal_front_retire(struct journal_front *f);

/* ---- Removing ---- */

/* The node needs no record below `lsn` any more, but for the latest one of each sticky kind; what is not durable it always
 * needs. What that makes superfluous goes with the next segment (J11). With `durability: memory` nothing changes. */
void journal_front_truncate(struct journal_front *f, uint64_t lsn);

/* The first lsn of a segment that is to be removed now (journal_store_remove, which needs no lock); 0: there is none, one is
 * being removed, or it is not yet time to try again. */
uint64_t journal_front_removal(struct journal_front *f, uint64_t now);
/* It has been removed; or, with a problem, it will be tried again. */
void journal_front_removed(struct journal_front *f, const struct problem *problem, uint64_t now);

/* ---- Trouble ---- */

/* Notes what is final (P14): nothing is written any more. The first one counts. */
void journal_front_fail(struct journal_front *f, const struct problem *problem);

/* NULL: nothing has failed. */
const struct problem *journal_front_failure(const struct journal_front *f);

/* Whether there was room the last time that something was written. Without it, what is appended is kept and tried again. */
bool journal_front_has_room(const struct journal_front *f);

enum journal_notice { JOURNAL_NOTICE_NONE, JOURNAL_NOTICE_SPARE, JOURNAL_NOTICE_ROOM, JOURNAL_NOTICE_REMOVAL };

/* What an operator should know and has not been told: goes to `text`, once. `spare`: why the next segment could not be made
 * ahead; NULL if it could. To be called until it gives nothing. */
enum journal_notice journal_front_notice(struct journal_front *f, const struct problem *spare, uint64_t now, char *text,
                                         size_t size);

/* ---- Asking ---- */

/* The highest lsn that is durable; that was appended or found. */
uint64_t journal_front_durable(const struct journal_front *f);
uint64_t journal_front_last(const struct journal_front *f);

/* Whether nothing is on its way to the disk. */
bool journal_front_settled(const struct journal_front *f);

/* What the store counts; of `durability: memory`, what it would have. */
struct journal_store_statistics journal_front_statistics(const struct journal_front *f);

/* Records from lsn `from` on, out of the files and of what is on its way, about `bytes_max` bytes and one at least; empty
 * past the end. Valid until the next call. False: as journal_store_collect, or `durability: memory` has forgotten them
 * (EXIT_DATA). */
bool journal_front_read(struct journal_front *f, uint64_t from, uint64_t bytes_max, struct packet_list *out,
                        struct problem *problem);

/* As journal_store_recover: nothing that it gives counts before it has given an empty chunk. After journal_front_reborn,
 * `durability: memory` has what is kept. */
bool journal_front_recover(struct journal_front *f, struct packet_list *out, struct problem *problem);

/* ---- Another life of the node ---- */

/* The life is gone: drops what it appended since the last journal_front_submit. What was submitted still becomes durable. */
void journal_front_forsake(struct journal_front *f);

/* The next life, of this incarnation, begins: journal_front_recover gives all there is. The front is settled. */
void journal_front_reborn(struct journal_front *f, uint32_t incarnation, uint64_t now);

#endif
