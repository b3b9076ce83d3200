/* Planted bugs (mutants/): what goes wrong in each, which rule that breaks or which system had it, and which checks must
 * catch it. If no check catches a mutant, the simulator would miss such a bug. Only the build of the preset `mutants` has
 * any. */
#ifndef SYNOD_SIM_MUTANTS_H
#define SYNOD_SIM_MUTANTS_H

#include <stdbool.h>

#include "sim/checks.h"

/* Bits of those that disk sweeps must catch, or a unit test (which runs with the name in SYNOD_MUTANT), and no world. */
enum { MUTANT_TEST = 62, MUTANT_SWEEP = 63 };
_Static_assert((int)CHECKS <= (int)MUTANT_TEST, "a bit for each");

struct mutant_kind {
    const char *name;   /* as given to --mutant */
    const char *what;   /* what goes wrong */
    const char *breaks; /* which rule (docs/rules.md), or which system had it */
    uint64_t checks;    /* bit set of enum check: one of these must catch it; or MUTANT_SWEEP, or MUTANT_TEST */
    const char *needs;  /* what must happen for it to show; "": nothing in particular */
    const char *test;   /* MUTANT_TEST: tests/unit/test_<test>.c */
};

/* By number, from 1 to mutants_count(). */
const struct mutant_kind *mutant_kind(uint32_t mutant);
uint32_t mutants_count(void);

/* 0 when no mutant has this name. */
uint32_t mutant_find(const char *name);

/* Switches this one on and all others off, for the whole process. 0: all are off. */
void mutant_choose(uint32_t mutant);

#endif
