#include "sim/operators.h"

#include <stdio.h>
#include <string.h>

#include "sim/world.h"

enum {
    MILLISECOND = 1000,
    SECOND = 1000 * MILLISECOND,
    LOOK_AGAIN_US = 50 * MILLISECOND,
    IMPATIENT = 300000,         /* per million requests: he asks another node, too, before he has an answer */
    FORCED = 250000,            /* he wants it even if it is not safe now: what he has lost comes back in the end */
    TRIED = 100000,             /* he asks only whether it would be done */
    ENOUGH_MIN_US = 3 * SECOND, /* so long he asks at least for what he can do without */
    ENOUGH_MAX_US = 20 * SECOND,
};

void operator_init(struct operator* o, uint64_t seed)
{
    enum { STREAM = 700 };
    *o = (struct operator){.wants = FAULTS, .next_at = UINT64_MAX, .dice = dice_new(seed, STREAM) };
}

static node_set all_members(const struct configuration *c) { return c->proposers | c->acceptors | c->learners | c->joining; }

/* One of a set that is not empty. */
static uint32_t pick(struct dice *d, node_set set)
{
    for (uint64_t skip = dice_roll(d, node_set_count(set)); skip > 0; skip--)
        set &= set - 1;
    return node_set_first(set);
}

/* ---- What he may want ---- */

/* Machines that are no members, but may be. */
static node_set strangers(const struct world *w, const struct configuration *newest)
{
    node_set set = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *m = &w->machines[i];
        const bool free = m->state == MACHINE_SPARE || (m->state == MACHINE_RETIRED && m->removed);
        set |= free && !node_set_has(all_members(newest), i) ? node_set_of(i) : 0;
    }
    return set;
}

/* The cluster has all that it needs without one node. */
static bool can_do_without(const struct configuration *c, uint32_t node)
{
    const node_set gone = node_set_of(node);
    const uint32_t acceptors = node_set_count(c->acceptors & ~gone), learners = node_set_count(c->learners);
    return acceptors >= c->phase1_quorum && acceptors >= c->phase2_quorum && (c->proposers & ~gone) != 0 &&
           node_set_count(c->learners & ~gone) > learners / 2;
}

/* He does not know what has become, or will become, of a change: that of a removal, say, after which he could not do without
 * another node. */
static bool is_in_doubt(const struct world *w, const struct configuration *newest)
{
    bool asks = false;
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        asks = asks || (w->machines[i].asks_token != 0 && w->machines[i].asks_for != FAULT_MOVED_LEADER);
    return asks || w->operator.in_doubt == newest->slot;
}

/* A member whose disk may be lost: all that the last change had moved has arrived, and nothing else is missing. 0: none. */
static uint32_t draw_loss(struct world *w, const struct configuration *newest)
{
    struct operator* o = & w->operator;
    uint32_t node = pick(&o->dice, all_members(newest));
    for (uint32_t i = 1; i <= w->plan.nodes && dice_chance(&o->dice, 400000); i++)
        if (w->machines[i].state == MACHINE_UP && w->machines[i].proposer_state == PROPOSER_LEADING)
            node = i;
    const bool may = newest->slot != 0 && checks_settled(w->checks) && !is_in_doubt(w, newest) &&
                     can_do_without(newest, node) && machine_is_there(&w->machines[node]);
    return may ? node : 0;
}

static uint32_t draw_removal(struct world *w, const struct configuration *newest)
{
    const uint32_t node = pick(&w->operator.dice, all_members(newest));
    const node_set gone = node_set_of(node);
    const bool enough = node_set_count(newest->acceptors & ~gone) >= 2 && node_set_count(newest->learners & ~gone) >= 2 &&
                        (newest->proposers & ~gone) != 0;
    return enough ? node : 0;
}

/* A small state is full soon. More than there is memory for is refused. */
static uint64_t draw_state_bytes(struct dice *d, const struct node_config *first)
{
    const uint64_t sizes[] = {CONFIGURATION_STATE_MIN, dice_range(d, CONFIGURATION_STATE_MIN, 1 << 18),
                              first->state_bytes_max, 2 * first->state_bytes_room};
    return sizes[dice_roll(d, sizeof sizes / sizeof sizes[0])];
}

static void draw_setting(const struct world *w, struct operator* o, const struct configuration *newest)
{
    static const char *const keys[] = {"phase1_quorum", "phase2_quorum", "state_bytes_max", "alpha",
                                       "acceptors_send_learns"};
    const size_t key = dice_roll(&o->dice, sizeof keys / sizeof keys[0]);
    uint64_t value = dice_range(&o->dice, 1, node_set_count(newest->acceptors));
    if (key == 2)
        value = draw_state_bytes(&o->dice, &w->plan.config);
    else if (key == 3)
        value = plan_draw_alpha(&o->dice);
    snprintf(o->key, sizeof o->key, "%s", keys[key]);
    if (key == 4)
        snprintf(o->value, sizeof o->value, "%s", newest->acceptors_send_learns ? "false" : "true");
    else
        snprintf(o->value, sizeof o->value, "%llu", (unsigned long long)value);
}

/* The process ends, and the disk is empty then. */
static void lose_disk(struct world *w, uint32_t node)
{
    struct machine *m = &w->machines[node];
    machine_retire(m);
    disk_sim_lose(m->disk);
    m->lost = true;
}

bool operator_wants(struct world *w, enum fault what)
{
    struct operator* o = & w->operator;
    const struct configuration newest = checks_configuration(w->checks);
    if (!operator_idle(w))
        return false;
    uint32_t node = 0;
    node_set free = strangers(w, &newest);
    if (what == FAULT_MEMBER_ADD && free != 0)
        node = pick(&o->dice, free);
    else if (what == FAULT_MEMBER_REMOVE)
        node = draw_removal(w, &newest);
    else if (what == FAULT_MEMBER_REPLACE)
        node = draw_loss(w, &newest);
    else if (what == FAULT_SETTINGS)
        draw_setting(w, o, &newest);
    if (node == 0 && what != FAULT_SETTINGS)
        return false;
    o->wants = what;
    o->node = node;
    o->since_slot = newest.slot;
    for (size_t i = 0; i < sizeof o->instance; i++)
        o->instance[i] = (uint8_t)dice_range(&o->dice, 1, 255);
    o->asked = 0;
    o->next_at = w->now;
    o->until = w->now + dice_range(&o->dice, ENOUGH_MIN_US, ENOUGH_MAX_US);
    if (what == FAULT_MEMBER_REPLACE)
        lose_disk(w, node);
    return true;
}

/* ---- Asking ---- */

static struct bytes word(const char *text) { return (struct bytes){(uint8_t *)(uintptr_t)text, strlen(text)}; }

static void build_request(const struct world *w, struct operator* o, struct batch_builder *b)
{
    char node[16], address[MEMBER_ADDRESS_MAX], client[MEMBER_ADDRESS_MAX], instance[2 * MEMBER_INSTANCE_SIZE + 1];
    struct bytes words[10];
    size_t count = 0;
    snprintf(node, sizeof node, "%u", o->node);
    machine_address(o->node, address, client, (w->plan.roles[o->node] & DUTY_PROPOSES) != 0);
    for (size_t i = 0; i < MEMBER_INSTANCE_SIZE; i++)
        snprintf(instance + 2 * i, 3, "%02x", o->instance[i]);
    if (o->wants == FAULT_SETTINGS) {
        const char *const all[] = {"SETTINGS", "SET", o->key, o->value};
        for (; count < 4; count++)
            words[count] = word(all[count]);
    } else if (o->wants == FAULT_MEMBER_ADD) {
        const char *const all[] = {"MEMBER", "ADD", node, address, client, configuration_role_name(w->plan.roles[o->node]),
                                   instance};
        for (; count < 7; count++)
            words[count] = word(all[count]);
    } else {
        const char *const all[] = {"MEMBER", o->wants == FAULT_MEMBER_REMOVE ? "REMOVE" : "REPLACE", node, instance};
        for (; count < (o->wants == FAULT_MEMBER_REMOVE ? 3u : 4u); count++)
            words[count] = word(all[count]);
    }
    if (dice_chance(&o->dice, FORCED))
        words[count++] = word("FORCE");
    if (dice_chance(&o->dice, TRIED))
        words[count++] = word("DRY-RUN");
    batch_begin(b);
    batch_add(b, words, count);
}

/* Any node at which he can. */
static void ask(struct world *w)
{
    struct operator* o = & w->operator;
    node_set up = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *m = &w->machines[i];
        const bool can = m->state == MACHINE_UP && m->recovered && !m->stopping && m->asks_token == 0;
        up |= can && (w->plan.roles[i] & DUTY_PROPOSES) != 0 && !(o->wants == FAULT_MEMBER_REPLACE && i == o->node)
                  ? node_set_of(i)
                  : 0;
    }
    if (up == 0)
        return;
    struct machine *m = &w->machines[pick(&o->dice, up)];
    build_request(w, o, &m->asks);
    m->asks_token = OPERATOR_TOKENS + o->tokens++;
    m->asks_untold = true;
    m->asks_for = o->wants;
    world_trace(w, m->id, TRACE_OPERATOR, o->wants, 0, o->node);
    m->wake_at = w->now;
    o->asked = dice_chance(&o->dice, IMPATIENT) ? 0 : m->id;
}

void operator_answered(struct world *w, struct machine *m, const char *text, size_t len)
{
    struct operator* o = & w->operator;
    world_trace(w, m->id, TRACE_OPERATOR, m->asks_for, text == NULL ? 1 : 2, len);
    if (w->trace.out != NULL && text != NULL)
        fprintf(w->trace.out, "%31s%.*s\n", "", (int)len, text);
    if (text != NULL && memmem(text, len, "it may ", 7) != NULL) /* "it may be done or not" */
        world_leave_in_doubt(w, m);
    if (o->asked == m->id)
        o->asked = 0;
}

/* ---- What has become of it ---- */

static bool has_setting(const struct configuration_text *t, const struct operator* o)
{
    const char *value = configuration_setting(t, o->key);
    return value != NULL && strcmp(value, o->value) == 0;
}

/* What he wants is chosen. */
static bool is_done(const struct world *w)
{
    const struct operator* o = & w->operator;
    const struct configuration_text *t = checks_configuration_text(w->checks);
    if (t == NULL)
        return false;
    const struct member *member = &t->members[o->node];
    switch (o->wants) {
    case FAULT_MEMBER_ADD:
    case FAULT_MEMBER_REPLACE:
        return member->node != 0 && memcmp(member->instance, o->instance, sizeof o->instance) == 0;
    case FAULT_MEMBER_REMOVE:
        return member->node == 0;
    default:
        return checks_configuration(w->checks).slot > o->since_slot && has_setting(t, o);
    }
}

/* A machine that another node knows as a member by an instance that it has not been is formatted as that. */
static bool join(struct world *w, struct machine *m)
{
    const struct configuration_text *t = checks_configuration_text(w->checks);
    if (t == NULL || t->members[m->id].node == 0 || machine_is_there(m) ||
        memcmp(t->members[m->id].instance, m->instance, sizeof m->instance) == 0)
        return false;
    node_set informed = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        if (w->machines[i].state == MACHINE_UP && machine_knows_instance(&w->machines[i], m->id, t->members[m->id].instance))
            informed |= node_set_of(i);
    if (informed != 0)
        machine_join(m, &w->machines[pick(&w->operator.dice, informed)]);
    return true;
}

static void settle(struct world *w, bool done)
{
    static const enum reached reached[] = {REACHED_MEMBER_ADDED, REACHED_MEMBER_REMOVED, REACHED_MEMBER_REPLACED,
                                           REACHED_SETTINGS_CHANGED};
    struct operator* o = & w->operator;
    if (done)
        fault_fired(&w->faults, o->wants);
    checks_reached(w->checks)[done ? reached[o->wants - FAULT_MEMBER_ADD] : REACHED_CHANGE_REFUSED]++;
    o->wants = FAULTS;
}

void operator_run(struct world *w)
{
    struct operator* o = & w->operator;
    bool joining = false;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *m = &w->machines[i];
        joining = join(w, m) || joining;
        if (m->state != MACHINE_UP || world_is_member(w, i))
            continue;
        machine_greets(m);
        if (machine_expelled(m))
            machine_leave(m);
    }
    if (o->asked != 0 && w->machines[o->asked].asks_token == 0)
        o->asked = 0; /* it has ended */
    if (o->wants != FAULTS && is_done(w))
        settle(w, true);
    else if (o->wants != FAULTS && o->asked == 0 && w->now >= o->until && o->wants != FAULT_MEMBER_REPLACE)
        settle(w, false);
    else if (o->wants != FAULTS && o->asked == 0)
        ask(w);
    o->next_at =
        o->wants != FAULTS || joining ? w->now + LOOK_AGAIN_US * dice_range(&o->dice, 1, 6) : w->now + 4 * LOOK_AGAIN_US;
}

bool operator_idle(const struct world *w)
{
    const struct configuration_text *t = checks_configuration_text(w->checks);
    if (w->operator.wants != FAULTS)
        return false;
    for (uint32_t i = 1; i <= w->plan.nodes && t != NULL; i++)
        if (t->members[i].node != 0 && memcmp(t->members[i].instance, w->machines[i].instance, MEMBER_INSTANCE_SIZE) != 0)
            return false;
    return true;
}
