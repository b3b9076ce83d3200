/* sim/world.h with what ships, beside or instead of its model: the client port, the TCP network, the UDP network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/world.h"

enum { SEEDS = 5, SEEDS_TWICE = 2 };

static const uint64_t all_faults = (UINT64_C(1) << FAULTS) - 1;

static void run_clean(const struct world_options *options, struct world_result *result)
{
    world_run(options, result);
    if (result->failed)
        fail_msg("seed %llu: %s: %s", (unsigned long long)options->plan.seed, check_name(result->check), result->why);
}

/* Every rule is kept; and the same seed is the same run. That is looked at for a few, because some worlds take long to
 * heal. */
static void shipped_keeps_the_rules(uint32_t port, uint32_t network)
{
    static struct world_result first, second;
    uint64_t executed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct world_options options = {
            .plan = {.seed = seed, .events = 4000, .faults = all_faults, .port = port, .network = network},
            .fault_budget = UINT64_MAX};
        run_clean(&options, &first);
        executed += first.clients.executed;
        if (seed > SEEDS_TWICE)
            continue;
        run_clean(&options, &second);
        assert_memory_equal(&first, &second, sizeof first);
    }
    assert_true(executed > 1000);
}

static void the_shipped_port_keeps_the_rules(void **state)
{
    (void)state;
    shipped_keeps_the_rules(TWIN_SHIPPED, WIRE_MODEL);
}

static void the_shipped_network_keeps_the_rules(void **state)
{
    (void)state;
    shipped_keeps_the_rules(TWIN_MODEL, WIRE_TCP);
    shipped_keeps_the_rules(TWIN_SHIPPED, WIRE_TCP);
    shipped_keeps_the_rules(TWIN_MODEL, WIRE_UDP);
    shipped_keeps_the_rules(TWIN_SHIPPED, WIRE_UDP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_port_keeps_the_rules),
        cmocka_unit_test(the_shipped_network_keeps_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
