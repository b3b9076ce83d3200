#include "sim/shrink.h"

#include "core/base/memory.h"

struct search {
    struct world_options best;
    struct world_result failure; /* of `best` */
    uint32_t runs, runs_max;
};

/* Runs `candidate`. If it fails as the best one does, it becomes the best one. */
static bool fails(struct search *s, const struct world_options *candidate)
{
    if (s->runs == s->runs_max)
        return false;
    struct world_result *r = memory_new(1, sizeof *r);
    s->runs++;
    world_run(candidate, r);
    bool same = r->failed && r->check == s->failure.check;
    if (same) {
        s->best = *candidate;
        s->failure = *r;
    }
    free(r);
    return same;
}

static void without_each_fault(struct search *s)
{
    for (uint32_t i = 0; i < FAULTS; i++) {
        struct world_options candidate = s->best;
        candidate.plan.faults &= ~(UINT64_C(1) << i);
        if (candidate.plan.faults != s->best.plan.faults)
            fails(s, &candidate);
    }
}

/* The least number in [0, high] with which it still fails; `set` puts the number into the options. It assumes that failing
 * is monotone, which is nearly true. */
static void bisect(struct search *s, uint64_t high, void (*set)(struct world_options *options, uint64_t number))
{
    uint64_t low = 0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct world_options candidate = s->best;
        set(&candidate, middle);
        if (fails(s, &candidate))
            high = middle;
        else
            low = middle + 1;
    }
}

static void set_budget(struct world_options *options, uint64_t number) { options->fault_budget = number; }

static void set_events(struct world_options *options, uint64_t number) { options->plan.events = number + 1; }

uint32_t shrink(struct world_options *options, struct world_result *result, uint32_t runs_max)
{
    struct search s = {.best = *options, .runs_max = runs_max};
    s.best.trace = s.best.history = s.best.report = NULL;
    s.failure = *result;
    bisect(&s, s.failure.events, set_events);
    without_each_fault(&s);
    bisect(&s, s.failure.struck, set_budget);
    without_each_fault(&s);
    bisect(&s, s.best.plan.events, set_events);
    *options = s.best;
    *result = s.failure;
    return s.runs;
}
