/* Allocation that cannot fail. Out of memory is a trap, because no part can go on without what it has to remember. */
#ifndef SYNOD_CORE_BASE_MEMORY_H
#define SYNOD_CORE_BASE_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/types.h"

/* Zeroed memory for `count` items of `size` bytes. Freed with free(). */
static inline void *memory_new(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    invariant(p != NULL);
    return p;
}

/* Makes room for at least `need` items in the array at `*items` (capacity `*capacity`), growing by half or more. */
static inline void *memory_reserve(void *items, size_t *capacity, size_t need, size_t item_size)
{
    if (need <= *capacity)
        return items;
    size_t grown = *capacity + *capacity / 2 + 8;
    if (grown < need)
        grown = need;
    invariant(grown <= SIZE_MAX / item_size); /* 32-bit sizes overflow early */
    void *p = realloc(items, grown * item_size);
    invariant(p != NULL);
    *capacity = grown;
    return p;
}

/* At least `bytes` bytes, as a disk may write them without a copy (io/disk.h): they begin at a page. Not zeroed. */
static inline void *memory_pages(size_t bytes)
{
    enum { PAGE = 4096 };
    invariant(bytes <= SIZE_MAX - PAGE);
    void *p = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
    invariant(p != NULL);
    return p;
}

/* A copy of a payload that the caller owns and releases with payload_free. */
static inline struct payload payload_copy(const struct payload *from)
{
    struct payload copy = *from;
    size_t words = words_for(from->len);
    copy.words.ptr = NULL;
    copy.words.len = words;
    if (words > 0) {
        copy.words.ptr = malloc(words * sizeof(uint64_t));
        invariant(copy.words.ptr != NULL);
        memcpy(copy.words.ptr, from->words.ptr, words * sizeof(uint64_t));
    }
    return copy;
}

static inline void payload_free(struct payload *p)
{
    free(p->words.ptr);
    *p = (struct payload){0};
}

#endif
