/* What a cluster has left when its acceptors are no quorum any more, because disks are lost for good: what some survivors'
 * journals say, slot by slot (decision 0043).
 *
 * Survivors know of some slots that they are chosen: their learners said so, and have the values. Beyond, they have votes.
 * Those are taken as a proposer takes them in phase 1 (P4), as if the survivors were a quorum: of each slot the value at the
 * highest ballot, and a no-op where there is none below one that has. If the survivors meet every phase-2 quorum, all that
 * was chosen is among it. Otherwise it may not be: the lost acceptors may have voted at a higher ballot, or in slots of
 * which no survivor knows.
 *
 *      begin             known              chosen                       end
 *        | known, exact    | chosen, by votes | perhaps chosen, by votes   | nothing is known
 *
 * `chosen` may lie beyond `end`: then slots are lost for certain. */
#ifndef SYNOD_CORE_PAXOS_SURVIVORS_H
#define SYNOD_CORE_PAXOS_SURVIVORS_H

#include "core/base/slot_ring.h"
#include "core/base/types.h"

/* More slots than any log has after a snapshot. */
enum { SURVIVORS_SLOTS_MAX = 1 << 28 };

/* What the journal of one survivor says, but for the values. */
struct survivor {
    uint32_t node;
    uint64_t complete; /* it has the values of what it knows to be chosen from this slot on; 1: of all */
    uint64_t votes;    /* and all of its votes from this slot on; 1: all; 0: it is no acceptor */
    uint64_t chosen;   /* its learner knows that all slots below are chosen; 1: of none */
    uint64_t floor;    /* its acceptor has heard that all slots below are chosen; 1: of none */
};

/* Where a record is. The caller's. */
struct survivors_place {
    uint32_t survivor, segment;
    uint64_t offset, lsn;
};

/* The best record of a slot. */
struct survivors_slot {
    struct ballot ballot; /* none: there is no record */
    struct survivors_place place;
    uint8_t kind; /* of the entry */
};

struct survivors {
    struct survivor all[NODE_ID_MAX];
    size_t count;
    struct slot_ring slots; /* base: the first slot that no snapshot has */
    uint64_t top;           /* no record is of a slot at or above it */
};

struct survivors_found {
    uint64_t begin;           /* the first slot that no snapshot has */
    uint64_t known;           /* all slots below are known to be chosen, and their values are known */
    uint64_t chosen;          /* all slots below were chosen */
    uint64_t end;             /* nothing is kept of this slot and those above */
    uint64_t lacks;           /* a slot below `known` whose value is missing: a journal is damaged; 0: none */
    uint64_t first_gap, gaps; /* slots from `known` up to `end` without a value, and the first of them */
    uint64_t lost_gaps;       /* those of them that were chosen */
    uint64_t forgotten;       /* votes above this slot are not kept, because it was chosen, and forgotten; 0: all are kept */
    node_set voters;          /* acceptors all of whose votes from `known` on are there */
};

/* No record yet. `begin`: the first slot that no snapshot has. */
void survivors_init(struct survivors *s, uint64_t begin);
void survivors_close(struct survivors *s);

/* One more; its records come before or after. Precondition: fewer than NODE_ID_MAX were added. */
void survivors_add(struct survivors *s, const struct survivor *survivor);

/* A vote, or a value that a learner has executed. The value itself stays the caller's. False: no journal has such a slot. */
bool survivors_record(struct survivors *s, const struct entry *entry, const struct survivors_place *place);

/* What they have, when the leader's window has `alpha` slots. */
struct survivors_found survivors_decide(const struct survivors *s, uint32_t alpha);

/* The record of a slot whose value is kept; NULL: there is none. */
const struct survivors_slot *survivors_at(const struct survivors *s, uint64_t slot);

/* Whether nothing that was chosen can be missing, where this configuration governs: every phase-2 quorum has one of the
 * voters. */
bool survivors_meet(node_set voters, const struct configuration *configuration);

#endif
