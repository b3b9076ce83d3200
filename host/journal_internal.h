/* What the files of the journal share. Nobody else includes this.
 *
 *   journal.c             the public face; all of it runs on the loop's thread
 *   journal_recover.c     opening: finds the segments, walks them, cuts and rewrites the end
 *   journal_read.c        reading back
 *   journal_write.c       the worker thread: segments and groups to disk
 *   journal_spare.c       a second thread that fills the next segment with zeros, so that no group ever waits for it
 *   journal_durability.c  whether what the node promised before is still there
 *
 * Records travel in buffers, one a group. The list of buffers, oldest first:
 *
 *     done ... done | in flight | waiting ... waiting, the last of them still being filled
 *
 * The loop appends to the last, the worker takes the first waiting one once it is submitted, and the loop retires what is
 * done (index, statistics, callback). `lock` guards the list, the states and the failure; the records of a buffer in flight
 * or done are read-only, so that both threads may read them without it. */
#ifndef SYNOD_HOST_JOURNAL_INTERNAL_H
#define SYNOD_HOST_JOURNAL_INTERNAL_H

#include "core/formats/journal_walk.h"
#include "host/journal.h"

enum {
    BUFFER_BYTES = 4 << 20,     /* a group that has grown beyond this is closed, the next buffer begins */
    INDEX_BYTES = 256 << 10,    /* one index entry for so many bytes of segment */
    RECOVER_BYTES = 1 << 20,    /* a chunk of journal_recover */
    IDLE_MS = 1000,             /* without appends: a mark follows */
    MEMORY_BYTES_MAX = 1 << 30, /* what `durability: memory` keeps for reading back */
};

enum buffer_state { BUFFER_FILLING, BUFFER_SUBMITTED, BUFFER_IN_FLIGHT, BUFFER_DONE };

struct buffer {
    struct buffer *next;
    struct journal_group group;
    uint8_t state; /* enum buffer_state */
    bool is_mark;
    /* Filled in by the worker: where it lies now, and what that took. */
    struct journal_file segment;
    uint64_t offset;
    uint64_t bytes;
    uint64_t sync_us;
};

/* The next segment, being made or ready. */
struct spare {
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    char *path;
    bool sync;
    bool started;
    bool stop;
    bool wanted;
    bool ready;
    bool failed;
    uint64_t bytes;
    int fd; /* while ready */
    struct problem problem;
};

/* The end of the journal: where the next group goes. The worker's alone once it runs. */
struct writer {
    const char *folder;
    struct journal_owner owner;
    bool sync;
    uint64_t segment_bytes;
    int fd; /* of the last segment; -1: none yet */
    struct journal_file segment;
    uint64_t oldest_lsn;
    uint64_t offset;
    uint64_t previous;
    uint64_t segment_previous; /* the last group before the segment */
    struct journal_sticky sticky;
    struct spare *spare;
};

struct index_entry {
    uint64_t lsn; /* first of the group */
    size_t segment;
    uint64_t offset;
};

/* Handles live until the loop has closed them, which may be after the journal is gone (`journal` is NULL then). */
struct handles {
    struct journal *journal;
    uv_async_t async;
    uv_timer_t idle;
    int open;
};

/* Packets with the bytes they point into. While records are collected, words.ptr is NULL and `at` their place. */
struct result {
    struct packet *packets;
    size_t *at;
    size_t count, packets_capacity, at_capacity;
    uint64_t *words;
    size_t words_len, words_capacity;
};

struct journal {
    struct journal_options options;
    char *folder;
    struct journal_owner owner;
    struct handles *handles;

    /* Guarded by `lock`. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct buffer *first, *last;
    uint64_t durable;
    bool stop;
    bool failed;
    struct problem failure;

    /* The worker's. */
    uv_thread_t worker;
    bool worker_started;
    struct writer writer;
    struct spare spare;

    /* The loop's. */
    bool failure_told;
    bool spare_told;
    uint64_t last_lsn;
    uint64_t retired_lsn; /* up to here records are read from files */
    bool ends_in_mark;
    bool appended_since_tick;
    uint64_t memory_bytes;
    struct journal_statistics statistics;
    struct journal_file *files;
    size_t file_count, file_capacity;
    struct index_entry *index;
    size_t index_count, index_capacity;
    uint64_t indexed_bytes; /* since the last entry */
    struct journal_sticky inherited;
    uint64_t recover_next, recover_end; /* lsns for journal_recover */
    bool recover_began;
    struct result recovered, read;
    struct journal_group read_group;
    int read_fd;
    size_t read_segment;          /* of read_fd */
    struct index_entry read_next; /* where sequential reading goes on; lsn 0: nowhere */
};

/* journal_recover.c */
bool journal_recovery(struct journal *j, struct problem *problem);
void journal_index_add(struct journal *j, uint64_t lsn, size_t segment, uint64_t offset, uint64_t bytes);

/* journal_read.c */
void journal_collect(struct journal *j, struct result *out, uint64_t from, uint64_t bytes_max);
void journal_result_add(struct result *r, const struct packet *record);
struct packet_list journal_result_packets(struct result *r);
void journal_result_free(struct result *r);
bool journal_read_bytes(int fd, uint64_t offset, void *to, size_t len);

/* journal_durability.c */
/* Refuses a node that lost what it promised. */
bool journal_durability_check(const struct journal *j, struct problem *problem);
/* Makes durable how the node runs now. */
bool journal_durability_note(const struct journal *j, struct problem *problem);

/* journal.c */
/* Notes a failure (the first one counts); the loop reports it. Any thread. */
void journal_fail(struct journal *j, const struct problem *problem);

/* journal_write.c */
char *journal_path(const char *folder, const char *name);
char *journal_segment_path(const char *folder, uint64_t first_lsn);
bool journal_write_bytes(int fd, const char *path, uint64_t offset, const void *from, size_t len, struct problem *problem);
bool journal_sync_file(int fd, const char *path, struct problem *problem);
bool journal_sync_folder(const char *folder, struct problem *problem);
/* Makes the segment that begins with `first_lsn` and has room for `room` bytes of groups, and closes the one before. */
bool journal_writer_segment(struct writer *w, uint64_t first_lsn, uint64_t room, struct problem *problem);
/* Writes and syncs a group at the end; fills in the buffer's place. */
bool journal_writer_group(struct writer *w, struct buffer *b, struct problem *problem);
void journal_worker(void *context);

/* journal_spare.c */
bool journal_spare_start(struct spare *s, const char *folder, bool sync, struct problem *problem);
/* Asks for a segment of `bytes` to be made; returns at once. */
void journal_spare_want(struct spare *s, uint64_t bytes);
/* Waits for one of at least `*bytes` (set to what it has) and hands over its file, whose name is s->path. */
bool journal_spare_take(struct spare *s, uint64_t *bytes, int *fd, struct problem *problem);
/* True when making it ahead has failed; `problem` says why. Tried again when it is needed. */
bool journal_spare_failed(struct spare *s, struct problem *problem);
void journal_spare_stop(struct spare *s);

#endif
