/* The bounded ring of recent results: which batch a slot held and how it was answered, for proposers that ask again. */
#ifndef SYNOD_CORE_AGENTS_RESULTS_H
#define SYNOD_CORE_AGENTS_RESULTS_H

#include "core/base/slot_ring.h"

struct result {
    struct batch_id batch; /* none: the slot held no batch */
    struct payload replies;
    bool skipped; /* the slot held a batch that was not executed there, so nothing is known of it */
};

struct results {
    struct slot_ring ring; /* base: the oldest slot remembered */
    uint64_t end;          /* first slot not added */
    uint64_t trimmed_end;  /* `end` when the bounds were last kept */
    uint64_t slots_max, bytes_max;
    uint64_t bytes;
};

void results_init(struct results *r, uint64_t slots_max, uint64_t bytes_max);
void results_close(struct results *r);

/* So many slots at least are remembered. */
void results_widen(struct results *r, uint64_t slots_max);

/* Forgets the oldest results beyond the bounds. Results found or set before stay valid until then. */
void results_trim(struct results *r);

/* Forgets everything. The next slot is `slot`, at or above `end`. */
void results_skip(struct results *r, uint64_t slot);

/* Adds the next slot, holding nothing yet. */
struct result *results_add(struct results *r, uint64_t slot);
/* Says which batch the slot held; `replies` is copied. */
void results_set(struct results *r, struct result *result, struct batch_id batch, const struct payload *replies);
/* The result of a slot; NULL when it is forgotten. */
const struct result *results_find(const struct results *r, uint64_t slot);

/* For tests: traps unless its counters agree with its contents, and the bounds hold for all but what was added since they
 * were last kept. */
void results_audit(const struct results *r);

#endif
