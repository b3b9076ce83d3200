#include "core/agents/answers.h"

void answer_operator(struct effects *effects, uint32_t leader, uint64_t token, uint8_t tag, const void *bytes, size_t len)
{
    const struct reply reply = {.tag = tag, .val.bytes = {(uint8_t *)(uintptr_t)bytes, len}};
    answer_operator_with(effects, leader, token, &reply);
}

void answer_held(struct effects *effects, uint32_t leader, uint64_t token, uint32_t node, uint64_t own,
                 const struct progress *progress)
{
    struct scalar numbers[NODE_ID_MAX + 1] = {{.tag = REPLY_INTEGER, .val.integer = (int64_t)own}};
    size_t count = 1;
    for (node_set i = progress->all & ~node_set_of(node); i != 0; i &= i - 1)
        numbers[count++] = (struct scalar){.tag = REPLY_INTEGER, .val.integer = (int64_t)progress->held[node_set_first(i)]};
    const struct reply reply = {.tag = REPLY_ARRAY, .val.array = {numbers, count}};
    answer_operator_with(effects, leader, token, &reply);
}

void answer_operator_with(struct effects *effects, uint32_t leader, uint64_t token, const struct reply *reply)
{
    struct batch_builder builder = {0};
    struct client_reply *r = &effects_add(effects, EFFECT_REPLY)->val.reply;
    *r = (struct client_reply){.token = token, .outcome = OUTCOME_EXECUTED, .leader = leader};
    struct entry kept = {.kind = ENTRY_COMMANDS, .value = replies_pack(&builder, reply, 1)};
    const struct message m = {.kind = MESSAGE_EXECUTED, .entries = {&kept, 1}};
    r->replies = effects_keep(effects, &m)->entries.ptr[0].value;
    batch_builder_free(&builder);
}
