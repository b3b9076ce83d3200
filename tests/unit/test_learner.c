/* core/paxos/learner.c: what counts as chosen (P3 and P6), and its release in order (P7). */
#include "core/paxos/learner.h"

#include "tests/unit/configuration_text.h"
#include "tests/unit/protocol.h"

static struct learner *fresh(void)
{
    struct node_config config = three_nodes(1);
    return learner_new(&config);
}

static void propose(struct learner *l, uint64_t slot, struct ballot ballot, const char *text)
{
    struct entry e = entry_at(slot, ballot, text);
    learner_proposed(l, &e, 1);
}

static void learn(struct learner *l, uint64_t slot, struct ballot ballot, const char *text)
{
    struct entry e = entry_at(slot, ballot, text);
    learner_learned(l, &e, 1);
}

static void releases(struct learner *l, size_t count, const char *last)
{
    struct entry_list released = learner_release(l, 1000);
    assert_int_equal(released.len, count);
    if (count > 0)
        assert_true(payload_is(&released.ptr[count - 1].value, last));
}

static void a_quorum_of_votes_at_one_ballot_chooses(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 1, ballot_of(1, 1), "x");
    learner_voted(l, 1, ballot_of(1, 1), 1, 2);
    learner_voted(l, 1, ballot_of(1, 1), 1, 2);
    learner_voted(l, 40, ballot_of(1, 1), 1, 2); /* no acceptor */
    releases(l, 0, NULL);
    learner_voted(l, 2, ballot_of(2, 1), 1, 2); /* another ballot: the votes do not add up */
    releases(l, 0, NULL);
    learner_voted(l, 3, ballot_of(2, 1), 1, 2);
    propose(l, 1, ballot_of(2, 1), "x");
    releases(l, 1, "x");
    releases(l, 0, NULL); /* each is given once */
    learner_free(l);
}

/* P6: a value proposed below the ballot that the slot was chosen at may be another one. */
static void a_value_of_a_lower_ballot_does_not_count(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 1, ballot_of(1, 1), "lost");
    learner_chosen(l, ballot_of(2, 2), 1, 2);
    releases(l, 0, NULL);
    struct learner_gap gap = learner_missing(l);
    assert_true(gap.from == 1 && gap.to == 2);
    propose(l, 1, ballot_of(2, 2), "won");
    releases(l, 1, "won");
    learner_free(l);
}

/* Those of the highest slots go, and are asked for when their turn comes; the next one is kept, however long it is. */
static void values_have_so_many_bytes_at_most(void **state)
{
    struct node_config config = three_nodes(1);
    config.bytes_in_flight_max = 20;
    struct learner *l = learner_new(&config);
    (void)state;
    for (uint64_t slot = learner_window(config.alpha); slot > 0; slot--)
        propose(l, slot, ballot_of(1, 1), "ten bytes.");
    assert_int_equal(learner_bytes(l), 40);
    learner_chosen(l, ballot_of(1, 1), 1, 20);
    releases(l, 4, "ten bytes.");
    struct learner_gap gap = learner_missing(l);
    assert_true(gap.from == 5 && gap.to == 20);
    propose(l, 6, ballot_of(1, 1), "ten bytes.");
    learn(l, 7, ballot_of(1, 1), "ten bytes.");
    learn(l, 5, ballot_of(1, 1), "a value that is longer than all that may be kept at a time");
    assert_int_equal(learner_bytes(l), 58);
    releases(l, 1, "a value that is longer than all that may be kept at a time");
    gap = learner_missing(l);
    assert_true(gap.from == 6 && gap.to == 20);
    learn(l, 6, ballot_of(1, 1), "ten bytes.");
    learn(l, 7, ballot_of(1, 1), "ten bytes.");
    releases(l, 2, "ten bytes.");
    learner_release(l, 1);
    assert_int_equal(learner_bytes(l), 0);
    learner_free(l);
}

static void a_value_of_a_higher_ballot_counts(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 1, ballot_of(1, 1), "lost");
    learner_chosen(l, ballot_of(2, 2), 1, 2);
    propose(l, 1, ballot_of(3, 3), "won");
    releases(l, 1, "won");
    learner_free(l);
}

/* Of one that does not lead, or never did, the learner is free again as soon as it hears who does. */
static void the_latest_mark_counts(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 1, ballot_of(1, 1), "one");
    learner_chosen(l, ballot_of(5, 2), 4, SLOT_MAX - 1);
    releases(l, 0, NULL);
    learner_chosen(l, ballot_of(1, 1), 1, 2);
    releases(l, 1, "one");
    assert_int_equal(learner_known_chosen(l), 2);
    learner_free(l);
}

static void marks_of_one_ballot_add_up(void **state)
{
    struct learner *l = fresh();
    (void)state;
    for (uint64_t slot = 1; slot <= 4; slot++)
        propose(l, slot, ballot_of(1, 1), "x");
    learner_chosen(l, ballot_of(1, 1), 3, 5);
    learner_chosen(l, ballot_of(1, 1), 1, 3); /* an older word comes late */
    releases(l, 4, "x");
    learner_free(l);
}

static void slots_between_two_marks_are_not_covered(void **state)
{
    struct learner *l = fresh();
    (void)state;
    for (uint64_t slot = 1; slot <= 8; slot++)
        propose(l, slot, ballot_of(1, 1), "x");
    learner_chosen(l, ballot_of(1, 1), 1, 3);
    learner_chosen(l, ballot_of(1, 1), 6, 8); /* 3 to 5 were chosen at some other ballot */
    releases(l, 0, NULL);
    learn(l, 1, ballot_of(1, 1), "x");
    learn(l, 2, ballot_of(1, 1), "x");
    releases(l, 2, "x");
    assert_int_equal(learner_next(l), 3);
    learner_free(l);
}

static void entries_from_a_peer_are_chosen(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 1, ballot_of(1, 1), "lost");
    learn(l, 1, ballot_of(2, 2), "won");
    releases(l, 1, "won");
    learner_free(l);
}

static void slots_are_released_in_order(void **state)
{
    struct learner *l = fresh();
    (void)state;
    learn(l, 3, ballot_of(1, 1), "three");
    learn(l, 2, ballot_of(1, 1), "two");
    releases(l, 0, NULL);
    learn(l, 1, ballot_of(1, 1), "one");
    struct entry_list released = learner_release(l, 5);
    assert_int_equal(released.len, 2);
    assert_int_equal(released.ptr[0].slot, 1);
    assert_int_equal(released.ptr[1].slot, 2);
    releases(l, 1, "three");
    assert_int_equal(learner_next(l), 4);
    learner_free(l);
}

static void the_gap_is_the_first_run_that_is_missing(void **state)
{
    struct learner *l = fresh();
    (void)state;
    struct learner_gap gap = learner_missing(l);
    assert_true(gap.from == gap.to);
    learn(l, 1, ballot_of(1, 1), "x");
    learn(l, 5, ballot_of(1, 1), "x");
    learner_chosen(l, ballot_of(1, 1), 9, 9);
    releases(l, 1, "x");
    gap = learner_missing(l);
    assert_true(gap.from == 2 && gap.to == 5);
    learner_chosen(l, ballot_of(1, 1), 1000000, 1000000);
    gap = learner_missing(l);
    assert_true(gap.from == 2 && gap.to == 5);
    learner_free(l);
}

static void nothing_outside_the_window_is_kept(void **state)
{
    struct learner *l = fresh();
    struct node_config config = three_nodes(1);
    uint64_t window = learner_window(config.alpha);
    (void)state;
    propose(l, 1 + window, ballot_of(1, 1), "beyond");
    propose(l, SLOT_MAX - 1, ballot_of(1, 1), "far beyond");
    propose(l, 0, ballot_of(1, 1), "nowhere");
    learner_voted(l, 1, ballot_of(1, 1), 0, SLOT_MAX - 1);
    learner_voted(l, 2, ballot_of(1, 1), 5, 1);
    learner_chosen(l, ballot_of(1, 1), 1, SLOT_MAX - 1);
    learner_chosen(l, ballot_of(1, 1), 5, 1);
    releases(l, 0, NULL);
    struct learner_gap gap = learner_missing(l);
    assert_true(gap.from == 1 && gap.to == 1 + window);
    learner_free(l);
}

static void the_window_moves_along(void **state)
{
    struct learner *l = fresh();
    (void)state;
    for (uint64_t slot = 1; slot <= 1000; slot++) {
        learn(l, slot, ballot_of(1, 1), "x");
        releases(l, 1, "x");
    }
    assert_int_equal(learner_next(l), 1001);
    learner_free(l);
}

static void vote(struct learner *l, node_set voters, uint64_t slot)
{
    for (; voters != 0; voters &= voters - 1)
        learner_voted(l, node_set_first(voters), ballot_of(1, 1), slot, slot + 1);
}

/* P11: from slot 20 on, nodes 3 to 5 vote. Two of the old ones are a quorum before that only. */
static void votes_count_by_the_configuration_of_their_slot(void **state)
{
    struct learner *l = fresh();
    const struct configuration c = configuration_chosen(12, 0, 0x38);
    (void)state;
    learner_skip(l, 18);
    learner_configure(l, &c);
    for (uint64_t slot = 18; slot < 22; slot++)
        propose(l, slot, ballot_of(1, 1), "x");
    vote(l, 0x30, 18); /* nodes 4 and 5 are no acceptors yet */
    releases(l, 0, NULL);
    vote(l, 0x6, 18);
    vote(l, 0x6, 19);
    vote(l, 0x6, 20); /* nodes 1 and 2 are none any more */
    releases(l, 2, "x");
    releases(l, 0, NULL);
    vote(l, 0x8, 20);
    releases(l, 0, NULL);
    vote(l, 0x10, 20);
    releases(l, 1, "x");
    learner_audit(l);
    learner_free(l);
}

/* P11: node 2 gets a new disk in slot 12. What the old one voted for from slot 20 on is not a vote of the new one. */
static void votes_of_a_replaced_disk_do_not_count(void **state)
{
    struct learner *l = fresh();
    struct configuration c = configuration_chosen(12, 0, 0xe);
    (void)state;
    c.fresh = node_set_of(2);
    learner_skip(l, 18);
    for (uint64_t slot = 18; slot < 21; slot++) {
        propose(l, slot, ballot_of(1, 1), "x");
        vote(l, slot == 20 ? 0x4 : 0x6, slot);
    }
    learner_configure(l, &c);
    releases(l, 2, "x");
    vote(l, 0x2, 20);
    releases(l, 0, NULL);
    vote(l, 0x4, 20);
    releases(l, 1, "x");
    learner_audit(l);
    learner_free(l);
}

/* Another configuration may govern from alpha slots after the first one that is not released. */
static void votes_far_ahead_wait_until_their_configuration_is_known(void **state)
{
    struct learner *l = fresh();
    (void)state;
    propose(l, 9, ballot_of(1, 1), "far");
    vote(l, 0xe, 9);
    struct learner_gap gap = learner_missing(l);
    assert_true(gap.from == gap.to); /* slot 9 is not known to be chosen */
    learn(l, 1, ballot_of(1, 1), "first");
    releases(l, 1, "first");
    gap = learner_missing(l);
    assert_true(gap.from == 2 && gap.to == 9);
    learner_free(l);
}

/* What a released entry says of later slots is known when it has been executed. */
static void votes_wait_for_a_configuration_that_is_not_executed(void **state)
{
    struct learner *l = fresh();
    struct payload text = configuration_value(0, 0x38);
    const struct entry e = {.slot = 1, .ballot = ballot_of(1, 1), .kind = ENTRY_CONFIGURATION, .value = text};
    (void)state;
    learner_learned(l, &e, 1);
    for (uint64_t slot = 2; slot < 9; slot++)
        learn(l, slot, ballot_of(1, 1), "x");
    assert_int_equal(learner_release(l, 100000).len, 8);
    propose(l, 9, ballot_of(1, 1), "nine");
    vote(l, 0x6, 9); /* a quorum of those before */
    releases(l, 0, NULL);
    const struct configuration c = configuration_chosen(1, 0, 0x38);
    learner_configure(l, &c);
    learner_limit(l, 2);
    releases(l, 0, NULL);
    vote(l, 0x18, 9);
    releases(l, 1, "nine");
    payload_free(&text);
    learner_free(l);
}

static void a_learner_that_joined_counts_nothing_at_first(void **state)
{
    struct node_config config = three_nodes(1);
    config.joined = DUTY_ALL;
    struct learner *l = learner_new(&config);
    (void)state;
    propose(l, 1, ballot_of(1, 1), "x");
    vote(l, 0xe, 1);
    releases(l, 0, NULL);
    learner_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_count_by_the_configuration_of_their_slot),
        cmocka_unit_test(votes_of_a_replaced_disk_do_not_count),
        cmocka_unit_test(votes_far_ahead_wait_until_their_configuration_is_known),
        cmocka_unit_test(votes_wait_for_a_configuration_that_is_not_executed),
        cmocka_unit_test(a_learner_that_joined_counts_nothing_at_first),
        cmocka_unit_test(a_quorum_of_votes_at_one_ballot_chooses),
        cmocka_unit_test(a_value_of_a_lower_ballot_does_not_count),
        cmocka_unit_test(values_have_so_many_bytes_at_most),
        cmocka_unit_test(a_value_of_a_higher_ballot_counts),
        cmocka_unit_test(the_latest_mark_counts),
        cmocka_unit_test(marks_of_one_ballot_add_up),
        cmocka_unit_test(slots_between_two_marks_are_not_covered),
        cmocka_unit_test(entries_from_a_peer_are_chosen),
        cmocka_unit_test(slots_are_released_in_order),
        cmocka_unit_test(the_gap_is_the_first_run_that_is_missing),
        cmocka_unit_test(nothing_outside_the_window_is_kept),
        cmocka_unit_test(the_window_moves_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
