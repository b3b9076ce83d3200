/* What the files of the asynchronous journal share. Nobody else includes this.
 *
 *   journal.c        the public face, on the loop's thread, and the worker thread under it
 *   journal_spare.c  a second thread that fills the next segment with zeros, so that no group ever waits for it
 *
 * The files themselves are the store's (io/journal_store.h): the worker writes groups to it, and the loop notes what was
 * written and reads it back.
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

#include "host/journal.h"
#include "io/journal_store.h"

enum {
    BUFFER_BYTES = 4 << 20,        /* a group that has grown beyond this is closed, the next buffer begins */
    MEMORY_BUFFER_BYTES = 1 << 20, /* the same of `durability: memory`, which forgets whole buffers */
    IDLE_MS = 1000,                /* without appends: a mark follows */
    ROOM_RETRY_MIN_MS = 20,        /* until what there was no room for is tried again: first, */
    ROOM_RETRY_MAX_MS = 1000,      /* and after doubling at most */
    MEMORY_BYTES_MAX = 1 << 30,    /* what `durability: memory` keeps for reading back */
};

enum buffer_state { BUFFER_FILLING, BUFFER_SUBMITTED, BUFFER_IN_FLIGHT, BUFFER_DONE };

struct buffer {
    struct buffer *next;
    struct journal_group group;
    uint8_t state; /* enum buffer_state */
    bool is_mark;
    uint32_t submitted_count,
        submitted_len; /* of the group, as of the last journal_submit: what comes after it may be dropped */
    /* Filled in by the worker: where it lies now, and what that took. */
    struct journal_written written;
    uint64_t sync_us;
};

/* The next segment, being made or ready. */
struct spare {
    struct disk *disk;
    const char *folder;
    struct journal_spares spares; /* its face */
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    bool sync;
    bool started;
    bool stop;
    bool wanted;
    bool ready;
    bool failed;
    uint64_t bytes;
    int file; /* while ready */
    struct problem problem;
};

/* Handles live until the loop has closed them, which may be after the journal is gone (`journal` is NULL then). */
struct handles {
    struct journal *journal;
    uv_async_t async;
    uv_timer_t idle;
    int open;
};

struct journal {
    struct journal_options options;
    char *folder;
    struct handles *handles;

    /* Guarded by `lock`. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct buffer *first, *last;
    uint64_t durable;
    bool stop;
    bool failed;
    struct problem failure;
    uint64_t no_room_since; /* by uv_hrtime; 0: there is room */
    struct problem no_room;

    uv_thread_t worker;
    bool worker_started;
    struct spare spare;
    struct journal_store *store; /* NULL: none yet; its writing side is the worker's */

    /* The loop's. */
    bool failure_told;
    bool spare_told;
    uint64_t no_room_told; /* the `no_room_since` that was told last; 0: that there is room */
    uint64_t last_lsn;
    bool appended_since_tick;
    bool forsaken;                        /* and not reborn yet */
    uint64_t recover_next, recover_end;   /* lsns for journal_recover with `durability: memory`; else the store knows */
    struct journal_statistics statistics; /* without what the store counts */
    struct journal_result read;
};

/* journal_spare.c */
bool journal_spare_start(struct spare *s, struct disk *disk, const char *folder, bool sync, struct problem *problem);
/* True when making it ahead has failed; `problem` says why. Tried again when it is needed. */
bool journal_spare_failed(struct spare *s, struct problem *problem);
void journal_spare_stop(struct spare *s);

#endif
