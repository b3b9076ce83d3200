/* Batches of reads that proposers have sent to this learner (P9). Each waits until the learner has executed what its
 * proposer names; then the state machine answers it, in pieces where that is much work. A part of the learner agent. */
#ifndef SYNOD_CORE_AGENTS_QUERIES_H
#define SYNOD_CORE_AGENTS_QUERIES_H

#include "core/agents/answering.h"

struct query {
    uint32_t proposer;
    struct batch_id batch;
    uint64_t index; /* every slot below must be executed before it is answered; or of which time the state must be (P27) */
    uint64_t age;   /* P27 */
    uint64_t arrived_at;
    struct payload value;
};

struct queries {
    const struct limits *limits;
    uint64_t bytes_max, patience;
    struct query *items; /* oldest first */
    size_t count, capacity;
    uint64_t bytes; /* of their values */

    bool begun; /* items[current] has been begun */
    size_t current;
    struct answering answering;
};

/* Values of `bytes_max` bytes at most are kept, about, and each for `patience`. `limits` must outlive the queries. */
void queries_init(struct queries *q, const struct limits *limits, uint64_t bytes_max, uint64_t patience);
void queries_close(struct queries *q);

/* A QUERY has come. It is dropped when it waits already; and when there is no room (false): its proposer asks again. */
bool queries_add(struct queries *q, uint32_t proposer, const struct message *m, uint64_t now);

/* Forgets one that has waited too long: its proposer has given it up. False: there is none. */
bool queries_expired(struct queries *q, uint64_t now, struct batch_id *batch);

enum query_state {
    QUERIES_WAIT,   /* none may be answered now, or the state machine answers none */
    QUERY_ANSWERED, /* one was */
    QUERIES_LEFT,   /* there is more to do, and enough was done */
};

/* Goes on with the first one that may be answered by a state in which every slot below `executed` is executed, until
 * `*work` is limits.step_work. QUERY_ANSWERED: `*answered` is it, and `*replies` are its packed replies, valid until the
 * next call. */
enum query_state queries_run(struct queries *q, struct state_machine *machine, struct moment now, uint64_t executed,
                             uint64_t *work, struct query *answered, struct payload *replies);

/* For tests: traps unless its counters agree with its contents. */
void queries_audit(const struct queries *q);

#endif
