/* What must hold when the demo's load is done. */
#ifndef SYNOD_LOCAL_DEMO_CHECK_H
#define SYNOD_LOCAL_DEMO_CHECK_H

#include "load/load.h"
#include "local/cluster.h"

struct demo_expectation {
    uint64_t requests;
    size_t value_size;
    size_t counters; /* that INCR requests in sessions have added to, in turn; 0: they were SET requests */
    uint32_t kills_wanted;
    uint32_t kills;       /* of the leader's process */
    struct ballot ballot; /* of the leader before the load */
    const struct load_result *result;
};

/* Waits until all nodes answer and those that execute are at the same slot. Then checks counts, states, ballot and a sample
 * of values, or all counters. Prints a line for each check. False: `problem` says which failed first. */
bool demo_check(struct cluster *c, const struct demo_expectation *expected, const volatile int *interrupted,
                struct problem *problem);

#endif
