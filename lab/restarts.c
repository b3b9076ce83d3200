/* `synod-lab restarts`: a part of a node breaks again and again while a client is at work.
 *
 *   1. A cluster of three coordinators with parts that break on demand (faulty/nodes), and with keys set beforehand: a node
 *      that restarts executes its journal again.
 *   2. One client sets keys, one request after the other, each key once. After some requests a fault is ordered. The client
 *      goes on until the node has restarted and has a spare for the next time, and a request was answered afterwards.
 *   3. Two times count. The interruption as the client sees it: the longest time from one answer to the next, beginning with
 *      the last answer before the fault. And the time from the fault until the node is ready, as the node says itself.
 *   4. In the end every value whose request was answered is read back. A request of unknown outcome may have been executed
 *      or not. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "host/composition.h"
#include "lab/lab.h"
#include "lab/runs.h"
#include "local/load_report.h"

enum {
    NODES = 3,
    READY_TIMEOUT_MS = 60000,
    STOP_GRACE_MS = 15000,
    LOOK_TIMEOUT_MS = 1000,
    LOOK_EVERY_US = 5000,
    RESTART_TIMEOUT_US = 60 * 1000 * 1000,
    SHOW_EVERY_US = 3 * 1000 * 1000,
    PAUSE_US = 1000, /* before a request that was refused is sent again */
    READ_PIPELINE = 1000,
    VALUE_MAX = 64 * 1024,
};

static const char *const roles[] = {"leader", "any", NULL};
static const char *const faults[] = {"trap", "loop", "memory", NULL};
enum { ROLE_ANY_NODE = 1 };

struct restarts {
    uint64_t keys, count, requests, value_size;
    uint32_t role, fault;
    const char *part;
    struct lab_output output;

    struct cluster cluster;
    struct load_target targets[NODE_ID_MAX];
    size_t target_count, target;
    redisContext *connection; /* NULL: none */
    uint64_t next;            /* the number of the next request's key */
    uint8_t *acknowledged;    /* by number: a request whose answer was +OK */
    size_t acknowledged_capacity;
    uint64_t last_answer_us, gap_us; /* the longest one since the fault was ordered */
    uint64_t answered, unknown;
    double *interruptions_ms, *restarts_ms;
    uint64_t done;
    uint64_t lost;
};

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void pause_us(uint64_t us)
{
    const struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

/* ---- The fault ---- */

/* Makes a part of a node break at its next call. */
static bool break_node(const struct restarts *r, uint32_t node, struct problem *problem)
{
    const struct endpoint *at = &config_find(&r->cluster.config, node)->client;
    const struct timeval timeout = {.tv_sec = LOOK_TIMEOUT_MS / 1000};
    redisContext *c = redisConnectWithTimeout(at->host, at->port, timeout);
    redisReply *reply = NULL;
    if (c != NULL && c->err == 0 && redisSetTimeout(c, timeout) == REDIS_OK)
        reply = redisCommand(c, "DEBUG FAULT %s %s", r->part, faults[r->fault]);
    bool done = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (!done)
        problem_set(problem, EXIT_TROUBLE, "node %u takes no order to break: %s", (unsigned)node,
                    reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str
                    : c != NULL                                       ? c->errstr
                                                                      : "out of memory");
    if (reply != NULL)
        freeReplyObject(reply);
    if (c != NULL)
        redisFree(c);
    return done;
}

/* ---- The client ---- */

static void disconnect(struct restarts *r)
{
    if (r->connection != NULL)
        redisFree(r->connection);
    r->connection = NULL;
}

/* Asks about the cluster, so that a node that does not lead sends the client to the leader. */
static bool greet(redisContext *connection)
{
    redisReply *reply = redisCommand(connection, "CLUSTER MYID");
    if (reply == NULL)
        return false;
    freeReplyObject(reply);
    return true;
}

static bool connect_to_target(struct restarts *r)
{
    const struct load_target *t = &r->targets[r->target];
    const struct timeval timeout = {.tv_sec = LOOK_TIMEOUT_MS / 1000};
    if (r->connection != NULL)
        return true;
    r->connection = redisConnectWithTimeout(t->host, t->port, timeout);
    if (r->connection != NULL && r->connection->err == 0 && redisSetTimeout(r->connection, timeout) == REDIS_OK &&
        greet(r->connection))
        return true;
    disconnect(r);
    r->target = (r->target + 1) % r->target_count;
    return false;
}

/* "MOVED <slot> <host>:<port>": goes to that node, or to the next one if it is not in the cluster. */
static void follow(struct restarts *r, const char *moved)
{
    const char *address = strrchr(moved, ' '), *colon = strrchr(moved, ':');
    size_t found = (r->target + 1) % r->target_count;
    for (size_t i = 0; address != NULL && colon != NULL && i < r->target_count; i++)
        if (r->targets[i].port == (uint16_t)strtoul(colon + 1, NULL, 10))
            found = i;
    disconnect(r);
    r->target = found;
}

static void note_answer(struct restarts *r, uint64_t number)
{
    uint64_t now = now_us(), gap = now - r->last_answer_us;
    r->acknowledged = memory_reserve(r->acknowledged, &r->acknowledged_capacity, number + 1, 1);
    r->acknowledged[number] = 1;
    r->answered++;
    r->gap_us = gap > r->gap_us ? gap : r->gap_us;
    r->last_answer_us = now;
}

/* A request that was not executed is sent again. All others are sent once. */
static void note_error(struct restarts *r, const char *error)
{
    if (strncmp(error, "MOVED ", 6) == 0) {
        follow(r, error);
    } else if (strncmp(error, "UNKNOWN", 7) == 0) {
        r->unknown++;
        r->next++;
    } else { /* -CLUSTERDOWN, -BUSY, -LOADING */
        pause_us(PAUSE_US);
    }
}

/* Sends one request and handles its result. */
static void request(struct restarts *r)
{
    char key[KEY_SIZE + 1];
    static char value[VALUE_MAX];
    if (!connect_to_target(r)) {
        pause_us(PAUSE_US);
        return;
    }
    key_of(r->next, key);
    value_of(r->next, value, r->value_size);
    r->acknowledged = memory_reserve(r->acknowledged, &r->acknowledged_capacity, r->next + 1, 1);
    r->acknowledged[r->next] = 0;
    redisReply *reply = redisCommand(r->connection, "SET %s %b", key, value, (size_t)r->value_size);
    if (reply == NULL) { /* lost on the way */
        r->unknown++;
        r->next++;
        disconnect(r);
        return;
    }
    if (reply->type == REDIS_REPLY_STATUS)
        note_answer(r, r->next++);
    else
        note_error(r, reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    freeReplyObject(reply);
}

/* ---- One fault after the other ---- */

static bool check(struct restarts *r, uint64_t since_us, const char *what, struct problem *problem)
{
    if (!cluster_alive(&r->cluster, problem))
        return false;
    if (interrupted)
        return problem_set(problem, EXIT_TROUBLE, "interrupted");
    return now_us() < since_us + RESTART_TIMEOUT_US ||
           problem_set(problem, EXIT_CHECK_FAILED, "%s within %u s after fault %" PRIu64, what, RESTART_TIMEOUT_US / 1000000,
                       r->done + 1);
}

/* Undisturbed requests; returns with the time of the last answer known. */
static bool warm_up(struct restarts *r, struct problem *problem)
{
    uint64_t since = now_us();
    for (uint64_t wanted = r->answered + r->requests; r->answered < wanted; request(r))
        if (!check(r, since, "too few requests were answered", problem))
            return false;
    return true;
}

/* The node that will break: the leader, or each in turn. Waits for a leader, while requests go on. */
static bool choose_node(struct restarts *r, uint32_t *node, struct problem *problem)
{
    uint64_t since = now_us();
    *node = (uint32_t)(r->done % NODES) + 1;
    for (;; request(r)) {
        if (!check(r, since, "no leader", problem))
            return false;
        cluster_look(&r->cluster, LOOK_TIMEOUT_MS);
        const struct config_node *leader = cluster_leader(&r->cluster);
        if (leader == NULL)
            continue;
        if (r->role != ROLE_ANY_NODE)
            *node = leader->id;
        return true;
    }
}

/* Sends requests until the node has restarted and is prepared to do so again, and one was answered afterwards. */
static bool ride_out(struct restarts *r, uint32_t node, uint64_t restarts_before, struct problem *problem)
{
    const struct endpoint *at = &config_find(&r->cluster.config, node)->client;
    uint64_t since = now_us(), looked = since;
    struct node_info info = {0};
    char error[400];
    while (info.restarts <= restarts_before || info.spare == 0) {
        if (!check(r, since, "the node did not restart", problem))
            return false;
        request(r);
        if (now_us() < looked + LOOK_EVERY_US)
            continue;
        if (!info_fetch(at->host, at->port, LOOK_TIMEOUT_MS, &info, error, sizeof error))
            info = (struct node_info){0};
        looked = now_us();
    }
    for (uint64_t answered = r->answered; r->answered == answered; request(r))
        if (!check(r, since, "no request was answered", problem))
            return false;
    r->restarts_ms[r->done] = (double)info.last_restart_us / 1000;
    r->interruptions_ms[r->done] = (double)r->gap_us / 1000;
    return true;
}

static bool one_fault(struct restarts *r, struct problem *problem)
{
    uint32_t node;
    if (!warm_up(r, problem) || !choose_node(r, &node, problem))
        return false;
    uint64_t restarts_before = r->cluster.info[node].restarts;
    if (!warm_up(r, problem)) /* looking took time, which is not an interruption */
        return false;
    r->gap_us = 0;
    return break_node(r, node, problem) && ride_out(r, node, restarts_before, problem);
}

/* ---- Reading back ---- */

/* Reads the answers to a pipeline of GETs of the keys listed. */
static bool read_values(struct restarts *r, const uint64_t *numbers, size_t count, struct problem *problem)
{
    static char expected[VALUE_MAX];
    for (size_t i = 0; i < count; i++) {
        void *got = NULL;
        if (redisGetReply(r->connection, &got) != REDIS_OK)
            return problem_set(problem, EXIT_TROUBLE, "reading back: %s", r->connection->errstr);
        const redisReply *reply = got;
        bool error = reply->type == REDIS_REPLY_ERROR;
        value_of(numbers[i], expected, r->value_size);
        r->lost += reply->type != REDIS_REPLY_STRING || reply->len != r->value_size ||
                   memcmp(reply->str, expected, r->value_size) != 0;
        if (error)
            problem_set(problem, EXIT_TROUBLE, "reading back: %s", reply->str);
        freeReplyObject(got);
        if (error)
            return false;
    }
    return true;
}

static bool read_back(struct restarts *r, struct problem *problem)
{
    uint64_t numbers[READ_PIPELINE];
    size_t count = 0;
    if (!cluster_wait_ready(&r->cluster, READY_TIMEOUT_MS, &interrupted, problem))
        return false;
    disconnect(r);
    r->target_count = cluster_targets(&r->cluster, r->targets);
    r->target = 0; /* the leader */
    if (!connect_to_target(r))
        return problem_set(problem, EXIT_TROUBLE, "reading back: cannot connect to the leader");
    for (uint64_t number = 0; number < r->next; number++) {
        char key[KEY_SIZE + 1];
        if (number >= r->keys && !r->acknowledged[number])
            continue;
        key_of(number, key);
        redisAppendCommand(r->connection, "GET %s", key);
        numbers[count++] = number;
        if (count == READ_PIPELINE && !read_values(r, numbers, count, problem))
            return false;
        count %= READ_PIPELINE;
    }
    return read_values(r, numbers, count, problem);
}

/* ---- The run ---- */

static bool prepare(struct restarts *r, struct problem *problem)
{
    static struct load_result result; /* has a histogram: large */
    const struct lab_load load = {r->keys, r->keys < 50 ? r->keys : 50, r->value_size, 0};
    if (!cluster_start(&r->cluster, problem) || !cluster_wait_ready(&r->cluster, READY_TIMEOUT_MS, &interrupted, problem))
        return false;
    r->target_count = cluster_targets(&r->cluster, r->targets);
    if (r->keys > 0 && !lab_load(&r->cluster, &load, &result, NULL, problem))
        return false;
    r->next = r->keys;
    r->last_answer_us = now_us();
    return true;
}

static bool break_all(struct restarts *r, struct problem *problem)
{
    for (uint64_t shown = now_us(); r->done < r->count; r->done++) {
        if (!one_fault(r, problem))
            return false;
        if (r->output.quiet || now_us() < shown + SHOW_EVERY_US)
            continue;
        shown = now_us();
        fprintf(stderr, "fault %" PRIu64 " of %" PRIu64 "\n", r->done + 1, r->count);
    }
    return true;
}

static bool measure(struct restarts *r, struct problem *problem)
{
    static const char settings[] =
        "  debug_commands: true\n  restarts_max: 1000000\n  restart_backoff_ms: 0\n  turn_timeout_ms: 50\n"
        "  turn_timeout_max_ms: 50\n  memory_bytes_max: 128 MiB\n";
    char nodes[4000], faulty[4096];
    struct problem stopping;
    composition_folder(nodes, sizeof nodes);
    snprintf(faulty, sizeof faulty, "%s/../faulty/nodes", nodes);
    const struct cluster_plan plan = {
        .deployment = "coordinator", .nodes = NODES, .settings = settings, .nodes_folder = faulty};
    if (!cluster_create(&r->cluster, &plan, problem))
        return false;
    bool ok = prepare(r, problem) && break_all(r, problem) && read_back(r, problem);
    disconnect(r);
    bool stopped = cluster_stop(&r->cluster, STOP_GRACE_MS, ok ? problem : &stopping);
    cluster_close(&r->cluster, false);
    if (ok && r->lost > 0)
        return problem_set(problem, EXIT_CHECK_FAILED, "%" PRIu64 " values that were acknowledged are LOST", r->lost);
    return ok && stopped;
}

/* ---- The report ---- */

enum { COUNT, MIN, MEDIAN, P95, P99, MAX, COLUMNS };

static const struct lab_column columns[COLUMNS] = {
    [COUNT] = {"count", "", "count", 0}, [MIN] = {"min", "ms", "min_ms", 3}, [MEDIAN] = {"median", "ms", "median_ms", 3},
    [P95] = {"P95", "ms", "p95_ms", 3},  [P99] = {"P99", "ms", "p99_ms", 3}, [MAX] = {"max", "ms", "max_ms", 3},
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest of `count` sorted values that at least so many percent do not exceed. */
static double percentile(const double *sorted, uint64_t count, uint64_t percent)
{
    uint64_t at = (count * percent + 99) / 100;
    return sorted[at == 0 ? 0 : at - 1];
}

static void fill_row(struct lab_table *t, const char *name, double *values, uint64_t count)
{
    size_t row = lab_table_row(t, name);
    t->values[COUNT][row] = (double)count;
    if (count == 0)
        return;
    qsort(values, count, sizeof *values, compare);
    t->values[MIN][row] = values[0];
    t->values[MEDIAN][row] = percentile(values, count, 50);
    t->values[P95][row] = percentile(values, count, 95);
    t->values[P99][row] = percentile(values, count, 99);
    t->values[MAX][row] = values[count - 1];
}

static int report(struct restarts *r, const struct problem *problem)
{
    static struct lab_table table;
    static const char *const points[] = {"min", "median", "P95", "P99", "max"};
    enum { POINTS = sizeof points / sizeof points[0] };
    double values[2][POINTS];
    lab_table_init(&table, "restarts", "time", columns, COLUMNS);
    lab_table_parameter(&table, "keys", r->keys);
    lab_table_parameter(&table, "restarts", r->count);
    lab_table_parameter(&table, "value_size", r->value_size);
    lab_table_parameter(&table, "acknowledged", r->answered);
    lab_table_parameter(&table, "unknown", r->unknown);
    lab_table_parameter(&table, "lost", r->lost);
    fill_row(&table, "service interruption", r->interruptions_ms, r->done);
    fill_row(&table, "fault to node ready", r->restarts_ms, r->done);
    if (r->done == 0)
        table.problems[0] = *problem;
    struct plot_series series[2];
    for (size_t row = 0; row < 2; row++) {
        for (size_t i = 0; i < POINTS; i++)
            values[row][i] = table.values[MIN + i][row];
        series[row] = (struct plot_series){table.rows[row], values[row]};
    }
    const struct plot_panel panel = {.kind = PLOT_LINES,
                                     .title = "Time (ms)",
                                     .categories = points,
                                     .category_count = POINTS,
                                     .series = series,
                                     .series_count = 2,
                                     .logarithmic = true};
    int code = lab_report(&table, &r->output, "Restarts under supervision", &panel, 1);
    if (problem->exit_code != EXIT_OK && r->done > 0) { /* what was measured until then is shown */
        fprintf(stderr, "synod-lab restarts: after %" PRIu64 " faults: %s\n", r->done, problem->text);
        code = problem->exit_code;
    }
    if (!r->output.json && problem->exit_code == EXIT_OK)
        printf("%" PRIu64 " faults (%s in %s); %" PRIu64 " writes acknowledged while they happened, %" PRIu64
               " of unknown outcome; %" PRIu64 " values set before; all that was acknowledged is still there\n",
               r->done, faults[r->fault], r->part, r->answered, r->unknown, r->keys);
    return code;
}

int lab_restarts(int argc, char **argv)
{
    static struct restarts r; /* has a cluster: large */
    r = (struct restarts){.keys = 100000, .count = 1000, .requests = 20, .value_size = 64, .part = "any"};
    const struct option_row rows[] = {
        {"keys", 0, OPTION_NUMBER, .value = "N", .target = &r.keys, .min = 0, .max = 100000000,
         .text = "keys that are set before the first fault"},
        {"restarts", 'n', OPTION_NUMBER, .value = "N", .target = &r.count, .min = 1, .max = 1000000, .text = "faults"},
        {"requests", 0, OPTION_NUMBER, .value = "N", .target = &r.requests, .min = 1, .max = 1000000,
         .text = "requests between one restart and the next fault, twice"},
        {"value-size", 0, OPTION_NUMBER, .value = "BYTES", .target = &r.value_size, .min = 0, .max = VALUE_MAX,
         .text = "size of the values"},
        {"role", 0, OPTION_CHOICE, .value = "ROLE", .target = &r.role, .choices = roles,
         .text = "which node breaks: the leader, or each in turn"},
        {"fault", 0, OPTION_CHOICE, .value = "KIND", .target = &r.fault, .choices = faults,
         .text = "what the part does: a trap, no end of computing, no end of taking memory"},
        {"part", 0, OPTION_TEXT, .value = "NAME", .target = &r.part, .text = "which part breaks; any: each in turn"},
        LAB_OUTPUT_OPTIONS(r.output),
    };
    const struct command_help help = {
        .command = "synod-lab restarts",
        .description =
            "Starts three coordinators that are made of parts which break on demand (../faulty/nodes beside the composed\n"
            "nodes), sets keys, and makes one node break again and again while one client sets more. Prints how long that\n"
            "client went without an answer, and how long the node took from the fault to being ready. In the end all\n"
            "values that were acknowledged are read back.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  done, and nothing was lost\n  1  interrupted, or it could not be run\n"
                      "  2  wrong command line, or no ports free\n"
                      "  5  an acknowledged write was lost, or a node failed or did not restart\n",
        .examples = "  synod-lab restarts --plot restarts.svg\n"
                    "  synod-lab restarts --restarts 50 --fault loop --role any --part acceptor\n",
    };
    int code = options_parse(&help, argc, argv, NULL);
    if (code != OPTIONS_GO_ON)
        return code;
    struct problem problem = {0}, failure;
    catch_interrupts();
    r.interruptions_ms = memory_new(r.count, sizeof *r.interruptions_ms);
    r.restarts_ms = memory_new(r.count, sizeof *r.restarts_ms);
    if (!measure(&r, &failure))
        problem = failure;
    code = report(&r, &problem);
    free(r.interruptions_ms);
    free(r.restarts_ms);
    free(r.acknowledged);
    return code;
}
