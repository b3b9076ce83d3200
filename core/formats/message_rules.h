/* Which node may say what. */
#ifndef SYNOD_CORE_FORMATS_MESSAGE_RULES_H
#define SYNOD_CORE_FORMATS_MESSAGE_RULES_H

#include "core/base/types.h"

/* Whether node `sender` may say this at all. Its roles allow it; a ballot that only its owner may use is its own; flags and
 * entries are those of the kind; no vote is for what a later leader has stamped (P25); every slot and round is below
 * SLOT_MAX. Agents rely on it. A runner asks for each message that comes from another node. How far a round or a floor may
 * jump depends on what an agent knows: agents judge that. */
bool message_fits(const struct node_config *config, uint32_t sender, const struct message *m);

#endif
