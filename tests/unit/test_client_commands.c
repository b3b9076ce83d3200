/* What the client port answers itself: INFO, CLUSTER and the commands about the connection. */
#include "tests/unit/client_node.h"

static void test_info(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    char *all = ask_text(n, fd, "INFO\r\n");
    static const char *const lines[] = {
        "# Server\r\n",
        "redis_version:7.",
        "# Clients\r\n",
        "connected_clients:1\r\n",
        "# Stats\r\n",
        "# Synod\r\n",
        "synod_node:1\r\n",
        "synod_role:coordinator\r\n",
        "synod_cluster:test\r\n",
        "synod_incarnation:4\r\n",
        "synod_leader:1\r\n",
        "synod_ballot:7.1.4\r\n",
        "synod_proposer_state:leading\r\n",
        "synod_chosen:12\r\n",
        "synod_executed:11\r\n",
        "synod_held:10\r\n",
        "synod_state_hash:0000000000000abc\r\n",
        "synod_commands_executed:99\r\n",
        "synod_leader_changes:2\r\n",
        "synod_extra:yes\r\n",
        "cluster_enabled:1\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(all, lines[i]) == NULL)
            fail_msg("INFO lacks %s", lines[i]);
    free(all);
    char *one = ask_text(n, fd, "INFO clients\r\n");
    assert_non_null(strstr(one, "# Clients"));
    assert_null(strstr(one, "# Server"));
    free(one);
    close(fd);
    node_stop(n);
}

static void test_cluster(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    char *id = ask_text(n, fd, "CLUSTER MYID\r\n");
    assert_int_equal(strlen(id), 42);
    char wanted[512];
    client_server_leader(n->server, 2, 1);
    char *list = ask_text(n, fd, "CLUSTER NODES\r\n");
    snprintf(wanted, sizeof wanted, "%.40s 127.0.0.1:%u@7000 myself,slave ", id, client_server_port(n->server));
    assert_non_null(strstr(list, wanted));
    assert_non_null(strstr(list, "192.0.2.2:7002@7000 master - 0 0 1 connected 0-16383\n"));
    free(list);
    client_server_leader(n->server, 1, 1);
    snprintf(
        wanted, sizeof wanted,
        "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$40\r\n%.40s\r\n*3\r\n$9\r\n192.0.2.2\r\n:7002\r\n$40\r\n",
        client_server_port(n->server), id);
    ask(n, fd, "CLUSTER SLOTS\r\n", wanted);
    char rest[42];
    assert_int_equal(receive(n, fd, rest, 42), 42);
    client_server_leader(n->server, 0, 1);
    ask(n, fd, "CLUSTER SLOTS\r\n", "*0\r\n");
    ask(n, fd, "CLUSTER KEYSLOT 123456789\r\n", ":12739\r\n");
    ask(n, fd, "CLUSTER NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n");
    free(id);
    close(fd);
    node_stop(n);
}

/* A wildcard is no place to send a client: the address between nodes stands in. */
static void test_wildcard_address(void **state)
{
    (void)state;
    struct node *n = node_new();
    set_node(&n->nodes[1], 2, "0.0.0.0", 7002);
    node_open(n);
    int fd = dial(n);
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "GET foo\r\n", "-MOVED 12182 192.0.2.9:7002\r\n");
    close(fd);
    node_stop(n);
}

static void test_port_commands(void **state)
{
    (void)state;
    static const char *const exchanges[][2] = {
        {"ping\r\n", "+PONG\r\n"},
        {"PING hi\r\n", "$2\r\nhi\r\n"},
        {"PING a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n"},
        {"ECHO\r\n", "-ERR wrong number of arguments for 'echo' command\r\n"},
        {"AUTH secret\r\n", "-ERR AUTH <password> called without any password configured for the default user. Are you sure "
                            "your configuration is correct?\r\n"},
        {"HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"},
        {"HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"},
        {"HELLO 3 NOSUCH\r\n", "-ERR Syntax error in HELLO option\r\n"},
        {"SELECT 0\r\n", "+OK\r\n"},
        {"SELECT 1\r\n", "-ERR DB index is out of range\r\n"},
        {"READONLY\r\nREADWRITE\r\n", "+OK\r\n+OK\r\n"},
        {"CLIENT GETNAME\r\n", "$-1\r\n"},
        {"CLIENT SETNAME me\r\nCLIENT GETNAME\r\n", "+OK\r\n$2\r\nme\r\n"},
        {"CLIENT SETNAME \"a b\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"CLIENT SETINFO lib-name redis-py\r\nCLIENT SETINFO LIB-VER 5\r\n", "+OK\r\n+OK\r\n"},
        {"CLIENT SETINFO what 5\r\n", "-ERR Unrecognized option for CLIENT SETINFO\r\n"},
        {"CLIENT NO-EVICT on\r\n", "+OK\r\n"},
        {"CLIENT ID\r\n", ":1\r\n"},
        {"RESET\r\nCLIENT GETNAME\r\n", "+RESET\r\n$-1\r\n"},
        {"CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
        {"CONFIG GET nosuch\r\n", "*0\r\n"},
        {"CONFIG SET save x\r\n",
         "-ERR CONFIG SET is not supported: settings are in the configuration file of the cluster\r\n"},
        {"COMMAND INFO get nosuch\r\n",
         "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-1\r\n"},
        {"COMMAND DOCS nosuch\r\n", "*0\r\n"},
        {"COMMAND GETKEYS get k\r\n", "-ERR unknown subcommand 'GETKEYS'. Try COMMAND HELP.\r\n"},
        {"COMMAND NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.\r\n"},
    };
    struct node *n = node_start();
    int fd = dial(n);
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
        ask(n, fd, exchanges[i][0], exchanges[i][1]);
    char *list = ask_text(n, fd, "CLIENT LIST\r\n");
    assert_non_null(strstr(list, "id=1 addr=127.0.0.1:"));
    assert_non_null(strstr(list, "lib-name=redis-py lib-ver=5\n"));
    free(list);
    assert_int_equal(client_server_statistics(n->server).commands, 0); /* none of these is the node's */
    close(fd);
    node_stop(n);
}

/* Clients may be there before the node has told what commands it has. */
static void commands_are_those_that_the_node_tells(void **state)
{
    (void)state;
    struct node *n = node_start();
    node_describe(n, (struct command_info_list){NULL, 0});
    int fd = dial(n);
    ask(n, fd, "COMMAND INFO get\r\n", "*1\r\n$-1\r\n");
    ask(n, fd, "SET key value\r\n", "+OK\r\n");
    node_describe(n, state_machine_describe(n->machine));
    ask(n, fd, "GET key\r\n", "$5\r\nvalue\r\n");
    ask(n, fd, "COMMAND INFO nosuch\r\n", "*1\r\n$-1\r\n");
    struct command_info only = {.name = {(uint8_t *)(uintptr_t)"add", 3}, .arity = 2};
    node_describe(n, (struct command_info_list){&only, 1});
    ask(n, fd, "COMMAND INFO add get\r\n",
        "*2\r\n*10\r\n$3\r\nadd\r\n:2\r\n*1\r\n+write\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-1\r\n");
    close(fd);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_cluster),
        cmocka_unit_test(test_wildcard_address),
        cmocka_unit_test(test_port_commands),
        cmocka_unit_test(commands_are_those_that_the_node_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
