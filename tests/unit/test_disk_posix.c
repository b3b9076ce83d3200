/* host/disk_posix.c: files that are written to in pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "io/disk.h"

enum { PAGES = 300, BYTES = PAGES * DISK_PAGE };

struct fixture {
    char path[64];
    struct disk *disk;
    int file;
    uint8_t *pages;
};

/* In the folder that tests run in, and not in a file system in memory, which may know no such files. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "./synod-test-%d.tmp", (int)getpid());
    f->disk = disk_posix();
    f->file = disk_open(f->disk, f->path, DISK_MAKE);
    f->pages = memory_pages(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        f->pages[i] = (uint8_t)(i % 251);
    disk_in_pages(f->disk, f->file);
    *state = f;
    return f->file < 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    disk_close(f->disk, f->file);
    disk_remove(f->disk, f->path);
    free(f->pages);
    free(f);
    return 0;
}

static void expect_bytes(const struct fixture *f, uint64_t offset, const uint8_t *wanted, size_t len)
{
    uint8_t *got = memory_new(len, 1);
    const int file = disk_open(f->disk, f->path, DISK_READ);
    assert_true(file >= 0);
    assert_int_equal(disk_read(f->disk, file, offset, got, len), len);
    assert_memory_equal(got, wanted, len);
    disk_close(f->disk, file);
    free(got);
}

/* Another descriptor reads what was written, and reads it anew after it was written again. */
static void all_that_is_written_is_seen(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_allocate(f->disk, f->file, 2 * (uint64_t)BYTES), 0);
    assert_int_equal(disk_zero(f->disk, f->file, 0, BYTES), 0);
    uint8_t *zeros = memory_new(BYTES, 1);
    expect_bytes(f, 0, zeros, BYTES);
    assert_int_equal(disk_write(f->disk, f->file, DISK_PAGE, f->pages, BYTES), 0);
    assert_int_equal(disk_sync_data(f->disk, f->file), 0);
    expect_bytes(f, 0, zeros, DISK_PAGE);
    expect_bytes(f, DISK_PAGE, f->pages, BYTES);
    assert_int_equal(disk_write(f->disk, f->file, 2 * DISK_PAGE, f->pages, DISK_PAGE), 0);
    expect_bytes(f, 2 * DISK_PAGE, f->pages, DISK_PAGE);
    expect_bytes(f, 3 * DISK_PAGE, f->pages + 2 * DISK_PAGE, DISK_PAGE);
    free(zeros);
}

/* As where a file system refuses only what is written (some take this, too). What was there is not written again. */
static void where_it_is_refused_the_cache_is_used(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_write(f->disk, f->file, 0, f->pages, BYTES), 0);
    assert_int_equal(disk_write(f->disk, f->file, 10, f->pages + 3, 1000), 0);
    expect_bytes(f, 10, f->pages + 3, 1000);
    expect_bytes(f, 1010, f->pages + 1010, BYTES - 1010);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_is_written_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(where_it_is_refused_the_cache_is_used, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
