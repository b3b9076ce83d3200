/* `synod-lab history`: how long a restart takes, and how much disk a node has, after ever more requests on the same keys,
 * and with ever more state. One composed node; the settings are the defaults. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/memory.h"
#include "io/disk.h"
#include "lab/lab.h"
#include "lab/runs.h"

enum { POINTS = 4, KEYS = 1000, BIG_VALUE = 64 << 10, POLL_MS = 5, LOOK_MS = 1000, WAIT_S_MAX = 60, MIB = 1 << 20 };

static const struct lab_column columns[] = {
    {"requests", "", "requests", 0},
    {"state", "MB", "state_mb", 1},
    {"disk", "MB", "disk_mb", 1},
    {"restart", "s", "restart_s", 2},
};
enum { REQUESTS, STATE, DISK, RESTART, COLUMNS };

struct history {
    uint64_t requests, mebibytes; /* at the first point; each has twice as much as the one before */
    struct lab_load load;         /* of the point that is measured */
    struct lab_output output;
    char names[2 * POINTS][32];
};

/* ---- One point ---- */

struct sum {
    const char *folder;
    double bytes;
};

static void add_file(void *context, const char *name)
{
    struct sum *sum = context;
    struct stat status;
    char *path = disk_path(sum->folder, name);
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
        sum->bytes += (double)status.st_blocks * 512;
    free(path);
}

/* What the files of node 1 take. */
static double disk_mb(const struct cluster *c)
{
    char folder[512];
    struct sum sum = {.folder = folder};
    snprintf(folder, sizeof folder, "%s/node-1", c->config.data);
    disk_list(disk_posix(), folder, add_file, &sum);
    snprintf(folder, sizeof folder, "%s/node-1/snapshots", c->config.data);
    disk_list(disk_posix(), folder, add_file, &sum);
    return sum.bytes / 1e6;
}

static void look_for_part(void *context, const char *name)
{
    const size_t len = strlen(name);
    *(bool *)context = *(bool *)context || (len > 5 && strcmp(name + len - 5, ".part") == 0);
}

/* Waits until the snapshot that is being saved is there, so that what is measured does not depend on luck. */
static bool await_snapshot(struct cluster *c, struct problem *problem)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    const double begun = lab_now_s();
    char folder[512];
    bool saves = true;
    snprintf(folder, sizeof folder, "%s/node-1/snapshots", c->config.data);
    while (saves) {
        saves = false;
        disk_list(disk_posix(), folder, look_for_part, &saves);
        if (!cluster_alive(c, problem))
            return false;
        if (lab_now_s() - begun > (double)WAIT_S_MAX)
            return problem_set(problem, EXIT_CHECK_FAILED, "a snapshot is not there after %d s", WAIT_S_MAX);
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Kills the node, and starts it until it has executed what it had. */
static bool restart(struct cluster *c, double *seconds, struct problem *problem)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    cluster_look(c, LOOK_MS);
    const uint64_t executed = c->info[1].executed;
    cluster_kill(c, 1);
    const double begun = lab_now_s();
    if (!cluster_start(c, problem))
        return false;
    while (cluster_look(c, LOOK_MS) == 0 || c->info[1].executed < executed) {
        if (!cluster_alive(c, problem))
            return false;
        if (lab_now_s() - begun > (double)WAIT_S_MAX)
            return problem_set(problem, EXIT_CHECK_FAILED, "the node is not back after %d s", WAIT_S_MAX);
        nanosleep(&pause, NULL);
    }
    *seconds = lab_now_s() - begun;
    return true;
}

static bool measure(void *context, struct cluster *c, double *values, struct problem *problem)
{
    const struct history *h = context;
    static struct load_result result; /* has a histogram: large */
    if (!lab_load(c, &h->load, &result, NULL, problem) || !await_snapshot(c, problem))
        return false;
    const uint64_t keys = h->load.keyspace != 0 ? h->load.keyspace : h->load.requests;
    values[REQUESTS] = (double)h->load.requests;
    values[STATE] = (double)(keys * h->load.value_size) / 1e6;
    values[DISK] = disk_mb(c);
    return restart(c, &values[RESTART], problem);
}

/* ---- All points ---- */

/* A row of the table. False: it could not be measured. */
static bool measure_row(struct history *h, struct lab_table *table, const char *name, struct lab_load load)
{
    const struct lab_case one = {name, {.deployment = "coordinator", .nodes = 1}};
    const struct lab_run run = {&one, 1, 1, measure, h, h->output.quiet};
    h->load = load;
    lab_run(&run, table);
    return table->problems[table->row_count - 1].exit_code == EXIT_OK;
}

static bool measure_all(struct history *h, struct lab_table *table)
{
    bool ok = true;
    for (size_t i = 0; ok && i < POINTS; i++) {
        const struct lab_load load = {h->requests << i, 50, 64, KEYS};
        snprintf(h->names[i], sizeof h->names[i], "%.0f", (double)load.requests);
        ok = measure_row(h, table, h->names[i], load);
    }
    for (size_t i = 0; ok && i < POINTS; i++) {
        const uint64_t mebibytes = h->mebibytes << i;
        const struct lab_load load = {mebibytes * MIB / BIG_VALUE, 8, BIG_VALUE, 0};
        char *name = h->names[POINTS + i];
        snprintf(name, sizeof h->names[0], "%.0f MiB of state", (double)mebibytes);
        ok = measure_row(h, table, name, load);
    }
    return ok;
}

static struct plot_panel panel(const struct history *h, const char *title, const char *what, const char **names,
                               struct plot_series *series, size_t first)
{
    for (size_t i = 0; i < POINTS; i++)
        names[i] = h->names[first + i];
    return (struct plot_panel){.kind = PLOT_LINES,
                               .title = title,
                               .category_title = what,
                               .categories = names,
                               .category_count = POINTS,
                               .series = series,
                               .series_count = 1};
}

static int run(struct history *h)
{
    static struct lab_table table;
    static const char *requests = "requests on 1,000 keys of 64 bytes", *state = "state, in values of 64 KiB";
    const char *names[2][POINTS];
    lab_table_init(&table, "history", "node after", columns, COLUMNS);
    lab_table_parameter(&table, "keys", KEYS);
    const bool all = measure_all(h, &table);
    struct plot_series lines[] = {{"restart", &table.values[RESTART][0]},
                                  {"disk", &table.values[DISK][0]},
                                  {"restart", &table.values[RESTART][POINTS]},
                                  {"disk", &table.values[DISK][POINTS]}};
    const struct plot_panel panels[] = {
        panel(h, "Restart (s)", requests, names[0], &lines[0], 0),
        panel(h, "Data folder (MB)", requests, names[0], &lines[1], 0),
        panel(h, "Restart (s)", state, names[1], &lines[2], POINTS),
        panel(h, "Data folder (MB)", state, names[1], &lines[3], POINTS),
    };
    return lab_report(&table, &h->output, "Restart and disk against history and state", panels, all ? 4 : 0);
}

int lab_history(int argc, char **argv)
{
    struct history h = {.requests = 250000, .mebibytes = 60};
    const struct option_row rows[] = {
        {"requests", 'r', OPTION_NUMBER, .value = "N", .target = &h.requests, .min = 1, .max = 100000000,
         .text = "at the first of four points; each has twice as many as the one before"},
        {"mebibytes", 0, OPTION_NUMBER, .value = "N", .target = &h.mebibytes, .min = 1, .max = 60,
         .text = "of state, at the first of four points"},
        LAB_OUTPUT_OPTIONS(h.output),
    };
    const struct command_help help = {
        .command = "synod-lab history",
        .description =
            "Measures how long a restart after kill -9 takes, and what a data folder takes on disk: after ever more requests on\n"
            "the same keys, and with ever more state. One composed node with the default settings.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  2  wrong command line\n  5  the node did not do what it must\n",
        .examples = "  synod-lab history --plot history.svg\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&h);
}
