/* Makes a failing world smaller: fewer kinds of faults, fewer strikes, fewer events, as long as the same check fails. */
#ifndef SYNOD_SIM_SHRINK_H
#define SYNOD_SIM_SHRINK_H

#include "sim/world.h"

/* `options` is a world that fails (its files are not used), and becomes the smallest failing one that was found; `result` is
 * its failure. Runs at most `runs_max` worlds. Returns how many it ran. */
uint32_t shrink(struct world_options *options, struct world_result *result, uint32_t runs_max);

#endif
