/* core/paxos/acceptor.c: promises, votes, the window, truncation, and coming back from records. */
#include "core/paxos/acceptor.h"

#include "tests/unit/protocol.h"

static struct acceptor *fresh(void)
{
    struct node_config config = three_nodes(1);
    return acceptor_new(&config);
}

static struct acceptor_accept_result vote(struct acceptor *a, struct ballot ballot, uint64_t slot, const char *text)
{
    struct entry e = entry_at(slot, ballot, text);
    return acceptor_accept(a, ballot, &e, 1);
}

static void a_promise_never_goes_down(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    struct acceptor_prepare_result r = acceptor_prepare(a, ballot_of(5, 2));
    assert_true(r.granted && r.is_new);
    r = acceptor_prepare(a, ballot_of(5, 1));
    assert_false(r.granted);
    assert_int_equal(r.promised.node, 2);
    r = acceptor_prepare(a, ballot_of(5, 2)); /* asked again: nothing new to write */
    assert_true(r.granted && !r.is_new);
    r = acceptor_prepare(a, (struct ballot){5, 2, 2}); /* P1: the next life has another ballot */
    assert_true(r.granted && r.is_new);
    acceptor_free(a);
}

static void a_lower_ballot_gets_no_vote(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    acceptor_prepare(a, ballot_of(5, 2));
    struct acceptor_accept_result r = vote(a, ballot_of(4, 3), 1, "x");
    assert_false(r.granted);
    assert_int_equal(r.promised.round, 5);
    assert_int_equal(r.runs.len, 0);
    assert_int_equal(acceptor_votes(a, 1, 100).entries.len, 0);
    acceptor_free(a);
}

static void a_vote_raises_the_promise(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    assert_true(vote(a, ballot_of(7, 1), 1, "x").granted);
    assert_false(acceptor_prepare(a, ballot_of(6, 3)).granted);
    acceptor_free(a);
}

/* P2: a promise without a record would be forgotten at a crash, though a proposer may have been told of it. */
static void without_a_new_vote_nothing_is_promised(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    acceptor_truncate(a, 10);
    struct acceptor_accept_result r = vote(a, ballot_of(7, 1), 9, "below the floor");
    assert_true(r.granted);
    assert_int_equal(r.runs.len, 0);
    assert_true(acceptor_accept(a, ballot_of(7, 1), NULL, 0).granted);
    assert_true(acceptor_prepare(a, ballot_of(7, 1)).is_new);
    acceptor_free(a);
}

static void runs_tell_new_votes_from_known_ones(void **state)
{
    struct acceptor *a = fresh();
    struct ballot b = ballot_of(1, 1);
    (void)state;
    vote(a, b, 2, "two");
    struct entry entries[] = {entry_at(1, b, "one"), entry_at(2, b, "two"), entry_at(3, b, "three"), entry_at(4, b, "four")};
    struct acceptor_accept_result r = acceptor_accept(a, b, entries, 4);
    assert_int_equal(r.runs.len, 3);
    assert_true(r.runs.ptr[0].from == 1 && r.runs.ptr[0].to == 2 && r.runs.ptr[0].is_new);
    assert_true(r.runs.ptr[1].from == 2 && r.runs.ptr[1].to == 3 && !r.runs.ptr[1].is_new);
    assert_true(r.runs.ptr[2].from == 3 && r.runs.ptr[2].to == 5 && r.runs.ptr[2].is_new);
    acceptor_free(a);
}

static void a_higher_ballot_replaces_the_vote(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    vote(a, ballot_of(1, 1), 1, "old");
    vote(a, ballot_of(2, 2), 1, "new");
    struct acceptor_vote_chunk chunk = acceptor_votes(a, 1, 100);
    assert_int_equal(chunk.entries.len, 1);
    assert_int_equal(chunk.entries.ptr[0].ballot.round, 2);
    assert_true(payload_is(&chunk.entries.ptr[0].value, "new"));
    acceptor_free(a);
}

/* OneValuePerBallot: whatever comes a second time at the same ballot, the first vote stands. */
static void a_second_value_at_a_ballot_is_not_taken(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    vote(a, ballot_of(1, 1), 1, "first");
    struct acceptor_accept_result r = vote(a, ballot_of(1, 1), 1, "second");
    assert_false(r.runs.ptr[0].is_new);
    assert_true(payload_is(&acceptor_votes(a, 1, 100).entries.ptr[0].value, "first"));
    acceptor_free(a);
}

static void slots_outside_the_window_get_no_vote(void **state)
{
    struct acceptor *a = fresh();
    struct node_config config = three_nodes(1);
    uint64_t window = acceptor_window(config.alpha);
    (void)state;
    assert_int_equal(vote(a, ballot_of(1, 1), 1 + window, "beyond").runs.len, 0);
    assert_int_equal(vote(a, ballot_of(1, 1), SLOT_MAX - 1, "far beyond").runs.len, 0);
    assert_int_equal(vote(a, ballot_of(1, 1), window, "the last").runs.len, 1);
    assert_int_equal(vote(a, ballot_of(1, 1), 0, "none").runs.len, 0);
    acceptor_free(a);
}

/* More slots may be in flight, and later fewer: what had a vote keeps it. */
static void the_window_only_grows(void **state)
{
    struct acceptor *a = fresh();
    struct node_config config = three_nodes(1);
    const uint64_t window = acceptor_window(config.alpha), wide = acceptor_window(512);
    (void)state;
    acceptor_widen(a, 512);
    assert_int_equal(vote(a, ballot_of(1, 1), 1 + wide, "beyond").runs.len, 0);
    assert_int_equal(vote(a, ballot_of(1, 1), 1, "first").runs.len, 1);
    assert_int_equal(vote(a, ballot_of(1, 1), wide, "the last").runs.len, 1);
    acceptor_widen(a, 1);
    assert_int_equal(vote(a, ballot_of(1, 1), 1 + window, "between").runs.len, 1);
    assert_int_equal(vote(a, ballot_of(2, 1), wide, "another").runs.len, 1);
    assert_int_equal(acceptor_votes(a, 1, 1000).entries.len, 3);
    acceptor_truncate(a, 2);
    acceptor_audit(a, 2);
    acceptor_free(a);
}

static const struct acceptor_vote_run *vote_long(struct acceptor *a, struct ballot ballot, uint64_t slot, uint32_t bytes)
{
    static uint64_t words[32];
    const struct entry e = {.slot = slot, .value = {.words = {words, words_for(bytes)}, .len = bytes}};
    const struct acceptor_accept_result r = acceptor_accept(a, ballot, &e, 1);
    return r.runs.len > 0 ? r.runs.ptr : NULL;
}

/* A forged proposer's values are no longer than memory allows; in the slot at the floor there always is room, or it would
 * never rise. */
static void votes_have_so_many_bytes_at_most(void **state)
{
    struct node_config config = three_nodes(1);
    config.bytes_in_flight_max = 100;
    struct acceptor *a = acceptor_new(&config);
    const uint64_t window = acceptor_window(config.alpha);
    (void)state;
    for (uint64_t slot = window; slot > 1; slot--)
        assert_true((vote_long(a, ballot_of(1, 1), slot, 60) != NULL) == (slot > window - 4));
    assert_int_equal(acceptor_bytes(a), 240);
    assert_null(vote_long(a, ballot_of(1, 1), 3, 1));
    assert_non_null(vote_long(a, ballot_of(1, 1), 3, 0)); /* a new leader fills gaps with no-ops */
    assert_non_null(vote_long(a, ballot_of(1, 1), 1, 250));
    assert_int_equal(acceptor_bytes(a), 490);
    assert_false(vote_long(a, ballot_of(1, 1), window, 60)->is_new); /* what is cast is cast */
    assert_true(vote_long(a, ballot_of(2, 2), window, 60)->is_new);
    assert_null(vote_long(a, ballot_of(2, 2), 3, 1));
    assert_null(vote_long(a, ballot_of(2, 2), window - 1, 61));
    acceptor_truncate(a, 3);
    assert_int_equal(acceptor_bytes(a), 240);
    assert_non_null(vote_long(a, ballot_of(2, 2), 3, 250)); /* the floor's turn has come */
    acceptor_truncate(a, 1000);
    assert_int_equal(acceptor_bytes(a), 0);
    acceptor_free(a);
}

/* It may be longer than all that a leader may have in flight; the slots before it are executed, and the floor has not risen
 * yet. */
static void one_value_may_cross_the_bound(void **state)
{
    struct node_config config = three_nodes(1);
    config.bytes_in_flight_max = 50;
    struct acceptor *a = acceptor_new(&config);
    (void)state;
    assert_non_null(vote_long(a, ballot_of(1, 1), 1, 10));
    assert_non_null(vote_long(a, ballot_of(1, 1), 2, 250));
    assert_null(vote_long(a, ballot_of(1, 1), 3, 1));
    acceptor_free(a);
}

/* Without a vote nothing is promised: there would be no record of it. */
static void where_there_is_no_room_nothing_is_promised(void **state)
{
    struct node_config config = three_nodes(1);
    config.bytes_in_flight_max = 0;
    struct acceptor *a = acceptor_new(&config);
    (void)state;
    assert_null(vote_long(a, ballot_of(7, 1), 2, 1));
    assert_true(acceptor_prepare(a, ballot_of(6, 1)).granted);
    acceptor_free(a);
}

/* A vote that was cast is kept, though the next life's settings leave no room for it. */
static void recovery_keeps_all_votes(void **state)
{
    struct node_config config = three_nodes(1);
    config.bytes_in_flight_max = 0;
    struct acceptor *a = acceptor_new(&config);
    (void)state;
    for (uint64_t slot = 1; slot <= 8; slot++) {
        struct log_record r = {.lsn = slot, .kind = RECORD_ACCEPTED, .entry = entry_at(slot, ballot_of(3, 1), "ten bytes.")};
        acceptor_restore(a, &r);
    }
    assert_int_equal(acceptor_votes(a, 1, 1000).entries.len, 8);
    assert_int_equal(acceptor_bytes(a), 80);
    acceptor_free(a);
}

static void votes_come_in_contiguous_chunks(void **state)
{
    struct acceptor *a = fresh();
    uint64_t from = 1, seen = 0;
    struct acceptor_vote_chunk chunk;
    (void)state;
    for (uint64_t slot = 1; slot <= 20; slot++)
        if (slot % 3 != 0)
            vote(a, ballot_of(1, 1), slot, "ten bytes.");
    do {
        chunk = acceptor_votes(a, from, 35);
        assert_int_equal(chunk.from, from);
        assert_true(chunk.to > from);
        for (size_t i = 0; i < chunk.entries.len; i++) {
            uint64_t slot = chunk.entries.ptr[i].slot;
            assert_true(slot >= chunk.from && slot < chunk.to && slot > seen && slot % 3 != 0);
            seen = slot;
        }
        assert_true(chunk.entries.len <= 4);
        from = chunk.to;
    } while (!chunk.last);
    assert_int_equal(seen, 20);
    assert_int_equal(from, 21);
    acceptor_free(a);
}

static void one_vote_larger_than_a_chunk_is_told(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    vote(a, ballot_of(1, 1), 1, "much more than one byte");
    vote(a, ballot_of(1, 1), 2, "x");
    struct acceptor_vote_chunk chunk = acceptor_votes(a, 1, 1);
    assert_int_equal(chunk.entries.len, 1);
    assert_false(chunk.last);
    acceptor_free(a);
}

/* P4: below the truncation floor there is no "no vote"; the chunk says where the floor is. */
static void a_chunk_begins_at_the_floor(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    for (uint64_t slot = 1; slot <= 6; slot++)
        vote(a, ballot_of(1, 1), slot, "x");
    assert_int_equal(acceptor_truncate(a, 5), 5);
    assert_int_equal(acceptor_truncate(a, 3), 5);
    struct acceptor_vote_chunk chunk = acceptor_votes(a, 2, 100);
    assert_int_equal(chunk.floor, 5);
    assert_int_equal(chunk.from, 5);
    assert_int_equal(chunk.to, 7);
    assert_int_equal(chunk.entries.len, 2);
    acceptor_free(a);
}

static void a_floor_beyond_all_votes_moves_the_window(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    vote(a, ballot_of(1, 1), 3, "x");
    assert_int_equal(acceptor_truncate(a, 1000000), 1000000);
    assert_int_equal(vote(a, ballot_of(1, 1), 1000000, "y").runs.len, 1);
    struct acceptor_vote_chunk chunk = acceptor_votes(a, 1, 100);
    assert_int_equal(chunk.from, 1000000);
    assert_int_equal(chunk.entries.len, 1);
    acceptor_free(a);
}

static void records_bring_back_promise_votes_and_floor(void **state)
{
    struct acceptor *a = fresh();
    (void)state;
    struct log_record records[] = {
        {.lsn = 1, .kind = RECORD_PROMISED, .entry = {.ballot = ballot_of(3, 1)}},
        {.lsn = 2, .kind = RECORD_ACCEPTED, .entry = entry_at(1, ballot_of(3, 1), "one")},
        {.lsn = 3, .kind = RECORD_ACCEPTED, .entry = entry_at(2, ballot_of(4, 2), "two")},
        {.lsn = 4, .kind = RECORD_LEARNED, .entry = entry_at(9, ballot_of(9, 2), "not the acceptor's")},
        {.lsn = 5, .kind = RECORD_FLOOR, .entry = {.slot = 2}},
    };
    for (size_t i = 0; i < 5; i++)
        acceptor_restore(a, &records[i]);
    assert_false(acceptor_prepare(a, ballot_of(4, 1)).granted);
    assert_true(acceptor_prepare(a, ballot_of(4, 2)).granted);
    struct acceptor_vote_chunk chunk = acceptor_votes(a, 1, 100);
    assert_int_equal(chunk.from, 2);
    assert_int_equal(chunk.entries.len, 1);
    assert_true(payload_is(&chunk.entries.ptr[0].value, "two"));
    acceptor_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_promise_never_goes_down),
        cmocka_unit_test(a_lower_ballot_gets_no_vote),
        cmocka_unit_test(a_vote_raises_the_promise),
        cmocka_unit_test(without_a_new_vote_nothing_is_promised),
        cmocka_unit_test(runs_tell_new_votes_from_known_ones),
        cmocka_unit_test(a_higher_ballot_replaces_the_vote),
        cmocka_unit_test(a_second_value_at_a_ballot_is_not_taken),
        cmocka_unit_test(slots_outside_the_window_get_no_vote),
        cmocka_unit_test(the_window_only_grows),
        cmocka_unit_test(votes_have_so_many_bytes_at_most),
        cmocka_unit_test(one_value_may_cross_the_bound),
        cmocka_unit_test(where_there_is_no_room_nothing_is_promised),
        cmocka_unit_test(recovery_keeps_all_votes),
        cmocka_unit_test(votes_come_in_contiguous_chunks),
        cmocka_unit_test(one_vote_larger_than_a_chunk_is_told),
        cmocka_unit_test(a_chunk_begins_at_the_floor),
        cmocka_unit_test(a_floor_beyond_all_votes_moves_the_window),
        cmocka_unit_test(records_bring_back_promise_votes_and_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
