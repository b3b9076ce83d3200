/* Batches: what nodes propose was submitted by clients, and clients are told the truth about it. */
#include "core/base/checksum.h"
#include "core/formats/batch.h"
#include "sim/checks_internal.h"

static uint32_t batch_by_hash(const struct checks *c, uint64_t hash)
{
    for (uint32_t number, at = 0; (number = hash_index_next(&c->batch_by_hash, hash, &at)) != 0;)
        if (c->batches[number].hash == hash)
            return number;
    return 0;
}

static uint32_t batch_by_token(const struct checks *c, uint64_t token)
{
    for (uint32_t number, at = 0; (number = hash_index_next(&c->batch_by_token, hash_of_number(token), &at)) != 0;)
        if (c->batches[number].token == token)
            return number;
    return 0;
}

void checks_submitted(struct checks *c, uint32_t node, uint64_t token, const struct payload *value)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    struct batch_header header;
    struct value_hash hash = checks_hash(ENTRY_COMMANDS, value);
    invariant(batch_header_read(value, &header) && header.count > 0);
    invariant(batch_by_hash(c, hash.batch) == 0 && batch_by_token(c, token) == 0);
    uint32_t number = (uint32_t)c->batch_count++;
    c->batches = memory_reserve(c->batches, &c->batch_capacity, c->batch_count, sizeof *c->batches);
    c->batches[number] = (struct batch){
        .hash = hash.batch, .token = token, .node = node, .incarnation = n->incarnation, .commands = header.count};
    hash_index_add(&c->batch_by_hash, hash.batch, number);
    hash_index_add(&c->batch_by_token, hash_of_number(token), number);
}

uint32_t checks_value(struct checks *c, uint32_t node, uint8_t kind, const struct payload *value, struct value_hash hash)
{
    struct batch_header header;
    if (kind == ENTRY_NOOP && value->len == 0)
        return 0;
    if (kind == ENTRY_CONFIGURATION) {
        checks_propose_configuration(c, node, value, hash);
        return 0;
    }
    uint32_t number = kind == ENTRY_COMMANDS ? batch_by_hash(c, hash.batch) : 0;
    if (number == 0 || !batch_header_read(value, &header)) {
        checks_fail(c, CHECK_VALIDITY, "node %u proposes %u bytes that no client submitted", node, value->len);
        return 0;
    }
    struct batch *b = &c->batches[number];
    if (b->stamped == hash.value)
        return number;
    if (b->stamped != 0)
        checks_fail(c, CHECK_AT_MOST_ONCE, "node %u proposes batch %" PRIu64 " of node %u with another header", node,
                    b->number, b->node);
    else if (header.id.origin != b->node || header.id.incarnation != b->incarnation || header.id.number == 0)
        checks_fail(c, CHECK_VALIDITY, "node %u proposes a batch of node %u in life %u as %u.%u.%" PRIu64, node, b->node,
                    b->incarnation, header.id.origin, header.id.incarnation, header.id.number);
    if (c->reference != NULL && b->stamped == 0)
        b->value = payload_copy(value);
    b->stamped = hash.value;
    b->number = header.id.number;
    return number;
}

void checks_answered(struct checks *c, uint64_t token, uint8_t outcome)
{
    uint32_t number = batch_by_token(c, token);
    if (c->verdict.failed || number == 0)
        return;
    struct batch *b = &c->batches[number];
    b->answered = true;
    b->outcome = outcome;
    if (outcome == OUTCOME_EXECUTED && b->executed_in == 0)
        checks_fail(c, CHECK_CHOSEN_TRUE, "clients of node %u hear that a batch was executed, and it is %s", b->node,
                    b->chosen_in == 0 ? "not chosen" : "chosen where learners leave it out");
    if ((outcome == OUTCOME_MOVED || outcome == OUTCOME_BUSY) && b->chosen_in != 0)
        checks_fail(c, CHECK_AT_MOST_ONCE,
                    "clients of node %u hear that a batch was refused, and it is chosen in slot %" PRIu64, b->node,
                    b->chosen_in);
    reached_answered(c, outcome);
}
