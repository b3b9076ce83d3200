/* core/formats/batch.c: batches of commands and packed replies, there and back, and bytes that are neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/batch.h"
#include "tests/unit/random.h"

static struct bytes text(const char *s) { return (struct bytes){(uint8_t *)(uintptr_t)s, strlen(s)}; }

/* A payload in a buffer of exactly its size, so that the address sanitizer sees every step beyond it. */
static struct payload copy_of(const void *bytes, uint32_t len)
{
    size_t words = words_for(len);
    struct payload copy = {.words = {calloc(words > 0 ? words : 1, 8), words}, .len = len};
    assert_non_null(copy.words.ptr);
    if (len > 0)
        memcpy(copy.words.ptr, bytes, len);
    return copy;
}

static void assert_bytes_equal(struct bytes a, struct bytes b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.ptr, b.ptr, a.len);
}

/* ---- Batches ---- */

static void test_batch_golden_bytes(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes set[] = {text("SET"), text("k"), text("")};
    struct bytes ping[] = {text("PING")};
    batch_begin(&b);
    batch_add(&b, set, 3);
    batch_add(&b, ping, 1);
    struct payload value = batch_end(&b);
    batch_port_stamp(&value, 0x1c);
    batch_header_stamp(&value, (struct batch_id){0x11, 0x12, 0x13}, 0x14);
    batch_time_stamp(&value, (struct stamp){{0x15, 0x18}, {0x19, 0x1a, 0x1b}});
    batch_seed_stamp(&value, (struct seed){0x16, 0x17});
    static const uint8_t expected[] = {
        'S', 'B',  '0',  '3',  2,   0,    0,   0,   0x11, 0,    0,    0, 0x12, 0, 0,    0, 0x13, 0,    0,    0,   0, 0, 0,
        0,   0x14, 0,    0,    0,   0x1c, 0,   0,   0,    0x15, 0,    0, 0,    0, 0,    0, 0,    0x18, 0,    0,   0, 0, 0,
        0,   0,    0x19, 0,    0,   0,    0,   0,   0,    0,    0x1a, 0, 0,    0, 0x1b, 0, 0,    0,    0x16, 0,   0, 0, 0,
        0,   0,    0,    0x17, 0,   0,    0,   0,   0,    0,    0,    3, 0,    0, 0,    3, 0,    0,    0,    1,   0, 0, 0,
        0,   0,    0,    0,    'S', 'E',  'T', 'k', 1,    0,    0,    0, 4,    0, 0,    0, 'P',  'I',  'N',  'G',
    };
    assert_int_equal(value.len, sizeof expected);
    assert_int_equal(value.words.len, words_for(sizeof expected));
    assert_memory_equal(value.words.ptr, expected, sizeof expected);
    batch_builder_free(&b);
}

static void test_batch_there_and_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    struct batch_builder b = {0};
    struct batch_commands read = {0};
    for (unsigned round = 0; round < 200; round++) {
        enum { COMMANDS_MAX = 20, ARGS_MAX = 7, LEN_MAX = 40 };
        static uint8_t data[COMMANDS_MAX][ARGS_MAX][LEN_MAX];
        struct bytes args[COMMANDS_MAX][ARGS_MAX];
        size_t argc[COMMANDS_MAX], count = random_below(&seed, COMMANDS_MAX + 1);
        batch_begin(&b);
        for (size_t i = 0; i < count; i++) {
            argc[i] = 1 + random_below(&seed, ARGS_MAX);
            for (size_t j = 0; j < argc[i]; j++) {
                args[i][j] = (struct bytes){data[i][j], random_below(&seed, LEN_MAX + 1)};
                for (size_t k = 0; k < args[i][j].len; k++)
                    data[i][j][k] = (uint8_t)random_next(&seed);
            }
            batch_add(&b, args[i], argc[i]);
        }
        struct payload value = batch_end(&b);
        struct payload copy = copy_of(value.words.ptr, value.len);
        assert_memory_equal(copy.words.ptr, value.words.ptr, value.words.len * 8); /* zeros after the end */

        assert_true(batch_commands_read(&read, &copy));
        assert_int_equal(read.count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(read.commands[i].args.len, argc[i]);
            for (size_t j = 0; j < argc[i]; j++) {
                struct bytes arg = read.commands[i].args.ptr[j];
                assert_bytes_equal(arg, args[i][j]);
                assert_true(arg.ptr >= payload_bytes(&copy) && arg.ptr + arg.len <= payload_bytes(&copy) + copy.len);
            }
        }
        free(copy.words.ptr);
    }
    batch_builder_free(&b);
    batch_commands_free(&read);
}

static void test_batch_header(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct batch_header header;
    batch_begin(&b);
    struct payload value = batch_end(&b);
    assert_int_equal(value.len, BATCH_HEADER_SIZE);
    assert_true(batch_header_read(&value, &header));
    assert_int_equal(header.count, 0);
    assert_int_equal(header.id.origin, 0);
    assert_int_equal(header.id.number, 0);
    assert_int_equal(header.answerer, 0);
    assert_true(header.has_stamp && header.stamp.moment.elapsed == 0 && header.stamp.ballot.round == 0);

    struct bytes ping = text("PING");
    batch_add(&b, &ping, 1);
    value = batch_end(&b);
    struct batch_id id = {NODE_ID_MAX, UINT32_MAX, UINT64_MAX};
    batch_port_stamp(&value, UINT32_MAX - 2);
    batch_header_stamp(&value, id, NODE_ID_MAX);
    const struct stamp stamp = {{UINT64_MAX - 1, UINT64_MAX - 2}, {UINT64_MAX - 3, UINT32_MAX, UINT32_MAX - 1}};
    batch_time_stamp(&value, stamp);
    assert_true(batch_header_read(&value, &header));
    assert_int_equal(header.count, 1);
    assert_true(batch_id_equal(header.id, id));
    assert_int_equal(header.answerer, NODE_ID_MAX);
    assert_int_equal(header.port_number, UINT32_MAX - 2);
    assert_true(header.stamp.moment.elapsed == stamp.moment.elapsed && header.stamp.moment.unix == stamp.moment.unix);
    assert_int_equal(ballot_compare(header.stamp.ballot, stamp.ballot), 0);
    assert_true(header.seed.low == 0 && header.seed.high == 0);
    batch_seed_stamp(&value, (struct seed){UINT64_MAX, 1});
    assert_true(batch_header_read(&value, &header));
    assert_true(header.seed.low == UINT64_MAX && header.seed.high == 1 && header.stamp.ballot.node == UINT32_MAX);
    batch_builder_free(&b);
}

static void test_a_builder_can_be_used_again(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct batch_commands read = {0};
    struct bytes ping = text("PING"), echo[] = {text("ECHO"), text("hello")};
    batch_add(&b, &ping, 1); /* a zeroed builder is an empty batch */
    struct payload value = batch_end(&b);
    assert_true(batch_commands_read(&read, &value));
    assert_int_equal(read.count, 1);
    batch_add(&b, echo, 2); /* and goes on after batch_end */
    value = batch_end(&b);
    assert_true(batch_commands_read(&read, &value));
    assert_int_equal(read.count, 2);
    assert_bytes_equal(read.commands[1].args.ptr[1], text("hello"));
    batch_begin(&b);
    batch_add(&b, echo, 2);
    value = batch_end(&b);
    assert_true(batch_commands_read(&read, &value));
    assert_int_equal(read.count, 1);
    assert_int_equal(read.commands[0].args.len, 2);
    batch_builder_free(&b);
    value = batch_end(&b);
    assert_true(batch_commands_read(&read, &value));
    assert_int_equal(read.count, 0);
    batch_builder_free(&b);
    batch_commands_free(&read);
}

static void test_large_arguments_and_many(void **state)
{
    (void)state;
    enum { MANY = 5000, LARGE = 1 << 20 };
    struct batch_builder b = {0};
    struct batch_commands read = {0};
    struct bytes large = {calloc(1, LARGE), LARGE}, *many = calloc(MANY, sizeof *many);
    assert_non_null(large.ptr);
    assert_non_null(many);
    large.ptr[LARGE - 1] = 7;
    for (size_t i = 0; i < MANY; i++)
        many[i] = (struct bytes){large.ptr + LARGE - 1, i % 2};
    batch_begin(&b);
    batch_add(&b, &large, 1);
    batch_add(&b, many, MANY);
    batch_add(&b, many, MANY);
    struct payload value = batch_end(&b);
    assert_true(batch_commands_read(&read, &value));
    assert_int_equal(read.count, 3);
    assert_bytes_equal(read.commands[0].args.ptr[0], large);
    assert_int_equal(read.commands[2].args.len, MANY);
    assert_bytes_equal(read.commands[2].args.ptr[MANY - 1], many[1]);
    assert_ptr_equal(read.commands[2].args.ptr, read.commands[1].args.ptr + MANY);
    free(many);
    free(large.ptr);
    batch_builder_free(&b);
    batch_commands_free(&read);
}

/* Two commands, five arguments, some padding. */
static struct payload sound_batch(struct batch_builder *b)
{
    struct bytes set[] = {text("SET"), text("key"), text("")};
    struct bytes get[] = {text("GET"), text("another")};
    batch_begin(b);
    batch_add(b, set, 3);
    batch_add(b, get, 2);
    struct payload value = batch_end(b);
    batch_header_stamp(&value, (struct batch_id){1, 2, 3}, 4);
    batch_time_stamp(&value, (struct stamp){{5, 6}, {7, 8, 9}});
    return copy_of(value.words.ptr, value.len);
}

static bool read_alone(const struct payload *value)
{
    struct batch_commands read = {0};
    bool sound = batch_commands_read(&read, value);
    if (!sound)
        assert_int_equal(read.count, 0);
    batch_commands_free(&read);
    return sound;
}

static void test_batch_truncated_anywhere_and_too_long(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct payload sound = sound_batch(&b);
    uint8_t longer[256] = {0};
    memcpy(longer, sound.words.ptr, sound.len);
    for (uint32_t len = 0; len <= sound.len + 16; len++) {
        struct payload value = copy_of(longer, len);
        struct batch_header header;
        assert_int_equal(read_alone(&value), len == sound.len);
        if (len < BATCH_HEADER_SIZE)
            assert_false(batch_header_read(&value, &header));
        free(value.words.ptr);
    }
    sound.words.len++;
    assert_false(read_alone(&sound));
    free(sound.words.ptr);
    batch_builder_free(&b);
}

/* False when it is no batch; when it is one, and not of an earlier version, building it again gives the same bytes. */
static bool batch_is_sound(const struct payload *value)
{
    struct batch_commands read = {0};
    struct batch_builder b = {0};
    bool sound = batch_commands_read(&read, value);
    if (sound) {
        struct batch_header header;
        assert_true(batch_header_read(value, &header));
        assert_true(header.id.origin <= NODE_ID_MAX && header.answerer <= NODE_ID_MAX);
        if (!header.has_stamp) {
            batch_commands_free(&read);
            return sound;
        }
        batch_begin(&b);
        for (size_t i = 0; i < read.count; i++)
            batch_add(&b, read.commands[i].args.ptr, read.commands[i].args.len);
        struct payload again = batch_end(&b);
        batch_header_stamp(&again, header.id, header.answerer);
        batch_port_stamp(&again, header.port_number);
        batch_time_stamp(&again, header.stamp);
        batch_seed_stamp(&again, header.seed);
        assert_int_equal(again.len, value->len);
        assert_memory_equal(again.words.ptr, value->words.ptr, value->words.len * 8);
    }
    batch_builder_free(&b);
    batch_commands_free(&read);
    return sound;
}

static void test_batch_every_flipped_bit(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct payload value = sound_batch(&b);
    uint8_t *bytes = payload_bytes(&value);
    for (size_t i = 0; i < value.words.len * 8; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            bool accepted = batch_is_sound(&value);
            if (i < 8 || i >= value.len) /* magic, count, unused */
                assert_false(accepted);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    assert_true(batch_is_sound(&value));
    free(value.words.ptr);
    batch_builder_free(&b);
}

static void test_batch_each_thing_that_can_be_wrong(void **state)
{
    (void)state;
    enum { FIRST = BATCH_HEADER_SIZE }; /* argc 3, lengths 3 3 0, "SETkey", two zeros */
    static const struct {
        uint32_t offset;
        uint32_t value;
    } wrong[] = {
        {0, 0x31304253},
        {4, 0},
        {4, 1},
        {4, 3},
        {4, UINT32_MAX},
        {8, 64},
        {24, 64},
        {FIRST, 0},
        {FIRST, 1},
        {FIRST, 4},
        {FIRST, UINT32_MAX},
        {FIRST, UINT32_MAX / 4},
        {FIRST + 4, UINT32_MAX},
        {FIRST + 4, UINT32_MAX - 2},
        {FIRST + 12, 64},
        {FIRST + 20, 0x01007965}, /* "ey", then padding that is not zero */
    };
    struct batch_builder b = {0};
    struct payload sound = sound_batch(&b);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct payload value = copy_of(sound.words.ptr, sound.len);
        assert_true(read_alone(&value));
        memcpy(payload_bytes(&value) + wrong[i].offset, &wrong[i].value, 4);
        assert_false(read_alone(&value));
        free(value.words.ptr);
    }
    struct payload nothing = {0};
    assert_false(read_alone(&nothing));
    free(sound.words.ptr);
    batch_builder_free(&b);
}

static void test_batch_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 2;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t words[30] = {round % 8 == 5 ? 0x32304253 : 0x33304253, random_below(&seed, 3)};
        for (size_t i = 16; i < 30; i++)
            words[i] = round % 2 == 0 ? random_below(&seed, 4) : (uint32_t)random_next(&seed);
        if (round % 16 == 0)
            words[random_below(&seed, 30)] = (uint32_t)random_next(&seed);
        struct payload value = copy_of(words, round % 4 == 3 ? random_below(&seed, 121) : 64 + 4 * random_below(&seed, 9));
        accepted += batch_is_sound(&value);
        free(value.words.ptr);
    }
    assert_true(accepted > 20 && accepted < 10000); /* both sides of the border were visited */
}

/* ---- Replies ---- */

static void test_replies_golden_bytes(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct scalar elements[] = {{.tag = REPLY_NIL}, {.tag = REPLY_BYTES, .val.bytes = text("x")}};
    struct reply replies[] = {
        {.tag = REPLY_STATUS, .val.bytes = text("OK")}, {.tag = REPLY_ARRAY, .val.array = {elements, 2}},
        {.tag = REPLY_INTEGER, .val.integer = -2},      {.tag = REPLY_ERROR, .val.bytes = text("ERR")},
        {.tag = REPLY_RAW, .val.bytes = text("")},
    };
    struct payload packed = replies_pack(&b, replies, 5);
    static const uint8_t expected[] = {
        'S',  'R',  '0',  '1',  5,    0,    0,    0,    1, 0, 0, 0, 2, 0, 0, 0, 'O', 'K', 0,   0, 5, 0, 0, 0, 2, 0, 0, 0,
        0,    0,    0,    0,    0,    0,    0,    0,    3, 0, 0, 0, 1, 0, 0, 0, 'x', 0,   0,   0, 2, 0, 0, 0, 8, 0, 0, 0,
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0, 3, 0, 0, 0, 'E', 'R', 'R', 0, 6, 0, 0, 0, 0, 0, 0, 0,
    };
    assert_int_equal(packed.len, sizeof expected);
    assert_memory_equal(packed.words.ptr, expected, sizeof expected);
    assert_int_equal(replies_count(&packed), 5);
    batch_builder_free(&b);
}

static void assert_next(const struct payload *packed, size_t *offset, uint8_t tag, struct bytes bytes)
{
    struct reply_item item;
    assert_true(replies_next(packed, offset, &item));
    assert_int_equal(item.tag, tag);
    assert_bytes_equal(item.bytes, bytes);
}

static void test_replies_there_and_back(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct scalar elements[] = {
        {.tag = REPLY_INTEGER, .val.integer = INT64_MIN}, {.tag = REPLY_NIL}, {.tag = REPLY_ERROR, .val.bytes = text("E")}};
    struct reply replies[] = {
        {.tag = REPLY_NIL},
        {.tag = REPLY_STATUS, .val.bytes = text("OK")},
        {.tag = REPLY_ARRAY, .val.array = {elements, 3}},
        {.tag = REPLY_ARRAY, .val.array = {NULL, 0}},
        {.tag = REPLY_INTEGER, .val.integer = INT64_MAX},
        {.tag = REPLY_BYTES, .val.bytes = text("value")},
        {.tag = REPLY_BYTES, .val.bytes = {NULL, 0}},
        {.tag = REPLY_RAW, .val.bytes = text("*0\r\n")},
    };
    struct payload value = replies_pack(&b, replies, 8);
    struct payload packed = copy_of(value.words.ptr, value.len);
    assert_int_equal(replies_count(&packed), 8);

    struct reply_item item;
    struct bytes none = {0};
    size_t offset = 0;
    assert_next(&packed, &offset, REPLY_NIL, none);
    assert_next(&packed, &offset, REPLY_STATUS, text("OK"));
    assert_true(replies_next(&packed, &offset, &item));
    assert_int_equal(item.tag, REPLY_ARRAY);
    assert_int_equal(item.elements, 3);
    assert_true(replies_next(&packed, &offset, &item));
    assert_int_equal(item.tag, REPLY_INTEGER);
    assert_true(item.integer == INT64_MIN);
    assert_next(&packed, &offset, REPLY_NIL, none);
    assert_next(&packed, &offset, REPLY_ERROR, text("E"));
    assert_true(replies_next(&packed, &offset, &item));
    assert_int_equal(item.tag, REPLY_ARRAY);
    assert_int_equal(item.elements, 0);
    assert_true(replies_next(&packed, &offset, &item));
    assert_true(item.integer == INT64_MAX);
    assert_next(&packed, &offset, REPLY_BYTES, text("value"));
    assert_next(&packed, &offset, REPLY_BYTES, none);
    assert_next(&packed, &offset, REPLY_RAW, text("*0\r\n"));
    assert_int_equal(offset, packed.len);
    assert_false(replies_next(&packed, &offset, &item));
    free(packed.words.ptr);

    value = replies_pack(&b, NULL, 0);
    offset = 0;
    assert_int_equal(value.len, REPLIES_HEADER_SIZE);
    assert_int_equal(replies_count(&value), 0);
    assert_false(replies_next(&value, &offset, &item));
    batch_builder_free(&b);
}

static struct payload sound_replies(struct batch_builder *b)
{
    struct scalar elements[] = {{.tag = REPLY_INTEGER, .val.integer = 1}, {.tag = REPLY_STATUS, .val.bytes = text("abc")}};
    struct reply replies[] = {
        {.tag = REPLY_BYTES, .val.bytes = text("abcde")},
        {.tag = REPLY_ARRAY, .val.array = {elements, 2}},
        {.tag = REPLY_NIL},
    };
    struct payload packed = replies_pack(b, replies, 3);
    return copy_of(packed.words.ptr, packed.len);
}

/* Walks as far as it goes; no array may announce elements that do not follow. Returns the replies seen outside arrays. */
static uint32_t walk(const struct payload *packed)
{
    struct reply_item item;
    size_t offset = 0;
    uint32_t seen = 0;
    for (; replies_next(packed, &offset, &item); seen++) {
        assert_true(item.tag < REPLY_TAGS && offset <= packed->len);
        uint32_t elements = item.tag == REPLY_ARRAY ? item.elements : 0;
        for (uint32_t i = 0; i < elements; i++) {
            assert_true(replies_next(packed, &offset, &item));
            uint32_t inner = item.tag == REPLY_ARRAY ? item.elements : 0;
            for (uint32_t k = 0; k < inner; k++) {
                assert_true(replies_next(packed, &offset, &item));
                assert_true(item.tag < REPLY_ARRAY);
            }
        }
    }
    return seen;
}

static void test_replies_truncated_anywhere_and_too_long(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct payload sound = sound_replies(&b);
    uint8_t longer[256] = {0};
    memcpy(longer, sound.words.ptr, sound.len);
    for (uint32_t len = 0; len <= sound.len + 16; len++) {
        struct payload packed = copy_of(longer, len);
        assert_int_equal(replies_count(&packed), len == sound.len ? 3 : 0);
        uint32_t seen = walk(&packed);
        if (len < sound.len)
            assert_true(seen < 3);
        free(packed.words.ptr);
    }
    free(sound.words.ptr);
    batch_builder_free(&b);
}

static void test_replies_every_flipped_bit(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct payload packed = sound_replies(&b);
    uint8_t *bytes = payload_bytes(&packed);
    for (size_t i = 0; i < packed.words.len * 8; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            uint32_t count = replies_count(&packed), seen = walk(&packed);
            if (count > 0)
                assert_int_equal(seen, count);
            if (i < 8) /* magic, count */
                assert_int_equal(count, 0);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(replies_count(&packed), 3);
    free(packed.words.ptr);
    batch_builder_free(&b);
}

static void test_replies_that_are_wrong(void **state)
{
    (void)state;
    static const struct {
        uint32_t len;
        uint32_t words[12];
    } wrong[] = {
        {16, {0x31305253, 1, REPLY_TAGS, 0}},                         /* no such tag */
        {16, {0x31305253, 1, 256, 0}},                                /* a tag has 32 bits */
        {16, {0x31305253, 2, REPLY_NIL, 0}},                          /* fewer than the count says */
        {24, {0x31305253, 1, REPLY_NIL, 0, REPLY_NIL, 0}},            /* more */
        {20, {0x31305253, 1, REPLY_NIL, 4, 0}},                       /* nil with bytes */
        {20, {0x31305253, 1, REPLY_INTEGER, 4, 0}},                   /* half an integer */
        {24, {0x31305253, 1, REPLY_INTEGER, 0, 0, 0}},                /* an integer of no length */
        {16, {0x31305253, 1, REPLY_BYTES, UINT32_MAX}},               /* beyond the end */
        {20, {0x31305253, 1, REPLY_BYTES, 1, 0x4141}},                /* padding */
        {16, {0x31305253, 1, REPLY_ARRAY, 1}},                        /* an array that lacks its element */
        {24, {0x31305253, 1, REPLY_ARRAY, UINT32_MAX, REPLY_NIL, 0}}, /* many of them */
        {24, {0x31305253, 1, REPLY_ARRAY, 1, REPLY_ARRAY, 1}},        /* the same of an array in an array */
        {40, {0x31305253, 1, REPLY_ARRAY, 1, REPLY_ARRAY, 1, REPLY_ARRAY, 1, REPLY_NIL, 0}}, /* an array in that one */
        {32, {0x31305253, 1, REPLY_ARRAY, 1, REPLY_ARRAY, 1, REPLY_RAW, 0}},                 /* raw in it */
        {20, {0x31305253, 1, REPLY_NIL_ARRAY, 4, 0}},                                        /* nil with bytes */
        {16, {0x32304253, 1, REPLY_NIL, 0}},                                                 /* another magic */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct payload packed = copy_of(wrong[i].words, wrong[i].len);
        assert_int_equal(replies_count(&packed), 0);
        walk(&packed);
        free(packed.words.ptr);
    }
    struct payload nothing = {0};
    assert_int_equal(replies_count(&nothing), 0);
    assert_int_equal(walk(&nothing), 0);
    struct batch_builder b = {0};
    struct payload packed = sound_replies(&b);
    struct reply_item item;
    size_t offsets[] = {1, 7, packed.len, (size_t)packed.len + 8, SIZE_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
        assert_false(replies_next(&packed, &offsets[i], &item));
    free(packed.words.ptr);
    batch_builder_free(&b);
}

static void test_replies_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 3;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t words[14] = {0x31305253, 1 + random_below(&seed, 3)};
        for (size_t i = 2; i < 14; i++)
            words[i] = random_below(&seed, 8) == 0 ? (uint32_t)random_next(&seed) : random_below(&seed, 8);
        struct payload packed = copy_of(words, 8 + 4 * random_below(&seed, 13));
        uint32_t count = replies_count(&packed), seen = walk(&packed);
        if (count > 0) {
            assert_int_equal(seen, count);
            accepted++;
        }
        free(packed.words.ptr);
    }
    assert_true(accepted > 20 && accepted < 10000); /* both sides of the border were visited */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_golden_bytes),
        cmocka_unit_test(test_batch_there_and_back),
        cmocka_unit_test(test_batch_header),
        cmocka_unit_test(test_a_builder_can_be_used_again),
        cmocka_unit_test(test_large_arguments_and_many),
        cmocka_unit_test(test_batch_truncated_anywhere_and_too_long),
        cmocka_unit_test(test_batch_every_flipped_bit),
        cmocka_unit_test(test_batch_each_thing_that_can_be_wrong),
        cmocka_unit_test(test_batch_random_bytes),
        cmocka_unit_test(test_replies_golden_bytes),
        cmocka_unit_test(test_replies_there_and_back),
        cmocka_unit_test(test_replies_truncated_anywhere_and_too_long),
        cmocka_unit_test(test_replies_every_flipped_bit),
        cmocka_unit_test(test_replies_that_are_wrong),
        cmocka_unit_test(test_replies_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
