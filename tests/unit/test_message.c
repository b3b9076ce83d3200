/* core/base/message.c: copies share nothing, and messages about slots beyond all bounds are told apart. */
#include "core/base/message.h"

#include "tests/unit/protocol.h"

static void a_copy_shares_nothing(void **state)
{
    (void)state;
    struct entry entries[2] = {entry_at(3, ballot_of(1, 2), "three"), entry_at(4, ballot_of(1, 2), "")};
    struct message m = {
        .kind = MESSAGE_ACCEPT, .flags = MESSAGE_LAST, .ballot = ballot_of(1, 2), .from = 1, .entries = {entries, 2}};
    struct message copy = message_copy(&m);
    memset(entries[0].value.words.ptr, 'x', 5);
    memset(entries, 0, sizeof entries);
    assert_int_equal(copy.kind, MESSAGE_ACCEPT);
    assert_int_equal(copy.flags, MESSAGE_LAST);
    assert_int_equal(copy.entries.len, 2);
    assert_int_equal(copy.entries.ptr[0].slot, 3);
    assert_true(payload_is(&copy.entries.ptr[0].value, "three"));
    assert_int_equal(copy.entries.ptr[1].slot, 4);
    assert_int_equal(copy.entries.ptr[1].value.len, 0);
    message_free(&copy);
    assert_int_equal(copy.entries.len, 0);
}

static void a_message_without_entries_copies(void **state)
{
    (void)state;
    struct message m = {.kind = MESSAGE_ALIVE, .ballot = ballot_of(7, 1)};
    struct message copy = message_copy(&m);
    assert_null(copy.entries.ptr);
    assert_int_equal(copy.ballot.round, 7);
    message_free(&copy);
}

static void every_slot_and_the_round_are_bounded(void **state)
{
    (void)state;
    struct entry entry = {.slot = SLOT_MAX - 1};
    const struct message sound = {.from = SLOT_MAX - 1,
                                  .to = SLOT_MAX - 1,
                                  .floor = SLOT_MAX - 1,
                                  .chosen = SLOT_MAX - 1,
                                  .ballot = {.round = SLOT_MAX - 1},
                                  .batch = {.number = UINT64_MAX},
                                  .entries = {&entry, 1}};
    assert_true(message_fits(&sound));
    struct message m = sound;
    m.from = SLOT_MAX;
    assert_false(message_fits(&m));
    m = sound;
    m.to = UINT64_MAX;
    assert_false(message_fits(&m));
    m = sound;
    m.floor = SLOT_MAX;
    assert_false(message_fits(&m));
    m = sound;
    m.chosen = SLOT_MAX;
    assert_false(message_fits(&m));
    m = sound;
    m.ballot.round = SLOT_MAX;
    assert_false(message_fits(&m));
    entry.slot = SLOT_MAX;
    assert_false(message_fits(&sound));
}

static void a_proposers_ballot_is_not_none(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        struct message m = {.kind = kind};
        assert_int_equal(message_fits(&m), kind != MESSAGE_PREPARE && kind != MESSAGE_ACCEPT);
        m.ballot.round = 1;
        assert_true(message_fits(&m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_shares_nothing),
        cmocka_unit_test(a_proposers_ballot_is_not_none),
        cmocka_unit_test(a_message_without_entries_copies),
        cmocka_unit_test(every_slot_and_the_round_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
