/* core/agents/catch_up.c: when and whom a learner asks for what it lacks, and how it serves others (P7). */
#include "core/agents/catch_up.h"

#include "tests/unit/protocol.h"

static struct catch_up c;
static struct effects effects;

static int set_up(void **state)
{
    struct node_config config = nine_nodes(1);
    (void)state;
    catch_up_init(&c, &config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    effects_close(&effects);
    memset(&effects, 0, sizeof effects);
    catch_up_close(&c);
    return 0;
}

static struct step_result now_effects(void) { return effects_end(&effects, 0, (struct credit){0}); }

static void begin(void)
{
    effects_begin(&effects, 1);
    catch_up_begin(&c);
}

/* The node that is asked for [from, to) at `now`; 0: none. */
static node_set asked(uint64_t from, uint64_t to, uint64_t now)
{
    begin();
    catch_up_ask(&c, (struct learner_gap){from, to}, false, now, &effects);
    struct step_result r = now_effects();
    const struct outgoing *request = sent(&r, MESSAGE_LEARN_REQUEST);
    if (request == NULL)
        return 0;
    assert_int_equal(request->message.from, from);
    assert_int_equal(request->message.to, to);
    return request->to;
}

static void answered(bool last)
{
    begin();
    catch_up_answered(&c, last);
}

static void a_small_gap_may_close_by_itself(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    assert_int_equal(asked(5, 7, 1000000), 0);
    assert_int_equal(catch_up_wake_at(&c), 1100000);
    assert_int_equal(asked(5, 7, 1099999), 0);
    assert_int_equal(asked(6, 7, 1100000), 0); /* it moved: another gap */
    assert_int_equal(asked(6, 7, 1200000), node_set_of(2));
    assert_int_equal(asked(7, 7, 1300000), 0);
    assert_int_equal(catch_up_wake_at(&c), UINT64_MAX);
}

static void a_large_gap_is_asked_for_at_once(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    assert_int_equal(asked(5, 10, 1000000), node_set_of(2));
    assert_int_equal(asked(5, 10, 1099999), 0); /* but not again and again */
}

static void the_votes_tell_when_no_learner_is_known_to_have_it(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 5);
    assert_int_equal(asked(5, 10, 1000000), 0x70);
}

/* A learner that was the only one to have the slot may be gone for ever, and the acceptors have the votes. */
static void who_does_not_answer_is_not_the_only_one_asked_again(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    assert_int_equal(asked(5, 10, 1000000), node_set_of(2));
    assert_int_equal(asked(5, 10, 1100000), node_set_of(2) | 0x70);
    catch_up_progress(&c, 3, 100);
    assert_int_equal(asked(5, 10, 1200000), node_set_of(3) | 0x70);
}

static void who_answers_is_asked_for_the_rest_at_once(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    catch_up_progress(&c, 3, 100);
    assert_int_equal(asked(5, 20, 1000000), node_set_of(2));
    answered(false);
    catch_up_ask(&c, (struct learner_gap){10, 20}, false, 1000001, &effects);
    struct step_result r = now_effects();
    assert_null(sent(&r, MESSAGE_LEARN_REQUEST)); /* more of the answer is to come */
    answered(true);
    catch_up_ask(&c, (struct learner_gap){15, 20}, false, 1000002, &effects);
    r = now_effects();
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->to, node_set_of(2));
}

/* Steps do little at a time, and an answer may take many of them: the rest is asked for after the last one, not a retry
 * interval later. */
static void an_answer_that_takes_several_steps_is_used_up_after_them(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    assert_int_equal(asked(5, 20, 1000000), node_set_of(2));
    answered(true);
    for (uint64_t now = 1000001; now < 1000004; now++) { /* the next slot is there */
        catch_up_ask(&c, (struct learner_gap){10, 10}, true, now, &effects);
        struct step_result r = now_effects();
        assert_null(sent(&r, MESSAGE_LEARN_REQUEST));
        begin();
    }
    catch_up_ask(&c, (struct learner_gap){20, 30}, false, 1000004, &effects);
    struct step_result r = now_effects();
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->to, node_set_of(2));
    assert_int_equal(asked(25, 30, 1000005), 0); /* not twice */

    /* All is executed: what is missed later is another matter, and may come by itself. */
    answered(true);
    catch_up_ask(&c, (struct learner_gap){30, 30}, false, 1000006, &effects);
    now_effects();
    assert_int_equal(asked(31, 33, 1000007), 0);
}

/* Four are asked and all answer: the second to fourth answer must not bring three more questions, each with answers that
 * bring as many again. */
static void an_answer_that_brings_nothing_new_is_no_reason_to_ask(void **state)
{
    (void)state;
    catch_up_progress(&c, 2, 100);
    assert_int_equal(asked(5, 20, 1000000), node_set_of(2));
    assert_int_equal(asked(5, 20, 1100000), node_set_of(2) | 0x70);
    answered(true);
    catch_up_ask(&c, (struct learner_gap){10, 20}, false, 1100001, &effects);
    struct step_result r = now_effects();
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->to, node_set_of(2));
    for (int i = 0; i < 3; i++) {
        answered(true);
        catch_up_ask(&c, (struct learner_gap){10, 20}, false, 1100002, &effects);
        r = now_effects();
        assert_null(sent(&r, MESSAGE_LEARN_REQUEST));
    }
    assert_int_equal(asked(10, 20, 1200001), node_set_of(2)); /* but the last question may have been lost */
}

/* --- serving --- */

/* The journal holds slot s at lsn 10 s, from slot 1 to 199. */
static void fill_journal(void)
{
    for (uint64_t s = 1; s < 200; s++) {
        catch_up_note_record(&c, s, s * 10);
        catch_up_note_executed(&c, s, s * 10 + 1);
    }
}

static const struct read_range *read_wanted(void)
{
    struct step_result r = now_effects();
    const struct effect *e = effect_of(&r, EFFECT_READ, 0);
    return e != NULL ? &e->val.read : NULL;
}

static void give_records(struct log_record *records, size_t count)
{
    struct record_list list = {records, count};
    begin();
    catch_up_records(&c, &list, &effects);
}

static void a_request_reads_the_journal_and_answers(void **state)
{
    (void)state;
    fill_journal();
    begin();
    catch_up_request(&c, 2, 70, 72);
    catch_up_serve(&c, &effects);
    const struct read_range *read = read_wanted();
    assert_int_equal(read->from, 640); /* the block of 64 slots that it lies in */
    assert_int_equal(read->to, 1271);
    assert_true(read->bytes_max >= 64 << 10); /* however small the answers are */
    struct log_record records[] = {
        {.lsn = 640, .kind = RECORD_ACCEPTED, .entry = entry_at(64, ballot_of(1, 1), "not wanted")},
        {.lsn = 700, .kind = RECORD_ACCEPTED, .entry = entry_at(70, ballot_of(1, 1), "lost")},
        {.lsn = 701, .kind = RECORD_LEARNED, .entry = entry_at(70, ballot_of(2, 2), "won")},
        {.lsn = 702, .kind = RECORD_CHOSEN, .to = 71, .entry = {.slot = 70}},
    };
    give_records(records, 4);
    assert_int_equal(read_wanted()->from, 703);
    struct log_record rest[] = {
        {.lsn = 710, .kind = RECORD_ACCEPTED, .entry = entry_at(71, ballot_of(1, 1), "next")},
        {.lsn = 1280, .kind = RECORD_ACCEPTED, .entry = entry_at(71, ballot_of(9, 1), "beyond the range")},
    };
    give_records(rest, 2);
    struct step_result r = now_effects();
    const struct outgoing *learn = sent(&r, MESSAGE_LEARN);
    assert_non_null(learn);
    assert_int_equal(learn->to, node_set_of(2));
    assert_int_equal(learn->message.flags, MESSAGE_IS_CHOSEN | MESSAGE_LAST);
    assert_int_equal(learn->message.entries.len, 2);
    assert_true(payload_is(&learn->message.entries.ptr[0].value, "won"));
    assert_true(payload_is(&learn->message.entries.ptr[1].value, "next"));
}

static void long_answers_come_in_pieces(void **state)
{
    struct log_record records[20];
    (void)state;
    fill_journal();
    begin();
    catch_up_request(&c, 2, 1, 21);
    catch_up_serve(&c, &effects);
    for (uint64_t i = 0; i < 20; i++)
        records[i] =
            (struct log_record){.lsn = (i + 1) * 10,
                                .kind = RECORD_ACCEPTED,
                                .entry = entry_at(i + 1, ballot_of(1, 1), "forty bytes, more or less, are in here..")};
    give_records(records, 20);
    give_records(NULL, 0); /* the journal has no more */
    struct step_result r = now_effects();
    assert_int_equal(count_sent(&r, MESSAGE_LEARN), 7); /* three fill a chunk of 100 bytes */
    assert_int_equal(effect_of(&r, EFFECT_SEND, 0)->val.send.message.flags, MESSAGE_IS_CHOSEN);
    assert_int_equal(effect_of(&r, EFFECT_SEND, 6)->val.send.message.flags, MESSAGE_IS_CHOSEN | MESSAGE_LAST);
}

static void requests_wait_in_turn_one_a_learner(void **state)
{
    (void)state;
    fill_journal();
    begin();
    catch_up_request(&c, 2, 1, 5);
    catch_up_request(&c, 3, 64, 70);
    catch_up_request(&c, 2, 5, 9); /* takes the place of its first */
    catch_up_request(&c, 4, 0, 9);
    catch_up_request(&c, 4, 9, 9);
    catch_up_request(&c, 4, SLOT_MAX, 1);
    assert_int_equal(c.request_count, 2);
    assert_int_equal(catch_up_wake_at(&c), 0);
    catch_up_serve(&c, &effects);
    assert_int_equal(read_wanted()->from, 10);
    begin();
    catch_up_serve(&c, &effects);
    assert_null(read_wanted()); /* one at a time */
    give_records(NULL, 0);
    begin();
    catch_up_serve(&c, &effects);
    assert_int_equal(read_wanted()->from, 640);
    assert_int_equal(catch_up_wake_at(&c), UINT64_MAX);
}

static void what_the_journal_does_not_hold_is_no_answer(void **state)
{
    (void)state;
    begin();
    catch_up_request(&c, 2, 1, 5); /* nothing noted */
    catch_up_serve(&c, &effects);
    assert_null(read_wanted());
    fill_journal();
    catch_up_request(&c, 2, 1, 5);
    catch_up_serve(&c, &effects);
    struct log_record second = {.lsn = 20, .kind = RECORD_ACCEPTED, .entry = entry_at(2, ballot_of(1, 1), "two")};
    give_records(&second, 1);
    give_records(NULL, 0);
    struct step_result r = now_effects();
    assert_null(sent(&r, MESSAGE_LEARN)); /* the first wanted one is missing */
    assert_false(c.reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_small_gap_may_close_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_gap_is_asked_for_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_votes_tell_when_no_learner_is_known_to_have_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_answer_is_not_the_only_one_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_answers_is_asked_for_the_rest_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_takes_several_steps_is_used_up_after_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_brings_nothing_new_is_no_reason_to_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_reads_the_journal_and_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_answers_come_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_wait_in_turn_one_a_learner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_journal_does_not_hold_is_no_answer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
