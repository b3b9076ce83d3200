/* The memory for the kv-store's keys and values. It comes in pieces of one size, which are blocks of entries in a pool, or
 * buckets of a table. All blocks have one size, too, so a block that was given back fits every later need.
 *
 *     bytes of an entry   [ entry: 32 of header, 96 ] -> [ 4 of link, 124 ] -> [ 124 ] -> ... -> 0
 *
 * Entries of mixed sizes cannot fragment the memory: a pool takes the largest number of blocks that were ever in use at a
 * time, rounded up to a piece. kv_table.h counts the same blocks, so the limit on what is stored is a limit on memory. Links
 * are numbers, not pointers, so a block has the same size on every machine. Pieces are never given back to the allocator:
 * they are needed again. */
#ifndef SYNOD_CORE_STATE_KV_POOL_H
#define SYNOD_CORE_STATE_KV_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { KV_BLOCK = 128, KV_PIECE = 256 * 1024, KV_BLOCKS_A_PIECE = KV_PIECE / KV_BLOCK };

/* Pieces that several pools and tables share. */
struct kv_pieces {
    uint8_t **spare; /* pieces that are not in use */
    size_t spare_count, spare_capacity;
    uint32_t used; /* pieces that are in use */
};

/* A piece, not cleared. */
uint8_t *kv_pieces_take(struct kv_pieces *p);
void kv_pieces_give(struct kv_pieces *p, uint8_t *piece);
/* Precondition: no piece is in use. */
void kv_pieces_close(struct kv_pieces *p);

/* Blocks. Number 0 is no block. */
struct kv_pool {
    struct kv_pieces *pieces;
    uint8_t **slabs; /* the pieces that it has */
    size_t slabs_capacity;
    uint32_t slab_count;
    uint32_t fresh; /* the first block not used since the last reset */
    uint32_t free;  /* the first block of those given back */
    uint32_t given; /* how many those are */
};

static inline void *kv_block(const struct kv_pool *p, uint32_t number)
{
    return p->slabs[number / KV_BLOCKS_A_PIECE] + (size_t)(number % KV_BLOCKS_A_PIECE) * KV_BLOCK;
}

/* The link of a free block, or of a further block of an entry. */
static inline uint32_t *kv_block_link(const struct kv_pool *p, uint32_t number) { return kv_block(p, number); }

void kv_pool_init(struct kv_pool *p, struct kv_pieces *pieces);
/* A block, not cleared. */
uint32_t kv_pool_take(struct kv_pool *p);
/* Gives back the `count` blocks that are linked from `first` to `last`. Takes constant time. */
void kv_pool_give(struct kv_pool *p, uint32_t first, uint32_t last, uint32_t count);
/* Gives back all blocks at once, and all pieces. */
void kv_pool_reset(struct kv_pool *p);
void kv_pool_close(struct kv_pool *p);
/* How many blocks it can give without another piece. */
uint32_t kv_pool_left(const struct kv_pool *p);

#endif
