/* `synod-lab deployments`: the same load on one role in each process, on one node of each role in each process, and on all
 * roles in each node. */
#include <stdio.h>

#include "lab/lab.h"
#include "lab/runs.h"

enum { NODES = 3 };

static const struct lab_case deployments[] = {
    {"standalone", {.deployment = "standalone", .nodes = NODES}},
    {"shared", {.deployment = "shared", .nodes = NODES}},
    {"coordinator", {.deployment = "coordinator", .nodes = NODES}},
};

enum column { PROCESSES, THROUGHPUT, MEAN, MEDIAN, P99, ONE_MEDIAN, CPU, MEMORY, COLUMNS };

static const struct lab_column columns[COLUMNS] = {
    [PROCESSES] = {"processes", "", "processes", 0},
    [THROUGHPUT] = {"throughput", "requests/s", "throughput", 0},
    [MEAN] = {"mean", "ms", "mean_ms", 3},
    [MEDIAN] = {"median", "ms", "median_ms", 3},
    [P99] = {"P99", "ms", "p99_ms", 3},
    [ONE_MEDIAN] = {"one: median", "ms", "one_median_ms", 3},
    [CPU] = {"CPU", "us/request", "cpu_us", 2},
    [MEMORY] = {"memory", "MB", "resident_mb", 1},
};

struct comparison {
    uint64_t rounds, one_requests;
    struct lab_load load;
    struct lab_output output;
};

static bool measure(void *context, struct cluster *c, double *values, struct problem *problem)
{
    const struct comparison *o = context;
    static struct load_result result; /* has a histogram: large */
    const struct lab_load one = {o->one_requests, 1, o->load.value_size, 0};
    if (!lab_load(c, &one, &result, NULL, problem))
        return false;
    values[ONE_MEDIAN] = lab_percentile_ms(&result, 50);
    if (!lab_load(c, &o->load, &result, &values[CPU], problem))
        return false;
    values[PROCESSES] = (double)c->process_count;
    values[THROUGHPUT] = load_throughput(&result);
    values[MEAN] = histogram_mean(&result.latency) / 1000;
    values[MEDIAN] = lab_percentile_ms(&result, 50);
    values[P99] = lab_percentile_ms(&result, 99);
    values[MEMORY] = (double)cluster_resident_bytes(c) / 1e6;
    return true;
}

static int run(struct comparison *o)
{
    static struct lab_table table;
    struct plot_series series[5];
    lab_table_init(&table, "deployments", "deployment", columns, COLUMNS);
    lab_table_parameter(&table, "requests", o->load.requests);
    lab_table_parameter(&table, "connections", o->load.connections);
    lab_table_parameter(&table, "value_size", o->load.value_size);
    lab_table_parameter(&table, "one_requests", o->one_requests);
    const struct lab_run all = {deployments,    sizeof deployments / sizeof deployments[0], o->rounds, measure, o,
                                o->output.quiet};
    lab_run(&all, &table);
    const struct plot_panel panels[] = {
        lab_table_bars(&table, "Throughput (requests/s)", THROUGHPUT, 1, &series[0]),
        lab_table_bars(&table, "Latency (ms)", MEDIAN, 2, &series[1]),
        lab_table_bars(&table, "Processor time of all nodes a request (us)", CPU, 1, &series[3]),
        lab_table_bars(&table, "Resident memory of all processes after the load (MB)", MEMORY, 1, &series[4]),
    };
    return lab_report(&table, &o->output, "Three proposers, three acceptors and three learners, deployed differently",
                      panels, sizeof panels / sizeof panels[0]);
}

int lab_deployments(int argc, char **argv)
{
    struct comparison o = {.rounds = 3, .one_requests = 1000, .load = {30000, 50, 64, 0}};
    const struct option_row rows[] = {
        {"requests", 'n', OPTION_NUMBER, .value = "N", .target = &o.load.requests, .min = 1, .max = 100000000,
         .text = "SET requests a cluster and round"},
        {"connections", 0, OPTION_NUMBER, .value = "N", .target = &o.load.connections, .min = 1, .max = 10000,
         .text = "connections that they are sent over"},
        {"one-requests", 0, OPTION_NUMBER, .value = "N", .target = &o.one_requests, .min = 1, .max = 100000000,
         .text = "requests of the run with one connection"},
        {"value-size", 0, OPTION_NUMBER, .value = "BYTES", .target = &o.load.value_size, .min = 0, .max = 1024 * 1024 - 1024,
         .text = "size of the values"},
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &o.rounds, .min = 1, .max = LAB_ROUNDS_MAX,
         .text = "interleaved repetitions, whose median counts"},
        LAB_OUTPUT_OPTIONS(o.output),
    };
    const struct command_help help = {
        .command = "synod-lab deployments",
        .description =
            "Puts the same load on three clusters of three proposers, three acceptors and three learners: one role a\n"
            "process (standalone: nine processes), one node of each role a process (shared: three), all roles in each\n"
            "node (coordinator: three). Memory is what is resident, summed up; what processes share counts for each.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  1  interrupted, or a cluster could not be run\n"
                      "  2  wrong command line, or no ports free\n"
                      "  5  requests were not answered, or a node failed (a composition that is not there, too)\n",
        .examples = "  synod-lab deployments --plot deployments.svg\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&o);
}
