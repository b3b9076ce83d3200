/* sim/world.h: the same seed is the same run, some dozens of seeds keep every rule in each deployment, and what is broken on
 * purpose is found, reported, and made smaller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/shrink.h"
#include "sim/world.h"
#include "tests/unit/configuration_text.h"

static const uint64_t all_faults = (UINT64_C(1) << FAULTS) - 1;

static struct world_options options_of(uint64_t seed, uint64_t events)
{
    return (struct world_options){.plan = {.seed = seed, .events = events, .faults = all_faults},
                                  .fault_budget = UINT64_MAX};
}

static void run_clean(const struct world_options *options, struct world_result *result)
{
    world_run(options, result);
    if (result->failed)
        fail_msg("seed %llu: %s: %s", (unsigned long long)options->plan.seed, check_name(result->check), result->why);
}

static void a_seed_decides_everything(void **state)
{
    static struct world_result first, second;
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world_options options = options_of(seed, 3000);
        run_clean(&options, &first);
        run_clean(&options, &second);
        assert_memory_equal(&first, &second, sizeof first);
        assert_int_not_equal(first.trace_hash, last);
        last = first.trace_hash;
    }
}

static void every_deployment_keeps_the_rules(void **state)
{
    static struct world_result result;
    (void)state;
    for (uint32_t deployment = DEPLOYMENT_COORDINATOR; deployment < DEPLOYMENTS; deployment++) {
        uint64_t executed = 0;
        for (uint64_t seed = 100; seed < 108; seed++) {
            struct world_options options = options_of(seed, 5000);
            options.plan.deployment = deployment;
            run_clean(&options, &result);
            executed += result.clients.executed;
        }
        assert_true(executed > 1000);
    }
}

static void without_faults_nothing_is_struck(void **state)
{
    static struct world_result result;
    (void)state;
    struct world_options options = options_of(3, 5000);
    options.plan.faults = 0;
    run_clean(&options, &result);
    for (size_t i = 0; i < FAULTS; i++)
        assert_int_equal(result.fired[i], 0);
    assert_true(result.clients.unknown * 20 <= result.clients.executed); /* a tiny limit may have been drawn */
    assert_true(result.clients.executed > 100);
}

/* Decision 0026. Those who refuse come back as they were, and all rules are kept meanwhile. */
static void other_governed_settings_are_refused(void **state)
{
    static struct world_result result;
    (void)state;
    uint64_t refused = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world_options options = options_of(seed, 3000);
        options.plan.faults = UINT64_C(1) << FAULT_REGOVERNED;
        run_clean(&options, &result);
        refused += result.reached[REACHED_GOVERNED_REFUSED];
    }
    assert_true(refused >= 5);
}

/* Decision 0021: nothing that a stranger says of a node keeps the others from hearing that node (LifeUnique). */
static void hostile_greetings_lock_nobody_out(void **state)
{
    static struct world_result result;
    (void)state;
    uint64_t fired = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world_options options = options_of(seed, 4000);
        options.plan.faults = UINT64_C(1) << FAULT_HOSTILE_GREETING | UINT64_C(1) << FAULT_CRASH;
        run_clean(&options, &result);
        fired += result.fired[FAULT_HOSTILE_GREETING];
    }
    assert_true(fired >= 10);
}

static void governed_settings_are_drawn_apart(void **state)
{
    static struct plan plan;
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        char before[GOVERNED_TEXT_MAX], now[GOVERNED_TEXT_MAX];
        const struct plan_options options = {.seed = seed};
        plan_draw(&plan, &options);
        struct node_config node = plan.config;
        node.node = 1;
        plan_governed(&plan, &node, before);
        plan_regovern(&plan, &node, seed);
        plan_governed(&plan, &node, now);
        assert_string_not_equal(before, now);
        plan_govern(&plan, &node);
        plan_governed(&plan, &node, now);
        assert_string_equal(before, now);
    }
}

static void the_trace_and_the_history_are_written(void **state)
{
    static struct world_result result;
    char *trace = NULL, *history = NULL;
    size_t trace_len = 0, history_len = 0;
    (void)state;
    struct world_options options = options_of(2, 500);
    options.trace = open_memstream(&trace, &trace_len);
    options.history = open_memstream(&history, &history_len);
    run_clean(&options, &result);
    fclose(options.trace);
    fclose(options.history);
    assert_non_null(strstr(trace, "sends PREPARE"));
    assert_non_null(strstr(trace, "all faults stop"));
    assert_non_null(strstr(history, "\"kind\""));
    free(trace);
    free(history);
}

/* As the host does: a life that begins while a change is not settled is given both configurations, and takes messages of the
 * members of these two. */
static void a_life_is_given_both_configurations(void **state)
{
    (void)state;
    struct world *w = memory_new(1, sizeof *w);
    struct machine *m = memory_new(1, sizeof *m);
    struct packet given[MACHINE_GIVES_MAX];
    struct payload first = configuration_value(0, 0x1e), second = configuration_value(5, 0x3c);
    w->plan.changes = true;
    w->plan.nodes = 6;
    *m = (struct machine){.world = w, .id = 2, .config.acceptors = 0xe, .config.learners = 0xe};
    machine_knows(m, 5, &first);
    assert_int_equal(machine_members(m).acceptors, 0x1e);
    machine_knows(m, 80, &second);
    assert_int_equal(machine_members(m).acceptors, 0x3e);
    assert_int_equal(machine_gives(m, given), 2);
    assert_int_equal(given[0].id, 5);
    assert_int_equal(given[1].id, 80);
    assert_int_equal(given[1].kind, CONFIGURATION_CHOSEN);
    assert_int_equal(machine_gives(m, given), 0); /* once in a life */
    machine_settled(m, 80);
    m->given = false;
    assert_int_equal(machine_gives(m, given), 1);
    assert_int_equal(given[0].kind, CONFIGURATION_SETTLED);
    assert_int_equal(machine_members(m).acceptors, 0x3c);
    machine_members_close(m);
    payload_free(&first);
    payload_free(&second);
    free(m);
    free(w);
}

/* In this world, an operator has not heard what has become of a removal when he might lose another node's disk. After both,
 * one acceptor of two would be left. */
static void no_disk_is_lost_while_a_change_is_in_doubt(void **state)
{
    static struct world_result result;
    const struct world_options options = {
        .plan = {.seed = 540, .faults = all_faults, .port = TWIN_MODEL, .network = WIRE_MODEL, .changes = true},
        .fault_budget = UINT64_MAX};
    (void)state;
    run_clean(&options, &result);
    assert_true(result.reached[REACHED_MEMBER_REMOVED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_decides_everything),
        cmocka_unit_test(every_deployment_keeps_the_rules),
        cmocka_unit_test(without_faults_nothing_is_struck),
        cmocka_unit_test(other_governed_settings_are_refused),
        cmocka_unit_test(hostile_greetings_lock_nobody_out),
        cmocka_unit_test(governed_settings_are_drawn_apart),
        cmocka_unit_test(the_trace_and_the_history_are_written),
        cmocka_unit_test(a_life_is_given_both_configurations),
        cmocka_unit_test(no_disk_is_lost_while_a_change_is_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
