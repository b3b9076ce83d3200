/* core/state/kv_moves.c, and SET with a condition. What Redis 7 says is compared in tests/e2e/test_same_as_redis.py. */
#include "tests/unit/kv_lines.h"

static void compare_and_set(void **state)
{
    static const struct step steps[] = {
        {"SET k new IFEQ old", "nil"},
        {"EXISTS k", ":0"},
        {"SET k one IFNE x", "+OK"},
        {"SET k two IFEQ one", "+OK"},
        {"SET k three IFEQ one", "nil"},
        {"GET k", "$two"},
        {"SET k three IFNE two", "nil"},
        {"SET k three ifne one", "+OK"},
        {"SET k four IFEQ no GET", "$three"},
        {"GET k", "$three"},
        {"SET k four GET IFEQ three", "$three"},
        {"GET k", "$four"},
        {"SET k five IFEQ four NX", "-ERR syntax error"},
        {"SET k five XX IFEQ four", "-ERR syntax error"},
        {"SET k five IFEQ four IFNE x", "-ERR syntax error"},
        {"SET k five IFEQ", "-ERR syntax error"},
        {"SET k \"\" IFEQ four", "+OK"},
        {"SET k x IFEQ \"\"", "+OK"},
        {"DELEX k IFEQ y", ":0"},
        {"DELEX k IFNE x", ":0"},
        {"DELEX k IFEQ x", ":1"},
        {"DELEX k IFEQ x", ":0"},
        {"SET k x", "+OK"},
        {"DELEX k IFNE y", ":1"},
        {"SET k x", "+OK"},
        {"DELEX k", ":1"},
        {"DELEX k", ":0"},
        {"DELEX k IFEQ", "-ERR wrong number of arguments for 'delex' command"},
        {"DELEX k FOO x", "-ERR Invalid condition. Use IFEQ or IFNE"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

static void values_get_other_keys(void **state)
{
    static const struct step steps[] = {
        {"RENAME a b", "-ERR no such key"},
        {"SET a 1", "+OK"},
        {"SET b 2", "+OK"},
        {"RENAME a b", "+OK"},
        {"GET b", "$1"},
        {"EXISTS a", ":0"},
        {"RENAME b b", "+OK"},
        {"RENAMENX b b", ":0"},
        {"SET a 3", "+OK"},
        {"RENAMENX a b", ":0"},
        {"RENAMENX a c", ":1"},
        {"DBSIZE", ":2"},
        {"COPY b c", ":0"},
        {"COPY b c REPLACE", ":1"},
        {"GET c", "$1"},
        {"COPY b d DB 0", ":1"},
        {"COPY b e DB 1", "-ERR DB index is out of range"},
        {"COPY b b", "-ERR source and destination objects are the same"},
        {"COPY none x", ":0"},
        {"TOUCH b c none", ":2"},
        {"APPEND d x", ":2"},
        {"GET b", "$1"},
    };
    (void)state;
    EXPECT_ALL(steps);
}

/* A value that moves needs no more room than it has. */
static void moves_fit_where_copies_do_not(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    static char line[4096];
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "SET a ", 6);
    expect(m, line, "+OK");
    state_machine_start(m, kv_cost(1, sizeof line - 7) * 3 / 2, 0);
    expect(m, "RENAME a b", "+OK");
    expect(m, "COPY b c", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "SET a 1", "+OK");
    expect(m, "RENAME b a", "+OK");
    expect(m, "DBSIZE", ":1");
    state_machine_start(m, 100, 0); /* below what there is: what needs no more is done */
    expect(m, "RENAME a b", "+OK");
    state_machine_free(m);
}

/* In the log the same state gives the same key at the same time, and another state mostly another one. */
static void a_random_key_is_the_states(void **state)
{
    (void)state;
    struct state_machine *a = state_machine_new(), *b = state_machine_new();
    char line[32], first[32];
    size_t others = 0;
    expect(a, "RANDOMKEY", "nil");
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line, "SET key-%d %d", i, i);
        expect(a, line, "+OK");
        expect(b, line, "+OK");
        snprintf(first, sizeof first, "%s", run(a, "RANDOMKEY"));
        expect(b, "RANDOMKEY", first);
        expect(a, "RANDOMKEY", first);
        snprintf(line, sizeof line, "$key-%d", i);
        others += strcmp(line, first) != 0;
    }
    assert_true(others > 150);
    state_machine_free(a);
    state_machine_free(b);
}

/* With time, and with each read outside of the log, it is another one. */
static void a_random_key_varies(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    char first[32];
    size_t later = 0, read = 0;
    struct line l;
    for (int i = 0; i < 200; i++) {
        snprintf(first, sizeof first, "SET key-%d %d", i, i);
        expect(m, first, "+OK");
    }
    snprintf(first, sizeof first, "%s", run(m, "RANDOMKEY"));
    split(&l, "RANDOMKEY");
    for (int i = 0; i < 100; i++) {
        lines_now.elapsed++;
        later += strcmp(run(m, "RANDOMKEY"), first) != 0;
        const struct reply *r = state_machine_query(m, lines_now, &l.command, 1, REPLY_ROOM_ANY).replies.ptr;
        read += r->val.bytes.len != strlen(first) - 1 || memcmp(r->val.bytes.ptr, first + 1, r->val.bytes.len) != 0;
    }
    assert_true(later > 80 && read > 80);
    lines_now.elapsed = 0;
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_and_set),
        cmocka_unit_test(values_get_other_keys),
        cmocka_unit_test(moves_fit_where_copies_do_not),
        cmocka_unit_test(a_random_key_is_the_states),
        cmocka_unit_test(a_random_key_varies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
