#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/agents/execution.h"
#include "core/base/memory.h"
#include "tests/unit/configuration_text.h"

static struct execution x;
static uint64_t number;

static uint64_t round_of_leader; /* who stamps */

static int set_up(void **state)
{
    (void)state;
    round_of_leader = 1;
    execution_init(&x, &(struct node_config){0});
    number = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    execution_close(&x);
    return 0;
}

/* Adds a slot with `count` times the same command. */
static void add(uint64_t slot, uint64_t batch_number, const char *const *words, size_t argc, size_t count)
{
    struct batch_builder b = {0};
    struct bytes args[3];
    for (size_t i = 0; i < argc; i++)
        args[i] = (struct bytes){(uint8_t *)(uintptr_t)words[i], strlen(words[i])};
    batch_begin(&b);
    for (size_t i = 0; i < count; i++)
        batch_add(&b, args, argc);
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, batch_number}, 0);
    struct entry e = {.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    batch_builder_free(&b);
}

static void set_large(const char *key, size_t len)
{
    char *value = memory_new(len + 1, 1);
    memset(value, 'v', len);
    number++;
    add(number, number, (const char *const[]){"SET", key, value}, 3, 1);
    struct executed done;
    assert_true(execution_run(&x, &done));
    execution_begin(&x);
    free(value);
}

static size_t errors_in(const struct payload *replies)
{
    size_t offset = 0, errors = 0;
    struct reply_item item;
    while (replies_next(replies, &offset, &item))
        errors += item.tag == REPLY_ERROR;
    return errors;
}

/* What was published in this step. */
static void expect_notices(const char *wanted)
{
    struct batch_commands commands = {0};
    const struct payload told = batch_end(&x.notices.packed);
    char text[256] = "";
    struct notice n;
    assert_true(batch_commands_read(&commands, &told));
    for (size_t i = 0; i < commands.count; i++) {
        assert_true(notice_read(&commands.commands[i], &n));
        const size_t len = strlen(text);
        if (n.kind == NOTICE_CAUSE)
            snprintf(text + len, sizeof text - len, "c %u %u;", n.cause.number, n.cause.index);
        else if (n.kind == NOTICE_EVENT)
            snprintf(text + len, sizeof text - len, "e%c %.*s %.*s;", n.class, (int)n.channel.len, (char *)n.channel.ptr,
                     (int)n.message.len, (char *)n.message.ptr);
        else
            snprintf(text + len, sizeof text - len, "%c %.*s %.*s;", n.kind, (int)n.channel.len, (char *)n.channel.ptr,
                     (int)n.message.len, (char *)n.message.ptr);
    }
    assert_string_equal(text, wanted);
    batch_commands_free(&commands);
}

static void add_mixed(uint64_t slot)
{
    static const char *const words[][8] = {{"SET", "a", "1"},        {"PUBLISH", "c", "one"}, {"INCR", "a"},
                                           {"SPUBLISH", "d", "two"}, {"PUBLISH", "c"},        {"INCR", "a"}};
    struct batch_builder b = {0};
    batch_begin(&b);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct bytes args[8];
        size_t argc = 0;
        for (; words[i][argc] != NULL; argc++)
            args[argc] = (struct bytes){(uint8_t *)(uintptr_t)words[i][argc], strlen(words[i][argc])};
        batch_add(&b, args, argc);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, slot}, 0);
    execution_add(&x, &(struct entry){.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value}, 1);
    batch_builder_free(&b);
}

/* What is published is executed between the commands of the state machine, and told if it is wanted. */
static void what_is_published_is_told(void **state)
{
    (void)state;
    struct executed done;
    struct reply_item item;
    size_t offset = 0, errors = 0, integers = 0;
    add_mixed(1);
    assert_true(execution_run(&x, &done));
    expect_notices("");
    execution_watch(&x, WATCH_MESSAGES);
    add_mixed(2);
    assert_true(execution_run(&x, &done));
    assert_int_equal(replies_count(&done.replies), 6);
    while (replies_next(&done.replies, &offset, &item)) {
        errors += item.tag == REPLY_ERROR;
        integers += item.tag == REPLY_INTEGER ? (size_t)item.integer : 0;
    }
    assert_int_equal(errors, 1);
    assert_int_equal(integers, 0 + 2 + 0 + 3);
    expect_notices("m c one;s d two;");
    execution_begin(&x);
    expect_notices("");
    execution_left_out(&x);
    expect_notices("x  ;");
}

/* A step tells about as much as it executes. */
static void what_a_step_tells_is_bounded(void **state)
{
    (void)state;
    enum { COUNT = 300, SIZE = 50 * 1000 };
    char *value = memory_new(SIZE + 1, 1);
    struct executed done;
    size_t told = 0;
    memset(value, 'v', SIZE);
    execution_watch(&x, WATCH_MESSAGES);
    add(1, 1, (const char *const[]){"PUBLISH", "c", value}, 3, COUNT);
    for (bool over = false; !over; told += x.notices.packed.count) {
        execution_begin(&x);
        over = execution_run(&x, &done);
        assert_true(x.notices.packed.len <= x.limits.step_work + SIZE + 1000);
    }
    assert_int_equal(told, COUNT);
    free(value);
}

static void a_batch_executes_once(void **state)
{
    (void)state;
    struct executed done;
    add(1, 1, (const char *const[]){"INCR", "a"}, 2, 3);
    add(2, 1, (const char *const[]){"INCR", "a"}, 2, 3);
    assert_true(execution_run(&x, &done));
    assert_false(done.skipped);
    assert_int_equal(replies_count(&done.replies), 3);
    assert_true(execution_run(&x, &done));
    assert_true(done.skipped);
    assert_int_equal(done.batch.id.number, 0);
    assert_int_equal(x.commands_executed, 3);
    assert_null(execution_next(&x));
}

/* However much is asked for, a step does only so much, and the batch goes on in the next one. */
static void large_replies_take_many_steps(void **state)
{
    (void)state;
    set_large("big", 100 * 1000);
    add(2, 2, (const char *const[]){"GET", "big"}, 2, 200);
    struct executed done;
    int steps = 1;
    for (; !execution_run(&x, &done); steps++) {
        assert_true(steps < 1000);
        assert_true(x.answering.replies.len <= (size_t)steps * (2 << 20));
        execution_begin(&x);
    }
    assert_true(steps > 10);
    assert_int_equal(replies_count(&done.replies), 200);
    assert_int_equal(errors_in(&done.replies), 0);
}

/* A command whose reply has no room in its batch is not executed, and says so; small ones of others go on. */
static void what_cannot_be_answered_is_not_executed(void **state)
{
    (void)state;
    enum { VALUES = 40, SIZE = 1000 * 1000 };
    char keys[VALUES][8];
    struct batch_builder b = {0};
    struct bytes incr[2] = {{(uint8_t *)"INCR", 4}, {(uint8_t *)"n", 1}};
    batch_begin(&b);
    for (int i = 0; i < VALUES; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        set_large(keys[i], SIZE);
        batch_add(&b, (struct bytes[]){{(uint8_t *)"GETDEL", 6}, {(uint8_t *)keys[i], strlen(keys[i])}}, 2);
        batch_add(&b, incr, 2);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0);
    struct entry e = {.slot = number, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    struct executed done;
    while (!execution_run(&x, &done))
        execution_begin(&x);
    assert_true(done.replies.len <= 32 << 20);
    size_t offset = 0, integers = 0, delivered = 0, refused = 0;
    bool kept[VALUES];
    struct reply_item item;
    while (replies_next(&done.replies, &offset, &item)) {
        integers += item.tag == REPLY_INTEGER;
        if (item.tag == REPLY_INTEGER)
            continue;
        kept[delivered + refused] = item.tag == REPLY_ERROR;
        if (item.tag == REPLY_BYTES) {
            assert_int_equal(item.bytes.len, SIZE);
            delivered++;
        } else {
            assert_memory_equal(item.bytes.ptr, "BUSY ", 5);
            refused++;
        }
    }
    assert_int_equal(integers, VALUES);
    assert_int_equal(delivered + refused, VALUES);
    assert_true(delivered >= 30 && refused >= 5);
    for (int i = 0; i < VALUES; i++) {
        number++;
        add(number, number, (const char *const[]){"EXISTS", keys[i]}, 2, 1);
        assert_true(execution_run(&x, &done));
        offset = 0;
        assert_true(replies_next(&done.replies, &offset, &item));
        assert_int_equal(item.integer, kept[i]);
        execution_begin(&x);
    }
    batch_builder_free(&b);
}

/* What the state machine spends without a byte to show for it counts, too. */
static void work_without_replies_ends_a_step(void **state)
{
    (void)state;
    struct executed done;
    number++;
    add(number, number, (const char *const[]){"SETRANGE", "k", "8388607"}, 3, 1); /* not enough arguments: cheap */
    assert_true(execution_run(&x, &done));
    struct batch_builder b = {0};
    struct bytes set[4] = {{(uint8_t *)"SETRANGE", 8}, {(uint8_t *)"k", 1}, {(uint8_t *)"8388607", 7}, {(uint8_t *)"x", 1}};
    struct bytes del[2] = {{(uint8_t *)"DEL", 3}, {(uint8_t *)"k", 1}};
    batch_begin(&b);
    for (int i = 0; i < 500; i++) {
        batch_add(&b, set, 4);
        batch_add(&b, del, 2);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0);
    struct entry e = {.slot = number, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_add(&x, &e, 1);
    batch_builder_free(&b);
    int steps = 1;
    for (; !execution_run(&x, &done); steps++)
        execution_begin(&x);
    assert_true(steps >= 250); /* two at most in each */
}

/* What KEYS says of some keys, after a first batch with this seed and a second one with another. */
static void keys_in_order(uint64_t first_seed, uint64_t second_seed, char *out, size_t size)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    struct executed done;
    tear_down(NULL);
    set_up(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        number++;
        add(number, number, (const char *const[]){"SET", names[i], "1"}, 3, 1);
        batch_seed_stamp(&x.entries[x.count - 1].value, (struct seed){i == 0 ? first_seed : second_seed, 2});
        assert_true(execution_run(&x, &done));
        execution_begin(&x);
    }
    number++;
    add(number, number, (const char *const[]){"KEYS", "*"}, 2, 1);
    assert_true(execution_run(&x, &done));
    size_t offset = 0, len = 0;
    struct reply_item item;
    while (replies_next(&done.replies, &offset, &item))
        if (item.tag == REPLY_BYTES && len + 1 < size)
            out[len++] = (char)item.bytes.ptr[0];
    out[len] = 0;
    assert_int_equal(len, sizeof names / sizeof names[0]);
    execution_begin(&x);
}

/* The key of the state machine's hash is that of the first batch executed, whatever comes later, so all nodes have it. */
static void the_first_batch_gives_the_seed(void **state)
{
    (void)state;
    char order[4][32];
    keys_in_order(1, 1, order[0], sizeof order[0]);
    keys_in_order(1, 9, order[1], sizeof order[1]);
    keys_in_order(9, 1, order[2], sizeof order[2]);
    keys_in_order(9, 9, order[3], sizeof order[3]);
    assert_string_equal(order[0], order[1]);
    assert_string_equal(order[2], order[3]);
    assert_true(strcmp(order[0], order[2]) != 0);
}

/* How large the state may be comes with the configuration. */
static void the_state_is_bounded(void **state)
{
    (void)state;
    struct executed done;
    size_t offset = 0;
    struct reply_item item;
    tear_down(NULL);
    execution_init(&x, &(struct node_config){.state_bytes_max = 1 << 20});
    number = 0;
    set_large("one", 900 * 1000);
    add(2, 2, (const char *const[]){"SETRANGE", "two", "900000"}, 3, 1);
    assert_true(execution_run(&x, &done));
    add(3, 3, (const char *const[]){"APPEND", "one", "and a little more"}, 3, 1);
    assert_true(execution_run(&x, &done));
    assert_true(replies_next(&done.replies, &offset, &item));
    assert_int_equal(item.tag, REPLY_INTEGER);
    execution_begin(&x);
    number = 3;
    char *value = memory_new(900 * 1000, 1);
    memset(value, 'v', 900 * 1000 - 1);
    add(4, 4, (const char *const[]){"SET", "two", value}, 3, 1);
    assert_true(execution_run(&x, &done));
    offset = 0;
    assert_true(replies_next(&done.replies, &offset, &item));
    assert_int_equal(item.tag, REPLY_ERROR);
    assert_memory_equal(item.bytes.ptr, "OOM ", 4);
    add(5, 5, (const char *const[]){"SET", "one", value}, 3, 1); /* takes the place of what is there */
    assert_true(execution_run(&x, &done));
    assert_int_equal(errors_in(&done.replies), 0);
    free(value);
}

/* The hash tells apart what was executed, not how many steps it took. */
static void steps_do_not_show_in_the_state(void **state)
{
    (void)state;
    struct executed done;
    uint64_t hashes[2];
    for (int i = 0; i < 2; i++) {
        set_large("big", 300 * 1000);
        add(2, 2, (const char *const[]){"GET", "big"}, 2, 20);
        while (!execution_run(&x, &done))
            x.work = i == 0 ? 0 : 1 << 19;
        hashes[i] = x.state_hash;
        tear_down(NULL);
        set_up(NULL);
    }
    assert_int_equal(hashes[0], hashes[1]);
}

/* Whatever the limits are, they show in the number of steps only. */
static void tiny_limits_make_more_steps_of_it(void **state)
{
    static const struct limits limits[] = {{0}, {.step_work = 1, .apply = 1}, {.step_work = 100, .apply = 7}};
    (void)state;
    uint64_t hashes[3], steps[3];
    for (int i = 0; i < 3; i++) {
        tear_down(NULL);
        execution_init(&x, &(struct node_config){.limits = limits[i]});
        number = 0;
        struct executed done;
        add(1, 1, (const char *const[]){"INCR", "n"}, 2, 60);
        for (steps[i] = 1; !execution_run(&x, &done); steps[i]++)
            execution_begin(&x);
        hashes[i] = x.state_hash;
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_equal(hashes[0], hashes[2]);
    assert_int_equal(steps[0], 1);
    assert_true(steps[1] >= 60);
    assert_true(steps[2] >= 9 && steps[2] < 60);
}

/* The piece of a snapshot that has what is not in the state machine. */
static void what_was_executed_is_saved_and_loaded(void **state)
{
    (void)state;
    uint64_t words[EXECUTION_PIECE_MAX / 8], again[EXECUTION_PIECE_MAX / 8];
    struct execution other;
    set_large("key", 100);
    const struct payload piece = execution_save(&x, 10, words);
    execution_init(&other, &(struct node_config){0});
    assert_true(execution_load(&other, &piece, 2));
    const struct payload same = execution_save(&other, 10, again);
    assert_true(same.len == piece.len && memcmp(words, again, piece.len) == 0);
    assert_true(other.state_hash == x.state_hash && other.commands_executed == 1 && other.last[1].number == 1);
    struct execution_piece said;
    assert_true(execution_piece_read(&piece, &said) && said.seeded);
    assert_true(said.state_hash == x.state_hash && said.commands_executed == 1 && said.last[1].number == 1);
    assert_true(said.last[1].origin == 1 && said.last[2].incarnation == 0 && said.last[2].number == 0);
    execution_close(&other);
}

/* ---- Time (P22) ---- */

static struct stamp stamp_of(uint64_t elapsed, uint64_t unix)
{
    return (struct stamp){{elapsed, unix}, {round_of_leader, 1, 1}};
}

/* Executes a batch in the next slot, with this stamp. */
static void execute_at(uint64_t elapsed, uint64_t unix)
{
    struct executed done;
    number++;
    add(number, number, (const char *const[]){"INCR", "n"}, 2, 1);
    batch_time_stamp(&x.entries[x.count - 1].value, stamp_of(elapsed, unix));
    assert_true(execution_run(&x, &done) && !done.skipped);
    execution_begin(&x);
}

static void pass_to(uint64_t elapsed, uint64_t unix)
{
    uint64_t words[STAMP_SIZE / 8];
    struct executed done;
    struct entry e = {.slot = ++number, .ballot = {1, 1, 1}, .kind = ENTRY_NOOP};
    e.value = stamp_pack(stamp_of(elapsed, unix), words);
    execution_add(&x, &e, 1);
    assert_true(execution_run(&x, &done));
    execution_begin(&x);
}

static void expect_moment(uint64_t elapsed, uint64_t unix)
{
    assert_int_equal(x.reached.moment.elapsed, elapsed);
    assert_int_equal(x.reached.moment.unix, unix);
}

/* A new leader may know less than the log. */
static void time_never_goes_back(void **state)
{
    (void)state;
    expect_moment(0, 0);
    execute_at(1000, 0);
    expect_moment(1000, 0);
    execute_at(400, 0);
    expect_moment(1000, 0);
    execute_at(1001, 0);
    expect_moment(1001, 0);
    pass_to(900, 0);
    expect_moment(1001, 0);
    pass_to(2000, 0);
    expect_moment(2000, 0);
}

/* What an earlier leader has stamped may follow in the log, and be later than what its successor has stamped. It counts no
 * more: neither its commands nor its time (P25). */
static void what_a_leader_left_behind_is_left_out(void **state)
{
    (void)state;
    struct executed done;
    round_of_leader = 3;
    execute_at(1000, 0);
    const uint64_t hash = x.state_hash;
    round_of_leader = 2;
    number++;
    add(number, number, (const char *const[]){"INCR", "n"}, 2, 1);
    batch_time_stamp(&x.entries[x.count - 1].value, stamp_of(5000, 0));
    assert_true(execution_run(&x, &done) && done.skipped);
    pass_to(6000, 0);
    expect_moment(1000, 0);
    assert_true(x.state_hash == hash);
    round_of_leader = 3;
    execute_at(1001, 0); /* the same number may come again, from who leads now */
    expect_moment(1001, 0);
    round_of_leader = 4;
    pass_to(1002, 0);
    round_of_leader = 3;
    pass_to(1003, 0);
    expect_moment(1002, 0);
}

/* A batch that is left out, or an empty no-op, says nothing. */
static void what_is_skipped_moves_no_time(void **state)
{
    (void)state;
    struct executed done;
    execute_at(1000, 0);
    const uint64_t hash = x.state_hash;
    number++;
    add(number, 1, (const char *const[]){"INCR", "n"}, 2, 1);
    batch_time_stamp(&x.entries[x.count - 1].value, stamp_of(5000, 0));
    assert_true(execution_run(&x, &done) && done.skipped);
    const struct entry e = {.slot = ++number, .ballot = {1, 1, 1}, .kind = ENTRY_NOOP};
    execution_add(&x, &e, 1);
    assert_true(execution_run(&x, &done));
    expect_moment(1000, 0);
    assert_true(x.state_hash == hash);
}

/* The wall clock goes along with time. A leader whose clock is a little different does not change it; one that is behind
 * never does. */
static void the_wall_clock_goes_along(void **state)
{
    (void)state;
    execute_at(1000, 50000);
    expect_moment(1000, 50000);
    execute_at(1500, 50600);
    expect_moment(1500, 50500);
    execute_at(1600, 50650);
    expect_moment(1600, 50600);
    execute_at(1700, 40000);
    expect_moment(1700, 50700);
    execute_at(1700, 50801);
    expect_moment(1700, 50801);
    pass_to(1600, 90000); /* the leader knew less of the time, and its clock is ahead */
    expect_moment(1700, 90000);
    execute_at(1800, 0); /* it knows none */
    expect_moment(1800, 90100);
}

/* One false stamp does not use up time. */
static void no_stamp_moves_time_far(void **state)
{
    (void)state;
    execute_at(UINT64_MAX, UINT64_MAX);
    expect_moment(UINT64_C(1) << 36, 0);
    execute_at(UINT64_MAX, (UINT64_C(1) << 48) - 1);
    expect_moment(UINT64_C(1) << 37, (UINT64_C(1) << 48) - 1);
}

/* What version 0.1.0 wrote has microseconds of a clock there. */
static void earlier_batches_have_no_stamp(void **state)
{
    (void)state;
    struct executed done;
    struct entry e = {.slot = 1, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS};
    struct batch_builder b = {0};
    struct bytes incr[2] = {{(uint8_t *)"INCR", 4}, {(uint8_t *)"n", 1}};
    batch_add(&b, incr, 2);
    e.value = batch_end(&b);
    batch_header_stamp(&e.value, (struct batch_id){1, 1, 1}, 0);
    batch_seed_stamp(&e.value, (struct seed){7, 8});
    uint8_t *bytes = payload_bytes(&e.value);
    bytes[3] = '2';
    bytes[32] = 77;
    memmove(bytes + 40, bytes + 64, e.value.words.len * 8 - 64);
    e.value.len -= 24;
    e.value.words.len -= 3;
    struct batch_header header;
    assert_true(batch_header_read(&e.value, &header) && !header.has_stamp && header.stamp.moment.elapsed == 0);
    assert_true(header.seed.low == 7 && header.seed.high == 8);
    execution_add(&x, &e, 1);
    batch_builder_free(&b);
    assert_true(execution_run(&x, &done) && !done.skipped);
    assert_int_equal(replies_count(&done.replies), 1);
    expect_moment(0, 0);
}

/* In the middle of a batch it is the batch's time already; its slot is not executed. */
static void a_batch_has_one_moment(void **state)
{
    (void)state;
    struct executed done;
    set_large("big", 100 * 1000);
    add(2, 2, (const char *const[]){"GET", "big"}, 2, 200);
    batch_time_stamp(&x.entries[x.count - 1].value, stamp_of(70, 0));
    assert_int_equal(execution_now(&x).elapsed, 0);
    assert_false(execution_run(&x, &done));
    assert_int_equal(execution_now(&x).elapsed, 70);
    expect_moment(0, 0);
    while (!execution_run(&x, &done))
        execution_begin(&x);
    expect_moment(70, 0);
}

static void a_snapshot_has_the_moment(void **state)
{
    (void)state;
    uint64_t words[EXECUTION_PIECE_MAX / 8];
    struct execution other;
    round_of_leader = 5;
    execute_at(1000, 50000);
    const struct payload piece = execution_save(&x, number + 1, words);
    execution_init(&other, &(struct node_config){0});
    assert_true(execution_load(&other, &piece, number + 1));
    assert_true(other.reached.moment.elapsed == 1000 && other.reached.moment.unix == 50000);
    assert_true(ballot_compare(other.reached.ballot, (struct ballot){5, 1, 1}) == 0);
    execution_close(&other);
}

static void a_piece_that_is_malformed_changes_nothing(void **state)
{
    (void)state;
    uint64_t words[EXECUTION_PIECE_MAX / 8];
    set_large("key", 100);
    struct execution before;
    memcpy(&before, &x, sizeof x); /* with its padding */
    const struct payload piece = execution_save(&x, 10, words);
    for (uint32_t len = 0; len < piece.len; len += 8)
        assert_false(execution_load(&x, &(struct payload){.words = {words, len / 8}, .len = len}, 2));
    words[2] += 2; /* seeded: 0 or 1 */
    assert_false(execution_load(&x, &piece, 2));
    words[2] -= 2;
    words[3] += NODE_ID_MAX; /* the origin */
    assert_false(execution_load(&x, &piece, 2));
    assert_memory_equal(&x, &before, sizeof x);
}

/* Executes an entry with a configuration. True: it counts. */
static bool configure_at(uint64_t slot, uint64_t replaces, node_set members)
{
    const uint64_t before = x.state_hash;
    struct payload value = configuration_value(replaces, members);
    const struct entry e = {.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_CONFIGURATION, .value = value};
    struct executed done;
    execution_begin(&x);
    execution_add(&x, &e, 1);
    assert_true(execution_run(&x, &done));
    assert_int_equal(done.configured, before != x.state_hash);
    payload_free(&value);
    return done.configured;
}

static void begin_with_three(void)
{
    const struct node_config config = {
        .node = 1, .proposers = 0xe, .acceptors = 0xe, .learners = 0xe, .phase1_quorum = 2, .phase2_quorum = 2, .alpha = 8};
    tear_down(NULL);
    execution_init(&x, &config);
}

/* P11: the log alone decides which configurations count. */
static void a_configuration_counts_if_it_follows_the_newest(void **state)
{
    (void)state;
    begin_with_three();
    assert_false(configure_at(4, 3, 0xe));  /* it replaces none that there is */
    assert_false(configure_at(5, 0, 0x1e)); /* the first one must be as the file says */
    assert_true(configure_at(6, 0, 0xe));
    assert_false(configure_at(7, 0, 0xe));   /* that has been replaced */
    assert_false(configure_at(13, 6, 0x1e)); /* that does not govern yet */
    assert_true(configure_at(14, 6, 0x1e));
    assert_true(x.configurations.newest.slot == 14 && x.configurations.before.slot == 6);
    assert_true(x.configurations.newest.governs == 22);
}

static void a_snapshot_has_the_configurations(void **state)
{
    (void)state;
    static uint64_t words[EXECUTION_PIECE_MAX / 8], later[EXECUTION_PIECE_MAX / 8], same[EXECUTION_PIECE_MAX / 8];
    begin_with_three();
    assert_true(configure_at(6, 0, 0xe) && configure_at(14, 6, 0x1e));
    const struct payload pending = execution_save(&x, 21, words), settled = execution_save(&x, 22, later);
    struct execution_piece said;
    assert_true(execution_piece_read(&pending, &said));
    assert_int_equal(said.configuration_count, 2);
    assert_true(execution_piece_read(&settled, &said));
    assert_int_equal(said.configuration_count, 1);
    tear_down(NULL);
    execution_init(&x, &(struct node_config){.node = 4, .joined = DUTY_ALL, .alpha = 8});
    assert_true(execution_load(&x, &pending, 21));
    assert_true(x.configurations.newest.slot == 14 && x.configurations.before.acceptors == 0xe);
    const struct payload again = execution_save(&x, 21, same);
    assert_true(again.len == pending.len && memcmp(same, words, again.len) == 0);
    for (uint32_t i = 0; i < pending.len / 8; i++) { /* no damaged text is taken */
        words[i] ^= 0x80;
        if (execution_piece_read(&pending, &said))
            /* hash, count, moment, ballot, slot: it cannot know */
            assert_true(i < 2 || (i >= 4 && i < 8) || said.configurations[1].configuration.slot != 14);
        words[i] ^= 0x80;
    }
}

/* Executes an entry with a configuration of three, under which the state may take so many bytes. */
static void limit_at(uint64_t slot, uint64_t replaces, const char *bytes)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    struct executed done;
    configuration_begin(t, replaces, 0xe);
    t->settings[t->setting_count] = (struct configuration_setting){.key = "state_bytes_max"};
    strcpy(t->settings[t->setting_count++].value, bytes);
    struct payload value = configuration_pack(t);
    const struct entry e = {.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_CONFIGURATION, .value = value};
    execution_begin(&x);
    execution_add(&x, &e, 1);
    assert_true(execution_run(&x, &done));
    assert_true(done.configured);
    payload_free(&value);
    free(t);
}

/* Whether there is room for a value of 100,000 bytes, in the batch of a slot. */
static bool has_room(uint64_t slot, const char *key)
{
    char *value = memory_new(100 * 1000 + 1, 1);
    memset(value, 'v', 100 * 1000);
    struct executed done;
    execution_begin(&x);
    add(slot, ++number, (const char *const[]){"SET", key, value}, 3, 1);
    assert_true(execution_run(&x, &done));
    free(value);
    return errors_in(&done.replies) == 0;
}

/* Has the execution load the state of another machine. NULL, or why it cannot. */
static const char *load_state(struct state_machine *from)
{
    const char *error = NULL;
    execution_loads(&x);
    state_machine_snapshot_begin(from);
    for (bool first = true, last = false; !last; first = false) {
        const struct snapshot_chunk chunk = state_machine_snapshot_save(from);
        last = !state_machine_snapshot_load(x.machine, chunk.bytes, first, chunk.last, &error) || chunk.last;
    }
    return error;
}

static void load_sessions(struct sessions *from)
{
    sessions_snapshot_begin(from);
    for (bool first = true, last = false; !last; first = false) {
        const struct snapshot_chunk chunk = sessions_snapshot_save(from);
        last = chunk.last;
        assert_true(sessions_snapshot_load(x.sessions, chunk.bytes, first, last));
    }
}

/* Loads what a state machine saved, into a new execution. */
static void load_again(uint64_t slot, struct node_config config)
{
    static uint64_t words[EXECUTION_PIECE_MAX / 8];
    struct execution from = x;
    const struct payload piece = execution_save(&from, slot, words);
    execution_init(&x, &config);
    assert_null(load_state(from.machine));
    load_sessions(from.sessions);
    assert_true(execution_load(&x, &piece, slot));
    execution_close(&from);
}

/* P11, P13: what is refused depends on the configuration that governs the slot, also after a start from a snapshot. */
static void the_state_is_bounded_by_what_governs(void **state)
{
    (void)state;
    struct node_config config = {.node = 1,
                                 .proposers = 0xe,
                                 .acceptors = 0xe,
                                 .learners = 0xe,
                                 .phase1_quorum = 2,
                                 .phase2_quorum = 2,
                                 .alpha = 8,
                                 .state_bytes_max = 250000,
                                 .state_bytes_room = 1 << 20};
    tear_down(NULL);
    execution_init(&x, &config);
    number = 0;
    limit_at(1, 0, "250000"); /* the first one changes nothing */
    assert_true(has_room(2, "a") && has_room(3, "b"));
    assert_false(has_room(4, "c"));
    limit_at(9, 1, "1000000"); /* from slot 17 on */
    load_again(10, config);
    assert_false(has_room(10, "c") || has_room(16, "c"));
    assert_true(has_room(17, "c") && has_room(18, "d") && has_room(19, "e"));
    limit_at(20, 9, "150000"); /* from slot 28 on: less than there is */
    assert_true(has_room(27, "f"));
    assert_false(has_room(28, "g"));
    config.joined = DUTY_ALL;
    load_again(29, config);
    assert_false(has_room(29, "g"));
    assert_true(has_room(30, "f")); /* takes the place of what is there */
    struct executed done;
    for (const char *key = "abcde"; *key != '\0'; key++, number++) {
        execution_begin(&x);
        add(31 + number, number + 1, (const char *const[]){"DEL", (const char[]){*key, '\0'}}, 2, 1);
        assert_true(execution_run(&x, &done));
    }
    assert_false(has_room(50, "g"));
    limit_at(51, 20, "250000");
    assert_false(has_room(58, "g"));
    assert_true(has_room(59, "g"));
}

/* However much is governed, now or when the cluster was formed: a node takes no more memory than it was given. */
static void a_state_for_which_there_is_no_memory_is_not_loaded(void **state)
{
    (void)state;
    struct node_config config = {.node = 1, .alpha = 8, .state_bytes_max = 1 << 20, .state_bytes_room = 350000};
    tear_down(NULL);
    execution_init(&x, &config);
    number = 0;
    assert_true(has_room(1, "a") && has_room(2, "b") && has_room(3, "c"));
    struct execution from = x;
    execution_init(&x, &config);
    assert_null(load_state(from.machine));
    execution_close(&x);
    config.state_bytes_room = 250000;
    execution_init(&x, &config);
    assert_string_equal(load_state(from.machine), "kv-store snapshot: it is larger than state_bytes_max");
    execution_close(&from);
}

/* A node that joined, and executes the log from its beginning, learns from the first one what was before it. */
static void who_joined_learns_the_first_one_from_the_log(void **state)
{
    (void)state;
    tear_down(NULL);
    execution_init(&x, &(struct node_config){.node = 4, .joined = DUTY_ALL, .alpha = 8});
    assert_false(configure_at(5, 3, 0xe));
    x.configurations.newest.alpha = 16; /* the entry is from before alpha was set: void for the founders, too */
    assert_false(configure_at(5, 0, 0xe));
    x.configurations.newest.alpha = 8;
    assert_true(configure_at(6, 0, 0xe));
    assert_true(x.configurations.before.acceptors == 0xe && x.configurations.before.slot == 0);
}

/* ---- Sessions (P21) ---- */

enum { SESSION_COMMANDS = 8 };

/* Executes a batch of lines of words, and gives its replies. */
static struct payload execute_lines(uint64_t slot, const char *const *lines)
{
    struct batch_builder b = {0};
    static char text[SESSION_COMMANDS][128];
    struct executed done;
    batch_begin(&b);
    for (size_t i = 0; lines[i] != NULL; i++) {
        struct bytes args[32];
        size_t argc = 0;
        snprintf(text[i], sizeof text[i], "%s", lines[i]);
        for (char *word = strtok(text[i], " "); word != NULL; word = strtok(NULL, " "))
            args[argc++] = (struct bytes){(uint8_t *)word, strlen(word)};
        batch_add(&b, args, argc);
    }
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0);
    struct entry e = {.slot = slot, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value};
    execution_begin(&x);
    execution_add(&x, &e, 1);
    while (!execution_run(&x, &done))
        execution_begin(&x);
    batch_builder_free(&b);
    return done.replies;
}

/* The replies as words, of which the first thirteen characters. */
static const char *words_of(struct payload replies)
{
    static char text[4096];
    struct reply_item item;
    size_t offset = 0, len = 0;
    text[0] = '\0';
    while (replies_next(&replies, &offset, &item)) {
        if (item.tag == REPLY_INTEGER)
            len += (size_t)snprintf(text + len, sizeof text - len, "%lld ", (long long)item.integer);
        else
            len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", (int)(item.bytes.len < 13 ? item.bytes.len : 13),
                                    (const char *)item.bytes.ptr);
    }
    return text;
}

#define EXECUTE(slot, ...) words_of(execute_lines(slot, (const char *const[]){__VA_ARGS__, NULL}))

/* Opens a session whose id is returned as text. */
static const char *open_session(uint64_t slot)
{
    static char id[32];
    snprintf(id, sizeof id, "%s", EXECUTE(slot, "SESSION OPEN 4"));
    id[strcspn(id, " ")] = '\0';
    return id;
}

static const char *in_session(const char *id, const char *rest)
{
    static char lines[SESSION_COMMANDS][128];
    static size_t at;
    char *line = lines[at++ % SESSION_COMMANDS];
    snprintf(line, sizeof lines[0], "SESSION %s %s", id, rest);
    return line;
}

static void a_command_of_a_session_is_executed_once(void **state)
{
    (void)state;
    const char *id = open_session(1), *first = in_session(id, "1 INCR a"), *second = in_session(id, "2 INCR a");
    assert_string_equal(EXECUTE(2, first, second, first, "GET a", second), "1 2 1 2 2 ");
    assert_string_equal(EXECUTE(3, first, "INCR a", second), "1 3 2 ");
    assert_string_equal(EXECUTE(4, in_session("77", "1 INCR a"), "GET a"), "NOSESSION not 3 ");
    assert_string_equal(EXECUTE(5, in_session(id, "3 NOSUCH"), in_session(id, "3 INCR a"), "GET a"),
                        "ERR unknown c ERR unknown c 3 ");
    char close[64];
    snprintf(close, sizeof close, "SESSION CLOSE %s", id);
    assert_string_equal(EXECUTE(6, close, close, first), "1 0 NOSESSION not ");
    assert_string_equal(EXECUTE(7, "SESSION OPEN x", "SESSION 1", "GET a"), "ERR the windo ERR SESSION w 3 ");
}

/* Whichever comes first in the log: here the later number of the place, in the same batch. */
static void a_number_is_passed_within_a_batch(void **state)
{
    (void)state;
    const char *id = open_session(1);
    assert_string_equal(EXECUTE(2, in_session(id, "5 INCR a"), in_session(id, "1 INCR a"), in_session(id, "9 INCR a")),
                        "1 SESSIONPASSED 2 ");
}

/* A reply that is given again has no more room than others of its batch; it may be asked for once more. */
static void a_reply_that_has_no_room_is_given_later(void **state)
{
    (void)state;
    tear_down(NULL);
    execution_init(&x, &(struct node_config){.limits.replies_bytes = 6000});
    number = 0;
    const char *id = open_session(1);
    set_large("a", 3000);
    const char *get = in_session(id, "1 GET a");
    assert_string_equal(EXECUTE(3, get), "vvvvvvvvvvvvv ");
    assert_string_equal(EXECUTE(4, get, get, "GET a"), "vvvvvvvvvvvvv BUSY the repl BUSY the repl ");
    assert_string_equal(EXECUTE(5, get), "vvvvvvvvvvvvv ");
    assert_string_equal(EXECUTE(6, "GET a", in_session(id, "2 GETSET a b")), "vvvvvvvvvvvvv BUSY the repl ");
    assert_string_equal(EXECUTE(7, in_session(id, "2 GETSET a b"), "GET a"), "vvvvvvvvvvvvv b ");
}

/* It is executed once, and so it is told once. */
static void what_is_published_in_a_session_is_told_once(void **state)
{
    (void)state;
    const char *id = open_session(1), *first = in_session(id, "1 PUBLISH c one"),
               *close = in_session(id, "2 SPUBLISH d two");
    execution_watch(&x, WATCH_MESSAGES);
    assert_string_equal(EXECUTE(2, first, "INCR a", first, close), "0 1 0 0 ");
    expect_notices("m c one;s d two;");
    assert_string_equal(EXECUTE(3, close, first), "0 0 ");
    expect_notices("");
}

static void what_is_published_in_a_transaction_is_told(void **state)
{
    (void)state;
    execution_watch(&x, WATCH_MESSAGES);
    assert_string_equal(EXECUTE(1, "EXEC 0 3 PUBLISH c one 2 INCR a 2 INCR a 3 PUBLISH c two 2 PUBLISH c"),
                        " 0 1 2 0 ERR wrong num ");
    expect_notices("m c one;m c two;");
    assert_string_equal(EXECUTE(2, "EXEC 2 EXISTS b 3 PUBLISH c no"), " "); /* its condition does not hold */
    expect_notices("");
}

/* All keys that a command names which is not read-only, unless it gets an error. */
static void what_may_have_changed_is_told(void **state)
{
    (void)state;
    EXECUTE(1, "SET a 1");
    expect_notices("");
    execution_watch(&x, WATCH_KEYS);
    EXECUTE(2, "SET a 1", "GET a", "MSET b 1 c 2", "DEL a none", "INCR b", "NOSUCH b", "PUBLISH d x");
    expect_notices("k a ;k b ;k c ;k a ;k none ;k b ;");
    EXECUTE(3, "SET a text", "INCR a", "RENAME a d", "BITOP AND e b c", "EXISTS a", "COPY d a", "GETEX d");
    expect_notices("k a ;k a ;k d ;k e ;k b ;k c ;k d ;k a ;k d ;");
    EXECUTE(4, "FLUSHALL", "WATCH set a b", "SCAN 0");
    expect_notices("a  ;");
    EXECUTE(5, "EXEC 0 3 SET a 1 2 GET a 3 PUBLISH c x 2 DEL a");
    expect_notices("k a ;k a ;");
    execution_watch(&x, WATCH_KEYS | WATCH_MESSAGES);
    EXECUTE(6, "SET a 1", "PUBLISH a x", "SET b 1");
    expect_notices("k a ;m a x;k b ;");
    execution_begin(&x);
    execution_left_out(&x);
    expect_notices("x  ;");
}

/* What came of a command of this life's own says which one it was; and of no other one. */
static void what_came_of_own_commands_says_so(void **state)
{
    (void)state;
    struct executed done;
    const struct {
        struct batch_id id;
        uint32_t port_number;
        const char *wanted;
    } batches[] = {{{1, 1, 1}, 9, "c 9 1;m c one;c 9 3;s d two;"}, /* what the machine gets is told only if it is wanted */
                   {{2, 1, 1}, 9, "m c one;s d two;"},
                   {{1, 1, 2}, 0, "m c one;s d two;"},
                   {{1, 2, 1}, 9, "m c one;s d two;"},
                   {{1, 1, 3}, 8, ""}}; /* that life is over */
    x.node = x.incarnation = 1;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        execution_begin(&x);
        execution_watch(&x, WATCH_MESSAGES);
        add_mixed(i + 1);
        struct entry *e = &x.entries[x.count - 1];
        batch_header_stamp(&e->value, batches[i].id, 0);
        batch_port_stamp(&e->value, batches[i].port_number);
        assert_true(execution_run(&x, &done));
        expect_notices(batches[i].wanted);
    }
    x.incarnation = 2;
    execution_begin(&x);
    execution_watch(&x, WATCH_KEYS | WATCH_MESSAGES);
    add_mixed(6);
    batch_header_stamp(&x.entries[0].value, (struct batch_id){1, 2, 2}, 0);
    batch_port_stamp(&x.entries[0].value, 5);
    add_mixed(7);
    batch_header_stamp(&x.entries[1].value, (struct batch_id){2, 2, 2}, 0);
    assert_true(execution_run(&x, &done) && execution_run(&x, &done));
    expect_notices("c 5 0;k a ;c 5 1;m c one;c 5 2;k a ;c 5 3;s d two;c 5 5;k a ;c 0 0;k a ;m c one;k a ;s d two;k a ;");
}

/* Executes a no-op that says that it is so late. */
static void pass(uint64_t slot, uint64_t elapsed)
{
    uint64_t words[STAMP_SIZE / 8];
    struct executed done;
    const struct entry noop = {
        .slot = slot, .kind = ENTRY_NOOP, .value = stamp_pack((struct stamp){.moment.elapsed = elapsed}, words)};
    execution_begin(&x);
    execution_add(&x, &noop, 1);
    assert_true(execution_run(&x, &done));
}

/* Each key that ends; any may have, where the state machine does not say which. */
static void what_ends_by_time_is_told(void **state)
{
    (void)state;
    execution_watch(&x, WATCH_KEYS);
    EXECUTE(1, "SET a 1 PX 100", "SET b 1 PX 100", "SET c 1 PX 200");
    expect_notices("k a ;k b ;k c ;");
    pass(2, 100);
    expect_notices("");
    pass(3, 101);
    expect_notices("z a ;z b ;");
    x.machine_tells = false;
    pass(4, 200);
    expect_notices("");
    pass(5, 201);
    expect_notices("a  ;z c ;");
}

/* What happens to keys, in order, and of which command it came. */
static void events_of_keys_are_told(void **state)
{
    (void)state;
    EXECUTE(1, "SET a 1");
    execution_watch(&x, WATCH_EVENTS);
    EXECUTE(2, "SET a 1 PX 100", "GET a", "INCR a x", "PUBLISH c x", "DEL a none", "SET b 1 PX 100", "FLUSHALL");
    expect_notices("e$ a set;eg a expire;eg a del;en b new;e$ b set;eg b expire;");
    execution_watch(&x, WATCH_EVENTS | WATCH_KEYS | WATCH_MESSAGES);
    EXECUTE(3, "INCR a", "PUBLISH c x", "EXEC 0 2 DEL a 3 PUBLISH c y 3 SET b 1");
    expect_notices("k a ;en a new;e$ a incrby;m c x;k a ;eg a del;m c y;k b ;en b new;e$ b set;");
    EXECUTE(4, "SET a 1 PX 100");
    pass(5, 101);
    expect_notices("z a ;ex a expired;");
    execution_watch(&x, WATCH_KEYS);
    EXECUTE(6, "SET a 1");
    expect_notices("k a ;");
    for (int i = 0; i < 2049; i++) { /* of which 1024 leave when time passes, and when a batch begins */
        char line[32];
        snprintf(line, sizeof line, "SET k%d 1 PX 10", i);
        EXECUTE(10 + (uint64_t)i, line);
    }
    pass(3000, 201);
    assert_int_equal(x.notices.packed.count, 1024);
    /* A transaction whose condition does not hold: the last one leaves before that is looked at. */
    assert_string_equal(EXECUTE(3001, "EXEC 2 EXISTS none 2 INCR k"), " ");
    assert_int_equal(x.notices.packed.count, 1); /* in the step that looks at it */
    execution_watch(&x, 0);
    EXECUTE(7, "SET a 1 PX 1");
    pass(8, 300);
    expect_notices("");
}

/* Long keys that end together would take much memory: then some are left out, and that is told. */
static void events_that_are_left_out(void **state)
{
    (void)state;
    enum { KEYS = 4, LEN = 1000 * 1000 };
    char *key = memory_new(LEN + 1, 1);
    for (uint64_t watch = WATCH_KEYS; watch <= WATCH_EVENTS; watch += WATCH_EVENTS - WATCH_KEYS) {
        execution_watch(&x, watch);
        for (int i = 0; i < KEYS; i++) {
            struct executed done;
            memset(key, 'a' + i, LEN);
            number++;
            add(number, number, (const char *const[]){"SETEX", key, "1"}, 3, 1); /* not enough arguments */
            struct batch_builder b = {0};
            const struct bytes args[] = {
                {(uint8_t *)"SETEX", 5}, {(uint8_t *)key, LEN}, {(uint8_t *)"1", 1}, {(uint8_t *)"v", 1}};
            batch_add(&b, args, 4);
            struct payload value = batch_end(&b);
            batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0);
            execution_add(&x, &(struct entry){.slot = number, .ballot = {1, 1, 1}, .kind = ENTRY_COMMANDS, .value = value},
                          1);
            batch_builder_free(&b);
            while (execution_next(&x) != NULL)
                if (!execution_run(&x, &done))
                    execution_begin(&x);
        }
        pass(++number, x.reached.moment.elapsed + 1001);
        const struct payload told = batch_end(&x.notices.packed);
        struct batch_commands commands = {0};
        struct notice n;
        assert_true(batch_commands_read(&commands, &told));
        assert_int_equal(commands.count, 3);
        assert_true(notice_read(&commands.commands[2], &n));
        assert_int_equal(n.kind, watch == WATCH_KEYS ? NOTICE_ALL_CHANGED : NOTICE_MISSED);
        batch_commands_free(&commands);
        execution_begin(&x);
    }
    free(key);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(a_batch_executes_once),
                                       TEST(what_is_published_is_told),
                                       TEST(what_a_step_tells_is_bounded),
                                       TEST(what_may_have_changed_is_told),
                                       TEST(what_came_of_own_commands_says_so),
                                       TEST(what_ends_by_time_is_told),
                                       TEST(events_of_keys_are_told),
                                       TEST(events_that_are_left_out),
                                       TEST(what_is_published_in_a_session_is_told_once),
                                       TEST(what_is_published_in_a_transaction_is_told),
                                       TEST(a_command_of_a_session_is_executed_once),
                                       TEST(a_number_is_passed_within_a_batch),
                                       TEST(a_reply_that_has_no_room_is_given_later),
                                       TEST(the_state_is_bounded_by_what_governs),
                                       TEST(a_state_for_which_there_is_no_memory_is_not_loaded),
                                       TEST(large_replies_take_many_steps),
                                       TEST(what_cannot_be_answered_is_not_executed),
                                       TEST(work_without_replies_ends_a_step),
                                       TEST(steps_do_not_show_in_the_state),
                                       TEST(the_first_batch_gives_the_seed),
                                       TEST(the_state_is_bounded),
                                       TEST(tiny_limits_make_more_steps_of_it),
                                       TEST(what_was_executed_is_saved_and_loaded),
                                       TEST(a_configuration_counts_if_it_follows_the_newest),
                                       TEST(a_snapshot_has_the_configurations),
                                       TEST(who_joined_learns_the_first_one_from_the_log),
                                       TEST(time_never_goes_back),
                                       TEST(what_a_leader_left_behind_is_left_out),
                                       TEST(what_is_skipped_moves_no_time),
                                       TEST(the_wall_clock_goes_along),
                                       TEST(no_stamp_moves_time_far),
                                       TEST(earlier_batches_have_no_stamp),
                                       TEST(a_batch_has_one_moment),
                                       TEST(a_snapshot_has_the_moment),
                                       TEST(a_piece_that_is_malformed_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
