/* io/journal_spare.c: a spare in all its states, over a disk in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "io/journal_spare.h"
#include "sim/disk.h"

enum { ALWAYS = 1000000, BYTES = 3 * SPARE_STEP_BYTES - 4096 };

struct fixture {
    struct faults faults;
    struct disk_sim *sim;
    struct journal_spare spare;
    struct problem problem;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->sim = disk_sim_new(1, 1, &f->faults);
    f->spare = (struct journal_spare){.disk = disk_sim_disk(f->sim), .folder = ".", .sync = SPARE_SYNCED_STEPWISE};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_spare_drop(&f->spare);
    disk_sim_free(f->sim);
    free(f);
    return 0;
}

static int64_t size_of(struct fixture *f) { return disk_size(f->spare.disk, "./journal-spare.tmp"); }

/* What is taken is the caller's. */
static void expect_taken(struct fixture *f, uint64_t wanted, uint64_t expected)
{
    int file;
    assert_true(journal_spare_take(&f->spare, journal_spare_finish, &wanted, &file, &f->problem));
    assert_int_equal(wanted, expected);
    assert_int_equal(size_of(f), expected);
    assert_int_equal(f->spare.state, SPARE_NONE);
    assert_false(f->spare.open);
    disk_close(f->spare.disk, file);
}

static void made_in_steps(void **state)
{
    struct fixture *f = *state;
    journal_spare_want(&f->spare, BYTES);
    journal_spare_want(&f->spare, 7); /* one at a time */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->spare.state, SPARE_WANTED);
        f->spare.state = journal_spare_step(&f->spare);
    }
    assert_int_equal(f->spare.state, SPARE_READY);
    expect_taken(f, 4096, BYTES);
}

static void taken_when_it_is_not_there(void **state)
{
    struct fixture *f = *state;
    expect_taken(f, BYTES, BYTES); /* never wished for */
    journal_spare_want(&f->spare, BYTES);
    f->spare.state = journal_spare_step(&f->spare);
    expect_taken(f, 4096, BYTES); /* half made */
    journal_spare_want(&f->spare, 4096);
    expect_taken(f, BYTES, BYTES); /* too small */
}

static void failure_leaves_no_file(void **state)
{
    static const enum fault faults[] = {FAULT_FULL_DISK, FAULT_FAILED_SYNC, FAULT_WRITE_ERROR};
    struct fixture *f = *state;
    uint64_t bytes = BYTES;
    int file;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        journal_spare_want(&f->spare, BYTES);
        f->faults.rate[faults[i]] = ALWAYS;
        journal_spare_finish(&f->spare);
        assert_int_equal(f->spare.state, SPARE_FAILED);
        assert_int_equal(f->spare.problem.no_room, faults[i] == FAULT_FULL_DISK);
        assert_int_equal(size_of(f), -ENOENT);
        journal_spare_want(&f->spare, BYTES); /* not before it is needed */
        assert_int_equal(f->spare.state, SPARE_FAILED);
        assert_false(journal_spare_take(&f->spare, journal_spare_finish, &bytes, &file, &f->problem));
        assert_string_equal(f->problem.text, f->spare.problem.text);
        assert_int_equal(size_of(f), -ENOENT);
        f->faults.rate[faults[i]] = 0;
        expect_taken(f, BYTES, BYTES);
        journal_spare_remove(f->spare.disk, ".");
    }
}

static void dropped_in_any_state(void **state)
{
    struct fixture *f = *state;
    for (int steps = 0; steps <= 3; steps++) {
        journal_spare_want(&f->spare, BYTES);
        for (int i = 0; i < steps; i++)
            f->spare.state = journal_spare_step(&f->spare);
        journal_spare_drop(&f->spare);
        assert_int_equal(f->spare.state, SPARE_NONE);
        assert_int_equal(size_of(f), -ENOENT);
    }
}

#define with_spare(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_spare(made_in_steps),
        with_spare(taken_when_it_is_not_there),
        with_spare(failure_leaves_no_file),
        with_spare(dropped_in_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
