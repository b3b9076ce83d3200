#include "core/state/kv_pool.h"

#include "core/base/memory.h"

uint32_t kv_pool_take(struct kv_pool *p)
{
    uint32_t number = p->free;
    if (number != 0) {
        p->free = *kv_block_link(p, number);
        return number;
    }
    if (p->fresh == 0)
        p->fresh = 1;
    if (p->fresh / KV_BLOCKS_A_SLAB == p->slab_count) {
        p->slabs = memory_reserve(p->slabs, &p->slabs_capacity, (size_t)p->slab_count + 1, sizeof *p->slabs);
        p->slabs[p->slab_count] = malloc(KV_PIECE);
        invariant(p->slabs[p->slab_count] != NULL);
        p->slab_count++;
    }
    return p->fresh++;
}

void kv_pool_give(struct kv_pool *p, uint32_t first, uint32_t last)
{
    *kv_block_link(p, last) = p->free;
    p->free = first;
}

void kv_pool_reset(struct kv_pool *p)
{
    p->fresh = 1;
    p->free = 0;
}

void kv_pool_close(struct kv_pool *p)
{
    for (uint32_t i = 0; i < p->slab_count; i++)
        free(p->slabs[i]);
    free(p->slabs);
    *p = (struct kv_pool){0};
}
