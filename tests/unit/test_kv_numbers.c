/* core/state/kv_numbers.c: sums of decimal digits. What Redis says is compared in tests/e2e/test_same_as_redis.py. */
#include "tests/unit/kv_lines.h"

static void sums_are_exact(void **state)
{
    static const struct step steps[] = {
        {"INCRBYFLOAT n 0.1", "$0.1"},
        {"INCRBYFLOAT n 0.2", "$0.3"},
        {"SET n 123456789.1", "+OK"},
        {"INCRBYFLOAT n 0.2", "$123456789.3"},
        {"INCRBYFLOAT n -123456789.3", "$0"},
        {"INCRBYFLOAT n -0.00000000000000001", "$-0.00000000000000001"},
        {"INCRBYFLOAT n 1e-17", "$0"},
        {"INCRBYFLOAT n 4e-18", "$0"}, /* beyond the last place: rounded */
        {"INCRBYFLOAT n 5e-18", "$0.00000000000000001"},
        {"INCRBYFLOAT n 0.99999999999999999", "$1"},
        {"INCRBYFLOAT n 1e3", "$1001"},
        {"INCRBYFLOAT n -1.5E+1", "$986"},
        {"INCRBYFLOAT n .5", "$986.5"},
        {"INCRBYFLOAT n 5.", "$991.5"},
        {"INCRBYFLOAT n +0000.25", "$991.75"},
        {"GET n", "$991.75"},
        {"SET n 9999999999999999999999999999999999999999", "+OK"},
        {"INCRBYFLOAT n 0.5", "$9999999999999999999999999999999999999999.5"},
        {"INCRBYFLOAT n 0.5", "-ERR increment would produce NaN or Infinity"},
        {"INCRBYFLOAT n 1e40", "-ERR increment would produce NaN or Infinity"},
        {"INCRBYFLOAT n 0e99999999999999999999", "$9999999999999999999999999999999999999999.5"},
        {"INCRBYFLOAT n 1e-99999999999999999999", "$9999999999999999999999999999999999999999.5"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

static void other_texts_are_no_numbers(void **state)
{
    static const char *const texts[] = {"\"\"", "x",     "-",    ".",     "+.", "1e",  "1e+",
                                        "--1",  "1.2.3", "0x10", "1_000", "1f", "nan", "e5"};
    struct state_machine *m = state_machine_new();
    char line[64];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(line, sizeof line, "INCRBYFLOAT n %s", texts[i]);
        expect(m, line, "-ERR value is not a valid float");
        snprintf(line, sizeof line, "SET bad %s", texts[i]);
        expect(m, line, "+OK");
        expect(m, "INCRBYFLOAT bad 1", "-ERR value is not a valid float");
    }
    expect(m, "EXISTS n", ":0");
    static char many[300];
    memset(many, '1', sizeof many - 1);
    expect_error(m, (struct bytes[]){text("INCRBYFLOAT"), text("n"), text(many)}, 3, "ERR value is not a valid float");
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(other_texts_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
