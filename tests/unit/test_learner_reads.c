/* core/agents/learner_reads.c: reads of a learner's own clients, where no proposer is beside it (P9). */
#include "core/agents/learner_agent.h"
#include "core/formats/batch.h"
#include "tests/unit/protocol.h"

static struct node_config config;
static struct learner_agent *agent;
static struct step_result r;
static uint64_t lsn, now;

static void step(const struct event *events, size_t count)
{
    r = learner_agent_step(agent, now, lsn, events, count);
    lsn += count_effects(&r, EFFECT_APPEND);
    learner_agent_audit(agent);
}

static int set_up(void **state)
{
    (void)state;
    struct event events[] = {{.tag = EVENT_RECOVERED}, durable(0)};
    config = nine_nodes(1);
    now = 1000000;
    lsn = 1;
    agent = learner_agent_new(&config);
    step(events, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    learner_agent_free(agent);
    return 0;
}

static void tell(uint32_t sender, struct message m)
{
    struct event e = from(sender, m);
    step(&e, 1);
}

static void leads(uint32_t node)
{
    tell(node, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(node, node)});
}

/* Slot 1 is chosen: an empty value. */
static void choose(uint32_t leader)
{
    struct entry e = {.slot = 1, .ballot = ballot_of(leader, leader), .kind = ENTRY_NOOP};
    tell(leader, (struct message){.kind = MESSAGE_ACCEPT, .ballot = e.ballot, .from = 1, .chosen = 1, .entries = {&e, 1}});
    tell(leader, (struct message){.kind = MESSAGE_CHOSEN, .ballot = e.ballot, .from = 1, .chosen = 2});
}

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

static void confirm(uint32_t leader, uint32_t incarnation, uint64_t round, uint64_t index)
{
    tell(leader, (struct message){.kind = MESSAGE_READ_INDEX,
                                  .flags = MESSAGE_YES,
                                  .from = round,
                                  .to = index,
                                  .batch = {config.node, incarnation, 0}});
}

static const struct client_reply *reply(void)
{
    const struct effect *e = effect_of(&r, EFFECT_REPLY, 0);
    return e != NULL ? &e->val.reply : NULL;
}

static void the_leader_confirms_and_this_learner_answers(void **state)
{
    (void)state;
    leads(9);
    read(7);
    const struct outgoing *ask = sent(&r, MESSAGE_READ_INDEX);
    assert_int_equal(ask->to, node_set_of(9));
    const uint64_t round = ask->message.from;
    assert_null(reply());
    confirm(8, 1, round, 2); /* who does not lead */
    confirm(9, 0, round, 1); /* to an earlier life */
    assert_null(reply());
    confirm(9, 1, round, 2);
    assert_null(reply()); /* it has not executed slot 1 */
    choose(9);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
    assert_int_equal(replies_count(&reply()->replies), 1);
    assert_int_equal(reply()->leader, 9);
    assert_null(sent(&r, MESSAGE_QUERY_ANSWER));
}

static void what_a_leader_did_not_confirm_is_asked_of_the_next(void **state)
{
    (void)state;
    read(6);
    assert_int_equal(reply()->outcome, OUTCOME_MOVED); /* it knows of none */
    leads(8);
    read(7);
    const uint64_t round = sent(&r, MESSAGE_READ_INDEX)->message.from;
    now += config.retry_interval;
    step(NULL, 0);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->message.from, round); /* once more */
    leads(9);
    assert_int_equal(sent(&r, MESSAGE_READ_INDEX)->to, node_set_of(9));
    const uint64_t next = sent(&r, MESSAGE_READ_INDEX)->message.from;
    confirm(8, 1, round, 1);
    assert_null(reply());
    confirm(9, 1, next, 1);
    assert_int_equal(reply()->token, 7);
}

static void what_is_not_confirmed_in_time_was_not_executed(void **state)
{
    (void)state;
    leads(9);
    read(7);
    assert_int_equal(r.credit.reads, config.batches_in_flight - 1);
    assert_int_equal(r.credit.commands, 0);
    now += config.request_timeout;
    step(NULL, 0);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_BUSY);
    assert_int_equal(r.credit.reads, config.batches_in_flight);
}

/* ---- Reads that may be stale (P27) ---- */

static void read_stale(uint64_t token, uint32_t age_ms)
{
    struct batch_builder b = {0};
    struct bytes arg = {(uint8_t *)(uintptr_t)"DBSIZE", 6};
    batch_begin(&b);
    batch_add(&b, &arg, 1);
    struct event e = {.tag = EVENT_READS, .val.reads = {.token = token, .value = batch_end(&b)}};
    batch_stale_stamp(&e.val.reads.value, age_ms);
    step(&e, 1);
    batch_builder_free(&b);
}

static void go_on(uint64_t us)
{
    now += us;
    step(NULL, 0);
}

static void is_answered(uint64_t token)
{
    assert_non_null(reply());
    assert_int_equal(reply()->token, token);
    assert_int_equal(reply()->outcome, OUTCOME_EXECUTED);
}

/* The state was current when the round began, not when it was confirmed. */
static void a_state_that_is_young_enough_answers(void **state)
{
    (void)state;
    leads(9);
    read_stale(7, 200);
    const uint64_t round = sent(&r, MESSAGE_READ_INDEX)->message.from;
    assert_null(reply());
    now += 50000;
    confirm(9, 1, round, 1);
    is_answered(7);
    now += 100000;
    read_stale(8, 200); /* 150 ms old: it is answered, and the next round begins ahead of need */
    assert_null(reply());
    const uint64_t next = sent(&r, MESSAGE_READ_INDEX)->message.from;
    go_on(1);
    is_answered(8);
    now += 49999;
    read_stale(9, 200);
    go_on(1); /* 200 ms and a microsecond */
    assert_null(reply());
    confirm(9, 1, next, 1);
    is_answered(9);
    assert_int_equal(learner_agent_status(agent).state_age_ms, 50);
}

/* Not even when more was executed than the state had to have. */
static void it_counts_when_all_is_executed(void **state)
{
    (void)state;
    leads(9);
    read_stale(7, 1000);
    confirm(9, 1, sent(&r, MESSAGE_READ_INDEX)->message.from, 2);
    go_on(1);
    assert_null(reply());
    assert_int_equal(learner_agent_status(agent).state_age_ms, UINT64_MAX);
    assert_int_equal(learner_agent_status(agent).slots_behind, 1);
    choose(9);
    is_answered(7);
    assert_int_equal(learner_agent_status(agent).slots_behind, 0);
}

/* The slots below the index of a leader that is lost may never be executed; later rounds need less. */
static void a_round_that_needs_less_takes_the_place_of_earlier_ones(void **state)
{
    (void)state;
    leads(9);
    read_stale(7, 1000);
    confirm(9, 1, sent(&r, MESSAGE_READ_INDEX)->message.from, 5);
    go_on(config.retry_interval);
    assert_int_equal(reply()->outcome, OUTCOME_BUSY);
    leads(8);
    now += 500000;
    read_stale(8, 1000);
    const uint64_t round = sent(&r, MESSAGE_READ_INDEX)->message.from;
    now += 1;
    confirm(8, 1, round, 1);
    is_answered(8);
    assert_int_equal(learner_agent_status(agent).slots_behind, 0);
}

/* A node may have stood still since its clock was read: a command that has come in this step may be much younger. */
static void when_a_read_came_is_known_in_the_next_step(void **state)
{
    (void)state;
    leads(9);
    read_stale(7, 100);
    confirm(9, 1, sent(&r, MESSAGE_READ_INDEX)->message.from, 1);
    go_on(1);
    is_answered(7);
    now += 60000;
    read_stale(8, 100);
    assert_true(r.wake_at <= now);
    go_on(50000);
    assert_null(reply());
}

static void a_node_that_is_cut_off_refuses_soon(void **state)
{
    (void)state;
    read_stale(7, 1000); /* it knows of no leader, and of no time */
    go_on(1);
    assert_true(r.wake_at <= now - 1 + config.retry_interval);
    go_on(config.retry_interval - 1);
    assert_int_equal(reply()->token, 7);
    assert_int_equal(reply()->outcome, OUTCOME_BUSY);
}

/* Where a proposer is beside it, that one has rounds, and says so. */
static void a_proposer_tells_the_learner_beside_it(void **state)
{
    (void)state;
    learner_agent_free(agent);
    struct event events[] = {{.tag = EVENT_RECOVERED}, durable(0)};
    config = three_nodes(1);
    agent = learner_agent_new(&config);
    step(events, 2);
    leads(2);
    read_stale(7, 100);
    assert_null(sent(&r, MESSAGE_READ_INDEX));
    tell(2,
         (struct message){.kind = MESSAGE_QUERY, .from = now, .to = 1, .batch = {2, 1, 0}}); /* it knows nothing of this */
    go_on(1);
    assert_null(reply());
    tell(1, (struct message){.kind = MESSAGE_QUERY, .from = now, .to = 1, .batch = {1, 1, 0}});
    is_answered(7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_leader_confirms_and_this_learner_answers),
        TEST(what_a_leader_did_not_confirm_is_asked_of_the_next),
        TEST(what_is_not_confirmed_in_time_was_not_executed),
        TEST(a_state_that_is_young_enough_answers),
        TEST(it_counts_when_all_is_executed),
        TEST(a_round_that_needs_less_takes_the_place_of_earlier_ones),
        TEST(when_a_read_came_is_known_in_the_next_step),
        TEST(a_node_that_is_cut_off_refuses_soon),
        TEST(a_proposer_tells_the_learner_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
