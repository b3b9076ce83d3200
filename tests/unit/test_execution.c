#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/agents/execution.h"
#include "core/base/memory.h"

static struct execution x;
static uint64_t number;

static int set_up(void **state)
{
    (void)state;
    execution_init(&x, &(struct node_config){0});
    number = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    execution_close(&x);
    return 0;
}

/* Adds a slot with `count` times the same command. */
static void add(uint64_t slot, uint64_t batch_number, const char *const *words, size_t argc, size_t count)
{
    struct batch_builder b = {0};
    struct bytes args[3];
    for (size_t i = 0; i < argc; i++)
        args[i] = (struct bytes){(uint8_t *)(uintptr_t)words[i], strlen(words[i])};
    batch_begin(&b);
    for (size_t i = 0; i < count; i++)
        batch_add(&b, args, argc);
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, batch_number}, 0, 0);
    struct entry e = {.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    batch_builder_free(&b);
}

static void set_large(const char *key, size_t len)
{
    char *value = memory_new(len + 1, 1);
    memset(value, 'v', len);
    number++;
    add(number, number, (const char *const[]){"SET", key, value}, 3, 1);
    struct executed done;
    assert_true(execution_run(&x, &done));
    execution_begin(&x);
    free(value);
}

static size_t errors_in(const struct payload *replies)
{
    size_t offset = 0, errors = 0;
    struct reply_item item;
    while (replies_next(replies, &offset, &item))
        errors += item.tag == REPLY_ERROR;
    return errors;
}

static void a_batch_executes_once(void **state)
{
    (void)state;
    struct executed done;
    add(1, 1, (const char *const[]){"INCR", "a"}, 2, 3);
    add(2, 1, (const char *const[]){"INCR", "a"}, 2, 3);
    assert_true(execution_run(&x, &done));
    assert_false(done.skipped);
    assert_int_equal(replies_count(&done.replies), 3);
    assert_true(execution_run(&x, &done));
    assert_true(done.skipped);
    assert_int_equal(done.batch.id.number, 0);
    assert_int_equal(x.commands_executed, 3);
    assert_null(execution_next(&x));
}

/* However much is asked for, a step does only so much, and the batch goes on in the next one. */
static void large_replies_take_many_steps(void **state)
{
    (void)state;
    set_large("big", 100 * 1000);
    add(2, 2, (const char *const[]){"GET", "big"}, 2, 200);
    struct executed done;
    int steps = 1;
    for (; !execution_run(&x, &done); steps++) {
        assert_true(steps < 1000);
        assert_true(x.replies.len <= (size_t)steps * (2 << 20));
        execution_begin(&x);
    }
    assert_true(steps > 10);
    assert_int_equal(replies_count(&done.replies), 200);
    assert_int_equal(errors_in(&done.replies), 0);
}

/* A command whose reply has no room in its batch is not executed, and says so; small ones of others go on. */
static void what_cannot_be_answered_is_not_executed(void **state)
{
    (void)state;
    enum { VALUES = 40, SIZE = 1000 * 1000 };
    char keys[VALUES][8];
    struct batch_builder b = {0};
    struct bytes incr[2] = {{(uint8_t *)"INCR", 4}, {(uint8_t *)"n", 1}};
    batch_begin(&b);
    for (int i = 0; i < VALUES; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        set_large(keys[i], SIZE);
        batch_add(&b, (struct bytes[]){{(uint8_t *)"GETDEL", 6}, {(uint8_t *)keys[i], strlen(keys[i])}}, 2);
        batch_add(&b, incr, 2);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0, 0);
    struct entry e = {.slot = number, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    struct executed done;
    while (!execution_run(&x, &done))
        execution_begin(&x);
    assert_true(done.replies.len <= 32 << 20);
    size_t offset = 0, integers = 0, delivered = 0, refused = 0;
    bool kept[VALUES];
    struct reply_item item;
    while (replies_next(&done.replies, &offset, &item)) {
        integers += item.tag == REPLY_INTEGER;
        if (item.tag == REPLY_INTEGER)
            continue;
        kept[delivered + refused] = item.tag == REPLY_ERROR;
        if (item.tag == REPLY_BYTES) {
            assert_int_equal(item.bytes.len, SIZE);
            delivered++;
        } else {
            assert_memory_equal(item.bytes.ptr, "BUSY ", 5);
            refused++;
        }
    }
    assert_int_equal(integers, VALUES);
    assert_int_equal(delivered + refused, VALUES);
    assert_true(delivered >= 30 && refused >= 5);
    for (int i = 0; i < VALUES; i++) {
        number++;
        add(number, number, (const char *const[]){"EXISTS", keys[i]}, 2, 1);
        assert_true(execution_run(&x, &done));
        offset = 0;
        assert_true(replies_next(&done.replies, &offset, &item));
        assert_int_equal(item.integer, kept[i]);
        execution_begin(&x);
    }
    batch_builder_free(&b);
}

/* What the state machine spends without a byte to show for it counts, too. */
static void work_without_replies_ends_a_step(void **state)
{
    (void)state;
    struct executed done;
    number++;
    add(number, number, (const char *const[]){"SETRANGE", "k", "8388607"}, 3, 1); /* not enough arguments: cheap */
    assert_true(execution_run(&x, &done));
    struct batch_builder b = {0};
    struct bytes set[4] = {{(uint8_t *)"SETRANGE", 8}, {(uint8_t *)"k", 1}, {(uint8_t *)"8388607", 7}, {(uint8_t *)"x", 1}};
    struct bytes del[2] = {{(uint8_t *)"DEL", 3}, {(uint8_t *)"k", 1}};
    batch_begin(&b);
    for (int i = 0; i < 500; i++) {
        batch_add(&b, set, 4);
        batch_add(&b, del, 2);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0, 0);
    struct entry e = {.slot = number, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    batch_builder_free(&b);
    int steps = 1;
    for (; !execution_run(&x, &done); steps++)
        execution_begin(&x);
    assert_true(steps >= 250); /* two at most in each */
}

/* What KEYS says of some keys, after a first batch with this seed and a second one with another. */
static void keys_in_order(uint64_t first_seed, uint64_t second_seed, char *out, size_t size)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    struct executed done;
    tear_down(NULL);
    set_up(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        number++;
        add(number, number, (const char *const[]){"SET", names[i], "1"}, 3, 1);
        batch_seed_stamp(&x.entries[x.count - 1].value, (struct seed){i == 0 ? first_seed : second_seed, 2});
        assert_true(execution_run(&x, &done));
        execution_begin(&x);
    }
    number++;
    add(number, number, (const char *const[]){"KEYS", "*"}, 2, 1);
    assert_true(execution_run(&x, &done));
    size_t offset = 0, len = 0;
    struct reply_item item;
    while (replies_next(&done.replies, &offset, &item))
        if (item.tag == REPLY_BYTES && len + 1 < size)
            out[len++] = (char)item.bytes.ptr[0];
    out[len] = 0;
    assert_int_equal(len, sizeof names / sizeof names[0]);
    execution_begin(&x);
}

/* The key of the state machine's hash is that of the first batch executed, whatever comes later, so all nodes have it. */
static void the_first_batch_gives_the_seed(void **state)
{
    (void)state;
    char order[4][32];
    keys_in_order(1, 1, order[0], sizeof order[0]);
    keys_in_order(1, 9, order[1], sizeof order[1]);
    keys_in_order(9, 1, order[2], sizeof order[2]);
    keys_in_order(9, 9, order[3], sizeof order[3]);
    assert_string_equal(order[0], order[1]);
    assert_string_equal(order[2], order[3]);
    assert_true(strcmp(order[0], order[2]) != 0);
}

/* How large the state may be comes with the configuration. */
static void the_state_is_bounded(void **state)
{
    (void)state;
    struct executed done;
    size_t offset = 0;
    struct reply_item item;
    tear_down(NULL);
    execution_init(&x, &(struct node_config){.state_bytes_max = 1 << 20});
    number = 0;
    set_large("one", 900 * 1000);
    add(2, 2, (const char *const[]){"SETRANGE", "two", "900000"}, 3, 1);
    assert_true(execution_run(&x, &done));
    add(3, 3, (const char *const[]){"APPEND", "one", "and a little more"}, 3, 1);
    assert_true(execution_run(&x, &done));
    assert_true(replies_next(&done.replies, &offset, &item));
    assert_int_equal(item.tag, REPLY_INTEGER);
    execution_begin(&x);
    number = 3;
    char *value = memory_new(900 * 1000, 1);
    memset(value, 'v', 900 * 1000 - 1);
    add(4, 4, (const char *const[]){"SET", "two", value}, 3, 1);
    assert_true(execution_run(&x, &done));
    offset = 0;
    assert_true(replies_next(&done.replies, &offset, &item));
    assert_int_equal(item.tag, REPLY_ERROR);
    assert_memory_equal(item.bytes.ptr, "OOM ", 4);
    add(5, 5, (const char *const[]){"SET", "one", value}, 3, 1); /* takes the place of what is there */
    assert_true(execution_run(&x, &done));
    assert_int_equal(errors_in(&done.replies), 0);
    free(value);
}

/* The hash tells apart what was executed, not how many steps it took. */
static void steps_do_not_show_in_the_state(void **state)
{
    (void)state;
    struct executed done;
    uint64_t hashes[2];
    for (int i = 0; i < 2; i++) {
        set_large("big", 300 * 1000);
        add(2, 2, (const char *const[]){"GET", "big"}, 2, 20);
        while (!execution_run(&x, &done))
            x.work = i == 0 ? 0 : 1 << 19;
        hashes[i] = x.state_hash;
        tear_down(NULL);
        set_up(NULL);
    }
    assert_int_equal(hashes[0], hashes[1]);
}

/* Whatever the limits are, they show in the number of steps only. */
static void tiny_limits_make_more_steps_of_it(void **state)
{
    static const struct limits limits[] = {{0}, {.step_work = 1, .apply = 1}, {.step_work = 100, .apply = 7}};
    (void)state;
    uint64_t hashes[3], steps[3];
    for (int i = 0; i < 3; i++) {
        tear_down(NULL);
        execution_init(&x, &(struct node_config){.limits = limits[i]});
        number = 0;
        struct executed done;
        add(1, 1, (const char *const[]){"INCR", "n"}, 2, 60);
        for (steps[i] = 1; !execution_run(&x, &done); steps[i]++)
            execution_begin(&x);
        hashes[i] = x.state_hash;
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_equal(hashes[0], hashes[2]);
    assert_int_equal(steps[0], 1);
    assert_true(steps[1] >= 60);
    assert_true(steps[2] >= 9 && steps[2] < 60);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(a_batch_executes_once),
                                       TEST(large_replies_take_many_steps),
                                       TEST(what_cannot_be_answered_is_not_executed),
                                       TEST(work_without_replies_ends_a_step),
                                       TEST(steps_do_not_show_in_the_state),
                                       TEST(the_first_batch_gives_the_seed),
                                       TEST(the_state_is_bounded),
                                       TEST(tiny_limits_make_more_steps_of_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
