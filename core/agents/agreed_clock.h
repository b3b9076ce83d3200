/* A leader's clock, by which it stamps what it proposes (P22): the agreed time that the log had reached when it began to
 * lead, and what has passed on its own monotonic clock since. So a stamp is never later than what has really passed since
 * the cluster began, as long as no clock runs fast: what the log had reached was a stamp. A part of the proposer agent. */
#ifndef SYNOD_CORE_AGENTS_AGREED_CLOCK_H
#define SYNOD_CORE_AGENTS_AGREED_CLOCK_H

#include "core/base/types.h"

struct agreed_clock {
    bool runs;
    uint64_t base;     /* agreed milliseconds */
    uint64_t taken_at; /* when it was that, by the monotonic clock: microseconds */
};

/* Agreed milliseconds at `now`. Precondition: it runs. */
static inline uint64_t agreed_clock_at(const struct agreed_clock *c, uint64_t now)
{
    return c->base + (now - c->taken_at) / 1000;
}

/* This node leads, and the log has reached `reached`. The clock begins with that, or goes on; if it is behind, it learns of
 * a stamp that it had not heard of when it began. */
static inline void agreed_clock_go(struct agreed_clock *c, uint64_t reached, uint64_t now)
{
    if (c->runs && agreed_clock_at(c, now) >= reached)
        return;
    *c = (struct agreed_clock){.runs = true, .base = reached, .taken_at = now};
}

/* It does not lead: time stands still. */
static inline void agreed_clock_stop(struct agreed_clock *c) { c->runs = false; }

#endif
