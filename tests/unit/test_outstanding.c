/* core/agents/outstanding.c: a client batch from arrival to its one answer. */
#include "core/agents/outstanding.h"

#include "tests/unit/protocol.h"

static void queue(struct outstanding *o, uint64_t token, uint64_t now)
{
    struct payload value = text_payload("value");
    uint64_t number = outstanding_next(o);
    outstanding_add(o, token, now);
    outstanding_queue(o, number, &value);
}

static void propose(struct outstanding *o, uint64_t slot)
{
    uint64_t number;
    assert_non_null(outstanding_first(o, &number));
    outstanding_proposed(o, number, slot);
}

static void batches_are_proposed_in_order_and_once(void **state)
{
    struct outstanding o;
    uint64_t number, token;
    (void)state;
    outstanding_init(&o);
    for (uint64_t i = 1; i <= 3; i++)
        queue(&o, i * 10, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_true(payload_is(outstanding_first(&o, &number), "value"));
        assert_int_equal(number, i);
        outstanding_proposed(&o, number, 100 + i);
    }
    assert_null(outstanding_first(&o, &number));
    assert_true(outstanding_answer(&o, 2, 102, OUTCOME_EXECUTED, &token));
    assert_int_equal(token, 20);
    assert_int_equal(outstanding_count(&o), 2);
    outstanding_close(&o);
}

static void an_answer_is_given_once(void **state)
{
    struct outstanding o;
    uint64_t token;
    (void)state;
    outstanding_init(&o);
    queue(&o, 7, 0);
    assert_false(outstanding_answer(&o, 1, 5, OUTCOME_EXECUTED, &token)); /* it is still queued */
    propose(&o, 5);
    assert_true(outstanding_answer(&o, 1, 5, OUTCOME_EXECUTED, &token));
    assert_false(outstanding_answer(&o, 1, 5, OUTCOME_EXECUTED, &token));
    assert_false(outstanding_answer(&o, 0, 5, OUTCOME_EXECUTED, &token));
    assert_false(outstanding_answer(&o, 2, 5, OUTCOME_EXECUTED, &token));
    assert_false(outstanding_answer(&o, UINT64_MAX, 5, OUTCOME_EXECUTED, &token));
    outstanding_close(&o);
}

/* P8: "another batch" counts only for the slot that the batch was proposed in, and never for one without a slot. */
static void a_refusal_must_be_about_the_slot(void **state)
{
    struct outstanding o;
    uint64_t token;
    (void)state;
    outstanding_init(&o);
    queue(&o, 7, 0);
    propose(&o, 5);
    outstanding_add(&o, 8, 0); /* forwarded */
    assert_false(outstanding_answer(&o, 1, 4, OUTCOME_MOVED, &token));
    assert_true(outstanding_answer(&o, 1, 5, OUTCOME_MOVED, &token));
    assert_false(outstanding_answer(&o, 2, 5, OUTCOME_MOVED, &token));
    assert_true(outstanding_answer(&o, 2, 6, OUTCOME_EXECUTED, &token));
    outstanding_close(&o);
}

static void only_queued_batches_are_taken_back(void **state)
{
    struct outstanding o;
    struct outstanding_overdue batch;
    (void)state;
    outstanding_init(&o);
    queue(&o, 1, 0);
    propose(&o, 9);
    outstanding_add(&o, 2, 0); /* forwarded */
    queue(&o, 3, 0);
    assert_true(outstanding_unqueue(&o, &batch));
    assert_int_equal(batch.token, 3);
    assert_false(outstanding_unqueue(&o, &batch));
    assert_int_equal(outstanding_count(&o), 2);
    outstanding_close(&o);
}

static void the_oldest_expires_first(void **state)
{
    struct outstanding o;
    struct outstanding_overdue batch;
    (void)state;
    outstanding_init(&o);
    for (uint64_t i = 1; i <= 3; i++)
        queue(&o, i, i * 100);
    assert_false(outstanding_expired(&o, 149, 50, &batch));
    propose(&o, 9);
    assert_true(outstanding_expired(&o, 150, 50, &batch));
    assert_int_equal(batch.token, 1);
    assert_false(batch.queued);
    assert_true(outstanding_expired(&o, 1000, 50, &batch));
    assert_true(outstanding_expired(&o, 1000, 50, &batch));
    assert_int_equal(batch.token, 3);
    assert_true(batch.queued);
    assert_false(outstanding_expired(&o, 1000, 50, &batch));
    outstanding_close(&o);
}

static void overdue_batches_are_asked_about_once_an_interval(void **state)
{
    struct outstanding o;
    struct outstanding_overdue batch;
    (void)state;
    outstanding_init(&o);
    queue(&o, 1, 0);
    queue(&o, 2, 0);
    propose(&o, 5);
    outstanding_scan(&o);
    assert_false(outstanding_overdue(&o, 99, 100, &batch));
    outstanding_scan(&o);
    assert_true(outstanding_overdue(&o, 100, 100, &batch));
    assert_int_equal(batch.number, 1);
    assert_int_equal(batch.slot, 5);
    assert_false(outstanding_overdue(&o, 100, 100, &batch)); /* the other one has no slot yet */
    outstanding_scan(&o);
    assert_false(outstanding_overdue(&o, 150, 100, &batch));
    outstanding_scan(&o);
    assert_true(outstanding_overdue(&o, 200, 100, &batch));
    outstanding_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_proposed_in_order_and_once),
        cmocka_unit_test(an_answer_is_given_once),
        cmocka_unit_test(a_refusal_must_be_about_the_slot),
        cmocka_unit_test(only_queued_batches_are_taken_back),
        cmocka_unit_test(the_oldest_expires_first),
        cmocka_unit_test(overdue_batches_are_asked_about_once_an_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
