/* What `synod-sim` does besides running seeds. Each function prints what it finds and returns the exit code. */
#ifndef SYNOD_SIM_STUDIES_H
#define SYNOD_SIM_STUDIES_H

#include "sim/hunt.h"

/* Every order of all that can happen to a small cluster (sim/explore.h). */
int sim_explore(void);
/* Every damage to a small journal (sim/sweep.h), or to the journal in `folder`. */
int sim_sweep(uint64_t seed, const char *folder);
/* All mutants (sim/hunt.h). */
int sim_mutants(const struct hunt_options *options);

#endif
