/* What the files of the journal's store share. No other file includes this.
 *
 *   journal_look.c        looking at a journal, and changing nothing
 *   journal_store.c       opening and closing, what is asked about it
 *   journal_recover.c     opening: finds the segments, walks them once, cuts and rewrites the end
 *   journal_durability.c  whether what the node promised before is still there
 *   journal_write.c       segments and groups to disk
 *   journal_read.c        reading back
 *   journal_truncate.c    the old end: which segments are of no value any more
 *   journal_index.c       which segments there are, and where groups are in them
 *
 * Each calls only files that come later here. Below them are journal_spare.c and journal_file.c, above them is
 * journal_front.c.
 *
 * With a thread that writes (host/journal.c), `writer` is that thread's, and the rest the loop's. */
#ifndef SYNOD_IO_JOURNAL_STORE_INTERNAL_H
#define SYNOD_IO_JOURNAL_STORE_INTERNAL_H

#include "io/journal_file.h"
#include "io/journal_spare.h"
#include "io/journal_store.h"

enum {
    INDEX_BYTES = 256 << 10,      /* what ships of journal_store_options.index_bytes, */
    INDEX_ENTRIES_MAX = 16 << 10, /* of index_entries_max, */
    RECOVER_BYTES = 1 << 20,      /* and of recover_bytes */
};

/* What was done of a new segment. A group is written only when all of it is. */
enum segment_state {
    SEGMENT_NAMED,      /* it has its header and its name */
    SEGMENT_SYNCED,     /* the name is durable */
    SEGMENT_REMEMBERED, /* and so is, outside of the journal, that it is the newest one */
};

/* The end of the journal: where the next group goes. */
struct writer {
    struct disk *disk;
    const char *folder;
    const struct journal_owner *owner;
    struct journal_spares *spares; /* NULL: none */
    struct journal_memory memory;
    bool sync;
    bool failed; /* for good */
    uint64_t segment_bytes;
    int file; /* the last segment; -1: none yet */
    char *path;
    struct journal_file segment;
    uint8_t segment_state;       /* enum segment_state */
    uint64_t oldest_lsn;         /* records from here on are needed: the next segment's header says so */
    uint64_t segment_oldest_lsn; /* that of the last one does */
    uint64_t last_lsn;           /* written */
    uint64_t offset;
    uint64_t previous;
    uint64_t segment_previous; /* the last group before the segment */
    struct journal_sticky sticky;
};

struct index_entry {
    uint64_t lsn; /* first of the group */
    size_t segment;
    uint64_t offset;
};

/* One segment at a time, kept open until another is asked for. */
struct opened {
    int file; /* -1: none */
    size_t segment;
};

/* A journal that is read for the first time: each group is checked, and handed out. What comes of it is known at the end. */
struct opening {
    struct journal_walk walk;
    struct opened opened;
    bool began;
    uint64_t next; /* the record that is handed out next; those before are */
    bool failed;
    struct problem problem;
};

struct journal_store {
    struct journal_store_options options;
    struct disk *disk;
    char *folder;
    struct journal_owner owner;
    struct writer writer;
    struct opening *opening; /* NULL: that is over */

    uint64_t last_lsn;
    bool ends_in_mark;
    struct journal_store_statistics statistics;
    struct journal_file *files; /* what is kept: segments are counted from the oldest one of these */
    size_t file_count, file_capacity;
    uint64_t *removals; /* first lsns of segments that are not kept, and may still be there */
    size_t removal_count, removal_capacity;
    struct index_entry *index; /* for everything before the first entry, the first segment's begin */
    size_t index_count, index_capacity;
    uint64_t indexed_bytes;             /* since the last entry */
    uint64_t recover_next, recover_end; /* lsns for journal_store_recover */
    bool recover_began;
    struct journal_result recovered;
    struct journal_group read_group;
    struct opened reading;
    struct index_entry read_next; /* where sequential reading goes on; lsn 0: nowhere */
};

/* journal_index.c */
/* Opens a segment for reading and writing. Returns the file, or a negative errno. */
int journal_store_segment(const struct journal_store *s, struct opened *o, size_t segment);
void journal_store_segment_close(const struct journal_store *s, struct opened *o);
void journal_store_file_add(struct journal_store *s, const struct journal_file *file);
void journal_store_index(struct journal_store *s, uint64_t lsn, uint64_t offset, size_t segment, uint64_t bytes);
/* The first `count` segments are gone, and the others are counted anew. */
void journal_store_index_forget(struct journal_store *s, size_t count);

/* journal_read.c */
/* Adds the sticky records from before the first segment, which its header has (J9), to s->recovered. */
bool journal_store_inherited(struct journal_store *s, struct problem *problem);

/* journal_truncate.c */
/* A header says, durably, that records before `oldest_lsn` are not needed: forgets the segments that end before it. */
void journal_store_drop(struct journal_store *s, uint64_t oldest_lsn);

/* journal_store.c */
/* A store that has no files yet. journal_store_close frees it. */
struct journal_store *journal_store_new(const struct journal_store_options *options);

/* journal_recover.c */
/* Fills in the files of the store: the segments that there are, in order, with their sizes. */
bool journal_find_segments(struct journal_store *s, struct problem *problem);
/* What a walk has found wrong, and where. Returns false. */
bool journal_walk_problem(const struct journal_store *s, const struct journal_walk *w, struct problem *problem);
/* Begins with what there is: a journal to read, which journal_store_recover does bit by bit, or none. */
bool journal_recovery_begin(struct journal_store *s, struct problem *problem);
/* Begins anew, for another life. */
void journal_recovery_again(struct journal_store *s);
void journal_recovery_close(struct journal_store *s);

/* journal_durability.c */
/* Refuses a node that lost what it promised, or a file that was there. */
bool journal_durability_check(const struct journal_store *s, struct problem *problem);
/* Makes durable how the node runs now (enum durability). */
bool journal_durability_note(const struct journal_store *s, uint8_t durability, struct problem *problem);

/* journal_write.c */
/* Makes the segment that begins with `first_lsn` and has room for `room` bytes of groups, and closes the one before. It is
 * SEGMENT_NAMED then. */
bool journal_writer_segment(struct writer *w, uint64_t first_lsn, uint64_t room, struct problem *problem);
/* Does what is left to be done of the last segment. */
bool journal_writer_finish(struct writer *w, struct problem *problem);

#endif
