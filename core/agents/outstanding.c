#include "core/agents/outstanding.h"

#include "core/base/kept.h"

void outstanding_init(struct outstanding *o)
{
    *o = (struct outstanding){.end = 1, .queue = 1};
    slot_ring_init(&o->batches, sizeof(struct outstanding_batch), 64, 1);
}

void outstanding_close(struct outstanding *o)
{
    for (uint64_t n = o->batches.base; n < o->end; n++)
        payload_release(&((struct outstanding_batch *)slot_ring_at(&o->batches, n))->value);
    slot_ring_close(&o->batches);
}

uint64_t outstanding_next(const struct outstanding *o) { return o->end; }

void outstanding_add(struct outstanding *o, uint64_t token, uint64_t now)
{
    struct outstanding_batch *b = slot_ring_reach(&o->batches, o->end++);
    *b = (struct outstanding_batch){.token = token, .arrived_at = now, .asked_at = now, .waiting = true};
    o->count++;
    o->current++;
}

void outstanding_queue(struct outstanding *o, uint64_t number, const struct payload *value)
{
    struct outstanding_batch *b = slot_ring_at(&o->batches, number);
    invariant(b != NULL && b->waiting && !b->queued && b->slot == 0);
    b->queued = true;
    b->value = payload_keep(value);
}

/* The first queued batch; NULL when there is none. */
static struct outstanding_batch *first_queued(struct outstanding *o)
{
    if (o->queue < o->batches.base)
        o->queue = o->batches.base;
    for (; o->queue < o->end; o->queue++) {
        struct outstanding_batch *b = slot_ring_at(&o->batches, o->queue);
        if (b->queued)
            return b;
    }
    return NULL;
}

struct payload *outstanding_first(struct outstanding *o, uint64_t *number)
{
    struct outstanding_batch *b = first_queued(o);
    *number = o->queue;
    return b != NULL ? &b->value : NULL;
}

void outstanding_proposed(struct outstanding *o, uint64_t number, uint64_t slot)
{
    struct outstanding_batch *b = slot_ring_at(&o->batches, number);
    invariant(b != NULL && b->queued && slot > 0);
    b->slot = slot;
    b->queued = false;
    payload_release(&b->value);
}

/* Removes a batch that has its answer. */
static void take_out(struct outstanding *o, uint64_t number)
{
    struct outstanding_batch *b = slot_ring_at(&o->batches, number);
    invariant(b->waiting && o->count > 0); /* a token is answered once */
    b->waiting = b->queued = false;
    payload_release(&b->value);
    o->count--;
    o->current -= number >= o->changed;
    while (o->batches.base < o->end && !((struct outstanding_batch *)slot_ring_at(&o->batches, o->batches.base))->waiting)
        slot_ring_advance(&o->batches);
}

/* The batch, if it waits for an answer; otherwise NULL. */
static struct outstanding_batch *waiting_for_answer(struct outstanding *o, uint64_t number)
{
    struct outstanding_batch *b = number < o->end ? slot_ring_at(&o->batches, number) : NULL;
    return b != NULL && b->waiting && !b->queued ? b : NULL;
}

bool outstanding_answer(struct outstanding *o, uint64_t number, uint64_t slot, uint8_t outcome, uint64_t *token)
{
    const struct outstanding_batch *b = waiting_for_answer(o, number);
    if (b == NULL || (outcome != OUTCOME_EXECUTED && b->slot != slot))
        return false;
    *token = b->token;
    take_out(o, number);
    return true;
}

node_set outstanding_forgotten(struct outstanding *o, uint64_t number, uint64_t slot, uint32_t learner)
{
    struct outstanding_batch *b = waiting_for_answer(o, number);
    if (b == NULL || b->slot != slot)
        return 0;
    b->forgotten |= node_set_of(learner);
    return b->forgotten;
}

bool outstanding_unqueue(struct outstanding *o, struct outstanding_overdue *batch)
{
    struct outstanding_batch *b = first_queued(o);
    if (b == NULL)
        return false;
    *batch = (struct outstanding_overdue){.number = o->queue, .token = b->token, .queued = true};
    take_out(o, o->queue);
    return true;
}

bool outstanding_expired(struct outstanding *o, uint64_t now, uint64_t timeout, struct outstanding_overdue *batch)
{
    if (o->batches.base == o->end)
        return false;
    struct outstanding_batch *b = slot_ring_at(&o->batches, o->batches.base);
    if (now - b->arrived_at < timeout)
        return false;
    *batch =
        (struct outstanding_overdue){.number = o->batches.base, .slot = b->slot, .token = b->token, .queued = b->queued};
    take_out(o, o->batches.base);
    return true;
}

void outstanding_scan(struct outstanding *o) { o->scan = o->batches.base; }

bool outstanding_overdue(struct outstanding *o, uint64_t now, uint64_t interval, struct outstanding_overdue *batch)
{
    for (; o->scan < o->end; o->scan++) {
        struct outstanding_batch *b = slot_ring_at(&o->batches, o->scan);
        if (b == NULL || !b->waiting || b->slot == 0 || now - b->asked_at < interval)
            continue;
        b->asked_at = now;
        *batch = (struct outstanding_overdue){.number = o->scan++, .slot = b->slot, .forgotten = b->forgotten};
        batch->token = b->token;
        return true;
    }
    return false;
}

void outstanding_changed(struct outstanding *o)
{
    o->changed = o->end;
    o->current = 0;
}

bool outstanding_orphaned(struct outstanding *o, struct outstanding_overdue *batch)
{
    for (uint64_t number = o->batches.base; number < o->changed; number++) {
        const struct outstanding_batch *b = slot_ring_at(&o->batches, number);
        if (b == NULL || !b->waiting || b->queued || b->slot != 0)
            continue;
        *batch = (struct outstanding_overdue){.number = number, .token = b->token};
        take_out(o, number);
        return true;
    }
    return false;
}

uint64_t outstanding_count(const struct outstanding *o) { return o->count; }
uint64_t outstanding_current(const struct outstanding *o) { return o->current; }

void outstanding_audit(const struct outstanding *o)
{
    uint64_t waiting = 0, current = 0;
    for (uint64_t number = o->batches.base; number < o->end; number++) {
        const struct outstanding_batch *b = slot_ring_at(&o->batches, number);
        invariant(b != NULL && (b->waiting || number != o->batches.base));
        invariant(b->queued ? b->waiting && b->slot == 0 && b->value.len > 0 && number >= o->queue
                            : b->value.words.ptr == NULL);
        waiting += b->waiting;
        current += b->waiting && number >= o->changed;
    }
    invariant(o->count == waiting && o->current == current);
}
