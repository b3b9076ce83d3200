/* Deep copies of messages, for what has to outlive the step that made it; who may say what. */
#ifndef SYNOD_CORE_BASE_MESSAGE_H
#define SYNOD_CORE_BASE_MESSAGE_H

#include "core/base/types.h"

/* A copy whose entries and values the caller owns and releases with message_free. */
struct message message_copy(const struct message *from);
void message_free(struct message *m);

/* Whether node `sender` may say this at all: its roles allow it, a ballot that only its owner may use is its own, flags and entries are
 * those of the kind, and every slot and round lies below SLOT_MAX. What agents do relies on it. A runner asks about each message that
 * comes from another node; what an agent can only judge by what it knows (how far a round or a floor may jump), it judges itself. */
bool message_fits(const struct node_config *config, uint32_t sender, const struct message *m);

#endif
