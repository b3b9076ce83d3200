/* Reads at a node that follows (P9): the node that leads is asked to confirm its rounds (READ_INDEX). A part of the proposer
 * agent; and of the learner agent, whose own client port takes reads where no proposer is beside it. */
#ifndef SYNOD_CORE_AGENTS_FOLLOWER_READS_H
#define SYNOD_CORE_AGENTS_FOLLOWER_READS_H

#include "core/agents/effects.h"
#include "core/agents/read_rounds.h"

/* Begins a round with `leader`, another node, if something waits for one; or asks again. */
void follower_reads_ask(struct read_rounds *r, const struct node_config *config, uint32_t leader, struct effects *effects,
                        uint64_t now);
/* A READ_INDEX that answers. */
void follower_reads_told(struct read_rounds *r, const struct node_config *config, uint32_t sender, const struct message *m);
/* Tells clients that a batch was not executed. `leader`: as far as it is known. */
void follower_reads_refuse(uint64_t token, uint8_t outcome, uint32_t leader, struct effects *effects);
/* Refuses those that have waited too long; and if there is no node that could confirm them, all that are not confirmed. */
void follower_reads_give_up(struct read_rounds *r, const struct node_config *config, uint32_t leader, bool may_be_confirmed,
                            struct effects *effects, uint64_t now);

#endif
