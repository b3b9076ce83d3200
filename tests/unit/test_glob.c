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
    return glob_match((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)text, strlen(text));
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
    assert_false(glob_match((const uint8_t *)pattern, sizeof pattern, (const uint8_t *)text, sizeof text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_no_pattern_is_slow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
