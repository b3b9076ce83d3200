#include "core/base/mutant.h"

#ifdef SYNOD_MUTANTS
int mutant_on = MUTANT_NONE;
#endif
