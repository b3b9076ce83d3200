/* core/paxos/proposer.c: ballots, what phase 1 recovers, and the window of phase 2. */
#include "core/paxos/proposer.h"

#include "tests/unit/protocol.h"

static struct proposer *fresh(void)
{
    struct node_config config = three_nodes(1);
    return proposer_new(&config);
}

struct chunk {
    uint64_t from, to, floor;
    bool more;
    struct entry *entries;
    size_t count;
};

static struct promise_result promise(struct proposer *p, uint32_t sender, struct ballot ballot, struct chunk c)
{
    struct message m = {.kind = MESSAGE_PROMISE,
                        .flags = c.more ? 0 : MESSAGE_LAST,
                        .ballot = ballot,
                        .from = c.from,
                        .to = c.to,
                        .floor = c.floor,
                        .entries = {c.entries, c.count}};
    return proposer_promise(p, sender, &m);
}

/* An acceptor without votes. */
static struct promise_result promise_nothing(struct proposer *p, uint32_t sender, struct ballot ballot)
{
    return promise(p, sender, ballot, (struct chunk){.from = 1, .to = 1, .floor = 1});
}

static struct ballot elect(struct proposer *p)
{
    struct ballot b = proposer_prepare(p, (struct ballot){0}, 1);
    promise_nothing(p, 1, b);
    assert_int_equal(promise_nothing(p, 2, b).outcome, PROMISE_ELECTED);
    return b;
}

static uint64_t propose(struct proposer *p, const char *text)
{
    struct payload value = text_payload(text);
    return proposer_propose(p, ENTRY_COMMANDS, &value);
}

/* P1. */
static void every_ballot_is_new_and_above(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot first = proposer_prepare(p, ballot_of(41, 3), 1);
    assert_int_equal(first.round, 42);
    assert_int_equal(first.node, 1);
    assert_int_equal(first.incarnation, 1);
    proposer_resign(p);
    assert_true(ballot_compare(proposer_prepare(p, (struct ballot){0}, 1), first) > 0);
    proposer_free(p);
}

static void a_quorum_elects(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, (struct ballot){0}, 1);
    assert_int_equal(promise_nothing(p, 1, ballot_of(9, 9)).outcome, PROMISE_IGNORED);
    assert_int_equal(promise_nothing(p, 40, b).outcome, PROMISE_IGNORED); /* no acceptor */
    assert_int_equal(promise_nothing(p, 1, b).outcome, PROMISE_WAITING);
    assert_int_equal(promise_nothing(p, 1, b).outcome, PROMISE_IGNORED); /* counted once */
    assert_int_equal(proposer_window_now(p).ballot.round, 0);
    assert_int_equal(promise_nothing(p, 3, b).outcome, PROMISE_ELECTED);
    assert_int_equal(ballot_compare(proposer_window_now(p).ballot, b), 0);
    proposer_free(p);
}

/* P4: per slot the value of the highest ballot wins; gaps become no-ops. */
static void the_highest_vote_wins_and_gaps_are_filled(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry one[] = {entry_at(1, ballot_of(5, 2), "higher"), entry_at(4, ballot_of(2, 2), "four")};
    struct entry two[] = {entry_at(1, ballot_of(4, 3), "lower"), entry_at(2, ballot_of(4, 3), "two")};
    promise(p, 2, b, (struct chunk){1, 5, 1, false, one, 2});
    promise(p, 3, b, (struct chunk){1, 3, 1, false, two, 2});
    struct entry_list pending = proposer_pending(p, 1000);
    assert_int_equal(pending.len, 4);
    const char *values[] = {"higher", "two", "", "four"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pending.ptr[i].slot, i + 1);
        assert_int_equal(ballot_compare(pending.ptr[i].ballot, b), 0);
        assert_true(payload_is(&pending.ptr[i].value, values[i]));
        assert_int_equal(pending.ptr[i].kind, i == 2 ? ENTRY_NOOP : ENTRY_COMMANDS);
    }
    assert_int_equal(propose(p, "new"), 5);
    proposer_free(p);
}

static void an_acceptor_counts_when_its_chunks_are_contiguous(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry votes[] = {entry_at(1, ballot_of(1, 2), "one"), entry_at(3, ballot_of(1, 2), "three")};
    promise_nothing(p, 1, b);
    assert_int_equal(promise(p, 2, b, (struct chunk){3, 4, 1, false, votes + 1, 1}).outcome, PROMISE_IGNORED); /* a hole */
    struct promise_result r = promise(p, 2, b, (struct chunk){1, 3, 1, true, votes, 1});
    assert_int_equal(r.outcome, PROMISE_MORE);
    assert_int_equal(r.next, 3);
    assert_int_equal(proposer_promise_wanted(p, 2), 3);
    assert_int_equal(promise(p, 2, b, (struct chunk){3, 4, 1, false, votes + 1, 1}).outcome, PROMISE_ELECTED);
    assert_int_equal(proposer_pending(p, 1000).len, 3);
    proposer_free(p);
}

/* The network may double chunks: each must not ask for the next one again, or every round trip would double the traffic. */
static void a_chunk_that_came_before_asks_for_nothing(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry vote = entry_at(1, ballot_of(1, 2), "one");
    struct chunk chunk = {1, 3, 1, true, &vote, 1};
    assert_int_equal(promise(p, 2, b, chunk).outcome, PROMISE_MORE);
    assert_int_equal(promise(p, 2, b, chunk).outcome, PROMISE_IGNORED);
    proposer_free(p);
}

/* P4: a truncation floor raises ours; it is never "no vote". */
static void a_truncation_floor_raises_ours(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry old = entry_at(3, ballot_of(1, 2), "old"), vote = entry_at(101, ballot_of(1, 2), "new");
    promise(p, 1, b, (struct chunk){1, 4, 1, false, &old, 1});
    assert_int_equal(promise(p, 2, b, (struct chunk){100, 102, 100, false, &vote, 1}).outcome, PROMISE_ELECTED);
    struct proposer_window w = proposer_window_now(p);
    assert_int_equal(w.first, 100);
    assert_int_equal(w.next, 102);
    struct entry_list pending = proposer_pending(p, 1000);
    assert_int_equal(pending.len, 2);
    assert_int_equal(pending.ptr[0].kind, ENTRY_NOOP);
    assert_true(payload_is(&pending.ptr[1].value, "new"));
    proposer_free(p);
}

static void unsound_chunks_are_ignored(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry outside = entry_at(7, ballot_of(1, 2), "x"), future = entry_at(1, ballot_of(99, 2), "x");
    struct entry far = entry_at(1 << 20, ballot_of(1, 2), "x");
    assert_int_equal(promise(p, 2, b, (struct chunk){1, 7, 1, false, &outside, 1}).outcome, PROMISE_IGNORED);
    assert_int_equal(promise(p, 2, b, (struct chunk){1, 7, 1, false, &future, 1}).outcome, PROMISE_IGNORED);
    assert_int_equal(promise(p, 2, b, (struct chunk){1, SLOT_MAX - 1, 1, false, &far, 1}).outcome, PROMISE_IGNORED);
    assert_int_equal(promise(p, 2, b, (struct chunk){5, 1, 1, false, NULL, 0}).outcome, PROMISE_IGNORED);
    assert_int_equal(promise(p, 2, b, (struct chunk){1, SLOT_MAX - 1, SLOT_MAX - 1, false, NULL, 0}).outcome,
                     PROMISE_IGNORED);
    assert_int_equal(proposer_promise_wanted(p, 2), 1);
    proposer_free(p);
}

/* P5. */
static void the_window_is_alpha_slots(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    assert_int_equal(propose(p, "not leading"), 0);
    struct ballot b = elect(p);
    for (uint64_t slot = 1; slot <= 8; slot++)
        assert_int_equal(propose(p, "x"), slot);
    assert_int_equal(propose(p, "no room"), 0);
    assert_int_equal(proposer_pending(p, 1000).len, 8);
    proposer_accepted(p, 1, b, 2, 9); /* the first slot still holds the window */
    proposer_accepted(p, 2, b, 2, 9);
    assert_int_equal(propose(p, "no room"), 0);
    proposer_accepted(p, 3, b, 1, 2);
    struct proposer_window w = proposer_accepted(p, 2, b, 1, 2);
    assert_int_equal(w.chosen, 9);
    assert_int_equal(w.first, 1);
    assert_int_equal(w.bytes, 0);
    assert_int_equal(propose(p, "y"), 9);
    proposer_free(p);
}

static void recovered_slots_are_sent_as_the_window_allows(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    struct entry votes[20];
    for (size_t i = 0; i < 20; i++)
        votes[i] = entry_at(i + 1, ballot_of(1, 2), "x");
    promise(p, 2, b, (struct chunk){1, 21, 1, false, votes, 20});
    promise_nothing(p, 3, b);
    assert_int_equal(proposer_pending(p, 1000).len, 8);
    assert_int_equal(proposer_pending(p, 1000).len, 0);
    assert_int_equal(propose(p, "later"), 0);
    proposer_accepted(p, 2, b, 1, 5);
    proposer_accepted(p, 3, b, 1, 5);
    struct entry_list pending = proposer_pending(p, 1000);
    assert_int_equal(pending.len, 4);
    assert_int_equal(pending.ptr[0].slot, 9);
    proposer_free(p);
}

/* Votes may be older than this node's alpha. */
static void votes_far_beyond_the_window_are_recovered(void **state)
{
    struct node_config config = three_nodes(1);
    config.alpha = 1;
    struct proposer *p = proposer_new(&config);
    (void)state;
    struct ballot b = proposer_prepare(p, ballot_of(9, 1), 1);
    const uint64_t far = 5 * 4096;
    struct entry vote = entry_at(far, ballot_of(1, 2), "x");
    promise(p, 2, b, (struct chunk){1, far + 1, 1, false, &vote, 1});
    assert_int_equal(promise_nothing(p, 3, b).outcome, PROMISE_ELECTED);
    assert_int_equal(proposer_window_now(p).next, far + 1);
    vote.slot = 1 + PROPOSER_RECOVERED_MAX;
    b = proposer_prepare(p, ballot_of(19, 1), 1);
    assert_int_equal(promise(p, 2, b, (struct chunk){1, vote.slot + 1, 1, false, &vote, 1}).outcome, PROMISE_IGNORED);
    proposer_free(p);
}

static void a_quorum_of_votes_at_the_ballot_chooses(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = elect(p);
    propose(p, "x");
    proposer_accepted(p, 1, b, 1, 2);
    proposer_accepted(p, 2, b, 1, 2); /* it was not sent yet */
    assert_int_equal(proposer_window_now(p).chosen, 1);
    proposer_pending(p, 1000);
    proposer_accepted(p, 1, b, 1, 2);
    proposer_accepted(p, 1, b, 1, 2);
    proposer_accepted(p, 2, ballot_of(1, 9), 1, 2);
    proposer_accepted(p, 50, b, 1, 2);
    assert_int_equal(proposer_window_now(p).chosen, 1);
    assert_int_equal(proposer_accepted(p, 3, b, 0, SLOT_MAX - 1).chosen, 2);
    proposer_free(p);
}

static void unanswered_names_what_an_acceptor_lacks(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = elect(p);
    for (int i = 0; i < 4; i++)
        propose(p, "x");
    proposer_pending(p, 1000);
    proposer_accepted(p, 1, b, 1, 3);
    proposer_accepted(p, 2, b, 2, 3); /* slot 2 is chosen */
    struct entry_list lacking = proposer_unanswered(p, 1, 1000);
    assert_int_equal(lacking.len, 2);
    assert_int_equal(lacking.ptr[0].slot, 3);
    lacking = proposer_unanswered(p, 3, 1000);
    assert_int_equal(lacking.len, 3);
    assert_int_equal(lacking.ptr[0].slot, 1);
    assert_int_equal(proposer_unanswered(p, 3, 1).len, 1);
    proposer_free(p);
}

/* Slots settled from outside give way; later ones that were chosen meanwhile must not stay in the way. */
static void settling_passes_what_was_chosen_behind(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = elect(p);
    for (int i = 0; i < 3; i++)
        propose(p, "x");
    proposer_pending(p, 1000);
    proposer_accepted(p, 1, b, 2, 4);
    proposer_accepted(p, 2, b, 2, 4);
    assert_int_equal(proposer_window_now(p).chosen, 1);
    struct proposer_window w = proposer_settle(p, 2);
    assert_int_equal(w.first, 2);
    assert_int_equal(w.chosen, 4);
    proposer_free(p);
}

static void settling_beyond_the_window_moves_it(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    elect(p);
    propose(p, "x");
    struct proposer_window w = proposer_settle(p, 1000000);
    assert_int_equal(w.chosen, 1000000);
    assert_int_equal(w.bytes, 0);
    assert_int_equal(proposer_pending(p, 1000).len, 0);
    assert_int_equal(propose(p, "y"), 1000000);
    assert_int_equal(proposer_settle(p, 5).first, 1000000);
    proposer_free(p);
}

static void resigning_forgets_the_window(void **state)
{
    struct proposer *p = fresh();
    (void)state;
    struct ballot b = elect(p);
    propose(p, "x");
    proposer_resign(p);
    struct proposer_window w = proposer_window_now(p);
    assert_int_equal(w.ballot.round, 0);
    assert_int_equal(w.bytes, 0);
    assert_int_equal(proposer_pending(p, 1000).len, 0);
    assert_int_equal(proposer_accepted(p, 2, b, 1, 2).chosen, 1);
    assert_int_equal(promise_nothing(p, 3, b).outcome, PROMISE_IGNORED);
    proposer_free(p);
}

/* P11: nothing is proposed where another configuration may govern. */
static void nothing_is_proposed_at_the_limit(void **state)
{
    struct proposer *p = fresh();
    struct configuration c = {.acceptors = 0xe, .phase1_quorum = 2, .phase2_quorum = 2, .alpha = 8};
    (void)state;
    proposer_configure(p, &c);
    elect(p);
    assert_int_equal(propose(p, "x"), 0);
    proposer_limit(p, 3);
    assert_int_equal(propose(p, "a"), 1);
    assert_int_equal(propose(p, "b"), 2);
    assert_int_equal(propose(p, "c"), 0);
    assert_int_equal(proposer_pending(p, 1000).len, 2);
    proposer_limit(p, 2); /* it never falls */
    proposer_limit(p, 4);
    assert_int_equal(propose(p, "c"), 3);
    proposer_free(p);
}

/* A vote beyond the limit is not forgotten: it comes with the slot. */
static void what_was_recovered_waits_for_the_limit(void **state)
{
    struct proposer *p = fresh();
    struct configuration c = {.acceptors = 0xe, .phase1_quorum = 2, .phase2_quorum = 2, .alpha = 8};
    struct entry vote = entry_at(4, ballot_of(1, 3), "old");
    (void)state;
    proposer_configure(p, &c);
    struct ballot b = proposer_prepare(p, ballot_of(1, 3), 1);
    promise(p, 1, b, (struct chunk){.from = 1, .to = 5, .floor = 1, .entries = &vote, .count = 1});
    promise_nothing(p, 2, b);
    proposer_limit(p, 3);
    assert_int_equal(proposer_pending(p, 1000).len, 2); /* no-ops */
    assert_int_equal(proposer_pending(p, 1000).len, 0);
    proposer_limit(p, 5);
    struct entry_list rest = proposer_pending(p, 1000);
    assert_int_equal(rest.len, 2);
    assert_true(payload_is(&rest.ptr[1].value, "old"));
    proposer_free(p);
}

static void another_configuration_has_other_acceptors(void **state)
{
    struct proposer *p = fresh();
    struct configuration c = {.acceptors = 0x38, .phase1_quorum = 3, .phase2_quorum = 1, .alpha = 8};
    (void)state;
    elect(p);
    proposer_configure(p, &c);
    assert_int_equal(propose(p, "x"), 0); /* it no longer leads */
    struct ballot b = proposer_prepare(p, (struct ballot){0}, 20);
    assert_int_equal(promise(p, 2, b, (struct chunk){.from = 20, .to = 20, .floor = 1}).outcome, PROMISE_IGNORED);
    for (uint32_t node = 3; node <= 5; node++) {
        const uint8_t outcome = promise(p, node, b, (struct chunk){.from = 20, .to = 20, .floor = 1}).outcome;
        assert_int_equal(outcome, node < 5 ? PROMISE_WAITING : PROMISE_ELECTED);
    }
    proposer_limit(p, 30);
    assert_int_equal(propose(p, "y"), 20);
    assert_int_equal(proposer_pending(p, 1000).len, 1);
    assert_int_equal(proposer_accepted(p, 1, b, 20, 21).chosen, 20);
    assert_int_equal(proposer_accepted(p, 4, b, 20, 21).chosen, 21);
    proposer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_proposed_at_the_limit),
        cmocka_unit_test(what_was_recovered_waits_for_the_limit),
        cmocka_unit_test(another_configuration_has_other_acceptors),
        cmocka_unit_test(every_ballot_is_new_and_above),
        cmocka_unit_test(a_quorum_elects),
        cmocka_unit_test(the_highest_vote_wins_and_gaps_are_filled),
        cmocka_unit_test(an_acceptor_counts_when_its_chunks_are_contiguous),
        cmocka_unit_test(a_chunk_that_came_before_asks_for_nothing),
        cmocka_unit_test(a_truncation_floor_raises_ours),
        cmocka_unit_test(unsound_chunks_are_ignored),
        cmocka_unit_test(the_window_is_alpha_slots),
        cmocka_unit_test(recovered_slots_are_sent_as_the_window_allows),
        cmocka_unit_test(votes_far_beyond_the_window_are_recovered),
        cmocka_unit_test(a_quorum_of_votes_at_the_ballot_chooses),
        cmocka_unit_test(unanswered_names_what_an_acceptor_lacks),
        cmocka_unit_test(settling_passes_what_was_chosen_behind),
        cmocka_unit_test(settling_beyond_the_window_moves_it),
        cmocka_unit_test(resigning_forgets_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
