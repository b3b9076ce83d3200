#include "core/agents/recovery.h"

#include "tests/unit/protocol.h"

static void found(struct recovery *r, uint64_t slot, uint64_t round, const char *text)
{
    struct entry e = entry_at(slot, ballot_of(round, 8), text);
    recovery_found(r, &e);
}

static void the_highest_ballot_counts(void **state)
{
    struct recovery r;
    (void)state;
    recovery_init(&r);
    found(&r, 1, 2, "second");
    found(&r, 1, 3, "third");
    found(&r, 1, 1, "first");
    found(&r, 2, 1, "first");
    struct entry_list taken = recovery_take(&r, 3, 100, UINT64_MAX);
    assert_int_equal(taken.len, 2);
    assert_int_equal(taken.ptr[0].slot, 1);
    assert_int_equal(taken.ptr[0].ballot.round, 3);
    assert_memory_equal(taken.ptr[0].value.words.ptr, "third", 5);
    assert_int_equal(taken.ptr[1].slot, 2);
    assert_int_equal(recovery_next(&r), 3);
    recovery_close(&r);
}

static void what_is_taken_is_taken_in_pieces(void **state)
{
    struct recovery r;
    (void)state;
    recovery_init(&r);
    for (uint64_t slot = 1; slot <= 100; slot++)
        found(&r, slot, 1, "value");
    for (uint64_t next = 1; next < 81; next += 8) {
        struct entry_list taken = recovery_take(&r, 81, 8, UINT64_MAX);
        assert_int_equal(taken.len, 8);
        assert_int_equal(taken.ptr[0].slot, next);
        found(&r, next, 9, "too late");
        found(&r, next + 100, 1, "value");
    }
    assert_int_equal(recovery_take(&r, 81, 8, UINT64_MAX).len, 0);
    assert_int_equal(recovery_next(&r), 81);
    assert_int_equal(recovery_take(&r, UINT64_MAX, 20, UINT64_MAX).len, 20);
    recovery_close(&r);
}

static void what_is_taken_has_so_many_bytes_at_most(void **state)
{
    struct recovery r;
    (void)state;
    recovery_init(&r);
    for (uint64_t slot = 1; slot <= 10; slot += slot == 4 ? 2 : 1)
        found(&r, slot, 1, "value");
    assert_int_equal(recovery_take(&r, UINT64_MAX, 100, 1).len, 1);
    assert_int_equal(recovery_take(&r, UINT64_MAX, 100, 14).len, 2);
    struct entry_list taken = recovery_take(&r, UINT64_MAX, 100, 15);
    assert_true(taken.len == 3 && taken.ptr[0].slot == 4 && taken.ptr[2].slot == 7);
    assert_int_equal(recovery_take(&r, UINT64_MAX, 100, 15).len, 3);
    recovery_close(&r);
}

static void what_is_lacking_is_known(void **state)
{
    struct recovery r;
    (void)state;
    recovery_init(&r);
    assert_int_equal(recovery_lacks(&r, 1), 1);
    assert_int_equal(recovery_lacks(&r, 2), 1);
    found(&r, 1, 1, "value");
    found(&r, 3, 1, "value");
    assert_int_equal(recovery_lacks(&r, 2), 2);
    assert_int_equal(recovery_lacks(&r, 4), 2);
    found(&r, 2, 1, "value");
    assert_int_equal(recovery_lacks(&r, 4), 4);
    assert_int_equal(recovery_lacks(&r, UINT64_MAX), 4);
    recovery_close(&r);
}

static void the_window_bounds_what_counts(void **state)
{
    struct recovery r;
    (void)state;
    recovery_init(&r);
    assert_true(recovery_is_near(&r, RECOVERY_SLOTS_MAX));
    assert_false(recovery_is_near(&r, RECOVERY_SLOTS_MAX + 1));
    found(&r, UINT64_MAX, 1, "value");
    found(&r, 1, 1, "value");
    r.window = 4;
    recovery_take(&r, 2, 1, UINT64_MAX);
    assert_false(recovery_is_near(&r, 1));
    assert_true(recovery_is_near(&r, 5));
    assert_false(recovery_is_near(&r, 6));
    found(&r, 6, 1, "value");
    assert_int_equal(recovery_take(&r, UINT64_MAX, 100, UINT64_MAX).len, 0);
    recovery_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_ballot_counts),
        cmocka_unit_test(what_is_taken_is_taken_in_pieces),
        cmocka_unit_test(what_is_taken_has_so_many_bytes_at_most),
        cmocka_unit_test(what_is_lacking_is_known),
        cmocka_unit_test(the_window_bounds_what_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
