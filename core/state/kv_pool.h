/* The memory for the kv-store's keys and values. All blocks have one size, so a block that was given back fits every
 * later need.
 *
 *     bytes of an entry   [ entry: 32 of header, 96 ] -> [ 4 of link, 124 ] -> [ 124 ] -> ... -> 0
 *
 * Entries of mixed sizes cannot fragment the memory: it is the largest number of blocks that were ever in use at a time,
 * rounded up to a slab. kv_table.h counts the same blocks, so the limit on what is stored is a limit on memory. Links are
 * numbers, not pointers, so a block has the same size on every machine. Slabs are never given back: they are needed
 * again. */
#ifndef SYNOD_CORE_STATE_KV_POOL_H
#define SYNOD_CORE_STATE_KV_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { KV_BLOCK = 128, KV_PIECE = 256 * 1024, KV_BLOCKS_A_SLAB = KV_PIECE / KV_BLOCK };

/* Number 0 is no block. */
struct kv_pool {
    uint8_t **slabs;
    size_t slabs_capacity;
    uint32_t slab_count;
    uint32_t fresh; /* the first block not used since the last reset */
    uint32_t free;  /* the first block of those given back */
};

static inline void *kv_block(const struct kv_pool *p, uint32_t number)
{
    return p->slabs[number / KV_BLOCKS_A_SLAB] + (size_t)(number % KV_BLOCKS_A_SLAB) * KV_BLOCK;
}

/* The link of a free block, or of a further block of an entry. */
static inline uint32_t *kv_block_link(const struct kv_pool *p, uint32_t number) { return kv_block(p, number); }

/* A block, not cleared. */
uint32_t kv_pool_take(struct kv_pool *p);
/* Gives back the blocks that are linked from `first` to `last`. Takes constant time. */
void kv_pool_give(struct kv_pool *p, uint32_t first, uint32_t last);
/* Gives back all blocks at once. */
void kv_pool_reset(struct kv_pool *p);
void kv_pool_close(struct kv_pool *p);

#endif
