/* core/paxos/leader_detector_highest.c: always the highest that is alive, whoever leads. */
#include "core/paxos/leader_detector.h"

#include "tests/unit/protocol.h"

static void the_highest_alive_is_taken(void **state)
{
    (void)state;
    assert_int_equal(leader_detector_elect(0xe, 1), 3);
    assert_int_equal(leader_detector_elect(0x6, 3), 2);
    assert_int_equal(leader_detector_elect(UINT64_C(1) << 63, 5), 63);
    assert_int_equal(leader_detector_elect(0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_highest_alive_is_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
