/* io/journal_front.c: its states, one call after the other, over a disk in memory. No thread, and time is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/journal_front.h"
#include "sim/disk.h"

enum { SECOND = 1000000, ALWAYS = 1000000, RECORD_BYTES = 40 };

struct fixture {
    struct faults faults;
    struct disk_sim *sim;
    struct journal_front *front;
    struct journal_front_options options;
    struct problem problem;
    uint64_t now;
};

static void open_front(struct fixture *f)
{
    if (f->front != NULL)
        journal_front_close(f->front);
    if (!journal_front_open(&f->front, &f->options, f->now, &f->problem))
        fail_msg("%s", f->problem.text);
    f->options.store.identity.incarnation++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->sim = disk_sim_new(1, 1, &f->faults);
    f->now = 5 * SECOND;
    f->options = (struct journal_front_options){
        .store.disk = disk_sim_disk(f->sim),
        .store.folder = "node",
        .store.identity = {.cluster = "test", .node = 1, .instance = {1, 2, 3}, .incarnation = 1},
        .store.durability = DURABILITY_FSYNC,
        .store.segment_bytes = 256 * JOURNAL_PAGE,
    };
    assert_int_equal(disk_make_folder(f->options.store.disk, "node"), 0);
    open_front(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_front_close(f->front);
    disk_sim_free(f->sim);
    free(f);
    return 0;
}

/* Reads the journal to its end, if that was not done yet. */
static void read_all(struct fixture *f)
{
    struct packet_list found;
    while (!journal_store_is_open(journal_front_store(f->front)))
        assert_true(journal_front_recover(f->front, &found, &f->problem));
}

/* What a record holds follows from its lsn. */
static void append(struct fixture *f, unsigned count)
{
    read_all(f);
    for (; count > 0; count--) {
        const uint64_t lsn = journal_front_last(f->front) + 1;
        uint64_t words[RECORD_BYTES / 8];
        for (size_t i = 0; i < RECORD_BYTES / 8; i++)
            words[i] = lsn * 100 + i;
        const struct packet record = {.id = lsn, .kind = 1, .len = RECORD_BYTES, .words = {words, RECORD_BYTES / 8}};
        assert_true(journal_front_append(f->front, &record, &f->problem));
        assert_int_equal(journal_front_last(f->front), lsn);
    }
}

static void check_records(struct packet_list found, uint64_t from, uint64_t to)
{
    assert_int_equal(found.len, to + 1 - from);
    for (size_t i = 0; i < found.len; i++) {
        assert_int_equal(found.ptr[i].id, from + i);
        assert_int_equal(found.ptr[i].len, RECORD_BYTES);
        assert_int_equal(found.ptr[i].words.ptr[1], (from + i) * 100 + 1);
    }
}

/* Everything from `from` on can be read. */
static void check_read(struct fixture *f, uint64_t from)
{
    struct packet_list found;
    assert_true(journal_front_read(f->front, from, UINT64_MAX, &found, &f->problem));
    check_records(found, from, journal_front_last(f->front));
}

/* Everything up to `to` is recovered, once. */
static void check_recovered(struct fixture *f, uint64_t to)
{
    struct packet_list found;
    assert_true(journal_front_recover(f->front, &found, &f->problem));
    check_records(found, 1, to);
    assert_true(journal_front_recover(f->front, &found, &f->problem));
    assert_int_equal(found.len, 0);
}

/* The next group, whose records are those of [from, to]. */
static struct journal_front_group *take(struct fixture *f, uint64_t from, uint64_t to)
{
    struct journal_front_group *g = journal_front_next(f->front, f->now);
    assert_non_null(g);
    assert_int_equal(g->state, GROUP_IN_FLIGHT);
    assert_int_equal(g->group.first_lsn, from);
    assert_int_equal(g->group.count, to + 1 - from);
    return g;
}

static void nothing_to_take(struct fixture *f) { assert_null(journal_front_next(f->front, f->now)); }

/* It becomes durable. */
static void land(struct fixture *f, struct journal_front_group *g)
{
    const bool is_mark = g->is_mark;
    assert_true(journal_front_write(f->front, g, &f->problem));
    journal_front_written(f->front, g, NULL, f->now);
    assert_int_equal(journal_front_retire(f->front), !is_mark);
}

static void append_durable(struct fixture *f, unsigned count)
{
    const uint64_t from = journal_front_last(f->front) + 1;
    append(f, count);
    assert_true(journal_front_submit(f->front));
    land(f, take(f, from, from + count - 1));
}

static void one_group_is_in_flight(void **state)
{
    struct fixture *f = *state;
    assert_false(journal_front_submit(f->front));
    append(f, 2);
    nothing_to_take(f); /* the turn is not over */
    assert_true(journal_front_submit(f->front));
    assert_false(journal_front_submit(f->front));
    struct journal_front_group *g = take(f, 1, 2);
    append(f, 1);
    assert_true(journal_front_submit(f->front));
    nothing_to_take(f); /* J1 */
    append(f, 2);
    assert_true(journal_front_submit(f->front));
    assert_true(journal_front_write(f->front, g, &f->problem));
    nothing_to_take(f);
    assert_int_equal(journal_front_durable(f->front), 0);
    assert_false(journal_front_retire(f->front));
    journal_front_written(f->front, g, NULL, f->now);
    assert_int_equal(journal_front_durable(f->front), 2);
    g = take(f, 3, 5); /* what was submitted meanwhile, though the first one is not retired */
    assert_true(journal_front_retire(f->front));
    assert_false(journal_front_settled(f->front));
    land(f, g);
    assert_int_equal(journal_front_durable(f->front), 5);
    assert_true(journal_front_settled(f->front));
    assert_int_equal(journal_front_statistics(f->front).groups, 2);
    assert_int_equal(journal_front_statistics(f->front).records, 5);
}

static void submitted_group_waits_while_it_grows(void **state)
{
    struct fixture *f = *state;
    append(f, 1);
    journal_front_submit(f->front);
    append(f, 1);
    nothing_to_take(f);
    journal_front_submit(f->front);
    land(f, take(f, 1, 2));
}

static void large_groups_are_closed(void **state)
{
    struct fixture *f = *state;
    f->options.group_bytes = 1; /* each has a record all the same */
    open_front(f);
    append(f, 3);
    journal_front_submit(f->front);
    for (uint64_t lsn = 1; lsn <= 3; lsn++)
        land(f, take(f, lsn, lsn));
    nothing_to_take(f);
}

static void refuses_what_is_no_record(void **state)
{
    struct fixture *f = *state;
    const struct packet lying = {.id = 1, .kind = 1, .len = 8};
    assert_false(journal_front_append(f->front, &lying, &f->problem));
    assert_int_equal(f->problem.exit_code, EXIT_TROUBLE);
    assert_int_equal(journal_front_last(f->front), 0);
}

/* Every copy of a record says the same, wherever it is on its way. */
static void reads_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct packet_list found;
    f->options.group_bytes = 200; /* a few records */
    open_front(f);
    append_durable(f, 2);
    append(f, 8);
    journal_front_submit(f->front);
    struct journal_front_group *g = journal_front_next(f->front, f->now);
    append(f, 1);
    for (int step = 0; step < 3; step++) {
        for (uint64_t from = 1; from <= 11; from++) {
            check_read(f, from);
            assert_true(journal_front_read(f->front, from, 1, &found, &f->problem));
            check_records(found, from, from);
        }
        assert_true(journal_front_read(f->front, 12, UINT64_MAX, &found, &f->problem));
        assert_int_equal(found.len, 0);
        assert_true(journal_front_read(f->front, 0, UINT64_MAX, &found, &f->problem));
        assert_int_equal(found.len, 0);
        if (step == 0) {
            assert_true(journal_front_write(f->front, g, &f->problem));
            journal_front_written(f->front, g, NULL, f->now);
        } else if (step == 1) {
            assert_true(journal_front_retire(f->front));
        }
    }
}

static void mark_follows_when_idle(void **state)
{
    struct fixture *f = *state;
    f->now += 2 * SECOND;
    assert_false(journal_front_idle(f->front, f->now)); /* a journal without records needs none */
    append_durable(f, 1);
    f->now += SECOND - 1;
    assert_false(journal_front_idle(f->front, f->now));
    f->now += 1;
    append(f, 1);
    assert_false(journal_front_idle(f->front, f->now)); /* something waits */
    journal_front_submit(f->front);
    land(f, take(f, 2, 2));
    assert_false(journal_front_idle(f->front, f->now));
    f->now += SECOND;
    assert_true(journal_front_idle(f->front, f->now));
    assert_false(journal_front_idle(f->front, f->now));
    struct journal_front_group *g = take(f, 3, 2);
    assert_true(g->is_mark);
    append(f, 1); /* not to the mark */
    journal_front_submit(f->front);
    land(f, g);
    assert_int_equal(journal_front_durable(f->front), 2);
    land(f, take(f, 3, 3));
    f->now += SECOND;
    assert_true(journal_front_idle(f->front, f->now));
    land(f, take(f, 4, 3));
    f->now += SECOND;
    assert_false(journal_front_idle(f->front, f->now)); /* one is enough */
}

static void finish_ends_in_a_mark(void **state)
{
    struct fixture *f = *state;
    append_durable(f, 1);
    append(f, 2);
    journal_front_finish(f->front);
    journal_front_finish(f->front);
    land(f, take(f, 2, 3));
    land(f, take(f, 4, 3));
    nothing_to_take(f);
    journal_front_finish(f->front);
    nothing_to_take(f);
    open_front(f);
    assert_true(journal_store_ends_in_mark(journal_front_store(f->front)));
    check_recovered(f, 3);
}

static void expect_notice(struct fixture *f, enum journal_notice notice, const char *what)
{
    char text[sizeof f->problem.text + 128] = "";
    assert_int_equal(journal_front_notice(f->front, NULL, f->now, text, sizeof text), notice);
    assert_non_null(strstr(text, what));
}

static void no_room_is_tried_again(void **state)
{
    struct fixture *f = *state;
    append_durable(f, 1);
    assert_true(journal_front_has_room(f->front));
    assert_int_equal(journal_front_retry_at(f->front), UINT64_MAX);
    expect_notice(f, JOURNAL_NOTICE_NONE, "");
    append(f, 2);
    journal_front_submit(f->front);
    const uint64_t since = f->now;
    const struct problem no_room = {.no_room = true, .text = "no space"}, failed = {.text = "failed"};
    for (uint64_t delay = 20000, tries = 0; tries < 10; tries++, delay = delay * 2 < SECOND ? delay * 2 : SECOND) {
        journal_front_written(f->front, take(f, 2, 3), &no_room, f->now);
        assert_false(journal_front_has_room(f->front));
        expect_notice(f, tries == 0 ? JOURNAL_NOTICE_ROOM : JOURNAL_NOTICE_NONE, tries == 0 ? "no space; no record" : "");
        assert_int_equal(journal_front_retry_at(f->front), f->now + delay);
        append(f, 1); /* to the next group: what was written of this one has to stay as it is */
        journal_front_submit(f->front);
        check_read(f, 1);
        nothing_to_take(f);
        f->now += delay - 1;
        nothing_to_take(f);
        f->now += 1;
    }
    land(f, take(f, 2, 3));
    assert_true(journal_front_has_room(f->front));
    char text[64];
    snprintf(text, sizeof text, "there is room again, after %llu ms", (unsigned long long)(f->now - since) / 1000);
    expect_notice(f, JOURNAL_NOTICE_ROOM, text);
    expect_notice(f, JOURNAL_NOTICE_NONE, "");
    struct journal_front_group *g = take(f, 4, 13);
    journal_front_written(f->front, g, &no_room, f->now); /* the next shortage begins at the beginning */
    assert_int_equal(journal_front_retry_at(f->front), f->now + 20000);
    journal_front_fail(f->front, &failed);
    assert_int_equal(journal_front_retry_at(f->front), UINT64_MAX);
}

/* The disk itself is full, in the middle of making a segment. */
static void full_disk_loses_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    for (int i = 0; i < 2000; i++) {
        f->faults.rate[FAULT_FULL_DISK] = i % 100 < 30 ? ALWAYS : 0;
        append(f, 1);
        journal_front_submit(f->front);
        for (struct journal_front_group *g; (g = journal_front_next(f->front, f->now)) != NULL;) {
            bool ok = journal_front_write(f->front, g, &f->problem);
            assert_true(ok || f->problem.no_room);
            journal_front_written(f->front, g, ok ? NULL : &f->problem, f->now);
            journal_front_retire(f->front);
        }
        last += !journal_front_has_room(f->front);
        f->now += 50000;
    }
    assert_true(last > 50);
    assert_int_equal(journal_front_durable(f->front), 2000);
    check_read(f, 1);
    open_front(f);
    read_all(f);
    assert_int_equal(journal_front_last(f->front), 2000);
    check_read(f, 1);
}

/* The journal is read by what hands its records out, and nothing can be done with it before that has come to its end. */
static void nothing_is_done_before_all_is_read(void **state)
{
    struct fixture *f = *state;
    struct packet_list found;
    append_durable(f, 3);
    append_durable(f, 3);
    f->options.store.recover_bytes = 1;
    open_front(f);
    f->now += 2 * SECOND;
    for (int life = 0; life < 3; life++) {
        for (uint64_t lsn = 1; lsn <= 4; lsn++) { /* one record a chunk, and a group is read only when it is its turn */
            assert_true(journal_front_recover(f->front, &found, &f->problem));
            check_records(found, lsn, lsn);
        }
        assert_false(journal_store_is_open(journal_front_store(f->front)));
        assert_int_equal(journal_front_last(f->front), 0);
        assert_int_equal(journal_front_durable(f->front), 0);
        assert_false(journal_front_idle(f->front, f->now));
        nothing_to_take(f);
        const struct packet record = {.id = 1, .kind = 1};
        assert_false(journal_front_append(f->front, &record, &f->problem));
        assert_true(journal_front_read(f->front, 1, 1, &found, &f->problem));
        assert_int_equal(found.len, 0);
        journal_front_finish(f->front); /* no mark, either */
        nothing_to_take(f);
        journal_front_forsake(f->front); /* the next life begins with the first record */
        assert_true(journal_front_settled(f->front));
        journal_front_reborn(f->front, f->options.store.identity.incarnation++, f->now);
    }
    for (uint64_t lsn = 1; lsn <= 6; lsn++) {
        assert_true(journal_front_recover(f->front, &found, &f->problem));
        check_records(found, lsn, lsn);
    }
    assert_true(journal_front_recover(f->front, &found, &f->problem));
    assert_int_equal(found.len, 0);
    assert_int_equal(journal_front_durable(f->front), 6);
    check_read(f, 1);
    append_durable(f, 1);
    check_read(f, 1);
}

static void failure_is_final(void **state)
{
    struct fixture *f = *state;
    const struct problem first = {.exit_code = EXIT_SYNC_FAILED, .text = "first"}, second = {.text = "second"};
    append(f, 1);
    journal_front_submit(f->front);
    assert_null(journal_front_failure(f->front));
    journal_front_written(f->front, take(f, 1, 1), &first, f->now);
    journal_front_fail(f->front, &second);
    assert_string_equal(journal_front_failure(f->front)->text, "first");
    append(f, 1);
    journal_front_submit(f->front);
    nothing_to_take(f);
    journal_front_finish(f->front);
    nothing_to_take(f);
    assert_int_equal(journal_front_durable(f->front), 0);
}

static void failed_spare_is_told_once(void **state)
{
    struct fixture *f = *state;
    const struct problem spare = {.text = "no spare"};
    char text[64];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(journal_front_notice(f->front, &spare, f->now, text, sizeof text), JOURNAL_NOTICE_SPARE);
        assert_string_equal(text, "no spare");
        assert_int_equal(journal_front_notice(f->front, &spare, f->now, text, sizeof text), JOURNAL_NOTICE_NONE);
        expect_notice(f, JOURNAL_NOTICE_NONE, ""); /* it could be made meanwhile */
    }
}

/* In flight, submitted after that and grown since, and gathered in a group of its own. */
static void another_life_has_what_was_submitted(void **state)
{
    struct fixture *f = *state;
    f->options.group_bytes = 200;
    open_front(f);
    append_durable(f, 1);
    append(f, 1);
    journal_front_submit(f->front);
    struct journal_front_group *g = take(f, 2, 2);
    append(f, 1);
    journal_front_submit(f->front);
    append(f, 6);
    journal_front_forsake(f->front);
    assert_int_equal(journal_front_last(f->front), 3);
    assert_false(journal_front_settled(f->front));
    check_read(f, 1);
    land(f, g);
    land(f, take(f, 3, 3)); /* no turn adds to it any more */
    assert_true(journal_front_settled(f->front));
    append(f, 2);
    journal_front_forsake(f->front); /* all that is left */
    assert_int_equal(journal_front_last(f->front), 3);
    f->now += 3 * SECOND;
    journal_front_reborn(f->front, f->options.store.identity.incarnation++, f->now);
    assert_false(journal_front_idle(f->front, f->now)); /* it has just begun */
    append_durable(f, 2);
    check_recovered(f, 3);
    check_read(f, 1);
}

static void memory_is_durable_at_once_and_forgets(void **state)
{
    struct fixture *f = *state;
    struct packet_list found;
    f->options.store.durability = DURABILITY_MEMORY;
    f->options.store.folder = "memory";
    f->options.group_bytes = 1000;
    f->options.memory_bytes_max = 3000;
    assert_int_equal(disk_make_folder(f->options.store.disk, "memory"), 0);
    open_front(f);
    append(f, 3);
    assert_int_equal(journal_front_durable(f->front), 0);
    assert_true(journal_front_submit(f->front));
    nothing_to_take(f);
    assert_int_equal(journal_front_durable(f->front), 3);
    assert_true(journal_front_settled(f->front));
    append(f, 2);
    journal_front_forsake(f->front);
    assert_int_equal(journal_front_last(f->front), 3);
    journal_front_reborn(f->front, 2, f->now);
    append(f, 1);
    journal_front_submit(f->front);
    check_recovered(f, 3);
    append(f, 196);
    journal_front_submit(f->front);
    f->now += 2 * SECOND;
    assert_false(journal_front_idle(f->front, f->now));
    check_read(f, 200 - 30);
    assert_false(journal_front_read(f->front, 1, 1, &found, &f->problem));
    assert_int_equal(f->problem.exit_code, EXIT_DATA);
    assert_non_null(strstr(f->problem.text, "lsn 1 is no longer kept: durability memory keeps 3000 bytes"));
    assert_int_equal(journal_front_statistics(f->front).groups, 3);
    assert_int_equal(journal_front_statistics(f->front).records, 200);
}

#define with_front(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_front(one_group_is_in_flight),
        with_front(submitted_group_waits_while_it_grows),
        with_front(large_groups_are_closed),
        with_front(refuses_what_is_no_record),
        with_front(reads_what_is_on_its_way),
        with_front(mark_follows_when_idle),
        with_front(finish_ends_in_a_mark),
        with_front(no_room_is_tried_again),
        with_front(full_disk_loses_nothing),
        with_front(nothing_is_done_before_all_is_read),
        with_front(failure_is_final),
        with_front(failed_spare_is_told_once),
        with_front(another_life_has_what_was_submitted),
        with_front(memory_is_durable_at_once_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
