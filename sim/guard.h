/* Runs native code that may trap (core/base/assert.h), as a component may: a broken invariant ends the call, not the process. */
#ifndef SYNOD_SIM_GUARD_H
#define SYNOD_SIM_GUARD_H

#include <stdbool.h>

/* Listens to the signals of traps from here on; called before the first guarded call, and again where somebody else may have begun to
 * listen to them. */
void guard_install(void);

/* Calls `function`. False: it trapped; what it was working on is in no known state and must be left alone. Not reentrant; one
 * thread. */
bool guard_call(void (*function)(void *context), void *context);

#endif
