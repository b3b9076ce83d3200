/* sim/network.c: whatever is done to it, nothing arrives that was not sent, nothing comes twice or is missing without a
 * fault that explains it, and the same seed gives the same run. */
#include "tests/unit/network_sim_fixture.h"

/* What the network may do with a frame, as the test remembers it. */
struct sent {
    uint64_t at;
    node_set to;
    uint32_t from, life;
    uint8_t times[NODES + 1]; /* that it arrived, by node */
};

struct model {
    struct fixture *f;
    struct dice dice;
    struct sent sent[BODIES];
    uint32_t life[NODES + 1];
    bool up[NODES + 1];
    uint32_t heard[NODES + 1][NODES + 1]; /* by receiver and sender */
    uint64_t last[NODES + 1][NODES + 1];  /* number of the last one */
    uint64_t trace;
};

static void model_send(struct model *m)
{
    uint32_t from = (uint32_t)dice_range(&m->dice, 1, NODES);
    node_set to = dice_roll(&m->dice, 16);
    size_t words = (size_t)dice_range(&m->dice, 1, 200);
    if (!m->up[from] || m->f->sent + 1 >= BODIES)
        return;
    uint64_t number = send_sized(m->f, from, to, words);
    m->sent[number] = (struct sent){.at = m->f->now, .to = to & ~node_set_of(from), .from = from, .life = m->life[from]};
}

static void model_receive(struct model *m, uint32_t node)
{
    struct fixture *f = m->f;
    uint64_t next = network_sim_next(f->network, node), before = got_there(f);
    struct packet_list l = network_sim_receive(f->network, node, f->now);
    assert_int_equal(got_there(f) > before, next <= f->now);
    assert_true(network_sim_next(f->network, node) > f->now);
    for (size_t i = 0; i < l.len; i++) {
        uint64_t number = l.ptr[i].words.ptr[0];
        if (is_rebirth(&l.ptr[i])) {
            assert_true(m->life[l.ptr[i].id] > 1);
            continue;
        }
        assert_in_range(number, 1, f->sent);
        struct sent *s = &m->sent[number];
        assert_int_equal(l.ptr[i].id, s->from);
        assert_true(node_set_has(s->to, node));
        assert_true(f->now >= s->at + LATENCY);
        bool doubled = f->faults.fired[FAULT_DUPLICATE] > 0, replayed = f->faults.fired[FAULT_REPLAY] > 0;
        assert_true(++s->times[node] <= 1 + doubled + replayed);
        assert_true(replayed || s->life >= m->heard[node][s->from]);
        assert_true(replayed || f->faults.fired[FAULT_REORDER] > 0 || number >= m->last[node][s->from]);
        m->heard[node][s->from] = s->life;
        m->last[node][s->from] = number;
        m->trace = m->trace * 31 + number * 8 + node + f->now;
    }
}

static void model_restart(struct model *m, uint32_t node)
{
    struct fixture *f = m->f;
    if (m->up[node]) {
        network_sim_stop(f->network, node, dice_chance(&m->dice, 500000));
        assert_int_equal(network_sim_next(f->network, node), UINT64_MAX);
    } else {
        network_sim_start(f->network, node, ++m->life[node], 0, f->now);
        memset(m->heard[node], 0, sizeof m->heard[node]);
        memset(m->last[node], 0, sizeof m->last[node]);
    }
    m->up[node] = !m->up[node];
}

static void model_strike(struct model *m)
{
    struct fixture *f = m->f;
    uint64_t until = f->now + dice_range(&m->dice, 1, 8 * SECOND);
    uint32_t node = (uint32_t)dice_range(&m->dice, 1, NODES), other = node % NODES + 1;
    switch (dice_roll(&m->dice, 3)) {
    case 0:
        network_sim_cut(f->network, dice_roll(&m->dice, 16), dice_roll(&m->dice, 16), until);
        return;
    case 1:
        network_sim_half_open(f->network, node, other, until);
        return;
    default:
        network_sim_stall_reader(f->network, node, until);
        return;
    }
}

/* To the next arrival, or some time on; a node may come late to what has arrived. */
static void model_step(struct model *m)
{
    uint64_t next = UINT64_MAX, on = m->f->now + dice_range(&m->dice, 1, 20000);
    uint32_t node = (uint32_t)dice_range(&m->dice, 1, NODES);
    for (uint32_t id = 1; id <= NODES; id++) {
        uint64_t arrival = network_sim_next(m->f->network, id);
        if (arrival < next) {
            next = arrival;
            node = id;
        }
    }
    m->f->now = next > m->f->now && next < on ? next : next <= m->f->now ? m->f->now : on;
    model_receive(m, node);
}

static void model_settle(struct model *m, bool perfect)
{
    struct fixture *f = m->f;
    network_sim_heal(f->network);
    f->now += 60 * SECOND;
    for (uint32_t id = 1; id <= NODES; id++)
        if (m->up[id])
            model_receive(m, id);
    for (uint32_t id = 1; id <= NODES; id++)
        if (!m->up[id])
            model_restart(m, id);
    f->now += HANDSHAKE;
    assert_accounted(f);
    for (uint64_t number = 1; number <= f->sent && perfect; number++)
        for (uint32_t id = 1; id <= NODES; id++)
            assert_int_equal(m->sent[number].times[id], node_set_has(m->sent[number].to, id));
    for (uint32_t id = 1; id <= NODES; id++) { /* each node reaches each other one */
        uint64_t number = send_sized(f, id, UINT64_MAX, 1);
        m->sent[number] = (struct sent){.at = f->now, .to = ~node_set_of(id), .from = id, .life = m->life[id]};
    }
    f->now += 60 * SECOND;
    for (uint32_t id = 1; id <= NODES; id++)
        model_receive(m, id);
    for (uint64_t number = f->sent - NODES + 1; number <= f->sent; number++)
        for (uint32_t id = 1; id <= NODES; id++)
            assert_int_equal(m->sent[number].times[id], id != m->sent[number].from);
    assert_int_equal(statistics(f).under_way, 0);
}

/* `perfect`: nothing goes wrong, so everything must arrive. Returns a number that stands for all that arrived. */
static uint64_t run_model(uint64_t seed, bool perfect)
{
    static const enum fault rolled[] = {FAULT_DROP, FAULT_DELAY, FAULT_REORDER, FAULT_DUPLICATE, FAULT_REPLAY, FAULT_RESET};
    struct model *m = memory_new(1, sizeof *m);
    m->f = fixture_new(seed);
    m->dice = dice_new(seed, 77);
    for (uint32_t id = 1; id <= NODES; id++) {
        m->life[id] = 1;
        m->up[id] = true;
    }
    for (size_t i = 0; i < sizeof rolled / sizeof rolled[0] && !perfect; i++)
        if (dice_chance(&m->dice, 400000))
            m->f->faults.rate[rolled[i]] = (uint32_t)dice_range(&m->dice, 1, 100000);
    bool restarts = !perfect && dice_chance(&m->dice, 700000), struck = !perfect && dice_chance(&m->dice, 700000);
    for (size_t i = 0; i < 4000; i++) {
        if (dice_chance(&m->dice, 500000))
            model_send(m);
        else
            model_step(m);
        if (restarts && dice_chance(&m->dice, 10000))
            model_restart(m, (uint32_t)dice_range(&m->dice, 1, NODES));
        if (struck && dice_chance(&m->dice, 5000))
            model_strike(m);
    }
    model_settle(m, perfect);
    uint64_t trace = m->trace;
    fixture_free(m->f);
    free(m);
    return trace;
}

static void nothing_is_lost_or_doubled_without_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++)
        run_model(seed, true);
}

static void nothing_comes_about_that_no_fault_explains(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++)
        run_model(seed, false);
}

static void the_seed_decides_all(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t trace = run_model(seed, false);
        assert_int_equal(run_model(seed, false), trace);
        assert_int_not_equal(trace, before);
        before = trace;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled_without_faults),
        cmocka_unit_test(nothing_comes_about_that_no_fault_explains),
        cmocka_unit_test(the_seed_decides_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
