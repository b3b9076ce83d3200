/* What the files of the asynchronous journal share. No other file includes this.
 *
 *   journal.c        the public face, on the loop's thread, and the thread under it that writes
 *   journal_spare.c  a second thread that fills the next segment with zeros, so that no group ever waits for it; while there
 *                    is nothing to fill, it removes segments that are not needed any more
 *
 * What is gathered, written next and durable is the front's (io/journal_front.h), whose lock is `lock`: the loop appends to
 * it and retires what is written, the worker takes one group after the other to the disk. */
#ifndef SYNOD_HOST_JOURNAL_INTERNAL_H
#define SYNOD_HOST_JOURNAL_INTERNAL_H

#include "host/journal.h"
#include "io/journal_front.h"
#include "io/journal_spare.h"

enum removal { REMOVAL_NONE, REMOVAL_WANTED, REMOVAL_DONE, REMOVAL_FAILED };

/* The next segment, and the thread that makes it and removes others. */
struct spare {
    struct journal_spare made;    /* first: it leads back here */
    struct journal_spares spares; /* its face */
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed;
    bool started;
    bool stop;

    /* Removing. */
    const struct journal_store *store; /* set by the first wish */
    uint64_t unwanted;                 /* first lsn of the segment; 0: none */
    enum removal removal;
    struct problem removal_problem;
    uv_async_t *removed; /* is sent when it is DONE or FAILED */
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

    /* Guarded by `lock`, where the front says so. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct journal_front *front; /* NULL: none yet */
    bool stop;
    uint64_t sync_us_total, sync_us_max, wait_us_total, told_us_total;
    uint64_t submitted_us; /* of the oldest records that the worker has not taken; 0: there are none */
    uint64_t written_us;   /* of the oldest group that the loop has not heard of; 0: there is none */

    uv_thread_t worker;
    bool worker_started;
    struct spare spare;

    /* The loop's. */
    bool failure_told;
    bool forsaken; /* and not reborn yet */
};

/* journal_spare.c */
bool journal_spare_start(struct spare *s, struct disk *disk, const char *folder, bool sync, struct problem *problem);
/* True when making it ahead has failed; `problem` says why. Tried again when it is needed. */
bool journal_spare_failed(struct spare *s, struct problem *problem);
/* Has a segment removed; `removed` is sent afterwards. One at a time. */
void journal_spare_unwanted(struct spare *s, const struct journal_store *store, uint64_t first_lsn, uv_async_t *removed);
/* True, once, when that is over: REMOVAL_DONE or REMOVAL_FAILED, with a problem, in `removal`. */
bool journal_spare_removed(struct spare *s, enum removal *removal, struct problem *problem);
void journal_spare_stop(struct spare *s);

#endif
