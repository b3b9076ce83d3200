/* core/base/siphash.c against published vectors: key 00 01 .. 0f, messages (), 00, 00 01, ... Those are what implementations
 * of SipHash-1-3 agree on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/siphash.h"

static const struct siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

/* By length: 0 to 8, and the last one, 63. */
static const struct {
    size_t len;
    uint64_t hash;
} vectors[] = {
    {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)}, {2, UINT64_C(0x82cb9b024dc7d44d)},
    {3, UINT64_C(0x8bf80ab8e7ddf7fb)},  {4, UINT64_C(0xcf75576088d38328)}, {5, UINT64_C(0xdef9d52f49533b67)},
    {6, UINT64_C(0xc50d2b50c59f22a7)},  {7, UINT64_C(0xd3927d989bb11140)}, {8, UINT64_C(0x369095118d299a8e)},
    {63, UINT64_C(0x9d199062b7bbb3a8)},
};

static void test_vectors(void **state)
{
    (void)state;
    uint8_t message[64 + 1];
    for (size_t shift = 0; shift < 2; shift++) { /* at any alignment */
        for (size_t i = 0; i < 64; i++)
            message[shift + i] = (uint8_t)i;
        for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
            assert_int_equal(siphash13(key, message + shift, vectors[i].len), vectors[i].hash);
        }
    }
}

static void test_key_matters(void **state)
{
    (void)state;
    const struct siphash_key others[] = {{key.low ^ 1, key.high}, {key.low, key.high ^ 1}};
    for (size_t i = 0; i < 2; i++)
        assert_true(siphash13(others[i], (const uint8_t *)"abc", 3) != siphash13(key, (const uint8_t *)"abc", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_key_matters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
