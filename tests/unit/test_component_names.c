/* host/component_names.c: sound components, and any damage to them. That it says what Wasmtime says is in
 * tests/component/test_engine.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/component_names.h"
#include "tests/component/broken_nodes.h"

static char names[4096];

static void take(void *context, const char *name)
{
    (void)context;
    size_t len = strlen(names);
    assert_true(strlen(name) < COMPONENT_NAME_MAX);
    snprintf(names + len, sizeof names - len, "%s;", name);
}

static const char *read_names(const uint8_t *bytes, size_t len, enum component_side side)
{
    uint8_t *copy = malloc(len > 0 ? len : 1); /* so that one byte too much is seen */
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    names[0] = '\0';
    const char *wrong = component_names_read(copy, len, side, take, NULL);
    free(copy);
    return wrong;
}

static void expect(const uint8_t *bytes, size_t len, const char *imports, const char *exports)
{
    assert_null(read_names(bytes, len, COMPONENT_IMPORTS));
    assert_string_equal(names, imports);
    assert_null(read_names(bytes, len, COMPONENT_EXPORTS));
    assert_string_equal(names, exports);
}

static void test_components(void **state)
{
    (void)state;
    expect(trapping_node, sizeof trapping_node, "", "synod:paxos/runner@0.1.0;");
    expect(greedy_node, sizeof greedy_node, "", "synod:paxos/runner@0.1.0;");
    expect(demanding_node, sizeof demanding_node, "wasi:cli/exit@0.2.0;", "synod:paxos/runner@0.1.0;");
}

#define HEAD 0, 'a', 's', 'm', 0x0d, 0, 1, 0

/* One of each kind; two sections; a name that is no text. */
static void test_every_kind(void **state)
{
    static const uint8_t imports[] = {
        HEAD, 10, 40,   8,                                    /* imports */
        0,    1,  'a',  0x00, 0x11, 0x80, 0x01,               /* a core module */
        1,    1,  'b',  0x01, 0x05,                           /* a function */
        0,    1,  'c',  0x02, 0x00, 0x05,                     /* a value equal to another */
        0,    0,  0x02, 0x01, 0x7f,                           /* a value of a type; no name */
        0,    1,  'e',  0x03, 0x00, 0x05, 0,    1, 'f', 0x03, /* a type, a resource */
        0x01, 0,  1,    '\n', 0x04, 0x05,                     /* a component */
    };
    static const uint8_t exports[] = {
        HEAD, 0,  3,   1,    'x', 'y',                   /* a custom section */
        11,   16, 2,   0,    1,   'a', 0x00, 0x11, 3, 0, /* a core module */
        0,    1,  'b', 0x05, 7,   1,   0x05, 9,          /* an instance, with its type */
        11,   1,  0,                                     /* none */
        11,   7,  1,   0,    1,   'c', 0x01, 2,    0,    /* a function */
    };
    (void)state;
    uint8_t sound[sizeof imports];
    memcpy(sound, imports, sizeof imports);
    sound[9] = (uint8_t)(sizeof imports - 10);
    sound[10] = 7;
    expect(sound, sizeof sound, "a;b;c;;e;f;?;", "");
    expect(exports, sizeof exports, "", "a;b;c;");
}

static void test_what_is_refused(void **state)
{
    static const uint8_t module[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    static const uint8_t too_long[] = {HEAD, 10, 2, 0};
    static const uint8_t endless_number[] = {HEAD, 10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0};
    static const uint8_t large_number[] = {HEAD, 10, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t many[] = {HEAD, 10, 5, 0xff, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t long_name[] = {HEAD, 10, 7, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t later_version[] = {HEAD, 10, 6, 1, 2, 1, 'a', 1, 0};
    static const uint8_t more[] = {HEAD, 10, 2, 0, 0};
    static const struct {
        const uint8_t *bytes;
        size_t len;
    } all[] = {{module, sizeof module},
               {module, 3},
               {too_long, sizeof too_long},
               {endless_number, sizeof endless_number},
               {large_number, sizeof large_number},
               {many, sizeof many},
               {long_name, sizeof long_name},
               {later_version, sizeof later_version},
               {more, sizeof more}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_non_null(read_names(all[i].bytes, all[i].len, COMPONENT_IMPORTS));
        assert_string_equal(names, "");
    }
}

/* Any prefix, and any byte another one: read or refused. */
static void test_damage(void **state)
{
    uint8_t bytes[sizeof demanding_node];
    unsigned refused = 0;
    (void)state;
    for (size_t i = 0; i < sizeof demanding_node; i++) {
        refused += read_names(demanding_node, i, COMPONENT_IMPORTS) != NULL;
        refused += read_names(demanding_node, i, COMPONENT_EXPORTS) != NULL;
        for (unsigned value = 0; value < 256; value++) {
            memcpy(bytes, demanding_node, sizeof bytes);
            bytes[i] = (uint8_t)value;
            refused += read_names(bytes, sizeof bytes, COMPONENT_IMPORTS) != NULL;
            refused += read_names(bytes, sizeof bytes, COMPONENT_EXPORTS) != NULL;
        }
    }
    assert_true(refused > 2 * sizeof demanding_node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_components),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
