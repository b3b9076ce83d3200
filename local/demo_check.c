#include "local/demo_check.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "core/base/assert.h"
#include "local/counters.h"

enum { SETTLE_TIMEOUT_MS = 60000, LOOK_TIMEOUT_MS = 1000, LOOK_EVERY_MS = 100, SAMPLES = 100, READ_TIMEOUT_S = 5 };

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The first node that executes. */
static const struct config_node *first_executor(const struct cluster *c)
{
    for (size_t i = 0; i < c->config.node_count; i++)
        if (cluster_executes(&c->config.nodes[i]))
            return &c->config.nodes[i];
    return NULL;
}

/* True when all nodes answer, and all that execute are at the same slot and know of no chosen slot beyond it. */
static bool at_same_slot(const struct cluster *c)
{
    const struct config_node *first = first_executor(c);
    for (size_t i = 0; i < c->config.node_count; i++) {
        const struct config_node *node = &c->config.nodes[i];
        const struct node_info *info = &c->info[node->id];
        if (!c->answers[node->id])
            return false;
        if (cluster_executes(node) && (info->executed != c->info[first->id].executed || info->chosen > info->executed))
            return false;
    }
    return cluster_leader(c) != NULL;
}

/* The slots of all nodes, for the message that they do not agree. */
static void describe(const struct cluster *c, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < c->config.node_count; i++) {
        uint32_t id = c->config.nodes[i].id;
        const struct node_info *info = &c->info[id];
        int n = 0;
        if (!c->answers[id])
            n = snprintf(out + used, size - used, "; node %u does not answer", (unsigned)id);
        else if (cluster_executes(&c->config.nodes[i]))
            n = snprintf(out + used, size - used, "; node %u: executed %" PRIu64 ", chosen %" PRIu64 ", state %s",
                         (unsigned)id, info->executed, info->chosen, info->state_hash);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

static bool wait_for_same_slot(struct cluster *c, const volatile int *interrupted, struct problem *problem)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000};
    uint64_t deadline = now_ms() + SETTLE_TIMEOUT_MS;
    for (;;) {
        if (!cluster_alive(c, problem))
            return false;
        cluster_look(c, LOOK_TIMEOUT_MS);
        if (at_same_slot(c))
            return true;
        if (*interrupted)
            return problem_set(problem, EXIT_TROUBLE, "interrupted");
        if (now_ms() > deadline) {
            char where[800];
            describe(c, where, sizeof where);
            return problem_set(problem, EXIT_CHECK_FAILED, "the nodes do not reach the same slot%s%s",
                               cluster_leader(c) == NULL ? "; nobody leads" : "", where);
        }
        nanosleep(&pause, NULL);
    }
}

static bool check_counts(const struct demo_expectation *e, struct problem *problem)
{
    const struct load_counts *n = &e->result->counts;
    if (n->answered != e->requests || n->errors != 0 || n->unknown != 0)
        return problem_set(problem, EXIT_CHECK_FAILED,
                           "%" PRIu64 " of %" PRIu64 " requests were answered, %" PRIu64 " with an error, %" PRIu64
                           " have an unknown outcome%s%s",
                           n->answered, e->requests, n->errors, n->unknown, n->errors > 0 ? "; first error: " : "",
                           e->result->first_error);
    if (e->kills < e->kills_wanted)
        return problem_set(problem, EXIT_CHECK_FAILED, "the leader was killed %u times, not %u: the load ended first",
                           (unsigned)e->kills, (unsigned)e->kills_wanted);
    if (e->result->recoveries < e->kills)
        return problem_set(problem, EXIT_CHECK_FAILED,
                           "no request was answered after the leader was killed: the load ended first");
    printf("check: %" PRIu64 " of %" PRIu64 " requests answered\n", n->answered, e->requests);
    return true;
}

static bool check_states(const struct cluster *c, const struct demo_expectation *e, struct problem *problem)
{
    const struct config_node *first = first_executor(c);
    const struct node_info *one = &c->info[first->id];
    unsigned count = 0;
    for (size_t i = 0; i < c->config.node_count; i++) {
        const struct config_node *node = &c->config.nodes[i];
        const struct node_info *info = &c->info[node->id];
        if (!cluster_executes(node))
            continue;
        if (strcmp(info->state_hash, one->state_hash) != 0)
            return problem_set(problem, EXIT_CHECK_FAILED,
                               "states differ after slot %" PRIu64 ": node %u has %s, node %u has %s", one->executed,
                               (unsigned)first->id, one->state_hash, (unsigned)node->id, info->state_hash);
        /* After a kill some requests were sent twice, and the restarted node may have counted from its snapshot on. */
        if (e->kills == 0 && info->commands_executed < e->requests)
            return problem_set(problem, EXIT_CHECK_FAILED,
                               "node %u has executed %" PRIu64 " commands, fewer than were answered", (unsigned)node->id,
                               info->commands_executed);
        count++;
    }
    printf("check: executed slot %" PRIu64 " and state %s are equal on all %u nodes that execute\n", one->executed,
           one->state_hash, count);
    return true;
}

static bool check_ballot(const struct cluster *c, const struct demo_expectation *e, struct problem *problem)
{
    const struct config_node *leader = cluster_leader(c);
    const struct ballot now = c->info[leader->id].ballot, then = e->ballot;
    bool same = ballot_compare(now, then) == 0;
    if (same == (e->kills > 0))
        return problem_set(problem, EXIT_CHECK_FAILED,
                           "the leader %s: ballot %" PRIu64 ".%u.%u at the start, %" PRIu64 ".%u.%u at the end",
                           same ? "was killed but still leads" : "changed on the way", then.round, (unsigned)then.node,
                           (unsigned)then.incarnation, now.round, (unsigned)now.node, (unsigned)now.incarnation);
    printf("check: %s\n", same ? "no leader change on the way" : "another ballot leads after the kill");
    return true;
}

/* Reads one key back. */
static bool check_value(redisContext *connection, const struct demo_expectation *e, uint64_t number, char *value,
                        struct problem *problem)
{
    char key[KEY_SIZE + 1];
    key_of(number, key);
    value_of(number, value, e->value_size);
    redisReply *reply = redisCommand(connection, "GET %s", key);
    bool ok = reply != NULL && reply->type == REDIS_REPLY_STRING && (size_t)reply->len == e->value_size &&
              memcmp(reply->str, value, e->value_size) == 0;
    if (reply == NULL)
        problem_set(problem, EXIT_CHECK_FAILED, "GET %s: %s", key, connection->errstr);
    else if (!ok)
        problem_set(problem, EXIT_CHECK_FAILED, "GET %s gives %s%.100s instead of what was set", key,
                    reply->type == REDIS_REPLY_STRING  ? "another value: "
                    : reply->type == REDIS_REPLY_ERROR ? ""
                                                       : "nothing",
                    reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    freeReplyObject(reply);
    return ok;
}

/* A sample of keys over the whole range, first and last included, read from the leader. */
static bool check_values(const struct cluster *c, const struct demo_expectation *e, struct problem *problem)
{
    const struct endpoint *at = &cluster_leader(c)->client;
    const struct timeval timeout = {.tv_sec = READ_TIMEOUT_S};
    uint64_t samples = e->requests < SAMPLES ? e->requests : SAMPLES;
    redisContext *connection = redisConnectWithTimeout(at->host, at->port, timeout);
    char *value = malloc(e->value_size + 1);
    bool ok = connection != NULL && value != NULL && connection->err == 0;
    if (!ok)
        problem_set(problem, EXIT_CHECK_FAILED, "cannot connect to the leader at %s port %u: %s", at->host,
                    (unsigned)at->port, connection != NULL ? connection->errstr : "out of memory");
    else
        redisSetTimeout(connection, timeout);
    for (uint64_t i = 0; ok && i < samples; i++) {
        uint64_t number = samples > 1 ? (uint64_t)((double)(e->requests - 1) * (double)i / (double)(samples - 1)) : 0;
        ok = check_value(connection, e, number, value, problem);
    }
    if (connection != NULL)
        redisFree(connection);
    free(value);
    if (ok)
        printf("check: %" PRIu64 " values read back\n", samples);
    return ok;
}

/* Request n adds to counter n modulo their number. */
static bool check_counter(const struct demo_expectation *e, uint64_t number, int64_t value, struct problem *problem)
{
    const uint64_t expected = e->requests / e->counters + (number < e->requests % e->counters ? 1 : 0);
    char key[KEY_SIZE + 1];
    key_of(number, key);
    return (uint64_t)value == expected ||
           problem_set(problem, EXIT_CHECK_FAILED, "%s is at %" PRId64 ", not at %" PRIu64 ": requests were lost or doubled",
                       key, value, expected);
}

static bool check_counters(const struct cluster *c, const struct demo_expectation *e, struct problem *problem)
{
    struct load_target targets[NODE_ID_MAX];
    int64_t values[COUNTERS_READ_MAX], sum = 0;
    struct counters counters = {.targets = targets, .count = cluster_targets(c, targets)};
    invariant(e->counters <= COUNTERS_READ_MAX);
    bool ok = counters_read(&counters, 0, e->counters, values, problem);
    counters_close(&counters);
    for (size_t i = 0; ok && i < e->counters; i++) {
        ok = check_counter(e, i, values[i], problem);
        sum += values[i];
    }
    if (ok)
        printf("check: %" PRIu64
               " INCR requests in sessions over %u kills of the leader: the counters are at exactly %" PRId64 "\n",
               e->requests, (unsigned)e->kills, sum);
    return ok;
}

bool demo_check(struct cluster *c, const struct demo_expectation *expected, const volatile int *interrupted,
                struct problem *problem)
{
    return check_counts(expected, problem) && wait_for_same_slot(c, interrupted, problem) &&
           check_states(c, expected, problem) && check_ballot(c, expected, problem) &&
           (expected->counters > 0 ? check_counters : check_values)(c, expected, problem);
}
