/* No sequence of commands makes a call take long: whatever a client sends, each call to the kv-store spends a bounded amount
 * of work. That the work counted is the work done is what fuzz_kv_store looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/state/kv_store.h"

/* What one call may spend: it goes on until KV_CALL_WORK_MAX, and the last command is one that is just not too costly. What
 * the table does beside (buckets of a resize, empty ones that SCAN passes) is within as much again. */
enum { ONE_CALL_MAX = KV_CALL_WORK_MAX + 2 * KV_COMMAND_WORK_MAX };

static struct state_machine *m;
static uint64_t calls, longest;

static int set_up(void **state)
{
    (void)state;
    m = state_machine_new();
    calls = longest = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    state_machine_free(m);
    return 0;
}

/* Executes commands as a node does; returns the last reply. */
static struct reply run(const struct command *commands, size_t count)
{
    struct reply last = {.tag = REPLY_NIL};
    for (size_t done = 0; done < count;) {
        struct applied applied = state_machine_apply(m, MOMENT_ZERO, commands + done, count - done, REPLY_ROOM_ANY);
        assert_true(applied.replies.len > 0 && applied.work > 0);
        assert_true(applied.work <= ONE_CALL_MAX);
        calls++;
        longest = applied.work > longest ? applied.work : longest;
        done += applied.replies.len;
        last = applied.replies.ptr[applied.replies.len - 1];
    }
    return last;
}

static struct bytes text(const char *s) { return (struct bytes){(uint8_t *)(uintptr_t)s, strlen(s)}; }

static struct reply run_one(const char *a, const char *b, const char *c, const char *d)
{
    struct bytes args[4] = {text(a)};
    const char *more[] = {b, c, d};
    size_t argc = 1;
    for (; argc < 4 && more[argc - 1] != NULL; argc++)
        args[argc] = text(more[argc - 1]);
    return run(&(struct command){{args, argc}}, 1);
}

/* Keys number [0, count), in MSETs of a thousand. */
static void fill(size_t count)
{
    enum { AT_ONCE = 1000 };
    static char keys[AT_ONCE][24];
    static struct bytes args[1 + 2 * AT_ONCE];
    args[0] = text("MSET");
    for (size_t i = 0; i < count; i += AT_ONCE) {
        for (size_t k = 0; k < AT_ONCE; k++) {
            snprintf(keys[k], sizeof keys[k], "key:%zu", i + k);
            args[1 + 2 * k] = text(keys[k]);
            args[2 + 2 * k] = text("v");
        }
        assert_int_equal(run(&(struct command){{args, 1 + 2 * AT_ONCE}}, 1).tag, REPLY_STATUS);
    }
}

/* Twenty times the same commands. */
static void repeat(const struct command *commands, size_t count)
{
    struct command *all = memory_new(20 * count, sizeof *all);
    for (size_t i = 0; i < 20 * count; i++)
        all[i] = commands[i % count];
    run(all, 20 * count);
    free(all);
}

static void pattern_times_key(void **state)
{
    (void)state;
    enum { KEY = 100 * 1000, PATTERN = 50 * 1000 };
    static char key[KEY + 1], pattern[PATTERN + 1];
    memset(key, 'a', KEY);
    memset(pattern, 'a', PATTERN);
    pattern[0] = '*';
    run_one("SET", key, "x", NULL);
    for (size_t len = 10; len < PATTERN; len *= 3) {
        pattern[len - 1] = 'b';
        pattern[len] = 0;
        struct bytes scan[] = {text("SCAN"), text("0"), text("MATCH"), text(pattern)};
        struct bytes keys[] = {text("KEYS"), text(pattern)};
        repeat((struct command[]){{{scan, 4}}, {{keys, 2}}}, 2);
        pattern[len - 1] = pattern[len] = 'a';
    }
    assert_true(longest > KV_COMMAND_WORK_MAX / 2 && calls > 40);
}

static void zeros_that_are_written(void **state)
{
    (void)state;
    struct bytes set[] = {text("SETRANGE"), text("k"), text("8388607"), text("x")};
    struct bytes del[] = {text("DEL"), text("k")};
    struct bytes append[] = {text("APPEND"), text("k"), text("")};
    struct bytes part[] = {text("GETRANGE"), text("k"), text("8388600"), text("8388607")};
    struct bytes get[] = {text("GETSET"), text("k"), text("1")};
    repeat((struct command[]){{{set, 4}}, {{append, 3}}, {{part, 4}}, {{get, 3}}, {{set, 4}}, {{del, 2}}}, 6);
    assert_true(calls >= 80); /* what is costly ends a call */
}

static void many_keys(void **state)
{
    (void)state;
    enum { KEYS = 200 * 1000, ONE_DEL = 50 * 1000 };
    fill(KEYS);
    struct bytes keys[] = {text("KEYS"), text("*")};
    struct bytes few[] = {text("KEYS"), text("*no such key*")};
    struct bytes scan[] = {text("SCAN"), text("0"), text("COUNT"), text("1000000")};
    repeat((struct command[]){{{keys, 2}}, {{few, 2}}, {{scan, 4}}}, 3);
    /* Nearly all go, so that the table is large and empty: what walks it passes buckets. */
    char *names = memory_new(ONE_DEL, 24);
    struct bytes *args = memory_new(1 + ONE_DEL, sizeof *args);
    args[0] = text("DEL");
    for (size_t from = 0; from < KEYS; from += ONE_DEL) {
        for (size_t i = 0; i < ONE_DEL; i++) {
            snprintf(names + 24 * i, 24, "key:%zu", from + i + 1);
            args[1 + i] = text(names + 24 * i);
        }
        assert_int_equal(run(&(struct command){{args, 1 + ONE_DEL}}, 1).tag, REPLY_INTEGER);
    }
    repeat((struct command[]){{{keys, 2}}, {{scan, 4}}}, 2);
    fill(1000);
    free(names);
    free(args);
    fill(KEYS / 2);
    struct bytes flush[] = {text("FLUSHALL")};
    uint64_t before = calls;
    longest = 0;
    run(&(struct command){{flush, 1}}, 1);
    assert_true(longest < 10000 && calls == before + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(pattern_times_key), TEST(zeros_that_are_written), TEST(many_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
