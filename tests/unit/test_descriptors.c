/* host/descriptors.c, each case in a process of its own: limits do not go up again. */
#include "host/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct config_node nodes[3];
static struct config config;

/* What is left for a client port, and what was said. */
struct left {
    bool ok;
    int exit_code;
    uint32_t connections;
    rlim_t limit;
    char notice[DESCRIPTORS_NOTICE_SIZE];
};

static struct left reserve(rlim_t soft, rlim_t hard, size_t group_size, bool native)
{
    struct left left = {0};
    uint32_t ids[3] = {1, 2, 3};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct config_group group = {.count = group_size};
        struct problem problem = {0};
        struct rlimit limit = {soft, hard};
        memcpy(group.nodes, ids, group_size * sizeof ids[0]);
        setrlimit(RLIMIT_NOFILE, &limit);
        left.ok = descriptors_reserve(&config, &group, native, left.notice, &problem);
        getrlimit(RLIMIT_NOFILE, &limit);
        left.limit = limit.rlim_cur;
        left.exit_code = problem.exit_code;
        left.connections = config.client_connections_max;
        _exit(write(ends[1], &left, sizeof left) == sizeof left ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &left, sizeof left), sizeof left);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
    close(ends[1]);
    return left;
}

static int set_up(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    for (uint32_t i = 0; i < 3; i++) {
        nodes[i].id = i + 1;
        snprintf(nodes[i].client.host, sizeof nodes[i].client.host, "127.0.0.1");
    }
    config = (struct config){.nodes = nodes, .node_count = 3, .client_connections_max = 100};
    return 0;
}

static void enough_is_left_alone(void **state)
{
    (void)state;
    struct left left = reserve(1024, 1024, 1, false);
    assert_true(left.ok);
    assert_int_equal(left.connections, 100);
    assert_string_equal(left.notice, "");
}

static void the_soft_limit_is_raised(void **state)
{
    (void)state;
    struct left left = reserve(16, 1024, 1, false);
    assert_true(left.ok);
    assert_int_equal(left.limit, 1024);
    assert_int_equal(left.connections, 100);
}

static void clients_get_what_is_left(void **state)
{
    (void)state;
    struct left left = reserve(100, 100, 1, false), more = reserve(110, 110, 1, false), native = reserve(100, 100, 1, true);
    assert_true(left.ok);
    assert_in_range(left.connections, 20, 60);
    assert_int_equal(more.connections, left.connections + 10);
    assert_true(native.connections > left.connections);
    assert_non_null(strstr(left.notice, "client_connections_max"));
    assert_non_null(strstr(left.notice, "only 100 files"));
    struct left shared = reserve(200, 200, 3, false);
    assert_true(shared.ok);
    assert_in_range(shared.connections, 1, 40); /* each of three */
}

static void too_few_are_refused(void **state)
{
    (void)state;
    struct left left = reserve(40, 40, 1, false);
    assert_false(left.ok);
    assert_int_equal(left.exit_code, EXIT_TROUBLE);
}

/* A node without a client port needs none for clients. */
static void no_client_port(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        nodes[i].client.host[0] = '\0';
    struct left left = reserve(64, 64, 1, false);
    assert_true(left.ok);
    assert_string_equal(left.notice, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(enough_is_left_alone, set_up),     cmocka_unit_test_setup(the_soft_limit_is_raised, set_up),
        cmocka_unit_test_setup(clients_get_what_is_left, set_up), cmocka_unit_test_setup(too_few_are_refused, set_up),
        cmocka_unit_test_setup(no_client_port, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
