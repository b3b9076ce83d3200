/* Numbers above 0, found by the hash of what they stand for. That is stored elsewhere: the caller compares it. */
#ifndef SYNOD_SIM_HASH_INDEX_H
#define SYNOD_SIM_HASH_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* Zero is an empty one. */
struct hash_index {
    uint64_t *places; /* open addressing: the upper half of a hash, and below it the number; 0: free */
    size_t capacity;  /* places allocated */
    size_t size;      /* places in use: a power of two, so that a small index is quick to clear */
    size_t count;
};

void hash_index_close(struct hash_index *x);
/* Removes all numbers; keeps the memory. */
void hash_index_clear(struct hash_index *x);

/* The next number under `hash`, from `*at` on, which is 0 for the first; 0: no more. A few numbers of other hashes may be
 * among them. */
uint32_t hash_index_next(const struct hash_index *x, uint64_t hash, uint32_t *at);

void hash_index_add(struct hash_index *x, uint64_t hash, uint32_t number);

/* A hash for a key that is a number itself. */
static inline uint64_t hash_of_number(uint64_t key) { return key * UINT64_C(0x9e3779b97f4a7c15); }

#endif
