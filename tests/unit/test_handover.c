/* core/agents/handover.c and the other side of it in election.c, as one agent sees them: a leader that is asked to let
 * another node lead, its successor, and a node that forwards. Node 9, or 8, of nine; 7, 8 and 9 are proposers. */
#include "tests/unit/proposer_agent_fixture.h"

static const struct message nothing = {.kind = MESSAGE_KINDS};

static void ask(uint64_t token, const char *node)
{
    struct batch_builder b = {0};
    struct bytes args[] = {
        {(uint8_t *)(uintptr_t)"LEADER", 6}, {(uint8_t *)(uintptr_t)"MOVE", 4}, {(uint8_t *)(uintptr_t)node, strlen(node)}};
    batch_begin(&b);
    batch_add(&b, args, 3);
    struct event e = {.tag = EVENT_REQUEST, .val.request = {.token = token, .value = batch_end(&b)}};
    step(&e, 1);
    batch_builder_free(&b);
}

/* What the operator with this token is told in this step; NULL: nothing. Errors begin with "ERR ". */
static const char *told(uint64_t token)
{
    static char text[256];
    const struct effect *e;
    for (size_t i = 0; (e = effect_of(&r, EFFECT_REPLY, i)) != NULL; i++) {
        struct reply_item item;
        size_t offset = 0;
        if (e->val.reply.token != token || e->val.reply.outcome != OUTCOME_EXECUTED)
            continue;
        assert_true(replies_next(&e->val.reply.replies, &offset, &item));
        assert_true(item.bytes.len < sizeof text);
        assert_int_equal(item.tag, memcmp(item.bytes.ptr, "ERR ", 4) == 0 ? REPLY_ERROR : REPLY_STATUS);
        memcpy(text, item.bytes.ptr, item.bytes.len);
        text[item.bytes.len] = '\0';
        return text;
    }
    return NULL;
}

static struct message handover(void)
{
    const struct outgoing *out = sent(&r, MESSAGE_HANDOVER);
    return out != NULL ? out->message : nothing;
}

static void stops(uint32_t node, struct ballot ballot, uint8_t more)
{
    tell(node, (struct message){.kind = MESSAGE_HANDOVER, .flags = MESSAGE_YES | more, .ballot = ballot, .to = config.node});
}

/* Leads, and has told node 8 to take over. */
static struct ballot hand_over(void)
{
    const struct ballot ballot = lead();
    ask(77, "8");
    stops(7, ballot, 0);
    stops(8, ballot, 0);
    assert_int_equal(handover().to, 8);
    assert_int_equal(handover().from, 1);
    return ballot;
}

static void a_leader_hands_over_when_all_is_chosen(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    submit(1);
    submit(2);
    ask(77, "8");
    assert_int_equal(sent(&r, MESSAGE_HANDOVER)->to, 0x180);
    assert_int_equal(handover().from, 0);
    assert_int_equal(r.credit.commands, 0);
    stops(7, ballot, 0);
    stops(8, ballot, 0);
    assert_int_equal(handover().kind, nothing.kind); /* two slots are not chosen */
    votes(ballot, 1, 3);
    assert_int_equal(handover().to, 8);
    assert_int_equal(handover().from, 3);
    assert_null(told(77));
    /* an acceptor promises the successor's ballot: no reason to resign */
    tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(9, 8)});
    assert_int_equal(state_now(), PROPOSER_LEADING);
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(9, 8)});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_string_equal(told(77), "node 8 leads");
    pass(config.heartbeat_interval * 2, 0x180);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, 0); /* it stands for election as before */
}

static void it_proposes_nothing_afterwards(void **state)
{
    (void)state;
    (void)hand_over();
    submit(1);
    assert_null(sent(&r, MESSAGE_ACCEPT));
    assert_null(reply());
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(9, 8)});
    bool moved = false;
    for (size_t i = 0; effect_of(&r, EFFECT_REPLY, i) != NULL; i++)
        moved = moved || (effect_of(&r, EFFECT_REPLY, i)->val.reply.token == 1 &&
                          effect_of(&r, EFFECT_REPLY, i)->val.reply.outcome == OUTCOME_MOVED);
    assert_true(moved);
}

static void it_goes_on_when_the_successor_does_not(void **state)
{
    (void)state;
    (void)hand_over();
    submit(1);
    pass(config.suspect_timeout, 0x1f0);
    assert_string_equal(told(77), "ERR node 8 did not take over in time; nothing has changed");
    assert_int_equal(handover().to, 9); /* the others are told */
    assert_int_equal(state_now(), PROPOSER_LEADING);
    step(NULL, 0);
    assert_int_equal(proposed, 1);
    assert_true(r.credit.commands > 0);
}

static void it_resigns_when_the_successor_was_promised_and_does_not_lead(void **state)
{
    (void)state;
    (void)hand_over();
    tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(9, 8)});
    pass(config.suspect_timeout, 0x1f0);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_memory_equal(told(77), "ERR leadership was lost", 23);
}

static void it_waits_for_all_only_so_long(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    ask(77, "8");
    stops(8, ballot, 0);
    assert_int_equal(handover().from, 0); /* node 7 may still forward */
    pass(config.retry_interval, 0x1f0);
    assert_int_equal(handover().from, 1);
}

static void it_gives_up_when_its_requests_do_not_end(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    submit(1);
    ask(77, "8");
    stops(7, ballot, 0);
    stops(8, ballot, 0);
    pass(config.suspect_timeout, 0x1f0);
    assert_memory_equal(told(77), "ERR requests under way", 22);
    assert_int_equal(handover().to, 9);
    assert_true(r.credit.commands > 0);
}

static void a_successor_that_cannot_lead_declines(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    ask(77, "8");
    stops(8, ballot, MESSAGE_RESIGNED);
    assert_memory_equal(told(77), "ERR node 8 cannot lead now", 26);
    assert_int_equal(handover().to, 9);
}

static void what_cannot_be_is_refused_at_once(void **state)
{
    (void)state;
    ask(1, "8");
    assert_int_equal(reply()->outcome, OUTCOME_MOVED); /* it does not lead */
    ask(2, "x");
    assert_memory_equal(told(2), "ERR ", 4);
    const struct ballot ballot = lead();
    ask(3, "9");
    assert_string_equal(told(3), "node 9 leads already");
    ask(4, "1");
    assert_string_equal(told(4), "ERR node 1 is no proposer of this cluster");
    pass(100000, 0x130); /* 4, 5 and 8 are heard, 7 is not */
    for (int i = 0; i < 5; i++)
        pass(100000, 0x130);
    ask(5, "7");
    assert_string_equal(told(5), "ERR node 7 does not answer");
    ask(6, "8");
    assert_null(told(6));
    ask(7, "8");
    assert_string_equal(told(7), "ERR leadership is being moved to node 8");
    stops(8, ballot, 0);
    assert_int_equal(handover().from, 1);
}

static void under_the_rule_highest_only_the_highest_leads(void **state)
{
    (void)state;
    config.leader_rule = LEADER_HIGHEST;
    proposer_agent_free(agent);
    start();
    (void)lead();
    ask(1, "8");
    assert_string_equal(told(1), "ERR the rule of this cluster (leader_rule) would take leadership back from node 8");
}

/* --- as node 8, which forwards, while node 9 leads --- */

static const struct ballot of_9 = {5, 9, 1};

static void follow_9(void)
{
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = of_9});
    assert_true(r.credit.commands > 0);
}

static void nine_hands_over(uint64_t from, uint64_t to)
{
    tell(9, (struct message){.kind = MESSAGE_HANDOVER, .ballot = of_9, .from = from, .to = to});
}

static void a_follower_forwards_nothing_more_and_keeps_its_leader(void **state)
{
    (void)state;
    follow_9();
    nine_hands_over(0, 7);
    assert_int_equal(r.credit.commands, 0);
    assert_int_equal(handover().flags, MESSAGE_YES);
    assert_int_equal(sent(&r, MESSAGE_HANDOVER)->to, node_set_of(9));
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT}); /* it follows node 7 already */
    assert_int_equal(proposer_agent_status(agent).leader, 9);
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(6, 7)});
    assert_int_equal(proposer_agent_status(agent).leader, 7);
    assert_true(r.credit.commands > 0);
}

static void it_forwards_again_when_the_leader_goes_on_or_is_silent(void **state)
{
    (void)state;
    follow_9();
    nine_hands_over(0, 7);
    nine_hands_over(0, 9);
    assert_true(r.credit.commands > 0);
    nine_hands_over(0, 7);
    assert_int_equal(r.credit.commands, 0);
    assert_true(r.wake_at <= now + config.suspect_timeout);
    pass(config.suspect_timeout / 2, 0);
    assert_int_equal(r.credit.commands, 0);
    pass(config.suspect_timeout / 2, 0);
    follow_9();
}

static void the_successor_prepares_without_asking(void **state)
{
    (void)state;
    follow_9();
    nine_hands_over(0, 8);
    assert_null(sent(&r, MESSAGE_PREPARE));
    nine_hands_over(3, 8);
    assert_null(sent(&r, MESSAGE_ASK));
    assert_non_null(sent(&r, MESSAGE_PREPARE));
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    assert_int_equal(proposer_agent_status(agent).leader, 9); /* clients wait there meanwhile */
    assert_null(effect_of(&r, EFFECT_LEADER, 0));
    const struct ballot ballot = proposer_agent_status(agent).ballot;
    promise(4, ballot, 1);
    promise(5, ballot, 1);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    assert_true(r.credit.commands > 0);
}

static void who_is_not_named_or_not_told_by_the_leader_does_not(void **state)
{
    (void)state;
    follow_9();
    nine_hands_over(3, 7);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    tell(7, (struct message){.kind = MESSAGE_HANDOVER, .ballot = ballot_of(9, 7), .from = 3, .to = 8});
    tell(9, (struct message){.kind = MESSAGE_HANDOVER, .ballot = {4, 9, 1}, .from = 3, .to = 8});
    tell(9, (struct message){.kind = MESSAGE_HANDOVER, .flags = MESSAGE_YES, .ballot = of_9, .from = 3, .to = 8});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    struct event stop = {.tag = EVENT_STOP};
    step(&stop, 1);
    nine_hands_over(3, 8);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(handover().flags, MESSAGE_YES | MESSAGE_RESIGNED);
}

/* A newcomer may be named before it knows that it is a proposer: others would leave out what it says as one. */
static void who_is_no_proposer_by_what_it_knows_says_nothing(void **state)
{
    (void)state;
    config.proposers &= ~node_set_of(config.node);
    tear_down(NULL);
    start();
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = of_9});
    nine_hands_over(3, 8);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_null(sent(&r, MESSAGE_HANDOVER));
}

/* Whatever the rule: one that is no proposer any more does not take leadership back. */
static void who_is_removed_lets_another_lead(void **state)
{
    (void)state;
    config.leader_rule = LEADER_HIGHEST;
    tear_down(NULL);
    start();
    lead();
    struct event e = {.tag = EVENT_CONFIGURATION};
    e.val.configuration.configuration = (struct configuration){.slot = 2,
                                                               .governs = 10,
                                                               .proposers = 0x180 & ~node_set_of(config.node),
                                                               .acceptors = config.acceptors,
                                                               .learners = config.learners,
                                                               .phase1_quorum = 2,
                                                               .phase2_quorum = 2,
                                                               .alpha = config.alpha};
    step(&e, 1);
    pass(config.heartbeat_interval, 0x1f0);
    assert_int_equal(handover().to, 8);
}

/* Node 8 is no proposer by a configuration that is chosen in slot 2. */
static void eight_is_removed(void)
{
    struct event e = {.tag = EVENT_CONFIGURATION};
    e.val.configuration.configuration = (struct configuration){.slot = 2,
                                                               .governs = 10,
                                                               .proposers = 0x280,
                                                               .acceptors = config.acceptors,
                                                               .learners = config.learners,
                                                               .phase1_quorum = 2,
                                                               .phase2_quorum = 2,
                                                               .alpha = config.alpha};
    step(&e, 1);
}

/* A change that is chosen meanwhile may remove the one that is to lead. */
static void who_is_removed_meanwhile_does_not_come_to_lead(void **state)
{
    (void)state;
    const struct ballot ballot = lead();
    submit(1);
    ask(77, "8");
    stops(7, ballot, 0);
    eight_is_removed();
    assert_int_equal(handover().to, 9);
    assert_string_equal(told(77), "ERR node 8 is no proposer any more; nothing has changed");
    stops(8, ballot, 0);
    votes(ballot, 1, 2);
    assert_int_equal(handover().kind, nothing.kind);
}

/* It was told to take over before: that is not said again. */
static void who_is_removed_is_not_told_again_to_lead(void **state)
{
    (void)state;
    (void)hand_over();
    eight_is_removed();
    pass(config.retry_interval, 0x80);
    assert_int_equal(handover().kind, MESSAGE_HANDOVER);
    assert_int_equal(handover().from, 0);
    pass(config.suspect_timeout, 0x80);
    assert_int_equal(handover().to, 9);
    assert_string_equal(told(77), "ERR node 8 is no proposer any more; nothing has changed");
}

/* It has found slots of an earlier leader, which may hold a change. */
static void what_it_has_found_is_known_before_it_hands_over(void **state)
{
    (void)state;
    be_elected();
    const struct ballot ballot = proposer_agent_status(agent).ballot;
    struct entry e = entry_at(1, ballot_of(1, 8), "found");
    tell(4, (struct message){.kind = MESSAGE_PROMISE,
                             .flags = MESSAGE_LAST,
                             .ballot = ballot,
                             .from = 1,
                             .to = 2,
                             .floor = 1,
                             .entries = {&e, 1}});
    promise(5, ballot, 1);
    ask(77, "8");
    stops(7, ballot, 0);
    stops(8, ballot, 0);
    votes(ballot, 1, 2);
    assert_int_equal(handover().kind, nothing.kind);
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    assert_int_equal(handover().kind, nothing.kind);
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    assert_int_equal(handover().to, 8);
    assert_int_equal(handover().from, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_hands_over_when_all_is_chosen),
        TEST(it_proposes_nothing_afterwards),
        TEST(it_goes_on_when_the_successor_does_not),
        TEST(it_resigns_when_the_successor_was_promised_and_does_not_lead),
        TEST(it_waits_for_all_only_so_long),
        TEST(it_gives_up_when_its_requests_do_not_end),
        TEST(a_successor_that_cannot_lead_declines),
        TEST(what_cannot_be_is_refused_at_once),
        TEST(under_the_rule_highest_only_the_highest_leads),
        TEST(who_is_removed_lets_another_lead),
        TEST(who_is_removed_meanwhile_does_not_come_to_lead),
        TEST(who_is_removed_is_not_told_again_to_lead),
        TEST(what_it_has_found_is_known_before_it_hands_over),
        TEST_OF_8(a_follower_forwards_nothing_more_and_keeps_its_leader),
        TEST_OF_8(it_forwards_again_when_the_leader_goes_on_or_is_silent),
        TEST_OF_8(the_successor_prepares_without_asking),
        TEST_OF_8(who_is_not_named_or_not_told_by_the_leader_does_not),
        TEST_OF_8(who_is_no_proposer_by_what_it_knows_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
