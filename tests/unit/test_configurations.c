/* core/agents/configurations.c: what a folder says about the newest configuration, and whether the one before is needed. */
#include "core/agents/configurations.h"

#include "core/formats/frame.h"
#include "tests/unit/configuration_text.h"
#include "tests/unit/protocol.h"

static const struct node_config config = {.node = 1, .proposers = 0xe, .acceptors = 0xe, .learners = 0xe, .alpha = 8};

static struct configured said(uint64_t slot, uint64_t replaces, bool settled)
{
    return (struct configured){
        .configuration = {.slot = slot, .governs = slot + 8, .replaces = replaces, .acceptors = 0x6, .learners = 0x6},
        .settled = settled,
    };
}

static void what_the_folder_calls_settled_is_not_pending(void **unused)
{
    (void)unused;
    struct configurations c;
    const struct configured settled = said(251, 200, true);
    configurations_init(&c, &config);
    assert_true(configurations_given(&c, &settled));
    assert_false(configurations_pending(&c));
    assert_int_equal(configurations_at(&c, 259)->slot, 251);
    assert_int_equal(configurations_at(&c, 258)->slot, 0); /* nothing before it is needed */
}

static void what_it_does_not_call_so_is_pending(void **unused)
{
    (void)unused;
    struct configurations c;
    const struct configured newest = said(251, 200, false), older = said(200, 0, true);
    configurations_init(&c, &config);
    assert_true(configurations_given(&c, &newest));
    assert_true(configurations_pending(&c));
    assert_true(configurations_given(&c, &older)); /* the one before, which was settled once */
    assert_true(configurations_pending(&c));
    assert_int_equal(configurations_at(&c, 251)->slot, 200);
    assert_int_equal(configurations_at(&c, 259)->slot, 251);
    assert_false(configurations_given(&c, &newest));
}

static void who_skips_a_configuration_forgets_what_all_have_said(void **unused)
{
    (void)unused;
    struct configurations c;
    struct configured first = said(100, 0, false), next = said(200, 100, false), later = said(400, 300, false);
    configurations_init(&c, &config);
    next.configuration.fresh = node_set_of(2);
    assert_int_equal(configurations_forgotten(&c, &first.configuration), 0);
    configurations_given(&c, &first);
    assert_int_equal(configurations_forgotten(&c, &next.configuration), node_set_of(2));
    configurations_given(&c, &next);
    assert_int_equal(configurations_forgotten(&c, &next.configuration), 0);
    assert_int_equal(configurations_forgotten(&c, &later.configuration) & 0xe, 0xe); /* 300 may have replaced any of them */
}

/* Numbers tell it, of a change that was skipped and of a node that was removed and added again, too. */
static void an_instance_with_a_lower_number_was_replaced(void **unused)
{
    (void)unused;
    struct node_config own = {.node = 2, .incarnation = incarnation_first(1) + 7, .admitted = 100};
    struct configuration_text *t = memory_new(1, sizeof *t);
    configuration_begin(t, 300, 0xe);
    for (uint32_t number = 0; number <= 2; number++) {
        t->members[2].number = number;
        struct payload text = configuration_pack(t);
        assert_true(is_replaced_by(&own, &text) == (number == 2));
        payload_free(&text);
    }
    t->members[2].node = 0;
    t->gone[2] = true;
    for (uint32_t number = 1; number <= 2; number++) {
        t->gone_number[2] = number;
        struct payload text = configuration_pack(t);
        assert_true(is_replaced_by(&own, &text) == (number == 2)); /* 1: it was removed itself */
        payload_free(&text);
    }
    assert_false(is_replaced_by(&own, &(struct payload){0}));
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_folder_calls_settled_is_not_pending),
        cmocka_unit_test(what_it_does_not_call_so_is_pending),
        cmocka_unit_test(who_skips_a_configuration_forgets_what_all_have_said),
        cmocka_unit_test(an_instance_with_a_lower_number_was_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
