/* `synod demo`: a whole cluster on this machine, load on it, and a check of the result.
 *
 *   1. Writes a configuration with free ports into a folder of its own, formats the nodes, starts the processes.
 *   2. Waits for a leader and notes its ballot.
 *   3. Runs the load: SET requests, each with a key of its own. With --kill-leader-at or --kills: INCR requests in sessions,
 *      while it kills the leader's process, measures how long no request is answered, and starts the process again when
 *      another node leads.
 *   4. Checks: every request was answered; all nodes that execute have executed the same slots and have the same state; the
 *      leader never changed (unless killed); values can be read back; counters are at exactly what was asked for.
 *   5. Stops the processes and removes the folder. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/verbs.h"
#include "host/options.h"
#include "local/cluster.h"
#include "local/demo_check.h"
#include "local/load_report.h"

enum {
    READY_TIMEOUT_MS = 60000,
    STOP_GRACE_MS = 15000,
    LOOK_TIMEOUT_MS = 500,
    PROGRESS_MS = 100,
    PROGRESS_KILL_MS = 10,
    ALIVE_EVERY = 10, /* progress calls */
    KILLS_MAX = 1000,
    COUNTERS = 100,
};

/* After a kill: how often it is looked for another leader, and when the process is started though there is none. */
static const double look_every_seconds = 0.05, restart_after_seconds = 3;

static const char *const deployments[] = {"coordinator", "standalone", "shared", NULL};

struct demo {
    uint32_t deployment, granularity;
    uint64_t nodes, clients, processes, requests, value_size, kills_spread;
    const char *kill_at;
    bool native, keep;
    uint64_t kills[KILLS_MAX]; /* at how many answers, ascending */
    uint32_t kill_count;
    struct cluster cluster;
    struct load_target targets[NODE_ID_MAX];
    size_t target_count;
    struct load_progress_line line;
    uint64_t progress_calls;
    uint32_t killed; /* how often */
    uint32_t down;   /* the node whose process was killed and not started since; 0: none */
    double killed_seconds, looked_seconds;
    struct ballot ballot; /* of the leader at the start */
    double server_cpu_seconds;
    struct load_result result;
    bool failed; /* a process died, or could not be restarted: `problem` says how */
    struct problem problem;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- Load ---- */

static void kill_leader(struct demo *d, struct load *load, double seconds)
{
    cluster_look(&d->cluster, LOOK_TIMEOUT_MS);
    const struct config_node *leader = cluster_leader(&d->cluster);
    if (leader == NULL)
        return; /* there is an election: at the next call */
    d->killed++;
    d->down = leader->id;
    d->killed_seconds = d->looked_seconds = seconds;
    load_mark(load);
    cluster_kill(&d->cluster, leader->id);
    progress_end(&d->line);
    printf("killed the leader, node %u\n", (unsigned)leader->id);
    fflush(stdout);
}

/* Starts the killed process when another node leads. */
static void start_again(struct demo *d, double seconds)
{
    if (seconds < d->looked_seconds + look_every_seconds)
        return;
    d->looked_seconds = seconds;
    cluster_look(&d->cluster, LOOK_TIMEOUT_MS);
    if (cluster_leader(&d->cluster) == NULL && seconds < d->killed_seconds + restart_after_seconds)
        return;
    d->down = 0;
    d->failed = !cluster_start(&d->cluster, &d->problem);
}

static bool on_progress(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    struct demo *d = context;
    progress_update(&d->line, counts, seconds);
    if (d->down != 0)
        start_again(d, seconds);
    else if (d->killed < d->kill_count && counts->answered >= d->kills[d->killed] &&
             (d->killed == 0 || load_recovered(load)))
        kill_leader(d, load, seconds);
    if (!d->failed && d->progress_calls++ % ALIVE_EVERY == 0)
        d->failed = !cluster_alive(&d->cluster, &d->problem);
    return !d->failed && !interrupted;
}

static bool run_load(struct demo *d)
{
    struct load_options o;
    char error[512];
    load_defaults(&o);
    o.targets = d->targets;
    o.target_count = d->target_count;
    o.connections = (uint32_t)d->clients;
    o.processes = (uint32_t)(d->processes < d->clients ? d->processes : d->clients);
    o.requests = d->requests;
    o.value_size = d->value_size;
    o.resend = true; /* each key gets only one value, so setting it twice does no harm */
    o.progress_interval_ms = PROGRESS_MS;
    if (d->kill_count > 0) {
        o.command = COMMAND_INCR;
        o.keyspace = COUNTERS;
        o.sessions = true;
        o.progress_interval_ms = PROGRESS_KILL_MS;
        printf("load: %" PRIu64 " INCR requests on %d counters, %u clients in %u processes, each with a session\n",
               d->requests, COUNTERS, (unsigned)o.connections, (unsigned)o.processes);
    } else {
        printf("load: %" PRIu64 " SET requests with values of %" PRIu64 " bytes, %u clients in %u processes\n", d->requests,
               d->value_size, (unsigned)o.connections, (unsigned)o.processes);
    }
    fflush(stdout);
    double before = cluster_cpu_seconds(&d->cluster);
    progress_begin(&d->line, d->requests);
    bool ok = load_run(&o, on_progress, d, &d->result, error, sizeof error);
    progress_end(&d->line);
    d->server_cpu_seconds = cluster_cpu_seconds(&d->cluster) - before;
    if (d->failed)
        return false;
    if (!cluster_alive(&d->cluster, &d->problem))
        return false;
    if (!ok)
        return problem_set(&d->problem, EXIT_CHECK_FAILED, "%s", error);
    if (d->result.stopped)
        return problem_set(&d->problem, EXIT_TROUBLE, "interrupted");
    return d->down == 0 || cluster_start(&d->cluster, &d->problem);
}

/* ---- What is printed ---- */

static void print_cluster(const struct demo *d)
{
    static const char *const what_runs[] = {"a WebAssembly component for each part",
                                            "a WebAssembly component for each agent with its parts",
                                            "a WebAssembly component for each node"};
    const struct cluster *c = &d->cluster;
    printf("cluster: %s, %zu nodes in %zu processes, %s; folder %s\n", deployments[d->deployment], c->config.node_count,
           c->process_count, d->native ? "native build" : what_runs[d->granularity], c->folder);
    if (cluster_in_memory(c))
        printf("note: that folder is in memory, so a sync costs nothing there; set TMPDIR to a disk for honest figures\n");
    fflush(stdout);
}

static void print_statistics(const struct demo *d)
{
    const struct load_result *r = &d->result;
    report_statistics(r);
    if (r->counts.answered > 0)
        printf("  Server CPU: %.2f us a request (all processes)\n",
               d->server_cpu_seconds * 1e6 / (double)r->counts.answered);
    if (r->recoveries == 1)
        printf("  Leader killed: next request answered after %.3f s\n", (double)r->recovery_us / 1e6);
    else if (r->recoveries > 1)
        printf("  Leader killed %u times: next request answered after %.3f s at most\n", (unsigned)r->recoveries,
               (double)r->recovery_us / 1e6);
}

static void print_nodes(const struct demo *d)
{
    printf("  %-4s %-11s %-6s %-14s %12s %12s  %s\n", "node", "role", "leader", "ballot", "executed", "commands",
           "state hash");
    for (size_t i = 0; i < d->cluster.config.node_count; i++) {
        const struct config_node *node = &d->cluster.config.nodes[i];
        const struct node_info *info = &d->cluster.info[node->id];
        char ballot[48];
        if (!d->cluster.answers[node->id]) {
            printf("  %-4u %-11s does not answer\n", (unsigned)node->id, role_name(node->role));
            continue;
        }
        snprintf(ballot, sizeof ballot, "%" PRIu64 ".%u.%u", info->ballot.round, (unsigned)info->ballot.node,
                 (unsigned)info->ballot.incarnation);
        printf("  %-4u %-11s %-6u %-14s ", (unsigned)node->id, role_name(node->role), (unsigned)info->leader, ballot);
        if (cluster_executes(node))
            printf("%12" PRIu64 " %12" PRIu64 "  %s\n", info->executed, info->commands_executed, info->state_hash);
        else
            printf("%12s %12s  %s\n", "-", "-", "-");
    }
}

static void print_how_to_start(const struct demo *d)
{
    const struct cluster *c = &d->cluster;
    printf("kept %s; start it again with:\n", c->folder);
    for (size_t i = 0; i < c->process_count; i++)
        printf("  %s start --config %s --%s %u%s &\n", c->executable, c->config_file,
               c->processes[i].by_group ? "group" : "node", (unsigned)c->processes[i].number, c->native ? " --native" : "");
}

/* ---- The run ---- */

static bool start(struct demo *d)
{
    uint64_t begun = now_ms();
    if (!cluster_start(&d->cluster, &d->problem) ||
        !cluster_wait_ready(&d->cluster, READY_TIMEOUT_MS, &interrupted, &d->problem))
        return false;
    const struct config_node *leader = cluster_leader(&d->cluster);
    d->ballot = d->cluster.info[leader->id].ballot;
    printf("leader: node %u, ballot %" PRIu64 ".%u.%u, %.2f s after the start\n", (unsigned)leader->id, d->ballot.round,
           (unsigned)d->ballot.node, (unsigned)d->ballot.incarnation, (double)(now_ms() - begun) / 1000);
    d->target_count = cluster_targets(&d->cluster, d->targets);
    return true;
}

static bool check(struct demo *d)
{
    const struct demo_expectation expected = {
        .requests = d->requests,
        .value_size = d->value_size,
        .counters = d->kill_count > 0 ? COUNTERS : 0,
        .kills_wanted = d->kill_count,
        .kills = d->killed,
        .ballot = d->ballot,
        .result = &d->result,
    };
    bool ok = demo_check(&d->cluster, &expected, &interrupted, &d->problem);
    if (!ok)
        cluster_look(&d->cluster, LOOK_TIMEOUT_MS); /* the check may have ended before it looked */
    print_nodes(d);
    return ok;
}

/* ---- When to kill ---- */

static bool parse_kills(struct demo *d)
{
    for (const char *at = d->kill_at;; at++) {
        char *end = NULL;
        const unsigned long long answers = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : 0;
        const bool ascends = d->kill_count == 0 || answers > d->kills[d->kill_count - 1];
        if (answers == 0 || !ascends || d->kill_count == KILLS_MAX || (*end != ',' && *end != '\0')) {
            fprintf(stderr,
                    "synod demo: --kill-leader-at: '%s' is not a list of at most %d numbers of requests, ascending\n",
                    d->kill_at, KILLS_MAX);
            return false;
        }
        d->kills[d->kill_count++] = answers;
        if (*end == '\0')
            return true;
        at = end;
    }
}

/* False: standard error says what is wrong. */
static bool plan_kills(struct demo *d)
{
    if (d->kill_at != NULL && d->kills_spread > 0) {
        fprintf(stderr, "synod demo: give either --kills or --kill-leader-at\n");
        return false;
    }
    if (d->kill_at != NULL)
        return parse_kills(d);
    if (d->kills_spread >= d->requests) {
        fprintf(stderr, "synod demo: --kills must be below --requests\n");
        return false;
    }
    for (d->kill_count = 0; d->kill_count < d->kills_spread; d->kill_count++)
        d->kills[d->kill_count] = (uint64_t)((double)d->requests * (d->kill_count + 1) / (double)(d->kills_spread + 1));
    return true;
}

static int run(struct demo *d)
{
    const struct cluster_plan plan = {.deployment = deployments[d->deployment],
                                      .nodes = (uint32_t)d->nodes,
                                      .native = d->native,
                                      .granularity = granularity_names[d->granularity]};
    if (!cluster_create(&d->cluster, &plan, &d->problem)) {
        fprintf(stderr, "synod demo: %s\n", d->problem.text);
        return d->problem.exit_code;
    }
    catch_interrupts();
    print_cluster(d);
    bool ok = start(d);
    if (ok) {
        ok = run_load(d);
        print_statistics(d);
    }
    ok = ok && check(d);
    struct problem stopping;
    if (!cluster_stop(&d->cluster, STOP_GRACE_MS, &stopping) && ok) {
        ok = false;
        d->problem = stopping;
    }
    fflush(stdout);
    if (d->keep)
        print_how_to_start(d);
    cluster_close(&d->cluster, d->keep);
    if (ok)
        printf("all checks passed; the cluster is stopped\n");
    else
        fprintf(stderr, "synod demo: %s\n", d->problem.text);
    return ok ? EXIT_OK : d->problem.exit_code;
}

int verb_demo(int argc, char **argv)
{
    static struct demo d; /* has a histogram: large */
    d = (struct demo){.nodes = 3, .clients = 500, .processes = 10, .requests = 1000000, .value_size = 64};
    const struct option_row rows[] = {
        {"deployment", 'd', OPTION_CHOICE, .value = "KIND", .target = &d.deployment, .choices = deployments,
         .text = "all roles in each node, one role in each process, or one node of each role in each process"},
        {"granularity", 'g', OPTION_CHOICE, .value = "LEVEL", .target = &d.granularity, .choices = granularity_names,
         .text = "how much is one component: each part, each agent with all that it calls, or each whole node"},
        {"nodes", 'n', OPTION_NUMBER, .value = "N", .target = &d.nodes, .min = 1, .max = NODE_ID_MAX,
         .text = "nodes of each role"},
        {"clients", 0, OPTION_NUMBER, .value = "N", .target = &d.clients, .min = 1, .max = 10000,
         .text = "logical clients, each with a connection and one request outstanding"},
        {"processes", 0, OPTION_NUMBER, .value = "N", .target = &d.processes, .min = 1, .max = 256,
         .text = "processes that the clients are spread over"},
        {"requests", 0, OPTION_NUMBER, .value = "N", .target = &d.requests, .min = 1, .max = UINT64_C(100000000000),
         .text = "SET requests in all, each with a key of its own; if leaders are killed, INCR requests in sessions"},
        {"value-size", 0, OPTION_NUMBER, .value = "BYTES", .target = &d.value_size, .min = 0, .max = 1024 * 1024 - 1024,
         .text = "size of the values"},
        {"kill-leader-at", 0, OPTION_TEXT, .value = "N,...", .target = &d.kill_at,
         .text = "kill the leader's process when N requests are answered, and start it again; and so on"},
        {"kills", 0, OPTION_NUMBER, .value = "K", .target = &d.kills_spread, .min = 0, .max = KILLS_MAX,
         .text = "the same K times, spread evenly over the requests"},
        {"native", 0, OPTION_FLAG, .target = &d.native,
         .text = "run the native build of the nodes instead of the components"},
        {"keep", 'k', OPTION_FLAG, .target = &d.keep, .text = "keep the folder with configuration, data and logs"},
    };
    const struct command_help help = {
        .command = "synod demo",
        .description =
            "Starts a cluster on this machine in a folder of its own (in $TMPDIR, otherwise /var/tmp), puts load on it,\n"
            "prints the statistics, checks that all nodes have the same state and that nothing was lost, and\n"
            "stops the cluster. Where leaders are killed, each client has a session: what is not answered, it sends again,\n"
            "and counters must then be at exactly what was asked for.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  all checks passed\n  1  it could not be run, or was interrupted\n"
                      "  2  wrong command line, or no ports free\n  5  a check failed; standard error says which\n",
        .examples = "  synod demo\n  synod demo --deployment standalone --requests 100000\n  synod demo --granularity node\n"
                    "  synod demo --requests 200000 --kill-leader-at 100000 --keep\n"
                    "  synod demo --deployment shared --kills 20\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    if (d.native && d.granularity != GRANULARITY_PARTS) {
        fprintf(stderr, "synod demo: --granularity: with --native there are no components\n");
        return EXIT_BAD_INPUT;
    }
    return plan_kills(&d) ? run(&d) : EXIT_BAD_INPUT;
}
