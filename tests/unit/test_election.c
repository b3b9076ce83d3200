/* core/agents/election.c: how a node comes to lead and when it stops (P15), seen through its proposer agent. */
#include "tests/unit/proposer_agent_fixture.h"

/* --- the rule "sticky" --- */

static void a_quorum_must_have_lost_the_leader_first(void **state)
{
    (void)state;
    assert_int_equal(sent(&r, MESSAGE_ASK)->to, 0x70);
    answer_question(4, true);
    answer_question(5, false);
    assert_int_equal(state_now(), PROPOSER_ASKING);
    assert_int_equal(count_sent(&r, MESSAGE_PREPARE), 0);
    tell(6, (struct message){.kind = MESSAGE_LOST, .flags = MESSAGE_YES, .from = 77}); /* another question */
    assert_int_equal(state_now(), PROPOSER_ASKING);
    answer_question(6, true);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    assert_int_equal(count_sent(&r, MESSAGE_PREPARE), 3);
}

/* Answers to a node's earlier life may still be on their way to it. */
static void answers_to_an_earlier_life_count_for_nothing(void **state)
{
    (void)state;
    const uint64_t before = question;
    tear_down(NULL);
    config.incarnation++;
    start();
    assert_true(question != before);
    for (uint32_t acceptor = 4; acceptor <= 6; acceptor++)
        tell(acceptor, (struct message){.kind = MESSAGE_LOST, .flags = MESSAGE_YES, .from = before});
    assert_int_equal(state_now(), PROPOSER_ASKING);
    answer_question(4, true);
    answer_question(5, true);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* One acceptor is enough for phase 1 here, and three for phase 2. Who hears two of them cannot have anything chosen. */
static void who_hears_too_few_for_phase_2_does_not_prepare(void **state)
{
    (void)state;
    tear_down(NULL);
    config.phase1_quorum = 1;
    config.phase2_quorum = 3;
    start();
    answer_question(4, true);
    answer_question(5, true);
    assert_int_equal(state_now(), PROPOSER_ASKING);
    pass(config.prepare_timeout, 0x180);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED); /* the others need not wait for it */
    answer_question(4, true);
    answer_question(5, false);
    answer_question(6, false); /* now it is fit; and one that has lost the leader is enough */
    assert_int_equal(state_now(), PROPOSER_ASKING);
    pass(config.prepare_timeout, 0x180);
    answer_question(4, true);
    answer_question(5, false);
    assert_int_equal(state_now(), PROPOSER_ASKING);
    answer_question(6, false);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* The acceptors notice the loss of a leader one after the other. */
static void who_was_answered_no_asks_again_soon(void **state)
{
    (void)state;
    uint64_t first = question, soon = config.prepare_timeout / 16;
    answer_question(4, false);
    assert_int_equal(r.wake_at, now + config.prepare_timeout); /* the others may say yes */
    answer_question(5, true);
    assert_int_equal(r.wake_at, now + soon);
    now += soon;
    step(NULL, 0);
    assert_int_equal(question, first + 1);
    answer_question(4, true);
    answer_question(5, true);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* Each of the two others may waste as much time as this one did; a refusal that comes at once counts for a little. */
static void who_is_refused_gives_the_others_their_turns(void **state)
{
    (void)state;
    uint64_t wasted[] = {0, 100, 40000};
    for (uint64_t i = 0; i < 3; i++) {
        answer_question(4, true);
        answer_question(5, true);
        assert_int_equal(state_now(), PROPOSER_PREPARING);
        now += wasted[i];
        tell(6, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(10 * (i + 1), 8), .from = 1});
        assert_int_equal(state_now(), PROPOSER_FOLLOWING);
        assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
        uint64_t least = config.prepare_timeout / 16, back = (wasted[i] > least ? wasted[i] : least);
        back = back * 2 + back * 2 / 3; /* two others; two proposers have lower numbers */
        assert_int_equal(r.wake_at, now + back / 2);
        pass(back - 1, 0x80);
        assert_null(sent(&r, MESSAGE_ASK));
        pass(1, 0x80);
        answer_question(4, true); /* now it is fit, and the next question elects it */
        answer_question(5, true);
        assert_int_equal(state_now(), PROPOSER_ASKING);
        assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, 0);
        pass(config.prepare_timeout / 16, 0x80);
    }
}

/* Who says that it is unfit needs no turn. */
static void who_is_alone_fit_does_not_stand_back_for_long(void **state)
{
    (void)state;
    for (uint32_t node = 7; node <= 8; node++)
        tell(node, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED});
    answer_question(4, true);
    answer_question(5, true);
    now += 30000;
    tell(6, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(10, 8), .from = 1});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    now += 40000;
    step(NULL, 0);
    assert_non_null(sent(&r, MESSAGE_ASK));
}

static void a_quorum_of_promises_elects(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    assert_int_equal(effect_of(&r, EFFECT_LEADER, 0)->val.leader.leader, 9);
    const struct outgoing *beat = sent(&r, MESSAGE_HEARTBEAT);
    assert_int_equal(beat->message.flags, MESSAGE_LEADING);
    assert_int_equal(ballot_compare(beat->message.ballot, ballot), 0);
    assert_int_equal(beat->to, 0x3fe);
}

/* P4: what only one learner has executed is prepared again, because that learner may be lost with the values. */
static void phase_1_begins_where_a_majority_holds_all(void **state)
{
    (void)state;
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 100, .floor = 90});
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 70, .floor = 60});
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 70, .floor = 50});
    answer_question(4, true);
    answer_question(5, true);
    assert_int_equal(sent(&r, MESSAGE_PREPARE)->message.from, 60);
}

static void what_was_recovered_is_proposed_again_though_executed_somewhere(void **state)
{
    (void)state;
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 3, .floor = 3});
    answer_question(4, true);
    answer_question(5, true);
    struct ballot ballot = proposer_agent_status(agent).ballot;
    struct entry vote = entry_at(1, ballot_of(1, 7), "only learner 1 has it");
    tell(4, (struct message){.kind = MESSAGE_PROMISE,
                             .flags = MESSAGE_LAST,
                             .ballot = ballot,
                             .from = 1,
                             .to = 2,
                             .floor = 1,
                             .entries = {&vote, 1}});
    promise(5, ballot, 1);
    const struct outgoing *accept = sent(&r, MESSAGE_ACCEPT);
    assert_non_null(accept);
    assert_int_equal(accept->message.entries.ptr[0].slot, 1);
    assert_true(payload_is(&accept->message.entries.ptr[0].value, "only learner 1 has it"));
    assert_true((accept->to & 0xe) == 0xe);
}

static void a_lost_prepare_is_sent_again(void **state)
{
    (void)state;
    answer_question(4, true);
    answer_question(5, true);
    promise(4, proposer_agent_status(agent).ballot, 1);
    pass(config.prepare_timeout, 0x180);
    assert_int_equal(count_sent(&r, MESSAGE_PREPARE), 2); /* to those who owe a promise */
    assert_int_equal(sent(&r, MESSAGE_PREPARE)->to, node_set_of(5));
}

static void who_hears_a_leader_follows(void **state)
{
    (void)state;
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 7)});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(effect_of(&r, EFFECT_LEADER, 0)->val.leader.leader, 7);
    pass_awake(config.suspect_timeout, 0x70);
    assert_int_equal(effect_of(&r, EFFECT_LEADER, 0)->val.leader.leader, 0);
    assert_int_equal(state_now(), PROPOSER_ASKING);
}

/* A step that is late by any time tells nothing about others, before or after the leader is heard again. */
static void who_was_late_itself_suspects_nobody(void **state)
{
    (void)state;
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 7)});
    const uint64_t sleeps = config.heartbeat_interval * 5 / 2;
    uint64_t waited = 0;
    for (; waited + sleeps < config.suspect_timeout; waited += sleeps) {
        pass(config.dead_timeout * 10, 0x70);
        assert_int_equal(proposer_agent_status(agent).leader, 7);
        assert_null(sent(&r, MESSAGE_ASK));
    }
    pass_awake(config.suspect_timeout - waited, 0x70);
    assert_int_equal(proposer_agent_status(agent).leader, 0); /* what it waited while it was awake counts in any case */
}

/* Nor does a leader give up for what it did not hear while it did not run. */
static void a_leader_that_was_late_goes_on(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(1);
    const uint64_t sent_at = now;
    now += config.dead_timeout * 10;
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT});
    assert_int_equal(state_now(), PROPOSER_LEADING);
    for (uint32_t acceptor = 4; acceptor <= 5; acceptor++) /* these lay in the socket */
        tell(acceptor, (struct message){.kind = MESSAGE_ALIVE, .ballot = ballot, .to = sent_at});
    assert_int_equal(state_now(), PROPOSER_LEADING);
    pass_awake(config.dead_timeout, 0);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
}

/* A proposer prepared a higher ballot and died; this node heard of it. One that leads at the lower ballot is a leader. */
static void a_leader_below_a_ballot_heard_of_is_taken_when_there_is_no_other(void **state)
{
    (void)state;
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .ballot = ballot_of(9, 8)});
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(5, 7)});
    assert_int_equal(proposer_agent_status(agent).leader, 7);
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(4, 8)});
    assert_int_equal(proposer_agent_status(agent).leader, 7);
}

static void a_higher_ballot_ends_leading(void **state)
{
    (void)state;
    lead();
    tell(6, (struct message){.kind = MESSAGE_NACK, .ballot = ballot_of(50, 8), .from = 1});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    assert_int_equal(effect_of(&r, EFFECT_LEADER, 0)->val.leader.leader, 0);
    assert_null(sent(&r, MESSAGE_ASK)); /* the other one has a while */
    pass(config.prepare_timeout * 2, 0x1f0);
    assert_non_null(sent(&r, MESSAGE_ASK));
}

static void a_leader_without_a_quorum_steps_down(void **state)
{
    (void)state;
    lead();
    pass_awake(900000, 0x70);
    pass_awake(900000, 0x10);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    pass_awake(200000, 0x10);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
}

/* What acceptors say to others, or said to an earlier heartbeat or at another ballot, does not keep a leader in place. */
static void nothing_overheard_keeps_a_leader(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    uint64_t began = now;
    for (int i = 0; i < 9; i++) {
        now += 100000;
        tell(4, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = ballot_of(ballot.round, 8), .from = 1, .to = 2});
        tell(4, (struct message){.kind = MESSAGE_PROGRESS, .to = 1, .floor = 1});
        tell(5, (struct message){.kind = MESSAGE_ALIVE, .ballot = ballot_of(ballot.round - 1, 9), .to = now});
        tell(5, (struct message){.kind = MESSAGE_ALIVE, .ballot = ballot, .to = began});
        tell(5, (struct message){.kind = MESSAGE_ALIVE, .ballot = ballot, .to = now + 1});
        tell(6, (struct message){.kind = MESSAGE_ALIVE, .ballot = ballot, .to = now});
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
    pass(100000, 0);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
}

static void votes_keep_a_leader(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    submit(1);
    for (int i = 0; i < 20; i++) {
        now += 100000;
        votes(ballot, 1, 2);
        progress(2, 2);
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
}

/* Its heartbeats are answered, but no learner makes progress: its proposals are lost, or no acceptor votes, or no learner
 * hears it. */
static void a_leader_without_results_steps_down(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    for (int i = 0; i < 100; i++) {
        pass(100000, 0x1f0); /* with nothing to do it needs none */
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
    submit(1);
    votes(ballot, 1, 2);
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2}); /* one learner is no majority */
    for (uint64_t time = 0; time + 100000 < config.request_timeout; time += 100000) {
        pass(100000, 0x1f0);
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
    pass(100000, 0x1f0);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    pass(2 * config.request_timeout - 1, 0x1f0); /* the two others may try as long as that */
    assert_null(sent(&r, MESSAGE_ASK));
}

static void results_keep_a_leader(void **state)
{
    (void)state;
    struct ballot ballot = lead();
    for (uint64_t slot = 1; slot < 10; slot++) {
        submit(slot);
        votes(ballot, slot, slot + 1);
        for (int i = 0; i < 10; i++)
            pass(config.request_timeout / 11, 0x1f0);
        progress(slot + 1, 1);
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
}

static void preparing_ends_when_it_does_not_get_on(void **state)
{
    (void)state;
    answer_question(4, true);
    answer_question(5, true);
    struct ballot ballot = proposer_agent_status(agent).ballot;
    pass_awake(900000, 0x180);
    promise(4, ballot, 1); /* it got on */
    pass_awake(900000, 0x180);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    pass_awake(100000, 0x180);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
}

/* --- the rule "highest" --- */

static int set_up_highest(void **state)
{
    (void)state;
    config = nine_nodes(9);
    config.leader_rule = LEADER_HIGHEST;
    now = 1000000;
    start();
    return 0;
}

static void beat_of_7(uint64_t round)
{
    tell(7, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(round, 7)});
}

static void the_highest_claims_to_lead(void **state)
{
    (void)state;
    beat_of_7(5);
    assert_int_equal(sent(&r, MESSAGE_ASK)->message.flags, MESSAGE_YES);
    beat_of_7(5);
    answer_question(4, true);
    assert_int_equal(proposer_agent_status(agent).leader, 7);
    answer_question(5, true);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    beat_of_7(5); /* it leads until acceptors refuse it */
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* A node that can ask but cannot win does not disturb the leader over and over. */
static void claims_that_come_to_nothing_are_repeated_ever_less_often(void **state)
{
    (void)state;
    uint64_t claims = 0;
    for (uint64_t second = 0; second < 3600; second++) {
        for (int i = 0; i < 10; i++) {
            now += 100000;
            if (state_now() != PROPOSER_PREPARING)
                beat_of_7(5);
            else
                step(NULL, 0);
            if (sent(&r, MESSAGE_ASK) == NULL)
                continue;
            answer_question(4, true);
            answer_question(5, true);
            claims += state_now() == PROPOSER_PREPARING;
        }
    }
    assert_in_range(claims, 3, 10);
}

/* It wins only when it may: of the leader's own accord nothing happens. */
static void a_leader_does_not_give_way_to_a_higher_one(void **state)
{
    (void)state;
    config = nine_nodes(8);
    config.leader_rule = LEADER_HIGHEST;
    proposer_agent_free(agent);
    start();
    pass(config.suspect_timeout, 0x70);
    (void)lead();
    for (int i = 0; i < 20; i++) {
        pass(100000, 0x3f0);
        assert_int_equal(state_now(), PROPOSER_LEADING);
    }
}

static void step_with_records_waiting(uint64_t time)
{
    now += time;
    struct message alive = {.kind = MESSAGE_ALIVE, .ballot = proposer_agent_status(agent).ballot, .to = now};
    struct event heard[] = {from(4, alive), from(5, alive)};
    r = proposer_agent_step(agent, now, 10, heard, 2); /* record 9 is written, and not yet durable */
}

static void a_node_with_a_stalled_disk_steps_down_and_stands_back(void **state)
{
    (void)state;
    lead();
    step_with_records_waiting(900000);
    assert_int_equal(state_now(), PROPOSER_LEADING);
    step_with_records_waiting(200000);
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    for (int i = 0; i < 20; i++) {
        step_with_records_waiting(250000);
        assert_null(sent(&r, MESSAGE_ASK));
        if (sent(&r, MESSAGE_HEARTBEAT) != NULL)
            assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    }
    struct event e = durable(9);
    now += 1;
    r = proposer_agent_step(agent, now, 10, &e, 1);
    assert_non_null(sent(&r, MESSAGE_ASK));
}

static void a_node_that_stops_hands_over(void **state)
{
    (void)state;
    lead();
    struct event stop = {.tag = EVENT_STOP};
    step(&stop, 1);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    assert_int_equal(r.credit.commands, 0);
    for (int i = 0; i < 20; i++) {
        pass(250000, 0x1f0);
        assert_null(sent(&r, MESSAGE_ASK));
        if (sent(&r, MESSAGE_HEARTBEAT) != NULL)
            assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, MESSAGE_RESIGNED);
    }
}

/* One that sends but hears nothing must not keep the others waiting for it, though it is the highest. */
static void who_hears_no_answers_says_that_it_cannot_lead(void **state)
{
    (void)state;
    bool said = false;
    for (int i = 0; i < 10; i++) {
        pass(config.prepare_timeout, 0);
        const struct outgoing *beat = sent(&r, MESSAGE_HEARTBEAT);
        said = said || (beat != NULL && beat->message.flags == MESSAGE_RESIGNED);
    }
    assert_true(said);
    assert_int_equal(state_now(), PROPOSER_ASKING); /* and it goes on trying */
    answer_question(4, false);
    answer_question(5, false);
    assert_int_equal(sent(&r, MESSAGE_HEARTBEAT)->message.flags, 0); /* at once */
    pass(config.suspect_timeout, 0);
    answer_question(4, true);
    answer_question(5, true);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
}

/* As node 8, below 9. */
static void who_cannot_lead_is_not_waited_for(void **state)
{
    (void)state;
    pass(1000, 0x380);
    assert_null(sent(&r, MESSAGE_ASK));
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_RESIGNED});
    assert_non_null(sent(&r, MESSAGE_ASK));
    tell(9, (struct message){.kind = MESSAGE_HEARTBEAT}); /* it can again */
    pass(config.prepare_timeout, 0x200);
    assert_null(sent(&r, MESSAGE_ASK));
}

/* --- absurd rounds and clocks --- */

/* Whatever any node says of rounds, the election that follows is at a round that acceptors can promise. */
static void rounds_do_not_jump(void **state)
{
    (void)state;
    const struct ballot absurd = ballot_of(SLOT_MAX - 1, 8);
    tell(8, (struct message){.kind = MESSAGE_HEARTBEAT, .ballot = absurd});
    for (int i = 0; i < 5; i++) {
        tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = absurd});
        tell(5, (struct message){.kind = MESSAGE_ALIVE, .ballot = absurd});
    }
    struct ballot ballot = lead();
    assert_true(ballot.round <= ROUND_JUMP_MAX);
    tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = absurd});
    assert_int_equal(state_now(), PROPOSER_FOLLOWING);
    for (int i = 0; i < 100 && state_now() != PROPOSER_ASKING; i++)
        pass(10000, node_set_of(4) | node_set_of(5));
    struct ballot next = lead();
    assert_true(next.round > ballot.round && next.round <= 2 * ROUND_JUMP_MAX);
}

/* False messages have raised the promises of all acceptors by many jumps. A few attempts come up to them, not one for each
 * jump. */
static void rounds_far_above_are_climbed(void **state)
{
    (void)state;
    const struct ballot promised = ballot_of(19 * ROUND_JUMP_MAX, 8);
    uint64_t round = 0, attempts = 0;
    while (round <= promised.round) {
        assert_true(++attempts <= 3);
        be_elected();
        assert_int_equal(state_now(), PROPOSER_PREPARING);
        while (state_now() == PROPOSER_PREPARING && (round = proposer_agent_status(agent).ballot.round) <= promised.round) {
            tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = promised});
            const uint64_t next = proposer_agent_status(agent).ballot.round;
            assert_true(state_now() != PROPOSER_PREPARING || (next > round && next - round <= ROUND_JUMP_MAX));
        }
        for (int i = 0; i < 1000 && state_now() == PROPOSER_FOLLOWING; i++)
            pass(10000, node_set_of(4) | node_set_of(5));
    }
    promise(4, proposer_agent_status(agent).ballot, 1);
    promise(5, proposer_agent_status(agent).ballot, 1);
    assert_int_equal(state_now(), PROPOSER_LEADING);
}

/* Acceptors that are far below promise ballots between first; nothing is proposed at those. */
static void acceptors_far_below_are_helped_up(void **state)
{
    (void)state;
    struct ballot absurd = ballot_of(SLOT_MAX - 1, 8);
    for (int i = 0; i < 3; i++) { /* each time it is believed a little */
        lead();
        tell(4, (struct message){.kind = MESSAGE_NACK, .ballot = absurd});
        for (int k = 0; k < 100 && state_now() != PROPOSER_ASKING; k++)
            pass(10000, node_set_of(4) | node_set_of(5));
    }
    be_elected();
    const struct ballot ours = proposer_agent_status(agent).ballot;
    assert_true(ours.round > 2 * ROUND_JUMP_MAX);
    uint64_t promised = 0;
    for (int rungs = 0; promised + ROUND_JUMP_MAX < ours.round; rungs++) {
        assert_true(rungs < 10);
        tell(6, (struct message){.kind = MESSAGE_NACK, .ballot = {promised, promised != 0 ? 9 : 0, 1}});
        assert_int_equal(state_now(), PROPOSER_PREPARING);
        const struct effect *rung = effect_of(&r, EFFECT_SEND, 0), *again = effect_of(&r, EFFECT_SEND, 1);
        assert_true(rung->val.send.to == node_set_of(6) && again->val.send.to == node_set_of(6));
        assert_true(rung->val.send.message.kind == MESSAGE_PREPARE && again->val.send.message.kind == MESSAGE_PREPARE);
        promised = rung->val.send.message.ballot.round;
        assert_true(promised < ours.round);
        assert_int_equal(again->val.send.message.ballot.round, ours.round);
        promise(6, rung->val.send.message.ballot, 1); /* counts for nothing */
    }
    promise(4, ours, 1);
    assert_int_equal(state_now(), PROPOSER_PREPARING);
    promise(6, ours, 1);
    assert_int_equal(state_now(), PROPOSER_LEADING);
}

static void a_clock_that_jumps_only_makes_it_step_down(void **state)
{
    (void)state;
    lead();
    submit(1);
    now -= 500000;
    step(NULL, 0);
    now += 100000000;
    step(NULL, 0);
    assert_int_not_equal(state_now(), PROPOSER_LEADING);
}

/* A leader that was paused for an hour has not wasted an hour of the others' time. */
static void who_was_paused_does_not_stand_back_as_long(void **state)
{
    (void)state;
    const uint64_t hour = UINT64_C(3600000000);
    lead();
    submit(1);
    now += hour;
    pass_awake(config.dead_timeout, 0);
    assert_int_not_equal(state_now(), PROPOSER_LEADING);
    for (int i = 0; i < 300 && state_now() != PROPOSER_ASKING; i++) /* half a minute: six times what requests may take */
        pass(100000, node_set_of(4) | node_set_of(5));
    assert_int_equal(state_now(), PROPOSER_ASKING);
}

#define TEST_OF_HIGHEST(name) cmocka_unit_test_setup_teardown(name, set_up_highest, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_quorum_must_have_lost_the_leader_first),
        TEST(who_hears_too_few_for_phase_2_does_not_prepare),
        TEST(answers_to_an_earlier_life_count_for_nothing),
        TEST(who_was_answered_no_asks_again_soon),
        TEST(who_is_refused_gives_the_others_their_turns),
        TEST(who_is_alone_fit_does_not_stand_back_for_long),
        TEST(a_quorum_of_promises_elects),
        TEST(phase_1_begins_where_a_majority_holds_all),
        TEST(what_was_recovered_is_proposed_again_though_executed_somewhere),
        TEST(a_lost_prepare_is_sent_again),
        TEST(who_hears_a_leader_follows),
        TEST(who_was_late_itself_suspects_nobody),
        TEST(a_leader_that_was_late_goes_on),
        TEST(a_leader_below_a_ballot_heard_of_is_taken_when_there_is_no_other),
        TEST(a_higher_ballot_ends_leading),
        TEST(a_leader_without_a_quorum_steps_down),
        TEST(nothing_overheard_keeps_a_leader),
        TEST(votes_keep_a_leader),
        TEST(a_leader_without_results_steps_down),
        TEST(results_keep_a_leader),
        TEST(preparing_ends_when_it_does_not_get_on),
        TEST_OF_HIGHEST(the_highest_claims_to_lead),
        TEST_OF_HIGHEST(claims_that_come_to_nothing_are_repeated_ever_less_often),
        TEST_OF_HIGHEST(a_leader_does_not_give_way_to_a_higher_one),
        TEST(a_node_with_a_stalled_disk_steps_down_and_stands_back),
        TEST(a_node_that_stops_hands_over),
        TEST(who_hears_no_answers_says_that_it_cannot_lead),
        TEST_OF_8(who_cannot_lead_is_not_waited_for),
        TEST(rounds_do_not_jump),
        TEST(rounds_far_above_are_climbed),
        TEST(acceptors_far_below_are_helped_up),
        TEST(a_clock_that_jumps_only_makes_it_step_down),
        TEST(who_was_paused_does_not_stand_back_as_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
