/* Where a node's life is.
 *
 *   UNBORN --> RECOVERING --> READY      it begins; it has recovered and serves
 *                ^   |  |      | |
 *                |   |  '------|-+--> OVER      its own loop has ended, as it was told to
 *                |   v         v
 *                |  BROKEN <---'      a call into it has failed
 *                |   |   |
 *                |   |   '--> DEAD    none follows: the node ends
 *                |   v
 *              BURIED                 it is gone; the next one begins, or breaks at once */
#ifndef SYNOD_HOST_LIFE_STATE_H
#define SYNOD_HOST_LIFE_STATE_H

#include <stdbool.h>

enum life_state { LIFE_UNBORN, LIFE_RECOVERING, LIFE_READY, LIFE_BROKEN, LIFE_BURIED, LIFE_DEAD, LIFE_OVER, LIFE_STATES };

bool life_state_may_follow(enum life_state now, enum life_state next);

/* Precondition: `next` may follow *state. */
void life_state_enter(enum life_state *state, enum life_state next);

/* It has begun and is sound: it may be called. */
static inline bool life_state_is_sound(enum life_state state) { return state == LIFE_RECOVERING || state == LIFE_READY; }

#endif
