/* The faults that the world starts. (Those of single messages and disk calls are rolled where they happen: sim/network.h,
 * sim/disk.h.) Leaders are chosen more often. */
#include "core/base/assert.h"
#include "sim/world.h"

enum { MILLISECOND = 1000, SECOND = 1000 * MILLISECOND };

/* ---- the victim ---- */

static struct machine *any_leader(struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        if (w->machines[i].state == MACHINE_UP && w->machines[i].proposer_state == PROPOSER_LEADING)
            return &w->machines[i];
    return NULL;
}

/* NULL: it is not up. */
static struct machine *victim(struct world *w)
{
    struct machine *m = dice_chance(&w->dice, 400000) ? any_leader(w) : NULL;
    if (m == NULL)
        m = &w->machines[dice_range(&w->dice, 1, w->plan.nodes)];
    return m->state == MACHINE_UP ? m : NULL;
}

/* One whose disk may be harmed, and has not been yet. */
static struct machine *fragile_victim(struct world *w)
{
    node_set candidates = w->plan.fragile;
    if (candidates == 0)
        return NULL;
    for (uint64_t skip = dice_roll(&w->dice, node_set_count(candidates)); skip > 0; skip--)
        candidates &= candidates - 1;
    struct machine *m = &w->machines[node_set_first(candidates)];
    return m->state == MACHINE_UP && m->recovered && !disk_sim_damaged(m->disk) ? m : NULL;
}

static node_set some_nodes(struct world *w) { return dice_next(&w->dice) >> 16 & ((UINT64_C(2) << w->plan.nodes) - 2); }

static uint64_t a_while(struct world *w, uint64_t at_most)
{
    return w->now + dice_range(&w->dice, 20 * MILLISECOND, at_most);
}

/* ---- network ---- */

static bool cut_one_way(struct world *w, struct machine *m)
{
    node_set one = node_set_of(m->id), others = some_nodes(w) & ~one;
    bool deaf = dice_chance(&w->dice, 500000);
    world_cut(w, deaf ? others : one, deaf ? one : others, a_while(w, 6 * SECOND));
    return others != 0;
}

/* Cuts two groups from each other; nodes of `both` reach either. */
static bool cut(struct world *w, node_set left, node_set both, uint64_t until)
{
    node_set right = ((UINT64_C(2) << w->plan.nodes) - 2) & ~left & ~both;
    left &= ~both;
    if (left == 0 || right == 0)
        return false;
    world_cut(w, left, right, until);
    world_cut(w, right, left, until);
    return true;
}

/* Mostly around a leader; and mostly what learners say of their progress passes, because a leader depends on that. */
static bool sieve(struct world *w, struct machine *m)
{
    node_set left = dice_chance(&w->dice, 700000) ? node_set_of(m->id) : some_nodes(w) | node_set_of(m->id);
    uint64_t until = w->now + dice_range(&w->dice, SECOND, 6 * SECOND);
    if (w->now < w->sieve.until || !cut(w, left, 0, until))
        return false;
    w->sieve.left = left;
    w->sieve.kind = dice_chance(&w->dice, 500000) ? MESSAGE_PROGRESS : (uint8_t)dice_roll(&w->dice, MESSAGE_KINDS);
    w->sieve.until = until;
    return true;
}

static bool half_open(struct world *w, struct machine *m)
{
    uint32_t other = (uint32_t)dice_range(&w->dice, 1, w->plan.nodes);
    if (other != m->id)
        world_half_open(w, m->id, other, a_while(w, 10 * SECOND));
    return other != m->id;
}

/* Mostly all connections of a node end; sometimes those that it has made, or those with some others, stay. */
static bool refuse_dials(struct world *w, struct machine *m)
{
    const node_set all = (UINT64_C(2) << w->plan.nodes) - 2;
    const node_set others = (dice_chance(&w->dice, 600000) ? all : some_nodes(w)) & ~node_set_of(m->id);
    return world_refuse(w, m->id, others, dice_chance(&w->dice, 700000), a_while(w, SECOND));
}

static bool stall_reader(struct world *w, struct machine *m)
{
    world_stall_reader(w, m, a_while(w, 4 * SECOND));
    return true;
}

/* ---- disk ---- */

/* Mostly while one machine writes; sometimes everywhere at once. */
static void lose_power(struct world *w, struct machine *m)
{
    if (!dice_chance(&w->dice, 100000)) {
        m->power_fails = true;
        return;
    }
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        machine_stop_process(w, i, FAULT_LOST_WRITES, dice_range(&w->dice, MILLISECOND, SECOND), true);
}

/* Every other node knows this life of it, or a later one: durably, so it does not matter whether they are up. */
static bool known_to_all(const struct world *w, const struct machine *m, uint32_t incarnation)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *other = &w->machines[i];
        if (other != m && machine_is_there(other) && (m->known[i] < incarnation || disk_sim_damaged(other->disk)))
            return false;
    }
    return true;
}

/* Brings back an old copy of its disk, so that what it promised since is forgotten. Nodes that know its later life do not
 * listen to it. */
static void make_ghost(struct world *w, struct machine *m)
{
    bool back = disk_sim_put_back(m->disk);
    invariant(back);
    m->ghost = true;
    checks_retired(w->checks, m->id);
}

/* Whether it has become a node with a different state. Of two such nodes some have the same state. */
static bool differ(struct world *w, struct machine *m)
{
    if (!node_set_has(world_members(w).learners, m->id) || m->other_state != 0)
        return false;
    m->other_state = dice_range(&w->dice, 1, 2);
    m->other_from = m->executed + 1;
    return true;
}

/* Harm to a disk shows when it is read again. */
static bool harm(struct world *w, enum fault fault)
{
    struct machine *m = fragile_victim(w);
    if (m == NULL)
        return false;
    if (fault == FAULT_OTHER_STATE)
        return differ(w, m);
    if (fault == FAULT_OLD_DISK && m->kept == 0) {
        disk_sim_keep(m->disk);
        m->kept = m->config.incarnation;
        return false;
    }
    if (fault == FAULT_OLD_DISK && !known_to_all(w, m, m->kept + 1))
        return false;
    machine_stop_process(w, m->id, fault, dice_range(&w->dice, MILLISECOND, 2 * SECOND), fault != FAULT_FLIPPED_BYTE);
    if (fault == FAULT_FLIPPED_BYTE)
        return disk_sim_flip(m->disk);
    if (fault == FAULT_LOST_DISK)
        disk_sim_lose(m->disk);
    else
        make_ghost(w, m);
    return true;
}

/* Restarts a node some time after its disk was harmed unnoticed. */
static void uncover_harm(struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *m = &w->machines[i];
        if (m->state == MACHINE_UP && (machine_expelled(m) || m->expelled)) {
            machine_retire(m);
            continue;
        }
        if (m->state != MACHINE_UP || !disk_sim_damaged(m->disk) || !dice_chance(&w->dice, 10000))
            continue;
        if (m->ghost)
            machine_retire(m);
        else
            machine_stop_process(w, i, FAULT_CRASH, dice_range(&w->dice, MILLISECOND, SECOND), false);
    }
}

/* ---- clock and process ---- */

void world_drift(struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes && w->plan.rate[FAULT_DRIFT] > 0; i++) {
        w->machines[i].drift = (int64_t)dice_roll(&w->dice, 2 * WORLD_DRIFT_MAX) - WORLD_DRIFT_MAX;
        fault_fired(&w->faults, FAULT_DRIFT);
    }
}

static bool jump(struct world *w, struct machine *m)
{
    const uint64_t by = dice_range(&w->dice, MILLISECOND, 5 * SECOND);
    m->offset += by;
    w->leapt += by;
    m->wake_at = w->now;
    return true;
}

/* By seconds, or by days. */
static bool set_wall_clock(struct world *w, struct machine *m)
{
    static const uint64_t most_ms[] = {SECOND / 1000, 100 * (SECOND / 1000), 100000000};
    const uint64_t by = dice_roll(&w->dice, most_ms[dice_roll(&w->dice, 3)]);
    m->wall_clock_ahead = dice_chance(&w->dice, 500000) ? (int64_t)by : -(int64_t)by;
    return true;
}

static bool pause(struct world *w, struct machine *m, uint64_t from, uint64_t to)
{
    m->paused_at = w->now;
    m->paused_until = w->now + dice_range(&w->dice, from, to);
    clients_node_pauses(w->clients, m->id, m->paused_until);
    return true;
}

/* The process ends within a turn, after some more effects. */
static bool light_fuse(struct world *w, struct machine *m, enum fault fault)
{
    m->fuse = (int64_t)dice_roll(&w->dice, 30);
    m->fuse_fault = fault;
    return false; /* counted when it burns down */
}

static bool begin_storm(struct world *w, struct machine *m)
{
    m->storm = (uint32_t)dice_range(&w->dice, 3, 8);
    m->fuse = 0;
    m->fuse_fault = FAULT_RESTART_STORM;
    return true;
}

/* It ends gracefully, and is restarted. */
static void restart(struct world *w, struct machine *m)
{
    m->stopping = true;
    m->stop_until = w->now + 2 * SECOND;
    m->wake_at = w->now;
}

static bool reconfigure(struct world *w, struct machine *m)
{
    plan_reconfigure(&w->plan, &m->config, &m->host, &m->dice);
    restart(w, m);
    return true;
}

/* Changes one node's file, or that of all. */
static bool regovern(struct world *w, struct machine *m)
{
    const bool all = dice_chance(&w->dice, 400000);
    const uint64_t seed = dice_next(&w->dice) | 1;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *one = &w->machines[i];
        if (one->state != MACHINE_UP || (one != m && !all))
            continue;
        one->regoverned = seed;
        restart(w, one);
    }
    return true;
}

/* ---- operators ---- */

static bool move_leader(struct world *w, struct machine *m)
{
    const node_set proposers = world_members(w).proposers, others = proposers & ~node_set_of(m->id);
    char text[16];
    if (!node_set_has(proposers, m->id) || others == 0 || !m->recovered || m->asks_token != 0)
        return false;
    node_set left = others;
    for (uint64_t skip = dice_roll(&w->dice, node_set_count(others)); skip > 0; skip--)
        left &= left - 1;
    m->asks_for = FAULT_MOVED_LEADER;
    m->moves_to = node_set_first(left);
    const int len = snprintf(text, sizeof text, "%u", m->moves_to);
    const struct bytes words[] = {
        {(uint8_t *)(uintptr_t)"LEADER", 6}, {(uint8_t *)(uintptr_t)"MOVE", 4}, {(uint8_t *)text, (size_t)len}};
    batch_begin(&m->asks);
    batch_add(&m->asks, words, sizeof words / sizeof words[0]);
    m->asks_token = UINT64_MAX - w->moves++;
    m->asks_untold = true;
    m->wake_at = w->now;
    return true;
}

/* ---- all of them ---- */

static bool strike_node(struct world *w, struct machine *m, enum fault fault)
{
    switch (fault) {
    case FAULT_CUT_ONE_WAY:
        return cut_one_way(w, m);
    case FAULT_CUT:
        return cut(w, some_nodes(w), 0, a_while(w, 6 * SECOND));
    case FAULT_BRIDGE:
        return cut(w, some_nodes(w), node_set_of(m->id), a_while(w, 6 * SECOND));
    case FAULT_ISOLATED_LEADER:
        return m->proposer_state == PROPOSER_LEADING && cut(w, node_set_of(m->id), 0, a_while(w, 6 * SECOND));
    case FAULT_SIEVE:
        return sieve(w, m);
    case FAULT_HOSTILE:
        return world_hostile(w, m);
    case FAULT_HOSTILE_GREETING:
        return world_hostile_greeting(w, m);
    case FAULT_HALF_OPEN:
        return half_open(w, m);
    case FAULT_REFUSED_DIALS:
        return refuse_dials(w, m);
    case FAULT_STALLED_READER:
        return stall_reader(w, m);
    case FAULT_LOST_WRITES:
        lose_power(w, m);
        return false; /* the disk counts what it lost */
    case FAULT_JUMP:
        return jump(w, m);
    case FAULT_WALL_CLOCK:
        return set_wall_clock(w, m);
    case FAULT_PAUSE:
        return pause(w, m, 1200 * MILLISECOND, 6 * SECOND);
    case FAULT_LONG_PAUSE:
        m->resumes = true;
        return pause(w, m, 5 * SECOND, 30 * SECOND);
    case FAULT_RESTART_STORM:
        return begin_storm(w, m);
    case FAULT_RECONFIGURED:
        return reconfigure(w, m);
    case FAULT_REGOVERNED:
        return regovern(w, m);
    case FAULT_GARBAGE:
        m->garbage = true;
        m->wake_at = w->now;
        return true;
    case FAULT_MOVED_LEADER:
        return move_leader(w, m);
    default:
        return light_fuse(w, m, fault);
    }
}

static void strike(struct world *w, enum fault fault)
{
    bool struck;
    if (fault >= FAULT_MEMBER_ADD && fault <= FAULT_SETTINGS) {
        operator_wants(w, fault);
        struck = false; /* counted when it is chosen */
    } else if (fault == FAULT_FLIPPED_BYTE || fault == FAULT_LOST_DISK || fault == FAULT_OLD_DISK ||
               fault == FAULT_OTHER_STATE) {
        struck = harm(w, fault);
    } else {
        bool wants_leader = fault == FAULT_ISOLATED_LEADER || (fault == FAULT_SIEVE && dice_chance(&w->dice, 800000)) ||
                            (fault == FAULT_MOVED_LEADER && dice_chance(&w->dice, 800000));
        struct machine *m = wants_leader ? any_leader(w) : victim(w);
        struck = m != NULL && strike_node(w, m, fault);
    }
    w->result->struck++;
    world_trace(w, 0, TRACE_FAULT, fault, struck, 0);
    if (struck)
        fault_fired(&w->faults, fault);
}

void world_strike(struct world *w)
{
    static const enum fault struck[] = {
        FAULT_CUT_ONE_WAY,   FAULT_CUT,
        FAULT_BRIDGE,        FAULT_ISOLATED_LEADER,
        FAULT_SIEVE,         FAULT_HOSTILE,
        FAULT_HALF_OPEN,     FAULT_STALLED_READER,
        FAULT_LOST_WRITES,   FAULT_FLIPPED_BYTE,
        FAULT_LOST_DISK,     FAULT_OLD_DISK,
        FAULT_JUMP,          FAULT_PAUSE,
        FAULT_CRASH,         FAULT_RESTART_STORM,
        FAULT_LONG_PAUSE,    FAULT_RECONFIGURED,
        FAULT_TRAP,          FAULT_ENDLESS_LOOP,
        FAULT_MEMORY_LIMIT,  FAULT_GARBAGE,
        FAULT_SPARE,         FAULT_OTHER_STATE,
        FAULT_REGOVERNED,    FAULT_HOSTILE_GREETING,
        FAULT_MOVED_LEADER,  FAULT_MEMBER_ADD,
        FAULT_MEMBER_REMOVE, FAULT_MEMBER_REPLACE,
        FAULT_SETTINGS,      FAULT_WALL_CLOCK,
        FAULT_REFUSED_DIALS,
    };
    for (size_t i = 0; i < sizeof struck / sizeof struck[0]; i++)
        if (dice_chance(&w->dice, w->plan.rate[struck[i]]) && w->result->struck < w->options.fault_budget)
            strike(w, struck[i]);
    uncover_harm(w);
}
