/* core/agents/saving.c: when a snapshot is due, and that what is saved waits for the disk. */
#include "core/agents/saving.h"

#include <stdio.h>

#include "core/base/memory.h"
#include "tests/unit/protocol.h"

static struct saving saving;
static struct execution x;
static struct effects effects;
static uint64_t number;
static uint64_t held; /* the first slot not durably held */
static uint64_t now;

static int set_up_with(struct node_config config)
{
    saving_init(&saving, &config);
    execution_init(&x, &config);
    memset(&effects, 0, sizeof effects);
    number = held = now = 0;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with((struct node_config){.snapshot_bytes = 4096});
}

static int set_up_without_settings(void **state)
{
    (void)state;
    return set_up_with((struct node_config){0});
}

static int tear_down(void **state)
{
    (void)state;
    saving_close(&saving);
    execution_close(&x);
    effects_close(&effects);
    return 0;
}

/* Executes SET key value, where the value has `len` bytes. */
static void set(const char *key, size_t len)
{
    struct batch_builder b = {0};
    struct executed done;
    struct bytes args[] = {
        {(uint8_t *)(uintptr_t)"SET", 3}, {(uint8_t *)(uintptr_t)key, strlen(key)}, {memory_new(len + 1, 1), len}};
    batch_begin(&b);
    batch_add(&b, args, 3);
    struct payload value = batch_end(&b);
    batch_header_stamp(&value, (struct batch_id){1, 1, ++number}, 0);
    execution_add(&x, &(struct entry){.slot = number, .kind = ENTRY_COMMANDS, .value = value}, 1);
    while (!execution_run(&x, &done)) {
        assert_false(x.stalled);
        execution_begin(&x);
    }
    execution_begin(&x);
    batch_builder_free(&b);
    free(args[2].ptr);
}

static size_t asked(uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < effects.count; i++)
        count += effects.items[i].tag == EFFECT_SNAPSHOT && effects.items[i].val.snapshot.kind == kind;
    return count;
}

/* The next step, when it is time for it. */
static bool step(void)
{
    now = saving_wake_at(&saving) != UINT64_MAX ? saving_wake_at(&saving) : now;
    return saving_step(&saving, &x, held, now, &effects);
}

static void tell(uint8_t kind, uint64_t id) { saving_told(&saving, &(struct snapshot_item){.kind = kind, .id = id}); }

/* Slots until the next one that is due. */
static size_t slots_until_due(uint64_t bytes)
{
    size_t slots = 1;
    while (!saving_executed(&saving, bytes, &x))
        slots++;
    return slots;
}

static void many_bytes_make_a_snapshot_due(void **state)
{
    (void)state;
    assert_int_equal(slots_until_due(2000), 3);
    assert_int_equal(slots_until_due(4096), 1);
    assert_int_equal(slots_until_due(0), 4); /* a slot counts 1 KiB at least */
}

/* A state is not written again before the log has grown by as much. */
static void a_large_state_is_due_less_often(void **state)
{
    (void)state;
    set("key", 100000);
    assert_int_equal(slots_until_due(4096), 1);
    assert_in_range(slots_until_due(4096), 100000 / 4096, 110000 / 4096);
}

static void without_settings_none_is_due(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        assert_false(saving_executed(&saving, 1 << 20, &x));
}

/* What waits for the disk is bounded: without its word, no more is saved. */
static void chunks_wait_for_the_disk(void **state)
{
    (void)state;
    char key[16];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        set(key, 500000);
    }
    saving_begin(&saving, number + 1, &x, &effects);
    for (size_t i = 0; i < 1000; i++)
        step();
    assert_in_range(saving.given, SAVING_AHEAD_MAX, SAVING_AHEAD_MAX + (1 << 20));
    assert_int_equal(asked(SNAPSHOT_COMMIT), 0);
    tell(SNAPSHOT_WRITTEN, saving.given);
    const uint64_t before = saving.given;
    step();
    assert_true(saving.given > before);
    while (saving.state == SAVING_STATE) {
        tell(SNAPSHOT_WRITTEN, saving.given);
        step();
    }
    assert_true(saving.state == SAVING_WHOLE && saving.given > 40 * 500000);
    held = number;
    step();
    assert_int_equal(asked(SNAPSHOT_COMMIT), 0); /* the journal does not go on from its slot yet */
    held = number + 1;
    assert_false(step());
    assert_int_equal(asked(SNAPSHOT_COMMIT), 1);
    tell(SNAPSHOT_STORED, number + 1);
    assert_int_equal(saving.state, SAVING_NOTHING);
}

/* So many bytes a second, but for commands that wait for what is saved. */
static void chunks_come_at_a_pace(void **state)
{
    (void)state;
    char key[16];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        set(key, 500000);
    }
    saving_begin(&saving, 9, &x, &effects);
    now = 1000;
    assert_false(step()); /* there are no sessions */
    now = saving_wake_at(&saving);
    assert_false(step());
    const uint64_t given = saving.given, next = saving_wake_at(&saving);
    assert_in_range(next - now, 500000 * UINT64_C(1000000) / SAVING_RATE, 600000 * UINT64_C(1000000) / SAVING_RATE);
    saving_step(&saving, &x, held, next - 1, &effects);
    assert_int_equal(saving.given, given);
    saving_step(&saving, &x, held, next, &effects);
    assert_true(saving.given > given);
    const uint64_t more = saving.given;
    x.stalled = true;
    assert_true(saving_step(&saving, &x, held, next, &effects)); /* and again at once */
    assert_true(saving.given > more);
    x.stalled = false;
    while (saving.state == SAVING_STATE)
        step();
    assert_true(saving_wake_at(&saving) == UINT64_MAX);
}

/* The state machine can only end a snapshot by saving it, and nothing of that is handed over any more. */
static void what_failed_is_saved_to_its_end(void **state)
{
    (void)state;
    char key[16];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        set(key, 500000);
    }
    saving_begin(&saving, 9, &x, &effects);
    step();
    tell(SNAPSHOT_FAILED, 8); /* another one */
    assert_int_equal(saving.state, SAVING_STATE);
    tell(SNAPSHOT_FAILED, 9);
    const size_t pieces = asked(SNAPSHOT_PIECE);
    saving_begin(&saving, 9, &x, &effects); /* not while the state machine has one in progress */
    while (saving.state != SAVING_NOTHING)
        step();
    assert_true(asked(SNAPSHOT_PIECE) == pieces && asked(SNAPSHOT_COMMIT) == 0);
    assert_int_equal(asked(SNAPSHOT_BEGIN), 1);
    saving_begin(&saving, 10, &x, &effects);
    assert_int_equal(asked(SNAPSHOT_BEGIN), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(many_bytes_make_a_snapshot_due),
        TEST(a_large_state_is_due_less_often),
        cmocka_unit_test_setup_teardown(without_settings_none_is_due, set_up_without_settings, tear_down),
        TEST(chunks_wait_for_the_disk),
        TEST(chunks_come_at_a_pace),
        TEST(what_failed_is_saved_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
