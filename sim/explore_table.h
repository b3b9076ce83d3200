/* Byte strings of one width, each kept once, numbered from 0 in the order in which they came. */
#ifndef SYNOD_SIM_EXPLORE_TABLE_H
#define SYNOD_SIM_EXPLORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/hash_index.h"

#define EXPLORE_NONE UINT32_MAX

enum { EXPLORE_TABLE_CHUNK = 4096 }; /* strings; a power of two */

struct explore_table {
    size_t width;
    uint32_t count;
    uint8_t **chunks; /* of EXPLORE_TABLE_CHUNK strings each; strings never move */
    size_t chunk_count, chunk_capacity;
    struct hash_index index; /* each string's number + 1 */
};

void explore_table_init(struct explore_table *t, size_t width);
void explore_table_close(struct explore_table *t);

/* The number of a string; EXPLORE_NONE when it is not there. */
uint32_t explore_table_find(const struct explore_table *t, const void *string);

/* The number of a string. It is added if it is not there (`*is_new`, which may be NULL). */
uint32_t explore_table_put(struct explore_table *t, const void *string, bool *is_new);

static inline const void *explore_table_at(const struct explore_table *t, uint32_t number)
{
    return t->chunks[number / EXPLORE_TABLE_CHUNK] + (size_t)(number % EXPLORE_TABLE_CHUNK) * t->width;
}

#endif
