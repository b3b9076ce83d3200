/* Reads without a slot (P9), from arrival to their one answer. A part of the proposer agent; read_rounds.c begins with the
 * description. */
#ifndef SYNOD_CORE_AGENTS_READ_ROUNDS_H
#define SYNOD_CORE_AGENTS_READ_ROUNDS_H

#include "core/base/slot_ring.h"

struct read_batch {
    uint64_t token;
    uint64_t arrived_at;
    uint64_t asked_at; /* when a learner was last asked */
    uint32_t times_asked;
    uint64_t index;     /* a learner that has executed every slot below may answer; 0: not confirmed yet */
    struct entry entry; /* its value: the commands */
    bool waiting;       /* for its answer */
};

struct read_rounds {
    struct slot_ring batches; /* by number; base: the oldest unanswered */
    uint64_t confirmed;       /* batches below this number were confirmed by a round */
    uint64_t asked;           /* those from `confirmed` up to this one are in the open round */
    uint64_t end;             /* number of the next batch */
    uint64_t count;           /* that wait for their answers */

    /* the round that is open, or the last one */
    bool open;
    uint64_t round;       /* its number */
    struct ballot ballot; /* the leader's, which may be another node */
    uint64_t index;
    node_set answered;
    node_set quick; /* acceptors that confirmed the round before */
    uint64_t begun_at;
    uint64_t again_at;     /* then those that have not answered are asked again */
    uint64_t confirmed_at; /* when the last round that was confirmed began; 0: none was */
    uint64_t confirmed_index;
    bool wanted; /* a round, though nothing waits for it: to know how old the state is (P27) */

    /* Followers that want the index for rounds of their own. */
    node_set askers; /* they wait for the next round */
    node_set served; /* the open round, or the last one, is theirs, too */
    uint64_t round_of[NODE_ID_MAX + 1];
    uint32_t life_of[NODE_ID_MAX + 1]; /* the incarnation that has that round */
};

void read_rounds_init(struct read_rounds *r);
void read_rounds_close(struct read_rounds *r);
/* A batch of reads has arrived. Its value is copied. */
void read_rounds_add(struct read_rounds *r, uint64_t token, const struct payload *value, uint64_t now);

/* A follower, in its life `incarnation`, wants the index for its round of this number. */
void read_rounds_ask(struct read_rounds *r, uint32_t follower, uint32_t incarnation, uint64_t round);
/* Reads have come that a state may answer which is so old: wants a round in time. */
void read_rounds_stale(struct read_rounds *r, uint64_t age_us, uint64_t now);
/* Whether a round was confirmed that began at `since` or later: all that was proposed before `since` is below `*index`. If
 * not, wants one. */
bool read_rounds_since(struct read_rounds *r, uint64_t since, uint64_t *index);
/* Whether batches or followers wait for a round, or one is wanted, and none is open. */
bool read_rounds_may_begin(const struct read_rounds *r);
/* Begins a round for all that wait. `next` was not proposed yet, by the leader at this ballot; 0: the leader is another
 * node, which will tell. */
void read_rounds_begin(struct read_rounds *r, struct ballot ballot, uint64_t next, uint64_t now);
/* An acceptor has promised nothing above the ballot, and answers the round with this number. True: with it a phase-2 quorum
 * of the configuration has, and the batches of the round are confirmed. */
bool read_rounds_answered(struct read_rounds *r, uint32_t acceptor, struct ballot ballot, uint64_t round,
                          const struct configuration *acting);
/* The leader, another node, confirms the round with this number. */
void read_rounds_told(struct read_rounds *r, uint32_t leader, uint64_t round, uint64_t index);
/* The open round was that of another leadership: its batches wait for the next one. Followers ask again. */
void read_rounds_drop(struct read_rounds *r);

/* A confirmed batch that no learner was asked to answer for `interval`; counts as asked now. Valid until its answer, or
 * until a batch is added. NULL: there is none. */
struct read_batch *read_rounds_unasked(struct read_rounds *r, uint64_t now, uint64_t interval, uint64_t *number);
/* When the open round is to be sent again, or a learner to be asked again. UINT64_MAX: no matter when. */
uint64_t read_rounds_next(const struct read_rounds *r, uint64_t interval);
/* A batch was answered. False: it does not wait for that. */
bool read_rounds_done(struct read_rounds *r, uint64_t number, uint64_t *token);
/* Removes the last batch that is not confirmed; false when there is none. */
bool read_rounds_give_up(struct read_rounds *r, uint64_t *token);
/* Removes the oldest batch if it has waited for `timeout`. */
bool read_rounds_expired(struct read_rounds *r, uint64_t now, uint64_t timeout, uint64_t *token);

/* For tests: traps unless its counters agree with its contents. */
void read_rounds_audit(const struct read_rounds *r);

#endif
