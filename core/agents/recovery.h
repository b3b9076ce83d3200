/* What a learner agent finds in its journal after the last RECORD_CHOSEN, until the next one says that it is chosen: for
 * each slot the value at the highest ballot (decision 0006). */
#ifndef SYNOD_CORE_AGENTS_RECOVERY_H
#define SYNOD_CORE_AGENTS_RECOVERY_H

#include "core/base/slot_ring.h"
#include "core/base/types.h"

/* More slots than any window that a journal may name. */
enum { RECOVERY_SLOTS_MAX = 1 << 20 };

struct recovery {
    struct slot_ring found; /* base: the end of the last RECORD_CHOSEN, once given slots are freed */
    uint64_t given;         /* how many slots from the base on were given out */
    uint64_t window;        /* how many slots after the last RECORD_CHOSEN count */
    struct entry *entries;
    size_t entries_capacity;
};

/* Before any RECORD_CHOSEN, from slot 1 on. */
void recovery_init(struct recovery *r);
void recovery_close(struct recovery *r);
/* A snapshot has the slots before `slot`. Precondition: nothing was found yet. */
void recovery_skip(struct recovery *r, uint64_t slot);

/* The end of the last RECORD_CHOSEN: the first slot that was not taken. */
uint64_t recovery_next(const struct recovery *r);
/* Whether a record of this slot counts. */
bool recovery_is_near(const struct recovery *r, uint64_t slot);
/* Keeps a copy of a record's value, if the slot counts and no record of a higher ballot was found. */
void recovery_found(struct recovery *r, const struct entry *e);
/* The first slot before `to` that was not taken and of which no value was found; `to` if there is none. */
uint64_t recovery_lacks(const struct recovery *r, uint64_t to);
/* Takes the next slots before `to`: at most `slots_max` slots and `bytes_max` bytes of values, but at least one value. Gives
 * what was found of them, in order, valid until the next call. */
struct entry_list recovery_take(struct recovery *r, uint64_t to, uint64_t slots_max, uint64_t bytes_max);

#endif
