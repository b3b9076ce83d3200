/* The kv-store against Redis' semantics and words, and against its own promise: everything a function of the contents
 * alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/state/kv_store.h"
#include "core/state/state_machine.h"
#include "tests/unit/kv_lines.h"

/* ---- Semantics ---- */

static void test_get_and_set(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET a", "nil"},
        {"SET a 1", "+OK"},
        {"get a", "$1"},
        {"SeT a 22", "+OK"},
        {"GET a", "$22"},
        {"SET a \"\"", "+OK"},
        {"GET a", "$"},
        {"SET \"\" empty", "+OK"},
        {"GET \"\"", "$empty"},
        {"SET a 3 NX", "nil"},
        {"GET a", "$"},
        {"SET b 3 xx", "nil"},
        {"GET b", "nil"},
        {"SET b 3 NX", "+OK"},
        {"SET b 4 XX", "+OK"},
        {"SET b 5 GET", "$4"},
        {"SET c 5 GET", "nil"},
        {"GET c", "$5"},
        {"SET c 6 NX GET", "$5"},
        {"GET c", "$5"},
        {"SET d 6 XX GET", "nil"},
        {"GET d", "nil"},
        {"SET a 1 NX XX", "-ERR syntax error"},
        {"SET a 1 WHAT", "-ERR syntax error"},
        {"SETNX a 1", ":0"},
        {"SETNX e 1", ":1"},
        {"GETSET e 2", "$1"},
        {"GETSET f 2", "nil"},
        {"GETDEL f", "$2"},
        {"GETDEL f", "nil"},
        {"MGET a e nosuch", "[$ $2 nil]"},
        {"MSET x 1 y 2 x 3", "+OK"},
        {"MGET x y", "[$3 $2]"},
        {"MSETNX z 1 x 9", ":0"},
        {"EXISTS z", ":0"},
        {"MSETNX z 1 w 2", ":1"},
        {"MGET z w", "[$1 $2]"},
    };
    EXPECT_ALL(steps);
}

static void test_parts_of_values(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"APPEND a Hello", ":5"},
        {"APPEND a World", ":10"},
        {"GET a", "$HelloWorld"},
        {"STRLEN a", ":10"},
        {"STRLEN b", ":0"},
        {"GETRANGE a 0 4", "$Hello"},
        {"GETRANGE a -5 -1", "$World"},
        {"GETRANGE a -100 2", "$Hel"},
        {"GETRANGE a 5 100", "$World"},
        {"GETRANGE a 3 1", "$"},
        {"GETRANGE a -1 -3", "$"},
        {"GETRANGE a 0 -100", "$H"},
        {"GETRANGE none 0 -1", "$"},
        {"GETRANGE a x 1", "-ERR value is not an integer or out of range"},
        {"GETRANGE a -9223372036854775808 9223372036854775807", "$HelloWorld"},
        {"SETRANGE a 5 Redis", ":10"},
        {"GET a", "$HelloRedis"},
        {"SETRANGE a 8 long", ":12"},
        {"GET a", "$HelloRedlong"},
        {"SETRANGE a 3 \"\"", ":12"},
        {"SETRANGE none 3 \"\"", ":0"},
        {"EXISTS none", ":0"},
        {"SETRANGE a -1 x", "-ERR offset is out of range"},
        {"SETRANGE a 8388608 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {"SETRANGE a 9223372036854775807 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {"SET a s", "+OK"},
        {"GET a", "$s"},
        {"APPEND a \"\"", ":1"},
    };
    EXPECT_ALL(steps);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"INCR n", ":1"},
        {"INCR n", ":2"},
        {"DECR n", ":1"},
        {"INCRBY n 41", ":42"},
        {"DECRBY n 50", ":-8"},
        {"GET n", "$-8"},
        {"DECR m", ":-1"},
        {"SET n 9223372036854775806", "+OK"},
        {"INCR n", ":9223372036854775807"},
        {"INCR n", "-ERR increment or decrement would overflow"},
        {"GET n", "$9223372036854775807"},
        {"SET n -9223372036854775808", "+OK"},
        {"DECR n", "-ERR increment or decrement would overflow"},
        {"INCRBY n 9223372036854775807", ":-1"},
        {"DECRBY n -9223372036854775808", "-ERR decrement would overflow"},
        {"INCRBY n 1.5", "-ERR value is not an integer or out of range"},
        {"INCRBY n 9223372036854775808", "-ERR value is not an integer or out of range"},
        {"INCRBY n +1", "-ERR value is not an integer or out of range"},
        {"SET n 01", "+OK"},
        {"INCR n", "-ERR value is not an integer or out of range"},
        {"SET n -0", "+OK"},
        {"INCR n", "-ERR value is not an integer or out of range"},
        {"SET n \"\"", "+OK"},
        {"INCR n", "-ERR value is not an integer or out of range"},
        {"GET n", "$"},
    };
    EXPECT_ALL(steps);
}

static void test_keys(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"MSET one 1 two 2 three 3", "+OK"},
        {"DBSIZE", ":3"},
        {"EXISTS one one four", ":2"},
        {"TYPE one", "+string"},
        {"TYPE four", "+none"},
        {"KEYS t?o", "[$two]"},
        {"KEYS th*", "[$three]"},
        {"KEYS nosuch*", "[]"},
        {"DEL one four two", ":2"},
        {"UNLINK three", ":1"},
        {"DBSIZE", ":0"},
        {"KEYS *", "[]"},
        {"SET a 1", "+OK"},
        {"REMOVE a", "$1"},
        {"REMOVE a", "nil"},
        {"SET a 1", "+OK"},
        {"CLEAR", "+OK"},
        {"GET a", "nil"},
        {"SET a 1", "+OK"},
        {"FLUSHALL", "+OK"},
        {"DBSIZE", ":0"},
        {"FLUSHDB ASYNC", "+OK"},
        {"FLUSHALL sync", "+OK"},
        {"FLUSHALL now", "-ERR syntax error"},
        {"FLUSHALL SYNC ASYNC", "-ERR syntax error"},
        {"SCAN 0", "raw *2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN x", "-ERR invalid cursor"},
        {"SCAN -1", "-ERR invalid cursor"},
        {"SCAN 0 COUNT 0", "-ERR syntax error"},
        {"SCAN 0 COUNT", "-ERR syntax error"},
        {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range"},
        {"SCAN 0 WHAT 1", "-ERR syntax error"},
        {"SET k v", "+OK"},
        {"SCAN 0", "raw *2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
        {"SCAN 0 MATCH x*", "raw *2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN 0 TYPE list", "raw *2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN 0 TYPE string COUNT 5 MATCH k", "raw *2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
    };
    EXPECT_ALL(steps);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GET", "-ERR wrong number of arguments for 'get' command"},
        {"get a b", "-ERR wrong number of arguments for 'get' command"},
        {"SET a", "-ERR wrong number of arguments for 'set' command"},
        {"MSET a", "-ERR wrong number of arguments for 'mset' command"},
        {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"},
        {"MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"},
        {"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: "},
        {"NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "},
        {"NOSUCHNAME", "-ERR unknown command 'NOSUCHNAME', with args beginning with: "},
        {"\"\"", "-ERR unknown command '', with args beginning with: "},
        {"AVERYLONGCOMMANDNAME", "-ERR unknown command 'AVERYLONGCOMMANDNAME', with args beginning with: "},
    };
    EXPECT_ALL(steps);
    struct state_machine *m = state_machine_new();
    struct command empty = {{NULL, 0}};
    assert_int_equal(state_machine_apply(m, MOMENT_ZERO, &empty, 1, REPLY_ROOM_ANY).replies.ptr[0].tag, REPLY_ERROR);
    struct bytes args[2] = {{(uint8_t *)(uintptr_t)"a\r\nb\xff", 5}, {(uint8_t *)(uintptr_t)"c\0d", 3}};
    struct reply r = state_machine_apply(m, MOMENT_ZERO, &(struct command){{args, 2}}, 1, REPLY_ROOM_ANY).replies.ptr[0];
    static const char wanted[] = "ERR unknown command 'a  b\xff', with args beginning with: 'c' ";
    assert_int_equal(r.val.bytes.len, sizeof wanted - 1);
    assert_memory_equal(r.val.bytes.ptr, wanted, sizeof wanted - 1);
    state_machine_free(m);
}

/* Values and keys are bytes, and replies of one batch do not disturb each other. */
static void test_binary_and_batches(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    uint8_t value[256];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)i;
    struct bytes set[] = {text("SET"), {value, 7}, {value, sizeof value}};
    struct bytes get[] = {text("GET"), {value, 7}};
    struct bytes change[] = {text("SETRANGE"), {value, 7}, text("0"), text("changed")};
    struct command batch[] = {{{set, 3}}, {{get, 2}}, {{change, 4}}, {{get, 2}}};
    struct reply_list r = state_machine_apply(m, MOMENT_ZERO, batch, 4, REPLY_ROOM_ANY).replies;
    assert_int_equal(r.len, 4);
    assert_int_equal(r.ptr[1].val.bytes.len, sizeof value);
    assert_memory_equal(r.ptr[1].val.bytes.ptr, value, sizeof value);
    assert_memory_equal(r.ptr[3].val.bytes.ptr, "changed", 7);
    state_machine_free(m);
}

static void test_query(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    expect(m, "SET a 1", "+OK");
    struct line get, set;
    split(&get, "GET a");
    split(&set, "SET a 2");
    struct command both[] = {get.command, set.command};
    struct reply_list r = state_machine_query(m, MOMENT_ZERO, both, 2, REPLY_ROOM_ANY).replies;
    assert_int_equal(r.ptr[0].tag, REPLY_BYTES);
    assert_int_equal(r.ptr[1].tag, REPLY_ERROR);
    expect(m, "GET a", "$1");
    state_machine_free(m);
}

static void test_describe(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    struct command_info_list infos = state_machine_describe(m);
    bool seen = false;
    for (size_t i = 0; i < infos.len; i++)
        if (infos.ptr[i].name.len == 4 && memcmp(infos.ptr[i].name.ptr, "mset", 4) == 0) {
            seen = true;
            assert_int_equal(infos.ptr[i].arity, -3);
            assert_false(infos.ptr[i].read_only);
            assert_int_equal(infos.ptr[i].last_key, -1);
            assert_int_equal(infos.ptr[i].key_step, 2);
        }
    assert_true(seen);
    state_machine_free(m);
}

/* ---- Limits ---- */

static void test_limits(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    expect(m, "SETRANGE big 8388607 x", ":8388608");
    expect(m, "APPEND big y", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    struct line at_the_limit;
    split(&at_the_limit, "MGET big");
    assert_int_equal(state_machine_apply(m, MOMENT_ZERO, &at_the_limit.command, 1, REPLY_ROOM_ANY).replies.ptr[0].tag,
                     REPLY_ARRAY);
    expect(m, "MGET big big", "-ERR the reply would exceed 8 MiB: ask for fewer keys at once");
    char line[64];
    size_t stored = 1;
    const char *reply;
    do {
        snprintf(line, sizeof line, "SETRANGE big%zu 8388607 x", stored++);
        reply = run(m, line);
    } while (strcmp(reply, ":8388608") == 0 && stored < 100);
    assert_string_equal(reply, "-OOM command not allowed when used memory > 'state_bytes_max'.");
    assert_true(m->data.live.bytes <= m->data.state_bytes_max);
    expect(m, "SET k v", "+OK"); /* small ones still fit */
    expect(m, "FLUSHALL", "+OK");
    assert_int_equal(m->data.live.bytes, 0);
    expect(m, "SETRANGE big 8388607 x", ":8388608");
    state_machine_free(m);
}

/* What may be held is lowered below what is held: only what needs more is refused, until there is room again. */
static void test_lowered_limit(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    expect(m, "SETRANGE a 99999 x", ":100000");
    expect(m, "SETRANGE b 99999 x", ":100000");
    state_machine_start(m, 100000, 0);
    expect(m, "SET c 1", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "APPEND a y", ":100001"); /* in the block that it has */
    expect(m, "SETRANGE a 0 y", ":100001");
    state_machine_snapshot_begin(m); /* which keeps aside what is changed */
    expect(m, "SETRANGE a 1 y", ":100001");
    expect(m, "GETRANGE a 0 1", "$yy");
    while (!state_machine_snapshot_save(m).last)
        continue;
    expect(m, "DEL b", ":1");
    expect(m, "SET c 1", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "SET a 1", "+OK");
    expect(m, "SET c 1", "+OK");
    state_machine_free(m);
}

/* ---- Order, snapshots ---- */

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

struct blob {
    uint8_t *ptr;
    size_t len;
    size_t chunks;
};

/* All chunks of a snapshot, each after its length; loads them into `to` unless that is NULL. */
static struct blob save(struct state_machine *m, struct state_machine *to)
{
    struct blob all = {NULL, 0, 0};
    struct snapshot_chunk c;
    state_machine_snapshot_begin(m);
    do {
        c = state_machine_snapshot_save(m);
        all.ptr = realloc(all.ptr, all.len + sizeof(uint64_t) + c.bytes.len);
        uint64_t len = c.bytes.len;
        memcpy(all.ptr + all.len, &len, sizeof len);
        memcpy(all.ptr + all.len + sizeof len, c.bytes.ptr, c.bytes.len);
        all.len += sizeof len + c.bytes.len;
        all.chunks++;
        const char *error = NULL;
        if (to != NULL && !state_machine_snapshot_load(to, c.bytes, all.chunks == 1, c.last, &error))
            fail_msg("%s", error);
    } while (!c.last);
    return all;
}

static void assert_same_state(struct state_machine *a, struct state_machine *b)
{
    struct blob first = save(a, NULL), second = save(b, NULL);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.ptr, second.ptr, first.len);
    free(first.ptr);
    free(second.ptr);
}

static void set_key(struct state_machine *m, uint64_t i, const char *more)
{
    char line[128];
    snprintf(line, sizeof line, "SET key:%llu value-%llu%s", (unsigned long long)i, (unsigned long long)i * 7, more);
    expect(m, line, "+OK");
}

static void del_key(struct state_machine *m, uint64_t i)
{
    char line[64];
    snprintf(line, sizeof line, "DEL key:%llu", (unsigned long long)i);
    run(m, line);
}

/* Runs a SCAN to its end; the replies of all steps, cursors included, go to `out`. Returns the number of keys. */
static size_t scan_all(struct state_machine *m, int count, char *out, size_t size)
{
    size_t keys = 0, at = 0;
    char line[64], cursor[32] = "0";
    do {
        snprintf(line, sizeof line, "SCAN %s COUNT %d", cursor, count);
        const char *raw = run(m, line);
        size_t len = strlen(raw);
        assert_true(at + len + 1 < size);
        memcpy(out + at, raw, len + 1);
        at += len;
        unsigned long long listed;
        assert_int_equal(sscanf(raw, "raw *2\r\n$%*d\r\n%31s *%llu", cursor, &listed), 2);
        assert_true(strtoull(cursor, NULL, 10) < 1ULL << 53); /* a double holds it */
        keys += listed;
    } while (strcmp(cursor, "0") != 0);
    return keys;
}

/* Three histories that end in the same contents: grown and left so; grown five times as large and shrunk, in another order;
 * loaded from a snapshot. They cannot be told apart. */
static void test_history_does_not_show(void **state)
{
    (void)state;
    enum { KEYS = 3000, SIZE = 1024 * 1024 };
    struct state_machine *grown = state_machine_new(), *shrunk = state_machine_new(), *loaded = state_machine_new();
    for (uint64_t i = 0; i < KEYS; i++)
        set_key(grown, i, "");
    for (uint64_t i = 5 * KEYS; i-- > 0;)
        set_key(shrunk, i, "-and-longer-for-a-while");
    for (uint64_t i = KEYS; i < 5 * KEYS; i++)
        del_key(shrunk, i);
    for (uint64_t i = 0; i < KEYS; i++)
        set_key(shrunk, i, "");
    set_key(loaded, 1, "-replaced");
    struct blob b = save(grown, loaded);
    free(b.ptr);
    assert_same_state(grown, shrunk);
    assert_same_state(grown, loaded);
    assert_int_equal(grown->data.live.bytes, shrunk->data.live.bytes);
    assert_int_equal(grown->data.live.bytes, loaded->data.live.bytes);
    char *first = malloc(SIZE), *second = malloc(SIZE);
    for (int count = 1; count <= 1000; count *= 10) {
        assert_int_equal(scan_all(grown, count, first, SIZE), KEYS);
        assert_int_equal(scan_all(shrunk, count, second, SIZE), KEYS);
        assert_string_equal(first, second);
        assert_int_equal(scan_all(loaded, count, second, SIZE), KEYS);
        assert_string_equal(first, second);
    }
    struct line keys;
    split(&keys, "KEYS key:*");
    struct reply a = state_machine_apply(grown, MOMENT_ZERO, &keys.command, 1, REPLY_ROOM_ANY).replies.ptr[0];
    struct reply c = state_machine_apply(loaded, MOMENT_ZERO, &keys.command, 1, REPLY_ROOM_ANY).replies.ptr[0];
    assert_int_equal(a.val.array.len, KEYS);
    assert_int_equal(c.val.array.len, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(a.val.array.ptr[i].val.bytes.len, c.val.array.ptr[i].val.bytes.len);
        assert_memory_equal(a.val.array.ptr[i].val.bytes.ptr, c.val.array.ptr[i].val.bytes.ptr,
                            c.val.array.ptr[i].val.bytes.len);
    }
    free(first);
    free(second);
    state_machine_free(grown);
    state_machine_free(shrunk);
    state_machine_free(loaded);
}

/* A long random history against the plainest of models, with the snapshot taken and loaded on the way. */
static void test_against_model(void **state)
{
    (void)state;
    enum { KEYS = 500, STEPS = 60000 };
    static int64_t model[KEYS]; /* 0: absent */
    memset(model, 0, sizeof model);
    struct state_machine *m = state_machine_new();
    uint64_t seed = 42;
    size_t present = 0;
    for (int i = 0; i < STEPS; i++) {
        char line[64], wanted[64];
        uint64_t k = random_next(&seed) % KEYS, what = random_next(&seed) % 100;
        bool dying = i / 6000 % 2 == 1; /* the table grows and shrinks by turns */
        if (what < (dying ? 60u : 20u)) {
            snprintf(line, sizeof line, "DEL k%llu", (unsigned long long)k);
            snprintf(wanted, sizeof wanted, ":%d", model[k] != 0);
            present -= model[k] != 0;
            model[k] = 0;
        } else if (what < 80) {
            snprintf(line, sizeof line, "INCRBY k%llu 1000", (unsigned long long)k);
            present += model[k] == 0;
            model[k] += 1000;
            snprintf(wanted, sizeof wanted, ":%lld", (long long)model[k]);
        } else if (what < 99) {
            snprintf(line, sizeof line, "GET k%llu", (unsigned long long)k);
            snprintf(wanted, sizeof wanted, model[k] != 0 ? "$%lld" : "nil", (long long)model[k]);
        } else if (what == 99 && random_next(&seed) % 40 == 0) {
            snprintf(line, sizeof line, "FLUSHALL");
            snprintf(wanted, sizeof wanted, "+OK");
            memset(model, 0, sizeof model);
            present = 0;
        } else {
            snprintf(line, sizeof line, "DBSIZE");
            snprintf(wanted, sizeof wanted, ":%zu", present);
        }
        expect(m, line, wanted);
        if (i % 10007 == 0) {
            struct state_machine *copy = state_machine_new();
            struct blob b = save(m, copy);
            free(b.ptr);
            assert_same_state(m, copy);
            state_machine_free(m);
            m = copy;
        }
    }
    state_machine_free(m);
}

static void test_snapshot_in_chunks(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new(), *copy = state_machine_new();
    struct blob none = save(m, copy);
    assert_int_equal(none.chunks, 1);
    free(none.ptr);
    char line[128];
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof line, "SETRANGE big%d 100000 x", i);
        expect(m, line, ":100001");
    }
    struct blob all = save(m, copy);
    assert_in_range(all.chunks, 5, 20);
    free(all.ptr);
    assert_same_state(m, copy);
    expect(copy, "STRLEN big7", ":100001");
    state_machine_free(m);
    state_machine_free(copy);
}

static void refuse(struct state_machine *m, const void *bytes, size_t len, const char *wanted)
{
    const char *error = NULL;
    expect(m, "SET a 1", "+OK");
    assert_false(state_machine_snapshot_load(m, (struct bytes){(uint8_t *)(uintptr_t)bytes, len}, true, true, &error));
    assert_non_null(strstr(error, wanted));
    expect(m, "DBSIZE", ":0");
}

static void test_bad_snapshots(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new(), *other = state_machine_new();
    expect(other, "MSET a 1 b 2 c 3", "+OK");
    state_machine_snapshot_begin(other);
    struct snapshot_chunk good = state_machine_snapshot_save(other);
    assert_true(good.last);
    uint8_t copy[256];
    for (size_t len = 0; len < good.bytes.len; len++) {
        /* An exact allocation, so that reading beyond it is seen. */
        uint8_t *cut = malloc(len > 0 ? len : 1);
        memcpy(cut, good.bytes.ptr, len);
        refuse(m, cut, len, len < 4 ? "SKV2" : "cut short");
        free(cut);
    }
    memcpy(copy, good.bytes.ptr, good.bytes.len);
    copy[good.bytes.len] = 0;
    refuse(m, copy, good.bytes.len + 1, "left over");
    /* Two entries of 10 bytes change places; then one comes twice. */
    memcpy(copy + 24, good.bytes.ptr + 34, 10);
    memcpy(copy + 34, good.bytes.ptr + 24, 10);
    refuse(m, copy, good.bytes.len, "out of order");
    memcpy(copy + 24, good.bytes.ptr + 24, 10);
    refuse(m, copy, good.bytes.len, "out of order");
    /* More than may be, and another key of the hash in the second chunk. */
    const char *error = NULL;
    state_machine_start(m, kv_cost(1, 1) * 3 - 1, 0);
    refuse(m, good.bytes.ptr, good.bytes.len, "larger than state_bytes_max");
    state_machine_start(m, STATE_BYTES_MAX_STANDARD, 0);
    assert_true(state_machine_snapshot_load(m, good.bytes, true, false, &error));
    memcpy(copy, good.bytes.ptr, good.bytes.len);
    copy[8] ^= 1;
    assert_false(state_machine_snapshot_load(m, (struct bytes){copy, good.bytes.len}, false, true, &error));
    assert_non_null(strstr(error, "differ in the key"));
    /* A chunk given twice. */
    assert_true(state_machine_snapshot_load(m, good.bytes, true, false, &error));
    assert_false(state_machine_snapshot_load(m, good.bytes, false, true, &error));
    state_machine_free(m);
    state_machine_free(other);
}

/* ---- Work, room ---- */

/* Work that a command would take is refused before it is done, and changes nothing. */
static void test_costly_commands(void **state)
{
    (void)state;
    enum { LONG = 100 * 1000, MANY = 100 * 1000 };
    static char key[LONG + 1], pattern[LONG / 2 + 3];
    memset(key, 'a', LONG);
    memset(pattern, 'a', sizeof pattern - 1);
    pattern[0] = '*';
    pattern[sizeof pattern - 2] = 'b';
    struct state_machine *m = state_machine_new();
    struct bytes set[] = {text("SET"), text(key), text("x")};
    assert_int_equal(apply_one(m, set, 3).tag, REPLY_STATUS);
    struct bytes scan[] = {text("SCAN"), text("0"), text("MATCH"), text(pattern)};
    struct bytes keys[] = {text("KEYS"), text(pattern)};
    expect_error(m, scan, 4, "TOOCOSTLY ");
    expect_error(m, keys, 2, "TOOCOSTLY ");
    pattern[1] = 0; /* all of them */
    keys[1] = scan[3] = text(pattern);
    assert_int_equal(apply_one(m, keys, 2).val.array.len, 1);
    assert_int_equal(apply_one(m, scan, 4).tag, REPLY_RAW);
    struct bytes *many = memory_new(MANY + 1, sizeof *many);
    static const char *const names[] = {"DEL", "EXISTS", "MGET", "MSET", "MSETNX", "UNLINK"};
    for (size_t i = 1; i <= MANY; i++)
        many[i] = text("a");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        many[0] = text(names[i]);
        bool pairs = names[i][1] == 'S';
        if (!pairs)
            expect_error(m, many, MANY + 1, "TOOCOSTLY ");
        assert_true(apply_one(m, many, MANY / 2 + 1).tag != REPLY_ERROR);
    }
    free(many);
    state_machine_free(m);
}

/* A command whose reply has no room says so and changes nothing; with room it is executed. */
static void test_room_for_replies(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET k",
        "GETSET k v",
        "GETDEL k",
        "REMOVE k",
        "SET k v GET",
        "MGET k small",
        "MGET a a a a a a a a a a a a a a a a",
        "GETRANGE k 1 500",
        "KEYS *",
        "SCAN 0",
        "NOSUCHCOMMAND abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz"};
    char value[1001], set[1400];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct state_machine *m = state_machine_new(), *untouched = state_machine_new();
        for (int n = 0; n < 2; n++) {
            snprintf(set, sizeof set, "MSET k %s small 1 longer-key-%.200s 2", value, value);
            expect(n ? m : untouched, set, "+OK");
        }
        struct line l;
        split(&l, lines[i]);
        struct command twice[] = {l.command, l.command};
        struct reply_room least = {.large = 130, .small = REPLY_SMALL_MIN};
        struct reply_list r = state_machine_apply(m, MOMENT_ZERO, twice, 2, least).replies;
        for (size_t n = 0; n < r.len; n++) {
            assert_true(reply_size(&r.ptr[n]) <= REPLY_SMALL_MIN);
            assert_int_equal(r.ptr[n].tag, REPLY_ERROR);
            assert_memory_equal(r.ptr[n].val.bytes.ptr, "BUSY ", 5);
        }
        assert_same_state(m, untouched);
        assert_true(reply_size(&state_machine_apply(m, MOMENT_ZERO, twice, 1, REPLY_ROOM_ANY).replies.ptr[0]) > 130);
        state_machine_free(m);
        state_machine_free(untouched);
    }
    /* Room is shared: what one command got, the next one lacks. */
    struct state_machine *m = state_machine_new();
    snprintf(set, sizeof set, "SET k %s", value);
    expect(m, set, "+OK");
    struct line l;
    split(&l, "GET k");
    struct command thrice[] = {l.command, l.command, l.command};
    struct reply_list r =
        state_machine_apply(m, MOMENT_ZERO, thrice, 3, (struct reply_room){.large = 2100, .small = 128}).replies;
    assert_int_equal(r.ptr[0].tag, REPLY_BYTES);
    assert_int_equal(r.ptr[1].tag, REPLY_BYTES);
    assert_int_equal(r.ptr[2].tag, REPLY_ERROR);
    state_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_set),
        cmocka_unit_test(test_parts_of_values),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_binary_and_batches),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lowered_limit),
        cmocka_unit_test(test_history_does_not_show),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_snapshot_in_chunks),
        cmocka_unit_test(test_bad_snapshots),
        cmocka_unit_test(test_costly_commands),
        cmocka_unit_test(test_room_for_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
