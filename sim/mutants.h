/* The mutants of core/base/mutant.h: what goes wrong in each, which rule that breaks or who had such a fault, and which
 * checks must catch it. A mutant that no check catches says that the simulator would miss such a bug. */
#ifndef SYNOD_SIM_MUTANTS_H
#define SYNOD_SIM_MUTANTS_H

#include <stdbool.h>

#include "core/base/mutant.h"
#include "sim/checks.h"

struct mutant_kind {
    const char *name;   /* as --mutant takes it */
    const char *what;   /* goes wrong */
    const char *breaks; /* which rule (of the design, if it says no more), or who had it */
    uint32_t checks;    /* bit set of enum check: one of these must catch it */
    const char *needs;  /* what must happen for it to show; "": nothing in particular */
};

/* By enum mutant; what is at MUTANT_NONE has no name. */
extern const struct mutant_kind mutant_kinds[MUTANTS];

/* MUTANTS when none has this name. */
enum mutant mutant_find(const char *name);

/* Switches this one on and all others off, for the whole process. False: this build has none. MUTANT_NONE: all are off. */
bool mutant_choose(enum mutant mutant);

#endif
