/* The table of things that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/slots.h"

static void test_tokens(void **state)
{
    (void)state;
    struct slots t = {0};
    int a, b, c;
    assert_null(slots_find(&t, 0));
    const uint64_t first = slots_put(&t, &a), second = slots_put(&t, &b);
    assert_int_equal(slots_number(first), 1);
    assert_int_equal(slots_number(second), 2);
    assert_ptr_equal(slots_find(&t, first), &a);
    assert_ptr_equal(slots_find(&t, second), &b);
    /* A slot is used again, a token is not. */
    assert_ptr_equal(slots_take(&t, first), &a);
    assert_null(slots_find(&t, first));
    assert_null(slots_take(&t, first));
    const uint64_t third = slots_put(&t, &c);
    assert_int_equal((uint32_t)third, (uint32_t)first);
    assert_int_equal(slots_number(third), 3);
    assert_null(slots_find(&t, first));
    assert_ptr_equal(slots_take(&t, third), &c);
    /* Made up. */
    assert_null(slots_find(&t, 0));
    assert_null(slots_find(&t, (uint64_t)2 << 32 | UINT32_MAX));
    assert_null(slots_find(&t, second & UINT32_MAX));
    slots_close(&t);
    assert_null(slots_find(&t, second));
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static int items[MANY];
    uint64_t tokens[MANY];
    struct slots t = {0};
    for (size_t i = 0; i < MANY; i++)
        tokens[i] = slots_put(&t, &items[i]);
    const size_t capacity = t.capacity;
    for (size_t i = 0; i < MANY; i += 2)
        assert_ptr_equal(slots_take(&t, tokens[i]), &items[i]);
    /* All that are left are found in the order of their slots, even if they are taken meanwhile. */
    size_t at = 0, count = 0;
    int *item;
    while ((item = slots_next(&t, &at)) != NULL) {
        assert_ptr_equal(item, &items[2 * count + 1]);
        assert_ptr_equal(slots_take(&t, tokens[2 * count + 1]), item);
        count++;
    }
    assert_int_equal(count, MANY / 2);
    for (size_t i = 0; i < MANY; i++)
        slots_put(&t, &items[i]);
    assert_int_equal(t.capacity, capacity);
    slots_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
