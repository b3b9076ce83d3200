/* How far the learners have executed and hold slots, as a proposer has heard. A part of the proposer agent. */
#ifndef SYNOD_CORE_AGENTS_PROGRESS_H
#define SYNOD_CORE_AGENTS_PROGRESS_H

#include "core/base/types.h"

struct progress {
    node_set learners;
    uint64_t executed[NODE_ID_MAX + 1]; /* first slot not executed, by learner */
    uint64_t held[NODE_ID_MAX + 1];     /* first slot not durably held, by learner */
};

void progress_init(struct progress *p, node_set learners);

/* A learner says that it has executed every slot below `executed` and durably holds every slot below `held`. */
void progress_heard(struct progress *p, uint32_t learner, uint64_t executed, uint64_t held);

/* The first slot that a majority of the learners has not executed. */
uint64_t progress_executed(const struct progress *p);

/* The first slot that no learner is known to have executed. All slots below are chosen. */
uint64_t progress_executed_anywhere(const struct progress *p);

/* The first slot that is not settled. Every slot below is chosen, and so many learners hold it that the others can get it
 * from them. A new leader must propose the slots from here on again, even those that one learner has executed: if that
 * learner is lost, no other may have the values. */
uint64_t progress_settled(const struct progress *p);

/* The learners that have executed `slot`. */
node_set progress_knowing(const struct progress *p, uint64_t slot);

#endif
