/* The counters that the load generator's INCR requests add to, read back: the key of each number below the key space
 * (load/protocol.h). */
#ifndef SYNOD_LOCAL_COUNTERS_H
#define SYNOD_LOCAL_COUNTERS_H

#include "io/problem.h"
#include "load/load.h"

enum { COUNTERS_READ_MAX = 500 };

/* Where they are read: `count` addresses, one at least, which the caller owns. */
struct counters {
    const struct load_target *targets;
    size_t count;
    size_t at;                  /* the address that is asked, while it answers */
    struct redisContext *asked; /* NULL: none yet */
};

/* Reads `count` of them (COUNTERS_READ_MAX at most) from `first` on, of which those that do not exist count as 0. Asks all
 * addresses in turn, for half a minute. False: `problem` says why. */
bool counters_read(struct counters *c, uint64_t first, size_t count, int64_t *values, struct problem *problem);
/* The sum of the first `count`, modulo 2^64: so differences are right in any case. */
bool counters_sum(struct counters *c, uint64_t count, uint64_t *sum, struct problem *problem);
void counters_close(struct counters *c);

#endif
