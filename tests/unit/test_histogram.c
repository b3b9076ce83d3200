#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "load/histogram.h"

static struct histogram *empty(void)
{
    struct histogram *h = calloc(1, sizeof *h);
    assert_non_null(h);
    return h;
}

static void empty_has_no_values(void **state)
{
    (void)state;
    struct histogram *h = empty();
    assert_int_equal(histogram_percentile(h, 50), 0);
    assert_int_equal(histogram_percentile(h, 100), 0);
    assert_true(histogram_mean(h) == 0);
    free(h);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct histogram *h = empty();
    for (uint64_t v = 1; v <= 200; v++)
        histogram_record(h, v);
    assert_int_equal(h->count, 200);
    assert_int_equal(h->min, 1);
    assert_int_equal(h->max, 200);
    assert_true(histogram_mean(h) == 100.5);
    assert_int_equal(histogram_percentile(h, 0), 1);
    assert_int_equal(histogram_percentile(h, 50), 100);
    assert_int_equal(histogram_percentile(h, 50.1), 101);
    assert_int_equal(histogram_percentile(h, 99), 198);
    assert_int_equal(histogram_percentile(h, 100), 200);
    free(h);
}

/* One value alone, between a smaller and a larger one, comes out at most 1/128 too high and never too low. */
static void error_is_bounded(void **state)
{
    (void)state;
    struct histogram *h = empty();
    uint64_t largest = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;
    for (uint64_t v = 3; v < largest; v += v / 5 + 1) {
        uint64_t around[3] = {v - 1, v, v + 1};
        for (int i = 0; i < 3; i++) {
            *h = (struct histogram){0};
            histogram_record(h, 0);
            histogram_record(h, around[i]);
            histogram_record(h, largest);
            uint64_t out = histogram_percentile(h, 60);
            assert_true(out >= around[i]);
            assert_true(out - around[i] <= around[i] / 128);
        }
    }
    free(h);
}

static void powers_of_two_are_kept_apart(void **state)
{
    (void)state;
    struct histogram *h = empty();
    for (unsigned bit = 1; bit < HISTOGRAM_VALUE_BITS; bit++) {
        histogram_record(h, (UINT64_C(1) << bit) - 1);
        histogram_record(h, UINT64_C(1) << bit);
    }
    uint64_t used = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        assert_true(h->buckets[i] <= 1);
        used += h->buckets[i];
    }
    assert_int_equal(used, h->count);
    free(h);
}

static void huge_values_count_as_the_largest(void **state)
{
    (void)state;
    struct histogram *h = empty();
    histogram_record(h, UINT64_MAX / 2);
    histogram_record(h, 7);
    assert_int_equal(h->buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_true(histogram_percentile(h, 100) == UINT64_MAX / 2);
    assert_int_equal(histogram_percentile(h, 50), 7);
    free(h);
}

static void merge_equals_recording_all(void **state)
{
    (void)state;
    struct histogram *parts[3] = {empty(), empty(), empty()}, *all = empty(), *merged = empty();
    uint64_t v = 1;
    for (int i = 0; i < 10000; i++) {
        v = v * UINT64_C(6364136223846793005) + 1442695040888963407u;
        histogram_record(parts[i % 2], v >> 40); /* the third stays empty */
        histogram_record(all, v >> 40);
    }
    for (int i = 2; i >= 0; i--) {
        histogram_merge(merged, parts[i]);
        free(parts[i]);
    }
    assert_memory_equal(merged, all, sizeof *all);
    free(all);
    free(merged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_has_no_values),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(error_is_bounded),
        cmocka_unit_test(powers_of_two_are_kept_apart),
        cmocka_unit_test(huge_values_count_as_the_largest),
        cmocka_unit_test(merge_equals_recording_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
