/* Snapshots of the kv-store that are saved while commands go on: they have what was there at their begin, nothing else shows
 * that there is one, and memory stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/state/kv_store.h"
#include "tests/unit/random.h"

/* ---- Random commands ---- */

enum { KEYS = 300, VALUE_MAX = 60000, ARGS_MAX = 8, UNIX_BEGIN = 1000000000 };

struct line {
    struct bytes args[ARGS_MAX];
    struct command command;
    uint8_t keys[ARGS_MAX][256];
    char numbers[2][24];
};

/* When commands are executed. */
static struct moment now;

static uint8_t noise[VALUE_MAX + ARGS_MAX];

static struct bytes text(const char *s) { return (struct bytes){.ptr = (uint8_t *)(uintptr_t)s, .len = strlen(s)}; }

static void add(struct line *l, struct bytes arg) { l->args[l->command.args.len++] = arg; }

/* Every eighth key does not fit the first block of its entry. */
static void add_key(struct line *l, uint64_t *seed)
{
    uint8_t *key = l->keys[l->command.args.len];
    uint32_t number = random_below(seed, KEYS);
    int len = sprintf((char *)key, number % 8 == 0 ? "key-%0200u" : "key-%u", number);
    add(l, (struct bytes){key, (size_t)len});
}

static void add_value(struct line *l, uint64_t *seed)
{
    size_t at = random_below(seed, ARGS_MAX), most = random_below(seed, 4) == 0 ? VALUE_MAX : 300;
    add(l, (struct bytes){noise + at, random_below(seed, (uint32_t)most)});
}

static void add_number(struct line *l, int which, uint32_t number)
{
    sprintf(l->numbers[which], "%u", number);
    add(l, text(l->numbers[which]));
}

/* A command on the time of a key, or one that carries it along. */
static void draw_timed(struct line *l, uint64_t *seed)
{
    static const char *const names[] = {"SET",    "PEXPIRE", "PEXPIREAT", "GETEX", "PERSIST",
                                        "RENAME", "COPY",    "SET",       "PSETEX"};
    enum { SETS, EXPIRES, EXPIRES_AT, GETS, PERSISTS, RENAMES, COPIES, KEEPS, SETS_FOR };
    const uint32_t what = random_below(seed, sizeof names / sizeof names[0]);
    add(l, text(names[what]));
    add_key(l, seed);
    if (what == RENAMES || what == COPIES)
        add_key(l, seed);
    if (what == COPIES)
        add(l, text("REPLACE"));
    if (what == SETS || what == KEEPS)
        add_value(l, seed);
    if (what == KEEPS)
        add(l, text("KEEPTTL"));
    if (what == SETS || what == GETS)
        add(l, text("PX"));
    if (what == SETS || what == EXPIRES || what == GETS || what == SETS_FOR)
        add_number(l, 0, 1 + random_below(seed, 600));
    if (what == EXPIRES_AT)
        add_number(l, 0, (uint32_t)now.unix + random_below(seed, 600));
    if (what == SETS_FOR)
        add_value(l, seed);
}

/* Every command that changes something, and with `clears`, sometimes, one that removes everything. */
static const struct command *draw(struct line *l, uint64_t *seed, bool clears)
{
    static const char *const pairs[] = {"MSET", "MSETNX"}, *const single[] = {"DEL", "GETDEL", "REMOVE"};
    static const char *const valued[] = {"SET", "SET", "GETSET", "SETNX", "APPEND"};
    l->command = (struct command){.args = {l->args, 0}};
    uint32_t what = random_below(seed, 125);
    if (what >= 100) {
        draw_timed(l, seed);
    } else if (what < 40) {
        add(l, text(valued[random_below(seed, 5)]));
        add_key(l, seed);
        add_value(l, seed);
    } else if (what < 60) {
        add(l, text(single[random_below(seed, 3)]));
        add_key(l, seed);
    } else if (what < 70) {
        add(l, text(pairs[random_below(seed, 2)]));
        for (int i = 0; i < 3; i++) {
            add_key(l, seed);
            add_value(l, seed);
        }
    } else if (what < 80) {
        add(l, text("DEL"));
        for (int i = 0; i < 5; i++)
            add_key(l, seed);
    } else if (what < 95) {
        add(l, text("SETRANGE"));
        add_key(l, seed);
        add_number(l, 0, random_below(seed, 2000));
        add_value(l, seed);
    } else if (what < 99 || !clears) {
        add(l, text("INCRBY"));
        add_key(l, seed);
        add_number(l, 0, random_below(seed, 1000));
    } else {
        add(l, text(random_below(seed, 2) == 0 ? "FLUSHALL" : "CLEAR"));
    }
    return &l->command;
}

static struct reply run(struct state_machine *m, const struct command *c)
{
    struct applied done = state_machine_apply(m, now, c, 1, REPLY_ROOM_ANY);
    assert_int_equal(done.replies.len, 1);
    return done.replies.ptr[0];
}

/* Mostly a little, sometimes so much that many keys end at once. */
static void let_time_pass(uint64_t *seed)
{
    const uint32_t how = random_below(seed, 200);
    now.elapsed += how == 0 ? 400 : how < 60 ? random_below(seed, 20) : 0;
    now.unix = UNIX_BEGIN + now.elapsed;
}

static void assert_same_reply(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->tag, b->tag);
    if (a->tag == REPLY_INTEGER) {
        assert_int_equal(a->val.integer, b->val.integer);
    } else if (a->tag != REPLY_NIL) {
        assert_int_equal(a->val.bytes.len, b->val.bytes.len);
        assert_memory_equal(a->val.bytes.ptr, b->val.bytes.ptr, a->val.bytes.len);
    }
}

/* ---- Chunks ---- */

struct blob {
    uint8_t *ptr;
    size_t len, capacity, chunks;
};

/* Saves the next chunk, behind those in `all`. False: it was the last one. */
static bool save_one(struct state_machine *m, struct blob *all)
{
    struct snapshot_chunk c = state_machine_snapshot_save(m);
    if (c.bytes.len == 0)
        return true;
    all->ptr = memory_reserve(all->ptr, &all->capacity, all->len + c.bytes.len, 1);
    memcpy(all->ptr + all->len, c.bytes.ptr, c.bytes.len);
    all->len += c.bytes.len;
    all->chunks++;
    return !c.last;
}

/* All chunks of a snapshot during which nothing is executed. */
static struct blob save(struct state_machine *m)
{
    struct blob all = {0};
    state_machine_snapshot_begin(m);
    while (save_one(m, &all)) {}
    return all;
}

static void assert_same(struct blob a, struct blob b)
{
    assert_int_equal(a.len, b.len);
    assert_int_equal(a.chunks, b.chunks);
    assert_memory_equal(a.ptr, b.ptr, a.len);
    free(a.ptr);
    free(b.ptr);
}

/* How many entries of a table have a time. */
static uint64_t timed_in(struct kv_table *t)
{
    uint64_t next = 0, timed = 0;
    do {
        size_t count;
        struct kv_entry *const *list = kv_table_visit(t, next, &count, &next);
        for (size_t i = 0; i < count; i++)
            timed += list[i]->timed;
    } while (next != 0);
    return timed;
}

/* What the tables keep beside the live one is needed, and nothing else takes blocks. */
static void audit(struct state_machine *m)
{
    struct kv_versions *v = &m->data;
    enum { BUCKETS = 16, PLACE = KV_TIME_COST - KV_BLOCK }; /* an entry's share of the buckets, and of the times in order */
    uint64_t used = 0, next = 0, kept = 0;
    for (int i = 0; i < 2; i++)
        used += v->pools[i].fresh - 1 - v->pools[i].given;
    if (v->snapshot == KV_SNAPSHOT_OF_LIVE) {
        kept = v->kept.bytes + v->born.bytes - (v->kept.count + v->born.count) * BUCKETS - timed_in(&v->kept) * PLACE;
        do {
            size_t count;
            struct kv_entry *const *list = kv_table_visit(&v->born, next, &count, &next);
            for (size_t i = 0; i < count; i++)
                assert_non_null(kv_table_find(&v->live, kv_table_key(&v->born, list[i])));
        } while (next != 0);
    }
    if (v->snapshot != KV_SNAPSHOT_OF_FROZEN)
        assert_int_equal(used * KV_BLOCK, v->live.bytes - v->live.count * BUCKETS - v->times.count * PLACE + kept);
    assert_int_equal(timed_in(&v->live), v->times.count);
}

/* ---- The tests ---- */

/* Three machines that execute the same. */
struct machines {
    struct state_machine *at_once; /* saves each of its snapshots at once */
    struct state_machine *slow;    /* a chunk now and then */
    struct state_machine *loaded;  /* begins again with each snapshot */
};

static void assert_same_numbers(const struct applied *a, const struct applied *b)
{
    assert_int_equal(a->keys, b->keys);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->due, b->due);
}

/* All execute a command, or time passes without one. */
static void all_execute(struct machines *all, uint64_t *seed, bool clears)
{
    struct line l;
    let_time_pass(seed);
    const size_t count = random_below(seed, 50) == 0 ? 0 : 1;
    const struct command *c = draw(&l, seed, clears);
    const struct applied a = state_machine_apply(all->at_once, now, c, count, REPLY_ROOM_ANY),
                         b = state_machine_apply(all->slow, now, c, count, REPLY_ROOM_ANY),
                         d = state_machine_apply(all->loaded, now, c, count, REPLY_ROOM_ANY);
    assert_same_numbers(&a, &b);
    assert_same_numbers(&a, &d);
    assert_true(count == 0 || a.replies.len == 1);
    for (size_t i = 0; i < count; i++) {
        assert_same_reply(&a.replies.ptr[i], &b.replies.ptr[i]);
        assert_same_reply(&a.replies.ptr[i], &d.replies.ptr[i]);
    }
}

static void load(struct state_machine *from, struct state_machine *to)
{
    struct snapshot_chunk c;
    bool first = true;
    const char *error = NULL;
    state_machine_snapshot_begin(from);
    do {
        c = state_machine_snapshot_save(from);
        if (c.bytes.len == 0)
            continue;
        assert_true(state_machine_snapshot_load(to, c.bytes, first, c.last, &error));
        first = false;
    } while (!c.last);
}

static void compare(uint64_t seed, bool clears)
{
    enum { SNAPSHOTS = 12 };
    struct machines all = {state_machine_new(), state_machine_new(), state_machine_new()};
    struct state_machine *at_once = all.at_once, *slow = all.slow;
    state_machine_seed(at_once, seed, 1);
    state_machine_seed(slow, seed, 1);
    state_machine_seed(all.loaded, seed, 1);
    now = MOMENT_ZERO;
    size_t most = 0;
    for (int snapshot = 0; snapshot < SNAPSHOTS; snapshot++) {
        uint32_t between = random_below(&seed, 300); /* commands between two chunks, at most */
        struct blob expected = save(at_once), got = {0};
        state_machine_snapshot_begin(slow);
        do {
            for (uint32_t i = random_below(&seed, between + 1); i > 0; i--)
                all_execute(&all, &seed, clears);
            audit(slow);
        } while (save_one(slow, &got));
        audit(slow);
        most = got.chunks > most ? got.chunks : most;
        assert_same(expected, got);
        assert_int_equal(slow->data.live.count, at_once->data.live.count);
        assert_int_equal(slow->data.live.bytes, at_once->data.live.bytes);
        load(slow, all.loaded);
        for (uint32_t i = 0; i < 400; i++)
            all_execute(&all, &seed, clears && i % 50 == 0);
    }
    assert_same(save(at_once), save(slow));
    assert_same(save(at_once), save(all.loaded));
    assert_true(clears || most >= 4);
    state_machine_free(at_once);
    state_machine_free(slow);
    state_machine_free(all.loaded);
}

static void test_what_was_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        compare(seed, false);
}

static void test_cleared_meanwhile(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 120; seed++)
        compare(seed, true);
}

/* A snapshot is loaded while another one is in progress. */
static void test_load_ends_it(void **state)
{
    (void)state;
    uint64_t seed = 7;
    struct state_machine *m = state_machine_new(), *other = state_machine_new();
    struct line l;
    for (int i = 0; i < 500; i++)
        run(m, draw(&l, &seed, false));
    state_machine_snapshot_begin(m);
    for (int i = 0; i < 500; i++)
        run(m, draw(&l, &seed, i == 250));
    state_machine_snapshot_begin(other);
    struct snapshot_chunk none = state_machine_snapshot_save(other);
    const char *error = NULL;
    assert_true(state_machine_snapshot_load(m, none.bytes, true, true, &error));
    assert_same(save(m), save(other));
    assert_int_equal(m->data.pools[0].slab_count + m->data.pools[1].slab_count, 0);
    state_machine_free(m);
    state_machine_free(other);
}

static uint64_t pieces_made(const struct state_machine *m) { return m->data.pieces.used + m->data.pieces.spare_count; }

/* A machine executes nothing rather than keep more than its memory has room for, and goes on when the snapshot does. */
static void test_bounded_memory(void **state)
{
    (void)state;
    enum { STATE = 128 << 20, ROUNDS = 4, KEYS_OF_A_ROUND = 6000, COMMANDS = 20000 };
    static uint8_t value[30000];
    struct state_machine *m = state_machine_new();
    uint64_t waits = 0, executed = 0;
    state_machine_start(m, STATE, 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct blob all = {0};
        bool goes_on = true;
        state_machine_snapshot_begin(m);
        for (uint32_t i = 0; i < COMMANDS || goes_on; i++) {
            char key[32];
            sprintf(key, "%u-%u", i % 7 == 0 ? round : 0, i % KEYS_OF_A_ROUND);
            struct bytes set[] = {text("SET"), text(key), {value, i % 3 == 0 ? 20 : sizeof value}};
            struct bytes append[] = {text("APPEND"), text(key), {value, 1}}, clear[] = {text("FLUSHALL")};
            struct command c = {.args = {i % 5 != 0 ? set : append, 3}};
            if (round % 2 == 1 && i % 5000 == 4999)
                c = (struct command){.args = {clear, 1}};
            bool waited = state_machine_apply(m, MOMENT_ZERO, &c, 1, REPLY_ROOM_ANY).replies.len == 0;
            assert_true(goes_on || !waited);
            if (waited || (i >= COMMANDS && goes_on))
                goes_on = save_one(m, &all);
            waits += waited;
            executed += !waited;
            assert_true(pieces_made(m) <= kv_versions_pieces_max(STATE));
        }
        free(all.ptr);
    }
    assert_true(waits > 0 && executed > waits);
    state_machine_free(m);
}

/* A value that is replaced or deleted is not copied for the snapshot, however long it is. */
static void test_no_copies(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new();
    struct bytes make[] = {text("SETRANGE"), text("big"), text("8000000"), text("x")};
    struct bytes set[] = {text("SET"), text("big"), text("small")}, del[] = {text("DEL"), text("big")};
    for (int i = 0; i < 2; i++) {
        run(m, &(struct command){.args = {make, 4}});
        state_machine_snapshot_begin(m);
        struct command c = {.args = {i == 0 ? set : del, i == 0 ? 3 : 2}};
        assert_true(state_machine_apply(m, MOMENT_ZERO, &c, 1, REPLY_ROOM_ANY).work < 5000);
        struct snapshot_chunk chunk = state_machine_snapshot_save(m);
        assert_true(chunk.last && chunk.bytes.len > 8000000);
    }
    state_machine_free(m);
}

/* A command with very many keys, each of which is in two tables then, when there is hardly room for it. */
static void test_room_for_one_command(void **state)
{
    (void)state;
    enum { STATE = 128 << 20, KEYS_AT_ONCE = 20000, KEY_LEN = 1700, SMALL = 360000 };
    struct state_machine *m = state_machine_new();
    struct bytes *args = memory_new(1 + 2 * KEYS_AT_ONCE, sizeof *args);
    uint8_t *keys = memory_new(KEYS_AT_ONCE, KEY_LEN);
    char key[32];
    struct bytes set[] = {text("SET"), text(key), text("v")};
    state_machine_start(m, STATE, 0);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < 2 * SMALL; i++) {
            set[1].len = (size_t)sprintf(key, "%u", i);
            struct bytes del[] = {text("DEL"), set[1]};
            bool deletes = pass == 1 && i >= SMALL;
            struct command c = {.args = {deletes ? del : set, deletes ? 2 : 3}};
            assert_int_equal(state_machine_apply(m, MOMENT_ZERO, &c, 1, REPLY_ROOM_ANY).replies.len, 1);
        }
        if (pass == 0)
            state_machine_snapshot_begin(m);
    }
    args[0] = text("MSET");
    for (uint32_t i = 0; i < KEYS_AT_ONCE; i++) {
        uint8_t *name = keys + (size_t)i * KEY_LEN;
        memset(name, 'x', KEY_LEN);
        memcpy(name, &i, sizeof i);
        args[1 + 2 * i] = (struct bytes){name, KEY_LEN};
        args[2 + 2 * i] = text("");
    }
    struct command mset = {.args = {args, 1 + 2 * KEYS_AT_ONCE}};
    struct blob all = {0};
    while (state_machine_apply(m, MOMENT_ZERO, &mset, 1, REPLY_ROOM_ANY).replies.len == 0)
        save_one(m, &all);
    assert_true(all.chunks > 0);
    assert_true(pieces_made(m) <= kv_versions_pieces_max(STATE));
    free(all.ptr);
    free(args);
    free(keys);
    state_machine_free(m);
}

/* However many keys were added since the begin, and however alike their hashes begin, a call does bounded work. */
static void test_bounded_work(void **state)
{
    (void)state;
    enum { NEW_KEYS = 200000, ALIKE = 1000, ALIKE_BITS = 10, WORK_MAX = 12 * KV_CALL_WORK_MAX };
    struct state_machine *m = state_machine_new();
    struct blob all = {0};
    char key[32];
    struct bytes set[] = {text("SET"), text(key), text("v")};
    struct command c = {.args = {set, 3}};
    uint32_t alike = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; alike < ALIKE * (pass + 1); i++) {
            set[1].len = (size_t)sprintf(key, "%u", i);
            if (kv_table_hash(&m->data.live, set[1]) >> (64 - ALIKE_BITS) != 0)
                continue;
            run(m, &c);
            alike++;
        }
        if (pass == 0)
            state_machine_snapshot_begin(m);
    }
    for (uint32_t i = 0; i < NEW_KEYS; i++) {
        set[1].len = (size_t)sprintf(key, "new-%u", i);
        run(m, &c);
    }
    uint32_t calls = 1;
    for (; save_one(m, &all); calls++)
        assert_in_range(kv_versions_work(&m->data), 0, WORK_MAX);
    assert_true(calls > 3);
    assert_int_equal(all.chunks, 1);
    free(all.ptr);
    state_machine_free(m);
}

/* A store from which all was deleted is as quick as a new one, also when a snapshot was in progress. */
static void test_emptied(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    for (int with_snapshot = 0; with_snapshot < 2; with_snapshot++) {
        struct state_machine *m = state_machine_new();
        struct blob all = {0};
        char key[32];
        struct bytes set[] = {text("SET"), text(key), text("v")}, scan[] = {text("SCAN"), text("0")};
        for (uint32_t i = 0; i < 2 * MANY; i++) {
            set[1].len = (size_t)sprintf(key, "%u", i % MANY);
            if (i == MANY && with_snapshot)
                state_machine_snapshot_begin(m);
            struct bytes del[] = {text("DEL"), set[1]};
            run(m, &(struct command){.args = {i < MANY ? set : del, i < MANY ? 3 : 2}});
        }
        while (with_snapshot && save_one(m, &all)) {}
        assert_true(state_machine_apply(m, MOMENT_ZERO, &(struct command){.args = {scan, 2}}, 1, REPLY_ROOM_ANY).work <
                    1000);
        assert_int_equal(m->data.pools[0].slab_count + m->data.pools[1].slab_count, 0);
        free(all.ptr);
        state_machine_free(m);
    }
}

/* The log agrees on the key of the hash after the begin. */
static void test_seeded_meanwhile(void **state)
{
    (void)state;
    struct state_machine *m = state_machine_new(), *other = state_machine_new();
    char key[] = "k";
    struct bytes set[] = {text("SET"), text(key), text("v")};
    struct blob expected = save(other), got = {0};
    state_machine_snapshot_begin(m);
    state_machine_seed(m, 1, 2);
    run(m, &(struct command){.args = {set, 3}});
    assert_false(save_one(m, &got));
    assert_same(expected, got);
    state_machine_free(m);
    state_machine_free(other);
}

int main(void)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)random_next(&seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_there),   cmocka_unit_test(test_cleared_meanwhile),
        cmocka_unit_test(test_load_ends_it),     cmocka_unit_test(test_bounded_memory),
        cmocka_unit_test(test_no_copies),        cmocka_unit_test(test_room_for_one_command),
        cmocka_unit_test(test_bounded_work),     cmocka_unit_test(test_emptied),
        cmocka_unit_test(test_seeded_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
