#include "core/base/arena.h"

#include "core/base/memory.h"

enum { BLOCK_MIN = 16 * 1024, BLOCK_KEPT_MAX = 1024 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    uint64_t bytes[];
};

static void add_block(struct arena *a, size_t size)
{
    struct arena_block *block = malloc(sizeof *block + size);
    invariant(block != NULL);
    *block = (struct arena_block){.next = a->blocks, .size = size, .used = 0};
    a->blocks = block;
}

void *arena_new(struct arena *a, size_t size)
{
    size = words_for(size) * 8;
    if (a->blocks == NULL || a->blocks->size - a->blocks->used < size)
        add_block(a, size > BLOCK_MIN ? size : BLOCK_MIN);
    void *piece = (uint8_t *)a->blocks->bytes + a->blocks->used;
    a->blocks->used += size;
    a->total += size;
    return piece;
}

void arena_reset(struct arena *a)
{
    size_t needed = a->total;
    a->total = 0;
    if (a->blocks != NULL && a->blocks->next == NULL && a->blocks->size <= BLOCK_KEPT_MAX) {
        a->blocks->used = 0;
        return;
    }
    arena_close(a);
    if (needed > 0)
        add_block(a, needed < BLOCK_MIN ? BLOCK_MIN : needed > BLOCK_KEPT_MAX ? BLOCK_KEPT_MAX : needed);
}

void arena_close(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->total = 0;
}
