/* Sessions: each command is executed once, what is remembered is bounded, and a snapshot has all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/state/sessions.h"
#include "tests/unit/random.h"

static struct sessions *s;
static struct batch_builder builder;

static int set_up(void **state)
{
    (void)state;
    s = sessions_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sessions_free(s);
    batch_builder_free(&builder);
    return 0;
}

/* A packed reply of so many bytes that `number` is seen in; valid until the next call. */
static struct bytes reply_of(uint64_t number, size_t len)
{
    static uint8_t text[2 * SESSION_REPLY_MAX];
    memset(text, (int)('a' + number % 26), sizeof text);
    replies_begin(&builder);
    replies_add(&builder, &(struct reply){.tag = REPLY_BYTES, .val.bytes = {text, len}});
    return (struct bytes){(uint8_t *)builder.words + REPLIES_HEADER_SIZE, builder.len - REPLIES_HEADER_SIZE};
}

static struct session_call call(uint64_t id, uint64_t number)
{
    return (struct session_call){.kind = SESSION_CALL, .id = id, .number = number};
}

static enum session_state look(uint64_t id, uint64_t number)
{
    struct bytes reply;
    return sessions_look(s, &(struct session_call){.kind = SESSION_CALL, .id = id, .number = number}, &reply);
}

static void execute(uint64_t id, uint64_t number, size_t len)
{
    const struct session_call c = call(id, number);
    assert_int_equal(look(id, number), SESSION_FRESH);
    sessions_executed(s, &c, reply_of(number, len));
}

static void expect_reply(uint64_t id, uint64_t number, size_t len)
{
    const struct session_call c = call(id, number);
    struct bytes reply;
    assert_int_equal(sessions_look(s, &c, &reply), SESSION_EXECUTED);
    const struct bytes expected = reply_of(number, len);
    assert_int_equal(reply.len, expected.len);
    assert_memory_equal(reply.ptr, expected.ptr, expected.len);
}

static void a_command_is_fresh_once(void **state)
{
    (void)state;
    const uint64_t id = sessions_open(s, 77, 4);
    assert_int_equal(id, 77);
    assert_int_equal(sessions_open(s, 77, 4), 78); /* the next one that is free */
    assert_int_equal(look(79, 1), SESSION_UNKNOWN);
    for (uint64_t number = 1; number <= 100; number++) {
        execute(id, number, number);
        for (uint64_t again = number; again + 4 > number && again > 0; again--)
            expect_reply(id, again, again);
        if (number > 4)
            assert_int_equal(look(id, number - 4), SESSION_PASSED);
        assert_int_equal(look(78, number), SESSION_FRESH);
    }
}

/* A client may have a window of commands without an answer, which may come in any order. */
static void numbers_may_come_in_any_order(void **state)
{
    (void)state;
    const uint64_t id = sessions_open(s, SESSION_ID_MAX, 4);
    assert_int_equal(sessions_open(s, SESSION_ID_MAX, 4), 1);
    static const uint64_t order[] = {4, 2, 1, 3, 8, 6, 7, 5, UINT64_MAX, UINT64_MAX - 1};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        execute(id, order[i], 3);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(look(id, order[i]), i < 4 || order[i] == 7 || order[i] == 6 ? SESSION_PASSED : SESSION_EXECUTED);
}

static void a_long_reply_is_not_kept(void **state)
{
    (void)state;
    const uint64_t id = sessions_open(s, 5, 16);
    execute(id, 1, SESSION_REPLY_MAX - 8);
    execute(id, 2, SESSION_REPLY_MAX);
    expect_reply(id, 1, SESSION_REPLY_MAX - 8);
    assert_int_equal(look(id, 2), SESSION_REPLY_LOST);
    execute(id, 17, 1);
    assert_int_equal(look(id, 1), SESSION_PASSED);
}

static void a_session_that_is_closed_leaves_nothing(void **state)
{
    (void)state;
    const uint64_t id = sessions_open(s, 5, 1024), other = sessions_open(s, 6, 1);
    for (uint64_t number = 1; number <= 3000; number += 7)
        execute(id, number, 100);
    execute(other, 1, 10);
    assert_int_equal(sessions_count(s), 2);
    assert_true(sessions_forget(s, id));
    assert_int_equal(sessions_count(s), 1);
    assert_false(sessions_forget(s, id));
    assert_int_equal(look(id, 3000), SESSION_UNKNOWN);
    assert_int_equal(look(other, 1), SESSION_EXECUTED);
    assert_true(sessions_forget(s, other));
    assert_int_equal(sessions_size(s), 0);
}

/* Those used longest ago go first, and no more than is needed. */
static void what_they_take_is_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 3000 };
    sessions_limit(s, 4 << 20);
    const uint64_t most = 256 * 1024;
    for (uint64_t id = 1; id <= SESSIONS; id++) {
        sessions_open(s, id, 16);
        execute(id, 1, 10);
        if (look(1, 1) != SESSION_UNKNOWN)
            sessions_used(s, 1);
        sessions_trim(s);
        assert_true(sessions_size(s) <= most);
    }
    assert_true(sessions_size(s) > most - 1024);
    assert_int_equal(look(1, 1), SESSION_EXECUTED);
    assert_int_equal(look(2, 2), SESSION_UNKNOWN);
    uint64_t kept = SESSIONS;
    while (look(kept, 2) != SESSION_UNKNOWN)
        kept--;
    for (uint64_t id = 2; id <= kept; id++)
        assert_int_equal(look(id, 2), SESSION_UNKNOWN);
    assert_true(SESSIONS - kept > 500);
}

/* The load generator counts on that (core/formats/session_call.h). Its reply is what is packed. */
static void a_place_takes_what_is_said(void **state)
{
    (void)state;
    enum { WINDOW = 100 };
    sessions_open(s, 1, 1);
    const uint64_t before = sessions_size(s), id = sessions_open(s, 2, WINDOW);
    for (uint64_t number = 1; number <= 3 * WINDOW; number++)
        execute(id, number, SESSION_SHORT_REPLY - 8); /* and the head of a reply */
    assert_true(sessions_size(s) - before <= SESSION_BYTES + WINDOW * SESSION_PLACE_BYTES);
    const uint64_t full = sessions_size(s);
    for (uint64_t number = 3 * WINDOW + 1; number <= 4 * WINDOW; number++)
        execute(id, number, 1000);
    assert_true(sessions_size(s) - full <= WINDOW * (SESSION_LONG_REPLY_BYTES + 1000 + 1000 / 8));
    for (uint64_t number = 4 * WINDOW + 1; number <= 5 * WINDOW; number++)
        execute(id, number, 8);
    assert_int_equal(sessions_size(s), full); /* longer replies are gone */
}

/* One that has more by itself than all may have is forgotten, too. */
static void a_session_may_be_too_large(void **state)
{
    (void)state;
    sessions_limit(s, 4 << 20);
    const uint64_t id = sessions_open(s, 1, 1024);
    for (uint64_t number = 1; number <= 100; number++)
        execute(id, number, 4000);
    sessions_trim(s);
    assert_int_equal(look(id, 1), SESSION_UNKNOWN);
    assert_int_equal(sessions_size(s), 0);
}

/* ---- Snapshots ---- */

enum { CHUNKS = 4096 };
static struct bytes chunks[CHUNKS];
static size_t chunk_count;

static bool save_some(struct sessions *from)
{
    const struct snapshot_chunk chunk = sessions_snapshot_save(from);
    if (chunk.bytes.len > 0) {
        struct bytes *copy = &chunks[chunk_count++];
        *copy = (struct bytes){memory_new(chunk.bytes.len, 1), chunk.bytes.len};
        memcpy(copy->ptr, chunk.bytes.ptr, copy->len);
    }
    return !chunk.last;
}

static bool load(struct sessions *into)
{
    bool loaded = true;
    for (size_t i = 0; i < chunk_count && loaded; i++)
        loaded = sessions_snapshot_load(into, chunks[i], i == 0, i + 1 == chunk_count);
    return loaded;
}

static void forget_chunks(void)
{
    for (size_t i = 0; i < chunk_count; i++)
        free(chunks[i].ptr);
    chunk_count = 0;
}

static void some_command(uint64_t *seed)
{
    const uint64_t id = 1 + random_below(seed, 200);
    struct bytes reply;
    struct session_call c = call(id, 1 + random_below(seed, 300));
    const enum session_state state = sessions_look(s, &c, &reply);
    if (state == SESSION_UNKNOWN)
        sessions_open(s, id, 1 + random_below(seed, 20));
    else if (state == SESSION_FRESH)
        sessions_executed(s, &c, reply_of(c.number, random_below(seed, 6000)));
    else if (state == SESSION_EXECUTED)
        sessions_used(s, id);
    if (random_below(seed, 50) == 0)
        sessions_forget(s, id);
    sessions_trim(s);
}

/* A snapshot has what there was at its begin, whatever is done while it is saved; and what is loaded goes on alike. */
static void a_snapshot_has_what_there_was(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 2000; i++)
            some_command(&seed);
        sessions_snapshot_begin(s);
        while (save_some(s))
            ;
        struct bytes whole[64];
        const size_t count = chunk_count;
        assert_true(count < 64);
        memcpy(whole, chunks, count * sizeof *whole);
        chunk_count = 0;
        sessions_snapshot_begin(s);
        do {
            for (int i = 0; i < 100 && sessions_have_room(s); i++)
                some_command(&seed);
        } while (save_some(s));
        assert_int_equal(chunk_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(chunks[i].len, whole[i].len);
            assert_memory_equal(chunks[i].ptr, whole[i].ptr, whole[i].len);
            free(whole[i].ptr);
        }
        struct sessions *other = sessions_new();
        assert_true(load(other));
        sessions_free(s);
        s = other;
        forget_chunks();
    }
}

static void an_empty_one_loads(void **state)
{
    (void)state;
    sessions_snapshot_begin(s);
    while (save_some(s))
        ;
    assert_int_equal(chunk_count, 1);
    sessions_open(s, 1, 1);
    assert_true(load(s));
    assert_int_equal(sessions_size(s), 0);
    forget_chunks();
}

/* Whatever byte of a snapshot is another one: it is refused, or what was loaded can be used to the end. */
static void damage_does_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (uint64_t id = 1; id <= 5; id++) {
        sessions_open(s, id, 3);
        for (uint64_t number = 1; number <= 4; number++)
            execute(id, number, number);
    }
    sessions_snapshot_begin(s);
    while (save_some(s))
        ;
    assert_int_equal(chunk_count, 1);
    size_t refused = 0;
    for (size_t i = 0; i < chunks[0].len; i++)
        for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 1)) {
            struct sessions *other = sessions_new(), *before = s;
            chunks[0].ptr[i] ^= bit;
            if (load(other)) {
                s = other;
                for (int k = 0; k < 20; k++)
                    some_command(&seed);
                for (uint64_t id = 1; id <= 200; id++)
                    sessions_forget(s, id);
                s = before;
            } else {
                assert_int_equal(sessions_size(other) + sessions_count(other), 0);
                refused++;
            }
            chunks[0].ptr[i] ^= bit;
            sessions_free(other);
        }
    assert_true(refused > chunks[0].len * 4);
    forget_chunks();
}

/* ---- The words ---- */

static struct session_call read(const char *const *words, size_t count)
{
    static struct bytes args[8];
    for (size_t i = 0; i < count; i++)
        args[i] = (struct bytes){(uint8_t *)(uintptr_t)words[i], strlen(words[i])};
    return session_call_read(&(struct bytes_list){args, count});
}
#define READ(...) read((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void commands_are_read(void **state)
{
    (void)state;
    assert_int_equal(READ("GET", "session").kind, SESSION_NONE);
    struct session_call c = READ("session", "Open");
    assert_int_equal(c.kind, SESSION_OPEN);
    assert_int_equal(c.window, SESSION_WINDOW_STANDARD);
    c = READ("SESSION", "OPEN", "1024");
    assert_int_equal(c.window, 1024);
    c = READ("SESSION", "9007199254740991", "18446744073709551615", "INCR", "a");
    assert_int_equal(c.kind, SESSION_CALL);
    assert_true(c.id == SESSION_ID_MAX && c.number == UINT64_MAX);
    c = READ("SESSION", "close", "7");
    assert_true(c.kind == SESSION_CLOSE && c.id == 7);
    assert_int_equal(READ("SESSION").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "OPEN", "0").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "OPEN", "1025").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "OPEN", "1", "2").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "CLOSE").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "CLOSE", "x").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "0", "1", "GET", "a").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "9007199254740992", "1", "GET", "a").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "1", "0", "GET", "a").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "1", "1").kind, SESSION_MALFORMED);
    assert_int_equal(READ("SESSION", "1", "1", "SESSION", "OPEN").kind, SESSION_MALFORMED);
}

/* ---- Time ---- */

/* Those used longest ago end first, a few at a time; one that is used goes on. */
static void sessions_end_by_time(void **state)
{
    (void)state;
    enum { IDLE = 1000, MANY = SESSIONS_ENDED_MAX + 3 };
    assert_true(sessions_due(s, IDLE) == UINT64_MAX);
    sessions_pass(s, 50, IDLE);
    for (uint64_t id = 1; id <= MANY; id++)
        assert_int_equal(sessions_open(s, id, 4), id);
    execute(1, 1, 10);
    sessions_pass(s, 60, IDLE);
    execute(MANY, 1, 10);
    execute(1, 2, 10);
    assert_int_equal(sessions_due(s, IDLE), 50 + IDLE);
    sessions_pass(s, 49 + IDLE, IDLE);
    assert_int_equal(look(2, 1), SESSION_FRESH);
    sessions_pass(s, 50 + IDLE, IDLE);
    assert_int_equal(look(2, 1), SESSION_UNKNOWN);
    assert_int_equal(look(SESSIONS_ENDED_MAX + 1, 1), SESSION_UNKNOWN);
    assert_int_equal(look(SESSIONS_ENDED_MAX + 2, 1), SESSION_FRESH);
    assert_int_equal(sessions_due(s, IDLE), 50 + IDLE);
    sessions_pass(s, 50 + IDLE, IDLE);
    assert_int_equal(look(SESSIONS_ENDED_MAX + 2, 1), SESSION_UNKNOWN);
    assert_int_equal(look(1, 2), SESSION_EXECUTED);
    assert_int_equal(look(MANY, 1), SESSION_EXECUTED);
    sessions_used(s, MANY); /* a repetition: though it is the one used last, its time begins again */
    sessions_used(s, 1);
    assert_int_equal(sessions_due(s, IDLE), 50 + 2 * IDLE);
    sessions_pass(s, 50 + 2 * IDLE, IDLE);
    assert_int_equal(sessions_size(s), 0);
}

/* When it was used is written down now and then, and it lasts at least for as long as was said since it was used last. */
static void use_is_written_down_now_and_then(void **state)
{
    (void)state;
    enum { HOUR = 3600000, PART = HOUR / 1024 };
    sessions_pass(s, 1000, HOUR);
    sessions_open(s, 1, 4);
    sessions_open(s, 2, 4);
    assert_int_equal(sessions_due(s, HOUR), 1000 + HOUR + PART);
    sessions_pass(s, 999 + PART, HOUR);
    execute(1, 1, 10);
    execute(2, 1, 10);
    assert_int_equal(sessions_due(s, HOUR), 1000 + HOUR + PART);
    sessions_pass(s, 1000 + PART, HOUR);
    execute(1, 2, 10);
    assert_int_equal(sessions_due(s, HOUR), 1000 + HOUR + PART);
    execute(2, 2, 20);
    assert_int_equal(sessions_due(s, HOUR), 1000 + PART + HOUR + PART);
    sessions_pass(s, 999 + 2 * PART + HOUR, HOUR);
    assert_int_equal(look(1, 2), SESSION_EXECUTED);
    sessions_pass(s, 1000 + 2 * PART + HOUR, HOUR);
    assert_int_equal(sessions_size(s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_is_fresh_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_may_come_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_reply_is_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_that_is_closed_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_they_take_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_may_be_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_takes_what_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_end_by_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(use_is_written_down_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_has_what_there_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_one_loads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_does_no_harm, set_up, tear_down),
        cmocka_unit_test(commands_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
