/* Memory for results that all end together: allocated piece by piece, released at once. */
#ifndef SYNOD_CORE_BASE_ARENA_H
#define SYNOD_CORE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero-initialized is empty. */
struct arena {
    struct arena_block *blocks;
    size_t total; /* bytes handed out since the last reset */
};

/* `size` bytes, 8-aligned, not cleared, valid until the next reset. */
void *arena_new(struct arena *a, size_t size);

/* Releases everything; keeps a block of the size that was needed, so that a steady load allocates nothing. */
void arena_reset(struct arena *a);

void arena_close(struct arena *a);

#endif
