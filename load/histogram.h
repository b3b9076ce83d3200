/* Latencies in fixed memory: log-linear buckets, as in HdrHistogram.
 *
 * Values below 256 have a bucket each; from there on every power of two is cut into 128 equal buckets:
 *
 *   value          bucket width   buckets
 *   0 .. 255             1          256
 *   256 .. 511           2          128
 *   512 .. 1023          4          128
 *   ...                 ...         ...
 *   2^35 .. 2^36-1     2^28         128
 *
 * so that what comes out is at most 1/128 (0.8 %) above what went in. Larger values count as the largest. Minimum,
 * maximum, sum and count are exact. The struct has no pointers: it may live in memory shared between processes, each
 * filling its own, merged at the end. The unit is the caller's; the load generator's is the microsecond. */
#ifndef SYNOD_LOAD_HISTOGRAM_H
#define SYNOD_LOAD_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_HALF_BITS = 7,
    HISTOGRAM_VALUE_BITS = 36,
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_HALF_BITS + 1) << HISTOGRAM_HALF_BITS,
};

/* Zero-initialized is empty. */
struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t min; /* 0 while empty */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts one value. */
void histogram_record(struct histogram *h, uint64_t value);

/* Adds all that `from` has counted. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The mean; 0 while empty. */
double histogram_mean(const struct histogram *h);

/* The smallest value that at least `percent` (0 to 100) of the values do not exceed, rounded up to the end of its
 * bucket but never above the maximum; 0 while empty. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

#endif
