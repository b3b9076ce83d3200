#include "sim/mutants.h"

#include <string.h>

#include "core/base/assert.h"

#ifdef SYNOD_MUTANTS /* mutants/generate.py makes these */
extern const struct mutant_kind mutant_kinds[];
extern const uint32_t mutant_kinds_count;
extern uint32_t mutant_on;
#else
static const struct mutant_kind mutant_kinds[1];
static const uint32_t mutant_kinds_count = 0;
static uint32_t mutant_on;
#endif

uint32_t mutants_count(void) { return mutant_kinds_count; }

const struct mutant_kind *mutant_kind(uint32_t mutant)
{
    invariant(mutant >= 1 && mutant <= mutant_kinds_count);
    return &mutant_kinds[mutant - 1];
}

uint32_t mutant_find(const char *name)
{
    for (uint32_t m = 1; m <= mutant_kinds_count; m++)
        if (strcmp(mutant_kind(m)->name, name) == 0)
            return m;
    return 0;
}

void mutant_choose(uint32_t mutant)
{
    invariant(mutant <= mutant_kinds_count);
    mutant_on = mutant;
}
