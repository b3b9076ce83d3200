/* Deep copies of messages, for those that outlive the step that made them. */
#ifndef SYNOD_CORE_BASE_MESSAGE_H
#define SYNOD_CORE_BASE_MESSAGE_H

#include "core/base/types.h"

/* A copy whose entries and values the caller owns and releases with message_free. */
struct message message_copy(const struct message *from);
void message_free(struct message *m);

#endif
