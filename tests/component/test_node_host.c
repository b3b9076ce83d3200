/* host/node_host.c: a cluster of one node from its beginning to its end, in both lives, and the ways in which it can fail.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "core/runners/ports.h"
#include "io/data_folder.h"
#include "host/node_host.h"
#include "tests/component/broken_nodes.h"
#include "tests/component/wasm_signals.h"

struct fixture {
    char root[40], nodes[64];
    struct config config;
    struct engine *engine;
    uv_sem_t ended;
};

static const char *build; /* the binary folder, with the composed nodes */

static void write_file(const char *file, const void *bytes, size_t len)
{
    FILE *out = fopen(file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

static void format(struct fixture *f)
{
    char path[128];
    struct problem problem;
    snprintf(path, sizeof path, "%s/node-1", f->config.data);
    if (!data_folder_format(disk_posix(), path, f->config.cluster, 1, NULL, &problem))
        fail_msg("%s", problem.text);
}

static int setup(void **state)
{
    static const char text[] = "cluster: one\ndata: data\nlog_level: error\nnodes:\n"
                               "  - {id: 1, role: coordinator, address: \"127.0.0.1:1\", client: \"127.0.0.1:2\"}\n"
                               "settings:\n  turn_timeout_ms: 100\n  memory_bytes_max: 64 MiB\n";
    struct fixture *f = calloc(1, sizeof *f);
    struct problem problem;
    char file[64];
    strcpy(f->root, "/tmp/synod-node-host-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(file, sizeof file, "%s/c.yaml", f->root);
    write_file(file, text, sizeof text - 1);
    if (!config_load(&f->config, file, &problem))
        fail_msg("%s", problem.text);
    f->config.nodes[0].address.port = f->config.nodes[0].client.port = 0; /* any that is free */
    snprintf(f->nodes, sizeof f->nodes, "%s", f->root);
    const struct engine_options options = {.turn_timeout = f->config.turn_timeout, .cache_folder = f->root};
    if (!engine_open(&f->engine, &options, &problem))
        fail_msg("%s", problem.text);
    uv_sem_init(&f->ended, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[80];
    engine_close(f->engine);
    config_close(&f->config);
    uv_sem_destroy(&f->ended);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void on_ended(void *context) { uv_sem_post(context); }

static struct node_host *start(struct fixture *f, bool native, const char *nodes)
{
    struct problem problem;
    struct node_host *h;
    const struct node_host_options options = {&f->config, 1, native ? NULL : f->engine, nodes, on_ended, &f->ended};
    if (!node_host_start(&h, &options, &problem))
        fail_msg("%s", problem.text);
    return h;
}

static int run(struct fixture *f, bool native, const char *nodes)
{
    struct node_host *h = start(f, native, nodes);
    uv_sem_wait(&f->ended);
    return node_host_join(h);
}

/* A port that was free a moment ago. */
static uint16_t free_port(int *fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* Asks until the answer is `expected`: at first nobody listens, then nobody leads. */
static void ask_until(uint16_t port, const char *command, const char *expected)
{
    struct sockaddr_in address;
    char answer[256] = "";
    int fd = -1;
    uv_ip4_addr("127.0.0.1", port, &address);
    while (strcmp(answer, expected) != 0) {
        if (fd < 0)
            fd = socket(AF_INET, SOCK_STREAM, 0);
        ssize_t len = -1;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
            send(fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command))
            len = recv(fd, answer, sizeof answer - 1, 0);
        answer[len > 0 ? len : 0] = '\0';
        close(fd);
        fd = -1;
    }
}

/* Four lives of one node; what a client stored in the first is there in the others. Two of them are asked to stop at once,
 * at a moment that nobody controls. */
static void start_and_stop(struct fixture *f, bool native, const char *nodes)
{
    int fd;
    uint16_t port = f->config.nodes[0].client.port = free_port(&fd);
    close(fd);
    format(f);
    for (int life = 0; life < 4; life++) {
        struct node_host *h = start(f, native, nodes);
        if (life == 0)
            ask_until(port, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n", "+OK\r\n");
        if (life == 2)
            ask_until(port, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "$5\r\nhello\r\n");
        node_host_stop(h);
        node_host_stop(h);
        uv_sem_wait(&f->ended);
        assert_int_equal(node_host_join(h), EXIT_OK);
    }
}

static void test_native(void **state) { start_and_stop(*state, true, NULL); }

static void test_wasm(void **state)
{
    char nodes[4096];
    struct fixture *f = *state;
    f->config.turn_timeout = 10000000;
    snprintf(nodes, sizeof nodes, "%s/nodes", build);
    start_and_stop(f, false, nodes);
}

static void test_not_formatted(void **state) { assert_int_equal(run(*state, true, NULL), EXIT_DATA); }

static void test_no_composed_node(void **state)
{
    struct fixture *f = *state;
    format(f);
    assert_int_equal(run(f, false, f->nodes), EXIT_BAD_INPUT);
}

static void test_port_in_use(void **state)
{
    struct fixture *f = *state;
    int fd;
    uint16_t port = free_port(&fd);
    format(f);
    f->config.nodes[0].address.port = port;
    assert_int_equal(run(f, true, NULL), EXIT_BAD_INPUT);
    f->config.nodes[0].address.port = 0;
    f->config.nodes[0].client.port = port;
    assert_int_equal(run(f, true, NULL), EXIT_BAD_INPUT);
    close(fd);
}

static int run_broken(struct fixture *f, const uint8_t *bytes, size_t len)
{
    char file[128];
    wasm_signals_restore();
    format(f);
    node_host_file(file, sizeof file, f->nodes, &(struct config_node){.role = ROLE_COORDINATOR}, f->config.node_config.leader_rule);
    write_file(file, bytes, len);
    return run(f, false, f->nodes);
}

static void test_trap(void **state)
{
    assert_int_equal(run_broken(*state, trapping_node, sizeof trapping_node), EXIT_TROUBLE);
}
static void test_endless_turn(void **state)
{
    assert_int_equal(run_broken(*state, endless_node, sizeof endless_node), EXIT_TROUBLE);
}
static void test_too_much_memory(void **state)
{
    assert_int_equal(run_broken(*state, greedy_node, sizeof greedy_node), EXIT_TROUBLE);
}
static void test_unknown_import(void **state)
{
    assert_int_equal(run_broken(*state, demanding_node, sizeof demanding_node), EXIT_BAD_INPUT);
}

static void test_file_names(void **state)
{
    char file[64];
    (void)state;
    node_host_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_COORDINATOR}, LEADER_STICKY);
    assert_string_equal(file, "n/coordinator-node.wasm");
    node_host_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_PROPOSER}, LEADER_HIGHEST);
    assert_string_equal(file, "n/proposer-node-highest.wasm");
    node_host_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_LEARNER}, LEADER_HIGHEST); /* elects nobody */
    assert_string_equal(file, "n/learner-node.wasm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_native, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wasm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_formatted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_composed_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_port_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endless_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_much_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_import, setup, teardown),
        cmocka_unit_test(test_file_names),
    };
    const struct engine_options options = {.turn_timeout = 1000000, .cache_folder = "/nonexistent"};
    struct problem problem;
    struct engine *e;
    build = getenv("BUILD");
    if (build == NULL)
        build = "build";
    signal(SIGPIPE, SIG_IGN);
    if (!engine_open(&e, &options, &problem)) /* Wasmtime's signal handlers come with the first engine */
        return 1;
    wasm_signals_keep();
    engine_close(e);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
