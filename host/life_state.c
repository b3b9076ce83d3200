#include "host/life_state.h"

#include "core/base/assert.h"

#define BIT(state) (1u << (state))

/* Of each state: those that may follow. */
static const unsigned following[LIFE_STATES] = {
    [LIFE_UNBORN] = BIT(LIFE_RECOVERING),
    [LIFE_RECOVERING] = BIT(LIFE_READY) | BIT(LIFE_BROKEN) | BIT(LIFE_OVER),
    [LIFE_READY] = BIT(LIFE_BROKEN) | BIT(LIFE_OVER),
    [LIFE_BROKEN] = BIT(LIFE_BURIED) | BIT(LIFE_DEAD),
    [LIFE_BURIED] = BIT(LIFE_RECOVERING) | BIT(LIFE_BROKEN),
    [LIFE_DEAD] = 0,
    [LIFE_OVER] = 0,
};

bool life_state_may_follow(enum life_state now, enum life_state next) { return (following[now] & BIT(next)) != 0; }

void life_state_enter(enum life_state *state, enum life_state next)
{
    invariant(life_state_may_follow(*state, next));
    *state = next;
}
