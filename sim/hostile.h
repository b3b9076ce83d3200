/* Well-formed messages with absurd contents, in the name of any node (FAULT_HOSTILE). No protocol of this kind tolerates
 * acceptors that lie about votes, or learners that lie about what they hold. So the sender is outside the arithmetic of
 * quorums, and what it says in the name of another is beyond what that one could say. None of it may have a lasting
 * effect. It may say what it wants about configurations: they are taken only as answers, and it does not know the number of
 * a question. So no check is left out on its account there: what a node calls a configuration was chosen. */
#ifndef SYNOD_SIM_HOSTILE_H
#define SYNOD_SIM_HOSTILE_H

#include "core/base/types.h"
#include "sim/dice.h"

/* `leader`: the ballot of who leads, as its receiver knows it. `entries`: room for two, to which the message may point. They
 * are valid until the next call. */
void hostile_message(struct dice *dice, const struct node_config *config, uint32_t from, struct ballot leader,
                     struct message *m, struct entry *entries);

#endif
