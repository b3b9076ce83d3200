/* A leader's clock, by which it stamps what it proposes (P22): the agreed time that the log had reached when something of
 * this leader's was executed for the first time, and what has passed on its own monotonic clock since. So a stamp is never
 * later than what has really passed since the cluster began, as long as no clock runs fast: what the log had reached was a
 * stamp. And it is never later than that by an earlier leader's clock, for what that one stamped and learners still execute
 * (P25). A part of the proposer agent. */
#ifndef SYNOD_CORE_AGENTS_AGREED_CLOCK_H
#define SYNOD_CORE_AGENTS_AGREED_CLOCK_H

#include "core/base/types.h"

struct agreed_clock {
    struct ballot leader; /* whose time it is; none: it stands still */
    uint64_t base;        /* agreed milliseconds */
    uint64_t taken_at;    /* when it was that, by the monotonic clock: microseconds */
};

static inline bool agreed_clock_runs(const struct agreed_clock *c, struct ballot leader)
{
    return c->leader.round != 0 && ballot_compare(c->leader, leader) == 0;
}

/* Agreed milliseconds at `now`. Precondition: it runs. */
static inline uint64_t agreed_clock_at(const struct agreed_clock *c, uint64_t now)
{
    return c->base + (now - c->taken_at) / 1000;
}

/* Something of this leader is executed, and the log has reached `reached`. */
static inline void agreed_clock_go(struct agreed_clock *c, struct ballot leader, uint64_t reached, uint64_t now)
{
    if (!agreed_clock_runs(c, leader))
        *c = (struct agreed_clock){.leader = leader, .base = reached, .taken_at = now};
}

#endif
