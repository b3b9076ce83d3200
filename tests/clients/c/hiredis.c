/* hiredis: one connection to one address; it knows nothing of clusters (../README.md says what such a program does). */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT = 256, PIPELINED = 100 };
static char host[TEXT], prefix[TEXT];
static int port;

static redisContext *dial(void) { return redisConnectWithTimeout(host, port, (struct timeval){.tv_sec = 5}); }

static redisReply *must(redisReply *reply, const char *what)
{
    if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
        return reply;
    printf("failed %s: %s\n", what, reply != NULL ? reply->str : "no reply");
    exit(1);
}

static void says(redisReply *reply, const char *what, const char *wanted)
{
    must(reply, what);
    if (reply->str == NULL || strcmp(reply->str, wanted) != 0) {
        printf("failed %s: '%s' instead of '%s'\n", what, reply->str != NULL ? reply->str : "", wanted);
        exit(1);
    }
    freeReplyObject(reply);
}

static void counts(redisReply *reply, const char *what, long long least, long long most)
{
    must(reply, what);
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < least || reply->integer > most) {
        printf("failed %s: %lld\n", what, reply->integer);
        exit(1);
    }
    freeReplyObject(reply);
}

static void has(redisReply *reply, const char *what, size_t elements)
{
    must(reply, what);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != elements) {
        printf("failed %s: %zu elements\n", what, reply->elements);
        exit(1);
    }
    freeReplyObject(reply);
}

static size_t scan(redisContext *c)
{
    char cursor[TEXT] = "0";
    size_t found = 0;
    do {
        redisReply *reply = must(redisCommand(c, "SCAN %s MATCH *%s* COUNT 100", cursor, prefix), "scan");
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        found += reply->element[1]->elements;
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
    return found;
}

static void usual(redisContext *c)
{
    says(redisCommand(c, "SET {%s}:a 1", prefix), "set", "OK");
    says(redisCommand(c, "GET {%s}:a", prefix), "get", "1");
    counts(redisCommand(c, "INCR {%s}:n", prefix), "incr", 1, 1);
    has(redisCommand(c, "MGET {%s}:a {%s}:n {%s}:none", prefix, prefix, prefix), "mget", 3);
    counts(redisCommand(c, "EXPIRE {%s}:a 100", prefix), "expire", 1, 1);
    counts(redisCommand(c, "TTL {%s}:a", prefix), "ttl", 1, 100);
    if (scan(c) != 2) {
        printf("failed scan\n");
        exit(1);
    }
    says(redisCommand(c, "MULTI"), "multi", "OK");
    says(redisCommand(c, "INCR {%s}:n", prefix), "queue", "QUEUED");
    says(redisCommand(c, "SET {%s}:m x", prefix), "queue", "QUEUED");
    has(redisCommand(c, "EXEC"), "exec", 2);
    for (int i = 0; i < PIPELINED; i++)
        redisAppendCommand(c, "INCR {%s}:p", prefix);
    for (int i = 1; i <= PIPELINED; i++) {
        void *reply = NULL;
        redisGetReply(c, &reply);
        counts(reply, "pipeline", i, i);
    }
    counts(redisCommand(c, "DEL {%s}:a", prefix), "del", 1, 1);
}

/* Writes one more key, and says so; true when the program is to stop. It dials again when the connection is gone. */
static bool write_one(redisContext **c, unsigned number)
{
    if (*c == NULL || (*c)->err != 0) {
        if (*c != NULL)
            redisFree(*c);
        *c = dial();
    }
    redisReply *reply = *c != NULL && (*c)->err == 0 ? redisCommand(*c, "SET {%s}:%u %u", prefix, number, number) : NULL;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        printf("error %s\n", reply != NULL ? reply->str : *c != NULL ? (*c)->errstr : "no memory");
        if (reply != NULL)
            freeReplyObject(reply);
        return false;
    }
    printf("wrote %u\n", number);
    freeReplyObject(reply);
    reply = redisCommand(*c, "GET {%s}:stop", prefix);
    const bool stops = reply != NULL && reply->type == REDIS_REPLY_STRING;
    if (reply != NULL)
        freeReplyObject(reply);
    return stops;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 4 || sscanf(argv[2], "%255[^:]:%d", host, &port) != 2)
        return 2;
    snprintf(prefix, sizeof prefix, "%s", argv[3]);
    redisContext *c = dial();
    if (c == NULL || c->err != 0) {
        printf("failed %s\n", c != NULL ? c->errstr : "no memory");
        return 1;
    }
    printf("version %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    usual(c);
    printf("usual\n");
    for (unsigned number = 1; !write_one(&c, number); number++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    redisFree(c);
    printf("end\n");
    return 0;
}
