/* core/formats/glob.c against what Redis matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/glob.h"

static bool matches(const char *pattern, const char *text)
{
    uint64_t steps = UINT64_MAX;
    return glob_match((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)text, strlen(text), &steps) ==
           GLOB_MATCHES;
}

static void test_matches(void **state)
{
    (void)state;
    static const char *const yes[][2] = {
        {"", ""},
        {"*", ""},
        {"*", "abc"},
        {"***", "x"},
        {"a*c", "abbbc"},
        {"a*c*e", "abcde"},
        {"h?llo", "hello"},
        {"h[ae]llo", "hallo"},
        {"h[^e]llo", "hallo"},
        {"h[a-c]llo", "hbllo"},
        {"h[c-a]llo", "hbllo"},
        {"\\*", "*"},
        {"[\\]]", "]"},
        {"[a", "a"},
        {"a\\", "a\\"},
        {"*a*b*c", "xxaxxbxxabc"},
        {"[^]x", "ax"},
        {"*[0-9]", "abc7"},
    };
    static const char *const no[][2] = {
        {"", "a"},
        {"a", ""},
        {"?", ""},
        {"a*c", "abbbd"},
        {"h?llo", "hllo"},
        {"h[ae]llo", "hillo"},
        {"h[^e]llo", "hello"},
        {"h[a-c]llo", "hdllo"},
        {"\\*", "a"},
        {"[a", "b"},
        {"*a*b*c", "xxbxxaxxc"},
        {"a*", "ba"},
        {"A", "a"},
    };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!matches(yes[i][0], yes[i][1]))
            fail_msg("%s does not match %s", yes[i][0], yes[i][1]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (matches(no[i][0], no[i][1]))
            fail_msg("%s matches %s", no[i][0], no[i][1]);
}

/* Exponential in a recursive matcher: this would not end. */
static void test_no_pattern_is_slow(void **state)
{
    (void)state;
    char text[5000], pattern[400];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pattern; i += 2)
        memcpy(pattern + i, "a*", 2);
    pattern[sizeof pattern - 1] = 'b';
    uint64_t steps = UINT64_MAX;
    assert_int_equal(glob_match((const uint8_t *)pattern, sizeof pattern, (const uint8_t *)text, sizeof text, &steps),
                     GLOB_DIFFERS);
    assert_true(UINT64_MAX - steps <= sizeof pattern * sizeof text);
}

/* Pattern times text is a lot: what was not granted is not spent, wherever it is asked for. */
static void test_steps_are_counted(void **state)
{
    (void)state;
    static const char *const costly[][2] = {
        {"*aaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"*[bcdefghijklmnopqrstuvwxyz0123456789]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a"},
        {"a***********************************************", "a"},
    };
    for (size_t i = 0; i < sizeof costly / sizeof costly[0]; i++) {
        const uint8_t *pattern = (const uint8_t *)costly[i][0], *text = (const uint8_t *)costly[i][1];
        size_t pattern_len = strlen(costly[i][0]), text_len = strlen(costly[i][1]);
        uint64_t all = UINT64_MAX;
        enum glob_result result = glob_match(pattern, pattern_len, text, text_len, &all);
        uint64_t needed = UINT64_MAX - all;
        assert_true(needed >= 40 && needed <= (pattern_len + 1) * (text_len + 1));
        for (uint64_t granted = 0; granted <= needed; granted++) {
            uint64_t steps = granted;
            enum glob_result got = glob_match(pattern, pattern_len, text, text_len, &steps);
            assert_int_equal(got, granted < needed ? GLOB_TOO_COSTLY : result);
            assert_int_equal(steps, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_no_pattern_is_slow),
                                       cmocka_unit_test(test_steps_are_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
