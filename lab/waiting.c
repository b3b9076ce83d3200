/* `synod-lab waiting`: what it costs to look for work at fixed intervals instead of sleeping until there is some, and the
 * effect on a client's latency. Both with the loop in the host and with the loop in the sandbox. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "lab/lab.h"
#include "lab/runs.h"
#include "local/load_report.h"

enum { NODES = 3, SETTLE_MS = 1000, NAP_MS = 50 };

#define EVERY(micros) "  waiting: polling\n  tick_micros: " #micros "\n"
#define CLUSTER(network_, settings_)                                                                                        \
    {.deployment = "coordinator", .nodes = NODES, .network = (network_), .settings = (settings_)}

static const struct lab_case ways[] = {
    {"host-tcp, events", CLUSTER("host-tcp", NULL)},
    {"host-tcp, every 1 ms", CLUSTER("host-tcp", EVERY(1000))},
    {"host-tcp, every 100 us", CLUSTER("host-tcp", EVERY(100))},
    {"guest-tcp, events", CLUSTER("guest-tcp", NULL)},
    {"guest-tcp, every 1 ms", CLUSTER("guest-tcp", EVERY(1000))},
    {"guest-tcp, every 100 us", CLUSTER("guest-tcp", EVERY(100))},
};

enum column { IDLE_CPU, MEDIAN, P99, COLUMNS };

static const struct lab_column columns[COLUMNS] = {
    [IDLE_CPU] = {"idle CPU", "% of a core", "idle_cpu_percent", 2},
    [MEDIAN] = {"median", "ms", "median_ms", 3},
    [P99] = {"P99", "ms", "p99_ms", 3},
};

struct comparison {
    uint64_t rounds, requests, idle_ms;
    struct lab_output output;
};

/* Sleeps in short pieces, so that an interruption ends it soon. */
static void sleep_ms(uint64_t ms)
{
    for (double end = lab_now_s() + (double)ms / 1000; lab_now_s() < end && !interrupted;) {
        const struct timespec nap = {.tv_nsec = NAP_MS * 1000000};
        nanosleep(&nap, NULL);
    }
}

static bool measure(void *context, struct cluster *c, double *values, struct problem *problem)
{
    const struct comparison *o = context;
    static struct load_result result; /* has a histogram: large */
    const struct lab_load one = {o->requests, 1, 64, 0};
    sleep_ms(SETTLE_MS);
    double cpu = cluster_cpu_seconds(c), begin = lab_now_s();
    sleep_ms(o->idle_ms);
    values[IDLE_CPU] = 100 * (cluster_cpu_seconds(c) - cpu) / (lab_now_s() - begin);
    if (!lab_load(c, &one, &result, NULL, problem))
        return false;
    values[MEDIAN] = lab_percentile_ms(&result, 50);
    values[P99] = lab_percentile_ms(&result, 99);
    return true;
}

static int run(struct comparison *o)
{
    static struct lab_table table;
    struct plot_series series[3];
    lab_table_init(&table, "waiting", "loop", columns, COLUMNS);
    lab_table_parameter(&table, "requests", o->requests);
    lab_table_parameter(&table, "idle_ms", o->idle_ms);
    const struct lab_run all = {ways, sizeof ways / sizeof ways[0], o->rounds, measure, o, o->output.quiet};
    lab_run(&all, &table);
    const struct plot_panel panels[] = {
        lab_table_bars(&table, "Processor time of three idle nodes together (% of a core)", IDLE_CPU, 1, &series[0]),
        lab_table_bars(&table, "Latency of one connection alone (ms)", MEDIAN, 2, &series[1]),
    };
    return lab_report(&table, &o->output, "Sleeping until something happens, or looking at intervals", panels,
                      sizeof panels / sizeof panels[0]);
}

int lab_waiting(int argc, char **argv)
{
    struct comparison o = {.rounds = 3, .requests = 1000, .idle_ms = 5000};
    const struct option_row rows[] = {
        {"requests", 'n', OPTION_NUMBER, .value = "N", .target = &o.requests, .min = 1, .max = 100000000,
         .text = "SET requests of one connection"},
        {"idle-ms", 0, OPTION_NUMBER, .value = "MS", .target = &o.idle_ms, .min = 100, .max = 3600000,
         .text = "how long the idle cluster is watched"},
        {"rounds", 0, OPTION_NUMBER, .value = "N", .target = &o.rounds, .min = 1, .max = LAB_ROUNDS_MAX,
         .text = "interleaved repetitions, whose median counts"},
        LAB_OUTPUT_OPTIONS(o.output),
    };
    const struct command_help help = {
        .command = "synod-lab waiting",
        .description =
            "Compares nodes that sleep until something happens with nodes that look for it every millisecond and every 100\n"
            "microseconds (`waiting: polling`, `tick_micros`): processor time of three idle coordinators together, and\n"
            "latency of one connection. With the host's TCP, and with TCP and the loop in the sandbox.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  1  interrupted, or a cluster could not be run\n"
                      "  2  wrong command line, or no ports free\n"
                      "  5  requests were not answered, or a node failed (a composition that is not there, too)\n",
        .examples = "  synod-lab waiting --plot waiting.svg\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&o);
}
