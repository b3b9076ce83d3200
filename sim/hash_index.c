#include "sim/hash_index.h"

#include "core/base/memory.h"

enum { SIZE_MIN = 256 };

void hash_index_close(struct hash_index *x)
{
    free(x->places);
    *x = (struct hash_index){0};
}

static void resize(struct hash_index *x, size_t size)
{
    x->places = memory_reserve(x->places, &x->capacity, size, sizeof *x->places);
    memset(x->places, 0, size * sizeof *x->places);
    x->size = size;
}

void hash_index_clear(struct hash_index *x)
{
    x->count = 0;
    if (x->size > 0)
        resize(x, SIZE_MIN);
}

uint32_t hash_index_next(const struct hash_index *x, uint64_t hash, uint32_t *at)
{
    if (x->size == 0)
        return 0;
    for (;;) {
        uint64_t place = x->places[((hash >> 32) + *at) & (x->size - 1)];
        if (place == 0)
            return 0;
        (*at)++;
        if (place >> 32 == hash >> 32)
            return (uint32_t)place;
    }
}

static void put(struct hash_index *x, uint64_t place)
{
    size_t at = (size_t)(place >> 32) & (x->size - 1);
    while (x->places[at] != 0)
        at = (at + 1) & (x->size - 1);
    x->places[at] = place;
}

static void grow(struct hash_index *x)
{
    struct hash_index old = *x;
    *x = (struct hash_index){.count = old.count};
    resize(x, old.size > 0 ? 2 * old.size : SIZE_MIN);
    for (size_t i = 0; i < old.size; i++)
        if (old.places[i] != 0)
            put(x, old.places[i]);
    free(old.places);
}

void hash_index_add(struct hash_index *x, uint64_t hash, uint32_t number)
{
    invariant(number > 0);
    if (x->count >= x->size / 4 * 3)
        grow(x);
    put(x, (hash >> 32 << 32) | number);
    x->count++;
}
