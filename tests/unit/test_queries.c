/* core/agents/queries.c: reads wait for what they must reflect, and are answered in pieces of bounded work. */
#include "core/agents/queries.h"

#include "core/base/limits.h"
#include "tests/unit/protocol.h"

static struct limits limits;
static struct queries queries;
static struct state_machine *machine;

static int set_up(void **state)
{
    (void)state;
    limits = limits_effective(&(struct limits){.queries = 3});
    queries_init(&queries, &limits, 1000, 500);
    machine = state_machine_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    queries_audit(&queries);
    queries_close(&queries);
    state_machine_free(machine);
    return 0;
}

/* Asks `count` times for the same key. */
static void ask(uint32_t proposer, uint64_t number, uint64_t index, size_t count, uint64_t now)
{
    struct batch_builder b = {0};
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)(uintptr_t)"key", 3}};
    batch_begin(&b);
    for (size_t i = 0; i < count; i++)
        batch_add(&b, args, 2);
    struct entry e = {.kind = ENTRY_COMMANDS, .value = batch_end(&b)};
    const struct message m = {.kind = MESSAGE_QUERY, .batch = {proposer, 1, number}, .to = index, .entries = {&e, 1}};
    (void)queries_add(&queries, proposer, &m, now);
    queries_audit(&queries);
    batch_builder_free(&b);
}

static void expire(uint64_t now)
{
    struct batch_id batch;
    while (queries_expired(&queries, now, &batch))
        queries_audit(&queries);
}

/* The number of the batch that is answered by a step, and how many replies it has; 0: none is. */
static uint64_t answer(uint64_t executed, uint32_t *replies)
{
    struct query q;
    struct payload packed;
    uint64_t work = 0;
    const enum query_state state = queries_run(&queries, machine, MOMENT_ZERO, executed, &work, &q, &packed);
    queries_audit(&queries);
    if (state != QUERY_ANSWERED)
        return 0;
    *replies = replies_count(&packed);
    return q.batch.number;
}

static void the_first_that_may_be_answered_is(void **state)
{
    (void)state;
    uint32_t replies;
    ask(7, 1, 9, 1, 0);
    ask(7, 2, 5, 2, 0);
    ask(8, 1, 4, 1, 0);
    assert_int_equal(answer(3, &replies), 0);
    assert_int_equal(answer(5, &replies), 2);
    assert_int_equal(replies, 2);
    assert_int_equal(answer(5, &replies), 1);
    assert_int_equal(answer(8, &replies), 0);
    assert_int_equal(answer(9, &replies), 1);
    assert_int_equal(queries.count, 0);
    assert_int_equal(queries.bytes, 0);
}

static void much_work_takes_several_steps(void **state)
{
    (void)state;
    uint32_t replies = 0;
    int steps = 1;
    limits.step_work = limits.apply = 1;
    ask(7, 1, 1, 10, 0);
    for (; answer(1, &replies) == 0; steps++)
        assert_true(steps < 100);
    assert_int_equal(steps, 10);
    assert_int_equal(replies, 10);
}

/* Another one may be forgotten while one is being answered. */
static void what_is_begun_is_finished(void **state)
{
    (void)state;
    uint32_t replies = 0;
    limits.step_work = limits.apply = 1;
    ask(7, 1, 9, 1, 0);
    ask(7, 2, 1, 3, 100);
    assert_int_equal(answer(1, &replies), 0);
    expire(500);
    assert_int_equal(queries.count, 1);
    while (answer(1, &replies) == 0)
        continue;
    assert_int_equal(replies, 3);
    ask(7, 3, 1, 3, 0);
    assert_int_equal(answer(1, &replies), 0);
    expire(500); /* now it is the one that was begun */
    assert_int_equal(answer(1, &replies), 0);
    assert_false(queries.begun);
}

static void only_so_many_wait(void **state)
{
    (void)state;
    uint32_t replies;
    ask(7, 1, 1, 1, 0);
    ask(7, 1, 1, 1, 0); /* asked again */
    assert_int_equal(queries.count, 1);
    ask(8, 1, 1, 1, 0);
    ask(9, 1, 1, 1, 0);
    ask(9, 2, 1, 1, 0);
    assert_int_equal(queries.count, 3);
    while (answer(1, &replies) != 0)
        continue;
    queries.bytes_max = 1;
    ask(7, 1, 1, 1, 0);
    ask(7, 2, 1, 1, 0);
    assert_int_equal(queries.count, 1);
}

static void what_is_no_batch_is_dropped(void **state)
{
    (void)state;
    uint32_t replies;
    struct entry e = entry_at(0, ballot_of(1, 1), "no batch");
    struct message m = {.kind = MESSAGE_QUERY, .batch = {7, 1, 1}, .to = 1, .entries = {&e, 1}};
    (void)queries_add(&queries, 7, &m, 0);
    m.entries.len = 0;
    m.batch.number = 2;
    (void)queries_add(&queries, 7, &m, 0);
    assert_int_equal(queries.count, 1);
    ask(7, 3, 1, 1, 0);
    assert_int_equal(answer(1, &replies), 3);
    assert_int_equal(queries.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_may_be_answered_is), TEST(much_work_takes_several_steps),
        TEST(what_is_begun_is_finished),         TEST(only_so_many_wait),
        TEST(what_is_no_batch_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
