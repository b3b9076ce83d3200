/* The numbers of a session's commands: none is given that is the window or more after one without an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "load/session_numbers.h"
#include "tests/unit/random.h"

static void numbers_begin_with_1(void **state)
{
    struct session_numbers n;
    (void)state;
    session_numbers_init(&n, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_true(session_numbers_left(&n));
        assert_int_equal(session_numbers_give(&n), i);
    }
    assert_false(session_numbers_left(&n));
    session_numbers_answered(&n, 2);
    session_numbers_answered(&n, 3);
    assert_false(session_numbers_left(&n));
    session_numbers_answered(&n, 1);
    for (uint64_t i = 4; i <= 6; i++)
        assert_int_equal(session_numbers_give(&n), i);
    assert_false(session_numbers_left(&n));
}

/* Answers in any order, against a list of what was given. */
static void any_order(void **state)
{
    static const uint32_t windows[] = {1, 2, 63, 64, 65, 1000, SESSION_WINDOW_MAX};
    (void)state;
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        static uint64_t waiting[SESSION_WINDOW_MAX];
        struct session_numbers n;
        size_t count = 0;
        uint64_t seed = windows[w], next = 1;
        session_numbers_init(&n, windows[w]);
        for (int step = 0; step < 20000; step++) {
            uint64_t oldest = next;
            for (size_t i = 0; i < count; i++)
                oldest = waiting[i] < oldest ? waiting[i] : oldest;
            assert_int_equal(session_numbers_left(&n), next - oldest < windows[w]);
            if (session_numbers_left(&n) && random_next(&seed) % 3 != 0) {
                waiting[count++] = next;
                assert_int_equal(session_numbers_give(&n), next++);
            } else if (count > 0) {
                const size_t i = random_next(&seed) % count;
                session_numbers_answered(&n, waiting[i]);
                waiting[i] = waiting[--count];
            }
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_begin_with_1),
        cmocka_unit_test(any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
