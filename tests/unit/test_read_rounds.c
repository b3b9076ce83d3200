/* core/agents/read_rounds.c: which reads a round confirms, and what becomes of each batch. */
#include "core/agents/read_rounds.h"

#include "tests/unit/protocol.h"

static const struct configuration acting = {.acceptors = 0xe, .phase2_quorum = 2};
static struct read_rounds rounds;
static struct ballot ballot;

static int set_up(void **state)
{
    (void)state;
    ballot = ballot_of(3, 1);
    read_rounds_init(&rounds);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    read_rounds_audit(&rounds);
    read_rounds_close(&rounds);
    return 0;
}

static void add(uint64_t token, uint64_t now)
{
    const struct payload value = text_payload("reads");
    read_rounds_add(&rounds, token, &value, now);
    read_rounds_audit(&rounds);
}

static bool answered(uint32_t acceptor, uint64_t round)
{
    return read_rounds_answered(&rounds, acceptor, ballot, round, &acting);
}

/* The number of the next batch that a learner is to be asked about; 0: there is none. */
static uint64_t unasked(uint64_t now)
{
    uint64_t number = 0;
    return read_rounds_unasked(&rounds, now, 100, &number) != NULL ? number : 0;
}

static void a_quorum_confirms_what_had_arrived(void **state)
{
    (void)state;
    assert_false(read_rounds_may_begin(&rounds));
    add(10, 0);
    add(20, 0);
    assert_true(read_rounds_may_begin(&rounds));
    read_rounds_begin(&rounds, ballot, 7, 0);
    add(30, 0);
    assert_false(read_rounds_may_begin(&rounds)); /* one is open */
    assert_false(answered(1, 1));
    assert_false(answered(1, 1)); /* the same once more */
    assert_int_equal(unasked(0), 0);
    assert_true(answered(3, 1));
    assert_int_equal(unasked(0), 1);
    assert_int_equal(unasked(0), 2);
    assert_int_equal(unasked(0), 0); /* number 3 came after the round had begun */
    assert_true(read_rounds_may_begin(&rounds));
    read_rounds_begin(&rounds, ballot, 9, 0);
    assert_false(answered(1, 1)); /* an answer to the earlier round */
    assert_false(answered(1, 2));
    assert_true(answered(2, 2));
    uint64_t number;
    assert_int_equal(read_rounds_unasked(&rounds, 0, 100, &number)->index, 9);
    assert_int_equal(number, 3);
}

static void only_its_acceptors_and_its_ballot_count(void **state)
{
    (void)state;
    add(10, 0);
    read_rounds_begin(&rounds, ballot, 7, 0);
    assert_false(answered(1, 1));
    assert_false(answered(5, 1)); /* no acceptor */
    assert_false(read_rounds_answered(&rounds, 2, ballot_of(2, 1), 1, &acting));
    assert_false(read_rounds_answered(&rounds, 2, ballot_of(4, 1), 1, &acting));
    assert_true(answered(2, 1));
    assert_false(answered(3, 1)); /* it is over */
}

/* Another leadership has a ballot of its own, and begins anew. */
static void a_round_that_was_dropped_confirms_nothing(void **state)
{
    (void)state;
    add(10, 0);
    read_rounds_begin(&rounds, ballot, 7, 0);
    answered(1, 1);
    read_rounds_drop(&rounds);
    assert_false(answered(2, 1));
    assert_int_equal(unasked(0), 0);
    ballot = ballot_of(4, 1);
    read_rounds_begin(&rounds, ballot, 8, 0);
    assert_false(answered(1, 2));
    assert_true(answered(2, 2));
}

static void a_learner_is_asked_again_after_a_while(void **state)
{
    (void)state;
    add(10, 0);
    assert_int_equal(read_rounds_next(&rounds, 100), UINT64_MAX);
    read_rounds_begin(&rounds, ballot, 7, 50);
    rounds.again_at = 140; /* as those say that send it */
    assert_int_equal(read_rounds_next(&rounds, 100), 140);
    answered(1, 1);
    answered(2, 1);
    assert_int_equal(unasked(60), 1);
    assert_int_equal(read_rounds_next(&rounds, 100), 160);
    assert_int_equal(unasked(159), 0);
    assert_int_equal(unasked(160), 1);
}

static void each_batch_is_answered_once(void **state)
{
    (void)state;
    uint64_t token;
    add(10, 0);
    add(20, 0);
    assert_false(read_rounds_done(&rounds, 1, &token)); /* not confirmed */
    read_rounds_begin(&rounds, ballot, 7, 0);
    answered(1, 1);
    answered(2, 1);
    assert_true(read_rounds_done(&rounds, 2, &token));
    assert_int_equal(token, 20);
    assert_false(read_rounds_done(&rounds, 2, &token));
    assert_false(read_rounds_done(&rounds, 3, &token));
    assert_false(read_rounds_done(&rounds, 0, &token));
    assert_int_equal(rounds.count, 1);
    assert_true(read_rounds_done(&rounds, 1, &token));
    assert_int_equal(token, 10);
    assert_int_equal(read_rounds_next(&rounds, 100), UINT64_MAX);
}

/* Of a node that does not lead any more; what is confirmed may still be answered. */
static void what_is_not_confirmed_is_given_up(void **state)
{
    (void)state;
    uint64_t token;
    add(10, 0);
    read_rounds_begin(&rounds, ballot, 7, 0);
    answered(1, 1);
    answered(2, 1);
    add(20, 0);
    read_rounds_begin(&rounds, ballot, 8, 0);
    add(30, 0);
    read_rounds_drop(&rounds);
    assert_true(read_rounds_give_up(&rounds, &token));
    assert_int_equal(token, 30);
    assert_true(read_rounds_give_up(&rounds, &token));
    assert_int_equal(token, 20);
    assert_false(read_rounds_give_up(&rounds, &token));
    assert_false(answered(1, 2) || answered(2, 2));
    assert_true(read_rounds_done(&rounds, 1, &token));
    assert_int_equal(rounds.count, 0);
    read_rounds_audit(&rounds);
    add(40, 0);
    read_rounds_begin(&rounds, ballot, 9, 0);
    answered(1, 3);
    assert_true(answered(2, 3));
    assert_true(read_rounds_done(&rounds, 2, &token));
    assert_int_equal(token, 40);
}

static void the_oldest_expires_first(void **state)
{
    (void)state;
    uint64_t token;
    add(10, 100);
    add(20, 200);
    read_rounds_begin(&rounds, ballot, 7, 200);
    assert_false(read_rounds_expired(&rounds, 149, 50, &token));
    assert_true(read_rounds_expired(&rounds, 150, 50, &token));
    assert_int_equal(token, 10);
    assert_false(read_rounds_expired(&rounds, 249, 50, &token));
    assert_true(read_rounds_expired(&rounds, 250, 50, &token));
    assert_int_equal(token, 20);
    assert_false(read_rounds_may_begin(&rounds));
    assert_false(read_rounds_expired(&rounds, 250, 50, &token));
}

/* P27: what was answered before a round began is below its index, however often it was sent. */
static void a_state_is_as_old_as_its_round(void **state)
{
    (void)state;
    read_rounds_stale(&rounds, 100, 1000);
    assert_true(read_rounds_may_begin(&rounds));
    read_rounds_begin(&rounds, ballot, 7, 1000);
    assert_false(read_rounds_may_begin(&rounds));
    rounds.again_at = 1020; /* it was sent again */
    assert_int_equal(rounds.confirmed_at, 0);
    answered(1, 1);
    answered(2, 1);
    assert_int_equal(rounds.confirmed_at, 1000);
    assert_false(read_rounds_may_begin(&rounds));
    read_rounds_stale(&rounds, 100, 1050);
    assert_false(read_rounds_may_begin(&rounds));
    read_rounds_stale(&rounds, 100, 1051);
    assert_true(read_rounds_may_begin(&rounds));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_quorum_confirms_what_had_arrived),
        TEST(only_its_acceptors_and_its_ballot_count),
        TEST(a_round_that_was_dropped_confirms_nothing),
        TEST(a_learner_is_asked_again_after_a_while),
        TEST(each_batch_is_answered_once),
        TEST(what_is_not_confirmed_is_given_up),
        TEST(the_oldest_expires_first),
        TEST(a_state_is_as_old_as_its_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
