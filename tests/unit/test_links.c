/* Links of a transport: which one goes when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/links.h"

struct some_link {
    struct link link;
    bool known;
};

static size_t opened_count, closing_count, closed_count;

static void opened(struct link *l)
{
    assert_false(((struct some_link *)l)->known); /* zeroed */
    opened_count++;
}

static void accepted(struct link *l) { (void)l; }
static bool is_known(const struct link *l) { return ((const struct some_link *)l)->known; }
static void closing(struct link *l) { closing_count += l->closing ? 1 : 0; }

static void closed(struct link *l)
{
    (void)l;
    closed_count++;
}

static const struct link_operations operations = {sizeof(struct some_link), opened, accepted, is_known, closing, closed};

static struct link *add(struct links *links, bool known)
{
    struct link *l = link_new(links);
    ((struct some_link *)l)->known = known;
    return l;
}

static void test_room(void **state)
{
    (void)state;
    struct config_node nodes[] = {{.id = 1}};
    struct config config = {.nodes = nodes, .node_count = 1};
    struct logger *logger = logger_new(1, LOG_ERROR);
    struct network n;
    struct links links = {0};
    struct problem problem;
    uv_loop_t loop;
    uv_loop_init(&loop);
    network_init(&n, NULL, &loop, &(struct network_options){.config = &config, .origin = {.sender = 1}, .logger = logger});
    n.open = 1; /* so that the last link does not release it */
    assert_true(links_open(&links, &n, &operations, &problem));

    struct link *known = add(&links, true), *first = add(&links, false), *second = add(&links, false);
    while (links.count < LINKS_MAX)
        add(&links, true);
    assert_int_equal(closing_count, 0);
    /* The oldest that no node speaks on goes first. */
    add(&links, true);
    assert_true(first->closing && !second->closing && !known->closing);
    assert_int_equal(links.count, LINKS_MAX);
    assert_int_equal(n.statistics.bad_frames, 1);
    link_close(first); /* again has no effect */
    assert_int_equal(closing_count, 1);
    add(&links, true);
    assert_true(second->closing && !known->closing);
    /* A node's connection never goes. */
    add(&links, true);
    assert_int_equal(links.count, LINKS_MAX + 1);
    assert_int_equal(closing_count, 2);

    links_close(&links);
    assert_int_equal(links.count, 0);
    assert_int_equal(closed_count, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closing_count, opened_count);
    assert_int_equal(closed_count, opened_count);
    assert_int_equal(n.open, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    inbox_close(&n.inbox);
    logger_free(logger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
