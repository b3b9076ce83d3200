/* core/formats/command_table.c: what a node tells its client port of its state machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/command_name.h"
#include "core/formats/command_table.h"
#include "core/state/state_machine.h"

static struct command_info of(const char *name)
{
    return (struct command_info){.name = {(uint8_t *)(uintptr_t)name, strlen(name)}, .arity = 1};
}

static struct packet encode(struct command_info *infos, size_t count)
{
    static struct words words;
    static size_t capacity;
    struct packet packet;
    const struct command_info_list list = {infos, count};
    command_table_encode(&list, &words, &capacity, &packet);
    return packet;
}

static void the_store_is_told_as_it_is(void **state)
{
    (void)state;
    struct state_machine *store = state_machine_new();
    struct command_info_list all = state_machine_describe(store);
    struct packet packet = encode(all.ptr, all.len);
    struct command_table table;
    assert_true(command_table_decode(&packet, &table));
    assert_int_equal(table.count, all.len);
    assert_true(table.complete);
    for (size_t i = 0; i < all.len; i++) {
        const struct command_info *a = &all.ptr[i], *b = &table.infos[i];
        assert_int_equal(a->name.len, b->name.len);
        assert_memory_equal(a->name.ptr, b->name.ptr, a->name.len);
        assert_int_equal(a->arity, b->arity);
        assert_int_equal(a->read_only, b->read_only);
        assert_int_equal(a->first_key, b->first_key);
        assert_int_equal(a->last_key, b->last_key);
        assert_int_equal(a->key_step, b->key_step);
    }
    state_machine_free(store);
}

/* A stranger's machine may have any names, and any number of them. */
static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    struct command_info few[] = {of("a"), of(""), of("muchtoolonganame"), of("b\xc3\xa4h"), of("a b"), of("twelve-chars")};
    struct packet packet = encode(few, 6);
    struct command_table table;
    assert_true(command_table_decode(&packet, &table));
    assert_int_equal(table.count, 2);
    assert_false(table.complete);
    assert_memory_equal(table.infos[1].name.ptr, "twelve-chars", 12);

    static struct command_info many[COMMAND_TABLE_MAX + 40];
    static char names[COMMAND_TABLE_MAX + 40][4];
    for (size_t i = 0; i < COMMAND_TABLE_MAX + 40; i++) {
        names[i][0] = (char)('a' + i / 26);
        names[i][1] = (char)('a' + i % 26);
        many[i] = of(names[i]);
    }
    packet = encode(many, COMMAND_TABLE_MAX + 40);
    assert_true(command_table_decode(&packet, &table));
    assert_int_equal(table.count, COMMAND_TABLE_MAX);
    assert_false(table.complete);
}

/* Different names have different numbers, whatever the case of their letters; other bytes are in no name. */
static void names_are_numbers(void **state)
{
    static const char *const names[] = {"get",  "ge",   "getx",        "xget",         "get-",
                                        "get_", "get0", "incrbyfloat", "zzzzzzzzzzzz", "____________"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const uint64_t number = command_name((const uint8_t *)names[i], strlen(names[i]));
        assert_true(number != 0);
        for (size_t j = 0; j < i; j++)
            assert_true(number != command_name((const uint8_t *)names[j], strlen(names[j])));
    }
    assert_true(command_name((const uint8_t *)"get", 3) == command_name((const uint8_t *)"GeT", 3));
    for (int c = 0; c < 256; c++) {
        const uint8_t text[2] = {'a', (uint8_t)c};
        const bool valid =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        assert_true((command_name(text, 2) != 0) == valid);
    }
    assert_true(command_name((const uint8_t *)"aaaaaaaaaaaaa", 13) == 0 && command_name(NULL, 0) == 0);
}

static void other_bytes_are_refused(void **state)
{
    (void)state;
    struct command_info infos[] = {of("get"), of("set")};
    struct packet packet = encode(infos, 2);
    struct command_table table;
    for (uint32_t len = 0; len < packet.len; len++) {
        struct packet shorter = {.kind = STATUS_COMMANDS, .len = len, .words = {packet.words.ptr, words_for(len)}};
        assert_false(command_table_decode(&shorter, &table));
    }
    struct packet other = packet;
    other.kind = STATUS_ROOM;
    assert_false(command_table_decode(&other, &table));
    uint8_t *bytes = (uint8_t *)packet.words.ptr;
    for (uint32_t at = 0; at < packet.len; at++) { /* whatever it is then, it is read within its bounds */
        uint8_t right = bytes[at];
        for (int value = 0; value < 256; value++) {
            bytes[at] = (uint8_t)value;
            if (command_table_decode(&packet, &table))
                assert_in_range(table.count, 0, COMMAND_TABLE_MAX);
        }
        bytes[at] = right;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_is_told_as_it_is),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(names_are_numbers),
        cmocka_unit_test(other_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
