/* core/agents/reads.c: a leader's reads, from its clients to acceptors, to a learner, and back (P9). */
#include "tests/unit/proposer_agent_fixture.h"

static void read(uint64_t token)
{
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    batch_begin(&b);
    batch_add(&b, &arg, 1);
    struct event e = {.tag = EVENT_READS, .val.reads = {.token = token, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

static void confirm(uint32_t acceptor, struct ballot ballot, uint64_t round)
{
    tell(acceptor, (struct message){.kind = MESSAGE_READ_CONFIRMED, .ballot = ballot, .from = round});
}

static void answer_query(uint64_t number, uint64_t executed_to)
{
    struct entry entry = {.value = text_payload("replies")};
    tell(1, (struct message){
                .kind = MESSAGE_QUERY_ANSWER, .batch = {config.node, 1, number}, .to = executed_to, .entries = {&entry, 1}});
}

static void a_read_is_confirmed_then_asked_then_answered(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    read(7);
    const struct outgoing *round = sent(&r, MESSAGE_READ_ROUND);
    assert_int_equal(round->to, config.acceptors);
    assert_int_equal(ballot_compare(round->message.ballot, ballot), 0);
    assert_null(sent(&r, MESSAGE_ACCEPT));
    confirm(4, ballot, 1);
    assert_null(sent(&r, MESSAGE_QUERY));
    confirm(5, ballot, 1);
    const struct outgoing *query = sent(&r, MESSAGE_QUERY);
    assert_int_equal(node_set_count(query->to & config.learners), 1);
    assert_int_equal(query->message.to, 1);
    assert_int_equal(query->message.entries.len, 1);
    answer_query(query->message.batch.number, 1);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    assert_true(payload_is(&reply()->replies, "replies"));
    answer_query(1, 1);
    assert_null(reply());
}

/* What is proposed may be chosen before this leader knows. */
static void the_index_is_after_all_that_is_proposed(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    submit(1);
    submit(2);
    read(7);
    submit(3);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->message.to, 3);
}

/* What is found in phase 1 may have been chosen, and answered, at another ballot. */
static void the_index_is_after_all_that_was_recovered(void **state)
{
    (void)state;
    be_elected();
    const struct ballot ballot = proposer_agent_status(agent).ballot;
    struct entry vote = entry_at(5, ballot_of(ballot.round - 1, 8), "vote");
    tell(4, (struct message){.kind = MESSAGE_PROMISE,
                             .flags = MESSAGE_LAST,
                             .ballot = ballot,
                             .from = 1,
                             .to = 6,
                             .floor = 1,
                             .entries = {&vote, 1}});
    promise(5, ballot, 1);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    read(7);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->message.to, 6);
}

static void what_arrives_during_a_round_is_in_the_next(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    read(7);
    read(8);
    assert_null(sent(&r, MESSAGE_READ_ROUND));
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    assert_int_equal(count_sent(&r, MESSAGE_QUERY), 1);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.from, 2);
    confirm(6, ballot, 1); /* late */
    confirm(4, ballot, 2);
    assert_null(sent(&r, MESSAGE_QUERY));
    confirm(6, ballot, 2);
    assert_int_equal(count_sent(&r, MESSAGE_QUERY), 1);
}

/* Two of three are a quorum. */
static void those_that_answer_first_are_asked_first(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    read(7);
    confirm(4, ballot, 1);
    confirm(6, ballot, 1);
    confirm(5, ballot, 1); /* late */
    read(8);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x50);
    confirm(4, ballot, 2);
    pass(4999, 0x1f0);
    assert_null(sent(&r, MESSAGE_READ_ROUND));
    pass(1, 0x1f0); /* node 6 is late */
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x60);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.from, 2);
    pass(config.retry_interval - 1, 0x1f0);
    assert_null(sent(&r, MESSAGE_READ_ROUND));
    confirm(5, ballot, 2);
    read(9);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x30);
}

/* P18. */
static void what_is_not_answered_is_sent_again(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    read(7);
    confirm(4, ballot, 1);
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x60);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.from, 1);
    confirm(5, ballot, 1);
    const node_set first = sent(&r, MESSAGE_QUERY)->to;
    pass(config.retry_interval - 1, 0x1f0);
    assert_null(sent(&r, MESSAGE_QUERY));
    pass(1, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->to & first, 0); /* another one */
}

/* A learner says that it is far beyond all others, and does not answer: the others are asked, too. */
static void a_learner_that_boasts_is_not_the_only_one_asked(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    const uint32_t boaster = node_set_first(config.learners);
    tell(boaster, (struct message){.kind = MESSAGE_PROGRESS, .to = SLOT_MAX - 1, .floor = 1});
    read(7);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    node_set asked = sent(&r, MESSAGE_QUERY)->to;
    for (uint32_t i = 0; i < 2 * node_set_count(config.learners); i++) {
        pass(config.retry_interval, 0x1f0);
        asked |= sent(&r, MESSAGE_QUERY)->to;
    }
    assert_true((asked & config.learners) == config.learners);
}

static void who_leads_no_more_asks_who_leads(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    read(7);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    read(8);
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(ballot.round + 1, 8)});
    assert_null(reply());
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(8));
    confirm(4, ballot, 2);
    confirm(5, ballot, 2);
    assert_null(sent(&r, MESSAGE_QUERY));
    answer_query(1, 1); /* it was confirmed before */
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED});
    assert_int_equal(reply()->token, 8); /* no node can confirm it now */
    assert_int_equal(reply()->outcome, OUTCOME_MOVED);
    assert_int_equal(reply()->leader, 0);
}

static void a_read_that_takes_too_long_was_not_executed(void **state)
{
    (void)state;
    lead();
    read(7);
    pass_awake(config.request_timeout, 0x1f0);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_BUSY);
}

static void reads_have_a_credit_of_their_own(void **state)
{
    (void)state;
    lead();
    const struct credit credit = r.credit;
    read(7);
    submit(8);
    assert_int_equal(r.credit.commands, credit.commands - 1);
    assert_int_equal(r.credit.reads, credit.reads - 1);
}

/* P11: when this leader has proposed the last slot that its configuration is known to govern, another one may lead from
 * there on. */
static void no_round_begins_at_the_boundary(void **state)
{
    (void)state;
    const struct configuration next = {.slot = 2,
                                       .governs = 10,
                                       .proposers = config.proposers,
                                       .acceptors = 0x60,
                                       .learners = config.learners,
                                       .phase1_quorum = 2,
                                       .phase2_quorum = 2,
                                       .alpha = config.alpha};
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration.configuration = next};
    const struct ballot ballot = lead();
    step(&e, 1);
    read(6); /* before it, the configuration counts under which this node leads */
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x70);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.to, 0);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    assert_non_null(sent(&r, MESSAGE_QUERY));
    progress(9, 9);
    votes(ballot, 1, 10);
    submit(1);
    assert_int_equal(proposed, 9);
    read(7);
    assert_null(sent(&r, MESSAGE_READ_ROUND));
    assert_null(reply());
    progress(10, 10); /* the slots before are held: it prepares anew */
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    const struct ballot higher = proposer_agent_status(agent).ballot;
    promise(5, higher, 10);
    promise(6, higher, 10);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x60);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.to, 2);
    confirm(4, higher, 2);
    confirm(5, higher, 2);
    assert_null(sent(&r, MESSAGE_QUERY)); /* node 4 is no acceptor now */
    confirm(6, higher, 2);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->message.to, 10);
}

/* ---- Nodes that follow ---- */

static void tell_life(uint32_t incarnation, uint32_t leader, uint64_t round, uint64_t index)
{
    tell(leader, (struct message){.kind = MESSAGE_READ_INDEX,
                                  .flags = MESSAGE_YES,
                                  .ballot = ballot_of(3, leader),
                                  .from = round,
                                  .to = index,
                                  .batch = {.origin = config.node, .incarnation = incarnation}});
}

static void tell_index(uint32_t leader, uint64_t round, uint64_t index) { tell_life(1, leader, round, index); }

static void the_leader_confirms_the_reads_of_a_follower(void **state)
{
    (void)state;
    read(6);
    assert_int_equal(reply()->outcome, OUTCOME_MOVED); /* it knows of no leader */
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(3, 9)});
    assert_true(r.credit.reads > 0);
    read(7);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(9));
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.flags, 0);
    const uint64_t round = sent(&r, MESSAGE_READ_INDEX)->message.from;
    read(8);
    assert_null(sent(&r, MESSAGE_READ_INDEX));
    tell_index(7, round, 4); /* no leader */
    tell_index(9, round - 1, 4);
    tell_index(9, round, 0);
    tell_life(0, 9, round, 4); /* late: to an earlier life, whose round had the same number */
    assert_null(sent(&r, MESSAGE_QUERY));
    tell_index(9, round, 17);
    assert_int_equal(count_sent(&r, MESSAGE_QUERY), 1);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->message.to, 17);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.from, round + 1);
    answer_query(sent(&r, MESSAGE_QUERY)->message.batch.number, 17);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.from, round + 1); /* asked again */
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(4, 7)});
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(7)); /* the next leader */
    tell_index(9, round + 2, 18);
    assert_null(sent(&r, MESSAGE_QUERY));
    tell_index(7, round + 2, 18);
    assert_int_equal(sent(&r, MESSAGE_QUERY)->message.to, 18);
}

static void ask_index(uint32_t follower, uint64_t round)
{
    tell(follower, (struct message){.kind = MESSAGE_READ_INDEX, .from = round});
}

/* One round serves all that wait; what comes while it is open is for the next one. */
static void a_leader_confirms_what_followers_ask(void **state)
{
    (void)state;
    ask_index(8, 1);
    assert_null(sent(&r, MESSAGE_READ_ROUND)); /* it does not lead */
    const struct ballot ballot = lead();
    assert_null(sent(&r, MESSAGE_READ_ROUND));
    submit(1);
    ask_index(8, 5);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.from, 1);
    ask_index(8, 5); /* once more */
    ask_index(7, 9);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    const struct outgoing *index = sent(&r, MESSAGE_READ_INDEX);
    assert_int_equal(index->to, node_set_of(8));
    assert_int_equal(index->message.flags, MESSAGE_YES);
    assert_int_equal(index->message.from, 5);
    assert_int_equal(index->message.to, 2);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->message.from, 2);
    confirm(4, ballot, 2);
    confirm(5, ballot, 2);
    assert_int_equal(count_sent(&r, MESSAGE_READ_INDEX), 1);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(7));
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.from, 9);
    assert_null(sent(&r, MESSAGE_READ_ROUND));
}

/* Nothing of its own waits: the round of a follower is sent again in time all the same. */
static void a_round_for_followers_has_a_time_of_its_own(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    ask_index(8, 5);
    confirm(4, ballot, 1);
    confirm(5, ballot, 1);
    assert_true(r.wake_at > now + 5000);
    ask_index(8, 6);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x30);
    assert_int_equal(r.wake_at, now + 5000);
    pass(5000, 0x1f0);
    assert_int_equal(sent(&r, MESSAGE_READ_ROUND)->to, 0x70);
    confirm(4, ballot, 2);
    confirm(6, ballot, 2);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.from, 6);
}

/* The learner beside a proposer answers reads that may be stale. It has to know when its state was current (P27). */
static void the_learner_beside_it_hears_of_rounds(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    batch_begin(&b);
    batch_add(&b, &arg, 1);
    struct event e = {.tag = EVENT_READS, .val.reads = {.token = 7, .value = batch_end(&b)}};
    batch_stale_stamp(&e.val.reads.value, 1000);
    config.learners |= node_set_of(config.node);
    proposer_agent_free(agent);
    start();
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(3, 9)});
    step(&e, 1);
    const uint64_t begun_at = now, round = sent(&r, MESSAGE_READ_INDEX)->message.from;
    assert_null(reply());
    now += 5000;
    tell_index(9, round, 17);
    const struct outgoing *told = sent(&r, MESSAGE_QUERY);
    assert_int_equal(told->to, node_set_of(config.node));
    assert_int_equal(told->message.entries.len, 0);
    assert_int_equal(told->message.from, begun_at);
    assert_int_equal(told->message.to, 17);
    now += 499999 - 5000;
    step(&e, 1); /* half of the age has not passed */
    assert_null(sent(&r, MESSAGE_READ_INDEX));
    now += 2;
    step(&e, 1);
    assert_non_null(sent(&r, MESSAGE_READ_INDEX));
    batch_builder_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_read_is_confirmed_then_asked_then_answered),
        TEST(the_index_is_after_all_that_is_proposed),
        TEST(the_index_is_after_all_that_was_recovered),
        TEST(what_arrives_during_a_round_is_in_the_next),
        TEST(those_that_answer_first_are_asked_first),
        TEST(what_is_not_answered_is_sent_again),
        TEST(a_learner_that_boasts_is_not_the_only_one_asked),
        TEST(who_leads_no_more_asks_who_leads),
        TEST(a_read_that_takes_too_long_was_not_executed),
        TEST(reads_have_a_credit_of_their_own),
        TEST(no_round_begins_at_the_boundary),
        TEST_OF_8(the_leader_confirms_the_reads_of_a_follower),
        TEST(a_leader_confirms_what_followers_ask),
        TEST(a_round_for_followers_has_a_time_of_its_own),
        TEST_OF_8(the_learner_beside_it_hears_of_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
