#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/runners/ports.h"
#include "core/state/kv_versions.h"
#include "core/state/state_machine.h"
#include "host/config.h"
#include "host/config_check.h"
#include "host/config_schema.h"

/* Lines 1 to 5; what a case adds starts on line 6. */
#define NODE(id, more) "  - {id: " #id ", role: coordinator, address: \"127.0.0.1:700" #id "\"" more "}\n"
#define HEAD                                                                                                                \
    "cluster: demo\nnodes:\n" NODE(1, ", client: \"127.0.0.1:6001\"") NODE(2, ", client: \"127.0.0.1:6002\"") NODE(3, "")
#define SETTING(line)  HEAD "settings:\n  " line "\n" /* on line 7 */
#define ONE_NODE(text) "cluster: demo\nnodes:\n  - " text "\n"

static char folder[] = "/tmp/synod-config-XXXXXX";
static char source[4096]; /* root of the sources, ends with a slash */

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen("c.yaml", "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void load(struct config *config, const char *text)
{
    struct problem problem = {0};
    write_file(text, strlen(text));
    if (!config_load(config, "c.yaml", &problem))
        fail_msg("%s", problem.text);
}

static void expect_error(const char *text, const char *expected)
{
    struct config config;
    struct problem problem = {0};
    write_file(text, strlen(text));
    assert_false(config_load(&config, "c.yaml", &problem));
    assert_string_equal(problem.text, expected);
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_null(config.nodes);
}

static const struct {
    const char *text, *error;
} errors[] = {
    /* The file as a whole. */
    {"", "c.yaml:1: the file is empty"},
    {"# nothing\n", "c.yaml:1: the file is empty"},
    {"\n- a\n", "c.yaml:2: the file must be a map (`name: value` lines)"},
    {"cluster: demo\nnodes: [\n", "c.yaml:3: not YAML: while parsing a flow node: did not find expected node content"},
    {"cluster: demo\n\xff\n", "c.yaml:2: not YAML: invalid leading UTF-8 octet"},
    {HEAD "---\ncluster: other\n", "c.yaml:7: a second document"},
    /* Keys. */
    {HEAD "sesstings: {}\n", "c.yaml:6: key 'sesstings': unknown key"},
    {SETTING("alhpa: 3"), "c.yaml:7: key 'settings.alhpa': unknown key"},
    {SETTING("[a]: 3"), "c.yaml:7: key 'settings.?': unknown key"},
    {ONE_NODE("{id: 1, role: learner, address: \"a:1\", port: 3}"), "c.yaml:3: key 'nodes[0].port': unknown key"},
    {HEAD "log_level: info\nlog_level: debug\n", "c.yaml:7: key 'log_level': given twice, first on line 6"},
    {SETTING("alpha: 3\n  alpha: 3"), "c.yaml:8: key 'settings.alpha': given twice, first on line 7"},
    {"log_level: info\n", "c.yaml:1: key 'cluster': missing"},
    {"cluster: demo\n", "c.yaml:1: key 'nodes': missing"},
    {ONE_NODE("{id: 1, address: \"a:1\"}"), "c.yaml:3: key 'nodes[0].role': missing"},
    {HEAD "settings: 3\n", "c.yaml:6: key 'settings': must be a map (`name: value` lines)"},
    {"cluster: demo\nnodes: [3]\n", "c.yaml:2: key 'nodes[0]': must be a map (`name: value` lines)"},
    {HEAD "data: [a]\n", "c.yaml:6: key 'data': must be a single value"},
    {HEAD "data: \"a\\0b\"\n", "c.yaml:6: key 'data': must be a single value"},
    {HEAD "data: \"\"\n", "c.yaml:6: key 'data': is empty"},
    /* Values. */
    {"cluster: my demo\n", "c.yaml:1: key 'cluster': 'my demo' may have letters, digits, '.', '_' and '-' only"},
    {"cluster: \"a\\nb\"\n", "c.yaml:1: key 'cluster': 'a?b' may have letters, digits, '.', '_' and '-' only"},
    {"cluster: \"\"\n", "c.yaml:1: key 'cluster': '' must have 1..63 characters"},
    {HEAD "log_level: loud\n", "c.yaml:6: key 'log_level': 'loud' is not one of: error, warning, info, debug"},
    {HEAD "leader_rule: me\n", "c.yaml:6: key 'leader_rule': 'me' is not one of: sticky, highest"},
    {SETTING("alpha: 0"), "c.yaml:7: key 'settings.alpha': 0 is out of range 1..4096"},
    {SETTING("alpha: 4097"), "c.yaml:7: key 'settings.alpha': 4097 is out of range 1..4096"},
    {SETTING("alpha: -1"), "c.yaml:7: key 'settings.alpha': '-1' is not a whole number"},
    {SETTING("alpha: 1.5"), "c.yaml:7: key 'settings.alpha': '1.5' is not a whole number"},
    {SETTING("alpha:"), "c.yaml:7: key 'settings.alpha': '' is not a whole number"},
    {SETTING("alpha: 18446744073709551617"), "c.yaml:7: key 'settings.alpha': '18446744073709551617' is not a whole number"},
    {SETTING("batch_bytes: 12MB"),
     "c.yaml:7: key 'settings.batch_bytes': '12MB' is not a size (a number of bytes, or with KiB, MiB or GiB)"},
    {SETTING("batch_bytes: 18014398509481984KiB"), "c.yaml:7: key 'settings.batch_bytes': '18014398509481984KiB' is not "
                                                   "a size (a number of bytes, or with KiB, MiB or GiB)"},
    {SETTING("memory_bytes_max: 5 GiB"), "c.yaml:7: key 'settings.memory_bytes_max': 5 GiB is out of range 48 MiB..4 GiB"},
    {SETTING("memory_bytes_max: 512 MiB\n  state_bytes_max: 512 MiB"),
     "c.yaml:8: key 'settings.state_bytes_max': state_bytes_max (536870912) must be at most what memory_bytes_max has room for, "
     "also while a snapshot is taken (333447167)"},
    {SETTING("state_bytes_max: 1 GiB"),
     "c.yaml:7: key 'settings.state_bytes_max': state_bytes_max (1073741824) must be at most what memory_bytes_max has room for, "
     "also while a snapshot is taken (810811391)"},
    {"cluster: demo\nnodes:\n" NODE(1,
                                    ", granularity: agents") "settings: {memory_bytes_max: 4 GiB, state_bytes_max: 2 GiB}\n",
     "c.yaml:4: key 'settings.state_bytes_max': state_bytes_max (2147483648) must be at most what memory_bytes_max has room for, "
     "also while a snapshot is taken (1765277695); more needs the granularity parts"},
    {SETTING("forward: yes"), "c.yaml:7: key 'settings.forward': 'yes' is neither true nor false"},
    {SETTING("durability: often"), "c.yaml:7: key 'settings.durability': 'often' is not one of: fsync, os, memory"},
    /* Other names, and what is not supported. */
    {SETTING("prepare_timeout: 5\n  prepare_timeout_ms: 5"),
     "c.yaml:7: key 'settings.prepare_timeout': another name of 'settings.prepare_timeout_ms', which line 8 gives too"},
    {SETTING("durability: os\n  persistent_storage: true"),
     "c.yaml:8: key 'settings.persistent_storage': another name of 'settings.durability', which line 7 gives too"},
    {SETTING("storage_max_snapshots: 0"), "c.yaml:7: key 'settings.storage_max_snapshots': 0 is out of range 1..16"},
    {SETTING("heartbeats: false"), "c.yaml:7: key 'settings.heartbeats': false is not supported yet, only true: a cluster "
                                   "without heartbeats would never replace its leader"},
    {SETTING("tick_micros: 0"), "c.yaml:7: key 'settings.tick_micros': 0 is out of range 1..1000000"},
    /* Nodes. */
    {"cluster: demo\nnodes: []\n", "c.yaml:2: key 'nodes': must be a list with at least one node"},
    {"cluster: demo\nnodes: three\n", "c.yaml:2: key 'nodes': must be a list with at least one node"},
    {ONE_NODE("{id: 64}"), "c.yaml:3: key 'nodes[0].id': 64 is out of range 1..63"},
    {ONE_NODE("{role: boss}"),
     "c.yaml:3: key 'nodes[0].role': 'boss' is not one of: coordinator, proposer, acceptor, learner"},
    {"cluster: demo\nnodes:\n" NODE(1, "") "  - id: 1\n    role: learner\n    address: \"b:2\"\n",
     "c.yaml:4: key 'nodes[1].id': 1 is already the id of nodes[0]"},
    {"cluster: demo\nnodes:\n" NODE(1, "") "  - id: 2\n    role: learner\n    address: \"127.0.0.1:7001\"\n",
     "c.yaml:6: key 'nodes[1].address': 127.0.0.1 port 7001 is already the node address of node 1"},
    {"cluster: demo\nnodes:\n" NODE(1, ", client: \"LocalHost:1\"") NODE(2, ", client: \"localhost:1\""),
     "c.yaml:4: key 'nodes[1].client': localhost port 1 is already the client address of node 1"},
    {ONE_NODE("{id: 1, role: coordinator, address: \"h:1\", client: \"h:1\"}"),
     "c.yaml:3: key 'nodes[0].client': h port 1 is already the node address of node 1"},
    {"cluster: demo\nnodes:\n" NODE(1, "") NODE(2, "") "settings:\n  client_server_port: 60000\n",
     "c.yaml:6: key 'settings.client_server_port': 127.0.0.1 port 60000 is already the client address of node 1"},
    {ONE_NODE("{id: 1, role: proposer, address: \"h:1\"}"),
     "c.yaml:2: key 'nodes': no node is an acceptor (or a coordinator)"},
    {ONE_NODE("{id: 1, role: acceptor, address: \"h:1\"}"),
     "c.yaml:2: key 'nodes': no node is a proposer (or a coordinator)"},
    {"cluster: demo\nnodes:\n  - {id: 1, role: acceptor, address: \"h:1\"}\n"
     "  - {id: 2, role: proposer, address: \"h:2\"}\n",
     "c.yaml:2: key 'nodes': no node is a learner (or a coordinator)"},
    /* Addresses. */
    {ONE_NODE("{address: \"127.0.0.1\"}"),
     "c.yaml:3: key 'nodes[0].address': '127.0.0.1' is not an address (host:port or [v6]:port)"},
    {ONE_NODE("{address: \":7001\"}"),
     "c.yaml:3: key 'nodes[0].address': ':7001' is not an address (host:port or [v6]:port)"},
    {ONE_NODE("{address: \"::1:7001\"}"),
     "c.yaml:3: key 'nodes[0].address': '::1:7001' is not an address (host:port or [v6]:port)"},
    {ONE_NODE("{address: \"[::1]7001\"}"),
     "c.yaml:3: key 'nodes[0].address': '[::1]7001' is not an address (host:port or [v6]:port)"},
    {ONE_NODE("{address: \"[::1:7001\"}"),
     "c.yaml:3: key 'nodes[0].address': '[::1:7001' is not an address (host:port or [v6]:port)"},
    {ONE_NODE("{address: \"[fe80::xyz]:1\"}"), "c.yaml:3: key 'nodes[0].address': 'fe80::xyz' is not an IPv6 address"},
    {ONE_NODE("{address: \"127.0.0.256:1\"}"), "c.yaml:3: key 'nodes[0].address': '127.0.0.256' is not an IPv4 address"},
    {ONE_NODE("{address: \"a b:1\"}"), "c.yaml:3: key 'nodes[0].address': 'a b' is not a host name"},
    {ONE_NODE("{address: \"0.0.0.0:1\"}"),
     "c.yaml:3: key 'nodes[0].address': '0.0.0.0' is no address that others can reach"},
    {ONE_NODE("{address: \"[::]:1\"}"), "c.yaml:3: key 'nodes[0].address': '::' is no address that others can reach"},
    {ONE_NODE("{address: \"a:0\"}"), "c.yaml:3: key 'nodes[0].address': port 0 is out of range 1..65535"},
    {ONE_NODE("{address: \"a:65536\"}"), "c.yaml:3: key 'nodes[0].address': port 65536 is out of range 1..65535"},
    {ONE_NODE("{address: \"a:\"}"), "c.yaml:3: key 'nodes[0].address': port '' is not a whole number"},
    /* Networks. */
    {HEAD "network: tcp\n", "c.yaml:6: key 'network': 'tcp' is not one of: host-tcp, host-udp, grpc, guest-tcp, guest-udp"},
    {HEAD "storage: cloud\n", "c.yaml:6: key 'storage': 'cloud' is not one of: host, guest"},
    {ONE_NODE("{serializer: 1}"), "c.yaml:3: key 'nodes[0].serializer': '1' is not one of: host, guest"},
    {HEAD "granularity: atoms\n", "c.yaml:6: key 'granularity': 'atoms' is not one of: parts, agents, node"},
    {HEAD "serializer: host\ngranularity: node\n",
     "c.yaml:7: key 'granularity': node 1, as one component, has its serializer inside: 'serializer: host' needs parts or "
     "agents"},
    {"cluster: demo\nserializer: host\nnodes:\n" NODE(1, "") NODE(2, ", granularity: node"),
     "c.yaml:5: key 'nodes[1].granularity': node 2, as one component, has its serializer inside: 'serializer: host' needs "
     "parts or agents"},
    {"cluster: demo\nnodes:\n" NODE(1, "") NODE(2, ", network: guest-tcp") NODE(3, ", network: guest-udp"),
     "c.yaml:5: key 'nodes[2].network': node 1 (host-tcp) and node 3 (guest-udp) cannot talk to each other: TCP and UDP"},
    {"cluster: demo\nnodes:\n" NODE(1, ", network: host-udp") NODE(2, "") "network: grpc\n",
     "c.yaml:3: key 'nodes[0].network': node 1 (host-udp) and node 2 (grpc) cannot talk to each other: UDP and gRPC"},
    /* Crashes. */
    {SETTING("crashes: 3"), "c.yaml:7: key 'settings.crashes': must be a list of lists of a node id and slots"},
    {SETTING("crashes: [1, 5]"), "c.yaml:7: key 'settings.crashes[0]': must be a list of a node id and at least one slot"},
    {SETTING("crashes:\n  - [1, 5]\n  - [2]"),
     "c.yaml:9: key 'settings.crashes[1]': must be a list of a node id and at least one slot"},
    {SETTING("crashes: [[1, [5]]]"),
     "c.yaml:7: key 'settings.crashes[0]': must be a list of a node id and at least one slot"},
    {SETTING("crashes: [[64, 5]]"), "c.yaml:7: key 'settings.crashes[0]': 64 is out of range 1..63"},
    {SETTING("crashes: [[1, 0]]"), "c.yaml:7: key 'settings.crashes[0]': 0 is out of range 1..4611686018427387904"},
    {SETTING("crashes: [[1, 5], [9, 5]]"), "c.yaml:7: key 'settings.crashes': there is no node 9"},
    {ONE_NODE("{id: 1, role: coordinator, address: \"h:1\"}") "settings:\n  demo_client: true\n",
     "c.yaml:5: key 'settings.demo_client': no node that takes commands (coordinator, proposer) has a client port"},
    /* Groups. */
    {HEAD "groups: 3\n", "c.yaml:6: key 'groups': must be a list of lists of node ids"},
    {HEAD "groups:\n  - [1]\n  - []\n", "c.yaml:8: key 'groups[1]': must be a list with at least one node id"},
    {HEAD "groups: [[1, a]]\n", "c.yaml:6: key 'groups[0]': 'a' is not a whole number"},
    {HEAD "groups: [[1, [2]]]\n", "c.yaml:6: key 'groups[0]': must be a list of node ids"},
    {HEAD "groups: [[1, 2], [3, 9]]\n", "c.yaml:6: key 'groups[1]': there is no node 9"},
    {HEAD "groups:\n  - [1, 2]\n  - [3, 1]\n", "c.yaml:8: key 'groups[1]': node 1 is already in groups[0]"},
    {HEAD "groups: [[1, 1]]\n", "c.yaml:6: key 'groups[0]': node 1 is already in groups[0]"},
    {HEAD "groups: [[1, 2]]\n", "c.yaml:6: key 'groups': node 3 is in no group"},
    /* Quorums. */
    {SETTING("phase1_quorum: 4"), "c.yaml:7: key 'settings.phase1_quorum': 4 is more than the acceptors there are (3)"},
    {SETTING("phase2_quorum: 64"), "c.yaml:7: key 'settings.phase2_quorum': 64 is out of range 0..63"},
    {SETTING("phase2_quorum: 1"),
     "c.yaml:7: key 'settings.phase2_quorum': phase1_quorum 2 + phase2_quorum 1 must be more than the 3 acceptors, or "
     "quorums could miss each other"},
    {SETTING("phase2_quorum: 2\n  phase1_quorum: 1"),
     "c.yaml:8: key 'settings.phase1_quorum': phase1_quorum 1 + phase2_quorum 2 must be more than the 3 acceptors, or "
     "quorums could miss each other"},
    /* Settings that contradict each other. */
    {SETTING("suspect_timeout_ms: 100"),
     "c.yaml:7: key 'settings.suspect_timeout_ms': suspect_timeout_ms (100) must be above heartbeat_interval_ms (100)"},
    {SETTING("suspect_timeout_ms: 1001"),
     "c.yaml:7: key 'settings.suspect_timeout_ms': dead_timeout_ms (1000) must be at least suspect_timeout_ms (1001)"},
    {SETTING("ping_timeout_ms: 1000"),
     "c.yaml:7: key 'settings.ping_timeout_ms': ping_timeout_ms (1000) must be above turn_timeout_ms (1000)"},
    {SETTING("turn_timeout_ms: 5000"),
     "c.yaml:7: key 'settings.turn_timeout_ms': ping_timeout_ms (3000) must be above turn_timeout_ms (5000)"},
    {SETTING("client_bytes_all_max: 8 MiB"),
     "c.yaml:7: key 'settings.client_bytes_all_max': client_bytes_all_max (8 MiB) must be at least client_bytes_max (16 "
     "MiB)"},
    {SETTING("client_bytes_max: 512 KiB"),
     "c.yaml:7: key 'settings.client_bytes_max': client_bytes_max (512 KiB) must be at least command_bytes_max (1 MiB)"},
    {SETTING("peer_queue_bytes_max: 1 MiB"),
     "c.yaml:7: key 'settings.peer_queue_bytes_max': peer_queue_bytes_max (1 MiB) must be at least frame_bytes_max (48 "
     "MiB)"},
    {SETTING("frame_bytes_max: 32MiB"),
     "c.yaml:7: key 'settings.frame_bytes_max': frame_bytes_max (33554432) must be at least what the replies of a batch may "
     "take + 64 KiB (33619968)"},
    {SETTING("frame_bytes_max: 48MiB\n  batch_bytes: 47MiB"),
     "c.yaml:7: key 'settings.frame_bytes_max': frame_bytes_max (50331648) must be at least batch_bytes + command_bytes_max "
     "+ chunk_bytes_max (1 MiB at least) + 64 KiB (51445760)"},
};

static void test_each_error_is_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        expect_error(errors[i].text, errors[i].error);
}

static void test_unreadable_files(void **state)
{
    (void)state;
    struct config config;
    struct problem problem;
    assert_false(config_load(&config, "no-such.yaml", &problem));
    assert_string_equal(problem.text, "no-such.yaml: No such file or directory");
    assert_false(config_load(&config, ".", &problem));
    assert_string_equal(problem.text, ".: Is a directory");

    const size_t size = (1 << 20) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '#', size);
    write_file(text, size);
    free(text);
    assert_false(config_load(&config, "c.yaml", &problem));
    assert_string_equal(problem.text, "c.yaml: more than 1048576 bytes");
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
}

/* `head`, then `text` so often. */
static void expect_bounded(const char *head, const char *text, size_t times, const char *expected)
{
    struct config config;
    struct problem problem = {0};
    const size_t len = strlen(text);
    char *whole = malloc(strlen(head) + len * times + 1);
    assert_non_null(whole);
    size_t size = (size_t)sprintf(whole, "%s", head);
    for (size_t i = 0; i < times; i++, size += len)
        memcpy(whole + size, text, len);
    write_file(whole, size);
    free(whole);
    alarm(30); /* what is refused is refused at once, and not after hours */
    assert_false(config_load(&config, "c.yaml", &problem));
    alarm(0);
    assert_string_equal(problem.text, expected);
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
}

static void test_hostile_files(void **state)
{
    static const char deep[] = "c.yaml:1: lists and maps are nested more than 8 deep";
    static const char shared[] = "c.yaml:2: anchors and aliases (`&name`, `*name`) are not supported";
    (void)state;
    expect_bounded("", "[", 1000000, deep);
    expect_bounded("", "{", 1000000, deep);
    expect_bounded("", "[{", 500000, deep);
    expect_bounded("", "- ", 500000, deep);
    expect_bounded("", "? ", 500000, deep);
    expect_bounded("cluster: demo\nnodes: ", "[", 500000, "c.yaml:2: lists and maps are nested more than 8 deep");
    expect_bounded("\na: &a [x]\n", "", 0, shared);
    expect_bounded("\na: *a\n", "", 0, shared);
    expect_bounded("\n? &a x\n", "", 0, shared);
    expect_bounded("cluster: ", "x", 4097, "c.yaml:1: a name or value of more than 4096 bytes");
    expect_bounded("", "x", 4097, "c.yaml:1: a name or value of more than 4096 bytes");
    /* Long, but flat. */
    expect_bounded("", "a: b\n", 200000, "c.yaml:1: key 'a': unknown key");
    expect_bounded("[", "a,", 500000, "c.yaml:2: not YAML: while parsing a flow node: did not find expected node content");
    expect_bounded("cluster: demo\nnodes: [", "{},", 300000,
                   "c.yaml:3: not YAML: while parsing a flow node: did not find expected node content");
    expect_bounded("", "\n", 1000000, "c.yaml:1: the file is empty");
    expect_bounded("", "#", 1000000, "c.yaml:1: the file is empty");
    expect_bounded("", "--- a\n", 150000, "c.yaml:1: the file must be a map (`name: value` lines)");
}

/* Any prefix of a sound file, and any sound file with one byte changed, is read or refused, never more. */
static void test_damaged_files(void **state)
{
    (void)state;
    static const char whole[] = HEAD "groups: [[1, 2], [3]]\nsettings: {alpha: 3, batch_bytes: 4 KiB}\n";
    char text[sizeof whole];
    struct config config;
    struct problem problem;
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        write_file(whole, i);
        if (config_load(&config, "c.yaml", &problem))
            config_close(&config);
        else
            refused++;
        memcpy(text, whole, sizeof whole);
        text[i] = "[]{}*&:-!0"[i % 10];
        write_file(text, sizeof whole - 1);
        if (config_load(&config, "c.yaml", &problem)) {
            config_close(&config);
            continue;
        }
        refused++;
        assert_memory_equal(problem.text, "c.yaml:", 7);
        assert_null(strchr(problem.text, '\n'));
    }
    assert_true(refused > sizeof whole);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config c;
    load(&c, HEAD "settings:\n#  alpha: 3\ngroups:\n");
    const struct node_config *n = &c.node_config;
    char data[4096];
    assert_non_null(getcwd(data, sizeof data - 8));
    strcat(data, "/data");
    assert_string_equal(c.file, "c.yaml");
    assert_string_equal(c.cluster, "demo");
    assert_string_equal(c.data, data);
    assert_int_equal(c.node_config.leader_rule, LEADER_STICKY);
    assert_int_equal(c.log_level, LOG_INFO);
    assert_false(c.node_config.log_decisions);
    assert_int_equal(c.node_count, 3);
    assert_int_equal(n->node, 0);
    assert_int_equal(n->incarnation, 0);
    assert_int_equal(n->proposers, 14);
    assert_int_equal(n->acceptors, 14);
    assert_int_equal(n->learners, 14);
    assert_int_equal(n->phase1_quorum, 2);
    assert_int_equal(n->phase2_quorum, 2);
    assert_int_equal(n->alpha, 64);
    assert_int_equal(n->batches_in_flight, 3);
    assert_int_equal(n->bytes_in_flight_max, 64 << 20);
    assert_int_equal(n->chunk_bytes_max, 256 << 10);
    assert_int_equal(n->learn_gap_max, 50);
    assert_false(n->acceptors_send_learns || n->learners_send_executed);
    assert_true(n->forward);
    assert_int_equal(n->durability, DURABILITY_FSYNC);
    assert_int_equal(n->heartbeat_interval, 100000);
    assert_int_equal(n->suspect_timeout, 400000);
    assert_int_equal(n->dead_timeout, 1000000);
    assert_int_equal(n->prepare_timeout, 100000);
    assert_int_equal(n->retry_interval, 100000);
    assert_int_equal(n->exec_interval, 100000);
    assert_int_equal(n->request_timeout, 5000000);
    assert_int_equal(c.batch_size, 4096);
    assert_int_equal(c.batch_bytes, 512 << 10);
    assert_int_equal(c.command_bytes_max, 1 << 20);
    assert_int_equal(c.frame_bytes_max, 48 << 20);
    assert_int_equal(c.client_connections_max, 10000);
    assert_int_equal(c.client_bytes_max, 16 << 20);
    assert_int_equal(c.client_bytes_all_max, 256 << 20);
    assert_int_equal(c.peer_queue_bytes_max, 64 << 20);
    assert_int_equal(c.segment_bytes, 16 << 20);
    assert_int_equal(c.memory_bytes_max, 1 << 30);
    assert_int_equal(n->state_bytes_max, 512 << 20);
    assert_int_equal(n->bytes_in_flight_max, 64 << 20);
    assert_int_equal(n->limits.replies_bytes, 32 << 20);
    assert_int_equal(c.turn_timeout, 1000000);
    assert_int_equal(c.grace_period, 5000000);
    assert_true(n->event_driven);
    assert_int_equal(c.datagram_bytes_max, 1400);
    assert_int_equal(c.restarts_max, 5);
    assert_int_equal(c.restart_backoff, 100000);
    assert_int_equal(c.ping_timeout, 3000000);
    assert_int_equal(c.waiting, WAITING_EVENTS);
    assert_int_equal(c.tick, 100);
    assert_false(c.demo_client);
    assert_int_equal(c.demo_client_requests, 10000);
    assert_int_equal(c.crash_count, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c.nodes[i].network, NETWORK_HOST_TCP);
        assert_int_equal(c.nodes[i].storage, PLACE_HOST);
        assert_int_equal(c.nodes[i].serializer, PLACE_GUEST);
        assert_int_equal(c.nodes[i].granularity, GRANULARITY_PARTS);
    }
    /* Each node is a group of its own. */
    assert_int_equal(c.group_count, 3);
    assert_int_equal(config_group_of(&c, 2)->count, 1);
    assert_int_equal(config_group_of(&c, 2)->nodes[0], 2);
    assert_null(config_group_of(&c, 4));
    assert_null(config_find(&c, 4));
    config_close(&c);
    assert_null(c.nodes);
}

static void test_values(void **state)
{
    (void)state;
    struct config c;
    load(&c, "cluster: my_demo-1.x\n"
             "log_level: debug\ndata: /var/lib/synod\nleader_rule: highest\n"
             "nodes:\n"
             "  - {id: 63, role: proposer, address: \"node-63.example.org:7001\", client: \"[2001:db8::1]:6001\"}\n"
             "  - {id: 1, role: acceptor, address: \"[fe80::1%eth0]:65535\"}\n"
             "  - {id: 2, role: acceptor, address: \"10.0.0.2:1\"}\n"
             "  - {id: 3, role: acceptor, address: \"10.0.0.3:1\"}\n"
             "  - {id: 4, role: acceptor, address: \"10.0.0.4:1\"}\n"
             "  - {id: 5, role: learner, address: \"10.0.0.5:1\"}\n"
             "groups: [[63, 1], [5], [2, 3, 4]]\n"
             "settings:\n"
             "  alpha: 4096\n  memory_bytes_max: 4 GiB\n  batch_bytes: 2048\n  segment_bytes: 2MiB\n"
             "  forward: false\n  persistent_storage: false\n  prepare_timeout: 250\n  client_server_port: 60000\n"
             "  phase1_quorum: 4\n  phase2_quorum: 1\n  tick_micros: 5\n  crashes: []\n  is_event_driven: true\n");
    assert_string_equal(c.cluster, "my_demo-1.x");
    assert_string_equal(c.data, "/var/lib/synod");
    assert_int_equal(c.node_config.leader_rule, LEADER_HIGHEST);
    assert_int_equal(c.log_level, LOG_DEBUG);
    assert_true(c.node_config.log_decisions);
    const struct config_node *n = config_find(&c, 63);
    assert_non_null(n);
    assert_int_equal(n->role, ROLE_PROPOSER);
    assert_string_equal(role_name(n->role), "proposer");
    assert_string_equal(n->address.host, "node-63.example.org");
    assert_int_equal(n->address.port, 7001);
    assert_string_equal(n->client.host, "2001:db8::1");
    assert_int_equal(n->client.port, 6001);
    n = config_find(&c, 1);
    assert_string_equal(n->address.host, "fe80::1%eth0");
    assert_int_equal(n->address.port, 65535);
    assert_string_equal(n->client.host, "fe80::1%eth0"); /* client_server_port */
    assert_int_equal(n->client.port, 60000);
    assert_int_equal(c.node_config.proposers, UINT64_C(1) << 63);
    assert_int_equal(c.node_config.acceptors, 30);
    assert_int_equal(c.node_config.learners, 32);
    assert_int_equal(c.group_count, 3);
    assert_ptr_equal(config_group_of(&c, 4), &c.groups[2]);
    assert_int_equal(config_group_of(&c, 63)->count, 2);
    assert_int_equal(c.node_config.alpha, 4096);
    assert_int_equal(c.memory_bytes_max, UINT64_C(4) << 30);
    assert_int_equal(c.batch_bytes, 2048);
    assert_int_equal(c.segment_bytes, 2 << 20);
    assert_false(c.node_config.forward);
    assert_int_equal(c.node_config.durability, DURABILITY_MEMORY);
    assert_int_equal(c.node_config.prepare_timeout, 250000);
    assert_int_equal(c.node_config.phase1_quorum, 4);
    assert_int_equal(c.node_config.phase2_quorum, 1);
    config_close(&c);
}

/* What a node is made of comes from the top, wherever that stands, unless the node says so itself. */
static void test_choices_of_nodes(void **state)
{
    (void)state;
    struct config c;
    load(&c, "cluster: demo\nstorage: guest\nnodes:\n" NODE(1, "") NODE(2, ", network: host-udp, storage: host") NODE(
                 3, ", serializer: guest, granularity: node") "network: guest-udp\nserializer: host\ngranularity: agents\n");
    static const struct config_node expected[] = {
        {.network = NETWORK_GUEST_UDP, .storage = PLACE_GUEST, .serializer = PLACE_HOST, .granularity = GRANULARITY_AGENTS},
        {.network = NETWORK_HOST_UDP, .storage = PLACE_HOST, .serializer = PLACE_HOST, .granularity = GRANULARITY_AGENTS},
        {.network = NETWORK_GUEST_UDP, .storage = PLACE_GUEST, .serializer = PLACE_GUEST, .granularity = GRANULARITY_NODE},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c.nodes[i].network, expected[i].network);
        assert_int_equal(c.nodes[i].storage, expected[i].storage);
        assert_int_equal(c.nodes[i].serializer, expected[i].serializer);
        assert_int_equal(c.nodes[i].granularity, expected[i].granularity);
    }
    config_close(&c);
    static const char *const names[] = {"host-tcp", "host-udp", "grpc", "guest-tcp", "guest-udp"};
    for (uint8_t i = 0; i <= NETWORK_GUEST_UDP; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "network: %s\n", names[i]);
        load(&c, text);
        assert_int_equal(c.nodes[2].network, i);
        assert_string_equal(network_name(i), names[i]);
        assert_int_equal(config_network_is_in_guest(&c.nodes[2]), strncmp(names[i], "guest", 5) == 0);
        config_close(&c);
    }
}

static void test_experiments(void **state)
{
    (void)state;
    struct config c;
    load(&c, SETTING("crashes: [[3, 10, 4611686018427387904], [1, 10]]\n  waiting: polling\n  tick_micros: 50\n"
                     "  is_event_driven: false\n  demo_client: true\n  demo_client_requests: 7\n  restarts_max: 0\n"
                     "  restart_backoff_ms: 10000\n  ping_timeout_ms: 1001\n  datagram_bytes_max: 512"));
    static const struct config_crash expected[] = {{3, 10}, {3, SLOT_MAX}, {1, 10}};
    assert_int_equal(c.crash_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c.crashes[i].node, expected[i].node);
        assert_int_equal(c.crashes[i].slot, expected[i].slot);
    }
    assert_int_equal(c.waiting, WAITING_POLLING);
    assert_int_equal(c.tick, 50);
    assert_false(c.node_config.event_driven);
    assert_true(c.demo_client);
    assert_int_equal(c.demo_client_requests, 7);
    assert_int_equal(c.restarts_max, 0);
    assert_int_equal(c.restart_backoff, 10000000);
    assert_int_equal(c.ping_timeout, 1001000);
    assert_int_equal(c.datagram_bytes_max, 512);
    config_close(&c);
}

/* Every row's default lies in its own range, and every row accepts its bounds and nothing beyond. */
static void test_table(void **state)
{
    (void)state;
    const struct config_section *s = &config_setting_section;
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(s, i)) != NULL; i++) {
        assert_int_equal(config_key_find(s, key->name), i); /* no name twice */
        assert_true(strlen(key->text) > 0);
        assert_true(key->alias == NULL || config_key_find(s, key->alias) >= 0);
        if (key->kind != VALUE_COUNT && key->kind != VALUE_BYTES && key->kind != VALUE_TIME_MS)
            continue;
        char text[64], reason[400];
        uint64_t value;
        assert_true(key->standard >= key->min && key->standard <= key->max);
        const uint64_t good[] = {key->standard, key->min, key->max};
        for (size_t k = 0; k < 3; k++) {
            config_value_print(key, good[k], text, sizeof text);
            assert_true(config_value_read(key, text, &value, reason, sizeof reason));
            assert_int_equal(value, good[k]);
        }
        snprintf(text, sizeof text, "%llu", (unsigned long long)key->max + 1);
        assert_false(config_value_read(key, text, &value, reason, sizeof reason));
        const uint64_t field_max = key->size == 4 && key->kind != VALUE_TIME_MS ? UINT32_MAX : UINT64_MAX / 1000;
        assert_true(key->max <= field_max);
    }
}

static void load_example(const char *name, size_t nodes, size_t groups)
{
    char path[5000];
    struct config c;
    struct problem problem;
    snprintf(path, sizeof path, "%sexamples/%s.yaml", source, name);
    if (!config_load(&c, path, &problem))
        fail_msg("%s", problem.text);
    assert_string_equal(c.cluster, name);
    assert_int_equal(c.node_count, nodes);
    assert_int_equal(c.group_count, groups);
    for (size_t i = 0; i < nodes; i++)
        assert_int_not_equal(c.nodes[i].client.port, 0);
    assert_int_equal(c.node_config.phase1_quorum, 2);
    config_close(&c);
}

/* A smaller memory has room for a smaller state with a snapshot in progress, and for less of everything else. */
static void test_small_memory(void **state)
{
    (void)state;
    struct config c;
    load(
        &c,
        "cluster: demo\ndata: /d\nnodes: [{id: 1, role: coordinator, address: \"a:1\"}]\nsettings: {memory_bytes_max: 48 MiB}\n");
    const struct node_config *n = &c.node_config;
    const uint64_t pieces = kv_versions_pieces_max(n->state_bytes_max) * KV_PIECE;
    assert_true(n->state_bytes_max >= 768 << 10 && pieces + 3 * n->state_bytes_max <= 16 << 20);
    assert_int_equal(n->bytes_in_flight_max, 3 << 20);
    assert_int_equal(n->limits.withheld_bytes, 12 << 20);
    assert_int_equal(n->limits.replies_bytes, 6 << 20);
    assert_int_equal(n->limits.results_bytes, 6 << 20);
    config_close(&c);
}

/* In one component with other parts, the state has as much room as alone, up to half of what a component can address. */
static void test_memory_of_several_parts(void **state)
{
    static const char head[] = "cluster: demo\ndata: /d\nnodes: [{id: 1, role: coordinator, address: \"a:1\"}]\n";
    static const uint64_t mib = 1 << 20;
    (void)state;
    uint64_t room[3];
    for (uint8_t granularity = GRANULARITY_PARTS; granularity <= GRANULARITY_NODE; granularity++) {
        char text[256];
        struct config c;
        snprintf(text, sizeof text, "%sgranularity: %s\nsettings: {memory_bytes_max: 2 GiB}\n", head,
                 granularity_names[granularity]);
        load(&c, text);
        room[granularity] = c.node_config.state_bytes_room;
        const bool apart = granularity == GRANULARITY_PARTS;
        assert_int_equal(config_component_bytes_max(&c.nodes[0], 64 * mib), (apart ? 64 : 256) * mib);
        assert_int_equal(config_component_bytes_max(&c.nodes[0], 2048 * mib), (apart ? 2048 : 4096) * mib);
        config_close(&c);
    }
    assert_true(room[0] == room[1] && room[0] == room[2]);
}

/* What the simulator may set, too: a frame has room for each message that may be long. */
static void test_frames_have_room(void **state)
{
    (void)state;
    enum { KIB = 1 << 10, OVERHEAD = 64 * KIB };
    struct config c = {0};
    config_settings_standard(&c);
    struct limits *limits = &c.node_config.limits;
    limits->accept_bytes = limits->replies_bytes = 1;
    c.batch_size = 1;
    c.node_config.chunk_bytes_max = c.batch_bytes = c.command_bytes_max = KIB;
    assert_true(config_frame_bytes_min(&c) >= limits_effective(limits).part_bytes + OVERHEAD);
    limits->replies_bytes = 1024 * KIB;
    assert_true(config_frame_bytes_min(&c) >= 1024 * KIB + OVERHEAD);
    limits->accept_bytes = 2048 * KIB;
    assert_true(config_frame_bytes_min(&c) >= 2048 * KIB + OVERHEAD);
}

static void test_examples(void **state)
{
    (void)state;
    load_example("coordinator", 3, 3);
    load_example("standalone", 9, 9);
    load_example("shared", 9, 3);
}

static void expect_in_document(const char *document, const char *tables)
{
    char path[5000];
    snprintf(path, sizeof path, "%s%s", source, document);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    if (strstr(text, tables) == NULL)
        fail_msg("%s does not hold what `synod config` prints; paste it there", document);
    free(text);
}

/* The page of the settings for compatibility is another one than that of all others. */
static void test_documentation(void **state)
{
    (void)state;
    char *tables = config_describe();
    assert_non_null(tables);
    char *compat = strstr(tables, "\n## " CONFIG_COMPAT_TITLE);
    assert_non_null(compat);
    expect_in_document("docs/reference-rows.md", compat + 1);
    *compat = '\0';
    expect_in_document("docs/configuration.md", tables);
    free(tables);
}

static int enter(void **state)
{
    (void)state;
    static const char here[] = "tests/unit/test_config.c";
    const size_t len = strlen(__FILE__) - (sizeof here - 1);
    if (__FILE__[0] == '/')
        snprintf(source, sizeof source, "%.*s", (int)len, __FILE__);
    else if (getcwd(source, sizeof source - 1) != NULL)
        strcat(source, "/");
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int leave(void **state)
{
    (void)state;
    unlink("c.yaml");
    return chdir("/") != 0 || rmdir(folder) != 0;
}

/* No file says them, but the simulator does (sim/plan.c). */
static void replies_have_room_for_a_value(void **state)
{
    (void)state;
    struct config config = {0};
    struct config_conflict conflict;
    config_settings_standard(&config);
    config.node_config.acceptors = 0xe;
    config.node_config.phase1_quorum = config.node_config.phase2_quorum = 2;
    assert_true(config_check(&config, &conflict));
    const uint32_t least = config_replies_bytes_min(&config);
    assert_true(least > config.command_bytes_max + REPLY_SMALL_MIN * config.batch_size);
    config.node_config.limits.replies_bytes = least;
    assert_true(config_check(&config, &conflict));
    config.node_config.limits.replies_bytes--;
    assert_false(config_check(&config, &conflict));
    assert_string_equal(conflict.keys[0], "command_bytes_max");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_error_is_one_line),
        cmocka_unit_test(test_unreadable_files),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_choices_of_nodes),
        cmocka_unit_test(test_experiments),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_small_memory),
        cmocka_unit_test(test_memory_of_several_parts),
        cmocka_unit_test(test_frames_have_room),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_documentation),
        cmocka_unit_test(replies_have_room_for_a_value),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
