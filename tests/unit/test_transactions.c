/* Transactions as learners execute them (P24), and the keys that are watched for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/agents/execution.h"
#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/formats/resp.h"
#include "core/state/kv_watch.h"

static struct execution x, twin;
static uint64_t number;
static struct resp_buffer out;

static int set_up(void **state)
{
    (void)state;
    execution_init(&x, &(struct node_config){0});
    execution_init(&twin, &(struct node_config){0});
    number = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    execution_close(&x);
    execution_close(&twin);
    resp_buffer_close(&out);
    return 0;
}

enum { ARGS_MAX = 64 };
struct line {
    struct bytes args[ARGS_MAX];
    size_t count;
    uint8_t numbers[ARGS_MAX][DECIMAL_MAX];
};

static void push(struct line *l, const void *bytes, size_t len)
{
    assert_true(l->count < ARGS_MAX);
    l->args[l->count++] = (struct bytes){(uint8_t *)(uintptr_t)bytes, len};
}

static size_t push_words(struct line *l, const char *text, size_t len)
{
    size_t words = 0;
    for (size_t at = 0; at < len; words++) {
        size_t end = at;
        while (end < len && text[end] != ' ')
            end++;
        push(l, text + at, end - at);
        at = end + (end < len);
    }
    return words;
}

/* "SESSION 7 1 EXEC | condition | command | command": after the first bar, each part gets its count in front. */
static struct line *line_of(const char *text)
{
    static struct line l;
    l.count = 0;
    const char *bar = strchr(text, '|');
    push_words(&l, text, bar != NULL ? (size_t)(bar - text - 1) : strlen(text));
    while (bar != NULL) {
        const char *part = bar + 1 + (bar[1] == ' '), *next = strchr(bar + 1, '|');
        size_t len = next != NULL ? (size_t)(next - part) : strlen(part);
        len -= len > 0 && part[len - 1] == ' ';
        const size_t at = l.count++;
        const size_t words = push_words(&l, part, len);
        l.args[at] = (struct bytes){l.numbers[at], decimal_write_unsigned(words, l.numbers[at])};
        bar = next;
    }
    return &l;
}

static void add_to(struct execution *e, uint64_t of, const char *const *lines, size_t count)
{
    struct batch_builder b = {0};
    batch_begin(&b);
    for (size_t i = 0; i < count; i++) {
        const struct line *l = line_of(lines[i]);
        batch_add(&b, l->args, l->count);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, of}, 0);
    batch_seed_stamp(&value, (struct seed){1, 2});
    execution_add(e, &(struct entry){.slot = of, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value}, 1);
    batch_builder_free(&b);
}

static const char *text_of(const struct payload *replies)
{
    size_t offset = 0;
    out.len = 0;
    while (resp_reply(&out, 2, replies, &offset))
        continue;
    resp_raw(&out, "", 1);
    for (char *c = (char *)out.data; *c != '\0'; c++)
        *c = *c == '\r' ? ' ' : *c;
    for (char *c = (char *)out.data, *to = c;; c++) {
        if (*c != '\n')
            *to++ = *c;
        if (*c == '\0')
            break;
    }
    return (const char *)out.data;
}

/* Executes one command in a batch of its own. */
static const char *run_on(struct execution *e, const char *line)
{
    struct executed done;
    execution_begin(e);
    add_to(e, ++number, &line, 1);
    assert_true(execution_run(e, &done));
    assert_int_equal(replies_count(&done.replies), 1);
    return text_of(&done.replies);
}
static const char *run(const char *line) { return run_on(&x, line); }

/* ---- What is executed ---- */

static void all_commands_and_one_reply(void **state)
{
    (void)state;
    assert_string_equal(run("EXEC | | SET a 1 | INCR a | MGET a b | GET none | NOSUCH"),
                        "*5 +OK :2 *2 $1 2 $-1 $-1 -ERR unknown command 'NOSUCH', with args beginning with:  ");
    assert_string_equal(run("EXEC |"), "*0 ");
    assert_string_equal(run("EXEC | | SCAN 0"), "*1 *2 $1 0 *1 $1 a ");
}

static void nothing_without_its_condition(void **state)
{
    (void)state;
    run("SET a 1");
    assert_string_equal(run("EXEC | EXISTS b | INCR a"), "*-1 ");
    assert_string_equal(run("EXEC | GET a | INCR a"), "*-1 "); /* a text, and no integer */
    assert_string_equal(run("EXEC | NOSUCH | INCR a"), "*-1 ");
    assert_string_equal(run("GET a"), "$1 1 ");
    assert_string_equal(run("EXEC | EXISTS a | INCR a"), "*1 :2 ");
}

static void malformed_ones_do_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"EXEC x",          "EXEC 1",
                                        "EXEC 0 2 INCR",   "EXEC 0 1 DBSIZE 3 SET a",
                                        "EXEC 0 0",        "EXEC 0 99999999999999999999 DBSIZE",
                                        "EXEC 0 -1 DBSIZE"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(run(wrong[i]), "-ERR a transaction that is none: not executed ");
    assert_string_equal(run("DBSIZE"), ":0 ");
}

/* Its commands may take many steps. Meanwhile the state is not to be read. */
static void it_goes_on_in_the_next_step(void **state)
{
    (void)state;
    struct executed done;
    const char *const lines[] = {"INCR a", "EXEC | EXISTS a | INCR a | INCR a | MSET b 1 c 2 | INCR a | MGET a b c",
                                 "INCR a"};
    x.limits.apply = 1;
    x.limits.step_work = 1;
    number++;
    add_to(&x, number, lines, 3);
    int steps = 0, inside = 0;
    for (; !execution_run(&x, &done); steps++) {
        assert_true(steps < 100);
        inside += execution_is_in_transaction(&x);
        execution_begin(&x);
    }
    assert_true(inside >= 4);
    assert_false(execution_is_in_transaction(&x));
    assert_int_equal(replies_count(&done.replies), 3);
    assert_string_equal(text_of(&done.replies), ":1 *5 :2 :3 +OK :4 *3 $1 4 $1 1 $1 2 :5 ");
}

/* P21: sent again, it gets the first reply, whatever its condition would say now. */
static void in_a_session_it_is_executed_once(void **state)
{
    (void)state;
    char line[128];
    const uint64_t id = strtoull(run("SESSION OPEN") + 1, NULL, 10);
    run("SET a 1");
    run("WATCH w a");
    snprintf(line, sizeof line, "SESSION %llu 1 EXEC | WATCHED w a | INCR a | GET a", (unsigned long long)id);
    assert_string_equal(run(line), "*2 :2 $1 2 ");
    assert_string_equal(run(line), "*2 :2 $1 2 ");
    snprintf(line, sizeof line, "SESSION %llu 2 EXEC | WATCHED w a | INCR a", (unsigned long long)id);
    assert_string_equal(run(line), "*-1 ");
    assert_string_equal(run("WATCH w a"), "+OK ");
    assert_string_equal(run(line), "*-1 "); /* also what was not executed is remembered */
    assert_string_equal(run("GET a"), "$1 2 ");
}

/* The place of a number is taken by what is executed before it in the same batch. */
static void in_a_session_and_a_batch_twice(void **state)
{
    (void)state;
    char line[128];
    struct executed done;
    const uint64_t id = strtoull(run("SESSION OPEN") + 1, NULL, 10);
    snprintf(line, sizeof line, "SESSION %llu 1 EXEC | | INCR a", (unsigned long long)id);
    const char *const lines[] = {line, line, "INCR a"};
    execution_begin(&x);
    number++;
    add_to(&x, number, lines, 3);
    assert_true(execution_run(&x, &done));
    assert_string_equal(text_of(&done.replies), "*1 :1 *1 :1 :2 ");
}

/* ---- Watching ---- */

static void every_change_of_a_watched_key_counts(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "SET a 1",  "SET a 9",      "DEL a",      "APPEND a x",    "SETRANGE a 0 9",   "INCR a",
        "GETDEL a", "MSET z 1 a 1", "RENAME a z", "RENAME z a",    "COPY z a REPLACE", "SETBIT a 7 1",
        "FLUSHALL", "GETSET a 1",   "REMOVE a",   "BITOP NOT a z", "DELEX a",          "EXEC | | SET a 1"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        run("MSET a 1 z 2");
        run("WATCH w a");
        run(changes[i]);
        if (strcmp(run("EXEC | WATCHED w a | SET b 1"), "*-1 ") != 0)
            fail_msg("not noticed: %s", changes[i]);
    }
}

static void what_does_not_change_it_does_not(void **state)
{
    (void)state;
    static const char *const others[] = {"SET b 1",
                                         "GET a",
                                         "DEL none",
                                         "SETNX a 5",
                                         "MSETNX a 1 b 2",
                                         "SET a 5 NX",
                                         "SCAN 0",
                                         "RENAMENX z a",
                                         "WATCH o a",
                                         "SET a 5 IFEQ 7",
                                         "EXEC | EXISTS none | SET a 1",
                                         "INCRBY a x",
                                         "APPEND b x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        run("MSET a 1 z 2");
        run("WATCH w a");
        run(others[i]);
        if (strcmp(run("EXEC | WATCHED w a | DBSIZE"), "*-1 ") == 0)
            fail_msg("counts as a change: %s", others[i]);
    }
}

/* Also a key that was not there, and is not there again. */
static void there_and_back_counts(void **state)
{
    (void)state;
    run("WATCH w a");
    run("SET a 1");
    run("DEL a");
    assert_string_equal(run("EXEC | WATCHED w a | SET b 1"), "*-1 ");
    run("WATCH w a");
    assert_string_equal(run("EXEC | WATCHED w a | SET b 1"), "*1 +OK ");
}

static void all_of_a_set_must_be_there(void **state)
{
    (void)state;
    run("WATCH w a");
    run("WATCH w b");
    assert_string_equal(run("WATCHED w a"), ":0 ");   /* there are two */
    assert_string_equal(run("WATCHED w a b"), ":0 "); /* the set is gone */
    run("WATCH w a");
    assert_string_equal(run("WATCHED w a b"), ":0 ");
    run("WATCH w a");
    run("WATCH w b a");
    run("WATCH v b");
    assert_string_equal(run("WATCHED w a b a"), ":1 ");
    run("SET b 1");
    assert_string_equal(run("WATCHED v b"), ":0 ");
}

/* There are only so many: the oldest ones do not hold any more. */
static void the_oldest_watches_are_forgotten(void **state)
{
    (void)state;
    char line[64];
    run("MSET k9 1 k94 1");
    run("WATCH first a");
    run("WATCH second a");
    for (int i = 0; i < KV_WATCHES_MAX - 1; i++) {
        snprintf(line, sizeof line, "WATCH s%d k%d", i, i % 100);
        run(line);
    }
    assert_string_equal(run("WATCHED first a"), ":0 ");
    assert_string_equal(run("WATCHED second a"), ":1 ");
    run("SET k7 1");
    assert_string_equal(run("WATCHED s107 k7"), ":0 ");
    assert_string_equal(run("WATCHED s108 k8"), ":1 ");
    run("FLUSHALL");
    assert_string_equal(run("WATCHED s109 k9"), ":0 ");
    assert_string_equal(run("WATCHED s110 k10"), ":1 "); /* it was not there */
    snprintf(line, sizeof line, "WATCHED s%d k%d", KV_WATCHES_MAX - 2, (KV_WATCHES_MAX - 2) % 100);
    assert_string_equal(run(line), ":0 ");
    run("WATCH w a");
    assert_string_equal(run("WATCHED w a"), ":1 ");
}

/* ---- Snapshots ---- */

/* Copies the state of `x` to `twin`; between the chunks `x` executes `meanwhile`. */
static void copy_state(const char *meanwhile)
{
    struct snapshot_chunk chunk;
    const char *error = NULL;
    bool first = true;
    state_machine_snapshot_begin(x.machine);
    if (meanwhile != NULL)
        run(meanwhile);
    do {
        chunk = state_machine_snapshot_save(x.machine);
        if (chunk.bytes.len == 0 && !chunk.last)
            continue;
        assert_true(state_machine_snapshot_load(twin.machine, chunk.bytes, first, chunk.last, &error));
        first = false;
    } while (!chunk.last);
    twin.seeded = x.seeded;
}

static void watches_are_in_snapshots(void **state)
{
    (void)state;
    run("MSET a 1 b 2 c 3");
    run("WATCH w a");
    run("WATCH v b");
    run("WATCH u c");
    run("SET b 3");
    copy_state("SET a 2"); /* after the snapshot's begin */
    const char *const asks[] = {"WATCHED w a", "WATCHED v b", "WATCHED u c", "WATCHED t a"};
    const char *const says[] = {":1 ", ":0 ", ":1 ", ":0 "};
    for (int i = 0; i < 4; i++)
        assert_string_equal(run_on(&twin, asks[i]), says[i]);
    assert_string_equal(run("WATCHED w a"), ":0 ");
    assert_string_equal(run_on(&twin, "GET a"), "$1 1 ");
    run_on(&twin, "WATCH w a");
    copy_state(NULL); /* what was loaded takes the place of all */
    assert_string_equal(run_on(&twin, "WATCHED w a"), ":0 ");
    assert_string_equal(run_on(&twin, "GET a"), "$1 2 ");
}

static void malformed_watches_are_refused(void **state)
{
    (void)state;
    const char *error;
    uint8_t good[KV_WATCHES_HEADER + 2 * KV_WATCHES_ENTRY];
    run("WATCH w a b");
    state_machine_snapshot_begin(x.machine);
    const struct bytes chunk = state_machine_snapshot_save(x.machine).bytes;
    assert_int_equal(chunk.len, sizeof good);
    memcpy(good, chunk.ptr, sizeof good);
    static const struct {
        size_t at;
        uint8_t is;
    } wrong[] = {{4, 1}, {4, 3}, {5, 0xff}, {10, 1}, {12, 1}, {17, 0x40}, {16, 1}, {20, 2}, {40, 0}, {41, 0xff}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t bytes[sizeof good];
        memcpy(bytes, good, sizeof good);
        bytes[wrong[i].at] = wrong[i].is;
        assert_false(state_machine_snapshot_load(twin.machine, (struct bytes){bytes, sizeof bytes}, true, false, &error));
        assert_string_equal(run_on(&twin, "WATCHED w a b"), ":0 ");
    }
    for (size_t len = 4; len < sizeof good; len++)
        assert_false(state_machine_snapshot_load(twin.machine, (struct bytes){good, len}, true, false, &error));
    assert_false(state_machine_snapshot_load(twin.machine, (struct bytes){good, sizeof good}, true, true, &error));
    assert_true(state_machine_snapshot_load(twin.machine, (struct bytes){good, sizeof good}, true, false, &error));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_commands_and_one_reply),
        TEST(nothing_without_its_condition),
        TEST(malformed_ones_do_nothing),
        TEST(it_goes_on_in_the_next_step),
        TEST(in_a_session_it_is_executed_once),
        TEST(in_a_session_and_a_batch_twice),
        TEST(every_change_of_a_watched_key_counts),
        TEST(what_does_not_change_it_does_not),
        TEST(there_and_back_counts),
        TEST(all_of_a_set_must_be_there),
        TEST(the_oldest_watches_are_forgotten),
        TEST(watches_are_in_snapshots),
        TEST(malformed_watches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
