/* `synod-lab overhead`: what each boundary of the sandbox costs a whole cluster. The same load on three coordinators,
 * composed in every way: natively, as components between the host's network and disk, with fewer and larger components, and
 * with one after the other moved into the sandbox. */
#include <stdio.h>
#include <string.h>

#include "lab/lab.h"
#include "lab/runs.h"

enum { NODES = 3 };

#define COORDINATORS .deployment = "coordinator", .nodes = NODES

static const struct lab_case compositions[] = {
    {"native", {COORDINATORS, .native = true}},
    {"host", {COORDINATORS}},
    {"host-agents", {COORDINATORS, .granularity = "agents"}},
    {"host-node", {COORDINATORS, .granularity = "node"}},
    {"host-serializer", {COORDINATORS, .serializer = "host"}},
    {"guest-storage", {COORDINATORS, .storage = "guest"}},
    {"guest-tcp", {COORDINATORS, .network = "guest-tcp"}},
    {"guest-udp", {COORDINATORS, .network = "guest-udp"}},
    {"all-guest", {COORDINATORS, .network = "guest-tcp", .storage = "guest"}},
    {"all-guest-node", {COORDINATORS, .network = "guest-tcp", .storage = "guest", .granularity = "node"}},
};
enum { COMPOSITIONS = sizeof compositions / sizeof compositions[0] };

enum column { THROUGHPUT, MEAN, MEDIAN, P99, CPU, ONE_MEDIAN, ONE_P99, THROUGHPUT_RATIO, CPU_RATIO, ONE_RATIO, COLUMNS };

static const struct lab_column columns[COLUMNS] = {
    [THROUGHPUT] = {"throughput", "requests/s", "throughput", 0},
    [MEAN] = {"mean", "ms", "mean_ms", 3},
    [MEDIAN] = {"median", "ms", "median_ms", 3},
    [P99] = {"P99", "ms", "p99_ms", 3},
    [CPU] = {"CPU", "us/request", "cpu_us", 2},
    [ONE_MEDIAN] = {"one: median", "ms", "one_median_ms", 3},
    [ONE_P99] = {"one: P99", "ms", "one_p99_ms", 3},
    [THROUGHPUT_RATIO] = {"throughput", "x native", "throughput_ratio", 2},
    [CPU_RATIO] = {"CPU", "x native", "cpu_ratio", 2},
    [ONE_RATIO] = {"one: median", "x native", "one_median_ratio", 2},
};

struct overhead {
    uint64_t rounds, one_requests;
    struct lab_load load;
    const char *only; /* compositions, separated by commas; NULL: all */
    struct lab_output output;
};

/* One connection comes first, because it also warms up the nodes. */
static bool measure(void *context, struct cluster *c, double *values, struct problem *problem)
{
    const struct overhead *o = context;
    static struct load_result result; /* has a histogram: large */
    const struct lab_load one = {o->one_requests, 1, o->load.value_size, 0};
    if (!lab_load(c, &one, &result, NULL, problem))
        return false;
    values[ONE_MEDIAN] = lab_percentile_ms(&result, 50);
    values[ONE_P99] = lab_percentile_ms(&result, 99);
    if (!lab_load(c, &o->load, &result, &values[CPU], problem))
        return false;
    values[THROUGHPUT] = load_throughput(&result);
    values[MEAN] = histogram_mean(&result.latency) / 1000;
    values[MEDIAN] = lab_percentile_ms(&result, 50);
    values[P99] = lab_percentile_ms(&result, 99);
    return true;
}

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == '\0' || at[len] == ','))
            return true;
    }
    return false;
}

/* The compositions asked for. Returns 0 when the list names one that does not exist. */
static size_t choose(const struct overhead *o, struct lab_case *out)
{
    size_t count = 0, wanted = 1;
    for (size_t i = 0; i < COMPOSITIONS; i++)
        if (o->only == NULL || listed(o->only, compositions[i].name))
            out[count++] = compositions[i];
    for (const char *at = o->only; at != NULL && *at != '\0'; at++)
        wanted += *at == ',';
    return o->only == NULL || wanted == count ? count : 0;
}

static int run(struct overhead *o)
{
    static struct lab_table table;
    struct lab_case cases[COMPOSITIONS];
    struct plot_series series[4];
    size_t count = choose(o, cases);
    if (count == 0) {
        fprintf(stderr, "synod-lab overhead: --compositions: '%s' is not a list of different ones of:", o->only);
        for (size_t i = 0; i < COMPOSITIONS; i++)
            fprintf(stderr, "%s %s", i > 0 ? "," : "", compositions[i].name);
        fputc('\n', stderr);
        return EXIT_BAD_INPUT;
    }
    lab_table_init(&table, "overhead", "composition", columns, COLUMNS);
    lab_table_parameter(&table, "requests", o->load.requests);
    lab_table_parameter(&table, "connections", o->load.connections);
    lab_table_parameter(&table, "value_size", o->load.value_size);
    lab_table_parameter(&table, "one_requests", o->one_requests);
    const struct lab_run all = {cases, count, o->rounds, measure, o, o->output.quiet};
    lab_run(&all, &table);
    if (strcmp(cases[0].name, "native") == 0) {
        lab_ratio(&table, THROUGHPUT, THROUGHPUT_RATIO, 0);
        lab_ratio(&table, CPU, CPU_RATIO, 0);
        lab_ratio(&table, ONE_MEDIAN, ONE_RATIO, 0);
    }
    const struct plot_panel panels[] = {
        lab_table_bars(&table, "Processor time of all nodes a request (us)", CPU, 1, &series[0]),
        lab_table_bars(&table, "Throughput (requests/s)", THROUGHPUT, 1, &series[1]),
        lab_table_bars(&table, "Latency of one connection alone (ms)", ONE_MEDIAN, 2, &series[2]),
    };
    return lab_report(&table, &o->output, "What a composition costs a cluster of three coordinators", panels,
                      sizeof panels / sizeof panels[0]);
}

int lab_overhead(int argc, char **argv)
{
    struct overhead o = {.rounds = 3, .one_requests = 1000, .load = {30000, 50, 64, 0}};
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
        {"compositions", 0, OPTION_TEXT, .value = "NAME,...", .target = &o.only,
         .text =
             "only these: native, host, host-agents, host-node, host-serializer, guest-storage, guest-tcp, guest-udp, all-guest, "
             "all-guest-node"},
        LAB_OUTPUT_OPTIONS(o.output),
    };
    const struct command_help help = {
        .command = "synod-lab overhead",
        .description =
            "Puts the same load on clusters of three coordinators that are composed differently: as native code; as\n"
            "components with network and storage in the host (host), then with each agent, or each node, as one component;\n"
            "with the serializer in the host, too; or with storage, network, or both in the sandbox. Ratios are to native.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all were measured\n  1  interrupted, or a cluster could not be run\n"
                      "  2  wrong command line, or no ports free\n"
                      "  5  requests were not answered, or a node failed (a composition that is not there, too)\n",
        .examples = "  synod-lab overhead --plot overhead.svg\n"
                    "  synod-lab overhead --compositions native,host,all-guest --rounds 5 --json\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    return code != OPTIONS_GO_ON ? code : run(&o);
}
