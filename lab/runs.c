#include "lab/runs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "local/load_report.h"

enum { READY_TIMEOUT_MS = 60000, STOP_GRACE_MS = 15000 };

/* ---- Loads ---- */

static bool go_on(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    (void)context;
    (void)load;
    (void)counts;
    (void)seconds;
    return !interrupted;
}

bool lab_load(struct cluster *c, const struct lab_load *load, struct load_result *result, double *cpu_us,
              struct problem *problem)
{
    struct load_target targets[NODE_ID_MAX];
    struct load_options o;
    char error[512];
    load_defaults(&o);
    o.targets = targets;
    o.target_count = cluster_targets(c, targets);
    o.connections = (uint32_t)load->connections;
    o.requests = load->requests;
    o.value_size = load->value_size;
    o.keyspace = load->keyspace;
    double before = cluster_cpu_seconds(c);
    bool ok = load_run(&o, go_on, NULL, result, error, sizeof error);
    double cpu = cluster_cpu_seconds(c) - before;
    if (!cluster_alive(c, problem))
        return false;
    if (!ok)
        return problem_set(problem, EXIT_CHECK_FAILED, "%s", error);
    if (result->stopped)
        return problem_set(problem, EXIT_TROUBLE, "interrupted");
    if (result->counts.answered != load->requests)
        return problem_set(problem, EXIT_CHECK_FAILED, "only %" PRIu64 " of %" PRIu64 " requests were answered%s%s",
                           result->counts.answered, load->requests, result->first_error[0] != '\0' ? ": " : "",
                           result->first_error);
    if (cpu_us != NULL)
        *cpu_us = cpu * 1e6 / (double)load->requests;
    return true;
}

double lab_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double lab_percentile_ms(const struct load_result *r, double percent)
{
    return (double)histogram_percentile(&r->latency, percent) / 1000;
}

/* ---- Rounds ---- */

/* One case of one round, with setup and removal. */
static bool run_case(const struct lab_run *run, const struct lab_case *one, double *values, struct problem *problem)
{
    static struct cluster c; /* large */
    struct problem stopping;
    if (!cluster_create(&c, &one->plan, problem))
        return false;
    bool ok = cluster_start(&c, problem) && cluster_wait_ready(&c, READY_TIMEOUT_MS, &interrupted, problem) &&
              run->measure(run->context, &c, values, problem);
    bool stopped = cluster_stop(&c, STOP_GRACE_MS, ok ? problem : &stopping);
    cluster_close(&c, false);
    return ok && stopped;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double lab_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The results of all rounds, by row, column and round. */
typedef double samples[LAB_ROWS_MAX][LAB_COLUMNS_MAX][LAB_ROUNDS_MAX];

static void run_round(const struct lab_run *run, struct lab_table *table, size_t first, size_t round, samples all)
{
    for (size_t i = 0; i < run->case_count && !interrupted; i++) {
        double values[LAB_COLUMNS_MAX];
        struct problem problem;
        if (table->problems[first + i].exit_code != EXIT_OK)
            continue;
        if (!run->quiet)
            fprintf(stderr, "round %zu of %" PRIu64 ": %s\n", round + 1, run->rounds, run->cases[i].name);
        for (size_t c = 0; c < table->column_count; c++)
            values[c] = NAN;
        if (!run_case(run, &run->cases[i], values, &problem))
            table->problems[first + i] = problem;
        for (size_t c = 0; c < table->column_count; c++)
            all[i][c][round] = values[c];
    }
}

void lab_run(const struct lab_run *run, struct lab_table *table)
{
    static samples all;
    size_t first = table->row_count;
    catch_interrupts();
    for (size_t i = 0; i < run->case_count; i++)
        lab_table_row(table, run->cases[i].name);
    if (first == 0)
        lab_table_parameter(table, "rounds", run->rounds);
    for (size_t round = 0; round < run->rounds; round++)
        run_round(run, table, first, round, all);
    for (size_t i = 0; i < run->case_count; i++) {
        struct problem *problem = &table->problems[first + i];
        if (interrupted && problem->exit_code == EXIT_OK)
            problem_set(problem, EXIT_TROUBLE, "interrupted");
        for (size_t c = 0; c < table->column_count && problem->exit_code == EXIT_OK; c++)
            table->values[c][first + i] = isnan(all[i][c][0]) ? NAN : lab_median(all[i][c], run->rounds);
    }
}

void lab_ratio(struct lab_table *t, size_t from, size_t to, size_t row)
{
    for (size_t r = 0; r < t->row_count; r++)
        t->values[to][r] = t->values[from][row] > 0 ? t->values[from][r] / t->values[from][row] : NAN;
}
