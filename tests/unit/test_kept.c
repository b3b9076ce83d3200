/* core/base/kept.c: one copy, however many hold it. */
#include "core/base/kept.h"
#include "core/base/memory.h"

#include "tests/unit/protocol.h"

static void what_is_kept_is_copied_once(void **state)
{
    (void)state;
    uint64_t words[2] = {1, 2};
    const struct payload given = {.words = {words, 2}, .len = 16};
    struct payload first = payload_keep(&given), second = payload_keep(&first), third = payload_keep(&first);
    assert_ptr_not_equal(first.words.ptr, words);
    assert_ptr_equal(second.words.ptr, first.words.ptr);
    assert_ptr_equal(third.words.ptr, first.words.ptr);
    assert_int_equal(payloads_kept(), 1);
    words[0] = 7; /* its owner may do with it what it likes */
    payload_release(&first);
    payload_release(&third);
    assert_int_equal(second.words.ptr[0], 1);
    assert_int_equal(second.words.ptr[1], 2);
    assert_int_equal(payloads_kept(), 1);
    payload_release(&second);
    assert_null(second.words.ptr);
    assert_int_equal(payloads_kept(), 0);
}

static void an_empty_one_takes_no_memory(void **state)
{
    (void)state;
    struct payload nothing = payload_keep(&(struct payload){0});
    assert_null(nothing.words.ptr);
    assert_int_equal(payloads_kept(), 0);
    payload_alone(&nothing);
    payload_release(&nothing);
}

static void who_changes_it_is_alone(void **state)
{
    (void)state;
    uint64_t word = 1;
    struct payload first = payload_keep(&(struct payload){.words = {&word, 1}, .len = 3}), second = payload_keep(&first);
    payload_alone(&second);
    assert_ptr_not_equal(second.words.ptr, first.words.ptr);
    assert_int_equal(second.len, 3);
    second.words.ptr[0] = 2;
    assert_int_equal(first.words.ptr[0], 1);
    uint64_t *const before = second.words.ptr;
    payload_alone(&second);
    assert_ptr_equal(second.words.ptr, before);
    payload_release(&first);
    payload_release(&second);
    assert_int_equal(payloads_kept(), 0);
}

/* Thousands, held once to four times each, and released in another order. */
static void many_are_told_apart(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct payload *kept = memory_new(MANY * 4, sizeof *kept);
    for (uint64_t i = 0; i < MANY; i++) {
        kept[4 * i] = payload_keep(&(struct payload){.words = {&i, 1}, .len = 8});
        for (size_t holder = 1; holder <= i % 4; holder++)
            kept[4 * i + holder] = payload_keep(&kept[4 * i]);
    }
    assert_int_equal(payloads_kept(), MANY);
    for (size_t step = 0; step < MANY; step++) {
        const size_t i = step * 1237 % MANY; /* has no divisor of MANY: it comes by all */
        for (size_t holder = 0; holder <= i % 4; holder++) {
            assert_int_equal(kept[4 * i + holder].words.ptr[0], i);
            payload_release(&kept[4 * i + holder]);
        }
        assert_int_equal(payloads_kept(), MANY - 1 - step);
    }
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_copied_once),
        cmocka_unit_test(an_empty_one_takes_no_memory),
        cmocka_unit_test(who_changes_it_is_alone),
        cmocka_unit_test(many_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
