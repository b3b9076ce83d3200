/* The files of a journal, driven by plain calls on one thread: opening with recovery, groups at the end, reading back. There
 * is no loop, no clock and no thread in it. io/journal_front.h stands in front of it, with what is on its way to these
 * files; the sweeps of the simulator call it directly. The bytes are drawn in core/formats/journal.h and
 * docs/disk-format.md.
 *
 *   journal_store_open; journal_store_recover until it gives nothing, which reads the journal, once; then, at will,
 *       journal_group_begin(&g, journal_store_last(s) + 1); journal_group_add ...; journal_store_group(s, &g, ...);
 *   journal_store_close
 *
 * journal_store_group returns when the group is durable, if that is what the disk's sync means. */
#ifndef SYNOD_IO_JOURNAL_STORE_H
#define SYNOD_IO_JOURNAL_STORE_H

#include "core/formats/journal_walk.h"
#include "core/formats/packet.h"
#include "io/data_folder.h"
#include "io/disk.h"
#include "io/problem.h"

struct journal_store;

/* Where segments come from that were made ahead (io/journal_spare.h): by another thread (host/journal_spare.c), or bit by
 * bit (components/wasi-storage). */
struct journal_spares {
    /* As journal_spare_take. */
    bool (*take)(void *context, uint64_t *bytes, int *file, struct problem *problem);
    /* A segment of `bytes` bytes will be needed soon. Returns at once. */
    void (*want)(void *context, uint64_t bytes);
    void *context;
};

/* Who remembers, durably and outside of the journal's own files, that the journal has begun, and its newest segment: so that
 * a folder from which they were removed is not taken for a new one. For a node that is its data folder. */
struct journal_memory {
    /* Makes durable that the newest segment begins with `first_lsn`. On the thread that writes. */
    bool (*remember)(void *context, uint64_t first_lsn, struct problem *problem);
    void *context;
};

struct journal_store_options {
    struct disk *disk;  /* borrowed */
    const char *folder; /* exists; copied */
    /* As data_folder_open gave it: its incarnation is the life that writes, its newest segment what was remembered. */
    struct identity identity;
    struct journal_memory memory;  /* without a function: nothing is remembered */
    uint8_t durability;            /* enum durability; `memory` only checks the folder, and no group may be written */
    uint64_t segment_bytes;        /* of a new segment; rounded up to whole pages, four at least */
    struct journal_spares *spares; /* borrowed; NULL: a segment is made when it is needed */
    /* Something an operator should know, such as a torn tail that was cut; from journal_store_open. NULL: not wanted. */
    void (*on_notice)(void *context, const char *text);
    void *context;
    /* Bounds of its own making; 0: the standard ones. */
    uint32_t index_bytes; /* of a segment for which there is one index entry (256 KiB); */
    uint32_t
        index_entries_max;  /* with more entries (16,384), every other one goes, and there are half as many from then on */
    uint32_t recover_bytes; /* of a chunk of journal_store_recover, about (1 MiB) */
    uint32_t scan_bytes;    /* of what is looked at a time after the last sound group (64 pages) */
};

/* Opens the journal in the folder, or makes one where it has not begun. One that is there is read by journal_store_recover.
 * False: a file that must be there and is not (EXIT_DATA), or a disk that fails; nothing is left open then. */
bool journal_store_open(struct journal_store **out, const struct journal_store_options *options, struct problem *problem);

/* For a good end of a node with `durability: os`, after its last group: makes all of the journal durable, so that the node
 * may come back whatever becomes of the machine. Nothing to do for the others. False: it may not; the problem says why. */
bool journal_store_settle(struct journal_store *s, struct problem *problem);

/* Who is shown a journal by journal_store_look. */
struct journal_view {
    /* The segment `name` begins, which has `bytes` bytes. */
    void (*segment)(void *context, const char *name, uint64_t bytes);
    /* The latest sticky record of its kind from before the first segment, which carries it. Before the first group. */
    void (*carried)(void *context, const struct packet *record);
    /* A sound group, at this offset of the segment. */
    void (*group)(void *context, uint64_t offset, const struct journal_group *g);
    /* All of it is sound. The next record would be `next_lsn`, at this offset. `torn` bytes after it are what is left of a
     * write that was cut off. */
    void (*end)(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn);
    void *context;
};

/* Shows the journal of a folder from its first group to its end, and changes nothing. Of the options it uses disk, folder
 * and identity. If a node runs on the folder, its last write may look as if it were torn. False: after the groups shown the
 * journal is damaged (the text names file and offset), it cannot be read, or files are missing: the node would not start. */
bool journal_store_look(const struct journal_store_options *options, const struct journal_view *view,
                        struct problem *problem);

/* The same for one that goes back to what it was shown. journal_look_show does what journal_store_look does, except for
 * opening and closing. journal_look_group then reads one of the groups again, that at `offset` of the segment that was shown
 * as number `segment` (from 0), into `g`, which is the caller's. False: a problem. */
struct journal_look;
bool journal_look_open(struct journal_look **out, const struct journal_store_options *options, struct problem *problem);
bool journal_look_show(struct journal_look *l, const struct journal_view *view, struct problem *problem);
bool journal_look_group(struct journal_look *l, size_t segment, uint64_t offset, struct journal_group *g,
                        struct problem *problem);
void journal_look_close(struct journal_look *l);

/* Closes the files. Writes nothing: what a crash would find is what it leaves. */
void journal_store_close(struct journal_store *s);

/* ---- What was found ---- */

/* The next chunk of what is there, in lsn order: about `recover_bytes`, one record at least; empty at the end. Valid until
 * the next call. The first time, this is what reads the journal and checks it. NOTHING that it gives may have an effect
 * outside before it has given an empty chunk: only then is the journal known to be sound, a torn tail is cut, the last
 * valid group is written again, and all is synced (J2, J3, J10). False, for good: corruption (EXIT_DATA; the text names
 * file and offset), or a disk that fails. */
bool journal_store_recover(struct journal_store *s, struct packet_list *out, struct problem *problem);

/* Whether the journal has been read to its end. Before, no group may be written. */
bool journal_store_is_open(const struct journal_store *s);

/* The highest lsn written or found; 0 as long as it is not open. */
uint64_t journal_store_last(const struct journal_store *s);

/* Whether the last group is a mark, or there is none: then no mark need follow (J5). */
bool journal_store_ends_in_mark(const struct journal_store *s);

struct journal_store_statistics {
    uint64_t groups, records, bytes, syncs; /* written since opening */
    uint64_t torn_tails;                    /* cut at opening */
    uint64_t segments;                      /* there are now */
    uint64_t dropped;                       /* segments that were there since opening, and are no longer needed */
    uint64_t index_entries;                 /* there are now */
};
struct journal_store_statistics journal_store_statistics(const struct journal_store *s);

/* Another life of the node, of this incarnation, goes on with the journal that is open: what is written from now on is its
 * own, and journal_store_recover begins anew with the first record there is. Nothing may be on its way to the disk. */
void journal_store_reborn(struct journal_store *s, uint32_t incarnation);

/* ---- Writing ---- */

/* Where a group was written. */
struct journal_written {
    uint64_t first_lsn;
    uint32_t count;
    struct journal_file segment;
    uint64_t oldest_lsn; /* as the segment's header says */
    uint64_t offset;
    uint64_t bytes;
};

/* Seals the group, whose first lsn is the one after the last (a mark, when it holds no record), writes it at the end and
 * syncs it; where it does not fit, into a new segment. The caller keeps the group. False: where the problem is that there is
 * no room, nothing has happened, and the same group may be given again; otherwise the disk failed (EXIT_SYNC_FAILED), which
 * is final (P14): every later call fails as well. */
bool journal_store_group(struct journal_store *s, struct journal_group *g, struct journal_written *written,
                         struct problem *problem);

/* The same in steps, for a journal with a thread that writes: journal_store_room and journal_store_write touch only the end
 * of the journal and may run on that thread, journal_store_note everything else; journal_store_last and what is read follow
 * the notes, which come in the order of the writes. */

/* Sees to it that the group fits at the end of the last segment: makes a new one if it does not. What was done of that when
 * there is no room for the rest is not done again by the next call. */
bool journal_store_room(struct journal_store *s, const struct journal_group *g, struct problem *problem);
/* Seals, writes and syncs a group for which there is room. A file system may lack it all the same (one that never writes in
 * place): then nothing was synced, and the same group is written to the same place by the next call. */
bool journal_store_write(struct journal_store *s, struct journal_group *g, struct journal_written *written,
                         struct problem *problem);
void journal_store_note(struct journal_store *s, const struct journal_written *written);

/* ---- Removing ---- */

/* Records below `lsn` are no longer needed, but for the latest one of each sticky kind. Segments that hold nothing else may
 * be removed as soon as a group is durable in a segment that is made after this call (J11). The last record is needed in any
 * case. On the thread that writes. */
void journal_store_truncate(struct journal_store *s, uint64_t lsn);

/* The first lsn of a segment that may be removed; 0: there is none. It stays the same until journal_store_removed. */
uint64_t journal_store_removable(const struct journal_store *s);
/* Removes its file, if that is still there; on any thread, beside all other calls. False: it cannot be removed now, which
 * does no harm. */
bool journal_store_remove(const struct journal_store *s, uint64_t first_lsn, struct problem *problem);
void journal_store_removed(struct journal_store *s);

/* ---- Records that are copied out ---- */

/* Records with the bytes they point into; zero-initialized is empty. While they are gathered, words.ptr is NULL and `at`
 * their place. */
struct journal_result {
    struct packet *packets;
    size_t *at;
    size_t count, packets_capacity, at_capacity;
    uint64_t *words;
    size_t words_len, words_capacity;
    uint64_t bytes; /* of the records, without padding */
};

/* Empties it, and keeps the memory. */
void journal_result_clear(struct journal_result *r);
void journal_result_add(struct journal_result *r, const struct packet *record);
/* Adds records of a group from lsn `*from` on, until there are `bytes_max` bytes (one record at least); moves `*from` after
 * them. */
void journal_result_take(struct journal_result *r, const struct journal_group *g, uint64_t *from, uint64_t bytes_max);
/* Adds records from lsn `*from` on, about `bytes_max` bytes and one at least; moves `*from` after them. None past the end,
 * and none if the one at `*from` is no longer kept. False: they cannot be read any more, or are damaged (EXIT_DATA). */
bool journal_store_collect(struct journal_store *s, struct journal_result *r, uint64_t *from, uint64_t bytes_max,
                           struct problem *problem);
/* What was gathered; valid until the result is cleared or freed. */
struct packet_list journal_result_packets(struct journal_result *r);
void journal_result_free(struct journal_result *r);

#endif
