/* core/base/message.c: a copy does not change with its original. core/formats/message_rules.c: who may say what is one
 * table. */
#include "core/base/message.h"
#include "core/formats/batch.h"
#include "core/formats/message_rules.h"

#include "tests/unit/protocol.h"

static void a_copy_stays_as_it_was(void **state)
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

/* Proposers 7 to 9, acceptors 4 to 6, learners 1 to 3. */
enum { A_PROPOSER = 8, AN_ACCEPTOR = 5, A_LEARNER = 2, A_STRANGER = 40 };

static bool fits(uint32_t sender, struct message m)
{
    const struct node_config config = nine_nodes(4);
    return message_fits(&config, sender, &m);
}

/* A message of each kind as its senders say it. */
static struct message typical(uint8_t kind)
{
    static struct entry entry;
    struct message m = {.kind = kind, .from = 1, .to = 2, .floor = 1, .chosen = 1};
    entry = entry_at(1, ballot_of(3, A_PROPOSER), "x");
    if (kind == MESSAGE_PREPARE || kind == MESSAGE_PROMISE || kind == MESSAGE_ACCEPT || kind == MESSAGE_ACCEPTED ||
        kind == MESSAGE_CHOSEN || kind == MESSAGE_NACK || kind == MESSAGE_ALIVE || kind == MESSAGE_HEARTBEAT ||
        kind == MESSAGE_HANDOVER || kind == MESSAGE_READ_ROUND || kind == MESSAGE_READ_CONFIRMED)
        m.ballot = ballot_of(3, A_PROPOSER);
    if (kind == MESSAGE_PROMISE || kind == MESSAGE_ACCEPT || kind == MESSAGE_LEARN || kind == MESSAGE_EXECUTED ||
        kind == MESSAGE_FORWARD || kind == MESSAGE_SNAPSHOT_PART || kind == MESSAGE_CONFIGURATION || kind == MESSAGE_QUERY ||
        kind == MESSAGE_QUERY_ANSWER || kind == MESSAGE_PROGRESS)
        m.entries = (struct entry_list){&entry, 1};
    if (kind == MESSAGE_FORWARD || kind == MESSAGE_RESULT_REQUEST || kind == MESSAGE_QUERY)
        m.batch = (struct batch_id){A_PROPOSER, 1, 1};
    return m;
}

static void each_kind_comes_from_its_roles_only(void **state)
{
    (void)state;
    static const char *const senders[MESSAGE_KINDS] = {
        [MESSAGE_PREPARE] = "P",
        [MESSAGE_PROMISE] = "A",
        [MESSAGE_ACCEPT] = "P",
        [MESSAGE_ACCEPTED] = "A",
        [MESSAGE_NACK] = "A",
        [MESSAGE_HEARTBEAT] = "P",
        [MESSAGE_ALIVE] = "A",
        [MESSAGE_ASK] = "P",
        [MESSAGE_LOST] = "A",
        [MESSAGE_CHOSEN] = "P",
        [MESSAGE_LEARN_REQUEST] = "L",
        [MESSAGE_LEARN] = "AL",
        [MESSAGE_EXECUTED] = "L",
        [MESSAGE_PROGRESS] = "L",
        [MESSAGE_FORWARD] = "P",
        [MESSAGE_RESULT_REQUEST] = "P",
        [MESSAGE_HANDOVER] = "P",
        [MESSAGE_SNAPSHOT] = "L",
        [MESSAGE_SNAPSHOT_FETCH] = "L",
        [MESSAGE_SNAPSHOT_PART] = "L",
        [MESSAGE_CONFIGURATION] = "PAL",
        [MESSAGE_READ_ROUND] = "P",
        [MESSAGE_READ_CONFIRMED] = "A",
        [MESSAGE_QUERY] = "P",
        [MESSAGE_QUERY_ANSWER] = "L",
        [MESSAGE_READ_INDEX] = "PL",
    };
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        assert_int_equal(fits(A_PROPOSER, typical(kind)), strchr(senders[kind], 'P') != NULL);
        assert_int_equal(fits(AN_ACCEPTOR, typical(kind)), strchr(senders[kind], 'A') != NULL);
        assert_int_equal(fits(A_LEARNER, typical(kind)), strchr(senders[kind], 'L') != NULL);
        assert_false(fits(A_STRANGER, typical(kind)));
        assert_false(fits(0, typical(kind)));
        assert_false(fits(NODE_ID_MAX + 1, typical(kind)));
    }
    assert_false(fits(A_PROPOSER, (struct message){.kind = MESSAGE_KINDS}));
}

/* A node that may say this kind. */
static uint32_t sender_of(uint8_t kind)
{
    static const uint32_t all[] = {A_PROPOSER, AN_ACCEPTOR, A_LEARNER};
    for (size_t i = 0; i < 3; i++)
        if (fits(all[i], typical(kind)))
            return all[i];
    return 0;
}

static void every_slot_and_round_is_bounded(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        uint32_t sender = sender_of(kind);
        struct message m = typical(kind);
        uint64_t *numbers[] = {&m.from, &m.to, &m.floor, &m.chosen};
        for (size_t i = 0; i < 4; i++) {
            const uint64_t before = *numbers[i];
            *numbers[i] = SLOT_MAX - 1;
            assert_true(fits(sender, m));
            *numbers[i] = SLOT_MAX;
            assert_false(fits(sender, m));
            *numbers[i] = UINT64_MAX;
            assert_false(fits(sender, m));
            *numbers[i] = before;
        }
        m.ballot = ballot_of(SLOT_MAX, A_PROPOSER);
        assert_false(fits(sender, m));
        m = typical(kind);
        if (m.entries.len == 0)
            continue;
        m.entries.ptr[0].slot = SLOT_MAX;
        assert_false(fits(sender, m));
        m = typical(kind);
        m.entries.ptr[0].ballot.round = SLOT_MAX;
        assert_false(fits(sender, m));
    }
}

static void entries_and_flags_are_those_of_the_kind(void **state)
{
    (void)state;
    struct entry entry = entry_at(1, ballot_of(3, A_PROPOSER), "x");
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        struct message m = typical(kind);
        const bool has_entries = m.entries.len > 0;
        m.entries = (struct entry_list){&entry, 1};
        assert_int_equal(fits(sender_of(kind), m), has_entries);
        m = typical(kind);
        m.flags = 128;
        assert_false(fits(sender_of(kind), m));
        m.flags = MESSAGE_LEADING;
        assert_int_equal(fits(sender_of(kind), m), kind == MESSAGE_HEARTBEAT);
    }
}

/* P1: an acceptor answers a PREPARE only of the node that the ballot names, and so with all that a leader says. */
static void a_ballot_is_its_senders(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {MESSAGE_PREPARE, MESSAGE_ACCEPT, MESSAGE_CHOSEN, MESSAGE_HEARTBEAT, MESSAGE_READ_ROUND};
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct message m = typical(kinds[i]);
        m.flags = kinds[i] == MESSAGE_HEARTBEAT ? MESSAGE_LEADING : 0;
        assert_true(fits(A_PROPOSER, m));
        assert_false(fits(A_PROPOSER + 1, m));
        m.ballot = (struct ballot){0};
        assert_false(fits(A_PROPOSER, m));
    }
    struct message m = typical(MESSAGE_HEARTBEAT); /* what was heard of others */
    assert_true(fits(A_PROPOSER + 1, m));
    m = typical(MESSAGE_ACCEPT);
    m.entries.ptr[0].ballot = ballot_of(2, A_PROPOSER);
    assert_false(fits(A_PROPOSER, m));
}

/* What is heard of others may be the ballot of a node that is no member any more. */
static void a_ballot_is_a_nodes(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        struct message m = typical(kind);
        m.ballot = ballot_of(3, 0);
        assert_false(fits(sender_of(kind), m));
        m.ballot = ballot_of(3, NODE_ID_MAX + 1);
        assert_false(fits(sender_of(kind), m));
    }
    struct message heard = typical(MESSAGE_NACK);
    heard.ballot = ballot_of(3, A_STRANGER);
    assert_true(fits(AN_ACCEPTOR, heard));
    heard = typical(MESSAGE_ACCEPT);
    heard.ballot = ballot_of(3, A_STRANGER);
    assert_false(fits(A_PROPOSER, heard));
    assert_false(fits(AN_ACCEPTOR, (struct message){.kind = MESSAGE_PROMISE}));
    assert_true(fits(AN_ACCEPTOR, (struct message){.kind = MESSAGE_ALIVE})); /* nothing is promised yet */
}

static void a_batch_is_its_senders(void **state)
{
    (void)state;
    struct message m = typical(MESSAGE_FORWARD);
    m.batch.origin = A_PROPOSER + 1;
    assert_false(fits(A_PROPOSER, m));
    m = typical(MESSAGE_RESULT_REQUEST);
    m.batch.origin = A_PROPOSER + 1;
    assert_false(fits(A_PROPOSER, m));
    m = typical(MESSAGE_QUERY);
    m.batch.origin = A_PROPOSER + 1;
    assert_false(fits(A_PROPOSER, m));
}

static void only_a_learner_says_what_is_chosen(void **state)
{
    (void)state;
    struct message m = typical(MESSAGE_LEARN);
    m.flags = MESSAGE_IS_CHOSEN;
    assert_true(fits(A_LEARNER, m));
    assert_false(fits(AN_ACCEPTOR, m));
}

/* A false stamp would have learners leave out what true leaders stamp (P25). */
static void no_vote_is_for_what_a_later_leader_stamped(void **state)
{
    (void)state;
    const uint8_t kinds[] = {MESSAGE_ACCEPT, MESSAGE_PROMISE};
    const uint32_t senders[] = {A_PROPOSER, AN_ACCEPTOR};
    uint64_t words[STAMP_SIZE / 8];
    for (size_t i = 0; i < 2; i++) {
        struct message m = typical(kinds[i]);
        m.entries.ptr[0].kind = ENTRY_NOOP;
        m.entries.ptr[0].value = stamp_pack((struct stamp){.ballot = ballot_of(3, A_PROPOSER)}, words);
        assert_true(fits(senders[i], m));
        m.entries.ptr[0].value = stamp_pack((struct stamp){.ballot = ballot_of(3, A_PROPOSER + 1)}, words);
        assert_false(fits(senders[i], m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_stays_as_it_was),
        cmocka_unit_test(a_message_without_entries_copies),
        cmocka_unit_test(no_vote_is_for_what_a_later_leader_stamped),
        cmocka_unit_test(each_kind_comes_from_its_roles_only),
        cmocka_unit_test(every_slot_and_round_is_bounded),
        cmocka_unit_test(entries_and_flags_are_those_of_the_kind),
        cmocka_unit_test(a_ballot_is_its_senders),
        cmocka_unit_test(a_ballot_is_a_nodes),
        cmocka_unit_test(a_batch_is_its_senders),
        cmocka_unit_test(only_a_learner_says_what_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
