/* core/runners/runner.c with `event_driven: false`: one message, or one batch, after the other. */
#include "core/formats/batch.h"
#include "tests/unit/configuration_text.h"
#include "tests/unit/runner_fixture.h"

static int set_up_slow_acceptor(void **state)
{
    (void)state;
    struct node_config slow = nine_nodes(4);
    slow.event_driven = false;
    begin(slow);
    runner_turn(runner, now, NEWS_ALL);
    runner_turn(runner, now, NEWS_ALL); /* has nothing to do */
    return 0;
}

/* Turns without anything new, as a host makes them: at once when the node wants it so. Gives how many. */
static size_t turn_until_idle(void)
{
    size_t turns = 1;
    while (runner_turn(runner, now, NEWS_ALL) <= now)
        assert_true(turns++ < 1000);
    return turns;
}

static void one_message_waits_for_what_came_of_the_last(void **state)
{
    (void)state;
    struct outgoing messages[4];
    for (uint64_t i = 0; i < 4; i++)
        messages[i] =
            (struct outgoing){.to = 1, .message = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(3 + i, 8), .from = 1}};
    messages[2].message = (struct message){.kind = MESSAGE_ASK, .from = 1};
    const size_t receives = ports.receives;
    assert_true(receive(messages, 4, 8) > now); /* the disk will wake it */
    for (uint64_t taken = 1; taken <= 2; taken++) {
        turn_until_idle();
        assert_int_equal(ports.journal_count, taken);
        assert_int_equal(ports.sent_count, taken - 1);
        ports.durable = taken;
        assert_int_equal(runner_turn(runner, now, NEWS_ALL), now);
        assert_int_equal(ports.sent_count, taken);
        assert_int_equal(ports.journal_count, taken); /* it has left, and only now comes the next one */
        if (taken == 1)
            assert_int_equal(ports.receives, receives + 1);
        assert_true((taken == 1) == (runner_turn(runner, now, NEWS_ALL) > now)); /* what came of the third needs no disk */
    }
    assert_int_equal(ports.sent_count, 3);
    assert_int_equal(ports.receives, receives + 1); /* the frames are still those */
    turn_until_idle();
    ports.durable = 3;
    turn_until_idle();
    assert_int_equal(ports.journal_count, 3);
    assert_int_equal(ports.sent_count, 4);
    for (size_t i = 0; i < 4; i++) { /* in order */
        const struct message *m = &ports.sent[i].message;
        assert_int_equal(m->kind, i == 2 ? MESSAGE_LOST : MESSAGE_PROMISE);
        assert_int_equal(m->ballot.round, i == 2 ? m->ballot.round : 3 + i);
    }
    assert_true(ports.receives > receives + 1);
}

/* Frames that wait while a configuration comes that replaces the disk of who has sent them. */
static void frames_of_a_disk_that_is_replaced_meanwhile_are_dropped(void **state)
{
    (void)state;
    struct outgoing ask[3];
    for (uint64_t i = 0; i < 3; i++)
        ask[i] = (struct outgoing){.to = 1, .message = {.kind = MESSAGE_ASK, .from = 1 + i}};
    struct payload text = configuration_with_new_disk(5, 0x3fe, 8);
    struct packet given = {.id = 30, .len = text.len, .words = text.words};
    assert_int_equal(receive(ask, 3, 8), now);
    assert_int_equal(ports.sent_count, 1);
    ports.command = CONTROL_CONFIGURE;
    ports.configurations = (struct packet_list){&given, 1};
    turn_until_idle();
    ports.command = CONTROL_RUN;
    const size_t sent = ports.sent_count;
    assert_in_range(sent, 1, 2); /* one more may have been taken in the turn that heard of it */
    receive_from_disk(ask, 1, 8, 1);
    turn_until_idle();
    assert_int_equal(ports.sent_count, sent + 1);
    payload_free(&text);
}

static void a_frame_that_is_no_message_does_not_end_the_queue(void **state)
{
    (void)state;
    struct outgoing ask[3];
    for (uint64_t i = 0; i < 3; i++)
        ask[i] = (struct outgoing){.to = 1, .message = {.kind = MESSAGE_ASK, .from = 1 + i}};
    struct packet_list frames = serializer_encode(codec, ask, 3);
    for (size_t i = 0; i < 3; i++)
        frames.ptr[i].id = 8;
    frames.ptr[1].len = 4;
    frames.ptr[1].words.len = 1;
    ports.frames = frames;
    assert_int_equal(runner_turn(runner, now, NEWS_ALL), now);
    assert_int_equal(ports.sent_count, 1);
    assert_int_equal(runner_turn(runner, now, NEWS_ALL), now);
    assert_int_equal(ports.sent_count, 2);
    assert_string_equal(ports.log, "a frame from another node is valid but contains no message; it was dropped");
    assert_int_equal(turn_until_idle(), 1);
    assert_int_equal(ports.sent[1].message.from, 3);
}

/* Turns of a node that is alone, with a disk that is done at once, until it leads and nothing is left to do. */
static void turn_until_leading(void)
{
    ports.synchronous = true;
    while (runner_status(runner).proposer_state != PROPOSER_LEADING) {
        uint64_t deadline = runner_turn(runner, now, NEWS_ALL);
        now = deadline > now ? deadline : now;
    }
    turn_until_idle();
    ports.synchronous = false;
}

static void one_batch_waits_for_the_answer_to_the_last(void **state)
{
    enum { BATCHES = 5 };
    struct batch_builder builder = {0};
    struct packet batches[BATCHES];
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    struct node_config slow = alone();
    (void)state;
    slow.event_driven = false;
    begin(slow);
    turn_until_leading();
    batch_begin(&builder);
    batch_add(&builder, &arg, 1);
    struct payload value = batch_end(&builder);
    for (size_t i = 0; i < BATCHES; i++)
        batches[i] = (struct packet){.id = 40 + i, .kind = 1, .len = value.len, .words = value.words};
    ports.batches = (struct packet_list){batches, BATCHES};
    for (int turns = 0; ports.replies < BATCHES; turns++) {
        const size_t given = ports.batches_given;
        const bool settled = ports.durable == ports.journal_count && ports.replies == given;
        const bool waits = runner_turn(runner, now, NEWS_ALL) > now;
        assert_true(turns < 1000 && ports.credit.commands <= 1);
        assert_true(ports.batches_given <= given + settled);
        assert_true(ports.replies == 0 || ports.token == 39 + ports.replies); /* in order */
        assert_true(ports.replies == 0 || (ports.outcome & 0xff) == OUTCOME_EXECUTED);
        assert_true(ports.replies == 0 || ports.slot >= ports.replies); /* each batch has a slot of its own */
        if (waits) {                                                    /* for the disk alone */
            assert_true(ports.durable < ports.journal_count);
            ports.durable++;
        }
    }
    batch_builder_free(&builder);
}

/* Commands must not wait until no more messages come, nor the other way round. */
static void commands_and_messages_take_turns(void **state)
{
    enum { MANY = 12 };
    struct batch_builder builder = {0};
    struct packet batches[MANY];
    struct outgoing ask[MANY];
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    struct node_config slow = alone();
    (void)state;
    slow.event_driven = false;
    slow.proposers |= node_set_of(2); /* who asks; it is no more than that */
    begin(slow);
    turn_until_leading();
    ports.synchronous = true;
    batch_begin(&builder);
    batch_add(&builder, &arg, 1);
    struct payload value = batch_end(&builder);
    for (size_t i = 0; i < MANY; i++) {
        batches[i] = (struct packet){.id = i, .len = value.len, .words = value.words};
        ask[i] = (struct outgoing){.to = 1, .message = {.kind = MESSAGE_ASK, .from = i}};
    }
    ports.sent_count = 0;
    ports.batches = (struct packet_list){batches, MANY};
    ports.frames = serializer_encode(codec, ask, MANY);
    for (size_t i = 0; i < MANY; i++)
        ports.frames.ptr[i].id = 2;
    while (ports.sent_count < MANY || ports.replies < MANY) {
        runner_turn(runner, now, NEWS_ALL);
        const size_t answered = sent_of(MESSAGE_LOST);
        assert_true(answered <= ports.batches_given + 1 && ports.batches_given <= answered + 1);
    }
    batch_builder_free(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_message_waits_for_what_came_of_the_last, set_up_slow_acceptor, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_is_no_message_does_not_end_the_queue, set_up_slow_acceptor, tear_down),
        cmocka_unit_test_setup_teardown(frames_of_a_disk_that_is_replaced_meanwhile_are_dropped, set_up_slow_acceptor,
                                        tear_down),
        cmocka_unit_test_teardown(one_batch_waits_for_the_answer_to_the_last, tear_down),
        cmocka_unit_test_teardown(commands_and_messages_take_turns, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
