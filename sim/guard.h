/* Runs native code that may trap (core/base/assert.h), as a component may: a broken invariant ends the call, not the process. */
#ifndef SYNOD_SIM_GUARD_H
#define SYNOD_SIM_GUARD_H

#include <stdbool.h>

/* Calls `function`. False: it trapped; what it was working on is in no known state and must be left alone. Not reentrant; one
 * thread. */
bool guard_call(void (*function)(void *context), void *context);

#endif
