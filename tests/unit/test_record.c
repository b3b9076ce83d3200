/* core/formats/record.c: every kind there and back, which packet kinds are sticky, and bytes that are no record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/record.h"
#include "tests/unit/random.h"

enum { VALUE_WORDS_MAX = 6, WORDS_MAX = RECORD_HEADER_SIZE / 8 + VALUE_WORDS_MAX };

static const struct {
    uint8_t record;
    uint32_t packet;
} kinds[] = {
    {RECORD_PROMISED, 128}, {RECORD_ACCEPTED, 1}, {RECORD_LEARNED, 2}, {RECORD_CHOSEN, 131}, {RECORD_FLOOR, 132},
};

static struct log_record sample(uint64_t *seed, uint8_t kind, uint64_t value[VALUE_WORDS_MAX], uint32_t len)
{
    memset(value, 0, VALUE_WORDS_MAX * sizeof *value);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)value)[i] = (uint8_t)random_next(seed);
    return (struct log_record){
        .lsn = random_next(seed),
        .kind = kind,
        .to = random_next(seed),
        .entry =
            {
                .slot = random_next(seed),
                .ballot = {random_next(seed), random_below(seed, NODE_ID_MAX + 1), (uint32_t)random_next(seed)},
                .kind = (uint8_t)random_below(seed, ENTRY_KINDS),
                .value = {{value, words_for(len)}, len},
            },
    };
}

static void test_every_kind_there_and_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    assert_int_equal(sizeof kinds / sizeof kinds[0], RECORD_KINDS);
    for (size_t k = 0; k < RECORD_KINDS; k++)
        for (uint32_t len = 0; len <= 8 * VALUE_WORDS_MAX; len++) {
            uint64_t value[VALUE_WORDS_MAX], words[WORDS_MAX];
            struct log_record record = sample(&seed, kinds[k].record, value, len), read;
            struct packet packet;
            record_encode(&record, words, &packet);
            assert_int_equal(packet.id, record.lsn);
            assert_int_equal(packet.kind, kinds[k].packet);
            assert_int_equal(packet.len, record_size(&record));
            assert_int_equal(packet.len, RECORD_HEADER_SIZE + (len + 7) / 8 * 8);
            assert_int_equal(packet.words.len * 8, packet.len);
            assert_ptr_equal(packet.words.ptr, words);

            assert_true(record_decode(&packet, &read));
            assert_int_equal(read.lsn, record.lsn);
            assert_int_equal(read.kind, record.kind);
            assert_int_equal(read.to, record.to);
            assert_int_equal(read.entry.slot, record.entry.slot);
            assert_int_equal(ballot_compare(read.entry.ballot, record.entry.ballot), 0);
            assert_int_equal(read.entry.kind, record.entry.kind);
            assert_int_equal(read.entry.value.len, len);
            assert_int_equal(read.entry.value.words.len, words_for(len));
            if (len > 0) { /* the value is used where it lies */
                assert_ptr_equal(read.entry.value.words.ptr, words + RECORD_HEADER_SIZE / 8);
                assert_memory_equal(read.entry.value.words.ptr, value, 8 * words_for(len));
            }
        }
}

/* The bytes are on disks: they must not change with a refactoring. */
static void test_golden_bytes(void **state)
{
    (void)state;
    uint64_t value = 0x0706050403, words[6];
    struct log_record record = {
        .lsn = 77,
        .kind = RECORD_ACCEPTED,
        .to = 0x14,
        .entry = {.slot = 0x13, .ballot = {0x10, 0x11, 0x12}, .kind = ENTRY_CONFIGURATION, .value = {{&value, 1}, 5}},
    };
    static const uint8_t expected[] = {
        0x10, 0, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0x12, 0, 0, 0, 0x13, 0, 0, 0, 0, 0, 0, 0,
        0x14, 0, 0, 0, 0, 0, 0, 0, 2,    0, 0, 0, 5,    0, 0, 0, 3,    4, 5, 6, 7, 0, 0, 0,
    };
    struct packet packet;
    record_encode(&record, words, &packet);
    assert_int_equal(packet.len, sizeof expected);
    assert_memory_equal(words, expected, sizeof expected);
}

static void test_only_the_packet_kinds_of_records(void **state)
{
    (void)state;
    uint64_t words[RECORD_HEADER_SIZE / 8] = {0};
    for (uint32_t kind = 0; kind < 1024; kind++) {
        struct packet packet = {.id = 1, .kind = kind, .len = sizeof words, .words = {words, sizeof words / 8}};
        struct log_record record;
        bool expected = false;
        for (size_t k = 0; k < RECORD_KINDS; k++)
            expected = expected || kinds[k].packet == kind || kind == RECORD_CHOSEN; /* as version 0.1.0 has it */
        assert_int_equal(record_decode(&packet, &record), expected);
    }
    struct packet packet = {.id = 1, .kind = UINT32_MAX, .len = sizeof words, .words = {words, sizeof words / 8}};
    struct log_record record;
    assert_false(record_decode(&packet, &record));
}

static void test_truncated_anywhere_and_too_long(void **state)
{
    (void)state;
    uint64_t seed = 2, value[VALUE_WORDS_MAX], words[WORDS_MAX + 1] = {0};
    struct log_record record = sample(&seed, RECORD_LEARNED, value, 21), read;
    struct packet packet;
    record_encode(&record, words, &packet);
    for (uint32_t len = 0; len < packet.len + 9; len++) {
        size_t count = words_for(len);
        struct packet cut = {.id = 1, .kind = packet.kind, .len = len, .words = {calloc(count + (count == 0), 8), count}};
        assert_non_null(cut.words.ptr);
        memcpy(cut.words.ptr, words, len);
        assert_int_equal(record_decode(&cut, &read), len == packet.len);
        free(cut.words.ptr);
    }
    packet.words.len++;
    assert_false(record_decode(&packet, &read));
}

/* False when it is no record; when it is one, its kinds are known ones and it encodes to the same bytes. */
static bool decode_is_sound(const struct packet *packet)
{
    struct log_record record;
    if (!record_decode(packet, &record))
        return false;
    assert_true(record.kind < RECORD_KINDS && record.entry.kind < ENTRY_KINDS);
    assert_true(record.entry.ballot.node <= NODE_ID_MAX);
    uint64_t words[WORDS_MAX];
    struct packet again;
    assert_int_equal(record_size(&record), packet->len);
    record_encode(&record, words, &again);
    assert_int_equal(again.kind, packet->kind);
    assert_memory_equal(words, packet->words.ptr, packet->len);
    return true;
}

static void test_every_flipped_bit(void **state)
{
    (void)state;
    uint64_t seed = 3, value[VALUE_WORDS_MAX], words[WORDS_MAX];
    struct log_record record = sample(&seed, RECORD_ACCEPTED, value, 13);
    record.entry.ballot.node = 5;
    record.entry.kind = ENTRY_COMMANDS;
    struct packet packet;
    record_encode(&record, words, &packet);
    uint8_t *bytes = (uint8_t *)words;
    for (uint32_t i = 0; i < packet.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            /* What is free to be anything: round, incarnation, slot, to, the value. The rest has few good values. */
            bool free_field = i < 8 || (i >= 12 && i < 32) || (i >= 40 && i < 53);
            bool few = (i == 8 && bit < 6) || (i == 32 && bit < 2) || (i == 36 && bit < 2);
            bool accepted = decode_is_sound(&packet);
            if (free_field)
                assert_true(accepted);
            else if (!few)
                assert_false(accepted);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    assert_true(decode_is_sound(&packet));
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 4;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t words[WORDS_MAX];
        for (size_t i = 0; i < WORDS_MAX; i++)
            words[i] = random_next(&seed);
        if (round % 2 == 0) { /* a plausible header */
            words[1] &= UINT64_C(0xffffffff0000003f);
            words[4] = (words[4] & 3) | (words[4] >> 60 << 32);
        }
        uint32_t len = random_below(&seed, (uint32_t)sizeof words + 1);
        if (round % 2 == 0)
            len = len / 8 * 8;
        struct packet packet = {
            .kind = round % 8 == 0 ? random_below(&seed, 140) : 2, .len = len, .words = {words, words_for(len)}};
        accepted += decode_is_sound(&packet);
    }
    assert_true(accepted > 20 && accepted < 10000); /* both sides of the border were visited */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_there_and_back),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_only_the_packet_kinds_of_records),
        cmocka_unit_test(test_truncated_anywhere_and_too_long),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
