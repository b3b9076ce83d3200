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

uint32_t checks_batch_by_token(const struct checks *c, uint64_t token)
{
    for (uint32_t number, at = 0; (number = hash_index_next(&c->batch_by_token, hash_of_number(token), &at)) != 0;)
        if (c->batches[number].token == token)
            return number;
    return 0;
}

void checks_submitted(struct checks *c, uint32_t node, uint64_t token, const struct payload *value, bool reads)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    struct batch_header header;
    struct value_hash hash = checks_hash(ENTRY_COMMANDS, value);
    uint64_t age;
    invariant(batch_header_read(value, &header) && header.count > 0);
    invariant(batch_by_hash(c, hash.batch) == 0 && checks_batch_by_token(c, token) == 0);
    uint32_t number = (uint32_t)c->batch_count++;
    c->batches = memory_reserve(c->batches, &c->batch_capacity, c->batch_count, sizeof *c->batches);
    c->batches[number] = (struct batch){.hash = hash.batch,
                                        .token = token,
                                        .node = node,
                                        .incarnation = n->incarnation,
                                        .commands = header.count,
                                        .port_number = header.port_number,
                                        .reads = reads};
    const bool may_be_stale = batch_may_be_stale(value, &age); /* Linearizability judges how much */
    c->batches[number].least = may_be_stale ? 0 : c->answered;
    c->reached[REACHED_STALE_READ] += may_be_stale;
    hash_index_add(&c->batch_by_hash, hash.batch, number);
    hash_index_add(&c->batch_by_token, hash_of_number(token), number);
}

uint32_t checks_value(struct checks *c, uint32_t node, uint8_t kind, const struct payload *value, struct value_hash hash)
{
    struct batch_header header;
    if (kind == ENTRY_NOOP && (value->len == 0 || value->len == STAMP_SIZE))
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
    if (b->stamped == hash.named)
        return number;
    if (b->stamped != 0)
        checks_fail(c, CHECK_AT_MOST_ONCE, "node %u proposes batch %" PRIu64 " of node %u with another header", node,
                    b->number, b->node);
    else if (header.id.origin != b->node || header.id.incarnation != b->incarnation || header.id.number == 0)
        checks_fail(c, CHECK_VALIDITY, "node %u proposes a batch of node %u in life %u as %u.%u.%" PRIu64, node, b->node,
                    b->incarnation, header.id.origin, header.id.incarnation, header.id.number);
    if (c->reference != NULL && b->stamped == 0)
        b->value = payload_copy(value);
    b->stamped = hash.named;
    b->number = header.id.number;
    return number;
}

/* ---- Reads ---- */

static void note_answered(struct checks *c, uint64_t slot) { c->answered = slot > c->answered ? slot : c->answered; }

/* The batch of reads that a QUERY carries; NULL: there is none. */
static struct batch *batch_of_query(struct checks *c, uint32_t node, const struct message *m)
{
    const struct entry *e = m->entries.len == 1 ? &m->entries.ptr[0] : NULL;
    const uint32_t number = e != NULL ? batch_by_hash(c, checks_hash(e->kind, &e->value).batch) : 0;
    struct batch *b = &c->batches[number];
    return number != 0 && b->reads && b->node == node && b->incarnation == m->batch.incarnation ? b : NULL;
}

void checks_query(struct checks *c, uint32_t node, const struct message *m)
{
    struct batch *b = batch_of_query(c, node, m);
    if (b == NULL) {
        checks_fail(c, CHECK_VALIDITY, "node %u asks for reads that no client of it submitted", node);
        return;
    }
    if (m->to < b->least)
        checks_fail(c, CHECK_READS_CURRENT,
                    "node %u has reads answered with what is executed below slot %" PRIu64 "; slot %" PRIu64
                    " was answered before they came",
                    node, m->to, b->least - 1);
    b->number = m->batch.number;
}

void checks_query_answer(struct checks *c, uint32_t node, const struct message *m)
{
    struct batch *b = NULL;
    for (size_t i = c->batch_count; i > 1 && b == NULL; i--) {
        struct batch *candidate = &c->batches[i - 1];
        const struct batch_id id = {candidate->node, candidate->incarnation, candidate->number};
        b = candidate->reads && candidate->stamped == 0 && batch_id_equal(id, m->batch) ? candidate : NULL;
    }
    if (b == NULL)
        checks_fail(c, CHECK_VALIDITY, "node %u answers reads that it was not asked for", node);
    else if (m->to < b->least)
        checks_fail(c, CHECK_READS_CURRENT,
                    "node %u answers reads with what is executed below slot %" PRIu64 "; slot %" PRIu64
                    " was answered before they came",
                    node, m->to, b->least - 1);
    else
        b->shown = m->to;
}

void checks_read_own(struct checks *c, uint32_t node, uint64_t least)
{
    if (c->nodes[node].executed < least)
        checks_fail(c, CHECK_READS_CURRENT,
                    "node %u answers reads, and has executed below slot %" PRIu64 " only; slot %" PRIu64
                    " was answered before they came",
                    node, c->nodes[node].executed, least - 1);
}

/* Clients hear what a learner has read: that of another node, or of this one. */
static void check_read(struct checks *c, const struct batch *b)
{
    struct checked_node *n = &c->nodes[b->node];
    c->reached[REACHED_READ]++;
    c->reached[REACHED_READ_ELSEWHERE] += b->shown != 0;
    const bool is_apart = b->shown == 0 && !node_set_has(checks_proposers(c), b->node);
    if (is_apart) /* it has executed and answered in one turn, at whose end it tells how far it is */
        n->read_least = b->least > n->read_least ? b->least : n->read_least;
    else if (b->shown == 0)
        checks_read_own(c, b->node, b->least);
    c->reached[REACHED_READ_APART] += is_apart;
    note_answered(c, b->shown);
}

void checks_answered(struct checks *c, uint64_t token, uint8_t outcome, uint64_t slot)
{
    uint32_t number = checks_batch_by_token(c, token);
    if (c->verdict.failed || number == 0)
        return;
    struct batch *b = &c->batches[number];
    b->answered = true;
    b->outcome = outcome;
    if (outcome == OUTCOME_EXECUTED && b->reads && b->executed_in == 0)
        check_read(c, b);
    else if (outcome == OUTCOME_EXECUTED && b->executed_in == 0)
        checks_fail(c, CHECK_CHOSEN_TRUE, "clients of node %u hear that a batch was executed, and it is %s", b->node,
                    b->chosen_in == 0 ? "not chosen" : "chosen where learners leave it out");
    else if (outcome == OUTCOME_EXECUTED && slot != b->executed_in)
        checks_fail(c, CHECK_CHOSEN_TRUE,
                    "the client port of node %u hears that a batch was executed in slot %" PRIu64
                    ", and it was in slot %" PRIu64,
                    b->node, slot, b->executed_in);
    if ((outcome == OUTCOME_MOVED || outcome == OUTCOME_BUSY) && b->chosen_in != 0)
        checks_fail(c, CHECK_AT_MOST_ONCE,
                    "clients of node %u hear that a batch was refused, and it is chosen in slot %" PRIu64, b->node,
                    b->chosen_in);
    if (outcome == OUTCOME_EXECUTED)
        note_answered(c, b->executed_in + 1);
    reached_answered(c, outcome);
}
