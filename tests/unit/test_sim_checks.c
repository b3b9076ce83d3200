/* sim/checks*.c: each rule about what is proposed, chosen, executed and answered is broken in a story of a few lines and
 * caught under its name, and what is only nearly wrong passes. */
#include "core/formats/notice.h"
#include "tests/unit/checks_story.h"

/* ---- A sound run ---- */

static void a_sound_run_passes(void **unused)
{
    (void)unused;
    struct message heartbeat = {
        .kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 2, .floor = 2};
    submit(1, 1);
    say(1, (struct message){.kind = MESSAGE_PREPARE, .ballot = b1, .from = 1});
    promise(2, b1);
    say(2, (struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b1, .from = 1, .to = 1, .floor = 1});
    propose(b1, 1, 1, 1);
    choose(1, b1, 1);
    say(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b1, .from = 1, .to = 2});
    assert_int_equal(checks_chosen_prefix(c), 2);
    for (uint32_t node = 1; node <= 2; node++) {
        mark(node, 1, 2);
        is_at(node, 2, 77, 1);
        say(node, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    }
    checks_answered(c, 1, OUTCOME_EXECUTED, 1);
    say(1, heartbeat);
    restart(2);
    checks_status(c, 2,
                  &(struct node_status){.executed = 2, .held = 2, .state_hash = 77, .commands_executed = 1, .promised = b1});
    submit(2, 2);
    vote(3, 2, b1, 0);
    promise(3, b2);
    say_entry(3,
              (struct message){.kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = b2, .from = 2, .to = 3, .floor = 1},
              entry_of(2, b1, 0));
    say(3, (struct message){.kind = MESSAGE_NACK, .ballot = b2});
    say_entry(2, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN}, entry_of(1, b1, 1));
    is_sound();
}

/* All that grows grows, and nothing that is said in passing is forgotten. */
static void a_long_run_passes(void **unused)
{
    (void)unused;
    for (uint64_t slot = 1; slot < BATCHES - 1; slot++) {
        submit(1, slot);
        propose(b1, slot, slot, slot);
        choose(slot, b1, slot);
        for (uint32_t node = 1; node <= 2; node++) {
            is_at(node, slot + 1, slot, slot);
            if (slot % 4 == 0)
                mark(node, slot - 3, slot + 1);
            if (slot % 4 == 1 && slot > 1)
                append(node, RECORD_FLOOR, (struct entry){.slot = slot}, 0);
        }
        say(1, (struct message){
                   .kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = slot + 1, .floor = slot - slot % 4 + 1});
    }
    is_sound();
    assert_int_equal(checks_chosen_prefix(c), BATCHES - 1);
    say_entry(2, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN},
              entry_of(BATCHES / 2, b1, BATCHES / 2));
    for (uint64_t token = 1; token < BATCHES - 1; token += 7)
        checks_answered(c, token, OUTCOME_EXECUTED, token);
    is_sound();
    checks_answered(c, BATCHES / 2, OUTCOME_MOVED, 0);
    breaks(CHECK_AT_MOST_ONCE);
}

static void the_first_broken_rule_counts(void **unused)
{
    (void)unused;
    checks_fail(c, CHECK_TRAP, "node %d", 5);
    checks_fail(c, CHECK_LINEARIZABILITY, "later");
    assert_string_equal(checks_verdict(c)->text, "node 5");
    breaks(CHECK_TRAP);
}

static void all_have_names(void **unused)
{
    (void)unused;
    for (uint32_t i = 0; i < CHECKS; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(check_name((enum check)i), check_name((enum check)j));
    for (uint32_t i = 0; i < REACHED_STATES; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(reached_name((enum reached)i), reached_name((enum reached)j));
}

/* ---- Agreement ---- */

static void no_other_value_is_chosen(void **unused)
{
    (void)unused;
    choose_up_to(2);
    submit(2, 2);
    propose(b2, 1, 1, 2); /* it should have found the first one in phase 1 */
    breaks(CHECK_AGREEMENT);

    submit(1, 1);
    submit(2, 2);
    propose(b2, 1, 1, 2);
    choose(1, b1, 1); /* after the phase 1 of b2 nothing below can be chosen any more, except what it proposes */
    breaks(CHECK_AGREEMENT);

    submit(1, 1);
    propose(b2, 1, 1, 1);
    choose(1, b1, 1);
    is_sound();
    vote(1, 1, b2, 1);
    vote(3, 1, b2, 1);
    is_sound();
    assert_int_equal(checks_reached(c)[REACHED_CHOSEN_AT_TWO_BALLOTS], 1);

    begin_again();
    submit(1, 1);
    submit(2, 2);
    vote(3, 1, b1, 1);
    append(2, RECORD_ACCEPTED, entry_of(1, b1, 1), 0);
    vote(1, 1, b2, 2);
    vote(3, 1, b2, 2);
    is_sound();
    sync_disk(
        2); /* a vote for what was proposed below, which comes late to the disk: the other one should not have been chosen */
    breaks(CHECK_AGREEMENT);

    /* What loses may be another value: it was proposed below. */
    submit(1, 1);
    submit(2, 2);
    vote(3, 1, b1, 1);
    choose(1, b2, 2);
    is_sound();
}

static void learners_have_the_chosen_value(void **unused)
{
    (void)unused;
    choose_up_to(2);
    submit(2, 2);
    append(3, RECORD_LEARNED, entry_of(1, b1, 2), 0);
    breaks(CHECK_AGREEMENT);

    choose_up_to(2);
    submit(2, 2);
    say_entry(3, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN}, entry_of(1, b1, 2));
    breaks(CHECK_AGREEMENT);
}

/* ---- Validity ---- */

static void what_is_proposed_was_submitted(void **unused)
{
    (void)unused;
    submit(1, 1);
    bytes[1][words_for(lengths[1]) - 1] ^= 1;
    propose(b1, 1, 1, 1);
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    bytes[1][0] ^= UINT64_C(1) << 32; /* the count of commands */
    propose(b1, 1, 1, 1);
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    struct entry e = entry_of(1, b1, 1);
    e.kind = ENTRY_NOOP;
    append(1, RECORD_ACCEPTED, e, 0);
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    struct payload value = value_of(1);
    batch_header_stamp(&value, (struct batch_id){2, 1, 1}, 0);
    propose(b1, 1, 1, 1);
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    value = value_of(1);
    batch_header_stamp(&value, (struct batch_id){1, 2, 1}, 0);
    propose(b1, 1, 1, 1);
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    value = value_of(1);
    batch_header_stamp(&value, (struct batch_id){1, 1, 0}, 0);
    propose(b1, 1, 1, 1);
    breaks(CHECK_VALIDITY);
}

static void what_is_forwarded_was_submitted_there(void **unused)
{
    (void)unused;
    submit(1, 1);
    restart(1);
    submit(1, 2);
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {1, 2, 2}}, entry_of(0, (struct ballot){0}, 2));
    is_sound();
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {1, 1, 1}}, entry_of(0, (struct ballot){0}, 1));
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {1, 1, 2}}, entry_of(0, (struct ballot){0}, 1));
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {2, 1, 1}}, entry_of(0, (struct ballot){0}, 1));
    breaks(CHECK_VALIDITY);

    submit(1, 1);
    say_entry(2, (struct message){.kind = MESSAGE_FORWARD, .batch = {2, 1, 1}}, entry_of(0, (struct ballot){0}, 1));
    breaks(CHECK_VALIDITY);
}

/* ---- OneValuePerBallot, BallotUnique ---- */

static void a_ballot_has_one_value_in_a_slot(void **unused)
{
    (void)unused;
    submit(1, 1);
    submit(1, 2);
    propose(b1, 1, 1, 1);
    propose(b1, 1, 2, 2);
    propose(b1, 1, 1, 1);
    is_sound();
    propose(b1, 1, 1, 2);
    breaks(CHECK_ONE_VALUE_PER_BALLOT);

    submit(1, 1);
    propose(b1, 1, 1, 1);
    vote(2, 1, b1, 0);
    breaks(CHECK_ONE_VALUE_PER_BALLOT);
}

static void a_ballot_is_of_one_life(void **unused)
{
    (void)unused;
    say(1, (struct message){.kind = MESSAGE_PREPARE, .ballot = b2, .from = 1});
    breaks(CHECK_BALLOT_UNIQUE);

    say(1, (struct message){.kind = MESSAGE_PREPARE, .ballot = {0, 1, 1}, .from = 1});
    breaks(CHECK_BALLOT_UNIQUE);

    restart(1);
    say(1, (struct message){.kind = MESSAGE_PREPARE, .ballot = {2, 1, 2}, .from = 1});
    is_sound();
    say(1, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b1, .from = 1, .chosen = 1});
    breaks(CHECK_BALLOT_UNIQUE);

    submit(1, 1);
    say_entry(1, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 1},
              entry_of(1, (struct ballot){2, 1, 1}, 1));
    breaks(CHECK_BALLOT_UNIQUE);

    promise(1, (struct ballot){5, 2, 2}); /* node 2 has not lived twice */
    breaks(CHECK_BALLOT_UNIQUE);

    vote(1, 1, (struct ballot){1, 9, 1}, 0);
    breaks(CHECK_BALLOT_UNIQUE);

    vote(1, 1, (struct ballot){0, 1, 1}, 0);
    breaks(CHECK_BALLOT_UNIQUE);

    vote(1, 1, (struct ballot){1, 1, 0}, 0);
    breaks(CHECK_BALLOT_UNIQUE);

    checks_starts(c, 1, 1);
    breaks(CHECK_BALLOT_UNIQUE);
}

/* ---- ChosenTrue ---- */

static void leaders_know_what_is_chosen(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 2};
    submit(1, 1);
    vote(1, 1, b1, 1);
    say(1, m);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(3);
    m.chosen = 3;
    say(1, m);
    m.ballot = b2;
    m.from = 3; /* at some ballot, it says */
    say(2, m);
    is_sound();
    m.from = 1;
    say(2, m);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(2);
    vote(3, 1, b2, 1); /* one vote at b2 */
    m = (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = b2, .from = 2, .chosen = 2};
    say(2, m);
    is_sound();
    m.from = 1;
    say(2, m);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(3);
    m = (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 3};
    say(1, m);
    m.ballot.round = 4; /* it leads anew, and cannot mean the same slots */
    say(1, m);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(4);
    vote(1, 2, b3, 2);
    vote(2, 2, b3, 2);
    m = (struct message){.kind = MESSAGE_CHOSEN, .ballot = b3, .from = 2, .chosen = 3};
    say(3, m);
    m.from = m.chosen = 4;
    say(3, m);
    is_sound();
    m.from = 3; /* back over what it passed by */
    say(3, m);
    breaks(CHECK_CHOSEN_TRUE);

    submit(1, 1);
    submit(1, 2);
    choose(2, b1, 2); /* slot 1 is not */
    assert_int_equal(checks_chosen_prefix(c), 1);
    m = (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 2, .chosen = 3};
    say(1, m);
    breaks(CHECK_CHOSEN_TRUE);
}

static void learners_know_what_is_chosen(void **unused)
{
    (void)unused;
    choose_up_to(2);
    append(3, RECORD_LEARNED, entry_of(1, b1, 1), 0);
    is_sound();
    submit(1, 2);
    append(3, RECORD_LEARNED, entry_of(2, b1, 2), 0);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(2);
    append(1, RECORD_CHOSEN, (struct entry){.slot = 1}, 3);
    breaks(CHECK_CHOSEN_TRUE);

    is_at(3, 2, 0, 0);
    breaks(CHECK_CHOSEN_TRUE);

    say(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 1});
    breaks(CHECK_CHOSEN_TRUE);

    checks_status(c, 3, &(struct node_status){.executed = 1, .held = 1, .chosen = 2});
    breaks(CHECK_CHOSEN_TRUE);

    submit(1, 1);
    vote(1, 1, b1, 1);
    say_entry(3, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN}, entry_of(1, b1, 1));
    breaks(CHECK_CHOSEN_TRUE);

    checks_status(c, 3, &(struct node_status){.executed = 2, .held = 1, .chosen = 1});
    breaks(CHECK_CHOSEN_TRUE);

    say(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1, .from = 2, .batch.number = 7});
    breaks(CHECK_CHOSEN_TRUE);

    submit(1, 1);
    choose(1, b2, 1); /* at a ballot below, nothing is known of the slot */
    vote(3, 1, b1, 1);
    say_entry(3, (struct message){.kind = MESSAGE_LEARN, .flags = MESSAGE_IS_CHOSEN}, entry_of(1, b1, 1));
    breaks(CHECK_CHOSEN_TRUE);
}

static void results_are_of_the_chosen_batch(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_EXECUTED, .from = 1, .batch = {1, 1, 1}};
    choose_up_to(2);
    say(2, m);
    is_sound();
    m.flags = MESSAGE_ANOTHER;
    say(2, m);
    breaks(CHECK_CHOSEN_TRUE);

    choose_up_to(2);
    m.batch.number = 2;
    say(2, m);
    m.flags = MESSAGE_FORGOTTEN;
    say(2, m);
    is_sound();
    m.flags = 0;
    say(2, m);
    breaks(CHECK_CHOSEN_TRUE);

    say(2, m);
    breaks(CHECK_CHOSEN_TRUE);
}

static void questions_make_sense(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_RESULT_REQUEST, .from = 1, .batch = {1, 1, 1}};
    choose_up_to(3);
    say(1, m);
    is_sound();
    m.from = 2;
    say(1, m);
    breaks(CHECK_VALIDITY);
    choose_up_to(2);
    m.from = 0;
    say(1, m);
    breaks(CHECK_VALIDITY);
    choose_up_to(2);
    m.from = 1;
    say(2, m); /* it is not its own */
    breaks(CHECK_VALIDITY);

    choose_up_to(4);
    is_at(2, 3, 5, 2);
    m = (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 3, .to = 5};
    say(2, m);
    is_sound();
    m.from = 2;
    say(2, m);
    breaks(CHECK_VALIDITY);
    m.from = m.to;
    say(2, m);
    breaks(CHECK_VALIDITY);
}

static void acknowledged_batches_are_executed(void **unused)
{
    (void)unused;
    submit(1, 1);
    vote(1, 1, b1, 1);
    checks_answered(c, 1, OUTCOME_EXECUTED, 1);
    breaks(CHECK_CHOSEN_TRUE);

    submit(1, 1);
    submit(1, 2);
    choose(1, b1, 2);
    choose(2, b1, 1); /* out of its origin's order: learners leave it out */
    is_at(3, 3, 5, 1);
    checks_answered(c, 2, OUTCOME_EXECUTED, 1);
    is_sound();
    checks_answered(c, 1, OUTCOME_EXECUTED, 1);
    breaks(CHECK_CHOSEN_TRUE);
}

/* WAIT counts the learners that hold it. */
static void acknowledged_batches_have_their_slot(void **unused)
{
    (void)unused;
    choose_up_to(3);
    is_at(1, 3, 5, 2);
    checks_answered(c, 2, OUTCOME_EXECUTED, 2);
    is_sound();
    checks_answered(c, 1, OUTCOME_EXECUTED, 2);
    breaks(CHECK_CHOSEN_TRUE);
}

/* ---- AtMostOnce ---- */

static void a_batch_is_chosen_once(void **unused)
{
    (void)unused;
    choose_up_to(2);
    choose(2, b1, 1);
    breaks(CHECK_AT_MOST_ONCE);

    submit(1, 1);
    say_entry(1, (struct message){.kind = MESSAGE_FORWARD, .batch = {1, 1, 1}}, entry_of(0, (struct ballot){0}, 1));
    choose(1, b2, 1);
    choose(2, b2, 1); /* the network may have doubled it */
    is_at(1, 2, 8, 1);
    is_at(1, 3, 8, 1); /* and it is executed once */
    is_sound();
    is_at(2, 3, 8, 2);
    breaks(CHECK_AT_MOST_ONCE);

    choose_up_to(2);
    struct payload value = value_of(1);
    batch_header_stamp(&value, (struct batch_id){1, 1, 2}, 0);
    propose(b1, 2, 2, 1);
    breaks(CHECK_AT_MOST_ONCE);
}

static void a_refused_batch_is_never_chosen(void **unused)
{
    (void)unused;
    submit(1, 1);
    checks_answered(c, 1, OUTCOME_MOVED, 0);
    vote(1, 1, b1, 1);
    is_sound();
    vote(2, 1, b1, 1);
    breaks(CHECK_AT_MOST_ONCE);

    submit(1, 1);
    checks_answered(c, 1, OUTCOME_BUSY, 0);
    choose(1, b1, 1);
    breaks(CHECK_AT_MOST_ONCE);

    choose_up_to(2);
    checks_answered(c, 1, OUTCOME_MOVED, 0);
    breaks(CHECK_AT_MOST_ONCE);

    submit(1, 1);
    checks_answered(c, 1, OUTCOME_UNKNOWN, 0);
    choose(1, b1, 1);
    is_sound();
    submit(1, 2);
    submit(1, 3);
    propose(b1, 2, 2, 2);
    choose(2, b2, 3);
    checks_answered(c, 2, OUTCOME_MOVED, 0); /* the slot that it was proposed in holds another one */
    checks_answered(c, 3, OUTCOME_EXECUTED, 2);
    is_sound();
}

/* ---- ReadsCurrent ---- */

/* Slot 1 is executed by node 1, and answered; then reads come to node 2. */
static void begin_with_reads(void)
{
    tear_down(NULL);
    set_up(NULL);
    choose_up_to(3);
    is_at(1, 2, 5, 1);
    checks_answered(c, 1, OUTCOME_EXECUTED, 1);
    submit_to(2, 7, true);
    is_sound();
}

static void reads_reflect_what_was_answered(void **unused)
{
    (void)unused;
    begin_with_reads();
    query(2, 7, 1);
    breaks(CHECK_READS_CURRENT);

    begin_with_reads();
    query(2, 7, 2);
    answer_query(3, 2, 7, 1);
    breaks(CHECK_READS_CURRENT);

    begin_with_reads();
    query(2, 7, 2);
    answer_query(3, 2, 7, 2);
    checks_answered(c, 7, OUTCOME_EXECUTED, 0);
    is_sound();

    begin_with_reads();
    checks_answered(c, 7, OUTCOME_EXECUTED, 0); /* by the learner of node 2, which has not executed it */
    breaks(CHECK_READS_CURRENT);

    begin_with_reads();
    is_at(2, 2, 5, 1);
    checks_answered(c, 7, OUTCOME_EXECUTED, 0);
    is_sound();
}

/* What a read has shown, later ones must reflect, too. */
static void reads_reflect_what_reads_have_shown(void **unused)
{
    (void)unused;
    begin_with_reads();
    query(2, 7, 2);
    answer_query(1, 2, 7, 3);
    submit_to(2, 8, true); /* that one was not answered yet */
    checks_answered(c, 7, OUTCOME_EXECUTED, 0);
    query(2, 8, 2);
    is_sound();
    submit_to(2, 9, true);
    query(2, 9, 2);
    breaks(CHECK_READS_CURRENT);
}

static void rounds_are_confirmed_by_who_has_promised_no_more(void **unused)
{
    (void)unused;
    struct message m = {.kind = MESSAGE_READ_CONFIRMED, .ballot = b2, .from = 1};
    promise(1, b3);
    say(1, m); /* it has told no node of that yet */
    is_sound();
    say(1, (struct message){.kind = MESSAGE_NACK, .ballot = b3});
    say(1, m);
    breaks(CHECK_READS_CURRENT);
    say(2, (struct message){.kind = MESSAGE_READ_ROUND, .ballot = b2, .from = 1});
    is_sound();
    say(2, (struct message){.kind = MESSAGE_READ_ROUND, .ballot = b3, .from = 1});
    breaks(CHECK_BALLOT_UNIQUE);
}

static void only_reads_that_were_submitted_are_asked_for(void **unused)
{
    (void)unused;
    submit(2, 7);
    query(2, 7, 1);
    breaks(CHECK_VALIDITY);
    submit_to(1, 7, true);
    query(2, 7, 1);
    breaks(CHECK_VALIDITY);
    submit_to(2, 7, true);
    answer_query(1, 2, 7, 1);
    breaks(CHECK_VALIDITY);
}

/* ---- PrefixEquality ---- */

static void states_are_equal(void **unused)
{
    (void)unused;
    choose_up_to(3);
    is_at(1, 2, 10, 1);
    is_at(1, 3, 11, 2);
    is_at(2, 2, 10, 1);
    is_sound();
    is_at(2, 3, 12, 2);
    breaks(CHECK_PREFIX_EQUALITY);

    choose_up_to(3);
    is_at(1, 3, 11, 2);
    say(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 1, .from = 3, .batch.number = 11});
    is_sound();
    say(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 1, .from = 3, .batch.number = 12});
    breaks(CHECK_PREFIX_EQUALITY);
}

/* ---- Watched ---- */

/* Node 1 tells the messages of these batches, up to 0; those from 100 on stand for "some are missing". */
static void tell(const uint64_t *tokens, uint64_t loaded)
{
    struct notices b = {0};
    notices_begin(&b);
    for (; *tokens != 0; tokens++) {
        char name[32];
        snprintf(name, sizeof name, "t%llu", (unsigned long long)*tokens);
        const struct bytes text = {(uint8_t *)name, strlen(name)};
        if (*tokens < 100)
            notices_add(&b, &(struct notice){.kind = NOTICE_MESSAGE, .channel = text, .message = text});
        else
            notices_add(&b, &(struct notice){.kind = NOTICE_MISSED});
    }
    const struct payload told = batch_end(&b.packed);
    checks_notices(c, 1, &told, loaded);
    notices_free(&b);
}
#define TELL(loaded, ...) tell((const uint64_t[]){__VA_ARGS__, 0}, loaded)

static void begin_to_watch(void)
{
    choose_up_to(5);
    is_at(1, 2, 10, 1);
    checks_watch(c, 1, true);
}

static void messages_are_told_once_and_in_order(void **unused)
{
    (void)unused;
    begin_to_watch();
    TELL(0, 2, 3);
    is_at(1, 4, 12, 3);
    TELL(0, 4);
    is_at(1, 5, 13, 4);
    checks_watch(c, 1, false);
    is_sound();
    TELL(0, 5);
    breaks(CHECK_WATCHED); /* it is not asked to */
    begin_to_watch();
    TELL(0, 3); /* slot 2 was begun before that, perhaps */
    is_at(1, 4, 12, 3);
    is_sound();
    TELL(0, 3);
    breaks(CHECK_WATCHED);
    begin_to_watch();
    TELL(0, 2, 4);
    breaks(CHECK_WATCHED);
    begin_to_watch();
    TELL(0, 3, 2);
    breaks(CHECK_WATCHED);
    begin_to_watch();
    TELL(0, 4); /* which it has not executed */
    breaks(CHECK_WATCHED);
    begin_to_watch();
    TELL(0, 2, 3);
    is_at(1, 2, 10, 1);
    breaks(CHECK_WATCHED);
    begin_to_watch();
    is_at(1, 5, 13, 4);
    is_sound(); /* it may be its last turn */
    is_at(1, 5, 13, 4);
    breaks(CHECK_WATCHED);
    begin_to_watch();
    TELL(5, 2, 100);
    is_at(1, 5, 13, 4);
    is_at(1, 5, 13, 4);
    is_sound();
    TELL(4, 100);
    breaks(CHECK_WATCHED); /* nothing is missing */
}

/* Slot 1 has one vote, of node 2, for batch 1. */
static void begin_with_a_vote(void)
{
    tear_down(NULL);
    begin_with(2);
    submit(1, 1);
    submit(2, 2);
    promise(1, b1);
    promise(2, b1);
    propose(b1, 1, 1, 1);
    vote(2, 1, b1, 1);
    promise(2, b2);
    promise(3, b2);
}

static void what_is_proposed_is_safe(void **unused)
{
    (void)unused;
    begin_with_a_vote();
    propose(b2, 1, 1, 2); /* a node that heard 2 and 3 knows of the vote */
    breaks(CHECK_AGREEMENT);
    begin_with_a_vote();
    propose(b2, 1, 1, 1);
    is_sound();
    begin_with_a_vote();
    promise(1, b2);
    propose(b2, 1, 1, 2); /* who heard 1 and 3 does not */
    is_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_is_proposed_is_safe),
        STORY(reads_reflect_what_was_answered),
        STORY(reads_reflect_what_reads_have_shown),
        STORY(rounds_are_confirmed_by_who_has_promised_no_more),
        STORY(only_reads_that_were_submitted_are_asked_for),
        STORY(a_sound_run_passes),
        STORY(a_long_run_passes),
        STORY(the_first_broken_rule_counts),
        STORY(all_have_names),
        STORY(no_other_value_is_chosen),
        STORY(learners_have_the_chosen_value),
        STORY(what_is_proposed_was_submitted),
        STORY(what_is_forwarded_was_submitted_there),
        STORY(a_ballot_has_one_value_in_a_slot),
        STORY(a_ballot_is_of_one_life),
        STORY(leaders_know_what_is_chosen),
        STORY(learners_know_what_is_chosen),
        STORY(results_are_of_the_chosen_batch),
        STORY(questions_make_sense),
        STORY(acknowledged_batches_are_executed),
        STORY(acknowledged_batches_have_their_slot),
        STORY(a_batch_is_chosen_once),
        STORY(a_refused_batch_is_never_chosen),
        STORY(states_are_equal),
        STORY(messages_are_told_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
