/* Used by all checks: how to fail, and texts for ballots, hashes of values. */
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
    [CHECK_READS_CURRENT] = "ReadsCurrent",
    [CHECK_TRUNCATION_SAFE] = "TruncationSafe",
    [CHECK_RECOVERY] = "Recovery",
    [CHECK_LIFE_UNIQUE] = "LifeUnique",
    [CHECK_LIVENESS_AFTER_HEAL] = "LivenessAfterHeal",
    [CHECK_LIVENESS_WHILE_CUT] = "LivenessWhileCut",
    [CHECK_LIVENESS_GAP] = "LivenessGap",
    [CHECK_REPLIES] = "Replies",
    [CHECK_FRAMES] = "Frames",
    [CHECK_BOUNDS] = "Bounds",
    [CHECK_ACCOUNTS] = "Accounts",
    [CHECK_TRAP] = "Trap",
    [CHECK_ASKED_FIRST] = "AskedFirst",
    [CHECK_HANDOVER] = "Handover",
    [CHECK_LIVENESS_WHILE_HUNG] = "LivenessWhileHung",
    [CHECK_EXACTLY_ONCE] = "ExactlyOnce",
    [CHECK_TIME_AGREED] = "TimeAgreed",
    [CHECK_EXPIRY] = "Expiry",
    [CHECK_WATCHED] = "Watched",
    [CHECK_ENDED] = "Ended",
    [CHECK_CONFIGURATIONS] = "Configurations",
};

const char *check_name(enum check check) { return names[check]; }

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

struct rank_text rank_text(uint64_t rank)
{
    struct rank_text t;
    uint64_t round = rank >> (RANK_NODE_BITS + RANK_INCARNATION_BITS);
    uint64_t boots = rank & ((UINT64_C(1) << RANK_BOOTS_BITS) - 1);
    uint64_t number = rank >> RANK_BOOTS_BITS & ((UINT64_C(1) << RANK_NUMBER_BITS) - 1);
    if (rank == RANK_NONE_SUCH)
        snprintf(t.text, sizeof t.text, "of no node");
    else if (number == 0)
        snprintf(t.text, sizeof t.text, "%" PRIu64 ".%u.%" PRIu64, round, rank_node(rank), boots);
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 ".%u.%" PRIu64 "/%" PRIu64, round, rank_node(rank), number, boots);
    return t;
}

struct checked_node *checks_node(struct checks *c, uint32_t node)
{
    invariant(node >= 1 && node <= c->options.nodes);
    struct checked_node *n = &c->nodes[node];
    return c->verdict.failed || n->retired ? NULL : n;
}

enum { STAMP_AT = 32 }; /* in the header of a batch */

struct value_hash checks_hash(uint8_t kind, const struct payload *value)
{
    const uint8_t *bytes = payload_bytes(value);
    if (kind != ENTRY_COMMANDS || value->len <= BATCH_HEADER_SIZE)
        return (struct value_hash){.value = checksum(bytes, value->len, kind)};
    struct value_hash h;
    h.batch = checksum(bytes + BATCH_HEADER_SIZE, value->len - BATCH_HEADER_SIZE, value->words.ptr[0]); /* magic, count */
    h.value = checksum(bytes, BATCH_HEADER_SIZE, h.batch + kind);
    h.named = checksum(bytes, STAMP_AT, h.batch + kind);
    h.named = checksum(bytes + STAMP_AT + STAMP_SIZE, BATCH_HEADER_SIZE - STAMP_AT - STAMP_SIZE, h.named);
    return h;
}
