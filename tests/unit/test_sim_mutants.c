/* sim/mutants.c: the table says everything of every mutant, names find them, and a build without switches has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim/mutants.h"

static void the_table_is_complete(void **state)
{
    (void)state;
    for (enum mutant m = MUTANT_NONE + 1; m < MUTANTS; m++) {
        const struct mutant_kind *k = &mutant_kinds[m];
        if (k->name == NULL)
            fail_msg("mutant number %d is not in the table", (int)m);
        assert_true(strlen(k->name) > 0 && strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(k->name));
        assert_true(strlen(k->what) > 0 && strlen(k->breaks) > 0);
        assert_non_null(k->needs);
        assert_true(k->checks != 0 && k->checks >> CHECKS == 0);
    }
}

static void names_find_them(void **state)
{
    (void)state;
    for (enum mutant m = MUTANT_NONE + 1; m < MUTANTS; m++)
        assert_int_equal(mutant_find(mutant_kinds[m].name), m); /* so no two have one name */
    assert_int_equal(mutant_find("vote-before-durable"), MUTANT_VOTE_BEFORE_DURABLE);
    assert_int_equal(mutant_find("no-such-mutant"), MUTANTS);
    assert_int_equal(mutant_find(""), MUTANTS);
}

static void only_their_build_has_any(void **state)
{
    (void)state;
    assert_false(MUTANT(VOTE_BEFORE_DURABLE));
#ifdef SYNOD_MUTANTS
    assert_true(mutant_choose(MUTANT_VOTE_BEFORE_DURABLE));
    assert_true(MUTANT(VOTE_BEFORE_DURABLE));
    assert_false(MUTANT(PROMISE_BEFORE_DURABLE));
#else
    assert_false(mutant_choose(MUTANT_VOTE_BEFORE_DURABLE));
#endif
    assert_true(mutant_choose(MUTANT_NONE));
    assert_false(MUTANT(VOTE_BEFORE_DURABLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(names_find_them),
        cmocka_unit_test(only_their_build_has_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
