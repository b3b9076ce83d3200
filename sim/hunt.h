/* Shows that the simulator would find bugs: every mutant (sim/mutants.h) must be caught, and this is how many seeds that takes. */
#ifndef SYNOD_SIM_HUNT_H
#define SYNOD_SIM_HUNT_H

#include <stdio.h>

#include "sim/mutants.h"
#include "sim/world.h"

enum { HUNT_ROUNDS_MAX = 9 };

struct hunt_options {
    struct world_options world; /* its seed is the first one of the first hunt */
    uint32_t jobs;
    uint32_t rounds;    /* 1 to HUNT_ROUNDS_MAX hunts for each mutant, each with seeds of its own; the median is told */
    uint32_t seeds_max; /* of one hunt */
    uint32_t sample;    /* only so many mutants, which the seed picks; 0: all */
};

/* Hunts them all, in processes, and prints a line for each: the check that caught it, and the median of the seeds that took. Returns
 * how many got away in every round. */
uint32_t hunt(const struct hunt_options *options, FILE *out);

#endif
