/* Deep copies of messages, for what has to outlive the step that made it, and the bounds of what they say. */
#ifndef SYNOD_CORE_BASE_MESSAGE_H
#define SYNOD_CORE_BASE_MESSAGE_H

#include "core/base/types.h"

/* A copy whose entries and values the caller owns and releases with message_free. */
struct message message_copy(const struct message *from);
void message_free(struct message *m);

/* True when every slot that the message speaks of, and its round, lie below SLOT_MAX, and a proposer's ballot is one. What agents do
 * relies on it. */
bool message_fits(const struct message *m);

#endif
