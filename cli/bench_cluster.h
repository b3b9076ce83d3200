/* Experiments that compare clusters: each case is a cluster of its own in a temporary folder, measured and removed; rounds
 * are interleaved (A B C A B C ...), and the table gets the median of the rounds, since machines are noisy and grow slower
 * or faster while one measures. */
#ifndef SYNOD_CLI_BENCH_CLUSTER_H
#define SYNOD_CLI_BENCH_CLUSTER_H

#include "cli/bench_table.h"
#include "local/cluster.h"

enum { BENCH_ROUNDS_MAX = 99 };

struct bench_case {
    const char *name;
    struct cluster_plan plan;
};

/* Measures a cluster that is ready: a value for each column of the table that is not computed later. False: `problem` says
 * why. */
typedef bool bench_measure(void *context, struct cluster *c, double *values, struct problem *problem);

struct bench_run {
    const struct bench_case *cases;
    size_t case_count;
    uint64_t rounds; /* at most BENCH_ROUNDS_MAX */
    bench_measure *measure;
    void *context;
    bool quiet;
};

/* Adds a row a case to the table. A case that cannot be measured has its problem there, and is not tried again. */
void bench_run(const struct bench_run *run, struct bench_table *table);

/* One load on a cluster, with values of 64 bytes or as many as it says; every request must be answered. `cpu_us` (NULL: not
 * wanted): processor time of the nodes a request. */
struct bench_load {
    uint64_t requests, connections, value_size;
};
bool bench_load(struct cluster *c, const struct bench_load *load, struct load_result *result, double *cpu_us,
                struct problem *problem);

double bench_percentile_ms(const struct load_result *r, double percent);

/* Fills column `to` with what column `from` is as a ratio to its value in a row. */
void bench_ratio(struct bench_table *t, size_t from, size_t to, size_t row);

#endif
