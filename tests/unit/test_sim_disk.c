/* sim/disk*.c: what survives a loss of power, each fault, and a journal on such a disk that comes back or is refused. */
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
#include "sim/disk.h"

enum { PAGE = 4096, SECTOR = 512, ALWAYS = 1000000, SEEDS = 150 };

struct fixture {
    struct faults faults;
    struct disk_sim *sim;
    struct disk *disk;
};

static void begin(struct fixture *f, uint64_t seed)
{
    f->faults = (struct faults){0};
    f->sim = disk_sim_new(seed, 1, &f->faults);
    f->disk = disk_sim_disk(f->sim);
}

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

/* ---- A journal ---- */

enum { RECORDS_MAX = 4000 };

/* A node's disk with what must be on it. */
struct life {
    struct fixture f;
    struct dice dice;
    struct data_folder *folder;
    struct journal_store *store;
    struct journal_group group;
    struct journal_written placed; /* it */
    struct journal_result read;
    struct problem problem;
    uint64_t segment_bytes;
    uint32_t version[RECORDS_MAX]; /* of the record with this lsn, as it was written last */
    uint32_t versions;
    uint64_t settled, written; /* lsns */
    uint64_t last_group;       /* the first lsn of the last settled group with records */
    uint64_t group_first;      /* of the group that was written last */
    unsigned lives, refused, cut;
    uint64_t hash; /* of everything that was read */
};

static uint64_t faults_of_calls(const struct life *l)
{
    const uint64_t *fired = l->f.faults.fired;
    return fired[FAULT_READ_ERROR] + fired[FAULT_WRITE_ERROR] + fired[FAULT_FULL_DISK] + fired[FAULT_FAILED_SYNC];
}

static void life_begin(struct life *l, uint64_t seed, bool harm)
{
    static const uint8_t instance[16] = {1, 2, 3};
    *l = (struct life){.dice = dice_new(seed, 0)};
    begin(&l->f, seed);
    disk_sim_calm(l->f.sim, true);
    assert_true(data_folder_format(l->f.disk, "data/node-1", "demo", 1, instance, NULL, &l->problem));
    disk_sim_settle(l->f.sim);
    disk_sim_calm(l->f.sim, false);
    l->segment_bytes = dice_roll(&l->dice, 3) == 0 ? 128 * PAGE : 8 * PAGE;
    uint32_t *rate = l->f.faults.rate;
    for (int i = FAULT_LOST_WRITES; i <= FAULT_LOST_RENAME; i++)
        rate[i] = dice_roll(&l->dice, 2) == 0 ? 0 : (uint32_t)dice_roll(&l->dice, 10000);
    rate[FAULT_READ_ERROR] /= 10;
    rate[FAULT_TORN_WRITE] = rate[FAULT_REORDERED_WRITES] = rate[FAULT_LOST_RENAME] = ALWAYS / 2;
    rate[FAULT_MISDIRECTED_WRITE] = harm && seed % 2 == 0 ? 10000 : 0;
}

static void life_stop(struct life *l, bool power)
{
    if (l->store != NULL)
        journal_store_close(l->store);
    data_folder_close(l->folder);
    l->store = NULL;
    l->folder = NULL;
    if (power)
        disk_sim_power_loss(l->f.sim);
}

static void life_end(struct life *l)
{
    life_stop(l, false);
    journal_group_free(&l->group);
    journal_result_free(&l->read);
    disk_sim_free(l->f.sim);
}

static bool life_open(struct life *l)
{
    if (!data_folder_open(&l->folder, l->f.disk, "data/node-1", "demo", 1, &l->problem))
        return false;
    const struct journal_store_options options = {
        .disk = l->f.disk,
        .folder = data_folder_path(l->folder),
        .identity = *data_folder_identity(l->folder),
        .memory = {data_folder_newest_segment, l->folder},
        .durability = DURABILITY_FSYNC,
        .segment_bytes = l->segment_bytes,
    };
    return journal_store_open(&l->store, &options, &l->problem);
}

static uint32_t length_of(uint64_t lsn, uint32_t version) { return (uint32_t)((lsn * 7919 + version * 104729) % 190) * 8; }

static void check_record(struct life *l, const struct packet *p, uint64_t lsn)
{
    assert_int_equal(p->id, lsn);
    assert_int_equal(p->len, length_of(lsn, l->version[lsn]));
    for (uint32_t i = 0; i < p->words.len; i++)
        assert_int_equal(p->words.ptr[i], lsn << 32 | l->version[lsn]);
    l->hash = checksum(p->words.ptr, p->words.len * sizeof(uint64_t), l->hash + lsn);
}

/* True: all was read; false: the disk did not let it. */
static bool recover(struct life *l, uint64_t *last)
{
    for (*last = 0;;) {
        struct packet_list found;
        if (!journal_store_recover(l->store, &found, &l->problem))
            return false;
        if (found.len == 0)
            return true;
        for (size_t i = 0; i < found.len; i++)
            check_record(l, &found.ptr[i], ++*last);
    }
}

static void append(struct life *l)
{
    static uint64_t words[200];
    uint64_t lsn = ++l->written;
    assert_true(lsn < RECORDS_MAX);
    l->version[lsn] = ++l->versions;
    uint32_t len = length_of(lsn, l->versions);
    for (size_t i = 0; i < words_for(len); i++)
        words[i] = lsn << 32 | l->version[lsn];
    const struct packet record = {
        .kind = dice_roll(&l->dice, 8) == 0 ? 128 : 1, .len = len, .words = {.ptr = words, .len = words_for(len)}};
    assert_true(journal_group_add(&l->group, &record));
}

/* A group, which may hold no record. */
static bool write_group(struct life *l)
{
    journal_group_begin(&l->group, l->written + 1);
    l->group_first = l->written + 1;
    for (uint64_t n = dice_roll(&l->dice, 12); n > 0; n--)
        append(l);
    return journal_store_group(l->store, &l->group, &l->placed, &l->problem);
}

static void settle(struct life *l)
{
    disk_sim_settle(l->f.sim);
    if (l->written > l->settled)
        l->last_group = l->group_first;
    l->settled = l->written;
}

/* Any record, read back. */
static void read_back(struct life *l)
{
    uint64_t from = 1 + dice_roll(&l->dice, l->written + 1), next = from, before = faults_of_calls(l);
    journal_result_clear(&l->read);
    if (!journal_store_collect(l->store, &l->read, &next, dice_roll(&l->dice, 5000), &l->problem)) {
        assert_true(disk_sim_damaged(l->f.sim) || faults_of_calls(l) > before);
        return;
    }
    const struct packet_list found = journal_result_packets(&l->read);
    assert_int_equal(found.len == 0, from > l->written);
    assert_int_equal(found.len, next - from);
    for (size_t i = 0; i < found.len; i++)
        check_record(l, &found.ptr[i], from + i);
}

/* A start. False: it was refused, or forgot the last group, as it may on a disk that came to harm: nothing more is to be
 * seen. */
static bool life_start(struct life *l)
{
    uint64_t last, before = faults_of_calls(l);
    l->lives++;
    bool opened = life_open(l);
    if (!opened || dice_roll(&l->dice, 4) == 0) { /* power goes again, before anything could be relied on */
        life_stop(l, true);
        if (!opened && faults_of_calls(l) == before) {
            if (!disk_sim_damaged(l->f.sim) ||
                (strstr(l->problem.text, "offset") == NULL && strstr(l->problem.text, "missing") == NULL &&
                 strstr(l->problem.text, "identity: corrupt") == NULL))
                fail_msg("%s", l->problem.text);
            l->refused++;
            return false;
        }
        return true;
    }
    if (!recover(l, &last)) {
        assert_true(disk_sim_damaged(l->f.sim) || faults_of_calls(l) > before);
        life_stop(l, true);
        return true;
    }
    assert_int_equal(last, journal_store_last(l->store));
    assert_true(last <= l->written);
    if (last < l->settled) {
        if (!disk_sim_damaged(l->f.sim) || last + 1 < l->last_group)
            fail_msg("lsn %llu came back, and %llu was durable", (unsigned long long)last, (unsigned long long)l->settled);
        l->cut++;
        return false;
    }
    l->written = l->settled = last;
    disk_sim_settle(l->f.sim);
    return true;
}

/* Groups, until something stops the process. */
static void life_run(struct life *l)
{
    while (l->store != NULL) {
        uint64_t before = faults_of_calls(l);
        bool ok = write_group(l);
        if (!ok)
            assert_true(faults_of_calls(l) > before);
        while (!ok && l->problem.no_room && dice_roll(&l->dice, 8) != 0) /* nothing has happened */
            ok = journal_store_group(l->store, &l->group, &l->placed, &l->problem);
        if (!ok && !l->problem.no_room)
            assert_false(journal_store_group(l->store, &l->group, &l->placed, &l->problem)); /* it is final */
        if (ok && dice_roll(&l->dice, 16) != 0)
            settle(l);
        else
            ok = false;
        if (ok)
            read_back(l);
        if (!ok || dice_roll(&l->dice, 30) == 0)
            life_stop(l, dice_roll(&l->dice, 3) > 0);
    }
}

static void run(struct life *l, uint64_t seed, bool harm)
{
    life_begin(l, seed, harm);
    while (l->lives < 20 && l->written < RECORDS_MAX - 1000 && life_start(l)) {
        life_run(l);
        if (harm && !disk_sim_damaged(l->f.sim) && l->lives > 3 && dice_roll(&l->dice, 4) == 0)
            disk_sim_flip(l->f.sim);
    }
    life_end(l);
}

static void settled_groups_come_back(void **state)
{
    static struct life l;
    struct faults all = {0};
    unsigned lives = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(&l, seed, false);
        assert_int_equal(l.refused + l.cut, 0);
        lives += l.lives;
        for (int i = 0; i < FAULTS; i++)
            all.fired[i] += l.f.faults.fired[i];
    }
    assert_true(lives > SEEDS * 5);
    for (int i = FAULT_LOST_WRITES; i <= FAULT_LOST_RENAME; i++)
        if (i != FAULT_MISDIRECTED_WRITE && i != FAULT_FLIPPED_BYTE && i != FAULT_SLOW_DISK && i != FAULT_STALLED_DISK &&
            i != FAULT_HUNG_DISK)
            assert_true(all.fired[i] > 10);
}

static void harm_is_refused_or_costs_the_last_group(void **state)
{
    static struct life l;
    unsigned refused = 0, cut = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(&l, seed, true);
        refused += l.refused;
        cut += l.cut;
    }
    assert_true(refused > SEEDS / 4);
    assert_true(cut > 0);
}

static void equal_seeds_give_equal_runs(void **state)
{
    static struct life a, b;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(&a, seed, true);
        run(&b, seed, true);
        assert_int_equal(a.hash, b.hash);
        assert_memory_equal(&a.f.faults, &b.f.faults, sizeof a.f.faults);
        assert_int_equal(a.written, b.written);
    }
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
    replace(&f, "d/a", 'y', true);
    disk_sim_settle_one(f.sim, "d/a");
    disk_sim_settle(f.sim);
    replace(&f, "d/a", 'v', false); /* and this one's name is lost */
    disk_sim_settle(f.sim);
    disk_close(f.disk, journal);
    disk_sim_power_loss(f.sim);
    assert_string_equal(letters(&f, "d/j"), "w");
    assert_string_equal(letters(&f, "d/a"), "y");
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
        cmocka_unit_test(settled_groups_come_back),
        cmocka_unit_test(harm_is_refused_or_costs_the_last_group),
        cmocka_unit_test(equal_seeds_give_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
