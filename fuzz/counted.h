/* Comes before the sources of the state machine, as the cost oracle of fuzz_kv_store: what they really spend is counted in a
 * second way, which knows nothing of their own counting. The compiler counts basic blocks (__sanitizer_cov_trace_pc); the
 * bytes that library functions go through in one block are counted here. */
#ifndef SYNOD_FUZZ_COUNTED_H
#define SYNOD_FUZZ_COUNTED_H

#include <stdint.h>
#include <string.h>

extern uint64_t fuzz_bytes;

static inline void *counted_memcpy(void *to, const void *from, size_t len)
{
    fuzz_bytes += len;
    return memcpy(to, from, len);
}

static inline void *counted_memset(void *to, int byte, size_t len)
{
    fuzz_bytes += len;
    return memset(to, byte, len);
}

static inline int counted_memcmp(const void *a, const void *b, size_t len)
{
    fuzz_bytes += len;
    return memcmp(a, b, len);
}

#define memcpy counted_memcpy
#define memset counted_memset
#define memcmp counted_memcmp

#endif
