/* core/formats/serializer.c: every kind there and back, and whatever else may stand in a body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/serializer.h"
#include "tests/unit/random.h"

enum { HEADER = 72, ENTRY = 32, ENTRIES_MAX = 6, VALUE_WORDS_MAX = 8 };

struct sample {
    struct outgoing outgoing;
    struct entry entries[ENTRIES_MAX];
    uint64_t values[ENTRIES_MAX][VALUE_WORDS_MAX];
};

static struct ballot random_ballot(uint64_t *seed)
{
    return (struct ballot){random_next(seed), random_below(seed, NODE_ID_MAX + 1), (uint32_t)random_next(seed)};
}

/* A message of `kind` in which every field is set. */
static void sample_fill(struct sample *s, uint64_t *seed, uint8_t kind, size_t entries)
{
    *s = (struct sample){0};
    s->outgoing.to = random_next(seed);
    s->outgoing.after = random_next(seed); /* does not travel */
    s->outgoing.message = (struct message){
        .kind = kind,
        .flags = (uint8_t)random_below(seed, 128),
        .ballot = random_ballot(seed),
        .from = random_next(seed),
        .to = random_next(seed),
        .floor = random_next(seed),
        .chosen = random_next(seed),
        .batch = {random_below(seed, NODE_ID_MAX + 1), (uint32_t)random_next(seed), random_next(seed)},
        .entries = {s->entries, entries},
    };
    for (size_t i = 0; i < entries; i++) {
        uint32_t len = random_below(seed, 8 * VALUE_WORDS_MAX + 1);
        s->entries[i] = (struct entry){
            .slot = random_next(seed),
            .ballot = random_ballot(seed),
            .kind = (uint8_t)random_below(seed, ENTRY_KINDS),
            .value = {{s->values[i], words_for(len)}, len},
        };
        for (uint32_t byte = 0; byte < len; byte++)
            ((uint8_t *)s->values[i])[byte] = (uint8_t)random_next(seed);
    }
}

static void assert_ballot_equal(struct ballot a, struct ballot b)
{
    assert_int_equal(a.round, b.round);
    assert_int_equal(a.node, b.node);
    assert_int_equal(a.incarnation, b.incarnation);
}

static void assert_message_equal(const struct message *a, const struct message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_ballot_equal(a->ballot, b->ballot);
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->floor, b->floor);
    assert_int_equal(a->chosen, b->chosen);
    assert_true(batch_id_equal(a->batch, b->batch));
    assert_int_equal(a->entries.len, b->entries.len);
    for (size_t i = 0; i < a->entries.len; i++) {
        const struct entry *x = &a->entries.ptr[i], *y = &b->entries.ptr[i];
        assert_int_equal(x->slot, y->slot);
        assert_ballot_equal(x->ballot, y->ballot);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->value.len, y->value.len);
        assert_int_equal(x->value.words.len, y->value.words.len);
        if (x->value.len > 0)
            assert_memory_equal(x->value.words.ptr, y->value.words.ptr, x->value.words.len * 8);
    }
}

/* A body in a buffer of exactly its size, so that the address sanitizer sees every step beyond it. */
static struct packet body_copy(const void *bytes, uint32_t len, uint32_t sender)
{
    size_t words = words_for(len);
    struct packet copy = {.id = sender, .len = len, .words = {calloc(words > 0 ? words : 1, 8), words}};
    assert_non_null(copy.words.ptr);
    memcpy(copy.words.ptr, bytes, len);
    return copy;
}

static void test_every_kind_there_and_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    struct serializer *out = serializer_new(), *in = serializer_new();
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++)
        for (size_t entries = 0; entries <= ENTRIES_MAX; entries++) {
            struct sample sample;
            sample_fill(&sample, &seed, kind, entries);
            struct packet_list packets = serializer_encode(out, &sample.outgoing, 1);
            assert_int_equal(packets.len, 1);
            assert_int_equal(packets.ptr[0].id, sample.outgoing.to);
            assert_int_equal(packets.ptr[0].kind, 0);
            assert_int_equal(packets.ptr[0].len, packets.ptr[0].words.len * 8);

            struct packet body = packets.ptr[0];
            body.id = 1 + kind;
            struct decoded decoded = serializer_decode(in, &body, 1);
            assert_int_equal(decoded.bad.len, 0);
            assert_int_equal(decoded.messages.len, 1);
            assert_int_equal(decoded.messages.ptr[0].sender, 1 + kind);
            assert_message_equal(&decoded.messages.ptr[0].message, &sample.outgoing.message);
        }
    serializer_free(out);
    serializer_free(in);
}

/* The bytes are a format: they must not change with a refactoring. */
static void test_golden_bytes(void **state)
{
    (void)state;
    uint64_t value[2] = {UINT64_C(0x8877665544332211), 0x99};
    struct entry entry = {.slot = 0x30, .ballot = {0x31, 0x32, 0x33}, .kind = ENTRY_UPGRADE, .value = {{value, 2}, 9}};
    struct outgoing outgoing = {
        .to = 0xff,
        .message = {.kind = MESSAGE_LEARN,
                    .flags = MESSAGE_IS_CHOSEN,
                    .ballot = {0x21, 0x22, 0x23},
                    .from = 0x24,
                    .to = 0x25,
                    .floor = 0x26,
                    .chosen = 0x27,
                    .batch = {0x28, 0x29, 0x2a},
                    .entries = {&entry, 1}},
    };
    static const uint8_t expected[] = {
        11,   16, 6, 0, 1, 0, 0, 0, 0x21, 0,    0,    0,    0,    0,    0,    0,    0x22, 0, 0, 0, 0x23, 0, 0, 0,
        0x24, 0,  0, 0, 0, 0, 0, 0, 0x25, 0,    0,    0,    0,    0,    0,    0,    0x26, 0, 0, 0, 0,    0, 0, 0,
        0x27, 0,  0, 0, 0, 0, 0, 0, 0x28, 0,    0,    0,    0x29, 0,    0,    0,    0x2a, 0, 0, 0, 0,    0, 0, 0,
        0x30, 0,  0, 0, 0, 0, 0, 0, 0x31, 0,    0,    0,    0,    0,    0,    0,    0x32, 0, 0, 0, 0x33, 0, 0, 0,
        3,    0,  0, 0, 9, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0, 0, 0, 0,    0, 0, 0,
    };
    struct serializer *s = serializer_new();
    struct packet_list packets = serializer_encode(s, &outgoing, 1);
    assert_int_equal(packets.ptr[0].len, sizeof expected);
    assert_memory_equal(packets.ptr[0].words.ptr, expected, sizeof expected);
    serializer_free(s);
}

/* Growing buffers while packets and messages already point into them would show here. */
static void test_many_at_once_in_order(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    uint64_t seed = 2;
    struct sample *samples = calloc(COUNT, sizeof *samples);
    struct outgoing *outgoing = calloc(COUNT, sizeof *outgoing);
    assert_non_null(samples);
    assert_non_null(outgoing);
    struct serializer *out = serializer_new(), *in = serializer_new();
    for (size_t count = 0; count <= COUNT; count = count * 3 + 1) {
        for (size_t i = 0; i < count; i++) {
            uint8_t kind = (uint8_t)random_below(&seed, MESSAGE_KINDS);
            sample_fill(&samples[i], &seed, kind, random_below(&seed, ENTRIES_MAX + 1));
            outgoing[i] = samples[i].outgoing;
        }
        struct packet_list packets = serializer_encode(out, outgoing, count);
        assert_int_equal(packets.len, count);
        for (size_t i = 0; i < count; i++)
            packets.ptr[i].id = 1 + i % NODE_ID_MAX;
        struct decoded decoded = serializer_decode(in, packets.ptr, packets.len);
        assert_int_equal(decoded.messages.len, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(decoded.messages.ptr[i].sender, 1 + i % NODE_ID_MAX);
            assert_message_equal(&decoded.messages.ptr[i].message, &outgoing[i].message);
        }
    }
    serializer_free(out);
    serializer_free(in);
    free(outgoing);
    free(samples);
}

static void test_values_are_used_where_they_lie(void **state)
{
    (void)state;
    uint64_t seed = 3;
    struct sample sample;
    sample_fill(&sample, &seed, MESSAGE_ACCEPT, ENTRIES_MAX);
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct packet body = serializer_encode(out, &sample.outgoing, 1).ptr[0];
    body.id = 9;
    struct decoded decoded = serializer_decode(in, &body, 1);
    const uint64_t *end = body.words.ptr + body.words.len;
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct words words = decoded.messages.ptr[0].message.entries.ptr[i].value.words;
        assert_true(words.len == 0 || (words.ptr > body.words.ptr && words.ptr + words.len <= end));
    }
    serializer_free(out);
    serializer_free(in);
}

static void test_encoding_zeroes_what_a_value_does_not_use(void **state)
{
    (void)state;
    uint64_t dirty = UINT64_MAX;
    struct entry entry = {.kind = ENTRY_COMMANDS, .value = {{&dirty, 1}, 3}};
    struct outgoing outgoing = {.message = {.kind = MESSAGE_FORWARD, .entries = {&entry, 1}}};
    struct serializer *s = serializer_new();
    struct packet body = serializer_encode(s, &outgoing, 1).ptr[0];
    assert_int_equal(body.words.ptr[body.words.len - 1], 0xffffff);
    serializer_free(s);
}

/* The parts of a body, to be spoiled one at a time. */
static struct packet sound_body(struct serializer *s, struct sample *sample, uint64_t seed)
{
    sample_fill(sample, &seed, MESSAGE_PROMISE, 3);
    struct packet body = serializer_encode(s, &sample->outgoing, 1).ptr[0];
    body.id = 5;
    return body;
}

static void assert_bad(struct serializer *s, const struct packet *body, uint32_t sender)
{
    struct decoded decoded = serializer_decode(s, body, 1);
    assert_int_equal(decoded.messages.len, 0);
    assert_int_equal(decoded.bad.len, 1);
    assert_int_equal(decoded.bad.ptr[0], sender);
}

static void test_truncated_anywhere(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct sample sample;
    struct packet body = sound_body(out, &sample, 4);
    for (uint32_t len = 0; len < body.len; len++) {
        struct packet cut = body_copy(body.words.ptr, len, 5);
        assert_bad(in, &cut, 5);
        free(cut.words.ptr);
    }
    serializer_free(out);
    serializer_free(in);
}

static void test_something_behind_the_last_entry(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct sample sample;
    struct packet body = sound_body(out, &sample, 5);
    struct packet longer = body_copy(body.words.ptr, body.len, 5);
    longer.words.ptr = realloc(longer.words.ptr, (body.words.len + 1) * 8);
    assert_non_null(longer.words.ptr);
    longer.words.ptr[body.words.len] = 0;
    longer.words.len++;
    for (uint32_t more = 1; more <= 8; more++) {
        longer.len = body.len + more;
        assert_bad(in, &longer, 5);
    }
    longer.len = body.len; /* one word too many for the length */
    assert_bad(in, &longer, 5);
    free(longer.words.ptr);
    serializer_free(out);
    serializer_free(in);
}

/* Decodes one body; when it is accepted, its kinds are known ones and encoding it again gives the same bytes. */
static bool decode_is_sound(struct serializer *in, struct serializer *out, const struct packet *body)
{
    struct decoded decoded = serializer_decode(in, body, 1);
    assert_int_equal(decoded.messages.len + decoded.bad.len, 1);
    if (decoded.messages.len == 0)
        return false;
    struct outgoing again = {.to = 1, .message = decoded.messages.ptr[0].message};
    assert_true(again.message.kind < MESSAGE_KINDS);
    assert_true(again.message.ballot.node <= NODE_ID_MAX && again.message.batch.origin <= NODE_ID_MAX);
    for (size_t i = 0; i < again.message.entries.len; i++) {
        assert_true(again.message.entries.ptr[i].kind < ENTRY_KINDS);
        assert_true(again.message.entries.ptr[i].ballot.node <= NODE_ID_MAX);
    }
    struct packet encoded = serializer_encode(out, &again, 1).ptr[0];
    assert_int_equal(encoded.len, body->len);
    assert_memory_equal(encoded.words.ptr, body->words.ptr, body->len);
    return true;
}

static void test_every_flipped_bit(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new(), *again = serializer_new();
    struct sample sample;
    struct packet sound = sound_body(out, &sample, 6);
    struct packet body = body_copy(sound.words.ptr, sound.len, 5);
    uint8_t *bytes = (uint8_t *)body.words.ptr;
    for (uint32_t i = 0; i < body.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            bool accepted = decode_is_sound(in, again, &body);
            if ((i == 1 && bit == 7) || (i >= 2 && i < 8)) /* unknown flag, version, zero, count */
                assert_false(accepted);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    assert_true(decode_is_sound(in, again, &body));
    free(body.words.ptr);
    serializer_free(out);
    serializer_free(in);
    serializer_free(again);
}

static void test_each_thing_that_can_be_wrong(void **state)
{
    (void)state;
    static const struct {
        uint32_t offset;
        uint8_t value;
    } wrong[] = {
        {0, MESSAGE_KINDS},
        {0, 255},
        {1, 128},
        {2, 0},
        {2, 5},
        {2, 7},
        {3, 1}, /* kind, flags, version, zero */
        {4, 0},
        {4, 2},
        {4, 4},
        {7, 255}, /* count */
        {16, 64},
        {17, 1},
        {19, 255},
        {56, 64},
        {59, 1}, /* nodes */
        {HEADER + 16, 64},
        {HEADER + 24, ENTRY_KINDS},
        {HEADER + 24, 255}, /* an entry: node, kind */
        {HEADER + 25, 1},
        {HEADER + 27, 1},
        {HEADER + 31, 255},
        {HEADER + 28, 9}, /* zero, length */
        {HEADER + ENTRY + 5, 1},
        {HEADER + ENTRY + 7, 255}, /* padding */
    };
    uint64_t value = 0x0504030201;
    struct entry entries[3] = {{.kind = 1, .value = {{&value, 1}, 5}}, {0}, {.value = {{&value, 1}, 5}}};
    struct outgoing outgoing = {.message = {.kind = MESSAGE_ACCEPT, .entries = {entries, 3}}};
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct packet sound = serializer_encode(out, &outgoing, 1).ptr[0];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct packet body = body_copy(sound.words.ptr, sound.len, 5);
        assert_int_equal(serializer_decode(in, &body, 1).messages.len, 1);
        ((uint8_t *)body.words.ptr)[wrong[i].offset] = wrong[i].value;
        assert_bad(in, &body, 5);
        free(body.words.ptr);
    }
    serializer_free(out);
    serializer_free(in);
}

static void test_sender_must_be_a_node(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct sample sample;
    struct packet body = sound_body(out, &sample, 7);
    static const uint64_t strangers[] = {0, NODE_ID_MAX + 1, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        body.id = strangers[i];
        assert_bad(in, &body, 0);
    }
    serializer_free(out);
    serializer_free(in);
}

static void test_bad_bodies_among_good_ones(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new();
    struct sample sample;
    struct packet good = sound_body(out, &sample, 8);
    struct packet bad = body_copy(good.words.ptr, good.len, 7);
    bad.words.ptr[bad.words.len - 1] = UINT64_MAX;
    ((uint8_t *)bad.words.ptr)[HEADER + 24] = ENTRY_KINDS; /* found bad only when its header has been accepted */
    struct packet bodies[5] = {good, bad, good, bad, good};
    for (uint32_t i = 0; i < 5; i++)
        bodies[i].id = 10 + i;
    struct decoded decoded = serializer_decode(in, bodies, 5);
    assert_int_equal(decoded.messages.len, 3);
    assert_int_equal(decoded.bad.len, 2);
    assert_int_equal(decoded.bad.ptr[0], 11);
    assert_int_equal(decoded.bad.ptr[1], 13);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decoded.messages.ptr[i].sender, 10 + 2 * i);
        assert_message_equal(&decoded.messages.ptr[i].message, &sample.outgoing.message);
    }
    free(bad.words.ptr);
    serializer_free(out);
    serializer_free(in);
}

/* Garbage under a header that is good enough for the reader to go on. */
static void test_random_bodies(void **state)
{
    (void)state;
    uint64_t seed = 9;
    unsigned accepted = 0;
    struct serializer *in = serializer_new(), *again = serializer_new();
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[HEADER + 3 * ENTRY + 16];
        uint32_t len = random_below(&seed, sizeof bytes + 1);
        bool mild = round % 2 == 0;
        for (uint32_t i = 0; i < sizeof bytes; i++)
            bytes[i] = mild && random_below(&seed, 16) > 0 ? 0 : (uint8_t)random_next(&seed);
        if (round % 4 < 3) {
            static const uint8_t head[] = {MESSAGE_LEARN, MESSAGE_IS_CHOSEN, 6, 0, 0, 0, 0, 0};
            memcpy(bytes, head, sizeof head);
            bytes[4] = (uint8_t)random_below(&seed, 4);
            len = HEADER + (uint32_t)bytes[4] * ENTRY + 8 * random_below(&seed, 2);
        }
        struct packet body = body_copy(bytes, len, 5);
        accepted += decode_is_sound(in, again, &body);
        free(body.words.ptr);
    }
    assert_true(accepted > 20 && accepted < 10000); /* both sides of the border were visited */
    serializer_free(in);
    serializer_free(again);
}

/* A count that promises more than the body holds must not be believed when room is made. */
static void test_a_huge_count_reserves_nothing(void **state)
{
    (void)state;
    uint64_t words[HEADER / 8 + ENTRY / 8] = {MESSAGE_PROMISE | UINT64_C(1) << 16 | UINT64_C(0xffffffff) << 32};
    struct packet bodies[64];
    struct serializer *s = serializer_new();
    for (size_t i = 0; i < 64; i++)
        bodies[i] = (struct packet){.id = 3, .len = sizeof words, .words = {words, sizeof words / 8}};
    struct decoded decoded = serializer_decode(s, bodies, 64); /* 64 * 2^32 entries would not fit this machine */
    assert_int_equal(decoded.messages.len, 0);
    assert_int_equal(decoded.bad.len, 64);
    serializer_free(s);
}

static void test_nothing_and_large_values(void **state)
{
    (void)state;
    struct serializer *out = serializer_new(), *in = serializer_new();
    assert_int_equal(serializer_encode(out, NULL, 0).len, 0);
    assert_int_equal(serializer_decode(in, NULL, 0).messages.len, 0);

    uint32_t len = (1u << 20) + 3;
    uint64_t *words = calloc(words_for(len), 8);
    assert_non_null(words);
    words[0] = 1;
    ((uint8_t *)words)[len - 1] = 0xee;
    struct entry entry = {.slot = 1, .kind = ENTRY_COMMANDS, .value = {{words, words_for(len)}, len}};
    struct outgoing outgoing = {.message = {.kind = MESSAGE_FORWARD, .entries = {&entry, 1}}};
    struct packet body = serializer_encode(out, &outgoing, 1).ptr[0];
    assert_int_equal(body.len, HEADER + ENTRY + words_for(len) * 8);
    body.id = 1;
    struct decoded decoded = serializer_decode(in, &body, 1);
    assert_int_equal(decoded.messages.len, 1);
    assert_message_equal(&decoded.messages.ptr[0].message, &outgoing.message);
    free(words);
    serializer_free(out);
    serializer_free(in);
    serializer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_there_and_back),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_many_at_once_in_order),
        cmocka_unit_test(test_values_are_used_where_they_lie),
        cmocka_unit_test(test_encoding_zeroes_what_a_value_does_not_use),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_something_behind_the_last_entry),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_each_thing_that_can_be_wrong),
        cmocka_unit_test(test_sender_must_be_a_node),
        cmocka_unit_test(test_bad_bodies_among_good_ones),
        cmocka_unit_test(test_random_bodies),
        cmocka_unit_test(test_a_huge_count_reserves_nothing),
        cmocka_unit_test(test_nothing_and_large_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
