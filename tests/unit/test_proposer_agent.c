/* core/agents/proposer_agent.c: every client batch has one answer, and the window. */
#include "tests/unit/configuration_text.h"
#include "tests/unit/proposer_agent_fixture.h"

/* --- batches (P8) --- */

static void a_leader_proposes_and_answers(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(77);
    const struct outgoing *accept = sent(&r, MESSAGE_ACCEPT);
    struct batch_header header;
    assert_int_equal(accept->to, 0x7e);
    assert_int_equal(ballot_compare(accept->message.ballot, ballot), 0);
    assert_int_equal(accept->message.entries.len, 1);
    assert_int_equal(accept->message.entries.ptr[0].slot, 1);
    assert_true(batch_header_read(&accept->message.entries.ptr[0].value, &header));
    assert_true(header.id.origin == 9 && header.id.incarnation == 1 && header.id.number == 1);
    votes(ballot, 1, 2);
    const struct outgoing *chosen = sent(&r, MESSAGE_CHOSEN);
    assert_int_equal(chosen->to, 0xe);
    assert_true(chosen->message.from == 1 && chosen->message.chosen == 2);
    assert_null(reply());
    executed(1, 1, 0);
    assert_int_equal(reply()->token, 77);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    assert_int_equal(reply()->slot, 1);
    assert_true(payload_is(&reply()->replies, "replies"));
    executed(1, 1, 0);
    assert_null(reply()); /* once */
}

/* A request HELD: it has no learner of its own, so it says what it has heard of all. */
static void which_learners_hold_slots_is_told(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, 7, 1}; /* none here; nodes 1 and 3 were not heard */
    struct batch_builder b = {0};
    struct bytes word = {(uint8_t *)(uintptr_t)"HELD", 4};
    struct reply_item item;
    size_t offset = 0;
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 9, .floor = 7});
    batch_begin(&b);
    batch_add(&b, &word, 1);
    const struct event asked = {.tag = EVENT_REQUEST, .val.request = {.token = 7, .value = batch_end(&b)}};
    step(&asked, 1);
    assert_int_equal(reply()->token, 7);
    assert_true(replies_next(&reply()->replies, &offset, &item));
    assert_int_equal(item.elements, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(replies_next(&reply()->replies, &offset, &item));
        assert_int_equal(item.integer, numbers[i]);
    }
    batch_builder_free(&b);
}

static void answers_to_another_life_are_ignored(void **state)
{
    (void)state;
    lead();
    submit(77);
    struct entry entry = {.slot = 1, .value = text_payload("replies")};
    struct message m = {.kind = MESSAGE_EXECUTED, .from = 1, .batch = {9, 2, 1}, .entries = {&entry, 1}};
    tell(1, m);
    assert_null(reply());
    m.batch = (struct batch_id){8, 1, 1};
    tell(1, m);
    assert_null(reply());
    m.batch = (struct batch_id){9, 1, 1};
    m.entries.len = 0;
    tell(1, m);
    assert_null(reply());
}

static void who_does_not_lead_says_who_does(void **state)
{
    (void)state;
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 7)});
    assert_true(r.credit.reads > 0);
    submit(5);
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
    assert_int_equal(reply()->leader, 7);
    assert_int_equal(count_effects(&r, EFFECT_SEND), 0);
}

static void another_batch_in_its_slot_means_that_it_was_not_executed(void **state)
{
    (void)state;
    lead();
    submit(1);
    submit(2);
    executed(1, 2, MESSAGE_ANOTHER); /* not the slot that it was proposed in */
    assert_null(reply());
    executed(1, 1, MESSAGE_ANOTHER);
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
}

/* A leader that is superseded: what has no slot goes back to its clients, what has one may still be executed. */
static void only_what_was_never_proposed_is_given_back(void **state)
{
    (void)state;
    lead();
    for (uint64_t token = 1; token <= 9; token++)
        submit(token); /* the window takes eight */
    tell(6, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(50, 8), .from = 1});
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 1);
    assert_int_equal(reply()->token, 9);
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
    pass(config.retry_interval, 0x1f0);
    assert_null(sent(&r, MESSAGE_RESULT_REQUEST)); /* no learner can know yet */
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 3});
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(count_sent(&r, MESSAGE_RESULT_REQUEST), 2); /* for slots 1 and 2 */
    assert_int_equal(sent(&r, MESSAGE_RESULT_REQUEST)->to, node_set_of(2));
    assert_int_equal(sent(&r, MESSAGE_RESULT_REQUEST)->message.from, 1);
    assert_int_equal(sent(&r, MESSAGE_RESULT_REQUEST)->message.batch.number, 1);
    pass(config.request_timeout, 0x1f0);
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 8);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

/* A leader that hears nothing any more: what has a slot may still be executed, what is queued never will be. */
static void what_expires_in_the_queue_is_busy(void **state)
{
    (void)state;
    lead();
    for (uint64_t token = 1; token <= 9; token++)
        submit(token); /* the window takes eight */
    pass(config.request_timeout, 0x1f0);
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 9);
    for (size_t i = 0; i < r.effects.len; i++) {
        const struct effect *e = &r.effects.ptr[i];
        if (e->tag == EFFECT_REPLY)
            assert_int_equal(e->val.reply.outcome, e->val.reply.token == 9 ? OUTCOME_BUSY : OUTCOME_UNKNOWN);
    }
}

static void the_learners_answer_in_turn(void **state)
{
    (void)state;
    uint32_t answers[4] = {0};
    lead();
    for (uint64_t token = 1; token <= 6; token++) {
        struct batch_header header;
        submit(token);
        assert_true(batch_header_read(&sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].value, &header));
        assert_in_range(header.answerer, 1, 3);
        answers[header.answerer]++;
    }
    for (uint32_t learner = 1; learner <= 3; learner++)
        assert_int_equal(answers[learner], 2);
}

static void a_missing_answer_is_asked_for_from_all_who_can_know(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(1);
    votes(ballot, 1, 2);
    progress(2, 2);
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_RESULT_REQUEST)->to, 0xe);
    assert_null(sent(&r, MESSAGE_ACCEPT)); /* it is never proposed again */
}

static void forget(uint32_t learner, uint64_t number, uint64_t slot)
{
    const struct batch_id id = {.origin = config.node, .incarnation = config.incarnation, .number = number};
    tell(learner, (struct message){.kind = MESSAGE_EXECUTED, .flags = MESSAGE_FORGOTTEN, .from = slot, .batch = id});
}

/* What one learner has forgotten another one may know, or be about to execute. */
static void a_result_is_unknown_when_no_learner_remembers(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(1);
    submit(2);
    votes(ballot, 1, 3);
    progress(3, 3);
    forget(1, 1, 1);
    assert_null(reply());
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(count_sent(&r, MESSAGE_RESULT_REQUEST), 2);
    assert_int_equal(sent(&r, MESSAGE_RESULT_REQUEST)->to, 0xc);
    forget(2, 1, 1);
    assert_null(reply());
    executed(1, 1, 0); /* the third one knows */
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    forget(1, 2, 1); /* not the slot that it was proposed in */
    forget(2, 2, 2);
    forget(3, 2, 2);
    assert_null(reply());
    forget(1, 2, 2);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
    assert_int_equal(reply()->token, 2);
}

static void a_forwarder_sends_a_batch_once(void **state)
{
    (void)state;
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 9)});
    submit(1);
    const struct outgoing *forward = sent(&r, MESSAGE_FORWARD);
    assert_int_equal(forward->to, node_set_of(9));
    assert_int_equal(forward->message.batch.origin, 8);
    for (int i = 0; i < 20; i++) {
        pass(240000, 0x2f0);
        assert_null(sent(&r, MESSAGE_FORWARD));
        assert_null(reply());
    }
    pass(240000, 0x2f0);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

/* What it forwarded to a leader that is gone delays no other batch, and its clients soon hear "unknown". */
static void a_change_of_leader_settles_what_was_forwarded(void **state)
{
    (void)state;
    struct message beat = {.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 9)};
    tell(9, beat);
    for (uint64_t token = 1; token <= 4; token++)
        submit(token);
    assert_int_equal(r.credit.commands, 0);
    pass(config.suspect_timeout, 0x80); /* the leader is silent */
    assert_int_equal(r.credit.commands, 0);
    tell(9, beat); /* the same leadership as before */
    assert_int_equal(r.credit.commands, 0);
    beat.ballot = ballot_of(6, 7);
    tell(7, beat);
    assert_int_equal(r.credit.commands, 4);
    submit(5);
    assert_int_equal(sent(&r, MESSAGE_FORWARD)->to, node_set_of(7));
    assert_int_equal(r.credit.commands, 3);
    executed(2, 1, 0); /* the old leader had proposed it */
    assert_int_equal(reply()->token, 2);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    now += config.dead_timeout / 2 - 1;
    tell(7, beat);
    assert_null(reply());
    now += 1;
    tell(7, beat);
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 3);
    for (size_t n = 0; n < 3; n++)
        assert_int_equal(effect_of(&r, EFFECT_REPLY, n)->val.reply.outcome, OUTCOME_UNKNOWN);
    executed(5, 3, 0);
    assert_int_equal(reply()->token, 5);
    assert_int_equal(r.credit.commands, 4);
}

/* Two batches are forwarded, the leader changes, and the new one has found the slots up to 4; the first batch was in the
 * last of these. Two of three learners have executed all of them. */
static void majority_executes_what_was_forwarded(void)
{
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 9)});
    submit(1);
    submit(2);
    assert_null(sent(&r, MESSAGE_READ_INDEX)); /* nothing has changed */
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(6, 7)});
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(7));
    const struct message ask = sent(&r, MESSAGE_READ_INDEX)->message;
    submit(3);
    progress(4, 1);
    assert_null(reply());
    tell(7,
         (struct message){.kind = MESSAGE_READ_INDEX, .flags = MESSAGE_YES, .from = ask.from, .to = 5, .batch = ask.batch});
    assert_null(reply()); /* slot 4 is not executed yet */
    executed(1, 4, 0);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 5, .floor = 1});
    assert_null(reply());
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 5, .floor = 1});
    assert_null(reply()); /* the third one may be about to answer */
}

/* They hear it sooner when all is executed that the new leader has found: it says up to where that is. */
static void what_was_forwarded_is_lost_when_the_rest_is_executed(void **state)
{
    (void)state;
    majority_executes_what_was_forwarded();
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 5, .floor = 1});
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 1);
    assert_int_equal(reply()->token, 2);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

static void learners_that_are_down_are_not_waited_for(void **state)
{
    (void)state;
    majority_executes_what_was_forwarded();
    now += config.heartbeat_interval - 1;
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 5, .floor = 1});
    assert_null(reply());
    now++;
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 5, .floor = 1});
    assert_int_equal(count_effects(&r, EFFECT_REPLY), 1);
    assert_int_equal(reply()->token, 2);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

/* The leader is heard, and hears nothing of what is forwarded: its clients are sent to it, and some time later it is tried
 * again. */
static void who_forwards_in_vain_sends_clients_away(void **state)
{
    (void)state;
    struct message beat = {.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 7)};
    tell(7, beat);
    submit(1);
    assert_non_null(sent(&r, MESSAGE_FORWARD));
    for (uint64_t time = 0; time < config.request_timeout; time += 100000) {
        assert_null(reply());
        now += 100000;
        tell(7, beat);
    }
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
    submit(2);
    assert_null(sent(&r, MESSAGE_FORWARD));
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
    assert_int_equal(reply()->leader, 7);
    for (uint64_t time = 0; time < config.request_timeout; time += 100000) {
        now += 100000;
        tell(7, beat);
    }
    submit(3);
    assert_non_null(sent(&r, MESSAGE_FORWARD));
}

/* However often leaders change. */
static void batches_of_earlier_leaders_are_bounded(void **state)
{
    (void)state;
    uint64_t token = 0;
    for (uint64_t round = 5; round < 50; round++) {
        uint32_t leader = round % 2 == 0 ? 7 : 9;
        tell(leader,
             (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(round, leader)});
        for (uint32_t credit = r.credit.commands; credit > 0; credit--)
            submit(++token);
    }
    assert_int_equal(token, 16);
}

static void a_leader_proposes_what_others_forward(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    struct entry e = {.kind = ENTRY_COMMANDS, .value = text_payload("a batch of node 8")};
    tell(8, (struct message){.kind = MESSAGE_FORWARD, .batch = {8, 1, 1}, .entries = {&e, 1}});
    assert_true(payload_is(&sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].value, "a batch of node 8"));
    votes(ballot, 1, 2);
    assert_int_equal(sent(&r, MESSAGE_CHOSEN)->to, 0xe);
}

/* --- time (P22) --- */

/* What a learner says that has executed something of this node as a leader, and so reached this time. */
static struct payload reached(uint64_t elapsed, uint64_t unix, uint64_t *words)
{
    return stamp_pack((struct stamp){{elapsed, unix}, proposer_agent_status(agent).ballot}, words);
}

static void say_moments(uint32_t learner, uint64_t elapsed, uint64_t unix)
{
    uint64_t words[STAMP_SIZE / 8];
    struct entry e = {.kind = ENTRY_NOOP, .value = reached(elapsed, unix, words)};
    tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1, .entries = {&e, 1}});
    now++; /* it counts from the next turn on */
    step(NULL, 0);
}

static void say_moment(uint32_t learner, uint64_t elapsed) { say_moments(learner, elapsed, 0); }

/* The stamp of what was proposed last. */
static uint64_t stamped(void)
{
    struct stamp stamp;
    const struct message *m = &sent(&r, MESSAGE_ACCEPT)->message;
    assert_true(stamp_read(&m->entries.ptr[m->entries.len - 1], &stamp));
    assert_int_equal(ballot_compare(stamp.ballot, m->ballot), 0);
    return stamp.moment.elapsed;
}

/* A new leader does not know what time it is until something of its own is executed: by its own learner, or by a majority.
 * Then it goes on from what the log had reached, by its own clock. One learner alone may say what it wants. */
static void a_leader_goes_on_with_time(void **state)
{
    (void)state;
    say_moment(1, 1000); /* of an earlier leader */
    say_moment(2, 1000);
    pass(5000, 0x1f0);
    lead();
    submit(1);
    assert_int_equal(stamped(), 0);
    say_moment(2, 50000);
    pass(5000, 0x1f0);
    submit(2);
    assert_int_equal(stamped(), 0);
    say_moment(1, 1000);
    const uint64_t began = now;
    submit(3);
    assert_int_equal(stamped(), 1000);
    pass(300000, 0x1f0);
    say_moment(3, UINT64_MAX); /* it goes by its own clock now */
    submit(4);
    assert_int_equal(stamped(), 1000 + (now - began) / 1000);
}

static void show(uint64_t wall_clock)
{
    const struct event e = {.tag = EVENT_WALL_CLOCK, .val.wall_clock = wall_clock};
    step(&e, 1);
}

static int64_t said_of_wall_clock(void)
{
    const struct effect *e = effect_of(&r, EFFECT_WALL_CLOCK, 0);
    return e != NULL ? e->val.wall_clock : 0;
}

/* A leader's wall clock goes into its stamps. That it is far from the log's is said once, and when it changes. */
static void a_leader_compares_wall_clocks(void **state)
{
    (void)state;
    struct stamp stamp;
    lead();
    say_moments(1, 1000, 5000000);
    say_moments(2, 1000, 5000000);
    submit(1);
    assert_true(stamp_read(&sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0], &stamp) && stamp.moment.unix == 0);
    show(5059000);
    assert_int_equal(said_of_wall_clock(), 0);
    pass(20000, 0x1f0);
    submit(2);
    assert_true(stamp_read(&sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0], &stamp) && stamp.moment.unix == 5059020);
    show(5100020);
    assert_int_equal(said_of_wall_clock(), 100000);
    pass(20000, 0x1f0);
    assert_int_equal(said_of_wall_clock(), 0); /* as before: time has passed by both */
    show(4900040);
    assert_int_equal(said_of_wall_clock(), -100000);
    show(4950040);
    assert_int_equal(said_of_wall_clock(), 0); /* near enough to what was said */
    show(5000040);
    assert_int_equal(said_of_wall_clock(), 0);
    show(4900040);
    assert_int_equal(said_of_wall_clock(), -100000);
}

/* A learner's state has something that ends at an agreed time. */
static void say_due(uint32_t learner, uint64_t elapsed, uint64_t due)
{
    uint64_t words[STAMP_SIZE / 8], ends[STAMP_SIZE / 8];
    struct entry e[] = {{.kind = ENTRY_NOOP, .value = reached(elapsed, 0, words)},
                        {.kind = ENTRY_NOOP, .value = stamp_pack((struct stamp){.moment.elapsed = due}, ends)}};
    tell(learner,
         (struct message){
             .kind = MESSAGE_PROGRESS, .to = proposed + 1, .floor = proposed + 1, .entries = {e, due != 0 ? 2 : 1}});
}

/* Nothing is proposed, and something of the state is to end: a no-op lets time pass, when it is due and not before. */
static void a_leader_lets_time_pass_for_what_ends(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    say_moment(1, 0);
    say_moment(2, 0);
    say_due(1, 0, 5); /* one learner alone cannot have it propose anything */
    pass(50000, 0x1f0);
    assert_null(sent(&r, MESSAGE_ACCEPT));
    assert_true(r.wake_at > now + 10000);
    say_due(2, 0, 200);
    assert_true(r.wake_at > now && r.wake_at <= now + 150000);
    pass(150000, 0x1f0);
    const struct entry *e = &sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0];
    assert_true(e->kind == ENTRY_NOOP && e->slot == 1 && stamped() == 200);
    votes(ballot, 1, 2);
    say_due(1, 200, 200);
    say_due(2, 200, 200); /* there is more */
    assert_null(sent(&r, MESSAGE_ACCEPT));
    pass(100000, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].slot, 2);
    votes(ballot, 2, 3);
    pass(10000, 0x1f0);
    assert_null(sent(&r, MESSAGE_ACCEPT)); /* not so soon */
    say_due(1, 300, 0);
    say_due(2, 300, 0);
    pass(150000, 0x1f0);
    assert_null(sent(&r, MESSAGE_ACCEPT)); /* nothing ends any more */
}

/* A new leader does not know whether what is to end has ended, until something of its own is executed. */
static void a_leader_asks_the_log_what_time_it_is(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    assert_null(sent(&r, MESSAGE_ACCEPT)); /* as long as nothing is to end */
    for (uint32_t learner = 1; learner <= 2; learner++) {
        uint64_t words[STAMP_SIZE / 8], ends[STAMP_SIZE / 8];
        struct entry e[] = {{.kind = ENTRY_NOOP, .value = stamp_pack((struct stamp){{7000, 0}, {1, 9, 1}}, words)},
                            {.kind = ENTRY_NOOP, .value = stamp_pack((struct stamp){.moment.elapsed = 3600000}, ends)}};
        tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1, .entries = {e, 2}});
    }
    assert_true(sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].kind == ENTRY_NOOP && stamped() == 0);
    votes(ballot, 1, 2);
    say_moment(1, 7000);
    say_moment(2, 7000);
    pass(150000, 0x1f0);
    assert_null(sent(&r, MESSAGE_ACCEPT));
    submit(1);
    assert_int_equal(stamped(), 7150);
}

/* A process may stand still after it has read its clock. What it hears then was said later than that clock shows, and would
 * put the leader's stamps ahead by as long as it stood. */
static void what_is_heard_after_a_pause_counts_from_the_next_turn_on(void **state)
{
    (void)state;
    lead();
    const uint64_t pause_ms = 300;
    uint64_t words[STAMP_SIZE / 8];
    struct entry e = {.kind = ENTRY_NOOP, .value = reached(1000 + pause_ms, 0, words)};
    for (uint32_t learner = 1; learner <= 2; learner++)
        tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1, .entries = {&e, 1}});
    submit(1); /* in the same turn */
    assert_int_equal(stamped(), 0);
    pass(pause_ms * 1000, 0x1f0);
    submit(2);
    assert_int_equal(stamped(), 1000 + pause_ms);
}

/* Another node took the batch from its client; the time is the leader's that proposes it. */
static void who_forwards_does_not_stamp(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    lead();
    say_moment(1, 1000);
    say_moment(2, 1000);
    batch_add(&b, &arg, 1);
    struct entry e = {.kind = ENTRY_COMMANDS, .value = batch_end(&b)};
    batch_header_stamp(&e.value, (struct batch_id){8, 1, 1}, 0);
    batch_time_stamp(&e.value, (struct stamp){{77777, 88888}, {99, 8, 1}});
    tell(8, (struct message){.kind = MESSAGE_FORWARD, .batch = {8, 1, 1}, .entries = {&e, 1}});
    assert_int_equal(stamped(), 1000);
    batch_builder_free(&b);
}

static void forwarded_batches_are_bounded(void **state)
{
    (void)state;
    struct payload big = {.words = {calloc(1 << 15, 8), 1 << 15}, .len = 1 << 18};
    struct entry e = {.kind = ENTRY_COMMANDS, .value = big};
    struct event events[20];
    (void)lead();
    for (size_t i = 0; i < 20; i++)
        events[i] = from(8, (struct message){.kind = MESSAGE_FORWARD, .batch = {8, 1, i + 1}, .entries = {&e, 1}});
    step(events, 20); /* 5 MiB, and 1 MiB may be in flight */
    for (int i = 0; i < 20; i++) {
        votes(proposer_agent_status(agent).ballot, 1, proposed + 1);
        progress(proposed + 1, 1);
        step(NULL, 0);
    }
    assert_int_equal(proposed, 4);
    free(big.words.ptr);
}

static void a_forwarder_that_stops_takes_no_more(void **state)
{
    (void)state;
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 9)});
    assert_int_equal(r.credit.commands, 4);
    struct event stop = {.tag = EVENT_STOP};
    step(&stop, 1);
    assert_int_equal(r.credit.commands, 0);
}

/* --- the window --- */

/* P16. */
static void nobody_runs_ahead_of_a_majority_of_learners(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    for (uint64_t token = 1; token <= 12; token++)
        submit(token);
    votes(ballot, 1, 9);
    assert_int_equal(proposer_agent_status(agent).chosen, 9);
    assert_null(sent(&r, MESSAGE_ACCEPT)); /* all is chosen, but nothing executed */
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 9, .floor = 1});
    assert_null(sent(&r, MESSAGE_ACCEPT));
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 1});
    assert_int_equal(sent(&r, MESSAGE_ACCEPT)->message.entries.len, 2);
}

/* However many batches come at once. */
static void the_bytes_in_flight_are_bounded_within_a_step(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes args[] = {{(uint8_t *)(uintptr_t)"SET", 3}, {(uint8_t *)(uintptr_t)"k", 1}, {calloc(1, 600000), 600000}};
    struct event events[5];
    batch_begin(&b);
    batch_add(&b, args, 3);
    struct ballot ballot = lead();
    for (uint64_t i = 0; i < 5; i++)
        events[i] = (struct event){.tag = EVENT_COMMANDS, .val.commands = {.token = i + 1, .value = batch_end(&b)}};
    step(events, 5); /* 3 MB, and 1 MiB may be in flight */
    for (int i = 0; i < 5 && r.wake_at <= now; i++)
        step(NULL, 0);
    assert_int_equal(proposed, 2);
    votes(ballot, 1, 3);
    progress(3, 1);
    for (int i = 0; i < 5 && r.wake_at <= now; i++)
        step(NULL, 0);
    assert_int_equal(proposed, 4);
    free(args[2].ptr);
    batch_builder_free(&b);
}

/* More than one message holds, though not all that was recovered fits into the window. */
static void recovered_values_are_sent_without_pause(void **state)
{
    (void)state;
    struct payload big = {.words = {calloc(50000, 8), 50000}, .len = 400000};
    struct entry recovered[12];
    answer_question(4, true);
    answer_question(5, true);
    struct ballot ballot = proposer_agent_status(agent).ballot;
    for (uint64_t slot = 1; slot <= 12; slot++)
        recovered[slot - 1] = (struct entry){.slot = slot, .ballot = ballot_of(1, 7), .kind = ENTRY_COMMANDS, .value = big};
    promise(5, ballot, 1);
    tell(4, (struct message){.kind = MESSAGE_PROMISE,
                             .flags = MESSAGE_LAST,
                             .ballot = ballot,
                             .from = 1,
                             .to = 13,
                             .floor = 1,
                             .entries = {recovered, 12}});
    assert_int_equal(proposed, 3);
    for (int i = 0; i < 5 && r.wake_at <= now; i++)
        step(NULL, 0);
    assert_int_equal(proposed, 8);
    assert_true(r.wake_at > now);
    free(big.words.ptr);
}

static void acceptors_that_lack_votes_get_them_again(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(1);
    tell(4, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot, .from = 1, .to = 2});
    pass(config.retry_interval, 0x1f0); /* the first look remembers, the second finds it unchanged */
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(count_sent(&r, MESSAGE_ACCEPT), 2);
    assert_int_equal(sent(&r, MESSAGE_ACCEPT)->to, node_set_of(5));
}

/* What lies below what a majority of learners holds needs no votes: acceptors give none there. */
static void held_slots_are_settled(void **state)
{
    (void)state;
    lead();
    submit(1);
    submit(2);
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    assert_int_equal(proposer_agent_status(agent).chosen, 1);
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    assert_int_equal(proposer_agent_status(agent).chosen, 2);
}

/* What a learner says of itself counts until it says something else. */
static void a_learners_latest_word_counts(void **state)
{
    (void)state;
    lead();
    progress(SLOT_MAX - 1, SLOT_MAX - 1);
    progress(1, 1);
    submit(1);
    assert_non_null(sent(&r, MESSAGE_ACCEPT));
    tell(UINT32_MAX, (struct message){.kind = MESSAGE_HEARTBEAT});
    assert_int_equal(state_now(), PROPOSER_LEADING);
}

/* ---- Configurations ---- */

/* Members are those of nine_nodes, with other acceptors. */
static struct configuration chosen_in(uint64_t slot, uint64_t replaces, node_set acceptors)
{
    return (struct configuration){
        .slot = slot,
        .governs = slot + config.alpha,
        .replaces = replaces,
        .proposers = config.proposers,
        .acceptors = acceptors,
        .learners = config.learners,
        .phase1_quorum = 2,
        .phase2_quorum = 2,
        .alpha = config.alpha,
    };
}

static void learn_of(const struct configuration *c)
{
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration.configuration = *c};
    step(&e, 1);
}

/* P11: before the boundary it goes on, and resigns when it hears that another one has come and gone there. */
static void a_leader_of_a_configuration_that_was_skipped_resigns(void **state)
{
    (void)state;
    const struct configuration one = chosen_in(2, 0, 0x60), two = chosen_in(12, 2, 0x70);
    const struct ballot ballot = lead();
    learn_of(&one);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    progress(9, 9);
    votes(ballot, 1, 10);
    submit(1);
    assert_int_equal(proposed, 9); /* the last slot before that */
    learn_of(&two);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    submit(2);
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(proposed, 9);
}

/* All learners have executed slot 49, whose configuration it does not know. */
static void progress_beyond_a_change(void)
{
    for (uint32_t learner = 1; learner <= 3; learner++)
        tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = 100, .floor = 100, .chosen = 49});
}

static void who_lacks_a_configuration_does_not_lead(void **state)
{
    (void)state;
    progress_beyond_a_change();
    pass(config.heartbeat_interval * 2, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    be_elected();
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    const struct configuration newer = chosen_in(49, 0, config.acceptors);
    learn_of(&newer);
    progress_beyond_a_change();
    pass(config.prepare_timeout, 0x1f0);
    be_elected();
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* The learner of its own node may need minutes for the log. */
static void a_coordinator_asks_for_what_its_learner_is_far_from(void **state)
{
    (void)state;
    tear_down(NULL);
    config = three_nodes(1);
    start();
    const struct message near = {.kind = MESSAGE_PROGRESS, .to = 8, .floor = 8, .chosen = 3};
    tell(2, near);
    assert_null(sent(&r, MESSAGE_CONFIGURATION)); /* it will execute that soon */
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 100, .floor = 100, .chosen = 49});
    assert_true(sent(&r, MESSAGE_CONFIGURATION)->to == node_set_of(2));
    const uint64_t number = sent(&r, MESSAGE_CONFIGURATION)->message.batch.number;
    struct payload text = configuration_value(0, 0xe);
    struct entry e = {.slot = 49, .kind = ENTRY_CONFIGURATION, .value = text};
    struct message answer = {.kind = MESSAGE_CONFIGURATION, .from = 49, .to = 57, .entries = {&e, 1}};
    for (answer.batch.number = number - 1; answer.batch.number < number + 2; answer.batch.number += 2) {
        tell(2, answer);
        assert_null(effect_of(&r, EFFECT_CONFIGURATION, 0)); /* it answers another question */
    }
    answer.batch.number = number;
    tell(2, answer);
    assert_int_equal(effect_of(&r, EFFECT_CONFIGURATION, 0)->val.configuration.configuration.slot, 49);
    payload_free(&text);
}

/* Nodes as nine_nodes has them; node 2 has been added, and does not count yet. */
static void learn_that_2_joins(void)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    configuration_begin(t, 0, 0x3fe);
    for (uint32_t node = 1; node <= 9; node++)
        t->members[node].duties = node <= 3 ? DUTY_LEARNS : node <= 6 ? DUTY_ACCEPTS : DUTY_PROPOSES;
    snprintf(t->settings[1].value, CONFIGURATION_WORD_MAX, "2");
    snprintf(t->settings[2].value, CONFIGURATION_WORD_MAX, "2");
    t->members[2].joining = true;
    assert_null(configuration_check(t));
    struct payload text = configuration_pack(t);
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration = {.settled = true, .text = text}};
    assert_true(configuration_unpack(&text, 2, &e.val.configuration.configuration));
    step(&e, 1);
    payload_free(&text);
    free(t);
}

/* Results are asked for from the learners that there are now. */
static void learners_that_were_removed_need_not_remember(void **state)
{
    (void)state;
    struct configuration without_3 = chosen_in(2, 0, config.acceptors);
    without_3.learners = 0x6;
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration = {.configuration = without_3, .settled = true}};
    const struct ballot ballot = lead();
    submit(1);
    votes(ballot, 1, 2);
    progress(2, 2);
    forget(1, 1, 1);
    forget(2, 1, 1);
    assert_null(reply()); /* node 3 may know */
    step(&e, 1);
    forget(2, 1, 1);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

/* While the configuration before is needed, its learners may know. */
static void learners_of_both_configurations_are_asked(void **state)
{
    (void)state;
    const struct configuration first = chosen_in(2, 0, config.acceptors);
    struct configuration without_3 = chosen_in(11, 2, config.acceptors);
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration = {.configuration = first, .settled = true}};
    without_3.learners = 0x6;
    step(&e, 1);
    progress(10, 10);
    be_elected();
    const struct ballot ballot = proposer_agent_status(agent).ballot;
    promise(4, ballot, 10);
    promise(5, ballot, 10);
    submit(1);
    assert_int_equal(proposed, 10);
    votes(ballot, 10, 11);
    progress(11, 11);
    learn_of(&without_3);
    forget(1, 1, 10);
    forget(2, 1, 10);
    assert_null(reply());
    forget(3, 1, 10);
    assert_int_equal(reply()->outcome, OUTCOME_UNKNOWN);
}

/* Its number in the newest configuration says so, whatever was skipped. */
static void who_was_replaced_does_not_lead(void **state)
{
    (void)state;
    struct payload text = configuration_value_replacing(300, 0xe, 1, true);
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration.text = text};
    assert_true(configuration_unpack(&text, 400, &e.val.configuration.configuration));
    tear_down(NULL);
    config = three_nodes(1);
    start();
    step(&e, 1);
    payload_free(&text);
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 500, .floor = 500, .chosen = 400});
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 500, .floor = 500, .chosen = 400});
    now += config.dead_timeout;
    step(NULL, 0);
    assert_null(sent(&r, MESSAGE_ASK));
    assert_null(sent(&r, MESSAGE_HEARTBEAT));
}

/* What it said once is not enough: it may have gone since. */
static void a_newcomer_that_is_gone_is_not_promoted(void **state)
{
    (void)state;
    const struct message told = {.kind = MESSAGE_PROGRESS, .to = 12, .floor = 12, .chosen = 2};
    learn_that_2_joins();
    tell(2, told);
    pass_awake(config.dead_timeout + 11 * config.exec_interval, 0x1f0);
    tell(1, told);
    tell(3, told);
    be_elected();
    const struct ballot ballot = proposer_agent_status(agent).ballot;
    promise(4, ballot, 12);
    promise(5, ballot, 12);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    step(NULL, 0);
    assert_int_equal(proposed, 0);
    tell(2, told);
    assert_int_equal(proposed, 12);
    assert_int_equal(sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].kind, ENTRY_CONFIGURATION);
}

/* Others would not listen: it is only a learner yet. Its clients are sent to the leader. */
static void who_is_no_proposer_forwards_nothing(void **state)
{
    (void)state;
    struct configuration without_8 = chosen_in(2, 0, config.acceptors);
    without_8.proposers = 0x280;
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration = {.configuration = without_8, .settled = true}};
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 9)});
    assert_true(r.credit.commands > 0);
    step(&e, 1);
    assert_int_equal(r.credit.commands, 0);
    submit(1);
    assert_null(sent(&r, MESSAGE_FORWARD));
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
    assert_int_equal(reply()->leader, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_proposes_and_answers),
        TEST(answers_to_another_life_are_ignored),
        TEST(which_learners_hold_slots_is_told),
        TEST(who_does_not_lead_says_who_does),
        TEST(another_batch_in_its_slot_means_that_it_was_not_executed),
        TEST(only_what_was_never_proposed_is_given_back),
        TEST(what_expires_in_the_queue_is_busy),
        TEST(the_learners_answer_in_turn),
        TEST(a_missing_answer_is_asked_for_from_all_who_can_know),
        TEST(a_result_is_unknown_when_no_learner_remembers),
        TEST_OF_8(a_forwarder_sends_a_batch_once),
        TEST_OF_8(a_change_of_leader_settles_what_was_forwarded),
        TEST_OF_8(what_was_forwarded_is_lost_when_the_rest_is_executed),
        TEST_OF_8(learners_that_are_down_are_not_waited_for),
        TEST_OF_8(who_forwards_in_vain_sends_clients_away),
        TEST_OF_8(batches_of_earlier_leaders_are_bounded),
        TEST(a_leader_proposes_what_others_forward),
        TEST(a_leader_goes_on_with_time),
        TEST(who_forwards_does_not_stamp),
        TEST(what_is_heard_after_a_pause_counts_from_the_next_turn_on),
        TEST(a_leader_compares_wall_clocks),
        TEST(a_leader_lets_time_pass_for_what_ends),
        TEST(a_leader_asks_the_log_what_time_it_is),
        TEST(forwarded_batches_are_bounded),
        TEST_OF_8(a_forwarder_that_stops_takes_no_more),
        TEST(nobody_runs_ahead_of_a_majority_of_learners),
        TEST(the_bytes_in_flight_are_bounded_within_a_step),
        TEST(recovered_values_are_sent_without_pause),
        TEST(acceptors_that_lack_votes_get_them_again),
        TEST(held_slots_are_settled),
        TEST(a_learners_latest_word_counts),
        TEST(a_leader_of_a_configuration_that_was_skipped_resigns),
        TEST(who_lacks_a_configuration_does_not_lead),
        TEST(a_coordinator_asks_for_what_its_learner_is_far_from),
        TEST(a_newcomer_that_is_gone_is_not_promoted),
        TEST(learners_that_were_removed_need_not_remember),
        TEST(learners_of_both_configurations_are_asked),
        TEST(who_was_replaced_does_not_lead),
        TEST_OF_8(who_is_no_proposer_forwards_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
