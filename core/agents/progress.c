#include "core/agents/progress.h"

void progress_init(struct progress *p, const struct configurations *c)
{
    *p = (struct progress){0};
    for (uint32_t n = 0; n <= NODE_ID_MAX; n++)
        p->executed[n] = p->held[n] = 1;
    progress_configure(p, c, 0);
}

void progress_configure(struct progress *p, const struct configurations *c, node_set forgotten)
{
    p->learners = configuration_counted(c->before.learners != 0 ? &c->before : &c->newest);
    p->all = configurations_learners(c);
    for (; forgotten != 0; forgotten &= forgotten - 1) {
        p->executed[node_set_first(forgotten)] = p->held[node_set_first(forgotten)] = 0;
        p->elapsed[node_set_first(forgotten)] = 0;
        p->led[node_set_first(forgotten)] = (struct ballot){0};
    }
}

void progress_heard(struct progress *p, uint32_t learner, uint64_t executed, uint64_t held)
{
    if (!node_set_has(p->all, learner))
        return;
    p->executed[learner] = executed; /* only its latest word counts, even if it is lower */
    p->held[learner] = held;
}

void progress_moment(struct progress *p, uint32_t learner, struct stamp reached, uint64_t due)
{
    if (!node_set_has(p->all, learner))
        return;
    p->elapsed[learner] = reached.moment.elapsed; /* as above */
    p->unix[learner] = reached.moment.unix;
    p->led[learner] = reached.ballot;
    p->sooner[learner] = UINT64_MAX - due;
}

/* The highest number, `least` or more, that at least so many of some learners have reached in `by_learner`. */
static uint64_t reached_from(uint64_t least, node_set among, const uint64_t *by_learner, uint32_t learners)
{
    uint64_t best = least;
    for (node_set i = among; i != 0; i &= i - 1) {
        uint64_t number = by_learner[node_set_first(i)];
        uint32_t reached = 0;
        for (node_set j = among; j != 0; j &= j - 1)
            reached += by_learner[node_set_first(j)] >= number;
        if (reached >= learners && number > best)
            best = number;
    }
    return best;
}

/* The highest slot. */
static uint64_t reached_by(node_set among, const uint64_t *by_learner, uint32_t learners)
{
    return reached_from(1, among, by_learner, learners);
}

void progress_vouched(struct progress *p, uint32_t learner)
{
    if (node_set_has(p->all, learner) && p->executed[learner] > p->vouched[learner])
        p->vouched[learner] = p->executed[learner];
}

static uint32_t majority(node_set learners) { return node_set_count(learners) / 2 + 1; }

uint64_t progress_known(const struct progress *p) { return reached_by(p->learners, p->vouched, majority(p->learners)); }

uint64_t progress_held(const struct progress *p, node_set learners)
{
    return reached_by(learners, p->held, majority(learners));
}

uint64_t progress_executed(const struct progress *p) { return reached_by(p->learners, p->executed, majority(p->learners)); }

uint64_t progress_executed_anywhere(const struct progress *p) { return reached_by(p->all, p->executed, 1); }

uint64_t progress_settled(const struct progress *p) { return progress_held(p, p->learners); }

bool progress_elapsed(const struct progress *p, uint32_t own, struct ballot leader, uint64_t *elapsed)
{
    node_set led = 0;
    for (node_set i = p->all; i != 0; i &= i - 1)
        led |= ballot_compare(p->led[node_set_first(i)], leader) == 0 ? i & -i : 0;
    const uint32_t enough = majority(p->learners);
    const bool own_is = node_set_has(led, own), most_are = node_set_count(led & p->learners) >= enough;
    const uint64_t most = reached_from(0, led & p->learners, p->elapsed, enough);
    *elapsed = own_is && p->elapsed[own] > most ? p->elapsed[own] : most;
    return own_is || most_are;
}

uint64_t progress_due(const struct progress *p, uint32_t own)
{
    if (node_set_has(p->all, own))
        return UINT64_MAX - p->sooner[own];
    return UINT64_MAX - reached_from(0, p->learners, p->sooner, majority(p->learners));
}

uint64_t progress_wall_clock(const struct progress *p, uint64_t elapsed)
{
    uint64_t unix = 0;
    for (node_set i = p->all; i != 0 && unix == 0; i &= i - 1)
        if (p->elapsed[node_set_first(i)] == elapsed)
            unix = p->unix[node_set_first(i)];
    return unix;
}

node_set progress_knowing(const struct progress *p, uint64_t slot)
{
    node_set knowing = 0;
    for (node_set i = p->all; i != 0; i &= i - 1)
        if (p->executed[node_set_first(i)] > slot)
            knowing |= i & -i;
    return knowing;
}

/* Each in its turn; 0: there is none. */
static uint32_t one_of(node_set among, uint64_t turn)
{
    if (among == 0)
        return 0;
    for (uint64_t skip = turn % node_set_count(among); skip > 0; skip--)
        among &= among - 1;
    return node_set_first(among);
}

uint32_t progress_keeping_up(const struct progress *p, uint64_t slots, uint64_t turn)
{
    const uint64_t first = progress_executed_anywhere(p), close = first > slots ? first - slots : 1;
    const node_set keeping_up = progress_knowing(p, close - 1);
    return one_of(keeping_up != 0 ? keeping_up : p->all, turn);
}

uint32_t progress_anyone(const struct progress *p, uint64_t turn) { return one_of(p->all, turn); }
