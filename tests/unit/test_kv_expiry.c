/* core/state/kv_expiry.c and what it means for all other commands. What Redis 7 says is compared in
 * tests/e2e/test_same_as_redis.py, and snapshots in test_kv_snapshot.c. */
#include "tests/unit/kv_lines.h"
#include "tests/unit/random.h"

enum { UNIX = 1000000000 };

static void set_time(uint64_t elapsed) { lines_now = (struct moment){elapsed, UNIX + elapsed}; }

/* A command at a time. */
struct timed_step {
    uint64_t elapsed;
    const char *line, *reply;
};

static void expect_timed(const struct timed_step *steps, size_t count)
{
    struct state_machine *m = state_machine_new();
    for (size_t i = 0; i < count; i++) {
        set_time(steps[i].elapsed);
        expect(m, steps[i].line, steps[i].reply);
    }
    state_machine_free(m);
    set_time(0);
}
#define EXPECT_TIMED(steps) expect_timed(steps, sizeof(steps) / sizeof(steps)[0])

/* It is there for as long as was said, and then for no command. */
static void a_key_ends(void **state)
{
    static const struct timed_step steps[] = {
        {50, "SET k v PX 100", "+OK"}, {50, "PTTL k", ":100"}, {149, "GET k", "$v"},     {150, "PTTL k", ":0"},
        {150, "GET k", "$v"},          {151, "GET k", "nil"},  {151, "PTTL k", ":-2"},   {151, "TTL k", ":-2"},
        {151, "EXISTS k", ":0"},       {151, "DBSIZE", ":0"},  {151, "PERSIST k", ":0"}, {151, "EXPIRE k 10", ":0"},
        {151, "APPEND k x", ":1"},     {151, "TTL k", ":-1"},
    };
    (void)state;
    EXPECT_TIMED(steps);
}

static void ways_to_say_it(void **state)
{
    static const struct timed_step steps[] = {
        {0, "SET a 1 EX 10", "+OK"},
        {0, "SET b 1 PX 10000", "+OK"},
        {0, "SET c 1 EXAT 1000010", "+OK"},
        {0, "SET d 1 PXAT 1000010000", "+OK"},
        {0, "SETEX e 10 1", "+OK"},
        {0, "PSETEX f 10000 1", "+OK"},
        {0, "MSET g 1 h 1 i 1 j 1 k 1", "+OK"},
        {0, "EXPIRE g 10", ":1"},
        {0, "PEXPIRE h 10000", ":1"},
        {0, "EXPIREAT i 1000010", ":1"},
        {0, "PEXPIREAT j 1000010000", ":1"},
        {0, "GETEX k EX 10", "$1"},
        {4000, "PTTL a", ":6000"},
        {4000, "PTTL b", ":6000"},
        {4000, "PTTL c", ":6000"},
        {4000, "PTTL d", ":6000"},
        {4000, "PTTL e", ":6000"},
        {4000, "PTTL f", ":6000"},
        {4000, "PTTL g", ":6000"},
        {4000, "PTTL h", ":6000"},
        {4000, "PTTL i", ":6000"},
        {4000, "PTTL j", ":6000"},
        {4000, "PTTL k", ":6000"},
        {4000, "EXPIRETIME c", ":1000010"},
        {4000, "PEXPIRETIME c", ":1000010000"},
        {4000, "EXPIRETIME none", ":-2"},
        {10000, "EXISTS a b c d e f g h i j k", ":11"},
        {10001, "EXISTS a b c d e f g h i j k", ":0"},
    };
    (void)state;
    EXPECT_TIMED(steps);
}

static void what_keeps_a_time(void **state)
{
    static const struct timed_step steps[] = {
        {0, "SET k 5 EX 10", "+OK"},
        {0, "INCR k", ":6"},
        {0, "INCRBYFLOAT k 0.5", "$6.5"},
        {0, "APPEND k 1", ":4"},
        {0, "SETRANGE k 0 7", ":4"},
        {0, "SETBIT k 100 1", ":0"},
        {0, "SET k 8 KEEPTTL", "+OK"},
        {0, "SET k 8 XX KEEPTTL GET", "$8"},
        {0, "GETEX k", "$8"},
        {0, "TTL k", ":10"},
        {0, "RENAME k l", "+OK"},
        {0, "TTL l", ":10"},
        {0, "COPY l k", ":1"},
        {0, "TTL k", ":10"},
        {0, "SET m 1", "+OK"},
        {0, "COPY m k REPLACE", ":1"},
        {0, "TTL k", ":-1"},
        {0, "RENAME m l", "+OK"},
        {0, "TTL l", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "SET k 1", "+OK"},
        {0, "TTL k", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "GETSET k 1", "$1"},
        {0, "TTL k", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "MSET k 1", "+OK"},
        {0, "TTL k", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "BITOP NOT k k", ":1"},
        {0, "TTL k", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "SET k 2 NX", "nil"},
        {0, "TTL k", ":10"},
        {0, "PERSIST k", ":1"},
        {0, "PERSIST k", ":0"},
        {0, "TTL k", ":-1"},
        {0, "GETEX k PX 5", "$1"},
        {0, "GETEX k PERSIST", "$1"},
        {0, "TTL k", ":-1"},
        {0, "SET k 1 EX 10", "+OK"},
        {0, "DEL k", ":1"},
        {0, "SET k 1", "+OK"},
        {0, "TTL k", ":-1"},
        {20000, "GET k", "$1"},
    };
    (void)state;
    EXPECT_TIMED(steps);
}

static void conditions(void **state)
{
    static const struct timed_step steps[] = {
        {0, "SET k 1", "+OK"},
        {0, "EXPIRE k 10 XX", ":0"},
        {0, "EXPIRE k 10 GT", ":0"},
        {0, "EXPIRE k 10 LT", ":1"},
        {0, "EXPIRE k 5 NX", ":0"},
        {0, "EXPIRE k 10 GT", ":0"},
        {0, "EXPIRE k 10 LT", ":0"},
        {0, "EXPIRE k 11 GT", ":1"},
        {0, "EXPIRE k 10 xx lt", ":1"},
        {0, "EXPIRE k 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"},
        {0, "EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible"},
        {0, "EXPIRE k 10 FOO", "-ERR Unsupported option FOO"},
        {0, "EXPIRE k x FOO", "-ERR Unsupported option FOO"},
        {0, "EXPIRE k x", "-ERR value is not an integer or out of range"},
        {0, "EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"},
        {0, "PEXPIREAT k 9223372036854775807", ":1"},
        {0, "PEXPIRETIME k", ":9223372036854775807"},
        {0, "PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"},
        {0, "SET k 1 EX 0", "-ERR invalid expire time in 'set' command"},
        {0, "SETEX k 0 1", "-ERR invalid expire time in 'setex' command"},
        {0, "PSETEX k -1 1", "-ERR invalid expire time in 'psetex' command"},
        {0, "GETEX k EX 0", "-ERR invalid expire time in 'getex' command"},
        {0, "GETEX none EX 0", "nil"},
        {0, "GETEX k EX 1 PX 1", "-ERR syntax error"},
        {0, "GETEX k EX 1 PERSIST", "-ERR syntax error"},
        {0, "GETEX k KEEPTTL", "-ERR syntax error"},
        {0, "SET k 1 EX 10 KEEPTTL", "-ERR syntax error"},
        {0, "SET k 1 KEEPTTL EX 10", "-ERR syntax error"},
        {0, "SET k 1 EX", "-ERR syntax error"},
        {0, "SET k 1 PERSIST", "-ERR syntax error"},
        {0, "SET k 1 EX 10 EX 20", "+OK"},
        {0, "TTL k", ":20"},
        {0, "EXPIRE k -1", ":1"},
        {0, "EXISTS k", ":0"},
        {0, "SET k 1", "+OK"},
        {0, "PEXPIREAT k 1000000000", ":1"}, /* now */
        {0, "EXISTS k", ":0"},
        {0, "SET k 1 PXAT 1000000000", "+OK"},
        {0, "GET k", "$1"},
        {0, "SET k 2 PXAT 999999999", "+OK"},
        {0, "GET k", "nil"},
        {0, "SET k 1", "+OK"},
        {0, "GETEX k PXAT 1000000000", "$1"},
        {0, "GET k", "nil"},
    };
    (void)state;
    EXPECT_TIMED(steps);
}

/* The wall clock is set forward: what was said in seconds stays, and the time of the end is another one. */
static void the_wall_clock_jumps(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    set_time(0);
    expect(m, "SET k 1 EX 10", "+OK");
    expect(m, "PEXPIRETIME k", ":1000010000");
    lines_now = (struct moment){.elapsed = 1000, .unix = UNIX + 501000};
    expect(m, "PTTL k", ":9000");
    expect(m, "PEXPIRETIME k", ":1000510000");
    expect(m, "TIME", "[$1000501 $0]");
    lines_now.unix++;
    expect(m, "TIME", "[$1000501 $1000]");
    state_machine_free(m);
    set_time(0);
}

static struct applied let_time_pass(struct state_machine *m)
{
    return state_machine_apply(m, lines_now, NULL, 0, REPLY_ROOM_ANY);
}

static const char *ask(struct state_machine *m, const char *line)
{
    static char out[TEXT_MAX];
    struct line l;
    split(&l, line);
    const struct reply_list replies = state_machine_query(m, lines_now, &l.command, 1, REPLY_ROOM_ANY).replies;
    assert_int_equal(replies.len, 1);
    print_reply(&replies.ptr[0], out);
    return out;
}

static void add_many(struct state_machine *m, size_t count, const char *ms)
{
    char line[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "SET key:%zu v PX %s", i, ms);
        expect(m, line, "+OK");
    }
}

/* Queries change nothing, and see none of the keys that are over. */
static void reads_do_not_remove(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    set_time(0);
    expect(m, "SET lasting v", "+OK");
    add_many(m, 50, "10");
    set_time(11);
    assert_string_equal(ask(m, "DBSIZE"), ":1");
    assert_string_equal(ask(m, "KEYS *"), "[$lasting]");
    assert_string_equal(ask(m, "RANDOMKEY"), "$lasting");
    assert_string_equal(ask(m, "SCAN 0 COUNT 1000"), "raw *2\r\n$1\r\n0\r\n*1\r\n$7\r\nlasting\r\n");
    assert_string_equal(ask(m, "MGET key:1 lasting key:2"), "[nil $v nil]");
    assert_string_equal(ask(m, "OBJECT ENCODING key:1"), "nil");
    assert_string_equal(ask(m, "MEMORY USAGE key:1"), "nil");
    assert_string_equal(ask(m, "STRLEN key:1"), ":0");
    assert_int_equal(m->data.live.count, 51);
    state_machine_free(m);
    set_time(0);
}

/* Commands let a few keys leave, a pause more of them, in order of time; `due` says when there is something to do. */
static void keys_leave_in_order(void **state)
{
    (void)state;
    enum { KEYS = 3 * KV_LEAVE_A_PAUSE };
    struct state_machine *m = state_machine_new();
    char line[64];
    set_time(0);
    assert_int_equal(let_time_pass(m).due, DUE_NEVER);
    expect(m, "SET one v PX 100", "+OK");
    expect(m, "SET two v PX 300", "+OK");
    expect(m, "SET two v PX 200", "+OK");
    set_time(50);
    assert_int_equal(let_time_pass(m).timed_keys, 2);
    assert_int_equal(let_time_pass(m).time_left, 100);
    expect(m, "PERSIST two", ":1");
    assert_int_equal(let_time_pass(m).time_left, 50);
    expect(m, "FLUSHALL", "+OK");
    assert_int_equal(let_time_pass(m).time_left, 0);
    set_time(0);
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(line, sizeof line, "SET key:%u v PX %u", i, 1 + i * 7919 % KEYS); /* each at another time */
        run(m, line);
    }
    assert_int_equal(let_time_pass(m).due, 2);
    set_time(1);
    assert_int_equal(let_time_pass(m).keys, KEYS);
    set_time(2);
    assert_int_equal(let_time_pass(m).keys, KEYS - 1);
    set_time(KEYS);
    expect(m, "GET none", "nil");
    assert_int_equal(m->data.live.count, KEYS - 1 - KV_LEAVE_A_COMMAND);
    assert_int_equal(kv_versions_first_until(&m->data), 2 + KV_LEAVE_A_COMMAND);
    expect(m, "DBSIZE", ":1");
    const struct applied passed = let_time_pass(m);
    assert_int_equal(passed.keys, KEYS - 1 - 2 * KV_LEAVE_A_COMMAND - KV_LEAVE_A_PAUSE);
    assert_true(passed.due <= lines_now.elapsed && passed.work < KV_COMMAND_WORK_MAX);
    for (int i = 0; i < 3; i++)
        let_time_pass(m);
    assert_int_equal(m->data.live.count, 1);
    set_time(KEYS + 1);
    assert_int_equal(let_time_pass(m).due, DUE_NEVER);
    assert_int_equal(m->data.live.bytes, 0);
    state_machine_free(m);
    set_time(0);
}

/* However many keys have ended, a command waits for few, and what it changes is not one of them. */
static void many_end_at_once(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    set_time(0);
    add_many(m, 200, "10");
    set_time(11);
    expect(m, "APPEND key:150 x", ":1");
    expect(m, "SETNX key:151 x", ":1");
    expect(m, "SET key:152 x XX", "nil");
    expect(m, "INCR key:153", ":1");
    expect(m, "COPY key:150 key:154", ":1");
    expect(m, "RENAMENX key:150 key:155", ":1");
    expect(m, "MSETNX key:156 1 key:157 2", ":1");
    expect(m, "SETRANGE key:158 1 x", ":2");
    expect(m, "SETBIT key:159 7 1", ":0");
    expect(m, "GETSET key:160 x", "nil");
    expect(m, "DEL key:161 key:162", ":0");
    expect(m, "RENAME key:163 x", "-ERR no such key");
    expect(m, "SET key:164 x KEEPTTL", "+OK");
    expect(m, "TTL key:164", ":-1");
    expect(m, "GETDEL key:165", "nil");
    expect(m, "PERSIST key:166", ":0");
    expect(m, "BITOP OR x key:167 key:168", ":0");
    assert_true(m->data.live.count > 100);
    expect(m, "DBSIZE", ":10");
    state_machine_free(m);
    set_time(0);
}

/* A time counts in the limit, and one that has no room changes nothing. */
static void times_are_counted(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    set_time(0);
    expect(m, "SET k v", "+OK");
    const uint64_t without = m->data.live.bytes;
    expect(m, "MEMORY USAGE k", ":144");
    expect(m, "EXPIRE k 10", ":1");
    assert_int_equal(m->data.live.bytes, without + KV_TIME_COST);
    expect(m, "MEMORY USAGE k", ":280");
    expect(m, "PERSIST k", ":1");
    assert_int_equal(m->data.live.bytes, without);
    state_machine_start(m, without + KV_TIME_COST - 1, 0);
    expect(m, "EXPIRE k 10", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "SET k w EX 10", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "GETEX k EX 10", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "TTL k", ":-1");
    expect(m, "GET k", "$v");
    expect(m, "SET k w", "+OK");
    state_machine_start(m, without + KV_TIME_COST, 0);
    expect(m, "EXPIRE k 10", ":1");
    expect(m, "EXPIRE k 11", ":1");
    expect(m, "RENAME k l", "+OK");
    expect(m, "COPY l k", "-OOM command not allowed when used memory > 'state_bytes_max'.");
    expect(m, "SET l w EX 10", "+OK");
    expect(m, "FLUSHALL", "+OK");
    assert_int_equal(m->data.times.count, 0);
    state_machine_free(m);
}

/* ---- By a simple model ---- */

enum { MODEL_KEYS = 40, NEVER = 0 };

struct model {
    bool there[MODEL_KEYS];
    uint64_t until[MODEL_KEYS]; /* NEVER: it does not end */
};

static bool is_there(const struct model *m, uint32_t k)
{
    return m->there[k] && (m->until[k] == NEVER || lines_now.elapsed <= m->until[k]);
}

/* Executes a command on one key in both, and compares what it says. */
static void model_step(struct model *model, struct state_machine *m, uint64_t *seed)
{
    enum { SET, SET_PX, KEEP, PEXPIRE, PERSIST, DEL, PTTL };
    const uint32_t what = random_below(seed, 7), k = random_below(seed, MODEL_KEYS), ms = 1 + random_below(seed, 200);
    const bool there = is_there(model, k), timed = there && model->until[k] != NEVER;
    char line[64], wanted[32] = "+OK";
    if (!there)
        model->until[k] = NEVER;
    model->there[k] = there;
    if (what == SET || what == SET_PX || what == KEEP) {
        snprintf(line, sizeof line,
                 what == SET_PX ? "SET k%u v PX %u"
                 : what == KEEP ? "SET k%u v KEEPTTL"
                                : "SET k%u v",
                 k, ms);
        model->there[k] = true;
        model->until[k] = what == SET_PX ? lines_now.elapsed + ms : what == KEEP ? model->until[k] : NEVER;
    } else if (what == PEXPIRE) {
        snprintf(line, sizeof line, "PEXPIRE k%u %u", k, ms);
        snprintf(wanted, sizeof wanted, ":%d", there);
        model->until[k] = there ? lines_now.elapsed + ms : NEVER;
    } else if (what == PERSIST) {
        snprintf(line, sizeof line, "PERSIST k%u", k);
        snprintf(wanted, sizeof wanted, ":%d", timed);
        model->until[k] = NEVER;
    } else if (what == DEL) {
        snprintf(line, sizeof line, "DEL k%u", k);
        snprintf(wanted, sizeof wanted, ":%d", there);
        model->there[k] = false;
    } else {
        snprintf(line, sizeof line, "PTTL k%u", k);
        snprintf(wanted, sizeof wanted, ":%d", timed ? (int)(model->until[k] - lines_now.elapsed) : there ? -1 : -2);
    }
    expect(m, line, wanted);
}

static void as_a_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t dice = seed;
        struct model model = {0};
        struct state_machine *m = state_machine_new();
        set_time(0);
        for (int i = 0; i < 5000; i++) {
            uint32_t there = 0;
            char count[16];
            set_time(lines_now.elapsed + (random_below(&dice, 100) == 0 ? 300 : random_below(&dice, 3)));
            model_step(&model, m, &dice);
            for (uint32_t k = 0; k < MODEL_KEYS; k++)
                there += is_there(&model, k);
            snprintf(count, sizeof count, ":%u", there);
            assert_string_equal(ask(m, "DBSIZE"), count);
            if (random_below(&dice, 50) == 0)
                let_time_pass(m);
        }
        state_machine_free(m);
    }
    set_time(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_ends),          cmocka_unit_test(ways_to_say_it),       cmocka_unit_test(what_keeps_a_time),
        cmocka_unit_test(conditions),          cmocka_unit_test(the_wall_clock_jumps), cmocka_unit_test(reads_do_not_remove),
        cmocka_unit_test(keys_leave_in_order), cmocka_unit_test(many_end_at_once),     cmocka_unit_test(times_are_counted),
        cmocka_unit_test(as_a_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
