/* The memory of the kv-store's keys and values: blocks of one size, so that what was given back always fits what is wanted next.
 *
 *     bytes of an entry   [ entry: 32 of header, 96 ] -> [ 4 of link, 124 ] -> [ 124 ] -> ... -> 0
 *
 * A store that mixes sizes cannot be worn out into holes: memory is the most blocks that were ever in use at a time, rounded up to
 * a slab, and the limit on what is stored (kv_table.h counts the same blocks) is a limit on memory. Links are numbers and not
 * pointers, so that a block holds the same on every machine. Slabs are never given back: they are wanted again. */
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
    uint32_t fresh; /* first block never used since the last reset */
    uint32_t free;  /* first of those given back */
};

static inline void *kv_block(const struct kv_pool *p, uint32_t number)
{
    return p->slabs[number / KV_BLOCKS_A_SLAB] + (size_t)(number % KV_BLOCKS_A_SLAB) * KV_BLOCK;
}

/* The link of a block that is free, or further than the first of an entry. */
static inline uint32_t *kv_block_link(const struct kv_pool *p, uint32_t number) { return kv_block(p, number); }

/* A block, not cleared. */
uint32_t kv_pool_take(struct kv_pool *p);
/* Gives back the blocks from `first` on that are linked up to `last`: in constant time. */
void kv_pool_give(struct kv_pool *p, uint32_t first, uint32_t last);
/* Gives back all blocks at once. */
void kv_pool_reset(struct kv_pool *p);
void kv_pool_close(struct kv_pool *p);

#endif
