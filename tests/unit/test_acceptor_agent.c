/* core/agents/acceptor_agent.c: what is recorded before what is said (P2), and the other answers of an acceptor. */
#include "core/agents/acceptor_agent.h"

#include "core/formats/frame.h"
#include "tests/unit/configuration_text.h"
#include "tests/unit/protocol.h"

static struct acceptor_agent *agent;
static uint64_t lsn;

static int set_up_with(struct node_config config)
{
    struct event recovered = {.tag = EVENT_RECOVERED};
    agent = acceptor_agent_new(&config);
    lsn = 1;
    acceptor_agent_step(agent, 0, lsn, &recovered, 1);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(nine_nodes(4));
}

static int set_up_telling_learners(void **state)
{
    struct node_config config = nine_nodes(4);
    (void)state;
    config.acceptors_send_learns = true;
    return set_up_with(config);
}

static int tear_down(void **state)
{
    (void)state;
    acceptor_agent_free(agent);
    return 0;
}

static struct step_result step(uint64_t now, const struct event *events, size_t count)
{
    struct step_result r = acceptor_agent_step(agent, now, lsn, events, count);
    lsn += count_effects(&r, EFFECT_APPEND);
    return r;
}

static struct step_result tell(uint32_t sender, struct message m)
{
    struct event e = from(sender, m);
    return step(1000000, &e, 1);
}

static struct step_result prepare(struct ballot ballot, uint64_t slot)
{
    return tell(ballot.node, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot, .from = slot});
}

static struct step_result accept(struct ballot ballot, uint64_t slot, const char *text)
{
    struct entry e = entry_at(slot, ballot, text);
    return tell(ballot.node, (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot, .floor = 1, .entries = {&e, 1}});
}

/* P2, PromiseDurable. */
static void a_promise_waits_for_its_record(void **state)
{
    (void)state;
    struct step_result r = prepare(ballot_of(3, 8), 1);
    assert_int_equal(appended(&r, RECORD_PROMISED)->lsn, 1);
    assert_int_equal(appended(&r, RECORD_PROMISED)->entry.ballot.round, 3);
    const struct outgoing *promise = sent(&r, MESSAGE_PROMISE);
    assert_int_equal(promise->to, node_set_of(8));
    assert_int_equal(promise->after, 1);
    assert_int_equal(promise->message.flags, MESSAGE_LAST);
    r = prepare(ballot_of(3, 8), 1); /* asked again: no new record, but the first may not be durable yet */
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
    assert_int_equal(sent(&r, MESSAGE_PROMISE)->after, 1);
}

/* P2, VoteDurable. */
static void a_vote_waits_for_its_record(void **state)
{
    (void)state;
    struct ballot b = ballot_of(3, 8);
    struct entry entries[] = {entry_at(1, b, "one"), entry_at(2, b, "two")};
    struct step_result r =
        tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b, .floor = 1, .entries = {entries, 2}});
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 2);
    const struct log_record *first = &effect_of(&r, EFFECT_APPEND, 0)->val.append;
    assert_int_equal(first->kind, RECORD_ACCEPTED);
    assert_true(payload_is(&first->entry.value, "one"));
    const struct outgoing *accepted = sent(&r, MESSAGE_ACCEPTED);
    assert_int_equal(accepted->to, node_set_of(8));
    assert_int_equal(accepted->after, 2);
    assert_true(accepted->message.from == 1 && accepted->message.to == 3);
    r = accept(b, 2, "two"); /* sent again: told again, not written again, and held just as long */
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
    assert_int_equal(sent(&r, MESSAGE_ACCEPTED)->after, 2);
}

static void only_entries_that_got_a_vote_are_recorded(void **state)
{
    (void)state;
    struct ballot b = ballot_of(3, 8);
    struct entry entries[] = {entry_at(0, b, "none"), entry_at(1, b, "one"),     entry_at(SLOT_MAX - 1, b, "beyond"),
                              entry_at(2, b, "two"),  entry_at(2, b, "another"), entry_at(5, b, "five")};
    struct step_result r =
        tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b, .floor = 1, .entries = {entries, 6}});
    const char *recorded[] = {"one", "two", "five"};
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(payload_is(&effect_of(&r, EFFECT_APPEND, i)->val.append.entry.value, recorded[i]));
}

static void votes_go_to_the_learners_when_configured(void **state)
{
    (void)state;
    struct step_result r = accept(ballot_of(3, 8), 1, "one");
    assert_int_equal(sent(&r, MESSAGE_ACCEPTED)->to, node_set_of(8) | 0xe);
}

static void a_refusal_names_the_promise(void **state)
{
    (void)state;
    prepare(ballot_of(5, 9), 1);
    struct step_result r = accept(ballot_of(3, 8), 7, "late");
    assert_null(sent(&r, MESSAGE_ACCEPTED));
    const struct outgoing *nack = sent(&r, MESSAGE_NACK);
    assert_int_equal(nack->message.ballot.round, 5);
    assert_int_equal(nack->message.from, 7);
    r = prepare(ballot_of(4, 7), 1);
    assert_null(sent(&r, MESSAGE_PROMISE));
    assert_int_equal(sent(&r, MESSAGE_NACK)->message.ballot.round, 5);
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
}

static void every_promise_of_a_step_has_its_own_votes(void **state)
{
    (void)state;
    accept(ballot_of(1, 7), 1, "one");
    accept(ballot_of(1, 7), 2, "two");
    struct event events[] = {
        from(8, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(2, 8), .from = 1}),
        from(9, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(2, 9), .from = 2}),
    };
    struct step_result r = step(0, events, 2);
    const struct message *first = &effect_of(&r, EFFECT_SEND, 0)->val.send.message;
    const struct message *second = &effect_of(&r, EFFECT_SEND, 1)->val.send.message;
    assert_int_equal(first->entries.len, 2);
    assert_true(payload_is(&first->entries.ptr[0].value, "one"));
    assert_int_equal(second->entries.len, 1);
    assert_true(payload_is(&second->entries.ptr[0].value, "two"));
}

/* A node that asks again and again in one step gets no more than all who may ask together. */
static void a_step_tells_so_many_votes_at_most(void **state)
{
    enum { ASKED = 1000, TEXT = 100 };
    static struct event events[ASKED];
    char text[TEXT + 1] = {0};
    struct node_config config = nine_nodes(4);
    acceptor_agent_free(agent);
    config.chunk_bytes_max = 1000;
    set_up_with(config);
    const uint64_t askers = node_set_count(config.proposers | config.learners);
    memset(text, 'v', TEXT);
    for (uint64_t slot = 1; slot <= 8; slot++)
        accept(ballot_of(1, 7), slot, text);
    static const uint8_t asks[] = {MESSAGE_PREPARE, MESSAGE_LEARN_REQUEST};
    static const uint8_t answers[] = {MESSAGE_PROMISE, MESSAGE_LEARN};
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < ASKED; i++)
            events[i] =
                from(kind == 0 ? 8 : 1, (struct message){.kind = asks[kind], .ballot = ballot_of(2, 8), .from = 1, .to = 9});
        for (int again = 0; again < 2; again++) { /* in the next step as much again */
            struct step_result r = step(0, events, ASKED);
            uint64_t bytes = 0;
            const struct effect *e;
            for (size_t n = 0; (e = effect_of(&r, EFFECT_SEND, n)) != NULL; n++)
                for (size_t i = 0; i < e->val.send.message.entries.len; i++)
                    bytes += e->val.send.message.entries.ptr[i].value.len;
            assert_true(count_sent(&r, answers[kind]) >= askers);
            assert_true(bytes <= askers * (1000 + 8 * TEXT));
        }
    }
    (void)state;
}

static bool says_lost(uint32_t asker, uint64_t now)
{
    struct event e = from(asker, (struct message){.kind = MESSAGE_ASK, .from = 77});
    struct step_result r = step(now, &e, 1);
    const struct outgoing *answer = sent(&r, MESSAGE_LOST);
    assert_int_equal(answer->to, node_set_of(asker));
    assert_int_equal(answer->after, 0);
    assert_int_equal(answer->message.from, 77);
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0); /* a question has no effect */
    return (answer->message.flags & MESSAGE_YES) != 0;
}

static struct step_result beat(struct ballot ballot, uint8_t flags, uint64_t floor, uint64_t now)
{
    struct event e =
        from(ballot.node, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = flags, .ballot = ballot, .floor = floor});
    return step(now, &e, 1);
}

/* A learner says that it holds all slots below durably. */
static void hold(uint32_t learner, uint64_t floor)
{
    tell(learner, (struct message){.kind = MESSAGE_PROGRESS, .to = floor, .floor = floor});
}

/* P15. */
static void a_leader_that_is_heard_is_not_lost(void **state)
{
    (void)state;
    assert_true(says_lost(8, 0));
    struct step_result r = beat(ballot_of(3, 9), MESSAGE_LEADING, 1, 1000000);
    assert_int_equal(sent(&r, MESSAGE_ALIVE)->to, node_set_of(9));
    assert_false(says_lost(8, 1000000));
    assert_true(says_lost(9, 1000000)); /* it does not lead itself, or it would not ask */
    assert_false(says_lost(8, 1399999));
    assert_true(says_lost(8, 1400000));
}

static void a_leader_that_resigned_or_was_superseded_is_lost(void **state)
{
    (void)state;
    beat(ballot_of(3, 9), MESSAGE_LEADING, 1, 1000000);
    beat(ballot_of(3, 7), MESSAGE_RESIGNED, 1, 1000000); /* not the leader */
    assert_false(says_lost(8, 1000000));
    beat(ballot_of(3, 9), MESSAGE_RESIGNED, 1, 1000000);
    assert_true(says_lost(8, 1000000));
    prepare(ballot_of(5, 7), 1);
    beat(ballot_of(3, 9), MESSAGE_LEADING, 1, 2000000);
    assert_true(says_lost(8, 2000000));
}

static void a_heartbeat_is_answered_by_what_it_says_and_at_its_ballot(void **state)
{
    (void)state;
    struct event e = from(
        9, (struct message){.kind = MESSAGE_HEARTBEAT, .flags = MESSAGE_LEADING, .ballot = ballot_of(3, 9), .to = 12345});
    struct step_result r = step(1000000, &e, 1);
    assert_int_equal(ballot_compare(sent(&r, MESSAGE_ALIVE)->message.ballot, ballot_of(3, 9)), 0);
    assert_int_equal(sent(&r, MESSAGE_ALIVE)->message.to, 12345);
    prepare(ballot_of(5, 7), 1);
    r = step(1000000, &e, 1);
    assert_null(sent(&r, MESSAGE_ALIVE));
    assert_int_equal(ballot_compare(sent(&r, MESSAGE_NACK)->message.ballot, ballot_of(5, 7)), 0);
}

/* A proposer that was promised a ballot may be about to lead: the others give it a moment. */
/* P9: that nothing above was promised needs no record; that something was is told when it is durable. */
static void a_round_is_answered_unless_a_higher_ballot_is_promised(void **state)
{
    (void)state;
    const struct message round = {.kind = MESSAGE_READ_ROUND, .ballot = ballot_of(3, 8), .from = 17};
    struct step_result r = tell(8, round);
    assert_int_equal(sent(&r, MESSAGE_READ_CONFIRMED)->after, 0);
    assert_int_equal(sent(&r, MESSAGE_READ_CONFIRMED)->to, node_set_of(8));
    assert_int_equal(sent(&r, MESSAGE_READ_CONFIRMED)->message.from, 17);
    assert_int_equal(sent(&r, MESSAGE_READ_CONFIRMED)->message.ballot.round, 3);
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
    prepare(ballot_of(3, 8), 1);
    r = tell(8, round);
    assert_int_equal(sent(&r, MESSAGE_READ_CONFIRMED)->after, 0);
    prepare(ballot_of(4, 7), 1);
    r = tell(8, round);
    assert_null(sent(&r, MESSAGE_READ_CONFIRMED));
    assert_int_equal(sent(&r, MESSAGE_NACK)->message.ballot.round, 4);
    assert_int_equal(sent(&r, MESSAGE_NACK)->after, 2);
}

static void who_was_just_promised_a_ballot_is_not_disturbed(void **state)
{
    (void)state;
    struct event e = from(7, (struct message){.kind = MESSAGE_PREPARE, .ballot = ballot_of(5, 7), .from = 1});
    step(1000000, &e, 1);
    assert_true(says_lost(7, 1000000));
    assert_false(says_lost(8, 1000000));
    step(1090000, &e, 1); /* the same ballot again is no news */
    assert_true(says_lost(8, 1100000));
}

/* The leader detector prefers the asker to a leader that lives. */
static void a_claim_is_granted_though_there_is_a_leader(void **state)
{
    (void)state;
    beat(ballot_of(3, 7), MESSAGE_LEADING, 1, 1000000);
    struct event e = from(9, (struct message){.kind = MESSAGE_ASK, .flags = MESSAGE_YES, .from = 1});
    struct step_result r = step(1000000, &e, 1);
    assert_int_equal(sent(&r, MESSAGE_LOST)->message.flags, MESSAGE_YES);
    assert_false(says_lost(9, 1000000));
}

/* P10: votes below what a majority of learners holds are forgotten; the journal hears of it now and then. */
static void the_leaders_floor_truncates(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 6; slot++)
        accept(ballot_of(3, 8), slot, "x");
    hold(1, 9);
    hold(2, 9);
    struct step_result r = beat(ballot_of(3, 8), MESSAGE_LEADING, 5, 0);
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
    r = prepare(ballot_of(4, 8), 1);
    const struct message *promise = &sent(&r, MESSAGE_PROMISE)->message;
    assert_true(promise->floor == 5 && promise->from == 5 && promise->to == 7 && promise->entries.len == 2);
    beat(ballot_of(4, 8), MESSAGE_LEADING, 9, 0);
    r = accept(ballot_of(4, 8), 9, "x");
    assert_int_equal(appended(&r, RECORD_FLOOR)->entry.slot, 9);
    assert_int_equal(appended(&r, RECORD_FLOOR)->lsn + 1, appended(&r, RECORD_ACCEPTED)->lsn);
}

/* Votes below the floor are not needed, once the floor's record is durable. No vote at or above it is below that lsn. */
static void the_journal_is_needed_from_the_floor_on(void **state)
{
    (void)state;
    struct truncation said = {0};
    uint64_t lsn_of[200] = {0};
    prepare(ballot_of(3, 8), 1);
    for (uint64_t slot = 1; slot < 200; slot++) {
        hold(1, slot);
        hold(2, slot);
        beat(ballot_of(3, 8), MESSAGE_LEADING, slot, 0);
        struct step_result r = accept(ballot_of(3, 8), slot, "x");
        const struct effect *e = effect_of(&r, EFFECT_TRUNCATE, 0);
        lsn_of[slot] = appended(&r, RECORD_ACCEPTED)->lsn;
        if (e == NULL)
            continue;
        const struct log_record *floor = appended(&r, RECORD_FLOOR);
        assert_true(e->val.truncate.lsn > said.lsn && e->val.truncate.after >= floor->lsn);
        said = e->val.truncate;
        for (uint64_t needed = floor->entry.slot; needed <= slot; needed++)
            assert_true(lsn_of[needed] >= said.lsn);
        assert_true(floor->entry.slot < 40 || lsn_of[floor->entry.slot - 40] < said.lsn);
    }
    assert_true(said.lsn > 1);
}

/* A vote promises its ballot. When its record may go, the promise must have a record that stays. */
static void what_a_vote_promised_outlives_it(void **state)
{
    (void)state;
    struct ballot promised = {0};
    for (uint64_t slot = 1; slot < 40; slot++) {
        const struct ballot b = ballot_of(3 + slot / 10, 8);
        hold(1, slot);
        hold(2, slot);
        beat(b, MESSAGE_LEADING, slot, 0);
        struct step_result r = accept(b, slot, "x");
        const struct log_record *record = appended(&r, RECORD_PROMISED);
        promised = record != NULL ? record->entry.ballot : promised;
        if (effect_of(&r, EFFECT_TRUNCATE, 0) != NULL)
            assert_int_equal(ballot_compare(promised, b), 0);
    }
    assert_int_equal(promised.round, 6);
}

static int set_up_with_few_bytes(void **state)
{
    struct node_config config = nine_nodes(4);
    (void)state;
    config.bytes_in_flight_max = 16; /* votes of 32 bytes, and 8 more until a floor is recorded */
    return set_up_with(config);
}

/* Recovery holds again what the journal does not say to be forgotten, so that is bounded in bytes, too. */
static void the_floor_is_recorded_before_much_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 8; slot++)
        accept(ballot_of(3, 8), slot, "four");
    struct step_result r = accept(ballot_of(3, 8), 9, "x");
    assert_null(sent(&r, MESSAGE_ACCEPTED));
    assert_int_equal(count_effects(&r, EFFECT_APPEND), 0);
    hold(1, 9);
    hold(2, 9);
    beat(ballot_of(3, 8), MESSAGE_LEADING, 2, 0);
    r = accept(ballot_of(3, 8), 9, "four");
    assert_int_equal(appended(&r, RECORD_FLOOR)->entry.slot, 2);
    assert_int_equal(appended(&r, RECORD_FLOOR)->lsn + 1, appended(&r, RECORD_ACCEPTED)->lsn);
    beat(ballot_of(3, 8), MESSAGE_LEADING, 3, 0);
    r = accept(ballot_of(3, 8), 10, "four");
    assert_null(appended(&r, RECORD_FLOOR));
    assert_non_null(appended(&r, RECORD_ACCEPTED));
    beat(ballot_of(3, 8), MESSAGE_LEADING, 4, 0);
    r = accept(ballot_of(3, 8), 11, "four");
    assert_int_equal(appended(&r, RECORD_FLOOR)->entry.slot, 4);
}

static void a_restart_remembers_all_that_was_promised(void **state)
{
    (void)state;
    struct log_record records[] = {
        {.lsn = 1, .kind = RECORD_PROMISED, .entry = {.ballot = ballot_of(5, 9)}},
        {.lsn = 2, .kind = RECORD_ACCEPTED, .entry = entry_at(1, ballot_of(5, 9), "one")},
        {.lsn = 3, .kind = RECORD_CHOSEN, .to = 2, .entry = {.slot = 1}},
    };
    struct node_config config = nine_nodes(4);
    struct event events[] = {{.tag = EVENT_RECORDS, .val.records = {records, 3}}, {.tag = EVENT_RECOVERED}};
    acceptor_agent_free(agent);
    agent = acceptor_agent_new(&config);
    lsn = 4;
    struct step_result r = step(0, events, 2);
    assert_int_equal(r.effects.len, 0);
    assert_int_equal(acceptor_agent_status(agent).promised.round, 5);
    r = accept(ballot_of(4, 8), 2, "late");
    assert_non_null(sent(&r, MESSAGE_NACK));
    r = prepare(ballot_of(6, 8), 1);
    assert_int_equal(sent(&r, MESSAGE_PROMISE)->message.entries.len, 1);
    assert_int_equal(sent(&r, MESSAGE_PROMISE)->after, 4);
}

static void learners_are_told_the_votes_they_ask_for(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 6; slot++)
        accept(ballot_of(3, 8), slot, "x");
    struct step_result r = tell(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 3, .to = 5});
    const struct outgoing *learn = sent(&r, MESSAGE_LEARN);
    assert_int_equal(learn->to, node_set_of(2));
    assert_int_equal(learn->message.flags, 0); /* votes, not chosen ones */
    assert_int_equal(learn->message.entries.len, 2);
    assert_int_equal(learn->message.entries.ptr[0].slot, 3);
    assert_int_equal(learn->after, 6); /* P2 */
    r = tell(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 7, .to = 9});
    assert_int_equal(r.effects.len, 0);
}

/* However a message names rounds, enough are left above what is promised. A proposer that is too far above is told that. */
static void a_round_that_jumps_is_refused(void **state)
{
    (void)state;
    struct step_result r = prepare(ballot_of(SLOT_MAX - 1, 8), 1);
    assert_int_equal(r.effects.len, 1);
    assert_int_equal(sent(&r, MESSAGE_NACK)->message.ballot.round, 0);
    r = accept(ballot_of(SLOT_MAX - 1, 8), 1, "x");
    assert_int_equal(r.effects.len, 1);
    assert_non_null(sent(&r, MESSAGE_NACK));
    beat(ballot_of(SLOT_MAX - 1, 8), MESSAGE_LEADING, 1, 0);
    assert_true(says_lost(9, 0)); /* that was no leader */
    assert_non_null(sent((r = prepare(ballot_of(ROUND_JUMP_MAX, 8), 1), &r), MESSAGE_PROMISE));
    assert_non_null(sent((r = prepare(ballot_of(2 * ROUND_JUMP_MAX + 1, 8), 1), &r), MESSAGE_NACK));
    assert_non_null(sent((r = accept(ballot_of(2 * ROUND_JUMP_MAX, 8), 1, "x"), &r), MESSAGE_ACCEPTED));
}

/* A proposer's word alone does not make an acceptor forget: a majority of the learners says itself what it holds. */
static void nobody_says_what_others_hold(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 6; slot++)
        accept(ballot_of(3, 8), slot, "x");
    beat(ballot_of(3, 8), MESSAGE_LEADING, SLOT_MAX - 1, 0);
    hold(1, SLOT_MAX - 1); /* nor do one learner's and a proposer's */
    beat(ballot_of(3, 8), MESSAGE_LEADING, SLOT_MAX - 1, 0);
    struct step_result r = prepare(ballot_of(4, 8), 1);
    assert_true(sent(&r, MESSAGE_PROMISE)->message.floor == 1 && sent(&r, MESSAGE_PROMISE)->message.to == 7);
    hold(2, 4);
    beat(ballot_of(4, 8), MESSAGE_LEADING, SLOT_MAX - 1, 0);
    assert_int_equal(sent((r = prepare(ballot_of(4, 8), 1), &r), MESSAGE_PROMISE)->message.floor, 4);
    hold(1, 5); /* the latest word counts */
    hold(3, 9);
    beat(ballot_of(4, 8), MESSAGE_LEADING, SLOT_MAX - 1, 0);
    assert_int_equal(sent((r = prepare(ballot_of(4, 8), 1), &r), MESSAGE_PROMISE)->message.floor, 5);
}

/* In a partition an acceptor may hear the leader and its own learner only, and it has to go on voting. */
static void a_learner_of_the_same_node_is_enough(void **state)
{
    (void)state;
    struct step_result r;
    struct node_config config = three_nodes(2);
    acceptor_agent_free(agent);
    agent = acceptor_agent_new(&config);
    for (uint64_t slot = 1; slot <= 6; slot++)
        accept(ballot_of(3, 3), slot, "x");
    hold(2, 4);
    const struct ballot b4 = ballot_of(4, 3), absurd = ballot_of(SLOT_MAX - 1, 3);
    prepare(b4, 1);
    beat(ballot_of(3, 3), MESSAGE_LEADING, SLOT_MAX - 1, 0); /* not the word of whom it would not vote for */
    beat(absurd, MESSAGE_LEADING, SLOT_MAX - 1, 0);
    assert_int_equal(sent((r = prepare(b4, 1), &r), MESSAGE_PROMISE)->message.floor, 1);
    beat(b4, MESSAGE_LEADING, SLOT_MAX - 1, 0);
    assert_int_equal(sent((r = prepare(b4, 1), &r), MESSAGE_PROMISE)->message.floor, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void configure(uint64_t slot, uint64_t replaces, node_set members, node_set fresh)
{
    struct event e = {.tag = EVENT_CONFIGURATION};
    e.val.configuration.configuration = configuration_chosen(slot, replaces, members);
    e.val.configuration.configuration.fresh = fresh;
    step(1000000, &e, 1);
}

/* Its host knows one with which the disk of node 2 has been replaced, in that change or in one that was skipped. */
static void learn_that_2_was_replaced(uint64_t slot, uint64_t replaces)
{
    struct payload text = configuration_value_replacing(replaces, 0xe, 2, slot == 300);
    struct event e = {.tag = EVENT_CONFIGURATION, .val.configuration.text = text};
    assert_true(configuration_unpack(&text, slot, &e.val.configuration.configuration));
    step(1000000, &e, 1);
    payload_free(&text);
}

static struct step_result prepare_under(uint64_t configuration)
{
    struct message m = {.kind = MESSAGE_PREPARE, .ballot = ballot_of(5, 3), .from = 1, .to = configuration};
    return tell(3, m);
}

/* P11: the old disk may have promised or voted under older configurations. */
static void a_new_instance_is_silent_under_older_configurations(void **state)
{
    struct node_config config = three_nodes(2);
    (void)state;
    config.joined = DUTY_ALL;
    config.admitted = 100;
    set_up_with(config);
    struct step_result r = prepare_under(100); /* it knows of no configuration yet */
    assert_int_equal(r.effects.len, 0);
    configure(100, 50, 0xe, 4);
    r = prepare_under(50);
    assert_int_equal(r.effects.len, 0);
    r = tell(3, (struct message){.kind = MESSAGE_READ_ROUND, .ballot = ballot_of(5, 3), .from = 1, .to = 50});
    assert_int_equal(r.effects.len, 0);
    struct entry e = entry_at(1, ballot_of(5, 3), "x");
    r = tell(3, (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot_of(5, 3), .to = 50, .entries = {&e, 1}});
    assert_int_equal(r.effects.len, 0);
    r = prepare_under(100);
    assert_non_null(sent(&r, MESSAGE_PROMISE));
}

static void an_instance_that_was_replaced_is_silent(void **state)
{
    (void)state;
    set_up_with(three_nodes(2));
    configure(100, 0, 0xe, 0);
    struct step_result r = prepare_under(100);
    assert_non_null(sent(&r, MESSAGE_PROMISE));
    learn_that_2_was_replaced(200, 100);
    r = prepare_under(200);
    assert_int_equal(r.effects.len, 0);
}

static void an_instance_that_was_replaced_in_a_change_that_it_skipped_is_silent(void **state)
{
    (void)state;
    set_up_with(three_nodes(2));
    configure(100, 0, 0xe, 0);
    learn_that_2_was_replaced(300, 200);
    struct step_result r = prepare_under(300);
    assert_int_equal(r.effects.len, 0);
}

/* Its own number is that. */
static void the_instance_that_takes_the_place_is_not_silent(void **state)
{
    (void)state;
    struct node_config config = three_nodes(2);
    config.joined = DUTY_ALL;
    config.admitted = 200;
    config.incarnation = incarnation_first(1) + 3;
    set_up_with(config);
    learn_that_2_was_replaced(300, 200);
    struct step_result r = prepare_under(300);
    assert_non_null(sent(&r, MESSAGE_PROMISE));
}

static void who_is_no_acceptor_any_more_is_silent(void **state)
{
    (void)state;
    set_up_with(three_nodes(2));
    configure(100, 0, 0xe, 0);
    configure(200, 100, 0xa, 0);
    struct step_result r = prepare_under(200);
    assert_non_null(sent(&r, MESSAGE_PROMISE)); /* what is before is not settled */
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = 208, .floor = 208, .chosen = 200});
    r = prepare_under(200);
    assert_non_null(sent(&r, MESSAGE_PROMISE));
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 208, .floor = 208, .chosen = 200});
    r = prepare_under(200);
    assert_int_equal(r.effects.len, 0);
}

static struct step_result accept_under(uint64_t configuration, uint64_t slot)
{
    struct entry e = entry_at(slot, ballot_of(5, 3), "x");
    return tell(
        3, (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot_of(5, 3), .to = configuration, .entries = {&e, 1}});
}

/* Its floor is 1 and its window 4 alpha. It votes far beyond as soon as a majority of the learners says what it holds. */
static void a_new_instance_votes_at_the_boundary_of_a_long_log(void **state)
{
    struct node_config config = three_nodes(2);
    const uint64_t boundary = 5000 + config.alpha;
    (void)state;
    config.joined = DUTY_ALL;
    config.admitted = 5000;
    set_up_with(config);
    configure(5000, 4000, 0xe, 4);
    struct entry e = entry_at(boundary, ballot_of(5, 3), "x");
    const struct message m = {
        .kind = MESSAGE_ACCEPT, .ballot = ballot_of(5, 3), .to = 5000, .floor = boundary, .entries = {&e, 1}};
    struct step_result r = prepare_under(5000);
    assert_non_null(sent(&r, MESSAGE_PROMISE));
    r = tell(3, m);
    assert_null(appended(&r, RECORD_ACCEPTED));
    tell(1, (struct message){.kind = MESSAGE_PROGRESS, .to = boundary, .floor = boundary, .chosen = 5000});
    r = tell(3, m);
    assert_null(appended(&r, RECORD_ACCEPTED)); /* that is one learner's word */
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = boundary, .floor = boundary, .chosen = 5000});
    r = tell(3, m);
    assert_int_equal(appended(&r, RECORD_FLOOR)->entry.slot, boundary);
    assert_int_equal(appended(&r, RECORD_ACCEPTED)->entry.slot, boundary);
    assert_non_null(sent(&r, MESSAGE_ACCEPTED));
}

/* P11: that of slot 2 governs from slot 10 on. A later one may govern from slot 18 on. */
static void a_vote_is_for_the_configuration_that_governs(void **state)
{
    (void)state;
    set_up_with(three_nodes(2));
    configure(2, 0, 0xe, 0);
    struct step_result r = accept_under(0, 10);
    assert_int_equal(r.effects.len, 0);
    r = accept_under(2, 9);
    assert_int_equal(r.effects.len, 0);
    r = accept_under(0, 9);
    assert_non_null(appended(&r, RECORD_ACCEPTED));
    r = accept_under(2, 10);
    assert_non_null(appended(&r, RECORD_ACCEPTED));
    r = accept_under(10, 18);
    assert_non_null(appended(&r, RECORD_ACCEPTED));
}

/* A node without a learner asks the others for what it lacks, and tells its host. */
static void a_lone_acceptor_asks_for_configurations(void **state)
{
    (void)state;
    struct message behind = {.kind = MESSAGE_PROGRESS, .to = 150, .floor = 150, .chosen = 100};
    struct step_result r = tell(1, behind);
    const struct outgoing *ask = sent(&r, MESSAGE_CONFIGURATION);
    assert_true(ask != NULL && ask->to == node_set_of(1) && ask->message.from == 0);
    const uint64_t question = ask->message.batch.number;
    r = tell(1, behind);
    assert_null(sent(&r, MESSAGE_CONFIGURATION)); /* once in a while */
    struct payload text = configuration_value(0, 0x7e);
    struct entry e = {.slot = 100, .kind = ENTRY_CONFIGURATION, .value = text};
    struct message answer = {.kind = MESSAGE_CONFIGURATION, .from = 100, .to = 108, .entries = {&e, 1}};
    r = tell(1, answer);
    assert_null(effect_of(&r, EFFECT_CONFIGURATION, 0)); /* who says this was not asked */
    answer.batch.number = question;
    r = tell(1, answer);
    const struct effect *told = effect_of(&r, EFFECT_CONFIGURATION, 0);
    assert_true(told != NULL && told->val.configuration.configuration.governs == 108);
    assert_int_equal(told->val.configuration.text.len, text.len);
    answer.from = e.slot = 200;
    r = tell(1, answer);
    assert_null(effect_of(&r, EFFECT_CONFIGURATION, 0)); /* a question has one answer */
    payload_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_new_instance_is_silent_under_older_configurations, tear_down),
        cmocka_unit_test_teardown(an_instance_that_was_replaced_is_silent, tear_down),
        cmocka_unit_test_teardown(an_instance_that_was_replaced_in_a_change_that_it_skipped_is_silent, tear_down),
        cmocka_unit_test_teardown(the_instance_that_takes_the_place_is_not_silent, tear_down),
        cmocka_unit_test_teardown(a_new_instance_votes_at_the_boundary_of_a_long_log, tear_down),
        cmocka_unit_test_teardown(who_is_no_acceptor_any_more_is_silent, tear_down),
        cmocka_unit_test_setup_teardown(a_lone_acceptor_asks_for_configurations, set_up, tear_down),
        cmocka_unit_test_teardown(a_vote_is_for_the_configuration_that_governs, tear_down),
        TEST(a_promise_waits_for_its_record),
        TEST(a_vote_waits_for_its_record),
        TEST(only_entries_that_got_a_vote_are_recorded),
        cmocka_unit_test_setup_teardown(votes_go_to_the_learners_when_configured, set_up_telling_learners, tear_down),
        TEST(a_refusal_names_the_promise),
        TEST(every_promise_of_a_step_has_its_own_votes),
        TEST(a_step_tells_so_many_votes_at_most),
        TEST(a_leader_that_is_heard_is_not_lost),
        TEST(a_leader_that_resigned_or_was_superseded_is_lost),
        TEST(a_learner_of_the_same_node_is_enough),
        TEST(a_heartbeat_is_answered_by_what_it_says_and_at_its_ballot),
        TEST(a_round_is_answered_unless_a_higher_ballot_is_promised),
        TEST(who_was_just_promised_a_ballot_is_not_disturbed),
        TEST(a_claim_is_granted_though_there_is_a_leader),
        TEST(the_leaders_floor_truncates),
        TEST(the_journal_is_needed_from_the_floor_on),
        TEST(what_a_vote_promised_outlives_it),
        cmocka_unit_test_setup_teardown(the_floor_is_recorded_before_much_is_forgotten, set_up_with_few_bytes, tear_down),
        TEST(a_restart_remembers_all_that_was_promised),
        TEST(learners_are_told_the_votes_they_ask_for),
        TEST(a_round_that_jumps_is_refused),
        TEST(nobody_says_what_others_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
