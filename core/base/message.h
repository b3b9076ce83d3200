/* Messages that outlive the step that made them. */
#ifndef SYNOD_CORE_BASE_MESSAGE_H
#define SYNOD_CORE_BASE_MESSAGE_H

#include "core/base/types.h"

/* A copy whose entries the caller owns, and whose values it keeps (core/base/kept.h). It releases both with message_free. */
struct message message_copy(const struct message *from);
void message_free(struct message *m);

#endif
