/* The text of a configuration: one spelling, what is sound, what a change makes of it. */
#include "core/formats/configuration.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "tests/unit/protocol.h"

static struct configuration_text read_text, changed;

/* Coordinators 1 to `members`, with majorities. */
static void begin_with(uint32_t members)
{
    memset(&read_text, 0, sizeof read_text);
    read_text.delay = 8;
    read_text.settings[0] = (struct configuration_setting){"alpha", "8"};
    read_text.settings[1] = (struct configuration_setting){"acceptors_send_learns", "false"};
    read_text.settings[2] = (struct configuration_setting){"phase1_quorum", ""};
    read_text.settings[3] = (struct configuration_setting){"phase2_quorum", ""};
    read_text.setting_count = 4;
    snprintf(read_text.settings[2].value, CONFIGURATION_WORD_MAX, "%u", members / 2 + 1);
    snprintf(read_text.settings[3].value, CONFIGURATION_WORD_MAX, "%u", members / 2 + 1);
    for (uint32_t node = 1; node <= members; node++) {
        struct member *m = &read_text.members[node];
        *m = (struct member){.node = node, .duties = DUTY_ALL, .instance = {(uint8_t)node, 0xab}, .client = "-"};
        snprintf(m->address, sizeof m->address, "10.0.0.%u:7000", node);
    }
    assert_null(configuration_check(&read_text));
}

static struct configuration_request about(uint8_t verb, uint32_t node)
{
    struct configuration_request r = {.verb = verb, .member = {.node = node, .duties = DUTY_ALL, .instance = {0xee}}};
    snprintf(r.member.address, sizeof r.member.address, "10.0.1.%u:7000", node);
    snprintf(r.member.client, sizeof r.member.client, "10.0.1.%u:6379", node);
    return r;
}

/* Makes the change, and goes on from it as if it was chosen in `slot`. */
static struct configuration change(struct configuration_request request, uint64_t before, uint64_t slot)
{
    const char *wrong = configuration_change(&read_text, before, &request, &changed);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    read_text = changed;
    return configuration_of(&read_text, slot);
}

static const char *refused(struct configuration_request request)
{
    const char *wrong = configuration_change(&read_text, 0, &request, &changed);
    assert_non_null(wrong);
    assert_memory_equal(wrong, "ERR ", 4);
    return wrong;
}

static const char TEXT[] = "replaces 813\n"
                           "delay 64\n"
                           "fresh 4\n"
                           "alpha 32\n"
                           "phase1_quorum 2\n"
                           "phase2_quorum 1\n"
                           "state_bytes_max 1073741824\n"
                           "member 1 proposer full 0 000102030405060708090a0b0c0d0e0f [::1]:7001 -\n"
                           "member 2 acceptor full 3 100102030405060708090a0b0c0d0e0f host-2:7001 -\n"
                           "member 3 acceptor full 0 200102030405060708090a0b0c0d0e0f 10.0.0.3:7001 -\n"
                           "member 4 coordinator joining 0 300102030405060708090a0b0c0d0e0f 10.0.0.4:7001 10.0.0.4:6379\n"
                           "member 63 learner full 0 400102030405060708090a0b0c0d0e0f 10.0.0.63:7001 -\n"
                           "gone 7 1\n"
                           "gone 9 0\n";

static void a_text_says_what_it_says(void **state)
{
    (void)state;
    assert_null(configuration_read(TEXT, sizeof TEXT - 1, &read_text));
    const struct configuration c = configuration_of(&read_text, 900);
    assert_int_equal(c.slot, 900);
    assert_int_equal(c.governs, 964);
    assert_int_equal(c.replaces, 813);
    assert_int_equal(c.alpha, 32);
    assert_int_equal(c.phase1_quorum, 2);
    assert_int_equal(c.phase2_quorum, 1);
    assert_int_equal(c.proposers, node_set_of(1));
    assert_int_equal(c.acceptors, node_set_of(2) | node_set_of(3));
    assert_int_equal(c.learners, node_set_of(4) | node_set_of(63));
    assert_int_equal(c.joining, node_set_of(4));
    assert_int_equal(c.fresh, node_set_of(4));
    assert_int_equal(read_text.members[2].number, 3);
    assert_int_equal(read_text.members[2].instance[0], 0x10);
    assert_string_equal(read_text.members[4].client, "10.0.0.4:6379");
    assert_string_equal(configuration_setting(&read_text, "state_bytes_max"), "1073741824");
    assert_true(read_text.gone[7] && read_text.gone_number[7] == 1 && !read_text.gone[8]);
    struct payload packed = configuration_pack(&read_text);
    assert_int_equal(packed.len, sizeof TEXT - 1);
    assert_memory_equal(payload_bytes(&packed), TEXT, sizeof TEXT - 1);
    struct configuration again;
    assert_true(configuration_unpack(&packed, 900, &again));
    assert_int_equal(again.governs, c.governs);
    assert_int_equal(again.learners, c.learners);
    payload_free(&packed);
}

/* What is read prints as it was; what is cut, or has one byte changed, prints as it was or is refused. */
static void there_is_one_spelling(void **state)
{
    (void)state;
    static char bytes[sizeof TEXT], printed[CONFIGURATION_TEXT_MAX];
    for (size_t i = 0; i < sizeof TEXT - 1; i++) {
        if (configuration_read(TEXT, i, &read_text) == NULL)
            assert_int_equal(configuration_print(&read_text, printed), i);
        for (const char *c = "0 1\na-\x7f"; *c != '\0'; c++) {
            memcpy(bytes, TEXT, sizeof TEXT);
            bytes[i] = *c;
            if (configuration_read(bytes, sizeof TEXT - 1, &read_text) != NULL)
                continue;
            assert_int_equal(configuration_print(&read_text, printed), sizeof TEXT - 1);
            assert_memory_equal(printed, bytes, sizeof TEXT - 1);
        }
    }
    assert_non_null(configuration_read("", 0, &read_text));
    memset(printed, 'x', sizeof printed);
    assert_non_null(configuration_read(printed, sizeof printed, &read_text));
}

static void assert_same_member(const struct member *m, const struct member *expected)
{
    assert_int_equal(m->node, expected->node);
    assert_int_equal(m->duties, expected->duties);
    assert_int_equal(m->joining, expected->joining);
    assert_int_equal(m->number, expected->number);
    assert_memory_equal(m->instance, expected->instance, sizeof m->instance);
    assert_string_equal(m->address, expected->address);
    assert_string_equal(m->client, expected->client);
}

/* Field by field, for what lies between the fields of a structure may be anything. */
static void assert_same_text(const struct configuration_text *text, const struct configuration_text *expected)
{
    assert_int_equal(text->replaces, expected->replaces);
    assert_int_equal(text->delay, expected->delay);
    assert_int_equal(text->fresh, expected->fresh);
    assert_int_equal(text->setting_count, expected->setting_count);
    for (uint32_t i = 0; i < expected->setting_count; i++) {
        assert_string_equal(text->settings[i].key, expected->settings[i].key);
        assert_string_equal(text->settings[i].value, expected->settings[i].value);
    }
    for (uint32_t node = 0; node <= NODE_ID_MAX; node++) {
        assert_same_member(&text->members[node], &expected->members[node]);
        assert_int_equal(text->gone[node], expected->gone[node]);
        assert_int_equal(text->gone_number[node], expected->gone_number[node]);
    }
}

/* The longest configuration there can be has room. */
static void sixty_three_members_fit(void **state)
{
    (void)state;
    static char printed[CONFIGURATION_TEXT_MAX];
    begin_with(63);
    for (uint32_t node = 1; node <= NODE_ID_MAX; node++) {
        struct member *m = &read_text.members[node];
        memset(m->address, 'a', sizeof m->address - 1);
        memset(m->client, 'b', sizeof m->client - 1);
        m->number = MEMBER_NUMBER_MAX;
    }
    const size_t len = configuration_print(&read_text, printed);
    assert_null(configuration_read(printed, len, &changed));
    assert_same_text(&changed, &read_text);
}

static void a_node_is_added_as_a_learner_first(void **state)
{
    (void)state;
    begin_with(3);
    struct configuration c = change(about(CONFIGURATION_ADD, 4), 0, 100);
    assert_int_equal(c.replaces, 0);
    assert_int_equal(c.governs, 108);
    assert_int_equal(c.acceptors, 0xe);
    assert_int_equal(c.proposers, 0xe);
    assert_int_equal(c.learners, 0x1e);
    assert_int_equal(c.joining, 0x10);
    assert_int_equal(c.fresh, 0x10);
    assert_int_equal(c.phase1_quorum, 2);
    c = change(about(CONFIGURATION_PROMOTE, 4), 100, 200);
    assert_int_equal(c.replaces, 100);
    assert_int_equal(c.acceptors, 0x1e);
    assert_int_equal(c.joining | c.fresh, 0);
    assert_int_equal(c.phase1_quorum, 3);
    assert_int_equal(c.phase2_quorum, 3);
    refused(about(CONFIGURATION_ADD, 4));
}

/* A node id never has the same number twice, or ballots of two lives would be equal. */
static void numbers_of_instances_never_repeat(void **state)
{
    (void)state;
    begin_with(3);
    change(about(CONFIGURATION_REPLACE, 3), 0, 100);
    refused(about(CONFIGURATION_REPLACE, 3)); /* asked once more: that instance must not get another number */
    assert_int_equal(read_text.members[3].number, 1);
    assert_int_equal(read_text.members[3].instance[0], 0xee);
    assert_string_equal(read_text.members[3].address, "10.0.1.3:7000");
    change(about(CONFIGURATION_REMOVE, 3), 100, 200);
    assert_true(read_text.gone[3]);
    change(about(CONFIGURATION_ADD, 3), 200, 300);
    assert_int_equal(read_text.members[3].number, 2);
    assert_false(read_text.gone[3]);
    read_text.members[3].number = MEMBER_NUMBER_MAX;
    refused(about(CONFIGURATION_REPLACE, 3));
    change(about(CONFIGURATION_REMOVE, 3), 300, 400);
    refused(about(CONFIGURATION_ADD, 3));
}

static void quorums_follow_the_acceptors(void **state)
{
    (void)state;
    struct configuration_request phase2 = {.verb = CONFIGURATION_SET, .setting = {"phase2_quorum", "2"}};
    struct configuration_request phase1 = {.verb = CONFIGURATION_SET, .setting = {"phase1_quorum", "4"}};
    begin_with(5);
    refused(phase2); /* 3 and 2 of 5 need not meet */
    change(phase1, 0, 100);
    struct configuration c = change(phase2, 100, 200);
    assert_int_equal(c.phase1_quorum, 4);
    assert_int_equal(c.phase2_quorum, 2);
    c = change(about(CONFIGURATION_REMOVE, 5), 200, 300);
    assert_int_equal(c.phase1_quorum, 3);
    assert_int_equal(c.phase2_quorum, 2);
    phase2.setting.value[0] = '5';
    refused(phase2);
    phase2.setting.value[0] = '0';
    refused(phase2);
    refused((struct configuration_request){.verb = CONFIGURATION_SET, .setting = {"alpha", "0"}});
    refused((struct configuration_request){.verb = CONFIGURATION_SET, .setting = {"alpha", "4097"}});
    refused((struct configuration_request){.verb = CONFIGURATION_SET, .setting = {"no_such_thing", "9"}});
}

/* A change governs after as many slots as the configuration that it replaces lets be in flight. */
static void alpha_is_set(void **state)
{
    (void)state;
    struct configuration_request alpha = {.verb = CONFIGURATION_SET, .setting = {"alpha", "32"}};
    begin_with(3);
    struct configuration c = change(alpha, 0, 100);
    assert_true(c.alpha == 32 && c.governs == 108);
    strcpy(alpha.setting.value, "1");
    c = change(alpha, 100, 200);
    assert_true(c.alpha == 1 && c.governs == 232);
    c = change(about(CONFIGURATION_ADD, 4), 200, 300);
    assert_true(c.alpha == 1 && c.governs == 301);
    assert_int_equal(configuration_first(&read_text, "alpha"), 8);
}

static void whether_acceptors_tell_is_set(void **state)
{
    (void)state;
    struct configuration_request tell = {.verb = CONFIGURATION_SET, .setting = {"acceptors_send_learns", "true"}};
    begin_with(3);
    assert_true(change(tell, 0, 100).acceptors_send_learns);
    strcpy(tell.setting.value, "yes");
    refused(tell);
    strcpy(tell.setting.value, "false");
    assert_false(change(tell, 100, 200).acceptors_send_learns);
}

/* Of what decides about commands, the first value stays known: a node that joins executes the log from its beginning. */
static void the_size_of_the_state_is_set(void **state)
{
    (void)state;
    struct configuration_request size = {.verb = CONFIGURATION_SET, .setting = {"state_bytes_max", "100000"}};
    begin_with(3);
    refused(size); /* a cluster that does not say it */
    read_text.settings[read_text.setting_count++] = (struct configuration_setting){"state_bytes_max", "70000"};
    assert_int_equal(configuration_first(&read_text, "state_bytes_max"), 70000);
    assert_int_equal(configuration_of(&read_text, 50).state_bytes_max, 70000);
    assert_int_equal(change(size, 0, 100).state_bytes_max, 100000);
    assert_int_equal(configuration_first(&read_text, "state_bytes_max"), 70000);
    strcpy(size.setting.value, "3221225472");
    assert_int_equal(change(size, 100, 200).state_bytes_max, UINT64_C(3) << 30);
    assert_string_equal(configuration_setting(&read_text, "first_state_bytes_max"), "70000");
    const char *const wrong[] = {"65535", "3221225473", "1 GiB", "0", "", "065536"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        strcpy(size.setting.value, wrong[i]);
        assert_non_null(strstr(refused(size), "state_bytes_max is a number of bytes"));
    }
    for (; read_text.setting_count < CONFIGURATION_SETTINGS_MAX; read_text.setting_count++)
        snprintf(read_text.settings[read_text.setting_count].key, CONFIGURATION_WORD_MAX, "k%zu", read_text.setting_count);
    strcpy(size.setting.value, "70000");
    change(size, 200, 300);
    strcpy(read_text.settings[5].key, "no_more"); /* in the place of the first value */
    refused(size);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    begin_with(1);
    refused(about(CONFIGURATION_REMOVE, 1));
    refused(about(CONFIGURATION_REMOVE, 2));
    refused(about(CONFIGURATION_REMOVE, 0));
    refused(about(CONFIGURATION_ADD, NODE_ID_MAX + 1));
    begin_with(3);
    struct configuration_request same = about(CONFIGURATION_ADD, 4);
    memcpy(same.member.instance, read_text.members[1].instance, MEMBER_INSTANCE_SIZE);
    refused(same);
}

static void roles_have_names(void **state)
{
    (void)state;
    assert_int_equal(configuration_role("coordinator", 11), DUTY_ALL);
    assert_int_equal(configuration_role("learner", 7), DUTY_LEARNS);
    assert_int_equal(configuration_role("learne", 6), 0);
    assert_string_equal(configuration_role_name(DUTY_PROPOSES | DUTY_LEARNS), "");
    assert_string_equal(configuration_role_name(DUTY_ACCEPTS), "acceptor");
    assert_string_equal(configuration_role_name(255), "");
}

/* A node that was removed has that of its last instance; one that never was a member has none. */
static void the_number_of_a_nodes_disk_is_read(void **state)
{
    (void)state;
    uint32_t numbers[NODE_ID_MAX + 1] = {[4] = 9, [5] = 9};
    begin_with(3);
    read_text.members[2].number = 7;
    read_text.gone[4] = true;
    read_text.gone_number[4] = 8;
    struct payload text = configuration_pack(&read_text);
    configuration_numbers(&text, numbers);
    assert_true(numbers[1] == 0 && numbers[2] == 7 && numbers[3] == 0 && numbers[4] == 8 && numbers[5] == 0);
    payload_free(&text);
}

/* An effect without a text has none at any place. */
static void an_empty_text_is_none(void **state)
{
    (void)state;
    const struct payload empty = {0};
    struct configuration c;
    assert_false(configuration_unpack(&empty, 5, &c));
    uint32_t numbers[NODE_ID_MAX + 1] = {[1] = 7};
    configuration_numbers(&empty, numbers);
    assert_int_equal(numbers[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_is_none),
        cmocka_unit_test(the_number_of_a_nodes_disk_is_read),
        cmocka_unit_test(a_text_says_what_it_says),
        cmocka_unit_test(there_is_one_spelling),
        cmocka_unit_test(sixty_three_members_fit),
        cmocka_unit_test(a_node_is_added_as_a_learner_first),
        cmocka_unit_test(numbers_of_instances_never_repeat),
        cmocka_unit_test(quorums_follow_the_acceptors),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(roles_have_names),
        cmocka_unit_test(the_size_of_the_state_is_set),
        cmocka_unit_test(alpha_is_set),
        cmocka_unit_test(whether_acceptors_tell_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
