/* Experiments that compare clusters. Each case is a cluster of its own in a temporary folder, measured and removed. Rounds
 * are interleaved (A B C A B C ...), and the table gets the median of the rounds, because machines are noisy and change
 * their speed during the measurement. */
#ifndef SYNOD_LAB_RUNS_H
#define SYNOD_LAB_RUNS_H

#include "lab/table.h"
#include "local/cluster.h"

enum { LAB_ROUNDS_MAX = 99 };

struct lab_case {
    const char *name;
    struct cluster_plan plan;
};

/* Measures a cluster that is ready: a value for each column of the table that is not computed later. False: `problem` says
 * why. */
typedef bool lab_measure(void *context, struct cluster *c, double *values, struct problem *problem);

struct lab_run {
    const struct lab_case *cases;
    size_t case_count;
    uint64_t rounds; /* at most LAB_ROUNDS_MAX */
    lab_measure *measure;
    void *context;
    bool quiet;
};

/* Adds a row to the table for each case. A case that cannot be measured has its problem there, and is not tried again. */
void lab_run(const struct lab_run *run, struct lab_table *table);

/* One load on a cluster. Every request must be answered. `cpu_us` (NULL: not wanted): processor time of the nodes for each
 * request. */
struct lab_load {
    uint64_t requests, connections, value_size;
    uint64_t keyspace; /* 0: each request has a key of its own */
};
bool lab_load(struct cluster *c, const struct lab_load *load, struct load_result *result, double *cpu_us,
              struct problem *problem);

/* Seconds by a clock that never jumps. */
double lab_now_s(void);

/* Of one value or more, which it puts in order. */
double lab_median(double *values, size_t count);

double lab_percentile_ms(const struct load_result *r, double percent);

/* Fills column `to` with the ratios of column `from` to its value in a row. */
void lab_ratio(struct lab_table *t, size_t from, size_t to, size_t row);

#endif
