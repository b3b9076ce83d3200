/* The keys of a table that end by themselves, in order of (time, hash, key): a binary heap, whose first one ends first. So
 * the order in which keys are removed depends on the keys alone, not on where they are in memory or what was there before.
 *
 *     times   block of a time | ... | ...          in segments of one piece, so nothing is copied when it grows
 *                |     ^ place
 *     kv_time    until, entry -> the entry
 *
 * Keys without a time are not in it, and cost nothing. */
#ifndef SYNOD_CORE_STATE_KV_TIMES_H
#define SYNOD_CORE_STATE_KV_TIMES_H

#include "core/state/kv_table.h"

enum { KV_TIMES_A_SEGMENT = KV_PIECE / sizeof(uint32_t) };

struct kv_times {
    uint32_t *segments[KV_SEGMENTS];
    uint32_t count;
    uint64_t sum; /* of all `until`, those farther away than KV_TIMES_FAR as that */
};
#define KV_TIMES_FAR (UINT64_C(1) << 38) /* eight years: the sum has room for as many as there are places */

/* Forgets all; the segments go back to `pieces`. */
void kv_times_clear(struct kv_times *o, struct kv_pieces *pieces);

/* Gives an entry of `t` its time, or another one. Precondition: the key is there. */
void kv_times_set(struct kv_times *o, struct kv_table *t, struct bytes key, uint64_t until);
/* Takes an entry out of the order; it keeps its time. To be called before the entry leaves the table. */
void kv_times_leave(struct kv_times *o, struct kv_table *t, const struct kv_entry *e);

/* The entry that ends first; NULL when none ends. */
struct kv_entry *kv_times_first(const struct kv_times *o, const struct kv_table *t);
/* How many milliseconds they have left, on average. */
uint64_t kv_times_left(const struct kv_times *o, uint64_t elapsed);
/* How many have ended at `elapsed`; at most `most` + 1 are counted. */
uint64_t kv_times_over(const struct kv_times *o, struct kv_table *t, uint64_t elapsed, uint64_t most);

#endif
