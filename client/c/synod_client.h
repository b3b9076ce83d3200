/* A client of Synod whose commands are executed exactly once, whatever becomes of connections and nodes; on top of hiredis.
 *
 *     const char *nodes[] = {"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"};
 *     struct synod_client *client;
 *     redisReply *reply;
 *     if (synod_client_open(&(struct synod_options){.addresses = nodes, .address_count = 3}, &client) != SYNOD_OK)
 *         ...
 *     enum synod_result result = synod_client_command(client, &reply, "INCR %s", "visits");
 *     if (result == SYNOD_OK && reply->type == REDIS_REPLY_INTEGER)
 *         printf("%lld\n", reply->integer);
 *     if (result == SYNOD_OK)
 *         freeReplyObject(reply);
 *     synod_client_close(client);
 *
 * Each command has a number in a session (docs/sessions.md). When no answer comes, it is sent again with the same number, to
 * the next node, until there is one or its time is over. -MOVED is followed.
 *
 * Threads: a client is for one thread at a time. Different threads may use different clients.
 * Signals: none is caused (SIGPIPE is blocked while the client writes).
 * Link with `pkg-config --cflags --libs synod-client`. */
#ifndef SYNOD_CLIENT_H
#define SYNOD_CLIENT_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SYNOD_WINDOW_MAX = 1024 };

enum synod_result {
    SYNOD_OK,             /* there is a reply. It may be an error of the command: type REDIS_REPLY_ERROR */
    SYNOD_TIMEOUT,        /* no answer in time. The command may have been executed, or may be later */
    SYNOD_SESSION_LOST,   /* not executed: the session was forgotten, because it was idle while many others were used */
    SYNOD_SESSION_UNSURE, /* the session was forgotten, and whether the command was executed before that is not known */
    SYNOD_REPLY_LOST,     /* executed. Its reply has more than 4 KiB, and was lost with a connection */
    SYNOD_WINDOW_FULL,    /* not sent: the window has as many commands whose replies were not taken */
    SYNOD_BAD_CALL,       /* nothing was done: there is a reply to take first; or there is none to take */
    SYNOD_BAD_ARGUMENT,   /* nothing was done: an option, an address, or a format that is none */
    SYNOD_NO_MEMORY,      /* nothing was done */
};

/* The result in words; a constant. */
const char *synod_result_text(enum synod_result result);

/* Zeros stand for the values in brackets. */
struct synod_options {
    const char *const *addresses; /* of client ports: "host:port", "[IPv6]:port". They are copied */
    size_t address_count;         /* one at least */
    uint32_t timeout_ms;          /* a command has so long for an answer, with all its attempts [30000] */
    uint32_t answer_ms;           /* and so long for one attempt, or for connecting [2000] */
    uint32_t window;              /* commands whose replies were not taken yet, SYNOD_WINDOW_MAX at most [16] */
};

struct synod_client;

/* Makes a client, which the caller closes. It connects with its first command. SYNOD_BAD_ARGUMENT and SYNOD_NO_MEMORY: there
 * is none. */
enum synod_result synod_client_open(const struct synod_options *options, struct synod_client **client);

/* Forgets the session, if a node can be reached within answer_ms, and frees the client; NULL is ignored. Commands whose
 * replies were not taken may be executed or not. */
void synod_client_close(struct synod_client *client);

/* ---- One command at a time ---- */

/* Executes a command once. `format` and what follows as for redisCommand: "SET %s %b", key, bytes, size_t length.
 * SYNOD_OK: the caller frees `*reply` with freeReplyObject. All other results: it is NULL. After SYNOD_SESSION_LOST the
 * command may be given again. The next command opens another session.
 * Precondition (otherwise SYNOD_BAD_CALL): all replies to pipelined commands were taken. */
enum synod_result synod_client_command(struct synod_client *client, redisReply **reply, const char *format, ...);

/* The same with the arguments one by one. `lengths` NULL: they are strings. */
enum synod_result synod_client_command_argv(struct synod_client *client, redisReply **reply, int argc, const char **argv,
                                            const size_t *lengths);

/* ---- Pipelines ---- */

/* Adds a command (copied) to those that synod_client_get_reply sends. Where nodes fail or refuse, commands whose replies
 * were not taken may be executed in another order: take the reply first if that matters. */
enum synod_result synod_client_append(struct synod_client *client, const char *format, ...);
enum synod_result synod_client_append_argv(struct synod_client *client, int argc, const char **argv, const size_t *lengths);

/* Sends what was not sent, and takes the reply to the oldest command: results and ownership as for synod_client_command.
 * With any result but SYNOD_BAD_CALL that command is done with. */
enum synod_result synod_client_get_reply(struct synod_client *client, redisReply **reply);

/* How many replies were not taken. */
size_t synod_client_pending(const struct synod_client *client);

/* What the last attempt that failed has met with ("10.0.0.1 port 6379: Connection refused"), for a log; empty: none has.
 * Valid until the next call. */
const char *synod_client_problem(const struct synod_client *client);

#ifdef __cplusplus
}
#endif

#endif
