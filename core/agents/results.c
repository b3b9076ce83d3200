#include "core/agents/results.h"

#include "core/base/kept.h"

void results_init(struct results *r, uint64_t slots_max, uint64_t bytes_max)
{
    *r = (struct results){.slots_max = slots_max, .bytes_max = bytes_max, .end = 1};
    slot_ring_init(&r->ring, sizeof(struct result), slots_max, 1);
}

static void drop_oldest(struct results *r)
{
    struct result *oldest = slot_ring_at(&r->ring, r->ring.base);
    r->bytes -= oldest->replies.len;
    payload_release(&oldest->replies);
    slot_ring_advance(&r->ring);
}

void results_close(struct results *r)
{
    while (r->ring.base < r->end)
        drop_oldest(r);
    slot_ring_close(&r->ring);
}

void results_widen(struct results *r, uint64_t slots_max)
{
    r->slots_max = slots_max > r->slots_max ? slots_max : r->slots_max;
}

void results_trim(struct results *r)
{
    while (r->ring.base < r->end && (r->end - r->ring.base > r->slots_max || r->bytes > r->bytes_max))
        drop_oldest(r);
    r->trimmed_end = r->end;
}

void results_skip(struct results *r, uint64_t slot)
{
    while (r->ring.base < r->end)
        drop_oldest(r);
    slot_ring_jump(&r->ring, slot);
    r->end = r->trimmed_end = slot;
}

struct result *results_add(struct results *r, uint64_t slot)
{
    invariant(slot == r->end);
    r->end++;
    return slot_ring_reach(&r->ring, slot);
}

void results_set(struct results *r, struct result *result, struct batch_id batch, const struct payload *replies)
{
    result->skipped = false;
    result->batch = batch;
    result->replies = payload_keep(replies);
    r->bytes += replies->len;
}

const struct result *results_find(const struct results *r, uint64_t slot)
{
    return slot < r->end ? slot_ring_at(&r->ring, slot) : NULL;
}

void results_audit(const struct results *r)
{
    uint64_t bytes = 0, trimmed_bytes = 0;
    for (uint64_t slot = r->ring.base; slot < r->end; slot++) {
        const struct result *result = slot_ring_at(&r->ring, slot);
        bytes += result->replies.len;
        trimmed_bytes += slot < r->trimmed_end ? result->replies.len : 0;
    }
    invariant(r->bytes == bytes && trimmed_bytes <= r->bytes_max);
    invariant(r->trimmed_end <= r->ring.base || r->trimmed_end - r->ring.base <= r->slots_max);
}
