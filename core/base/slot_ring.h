/* A window of items by slot: slots [base, base + capacity) have an item each, zeroed when the window first reaches them.
 * The capacity is a power of two and grows on demand. */
#ifndef SYNOD_CORE_BASE_SLOT_RING_H
#define SYNOD_CORE_BASE_SLOT_RING_H

#include "core/base/memory.h"

/* More than any window. A request beyond it means that a caller did not bound what came from outside. */
#define SLOT_RING_SLOTS_MAX (UINT64_C(1) << 30)

struct slot_ring {
    uint8_t *items;
    size_t item_size;
    uint64_t capacity;
    uint64_t base;
};

static inline void slot_ring_init(struct slot_ring *r, size_t item_size, uint64_t slots, uint64_t base)
{
    invariant(slots <= SLOT_RING_SLOTS_MAX);
    r->item_size = item_size;
    r->capacity = 8;
    while (r->capacity < slots)
        r->capacity *= 2;
    r->base = base;
    r->items = memory_new((size_t)r->capacity, item_size);
}

static inline void slot_ring_close(struct slot_ring *r) { free(r->items); }

/* The item of a slot; NULL outside the window. */
static inline void *slot_ring_at(const struct slot_ring *r, uint64_t slot)
{
    if (slot < r->base || slot - r->base >= r->capacity)
        return NULL;
    return r->items + (size_t)(slot & (r->capacity - 1)) * r->item_size;
}

/* The item of a slot at or above the base; the window grows to reach it. */
static inline void *slot_ring_reach(struct slot_ring *r, uint64_t slot)
{
    invariant(slot >= r->base);
    if (slot - r->base >= r->capacity) {
        struct slot_ring grown;
        slot_ring_init(&grown, r->item_size, slot - r->base + 1, r->base);
        for (uint64_t s = r->base; s < r->base + r->capacity; s++)
            memcpy(slot_ring_at(&grown, s), slot_ring_at(r, s), r->item_size);
        free(r->items);
        *r = grown;
    }
    return slot_ring_at(r, slot);
}

/* Moves the window's base up by one slot. The caller has released what the item owned. */
static inline void slot_ring_advance(struct slot_ring *r)
{
    memset(slot_ring_at(r, r->base), 0, r->item_size);
    r->base++;
}

/* Moves the window's base up to `base`. No item in the window owns anything. */
static inline void slot_ring_jump(struct slot_ring *r, uint64_t base)
{
    invariant(base >= r->base);
    memset(r->items, 0, (size_t)r->capacity * r->item_size);
    r->base = base;
}

#endif
