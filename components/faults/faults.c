/* Makes a part break on demand. The part's export.c is compiled so that every function of it begins with a call of
 * __cyg_profile_func_enter_bare (-finstrument-function-entry-bare), which asks the host (wit/faults.wit) whether to
 * break. */
#include <stdint.h>
#include <stdlib.h>

#include "world.h"

#define NOT_INSTRUMENTED __attribute__((no_instrument_function))

enum { GO_ON, TRAP, LOOP, TAKE_MEMORY, BLOCK_BYTES = 1 << 20 };

NOT_INSTRUMENTED void __cyg_profile_func_enter_bare(void);

/* Takes all memory; then the component does what it does when it runs out. */
NOT_INSTRUMENTED static void take_memory(void)
{
    for (volatile uint8_t *block; (block = malloc(BLOCK_BYTES)) != NULL;)
        *block = 1;
    __builtin_trap();
}

void __cyg_profile_func_enter_bare(void)
{
    switch (synod_paxos_faults_next(FAULTS_PART)) {
    case TRAP:
        __builtin_trap();
    case LOOP:
        for (volatile uint64_t n = 0;; n = n + 1)
            continue;
    case TAKE_MEMORY:
        take_memory();
        break;
    default:
        break;
    }
}
