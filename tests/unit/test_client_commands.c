/* What the client port answers itself: INFO, CLUSTER and the commands about the connection. */
#include "tests/unit/client_node.h"

enum { TRIES = 20 };

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
        "# Memory\r\n",
        "used_memory_human:1.50M\r\n",
        "maxmemory:104857600\r\n",
        "# Persistence\r\n",
        "loading:0\r\n",
        "# Stats\r\n",
        "# Replication\r\n",
        "# Keyspace\r\n",
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
        "synod_sessions:3\r\n",
        "synod_session_bytes:4000\r\n",
        "synod_log_elapsed_ms:60000\r\n",
        "synod_log_clock_ms:1700000000000\r\n",
        "synod_log_clock_behind_ms:-1000\r\n",
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

/* Clients that hear messages and changes, by the names of Redis. */
static void test_info_about_who_is_told(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), subscribed = dial(n), tracking = dial(n), broadcast = dial(n);
    ask(n, subscribed, "SUBSCRIBE a\r\nPSUBSCRIBE a b\r\nSSUBSCRIBE a\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$1\r\na\r\n:2\r\n"
        "*3\r\n$10\r\npsubscribe\r\n$1\r\nb\r\n:3\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    say(n, tracking, "CLIENT TRACKING ON REDIRECT 2\r\nGET x\r\nGET y\r\n");
    hear(n, tracking, "+OK\r\n$-1\r\n$-1\r\n");
    say(n, broadcast, "CLIENT TRACKING ON REDIRECT 2 BCAST PREFIX p PREFIX q\r\n");
    hear(n, broadcast, "+OK\r\n");
    static const struct {
        const char *name;
        uint64_t number;
    } counts[] = {{"pubsub_channels", 1},        {"pubsub_patterns", 2},     {"pubsubshard_channels", 1},
                  {"tracking_clients", 2},       {"tracking_total_keys", 2}, {"tracking_total_items", 2},
                  {"tracking_total_prefixes", 2}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_int_equal(ask_number(n, fd, counts[i].name), counts[i].number);
    close(fd);
    close(subscribed);
    close(tracking);
    close(broadcast);
    node_stop(n);
}

/* What is held is executed when the pause is over. */
static void test_pause(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    ask(n, fd, "SET x 1\r\nCLIENT PAUSE 100000 WRITE\r\n", "+OK\r\n+OK\r\n");
    ask(n, fd, "PING\r\nGET x\r\nMULTI\r\nGET x\r\nEXEC\r\n", "+PONG\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
    ask(n, fd, "SET x\r\nNOSUCH\r\n",
        "-ERR wrong number of arguments for 'set' command\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    ask(n, other, "MULTI\r\nINCR x\r\n", "+OK\r\n+QUEUED\r\n");
    say(n, other, "EXEC\r\nPING\r\n");
    ask(n, fd, "GET x\r\n", "$1\r\n1\r\n");
    for (uint64_t until = deadline(); ask_number(n, fd, "blocked_clients") != 1;)
        check_deadline(until);
    say(n, fd, "INCR x\r\nGET x\r\n");
    int third = dial(n);
    ask(n, third, "CLIENT PAUSE 10 ALL\r\nCLIENT ID\r\n", "+OK\r\n:3\r\n");
    assert_int_equal(ask_number(n, third, "blocked_clients"), 2);
    ask(n, third, "CLIENT UNPAUSE\r\n", "+OK\r\n");
    hear(n, fd, ":2\r\n$1\r\n2\r\n");
    hear(n, other, "*1\r\n:3\r\n+PONG\r\n");
    ask(n, fd, "CLIENT PAUSE 20 ALL\r\nPING\r\n", "+OK\r\n+PONG\r\n"); /* after 20 ms */
    ask(n, fd, "CLIENT PAUSE 100000\r\n", "+OK\r\n");
    say(n, fd, "CLIENT PAUSE 1\r\n");
    close(fd); /* while it is held */
    ask(n, third, "CLIENT UNPAUSE\r\n", "+OK\r\n");
    ask(n, third, "CLIENT PAUSE 86400001\r\nCLIENT PAUSE -1\r\nCLIENT PAUSE 1 FOO\r\n",
        "-ERR timeout is not an integer or out of range\r\n-ERR timeout is negative\r\n"
        "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    close(other);
    close(third);
    node_stop(n);
}

/* Wherever in a millisecond it begins. */
static void test_pause_lasts(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    for (int i = 0; i < TRIES; i++) {
        const uint64_t began = uv_hrtime();
        ask(n, fd, "CLIENT PAUSE 2 WRITE\r\nSET x 1\r\n", "+OK\r\n+OK\r\n");
        assert_true(uv_hrtime() - began >= 2 * NS_PER_MS);
    }
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
    ask(n, fd, "CLUSTER KEYSLOT 123456789\r\n", ":12739\r\n");
    ask(n, fd, "CLUSTER NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n");
    free(id);
    close(fd);
    node_stop(n);
}

/* Whatever the reply is. */
static char *ask_any(struct node *n, int fd, const char *request)
{
    enum { SIZE = 4096 };
    static const char end[] = "+PONG\r\n";
    char *reply = memory_new(SIZE, 1);
    say(n, fd, request);
    say(n, fd, "PING\r\n");
    for (size_t at = 0; strstr(reply, end) == NULL; at++) {
        assert_true(at < SIZE - 1);
        assert_int_equal(receive(n, fd, reply + at, 1), 1);
    }
    return reply;
}

static void expect_owner(struct node *n, int fd, const char *host, unsigned port)
{
    char slots[64], shard[64], line[64];
    snprintf(slots, sizeof slots, "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$9\r\n%s\r\n:%u\r\n", host, port);
    snprintf(shard, sizeof shard, "port\r\n:%u\r\n$2\r\nip\r\n$9\r\n%s\r\n", port, host);
    snprintf(line, sizeof line, " %s:%u@7000 ", host, port);
    char *as_slots = ask_any(n, fd, "CLUSTER SLOTS\r\n"), *as_shards = ask_any(n, fd, "CLUSTER SHARDS\r\n");
    char *nodes = ask_text(n, fd, "CLUSTER NODES\r\n");
    assert_memory_equal(as_slots, slots, strlen(slots));
    const char *of_owner = strstr(as_shards, shard);
    assert_non_null(of_owner);
    assert_true(strstr(of_owner, "role\r\n$6\r\nmaster\r\n") < strstr(of_owner, "online"));
    assert_non_null(strstr(as_shards, ":0\r\n:16383\r\n"));
    const char *owned = strstr(strstr(nodes, line), "\n") - strlen(" 0-16383");
    assert_memory_equal(owned, " 0-16383", strlen(" 0-16383"));
    free(as_slots);
    free(as_shards);
    free(nodes);
}

/* Some clients keep an empty map for ever. */
static void test_slots_have_an_owner(void **state)
{
    (void)state;
    struct node *n = node_new();
    node_open(n);
    int fd = dial(n);
    const unsigned own = client_server_port(n->server);
    client_server_leader(n->server, 0, 1);
    expect_owner(n, fd, "127.0.0.1", own); /* none has led yet */
    client_server_leader(n->server, 2, 1);
    expect_owner(n, fd, "192.0.2.2", 7002);
    client_server_leader(n->server, 0, 1);
    expect_owner(n, fd, "192.0.2.2", 7002);
    client_server_leader(n->server, 1, 1);
    expect_owner(n, fd, "127.0.0.1", own);
    client_server_leader(n->server, 0, 1);
    expect_owner(n, fd, "127.0.0.1", own);
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
        {"HELLO 3 NOSUCH\r\n", "-ERR Syntax error in HELLO option 'NOSUCH'\r\n"},
        {"HELLO 3 AUTH default\r\n", "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
        {"HELLO 2 AUTH some one\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
        {"AUTH default x\r\n", "+OK\r\n"},
        {"AUTH other x\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
        {"AUTH a b c\r\n", "-ERR syntax error\r\n"},
        {"SELECT 0\r\n", "+OK\r\n"},
        {"SELECT 1\r\n", "-ERR DB index is out of range\r\n"},
        {"READONLY\r\nREADWRITE\r\n", "+OK\r\n+OK\r\n"},
        {"CLIENT GETNAME\r\n", "$-1\r\n"},
        {"CLIENT SETNAME me\r\nCLIENT GETNAME\r\n", "+OK\r\n$2\r\nme\r\n"},
        {"CLIENT SETNAME \"a b\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"CLIENT SETINFO lib-name redis-py\r\nCLIENT SETINFO LIB-VER 5\r\n", "+OK\r\n+OK\r\n"},
        {"CLIENT SETINFO what 5\r\n", "-ERR Unrecognized option for CLIENT SETINFO\r\n"},
        {"CLIENT NO-EVICT on\r\nCLIENT NO-TOUCH off\r\n", "+OK\r\n+OK\r\n"},
        {"CLIENT NO-EVICT x\r\n", "-ERR syntax error\r\n"},
        {"CLIENT SETNAME\r\n", "-ERR wrong number of arguments for 'client|setname' command\r\n"},
        {"CLIENT\r\n", "-ERR wrong number of arguments for 'client' command\r\n"},
        {"CLIENT UNBLOCK 7\r\n", ":0\r\n"},
        {"CLIENT CAPA redirect\r\n", "+OK\r\n"},
        {"SLOWLOG GET\r\nSLOWLOG LEN\r\nMODULE LIST\r\n", "*0\r\n:0\r\n*0\r\n"},
        {"ACL WHOAMI\r\n", "$7\r\ndefault\r\n"},
        {"MODULE HELP\r\n", "*5\r\n+MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+HELP\r\n"
                            "+    Prints this help.\r\n+LIST\r\n+    There are no modules.\r\n"},
        {"MODULE HELP x\r\n", "-ERR wrong number of arguments for 'module|help' command\r\n"},
        {"CLIENT ID\r\n", ":1\r\n"},
        {"RESET\r\nCLIENT GETNAME\r\n", "+RESET\r\n$-1\r\n"},
        {"CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
        {"CONFIG GET nosuch\r\n", "*0\r\n"},
        {"CONFIG SET save x\r\n",
         "-ERR CONFIG SET is not supported for this: settings are in the configuration file of the cluster\r\n"},
        {"COMMAND INFO get nosuch\r\n",
         "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n"
         "*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n"
         "$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
         "*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n$-1\r\n"},
        {"COMMAND GETKEYS get k\r\n", "*1\r\n$1\r\nk\r\n"},
        {"COMMAND GETKEYS mset a 1 b 2\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"COMMAND GETKEYS mget a b c\r\n", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
        {"COMMAND GETKEYS ping x\r\n", "-ERR The command has no key arguments\r\n"},
        {"COMMAND GETKEYS keys x\r\n", "-ERR The command has no key arguments\r\n"},
        {"COMMAND GETKEYS nosuch a\r\n", "-ERR Invalid command specified\r\n"},
        {"COMMAND GETKEYS get a b\r\n", "-ERR Invalid number of arguments specified for command\r\n"},
        {"COMMAND GETKEYSANDFLAGS GET a\r\n", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"},
        {"COMMAND LIST FILTERBY PATTERN *keys*\r\n",
         "*4\r\n$15\r\ncluster|keyslot\r\n$15\r\ncommand|getkeys\r\n$23\r\ncommand|getkeysandflags\r\n$4\r\nkeys\r\n"},
        {"COMMAND INFO slowlog|len nosuch|len slowlog|nosuch |\r\n",
         "*4\r\n*10\r\n$11\r\nslowlog|len\r\n:2\r\n*4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n"
         "*3\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n*0\r\n*0\r\n*0\r\n$-1\r\n$-1\r\n$-1\r\n"},
        {"COMMAND LIST FILTERBY ACLCAT transaction\r\n",
         "*5\r\n$7\r\ndiscard\r\n$4\r\nexec\r\n$5\r\nmulti\r\n$7\r\nunwatch\r\n$5\r\nwatch\r\n"},
        {"COMMAND LIST FILTERBY MODULE x\r\n", "*0\r\n"},
        {"COMMAND LIST FILTERBY x y\r\n", "-ERR syntax error\r\n"},
        {"COMMAND DOCS nosuch\r\n", "*0\r\n"},
        {"COMMAND DOCS copy\r\n",
         "*2\r\n$4\r\ncopy\r\n*8\r\n$7\r\nsummary\r\n$30\r\nCopies a value to another key.\r\n$5\r\nsince\r\n$5\r\n6.2.0\r\n"
         "$5\r\ngroup\r\n$7\r\ngeneric\r\n$9\r\narguments\r\n*4\r\n"
         "*6\r\n$4\r\nname\r\n$6\r\nsource\r\n$4\r\ntype\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n"
         "*6\r\n$4\r\nname\r\n$11\r\ndestination\r\n$4\r\ntype\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:1\r\n"
         "*8\r\n$4\r\nname\r\n$14\r\ndestination-db\r\n$4\r\ntype\r\n$7\r\ninteger\r\n$5\r\ntoken\r\n$2\r\nDB\r\n"
         "$5\r\nflags\r\n*1\r\n+optional\r\n"
         "*8\r\n$4\r\nname\r\n$7\r\nreplace\r\n$4\r\ntype\r\n$10\r\npure-token\r\n$5\r\ntoken\r\n$7\r\nREPLACE\r\n"
         "$5\r\nflags\r\n*1\r\n+optional\r\n"},
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

/* CLIENT REPLY: a client that wants no replies gets none, of node and port, and the others come in their order. */
static void test_unwanted_replies(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "CLIENT REPLY SKIP\r\nPING skipped\r\nPING 1\r\n", "$1\r\n1\r\n");
    ask(n, fd, "CLIENT REPLY SKIP\r\nSET k v\r\nGET k\r\n", "$1\r\nv\r\n");
    ask(n, fd, "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING skipped\r\nPING 2\r\n", "$1\r\n2\r\n");
    ask(n, fd,
        "SET a 1\r\nCLIENT REPLY OFF\r\nSET a 2\r\nPING\r\nNOSUCH\r\nCLIENT REPLY SKIP\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\n",
        "+OK\r\n+OK\r\n$1\r\n2\r\n");
    ask(n, fd, "CLIENT REPLY x\r\n", "-ERR syntax error\r\n");
    ask(n, fd, "CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
}

/* A node that executes nothing tracks nothing. What only prepares for tracking is accepted, because libraries ask for it
 * when they connect. */
static void test_tracking(void **state)
{
    static const char refused[] =
        "-ERR this node has no learner, so it hears of no message and no change; these have one: 192.0.2.2:7002\r\n";
    (void)state;
    struct node *n = node_new();
    n->config.node_config.learners = 4;
    node_open(n);
    int fd = dial(n);
    ask(n, fd, "CLIENT CACHING YES\r\n",
        "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled\r\n");
    ask(n, fd, "CLIENT TRACKING ON\r\n", refused);
    ask(n, fd, "CLIENT TRACKING ON BCAST\r\n", refused);
    ask(n, fd, "CLIENT TRACKINGINFO\r\n",
        "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n");
    ask(n, fd, "CLIENT TRACKING ON OPTIN NOLOOP\r\nCLIENT GETREDIR\r\n", "+OK\r\n:0\r\n");
    ask(n, fd, "CLIENT CACHING YES\r\n", refused);
    ask(n, fd, "CLIENT TRACKING OFF\r\nCLIENT GETREDIR\r\n", "+OK\r\n:-1\r\n");
    close(fd);
    node_stop(n);
}

static void test_clients_are_listed_and_killed(void **state)
{
    (void)state;
    struct node *n = node_start();
    int a = dial(n), b = dial(n), c = dial(n), d = dial(n);
    char *list = ask_text(n, a, "CLIENT LIST ID 3 2 99\r\n");
    assert_non_null(strstr(list, "id=2 addr="));
    assert_non_null(strstr(list, "id=3 addr="));
    assert_null(strstr(list, "id=1 addr="));
    char address[64];
    assert_int_equal(sscanf(strstr(list, "id=3 addr="), "id=3 addr=%63s", address), 1);
    free(list);
    list = ask_text(n, a, "CLIENT LIST TYPE pubsub\r\n");
    assert_string_equal(list, "\r\n");
    free(list);
    ask(n, a, "CLIENT LIST TYPE x\r\nCLIENT LIST ID x\r\nCLIENT LIST x\r\n",
        "-ERR Unknown client type 'x'\r\n-ERR Invalid client ID\r\n-ERR syntax error\r\n");
    ask(n, a,
        "CLIENT KILL ID 99\r\nCLIENT KILL 1.2.3.4:5\r\nCLIENT KILL ID x\r\nCLIENT KILL USER x\r\nCLIENT KILL FOO x\r\n",
        ":0\r\n-ERR No such client\r\n-ERR client-id should be greater than 0\r\n-ERR No such user 'x'\r\n-ERR syntax error\r\n");
    ask(n, a, "CLIENT KILL ID 2 USER default\r\n", ":1\r\n");
    hear_end(n, b);
    char request[128];
    snprintf(request, sizeof request, "CLIENT KILL %s\r\n", address);
    ask(n, a, request, "+OK\r\n");
    hear_end(n, c);
    ask(n, a, "CLIENT KILL ID 1\r\n", ":0\r\n"); /* itself only when it says so */
    ask(n, a, "CLIENT KILL TYPE normal SKIPME no\r\nPING\r\n", ":2\r\n");
    hear_end(n, d);
    hear_end(n, a);
    assert_int_equal(client_server_statistics(n->server).connections, 0);
    node_stop(n);
}

static void test_roles(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    char *text = ask_text(n, fd, "INFO replication\r\n");
    assert_non_null(
        strstr(text, "role:master\r\nconnected_slaves:1\r\nslave0:ip=192.0.2.2,port=7002,state=online,offset=11,lag=0\r\n"));
    free(text);
    ask(n, fd, "ROLE\r\n", "*3\r\n$6\r\nmaster\r\n:11\r\n*1\r\n*3\r\n$9\r\n192.0.2.2\r\n$4\r\n7002\r\n$2\r\n11\r\n");
    client_server_leader(n->server, 2, 2);
    text = ask_text(n, fd, "INFO replication keyspace\r\n");
    assert_non_null(strstr(text, "role:slave\r\nmaster_host:192.0.2.2\r\nmaster_port:7002\r\nmaster_link_status:up\r\n"));
    assert_non_null(strstr(text, "# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=700\r\n"));
    free(text);
    ask(n, fd, "ROLE\r\n", "*5\r\n$5\r\nslave\r\n$9\r\n192.0.2.2\r\n:7002\r\n$9\r\nconnected\r\n:11\r\n");
    client_server_leader(n->server, 0, 2);
    text = ask_text(n, fd, "INFO replication\r\n");
    assert_non_null(strstr(text, "role:slave\r\nmaster_host:\r\nmaster_port:0\r\nmaster_link_status:down\r\n"));
    free(text);
    ask(n, fd, "INFO nosuch\r\n", "$0\r\n\r\n");
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
        "*2\r\n*10\r\n$3\r\nadd\r\n:2\r\n*1\r\n+write\r\n:0\r\n:0\r\n:0\r\n*1\r\n+@write\r\n*0\r\n*0\r\n*0\r\n$-1\r\n");
    close(fd);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_lasts),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_info_about_who_is_told),
        cmocka_unit_test(test_cluster),
        cmocka_unit_test(test_slots_have_an_owner),
        cmocka_unit_test(test_slots_have_an_owner),
        cmocka_unit_test(test_wildcard_address),
        cmocka_unit_test(test_port_commands),
        cmocka_unit_test(test_unwanted_replies),
        cmocka_unit_test(test_tracking),
        cmocka_unit_test(test_clients_are_listed_and_killed),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(commands_are_those_that_the_node_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
