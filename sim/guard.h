/* Runs native code that may trap (core/base/assert.h) as if it were a component: a broken invariant ends the call, not the
 * process. */
#ifndef SYNOD_SIM_GUARD_H
#define SYNOD_SIM_GUARD_H

#include <stdbool.h>

/* Handles the signals of traps from now on. To be called before the first guarded call, and again after other code may have
 * installed handlers. */
void guard_install(void);

/* Calls `function`. False: it trapped; what it was working on is in an unknown state and must be left alone. Not reentrant;
 * for one thread. */
bool guard_call(void (*function)(void *context), void *context);

#endif
