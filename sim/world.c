#include "sim/world.h"

#include <malloc.h>
#include <string.h>

#include "core/agents/agreement.h"
#include "core/base/memory.h"
#include "sim/guard.h"

enum {
    SECOND = 1000000,
    BEGIN_US = SECOND,
    HEALED_WITHIN_US = 30 * SECOND, /* of the world's time */
    JUDGE_STEPS_MAX = 2000000,      /* of one key's history */
};

static node_set all_nodes(const struct world *w) { return (UINT64_C(2) << w->plan.nodes) - 2; }

static bool failed(const struct world *w) { return checks_verdict(w->checks)->failed; }

/* Whether in this world only processes end and pause, and clocks are wrong. */
static bool only_nodes_fail(const struct plan *p)
{
    bool only = true;
    for (uint32_t i = 0; i < FAULTS; i++)
        only = only && (p->rate[i] == 0 || strcmp(fault_kinds[i].subject, "process") == 0 ||
                        strcmp(fault_kinds[i].subject, "clock") == 0);
    return only;
}

static void create_sockets(struct world *w)
{
    w->plan.sockets.faults = &w->faults;
    w->sockets = w->plan.clients.sockets = sockets_new(&w->plan.sockets);
    sockets_hear_time(w->sockets, w->now);
    w->strangers = strangers_new(w->plan.seed, w->plan.strangers, w->sockets, w->plan.clients.ports);
}

static void create_links(struct world *w)
{
    w->plan.link.faults = &w->faults;
    w->links = sockets_new(&w->plan.link);
    sockets_hear_time(w->links, w->now);
    w->greetings = greetings_new(w->links);
    if (w->plan.wire != WIRE_UDP)
        return;
    w->plan.datagrams.faults = &w->faults;
    w->plan.datagrams.came = world_datagram_came;
    w->plan.datagrams.context = w;
    w->datagrams = datagrams_new(&w->plan.datagrams, w->links);
}

static void create(struct world *w, const struct world_options *options, struct world_result *result)
{
    memset(w, 0, sizeof *w);
    memset(result, 0, sizeof *result);
    w->options = *options;
    w->result = result;
    w->now = BEGIN_US;
    w->trace.out = options->trace;
    w->memory_before = mallinfo2().uordblks;
    plan_draw(&w->plan, &options->plan);
    w->dice = dice_new(w->plan.seed, 1);
    memcpy(w->faults.rate, w->plan.rate, sizeof w->faults.rate);
    w->plan.network.faults = &w->faults;
    w->plan.network.listens = machine_listens;
    w->plan.network.greeted = machine_greeted;
    w->plan.network.takes = w->plan.changes ? machine_takes : NULL;
    w->plan.network.context = w;
    w->plan.network.only_outside = w->plan.wire != WIRE_MODEL;
    w->network = network_sim_new(&w->plan.network);
    w->history = history_new();
    w->plan.clients.history = w->history;
    if (w->plan.shipped_port)
        create_sockets(w);
    if (w->plan.wire != WIRE_MODEL)
        create_links(w);
    w->clients = clients_new(&w->plan.clients);
    const struct node_config *c = &w->plan.config;
    const struct checks_options checks = {
        .nodes = w->plan.nodes,
        .drift_max = WORLD_DRIFT_MAX,
        .proposers = c->proposers,
        .acceptors = c->acceptors,
        .learners = c->learners,
        .phase1_quorum = c->phase1_quorum,
        .phase2_quorum = c->phase2_quorum,
        .alpha = c->alpha,
        .alpha_most = PLAN_ALPHA_MAX,
        .bytes_in_flight_max = c->bytes_in_flight_max,
        .frame_bytes_max = w->plan.frame_bytes_max,
        .executes = c,
        .lied_to = w->plan.rate[FAULT_HOSTILE] > 0,
    };
    w->checks = checks_new(&checks);
    w->strike_at = w->now + WORLD_STRIKE_EVERY_US;
    w->judges_gaps = only_nodes_fail(&w->plan);
    w->judges_moves = w->plan.moves_only;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        machine_init(&w->machines[i], w, i, &machine_ports);
        w->machines[i].restart_at = w->now + dice_roll(&w->dice, 200000);
        clients_serve(w->clients, i, w->machines[i].state != MACHINE_SPARE);
    }
    if (w->plan.changes) {
        operator_init(&w->operator, w->plan.seed);
        w->operator.next_at = w->now;
    }
    world_drift(w);
}

static void destroy(struct world *w)
{
    for (uint32_t i = 1; i <= w->plan.nodes; i++)
        machine_close(&w->machines[i]);
    letters_close(&w->letters);
    network_sim_free(w->network);
    clients_free(w->clients);
    strangers_free(w->strangers);
    sockets_free(w->sockets);
    greetings_free(w->greetings);
    datagrams_free(w->datagrams);
    sockets_free(w->links);
    history_free(w->history);
    checks_free(w->checks);
}

/* Of slots before a snapshot that it has loaded in this life, a learner knows no hash. */
static bool knows_hash(const struct machine *m, uint64_t slot)
{
    return m->state == MACHINE_UP && m->executed >= slot && slot >= m->snapshots.loaded;
}

/* The others have heard of its different state, and it has heard of theirs: a majority of the learners knows another
 * hash. */
static bool differs_openly(const struct world *w, const struct machine *m)
{
    const uint64_t told = m->executed / AGREEMENT_INTERVAL * AGREEMENT_INTERVAL;
    uint32_t learners = 0, others = 0;
    if (m->other_state == 0 || told < m->other_from || !knows_hash(m, told))
        return false;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *other = &w->machines[i];
        if (!machine_is_there(other) || (w->plan.roles[i] & DUTY_LEARNS) == 0)
            continue;
        learners++;
        others += other != m && knows_hash(other, told);
    }
    return others > learners / 2;
}

/* No client or operator waits, and no port for its node. */
static bool served(const struct world *w)
{
    bool done = clients_done(w->clients) && (!w->plan.changes || operator_idle(w));
    for (uint32_t i = 1; i <= w->plan.nodes && done; i++)
        done = w->machines[i].asks_token == 0;
    for (uint32_t i = 1; i <= w->plan.nodes && done; i++)
        done = w->machines[i].port == NULL || client_port_in_flight(w->machines[i].port) == 0;
    return done;
}

/* Every node that must come back is up and has heard all, every learner has executed the same, and no client waits. */
static bool converged(const struct world *w)
{
    uint64_t executed = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        const struct machine *m = &w->machines[i];
        if (m->lost || (m->state == MACHINE_UP && !world_is_member(w, i)))
            return false;
        if (!machine_is_there(m))
            continue;
        if (m->state != MACHINE_UP || !m->recovered || differs_openly(w, m))
            return false;
        if ((w->plan.roles[i] & DUTY_LEARNS) == 0)
            continue;
        if (executed != 0 && m->executed != executed)
            return false;
        executed = m->executed;
    }
    return served(w);
}

/* All faults stop. What was lost stays lost. */
static void calm(struct world *w)
{
    w->healing = true;
    w->strike_at = UINT64_MAX;
    world_trace(w, 0, TRACE_HEAL, 0, 0, 0);
    memset(w->faults.rate, 0, sizeof w->faults.rate);
    world_heal_network(w);
    if (w->sockets != NULL) {
        strangers_stop(w->strangers);
        sockets_heal(w->sockets);
    }
    w->sieve.until = 0;
    for (uint32_t i = 1; i <= w->plan.nodes; i++) {
        struct machine *m = &w->machines[i];
        memset(m->faults.rate, 0, sizeof m->faults.rate);
        disk_sim_calm(m->disk, true);
        m->paused_until = 0;
        clients_node_pauses(w->clients, m->id, 0);
        m->offset = machine_clock(m, w->now) - w->now; /* it runs correctly from here on */
        m->drift = 0;
        m->fuse = -1;
        m->power_fails = false;
        m->power_at = UINT64_MAX;
        m->storm = 0;
        if (m->storage.flight != FLIGHT_NONE && m->storage.flying_until > w->now + SECOND)
            m->storage.flying_until = w->now + SECOND;
        if (m->snapshots.flying && m->snapshots.flying_until > w->now + SECOND)
            m->snapshots.flying_until = w->now + SECOND;
        if (m->opening_until > w->now + SECOND)
            m->opening_until = w->now + SECOND;
        if (m->busy_until > w->now + SECOND)
            m->busy_until = w->now + SECOND;
        if (m->ghost || (node_set_has(w->plan.fragile, i) && !w->plan.fragile_return))
            machine_retire(m);
    }
    world_arrivals(w, all_nodes(w));
}

static void describe(const struct world *w, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 1; i <= w->plan.nodes && len < size; i++) {
        static const char *const states[] = {"down", "opening", "up", "retired", "no member"};
        const struct machine *m = &w->machines[i];
        int more = snprintf(out + len, size - len, "; node %u %s, leader %u, executed %llu", i, states[m->state], m->leader,
                            (unsigned long long)m->executed);
        len += more > 0 ? (size_t)more : 0;
    }
}

static void wait_until(struct world *w, bool (*condition)(const struct world *w), const char *what)
{
    uint64_t since = w->now;
    while (!failed(w) && !condition(w)) {
        world_happen(w);
        if (w->now - since <= HEALED_WITHIN_US + w->lasted_us)
            continue;
        char nodes[700];
        describe(w, nodes, sizeof nodes);
        checks_fail(w->checks, CHECK_LIVENESS_AFTER_HEAL, "no %s %llu s after all faults stopped%s", what,
                    (unsigned long long)(w->now - since) / SECOND, nodes);
    }
}

static bool sessions_have_ended(const struct world *w) { return checks_sessions(w->checks) == 0; }

/* Clients do nothing any more. Where sessions end soon, they all do, because a leader lets time pass. */
static void end_sessions(struct world *w)
{
    if (w->plan.config.limits.session_idle_ms == 0)
        return;
    clients_stop(w->clients);
    wait_until(w, sessions_have_ended, "end of sessions");
}

static void judge(struct world *w)
{
    char why[900];
    size_t undecided = 0;
    if (!history_check(w->history, JUDGE_STEPS_MAX, &undecided, why, sizeof why))
        checks_fail(w->checks, CHECK_LINEARIZABILITY, "%s", why);
    w->result->undecided = undecided;
    if (!history_check_leases(w->history, (struct lease_clocks){WORLD_DRIFT_MAX, w->leapt}, why, sizeof why))
        checks_fail(w->checks, CHECK_EXPIRY, "%s", why);
    checks_history(w->checks, w->history);
}

static void sum_up(struct world *w)
{
    struct world_result *r = w->result;
    const struct checks_verdict *verdict = checks_verdict(w->checks);
    r->failed = verdict->failed;
    r->check = verdict->check;
    snprintf(r->why, sizeof r->why, "%s", verdict->text);
    r->trace_hash = w->trace.hash;
    r->simulated_us = w->now - BEGIN_US;
    r->clients = clients_statistics(w->clients);
    checks_reached(w->checks)[REACHED_NO_REPLY_ROOM] = r->clients.no_reply_room;
    checks_reached(w->checks)[REACHED_NO_STATE_ROOM] = r->clients.no_state_room;
    if (w->links != NULL)
        checks_reached(w->checks)[REACHED_LINK_RESET] = sockets_statistics(w->links).resets;
    if (w->datagrams != NULL)
        checks_reached(w->checks)[REACHED_CROWDED_OUT] = datagrams_statistics(w->datagrams).crowded_out;
    if (w->sockets != NULL)
        checks_reached(w->checks)[REACHED_CONNECTION_RESET] = sockets_statistics(w->sockets).resets;
    memcpy(r->reached, checks_reached(w->checks), sizeof r->reached);
    for (uint32_t i = 0; i < FAULTS; i++) {
        r->fired[i] = w->faults.fired[i];
        for (uint32_t n = 1; n <= w->plan.nodes; n++)
            r->fired[i] += w->machines[n].faults.fired[i];
    }
    if (w->options.history != NULL)
        history_export(w->history, w->options.history);
    if (r->failed && w->options.report != NULL) {
        plan_print(&w->plan, w->options.report);
        fprintf(w->options.report, "the last events:\n");
        trace_print_last(&w->trace, w->options.report);
    }
}

void world_run(const struct world_options *options, struct world_result *result)
{
    struct world *w = memory_new(1, sizeof *w);
    guard_install();
    create(w, options, result);
    while (!failed(w) && result->events < w->plan.events)
        world_happen(w);
    if (!failed(w))
        calm(w);
    if (!failed(w))
        world_last(w);
    if (!failed(w))
        world_hang(w);
    if (!failed(w))
        clients_stop(w->clients);
    wait_until(w, converged, "agreement");
    if (!failed(w))
        clients_resume(w->clients, w->now);
    wait_until(w, served, "service");
    if (!failed(w))
        end_sessions(w);
    if (!failed(w))
        judge(w);
    sum_up(w);
    destroy(w);
    free(w);
}
