#include "load/histogram.h"

static const uint64_t half = UINT64_C(1) << HISTOGRAM_HALF_BITS;

static uint32_t bucket_of(uint64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS != 0)
        return HISTOGRAM_BUCKETS - 1;
    if (value < 2 * half)
        return (uint32_t)value;
    /* Eight significant bits: `value >> shift` is in [half, 2 * half). */
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_HALF_BITS;
    return (uint32_t)(value >> shift) + (shift << HISTOGRAM_HALF_BITS);
}

/* The largest value that goes into this bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < 2 * half)
        return bucket;
    uint32_t shift = (bucket >> HISTOGRAM_HALF_BITS) - 1;
    uint64_t top = bucket - ((uint64_t)shift << HISTOGRAM_HALF_BITS);
    return ((top + 1) << shift) - 1;
}

void histogram_record(struct histogram *h, uint64_t value)
{
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += value;
    h->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (h->count == 0 || from->min < h->min)
        h->min = from->min;
    if (from->max > h->max)
        h->max = from->max;
    h->count += from->count;
    h->sum += from->sum;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->buckets[i] += from->buckets[i];
}

double histogram_mean(const struct histogram *h) { return h->count == 0 ? 0 : (double)h->sum / (double)h->count; }

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    double exact = percent / 100 * (double)h->count;
    uint64_t wanted = exact <= 1 ? 1 : (uint64_t)exact;
    if ((double)wanted < exact)
        wanted++;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && h->count > 0; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) {
            uint64_t end = bucket_end(i);
            return i == HISTOGRAM_BUCKETS - 1 || end > h->max ? h->max : end;
        }
    }
    return h->max;
}
