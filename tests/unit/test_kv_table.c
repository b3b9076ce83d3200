/* The kv-store's table and pool: memory that does not depend on history, ways that do not depend on who chose the keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/state/kv_table.h"
#include "tests/unit/random.h"

/* A table with a pool of its own. */
struct alone {
    struct kv_pieces pieces;
    struct kv_pool pool;
    struct kv_table table;
};

static struct kv_table *alone_init(struct alone *a)
{
    a->pieces = (struct kv_pieces){0};
    kv_pool_init(&a->pool, &a->pieces);
    kv_table_init(&a->table, &a->pool);
    return &a->table;
}

/* Forgets everything. */
static void alone_clear(struct alone *a)
{
    kv_table_clear(&a->table);
    kv_pool_reset(&a->pool);
}

static void alone_close(struct alone *a)
{
    kv_table_close(&a->table);
    kv_pool_close(&a->pool);
    kv_pieces_close(&a->pieces);
}

static uint64_t memory_of(const struct alone *a) { return (a->pieces.used + a->pieces.spare_count) * KV_PIECE; }

static struct bytes key_number(uint64_t number, uint8_t *out)
{
    return (struct bytes){out, (size_t)sprintf((char *)out, "key:%llu", (unsigned long long)number)};
}

/* Values of ever other lengths, most of them deleted each time: what wears out a heap. Memory stays what the contents
 * need. */
static void test_sizes_that_change(void **state)
{
    (void)state;
    enum { MOST = 64 << 20 };
    static const size_t sizes[] = {4000, 32000, 250000, 1000000, 100, 4000, 10, 90, 1000000};
    static uint8_t value[1000000];
    struct alone alone;
    uint8_t text[32];
    uint64_t number = 0;
    struct kv_table *t = alone_init(&alone);
    for (size_t phase = 0; phase < sizeof sizes / sizeof sizes[0]; phase++) {
        uint64_t first = number;
        while (t->bytes + kv_cost(sizeof text, sizes[phase]) <= MOST)
            kv_table_set(t, key_number(number++, text), (struct bytes){value, sizes[phase]});
        assert_true(memory_of(&alone) <= MOST + MOST / 8 + (1 << 20));
        for (uint64_t i = first; i < number; i++)
            if (i % 8 != 0)
                assert_true(kv_table_remove(t, key_number(i, text)));
    }
    alone_close(&alone);
}

/* The most entries that fit, and none left again: buckets stay within their share. */
static void test_many_small_entries(void **state)
{
    (void)state;
    enum { MOST = 32 << 20 };
    struct alone alone;
    uint8_t text[32];
    struct kv_table *t = alone_init(&alone);
    for (int round = 0; round < 3; round++) {
        uint64_t number = 0;
        while (t->bytes + kv_cost(0, 0) <= MOST)
            kv_table_set(t, key_number(number++, text), (struct bytes){NULL, 0});
        assert_true(memory_of(&alone) <= MOST + MOST / 8 + (1 << 20));
        if (round == 1)
            alone_clear(&alone);
        else
            for (uint64_t i = 0; i < number; i++)
                assert_true(kv_table_remove(t, key_number(i, text)));
        assert_int_equal(t->count, 0);
        assert_int_equal(t->bytes, 0);
    }
    alone_close(&alone);
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Keys whose hashes begin alike, as a client can find them that watches the order of SCAN: a search stays as short as the
 * hash. */
static void test_chosen_keys(void **state)
{
    (void)state;
    enum { CHOSEN = 2000, ALIKE_BITS = 10 };
    struct alone alone;
    static uint64_t numbers[CHOSEN], hashes[CHOSEN];
    uint8_t text[32];
    size_t count = 0;
    uint64_t longest = 0;
    struct kv_table *t = alone_init(&alone);
    t->key = (struct siphash_key){1, 2};
    for (uint64_t number = 0; count < CHOSEN; number++)
        if (kv_table_hash(t, key_number(number, text)) >> (64 - ALIKE_BITS) == 0)
            numbers[count++] = number;
    for (size_t i = 0; i < CHOSEN; i++) {
        hashes[i] = kv_table_hash(t, key_number(numbers[i], text));
        kv_table_set(t, (struct bytes){text, strlen((char *)text)}, (struct bytes){text, 3});
    }
    for (size_t i = 0; i < CHOSEN; i++) {
        uint64_t before = t->work;
        assert_non_null(kv_table_find(t, key_number(numbers[i], text)));
        longest = t->work - before > longest ? t->work - before : longest;
    }
    assert_true(longest < 40 * KV_TOUCH_WORK); /* a chain would have 250 in it, or more */
    /* They come in order, all of them, while half of them go. */
    qsort(hashes, CHOSEN, sizeof *hashes, by_hash);
    uint64_t next = 0;
    size_t seen = 0;
    do {
        size_t some;
        struct kv_entry *const *list = kv_table_visit(t, next, &some, &next);
        for (size_t i = 0; i < some; i++)
            assert_int_equal(list[i]->hash, hashes[seen++]);
    } while (next != 0);
    assert_int_equal(seen, CHOSEN);
    for (size_t i = 0; i < CHOSEN; i += 2)
        assert_true(kv_table_remove(t, key_number(numbers[i], text)));
    for (size_t i = 0; i < CHOSEN; i++)
        assert_int_equal(kv_table_find(t, key_number(numbers[i], text)) != NULL, i % 2);
    alone_close(&alone);
}

/* Bytes of one key against a plain buffer, at all the borders of blocks. */
static void test_bytes_of_an_entry(void **state)
{
    (void)state;
    enum { MOST = 1200 };
    static uint8_t model[3 * MOST], got[3 * MOST], noise[MOST], key[300];
    uint64_t seed = 7;
    for (size_t i = 0; i < MOST; i++)
        noise[i] = (uint8_t)random_next(&seed);
    for (size_t key_len = 0; key_len < sizeof key; key_len += key_len < 90 || key_len > 110 ? 17 : 1) {
        struct alone alone;
        struct bytes name = {key, key_len};
        size_t len = 0;
        memset(key, 'k', sizeof key);
        struct kv_table *t = alone_init(&alone);
        for (int round = 0; round < 400; round++) {
            size_t some = random_below(&seed, MOST), from = random_below(&seed, MOST - (uint32_t)some);
            struct kv_entry *e = kv_table_find(t, name);
            switch (random_below(&seed, 4)) {
            case 0:
                kv_table_set(t, name, (struct bytes){noise + from, some});
                memcpy(model, noise + from, some);
                len = some;
                break;
            case 1:
                some = len + some > 2 * MOST ? 0 : some;
                from = random_below(&seed, MOST - (uint32_t)some);
                kv_table_append(t, name, noise + from, some);
                memcpy(model + len, noise + from, some);
                len += some;
                break;
            case 2:
                some = len + some > 2 * MOST ? 0 : some;
                kv_table_append(t, name, NULL, some);
                memset(model + len, 0, some);
                len += some;
                break;
            default:
                if (e == NULL)
                    continue;
                from = random_below(&seed, (uint32_t)len + 1);
                some = random_below(&seed, (uint32_t)(len - from < MOST ? len - from : MOST) + 1);
                kv_table_overwrite(t, e, from, (struct bytes){noise, some});
                memcpy(model + from, noise, some);
            }
            e = kv_table_find(t, name);
            assert_int_equal(e->value_len, len);
            assert_int_equal(t->bytes, kv_cost(key_len, len));
            from = random_below(&seed, (uint32_t)len + 1);
            kv_table_read(t, e, from, len - from, got);
            assert_memory_equal(got, model + from, len - from);
            assert_int_equal(kv_table_key(t, e).len, key_len);
            assert_memory_equal(kv_table_key(t, e).ptr, key, key_len);
        }
        alone_close(&alone);
    }
}

/* Long keys that differ in their last byte only, and the clear that needs no walk. */
static void test_long_keys_and_clear(void **state)
{
    (void)state;
    static uint8_t key[5000];
    struct alone alone;
    struct kv_table *t = alone_init(&alone);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 256; i++) {
            key[sizeof key - 1] = (uint8_t)i;
            kv_table_set(t, (struct bytes){key, sizeof key}, (struct bytes){key + sizeof key - 1, 1});
        }
        assert_int_equal(t->count, 256);
        for (int i = 0; i < 256; i++) {
            key[sizeof key - 1] = (uint8_t)i;
            uint8_t value;
            kv_table_read(t, kv_table_find(t, (struct bytes){key, sizeof key}), 0, 1, &value);
            assert_int_equal(value, i);
        }
        uint64_t before = t->work;
        alone_clear(&alone);
        assert_true(t->work - before < 1000);
    }
    alone_close(&alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_that_change),   cmocka_unit_test(test_many_small_entries),
        cmocka_unit_test(test_chosen_keys),         cmocka_unit_test(test_bytes_of_an_entry),
        cmocka_unit_test(test_long_keys_and_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
