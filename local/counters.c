#include "local/counters.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "core/base/assert.h"
#include "core/formats/decimal.h"
#include "load/load_sockets.h"
#include "local/load_report.h"

enum { TIMEOUT_US = 30 * 1000000, ANSWER_S = 5 };
static const struct timespec between_attempts = {.tv_nsec = 100 * 1000000L};

static void hang_up(struct counters *c)
{
    if (c->asked != NULL)
        redisFree(c->asked);
    c->asked = NULL;
}

void counters_close(struct counters *c) { hang_up(c); }

/* What a node says that cannot answer now; another one may. */
static bool may_be_asked_again(const redisReply *reply)
{
    static const char *const words[] = {"MOVED ", "CLUSTERDOWN", "BUSY", "NOROOM", "UNKNOWN"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(reply->str, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* One attempt. NULL: it may be made again; `problem` says why it failed. The caller frees the reply. */
static redisReply *ask(struct counters *c, int argc, const char **argv, struct problem *problem)
{
    const struct load_target *target = &c->targets[c->at];
    const struct timeval timeout = {.tv_sec = ANSWER_S};
    if (c->asked == NULL) {
        c->asked = redisConnectWithTimeout(target->host, target->port, timeout);
        if (c->asked != NULL && c->asked->err == 0)
            redisSetTimeout(c->asked, timeout);
    }
    redisReply *reply = c->asked != NULL && c->asked->err == 0 ? redisCommandArgv(c->asked, argc, argv, NULL) : NULL;
    if (reply != NULL && (reply->type != REDIS_REPLY_ERROR || !may_be_asked_again(reply)))
        return reply;
    problem_set(problem, EXIT_TROUBLE, "cannot read the counters: %s port %u: %.200s", target->host, (unsigned)target->port,
                reply != NULL      ? reply->str
                : c->asked != NULL ? c->asked->errstr
                                   : "out of memory");
    freeReplyObject(reply);
    hang_up(c);
    c->at = (c->at + 1) % c->count;
    return NULL;
}

static bool take_values(const redisReply *reply, uint64_t first, size_t count, int64_t *values, struct problem *problem)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count)
        return problem_set(problem, EXIT_CHECK_FAILED, "MGET of counters was answered with %.200s",
                           reply->type == REDIS_REPLY_ERROR ? reply->str : "something else than as many values");
    for (size_t i = 0; i < count; i++) {
        const redisReply *value = reply->element[i];
        char key[KEY_SIZE + 1];
        values[i] = 0;
        if (value->type == REDIS_REPLY_NIL)
            continue;
        key_of(first + i, key);
        if (value->type != REDIS_REPLY_STRING || !decimal_read((const uint8_t *)value->str, (size_t)value->len, &values[i]))
            return problem_set(problem, EXIT_CHECK_FAILED, "%s has something else than a number", key);
    }
    return true;
}

bool counters_read(struct counters *c, uint64_t first, size_t count, int64_t *values, struct problem *problem)
{
    char keys[COUNTERS_READ_MAX][KEY_SIZE + 1];
    const char *argv[1 + COUNTERS_READ_MAX] = {"MGET"};
    invariant(count >= 1 && count <= COUNTERS_READ_MAX && c->count >= 1);
    for (size_t i = 0; i < count; i++) {
        key_of(first + i, keys[i]);
        argv[1 + i] = keys[i];
    }
    for (const uint64_t until = load_now_us() + TIMEOUT_US; load_now_us() < until && !interrupted;) {
        redisReply *reply = ask(c, (int)count + 1, argv, problem);
        if (reply != NULL) {
            const bool ok = take_values(reply, first, count, values, problem);
            freeReplyObject(reply);
            return ok;
        }
        nanosleep(&between_attempts, NULL);
    }
    return interrupted ? problem_set(problem, EXIT_TROUBLE, "interrupted") : false;
}

bool counters_sum(struct counters *c, uint64_t count, uint64_t *sum, struct problem *problem)
{
    int64_t values[COUNTERS_READ_MAX];
    *sum = 0;
    for (uint64_t first = 0; first < count; first += COUNTERS_READ_MAX) {
        const size_t piece = count - first < COUNTERS_READ_MAX ? (size_t)(count - first) : COUNTERS_READ_MAX;
        if (!counters_read(c, first, piece, values, problem))
            return false;
        for (size_t i = 0; i < piece; i++)
            *sum += (uint64_t)values[i];
    }
    return true;
}
