/* core/paxos/failure_detector.c: alive, suspected, dead, by silence. */
#include "core/paxos/failure_detector.h"

#include "tests/unit/protocol.h"

enum { START = 5000000 };

static struct failure_detector *fresh(void)
{
    struct node_config config = three_nodes(1); /* suspects after 0.4 s, gives up after 1 s */
    return failure_detector_new(&config, START);
}

static void silence_makes_suspected_and_then_dead(void **state)
{
    struct failure_detector *f = fresh();
    (void)state;
    failure_detector_heard(f, 2, START + 300000);
    struct health h = failure_detector_check(f, START + 399999);
    assert_int_equal(h.alive, 0xe);
    h = failure_detector_check(f, START + 400000);
    assert_int_equal(h.alive, 0x6);
    assert_int_equal(h.suspected, 0x8);
    h = failure_detector_check(f, START + 1000000);
    assert_int_equal(h.alive, 0x2); /* oneself is always alive */
    assert_int_equal(h.suspected, 0x4);
    assert_int_equal(h.dead, 0x8);
    failure_detector_free(f);
}

static void who_is_heard_again_is_alive(void **state)
{
    struct failure_detector *f = fresh();
    (void)state;
    failure_detector_heard(f, 3, START + 9000000);
    assert_int_equal(failure_detector_check(f, START + 9000000).alive, 0xa);
    failure_detector_free(f);
}

static void time_that_goes_back_harms_nobody(void **state)
{
    struct failure_detector *f = fresh();
    (void)state;
    failure_detector_heard(f, 2, START + 500000);
    failure_detector_heard(f, 2, START); /* with the time of before a pause */
    assert_int_equal(failure_detector_check(f, START + 600000).alive, 0x6);
    assert_int_equal(failure_detector_check(f, 0).alive, 0xe);
    failure_detector_free(f);
}

static void strangers_are_ignored(void **state)
{
    struct failure_detector *f = fresh();
    (void)state;
    failure_detector_heard(f, 0, START);
    failure_detector_heard(f, 63, START);
    failure_detector_heard(f, UINT32_MAX, START);
    struct health h = failure_detector_check(f, START);
    assert_int_equal(h.alive | h.suspected | h.dead, 0xe);
    failure_detector_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_makes_suspected_and_then_dead),
        cmocka_unit_test(who_is_heard_again_is_alive),
        cmocka_unit_test(time_that_goes_back_harms_nobody),
        cmocka_unit_test(strangers_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
