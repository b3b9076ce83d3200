/* What goes by the checks, and where it is checked:
 *
 *   batches and answers, states     here
 *   proposals, votes, the chosen    checks_votes.c
 *   records, restarts, what is held checks_journal.c
 *   messages                        checks_messages.c
 *   situations reached              checks_reached.c
 *
 * All is done as it goes by: nothing is ever searched through, except a slot's few proposals and, when a new leader asks,
 * the slots in a promise. After the first broken rule nothing is looked at any more. */
#include "sim/checks.h"

#include <stdio.h>

#include "core/base/checksum.h"
#include "core/formats/batch.h"
#include "sim/checks_internal.h"

static const char *const names[CHECKS] = {
    [CHECK_AGREEMENT] = "Agreement",
    [CHECK_VALIDITY] = "Validity",
    [CHECK_ONE_VALUE_PER_BALLOT] = "OneValuePerBallot",
    [CHECK_BALLOT_UNIQUE] = "BallotUnique",
    [CHECK_PROMISE_DURABLE] = "PromiseDurable",
    [CHECK_VOTE_DURABLE] = "VoteDurable",
    [CHECK_CHOSEN_TRUE] = "ChosenTrue",
    [CHECK_AT_MOST_ONCE] = "AtMostOnce",
    [CHECK_PREFIX_EQUALITY] = "PrefixEquality",
    [CHECK_LINEARIZABILITY] = "Linearizability",
    [CHECK_TRUNCATION_SAFE] = "TruncationSafe",
    [CHECK_RECOVERY] = "Recovery",
    [CHECK_LIFE_UNIQUE] = "LifeUnique",
    [CHECK_LIVENESS_AFTER_HEAL] = "LivenessAfterHeal",
    [CHECK_LIVENESS_WHILE_CUT] = "LivenessWhileCut",
    [CHECK_LIVENESS_GAP] = "LivenessGap",
    [CHECK_BOUNDS] = "Bounds",
    [CHECK_ACCOUNTS] = "Accounts",
    [CHECK_TRAP] = "Trap",
};

const char *check_name(enum check check) { return names[check]; }

/* ---- Beginning and end, verdict ---- */

struct checks *checks_new(const struct checks_options *options)
{
    struct checks *c = memory_new(1, sizeof *c);
    c->options = *options;
    c->reference = options->executes != NULL ? reference_new(options->executes) : NULL;
    c->held_capacity = 8;
    while (c->held_capacity < UINT64_C(4) * options->alpha)
        c->held_capacity *= 2;
    c->prefix = c->floor_most = c->executed_by_majority = 1;
    c->proposals = memory_reserve(NULL, &c->proposal_capacity, 1, sizeof *c->proposals);
    c->proposals[c->proposal_count++] = (struct proposal){0};
    c->batches = memory_reserve(NULL, &c->batch_capacity, 1, sizeof *c->batches);
    c->batches[c->batch_count++] = (struct batch){0};
    for (uint32_t node = 1; node <= options->nodes; node++) {
        struct checked_node *n = &c->nodes[node];
        n->written = n->safe = (struct record_state){.floor = 1, .mark = 1};
        n->executed_most = 1;
        n->bytes_in_flight_max = n->bytes_in_flight_most = options->bytes_in_flight_max;
        n->held = memory_new((size_t)c->held_capacity, sizeof *n->held);
    }
    return c;
}

void checks_free(struct checks *c)
{
    for (uint32_t node = 1; node <= c->options.nodes; node++) {
        free(c->nodes[node].records);
        free(c->nodes[node].pending);
        free(c->nodes[node].held);
    }
    for (size_t i = 0; i < c->batch_count; i++)
        payload_free(&c->batches[i].value);
    reference_free(c->reference);
    hash_index_close(&c->batch_by_hash);
    hash_index_close(&c->batch_by_token);
    free(c->batches);
    free(c->proposals);
    free(c->slots);
    free(c);
}

void checks_fail(struct checks *c, enum check check, const char *format, ...)
{
    if (c->verdict.failed)
        return;
    va_list args;
    va_start(args, format);
    c->verdict.failed = true;
    c->verdict.check = check;
    vsnprintf(c->verdict.text, sizeof c->verdict.text, format, args);
    va_end(args);
}

const struct checks_verdict *checks_verdict(const struct checks *c) { return &c->verdict; }

uint64_t checks_chosen_prefix(const struct checks *c) { return c->prefix; }

struct rank_text rank_text(uint64_t rank)
{
    struct rank_text t;
    uint64_t round = rank >> (RANK_NODE_BITS + RANK_INCARNATION_BITS);
    uint64_t incarnation = rank & ((UINT64_C(1) << RANK_INCARNATION_BITS) - 1);
    if (rank == RANK_NONE_SUCH)
        snprintf(t.text, sizeof t.text, "of no node");
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 ".%u.%" PRIu64, round, rank_node(rank), incarnation);
    return t;
}

struct checked_node *checks_node(struct checks *c, uint32_t node)
{
    invariant(node >= 1 && node <= c->options.nodes);
    struct checked_node *n = &c->nodes[node];
    return c->verdict.failed || n->retired ? NULL : n;
}

void checks_bytes_in_flight(struct checks *c, uint32_t node, uint64_t bytes_max)
{
    struct checked_node *n = &c->nodes[node];
    n->bytes_in_flight_max = bytes_max;
    if (bytes_max > n->bytes_in_flight_most)
        n->bytes_in_flight_most = bytes_max;
}

/* ---- Batches ---- */

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

struct value_hash checks_hash(uint8_t kind, const struct payload *value)
{
    const uint8_t *bytes = payload_bytes(value);
    if (kind != ENTRY_COMMANDS || value->len <= BATCH_HEADER_SIZE)
        return (struct value_hash){.value = checksum(bytes, value->len, kind)};
    struct value_hash h;
    h.batch = checksum(bytes + BATCH_HEADER_SIZE, value->len - BATCH_HEADER_SIZE, value->words.ptr[0]); /* magic, count */
    h.value = checksum(bytes, BATCH_HEADER_SIZE, h.batch + kind);
    return h;
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

/* ---- States ---- */

void checks_state(struct checks *c, uint32_t node, uint64_t slot, uint64_t hash)
{
    if (slot > c->prefix) {
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u has executed all below slot %" PRIu64 "; slot %" PRIu64 " is not chosen",
                    node, slot, c->prefix);
        return;
    }
    struct slot_truth *s = checks_slot(c, slot);
    if (s->state_known && s->state_hash != hash)
        checks_fail(c, CHECK_PREFIX_EQUALITY, "node %u has another state before slot %" PRIu64 " than a node before it",
                    node, slot);
    s->state_hash = hash;
    s->state_known = true;
}

uint64_t checks_majority(const struct checks *c, uint64_t (*reached)(const struct checked_node *n))
{
    uint32_t majority = node_set_count(c->options.learners) / 2 + 1;
    uint64_t best = 0;
    for (node_set i = c->options.learners; i != 0; i &= i - 1) {
        uint64_t slot = reached(&c->nodes[node_set_first(i)]);
        uint32_t count = 0;
        for (node_set j = c->options.learners; j != 0; j &= j - 1)
            count += reached(&c->nodes[node_set_first(j)]) >= slot;
        if (count >= majority && slot > best)
            best = slot;
    }
    return best;
}

static uint64_t executed_of(const struct checked_node *n) { return n->executed_most; }

void checks_executed(struct checks *c, uint32_t node, uint64_t executed)
{
    struct checked_node *n = &c->nodes[node];
    if (!node_set_has(c->options.learners, node) || executed <= n->executed_most)
        return;
    n->executed_most = executed;
    if (executed > c->executed_by_majority)
        c->executed_by_majority = checks_majority(c, executed_of);
}

static void check_learner(struct checks *c, uint32_t node, const struct node_status *s)
{
    struct checked_node *n = &c->nodes[node];
    checks_state(c, node, s->executed, s->state_hash);
    if (c->verdict.failed)
        return;
    uint64_t commands = checks_slot(c, s->executed)->commands;
    if (s->commands_executed != commands)
        checks_fail(c, CHECK_AT_MOST_ONCE,
                    "node %u has executed %" PRIu64 " commands before slot %" PRIu64 "; the log has %" PRIu64, node,
                    s->commands_executed, s->executed, commands);
    n->executed = s->executed;
    checks_executed(c, node, s->executed);
    if (!n->up)
        return;
    if (s->held > n->safe.mark)
        checks_fail(c, CHECK_TRUNCATION_SAFE, "node %u holds all below slot %" PRIu64 "; its disk has up to %" PRIu64, node,
                    s->held, n->safe.mark);
    else if (s->executed < n->safe.mark || (n->unheard && s->held < n->safe.mark))
        checks_fail(c, CHECK_RECOVERY,
                    "node %u has executed all below slot %" PRIu64 " and holds %" PRIu64 "; its disk has up to %" PRIu64,
                    node, s->executed, s->held, n->safe.mark);
}

void checks_status(struct checks *c, uint32_t node, const struct node_status *s)
{
    struct checked_node *n = checks_node(c, node);
    if (n == NULL)
        return;
    if (s->chosen > c->prefix && !c->options.lied_to)
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u takes all below slot %" PRIu64 " for chosen; slot %" PRIu64 " is not",
                    node, s->chosen, c->prefix);
    if (node_set_has(c->options.learners, node) && !c->verdict.failed)
        check_learner(c, node, s);
    if (n->up && node_set_has(c->options.acceptors, node) && rank_of(s->promised) < n->safe.promise)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u has promised %s, and knows only of %s", node,
                    rank_text(n->safe.promise).text, rank_text(rank_of(s->promised)).text);
    n->unheard = n->unheard && !n->up;
    reached_status(c, node, s);
}

/* ---- Messages ---- */

void checks_sent(struct checks *c, uint32_t node, node_set to, const struct message *m, uint32_t body_bytes)
{
    (void)to;
    if (checks_node(c, node) == NULL)
        return;
    if (body_bytes > c->options.frame_bytes_max)
        checks_fail(c, CHECK_BOUNDS, "node %u sends %u bytes at once", node, body_bytes);
    else
        checks_message(c, node, m);
    if (!c->verdict.failed)
        reached_sent(c, node, m);
}

void checks_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m)
{
    if (checks_node(c, node) != NULL && from >= 1 && from <= c->options.nodes)
        reached_received(c, node, from, m);
}

void checks_read(struct checks *c, uint32_t node)
{
    struct checked_node *n = checks_node(c, node);
    if (n != NULL)
        n->has_read = true;
}
