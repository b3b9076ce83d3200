/* core/agents/learner_agent.c: execution at most once and in order, what the journal must hold of it, results, and
 * recovery. */
#include "core/agents/learner_agent.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/configuration.h"
#include "core/paxos/learner.h"
#include "tests/unit/protocol.h"

static struct node_config config;
static struct learner_agent *agent;
static uint64_t lsn, now;

/* What was appended, to start again from. */
static struct log_record journal[2000];
static uint64_t values[2000][16];
static size_t journal_count;
static uint64_t incoming[64][16]; /* values of a message */

static void keep_journal(const struct step_result *r)
{
    const struct effect *e;
    for (size_t n = 0; (e = effect_of(r, EFFECT_APPEND, n)) != NULL; n++) {
        struct log_record *kept = &journal[journal_count];
        *kept = e->val.append;
        assert_int_equal(kept->lsn, journal_count + 1);
        if (kept->entry.value.len > 0)
            memcpy(values[journal_count], kept->entry.value.words.ptr, kept->entry.value.words.len * 8);
        kept->entry.value.words.ptr = values[journal_count++];
    }
}

static struct step_result step(const struct event *events, size_t count)
{
    struct step_result r = learner_agent_step(agent, now, lsn, events, count);
    lsn += count_effects(&r, EFFECT_APPEND);
    keep_journal(&r);
    return r;
}

static struct step_result start(void)
{
    struct event events[] = {
        {.tag = EVENT_RECORDS, .val.records = {journal, journal_count}}, {.tag = EVENT_RECOVERED}, durable(journal_count)};
    agent = learner_agent_new(&config);
    lsn = journal_count + 1;
    return step(events, 3);
}

static int set_up(void **state)
{
    (void)state;
    config = nine_nodes(1);
    now = 1000000;
    journal_count = 0;
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    learner_agent_free(agent);
    return 0;
}

static struct step_result tell(uint32_t sender, struct message m)
{
    struct event e = from(sender, m);
    return step(&e, 1);
}

/* A batch of one INCR of the key, made by node 8. Its payload lives until the next call. */
static struct payload incr(const char *key, uint64_t number, uint32_t answerer)
{
    static struct batch_builder b;
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"INCR", 4}, {(uint8_t *)(uintptr_t)key, strlen(key)}};
    batch_begin(&b);
    batch_add(&b, args, 2);
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){8, 1, number}, answerer);
    return value;
}

/* Slot `slot` holds a batch with this number, and is chosen at `ballot`. */
static struct step_result choose(uint64_t slot, struct ballot ballot, uint64_t number)
{
    struct entry e = {.slot = slot, .ballot = ballot, .kind = ENTRY_COMMANDS, .value = incr("key", number, 1)};
    return tell(
        ballot.node,
        (struct message){.kind = MESSAGE_ACCEPT, .ballot = ballot, .from = 1, .chosen = slot + 1, .entries = {&e, 1}});
}

/* The integer that an EXECUTED message carries. */
static int64_t reply_in(const struct outgoing *executed)
{
    struct reply_item item;
    size_t offset = 0;
    assert_non_null(executed);
    assert_int_equal(executed->message.entries.len, 1);
    assert_true(replies_next(&executed->message.entries.ptr[0].value, &offset, &item));
    assert_int_equal(item.tag, REPLY_INTEGER);
    return item.integer;
}

static struct step_result ask_result(uint64_t slot, uint64_t number)
{
    return tell(8, (struct message){.kind = MESSAGE_RESULT_REQUEST, .from = slot, .batch = {8, 1, number}});
}

static const struct ballot b1 = {1, 8, 1};

static void a_chosen_batch_is_executed_and_answered(void **state)
{
    (void)state;
    struct step_result r = choose(1, b1, 1);
    const struct outgoing *executed = sent(&r, MESSAGE_EXECUTED);
    assert_int_equal(reply_in(executed), 1);
    assert_int_equal(executed->to, node_set_of(8));
    assert_int_equal(executed->message.from, 1);
    assert_int_equal(executed->message.batch.number, 1);
    assert_int_equal(learner_agent_status(agent).executed, 2);
}

/* P8: only the learner that the batch names sends its results. */
static void only_the_learner_asked_answers(void **state)
{
    (void)state;
    struct entry e = {.slot = 1, .ballot = b1, .kind = ENTRY_COMMANDS, .value = incr("key", 1, 2)};
    struct step_result r =
        tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 2, .entries = {&e, 1}});
    assert_int_equal(learner_agent_status(agent).executed, 2);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    r = ask_result(1, 1); /* but every learner remembers them */
    assert_int_equal(reply_in(sent(&r, MESSAGE_EXECUTED)), 1);
}

/* P8, AtMostOnce: the log may have a batch twice, or an older one after it. */
static void a_batch_is_executed_at_most_once(void **state)
{
    (void)state;
    choose(1, b1, 5);
    struct step_result r = choose(2, b1, 5);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    r = choose(3, b1, 4);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    r = choose(4, b1, 6);
    assert_int_equal(reply_in(sent(&r, MESSAGE_EXECUTED)), 2);
    assert_int_equal(learner_agent_status(agent).executed, 5);
    assert_int_equal(learner_agent_status(agent).commands_executed, 2);
}

static void results_tell_what_a_slot_held(void **state)
{
    (void)state;
    choose(1, b1, 5);
    choose(2, b1, 5);
    struct entry noop = {.slot = 3, .ballot = b1, .kind = ENTRY_NOOP};
    tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 4, .entries = {&noop, 1}});
    struct step_result r = ask_result(1, 5);
    assert_int_equal(reply_in(sent(&r, MESSAGE_EXECUTED)), 1);
    r = ask_result(1, 6);
    assert_int_equal(sent(&r, MESSAGE_EXECUTED)->message.flags, MESSAGE_ANOTHER);
    r = ask_result(3, 6);
    assert_int_equal(sent(&r, MESSAGE_EXECUTED)->message.flags, MESSAGE_ANOTHER);
    r = ask_result(2, 5); /* it was not executed there, and that is all that can be said */
    assert_int_equal(sent(&r, MESSAGE_EXECUTED)->message.flags, MESSAGE_FORGOTTEN);
    r = ask_result(4, 6); /* not executed yet: no answer */
    assert_null(sent(&r, MESSAGE_EXECUTED));
    r = ask_result(0, 6);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    for (uint64_t slot = 4; slot < 60; slot++)
        choose(slot, b1, slot + 10);
    r = ask_result(1, 5);
    assert_int_equal(sent(&r, MESSAGE_EXECUTED)->message.flags, MESSAGE_FORGOTTEN);
}

/* A node that asks again and again in one step gets about as much as is remembered, at most. */
static void a_step_tells_so_many_results_at_most(void **state)
{
    enum { ASKED = 1000, BYTES = 200 };
    static struct event events[ASKED];
    (void)state;
    learner_agent_free(agent);
    config.limits.results_bytes = BYTES;
    start();
    choose(1, b1, 5);
    for (size_t i = 0; i < ASKED; i++)
        events[i] = from(8, (struct message){.kind = MESSAGE_RESULT_REQUEST, .from = 1, .batch = {8, 1, 5}});
    for (int again = 0; again < 2; again++) {
        struct step_result r = step(events, ASKED);
        uint64_t one = sent(&r, MESSAGE_EXECUTED)->message.entries.ptr[0].value.len;
        assert_true(count_sent(&r, MESSAGE_EXECUTED) > 1);
        assert_true(count_sent(&r, MESSAGE_EXECUTED) * one < BYTES + one);
    }
}

static void a_value_that_is_no_batch_changes_nothing(void **state)
{
    (void)state;
    struct entry e = entry_at(1, b1, "no batch, but chosen all the same");
    tell(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 2, .entries = {&e, 1}});
    assert_int_equal(learner_agent_status(agent).executed, 2);
    assert_int_equal(learner_agent_status(agent).state_hash, 0);
}

/* P7: what is executed here has its value in this journal. */
static void an_executed_slot_is_recorded(void **state)
{
    (void)state;
    struct step_result r = choose(1, b1, 1);
    assert_int_equal(appended(&r, RECORD_LEARNED)->entry.slot, 1);
    assert_int_equal(appended(&r, RECORD_CHOSEN)->to, 2);
    assert_true(appended(&r, RECORD_CHOSEN)->lsn > appended(&r, RECORD_LEARNED)->lsn);
    assert_int_equal(learner_agent_status(agent).held, 1);
    struct event e = durable(1);
    step(&e, 1);
    assert_int_equal(learner_agent_status(agent).held, 1); /* the value is durable, the word that it is chosen is not */
    e = durable(2);
    step(&e, 1);
    assert_int_equal(learner_agent_status(agent).held, 2);
}

static void a_vote_in_the_journal_is_not_recorded_again(void **state)
{
    (void)state;
    struct event votes[] = {{.tag = EVENT_APPENDED, .val.appended = {.lsn = 1, .slot = 1, .ballot = b1}},
                            {.tag = EVENT_APPENDED, .val.appended = {.lsn = 2, .slot = 2, .ballot = {0, 8, 1}}}};
    lsn = 3;
    journal_count = 2; /* the acceptor's */
    memset(journal, 0, 2 * sizeof journal[0]);
    step(votes, 2);
    struct step_result r = choose(1, b1, 1);
    assert_null(appended(&r, RECORD_LEARNED));
    r = choose(2, b1, 2); /* voted for at a lower ballot: perhaps for another value */
    assert_int_equal(appended(&r, RECORD_LEARNED)->entry.slot, 2);
}

/* The acceptor has voted far beyond what the learner has executed, in a life that wrote no RECORD_CHOSEN. Those that follow
 * say how far recovery looks, and that is less. */
static void a_vote_beyond_the_next_marks_window_is_recorded_again(void **state)
{
    (void)state;
    const uint64_t far = 2 + learner_window(config.alpha);
    journal[0] = (struct log_record){
        .lsn = 1, .kind = RECORD_ACCEPTED, .entry = {.slot = far, .ballot = b1, .value = incr("n", far, 1)}};
    journal_count = 1;
    learner_agent_free(agent);
    start();
    for (uint64_t slot = 1; slot < far; slot++)
        choose(slot, b1, slot);
    struct step_result r = choose(far, b1, far);
    assert_int_equal(learner_agent_status(agent).executed, far + 1);
    assert_int_equal(appended(&r, RECORD_LEARNED)->entry.slot, far);
}

/* A request HELD: what it holds, and what the others are known to hold. It answers no other request. */
static void which_learners_hold_slots_is_told(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes words[] = {{(uint8_t *)(uintptr_t)"HELD", 4}, {(uint8_t *)(uintptr_t)"CONFIGURATION", 13}};
    choose(1, b1, 1);
    tell(3, (struct message){.kind = MESSAGE_PROGRESS, .to = 2, .floor = 2});
    batch_begin(&b);
    batch_add(&b, &words[0], 1);
    const struct event asked = {.tag = EVENT_REQUEST, .val.request = {.token = 7, .value = batch_end(&b)}};
    const struct step_result r = step(&asked, 1);
    const struct client_reply *told = NULL;
    for (size_t i = 0; i < r.effects.len; i++)
        told = r.effects.ptr[i].tag == EFFECT_REPLY ? &r.effects.ptr[i].val.reply : told;
    assert_non_null(told);
    assert_int_equal(told->token, 7);
    static const int64_t numbers[] = {1, 0, 2}; /* nothing here is durable; nodes 2, which was not heard, and 3 */
    struct reply_item item;
    size_t offset = 0;
    assert_true(replies_next(&told->replies, &offset, &item));
    assert_int_equal(item.elements, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(replies_next(&told->replies, &offset, &item));
        assert_int_equal(item.integer, numbers[i]);
    }
    batch_begin(&b);
    batch_add(&b, &words[1], 1);
    const struct event other = {.tag = EVENT_REQUEST, .val.request = {.token = 8, .value = batch_end(&b)}};
    const struct step_result nothing = step(&other, 1);
    for (size_t i = 0; i < nothing.effects.len; i++)
        assert_int_not_equal(nothing.effects.ptr[i].tag, EFFECT_REPLY);
    batch_builder_free(&b);
}

static void a_restart_executes_what_the_journal_holds(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 100; slot++)
        choose(slot, b1, slot);
    uint64_t hash = learner_agent_status(agent).state_hash;
    learner_agent_free(agent);
    struct step_result r = start();
    assert_null(sent(&r, MESSAGE_EXECUTED));
    assert_int_equal(learner_agent_status(agent).executed, 101);
    assert_int_equal(learner_agent_status(agent).held, 101);
    assert_int_equal(learner_agent_status(agent).state_hash, hash);
    r = ask_result(100, 100); /* results are made anew */
    assert_int_equal(reply_in(sent(&r, MESSAGE_EXECUTED)), 100);
    r = choose(101, b1, 100);
    assert_null(sent(&r, MESSAGE_EXECUTED)); /* at most once, over restarts */
}

/* The values of slots [first, end) arrive, and with `voted` this node's acceptor votes for them. */
static void arrive(uint64_t first, uint64_t end, bool voted)
{
    struct entry entries[64];
    struct event events[65];
    size_t count = 0, event_count = 0;
    for (uint64_t slot = first; slot < end; slot++) {
        struct payload value = incr("key", slot, 1);
        memcpy(incoming[count], value.words.ptr, value.words.len * 8);
        value.words.ptr = incoming[count];
        struct entry e = {.slot = slot, .ballot = b1, .kind = ENTRY_COMMANDS, .value = value};
        entries[count++] = e;
        if (!voted)
            continue;
        memcpy(values[journal_count], value.words.ptr, value.words.len * 8);
        e.value.words.ptr = values[journal_count];
        journal[journal_count] = (struct log_record){.lsn = journal_count + 1, .kind = RECORD_ACCEPTED, .entry = e};
        lsn = ++journal_count + 1;
        events[event_count++] =
            (struct event){.tag = EVENT_APPENDED, .val.appended = {.lsn = lsn - 1, .slot = slot, .ballot = b1}};
    }
    events[event_count++] =
        from(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 1, .entries = {entries, count}});
    step(events, event_count);
}

/* All that was called durably held must be there after a restart. The journal is made so that some slots are executed
 * without a word in it, and then a whole window at once: the last values are more than a window after what it calls
 * chosen. */
static void a_restart_brings_back_all_that_was_held(void **state)
{
    uint64_t window = learner_window(config.alpha);
    for (int voted = 0; voted <= 1; voted++) {
        if (voted) {
            tear_down(state);
            set_up(state);
        }
        choose(1, b1, 1); /* writes down that slot 1 is chosen; the next word may take its time */
        arrive(2, 5, true);
        tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 5});
        assert_int_equal(learner_agent_status(agent).executed, 5);
        assert_int_equal(journal[journal_count - 1].kind, RECORD_ACCEPTED);
        arrive(5, 5 + window, voted);
        tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 5 + window});
        struct event e = durable(journal_count);
        step(&e, 1);
        assert_int_equal(learner_agent_status(agent).held, 5 + window);
        learner_agent_free(agent);
        start();
        assert_int_equal(learner_agent_status(agent).executed, 5 + window);
    }
}

/* The next life, with another alpha. */
/* The learner takes less at a time than recovery finds between two RECORD_CHOSENs, and than it has from before a restart. */
static void a_restart_recovers_more_bytes_than_are_kept_at_a_time(void **state)
{
    (void)state;
    arrive(1, 20, true);
    tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 20});
    assert_int_equal(learner_agent_status(agent).executed, 20);
    uint64_t hash = learner_agent_status(agent).state_hash;
    arrive(20, 30, true);
    learner_agent_free(agent);
    config.bytes_in_flight_max = 1;
    start();
    assert_int_equal(learner_agent_status(agent).executed, 20);
    assert_int_equal(learner_agent_status(agent).state_hash, hash);
    tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 30});
    assert_int_equal(learner_agent_status(agent).executed, 21);
    now += config.retry_interval;
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 30});
    step(NULL, 0);
    now += config.retry_interval;
    struct step_result r = step(NULL, 0);
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->message.from, 21);
}

/* Acceptors forget no vote before they hear of it, and have no room for many bytes: they are told early. */
static void progress_is_told_when_many_bytes_are_executed_and_when_they_are_held(void **state)
{
    (void)state;
    learner_agent_free(agent);
    config.bytes_in_flight_max = 100;
    start();
    struct step_result r = choose(1, b1, 1);
    assert_int_equal(sent(&r, MESSAGE_PROGRESS)->message.to, 2);
    assert_int_equal(sent(&r, MESSAGE_PROGRESS)->message.floor, 1);
    struct event e = durable(lsn - 1);
    r = step(&e, 1);
    assert_int_equal(sent(&r, MESSAGE_PROGRESS)->message.floor, 2);
    r = step(NULL, 0);
    assert_null(sent(&r, MESSAGE_PROGRESS));
}

static struct step_result restart_with(uint32_t alpha)
{
    learner_agent_free(agent);
    config.alpha = alpha;
    return start();
}

/* A journal is read with the windows of the life that wrote it: a smaller setting finds no less in it. */
static void another_alpha_recovers_the_same(void **state)
{
    static const uint32_t alphas[] = {16, 2, 8, 1, 16};
    uint64_t next = 1;
    for (size_t life = 0; life < sizeof alphas / sizeof alphas[0]; life++) {
        struct step_result r = restart_with(alphas[life]);
        const uint64_t window = learner_window(config.alpha);
        assert_int_equal(learner_agent_status(agent).executed, next);
        assert_int_equal(count_effects(&r, EFFECT_APPEND), life > 0); /* an empty journal needs no word */
        if (life > 0) {
            assert_int_equal(appended(&r, RECORD_CHOSEN)->entry.slot, next);
            assert_int_equal(appended(&r, RECORD_CHOSEN)->to, next);
            assert_int_equal(appended(&r, RECORD_CHOSEN)->entry.value.words.ptr[0], window);
        }
        arrive(next, next + window, true);
        next += window;
        tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = next});
        assert_int_equal(learner_agent_status(agent).executed, next);
        now += 10 * config.exec_interval;
        step(NULL, 0); /* writes that down */
    }
    struct step_result same = restart_with(16);
    assert_int_equal(learner_agent_status(agent).executed, next);
    assert_int_equal(count_effects(&same, EFFECT_APPEND), 0);
    (void)state;
}

static void damaged_at(struct step_result r, uint64_t slot)
{
    assert_int_equal(r.effects.len, 1);
    assert_int_equal(effect_of(&r, EFFECT_DAMAGED, 0)->val.damaged, slot);
}

/* A journal that says of a slot that it holds it, and does not. */
static void a_mark_that_is_not_reached_is_damage(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 10; slot++)
        choose(slot, b1, slot);
    size_t values_left_out = 0;
    for (size_t i = 0; i < journal_count; i++) {
        struct log_record was = journal[i];
        if (was.kind == RECORD_LEARNED) {
            journal[i].kind = RECORD_FLOOR; /* of no meaning here */
            damaged_at(restart_with(config.alpha), was.entry.slot);
            values_left_out++;
        } else if (was.to > 2) {
            journal[i].entry.slot++; /* from after a gap */
            damaged_at(restart_with(config.alpha), was.entry.slot);
            journal[i].entry.slot--;
            journal[i].entry.value.len = 0; /* without a window */
            damaged_at(restart_with(config.alpha), was.entry.slot);
        }
        journal[i] = was;
    }
    assert_int_equal(values_left_out, 10);
    restart_with(config.alpha);
    assert_int_equal(learner_agent_status(agent).executed, 11);
}

static void peers_get_chosen_slots_from_the_journal(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 10; slot++)
        choose(slot, b1, slot);
    struct step_result r = tell(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 3, .to = 1000});
    const struct effect *read = effect_of(&r, EFFECT_READ, 0);
    assert_non_null(read);
    size_t first = (size_t)read->val.read.from - 1, end = (size_t)read->val.read.to - 1;
    assert_true(first < end && end <= journal_count);
    struct event e = {.tag = EVENT_RECORDS, .val.records = {journal + first, end - first}};
    r = step(&e, 1);
    const struct outgoing *learn = sent(&r, MESSAGE_LEARN);
    assert_int_equal(learn->to, node_set_of(2));
    assert_true(learn->message.flags & MESSAGE_IS_CHOSEN);
    assert_int_equal(learn->message.entries.ptr[0].slot, 3);
}

static void a_gap_is_asked_for(void **state)
{
    (void)state;
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 20});
    struct step_result r = tell(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 11});
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->to, node_set_of(2));
    assert_true(sent(&r, MESSAGE_LEARN_REQUEST)->message.from == 1 && sent(&r, MESSAGE_LEARN_REQUEST)->message.to == 11);
}

/* All leaders may have been replaced while it was down: it knows none of them, and they say nothing to it. */
static void what_peers_have_executed_is_asked_for_without_a_leader(void **state)
{
    (void)state;
    struct step_result r = tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 20});
    assert_null(sent(&r, MESSAGE_LEARN_REQUEST)); /* a leader may just be about to tell */
    assert_true(r.wake_at <= now + config.retry_interval);
    now += config.retry_interval;
    r = step(NULL, 0);
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->to, node_set_of(2));
    assert_int_equal(sent(&r, MESSAGE_LEARN_REQUEST)->message.from, 1);
    assert_true(sent(&r, MESSAGE_LEARN_REQUEST)->message.to > 1);
}

/* Nodes 2 and 3 have new disks, in a configuration that was chosen in slot 20. */
static struct payload others_replaced(void)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    *t = (struct configuration_text){.delay = 8, .setting_count = 3};
    t->settings[0] = (struct configuration_setting){"alpha", "8"};
    t->settings[1] = (struct configuration_setting){"phase1_quorum", "2"};
    t->settings[2] = (struct configuration_setting){"phase2_quorum", "2"};
    for (uint32_t node = 1; node <= 9; node++) {
        struct member *m = &t->members[node];
        *m = (struct member){.node = node, .duties = node < 4 ? DUTY_LEARNS : node < 7 ? DUTY_ACCEPTS : DUTY_PROPOSES};
        *m->instance = (uint8_t)node;
        m->number = node == 2 || node == 3;
        snprintf(m->address, sizeof m->address, "10.0.0.%u:7000", node);
        snprintf(m->client, sizeof m->client, "-");
    }
    assert_null(configuration_check(t));
    const struct payload text = configuration_pack(t);
    free(t);
    return text;
}

static void a_leader_tells_who_has_taken_the_place_of_all_peers(void **state)
{
    (void)state;
    struct payload text = others_replaced();
    struct entry value = {.slot = 30, .ballot = b1, .kind = ENTRY_COMMANDS, .value = incr("key", 1, 1)};
    struct entry entry = {.kind = ENTRY_CONFIGURATION, .slot = 20, .value = text};
    const struct message accept = {
        .kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .to = 20, .chosen = 1, .entries = {&value, 1}};
    struct message answer = {.kind = MESSAGE_CONFIGURATION, .from = 20, .to = 28, .entries = {&entry, 1}};
    struct step_result r = tell(8, accept);
    assert_null(sent(&r, MESSAGE_CONFIGURATION)); /* it may be about to execute that configuration */
    r = tell(8, answer);
    assert_null(effect_of(&r, EFFECT_CONFIGURATION, 0)); /* it was not asked for */
    now += config.retry_interval;
    r = tell(8, accept);
    assert_int_equal(sent(&r, MESSAGE_CONFIGURATION)->to, node_set_of(8));
    assert_int_equal(sent(&r, MESSAGE_CONFIGURATION)->message.from, 0);
    const uint64_t question = sent(&r, MESSAGE_CONFIGURATION)->message.batch.number;
    r = tell(8, answer);
    assert_null(effect_of(&r, EFFECT_CONFIGURATION, 0)); /* who says this was not asked */
    answer.batch.number = question;
    r = tell(8, answer);
    assert_int_equal(effect_of(&r, EFFECT_CONFIGURATION, 0)->val.configuration.configuration.slot, 20);
    assert_int_equal(effect_of(&r, EFFECT_CONFIGURATION, 0)->val.configuration.text.len, text.len);
    now += config.retry_interval;
    r = tell(8, accept);
    assert_null(sent(&r, MESSAGE_CONFIGURATION));
    payload_free(&text);
}

/* A peer's word for a slot is enough; an acceptor's vote is one of a quorum. */
static void learned_entries_are_executed(void **state)
{
    (void)state;
    struct entry e = {.slot = 1, .ballot = b1, .kind = ENTRY_COMMANDS, .value = incr("key", 1, 1)};
    struct message m = {.kind = MESSAGE_LEARN, .entries = {&e, 1}};
    tell(4, m);
    assert_int_equal(learner_agent_status(agent).executed, 1);
    tell(5, m);
    assert_int_equal(learner_agent_status(agent).executed, 2);
    e.slot = 2;
    e.value = incr("key", 2, 1);
    m.flags = MESSAGE_IS_CHOSEN | MESSAGE_LAST;
    tell(2, m);
    assert_int_equal(learner_agent_status(agent).executed, 3);
}

static void the_word_of_no_leader_chooses_nothing(void **state)
{
    (void)state;
    struct entry e = {.slot = 1, .ballot = b1, .kind = ENTRY_COMMANDS, .value = incr("key", 1, 1)};
    tell(4, (struct message){.kind = MESSAGE_LEARN, .entries = {&e, 1}}); /* one vote */
    tell(8, (struct message){.kind = MESSAGE_CHOSEN, .from = 1, .chosen = 2});
    assert_int_equal(learner_agent_status(agent).executed, 1);
}

/* What a node says about slots that do not exist yet loses its effect with the leader's next message. */
static void slots_beyond_all_bounds_do_not_last(void **state)
{
    (void)state;
    tell(9,
         (struct message){.kind = MESSAGE_CHOSEN, .ballot = ballot_of(SLOT_MAX - 1, 9), .from = 1, .chosen = SLOT_MAX - 1});
    tell(5, (struct message){.kind = MESSAGE_ACCEPTED, .ballot = b1, .from = 1, .to = SLOT_MAX - 1});
    tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = SLOT_MAX - 1});
    struct step_result r = tell(2, (struct message){.kind = MESSAGE_LEARN_REQUEST, .from = 0, .to = SLOT_MAX - 1});
    assert_int_equal(count_effects(&r, EFFECT_READ), 0);
    choose(1, b1, 1);
    assert_int_equal(learner_agent_status(agent).chosen, 2);
    assert_int_equal(learner_agent_status(agent).executed, 2);
    assert_int_equal(learner_agent_status(agent).leader, b1.node);
}

static size_t count_learned(const struct step_result *r)
{
    const struct effect *e;
    size_t learned = 0;
    for (size_t n = 0; (e = effect_of(r, EFFECT_APPEND, n)) != NULL; n++)
        learned += e->val.append.kind == RECORD_LEARNED;
    return learned;
}

/* A step executes so much, and asks to be called again for the rest. */
static void much_is_executed_in_several_steps(void **state)
{
    (void)state;
    learner_agent_free(agent);
    config.bytes_in_flight_max = 8 << 20;
    start();
    struct payload big = {.words = {calloc(1 << 17, 8), 1 << 17}, .len = 1 << 20};
    struct step_result r = {0};
    for (uint64_t slot = 1; slot <= 6; slot++) {
        struct entry e = {.slot = slot, .ballot = b1, .kind = ENTRY_NOOP, .value = big};
        struct event value =
            from(8, (struct message){.kind = MESSAGE_ACCEPT, .ballot = b1, .from = 1, .chosen = 1, .entries = {&e, 1}});
        learner_agent_step(agent, now, lsn, &value, 1);
    }
    struct event chosen = from(8, (struct message){.kind = MESSAGE_CHOSEN, .ballot = b1, .from = 1, .chosen = 7});
    r = learner_agent_step(agent, now, lsn, &chosen, 1);
    size_t learned = count_learned(&r);
    for (uint64_t executed = 2; executed < 7; executed++) {
        assert_int_equal(learner_agent_status(agent).executed, executed);
        assert_int_equal(r.wake_at, now);
        lsn += count_effects(&r, EFFECT_APPEND);
        r = learner_agent_step(agent, now, lsn, NULL, 0);
        learned += count_learned(&r);
    }
    assert_int_equal(learner_agent_status(agent).executed, 7);
    assert_int_equal(learned, 6); /* each value is written once */
    assert_true(r.wake_at > now);
    free(big.words.ptr);
}

/* An acceptor of the same node may be far ahead of its learner: such votes must not make it remember every slot between. */
static void votes_far_ahead_take_no_memory(void **state)
{
    (void)state;
    struct event e = {.tag = EVENT_APPENDED, .val.appended = {.lsn = 1, .slot = SLOT_MAX - 1, .ballot = b1}};
    journal_count = 1;
    lsn = 2;
    step(&e, 1);
    assert_int_equal(learner_agent_status(agent).executed, 1);
}

/* P13. */
static void progress_tells_a_hash_that_others_can_compare(void **state)
{
    (void)state;
    struct step_result r = {0};
    uint64_t hash = 0;
    for (uint64_t slot = 1; slot <= 70; slot++) {
        r = choose(slot, b1, slot);
        if (slot == 63)
            hash = learner_agent_status(agent).state_hash;
    }
    now += 1000000;
    r = step(NULL, 0);
    const struct outgoing *progress = sent(&r, MESSAGE_PROGRESS);
    assert_int_equal(progress->to, 0x3fe);
    assert_int_equal(progress->message.to, 71);
    assert_int_equal(progress->message.from, 64);
    assert_int_equal(progress->message.batch.number, hash);
}

/* P13: the last thing that leaves a learner that differs from the others is the hash of its state. */
static void who_differs_from_the_others_says_so_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 70; slot++)
        choose(slot, b1, slot);
    struct message m = {.kind = MESSAGE_PROGRESS, .to = 70, .from = 64, .batch = {.number = 123}};
    tell(2, m);
    struct step_result r = tell(3, m);
    assert_int_equal(r.effects.len, 1);
    assert_int_equal(sent(&r, MESSAGE_PROGRESS)->message.from, 64);
    assert_true(r.wake_at <= now);
    r = choose(71, b1, 71);
    assert_int_equal(r.effects.len, 1);
    assert_int_equal(effect_of(&r, EFFECT_DIVERGED, 0)->val.diverged, 64);
}

/* P13: a learner that has heard of another state does not answer until a majority has said the same as it. */
static void in_doubt_nobody_is_answered(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 70; slot++)
        choose(slot, b1, slot);
    uint64_t hash = learner_agent_status(agent).state_hash;
    for (uint64_t slot = 71; slot <= 128; slot++) {
        choose(slot, b1, slot);
        hash = slot == 127 ? learner_agent_status(agent).state_hash : hash;
    }
    struct message other = {.kind = MESSAGE_PROGRESS, .to = 128, .from = 128, .batch = {.number = hash + 1}};
    struct message same = {.kind = MESSAGE_PROGRESS, .to = 128, .from = 128, .batch = {.number = hash}};
    struct message ask = {.kind = MESSAGE_RESULT_REQUEST, .from = 127, .batch = {7, 1, 127}};
    tell(2, other);
    struct step_result r = choose(129, b1, 129);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    r = tell(7, ask);
    assert_null(sent(&r, MESSAGE_EXECUTED));
    now += 100000;
    r = step(NULL, 0);
    assert_int_equal(sent(&r, MESSAGE_PROGRESS)->message.batch.number, hash); /* soon: the others may be in doubt, too */
    assert_int_equal(r.wake_at, now + 100000);
    tell(3, same);
    r = tell(7, ask);
    assert_non_null(sent(&r, MESSAGE_EXECUTED));
    r = choose(130, b1, 130);
    assert_non_null(sent(&r, MESSAGE_EXECUTED));
}

static void a_doubt_that_lasts_stops_the_learner(void **state)
{
    (void)state;
    for (uint64_t slot = 1; slot <= 70; slot++)
        choose(slot, b1, slot);
    struct step_result r = tell(2, (struct message){.kind = MESSAGE_PROGRESS, .to = 70, .from = 64, .batch = {.number = 1}});
    for (int i = 0; i < 60 && effect_of(&r, EFFECT_DIVERGED, 0) == NULL; i++) {
        assert_true(r.wake_at <= now + 100000);
        now += 100000;
        r = step(NULL, 0);
    }
    assert_int_equal(effect_of(&r, EFFECT_DIVERGED, 0)->val.diverged, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- Reads ---- */

static struct step_result query(uint64_t number, uint64_t index)
{
    static struct batch_builder b;
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"GET", 3}, {(uint8_t *)(uintptr_t)"key", 3}};
    batch_begin(&b);
    batch_add(&b, args, 2);
    struct entry e = {.kind = ENTRY_COMMANDS, .value = batch_end(&b)};
    return tell(8, (struct message){.kind = MESSAGE_QUERY, .batch = {8, 1, number}, .to = index, .entries = {&e, 1}});
}

/* P9: it reflects all slots below its index. */
static void a_read_waits_until_its_index_is_executed(void **state)
{
    (void)state;
    struct step_result r = query(1, 1);
    const struct outgoing *answer = sent(&r, MESSAGE_QUERY_ANSWER);
    assert_int_equal(answer->to, node_set_of(8));
    assert_int_equal(answer->message.batch.number, 1);
    assert_int_equal(answer->message.to, 1);
    assert_int_equal(replies_count(&answer->message.entries.ptr[0].value), 1);
    r = query(2, 3);
    assert_null(sent(&r, MESSAGE_QUERY_ANSWER));
    r = query(2, 3); /* asked again */
    r = choose(1, b1, 1);
    assert_null(sent(&r, MESSAGE_QUERY_ANSWER));
    r = choose(2, b1, 2);
    assert_int_equal(count_sent(&r, MESSAGE_QUERY_ANSWER), 1);
    assert_int_equal(sent(&r, MESSAGE_QUERY_ANSWER)->message.to, 3);
    assert_int_equal(learner_agent_status(agent).commands_executed, 2); /* reads are in no slot */
}

/* Its proposer has told the clients something else by then. */
static void a_read_that_waits_too_long_is_forgotten(void **state)
{
    (void)state;
    query(1, 2);
    now += config.request_timeout;
    struct step_result r = choose(1, b1, 1);
    assert_null(sent(&r, MESSAGE_QUERY_ANSWER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chosen_batch_is_executed_and_answered),
        TEST(only_the_learner_asked_answers),
        TEST(a_read_waits_until_its_index_is_executed),
        TEST(a_read_that_waits_too_long_is_forgotten),
        TEST(a_batch_is_executed_at_most_once),
        TEST(results_tell_what_a_slot_held),
        TEST(a_step_tells_so_many_results_at_most),
        TEST(a_value_that_is_no_batch_changes_nothing),
        TEST(another_alpha_recovers_the_same),
        TEST(a_mark_that_is_not_reached_is_damage),
        TEST(an_executed_slot_is_recorded),
        TEST(a_vote_in_the_journal_is_not_recorded_again),
        TEST(a_vote_beyond_the_next_marks_window_is_recorded_again),
        TEST(which_learners_hold_slots_is_told),
        TEST(a_restart_executes_what_the_journal_holds),
        TEST(a_restart_brings_back_all_that_was_held),
        TEST(a_restart_recovers_more_bytes_than_are_kept_at_a_time),
        TEST(progress_is_told_when_many_bytes_are_executed_and_when_they_are_held),
        TEST(peers_get_chosen_slots_from_the_journal),
        TEST(a_gap_is_asked_for),
        TEST(what_peers_have_executed_is_asked_for_without_a_leader),
        TEST(a_leader_tells_who_has_taken_the_place_of_all_peers),
        TEST(learned_entries_are_executed),
        TEST(the_word_of_no_leader_chooses_nothing),
        TEST(slots_beyond_all_bounds_do_not_last),
        TEST(much_is_executed_in_several_steps),
        TEST(votes_far_ahead_take_no_memory),
        TEST(progress_tells_a_hash_that_others_can_compare),
        TEST(who_differs_from_the_others_says_so_and_nothing_else),
        TEST(in_doubt_nobody_is_answered),
        TEST(a_doubt_that_lasts_stops_the_learner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
