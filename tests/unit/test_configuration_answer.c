/* io/configuration_answer.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "io/configuration_answer.h"

static void what_a_node_says(void **state)
{
    (void)state;
    struct configuration_answer a;
    assert_true(configuration_answer_read("slot 813\ngoverns 877\nsettled true\nreplaces 5\nand so on\n", &a));
    assert_true(a.slot == 813 && a.governs == 877 && a.settled);
    assert_string_equal(a.bytes, "replaces 5\nand so on\n");
    assert_int_equal(a.len, strlen(a.bytes));
    assert_true(configuration_answer_read("slot 1\ngoverns 2\nsettled false\n", &a));
    assert_false(a.settled);
    assert_int_equal(a.len, 0);
}

static void what_is_no_answer(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "slot",
        "slot x\ngoverns 877\nsettled true\n",
        "slot 813\ngoverns 877\nsettled true",
        "slot 813\ngoverns 877\nsettled trueandmore\n",
        "slot 99999999999999999999\ngoverns 877\nsettled true\n",
        "ERR the cluster has not formed yet",
    };
    struct configuration_answer a;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(configuration_answer_read(texts[i], &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_node_says), cmocka_unit_test(what_is_no_answer)};
    return cmocka_run_group_tests_name("configuration_answer", tests, NULL, NULL);
}
