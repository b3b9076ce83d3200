/* core/formats/operator_request.c: what is understood, and what is wrong with the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/operator_request.h"

/* Words with blanks between them, as commands of one batch with '|' between them. */
static const char *read_text(const char *text, struct operator_request *request)
{
    struct batch_builder b = {0};
    struct bytes args[12];
    size_t argc = 0;
    batch_begin(&b);
    for (const char *at = text; *at != '\0';) {
        const size_t len = strcspn(at, " |");
        args[argc++] = (struct bytes){(uint8_t *)(uintptr_t)at, len};
        at += len;
        if (*at != ' ') {
            batch_add(&b, args, argc);
            argc = 0;
        }
        at += *at != '\0';
    }
    const struct payload value = batch_end(&b);
    const char *wrong = operator_request_read(&value, request);
    batch_builder_free(&b);
    return wrong;
}

static void leadership_is_moved_to_a_node(void **state)
{
    (void)state;
    struct operator_request request;
    assert_null(read_text("LEADER MOVE 2", &request));
    assert_int_equal(request.verb, OPERATOR_LEADER_MOVE);
    assert_int_equal(request.node, 2);
    assert_null(read_text("leader mOvE 63", &request));
    assert_int_equal(request.node, 63);
    assert_null(read_text("HELD", &request));
    assert_int_equal(request.verb, OPERATOR_HELD);
    assert_non_null(read_text("HELD 1", &request));
}

#define INSTANCE "00112233445566778899aabbccddeeff"

static void members_change(void **state)
{
    (void)state;
    struct operator_request r;
    const struct member *m = &r.change.member;
    assert_null(read_text("MEMBER ADD 4 10.0.0.4:7000 - coordinator " INSTANCE, &r));
    assert_true(r.verb == OPERATOR_CHANGE && r.change.verb == CONFIGURATION_ADD && !r.force && !r.dry_run);
    assert_true(m->node == 4 && m->duties == DUTY_ALL && m->instance[0] == 0 && m->instance[15] == 0xff);
    assert_string_equal(m->address, "10.0.0.4:7000");
    assert_string_equal(m->client, "-");
    assert_null(read_text("member remove 63 force dry-run", &r));
    assert_true(r.change.verb == CONFIGURATION_REMOVE && m->node == 63 && r.force && r.dry_run);
    assert_null(read_text("member replace 2 " INSTANCE " dry-run", &r));
    assert_true(r.change.verb == CONFIGURATION_REPLACE && m->address[0] == 0 && r.dry_run && !r.force);
    assert_null(read_text("member replace 2 " INSTANCE " a:1 b:2", &r));
    assert_string_equal(m->client, "b:2");
    assert_null(read_text("settings set phase2_quorum 2", &r));
    assert_true(r.change.verb == CONFIGURATION_SET);
    assert_string_equal(r.change.setting.key, "phase2_quorum");
    assert_false(r.names_disk);
    assert_null(read_text("member replace 2 " INSTANCE " disk 7 force", &r));
    assert_true(r.names_disk && r.disk == 7 && m->address[0] == 0 && r.force);
    assert_null(read_text("member replace 2 " INSTANCE " a:1 b:2 disk 0", &r));
    assert_true(r.names_disk && r.disk == 0 && m->address[0] == 'a');
    assert_null(read_text("member list", &r));
    assert_int_equal(r.verb, OPERATOR_MEMBER_LIST);
    assert_null(read_text("configuration", &r));
    assert_int_equal(r.verb, OPERATOR_CONFIGURATION);
}

static void anything_else_is_an_error(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "LEADER",
        "LEADER MOVE",
        "LEADER MOVE 1 2",
        "LEADER MOVE x",
        "LEADER MOVE 0",
        "LEADER MOVE 64",
        "LEADER MOVE -1",
        "LEADER STAY 1",
        "MOVE LEADER 1",
        "LEADE MOVE 1",
        "LEADER MOVED 1",
        "",
        "LEADER MOVE 1|LEADER MOVE 2",
        "LEADER MOVE 99999999999999999999",
        "MEMBER",
        "MEMBER LIST 1",
        "MEMBER FORCE",
        "MEMBER ADD",
        "MEMBER ADD 4 a:1 - coordinator",
        "MEMBER ADD 4 a:1 - coordinator 00112233445566778899aabbccddeef",
        "MEMBER ADD 4 a:1 - coordinator 00112233445566778899AABBCCDDEEFF",
        "MEMBER ADD 4 a:1 - leader 00112233445566778899aabbccddeeff",
        "MEMBER ADD 64 a:1 - learner 00112233445566778899aabbccddeeff",
        "MEMBER ADD 4 a\n:1 - learner 00112233445566778899aabbccddeeff",
        "MEMBER REMOVE",
        "MEMBER REMOVE 0",
        "MEMBER REMOVE 1 2",
        "MEMBER REPLACE 1",
        "MEMBER REPLACE 1 00112233445566778899aabbccddeeff a:1",
        "MEMBER REPLACE 1 00112233445566778899aabbccddeeff DISK",
        "MEMBER REPLACE 1 00112233445566778899aabbccddeeff DISK -1",
        "MEMBER REPLACE 1 00112233445566778899aabbccddeeff DISK 4294967296",
        "MEMBER REPLACE 1 00112233445566778899aabbccddeeff a:1 DISK 1",
        "MEMBER REMOVE 1 DISK 1",
        "SETTINGS SET alpha",
        "SETTINGS GET alpha 1",
        "SETTINGS SET an_extremely_long_name_of_a_setting 1",
        "CONFIGURATION 1",
    };
    struct operator_request request;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *text = read_text(wrong[i], &request);
        assert_non_null(text);
        assert_memory_equal(text, "ERR ", 4);
    }
    uint64_t words[8] = {0};
    const struct payload no_batch = {.words = {words, 8}, .len = 64};
    assert_non_null(operator_request_read(&no_batch, &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leadership_is_moved_to_a_node),
        cmocka_unit_test(members_change),
        cmocka_unit_test(anything_else_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
