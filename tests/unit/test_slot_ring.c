/* core/base/slot_ring.h: a window that moves and grows without losing or mixing up items. */
#include "core/base/slot_ring.h"

#include "tests/unit/protocol.h"

static void put(struct slot_ring *r, uint64_t slot, uint64_t value) { *(uint64_t *)slot_ring_reach(r, slot) = value; }

static uint64_t get(const struct slot_ring *r, uint64_t slot)
{
    const uint64_t *item = slot_ring_at(r, slot);
    assert_non_null(item);
    return *item;
}

static void only_the_window_has_items(void **state)
{
    struct slot_ring r;
    (void)state;
    slot_ring_init(&r, sizeof(uint64_t), 9, 5);
    assert_int_equal(r.capacity, 16);
    assert_null(slot_ring_at(&r, 4));
    assert_non_null(slot_ring_at(&r, 5));
    assert_non_null(slot_ring_at(&r, 20));
    assert_null(slot_ring_at(&r, 21));
    assert_null(slot_ring_at(&r, UINT64_MAX));
    slot_ring_close(&r);
}

static void growing_keeps_every_item(void **state)
{
    struct slot_ring r;
    (void)state;
    slot_ring_init(&r, sizeof(uint64_t), 8, 1000);
    for (uint64_t s = 1000; s < 1003; s++)
        slot_ring_advance(&r);
    for (uint64_t s = 1003; s < 1011; s++)
        put(&r, s, s); /* the ring is full and wraps around */
    put(&r, 1100, 1100);
    assert_int_equal(r.capacity, 128);
    for (uint64_t s = 1003; s < 1011; s++)
        assert_int_equal(get(&r, s), s);
    assert_int_equal(get(&r, 1011), 0);
    assert_int_equal(get(&r, 1100), 1100);
    slot_ring_close(&r);
}

static void items_are_zero_when_first_reached(void **state)
{
    struct slot_ring r;
    (void)state;
    slot_ring_init(&r, sizeof(uint64_t), 8, 1);
    for (uint64_t s = 1; s < 100; s++) {
        assert_int_equal(*(uint64_t *)slot_ring_reach(&r, s + 7), 0);
        put(&r, s + 7, s);
        slot_ring_advance(&r);
    }
    slot_ring_close(&r);
}

static void a_jump_empties_the_window(void **state)
{
    struct slot_ring r;
    (void)state;
    slot_ring_init(&r, sizeof(uint64_t), 8, 1);
    put(&r, 1, 1);
    put(&r, 8, 8);
    slot_ring_jump(&r, SLOT_MAX - 4);
    for (uint64_t s = SLOT_MAX - 4; s < SLOT_MAX + 4; s++)
        assert_int_equal(get(&r, s), 0);
    slot_ring_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_window_has_items),
        cmocka_unit_test(growing_keeps_every_item),
        cmocka_unit_test(items_are_zero_when_first_reached),
        cmocka_unit_test(a_jump_empties_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
