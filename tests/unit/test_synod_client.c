/* The client library in C (client/c) against a server in a process of its own, which plays a script: what it expects, and
 * what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/c/synod_client.h"

/* One request, its words with blanks between them, and the answer to it. */
struct step {
    const char *request;
    const char *answer; /* NULL: the connection ends; "": no answer */
};

#define OPEN    {"SESSION OPEN 16", ":4503599627370495\r\n"}
#define SESSION "SESSION 4503599627370495 "

/* Shared with the server's process. */
struct server {
    pid_t pid;
    uint16_t port;
    atomic_uint done; /* steps */
    char wrong[256];  /* what came instead of what was expected */
};

static int listen_on_free_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Reads one request as a line of words. False: the connection has ended. */
static bool read_request(FILE *from, char *out, size_t size)
{
    char line[64];
    size_t used = 0;
    if (fgets(line, sizeof line, from) == NULL)
        return false;
    for (long args = strtol(line + 1, NULL, 10); args > 0; args--) {
        if (fgets(line, sizeof line, from) == NULL)
            return false;
        const size_t len = strtoul(line + 1, NULL, 10);
        if (used + len + 2 > size || fread(out + used, 1, len, from) != len || fgets(line, sizeof line, from) == NULL)
            return false;
        used += len;
        out[used++] = ' ';
    }
    out[used > 0 ? used - 1 : 0] = '\0';
    return true;
}

/* Plays on over one connection. */
static void play(struct server *s, int fd, const struct step *steps, size_t count)
{
    FILE *from = fdopen(fd, "r");
    char request[1024];
    while (atomic_load(&s->done) < count && read_request(from, request, sizeof request)) {
        const struct step *step = &steps[atomic_load(&s->done)];
        if (strcmp(request, step->request) != 0) {
            snprintf(s->wrong, sizeof s->wrong, "step %u: %.200s", atomic_load(&s->done), request);
            _exit(1);
        }
        atomic_fetch_add(&s->done, 1);
        if (step->answer == NULL)
            break;
        if (send(fd, step->answer, strlen(step->answer), MSG_NOSIGNAL) < 0)
            break;
    }
    fclose(from);
}

static struct server *server_new(const struct step *steps, size_t count)
{
    struct server *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    int listener = listen_on_free_port(&s->port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            play(s, accept(listener, NULL, NULL), steps, count);
    }
    s->pid = pid; /* by the parent alone: the memory is shared */
    close(listener);
    return s;
}

/* All of the script was played. */
static void server_free(struct server *s, size_t count)
{
    assert_string_equal(s->wrong, "");
    assert_int_equal(atomic_load(&s->done), count);
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap(s, sizeof *s);
}

static struct synod_client *client_of(const struct server *const *servers, size_t count)
{
    static char texts[4][32];
    const char *addresses[4];
    struct synod_client *client;
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "127.0.0.1:%u", servers[i]->port);
        addresses[i] = texts[i];
    }
    const struct synod_options options = {
        .addresses = addresses, .address_count = count, .timeout_ms = 20000, .answer_ms = 500};
    assert_int_equal(synod_client_open(&options, &client), SYNOD_OK);
    return client;
}

/* The commands "INCR a", one after the other, each with a result: the integer, or the negative result. */
static void run(const struct step *steps, size_t count, const long long *results, size_t result_count)
{
    const struct server *s = server_new(steps, count);
    struct synod_client *client = client_of(&s, 1);
    for (size_t i = 0; i < result_count; i++) {
        redisReply *reply;
        const enum synod_result result = synod_client_command(client, &reply, "INCR %s", "a");
        if (result == SYNOD_OK) {
            assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
            assert_int_equal(reply->integer, results[i]);
        } else {
            assert_null(reply);
            assert_int_equal(-(long long)result, results[i]);
        }
        freeReplyObject(reply);
    }
    synod_client_close(client);
    server_free((struct server *)s, count);
}

#define RUN(steps, ...)                                                                                                     \
    run(steps, sizeof(steps) / sizeof *(steps), (const long long[]){__VA_ARGS__},                                           \
        sizeof((const long long[]){__VA_ARGS__}) / sizeof(long long))

static const struct step close_session = {"SESSION CLOSE 4503599627370495", ":1\r\n"};

static void what_was_not_answered_is_sent_again(void **state)
{
    (void)state;
    const struct step steps[] = {
        OPEN,
        {SESSION "1 INCR a", ":1\r\n"},
        {SESSION "2 INCR a", NULL}, /* another connection, the same session and number */
        {SESSION "2 INCR a", "-BUSY later\r\n"},
        {SESSION "2 INCR a", "-NOROOM later\r\n"},
        {SESSION "2 INCR a", "-UNKNOWN outcome\r\n"},
        {SESSION "2 INCR a", "-CLUSTERDOWN no leader\r\n"},
        {SESSION "2 INCR a", ""}, /* for so long that the client leaves */
        {SESSION "2 INCR a", ":2\r\n"},
        {SESSION "3 INCR a", ":3\r\n"},
        close_session,
    };
    RUN(steps, 1, 2, 3);
}

static void sessions_are_opened_again_and_again(void **state)
{
    (void)state;
    const struct step steps[] = {
        {"SESSION OPEN 16", "-CLUSTERDOWN no leader\r\n"},
        {"SESSION OPEN 16", NULL},
        {"SESSION OPEN 16", "-ERR unknown command 'SESSION'\r\n"},
        {"SESSION OPEN 16", "+OK\r\n"},
        OPEN,
        {SESSION "1 INCR a", ":1\r\n"},
        close_session,
    };
    RUN(steps, 1);
}

static void a_lost_session_is_told(void **state)
{
    (void)state;
    const struct step steps[] = {
        OPEN,
        {SESSION "1 INCR a", "-BUSY later\r\n"}, /* surely not executed */
        {SESSION "1 INCR a", "-NOSESSION not executed\r\n"},
        {"SESSION OPEN 16", ":7\r\n"},
        {"SESSION 7 1 INCR a", NULL},
        {"SESSION 7 1 INCR a", "-NOSESSION not executed\r\n"},
        OPEN,
        {SESSION "1 INCR a", "-SESSIONREPLY executed\r\n"},
        {SESSION "2 INCR a", "-SESSIONPASSED not executed\r\n"},
        {SESSION "3 INCR a", ":9\r\n"},
        close_session,
    };
    RUN(steps, -SYNOD_SESSION_LOST, -SYNOD_SESSION_UNSURE, -SYNOD_REPLY_LOST, -SYNOD_SESSION_UNSURE, 9);
}

static void errors_are_replies(void **state)
{
    (void)state;
    const struct step steps[] = {OPEN, {SESSION "1 SET a b", "-ERR no such luck\r\n"}, close_session};
    const struct server *s = server_new(steps, 3);
    struct synod_client *client = client_of(&s, 1);
    redisReply *reply;
    const char *words[] = {"SET", "a", "bytes"};
    const size_t lengths[] = {3, 1, 1};
    assert_int_equal(synod_client_command_argv(client, &reply, 3, words, lengths), SYNOD_OK);
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    assert_string_equal(reply->str, "ERR no such luck");
    freeReplyObject(reply);
    synod_client_close(client);
    server_free((struct server *)s, 3);
}

static void the_leader_is_followed(void **state)
{
    (void)state;
    char moved[64];
    const struct step at_leader[] = {
        {"SESSION OPEN 16", ":7\r\n"}, {"SESSION 7 1 INCR a", ":1\r\n"}, {"SESSION CLOSE 7", ":1\r\n"}};
    const struct server *leader = server_new(at_leader, 3);
    snprintf(moved, sizeof moved, "-MOVED 7 127.0.0.1:%u\r\n", leader->port);
    const struct step at_follower[] = {{"SESSION OPEN 16", moved}};
    const struct server *follower = server_new(at_follower, 1);
    struct synod_client *client = client_of(&follower, 1); /* the leader is not in its list */
    redisReply *reply;
    assert_int_equal(synod_client_command(client, &reply, "INCR a"), SYNOD_OK);
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    synod_client_close(client);
    server_free((struct server *)leader, 3);
    server_free((struct server *)follower, 1);
}

/* Of four in flight the second is refused, and then the connection is lost with two answers missing. */
static void pipelines_keep_their_order(void **state)
{
    (void)state;
    const struct step steps[] = {
        OPEN,
        {SESSION "1 INCR a", ":1\r\n"},
        {SESSION "2 INCR a", "-BUSY later\r\n"},
        {SESSION "3 INCR a", ":2\r\n"},
        {SESSION "4 INCR a", NULL},
        {SESSION "2 INCR a", ":4\r\n"},
        {SESSION "4 INCR a", ":3\r\n"},
        close_session,
    };
    const long long expected[] = {1, 4, 2, 3};
    const struct server *s = server_new(steps, sizeof steps / sizeof *steps);
    struct synod_client *client = client_of(&s, 1);
    redisReply *reply;
    for (int i = 0; i < 4; i++)
        assert_int_equal(synod_client_append(client, "INCR %s", "a"), SYNOD_OK);
    assert_int_equal(synod_client_command(client, &reply, "INCR a"), SYNOD_BAD_CALL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(synod_client_pending(client), 4 - i);
        assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_OK);
        assert_int_equal(reply->integer, expected[i]);
        freeReplyObject(reply);
    }
    assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_BAD_CALL);
    synod_client_close(client);
    server_free((struct server *)s, sizeof steps / sizeof *steps);
}

/* What waits when its session is forgotten goes into another, unless a copy of it was sent. */
static void pipelines_change_their_session(void **state)
{
    (void)state;
    const struct step steps[] = {
        OPEN,
        {SESSION "1 INCR a", "-NOSESSION not executed\r\n"},
        {SESSION "2 INCR a", "-BUSY later\r\n"},
        {SESSION "2 INCR a", "-NOSESSION not executed\r\n"},
        {"SESSION OPEN 16", ":7\r\n"},
        {"SESSION 7 1 INCR a", ":1\r\n"},
        {"SESSION CLOSE 7", ":1\r\n"},
    };
    const struct server *s = server_new(steps, sizeof steps / sizeof *steps);
    struct synod_client *client = client_of(&s, 1);
    redisReply *reply;
    for (int i = 0; i < 2; i++)
        assert_int_equal(synod_client_append(client, "INCR a"), SYNOD_OK);
    assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_SESSION_LOST);
    assert_int_equal(synod_client_append(client, "INCR a"), SYNOD_OK);
    assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_SESSION_LOST);
    assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_OK);
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    synod_client_close(client);
    server_free((struct server *)s, sizeof steps / sizeof *steps);
}

static void time_is_bounded(void **state)
{
    (void)state;
    const struct step steps[] = {OPEN, {SESSION "1 INCR a", ""}, {SESSION "2 INCR a", ":2\r\n"}, close_session};
    const struct server *s = server_new(steps, 4);
    char address[32];
    const char *addresses[] = {address};
    struct synod_client *client;
    redisReply *reply;
    snprintf(address, sizeof address, "localhost:%u", s->port);
    const struct synod_options options = {.addresses = addresses, .address_count = 1, .timeout_ms = 200, .answer_ms = 5000};
    assert_int_equal(synod_client_open(&options, &client), SYNOD_OK);
    assert_int_equal(synod_client_command(client, &reply, "INCR a"), SYNOD_TIMEOUT);
    assert_null(reply);
    assert_non_null(strstr(synod_client_problem(client), "localhost port"));
    assert_int_equal(synod_client_command(client, &reply, "INCR a"),
                     SYNOD_OK); /* its answer is not taken for the first one's */
    assert_int_equal(reply->integer, 2);
    freeReplyObject(reply);
    synod_client_close(client);
    server_free((struct server *)s, 4);
}

static void nothing_listens(void **state)
{
    (void)state;
    uint16_t port;
    char address[32];
    const char *addresses[] = {address};
    struct synod_client *client;
    redisReply *reply;
    close(listen_on_free_port(&port));
    snprintf(address, sizeof address, "[127.0.0.1]:%u", port);
    const struct synod_options options = {.addresses = addresses, .address_count = 1, .timeout_ms = 200};
    assert_int_equal(synod_client_open(&options, &client), SYNOD_OK);
    assert_int_equal(synod_client_command(client, &reply, "INCR a"), SYNOD_TIMEOUT);
    assert_non_null(strstr(synod_client_problem(client), "Connection refused"));
    synod_client_close(client);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "a:-1", "[]:1"};
    const char *addresses[] = {"127.0.0.1:1"};
    struct synod_options options = {.addresses = addresses, .address_count = 1, .window = 2};
    struct synod_client *client;
    redisReply *reply;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        addresses[0] = bad[i];
        assert_int_equal(synod_client_open(&options, &client), SYNOD_BAD_ARGUMENT);
        assert_null(client);
    }
    addresses[0] = "127.0.0.1:1";
    options.window = SYNOD_WINDOW_MAX + 1;
    assert_int_equal(synod_client_open(&options, &client), SYNOD_BAD_ARGUMENT);
    options.window = 2;
    options.address_count = 0;
    assert_int_equal(synod_client_open(&options, &client), SYNOD_BAD_ARGUMENT);
    options.address_count = 1;
    assert_int_equal(synod_client_open(&options, &client), SYNOD_OK);
    assert_int_equal(synod_client_append(client, ""), SYNOD_BAD_ARGUMENT);
    assert_int_equal(synod_client_append(client, "GET %y"), SYNOD_BAD_ARGUMENT);
    assert_int_equal(synod_client_append_argv(client, 0, addresses, NULL), SYNOD_BAD_ARGUMENT);
    assert_int_equal(synod_client_get_reply(client, &reply), SYNOD_BAD_CALL);
    assert_int_equal(synod_client_append(client, "GET a"), SYNOD_OK);
    assert_int_equal(synod_client_append(client, "GET a"), SYNOD_OK);
    assert_int_equal(synod_client_append(client, "GET a"), SYNOD_WINDOW_FULL);
    assert_int_equal(synod_client_append_argv(client, 1, addresses, NULL), SYNOD_WINDOW_FULL);
    synod_client_close(client); /* which sends nothing: it has no session */
    synod_client_close(NULL);
    for (int i = SYNOD_OK; i <= SYNOD_NO_MEMORY; i++)
        assert_true(strlen(synod_result_text((enum synod_result)i)) > 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_answered_is_sent_again),
        cmocka_unit_test(sessions_are_opened_again_and_again),
        cmocka_unit_test(a_lost_session_is_told),
        cmocka_unit_test(errors_are_replies),
        cmocka_unit_test(the_leader_is_followed),
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(pipelines_change_their_session),
        cmocka_unit_test(time_is_bounded),
        cmocka_unit_test(nothing_listens),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    alarm(120); /* a client that hangs fails instead */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
