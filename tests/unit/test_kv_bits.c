/* core/state/kv_bits.c. What Redis says is compared in tests/e2e/test_same_as_redis.py. */
#include "tests/unit/kv_lines.h"

static void bits_are_set_and_found(void **state)
{
    static const struct step steps[] = {
        {"SETBIT b 7 1", ":0"},
        {"GETBIT b 7", ":1"},
        {"SETBIT b 7 0", ":1"},
        {"STRLEN b", ":1"},
        {"SETBIT b 100 1", ":0"},
        {"STRLEN b", ":13"},
        {"BITCOUNT b", ":1"},
        {"BITPOS b 1", ":100"},
        {"BITPOS b 1 0 10", ":-1"},
        {"BITPOS b 0", ":0"},
        {"GETBIT b 5000", ":0"},
        {"BITCOUNT none", ":0"},
        {"BITPOS none 0", ":0"},
        {"BITPOS none 1", ":-1"},
        {"SET f \xff\xff", "+OK"},
        {"BITPOS f 0", ":16"},
        {"BITPOS f 0 0 -1", ":-1"},
        {"BITCOUNT f 3 12 BIT", ":10"},
        {"BITCOUNT f -1 -1", ":8"},
        {"BITPOS f 1 3 9 BIT", ":3"},
        {"SETBIT b 67108864 1", "-ERR bit offset is not an integer or out of range"},
        {"SETBIT b 1 2", "-ERR bit is not an integer or out of range"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

static void values_are_combined(void **state)
{
    static const struct step steps[] = {
        {"SET a abcdefghi", "+OK"},
        {"SET b ABC", "+OK"},
        {"BITOP OR d a b", ":9"},
        {"GET d", "$abcdefghi"},
        {"BITOP XOR d a a", ":9"},
        {"BITCOUNT d", ":0"},
        {"BITOP NOT d a", ":9"},
        {"BITOP NOT d d", ":9"},
        {"GET d", "$abcdefghi"},
        {"BITOP AND d a none", ":9"},
        {"BITCOUNT d", ":0"},
        {"BITOP AND d none none", ":0"},
        {"EXISTS d", ":0"},
        {"BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key."},
        {"BITOP NAND d a b", "-ERR syntax error"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

/* The bits of a value as long as may be, and the work of many. */
static void what_bits_cost_is_bounded(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    expect(m, "SETBIT large 67108863 1", ":0");
    expect(m, "BITPOS large 1", ":67108863");
    expect(m, "BITCOUNT large", ":1");
    expect(m, "BITOP NOT other large",
           "-TOOCOSTLY this would take too long: not executed, ask for less at once (KEYS: use SCAN)");
    expect(m, "EXISTS other", ":0");
    expect(m, "SETBIT half 30000000 1", ":0");
    expect(m, "BITOP NOT other half", ":3750001");
    expect(m, "BITCOUNT other 0 -1", ":30000007");
    enum { MANY = 1000 };
    struct bytes *args = memory_new(MANY, sizeof *args);
    args[0] = text("BITOP");
    args[1] = text("OR");
    for (size_t i = 2; i < MANY; i++)
        args[i] = text("half");
    expect_error(m, args, MANY, "TOOCOSTLY ");
    free(args);
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_set_and_found),
        cmocka_unit_test(values_are_combined),
        cmocka_unit_test(what_bits_cost_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
