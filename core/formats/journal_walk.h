/* Recovery of a journal: walks all groups of all segments that are kept, in order, and decides what its end is: clean, a
 * torn tail, or corruption (J1 to J9, J11). It does no I/O: bytes come through a function of the caller. The caller also
 * cuts the tail and rewrites the last group (J3 and J10).
 *
 *   walk_begin; while walk_next gives JOURNAL_STEP_GROUP: use w.group; then
 *   JOURNAL_STEP_END:    overwrite [w.offset, w.torn_to) of the last segment with zeros and sync, if torn_to > offset;
 *                        write the group at (w.last_segment, w.last_offset, w.last_bytes) again and sync;
 *                        the next group goes to w.offset, gets w.next_lsn and names w.previous
 *   JOURNAL_STEP_FAULT:  stop: w.fault in file w.fault_segment at w.fault_offset */
#ifndef SYNOD_CORE_FORMATS_JOURNAL_WALK_H
#define SYNOD_CORE_FORMATS_JOURNAL_WALK_H

#include "core/formats/journal.h"

/* Reads bytes of a file; `segment` is its index in the files given to walk_begin. */
struct journal_source {
    /* False: the bytes could not be read. The walk never asks for bytes beyond the `bytes` of a file. */
    bool (*read)(void *context, size_t segment, uint64_t offset, void *to, size_t len);
    void *context;
    uint32_t scan_bytes; /* size of the pieces in which the rest of a segment is scanned, in whole pages; 0: the standard */
};

struct journal_file {
    uint64_t first_lsn;    /* from its name */
    uint64_t bytes;        /* its size */
    uint32_t header_bytes; /* filled in by the walk */
};

enum journal_step { JOURNAL_STEP_GROUP, JOURNAL_STEP_END, JOURNAL_STEP_FAULT };

struct journal_walk {
    struct journal_source source;
    const struct journal_owner *owner;
    struct journal_file *files; /* sorted by first_lsn; at least one */
    size_t count;
    size_t first; /* after the first step: where the walk began; the files before are of no value any more (J11) */
    bool began;

    /* Where the next group is, and what it must be. */
    size_t segment;
    uint64_t offset;
    uint64_t next_lsn;
    uint64_t previous;
    uint64_t segment_previous; /* as the header of `segment` says */
    uint32_t incarnation;
    bool entered; /* the header of `segment` was read */

    struct journal_group group; /* after JOURNAL_STEP_GROUP */
    size_t last_segment;        /* where the last valid group is; last_bytes 0: there is none */
    uint64_t last_offset;
    uint64_t last_bytes; /* whole pages */
    bool last_is_mark;

    struct journal_sticky inherited; /* sticky records from before the file `first`, out of its header */
    struct journal_sticky sticky;    /* the latest of each kind */
    uint64_t oldest_lsn;             /* as the last segment says */

    uint64_t torn_to; /* after JOURNAL_STEP_END: the end of the torn tail; `offset` when there is none */

    enum journal_fault fault; /* after JOURNAL_STEP_FAULT */
    size_t fault_segment;
    uint64_t fault_offset;
    bool proven; /* a later group or segment proves that this place was valid once: */
    size_t proof_segment;
    uint64_t proof_offset;
};

/* Starts a walk. `owner` and `files` are borrowed until journal_walk_close. */
void journal_walk_begin(struct journal_walk *w, struct journal_source source, const struct journal_owner *owner,
                        struct journal_file *files, size_t count);

/* The next group, the end, or a fault (then there is no further step). */
enum journal_step journal_walk_next(struct journal_walk *w);

void journal_walk_close(struct journal_walk *w);

/* Reads the group at `offset` of a file into `g` and checks all of it, except which group it follows. */
enum journal_fault journal_group_load(struct journal_group *g, struct journal_source source,
                                      const struct journal_owner *owner, const struct journal_file *files, size_t segment,
                                      uint64_t offset);

#endif
