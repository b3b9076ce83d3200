/* core/agents/results.c: recent results are found by slot, and only so many are kept (P8). */
#include "core/agents/results.h"

#include "tests/unit/protocol.h"

static struct batch_id batch(uint64_t number) { return (struct batch_id){.origin = 1, .incarnation = 1, .number = number}; }

static void add(struct results *r, uint64_t slot, const char *replies)
{
    struct payload p = text_payload(replies);
    results_set(r, results_add(r, slot), batch(slot), &p);
}

static void results_are_found_by_slot(void **state)
{
    struct results r;
    (void)state;
    results_init(&r, 4, 16 << 20);
    add(&r, 1, "one");
    results_add(&r, 2); /* a no-op */
    const struct result *found = results_find(&r, 1);
    assert_non_null(found);
    assert_true(batch_id_equal(found->batch, batch(1)));
    assert_true(payload_is(&found->replies, "one"));
    assert_int_equal(results_find(&r, 2)->batch.origin, 0);
    assert_null(results_find(&r, 3));
    assert_null(results_find(&r, 0));
    results_close(&r);
}

static void the_oldest_are_forgotten_at_the_next_settle(void **state)
{
    struct results r;
    (void)state;
    results_init(&r, 4, 16 << 20);
    for (uint64_t slot = 1; slot <= 100; slot++)
        add(&r, slot, "x");
    assert_non_null(results_find(&r, 1)); /* valid until then */
    results_trim(&r);
    assert_null(results_find(&r, 96));
    assert_non_null(results_find(&r, 97));
    assert_non_null(results_find(&r, 100));
    assert_int_equal(r.bytes, 4);
    results_close(&r);
}

static void large_results_are_bounded_by_their_bytes(void **state)
{
    struct results r;
    (void)state;
    struct payload big = {.words = {calloc(1 << 17, 8), 1 << 17}, .len = 1 << 20};
    results_init(&r, 1000, 16 << 20);
    for (uint64_t slot = 1; slot <= 40; slot++) {
        results_set(&r, results_add(&r, slot), batch(slot), &big);
        results_trim(&r);
    }
    assert_true(r.bytes <= 16 << 20);
    assert_null(results_find(&r, 24));
    assert_non_null(results_find(&r, 40));
    results_close(&r);
    free(big.words.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_found_by_slot),
        cmocka_unit_test(the_oldest_are_forgotten_at_the_next_settle),
        cmocka_unit_test(large_results_are_bounded_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
