/* A journal on a simulated disk (sim/disk*.c): through faults and losses of power it comes back, or is refused. */
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
    bool sticky[RECORDS_MAX];      /* and whether it is */
    uint32_t versions;
    uint64_t settled, written; /* lsns */
    uint64_t truncated;        /* records from here on are needed, and the last sticky one */
    unsigned begun_above;      /* lives whose journal did not begin with record 1 */
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

/* What was read, up to record `last`: those from `from` on follow each other, and before them there may be a sticky one. */
struct reading {
    uint64_t from, last, sticky;
    unsigned gaps;
};

static void read_record(struct life *l, struct reading *r, const struct packet *p)
{
    if (r->last == 0 || p->id != r->last + 1) {
        assert_true(p->id > r->last && p->id < RECORDS_MAX);
        assert_true(r->last == 0 || (r->gaps++ == 0 && r->from == r->last && l->sticky[r->last]));
        r->from = p->id;
    }
    check_record(l, p, p->id);
    r->last = p->id;
    r->sticky = l->sticky[p->id] ? p->id : r->sticky;
}

/* True: all was read; false: the disk did not let it. */
static bool recover(struct life *l, uint64_t *last)
{
    struct reading r = {0};
    struct packet_list found;
    do {
        if (!journal_store_recover(l->store, &found, &l->problem))
            return false;
        for (size_t i = 0; i < found.len; i++)
            read_record(l, &r, &found.ptr[i]);
    } while (found.len > 0);
    *last = r.last;
    assert_true(r.from <= 1 || r.from <= l->truncated);
    uint64_t sticky = r.last;
    while (sticky > 0 && !l->sticky[sticky])
        sticky--;
    assert_int_equal(r.sticky, sticky);
    l->begun_above += r.from > 1;
    return true;
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
    l->sticky[lsn] = dice_roll(&l->dice, 8) == 0;
    const struct packet record = {
        .kind = l->sticky[lsn] ? 128 : 1, .len = len, .words = {.ptr = words, .len = words_for(len)}};
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
    if (from >= l->truncated || found.len > 0)
        assert_int_equal(found.len == 0, from > l->written);
    assert_int_equal(found.len, next - from);
    for (size_t i = 0; i < found.len; i++)
        check_record(l, &found.ptr[i], from + i);
}

/* Some older records are no longer needed, and some segments go that hold nothing else. */
static void truncate_some(struct life *l)
{
    const uint64_t lsn = l->settled - dice_roll(&l->dice, l->settled / 4 + 1);
    if (lsn > l->truncated && dice_roll(&l->dice, 8) == 0)
        journal_store_truncate(l->store, l->truncated = lsn);
    while (journal_store_removable(l->store) != 0 && dice_roll(&l->dice, 3) > 0) {
        assert_true(journal_store_remove(l->store, journal_store_removable(l->store), &l->problem));
        journal_store_removed(l->store);
    }
}

/* A start. False: it was refused, or forgot the last group, as it may on a disk that came to harm: nothing more is to be
 * seen. */
static bool life_start(struct life *l)
{
    uint64_t last, before = faults_of_calls(l);
    l->lives++;
    bool opened = life_open(l) && recover(l, &last);
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
        if (ok) {
            truncate_some(l);
            read_back(l);
        }
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
    unsigned lives = 0, begun_above = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(&l, seed, false);
        assert_int_equal(l.refused + l.cut, 0);
        lives += l.lives;
        begun_above += l.begun_above;
        for (int i = 0; i < FAULTS; i++)
            all.fired[i] += l.f.faults.fired[i];
    }
    assert_true(lives > SEEDS * 5);
    assert_true(begun_above > SEEDS);
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
        assert_memory_equal(a.f.faults.rate, b.f.faults.rate, sizeof a.f.faults.rate);
        assert_memory_equal(a.f.faults.fired, b.f.faults.fired, sizeof a.f.faults.fired);
        assert_int_equal(a.written, b.written);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled_groups_come_back),
        cmocka_unit_test(harm_is_refused_or_costs_the_last_group),
        cmocka_unit_test(equal_seeds_give_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
