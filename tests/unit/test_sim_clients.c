/* sim/clients.c: what clients send, to whom, and what they make of answers; then whole runs against nodes that are played
 * here, with the real kv-store: whatever becomes of batches, the history is linearizable, and when the nodes cheat, the
 * judge says so. */
#include "tests/unit/clients_sim_fixture.h"

static const struct credit any = {1, 1};

/* ---- By hand ---- */

/* Time goes on until some client has sent something; to which node. */
static uint32_t until_sent(struct fake *f)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint64_t next = clients_next(f->clients);
        assert_true(next != UINT64_MAX);
        f->now = next > f->now ? next : f->now;
        node_set nodes = clients_run(f->clients, f->now);
        if (nodes == 0)
            continue;
        assert_int_equal(node_set_count(nodes), 1);
        assert_true(clients_waiting(f->clients, node_set_first(nodes), any));
        return node_set_first(nodes);
    }
    fail_msg("nothing is ever sent");
    return 0;
}

/* The same until it is a batch. */
static struct held until_batch(struct fake *f)
{
    uint32_t node = until_sent(f);
    assert_int_equal(receive(f, node, 1), 1);
    return f->held[f->held_count - 1];
}

static const struct operation *last_operation(const struct fake *f)
{
    return history_get(f->history, history_count(f->history) - 1);
}

static void a_client_finds_the_leader_and_waits(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 1);
    struct fake *f = fake_new(&options);
    set_leader(f, 3);
    for (int i = 0; i < 50; i++) {
        struct held h = until_batch(f);
        uint64_t called = last_operation(f)->call_us, sent = f->now;
        assert_int_equal(h.node, 3);
        assert_true(called <= sent);
        assert_int_equal(clients_next(f->clients), called + options.patience_us);
        assert_int_equal(clients_run(f->clients, f->now), 0);
        f->now += 500;
        assert_true(answer_first(f, OUTCOME_EXECUTED));
        assert_int_equal(last_operation(f)->outcome, OPERATION_OK);
        assert_int_equal(last_operation(f)->return_us, f->now);
        assert_true(clients_next(f->clients) > f->now);
        assert_true(clients_next(f->clients) <= f->now + 2 * options.think_us + 1);
    }
    struct clients_statistics s = clients_statistics(f->clients);
    assert_int_equal(s.executed, 50);
    assert_true(s.commands == 50 + s.refused && s.unknown == 0 && s.moved > 0);
    assert_int_equal(s.batches, 50);
    fake_free(f);
}

/* Sends a command until a refusal of this kind does not make its client let it be; gives the batch that was refused. */
static struct held refuse_until_repeated(struct fake *f, uint8_t outcome)
{
    for (int tries = 0; tries < 100; tries++) {
        struct held h = until_batch(f);
        h.value = payload_copy(&h.value);
        assert_true(answer_first(f, outcome));
        if (last_operation(f)->outcome == OPERATION_PENDING)
            return h;
        assert_int_equal(last_operation(f)->outcome, OPERATION_REFUSED);
        payload_free(&h.value);
    }
    fail_msg("no command is ever sent again");
    return (struct held){0};
}

/* The batch has the same commands, after another first one. */
static void check_repeated(struct fake *f, const struct held *again, struct held *first)
{
    struct batch_commands a = {0};
    assert_true(batch_commands_read(&a, &first->value));
    assert_true(batch_commands_read(&f->commands, &again->value));
    assert_int_equal(a.count, f->commands.count);
    for (size_t i = 0; i < a.count; i++) {
        const struct bytes_list *x = &a.commands[i].args, *y = &f->commands.commands[i].args;
        bool same = x->len == y->len;
        for (size_t k = 0; k < x->len && same; k++)
            same = x->ptr[k].len == y->ptr[k].len && memcmp(x->ptr[k].ptr, y->ptr[k].ptr, x->ptr[k].len) == 0;
        assert_true(same == (i > 0));
    }
    batch_commands_free(&a);
    payload_free(&first->value);
}

static void what_was_refused_is_sent_again(void **state)
{
    (void)state;
    static const uint8_t outcomes[] = {OUTCOME_MOVED, OUTCOME_BUSY};
    for (size_t i = 0; i < 2; i++) {
        struct clients_options options = options_of(1, 1);
        options.patience_us = 100 * (uint64_t)SECOND;
        struct fake *f = fake_new(&options);
        struct held first = refuse_until_repeated(f, outcomes[i]);
        size_t operations = history_count(f->history);
        uint64_t refused_at = f->now;
        if (outcomes[i] == OUTCOME_MOVED)
            set_leader(f, 2);
        struct held again = until_batch(f);
        assert_int_equal(history_count(f->history), operations);
        assert_int_equal(again.node, outcomes[i] == OUTCOME_MOVED ? 2 : 1);
        assert_true(f->now > refused_at);
        check_repeated(f, &again, &first);
        assert_true(answer_first(f, OUTCOME_EXECUTED));
        assert_int_equal(last_operation(f)->outcome, OPERATION_OK);
        assert_true(last_operation(f)->call_us <= refused_at);
        fake_free(f);
    }
}

/* UNKNOWN, a node that goes down with the batch, patience that is over: the next batch holds another operation. */
static void what_may_have_happened_is_never_sent_again(void **state)
{
    (void)state;
    enum { UNKNOWN, DOWN, UP_AGAIN, IMPATIENCE, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct clients_options options = options_of(1, 1);
        struct fake *f = fake_new(&options);
        struct held h = until_batch(f);
        size_t number = history_count(f->history) - 1;
        if (way == UNKNOWN) {
            assert_true(answer_first(f, OUTCOME_UNKNOWN));
        } else if (way == DOWN) {
            clients_node_down(f->clients, 1, f->now);
            f->up &= ~node_set_of(1);
            set_leader(f, 2);
        } else if (way == UP_AGAIN) {
            clients_node_up(f->clients, 1, f->now);
            set_leader(f, 1);
        } else {
            f->now = clients_next(f->clients);
            assert_int_equal(f->now, history_get(f->history, number)->call_us + options.patience_us);
            assert_int_equal(clients_run(f->clients, f->now), 0);
        }
        assert_int_equal(history_get(f->history, number)->outcome, OPERATION_UNKNOWN);
        assert_true(history_get(f->history, number)->return_us == UINT64_MAX);
        struct held next = until_batch(f);
        assert_int_equal(next.node, way == DOWN ? 2 : 1);
        assert_true(history_count(f->history) > number + 1);
        assert_int_equal(clients_statistics(f->clients).unknown, 1);
        /* Only a batch that its client has given up may still be answered; that changes nothing. */
        struct reply replies[2] = {mark_reply(h.reads), right_reply(history_get(f->history, number)->kind)};
        assert_true(reply_with(f, &h, replies, 2) == (way == IMPATIENCE));
        assert_int_equal(history_get(f->history, number)->outcome, OPERATION_UNKNOWN);
        fake_free(f);
    }
}

/* What no batch held yet when the node went away was never seen by it. */
/* In a session, which is opened first, it is sent again, as the same command; the first answer counts. */
static void in_a_session_it_is_sent_again(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 1);
    options.sessions = true;
    options.patience_us = 100 * (uint64_t)SECOND;
    struct fake *f = fake_new(&options);
    size_t again = 0, lost = SIZE_MAX;
    for (uint64_t id = 100; again < 20; id++) {
        const struct held h = until_batch(f);
        const size_t number = history_count(f->history) - 1;
        const struct operation o = *last_operation(f);
        struct reply replies[3] = {mark_reply(h.reads), {.tag = REPLY_INTEGER, .val.integer = (int64_t)id}};
        if (o.kind != OPERATION_OPEN)
            replies[1] = replies[2] = right_reply(o.kind); /* it may have been sent twice */
        assert_true((o.session != 0) == (o.kind != OPERATION_OPEN && o.kind != OPERATION_GET));
        if (lost != SIZE_MAX && lost != number) /* its client has let it be */
            assert_int_equal(history_get(f->history, lost)->outcome, OPERATION_UNKNOWN);
        again += lost == number;
        lost = o.session != 0 && lost != number ? number : SIZE_MAX;
        if (lost == number)
            assert_true(answer(f, &h, OUTCOME_UNKNOWN, NULL));
        else
            assert_true(reply_with(f, &h, replies, f->commands.count));
        assert_true(history_get(f->history, number)->outcome != OPERATION_PENDING || lost == number);
        while (f->held_count > 0)
            payload_free(&f->held[--f->held_count].value);
    }
    assert_true(clients_statistics(f->clients).unknown < 20); /* some it lets be */
    fake_free(f);
}

static void what_waits_at_a_port_is_refused_when_its_node_goes(void **state)
{
    (void)state;
    struct clients_options options = options_of(20, 4);
    struct fake *f = fake_new(&options);
    f->now = SECOND;
    while (!clients_waiting(f->clients, 1, any)) {
        clients_run(f->clients, f->now);
        f->now += 1000;
    }
    size_t begun = history_count(f->history);
    clients_node_down(f->clients, 1, f->now);
    for (size_t i = 0; i < begun; i++) {
        const struct operation *o = history_get(f->history, i);
        assert_true(o->outcome == OPERATION_PENDING || o->outcome == OPERATION_REFUSED);
    }
    assert_false(clients_waiting(f->clients, 1, any));
    assert_int_equal(clients_statistics(f->clients).unknown, 0);
    fake_free(f);
}

static void all_is_done_when_no_batch_is_left(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 1);
    struct fake *f = fake_new(&options);
    until_sent(f);
    clients_stop(f->clients);
    assert_false(clients_done(f->clients));
    assert_int_equal(receive(f, 1, 1), 1);
    assert_false(clients_done(f->clients));
    f->now = clients_next(f->clients);
    clients_run(f->clients, f->now); /* its client gives up */
    assert_true(clients_next(f->clients) == UINT64_MAX);
    assert_false(clients_done(f->clients));
    assert_true(answer_first(f, OUTCOME_EXECUTED));
    assert_true(clients_done(f->clients));
    fake_free(f);
}

static void reads_that_fail_are_repeated_after_resuming(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 3);
    struct fake *f = fake_new(&options);
    clients_stop(f->clients);
    clients_resume(f->clients, f->now);
    uint64_t executed = 0;
    for (int round = 0; !clients_done(f->clients); round++) {
        until_batch(f);
        executed += round % 2 == 1 ? f->commands.count - 1 : 0;
        assert_true(answer_first(f, round % 2 == 0 ? OUTCOME_UNKNOWN : OUTCOME_EXECUTED));
    }
    assert_int_equal(executed, options.keys);
    assert_int_equal(clients_statistics(f->clients).executed, options.keys);
    assert_true(clients_statistics(f->clients).unknown > 0);
    fake_free(f);
}

static void a_port_says_who_leads(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 1);
    options.patience_us = 100 * (uint64_t)SECOND;
    options.ports = node_set_of(1);
    struct fake *f = fake_new(&options);
    assert_int_equal(until_sent(f), 1);
    clients_leader(f->clients, 1, 1);
    assert_true(clients_waiting(f->clients, 1, any));
    clients_leader(f->clients, 1, 2); /* before the node has asked for commands */
    assert_false(clients_waiting(f->clients, 1, any));
    assert_int_equal(clients_statistics(f->clients).moved, 1);
    clients_forward(f->clients, 1, true); /* now it keeps them, but not while there is no leader */
    assert_int_equal(until_sent(f), 1);
    clients_leader(f->clients, 1, 3);
    assert_true(clients_waiting(f->clients, 1, any));
    clients_leader(f->clients, 1, 0);
    assert_false(clients_waiting(f->clients, 1, any));
    assert_int_equal(clients_statistics(f->clients).moved, 2);
    fake_free(f);
}

static void a_port_with_too_much_is_busy(void **state)
{
    (void)state;
    struct clients_options options = options_of(50, 40);
    struct fake *f = fake_new(&options);
    size_t taken = 0;
    f->now = SECOND;
    for (int i = 0; i < 20; i++, f->now += 1000)
        clients_run(f->clients, f->now);
    assert_true(clients_statistics(f->clients).busy > 0);
    while (receive_each(f, 1, (struct credit){.commands = 1}) > 0)
        taken += f->commands.count - 1;
    assert_int_equal(taken, 256);
    fake_free(f);
}

/* Its port is not read, so its clients wait. */
static void a_port_of_a_paused_node_says_nothing(void **state)
{
    (void)state;
    struct clients_options options = options_of(50, 40);
    struct fake *f = fake_new(&options);
    f->now = SECOND;
    clients_node_pauses(f->clients, 1, f->now + 20000);
    for (int i = 0; i < 20; i++, f->now += 1000)
        clients_run(f->clients, f->now);
    assert_int_equal(clients_statistics(f->clients).busy, 0);
    fake_free(f);
}

/* ---- Answers that do not fit ---- */

static void answers_must_fit(void **state)
{
    (void)state;
    enum {
        RIGHT,
        WRONG_REPLY,
        ONE_MISSING,
        ONE_TOO_MANY,
        MARK_IS_SET,
        NO_REPLIES,
        NO_OUTCOME,
        OTHER_NODE,
        OTHER_TOKEN,
        WAYS
    };
    bool kinds[OPERATION_KINDS] = {false};
    for (uint64_t i = 0; i < 300; i++) {
        struct clients_options options = options_of(1, 1);
        uint64_t way = i % WAYS;
        options.seed = i / WAYS;
        struct fake *f = fake_new(&options);
        struct held h = until_batch(f);
        size_t number = history_count(f->history) - 1;
        uint8_t kind = history_get(f->history, number)->kind;
        struct reply list[3] = {mark_reply(h.reads), right_reply(kind), {.tag = REPLY_NIL}};
        if (way == WRONG_REPLY)
            list[1] = wrong_reply(kind);
        if (way == MARK_IS_SET)
            list[0] = text_reply(REPLY_BYTES, "w1");
        h.node = way == OTHER_NODE ? 2 : 1;
        h.token += way == OTHER_TOKEN ? 1 : 0;
        bool fits = way == NO_REPLIES   ? answer(f, &h, OUTCOME_EXECUTED, NULL)
                    : way == NO_OUTCOME ? answer(f, &h, OUTCOME_UNKNOWN + 1, NULL)
                                        : reply_with(f, &h, list,
                                                     way == ONE_MISSING    ? 1
                                                     : way == ONE_TOO_MANY ? 3
                                                                           : 2);
        assert_true(fits == (way == RIGHT));
        bool happened = way == RIGHT || way == MARK_IS_SET, open = way == OTHER_NODE || way == OTHER_TOKEN;
        assert_int_equal(history_get(f->history, number)->outcome, happened ? OPERATION_OK
                                                                   : open   ? OPERATION_PENDING
                                                                            : OPERATION_UNKNOWN);
        assert_true(reply_with(f, &h, list, 2) == false); /* never twice */
        kinds[kind] = true;
        fake_free(f);
    }
    for (size_t kind = 0; kind < OPERATION_OPEN; kind++)
        assert_true(kinds[kind]);
}

/* ---- Reads ---- */

/* A port gathers reads into batches of their own; a client that sends others with them has all of them in the log. */
static void reads_have_batches_of_their_own(void **state)
{
    (void)state;
    for (uint32_t rate = 0; rate <= 1000000; rate += 500000) {
        struct clients_options options = options_of(1, 8);
        options.reads_rate = rate;
        struct fake *f = fake_new(&options);
        for (int i = 0; i < 200; i++) {
            until_batch(f);
            while (f->held_count > 0)
                assert_true(answer_first(f, OUTCOME_EXECUTED));
        }
        assert_true(rate == 0 || f->reads > 50);
        assert_int_equal(f->others == 0, rate == 1000000);
        fake_free(f);
    }
}

/* The replies to a round of one client: right ones, but for the read number `at`, which shows the word of an operation. */
static bool show(struct fake *f, const struct held *h, size_t first, size_t at, size_t word_of)
{
    struct reply list[12] = {mark_reply(h->reads)};
    const size_t count = history_count(f->history) - first;
    assert_true(count < 12);
    for (size_t i = 0; i < count; i++)
        list[1 + i] = right_reply(history_get(f->history, first + i)->kind);
    list[1 + at] = text_reply(REPLY_BYTES, history_get(f->history, word_of)->value);
    return reply_with(f, h, list, 1 + count);
}

/* The number of the first SET of a key, from operation number `from` on; the number of all: there is none. */
static size_t set_from(const struct fake *f, size_t from, uint32_t key)
{
    const size_t count = history_count(f->history);
    for (; from < count; from++) {
        const struct operation *o = history_get(f->history, from);
        if (o->key == key && o->kind == OPERATION_SET)
            break;
    }
    return from;
}

/* Of a key that is only written as a whole: a read shows no older word than that of a write before it in its round, and not
 * that of one after it. */
static void reads_are_in_the_order_of_their_round(void **state)
{
    size_t older = 0, later = 0, right = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct clients_options options = options_of(1, 10);
        options.keys = 1;
        options.value_bytes_max = 0;
        options.seed = seed;
        struct fake *f = fake_new(&options);
        until_batch(f);
        assert_true(answer_first(f, OUTCOME_EXECUTED));
        const size_t first = history_count(f->history), old = set_from(f, 0, 1);
        f->now += 1000;
        struct held h = until_batch(f);
        const size_t set = set_from(f, first, 1), count = history_count(f->history);
        for (size_t i = first; i < count && set < count; i++) {
            const struct operation *o = history_get(f->history, i);
            if (o->kind != OPERATION_GET || o->key != 1)
                continue;
            const bool shows_older = i > set && old < first;
            if (!shows_older && i > set)
                continue;
            const size_t word_of = shows_older ? old : seed % 2 == 0 || old >= first ? set : old;
            const bool wrong = shows_older || word_of == set;
            assert_true(show(f, &h, first, i - first, word_of) == !wrong);
            older += shows_older;
            later += wrong && !shows_older;
            right += !wrong;
            break;
        }
        fake_free(f);
    }
    assert_true(older > 10 && later > 10 && right > 10);
}

/* Long values are words to the history, if every byte is right. */
/* What the state machine refused for want of room did not happen: for its reply, and then it is sent again; or for its
 * value. */
static void the_state_machine_may_refuse(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct clients_options options = options_of(1, 1);
        options.may_be_refused = way < 2;
        struct fake *f = fake_new(&options);
        struct held h = until_batch(f);
        size_t number = history_count(f->history) - 1;
        const char *text = way % 2 == 0 ? "BUSY no room for this one" : "OOM command not allowed";
        struct reply list[2] = {mark_reply(h.reads), text_reply(REPLY_ERROR, text)};
        h.node = 1;
        assert_true(reply_with(f, &h, list, 2) == (way < 2));
        const uint8_t outcome = history_get(f->history, number)->outcome;
        assert_true(way == 0   ? outcome == OPERATION_PENDING || outcome == OPERATION_REFUSED
                    : way == 1 ? outcome == OPERATION_REFUSED
                               : outcome == OPERATION_UNKNOWN);
        assert_int_equal(clients_statistics(f->clients).no_reply_room, way == 0);
        assert_int_equal(clients_statistics(f->clients).no_state_room, way == 1);
        fake_free(f);
    }
}

static void long_values_are_checked_whole(void **state)
{
    (void)state;
    struct clients_options options = options_of(1, 1);
    struct fake *f = fake_new(&options);
    char value[100], word[24] = "";
    while (f->largest < options.value_bytes_max) {
        until_batch(f);
        if (f->largest == options.value_bytes_max) {
            memcpy(value, f->commands.commands[1].args.ptr[2].ptr, sizeof value);
            memcpy(word, last_operation(f)->value, sizeof word);
        }
        answer_first(f, OUTCOME_EXECUTED);
    }
    assert_int_equal(memcmp(value, word, strlen(word)), 0);
    for (int way = 0; way < 4;) {
        struct held h = until_batch(f);
        const struct operation *o = last_operation(f);
        struct reply list[2] = {mark_reply(h.reads), {.tag = REPLY_BYTES}};
        if (o->kind != OPERATION_GET || o->key % 3 != 1) { /* not a register */
            answer_first(f, OUTCOME_EXECUTED);
            continue;
        }
        static const size_t lengths[] = {100, 100, 99, 3};
        list[1].val.bytes = (struct bytes){(uint8_t *)value, way == 3 ? strlen(word) : lengths[way]};
        value[70] ^= way == 1 ? 1 : 0;
        assert_true(reply_with(f, &h, list, 2) == (way == 0));
        value[70] ^= way == 1 ? 1 : 0;
        if (way == 0)
            assert_string_equal(last_operation(f)->answer, word);
        f->held_count--;
        payload_free(&h.value);
        way++;
    }
    fake_free(f);
}

/* ---- Whole runs ---- */

/* What becomes of a batch whose time has come. */
static void fate(struct fake *f, const struct held *h)
{
    bool cheats = f->cheat != HONEST && dice_chance(&f->dice, 5000);
    uint64_t roll = dice_roll(&f->dice, 1000);
    if (h->silent) {
        execute(f, &h->value);
    } else if (roll < 900 || cheats) {
        struct payload replies;
        if (cheats && f->cheat == DROPPED)
            replies = execute_late(f, &h->value, 0);
        else
            replies = execute(f, &h->value);
        if (cheats && f->cheat == TWICE)
            replies = execute(f, &h->value);
        if (cheats && f->cheat == OLD_STATE)
            replies = execute_late(f, &h->value, 1 + dice_range(&f->dice, 10, 30));
        const bool fits = answer(f, h, cheats && f->cheat == REFUSED_AND_DONE ? OUTCOME_MOVED : OUTCOME_EXECUTED, &replies);
        assert_true(fits || cheats);
        f->noticed = f->noticed || !fits;
    } else if (roll < 930) {
        assert_true(answer(f, h, OUTCOME_MOVED, NULL));
    } else if (roll < 950) {
        assert_true(answer(f, h, OUTCOME_BUSY, NULL));
    } else {
        if (roll < 970)
            execute(f, &h->value);
        assert_true(answer(f, h, OUTCOME_UNKNOWN, NULL));
        if (roll >= 990) { /* it is executed when no client waits for it any more */
            f->held = memory_reserve(f->held, &f->held_capacity, f->held_count + 1, sizeof *f->held);
            f->held[f->held_count++] = (struct held){
                .at = f->now + dice_roll(&f->dice, 2 * SECOND), .silent = true, .value = payload_copy(&h->value)};
        }
    }
}

/* A node goes down or comes back; another one leads when the leader is gone. Of what a node held, some will be executed. */
static void disturb(struct fake *f)
{
    uint32_t node = (uint32_t)dice_range(&f->dice, 1, NODES);
    if (!node_set_has(f->up, node)) {
        clients_node_up(f->clients, node, f->now);
        f->up |= node_set_of(node);
        clients_leader(f->clients, node, f->leader);
    } else if (node_set_count(f->up) > 1) {
        clients_node_down(f->clients, node, f->now);
        f->up &= ~node_set_of(node);
        for (size_t i = 0; i < f->held_count; i++) {
            struct held *h = &f->held[i];
            if (h->node != node || h->silent)
                continue;
            h->silent = true;
            h->at = dice_roll(&f->dice, 2) == 0 ? UINT64_MAX : f->now + dice_roll(&f->dice, SECOND);
        }
    }
    if (!node_set_has(f->up, f->leader) || dice_roll(&f->dice, 4) == 0)
        set_leader(f, node_set_first(f->up));
}

static size_t earliest(const struct fake *f)
{
    size_t first = 0;
    for (size_t i = 1; i < f->held_count; i++)
        if (f->held[i].at < f->held[first].at)
            first = i;
    return first;
}

/* Runs until `until` with nodes that come and go; or, with calm ones, until all is done. */
static void run(struct fake *f, uint64_t until, bool disturbed)
{
    uint64_t disturb_at = f->now + 300000;
    while (f->now < until && (disturbed || !clients_done(f->clients))) {
        uint64_t next = clients_next(f->clients);
        size_t first = earliest(f);
        uint64_t held = first < f->held_count ? f->held[first].at : UINT64_MAX;
        uint64_t at = next < held ? next : held;
        if (disturbed && disturb_at < at) {
            f->now = disturb_at;
            disturb_at += dice_range(&f->dice, 1, 300000);
            disturb(f);
            continue;
        }
        assert_true(at != UINT64_MAX);
        f->now = at > f->now ? at : f->now;
        if (held <= next) {
            struct held h = take(f, first);
            fate(f, &h);
            payload_free(&h.value);
        } else {
            clients_run(f->clients, f->now);
        }
        for (uint32_t node = 1; node <= NODES; node++)
            receive(f, node, 4);
    }
}

static struct fake *run_whole(uint64_t seed, enum cheat cheat)
{
    struct clients_options options = options_of(6, 5);
    options.seed = seed;
    options.patience_us = seed % 2 == 0 ? 2500 : SECOND / 2;
    struct fake *f = fake_new(&options);
    f->cheat = cheat;
    run(f, 10 * SECOND, true);
    clients_stop(f->clients);
    uint64_t stopped = f->now;
    run(f, 20 * SECOND, false);
    assert_true(clients_done(f->clients) && f->now < stopped + 3 * SECOND);
    f->cheat = HONEST;
    size_t before = history_count(f->history);
    clients_resume(f->clients, f->now);
    assert_false(clients_done(f->clients));
    run(f, 30 * SECOND, false);
    assert_true(clients_done(f->clients));
    assert_true(history_count(f->history) >= before + options.keys);
    return f;
}

static void a_run_is_linearizable(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        char why[2048];
        size_t undecided;
        struct fake *f = run_whole(seed, HONEST);
        if (!history_check(f->history, STEPS_MAX, &undecided, why, sizeof why))
            fail_msg("seed %llu: %s", (unsigned long long)seed, why);
        assert_int_equal(undecided, 0);
        struct clients_statistics s = clients_statistics(f->clients);
        assert_int_equal(s.commands, history_count(f->history));
        assert_int_equal(s.commands, s.executed + s.refused + s.unknown);
        assert_true(s.commands > 3000 && s.executed > s.commands * 2 / 5);
        assert_true(s.refused > 0 && s.unknown > 0 && s.moved > 0 && s.busy > 0 && f->largest == f->options.value_bytes_max);
        fake_free(f);
    }
}

static void cheating_is_noticed(void **state)
{
    (void)state;
    for (enum cheat cheat = HONEST + 1; cheat < CHEATS; cheat++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            char why[2048];
            size_t undecided;
            struct fake *f = run_whole(seed, cheat);
            if (!f->noticed && history_check(f->history, STEPS_MAX, &undecided, why, sizeof why))
                fail_msg("seed %llu: cheat %d is not noticed", (unsigned long long)seed, cheat);
            fake_free(f);
        }
}

/* The last reads are of all keys in use, once each, with an answer. */
static void resuming_reads_all_keys(void **state)
{
    (void)state;
    struct fake *f = run_whole(3, HONEST);
    uint64_t before = clients_statistics(f->clients).executed;
    size_t from = history_count(f->history);
    clients_resume(f->clients, f->now);
    run(f, 60 * SECOND, false);
    assert_int_equal(clients_statistics(f->clients).executed - before, f->options.keys);
    for (size_t i = from; i < history_count(f->history); i++) {
        const struct operation *o = history_get(f->history, i);
        assert_int_equal(o->kind, OPERATION_GET);
        for (size_t k = from; k < i && o->outcome == OPERATION_OK; k++)
            assert_true(history_get(f->history, k)->outcome != OPERATION_OK || history_get(f->history, k)->key != o->key);
    }
    fake_free(f);
}

static char *exported(uint64_t seed)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct fake *f = run_whole(seed, HONEST);
    history_export(f->history, out);
    fclose(out);
    fake_free(f);
    return text;
}

static void a_run_is_a_function_of_its_seed(void **state)
{
    (void)state;
    char *a = exported(5), *b = exported(5), *c = exported(6);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
}

/* Keys are retired before the judge gets much to do, then only read, and each is used for what its number says. */
static void keys_are_used_and_retired(void **state)
{
    (void)state;
    struct fake *f = run_whole(1, HONEST);
    uint32_t uses[4096] = {0}, last = 0, old = 0;
    for (size_t i = 0; i < history_count(f->history); i++) {
        const struct operation *o = history_get(f->history, i);
        bool counter = o->key % 3 == 0, text = o->key % 3 == 2;
        assert_true(o->key > 0 && o->key < 4096);
        assert_true(o->kind == OPERATION_INCR ? counter : o->kind != OPERATION_APPEND || text);
        assert_true(!counter || o->value[0] == 0);
        uses[o->key]++;
        last = o->key > last ? o->key : last;
        old += o->key + 100 < last ? 1 : 0;
        assert_true(o->key + 100 >= last || o->kind == OPERATION_GET);
    }
    assert_true(last > history_count(f->history) / 80 && last < history_count(f->history) / 40 + f->options.keys);
    for (uint32_t key = 1; key <= last; key++)
        assert_true(uses[key] < 120);
    assert_true(old > history_count(f->history) / 400); /* some reads are of keys of long ago */
    fake_free(f);
}

/* The rate is what clients.h says. */
static void the_rate_is_known(void **state)
{
    (void)state;
    struct clients_options options = options_of(10, 7);
    struct fake *f = fake_new(&options);
    options.think_us = 100000;
    clients_free(f->clients);
    options.history = f->history;
    f->clients = clients_new(&options);
    clients_node_up(f->clients, 1, 0);
    clients_leader(f->clients, 1, 1);
    while (f->now < 100 * SECOND) {
        f->now = clients_next(f->clients);
        clients_run(f->clients, f->now);
        while (receive(f, 1, 100) > 0)
            while (f->held_count > 0)
                answer_first(f, OUTCOME_EXECUTED);
    }
    double expected = 100 * 10 * (1 + 7) / 2 * (double)SECOND / (double)options.think_us;
    double ratio = (double)history_count(f->history) / expected;
    assert_true(ratio > 0.9 && ratio < 1.1);
    fake_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_finds_the_leader_and_waits),
        cmocka_unit_test(what_was_refused_is_sent_again),
        cmocka_unit_test(what_may_have_happened_is_never_sent_again),
        cmocka_unit_test(in_a_session_it_is_sent_again),
        cmocka_unit_test(what_waits_at_a_port_is_refused_when_its_node_goes),
        cmocka_unit_test(all_is_done_when_no_batch_is_left),
        cmocka_unit_test(reads_that_fail_are_repeated_after_resuming),
        cmocka_unit_test(a_port_says_who_leads),
        cmocka_unit_test(a_port_with_too_much_is_busy),
        cmocka_unit_test(a_port_of_a_paused_node_says_nothing),
        cmocka_unit_test(answers_must_fit),
        cmocka_unit_test(reads_have_batches_of_their_own),
        cmocka_unit_test(reads_are_in_the_order_of_their_round),
        cmocka_unit_test(the_state_machine_may_refuse),
        cmocka_unit_test(long_values_are_checked_whole),
        cmocka_unit_test(a_run_is_linearizable),
        cmocka_unit_test(cheating_is_noticed),
        cmocka_unit_test(resuming_reads_all_keys),
        cmocka_unit_test(a_run_is_a_function_of_its_seed),
        cmocka_unit_test(keys_are_used_and_retired),
        cmocka_unit_test(the_rate_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
