/* States: what learners have executed, and what each node says about itself. */
#include "sim/checks_internal.h"

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

void checks_snapshot(struct checks *c, uint32_t node, uint64_t slot, uint64_t size, uint64_t checksum, bool taken)
{
    if (slot == 0 || slot > c->prefix) {
        checks_fail(c, CHECK_CHOSEN_TRUE, "node %u has a snapshot before slot %" PRIu64 "; slot %" PRIu64 " is not chosen",
                    node, slot, c->prefix);
        return;
    }
    struct slot_truth *s = checks_slot(c, slot);
    if (s->snapshot.size != 0 && (s->snapshot.size != size || s->snapshot.checksum != checksum))
        checks_fail(c, CHECK_PREFIX_EQUALITY, "node %u has another snapshot before slot %" PRIu64 " than a node before it",
                    node, slot);
    struct checked_node *n = checks_node(c, node);
    if (n != NULL && taken && n->safe.mark < slot)
        checks_fail(c, CHECK_TRUNCATION_SAFE,
                    "node %u has a snapshot before slot %" PRIu64 ", and its journal holds up to %" PRIu64 " only", node,
                    slot, n->safe.mark);
    if (n != NULL && slot > n->snapshot)
        n->snapshot = slot;
    s->snapshot.size = size;
    s->snapshot.checksum = checksum;
}

void checks_executed(struct checks *c, uint32_t node, uint64_t executed)
{
    struct checked_node *n = &c->nodes[node];
    if (executed <= n->executed_most)
        return;
    n->executed_most = executed;
    checks_count_executed(c);
}

static void check_learner(struct checks *c, uint32_t node, const struct node_status *s)
{
    struct checked_node *n = &c->nodes[node];
    checks_moment(c, node, s->executed, s->moment, NULL);
    checks_state(c, node, s->executed, s->state_hash);
    if (c->verdict.failed)
        return;
    uint64_t commands = checks_slot(c, s->executed)->commands;
    if (s->commands_executed != commands)
        checks_fail(c, CHECK_AT_MOST_ONCE,
                    "node %u has executed %" PRIu64 " commands before slot %" PRIu64 "; the log has %" PRIu64, node,
                    s->commands_executed, s->executed, commands);
    n->executed = s->executed;
    checks_read_own(c, node, n->read_least);
    n->read_least = 0;
    checks_executed(c, node, s->executed);
    checks_watched(c, node);
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
    if (s->proposer_state == PROPOSER_LEADING && c->formed_at == 0)
        c->formed_at = c->now;
    if (checks_learns(c, node) && !c->verdict.failed)
        check_learner(c, node, s);
    if (n->up && checks_votes(c, node) && rank_of(s->promised) < n->safe.promise)
        checks_fail(c, CHECK_PROMISE_DURABLE, "node %u has promised %s, and knows only of %s", node,
                    rank_text(n->safe.promise).text, rank_text(rank_of(s->promised)).text);
    n->unheard = n->unheard && !n->up;
    reached_status(c, node, s);
}
