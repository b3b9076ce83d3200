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
