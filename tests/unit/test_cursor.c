/* core/base/cursor.h: bounds, stickiness, and what each reader refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/cursor.h"

static void test_numbers_are_little_endian_at_any_offset(void **state)
{
    (void)state;
    uint8_t bytes[14];
    struct write_cursor w = cursor_into(bytes, sizeof bytes);
    cursor_write_u8(&w, 0xfe);
    cursor_write_u32(&w, 0x04030201);
    cursor_write_u64(&w, UINT64_C(0x0c0b0a0908070605));
    cursor_write_u8(&w, 0xff);
    assert_true(cursor_full(&w));
    static const uint8_t expected[] = {0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff};
    assert_memory_equal(bytes, expected, sizeof expected);

    struct read_cursor r = cursor_over(bytes, sizeof bytes);
    assert_int_equal(cursor_read_u8(&r), 0xfe);
    assert_int_equal(cursor_read_u32(&r), 0x04030201);
    assert_int_equal(cursor_read_u64(&r), UINT64_C(0x0c0b0a0908070605));
    assert_false(cursor_finished(&r));
    assert_int_equal(cursor_read_u8(&r), 0xff);
    assert_true(cursor_finished(&r));
}

static void test_reading_past_the_end_fails_for_good(void **state)
{
    (void)state;
    for (size_t len = 0; len < 8; len++) {
        uint8_t *bytes = malloc(len + 1); /* exactly as many as may be touched, for the address sanitizer */
        assert_non_null(bytes);
        bytes = realloc(bytes, len > 0 ? len : 1);
        assert_non_null(bytes);
        memset(bytes, 0xff, len);
        struct read_cursor r = cursor_over(bytes, len);
        assert_int_equal(cursor_read_u64(&r), 0);
        assert_true(r.failed);
        assert_int_equal(cursor_left(&r), 0);
        assert_int_equal(cursor_read_u8(&r), 0); /* one byte would have been there, but what came before was not */
        assert_false(cursor_finished(&r));
        free(bytes);
    }
}

static void test_lengths_near_the_top_do_not_wrap(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    static const size_t lengths[] = {9, SIZE_MAX, SIZE_MAX - 4, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct read_cursor r = cursor_over(bytes, sizeof bytes);
        cursor_read_u32(&r);
        assert_null(cursor_take(&r, lengths[i]));
        assert_true(r.failed);
        struct write_cursor w = cursor_into(bytes, sizeof bytes);
        cursor_write_u32(&w, 1);
        assert_null(cursor_room(&w, lengths[i]));
        assert_true(w.failed);
    }
}

static void test_nothing_to_read(void **state)
{
    (void)state;
    struct read_cursor r = cursor_over(NULL, 0);
    assert_true(cursor_finished(&r));
    assert_non_null(cursor_take(&r, 0));
    assert_true(cursor_finished(&r));
    assert_null(cursor_take(&r, 1));
    assert_false(cursor_finished(&r));
    assert_true(cursor_over(NULL, 1).failed);

    struct write_cursor w = cursor_into(NULL, 0);
    cursor_write_bytes(&w, NULL, 0);
    assert_true(cursor_full(&w));
    cursor_write_u8(&w, 1);
    assert_false(cursor_full(&w));
}

static void test_writing_past_the_end_writes_nothing(void **state)
{
    (void)state;
    uint8_t bytes[8];
    memset(bytes, 0xaa, sizeof bytes);
    struct write_cursor w = cursor_into(bytes, 6);
    cursor_write_u32(&w, 0);
    cursor_write_u32(&w, 0);
    cursor_write_u8(&w, 0); /* would fit, but comes after one that did not */
    assert_true(w.failed);
    assert_false(cursor_full(&w));
    static const uint8_t expected[] = {0, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa};
    assert_memory_equal(bytes, expected, sizeof expected);
}

static void test_words_must_be_those_the_length_takes(void **state)
{
    (void)state;
    uint64_t words[2] = {1, 0xff};
    assert_false(cursor_over_words((struct words){words, 2}, 9).failed);
    assert_false(cursor_over_words((struct words){words, 2}, 16).failed);
    assert_true(cursor_over_words((struct words){words, 2}, 8).failed);
    assert_true(cursor_over_words((struct words){words, 2}, 17).failed);
    assert_true(cursor_over_words((struct words){words, 0}, 1).failed);
    assert_true(cursor_over_words((struct words){words, 0}, UINT32_MAX).failed);
    assert_false(cursor_over_words((struct words){NULL, 0}, 0).failed);
    words[1] = 0x100; /* the tenth byte is not used */
    struct read_cursor r = cursor_over_words((struct words){words, 2}, 9);
    assert_true(r.failed);
    assert_int_equal(cursor_left(&r), 0);
    assert_int_equal(cursor_read_u64(&r), 0);
}

static void test_zeros_and_padding(void **state)
{
    (void)state;
    uint8_t bytes[16];
    memset(bytes, 0xff, sizeof bytes);
    struct write_cursor w = cursor_into(bytes, sizeof bytes);
    cursor_write_u8(&w, 7);
    cursor_write_padding(&w, 8);
    cursor_write_padding(&w, 8); /* aligned already */
    assert_int_equal(w.at, 8);
    cursor_write_u32(&w, 1);
    cursor_write_padding(&w, 8);
    assert_true(cursor_full(&w));
    for (size_t i = 1; i < 8; i++) {
        struct read_cursor r = cursor_over(bytes, sizeof bytes);
        cursor_read_u8(&r);
        cursor_read_padding(&r, 8);
        assert_false(r.failed);
        assert_int_equal(r.at, 8);
        bytes[i] = 1;
        r = cursor_over(bytes, sizeof bytes);
        cursor_read_u8(&r);
        cursor_read_padding(&r, 8);
        assert_true(r.failed);
        bytes[i] = 0;
    }
    struct read_cursor r = cursor_over(bytes, 3);
    cursor_read_u8(&r);
    cursor_read_padding(&r, 4); /* there are only two of three */
    assert_true(r.failed);
}

static void test_kinds_and_nodes_have_limits(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        uint8_t byte = (uint8_t)kind;
        struct read_cursor r = cursor_over(&byte, 1);
        assert_int_equal(cursor_read_kind(&r, 5), kind < 5 ? kind : 0);
        assert_int_equal(r.failed, kind >= 5);
    }
    static const uint32_t nodes[] = {0, 1, NODE_ID_MAX, NODE_ID_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        struct read_cursor r = cursor_over(&nodes[i], 4);
        assert_int_equal(cursor_read_node(&r), nodes[i] <= NODE_ID_MAX ? nodes[i] : 0);
        assert_int_equal(r.failed, nodes[i] > NODE_ID_MAX);
    }
    struct read_cursor empty = cursor_over(NULL, 0);
    assert_int_equal(cursor_read_kind(&empty, 5), 0);
    assert_true(empty.failed);
}

static void test_payloads_stay_in_place(void **state)
{
    (void)state;
    uint64_t words[3];
    uint64_t value[2] = {UINT64_C(0x1111111111111111), UINT64_C(0x2222222222222222)};
    for (uint32_t len = 0; len <= 16; len++) {
        struct payload payload = {.words = {value, words_for(len)}, .len = len};
        struct write_cursor w = cursor_into(words, 8 * (1 + words_for(len)));
        cursor_write_u64(&w, 5);
        cursor_write_payload(&w, &payload);
        assert_true(cursor_full(&w));

        struct read_cursor r = cursor_over(words, 8 * (1 + words_for(len)));
        cursor_read_u64(&r);
        struct payload read = cursor_read_payload(&r, len);
        assert_true(cursor_finished(&r));
        assert_int_equal(read.len, len);
        assert_int_equal(read.words.len, words_for(len));
        assert_ptr_equal(read.words.ptr, len > 0 ? words + 1 : NULL);
        if (len > 0)
            assert_memory_equal(read.words.ptr, value, len);

        r = cursor_over(words, 8 * (1 + words_for(len)));
        cursor_read_u64(&r);
        read = cursor_read_payload(&r, len + 8);
        assert_true(r.failed);
        assert_null(read.words.ptr);
        assert_int_equal(read.len, 0);
    }
}

static void test_a_payload_that_is_not_aligned_is_refused(void **state)
{
    (void)state;
    uint64_t words[3] = {0, 0, 0};
    struct read_cursor r = cursor_over((uint8_t *)words + 4, 16);
    struct payload read = cursor_read_payload(&r, 8);
    assert_true(r.failed);
    assert_null(read.words.ptr);
}

static void test_ballots(void **state)
{
    (void)state;
    struct ballot ballot = {.round = UINT64_MAX - 1, .node = NODE_ID_MAX, .incarnation = UINT32_MAX};
    uint8_t bytes[16];
    struct write_cursor w = cursor_into(bytes, sizeof bytes);
    cursor_write_ballot(&w, ballot);
    assert_true(cursor_full(&w));
    struct read_cursor r = cursor_over(bytes, sizeof bytes);
    assert_int_equal(ballot_compare(cursor_read_ballot(&r), ballot), 0);
    assert_true(cursor_finished(&r));
    bytes[8]++;
    r = cursor_over(bytes, sizeof bytes);
    cursor_read_ballot(&r);
    assert_true(r.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_little_endian_at_any_offset),
        cmocka_unit_test(test_reading_past_the_end_fails_for_good),
        cmocka_unit_test(test_lengths_near_the_top_do_not_wrap),
        cmocka_unit_test(test_nothing_to_read),
        cmocka_unit_test(test_writing_past_the_end_writes_nothing),
        cmocka_unit_test(test_words_must_be_those_the_length_takes),
        cmocka_unit_test(test_zeros_and_padding),
        cmocka_unit_test(test_kinds_and_nodes_have_limits),
        cmocka_unit_test(test_payloads_stay_in_place),
        cmocka_unit_test(test_a_payload_that_is_not_aligned_is_refused),
        cmocka_unit_test(test_ballots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
