/* A table of things that come and go: connections, batches on their way. Each has a slot, and is known by a token: the slot,
 * and the number of the thing among all that the table has had (modulo 2^32). A free slot is used again, its token is not:
 * one that comes late, or that was made up, finds nothing. The table grows to the most things that it had at once, and never
 * shrinks. */
#ifndef SYNOD_IO_SLOTS_H
#define SYNOD_IO_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slot {
    void *item; /* NULL: the slot is free */
    uint32_t serial;
    uint32_t next_free; /* 1 + the index of the next free slot; 0: this is the last one */
};

/* A zeroed one is empty. */
struct slots {
    struct slot *ptr;
    size_t capacity;
    uint32_t first_free; /* as next_free */
    uint32_t serial;     /* of the token given out last */
};

/* Gives `item`, which is not NULL, a slot. Returns its token, which is not 0. */
uint64_t slots_put(struct slots *t, void *item);
/* The item with this token. NULL: there is none. */
void *slots_find(const struct slots *t, uint64_t token);
/* The same, and frees its slot. */
void *slots_take(struct slots *t, uint64_t token);
/* The next item, from slot `*at` on, which is moved after it. NULL: there are no more. Items may be taken in between. */
void *slots_next(const struct slots *t, size_t *at);
/* Frees the table, but not what is in it. */
void slots_close(struct slots *t);

/* The number of the item among all that the table had, from 1 on: what is short enough to be shown. */
static inline uint32_t slots_number(uint64_t token) { return (uint32_t)(token >> 32); }

#endif
