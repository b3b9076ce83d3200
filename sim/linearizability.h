/* The judge of one key's history: is it linearizable? sim/history.h says what a history is; linearizability.c says how it is
 * judged. */
#ifndef SYNOD_SIM_LINEARIZABILITY_H
#define SYNOD_SIM_LINEARIZABILITY_H

#include "sim/history.h"

enum verdict { LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED };

/* The memory of the search. One judge serves for any number of keys, one after the other. */
struct judge;

struct judge *judge_new(void);
void judge_free(struct judge *j);

/* Judges `count` operations, all on one key that is nil at first, in the order of their calls. UNDECIDED: `steps_max` steps
 * were not enough. NOT_LINEARIZABLE: `why` says so and shows what could not be placed, as far as `why_size` bytes reach. */
enum verdict judge_key(struct judge *j, const struct operation *const *operations, size_t count, uint64_t steps_max,
                       char *why, size_t why_size);

#endif
