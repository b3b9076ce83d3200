/* Shows that the simulator would find bugs: every mutant (sim/mutants.h) must be caught. Tells how many seeds that takes. */
#ifndef SYNOD_SIM_HUNT_H
#define SYNOD_SIM_HUNT_H

#include <stdio.h>

#include "sim/mutants.h"
#include "sim/world.h"

enum { HUNT_ROUNDS_MAX = 9 };

struct hunt_options {
    struct world_options world; /* its seed is the first one of the first hunt */
    uint32_t jobs;
    uint32_t rounds;    /* 1 to HUNT_ROUNDS_MAX hunts for each mutant, each with seeds of its own; the median is printed */
    uint32_t seeds_max; /* of one hunt */
    uint32_t sample;    /* only so many mutants, which the seed chooses; 0: all */
    uint32_t only;      /* this mutant alone; 0: all */
};

/* Hunts all mutants, in processes, and prints a line for each: the check that caught it, and the median of the seeds that it
 * took. Returns how many were not caught in any round. */
uint32_t hunt(const struct hunt_options *options, FILE *out);

#endif
