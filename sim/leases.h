/* The judge of leases (Expiry): keys that end by themselves, by what clients were told. sim/reference_leases.h looks at what
 * the log says. Here it is real time that counts:
 *
 * 1. a lease is not found gone before it may be over, unless something else may have removed it;
 * 2. what was found gone does not come back, and what was overwritten or removed does not, either;
 * 3. what is left of it is no more than what it was made for, and no less than real time lets.
 *
 * No word is written twice, so a word tells who wrote it. Operations of unknown outcome may have happened at any time. */
#ifndef SYNOD_SIM_LEASES_H
#define SYNOD_SIM_LEASES_H

#include "sim/history.h"

/* False: `why` says what a client was told that it could not be. `operations` are those on one lease, in the order of their
 * calls. */
bool judge_lease(const struct operation *const *operations, size_t count, struct lease_clocks clocks, char *why,
                 size_t why_size);

#endif
