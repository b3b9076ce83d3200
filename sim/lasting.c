/* What lasts: a partition, or a disk that hangs.
 *
 * Partitions that last. All other faults are over, and the cluster serves. Then links between nodes are cut, each direction
 * by itself, or lose all proposals (ACCEPT) and nothing else; some at once, some when a node has begun to prepare. They stay
 * like that. There may be a proposer that has all it needs: acceptors for both quorums and a majority of the learners, which
 * it reaches and which reach it. Then clients must be served before long, and from then on all the time, by leaders that
 * stay. (Clients reach all nodes.)
 *
 * Learners fetch what they lack from each other and from acceptors. So where roles are separate, those that the proposer
 * needs must reach each other, too. A coordinator has a learner of its own, which has what the others lack, or gets it from
 * its quorum.
 *
 * A disk that hangs. One node's syncs do not return, for much longer than any time-out, while its messages pass. Where the
 * others have all that they need without it, they must serve before long, and go on, and that node must not lead (P15). When
 * its disk works again, it must not disturb them. */
#include <string.h>

#include "sim/world.h"

enum {
    SECOND = 1000000,
    FOR_EVER_US = 1000 * SECOND,
    UP_WITHIN_US = 20 * SECOND,
    WATCHED_US = 12 * SECOND,
    SPARED = 200000, /* per million links: spared by the smallest random partition */
    LED_MAX = 2,
    LED_BESIDE_HUNG_MAX = 1, /* under `highest`, the highest of the others, or the one whose disk works again */
};

struct links {
    node_set cut[PLAN_NODES_MAX + 1]; /* by sender: the nodes that do not hear it */
};

static node_set all_nodes(const struct world *w) { return (UINT64_C(2) << w->plan.nodes) - 2; }

static bool is_up(const struct world *w, uint32_t node)
{
    return w->machines[node].state == MACHINE_UP && w->machines[node].recovered;
}

/* --- shapes --- */

/* Loses each direction of each link by itself. */
static void lose_some(struct world *w, struct links *l)
{
    uint32_t share = (uint32_t)dice_range(&w->dice, SPARED / 2, 3 * SPARED);
    for (uint32_t a = 1; a <= w->plan.nodes; a++)
        for (uint32_t b = 1; b <= w->plan.nodes; b++)
            if (a != b && dice_chance(&w->dice, share))
                l->cut[a] |= node_set_of(b);
}

/* Some nodes reach only one. */
static void star(struct world *w, struct links *l)
{
    uint32_t hub = (uint32_t)dice_range(&w->dice, 1, w->plan.nodes);
    node_set rays = dice_next(&w->dice) & all_nodes(w) & ~node_set_of(hub);
    for (node_set i = rays; i != 0; i &= i - 1) {
        uint32_t ray = node_set_first(i);
        l->cut[ray] |= all_nodes(w) & ~node_set_of(hub) & ~node_set_of(ray);
        for (uint32_t other = 1; other <= w->plan.nodes; other++)
            l->cut[other] |= other != hub && other != ray ? node_set_of(ray) : 0;
    }
}

/* One group does not hear the other. The other does not hear it either, unless it is one-way. */
static void groups(struct world *w, struct links *l, bool one_way)
{
    node_set left = dice_next(&w->dice) & all_nodes(w);
    for (uint32_t a = 1; a <= w->plan.nodes; a++) {
        if (node_set_has(left, a))
            l->cut[a] |= all_nodes(w) & ~left;
        else if (!one_way)
            l->cut[a] |= left;
    }
}

static void draw(struct world *w, struct links *l)
{
    switch (dice_roll(&w->dice, 7)) {
    case 0:
    case 1:
        star(w, l);
        break;
    case 2:
        groups(w, l, false);
        break;
    case 3:
        groups(w, l, true);
        break;
    default:
        lose_some(w, l);
        break;
    }
}

/* --- which nodes can serve --- */

static bool both_ways(const struct links *l, uint32_t a, uint32_t b)
{
    return !node_set_has(l->cut[a], b) && !node_set_has(l->cut[b], a);
}

/* Those of `members` that reach `node` and that it reaches, also with proposals. */
static node_set reached(const struct world *w, const struct links *l, uint32_t node, node_set members)
{
    node_set set = 0;
    for (node_set i = members; i != 0; i &= i - 1) {
        uint32_t m = node_set_first(i);
        if (m == node || (is_up(w, m) && both_ways(l, node, m) && !node_set_has(w->black_hole[node], m)))
            set |= node_set_of(m);
    }
    return set;
}

/* Those of `members` that reach each of `others`, both ways. */
static node_set reach_all(const struct links *l, node_set members, node_set others)
{
    node_set set = members;
    for (node_set i = members; i != 0; i &= i - 1)
        for (node_set j = others & ~(i & -i); j != 0; j &= j - 1)
            if (!both_ways(l, node_set_first(i), node_set_first(j)))
                set &= ~(i & -i);
    return set;
}

static bool can_lead(const struct world *w, const struct links *l, uint32_t node)
{
    const struct node_config members = world_members(w), *c = &members;
    node_set acceptors = reached(w, l, node, c->acceptors), learners = reached(w, l, node, c->learners);
    if (!node_set_has(c->acceptors, node))
        learners = reach_all(l, learners, learners | acceptors);
    uint32_t count = node_set_count(acceptors);
    return is_up(w, node) && count >= c->phase1_quorum && count >= c->phase2_quorum &&
           node_set_count(learners) > node_set_count(c->learners) / 2;
}

static bool can_serve(const struct world *w, const struct links *l)
{
    bool can = false;
    for (node_set i = world_members(w).proposers; i != 0 && !can; i &= i - 1)
        can = can_lead(w, l, node_set_first(i));
    return can;
}

/* --- the partition --- */

static bool failed(const struct world *w) { return checks_verdict(w->checks)->failed; }

static void run_until(struct world *w, uint64_t until)
{
    while (!failed(w) && w->now < until)
        world_happen(w);
}

static bool all_up(const struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        if (machine_is_there(&w->machines[i]) && (!is_up(w, i) || w->machines[i].stopping))
            return false;
    return true;
}

/* Waits until clients are served and old failures are forgotten. */
static void wait_for_service(struct world *w)
{
    uint64_t until = w->now + UP_WITHIN_US;
    while (!failed(w) && w->now < until && !all_up(w))
        world_happen(w);
    for (uint64_t executed = w->executed; !failed(w) && w->now < until && w->executed == executed;)
        world_happen(w);
    run_until(w, w->now + world_slowest(w).request_timeout);
}

static bool some_node_prepares(const struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        if (w->machines[i].state == MACHINE_UP && w->machines[i].proposer_state == PROPOSER_PREPARING)
            return true;
    return false;
}

/* How long an attempt to lead may take that only missing results show to be useless. */
static uint64_t attempt(const struct world *w)
{
    const struct node_config c = world_slowest(w);
    return c.request_timeout + c.dead_timeout;
}

/* By when the cluster must serve: each proposer may have its turn and waste it. */
static uint64_t begins_within(const struct world *w, bool results)
{
    uint64_t turns = node_set_count(world_members(w).proposers) + 1;
    return 6 * world_slowest(w).dead_timeout + SECOND + (results ? (turns + 2) * attempt(w) : 0);
}

/* Watches, and returns the longest time without an answer. */
static uint64_t watch(struct world *w)
{
    uint64_t since = w->now, until = w->now + WATCHED_US, longest = 0;
    for (uint64_t executed = w->executed; !failed(w) && w->now < until; world_happen(w)) {
        longest = w->now - since > longest ? w->now - since : longest;
        if (w->executed == executed)
            continue;
        executed = w->executed;
        since = w->now;
    }
    return longest;
}

/* True when the node may win phase 1, and would get no results then. */
static bool leads_in_vain(const struct world *w, const struct links *l, uint32_t node)
{
    const struct node_config c = world_members(w);
    uint32_t promises = 0;
    for (node_set i = c.acceptors; i != 0; i &= i - 1) {
        uint32_t acceptor = node_set_first(i);
        promises += acceptor == node || (is_up(w, acceptor) && both_ways(l, node, acceptor));
    }
    return is_up(w, node) && promises >= c.phase1_quorum && !can_lead(w, l, node);
}

/* Under `highest` a node that cannot get results claims to lead now and then. Its claim is a wasted attempt, and then each
 * other node of that kind may have its turn before the one that serves leads again. */
static uint64_t turns_wasted(const struct world *w, const struct links *l, bool results)
{
    uint64_t wasted = 0;
    for (node_set i = world_members(w).proposers; i != 0; i &= i - 1)
        wasted += leads_in_vain(w, l, node_set_first(i));
    return results && world_slowest(w).leader_rule == LEADER_HIGHEST ? wasted : 0;
}

static void judge(struct world *w, const struct links *l, bool results)
{
    uint64_t wasted = turns_wasted(w, l, results);
    uint64_t gap_max = 2 * w->plan.clients.patience_us + SECOND + wasted * attempt(w);
    run_until(w, w->now + begins_within(w, results));
    w->led = 0;
    uint64_t gap = watch(w);
    if (failed(w) || !can_serve(w, l) || (gap <= gap_max && w->led <= LED_MAX + wasted))
        return; /* a node whose disk was harmed before may have gone meanwhile */
    checks_fail(w->checks, CHECK_LIVENESS_WHILE_CUT,
                "with quorums in reach: %llu ms without an answer, %llu leaderships in %d s", (unsigned long long)gap / 1000,
                (unsigned long long)w->led, WATCHED_US / SECOND);
}

static void cut_links(struct world *w, const struct links *l)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        world_cut(w, node_set_of(i), l->cut[i], w->now + FOR_EVER_US);
        world_trace(w, i, TRACE_FAULT, FAULT_LASTING_CUT, l->cut[i], w->black_hole[i]);
    }
    world_arrivals(w, all_nodes(w));
}

void world_last(struct world *w)
{
    bool cuts = w->plan.rate[FAULT_LASTING_CUT] > 0, holes = w->plan.rate[FAULT_BLACK_HOLE] > 0;
    struct links cut = {0}, hole = {0};
    if (!cuts && !holes)
        return;
    wait_for_service(w);
    uint64_t since = w->now;
    if (cuts)
        draw(w, &cut);
    if (holes)
        draw(w, &hole);
    memcpy(w->black_hole, hole.cut, sizeof w->black_hole);
    cut_links(w, &cut);
    if (cuts && dice_chance(&w->dice, 300000)) {
        for (uint64_t until = w->now + 5 * SECOND; !failed(w) && w->now < until && !some_node_prepares(w);)
            world_happen(w);
        draw(w, &cut);
        cut_links(w, &cut);
    }
    w->faults.fired[FAULT_LASTING_CUT] += cuts;
    w->faults.fired[FAULT_BLACK_HOLE] += holes;
    bool apart = (world_members(w).proposers & world_members(w).learners) == 0;
    if (can_serve(w, &cut))
        judge(w, &cut, holes || apart);
    else
        run_until(w, w->now + 3 * SECOND);
    w->lasted_us += w->now - since;
    memset(w->black_hole, 0, sizeof w->black_hole);
    world_heal_network(w);
    world_arrivals(w, all_nodes(w));
}

/* --- the disk --- */

/* Whether the others have all they need without `node`. */
static bool can_serve_without(const struct world *w, uint32_t node)
{
    struct links l = {0};
    l.cut[node] = all_nodes(w);
    return can_serve(w, &l);
}

/* Mostly the leader. 0: none that the others can do without. */
static uint32_t draw_hung(struct world *w)
{
    uint32_t node = (uint32_t)dice_range(&w->dice, 1, w->plan.nodes);
    const bool leads = !dice_chance(&w->dice, 250000);
    for (uint32_t i = 1; i <= w->plan.nodes && leads; i++)
        if (is_up(w, i) && w->machines[i].proposer_state == PROPOSER_LEADING)
            node = i;
    return is_up(w, node) && can_serve_without(w, node) ? node : 0;
}

static void set_hang(struct world *w, struct machine *m, uint64_t until)
{
    struct storage *s = &m->storage;
    if (s->flight != FLIGHT_NONE && (s->flying_until < until || s->flying_until == s->hangs_until))
        s->flying_until = until;
    s->hangs_until = until;
    world_trace(w, m->id, TRACE_FAULT, FAULT_LASTING_HANG, until, 0);
}

/* The cluster must serve within some time, and go on. `m`: the node whose disk hangs. */
static void judge_hung(struct world *w, const struct machine *m, const char *when)
{
    const uint64_t gap_max = 2 * w->plan.clients.patience_us + SECOND;
    run_until(w, w->now + begins_within(w, false));
    w->led = 0;
    const uint64_t gap = watch(w);
    if (failed(w) || !is_up(w, m->id) || !can_serve_without(w, m->id))
        return; /* a node whose disk was harmed before may have gone meanwhile */
    if (gap > gap_max || w->led > LED_BESIDE_HUNG_MAX)
        checks_fail(w->checks, CHECK_LIVENESS_WHILE_HUNG, "%s: %llu ms without an answer, %llu leaderships in %d s", when,
                    (unsigned long long)gap / 1000, (unsigned long long)w->led, WATCHED_US / SECOND);
    if (m->storage.hangs_until > w->now && m->storage.flight != FLIGHT_NONE && m->proposer_state == PROPOSER_LEADING)
        checks_fail(w->checks, CHECK_LIVENESS_WHILE_HUNG, "node %u leads though its disk hangs", m->id);
}

void world_hang(struct world *w)
{
    if (w->plan.rate[FAULT_LASTING_HANG] == 0)
        return;
    wait_for_service(w);
    const uint64_t since = w->now;
    const uint32_t node = draw_hung(w);
    if (failed(w) || node == 0)
        return;
    struct machine *m = &w->machines[node];
    fault_fired(&w->faults, FAULT_LASTING_HANG);
    set_hang(w, m, w->now + FOR_EVER_US);
    judge_hung(w, m, "while a disk hangs");
    set_hang(w, m, w->now);
    if (!failed(w))
        judge_hung(w, m, "after a disk hung");
    w->lasted_us += w->now - since;
}
