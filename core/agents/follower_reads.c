#include "core/agents/follower_reads.h"

void follower_reads_ask(struct read_rounds *r, const struct node_config *config, uint32_t leader, struct effects *effects,
                        uint64_t now)
{
    const bool begins = read_rounds_may_begin(r);
    if (begins)
        read_rounds_begin(r, (struct ballot){.node = leader}, 0, now);
    if (!begins && (!r->open || now < r->again_at))
        return;
    const struct message m = {
        .kind = MESSAGE_READ_INDEX, .from = r->round, .batch = {.origin = config->node, .incarnation = config->incarnation}};
    effects_send(effects, node_set_of(r->ballot.node), &m);
    r->again_at = now + config->retry_interval;
}

/* An answer may come late, to an earlier life of this node whose rounds had the same numbers: its index is too old. */
void follower_reads_told(struct read_rounds *r, const struct node_config *config, uint32_t sender, const struct message *m)
{
    const bool is_answer = (m->flags & MESSAGE_YES) != 0;
    if (is_answer && m->batch.incarnation == config->incarnation)
        read_rounds_told(r, sender, m->from, m->to);
}

void follower_reads_refuse(uint64_t token, uint8_t outcome, uint32_t leader, struct effects *effects)
{
    const struct client_reply reply = {.token = token, .outcome = outcome, .leader = leader};
    effects_add(effects, EFFECT_REPLY)->val.reply = reply;
}

void follower_reads_give_up(struct read_rounds *r, const struct node_config *config, uint32_t leader, bool may_be_confirmed,
                            struct effects *effects, uint64_t now)
{
    uint64_t token;
    while (!may_be_confirmed && read_rounds_give_up(r, &token))
        follower_reads_refuse(token, OUTCOME_MOVED, leader, effects);
    while (read_rounds_expired(r, now, config->request_timeout, &token))
        follower_reads_refuse(token, OUTCOME_BUSY, leader, effects);
}
