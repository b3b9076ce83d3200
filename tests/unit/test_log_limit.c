/* host/log_limit.c: what is of one kind, how many of it pass, and what is told of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/log_limit.h"
#include "io/logger.h"

static const uint64_t SECOND = 1000 * 1000;

static struct log_line line_of(uint32_t level, const char *text)
{
    struct log_line line = {.node = 1, .level = level, .part = "network"};
    snprintf(line.text, sizeof line.text, "%s", text);
    return line;
}

static bool pass(struct log_limit *l, const char *text, uint64_t now)
{
    const struct log_line line = line_of(LOG_WARNING, text);
    return log_limit_pass(l, &line, now);
}

/* How many of so many lines pass. */
static unsigned flood(struct log_limit *l, const char *text, unsigned count, uint64_t now)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++)
        passed += pass(l, text, now);
    return passed;
}

static void test_a_flood_is_cut_and_told_of(void **state)
{
    static struct log_limit l;
    struct log_line told;
    (void)state;
    assert_int_equal(log_limit_next(&l), UINT64_MAX);
    assert_int_equal(flood(&l, "closed 10.0.0.1: no frame", 6200, 5 * SECOND), LOG_LIMIT_LINES);
    assert_int_equal(log_limit_next(&l), 6 * SECOND);
    assert_false(log_limit_tell(&l, 6 * SECOND - 1, &told));
    assert_true(log_limit_tell(&l, 6 * SECOND, &told));
    assert_string_equal(told.text, "6180 more like this one are not logged (of the last 1 s): closed 10.0.0.1: no frame");
    assert_string_equal(told.part, "network");
    assert_int_equal(told.level, LOG_WARNING);
    assert_int_equal(told.node, 1);
    assert_false(log_limit_tell(&l, 6 * SECOND, &told));
}

/* An hour of 1,000 lines a second is 61 windows, of a minute each but for the first ones. */
static void test_a_lasting_flood_is_told_of_ever_more_rarely(void **state)
{
    static struct log_limit l;
    struct log_line told;
    unsigned passed = 0, tellings = 0;
    (void)state;
    for (uint64_t now = 0; now < 3600 * SECOND; now += SECOND / 1000) {
        while (log_limit_next(&l) <= now) {
            assert_true(log_limit_tell(&l, now, &told));
            tellings++;
        }
        passed += pass(&l, "again", now);
    }
    assert_in_range(tellings, 50, 70);
    assert_int_equal(passed, (tellings + 1) * LOG_LIMIT_LINES);
}

static void test_after_a_quiet_time_the_count_begins_anew(void **state)
{
    static struct log_limit l;
    struct log_line told;
    (void)state;
    assert_int_equal(flood(&l, "x", 100, 0), LOG_LIMIT_LINES);
    assert_true(log_limit_tell(&l, SECOND, &told)); /* two seconds follow */
    assert_int_equal(flood(&l, "x", 5, 2 * SECOND), 5);
    assert_int_equal(flood(&l, "x", 100, 4 * SECOND), LOG_LIMIT_LINES);
    assert_int_equal(log_limit_next(&l), 5 * SECOND);
}

static void test_what_is_of_one_kind(void **state)
{
    static struct log_limit l;
    (void)state;
    assert_int_equal(flood(&l, "lost 10.0.0.1 port 5: reset", LOG_LIMIT_LINES, 0), LOG_LIMIT_LINES);
    assert_false(pass(&l, "lost fe80::1%eth0 port 17: reset", 0));
    assert_true(pass(&l, "lost 10.0.0.1 port 5: refused", 0));
    struct log_line line = line_of(LOG_ERROR, "lost 10.0.0.1 port 5: reset");
    assert_true(log_limit_pass(&l, &line, 0));
    line = line_of(LOG_WARNING, "lost 10.0.0.1 port 5: reset");
    line.node = 2;
    assert_true(log_limit_pass(&l, &line, 0));
    line.node = 1;
    line.part = "clients";
    assert_true(log_limit_pass(&l, &line, 0));
}

static void test_debug_is_not_limited(void **state)
{
    static struct log_limit l;
    (void)state;
    const struct log_line line = line_of(LOG_DEBUG, "step");
    for (int i = 0; i < 1000; i++)
        assert_true(log_limit_pass(&l, &line, 0));
}

/* If every line is of another kind, they get what two kinds get, once the table is full; and it empties again. */
static void test_more_kinds_than_there_is_room_for(void **state)
{
    static struct log_limit l;
    struct log_line told;
    char text[64];
    unsigned passed = 0;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "%c%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676 % 26, 'a' + i / 17576 % 26);
        passed += pass(&l, text, 0);
    }
    assert_int_equal(passed, LOG_LIMIT_KINDS - 1 + LOG_LIMIT_LINES);
    assert_true(log_limit_tell(&l, SECOND, &told));
    assert_int_equal(flood(&l, "new", 100, SECOND), LOG_LIMIT_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flood_is_cut_and_told_of),
        cmocka_unit_test(test_a_lasting_flood_is_told_of_ever_more_rarely),
        cmocka_unit_test(test_after_a_quiet_time_the_count_begins_anew),
        cmocka_unit_test(test_what_is_of_one_kind),
        cmocka_unit_test(test_debug_is_not_limited),
        cmocka_unit_test(test_more_kinds_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
