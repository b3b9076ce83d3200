/* core/paxos/leader_detector.h: both rules, and the choice between them. */
#include "core/paxos/leader_detector.h"

#include "tests/unit/protocol.h"

static const struct node_config sticky = {.leader_rule = LEADER_STICKY}, highest = {.leader_rule = LEADER_HIGHEST};

static void a_leader_that_is_alive_stays(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(&sticky, 0xe, 1), 1);
    assert_int_equal(leader_detector_elect(&sticky, 0xe, 2), 2);
}

static void without_one_the_highest_is_taken(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(&sticky, 0xe, 0), 3);
    assert_int_equal(leader_detector_elect(&sticky, 0x6, 3), 2);
    assert_int_equal(leader_detector_elect(&sticky, UINT64_C(1) << 63, 5), 63);
    assert_int_equal(leader_detector_elect(&sticky, 0, 1), 0);
}

static void the_highest_alive_is_taken_whoever_leads(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(&highest, 0xe, 1), 3);
    assert_int_equal(leader_detector_elect(&highest, 0x6, 3), 2);
    assert_int_equal(leader_detector_elect(&highest, UINT64_C(1) << 63, 5), 63);
    assert_int_equal(leader_detector_elect(&highest, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_is_alive_stays),
        cmocka_unit_test(without_one_the_highest_is_taken),
        cmocka_unit_test(the_highest_alive_is_taken_whoever_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
