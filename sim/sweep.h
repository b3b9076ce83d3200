/* Disk sweeps: every single damage to a small journal, and every state in which a loss of power may leave it while it is
 * written. Each is opened by the store that ships (io/journal_store.h). Damage must be refused with file and offset, or the
 * journal must come back completely. Only the very last group may be cut, because it looks like a torn write when no mark
 * follows; that is counted separately. A state that a loss of power leaves is never refused, and has all that was
 * acknowledged. A folder from which files were removed is refused, or has all that was acknowledged. */
#ifndef SYNOD_SIM_SWEEP_H
#define SYNOD_SIM_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sweep_kind {
    SWEEP_FLIP_BIT,  /* of each byte of each segment, one bit */
    SWEEP_FLIP_BYTE, /* all bits of it */
    SWEEP_ZERO_BYTE, /* each byte that is not zero */
    SWEEP_TRUNCATE,  /* each segment to each shorter length */
    SWEEP_PREFIX,    /* the calls that changed the disk, up to each of them */
    SWEEP_REORDER,   /* before each sync: any of the sectors that wait for it, and the first of the names */
    SWEEP_REMOVE,    /* after each of these calls: each file removed; and all of the journal's */
    SWEEP_KINDS
};

const char *sweep_name(enum sweep_kind kind); /* "flip-bit", ... */

struct sweep_options {
    /* The data folder of a stopped node; the journal gets its records (it is only read). NULL: the seed decides the
     * records. */
    const char *folder;
    uint64_t seed;
    uint32_t groups;        /* of the journal, at most; 0: 24 */
    uint64_t segment_bytes; /* 0: 32 KiB */
    uint32_t stride;        /* only every n-th byte is damaged; 0: every one */
    uint32_t sectors_max;   /* for up to so many waiting sectors all subsets are tried; for more, as many are drawn; 0: 10 */
};

struct sweep_counts {
    uint64_t cases;
    uint64_t whole;   /* everything acknowledged came back */
    uint64_t refused; /* with file and offset */
    uint64_t cut;     /* the last group, silently */
};

struct sweep_result {
    struct sweep_counts counts[SWEEP_KINDS];
    uint64_t groups, records, segments, bytes; /* of the journal */
    uint64_t removed;                          /* segments that were not needed any more */
    uint64_t calls;                            /* that wrote it */
    uint64_t syncs_sampled; /* before which too many sectors waited to try all subsets, so the seed drew some */
};

/* Runs all sweeps. False: a case went wrong, or there is no such journal; `why` (`size` bytes) says so. */
bool sweep_run(const struct sweep_options *options, struct sweep_result *result, char *why, size_t size);

/* The same for snapshots (sim/sweep_snapshots.c). `whole`: the newest one came back; `cut`: the one before. */
struct sweep_snapshots_result {
    struct sweep_counts counts[SWEEP_KINDS];
    uint64_t bytes; /* that were damaged */
    uint64_t calls; /* that wrote them */
};

/* Runs all of them. False: a case went wrong; `why` (`size` bytes) says so. */
bool sweep_snapshots_run(const struct sweep_options *options, struct sweep_snapshots_result *result, char *why, size_t size);

#endif
