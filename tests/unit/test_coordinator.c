/* core/runners/coordinator.c: what a node says to itself goes the same way as what it says to others, and no faster (P2). */
#include "core/runners/coordinator.h"

#include "core/base/kept.h"
#include "core/formats/batch.h"
#include "tests/unit/protocol.h"

static struct coordinator *node;
static uint64_t lsn, now;
static struct step_result r; /* of the last step */
static uint64_t question;    /* number of the last one asked */

static void step(const struct event *events, size_t count)
{
    r = coordinator_step(node, now, lsn, events, count);
    lsn += count_effects(&r, EFFECT_APPEND);
    if (sent(&r, MESSAGE_ASK) != NULL)
        question = sent(&r, MESSAGE_ASK)->message.from;
    const struct effect *e;
    for (size_t n = 0; (e = effect_of(&r, EFFECT_SEND, n)) != NULL; n++)
        assert_false(node_set_has(e->val.send.to, 1)); /* nothing to itself leaves it */
    for (size_t n = 0; (e = effect_of(&r, EFFECT_APPEND, n)) != NULL; n++)
        assert_int_equal(e->val.append.lsn, lsn - count_effects(&r, EFFECT_APPEND) + n);
}

static void start_with(struct node_config config)
{
    struct event events[] = {{.tag = EVENT_RECOVERED}, durable(0)};
    node = coordinator_new(&config);
    lsn = 1;
    now = 1000000;
    step(events, 2);
}

static int set_up(void **state)
{
    struct node_config config = three_nodes(1);
    (void)state;
    config.proposers = 0x2; /* the others do not want to lead */
    start_with(config);
    return 0;
}

static int set_up_narrow(void **state)
{
    struct node_config config = three_nodes(1);
    (void)state;
    config.proposers = 0x2;
    config.alpha = 1;
    start_with(config);
    return 0;
}

static int set_up_alone(void **state)
{
    struct node_config config = three_nodes(1);
    (void)state;
    config.proposers = config.acceptors = config.learners = 0x2;
    config.phase1_quorum = config.phase2_quorum = 1;
    start_with(config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    coordinator_free(node);
    return 0;
}

static void tell(uint32_t sender, struct message m)
{
    struct event e = from(sender, m);
    step(&e, 1);
}

/* Steps while the node wants to be stepped at once. */
static void settle(void)
{
    for (int i = 0; i < 20 && r.wake_at <= now; i++)
        step(NULL, 0);
    assert_true(r.wake_at > now);
}

static void make_durable(void)
{
    struct event e = durable(lsn - 1);
    step(&e, 1);
}

static struct ballot ballot(void) { return coordinator_status(node).ballot; }

static void submit(uint64_t token)
{
    struct batch_builder b = {0};
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {(uint8_t *)(uintptr_t)"key", 3}};
    batch_begin(&b);
    batch_add(&b, args, 2);
    struct event e = {.tag = EVENT_COMMANDS, .val.commands = {.token = token, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

static void lead(void)
{
    settle();
    tell(2, (struct message){.kind = MESSAGE_LOST, .flags = MESSAGE_YES, .from = question});
    assert_int_equal(coordinator_status(node).proposer_state, PROPOSER_PREPARING);
    tell(2, (struct message){
                .kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = ballot(), .from = 1, .to = 1, .floor = 1});
    tell(3, (struct message){
                .kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = ballot(), .from = 1, .to = 1, .floor = 1});
    assert_int_equal(coordinator_status(node).proposer_state, PROPOSER_LEADING);
    make_durable();
    r.wake_at = now;
    settle();
}

/* P2: the short-cut is held exactly like a message. */
static void the_own_promise_counts_when_it_is_durable(void **state)
{
    (void)state;
    settle();
    tell(2, (struct message){.kind = MESSAGE_LOST, .flags = MESSAGE_YES, .from = question});
    assert_int_equal(appended(&r, RECORD_PROMISED)->lsn, 1);
    tell(2, (struct message){
                .kind = MESSAGE_PROMISE, .flags = MESSAGE_LAST, .ballot = ballot(), .from = 1, .to = 1, .floor = 1});
    settle();
    assert_int_equal(coordinator_status(node).proposer_state, PROPOSER_PREPARING);
    make_durable();
    assert_int_equal(coordinator_status(node).proposer_state, PROPOSER_LEADING);
}

static void the_own_vote_counts_when_it_is_durable(void **state)
{
    (void)state;
    lead();
    submit(7);
    settle();
    assert_int_equal(coordinator_status(node).chosen, 1);
    tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    settle();
    assert_int_equal(coordinator_status(node).chosen, 1);
    make_durable();
    settle();
    assert_int_equal(coordinator_status(node).chosen, 2);
    assert_int_equal(coordinator_status(node).executed, 2);
}

static void assert_answered(uint64_t token)
{
    const struct effect *reply = effect_of(&r, EFFECT_REPLY, 0);
    assert_non_null(reply);
    assert_int_equal(reply->val.reply.token, token);
    assert_int_equal(reply->val.reply.outcome, OUTCOME_EXECUTED);
    assert_true(reply->val.reply.replies.len > 0);
}

/* In the step that executes it. */
static void a_batch_is_answered_by_the_own_learner(void **state)
{
    (void)state;
    lead();
    submit(7);
    const struct outgoing *accept = sent(&r, MESSAGE_ACCEPT);
    assert_int_equal(accept->to, 0xc);
    assert_int_equal(appended(&r, RECORD_ACCEPTED)->entry.slot, 1); /* the same step */
    assert_null(appended(&r, RECORD_LEARNED));
    tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    tell(3, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    assert_null(appended(&r, RECORD_LEARNED)); /* the vote's record holds the value already */
    assert_answered(7);
}

/* What the proposer agent has said in a step lies in its memory until the step is over: it is not called again before. */
static void an_answer_waits_while_values_are_on_their_way(void **state)
{
    struct batch_builder b = {0};
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {(uint8_t *)(uintptr_t)"key", 3}};
    (void)state;
    lead();
    submit(7);
    tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    batch_begin(&b);
    batch_add(&b, args, 2);
    const struct event both[] = {
        from(3, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2}),
        {.tag = EVENT_COMMANDS, .val.commands = {.token = 8, .value = batch_end(&b)}},
    };
    step(both, 2);
    batch_builder_free(&b);
    assert_int_equal(sent(&r, MESSAGE_ACCEPT)->message.entries.ptr[0].slot, 2);
    assert_int_equal(coordinator_status(node).executed, 2);
    assert_null(effect_of(&r, EFFECT_REPLY, 0));
    assert_true(r.wake_at <= now);
    step(NULL, 0);
    assert_answered(7);
}

/* Others hear that something is chosen with the next values; but when there is no room for those, they must hear it at
 * once. */
static void a_full_window_tells_everybody_what_is_chosen(void **state)
{
    (void)state;
    lead();
    submit(7);
    submit(8);
    tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    tell(3, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot(), .from = 1, .to = 2});
    assert_int_equal(sent(&r, MESSAGE_CHOSEN)->to, 0xc);
}

static void submit_read(uint64_t token)
{
    struct batch_builder b = {0};
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)(uintptr_t)"key", 3}};
    batch_begin(&b);
    batch_add(&b, args, 2);
    struct event e = {.tag = EVENT_READS, .val.reads = {.token = token, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

/* P9: with one other acceptor there is a quorum, and no record is written. */
static void a_read_needs_a_round_and_no_record(void **state)
{
    (void)state;
    lead();
    const uint64_t records = lsn;
    submit_read(7);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0xc);
    const uint64_t round = sent(&r, MESSAGE_READ_ROUND)->message.from;
    settle(); /* the own acceptor has answered, and is not enough */
    assert_null(effect_of(&r, EFFECT_REPLY, 0));
    tell(3, (struct message){.kind = MESSAGE_READ_CONFIRMED, .ballot = ballot(), .from = round});
    assert_true(r.wake_at <= now);
    step(NULL, 0);
    const struct effect *reply = effect_of(&r, EFFECT_REPLY, 0);
    assert_int_equal(reply->val.reply.token, 7);
    assert_int_equal(reply->val.reply.outcome, OUTCOME_EXECUTED);
    assert_int_equal(replies_count(&reply->val.reply.replies), 1);
    assert_int_equal(lsn, records);
}

/* One node is a cluster, too: everything it says, it says to itself. */
static void a_node_alone_serves(void **state)
{
    const struct effect *reply = NULL;
    (void)state;
    for (int i = 0; i < 20 && coordinator_status(node).proposer_state != PROPOSER_LEADING; i++) {
        step(NULL, 0);
        make_durable();
    }
    settle();
    submit(9);
    settle();
    assert_int_equal(coordinator_status(node).executed, 1);
    make_durable();
    for (int i = 0; i < 5 && reply == NULL; i++) {
        reply = effect_of(&r, EFFECT_REPLY, 0);
        if (reply == NULL)
            step(NULL, 0);
    }
    assert_non_null(reply);
    assert_int_equal(reply->val.reply.token, 9);
}

/* A vote alone chooses nothing; two of them make a quorum, but only where learners are meant to count. */
static void votes_reach_the_learner_only_when_configured(void **state)
{
    (void)state;
    struct ballot b = ballot_of(5, 2);
    struct entry e = {.slot = 1, .ballot = b, .kind = ENTRY_NOOP};
    for (int counting = 0; counting <= 1; counting++) {
        struct node_config config = three_nodes(1);
        config.acceptors_send_learns = counting == 1;
        coordinator_free(node);
        start_with(config);
        tell(2,
             (struct message){.kind = MESSAGE_ACCEPT, .ballot = b, .from = 1, .chosen = 1, .floor = 1, .entries = {&e, 1}});
        tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b, .from = 1, .to = 2});
        tell(3, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b, .from = 1, .to = 2});
        assert_int_equal(coordinator_status(node).executed, counting == 1 ? 2 : 1);
    }
}

/* Its acceptor remembers it as a vote, its learner until it is chosen. */
static void a_value_from_another_node_is_kept_once(void **state)
{
    (void)state;
    struct entry e = entry_at(1, ballot_of(5, 2), "value");
    tell(2, (struct message){
                .kind = MESSAGE_ACCEPT, .ballot = e.ballot, .from = 1, .chosen = 1, .floor = 1, .entries = {&e, 1}});
    const struct payload *value = &appended(&r, RECORD_ACCEPTED)->entry.value;
    const size_t count = payloads_kept();
    struct payload again = payload_keep(value);
    assert_ptr_equal(again.words.ptr, value->words.ptr);
    assert_int_equal(payloads_kept(), count);
    payload_release(&again);
}

/* P2 again: the own learner, too, hears of a vote no sooner than others. */
static void the_own_learner_counts_durable_votes(void **state)
{
    (void)state;
    struct ballot b = ballot_of(5, 2);
    struct entry e = {.slot = 1, .ballot = b, .kind = ENTRY_NOOP};
    struct node_config config = three_nodes(1);
    config.acceptors_send_learns = true;
    coordinator_free(node);
    start_with(config);
    tell(2, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b, .from = 1, .chosen = 1, .floor = 1, .entries = {&e, 1}});
    tell(2, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b, .from = 1, .to = 2});
    settle();
    assert_int_equal(coordinator_status(node).executed, 1);
    make_durable();
    settle();
    assert_int_equal(coordinator_status(node).executed, 2);
}

/* P13 comes through. */
static void a_state_that_differs_is_told(void **state)
{
    (void)state;
    struct entry entries[64];
    struct ballot b = ballot_of(5, 2);
    for (uint64_t slot = 1; slot < 65; slot++) {
        entries[slot - 1] = (struct entry){.slot = slot, .ballot = b, .kind = ENTRY_NOOP};
        tell(2, (struct message){.kind = MESSAGE_ACCEPT,
                                 .ballot = b,
                                 .from = 1,
                                 .chosen = slot + 1,
                                 .floor = slot,
                                 .entries = {&entries[slot - 1], 1}});
    }
    assert_int_equal(coordinator_status(node).executed, 65);
    struct message m = {.kind = MESSAGE_PROGRESS, .to = 65, .from = 64, .batch = {.number = 5}};
    tell(2, m);
    tell(3, m);
    assert_true(r.wake_at <= now);
    step(NULL, 0);
    assert_int_equal(effect_of(&r, EFFECT_DIVERGED, 0)->val.diverged, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_own_promise_counts_when_it_is_durable),
        TEST(the_own_vote_counts_when_it_is_durable),
        TEST(a_batch_is_answered_by_the_own_learner),
        TEST(an_answer_waits_while_values_are_on_their_way),
        TEST(a_read_needs_a_round_and_no_record),
        cmocka_unit_test_setup_teardown(a_full_window_tells_everybody_what_is_chosen, set_up_narrow, tear_down),
        cmocka_unit_test_setup_teardown(a_node_alone_serves, set_up_alone, tear_down),
        TEST(votes_reach_the_learner_only_when_configured),
        TEST(a_value_from_another_node_is_kept_once),
        TEST(the_own_learner_counts_durable_votes),
        TEST(a_state_that_differs_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
