/* host/component_file.c: what the bytes of a node say of the state machine in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/component_file.h"

struct bytes {
    uint8_t data[4096];
    size_t len;
};

static void put(struct bytes *b, const void *more, size_t len)
{
    memcpy(b->data + b->len, more, len);
    b->len += len;
}

static void put_number(struct bytes *b, size_t number)
{
    for (; number >= 0x80; number >>= 7)
        b->data[b->len++] = (uint8_t)(number | 0x80);
    b->data[b->len++] = (uint8_t)number;
}

static void put_name(struct bytes *b, const char *name)
{
    b->data[b->len++] = 0;
    put_number(b, strlen(name));
    put(b, name, strlen(name));
}

static void put_section(struct bytes *b, uint8_t id, const struct bytes *contents)
{
    b->data[b->len++] = id;
    put_number(b, contents->len);
    put(b, contents->data, contents->len);
}

static void begin(struct bytes *b)
{
    b->len = 0;
    put(b, "\0asm\x0d\0\1\0", 8);
}

/* A component with these imports (instances) and exports; each list ends with NULL. */
static struct bytes component(const char *const *imports, const char *const *exports)
{
    struct bytes b, section;
    begin(&b);
    for (; *imports != NULL; imports++) { /* a section each, as tools write them */
        section.len = 0;
        put_number(&section, 1);
        put_name(&section, *imports);
        put(&section, "\5\0", 2);
        put_section(&b, 10, &section);
    }
    for (; *exports != NULL; exports++) {
        section.len = 0;
        put_number(&section, 1);
        put_name(&section, *exports);
        put(&section, "\5\0\0", 3);
        put_section(&b, 11, &section);
    }
    return b;
}

static struct bytes around(const struct bytes *inner)
{
    struct bytes b;
    begin(&b);
    put_section(&b, 4, inner);
    return b;
}

static struct problem problem;

static bool is_sound(const struct bytes *b)
{
    problem = (struct problem){0};
    return component_bytes_check("node.wasm", b->data, b->len, &problem);
}

static const char *const none[] = {NULL};
static const char *const machine[] = {"other", "synod:paxos/state-machine@0.1.0", NULL};
static const char *const clock_and_types[] = {"synod:paxos/types@0.1.0", "wasi:clocks/wall-clock@0.2.12", NULL};
static const char *const types[] = {"synod:paxos/types@0.1.0", NULL};

static void a_state_machine_imports_nothing(void **state)
{
    (void)state;
    struct bytes b = component(none, machine);
    assert_true(is_sound(&b));
    b = around(&b);
    assert_true(is_sound(&b));
}

static void names_of_types_are_no_import(void **state)
{
    (void)state;
    struct bytes b = component(types, machine);
    assert_true(is_sound(&b));
}

static void what_it_imports_is_named(void **state)
{
    (void)state;
    struct bytes b = component(clock_and_types, machine);
    assert_false(is_sound(&b));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "node.wasm: its state machine imports wasi:clocks/wall-clock@0.2.12;"));
    for (int depth = 0; depth < 5; depth++) {
        b = around(&b);
        assert_false(is_sound(&b));
    }
}

static void others_may_import(void **state)
{
    (void)state;
    struct bytes b = component(clock_and_types, none);
    assert_true(is_sound(&b));
    b = around(&b);
    assert_true(is_sound(&b));
}

/* What cannot be read is left to Wasmtime, and read no further than it goes. */
static void any_bytes_end(void **state)
{
    (void)state;
    struct bytes inner = component(clock_and_types, machine), b = around(&inner);
    for (size_t len = 0; len <= b.len; len++) {
        uint8_t *copy = malloc(len + 1); /* for the sanitizer */
        memcpy(copy, b.data, len);
        component_bytes_check("node.wasm", copy, len, &problem);
        free(copy);
    }
    for (size_t at = 0; at < b.len; at++)
        for (int value = 0; value < 256; value++) {
            struct bytes other = b;
            other.data[at] = (uint8_t)value;
            component_bytes_check("node.wasm", other.data, other.len, &problem);
        }
}

static void imports_in_an_unknown_form_are_refused(void **state)
{
    (void)state;
    struct bytes b = component(types, machine);
    b.data[11] = 7; /* the form of the import's name: after the header, the section's id and size, and the count */
    assert_false(is_sound(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_machine_imports_nothing),
        cmocka_unit_test(names_of_types_are_no_import),
        cmocka_unit_test(what_it_imports_is_named),
        cmocka_unit_test(others_may_import),
        cmocka_unit_test(any_bytes_end),
        cmocka_unit_test(imports_in_an_unknown_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
