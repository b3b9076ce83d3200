/* sim/checks*.c: the rules about disks and bounds. What leaves a node before it is durable, or is gone after a restart, is
 * caught; so is what acceptors forget too early, and what is larger than it may be. */
#include "tests/unit/checks_story.h"

/* ---- PromiseDurable ---- */

static void promises_are_durable(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b2, .from = 1, .to = 1, .floor = 1};
    append(1, RECORD_PROMISED, (struct entry){.ballot = b2}, 0);
    say(1, m);
    breaks(CHECK_PROMISE_DURABLE);

    append(1, RECORD_PROMISED, (struct entry){.ballot = b2}, 0);
    m.kind = MESSAGE_NACK;
    say(1, m);
    breaks(CHECK_PROMISE_DURABLE);

    promise(1, b2);
    m.kind = MESSAGE_NACK;
    say(1, m);
    is_sound();
}

/* Many records wait for a slow disk. */
static void each_record_waits_for_the_disk(void **unused)
{
    (void)unused;
    for (uint64_t round = 1; round <= 200; round++)
        append(1, RECORD_PROMISED, (struct entry){.ballot = {round, 1, 1}}, 0);
    for (uint64_t round = 1; round <= 200; round++) {
        checks_durable(c, 1, round);
        say(1, (struct message){.kind = MESSAGE_NACK, .ballot = {round, 1, 1}});
        is_sound();
    }
    append(1, RECORD_PROMISED, (struct entry){.ballot = {201, 1, 1}}, 0);
    append(1, RECORD_PROMISED, (struct entry){.ballot = {202, 1, 1}}, 0);
    checks_durable(c, 1, 201);
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = {202, 1, 1}});
    breaks(CHECK_PROMISE_DURABLE);
}

static void promises_never_fall(void **unused)
{
    (void)unused;
    promise(1, b2);
    promise(1, b2); /* it is promised already */
    breaks(CHECK_PROMISE_DURABLE);

    promise(1, b2);
    promise(1, b1);
    breaks(CHECK_PROMISE_DURABLE);

    submit(1, 1);
    promise(1, b2);
    vote(1, 1, b1, 1);
    breaks(CHECK_PROMISE_DURABLE);

    promise(1, b1);
    promise(1, b2);
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b1}); /* it was made before the second promise */
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b2});
    is_sound();
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b1});
    breaks(CHECK_PROMISE_DURABLE);
    promise(1, b2);
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b2});
    say(1, (struct message){.kind = MESSAGE_ALIVE, .ballot = b3}); /* a leader may stand above what was promised here */
    is_sound();
    say(1, (struct message){.kind = MESSAGE_ALIVE, .ballot = b1});
    breaks(CHECK_PROMISE_DURABLE);
}

static void promises_come_back(void **unused)
{
    (void)unused;
    struct node_status s = {.executed = 1, .held = 1, .promised = b1};
    promise(1, b1);
    promise(1, b2);
    restart(1);
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b1});
    breaks(CHECK_PROMISE_DURABLE);

    promise(1, b2);
    restart(1);
    promise(1, b1);
    breaks(CHECK_PROMISE_DURABLE);

    promise(1, b1);
    restart(1);
    checks_status(c, 1, &s);
    is_sound();
    promise(1, b2);
    restart(1);
    checks_status(c, 1, &s);
    breaks(CHECK_PROMISE_DURABLE);

    append(1, RECORD_PROMISED, (struct entry){.ballot = b2}, 0); /* not durable, and found all the same: so it counts */
    restart(1);
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b2});
    is_sound();
    promise(2, b2);
    append(2, RECORD_PROMISED, (struct entry){.ballot = b3}, 0); /* lost: no node heard the promise */
    restart_with(2, 1);
    say(2, (struct message){.kind = MESSAGE_NACK, .ballot = b2});
    is_sound();
}

/* ---- VoteDurable ---- */

static void votes_are_durable(void **unused)
{
    (void)unused;
    struct message accepted = {.kind = MESSAGE_ACCEPTED, .ballot = b1, .from = 1, .to = 3};
    submit(1, 1);
    submit(1, 2);
    vote(1, 1, b1, 1);
    append(1, RECORD_ACCEPTED, entry_of(2, b1, 2), 0);
    say(1, accepted);
    breaks(CHECK_VOTE_DURABLE);

    submit(1, 1);
    submit(1, 2);
    vote(1, 1, b1, 1);
    vote(1, 2, b1, 2);
    say(1, accepted);
    is_sound();
    say(2, accepted);
    breaks(CHECK_VOTE_DURABLE);

    submit(1, 1);
    propose(b1, 1, 1, 1);
    say_entry(1, (struct message){.kind = MESSAGE_LEARN}, entry_of(1, b1, 1));
    breaks(CHECK_VOTE_DURABLE);
}

static void votes_come_back(void **unused)
{
    (void)unused;
    submit(1, 1);
    vote(1, 1, b1, 1);
    restart(1);
    say(1, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b1, .from = 1, .to = 2});
    is_sound();
    vote(1, 1, b1, 1); /* it knows nothing of it */
    breaks(CHECK_VOTE_DURABLE);

    submit(1, 1);
    append(1, RECORD_ACCEPTED, entry_of(1, b1, 1), 0);
    restart_with(1, 0); /* lost: never cast */
    vote(1, 1, b1, 1);
    is_sound();
}

static void promises_tell_all_votes(void **unused)
{
    (void)unused;
    struct entry entries[2];
    struct message m = promise_of_three(entries);
    submit(3, 3);
    vote(1, 3, b3, 3); /* cast after the promise was made, which leaves late */
    say(1, m);
    struct entry all[3] = {entries[0], entries[1], entry_of(3, b3, 3)};
    struct message again = m;
    again.to = 4;
    again.entries = (struct entry_list){all, 3}; /* made after that */
    say(1, again);
    is_sound();
    assert_int_equal(checks_reached(c)[REACHED_VOTE_OVERTAKEN], 1);
    m.entries.len = 1;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries);
    m.entries = (struct entry_list){entries + 1, 1};
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries); /* a chunk that is not the last one says nothing about what follows */
    m.to = 2;
    m.entries.len = 1;
    m.flags = 0;
    say(1, m);
    is_sound();
    m.flags = MESSAGE_LAST;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);
}

static void promises_tell_the_highest_votes(void **unused)
{
    (void)unused;
    struct entry entries[2];
    struct message m = promise_of_three(entries);
    entries[1].ballot = b1;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries);
    entries[1] = entry_of(2, b2, 1);
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries);
    m.to = 2;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries);
    entries[1].slot = 1;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);

    m = promise_of_three(entries);
    entries[1].slot = UINT64_C(1) << 40;
    m.to = UINT64_C(1) << 41;
    say(1, m);
    breaks(CHECK_VOTE_DURABLE);
}

/* ---- TruncationSafe ---- */

static void what_is_forgotten_is_held(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 3, .floor = 3};
    choose_up_to(3);
    mark(1, 1, 3);
    mark(2, 1, 2);
    m.floor = 2;
    say(1, m);
    append(3, RECORD_FLOOR, (struct entry){.slot = 2}, 0);
    is_sound();
    m.floor = 3;
    say(1, m);
    breaks(CHECK_TRUNCATION_SAFE);

    append(3, RECORD_FLOOR, (struct entry){.slot = 2}, 0);
    breaks(CHECK_TRUNCATION_SAFE);

    promise(1, b1);
    say(1, (struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b1, .from = 2, .to = 2, .floor = 2});
    breaks(CHECK_TRUNCATION_SAFE);

    choose_up_to(2);
    mark(1, 1, 2);
    append(2, RECORD_CHOSEN, (struct entry){.slot = 1}, 2); /* not durable */
    m = (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 2, .floor = 2};
    say(1, m);
    breaks(CHECK_TRUNCATION_SAFE);
}

static void nothing_is_voted_for_below_the_floor(void **unused)
{
    (void)unused;
    choose_up_to(3);
    mark(1, 1, 3);
    mark(2, 1, 3);
    append(3, RECORD_FLOOR, (struct entry){.slot = 3}, 0);
    is_sound();
    vote(3, 2, b1, 2);
    breaks(CHECK_TRUNCATION_SAFE);
}

static void what_is_held_is_on_the_disk(void **unused)
{
    (void)unused;
    choose_up_to(2);
    mark(3, 1, 2); /* no record of the value */
    breaks(CHECK_TRUNCATION_SAFE);

    submit(1, 1);
    submit(2, 2);
    vote(3, 1, b1, 1);
    choose(1, b2, 2);
    mark(3, 1, 2); /* its one record is of what was not chosen */
    breaks(CHECK_TRUNCATION_SAFE);

    submit(1, 1);
    submit(2, 2);
    vote(3, 1, b1, 1);
    choose(1, b2, 2);
    append(3, RECORD_LEARNED, entry_of(1, b2, 2), 0);
    mark(3, 1, 2);
    is_sound();
    mark(3, 1, 2); /* marks follow each other */
    breaks(CHECK_TRUNCATION_SAFE);

    choose_up_to(2);
    say(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    breaks(CHECK_TRUNCATION_SAFE);

    choose_up_to(2);
    append(1, RECORD_CHOSEN, (struct entry){.slot = 1}, 2);
    checks_status(c, 1, &(struct node_status){.executed = 2, .held = 2, .commands_executed = 1, .promised = b1});
    breaks(CHECK_TRUNCATION_SAFE);
}

/* Recovery takes records from the window after the last RECORD_CHOSEN: 4 alpha slots. */
static void records_beyond_the_window_do_not_count(void **unused)
{
    (void)unused;
    for (uint32_t node = 1; node <= NODES; node++)
        checks_bytes_in_flight(c, node, 10000);
    for (uint64_t slot = 1; slot <= UINT64_C(4) * ALPHA + 1; slot++) {
        if (slot > ALPHA) /* so that more may be proposed, and voted for */
            is_at(1, slot, slot, slot - 1), is_at(2, slot, slot, slot - 1);
        submit(1, slot);
        append(3, RECORD_ACCEPTED, entry_of(slot, b1, slot), 0);
        choose(slot, b1, slot);
        if (slot == ALPHA)
            mark(1, 1, ALPHA + 1), mark(2, 1, ALPHA + 1);
    }
    sync_disk(3);
    append(3, RECORD_CHOSEN, (struct entry){.slot = 1}, 4 * ALPHA + 1);
    sync_disk(3);
    is_sound();
    append(3, RECORD_CHOSEN, (struct entry){.slot = 4 * ALPHA + 1}, 4 * ALPHA + 2);
    sync_disk(3);
    breaks(CHECK_TRUNCATION_SAFE);
}

/* ---- Recovery, retirement ---- */

static void all_that_was_durable_comes_back(void **unused)
{
    (void)unused;
    promise(1, b1);
    promise(1, b2);
    restart_with(1, 1);
    breaks(CHECK_RECOVERY);

    promise(1, b1);
    journal[1][0].entry.ballot = b2;
    restart(1);
    breaks(CHECK_RECOVERY);

    promise(1, b1);
    journal[1][1] = journal[1][0];
    journal[1][1].lsn = 2;
    restart_with(1, 2); /* one that it never wrote */
    breaks(CHECK_RECOVERY);

    promise(1, b1);
    promise(1, b2);
    journal[1][0] = journal[1][1];
    restart(1);
    breaks(CHECK_RECOVERY);

    lsn[1] = 1; /* the first one is left out */
    promise(1, b1);
    breaks(CHECK_RECOVERY);

    promise(1, b1);
    append(1, RECORD_PROMISED, (struct entry){.ballot = b2}, 0);
    restart_with(1, 1); /* the second one was lost; another takes its number */
    promise(1, b3);
    restart(1);
    is_sound();
}

/* Slots below 5 are chosen and held by nodes 1 and 2. Node 3 has a promise, votes there (records 2 to 5), and its floor. */
static void have_votes_below_the_floor(void)
{
    promise(3, b1);
    choose_up_to(5);
    for (uint64_t slot = 1; slot <= 4; slot++)
        vote(3, slot, b1, slot);
    mark(1, 1, 5);
    mark(2, 1, 5);
    append(3, RECORD_FLOOR, (struct entry){.slot = 5}, 0);
    sync_disk(3);
    is_sound();
}

/* What comes before record 4 is not needed any more. Node 3 comes back with the first record or not, and with those from
 * `from` on. */
static void come_back(bool sticky, size_t from)
{
    have_votes_below_the_floor();
    checks_truncated(c, 3, 4);
    checks_down(c, 3);
    checks_starts(c, 3, ++lives[3]);
    if (sticky)
        checks_recovered(c, 3, &journal[3][0]);
    for (size_t i = from; i <= 6; i++)
        checks_recovered(c, 3, &journal[3][i - 1]);
    checks_up(c, 3);
}

static void what_is_not_needed_may_be_gone(void **unused)
{
    (void)unused;
    for (size_t from = 2; from <= 4; from++) {
        come_back(true, from);
        is_sound();
        begin_again();
    }
    come_back(true, 5);
    breaks(CHECK_RECOVERY);
    come_back(false, 4); /* no later record has superseded the promise */
    breaks(CHECK_RECOVERY);
    promise(1, b1);
    checks_truncated(c, 1, 2); /* what will be there one day is needed */
    breaks(CHECK_RECOVERY);
}

static void votes_and_values_are_needed_until_they_are_somewhere_else(void **unused)
{
    (void)unused;
    submit(1, 1);
    vote(1, 1, b1, 1);
    checks_truncated(c, 1, 1);
    is_sound();
    append(1, RECORD_PROMISED, (struct entry){.ballot = b2}, 0);
    sync_disk(1);
    checks_truncated(c, 1, 2); /* no floor is above the vote */
    breaks(CHECK_TRUNCATION_SAFE);

    choose_up_to(2);
    vote(3, 1, b2, 1); /* record 1 promises b2, and no other record does */
    mark(1, 1, 2);
    mark(2, 1, 2);
    append(3, RECORD_FLOOR, (struct entry){.slot = 2}, 0);
    sync_disk(3);
    is_sound();
    checks_truncated(c, 3, 2);
    breaks(CHECK_PROMISE_DURABLE);

    have_votes_below_the_floor();
    mark(3, 1, 5); /* from now on node 3 holds the values, and has no snapshot of them */
    checks_truncated(c, 3, 4);
    breaks(CHECK_TRUNCATION_SAFE);

    have_votes_below_the_floor();
    mark(3, 1, 5);
    checks_snapshot(c, 3, 4, 100, 7, true);
    checks_truncated(c, 3, 5); /* record 5 has the value of slot 4 */
    is_sound();
    checks_truncated(c, 3, 6);
    breaks(CHECK_TRUNCATION_SAFE);

    choose_up_to(5);
    mark(1, 1, 4);
    checks_snapshot(c, 1, 5, 100, 7, false); /* what comes from peers needs no journal */
    is_sound();
    checks_snapshot(c, 1, 5, 100, 7, true);
    breaks(CHECK_TRUNCATION_SAFE);
}

static void what_is_held_comes_back(void **unused)
{
    (void)unused;
    struct node_status s = {.executed = 2, .held = 2, .state_hash = 7, .commands_executed = 1, .promised = b1};
    choose_up_to(2);
    mark(1, 1, 2);
    restart(1);
    checks_status(c, 1, &s);
    is_sound();
    restart(1);
    s.held = 1;
    checks_status(c, 1, &s);
    breaks(CHECK_RECOVERY);

    choose_up_to(2);
    mark(1, 1, 2);
    restart(1);
    checks_status(c, 1, &(struct node_status){.executed = 1, .held = 1, .promised = b1});
    breaks(CHECK_RECOVERY);

    choose_up_to(2);
    mark(1, 1, 2);
    checks_down(c, 1);
    checks_starts(c, 1, 2);
    checks_status(c, 1, &(struct node_status){.executed = 1, .held = 1}); /* on its way */
    checks_recovered(c, 1, &journal[1][0]);
    checks_status(c, 1, &(struct node_status){.executed = 1, .held = 1, .promised = b1});
    is_sound();
}

static void who_is_retired_stays_away(void **unused)
{
    (void)unused;
    choose_up_to(2);
    mark(1, 1, 2);
    mark(2, 1, 2);
    checks_retired(c, 2);
    say(2, (struct message){.kind = MESSAGE_PREPARE, .ballot = b1});
    checks_appended(c, 2, &(struct log_record){.lsn = 99});
    checks_durable(c, 2, 99);
    is_at(2, 50, 0, 0);
    checks_down(c, 2);
    say(1, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 2, .floor = 2}); /* it was so */
    is_sound();
    checks_starts(c, 2, 2);
    is_sound();
    checks_up(c, 2);
    breaks(CHECK_RECOVERY);

    choose_up_to(2);
    checks_retired(c, 2);
    submit(2, 2);
    propose(b3, 1, 1, 2); /* its vote was cast all the same */
    breaks(CHECK_AGREEMENT);
}

/* ---- Bounds ---- */

static void windows_are_kept(void **unused)
{
    (void)unused;
    submit(1, 1);
    propose(b1, 1, ALPHA, 1);
    is_sound();
    assert_int_equal(checks_reached(c)[REACHED_WINDOW_FULL], 1);
    propose(b1, 1, ALPHA + 1, 0);
    breaks(CHECK_BOUNDS);

    choose_up_to(3);
    submit(1, 3);
    propose(b1, 3, ALPHA + 2, 0); /* what is recovered may lie beyond what learners have executed */
    is_sound();
    propose(b1, 3, ALPHA + 1, 3);
    breaks(CHECK_BOUNDS);

    choose_up_to(3);
    is_at(1, 3, 1, 2);
    submit(1, 3);
    say(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 1});
    propose(b1, 3, ALPHA + 2, 3);
    is_sound();
}

static void bytes_in_flight_are_bounded(void **unused)
{
    (void)unused;
    uint64_t slot = 0, before = 0;
    for (; before < BYTES_MAX; before += lengths[slot]) {
        submit(1, ++slot);
        propose(b1, 1, slot, slot);
        is_sound();
    }
    submit(1, slot + 1);
    propose(b1, 1, slot + 1, slot + 1);
    breaks(CHECK_BOUNDS);
}

/* Twice what may be in flight, a quarter of that, and four values: in slots whose floor is not recorded. */
static void votes_have_so_many_bytes(void **unused)
{
    (void)unused;
    uint64_t slot = 1, sum = 0, longest = 0;
    for (;; slot++) {
        if (slot > ALPHA)
            is_at(1, slot, slot, slot - 1), is_at(2, slot, slot, slot - 1);
        submit(1, slot);
        append(3, RECORD_ACCEPTED, entry_of(slot, b1, slot), 0);
        sync_disk(3);
        sum += lengths[slot];
        longest = lengths[slot] > longest ? lengths[slot] : longest;
        if (sum > BYTES_MAX * 5 / 2 + 4 * longest)
            break;
        is_sound();
        checks_bytes_in_flight(c, 1, 10000); /* for the votes of others */
        checks_bytes_in_flight(c, 2, 10000);
        choose(slot, b1, slot);
        if (slot == ALPHA)
            mark(1, 1, ALPHA + 1), mark(2, 1, ALPHA + 1);
    }
    breaks(CHECK_BOUNDS);
}

static void acceptors_keep_a_window(void **unused)
{
    (void)unused;
    vote(1, 4 * ALPHA, b1, 0);
    is_sound();
    vote(1, 4 * ALPHA + 1, b1, 0);
    breaks(CHECK_BOUNDS);

    vote(1, UINT64_C(1) << 60, b1, 0);
    breaks(CHECK_BOUNDS);
}

static void messages_have_a_size(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_ASK, .from = 1};
    checks_sent(c, 1, 0xc, &m, FRAME_MAX);
    is_sound();
    checks_sent(c, 1, 0xc, &m, FRAME_MAX + 1);
    breaks(CHECK_BOUNDS);
}

static void leaders_are_elected(void **unused)
{
    (void)unused;
    tear_down(NULL);
    begin_with(2);
    submit(1, 1);
    promise(1, b1);
    append(2, RECORD_PROMISED, (struct entry){.ballot = b1}, 0); /* not durable yet */
    propose(b1, 1, 1, 1);
    breaks(CHECK_PROMISE_DURABLE);

    tear_down(NULL);
    begin_with(2);
    submit(1, 1);
    promise(1, b1);
    promise(3, b2); /* a higher one does */
    propose(b1, 1, 1, 1);
    is_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(leaders_are_elected),
        STORY(promises_are_durable),
        STORY(each_record_waits_for_the_disk),
        STORY(promises_never_fall),
        STORY(promises_come_back),
        STORY(votes_are_durable),
        STORY(votes_come_back),
        STORY(promises_tell_all_votes),
        STORY(promises_tell_the_highest_votes),
        STORY(what_is_forgotten_is_held),
        STORY(nothing_is_voted_for_below_the_floor),
        STORY(what_is_held_is_on_the_disk),
        STORY(records_beyond_the_window_do_not_count),
        STORY(all_that_was_durable_comes_back),
        STORY(what_is_not_needed_may_be_gone),
        STORY(votes_and_values_are_needed_until_they_are_somewhere_else),
        STORY(what_is_held_comes_back),
        STORY(who_is_retired_stays_away),
        STORY(windows_are_kept),
        STORY(bytes_in_flight_are_bounded),
        STORY(votes_have_so_many_bytes),
        STORY(acceptors_keep_a_window),
        STORY(messages_have_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
