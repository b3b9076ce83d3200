/* What a learner agent finds in its journal beyond the last mark (RECORD_CHOSEN), until the next one says that it is chosen: of each
 * slot the value at the highest ballot (decision 0006). */
#ifndef SYNOD_CORE_AGENTS_RECOVERY_H
#define SYNOD_CORE_AGENTS_RECOVERY_H

#include "core/base/slot_ring.h"
#include "core/base/types.h"

/* More than any window that a journal may name. */
enum { RECOVERY_SLOTS_MAX = 1 << 20 };

struct recovery {
    struct slot_ring found; /* base: the end of the last mark, once what was given is freed */
    uint64_t given;         /* so many slots from there on were given out */
    uint64_t window;        /* records count that lie less than this beyond the last mark */
    struct entry *entries;
    size_t entries_capacity;
};

/* Before any mark, from slot 1 on. */
void recovery_init(struct recovery *r);
void recovery_close(struct recovery *r);

/* The end of the last mark: the first slot that was not taken. */
uint64_t recovery_next(const struct recovery *r);
/* Whether a record of this slot counts. */
bool recovery_is_near(const struct recovery *r, uint64_t slot);
/* Keeps a copy of the value of a record, if it counts and none of a higher ballot was found. */
void recovery_found(struct recovery *r, const struct entry *e);
/* The first slot before `to` and not taken of which no value was found; `to`: there is none. */
uint64_t recovery_lacks(const struct recovery *r, uint64_t to);
/* Takes the next `slots_max` slots at most, before `to`, and `bytes_max` bytes of values (one value at least): what was found of them,
 * in order, valid until the next call. */
struct entry_list recovery_take(struct recovery *r, uint64_t to, uint64_t slots_max, uint64_t bytes_max);

#endif
