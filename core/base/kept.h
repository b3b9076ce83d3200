/* Payloads that several parts remember: one copy in memory, with a count of its holders.
 *
 * A part keeps a payload that it remembers beyond the call that brought it. Where that payload is kept already, by
 * whichever part, it gets one more holder and is not copied; otherwise a copy is made, and that one is kept. So a value is
 * copied once, however many parts of one address space remember it, and no part needs to know of another: one that is a
 * component has memory of its own, and copies what comes into it.
 *
 * What each part may remember is counted by that part, as if it had a copy of its own: together they take less.
 *
 * The bytes of a kept payload do not change, unless a holder makes sure that it is alone. Kept payloads are known by their
 * addresses, by each thread: what a thread keeps, it releases. */
#ifndef SYNOD_CORE_BASE_KEPT_H
#define SYNOD_CORE_BASE_KEPT_H

#include "core/base/types.h"

/* The payload, to be held until payload_release. */
struct payload payload_keep(const struct payload *from);

/* Ends what payload_keep began; with the last holder the memory goes. The payload is empty afterwards. */
void payload_release(struct payload *kept);

/* Makes the caller the only holder of what it keeps, so that it may change the bytes. */
void payload_alone(struct payload *kept);

/* How many payloads this thread keeps, each counted once. */
size_t payloads_kept(void);

#endif
