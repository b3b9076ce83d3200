#include "core/agents/progress.h"

void progress_init(struct progress *p, node_set learners)
{
    *p = (struct progress){.learners = learners};
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        p->executed[n] = p->held[n] = 1;
}

void progress_heard(struct progress *p, uint32_t learner, uint64_t executed, uint64_t held)
{
    if (!node_set_has(p->learners, learner))
        return;
    p->executed[learner] = executed; /* only its latest word counts, even if it is lower */
    p->held[learner] = held;
}

/* The highest slot that at least so many learners have reached in `by_learner`. */
static uint64_t reached_by(const struct progress *p, const uint64_t *by_learner, uint32_t learners)
{
    uint64_t best = 1;
    for (node_set i = p->learners; i != 0; i &= i - 1) {
        uint64_t slot = by_learner[node_set_first(i)];
        uint32_t reached = 0;
        for (node_set j = p->learners; j != 0; j &= j - 1)
            reached += by_learner[node_set_first(j)] >= slot;
        if (reached >= learners && slot > best)
            best = slot;
    }
    return best;
}

static uint32_t majority(const struct progress *p) { return node_set_count(p->learners) / 2 + 1; }

uint64_t progress_executed(const struct progress *p) { return reached_by(p, p->executed, majority(p)); }

uint64_t progress_executed_anywhere(const struct progress *p) { return reached_by(p, p->executed, 1); }

uint64_t progress_settled(const struct progress *p) { return reached_by(p, p->held, majority(p)); }

node_set progress_knowing(const struct progress *p, uint64_t slot)
{
    node_set knowing = 0;
    for (node_set i = p->learners; i != 0; i &= i - 1)
        if (p->executed[node_set_first(i)] > slot)
            knowing |= i & -i;
    return knowing;
}
