/* Client batches of one proposer between arrival and answer, by number. A batch is queued (has its value, no slot), proposed
 * (has a slot), or forwarded (has neither). It is never proposed twice (P8). A part of the proposer agent. */
#ifndef SYNOD_CORE_AGENTS_OUTSTANDING_H
#define SYNOD_CORE_AGENTS_OUTSTANDING_H

#include "core/base/slot_ring.h"

struct outstanding_batch {
    uint64_t token;
    uint64_t arrived_at;
    uint64_t asked_at; /* when a learner was last asked for its result */
    uint64_t slot;     /* 0: not proposed by this node */
    struct payload value;
    node_set forgotten; /* learners that have executed it, and no longer know its result */
    bool waiting;       /* for its answer */
    bool queued;
};

struct outstanding {
    struct slot_ring batches; /* by number; base: the oldest unanswered */
    uint64_t end;             /* number of the next batch */
    uint64_t queue;           /* every queued batch has at least this number */
    uint64_t scan;
    uint64_t count;
    uint64_t changed; /* batches below this number came before the last change of leader */
    uint64_t current; /* how many of `count` came since then */
};

struct outstanding_overdue {
    uint64_t number;
    uint64_t slot;
    uint64_t token;
    node_set forgotten; /* as the batch's */
    bool queued;        /* it was never proposed */
};

void outstanding_init(struct outstanding *o);
void outstanding_close(struct outstanding *o);
/* The number that the next batch gets. */
uint64_t outstanding_next(const struct outstanding *o);
/* Adds a batch that waits for its answer. */
void outstanding_add(struct outstanding *o, uint64_t token, uint64_t now);
/* The batch just added waits to be proposed. Its value is copied. */
void outstanding_queue(struct outstanding *o, uint64_t number, const struct payload *value);
/* The first queued batch's value and number; NULL when there is none. */
struct payload *outstanding_first(struct outstanding *o, uint64_t *number);
/* The first queued batch got a slot; its value is released. */
void outstanding_proposed(struct outstanding *o, uint64_t number, uint64_t slot);
/* An answer came for a batch, about `slot`. False when the batch does not wait for it: it was answered before, or it was not
 * proposed in that slot. */
bool outstanding_answer(struct outstanding *o, uint64_t number, uint64_t slot, uint8_t outcome, uint64_t *token);
/* A learner says that the batch's slot was executed too long ago to know the result. Returns all learners that have said so
 * of this batch; none, when it does not wait for an answer about that slot. */
node_set outstanding_forgotten(struct outstanding *o, uint64_t number, uint64_t slot, uint32_t learner);
/* Removes a queued batch; false when there is none. */
bool outstanding_unqueue(struct outstanding *o, struct outstanding_overdue *batch);
/* Removes the oldest batch if it has waited for `timeout`. */
bool outstanding_expired(struct outstanding *o, uint64_t now, uint64_t timeout, struct outstanding_overdue *batch);
/* Goes through the proposed batches, beginning at outstanding_scan. Gives those that have waited for `interval` since a
 * learner was last asked about them, and counts them as asked about now. */
void outstanding_scan(struct outstanding *o);
bool outstanding_overdue(struct outstanding *o, uint64_t now, uint64_t interval, struct outstanding_overdue *batch);
/* The leader has changed: the batches so far were meant for another one. */
void outstanding_changed(struct outstanding *o);
/* Whether batches that came before it have no answer yet. */
static inline bool outstanding_has_earlier(const struct outstanding *o) { return o->batches.base < o->changed; }
/* Removes a batch that was forwarded to the leader before the last change; false when there is none. */
bool outstanding_orphaned(struct outstanding *o, struct outstanding_overdue *batch);
uint64_t outstanding_count(const struct outstanding *o);
/* How many batches came since the last change of leader. */
uint64_t outstanding_current(const struct outstanding *o);

/* For tests: traps unless its counters agree with its contents. */
void outstanding_audit(const struct outstanding *o);

#endif
