/* core/formats/frame.c: the header's bytes, and everything that can be wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/frame.h"

enum { LEN_MAX = 1000 };

static struct frame_origin origin(void)
{
    struct frame_origin o = {
        .cluster = frame_cluster("demo", 4), .sender = 63, .incarnation = 0xfffffffe, .nonce = 0xfedcba98};
    for (size_t i = 0; i < sizeof o.instance; i++)
        o.instance[i] = (uint8_t)(200 + i);
    return o;
}

static void test_round_trip(void **state)
{
    (void)state;
    const struct frame_origin o = origin();
    uint64_t body[] = {UINT64_C(0x1122334455667788), 0x99};
    uint64_t words[FRAME_HEADER_WORDS];
    frame_encode(&o, body, 9, words);
    struct frame_header header;
    assert_int_equal(frame_parse(words, o.cluster, LEN_MAX, &header), FRAME_OK);
    assert_int_equal(header.len, 9);
    assert_int_equal(header.origin.sender, 63);
    assert_int_equal(header.origin.incarnation, 0xfffffffe);
    assert_int_equal(header.origin.nonce, 0xfedcba98);
    assert_memory_equal(header.origin.instance, o.instance, sizeof o.instance);
    assert_int_equal(frame_check_body(&header, body), FRAME_OK);
}

/* The bytes are a format: they must not change with a refactoring. */
static void test_golden_bytes(void **state)
{
    (void)state;
    struct frame_origin o = {.cluster = UINT64_C(0x0807060504030201), .sender = 2, .incarnation = 3, .nonce = 0x0d0c0b0a};
    memset(o.instance, 0xab, sizeof o.instance);
    uint64_t words[FRAME_HEADER_WORDS];
    frame_encode(&o, NULL, 0, words);
    static const uint8_t expected[FRAME_HEADER_SIZE] = {
        'S',  'Y',  'N',  'F',  3,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, /* the checksum is
                                                                                                        compared by
                                                                                                        frame_parse */
        0x99, 0xe9, 0xd8, 0x51, 0x37, 0xdb, 0x46, 0xef, 1,    2,    3,    4,    5,    6,    7,    8, /* XXH64 of nothing */
        0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0,
        0,    0,    0,    2,    0,    0,    0,    3,    0,    0,    0,    0x0a, 0x0b, 0x0c, 0x0d,
    };
    struct frame_header header;
    assert_int_equal(frame_parse(words, o.cluster, 0, &header), FRAME_OK);
    words[1] = 0;
    assert_memory_equal(words, expected, sizeof expected);
}

static void test_every_flipped_bit_is_found(void **state)
{
    (void)state;
    const struct frame_origin o = origin();
    uint64_t body[2] = {7, 8};
    uint64_t frame[FRAME_HEADER_WORDS + 2];
    frame_encode(&o, body, 16, frame);
    memcpy(frame + FRAME_HEADER_WORDS, body, sizeof body);
    for (size_t bit = 0; bit < sizeof frame * 8; bit++) {
        frame[bit / 64] ^= UINT64_C(1) << bit % 64;
        struct frame_header header;
        enum frame_error error = frame_parse(frame, o.cluster, LEN_MAX, &header);
        if (error == FRAME_OK)
            error = frame_check_body(&header, frame + FRAME_HEADER_WORDS);
        enum frame_error expected = bit < 32 ? FRAME_BAD_MAGIC : bit < 64 ? FRAME_BAD_VERSION : FRAME_BAD_CHECKSUM;
        assert_int_equal(error, expected);
        frame[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct frame_origin o = origin();
    uint64_t body[1] = {5};
    uint64_t words[FRAME_HEADER_WORDS];
    struct frame_header header;
    frame_encode(&o, body, 8, words);
    assert_int_equal(frame_parse(words, o.cluster, 8, &header), FRAME_OK);
    assert_int_equal(frame_parse(words, o.cluster, 7, &header), FRAME_BAD_LENGTH);
    assert_int_equal(frame_parse(words, frame_cluster("other", 5), 8, &header), FRAME_BAD_CLUSTER);
    assert_int_equal(header.origin.sender, 63); /* known, so that a log line can name it */
    const uint32_t senders[] = {0, 64, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        o.sender = senders[i];
        frame_encode(&o, body, 8, words);
        assert_int_equal(frame_parse(words, o.cluster, 8, &header), FRAME_BAD_SENDER);
    }
}

static void test_padding(void **state)
{
    (void)state;
    const struct frame_origin o = origin();
    uint64_t body[] = {UINT64_MAX, UINT64_C(0xffffff)};
    uint64_t words[FRAME_HEADER_WORDS];
    struct frame_header header;
    for (uint32_t len = 8; len <= 16; len++) {
        frame_encode(&o, body, len, words);
        assert_int_equal(frame_parse(words, o.cluster, LEN_MAX, &header), FRAME_OK);
        assert_int_equal(frame_check_body(&header, body), len == 9 || len == 10 ? FRAME_BAD_PADDING : FRAME_OK);
    }
}

static void test_texts(void **state)
{
    (void)state;
    for (int e = FRAME_OK; e < FRAME_ERRORS; e++)
        assert_non_null(frame_error_text((enum frame_error)e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
