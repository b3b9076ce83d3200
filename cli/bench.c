/* `synod bench`: only the load generator, against a running cluster (or any server that speaks RESP). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"
#include "host/config.h"
#include "host/options.h"
#include "load/info.h"
#include "local/counters.h"
#include "local/guest_client.h"
#include "local/load_report.h"

enum { TARGETS_MAX = 64, LOOK_TIMEOUT_MS = 1000 };

static const char *const mode_names[] = {"persistent", "oneshot", NULL};
static const char *const command_names[] = {"set", "get", "incr", "mixed", NULL}; /* enum load_command */
static const char *const protocol_names[] = {"resp", "etcd-http", NULL};          /* enum load_protocol */

struct bench {
    const char *config_file, *address;
    uint64_t requests, connections, processes, pipeline, value_size, keyspace, timeout_ms;
    uint32_t mode, command, protocol;
    bool readonly, resend, sessions, checked, guest, json, quiet;
    struct load_target targets[TARGETS_MAX];
    size_t target_count;
    struct load_progress_line line;
    struct counters counters; /* where they are checked */
};

/* One host:port, IPv6 in brackets. */
static bool parse_address(struct bench *b, const char *text, size_t len, struct problem *problem)
{
    char copy[300];
    struct load_target *t = &b->targets[b->target_count];
    if (b->target_count == TARGETS_MAX || len >= sizeof copy)
        return problem_set(problem, EXIT_BAD_INPUT, "--address: too many addresses (at most %d), or one too long",
                           TARGETS_MAX);
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *colon = strrchr(copy, ':'), *host = copy, *end = NULL;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (colon != NULL)
        *colon = '\0';
    if (host[0] == '[' && colon > host && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    if (colon == NULL || end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX || host[0] == '\0' ||
        strlen(host) >= sizeof t->host)
        return problem_set(problem, EXIT_BAD_INPUT, "--address: '%.*s' is not host:port", (int)len, text);
    snprintf(t->host, sizeof t->host, "%s", host);
    t->port = (uint16_t)port;
    b->target_count++;
    return true;
}

static bool parse_addresses(struct bench *b, struct problem *problem)
{
    for (const char *at = b->address;; at++) {
        size_t len = strcspn(at, ",");
        if (!parse_address(b, at, len, problem))
            return false;
        at += len;
        if (*at == '\0')
            return true;
    }
}

/* The leader's port comes first, if a node says who leads: otherwise each connection would be made twice, which counts as
 * its first request's latency. */
static void leader_first(struct bench *b, const uint32_t *nodes)
{
    struct node_info info;
    char error[256];
    size_t leads = 0;
    for (size_t i = 0; i < b->target_count && leads == 0; i++)
        if (info_fetch(b->targets[i].host, b->targets[i].port, LOOK_TIMEOUT_MS, &info, error, sizeof error))
            for (size_t k = 1; k < b->target_count; k++)
                leads = nodes[k] == info.leader ? k : leads;
    const struct load_target leader = b->targets[leads];
    memmove(&b->targets[1], &b->targets[0], leads * sizeof *b->targets);
    b->targets[0] = leader;
}

/* The client ports of all nodes that take commands. */
static bool targets_of_config(struct bench *b, struct problem *problem)
{
    struct config config;
    uint32_t nodes[TARGETS_MAX];
    if (!config_load(&config, b->config_file, problem))
        return false;
    for (size_t i = 0; i < config.node_count && b->target_count < TARGETS_MAX; i++) {
        const struct config_node *node = &config.nodes[i];
        if ((node->role != ROLE_COORDINATOR && node->role != ROLE_PROPOSER) || node->client.host[0] == '\0')
            continue;
        nodes[b->target_count] = node->id;
        struct load_target *t = &b->targets[b->target_count++];
        snprintf(t->host, sizeof t->host, "%s", node->client.host);
        t->port = node->client.port;
    }
    config_close(&config);
    if (b->target_count > 0 && !b->readonly)
        leader_first(b, nodes);
    return b->target_count > 0 ||
           problem_set(problem, EXIT_BAD_INPUT, "%s: no node that takes commands has a client port", b->config_file);
}

static bool on_progress(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    struct bench *b = context;
    (void)load;
    if (!b->quiet)
        progress_update(&b->line, counts, seconds);
    return !interrupted;
}

static uint64_t counter_count(const struct load_options *o) { return o->keyspace > 0 ? o->keyspace : o->requests; }

/* Prints that the counters grew by as much as was answered. False: they did not. */
static bool check_counters(const struct bench *b, const struct load_result *result, uint64_t counted)
{
    const uint64_t executed = result->counts.answered + result->counts.session_reply;
    FILE *out = counted != executed ? stderr : stdout;
    if (counted != executed || !b->json)
        fprintf(out, "%s the counters grew by %" PRIu64 ", and %" PRIu64 " requests were answered\n",
                counted != executed ? "synod bench:" : "  Check:", counted, executed);
    return counted == executed;
}

/* Runs the load and prints what came out. Returns the exit code. */
static int run_load(struct bench *b, const struct load_options *o)
{
    static struct load_result result; /* has a histogram: large */
    struct problem problem = {0};
    char error[512] = "";
    uint64_t before = 0, counted = 0;
    if (b->checked && !counters_sum(&b->counters, counter_count(o), &before, &problem)) {
        fprintf(stderr, "synod bench: %s\n", problem.text);
        return problem.exit_code;
    }
    progress_begin(&b->line, o->requests);
    bool ok = load_run(o, on_progress, b, &result, error, sizeof error);
    progress_end(&b->line);
    const bool checks = b->checked && ok && !result.stopped;
    const bool read = !checks || counters_sum(&b->counters, counter_count(o), &counted, &problem);
    counted -= before;
    if (b->json)
        ok &= report_json(o, &result, checks && read ? &counted : NULL);
    else
        report_statistics(&result);
    if (!ok)
        fprintf(stderr, "synod bench: %s\n", error[0] != '\0' ? error : "out of memory");
    else if (result.stopped)
        fprintf(stderr, "synod bench: stopped before all requests were answered\n");
    else if (!read)
        fprintf(stderr, "synod bench: %s\n", problem.text);
    if (!ok || result.stopped)
        return EXIT_TROUBLE;
    if (!read)
        return problem.exit_code;
    const bool exact = !checks || check_counters(b, &result, counted);
    return exact && result.counts.answered == o->requests ? EXIT_OK : EXIT_CHECK_FAILED;
}

static int run(struct bench *b)
{
    struct load_options o;
    struct problem problem = {0};
    if (!(b->address != NULL ? parse_addresses(b, &problem) : targets_of_config(b, &problem))) {
        fprintf(stderr, "synod bench: %s\n", problem.text);
        return problem.exit_code;
    }
    load_defaults(&o);
    o.targets = b->targets;
    o.target_count = b->target_count;
    o.connections = (uint32_t)b->connections;
    o.processes = (uint32_t)(b->processes < b->connections ? b->processes : b->connections);
    o.pipeline = (uint32_t)b->pipeline;
    o.oneshot = b->mode == 1;
    o.readonly = b->readonly;
    o.resend = b->resend;
    o.sessions = b->sessions;
    o.protocol = (uint8_t)b->protocol;
    o.command = (uint8_t)b->command;
    o.requests = b->requests;
    o.keyspace = b->keyspace;
    o.value_size = b->value_size;
    o.request_timeout_ms = (uint32_t)b->timeout_ms;
    if (b->guest && !guest_client_use(&o, &problem)) {
        fprintf(stderr, "synod bench: %s\n", problem.text);
        return problem.exit_code;
    }
    catch_interrupts();
    b->checked |= b->sessions && o.command == COMMAND_INCR;
    b->counters = (struct counters){.targets = b->targets, .count = b->target_count};
    const int code = run_load(b, &o);
    counters_close(&b->counters);
    return code;
}

/* Whether these options go together. False: standard error says why not. */
static bool check_options(const struct bench *b)
{
    const char *wrong = NULL;
    if ((b->address == NULL) == (b->config_file == NULL))
        wrong = "give either --config or --address; see synod bench --help";
    else if (b->mode == 1 && b->pipeline > 1)
        wrong = "--mode oneshot has one request a connection, so --pipeline must be 1";
    else if (b->checked && b->command != COMMAND_INCR)
        wrong = "--check looks at what --command incr has added to";
    else if ((b->sessions || b->checked) && b->protocol != PROTOCOL_RESP)
        wrong = "--sessions and --check are there over RESP only";
    else if (b->sessions && b->pipeline > LOAD_SESSION_PIPELINE_MAX)
        wrong = "a session has at most 1024 commands without an answer, so with --sessions --pipeline must be at most 1024";
    if (wrong != NULL)
        fprintf(stderr, "synod bench: %s\n", wrong);
    return wrong == NULL;
}

int verb_bench(int argc, char **argv)
{
    struct bench b = {
        .requests = 100000, .connections = 50, .processes = 1, .pipeline = 1, .value_size = 64, .timeout_ms = 5000};
    const struct option_row rows[] = {
        {"config", 'c', OPTION_TEXT, .value = "FILE", .target = &b.config_file,
         .text = "configuration of the cluster: all client ports of nodes that take commands"},
        {"address", 'a', OPTION_TEXT, .value = "HOST:PORT,...", .target = &b.address,
         .text = "client ports, instead of --config"},
        {"requests", 'n', OPTION_NUMBER, .value = "N", .target = &b.requests, .min = 1, .max = UINT64_C(100000000000),
         .text = "requests in all"},
        {"connections", 0, OPTION_NUMBER, .value = "N", .target = &b.connections, .min = 1, .max = 100000,
         .text = "connections in all"},
        {"processes", 0, OPTION_NUMBER, .value = "N", .target = &b.processes, .min = 1, .max = 256, .text = "processes"},
        {"pipeline", 'P', OPTION_NUMBER, .value = "N", .target = &b.pipeline, .min = 1, .max = 10000,
         .text = "requests outstanding on each connection"},
        {"mode", 0, OPTION_CHOICE, .value = "MODE", .target = &b.mode, .choices = mode_names,
         .text = "connections that last, or one for each request"},
        {"command", 0, OPTION_CHOICE, .value = "NAME", .target = &b.command, .choices = command_names,
         .text = "what is requested"},
        {"value-size", 0, OPTION_NUMBER, .value = "BYTES", .target = &b.value_size, .min = 0, .max = 16 * 1024 * 1024,
         .text = "size of the values that are set"},
        {"keyspace", 0, OPTION_NUMBER, .value = "N", .target = &b.keyspace, .min = 0, .max = UINT64_C(100000000000),
         .text = "number of different keys; 0: one for each request"},
        {"timeout-ms", 0, OPTION_NUMBER, .value = "MS", .target = &b.timeout_ms, .min = 10, .max = 3600000,
         .text = "a connection without an answer for so long is given up"},
        {"readonly", 0, OPTION_FLAG, .target = &b.readonly,
         .text = "reads are answered by the node that is asked, whichever leads"},
        {"resend", 0, OPTION_FLAG, .target = &b.resend,
         .text = "send requests of unknown outcome again (they may be executed twice)"},
        {"sessions", 0, OPTION_FLAG, .target = &b.sessions,
         .text = "a session for each connection: what was not answered is sent again, and executed once"},
        {"check", 0, OPTION_FLAG, .target = &b.checked,
         .text = "check that the counters grew by the requests answered (always for incr with --sessions)"},
        {"protocol", 0, OPTION_CHOICE, .value = "NAME", .target = &b.protocol, .choices = protocol_names,
         .text = "the server's protocol; etcd-http puts the same load on etcd, to compare"},
        {"guest-client", 0, OPTION_FLAG, .target = &b.guest,
         .text = "the clients are WebAssembly, too: each process runs the client component"},
        {"json", 0, OPTION_FLAG, .target = &b.json, .text = "print the statistics as JSON"},
        {"quiet", 'q', OPTION_FLAG, .target = &b.quiet, .text = "no progress"},
    };
    const struct command_help help = {
        .command = "synod bench",
        .description =
            "Puts load on a cluster that runs, in a closed loop: every connection keeps --pipeline requests outstanding.\n"
            "Follows -MOVED to the leader; waits and sends again when there is none. Prints count, min, max, mean,\n"
            "median, P95, P99 and P99.9 of the latency, and the throughput.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  every request was answered\n  1  stopped (Ctrl-C), or no answers any more\n"
                      "  2  wrong command line or configuration\n"
                      "  5  errors, requests of unknown outcome, or counters that do not fit what was answered\n",
        .examples = "  synod bench --config examples/coordinator.yaml --requests 1000000 --connections 500 --processes 10\n"
                    "  synod bench --address 127.0.0.1:6001 --command mixed --keyspace 1000 --json\n"
                    "  synod bench --config examples/coordinator.yaml --command incr --keyspace 100 --sessions\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    return check_options(&b) ? run(&b) : EXIT_BAD_INPUT;
}
