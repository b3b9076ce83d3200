/* How far the learners have executed and hold slots, as an agent has heard. A part of each agent. */
#ifndef SYNOD_CORE_AGENTS_PROGRESS_H
#define SYNOD_CORE_AGENTS_PROGRESS_H

#include "core/agents/configurations.h"
#include "core/formats/batch.h"

struct progress {
    node_set learners;                  /* of which a majority counts */
    node_set all;                       /* and those that do not count */
    uint64_t executed[NODE_ID_MAX + 1]; /* first slot not executed, by learner; 0: a new one, not heard yet */
    uint64_t held[NODE_ID_MAX + 1];     /* first slot not durably held, by learner */
    uint64_t elapsed[NODE_ID_MAX + 1];  /* milliseconds of agreed time that its state has reached, by learner (P22) */
    uint64_t sooner[NODE_ID_MAX + 1];   /* UINT64_MAX less the time when something of it ends by itself; 0: never */
    uint64_t unix[NODE_ID_MAX + 1];     /* and the wall clock of that moment */
    struct ballot led[NODE_ID_MAX + 1]; /* and whose it was: the latest leader of whom it has executed something */
    uint64_t vouched[NODE_ID_MAX + 1];  /* it has executed no configuration below this slot that is not known here */
};

void progress_init(struct progress *p, const struct configurations *c);

/* The configurations have changed: now the learners of the one in force count. `forgotten`: what these have said is void. */
void progress_configure(struct progress *p, const struct configurations *c, node_set forgotten);

/* A learner says that it has executed every slot below `executed` and durably holds every slot below `held`. */
void progress_heard(struct progress *p, uint32_t learner, uint64_t executed, uint64_t held);

/* Its state has reached this moment, of this leader, and something of it ends at the agreed time `due` (UINT64_MAX: nothing
 * does). */
void progress_moment(struct progress *p, uint32_t learner, struct stamp reached, uint64_t due);

/* It has executed no other configurations than those that are known here. */
void progress_vouched(struct progress *p, uint32_t learner);

/* All configurations in slots below are known here: a majority of the learners says so. */
uint64_t progress_known(const struct progress *p);

/* The first slot that a majority of these learners does not hold durably. */
uint64_t progress_held(const struct progress *p, node_set learners);

/* The first slot that a majority of the learners has not executed. */
uint64_t progress_executed(const struct progress *p);

/* The first slot that no learner is known to have executed. All slots below are chosen. */
uint64_t progress_executed_anywhere(const struct progress *p);

/* The first slot that is not settled. Every slot below is chosen, and so many learners hold it that the others can get it
 * from them. A new leader must propose the slots from here on again, even those that one learner has executed: if that
 * learner is lost, no other may have the values. */
uint64_t progress_settled(const struct progress *p);

/* The agreed time, in milliseconds, that the log has reached for sure, now that something of the leader with this ballot is
 * executed: a majority of the learners says so, or the one of node `own` (not another one alone: it may lie). False: nothing
 * of it is known to be executed. */
bool progress_elapsed(const struct progress *p, uint32_t own, struct ballot leader, uint64_t *elapsed);

/* The agreed time at which something of the state ends by itself: the learner of node `own` says so, or, where that is none,
 * a majority says that it is not later. UINT64_MAX: never. */
uint64_t progress_due(const struct progress *p, uint32_t own);

/* The wall clock that belongs to that time. */
uint64_t progress_wall_clock(const struct progress *p, uint64_t elapsed);

/* The learners that have executed `slot`. */
node_set progress_knowing(const struct progress *p, uint64_t slot);

/* One of the learners that are within so many slots of the first one; of all, when none is. By turns, as `turn` counts. 0:
 * no learner is known yet. */
uint32_t progress_keeping_up(const struct progress *p, uint64_t slots, uint64_t turn);
/* A learner, whatever it has said of itself: each turn the next one. */
uint32_t progress_anyone(const struct progress *p, uint64_t turn);

#endif
