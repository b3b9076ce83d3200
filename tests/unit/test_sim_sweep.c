/* sim/sweep*.c, with small journals of which every so-manieth byte is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/journal_store.h"
#include "sim/sweep.h"

static char why[1500];

static void check_counts(const struct sweep_result *r)
{
    for (enum sweep_kind kind = 0; kind < SWEEP_KINDS; kind++) {
        const struct sweep_counts *c = &r->counts[kind];
        assert_true(c->cases > 0);
        assert_int_equal(c->whole + c->refused + c->cut, c->cases);
    }
    assert_int_equal(r->counts[SWEEP_TRUNCATE].refused, r->counts[SWEEP_TRUNCATE].cases);
    assert_int_equal(r->counts[SWEEP_PREFIX].whole, r->counts[SWEEP_PREFIX].cases);
    assert_int_equal(r->counts[SWEEP_PREFIX].cases, r->calls);
    assert_int_equal(r->counts[SWEEP_REORDER].whole, r->counts[SWEEP_REORDER].cases);
    assert_true(r->counts[SWEEP_FLIP_BIT].refused > r->counts[SWEEP_FLIP_BIT].cases / 2);
    assert_true(r->counts[SWEEP_FLIP_BIT].cut > 0);
    assert_int_equal(r->counts[SWEEP_FLIP_BIT].cut, r->counts[SWEEP_FLIP_BYTE].cut);
}

static struct sweep_result run(const struct sweep_options *options)
{
    struct sweep_result r;
    if (!sweep_run(options, &r, why, sizeof why))
        fail_msg("%s", why);
    check_counts(&r);
    return r;
}

static void made_up_journals(void **state)
{
    (void)state;
    uint64_t removed = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct sweep_options options = {
            .seed = seed, .groups = 16, .segment_bytes = 16384, .stride = 419, .sectors_max = 4};
        struct sweep_result r = run(&options), again = run(&options);
        assert_memory_equal(&r, &again, sizeof r);
        assert_true(r.segments + r.removed >= 4);
        assert_in_range(r.groups, 1, 16);
        removed += r.removed;
        assert_true(r.syncs_sampled > 0); /* a group of more than four sectors */
        assert_int_equal(r.counts[SWEEP_FLIP_BIT].cases, r.counts[SWEEP_TRUNCATE].cases);
        assert_in_range(r.counts[SWEEP_FLIP_BIT].cases, r.bytes / 419, r.bytes / 419 + r.segments);
    }
    assert_true(removed >= 3);
}

/* All bytes of the last groups: only the very last one may be cut. */
static void every_byte_of_a_small_journal(void **state)
{
    (void)state;
    const struct sweep_options options = {.seed = 4, .groups = 6, .segment_bytes = 16384, .stride = 31, .sectors_max = 4};
    struct sweep_result r = run(&options);
    assert_in_range(r.counts[SWEEP_FLIP_BIT].cut, 4096 / 31, 4096 / 31 + 1);
}

/* ---- A folder ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* A node's data folder with some groups in it. */
static void make_folder(const char *path)
{
    struct problem problem;
    struct data_folder *folder;
    struct journal_store *store;
    assert_true(data_folder_format(disk_posix(), path, "demo", 3, NULL, NULL, &problem));
    assert_true(data_folder_open(&folder, disk_posix(), path, "demo", 3, &problem));
    const struct journal_store_options options = {.disk = disk_posix(),
                                                  .folder = path,
                                                  .identity = *data_folder_identity(folder),
                                                  .durability = DURABILITY_FSYNC,
                                                  .segment_bytes = 1 << 20};
    assert_true(journal_store_open(&store, &options, &problem));
    for (uint64_t lsn = 1; lsn <= 40; lsn++) {
        uint64_t words[100];
        struct journal_group group = {0};
        struct journal_written written;
        for (size_t i = 0; i < 100; i++)
            words[i] = lsn * i;
        const struct packet record = {.kind = 1, .len = (uint32_t)lsn * 20, .words = {words, words_for((uint32_t)lsn * 20)}};
        if (record.len % 8 != 0)
            words[record.words.len - 1] &= UINT32_MAX;
        journal_group_begin(&group, lsn);
        assert_true(journal_group_add(&group, &record));
        assert_true(journal_store_group(store, &group, &written, &problem));
        journal_group_free(&group);
    }
    journal_store_close(store);
    data_folder_close(folder);
}

static void records_of_a_stopped_node(void **state)
{
    char top[] = "/tmp/synod-sweep-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/node-3", top);
    const struct sweep_options options = {
        .folder = path, .groups = 6, .segment_bytes = 16384, .stride = 419, .sectors_max = 4};
    struct sweep_result r;
    assert_false(sweep_run(&options, &r, why, sizeof why));
    assert_non_null(strstr(why, "cannot be read"));
    make_folder(path);
    r = run(&options);
    assert_int_equal(r.groups, 6);
    assert_in_range(r.records, 7, 40);
    char identity[128];
    snprintf(identity, sizeof identity, "%s/identity", path);
    assert_int_equal(remove(identity), 0);
    assert_false(sweep_run(&options, &r, why, sizeof why));
    assert_non_null(strstr(why, "no identity"));
    nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Damage is never loaded, whatever is damaged; power may go at any call. */
static void snapshots(void **state)
{
    struct sweep_snapshots_result r;
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        const struct sweep_options options = {.seed = seed, .stride = seed == 1 ? 1 : 37};
        if (!sweep_snapshots_run(&options, &r, why, sizeof why))
            fail_msg("%s", why);
        for (enum sweep_kind kind = 0; kind < SWEEP_KINDS; kind++)
            assert_true(r.counts[kind].cases > 0 && r.counts[kind].cases == r.counts[kind].whole + r.counts[kind].cut);
        assert_true(r.counts[SWEEP_REORDER].whole > 0 && r.counts[SWEEP_REORDER].cut > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_journals),
        cmocka_unit_test(every_byte_of_a_small_journal),
        cmocka_unit_test(records_of_a_stopped_node),
        cmocka_unit_test(snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
