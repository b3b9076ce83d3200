/* core/paxos/leader_detector_sticky.c, the default rule: stay with a leader that is alive, else take the highest. */
#include "core/paxos/leader_detector.h"

#include "tests/unit/protocol.h"

static void a_leader_that_is_alive_stays(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(0xe, 1), 1);
    assert_int_equal(leader_detector_elect(0xe, 2), 2);
}

static void without_one_the_highest_is_taken(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(0xe, 0), 3);
    assert_int_equal(leader_detector_elect(0x6, 3), 2);
    assert_int_equal(leader_detector_elect(UINT64_C(1) << 63, 5), 63);
    assert_int_equal(leader_detector_elect(0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_is_alive_stays),
        cmocka_unit_test(without_one_the_highest_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
