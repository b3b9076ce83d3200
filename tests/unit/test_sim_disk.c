/* sim/disk*.c: what survives a loss of power, and each fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/journal_spare.h"
#include "io/journal_store.h"
#include "tests/unit/sim_disk_fixture.h"

/* ---- Files of one letter ---- */

static int make(struct fixture *f, const char *path)
{
    int file = disk_open(f->disk, path, DISK_MAKE);
    assert_true(file >= 0);
    return file;
}

static void fill(struct fixture *f, int file, uint64_t offset, char letter, size_t len)
{
    char bytes[4 * PAGE];
    memset(bytes, letter, len);
    assert_int_equal(disk_write(f->disk, file, offset, bytes, len), 0);
}

/* The first letter of each sector of a file; "-": no such file. */
static const char *letters(struct fixture *f, const char *path)
{
    static char text[256];
    char bytes[SECTOR];
    int file = disk_open(f->disk, path, DISK_READ);
    size_t n = 0;
    if (file < 0) {
        assert_int_equal(file, -ENOENT);
        return "-";
    }
    int64_t len;
    while ((len = disk_read(f->disk, file, n * SECTOR, bytes, SECTOR)) > 0) {
        for (int64_t i = 1; i < len; i++)
            assert_int_equal(bytes[i], bytes[0]); /* sectors are atomic */
        text[n++] = bytes[0] != 0 ? bytes[0] : '.';
    }
    text[n] = '\0';
    disk_close(f->disk, file);
    return text;
}

static void synced_writes_survive_and_others_do_not(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    assert_int_equal(disk_sim_time(f.sim), 0);
    int file = make(&f, "a");
    fill(&f, file, 0, 'x', 2 * SECTOR);
    assert_int_equal(disk_sync(f.disk, file), 0);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    assert_true(disk_sim_time(f.sim) > 0);
    fill(&f, file, SECTOR, 'y', 2 * SECTOR);
    assert_string_equal(letters(&f, "a"), "xyy");
    disk_sim_settle(f.sim); /* a write without a sync is durable at no time */
    assert_string_equal(letters(&f, "a"), "xyy");
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "a"), "xx");
    assert_int_equal(disk_write(f.disk, file, 0, "x", 1), -EIO); /* of the life before */
    disk_close(f.disk, file);

    /* Synced, but the sync was not over. */
    file = disk_open(f.disk, "a", DISK_WRITE);
    fill(&f, file, 0, 'z', SECTOR);
    assert_int_equal(disk_sync(f.disk, file), 0);
    disk_close(f.disk, file);
    assert_string_equal(letters(&f, "a"), "zx");
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "a"), "xx");
    assert_int_equal(f.faults.fired[FAULT_LOST_WRITES], 2);
    disk_sim_free(f.sim);
}

static void names_need_a_sync_of_their_folder(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    assert_int_equal(disk_make_folder(f.disk, "d"), 0);
    assert_int_equal(disk_make_folder(f.disk, "d"), -EEXIST);
    assert_int_equal(disk_make_folder(f.disk, "e/f"), -ENOENT);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    for (int i = 0; i < 2; i++) {
        int file = make(&f, i == 0 ? "d/a" : "d/b.tmp");
        fill(&f, file, 0, i == 0 ? 'x' : 'y', SECTOR);
        assert_int_equal(disk_sync(f.disk, file), 0);
        disk_close(f.disk, file);
    }
    assert_int_equal(disk_sync_folder(f.disk, "d"), 0);
    disk_sim_settle(f.sim);
    assert_int_equal(disk_rename(f.disk, "d/b.tmp", "d/a"), 0);
    assert_string_equal(letters(&f, "d/a"), "y");
    assert_string_equal(letters(&f, "d/b.tmp"), "-");
    assert_int_equal(disk_size(f.disk, "d/b.tmp"), -ENOENT);
    disk_sim_settle(f.sim);
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "d/a"), "x");
    assert_string_equal(letters(&f, "d/b.tmp"), "y");
    assert_int_equal(disk_rename(f.disk, "d/b.tmp", "d/a"), 0);
    assert_int_equal(disk_sync_folder(f.disk, "d"), 0);
    disk_sim_settle(f.sim);
    assert_int_equal(disk_remove(f.disk, "d/a"), 0);
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "d/a"), "y");
    assert_string_equal(letters(&f, "d/b.tmp"), "-");
    assert_int_equal(disk_remove(f.disk, "d/b.tmp"), -ENOENT);
    disk_sim_free(f.sim);
}

/* What a write of eight sectors over eight others leaves, over many losses of power; bit 1: something was torn, 2: all new,
 * 4: all old. */
static unsigned torn_states(uint32_t rate, struct faults *fired)
{
    struct fixture f;
    unsigned seen = 0;
    begin(&f, 7);
    f.faults.rate[FAULT_TORN_WRITE] = rate;
    for (int i = 0; i < 100; i++) {
        int file = make(&f, "a");
        fill(&f, file, 0, 'o', PAGE);
        assert_int_equal(disk_sync(f.disk, file), 0);
        assert_int_equal(disk_sync_folder(f.disk, "."), 0);
        disk_sim_settle(f.sim);
        fill(&f, file, 0, 'n', PAGE);
        disk_sim_power_loss(f.sim);
        disk_close(f.disk, file);
        const char *now = letters(&f, "a");
        assert_int_equal(strlen(now), PAGE / SECTOR);
        size_t new = strspn(now, "n"), old = strspn(now, "o");
        seen |= new == 8 ? 2 : old == 8 ? 4 : 1;
    }
    *fired = f.faults;
    disk_sim_free(f.sim);
    return seen;
}

static void writes_are_torn_when_that_is_on(void **state)
{
    struct faults fired;
    (void)state;
    assert_int_equal(torn_states(0, &fired), 2 | 4);
    assert_int_equal(fired.fired[FAULT_TORN_WRITE], 0);
    assert_in_range(fired.fired[FAULT_LOST_WRITES], 50, 95);
    assert_int_equal(torn_states(ALWAYS, &fired), 1 | 2 | 4);
    assert_in_range(fired.fired[FAULT_TORN_WRITE], 10, 90);
}

/* How often the second half of a write of two pages survives, and the first does not. */
static unsigned reordered(uint32_t rate, struct faults *fired)
{
    struct fixture f;
    unsigned count = 0;
    begin(&f, 11);
    f.faults.rate[FAULT_REORDERED_WRITES] = rate;
    for (int i = 0; i < 200; i++) {
        int file = make(&f, "a");
        fill(&f, file, 0, 'o', 2 * PAGE);
        assert_int_equal(disk_sync(f.disk, file), 0);
        assert_int_equal(disk_sync_folder(f.disk, "."), 0);
        disk_sim_settle(f.sim);
        fill(&f, file, 0, 'n', 2 * PAGE);
        disk_sim_power_loss(f.sim);
        disk_close(f.disk, file);
        const char *now = letters(&f, "a");
        count += strcmp(now, "oooooooonnnnnnnn") == 0;
        assert_true(now[0] == now[7] && now[8] == now[15]); /* no page is torn */
    }
    *fired = f.faults;
    disk_sim_free(f.sim);
    return count;
}

static void writes_are_reordered_when_that_is_on(void **state)
{
    struct faults fired;
    (void)state;
    assert_int_equal(reordered(0, &fired), 0);
    assert_int_equal(fired.fired[FAULT_REORDERED_WRITES], 0);
    unsigned count = reordered(ALWAYS, &fired);
    assert_in_range(count, 5, 60);
    assert_int_equal(fired.fired[FAULT_REORDERED_WRITES], count);
    assert_int_equal(fired.fired[FAULT_TORN_WRITE], 0);
}

static void renames_are_lost_when_that_is_on(void **state)
{
    (void)state;
    for (uint32_t rate = 0; rate <= ALWAYS; rate += ALWAYS) {
        struct fixture f;
        unsigned undone = 0, done = 0;
        begin(&f, 13);
        f.faults.rate[FAULT_LOST_RENAME] = rate;
        for (int i = 0; i < 100; i++) {
            int file = make(&f, "a.tmp");
            disk_close(f.disk, file);
            disk_remove(f.disk, "a");
            assert_int_equal(disk_sync_folder(f.disk, "."), 0);
            disk_sim_settle(f.sim);
            assert_int_equal(disk_rename(f.disk, "a.tmp", "a"), 0);
            disk_sim_settle(f.sim);
            disk_sim_power_loss(f.sim);
            bool renamed = disk_size(f.disk, "a") == 0;
            assert_true(renamed != (disk_size(f.disk, "a.tmp") == 0));
            undone += !renamed;
            done += renamed;
        }
        assert_int_equal(f.faults.fired[FAULT_LOST_RENAME], undone);
        assert_true(done > 20 && (rate == 0 ? undone == 0 : undone > 20));
        disk_sim_free(f.sim);
    }
}

/* A sync that fails: what it was for stays in the cache, and is gone when power goes, whatever later syncs say. */
static void failed_sync_loses_what_it_was_for(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1);
    int file = make(&f, "a");
    fill(&f, file, 0, 'o', 4 * SECTOR);
    assert_int_equal(disk_sync(f.disk, file), 0);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    disk_sim_settle(f.sim);
    fill(&f, file, 0, 'k', SECTOR);
    assert_int_equal(disk_sync(f.disk, file), 0); /* this one is kept */
    fill(&f, file, SECTOR, 'n', 2 * SECTOR);
    f.faults.rate[FAULT_FAILED_SYNC] = ALWAYS;
    assert_int_equal(disk_sync(f.disk, file), -EIO);
    f.faults.rate[FAULT_FAILED_SYNC] = 0;
    assert_int_equal(f.faults.fired[FAULT_FAILED_SYNC], 1);
    fill(&f, file, 2 * SECTOR, 'm', SECTOR); /* again, over a part of it */
    assert_int_equal(disk_sync(f.disk, file), 0);
    disk_sim_settle(f.sim);
    assert_string_equal(letters(&f, "a"), "knmo");
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "a"), "komo");
    disk_close(f.disk, file);
    disk_sim_free(f.sim);
}

static void calls_fail_as_often_as_asked(void **state)
{
    struct fixture f;
    char bytes[PAGE] = {0};
    (void)state;
    begin(&f, 1);
    int file = make(&f, "a");
    fill(&f, file, 0, 'x', PAGE);
    f.faults.rate[FAULT_READ_ERROR] = f.faults.rate[FAULT_WRITE_ERROR] = ALWAYS;
    assert_int_equal(disk_read(f.disk, file, 0, bytes, 10), -EIO);
    assert_int_equal(disk_write(f.disk, file, 0, bytes, PAGE), -EIO);
    assert_int_equal(disk_zero(f.disk, file, 0, PAGE), -EIO);
    disk_sim_calm(f.sim, true);
    assert_int_equal(disk_read(f.disk, file, 0, bytes, 10), 10);
    disk_sim_calm(f.sim, false);
    f.faults.rate[FAULT_READ_ERROR] = f.faults.rate[FAULT_WRITE_ERROR] = 0;
    f.faults.rate[FAULT_FULL_DISK] = ALWAYS;
    assert_int_equal(disk_write(f.disk, file, 0, bytes, PAGE), 0);
    assert_int_equal(disk_write(f.disk, file, 1, bytes, PAGE), -ENOSPC);
    assert_int_equal(disk_allocate(f.disk, file, PAGE), 0);
    assert_int_equal(disk_allocate(f.disk, file, 2 * PAGE), -ENOSPC);
    assert_int_equal(f.faults.fired[FAULT_READ_ERROR], 1);
    assert_int_equal(f.faults.fired[FAULT_WRITE_ERROR], 2);
    assert_int_equal(f.faults.fired[FAULT_FULL_DISK], 2);
    uint64_t before = disk_sim_time(f.sim);
    assert_in_range(before, 1, 10000);
    f.faults.rate[FAULT_STALLED_DISK] = ALWAYS;
    assert_true(disk_sim_time(f.sim) > 100000);
    assert_int_equal(f.faults.fired[FAULT_STALLED_DISK], 1);
    assert_false(disk_sim_damaged(f.sim));
    disk_close(f.disk, file);
    disk_sim_free(f.sim);
}

static void misdirected_write_lands_on_another_page(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3);
    int file = make(&f, "a");
    fill(&f, file, 0, 'o', 4 * PAGE);
    f.faults.rate[FAULT_MISDIRECTED_WRITE] = ALWAYS;
    while (!disk_sim_damaged(f.sim))
        fill(&f, file, PAGE, 'n', PAGE);
    f.faults.rate[FAULT_MISDIRECTED_WRITE] = 0;
    const char *now = letters(&f, "a");
    const char *at = strchr(now, 'n');
    assert_non_null(at);
    assert_int_equal((at - now) % 8, 0);
    assert_int_equal(strspn(at, "n"), 8);
    assert_int_equal(f.faults.fired[FAULT_MISDIRECTED_WRITE], 1);
    disk_close(f.disk, file);
    disk_sim_free(f.sim);
}

static void copies_flips_and_loss(void **state)
{
    struct fixture f;
    char bytes[PAGE];
    (void)state;
    begin(&f, 5);
    assert_false(disk_sim_put_back(f.sim));
    assert_int_equal(disk_make_folder(f.disk, "d"), 0);
    int file = make(&f, "d/journal-1.log");
    fill(&f, file, PAGE, 'x', PAGE);
    assert_int_equal(disk_sync(f.disk, file), 0);
    assert_false(disk_sim_flip(f.sim)); /* it has no durable name */
    assert_int_equal(disk_sync_folder(f.disk, "d"), 0);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    disk_sim_settle(f.sim);
    disk_sim_keep(f.sim);
    assert_false(disk_sim_damaged(f.sim));
    assert_true(disk_sim_flip(f.sim));
    assert_true(disk_sim_damaged(f.sim));
    disk_sim_power_loss(f.sim);
    disk_close(f.disk, file);
    file = disk_open(f.disk, "d/journal-1.log", DISK_READ);
    assert_int_equal(disk_read(f.disk, file, PAGE, bytes, PAGE), PAGE);
    disk_close(f.disk, file);
    unsigned others = 0;
    for (size_t i = 0; i < PAGE; i++)
        others += bytes[i] != 'x';
    assert_int_equal(others, 1);
    disk_sim_lose(f.sim);
    assert_int_equal(disk_size(f.disk, "d"), -ENOENT);
    assert_int_equal(disk_sync_folder(f.disk, "d"), -ENOENT);
    for (int i = 0; i < 2; i++) {
        assert_true(disk_sim_put_back(f.sim));
        assert_string_equal(letters(&f, "d/journal-1.log"), "........xxxxxxxx");
        file = disk_open(f.disk, "d/journal-1.log", DISK_WRITE);
        fill(&f, file, 0, 'y', PAGE);
        assert_int_equal(disk_sync(f.disk, file), 0);
        disk_close(f.disk, file);
        disk_sim_settle(f.sim);
    }
    disk_sim_free(f.sim);
}

static void make_durable(struct fixture *f, const char *path)
{
    int file = make(f, path);
    fill(f, file, 0, 'x', PAGE);
    assert_int_equal(disk_sync(f->disk, file), 0);
    disk_close(f->disk, file);
    assert_int_equal(disk_sync_folder(f->disk, "d"), 0);
    disk_sim_settle(f->sim);
}

static void remove_durably(struct fixture *f, const char *path)
{
    assert_int_equal(disk_remove(f->disk, path), 0);
    assert_int_equal(disk_sync_folder(f->disk, "d"), 0);
    disk_sim_settle(f->sim);
}

/* A file that the image does not have goes when the image is put back, with its contents: LeakSanitizer looks. Its place in
 * the table is one that had another file before, and gets a third one. */
static void what_the_image_does_not_have_is_freed(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 4);
    assert_int_equal(disk_make_folder(f.disk, "d"), 0);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    make_durable(&f, "d/first");
    make_durable(&f, "d/gone");
    make_durable(&f, "d/last");
    remove_durably(&f, "d/gone");
    disk_sim_keep(f.sim);
    make_durable(&f, "d/later");
    assert_true(disk_sim_put_back(f.sim));
    assert_int_equal(disk_size(f.disk, "d/later"), -ENOENT);
    assert_int_equal(disk_size(f.disk, "d/last"), PAGE);
    remove_durably(&f, "d/first");
    make_durable(&f, "d/second");
    make_durable(&f, "d/third");
    disk_sim_free(f.sim);
}

static void count_names(void *context, const char *name)
{
    assert_non_null(strchr("abl", name[0]));
    *(unsigned *)context += 1;
}

static void locks_and_lists(void **state)
{
    struct fixture f;
    char holder[32] = "", boot[DISK_BOOT_ID_SIZE], boot_after[DISK_BOOT_ID_SIZE];
    unsigned count = 0;
    (void)state;
    begin(&f, 5);
    disk_make_folder(f.disk, "d");
    disk_close(f.disk, make(&f, "d/a"));
    disk_close(f.disk, make(&f, "d/b"));
    disk_close(f.disk, make(&f, "dx"));
    int lock = disk_lock(f.disk, "d/l", holder, sizeof holder);
    assert_true(lock >= 0);
    assert_int_equal(disk_lock(f.disk, "d/l", holder, sizeof holder), -EWOULDBLOCK);
    assert_int_equal(disk_list(f.disk, "d", count_names, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(disk_list(f.disk, "dx", count_names, &count), -ENOTDIR);
    disk_close(f.disk, lock);
    lock = disk_lock(f.disk, "d/l", holder, sizeof holder);
    assert_true(lock >= 0);
    disk_boot_id(f.disk, boot);
    disk_sim_power_loss(f.sim);
    disk_boot_id(f.disk, boot_after);
    assert_string_not_equal(boot, boot_after);
    disk_close(f.disk, lock);
    disk_sim_free(f.sim);
}

static void zeros_take_no_memory(void **state)
{
    struct fixture f;
    struct problem problem;
    (void)state;
    begin(&f, 1);
    uint64_t before = disk_sim_bytes(f.sim);
    struct journal_spare spare = {.disk = f.disk, .folder = ".", .sync = SPARE_SYNCED};
    uint64_t bytes = 64 << 20;
    int file;
    assert_true(journal_spare_take(&spare, journal_spare_finish, &bytes, &file, &problem));
    disk_sim_settle(f.sim);
    assert_int_equal(disk_size(f.disk, "./journal-spare.tmp"), 64 << 20);
    assert_true(disk_sim_bytes(f.sim) - before < 3 << 20);
    disk_close(f.disk, file);
    disk_sim_free(f.sim);
}

static void replace(struct fixture *f, const char *path, char letter, bool named)
{
    int file = make(f, "d/a.tmp");
    fill(f, file, 0, letter, SECTOR);
    assert_int_equal(disk_sync(f->disk, file), 0);
    disk_close(f->disk, file);
    assert_int_equal(disk_rename(f->disk, "d/a.tmp", path), 0);
    if (named)
        assert_int_equal(disk_sync_folder(f->disk, "d"), 0);
}

/* What another thread has in flight meanwhile stays so: its writes, its sync, its new name. */
static void one_file_is_settled_and_nothing_else(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1);
    disk_sim_calm(f.sim, true);
    assert_int_equal(disk_make_folder(f.disk, "d"), 0);
    assert_int_equal(disk_sync_folder(f.disk, "."), 0);
    int journal = make(&f, "d/j");
    fill(&f, journal, 0, 'x', SECTOR);
    assert_int_equal(disk_sync(f.disk, journal), 0);
    replace(&f, "d/a", 'x', true);
    disk_sim_settle(f.sim);
    fill(&f, journal, 0, 'y', 2 * SECTOR);
    assert_int_equal(disk_sync(f.disk, journal), 0);
    int segment = make(&f, "d/s.tmp");
    assert_int_equal(disk_rename(f.disk, "d/s.tmp", "d/s"), 0);
    replace(&f, "d/a", 'y', false); /* it was not known that this one has its name */
    replace(&f, "d/a", 'z', true);
    disk_sim_settle_one(f.sim, "d/a");
    assert_true(disk_sim_time(f.sim) > 0); /* the rest takes its time */
    assert_string_equal(letters(&f, "d/j"), "yy");
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "d/a"), "z");
    assert_string_equal(letters(&f, "d/a.tmp"), "-");
    assert_string_equal(letters(&f, "d/j"), "x");
    assert_string_equal(letters(&f, "d/s"), "-");
    disk_close(f.disk, segment);
    disk_close(f.disk, journal);

    journal = disk_open(f.disk, "d/j", DISK_WRITE);
    fill(&f, journal, 0, 'w', SECTOR);
    assert_int_equal(disk_sync(f.disk, journal), 0);
    int other = make(&f, "d/t");
    fill(&f, other, 0, 't', SECTOR);
    assert_int_equal(disk_sync(f.disk, other), 0);
    disk_close(f.disk, other);
    replace(&f, "d/a", 'y', true); /* the sync of the folder is that of d/t, too */
    disk_sim_settle_one(f.sim, "d/a");
    disk_sim_settle(f.sim);
    replace(&f, "d/a", 'v', false); /* and this one's name is lost */
    disk_sim_settle(f.sim);
    disk_close(f.disk, journal);
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "d/j"), "w");
    assert_string_equal(letters(&f, "d/a"), "y");
    assert_string_equal(letters(&f, "d/t"), "t");
    disk_sim_free(f.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_writes_survive_and_others_do_not),
        cmocka_unit_test(names_need_a_sync_of_their_folder),
        cmocka_unit_test(one_file_is_settled_and_nothing_else),
        cmocka_unit_test(writes_are_torn_when_that_is_on),
        cmocka_unit_test(writes_are_reordered_when_that_is_on),
        cmocka_unit_test(renames_are_lost_when_that_is_on),
        cmocka_unit_test(failed_sync_loses_what_it_was_for),
        cmocka_unit_test(calls_fail_as_often_as_asked),
        cmocka_unit_test(misdirected_write_lands_on_another_page),
        cmocka_unit_test(copies_flips_and_loss),
        cmocka_unit_test(what_the_image_does_not_have_is_freed),
        cmocka_unit_test(locks_and_lists),
        cmocka_unit_test(zeros_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
