#include "sim/explore_table.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"

enum { PLACES_MIN = 1024 };

static const uint64_t number_mask = UINT32_MAX;

void explore_table_init(struct explore_table *t, size_t width)
{
    *t = (struct explore_table){.width = width, .place_count = PLACES_MIN};
    t->places = memory_new(t->place_count, sizeof *t->places);
}

void explore_table_close(struct explore_table *t)
{
    for (size_t i = 0; i < t->chunk_count; i++)
        free(t->chunks[i]);
    free(t->chunks);
    free(t->places);
    *t = (struct explore_table){0};
}

/* The place of a string with this hash, or the free one where it belongs. */
static size_t place_of(const struct explore_table *t, const void *string, uint64_t hash)
{
    size_t place = (size_t)hash & (t->place_count - 1);
    for (;; place = (place + 1) & (t->place_count - 1)) {
        uint64_t entry = t->places[place];
        if (entry == 0)
            return place;
        if ((entry ^ hash) <= number_mask &&
            memcmp(explore_table_at(t, (uint32_t)(entry & number_mask) - 1), string, t->width) == 0)
            return place;
    }
}

static void grow(struct explore_table *t)
{
    free(t->places);
    t->place_count *= 2;
    t->places = memory_new(t->place_count, sizeof *t->places);
    for (uint32_t n = 0; n < t->count; n++) {
        uint64_t hash = checksum(explore_table_at(t, n), t->width, 0);
        size_t place = (size_t)hash & (t->place_count - 1);
        while (t->places[place] != 0)
            place = (place + 1) & (t->place_count - 1);
        t->places[place] = (hash & ~number_mask) | (n + 1);
    }
}

uint32_t explore_table_find(const struct explore_table *t, const void *string)
{
    uint64_t entry = t->places[place_of(t, string, checksum(string, t->width, 0))];
    return entry != 0 ? (uint32_t)(entry & number_mask) - 1 : EXPLORE_NONE;
}

uint32_t explore_table_put(struct explore_table *t, const void *string, bool *is_new)
{
    uint64_t hash = checksum(string, t->width, 0);
    size_t place = place_of(t, string, hash);
    if (is_new != NULL)
        *is_new = t->places[place] == 0;
    if (t->places[place] != 0)
        return (uint32_t)(t->places[place] & number_mask) - 1;
    invariant(t->count < UINT32_MAX - 1);
    if (t->count == t->chunk_count * EXPLORE_TABLE_CHUNK) {
        t->chunks = memory_reserve(t->chunks, &t->chunk_capacity, t->chunk_count + 1, sizeof *t->chunks);
        t->chunks[t->chunk_count] = malloc(EXPLORE_TABLE_CHUNK * t->width);
        invariant(t->chunks[t->chunk_count] != NULL);
        t->chunk_count++;
    }
    uint32_t number = t->count++;
    memcpy(t->chunks[number / EXPLORE_TABLE_CHUNK] + (size_t)(number % EXPLORE_TABLE_CHUNK) * t->width, string, t->width);
    t->places[place] = (hash & ~number_mask) | (number + 1);
    if (t->count > t->place_count / 4 * 3)
        grow(t);
    return number;
}
