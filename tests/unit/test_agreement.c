/* core/agents/agreement.c: rule 13, who stops when states differ. */
#include "core/agents/agreement.h"

#include "tests/unit/protocol.h"

static struct agreement of_learners(node_set learners)
{
    struct node_config config = three_nodes(1);
    struct agreement a;
    config.learners = learners;
    agreement_init(&a, &config);
    return a;
}

/* This learner executes all slots below `executed`; the hash before slot s is s. */
static void execute(struct agreement *a, uint64_t executed)
{
    for (uint64_t s = a->last.slot + 1; s <= executed; s++)
        agreement_executed(a, s, s);
}

static void equal_states_agree(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 1000);
    assert_int_equal(a.last.slot, 960);
    assert_int_equal(a.last.hash, 960);
    for (uint64_t slot = 64; slot <= 960; slot += 64) {
        agreement_heard(&a, 2, slot, slot);
        agreement_heard(&a, 3, slot, slot);
    }
    assert_int_equal(agreement_lost_at(&a), 0);
}

static void a_minority_that_differs_does_not_stop_the_others(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 2, 128, 7);
    assert_int_equal(agreement_lost_at(&a), 0);
}

static void who_differs_from_a_majority_stops(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 200);
    agreement_heard(&a, 2, 192, 7);
    agreement_heard(&a, 3, 128, 7); /* at another slot: who differs there differs at all later ones */
    assert_int_equal(agreement_lost_at(&a), 128);
}

static void without_a_majority_all_stop(void **state)
{
    struct agreement two = of_learners(0x6), five = of_learners(0x3e);
    (void)state;
    execute(&two, 64);
    agreement_heard(&two, 2, 64, 7);
    assert_int_equal(agreement_lost_at(&two), 64);
    execute(&five, 64); /* 1 and 2 agree, 3 and 4 agree, 5 is alone */
    agreement_heard(&five, 2, 64, 64);
    agreement_heard(&five, 3, 64, 7);
    agreement_heard(&five, 4, 64, 7);
    assert_int_equal(agreement_lost_at(&five), 0);
    agreement_heard(&five, 5, 64, 8);
    assert_int_equal(agreement_lost_at(&five), 64);
}

static void one_learner_alone_never_stops(void **state)
{
    struct agreement a = of_learners(0x2);
    (void)state;
    execute(&a, 64);
    agreement_heard(&a, 1, 64, 7);
    agreement_heard(&a, 2, 64, 7);
    assert_int_equal(agreement_lost_at(&a), 0);
}

static void words_about_slots_ahead_wait(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    agreement_heard(&a, 2, 128, 7);
    agreement_heard(&a, 2, 192, 7); /* the earlier one is kept: it will be reached */
    agreement_heard(&a, 3, 64, 64);
    execute(&a, 64);
    assert_int_equal(agreement_lost_at(&a), 0);
    agreement_heard(&a, 3, 128, 7);
    execute(&a, 127);
    assert_int_equal(agreement_lost_at(&a), 0);
    execute(&a, 128);
    assert_int_equal(agreement_lost_at(&a), 128);
}

static void a_learner_that_was_started_again_may_agree_again(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 300);
    agreement_heard(&a, 2, 128, 7);
    agreement_heard(&a, 2, 64, 64); /* an old message is no reason */
    assert_int_equal(a.differs_from[2], 128);
    agreement_heard(&a, 2, 256, 256);
    agreement_heard(&a, 3, 256, 7);
    assert_int_equal(agreement_lost_at(&a), 0);
}

static void nonsense_is_ignored(void **state)
{
    struct agreement a = of_learners(0xe);
    (void)state;
    execute(&a, 100000);
    agreement_heard(&a, 2, 0, 7);
    agreement_heard(&a, 2, 65, 7);
    agreement_heard(&a, 2, 64, 7); /* so long ago that the own hash is forgotten */
    agreement_heard(&a, 9, 99968, 7);
    agreement_heard(&a, UINT32_MAX, 99968, 7);
    agreement_heard(&a, 3, 99968, 7);
    assert_int_equal(agreement_lost_at(&a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_states_agree),
        cmocka_unit_test(a_minority_that_differs_does_not_stop_the_others),
        cmocka_unit_test(who_differs_from_a_majority_stops),
        cmocka_unit_test(without_a_majority_all_stop),
        cmocka_unit_test(one_learner_alone_never_stops),
        cmocka_unit_test(words_about_slots_ahead_wait),
        cmocka_unit_test(a_learner_that_was_started_again_may_agree_again),
        cmocka_unit_test(nonsense_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
