/* host/node_host.c and supervisor.c: a cluster of one node from its beginning to its end, in both lives, the ways in which
 * it can fail, and how it comes back. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "core/runners/ports.h"
#include "host/composition.h"
#include "host/node_host.h"
#include "io/data_folder.h"
#include "tests/component/broken_files.h"
#include "tests/component/broken_nodes.h"
#include "tests/component/fault_orders.h"
#include "tests/component/wasm_signals.h"

struct fixture {
    char root[40], nodes[64];
    struct config config;
    struct engine *engine;
    uv_sem_t ended;
    uint64_t served_ms; /* see node_host_options */
};

static const char *build; /* the binary folder, with the composed nodes */
static const char *parts; /* the folder of the components made for tests */

static void write_file(const char *file, const void *bytes, size_t len)
{
    FILE *out = fopen(file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

/* Another folder for all data: one that a node was torn away from stays locked. */
static void move_data(struct fixture *f, unsigned number)
{
    char data[sizeof f->root + 16];
    snprintf(data, sizeof data, "%s/data-%u", f->root, number);
    free(f->config.data);
    f->config.data = strdup(data);
    assert_non_null(f->config.data);
}

static void format(struct fixture *f)
{
    char path[128];
    struct problem problem;
    char governed[GOVERNED_TEXT_MAX];
    snprintf(path, sizeof path, "%s/node-1", f->config.data);
    governed_print(&f->config, governed);
    if (!data_folder_format(disk_posix(), path, f->config.cluster, 1, NULL, governed, &problem))
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
    const struct node_host_options options = {&f->config, 1,           native ? NULL : f->engine, nodes, on_ended,
                                              &f->ended,  f->served_ms};
    if (!node_host_start(&h, &options, &problem))
        fail_msg("%s", problem.text);
    return h;
}

/* Waits until the node has ended. One that was ended by force is left as it is, which is no leak here. */
static int wait_for_end(struct fixture *f, struct node_host *h)
{
    static struct node_host *left;
    uv_sem_wait(&f->ended);
    left = h;
    int exit_code = node_host_join(left);
    return exit_code;
}

static int run(struct fixture *f, bool native, const char *nodes) { return wait_for_end(f, start(f, native, nodes)); }

static int stop(struct fixture *f, struct node_host *h)
{
    node_host_stop(h);
    return wait_for_end(f, h);
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

/* Between two looks at a condition that has been waited for since `began`. After a minute the test has failed. */
static void wait_a_little(uint64_t began, const char *what, const char *seen)
{
    if (uv_hrtime() - began > UINT64_C(60000000000))
        fail_msg("waited for a minute: %s; last seen: \"%s\"", what, seen);
    usleep(1000);
}

/* Asks until the answer is `expected`: at first no node listens, then none leads. */
static void ask_until(uint16_t port, const char *command, const char *expected)
{
    struct sockaddr_in address;
    char answer[256] = "";
    uv_ip4_addr("127.0.0.1", port, &address);
    for (uint64_t began = uv_hrtime(); strcmp(answer, expected) != 0; wait_a_little(began, command, answer)) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        ssize_t len = -1;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
            send(fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command))
            len = recv(fd, answer, sizeof answer - 1, 0);
        answer[len > 0 ? len : 0] = '\0';
        close(fd);
    }
}

/* Four lives of one node; what a client stored in the first is there in the others. Two of them are asked to stop at once,
 * at an uncontrolled moment. */
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

/* ---- nodes that break ---- */

/* How often the node has booted. */
static unsigned incarnation(const struct fixture *f)
{
    char path[128], text[512] = "";
    unsigned number = 0;
    snprintf(path, sizeof path, "%s/node-1/identity", f->config.data);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    const char *line = strstr(text, "incarnation ");
    assert_true(line != NULL && sscanf(line, "incarnation %u", &number) == 1);
    return number;
}

static void incarnation_until(const struct fixture *f, unsigned expected)
{
    for (uint64_t began = uv_hrtime(); incarnation(f) < expected;)
        wait_a_little(began, "another incarnation", "");
}

/* These bytes are the node's component from now on. */
static void compose(struct fixture *f, const void *bytes, size_t len)
{
    char file[128];
    wasm_signals_restore();
    composition_file(file, sizeof file, f->nodes, &f->config.nodes[0], f->config.node_config.leader_rule);
    write_file(file, bytes, len);
}

static void compose_part(struct fixture *f, const char *name)
{
    static char bytes[1 << 20];
    char file[4096];
    snprintf(file, sizeof file, "%s/%s.wasm", parts, name);
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    size_t len = fread(bytes, 1, sizeof bytes, in);
    assert_true(len > 0 && len < sizeof bytes);
    fclose(in);
    compose(f, bytes, len);
}

/* A node that does as fault_orders.h says. */
static void order(struct fixture *f, enum fault_order order, uint32_t restarts_max)
{
    compose_part(f, "fault-guest");
    f->config.node_config.batches_in_flight = order;
    f->config.restarts_max = restarts_max;
    f->config.restart_backoff = 1000;
}

static int run_broken(struct fixture *f, const uint8_t *bytes, size_t len)
{
    format(f);
    f->config.restarts_max = 2;
    f->config.restart_backoff = 1000;
    compose(f, bytes, len);
    return run(f, false, f->nodes);
}

static void test_trap(void **state)
{
    assert_int_equal(run_broken(*state, trapping_node, sizeof trapping_node), EXIT_TROUBLE);
    assert_int_equal(incarnation(*state), 3);
}
static void test_endless_turn(void **state)
{
    assert_int_equal(run_broken(*state, endless_node, sizeof endless_node), EXIT_TROUBLE);
    assert_int_equal(incarnation(*state), 3);
}
static void test_too_much_memory(void **state)
{
    assert_int_equal(run_broken(*state, greedy_node, sizeof greedy_node), EXIT_TROUBLE);
    assert_int_equal(incarnation(*state), 3);
}
static void test_unknown_import(void **state)
{
    assert_int_equal(run_broken(*state, demanding_node, sizeof demanding_node), EXIT_BAD_INPUT);
    assert_int_equal(incarnation(*state), 1);
}

static void test_restarts_are_bounded(void **state)
{
    struct fixture *f = *state;
    format(f);
    order(f, BREAK_TRAP, 3);
    f->config.restart_backoff = 30000;
    uint64_t began = uv_hrtime();
    assert_int_equal(run(f, false, f->nodes), EXIT_TROUBLE);
    assert_int_equal(incarnation(f), 1 + 3);
    assert_true(uv_hrtime() - began >= (30 + 60) * UINT64_C(1000000)); /* the first at once, then doubling */
    order(f, BREAK_TRAP_AT_START, 3);
    assert_int_equal(run(f, false, f->nodes), EXIT_TROUBLE);
    assert_int_equal(incarnation(f), 5); /* a node that has never begun is not begun again */
    order(f, BREAK_TRAP, 0);
    assert_int_equal(run(f, false, f->nodes), EXIT_TROUBLE);
    assert_int_equal(incarnation(f), 6);
}

/* What ends a node for good: no life is begun on it. */
static void test_what_is_final(void **state)
{
    static const struct {
        enum fault_order order;
        int exit_code;
    } ends[] = {
        {BREAK_SYNC_FAILED, EXIT_SYNC_FAILED}, {BREAK_DIVERGED, EXIT_DIVERGED}, {BREAK_DIVERGED_ALIVE, EXIT_DIVERGED}};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        move_data(f, i);
        format(f);
        order(f, ends[i].order, 100);
        assert_int_equal(run(f, false, f->nodes), ends[i].exit_code);
        assert_int_equal(incarnation(f), 1);
    }
}

/* ---- nodes that come back ---- */

/* The value of a line of INFO; "" if there is none. */
static void info(uint16_t port, const char *key, char *value, size_t size)
{
    static char text[16384];
    struct sockaddr_in address;
    size_t len = 0;
    value[0] = text[0] = '\0';
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uv_ip4_addr("127.0.0.1", port, &address);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, "INFO\r\nQUIT\r\n", 12, MSG_NOSIGNAL) == 12)
        for (ssize_t n; (n = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0;)
            text[len += (size_t)n] = '\0';
    close(fd);
    const char *line = strstr(text, key);
    if (line != NULL)
        snprintf(value, size, "%.*s", (int)strcspn(line + strlen(key), "\r"), line + strlen(key));
}

static void info_until(uint16_t port, const char *key, const char *expected)
{
    char value[64] = "";
    uint64_t began = uv_hrtime();
    for (info(port, key, value, sizeof value); strcmp(value, expected) != 0; info(port, key, value, sizeof value))
        wait_a_little(began, key, value);
}

static uint16_t with_client_port(struct fixture *f)
{
    int fd;
    f->config.nodes[0].client.port = free_port(&fd);
    close(fd);
    return f->config.nodes[0].client.port;
}

/* A disk that fails under the host's journal. */
static void test_failed_write_is_final(void **state)
{
    struct fixture *f = *state;
    char folder[128];
    uint16_t port = with_client_port(f);
    format(f);
    struct node_host *h = start(f, true, NULL);
    ask_until(port, "SET a 0\r\n", "+OK\r\n");
    snprintf(folder, sizeof folder, "%s/node-1/journal-", f->config.data);
    assert_true(break_files(folder) > 0);
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uv_ip4_addr("127.0.0.1", port, &address);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, "SET a 1\r\n", 9, MSG_NOSIGNAL), 9);
    assert_int_equal(wait_for_end(f, h), EXIT_SYNC_FAILED);
    close(fd);
}

static void test_the_next_life_goes_on(void **state)
{
    static const struct {
        enum fault_order order;
        const char *restarts, *fault;
    } faults[] = {{BREAK_THREE_LIVES, "3", "trap"}, {BREAK_STATUS, "1", "trap"}};
    struct fixture *f = *state;
    uint16_t port = with_client_port(f);
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        move_data(f, i);
        format(f);
        order(f, faults[i].order, 3);
        struct node_host *h = start(f, false, f->nodes);
        info_until(port, "synod_restarts:", faults[i].restarts);
        info_until(port, "synod_last_fault:", faults[i].fault);
        info_until(port, "synod_spare:", "1"); /* ready, and ready for more */
        assert_int_equal(stop(f, h), EXIT_OK);
        assert_int_equal(incarnation(f), 1 + atoi(faults[i].restarts));
    }
}

static void test_the_dead_turn_leaves_no_record(void **state)
{
    struct fixture *f = *state;
    uint16_t port = with_client_port(f);
    for (uint8_t durability = DURABILITY_FSYNC; durability <= DURABILITY_MEMORY; durability++) {
        move_data(f, durability);
        f->config.node_config.durability = durability;
        format(f);
        order(f, BREAK_APPEND, 3);
        struct node_host *h = start(f, false, f->nodes);
        info_until(port, "synod_restarts:", "3");
        info_until(port, "synod_spare:", "1");
        assert_int_equal(stop(f, h), EXIT_OK); /* EXIT_DIVERGED: the fourth life found other records */
    }
}

/* A node that is between two lives, and will be for ten seconds. */
static void test_stop_while_there_is_no_life(void **state)
{
    struct fixture *f = *state;
    uint16_t port = with_client_port(f);
    format(f);
    order(f, BREAK_TRAP, 100);
    f->config.restart_backoff = 10000000;
    struct node_host *h = start(f, false, f->nodes);
    info_until(port, "synod_restarts:", "1");
    info_until(port, "synod_life:", "none");
    uint64_t began = uv_hrtime();
    assert_int_equal(stop(f, h), EXIT_OK);
    assert_true(uv_hrtime() - began < UINT64_C(8000000000));
    assert_int_equal(incarnation(f), 2);
}

/* Sends a command and takes the answer, a line. */
static void ask(int fd, const char *command, char *answer, size_t size)
{
    assert_int_equal(send(fd, command, strlen(command), MSG_NOSIGNAL), strlen(command));
    ssize_t len = recv(fd, answer, size - 1, 0);
    assert_true(len > 0); /* the connection stays */
    answer[len] = '\0';
}

/* One client, one connection, two crashes: every command has an answer, and what was acknowledged is there. */
static void test_crashes_of_the_configuration(void **state)
{
    struct fixture *f = *state;
    char nodes[4096], command[64], answer[64];
    unsigned stored = 0, unknown = 0;
    uint16_t port = with_client_port(f);
    f->config.turn_timeout = 10000000;
    f->config.crashes = calloc(2, sizeof *f->config.crashes);
    /* the cluster forms with the first alpha (64) slots, at once */
    f->config.crashes[f->config.crash_count++] = (struct config_crash){1, 80};
    f->config.crashes[f->config.crash_count++] = (struct config_crash){1, 100};
    snprintf(nodes, sizeof nodes, "%s/nodes", build);
    wasm_signals_restore();
    format(f);
    struct node_host *h = start(f, false, nodes);
    ask_until(port, "SET a 0\r\n", "+OK\r\n");
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uv_ip4_addr("127.0.0.1", port, &address);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (unsigned i = 1; i <= 60; i++) {
        snprintf(command, sizeof command, "SET a %u\r\n", i);
        ask(fd, command, answer, sizeof answer);
        if (strcmp(answer, "+OK\r\n") == 0) {
            stored = i;
            continue;
        }
        assert_string_equal(answer, "-UNKNOWN outcome\r\n");
        unknown++;
        unsigned value = 0;
        ask(fd, "GET a\r\n", answer, sizeof answer);
        assert_int_equal(sscanf(answer, "$%*u %u", &value), 1);
        assert_true(value == stored || value == i);
    }
    assert_in_range(unknown, 0, 2);
    info_until(port, "synod_restarts:", "2");
    info_until(port, "synod_last_fault:", "crash");
    close(fd);
    assert_int_equal(stop(f, h), EXIT_OK);
    assert_int_equal(incarnation(f), 3);
}

/* ---- the watch ---- */

static void test_a_life_that_hangs_is_interrupted(void **state)
{
    struct fixture *f = *state;
    uint16_t port = with_client_port(f);
    format(f);
    order(f, BREAK_LOOP, 1);
    f->config.turn_timeout = UINT64_C(3600) * 1000000;
    f->config.ping_timeout = 1000000; /* the next life begins within it, on a busy machine too */
    struct node_host *h = start(f, false, f->nodes);
    info_until(port, "synod_last_fault:", "hung");
    assert_int_equal(wait_for_end(f, h), EXIT_TROUBLE);
    assert_int_equal(incarnation(f), 2);
}

static void on_block(int number)
{
    (void)number;
    for (;;)
        pause();
}

/* Blocks the thread of this process that has this name. */
static bool block_thread(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    bool found = false;
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *in = fopen(path, "r");
        if (in != NULL && fscanf(in, "%31s", comm) == 1 && strcmp(comm, name) == 0)
            found = syscall(SYS_tgkill, getpid(), atoi(task->d_name), SIGUSR1) == 0;
        if (in != NULL)
            fclose(in);
    }
    closedir(tasks);
    return found;
}

/* The last life has more time for a turn than the first one had, until it has served for `served_ms`. */
static void wait_for_time(struct fixture *f, uint16_t port)
{
    char text[64] = "";
    info(port, "synod_turn_timeout_us:", text, sizeof text);
    if (f->served_ms == 0)
        assert_true(strtoull(text, NULL, 10) > f->config.turn_timeout);
    uint64_t began = uv_hrtime();
    while (f->served_ms != 0 && strtoull(text, NULL, 10) != f->config.turn_timeout) {
        wait_a_little(began, "turn_timeout as at first", text);
        info(port, "synod_turn_timeout_us:", text, sizeof text);
    }
}

/* Each life does again what ended the one before, and has twice the time for it; at some time it is enough. */
static void needs_more_time(struct fixture *f, const char *fault)
{
    char turns[64] = "", last_fault[64];
    uint16_t port = with_client_port(f);
    format(f);
    order(f, BREAK_LONG, 20);
    struct node_host *h = start(f, false, f->nodes);
    for (uint64_t began = uv_hrtime(); atoi(turns) < 1000;
         wait_a_little(began, "turns", turns)) { /* before, each life has three */
        assert_int_not_equal(uv_sem_trywait(&f->ended), 0);
        info(port, "synod_turns:", turns, sizeof turns);
    }
    info(port, "synod_last_fault:", last_fault, sizeof last_fault);
    assert_string_equal(last_fault, fault);
    wait_for_time(f, port);
    assert_int_equal(stop(f, h), EXIT_OK);
    assert_in_range(incarnation(f), 2, 20);
}

static void test_a_turn_that_is_long_ends_at_some_time(void **state)
{
    struct fixture *f = *state;
    f->config.turn_timeout = 20000;
    f->config.turn_timeout_max = UINT64_C(3600) * 1000000;
    needs_more_time(f, "deadline");
}

static void test_more_time_is_taken_back_after_a_while(void **state)
{
    struct fixture *f = *state;
    f->served_ms = 300;
    f->config.turn_timeout = 20000;
    f->config.turn_timeout_max = UINT64_C(3600) * 1000000;
    needs_more_time(f, "deadline");
}

/* The same when it is the watch that has no patience. */
static void test_a_life_that_is_silent_for_long_is_given_time(void **state)
{
    struct fixture *f = *state;
    f->config.turn_timeout = UINT64_C(3600) * 1000000;
    f->config.turn_timeout_max = UINT64_C(36000000) * 1000000;
    f->config.ping_timeout = 200000;
    needs_more_time(f, "hung");
}

/* In a process of its own, which is what ends. */
static void test_a_thread_that_is_stuck_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint16_t port = with_client_port(f);
    int status;
    format(f);
    f->config.ping_timeout = 200000;
    f->config.log_level = LOG_ERROR;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGUSR1, on_block);
        start(f, true, NULL);
        ask_until(port, "SET a 1\r\n", "+OK\r\n");
        if (!block_thread("node-1"))
            _exit(99);
        for (;;)
            pause();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_TROUBLE);
}

/* ---- a node with a loop of its own ---- */

static void with_loop(struct fixture *f)
{
    format(f);
    f->config.nodes[0].network = NETWORK_GUEST_TCP;
    f->config.restarts_max = 3;
    f->config.restart_backoff = 1000;
    compose_part(f, "fault-loop-guest");
}

static void test_loop_in_the_sandbox(void **state)
{
    struct fixture *f = *state;
    with_loop(f);
    struct node_host *h = start(f, false, f->nodes);
    incarnation_until(f, 4);
    assert_int_equal(stop(f, h), EXIT_OK);
    assert_int_equal(incarnation(f), 4);
}

static void test_loop_that_does_not_end_is_ended(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct problem problem;
    struct data_folder *folder;
    with_loop(f);
    snprintf(path, sizeof path, "%s/node-1", f->config.data);
    assert_true(data_folder_open(&folder, disk_posix(), path, f->config.cluster, 1, &problem));
    for (unsigned boot = 2; boot <= 4; boot++)
        assert_true(data_folder_reboot(folder, &problem));
    data_folder_close(folder);
    f->config.grace_period = 200000;
    struct node_host *h = start(f, false, f->nodes);
    incarnation_until(f, 5);
    assert_int_equal(stop(f, h), EXIT_OK);
    assert_int_equal(incarnation(f), 5);
}

/* What has its network in the sandbox is no native node. */
static void test_native_has_no_sandbox(void **state)
{
    struct fixture *f = *state;
    format(f);
    f->config.nodes[0].network = NETWORK_GUEST_TCP;
    assert_int_equal(run(f, true, NULL), EXIT_BAD_INPUT);
}

/* A component that is not what its name says. */
static void test_composed_of_other_parts(void **state)
{
    struct fixture *f = *state;
    with_loop(f);
    f->config.nodes[0].network = NETWORK_HOST_TCP;
    compose_part(f, "fault-loop-guest");
    assert_int_equal(run(f, false, f->nodes), EXIT_BAD_INPUT);
    f->config.nodes[0].network = NETWORK_GUEST_TCP;
    compose_part(f, "fault-guest");
    assert_int_equal(run(f, false, f->nodes), EXIT_BAD_INPUT);
    f->config.nodes[0].network = NETWORK_HOST_TCP;
    f->config.nodes[0].storage = PLACE_GUEST;
    compose_part(f, "fault-guest");
    assert_int_equal(run(f, false, f->nodes), EXIT_BAD_INPUT);
}

static void test_file_names(void **state)
{
    char file[64];
    (void)state;
    composition_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_COORDINATOR, .serializer = PLACE_GUEST},
                     LEADER_STICKY);
    assert_string_equal(file, "n/coordinator-node.wasm");
    composition_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_PROPOSER, .serializer = PLACE_GUEST},
                     LEADER_HIGHEST);
    assert_string_equal(file, "n/proposer-node-highest.wasm");
    composition_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_LEARNER, .serializer = PLACE_GUEST},
                     LEADER_HIGHEST); /* elects none */
    assert_string_equal(file, "n/learner-node.wasm");
    composition_file(file, sizeof file, "n", &(struct config_node){.network = NETWORK_GUEST_UDP, .storage = PLACE_GUEST},
                     LEADER_STICKY);
    assert_string_equal(file, "n/coordinator-node-guest-udp-guest-storage-host-serializer.wasm");
    composition_file(file, sizeof file, "n", &(struct config_node){.role = ROLE_PROPOSER, .granularity = GRANULARITY_AGENTS},
                     LEADER_HIGHEST); /* both rules are inside */
    assert_string_equal(file, "n/proposer-node-host-serializer-agents.wasm");
    for (uint8_t role = ROLE_COORDINATOR; role <= ROLE_LEARNER; role++) {
        const struct config_node node = {
            .role = role, .network = NETWORK_GUEST_TCP, .serializer = PLACE_GUEST, .granularity = GRANULARITY_NODE};
        composition_file(file, sizeof file, "n", &node, LEADER_HIGHEST);
        assert_string_equal(file, "n/node-guest-tcp.wasm");
    }
}

int main(int argc, char **argv)
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
        cmocka_unit_test_setup_teardown(test_restarts_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_final, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_write_is_final, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_next_life_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_dead_turn_leaves_no_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_while_there_is_no_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crashes_of_the_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_life_that_hangs_is_interrupted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_turn_that_is_long_ends_at_some_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_time_is_taken_back_after_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_life_that_is_silent_for_long_is_given_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_thread_that_is_stuck_ends_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop_in_the_sandbox, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop_that_does_not_end_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_native_has_no_sandbox, setup, teardown),
        cmocka_unit_test_setup_teardown(test_composed_of_other_parts, setup, teardown),
        cmocka_unit_test(test_file_names),
    };
    const struct engine_options options = {.turn_timeout = 1000000, .cache_folder = "/nonexistent"};
    struct problem problem;
    struct engine *e;
    build = getenv("BUILD");
    if (build == NULL)
        build = "build";
    parts = argc > 1 ? argv[1] : "build/tests/parts";
    signal(SIGPIPE, SIG_IGN);
    if (!engine_open(&e, &options, &problem)) /* Wasmtime's signal handlers come with the first engine */
        return 1;
    wasm_signals_keep();
    engine_close(e);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
