#include "cli/operator_call.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    REDIRECTS_MAX = 100,
    REDIRECTS_AT_ONCE =
        2, /* a cluster that is about to change its leader may send a request back and forth: later ones wait */
    AGAIN_US = 50000,
    CONNECT_MS = 1000,
};

/* What came of asking one node. */
enum step { STEP_DONE, STEP_ELSEWHERE, STEP_LATER, STEP_UNREACHABLE, STEP_FAILED };

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct timeval span(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

/* As endpoint_read; without a host that of `known`, which is the node that said so. */
static bool read_place(const char *text, const struct endpoint *known, struct endpoint *out)
{
    char whole[ENDPOINT_TEXT_MAX];
    if (text[0] != ':' || known == NULL)
        return endpoint_read(text, out);
    const struct endpoint place = *known;
    snprintf(whole, sizeof whole, strchr(place.host, ':') != NULL ? "[%s]%s" : "%s%.8s", place.host, text);
    return endpoint_read(whole, out);
}

static bool begins_with(const char *text, const char *word) { return strncmp(text, word, strlen(word)) == 0; }

/* What a reply means. MOVED changes `place`. */
static enum step judge(const redisReply *reply, struct endpoint *place, char *answer)
{
    snprintf(answer, OPERATOR_ANSWER_MAX, "%.*s", OPERATOR_ANSWER_MAX - 1,
             reply->str != NULL ? reply->str : "an answer that is no text");
    if (reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_STRING)
        return STEP_DONE;
    if (reply->type != REDIS_REPLY_ERROR)
        return STEP_FAILED;
    if (begins_with(answer, "CLUSTERDOWN"))
        return STEP_LATER;
    const char *where = begins_with(answer, "MOVED ") ? strrchr(answer, ' ') + 1 : NULL;
    return where != NULL && read_place(where, place, place) ? STEP_ELSEWHERE : STEP_FAILED;
}

static enum step ask(struct endpoint *place, const char *const *words, int count, uint64_t left_ms, char *answer)
{
    redisContext *c = redisConnectWithTimeout(place->host, place->port, span(left_ms < CONNECT_MS ? left_ms : CONNECT_MS));
    if (c == NULL || c->err != 0) {
        snprintf(answer, OPERATOR_ANSWER_MAX, "%s:%u: %.200s", place->host, place->port,
                 c != NULL ? c->errstr : "out of memory");
        redisFree(c);
        return STEP_UNREACHABLE;
    }
    redisSetTimeout(c, span(left_ms));
    redisReply *reply = redisCommandArgv(c, count, (const char **)(uintptr_t)words, NULL);
    const bool silent = c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
    enum step step = STEP_FAILED;
    if (reply != NULL)
        step = judge(reply, place, answer);
    else
        snprintf(answer, OPERATOR_ANSWER_MAX, "%s:%u: %.200s; whether it was done is not known", place->host, place->port,
                 silent ? "no answer in time" : c->errstr);
    freeReplyObject(reply);
    redisFree(c);
    return step;
}

/* The nodes to begin with. */
static size_t list_places(const struct operator_call *call, struct endpoint *places)
{
    size_t count = 0;
    if (call->via != NULL)
        return read_place(call->via, NULL, &places[0]) ? 1 : 0;
    for (size_t i = 0; i < call->config->node_count && count < NODE_ID_MAX; i++)
        if (call->config->nodes[i].client.host[0] != '\0')
            places[count++] = call->config->nodes[i].client;
    return count;
}

int operator_call(const struct operator_call *call, const char *const *words, int count, char answer[OPERATOR_ANSWER_MAX])
{
    struct endpoint places[NODE_ID_MAX], place;
    const uint64_t until = now_ms() + call->timeout_ms;
    const size_t known = list_places(call, places);
    size_t next = 0, unreachable = 0, redirects = 0;
    if (known == 0) {
        snprintf(answer, OPERATOR_ANSWER_MAX, "%s",
                 call->via != NULL ? "--via wants HOST:PORT" : "no node has a client port");
        return EXIT_BAD_INPUT;
    }
    place = places[next++];
    for (uint64_t now = now_ms(); now < until; now = now_ms()) {
        const enum step step = ask(&place, words, count, until - now, answer);
        if (step == STEP_DONE)
            return EXIT_OK;
        unreachable = step == STEP_UNREACHABLE ? unreachable + 1 : 0;
        if (step == STEP_FAILED || unreachable == known || (step == STEP_ELSEWHERE && ++redirects > REDIRECTS_MAX))
            break;
        if (step == STEP_LATER || redirects > REDIRECTS_AT_ONCE)
            usleep(AGAIN_US);
        if (step == STEP_ELSEWHERE)
            continue;
        place = places[next++ % known];
    }
    return EXIT_TROUBLE;
}

const char *operator_answer_text(const char *answer) { return begins_with(answer, "ERR ") ? answer + 4 : answer; }
