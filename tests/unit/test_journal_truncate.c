/* io/journal_truncate.c, and what the front and the index do about it: segments that are not needed any more (J11). Over a
 * disk in memory, one call after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "core/formats/record.h"
#include "io/journal_file.h"
#include "io/journal_front.h"
#include "sim/disk.h"

enum { SECOND = 1000000, GROUPS = 7 /* of one page, in a segment */, STICKY = RECORD_PACKET_STICKY + 1 };

struct fixture {
    struct faults faults;
    struct disk_sim *sim;
    struct disk *disk; /* of it, which does not remove when told so */
    struct disk_operations operations;
    struct journal_front *front;
    struct journal_front_options options;
    struct problem problem;
    uint64_t now;
};

static int remove_error; /* of each removal; 0: none */
static const struct disk_operations *as_simulated;

static int remove_or_fail(struct disk *disk, const char *path)
{
    return remove_error != 0 ? -remove_error : as_simulated->remove(disk, path);
}

static bool remember(void *context, uint64_t first_lsn, struct problem *problem)
{
    (void)problem;
    ((struct fixture *)context)->options.store.identity.newest_segment = first_lsn;
    return true;
}

static bool try_open(struct fixture *f)
{
    if (f->front != NULL)
        journal_front_close(f->front);
    f->front = NULL;
    bool ok = journal_front_open(&f->front, &f->options, f->now, &f->problem);
    f->options.store.identity.incarnation++;
    return ok;
}

static void open_front(struct fixture *f)
{
    if (!try_open(f))
        fail_msg("%s", f->problem.text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->sim = disk_sim_new(1, 1, &f->faults);
    f->now = 5 * SECOND;
    f->disk = disk_sim_disk(f->sim);
    as_simulated = f->disk->operations;
    f->operations = *as_simulated;
    f->operations.remove = remove_or_fail;
    f->disk->operations = &f->operations;
    remove_error = 0;
    f->options = (struct journal_front_options){
        .store.disk = f->disk,
        .store.folder = "node",
        .store.identity = {.cluster = "test", .node = 1, .instance = {1, 2, 3}, .incarnation = 1},
        .store.memory = {remember, f},
        .store.durability = DURABILITY_FSYNC,
        .store.segment_bytes = (1 + GROUPS) * JOURNAL_PAGE,
    };
    assert_int_equal(disk_make_folder(f->disk, "node"), 0);
    assert_int_equal(disk_sync_folder(f->disk, "."), 0);
    disk_sim_settle(f->sim);
    open_front(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->front != NULL)
        journal_front_close(f->front);
    disk_sim_free(f->sim);
    free(f);
    return 0;
}

static void read_all(struct fixture *f)
{
    struct packet_list found;
    while (!journal_store_is_open(journal_front_store(f->front)))
        if (!journal_front_recover(f->front, &found, &f->problem))
            fail_msg("%s", f->problem.text);
}

/* One record, alone in its group, durable. What it holds follows from its lsn. */
static void append_kind(struct fixture *f, uint32_t kind)
{
    read_all(f);
    uint64_t words[2] = {journal_front_last(f->front) + 1, 4711};
    const struct packet record = {.id = words[0], .kind = kind, .len = 16, .words = {words, 2}};
    assert_true(journal_front_append(f->front, &record, &f->problem));
    assert_true(journal_front_submit(f->front));
    struct journal_front_group *g = journal_front_next(f->front, f->now);
    assert_non_null(g);
    assert_true(journal_front_write(f->front, g, &f->problem));
    journal_front_written(f->front, g, NULL, f->now);
    assert_true(journal_front_retire(f->front));
    disk_sim_settle(f->sim);
}

static void append(struct fixture *f, unsigned count)
{
    for (; count > 0; count--)
        append_kind(f, 1);
}

/* Removes what may be removed now. Returns how many segments went. */
static unsigned remove_all(struct fixture *f)
{
    unsigned count = 0;
    uint64_t first_lsn;
    while ((first_lsn = journal_front_removal(f->front, f->now)) != 0) {
        assert_int_equal(journal_front_removal(f->front, f->now), 0); /* one at a time */
        bool ok = journal_store_remove(journal_front_store(f->front), first_lsn, &f->problem);
        journal_front_removed(f->front, ok ? NULL : &f->problem, f->now);
        count += ok;
    }
    return count;
}

static bool is_there(struct fixture *f, uint64_t first_lsn)
{
    char *path = journal_segment_path("node", first_lsn);
    bool there = disk_size(f->disk, path) >= 0;
    free(path);
    return there;
}

static void unlink_segment(struct fixture *f, uint64_t first_lsn)
{
    char *path = journal_segment_path("node", first_lsn);
    assert_int_equal(as_simulated->remove(f->disk, path), 0);
    free(path);
}

static void damage_segment(struct fixture *f, uint64_t first_lsn)
{
    char *path = journal_segment_path("node", first_lsn);
    int file = disk_open(f->disk, path, DISK_WRITE);
    assert_true(file >= 0);
    assert_int_equal(disk_write(f->disk, file, 100, "damage", 6), 0);
    assert_int_equal(disk_write(f->disk, file, JOURNAL_PAGE + 100, "damage", 6), 0);
    disk_close(f->disk, file);
    free(path);
}

static void check_record(const struct packet *p, uint64_t lsn)
{
    assert_int_equal(p->id, lsn);
    assert_int_equal(p->words.ptr[0], lsn);
}

/* Records from each lsn on can be read, none from before `from`. */
static void check_read(struct fixture *f, uint64_t from)
{
    struct packet_list found;
    for (uint64_t lsn = 1; lsn <= journal_front_last(f->front); lsn++) {
        assert_true(journal_front_read(f->front, lsn, 1, &found, &f->problem));
        assert_int_equal(found.len, lsn >= from);
        if (found.len > 0)
            check_record(found.ptr, lsn);
    }
}

/* What is recovered: `sticky` alone first, if it is not 0, then [from, last]. */
static void check_recovered(struct fixture *f, uint64_t sticky, uint64_t from)
{
    struct packet_list found;
    uint64_t next = sticky != 0 ? sticky : from;
    do {
        if (!journal_front_recover(f->front, &found, &f->problem))
            fail_msg("%s", f->problem.text);
        for (size_t i = 0; i < found.len; i++) {
            check_record(&found.ptr[i], next);
            next = next == sticky && sticky < from ? from : next + 1;
        }
    } while (found.len > 0);
    assert_int_equal(next, journal_front_last(f->front) + 1);
}

static void segments_go_with_the_next_one(void **state)
{
    struct fixture *f = *state;
    append(f, 3 * GROUPS); /* segments 1, 8, 15 */
    journal_front_truncate(f->front, 10);
    assert_int_equal(remove_all(f), 0);
    check_read(f, 1);
    append(f, 1); /* segment 22, which says that 10 is the oldest */
    assert_int_equal(journal_front_statistics(f->front).segments, 3);
    check_read(f, 8);
    assert_true(is_there(f, 1));
    assert_int_equal(remove_all(f), 1);
    assert_false(is_there(f, 1));
    assert_true(is_there(f, 8));
    journal_front_truncate(f->front, 9); /* it never goes back */
    append(f, GROUPS);
    assert_int_equal(remove_all(f), 0);
    check_read(f, 8);
    open_front(f);
    check_recovered(f, 0, 8);
    check_read(f, 8);
    assert_int_equal(remove_all(f), 0);
}

/* Whatever is asked: something must say where the journal goes on. */
static void the_last_record_stays(void **state)
{
    struct fixture *f = *state;
    append(f, GROUPS);
    journal_front_truncate(f->front, UINT64_MAX); /* 7 is durable, and no more */
    append(f, 1);
    assert_int_equal(remove_all(f), 0);
    append(f, GROUPS);
    assert_int_equal(remove_all(f), 0);
    journal_front_truncate(f->front, UINT64_MAX);
    append(f, GROUPS);
    assert_int_equal(remove_all(f), 2);
    check_read(f, 15);
    open_front(f);
    check_recovered(f, 0, 15);
}

static void nothing_is_needed_of_a_new_journal(void **state)
{
    struct fixture *f = *state;
    journal_front_truncate(f->front, 5);
    journal_front_truncate(f->front, 0);
    append(f, 2 * GROUPS + 1);
    assert_int_equal(remove_all(f), 0);
    check_read(f, 1);
}

static void sticky_records_outlive_their_segment(void **state)
{
    struct fixture *f = *state;
    append(f, 2);
    append_kind(f, STICKY);
    append(f, 4 * GROUPS);
    journal_front_truncate(f->front, 23);
    append(f, GROUPS);
    assert_int_equal(remove_all(f), 3);
    for (int i = 0; i < 2; i++) {
        open_front(f);
        check_recovered(f, 3, 22);
    }
    append(f, 1);
    journal_front_forsake(f->front);
    journal_front_reborn(f->front, f->options.store.identity.incarnation++, f->now);
    check_recovered(f, 3, 22);
    journal_front_truncate(f->front, 36);
    append(f, 2 * GROUPS);
    assert_int_equal(remove_all(f), 2);
    journal_front_reborn(f->front, f->options.store.identity.incarnation++,
                         f->now); /* the first header is another one now */
    check_recovered(f, 3, 36);
}

struct shown {
    size_t segments, carried;
    uint64_t carried_lsn, first_lsn, next_lsn;
};

static void show_segment(void *context, const char *name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    ((struct shown *)context)->segments++;
}

static void show_carried(void *context, const struct packet *record)
{
    struct shown *s = context;
    assert_int_equal(s->first_lsn, 0);
    s->carried++;
    s->carried_lsn = record->id;
}

static void show_group(void *context, uint64_t offset, const struct journal_group *g)
{
    struct shown *s = context;
    (void)offset;
    s->first_lsn = s->first_lsn == 0 ? g->first_lsn : s->first_lsn;
}

static void show_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    (void)offset;
    (void)torn;
    ((struct shown *)context)->next_lsn = next_lsn;
}

/* Looking shows what a start would read; what is to be removed is not shown. */
static void looking_begins_where_a_start_does(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    const struct journal_view view = {show_segment, show_carried, show_group, show_end, &s};
    append_kind(f, STICKY);
    append(f, 3 * GROUPS);
    journal_front_truncate(f->front, 16);
    append(f, GROUPS);
    unlink_segment(f, 8); /* and the first one is still there */
    f->options.store.identity.incarnation++;
    assert_true(journal_store_look(&f->options.store, &view, &f->problem));
    assert_int_equal(s.segments, 3);
    assert_int_equal(s.carried, 1);
    assert_int_equal(s.carried_lsn, 1);
    assert_int_equal(s.first_lsn, 15);
    assert_int_equal(s.next_lsn, 30);
}

/* Removals may reach the disk in any order, or not at all. */
static void what_is_left_is_removed_at_start(void **state)
{
    (void)state;
    for (unsigned left = 0; left < 16; left++) {
        void *fixture;
        setup(&fixture);
        struct fixture *f = fixture;
        append(f, 5 * GROUPS);
        journal_front_truncate(f->front, 29);
        append(f, 1);
        for (unsigned i = 0; i < 4; i++)
            if ((left >> i & 1) == 0)
                unlink_segment(f, 1 + i * GROUPS);
            else if (i % 2 == 0)
                damage_segment(f, 1 + i * GROUPS);
        open_front(f);
        check_recovered(f, 0, 29);
        check_read(f, 29);
        assert_int_equal(remove_all(f), (unsigned)__builtin_popcount(left));
        for (unsigned i = 0; i < 4; i++)
            assert_false(is_there(f, 1 + i * GROUPS));
        open_front(f);
        check_recovered(f, 0, 29);
        teardown(&fixture);
    }
}

static void what_is_needed_and_missing_is_refused(void **state)
{
    struct fixture *f = *state;
    append(f, 5 * GROUPS);
    journal_front_truncate(f->front, 16);
    append(f, 1);
    assert_int_equal(remove_all(f), 2);
    static const uint64_t needed[] = {15, 22, 29, 36};
    disk_sim_keep(f->sim);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct packet_list found = {.len = 1};
        unlink_segment(f, needed[i]);
        bool ok = try_open(f);
        while (ok && found.len > 0)
            ok = journal_front_recover(f->front, &found, &f->problem);
        assert_false(ok);
        assert_int_equal(f->problem.exit_code, EXIT_DATA);
        if (strstr(f->problem.text, "missing") == NULL)
            fail_msg("%s", f->problem.text);
        disk_sim_put_back(f->sim);
    }
    open_front(f);
    check_recovered(f, 0, 15);
}

static void removal_that_fails_is_tried_again(void **state)
{
    struct fixture *f = *state;
    char text[1200];
    append(f, 2 * GROUPS);
    journal_front_truncate(f->front, 14);
    remove_error = EPERM;
    append(f, 1);
    assert_int_equal(journal_front_notice(f->front, NULL, f->now, text, sizeof text), JOURNAL_NOTICE_NONE);
    assert_int_equal(remove_all(f), 0);
    assert_int_equal(journal_front_notice(f->front, NULL, f->now, text, sizeof text), JOURNAL_NOTICE_REMOVAL);
    assert_non_null(strstr(text, "journal-00000000000000000001.log: is not needed any more and cannot be removed: "));
    assert_non_null(strstr(text, strerror(EPERM)));
    f->now += 10 * SECOND - 1;
    assert_int_equal(journal_front_removal(f->front, f->now), 0);
    f->now += 1;
    assert_int_equal(remove_all(f), 0);
    assert_int_equal(journal_front_notice(f->front, NULL, f->now, text, sizeof text), JOURNAL_NOTICE_NONE); /* told once */
    assert_null(journal_front_failure(f->front));
    append(f, GROUPS);
    check_read(f, 8);
    remove_error = 0;
    f->now += 10 * SECOND;
    assert_int_equal(remove_all(f), 1);
    assert_int_equal(journal_front_notice(f->front, NULL, f->now, text, sizeof text), JOURNAL_NOTICE_NONE);
}

/* However long the node lives, and however little it lets go. */
static void memory_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->options.store.index_bytes = 1;
    f->options.store.index_entries_max = 16;
    open_front(f);
    append(f, 30 * GROUPS);
    assert_in_range(journal_front_statistics(f->front).index_entries, 8, 16);
    check_read(f, 1);
    open_front(f);
    check_recovered(f, 0, 1);
    assert_in_range(journal_front_statistics(f->front).index_entries, 8, 16);
    check_read(f, 1);
    for (int i = 0; i < 20; i++) {
        journal_front_truncate(f->front, journal_front_last(f->front));
        append(f, GROUPS);
        remove_all(f);
        assert_in_range(journal_front_statistics(f->front).index_entries, 1, 16);
        assert_in_range(journal_front_statistics(f->front).segments, 1, 2);
        check_read(f, journal_front_last(f->front) - 2 * GROUPS + 1);
    }
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(segments_go_with_the_next_one),
        with_fixture(the_last_record_stays),
        with_fixture(nothing_is_needed_of_a_new_journal),
        with_fixture(sticky_records_outlive_their_segment),
        with_fixture(looking_begins_where_a_start_does),
        cmocka_unit_test(what_is_left_is_removed_at_start),
        with_fixture(what_is_needed_and_missing_is_refused),
        with_fixture(removal_that_fails_is_tried_again),
        with_fixture(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
