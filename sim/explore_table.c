#include "sim/explore_table.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"

void explore_table_init(struct explore_table *t, size_t width) { *t = (struct explore_table){.width = width}; }

void explore_table_close(struct explore_table *t)
{
    for (size_t i = 0; i < t->chunk_count; i++)
        free(t->chunks[i]);
    free(t->chunks);
    hash_index_close(&t->index);
    *t = (struct explore_table){0};
}

/* The number of a string with this hash; EXPLORE_NONE when it is not there. */
static uint32_t find(const struct explore_table *t, const void *string, uint64_t hash)
{
    for (uint32_t number, at = 0; (number = hash_index_next(&t->index, hash, &at)) != 0;)
        if (memcmp(explore_table_at(t, number - 1), string, t->width) == 0)
            return number - 1;
    return EXPLORE_NONE;
}

uint32_t explore_table_find(const struct explore_table *t, const void *string)
{
    return find(t, string, checksum(string, t->width, 0));
}

uint32_t explore_table_put(struct explore_table *t, const void *string, bool *is_new)
{
    uint64_t hash = checksum(string, t->width, 0);
    uint32_t number = find(t, string, hash);
    if (is_new != NULL)
        *is_new = number == EXPLORE_NONE;
    if (number != EXPLORE_NONE)
        return number;
    invariant(t->count < UINT32_MAX - 1);
    if (t->count == t->chunk_count * EXPLORE_TABLE_CHUNK) {
        t->chunks = memory_reserve(t->chunks, &t->chunk_capacity, t->chunk_count + 1, sizeof *t->chunks);
        t->chunks[t->chunk_count] = malloc(EXPLORE_TABLE_CHUNK * t->width);
        invariant(t->chunks[t->chunk_count] != NULL);
        t->chunk_count++;
    }
    number = t->count++;
    memcpy(t->chunks[number / EXPLORE_TABLE_CHUNK] + (size_t)(number % EXPLORE_TABLE_CHUNK) * t->width, string, t->width);
    hash_index_add(&t->index, hash, t->count);
    return number;
}
