#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "load/info.h"

static bool parse(const char *text, struct node_info *out, char error[256])
{
    return info_parse(text, strlen(text), out, error, 256);
}

static void every_field_is_read(void **state)
{
    (void)state;
    struct node_info i;
    char error[256];
    assert_true(parse("# Server\r\nredis_version:7.0.0\r\n\r\n# Synod\r\n"
                      "synod_node:2\r\nsynod_role:coordinator\r\nsynod_incarnation:4\r\nsynod_leader:3\r\n"
                      "synod_ballot:18446744073709551615.3.7\r\nsynod_proposer_state:following\r\nsynod_chosen:11\r\n"
                      "synod_executed:10\r\nsynod_held:9\r\nsynod_state_hash:00ff\r\nsynod_commands_executed:1000000\r\n"
                      "synod_leader_changes:5\r\nsynod_something_new:x:y\r\n",
                      &i, error));
    assert_int_equal(i.node, 2);
    assert_string_equal(i.role, "coordinator");
    assert_int_equal(i.incarnation, 4);
    assert_int_equal(i.leader, 3);
    assert_true(i.ballot.round == UINT64_MAX);
    assert_int_equal(i.ballot.node, 3);
    assert_int_equal(i.ballot.incarnation, 7);
    assert_string_equal(i.proposer_state, "following");
    assert_int_equal(i.chosen, 11);
    assert_int_equal(i.executed, 10);
    assert_int_equal(i.held, 9);
    assert_string_equal(i.state_hash, "00ff");
    assert_int_equal(i.commands_executed, 1000000);
    assert_int_equal(i.leader_changes, 5);
}

static void another_server_is_refused(void **state)
{
    (void)state;
    struct node_info i;
    char error[256];
    assert_false(parse("redis_version:7.0.0\r\nsynod_\r\nsynod_executed:1", &i, error));
    assert_non_null(strstr(error, "not a node of Synod"));
    assert_false(parse("", &i, error));
}

static void bad_values_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "synod_node:",
        "synod_node:-1",
        "synod_node:4294967296",
        "synod_node:1x",
        "synod_executed: 1",
        "synod_ballot:1.2",
        "synod_ballot:1.2.3.4",
        "synod_ballot:1.2.4294967296",
        "synod_chosen:18446744073709551616",
        "synod_role:a-role-with-much-too-long-a-name",
    };
    for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) {
        char text[256] = "synod_node:1\n", error[256];
        struct node_info i;
        strcat(text, bad[n]);
        assert_false(parse(text, &i, error));
        assert_non_null(strstr(error, bad[n]));
    }
}

static void nobody_there_is_an_error_that_says_so(void **state)
{
    (void)state;
    struct node_info i;
    char error[256];
    assert_false(info_fetch("127.0.0.1", 1, 500, &i, error, sizeof error));
    assert_non_null(strstr(error, "127.0.0.1 port 1: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(another_server_is_refused),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(nobody_there_is_an_error_that_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
