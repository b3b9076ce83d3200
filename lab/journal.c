/* `synod-lab journal`: how fast a start reads the journal, without executing what is in it. In this process, on one thread,
 * from the page cache.
 *
 * Each row is a journal of groups of one size. It is read as a start reads it (io/journal_store.h), and, beside it, as
 * starts did before: once to find the end, and once more to hand the records out. The two alternate; the median of the
 * rounds counts. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/journal_store.h"
#include "lab/lab.h"
#include "lab/runs.h"

enum { SIZES = 3, ROUNDS_MAX = 99, SEGMENT_BYTES = 16 << 20, MEGABYTE = 1000000 };

static const uint32_t sizes[SIZES] = {4000, 65000, 1040000}; /* of the one record in each group */
static const char *const size_names[SIZES] = {"groups of 4 KiB", "groups of 64 KiB", "groups of 1 MiB"};

static const struct lab_column columns[] = {
    {"read once", "MB/s", "once_mb_s", 0},
    {"read twice", "MB/s", "twice_mb_s", 0},
    {"ratio", "", "ratio", 2},
};
enum { ONCE, TWICE, RATIO, COLUMNS };

struct reading {
    char folder[4096];
    uint64_t rounds, megabytes;
    struct lab_output output;
};

/* ---- The journal ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_folder(const char *folder) { nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

/* The options with which the next life opens it. */
static struct journal_store_options options_of(const struct reading *r, uint32_t incarnation)
{
    return (struct journal_store_options){
        .disk = disk_posix(),
        .folder = r->folder,
        .identity = {.cluster = "lab", .node = 1, .incarnation = incarnation},
        .durability = DURABILITY_OS,
        .segment_bytes = SEGMENT_BYTES,
    };
}

static bool write_journal(const struct reading *r, uint32_t size, struct problem *problem)
{
    const struct journal_store_options options = options_of(r, 1);
    const size_t count = words_for(size);
    struct journal_store *store;
    struct journal_group group = {0};
    struct journal_written written;
    if (!journal_store_open(&store, &options, problem))
        return false;
    uint64_t *words = memory_new(count, sizeof *words);
    for (size_t i = 0; i < count; i++)
        words[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    bool ok = true;
    for (uint64_t bytes = 0; ok && bytes < r->megabytes * MEGABYTE; bytes += size) {
        const struct packet record = {.kind = 1, .len = size / 8 * 8, .words = {words, count}};
        journal_group_begin(&group, journal_store_last(store) + 1);
        ok = journal_group_add(&group, &record) && journal_store_group(store, &group, &written, problem);
    }
    free(words);
    journal_group_free(&group);
    journal_store_close(store);
    return ok;
}

/* ---- Reading it ---- */

static void pass_segment(void *context, const char *name, uint64_t bytes)
{
    (void)context;
    (void)name;
    (void)bytes;
}

static void pass_record(void *context, const struct packet *record)
{
    (void)context;
    (void)record;
}

static void pass_group(void *context, uint64_t offset, const struct journal_group *g)
{
    (void)context;
    (void)offset;
    (void)g;
}

static void pass_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    (void)context;
    (void)next_lsn;
    (void)offset;
    (void)torn;
}

/* Megabytes of records a second. */
static bool measure(const struct reading *r, bool twice, uint32_t *incarnation, double *speed, struct problem *problem)
{
    static const struct journal_view view = {
        .segment = pass_segment, .carried = pass_record, .group = pass_group, .end = pass_end};
    const struct journal_store_options options = options_of(r, ++*incarnation);
    struct journal_store *store;
    struct packet_list found = {.len = 1};
    uint64_t bytes = 0;
    const double began = lab_now_s();
    if (twice && !journal_store_look(&options, &view, problem))
        return false;
    if (!journal_store_open(&store, &options, problem))
        return false;
    bool ok = true;
    while (ok && found.len > 0) {
        ok = journal_store_recover(store, &found, problem);
        for (size_t i = 0; ok && i < found.len; i++)
            bytes += found.ptr[i].len;
    }
    *speed = (double)bytes / (double)MEGABYTE / (lab_now_s() - began);
    journal_store_close(store);
    return ok;
}

static bool measure_row(struct reading *r, struct lab_table *t, size_t row, struct problem *problem)
{
    double speeds[2][ROUNDS_MAX];
    uint32_t incarnation = 1;
    bool ok = true;
    for (uint64_t i = 0; ok && i < r->rounds; i++)
        for (size_t twice = 0; ok && twice < 2; twice++)
            ok = measure(r, twice == 1, &incarnation, &speeds[twice][i], problem);
    for (size_t twice = 0; ok && twice < 2; twice++)
        t->values[ONCE + twice][row] = lab_median(speeds[twice], r->rounds);
    if (ok)
        t->values[RATIO][row] = t->values[ONCE][row] / t->values[TWICE][row];
    return ok;
}

static int run(struct reading *r)
{
    static struct lab_table table;
    struct plot_series bars[2];
    const char *tmp = getenv("TMPDIR");
    lab_table_init(&table, "journal", "journal", columns, COLUMNS);
    lab_table_parameter(&table, "rounds", r->rounds);
    lab_table_parameter(&table, "megabytes", r->megabytes);
    for (size_t row = 0; row < SIZES; row++) {
        struct problem problem = {0};
        lab_table_row(&table, size_names[row]);
        snprintf(r->folder, sizeof r->folder, "%s/synod-lab-XXXXXX", tmp != NULL ? tmp : "/tmp");
        if (mkdtemp(r->folder) == NULL)
            problem_set(&table.problems[row], EXIT_TROUBLE, "%.400s: cannot be made", r->folder);
        else if (!write_journal(r, sizes[row], &problem) || !measure_row(r, &table, row, &problem))
            table.problems[row] = problem;
        remove_folder(r->folder);
    }
    const struct plot_panel panels[] = {lab_table_bars(&table, "Reading a journal (MB/s)", ONCE, 2, bars)};
    return lab_report(&table, &r->output, "How fast a start reads its journal", panels, 1);
}

int lab_journal(int argc, char **argv)
{
    struct reading r = {.rounds = 5, .megabytes = 200};
    const struct option_row rows[] = {
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &r.rounds, .min = 1, .max = ROUNDS_MAX,
         .text = "repetitions, whose median counts"},
        {"megabytes", 0, OPTION_NUMBER, .value = "MB", .target = &r.megabytes, .min = 1, .max = 100000,
         .text = "of records in each journal"},
        LAB_OUTPUT_OPTIONS(r.output),
    };
    const struct command_help help = {
        .command = "synod-lab journal",
        .description =
            "Measures how fast a start reads its journal, from the page cache and without executing what is in it;\n"
            "and, beside it, how fast it would be if the journal was read a first time to find its end.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  1  the journal could not be written or read\n  2  wrong command line\n",
        .examples = "  synod-lab journal --megabytes 1000\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&r);
}
