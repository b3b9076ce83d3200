/* host/life_state.c: which state of a life follows which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/life_state.h"

static void test_which_follows_which(void **state)
{
    static const char *const rows[LIFE_STATES] = {
        /* from       to: unborn, recovering, ready, broken, buried, dead, over */
        [LIFE_UNBORN] = "-x-----", [LIFE_RECOVERING] = "--xx--x", [LIFE_READY] = "---x--x", [LIFE_BROKEN] = "----xx-",
        [LIFE_BURIED] = "-x-x---", [LIFE_DEAD] = "-------",       [LIFE_OVER] = "-------",
    };
    (void)state;
    for (enum life_state from = 0; from < LIFE_STATES; from++)
        for (enum life_state to = 0; to < LIFE_STATES; to++)
            assert_int_equal(life_state_may_follow(from, to), rows[from][to] == 'x');
}

static void test_from_birth_to_the_end(void **state)
{
    enum life_state now = LIFE_UNBORN;
    (void)state;
    static const enum life_state story[] = {LIFE_RECOVERING, LIFE_BROKEN, LIFE_BURIED,
                                            LIFE_RECOVERING, LIFE_READY,  LIFE_OVER};
    for (unsigned i = 0; i < sizeof story / sizeof *story; i++) {
        life_state_enter(&now, story[i]);
        assert_int_equal(now, story[i]);
        assert_int_equal(life_state_is_sound(now), now == LIFE_RECOVERING || now == LIFE_READY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_follows_which),
        cmocka_unit_test(test_from_birth_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
