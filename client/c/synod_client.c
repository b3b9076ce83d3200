/* Commands whose replies were not taken are in a ring, in their order. Each is in one of three states:
 *
 *   WAITING    to be sent, for the first time or again
 *   IN_FLIGHT  sent on the connection that there is; `flight` has these in the order in which their answers come
 *   ANSWERED   until its reply is taken
 *
 * It gets a number in the session when it is sent first, and keeps both. So a command that was sent in a session that is
 * forgotten by now is told so, and is never executed in another one. The window is kept by the ring: replies are taken in
 * order, so all commands in it are within the window of the oldest. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "synod_client.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30000,
    ANSWER_MS = 2000,
    WINDOW = 16,
    PAUSE_MIN_MS = 10,
    PAUSE_MORE_MS = 40,
    HOPS_WITHOUT_PAUSE = 2, /* two nodes may name each other for a while */
};

enum command_state { WAITING, IN_FLIGHT, ANSWERED };

struct address {
    char host[256];
    int port;
};

struct command {
    char *bytes;          /* as hiredis makes them, to be freed with redisFreeCommand */
    size_t len, head_len; /* all of it; of the line that says how many arguments there are */
    long args;
    uint64_t session, number; /* 0: it was not sent */
    uint8_t state;            /* enum command_state */
    bool unsure;              /* a copy of it may have been executed */
    uint8_t result;           /* enum synod_result, once it is ANSWERED */
    redisReply *reply;
};

struct synod_client {
    struct address *addresses;
    size_t address_count, at; /* `at` is asked next */
    struct address asked;     /* where the connection goes: one of them, or the one that -MOVED named */
    bool moved;               /* connects to `asked`, and not to addresses[at] */
    uint32_t hops;            /* by -MOVED, since the last answer */
    uint32_t timeout_ms, answer_ms, window;
    redisContext *connection; /* NULL: none */
    uint32_t waits_ms;        /* its time-out */
    bool leaving;             /* hangs up when nothing is in flight, and sends nothing more */
    uint64_t resume_ms;       /* sends nothing until then */
    uint64_t session, number; /* 0: none yet; the last one given */
    struct command *commands; /* a ring of `window`, of which `pending` from `first` on are used */
    size_t first, pending;
    struct command **flight; /* a ring of `window` */
    size_t flight_first, flight_count;
    unsigned random;
    char problem[320];
};

const char *synod_result_text(enum synod_result result)
{
    static const char *const texts[] = {
        [SYNOD_OK] = "there is a reply",
        [SYNOD_TIMEOUT] = "no answer in time: the command may have been executed, or may be later",
        [SYNOD_SESSION_LOST] = "the session was forgotten: the command was not executed",
        [SYNOD_SESSION_UNSURE] = "the session was forgotten: whether the command was executed is not known",
        [SYNOD_REPLY_LOST] = "the command was executed, and its reply is lost",
        [SYNOD_WINDOW_FULL] = "not sent: as many replies as the window has were not taken",
        [SYNOD_BAD_CALL] = "there is a reply to take first, or there is none to take",
        [SYNOD_BAD_ARGUMENT] = "an option, an address or a format is none",
        [SYNOD_NO_MEMORY] = "out of memory",
    };
    return result < sizeof texts / sizeof *texts ? texts[result] : "no result";
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms)
{
    const struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static struct command *nth(const struct synod_client *c, size_t i) { return &c->commands[(c->first + i) % c->window]; }

static struct command *take_flight(struct synod_client *c)
{
    struct command *k = c->flight[c->flight_first];
    c->flight_first = (c->flight_first + 1) % c->window;
    c->flight_count--;
    return k;
}

/* ---- Failures ---- */

static void note(struct synod_client *c, const char *what)
{
    snprintf(c->problem, sizeof c->problem, "%.200s port %d: %.100s", c->asked.host, c->asked.port, what);
}

static void wait_a_little(struct synod_client *c)
{
    c->resume_ms = now_ms() + PAUSE_MIN_MS + (unsigned)rand_r(&c->random) % PAUSE_MORE_MS;
}

/* What is in flight may have been executed, and is sent again. */
static void hang_up(struct synod_client *c)
{
    while (c->flight_count > 0) {
        struct command *k = take_flight(c);
        k->state = WAITING;
        k->unsure = true;
    }
    if (c->connection != NULL)
        redisFree(c->connection);
    c->connection = NULL;
    c->leaving = false;
}

static void next_address(struct synod_client *c)
{
    c->moved = false;
    c->at = (c->at + 1) % c->address_count;
}

static void leave(struct synod_client *c, const char *why)
{
    note(c, why);
    hang_up(c);
    next_address(c);
    wait_a_little(c);
}

/* Leaves because hiredis has failed. */
static void failed(struct synod_client *c)
{
    const bool silent = c->connection != NULL && c->connection->err == REDIS_ERR_IO && errno == EAGAIN;
    leave(c, c->connection == NULL ? "out of memory" : silent ? "no answer in time" : c->connection->errstr);
}

/* ---- The connection ---- */

/* How long one attempt may take. */
static uint32_t attempt_ms(const struct synod_client *c, uint64_t until)
{
    const uint64_t now = now_ms(), left = until > now ? until - now : 1;
    return left < c->answer_ms ? (uint32_t)left : c->answer_ms;
}

static struct timeval timeval_of(uint32_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static bool connected(struct synod_client *c, uint64_t until)
{
    if (c->connection != NULL)
        return true;
    if (!c->moved)
        c->asked = c->addresses[c->at];
    c->waits_ms = 0;
    c->connection = redisConnectWithTimeout(c->asked.host, c->asked.port, timeval_of(attempt_ms(c, until)));
    if (c->connection != NULL && c->connection->err == 0)
        return true;
    failed(c);
    return false;
}

/* Gives all bytes to the system. False: it failed. */
static bool flush(struct synod_client *c)
{
    sigset_t pipe, before, pending;
    int done = 0, rc = REDIS_OK;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    while (rc == REDIS_OK && !done)
        rc = redisBufferWrite(c->connection, &done);
    const int error = errno;
    const struct timespec at_once = {0};
    if (rc != REDIS_OK && error == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        sigtimedwait(&pipe, NULL, &at_once); /* takes the one that the write has caused */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    if (rc != REDIS_OK)
        failed(c);
    return rc == REDIS_OK;
}

/* The next answer. False: there is none. */
static bool read_reply(struct synod_client *c, uint64_t until, redisReply **reply)
{
    void *read = NULL;
    const uint32_t ms = attempt_ms(c, until);
    if (ms != c->waits_ms) {
        redisSetTimeout(c->connection, timeval_of(ms));
        c->waits_ms = ms;
    }
    errno = 0;
    const bool ok = redisGetReply(c->connection, &read) == REDIS_OK;
    *reply = read;
    if (!ok)
        failed(c);
    return ok;
}

/* ---- Answers ---- */

enum meaning { DONE, AGAIN, UNSURE, ELSEWHERE, MOVED, FORGOTTEN, PASSED, UNKEPT };

static enum meaning meaning_of(const redisReply *reply)
{
    static const struct {
        const char *word;
        enum meaning meaning;
    } words[] = {
        {"BUSY", AGAIN},   {"NOROOM", AGAIN},        {"UNKNOWN", UNSURE},       {"CLUSTERDOWN", ELSEWHERE},
        {"MOVED ", MOVED}, {"NOSESSION", FORGOTTEN}, {"SESSIONPASSED", PASSED}, {"SESSIONREPLY", UNKEPT},
    };
    for (size_t i = 0; reply->type == REDIS_REPLY_ERROR && i < sizeof words / sizeof *words; i++)
        if (strncmp(reply->str, words[i].word, strlen(words[i].word)) == 0)
            return words[i].meaning;
    return DONE;
}

/* host:port, IPv6 in brackets. */
static bool address_read(const char *text, struct address *out)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    if (colon == NULL)
        return false;
    const unsigned long port = colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (port == 0 || port > UINT16_MAX || *end != '\0' || len == 0 || len >= sizeof out->host)
        return false;
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    out->port = (int)port;
    return true;
}

/* The node does not do it now. The connection stays until what is in flight was answered. */
static void refused(struct synod_client *c, const redisReply *reply, enum meaning meaning)
{
    note(c, reply->str);
    if (meaning == MOVED) { /* MOVED <slot> <host:port> */
        const char *word = strrchr(reply->str, ' ');
        struct address to;
        c->leaving = true;
        if (word != NULL && address_read(word + 1, &to)) {
            c->asked = to;
            c->moved = true;
        } else {
            next_address(c);
        }
        if (++c->hops <= HOPS_WITHOUT_PAUSE)
            return;
    } else if (meaning == ELSEWHERE && !c->leaving) {
        c->leaving = true;
        next_address(c);
    }
    wait_a_little(c);
}

static void answer(struct command *k, enum synod_result result, redisReply *reply)
{
    k->state = ANSWERED;
    k->result = (uint8_t)result;
    k->reply = reply;
}

/* The answer to the command that has been in flight longest. */
static void handle(struct synod_client *c, redisReply *reply)
{
    struct command *k = take_flight(c);
    const enum meaning meaning = meaning_of(reply);
    switch (meaning) {
    case DONE:
        answer(k, SYNOD_OK, reply);
        c->hops = 0;
        return; /* it is the caller's */
    case AGAIN:
    case UNSURE:
    case ELSEWHERE:
    case MOVED:
        k->state = WAITING;
        k->unsure |= meaning == UNSURE;
        refused(c, reply, meaning);
        break;
    case FORGOTTEN:
        if (k->session == c->session)
            c->session = 0;
        answer(k, k->unsure ? SYNOD_SESSION_UNSURE : SYNOD_SESSION_LOST, NULL);
        break;
    case PASSED:
        answer(k, SYNOD_SESSION_UNSURE, NULL);
        break;
    case UNKEPT:
        answer(k, SYNOD_REPLY_LOST, NULL);
        break;
    }
    freeReplyObject(reply);
}

/* ---- Sending ---- */

/* Precondition: connected, and nothing is in flight. False: there is none now. */
static bool open_session(struct synod_client *c, uint64_t until)
{
    redisReply *reply;
    if (redisAppendCommand(c->connection, "SESSION OPEN %u", (unsigned)c->window) != REDIS_OK) {
        failed(c);
        return false;
    }
    if (!flush(c) || !read_reply(c, until, &reply))
        return false;
    if (reply->type == REDIS_REPLY_INTEGER) {
        c->session = (uint64_t)reply->integer;
        c->number = 0;
    } else if (reply->type == REDIS_REPLY_ERROR) { /* one that is not known either: another node may have sessions */
        const enum meaning meaning = meaning_of(reply);
        refused(c, reply, meaning == DONE ? ELSEWHERE : meaning);
    } else {
        leave(c, "SESSION OPEN gives no number");
    }
    freeReplyObject(reply);
    return c->session != 0;
}

/* False: out of memory; the connection is unusable. */
static bool send_one(struct synod_client *c, struct command *k)
{
    char session[24], number[24], head[128];
    const int session_len = snprintf(session, sizeof session, "%llu", (unsigned long long)k->session);
    const int number_len = snprintf(number, sizeof number, "%llu", (unsigned long long)k->number);
    const int head_len = snprintf(head, sizeof head, "*%ld\r\n$7\r\nSESSION\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", k->args + 3,
                                  session_len, session, number_len, number);
    if (redisAppendFormattedCommand(c->connection, head, (size_t)head_len) != REDIS_OK ||
        redisAppendFormattedCommand(c->connection, k->bytes + k->head_len, k->len - k->head_len) != REDIS_OK) {
        failed(c);
        return false;
    }
    k->state = IN_FLIGHT;
    c->flight[(c->flight_first + c->flight_count++) % c->window] = k;
    return true;
}

/* Sends all that wait. A session is opened when nothing is in flight: then its answer is the next one. */
static void send_waiting(struct synod_client *c, uint64_t until)
{
    if (c->leaving || now_ms() < c->resume_ms)
        return;
    size_t sent = 0;
    for (size_t i = 0; i < c->pending; i++) {
        struct command *k = nth(c, i);
        if (k->state != WAITING)
            continue;
        if (k->session == 0 && c->session == 0 && c->flight_count > 0)
            break;
        if (k->session == 0 && c->session == 0 && !open_session(c, until))
            return;
        if (k->session == 0) {
            k->session = c->session;
            k->number = ++c->number;
        }
        if (!send_one(c, k))
            return;
        sent++;
    }
    if (sent > 0)
        flush(c);
}

/* Sends, and reads one answer, or waits until it is time to send again. */
static void attempt(struct synod_client *c, uint64_t until)
{
    redisReply *reply;
    const uint64_t now = now_ms(), resume = c->resume_ms < until ? c->resume_ms : until;
    if (c->leaving && c->flight_count == 0)
        hang_up(c);
    if (c->flight_count == 0 && now < resume) {
        sleep_ms(resume - now);
        return;
    }
    if (!connected(c, until))
        return;
    send_waiting(c, until);
    if (c->flight_count > 0 && read_reply(c, until, &reply))
        handle(c, reply);
}

/* ---- Commands ---- */

static void command_free(struct command *k)
{
    redisFreeCommand(k->bytes);
    freeReplyObject(k->reply);
    *k = (struct command){0};
}

/* Takes the bytes of a command, which are freed later. */
static enum synod_result append(struct synod_client *c, char *bytes, size_t len)
{
    struct command *k = nth(c, c->pending);
    *k = (struct command){.bytes = bytes, .len = len, .args = strtol(bytes + 1, NULL, 10)};
    k->head_len = (size_t)(strchr(bytes, '\n') + 1 - bytes);
    if (k->args < 1) {
        command_free(k);
        return SYNOD_BAD_ARGUMENT;
    }
    c->pending++;
    return SYNOD_OK;
}

static enum synod_result append_format(struct synod_client *c, const char *format, va_list arguments)
{
    char *bytes = NULL;
    if (c->pending == c->window)
        return SYNOD_WINDOW_FULL;
    const long long len = redisvFormatCommand(&bytes, format, arguments);
    if (len < 0)
        return len == -2 ? SYNOD_BAD_ARGUMENT : SYNOD_NO_MEMORY; /* hiredis: the format is wrong, or no memory */
    return append(c, bytes, (size_t)len);
}

enum synod_result synod_client_append(struct synod_client *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const enum synod_result result = append_format(c, format, arguments);
    va_end(arguments);
    return result;
}

enum synod_result synod_client_append_argv(struct synod_client *c, int argc, const char **argv, const size_t *lengths)
{
    char *bytes = NULL;
    if (argc < 1)
        return SYNOD_BAD_ARGUMENT;
    if (c->pending == c->window)
        return SYNOD_WINDOW_FULL;
    const long long len = redisFormatCommandArgv(&bytes, argc, argv, lengths);
    return len < 0 ? SYNOD_NO_MEMORY : append(c, bytes, (size_t)len);
}

enum synod_result synod_client_get_reply(struct synod_client *c, redisReply **reply)
{
    const uint64_t until = now_ms() + c->timeout_ms;
    *reply = NULL;
    if (c->pending == 0)
        return SYNOD_BAD_CALL;
    struct command *k = nth(c, 0);
    while (k->state != ANSWERED && now_ms() < until)
        attempt(c, until);
    const bool in_time = k->state == ANSWERED;
    if (k->state == IN_FLIGHT)
        hang_up(c); /* its answer must not be taken for another one */
    const enum synod_result result = in_time ? (enum synod_result)k->result : SYNOD_TIMEOUT;
    *reply = k->reply;
    k->reply = NULL;
    command_free(k);
    c->first = (c->first + 1) % c->window;
    c->pending--;
    return result;
}

enum synod_result synod_client_command(struct synod_client *c, redisReply **reply, const char *format, ...)
{
    va_list arguments;
    *reply = NULL;
    if (c->pending > 0)
        return SYNOD_BAD_CALL;
    va_start(arguments, format);
    const enum synod_result result = append_format(c, format, arguments);
    va_end(arguments);
    return result == SYNOD_OK ? synod_client_get_reply(c, reply) : result;
}

enum synod_result synod_client_command_argv(struct synod_client *c, redisReply **reply, int argc, const char **argv,
                                            const size_t *lengths)
{
    *reply = NULL;
    if (c->pending > 0)
        return SYNOD_BAD_CALL;
    const enum synod_result result = synod_client_append_argv(c, argc, argv, lengths);
    return result == SYNOD_OK ? synod_client_get_reply(c, reply) : result;
}

size_t synod_client_pending(const struct synod_client *c) { return c->pending; }

const char *synod_client_problem(const struct synod_client *c) { return c->problem; }

/* ---- Opening and closing ---- */

static void client_free(struct synod_client *c)
{
    hang_up(c);
    for (size_t i = 0; i < c->pending; i++)
        command_free(nth(c, i));
    free(c->addresses);
    free(c->commands);
    free(c->flight);
    free(c);
}

enum synod_result synod_client_open(const struct synod_options *o, struct synod_client **client)
{
    struct synod_client *c = calloc(1, sizeof *c);
    *client = NULL;
    if (c == NULL)
        return SYNOD_NO_MEMORY;
    c->timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS;
    c->answer_ms = o->answer_ms != 0 ? o->answer_ms : ANSWER_MS;
    c->window = o->window != 0 ? o->window : WINDOW;
    c->address_count = o->address_count;
    bool sound = o->address_count > 0 && c->window <= SYNOD_WINDOW_MAX;
    if (sound) {
        c->addresses = calloc(c->address_count, sizeof *c->addresses);
        c->commands = calloc(c->window, sizeof *c->commands);
        c->flight = calloc(c->window, sizeof *c->flight);
    }
    const bool has_memory = !sound || (c->addresses != NULL && c->commands != NULL && c->flight != NULL);
    for (size_t i = 0; sound && has_memory && i < c->address_count; i++)
        sound = address_read(o->addresses[i], &c->addresses[i]);
    if (!sound || !has_memory) {
        client_free(c);
        return has_memory ? SYNOD_BAD_ARGUMENT : SYNOD_NO_MEMORY;
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    c->random = (unsigned)t.tv_nsec ^ (unsigned)(uintptr_t)c;
    c->at = (unsigned)rand_r(&c->random) % c->address_count;
    *client = c;
    return SYNOD_OK;
}

static void close_session(struct synod_client *c)
{
    redisReply *reply;
    const uint64_t until = now_ms() + c->answer_ms;
    if (c->flight_count > 0)
        hang_up(c);
    if (c->session == 0 || !connected(c, until) ||
        redisAppendCommand(c->connection, "SESSION CLOSE %llu", (unsigned long long)c->session) != REDIS_OK)
        return;
    if (flush(c) && read_reply(c, until, &reply))
        freeReplyObject(reply);
}

void synod_client_close(struct synod_client *c)
{
    if (c == NULL)
        return;
    close_session(c);
    client_free(c);
}
