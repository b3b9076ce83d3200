/* core/formats/decision.c: what the stories do not show (test_stories.c compares its texts with theirs). */
#include "core/formats/decision.h"
#include "tests/unit/protocol.h"

static char text[DECISION_TEXT_MAX + 1];

static size_t write_sent(node_set to, struct message message)
{
    const struct effect e = {.tag = EFFECT_SEND, .val.send = {.to = to, .message = message}};
    memset(text, 0, sizeof text);
    return decision_write(&e, text);
}

/* Every number as long as it can be, to every node, with more entries than a line has room for. */
static void test_a_long_line_is_cut(void **state)
{
    (void)state;
    static struct entry entries[1000];
    for (size_t i = 0; i < 1000; i++)
        entries[i] = (struct entry){.slot = UINT64_MAX - 1000 + i, .kind = ENTRY_COMMANDS, .value = text_payload("?")};
    const struct ballot highest = {UINT64_MAX, UINT32_MAX, UINT32_MAX};
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        for (size_t count = 0; count <= 1000; count = 2 * count + 1) {
            const struct message m = {.kind = kind,
                                      .flags = MESSAGE_RESIGNED,
                                      .ballot = highest,
                                      .from = UINT64_MAX,
                                      .to = UINT64_MAX,
                                      .chosen = UINT64_MAX,
                                      .batch = {.number = UINT64_MAX, .origin = UINT32_MAX},
                                      .entries = {entries, count}};
            const size_t len = write_sent(~(node_set)1, m);
            assert_true(len <= DECISION_TEXT_MAX);
            if (kind == MESSAGE_ACCEPT)
                assert_true((strstr(text, " and more") != NULL) == (count > 7));
        }
    }
}

static void test_what_one_does_not_follow(void **state)
{
    (void)state;
    const struct effect read = {.tag = EFFECT_READ};
    assert_int_equal(decision_write(&read, text), 0);
    assert_int_equal(write_sent(2, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING}), 0);
    assert_int_equal(write_sent(2, (struct message){.kind = MESSAGE_ALIVE}), 0);
    assert_int_equal(write_sent(2, (struct message){.kind = MESSAGE_PROGRESS}), 0);
    assert_true(write_sent(2, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED}) > 0);
    assert_string_equal(text, "-> 1: HEARTBEAT: not to be elected");
}

static void test_configurations(void **state)
{
    (void)state;
    struct effect e = {.tag = EFFECT_CONFIGURATION};
    e.val.configuration.configuration = (struct configuration){.slot = 813, .governs = 877};
    memset(text, 0, sizeof text);
    decision_write(&e, text);
    assert_string_equal(text, "knows the configuration of slot 813, which governs from slot 877");
    e.val.configuration.settled = true;
    memset(text, 0, sizeof text);
    decision_write(&e, text);
    assert_string_equal(text, "needs only the configuration of slot 813");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_line_is_cut),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_what_one_does_not_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
