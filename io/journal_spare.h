/* The next segment of a journal: a file of zeros that is made ahead, in steps, under the name journal-spare.tmp.
 *
 *   NONE --want--> WANTED --step ... step--> READY --take--> NONE
 *                                   '------> FAILED; it is made again when it is taken
 *
 * Nothing waits here: the driver decides when the steps are done. The host has a thread for them (host/journal_spare.c),
 * the guest does some with each group (components/wasi-storage), and without either take does them all. */
#ifndef SYNOD_IO_JOURNAL_SPARE_H
#define SYNOD_IO_JOURNAL_SPARE_H

#include "io/disk.h"
#include "io/problem.h"

enum { SPARE_STEP_BYTES = 256 << 10 };

enum spare_state { SPARE_NONE, SPARE_WANTED, SPARE_READY, SPARE_FAILED };

enum spare_sync {
    SPARE_NOT_SYNCED,
    SPARE_SYNCED,         /* at the end; before, each step hands its bytes to the device */
    SPARE_SYNCED_STEPWISE /* where bytes cannot be handed over without a sync: so that no sync is long */
};

struct journal_spare {
    struct disk *disk; /* borrowed, like `folder`; set by the caller, and so is `sync`. The rest is zero at first */
    const char *folder;
    uint8_t sync;  /* enum spare_sync */
    uint8_t state; /* enum spare_state */
    bool open;
    int file;
    uint64_t bytes, filled;
    struct problem problem; /* FAILED: why */
};

/* A segment of `bytes` bytes will be needed soon. Only the first wish counts until it is taken. */
void journal_spare_want(struct journal_spare *s, uint64_t bytes);

/* Makes a bit more of a spare that is WANTED. Returns the state that it has reached, which the caller notes in `state`:
 * under its lock, if another thread looks at it. A failed one leaves no file. */
uint8_t journal_spare_step(struct journal_spare *s);

/* Does all the steps that are left. */
void journal_spare_finish(struct journal_spare *s);

/* Hands over a spare of at least `*bytes` bytes, sets `*bytes` to what it has, and is NONE again. If there is none, or one
 * that is too small, another one is made. `finish` has to return when the spare is not WANTED any more. */
bool journal_spare_take(struct journal_spare *s, void (*finish)(struct journal_spare *s), uint64_t *bytes, int *file,
                        struct problem *problem);

/* Closes and removes it, in whatever state it is. */
void journal_spare_drop(struct journal_spare *s);

/* Removes what may have been left of one. */
void journal_spare_remove(struct disk *disk, const char *folder);

/* Its path; the caller frees it. */
char *journal_spare_path(const char *folder);

/* Says that a segment of `bytes` bytes cannot be made. Returns false. */
bool journal_spare_problem(const char *path, uint64_t bytes, int error, struct problem *problem);

#endif
