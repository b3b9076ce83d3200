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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_leader_confirms_and_this_learner_answers),
        TEST(what_a_leader_did_not_confirm_is_asked_of_the_next),
        TEST(what_is_not_confirmed_in_time_was_not_executed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
