/* Well-formed messages with absurd contents, in the name of any node (FAULT_HOSTILE). No protocol of this kind stands acceptors that
 * lie about votes, or learners about what they hold: so the sender is one outside the arithmetic of quorums, and whatever it says
 * under the name of another is beyond what that one could say. None of it may have an effect that lasts. */
#ifndef SYNOD_SIM_HOSTILE_H
#define SYNOD_SIM_HOSTILE_H

#include "core/base/types.h"
#include "sim/dice.h"

/* `entries`: room for two, to which the message may point. */
void hostile_message(struct dice *dice, const struct node_config *config, uint32_t from, struct message *m,
                     struct entry *entries);

#endif
