/* Do all learners have the same state (rule 13 of the design)? Each tells the others the hash of its state at a slot that is a
 * multiple of AGREEMENT_INTERVAL. Since the hash is chained, who differs at one slot differs at all later ones. A part of the
 * learner agent. */
#ifndef SYNOD_CORE_AGENTS_AGREEMENT_H
#define SYNOD_CORE_AGENTS_AGREEMENT_H

#include "core/base/types.h"

enum { AGREEMENT_INTERVAL = 64, AGREEMENT_KEPT = 64 };

struct state_at {
    uint64_t slot; /* 0: none */
    uint64_t hash; /* of the state before that slot */
};

struct agreement {
    uint32_t node;
    node_set learners;
    struct state_at last;                   /* this learner's latest */
    struct state_at own[AGREEMENT_KEPT];    /* and those before, by slot / AGREEMENT_INTERVAL */
    struct state_at early[NODE_ID_MAX + 1]; /* what a learner said of a slot that is not executed here yet */
    uint64_t compared_at[NODE_ID_MAX + 1];  /* slot at which each learner was last compared with this one */
    uint64_t differs_from[NODE_ID_MAX + 1]; /* slot at which it was first found to differ; 0: it does not */
};

void agreement_init(struct agreement *a, const struct node_config *config);

/* Every slot below `executed` is executed, and `hash` is the hash of the state. Called for each slot in turn. */
void agreement_executed(struct agreement *a, uint64_t executed, uint64_t hash);

/* A learner says what the hash of its state at `slot` is. */
void agreement_heard(struct agreement *a, uint32_t learner, uint64_t slot, uint64_t hash);

/* 0 while a majority of the learners may agree with this one. Else so many differ that none can, and this is the first slot at
 * which one of them was found to differ. */
uint64_t agreement_lost_at(const struct agreement *a);

#endif
