/* core/state/kv_lcs.c. What Redis says is compared in tests/e2e/test_same_as_redis.py. */
#include "tests/unit/kv_lines.h"

static void what_is_common(void **state)
{
    static const struct step steps[] = {
        {"SET a ohmytext", "+OK"},
        {"SET b mynewtext", "+OK"},
        {"LCS a b", "$mytext"},
        {"LCS a b LEN", ":6"},
        {"LCS a a", "$ohmytext"},
        {"LCS a none", "$"},
        {"LCS none none LEN", ":0"},
        {"LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX."},
        {"LCS a b IDX", "raw %2\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n"
                        "*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"},
        {"LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
         "raw %2\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n"},
        {"LCS a none IDX", "raw %2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"},
        {"LCS a b FOO", "-ERR syntax error"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

static void the_work_of_long_ones_is_bounded(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    static char line[4096];
    memset(line, 'x', 1706);
    memcpy(line, "SET a ", 6);
    expect(m, line, "+OK");
    line[4] = 'b';
    line[50] = 'y';
    expect(m, line, "+OK");
    expect(m, "LCS a b LEN", "-TOOCOSTLY this would take too long: not executed, ask for less at once (KEYS: use SCAN)");
    line[1600] = '\0';
    expect(m, line, "+OK");
    expect(m, "LCS b a LEN", ":1593");
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_common),
        cmocka_unit_test(the_work_of_long_ones_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
