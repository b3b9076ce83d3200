#include "core/state/kv_pool.h"

#include "core/base/memory.h"

/* ---- Pieces ---- */

uint8_t *kv_pieces_take(struct kv_pieces *p)
{
    p->used++;
    if (p->spare_count > 0)
        return p->spare[--p->spare_count];
    uint8_t *piece = malloc(KV_PIECE);
    invariant(piece != NULL);
    return piece;
}

void kv_pieces_give(struct kv_pieces *p, uint8_t *piece)
{
    invariant(p->used > 0);
    p->used--;
    p->spare = memory_reserve(p->spare, &p->spare_capacity, p->spare_count + 1, sizeof *p->spare);
    p->spare[p->spare_count++] = piece;
}

void kv_pieces_close(struct kv_pieces *p)
{
    invariant(p->used == 0);
    for (size_t i = 0; i < p->spare_count; i++)
        free(p->spare[i]);
    free(p->spare);
    *p = (struct kv_pieces){0};
}

/* ---- Blocks ---- */

enum { FIRST_BLOCK = 1 };

void kv_pool_init(struct kv_pool *p, struct kv_pieces *pieces)
{
    *p = (struct kv_pool){.pieces = pieces, .fresh = FIRST_BLOCK};
}

uint32_t kv_pool_take(struct kv_pool *p)
{
    uint32_t number = p->free;
    if (number != 0) {
        p->free = *kv_block_link(p, number);
        p->given--;
        return number;
    }
    if (p->fresh / KV_BLOCKS_A_PIECE == p->slab_count) {
        p->slabs = memory_reserve(p->slabs, &p->slabs_capacity, (size_t)p->slab_count + 1, sizeof *p->slabs);
        p->slabs[p->slab_count++] = kv_pieces_take(p->pieces);
    }
    return p->fresh++;
}

void kv_pool_give(struct kv_pool *p, uint32_t first, uint32_t last, uint32_t count)
{
    *kv_block_link(p, last) = p->free;
    p->free = first;
    p->given += count;
    invariant(p->given < p->fresh);
}

void kv_pool_reset(struct kv_pool *p)
{
    while (p->slab_count > 0)
        kv_pieces_give(p->pieces, p->slabs[--p->slab_count]);
    p->fresh = FIRST_BLOCK;
    p->free = p->given = 0;
}

void kv_pool_close(struct kv_pool *p)
{
    kv_pool_reset(p);
    free(p->slabs);
    p->slabs = NULL;
    p->slabs_capacity = 0;
}

uint32_t kv_pool_left(const struct kv_pool *p)
{
    uint32_t blocks = p->slab_count * KV_BLOCKS_A_PIECE;
    return p->given + (blocks > p->fresh ? blocks - p->fresh : 0);
}
