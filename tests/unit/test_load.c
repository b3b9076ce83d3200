/* The load generator against a small server in a process of its own, which answers as each test wants it to and notes
 * what it was asked; and against a real Redis where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/formats/session_call.h"
#include "load/load.h"
#include "load/load_worker.h"

enum { REQUESTS_MAX = 20000, CONNECTIONS_MAX = 64, BUFFER = 64 * 1024, ARGS_MAX = 6, SESSIONS_MAX = 256 };

enum behaviour {
    ALWAYS_OK,
    ALWAYS_ERROR,
    ALWAYS_MOVED,  /* to `other` */
    FIRST_DOWN,    /* the first `limit` commands get -CLUSTERDOWN */
    FIRST_UNKNOWN, /* the first `limit` commands are executed, but answered -UNKNOWN */
    FIRST_DROPPED, /* on each of the first `limit` connections the first command is executed, then it is closed */
    NEVER_ANSWER,  /* the first `limit` connections, then OK */
    BYTE_BY_BYTE,  /* answers in pieces */
    REFUSES_ONE,   /* the first `limit` times that request 5 comes, it gets -BUSY */
    FORGETS,       /* when `limit` commands have been executed, all sessions are forgotten */
    LOSES_REPLIES, /* the first `limit` commands are executed, but answered -SESSIONREPLY; the next as many -SESSIONPASSED */
    GARBAGE,
};

/* Shared with the server's process. */
struct server {
    pid_t pid;
    uint16_t port, other;
    enum behaviour behaviour;
    unsigned limit;
    atomic_uint commands, connections, malformed;
    atomic_uint sessions, closed, executed, repeated, refused;
    atomic_uchar seen[REQUESTS_MAX]; /* how often request n was executed */
};

struct peer {
    bool greeted;
    int fd;
    unsigned number, commands;
    size_t len;
    char in[BUFFER];
};

static int listen_on_free_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* ---- The server's process ---- */

/* The first request of a connection asks about the cluster. Its size, 0 when incomplete. */
static size_t read_greeting(const char *p, size_t len)
{
    static const char greeting[] = "CLUSTER MYID\r\n";
    return len >= sizeof greeting - 1 && memcmp(p, greeting, sizeof greeting - 1) == 0 ? sizeof greeting - 1 : 0;
}

/* One "*N\r\n$len\r\nbytes\r\n..."; its size, 0 when incomplete. */
static size_t read_command(const char *p, size_t len, const char *args[ARGS_MAX], size_t lens[ARGS_MAX], int *argc)
{
    int used = 0;
    char copy[BUFFER];
    if (len == 0 || len >= sizeof copy)
        return 0;
    memcpy(copy, p, len);
    copy[len] = '\0';
    if (strstr(copy, "\r\n") == NULL || sscanf(copy, "*%d\r\n%n", argc, &used) != 1 || used == 0 || *argc < 1 ||
        *argc > ARGS_MAX)
        return 0;
    size_t at = (size_t)used;
    for (int i = 0; i < *argc; i++) {
        const char *end = strstr(copy + at, "\r\n");
        if (end == NULL || copy[at] != '$')
            return 0;
        lens[i] = strtoul(copy + at + 1, NULL, 10);
        at = (size_t)(end + 2 - copy);
        args[i] = p + at;
        at += lens[i] + 2;
        if (at > len)
            return 0;
    }
    return at;
}

/* Checks a request as the generator must make it, and counts it as executed. */
static void execute(struct server *s, const char *const *args, const size_t *lens, int argc)
{
    char key[KEY_SIZE + 1] = "";
    bool sound = argc >= 2 && lens[1] == KEY_SIZE && memcmp(args[1], "key:", 4) == 0;
    uint64_t number = 0;
    if (sound) {
        memcpy(key, args[1], KEY_SIZE);
        number = strtoull(key + 4, NULL, 10);
        sound = number < REQUESTS_MAX;
    }
    if (sound && argc == 3) {
        char value[BUFFER];
        value_of(number, value, lens[2]);
        sound = memcmp(args[0], "SET", 3) == 0 && memcmp(args[2], value, lens[2]) == 0;
    }
    if (sound)
        atomic_fetch_add(&s->seen[number], 1);
    else
        atomic_fetch_add(&s->malformed, 1);
    atomic_fetch_add(&s->executed, 1);
}

/* The sessions that are open, by their ids less one million. Their places have the numbers executed last. */
static struct {
    uint64_t window; /* 0: it is not there */
    uint64_t places[SESSION_WINDOW_MAX];
} sessions[SESSIONS_MAX];

/* Executes a command of a session unless it was. NULL: it was now, or before; otherwise an error. */
static const char *execute_in_session(struct server *s, const char *const *args, const size_t *lens, int argc)
{
    const uint64_t at = strtoull(args[1], NULL, 10) - 1000000, number = strtoull(args[2], NULL, 10);
    if (s->behaviour == FORGETS && atomic_load(&s->executed) == s->limit) {
        memset(sessions, 0, sizeof sessions);
        s->limit = 0;
    }
    if (at >= SESSIONS_MAX || sessions[at].window == 0)
        return "-NOSESSION not executed\r\n";
    uint64_t *place = &sessions[at].places[number % sessions[at].window];
    if (*place > number)
        return "-SESSIONPASSED not executed\r\n";
    if (*place == number)
        atomic_fetch_add(&s->repeated, 1);
    else
        execute(s, args + SESSION_CALL_ARGS, lens + SESSION_CALL_ARGS, argc - SESSION_CALL_ARGS);
    *place = number;
    return NULL;
}

static bool is_request_5(const char *const *args, int argc)
{
    const char *key = args[argc - (argc % 3 == 0 ? 2 : 1)];
    return memcmp(key, "key:000000000005", KEY_SIZE) == 0;
}

static void say(int fd, const char *text, bool in_pieces)
{
    size_t size = strlen(text), step = in_pieces ? 1 : size;
    for (size_t at = 0; at < size; at += step)
        if (send(fd, text + at, step, MSG_NOSIGNAL) < 0)
            return;
}

/* Answers one command. False: close the connection. */
static bool respond(struct server *s, struct peer *p, const char *const *args, const size_t *lens, int argc)
{
    const bool in_session = argc > 3;
    unsigned command = atomic_fetch_add(&s->commands, 1);
    char text[128];
    p->commands++;
    switch (s->behaviour) {
    case ALWAYS_ERROR:
        say(p->fd, "-ERR no such luck\r\n", false);
        return true;
    case ALWAYS_MOVED:
        snprintf(text, sizeof text, "-MOVED 0 127.0.0.1:%u\r\n", (unsigned)s->other);
        say(p->fd, text, false);
        return true;
    case FIRST_DOWN:
        if (command < s->limit) {
            say(p->fd, "-CLUSTERDOWN no leader\r\n", false);
            return true;
        }
        break;
    case GARBAGE:
        say(p->fd, "HTTP/1.1 400 Bad Request\r\n", false);
        return true;
    case NEVER_ANSWER:
        if (p->number < s->limit)
            return true;
        break;
    case REFUSES_ONE:
        if (is_request_5(args, argc) && atomic_load(&s->refused) < s->limit) {
            atomic_fetch_add(&s->refused, 1);
            say(p->fd, "-BUSY not now\r\n", false);
            return true;
        }
        break;
    case LOSES_REPLIES:
        if (command >= s->limit && command < 2 * s->limit) {
            say(p->fd, "-SESSIONPASSED not executed\r\n", false);
            return true;
        }
        break;
    default:
        break;
    }
    const char *wrong = NULL;
    if (in_session)
        wrong = execute_in_session(s, args, lens, argc);
    else
        execute(s, args, lens, argc);
    if (s->behaviour == FIRST_DROPPED && p->number < s->limit)
        return false;
    if (s->behaviour == FIRST_UNKNOWN && command < s->limit)
        say(p->fd, "-UNKNOWN outcome\r\n", false);
    else if (s->behaviour == LOSES_REPLIES && command < s->limit)
        say(p->fd, "-SESSIONREPLY the command was executed\r\n", false);
    else if (wrong != NULL)
        say(p->fd, wrong, false);
    else if (argc == 2)
        say(p->fd, command % 2 == 0 ? "$12\r\n0123456789\r\n\r\n" : "$-1\r\n", s->behaviour == BYTE_BY_BYTE);
    else
        say(p->fd, "+OK\r\n", s->behaviour == BYTE_BY_BYTE);
    return true;
}

/* The request that opens or closes a session. Its size, 0 when it is another one, or incomplete. */
static size_t read_about_session(struct server *s, struct peer *p, size_t at)
{
    unsigned window, id;
    int size = 0;
    char text[64];
    p->in[p->len] = '\0';
    if (sscanf(p->in + at, "SESSION CLOSE %u%n", &id, &size) == 1 && memcmp(p->in + at + size, "\r\n", 2) == 0) {
        atomic_fetch_add(&s->closed, 1);
        say(p->fd, s->behaviour == ALWAYS_OK ? ":1\r\n" : "-CLUSTERDOWN no leader\r\n", false);
        return (size_t)size + 2;
    }
    if (sscanf(p->in + at, "SESSION OPEN %u%n", &window, &size) != 1 || memcmp(p->in + at + size, "\r\n", 2) != 0)
        return 0;
    if (s->behaviour == ALWAYS_MOVED || (s->behaviour == FIRST_DOWN && atomic_load(&s->commands) < s->limit)) {
        respond(s, p, NULL, NULL, 0);
        return (size_t)size + 2;
    }
    const unsigned session = atomic_fetch_add(&s->sessions, 1);
    if (window < 1 || window > SESSION_WINDOW_MAX || session >= SESSIONS_MAX)
        atomic_fetch_add(&s->malformed, 1);
    else
        sessions[session].window = window;
    snprintf(text, sizeof text, ":%u\r\n", 1000000 + session);
    say(p->fd, text, s->behaviour == BYTE_BY_BYTE);
    return (size_t)size + 2;
}

/* False: the connection has ended. */
static bool serve_peer(struct server *s, struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->len, sizeof p->in - 1 - p->len, 0);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    size_t at = 0;
    if (!p->greeted) {
        at = read_greeting(p->in, p->len);
        p->greeted = at > 0;
        if (p->greeted)
            say(p->fd, p->number % 2 == 0 ? "-ERR This instance has cluster support disabled\r\n" : "$2\r\nme\r\n", false);
    }
    while (p->greeted) {
        const char *args[ARGS_MAX];
        size_t lens[ARGS_MAX], size;
        int argc;
        if ((size = read_about_session(s, p, at)) > 0) {
            at += size;
            continue;
        }
        size = read_command(p->in + at, p->len - at, args, lens, &argc);
        if (size == 0)
            break;
        if (!respond(s, p, args, lens, argc))
            return false;
        at += size;
    }
    memmove(p->in, p->in + at, p->len - at);
    p->len -= at;
    return true;
}

static _Noreturn void serve(struct server *s, int listener)
{
    static struct peer peers[CONNECTIONS_MAX];
    struct pollfd polled[CONNECTIONS_MAX + 1];
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        peers[i].fd = -1;
    for (;;) {
        polled[CONNECTIONS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            polled[i] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        poll(polled, CONNECTIONS_MAX + 1, -1);
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            if (peers[i].fd >= 0 && polled[i].revents != 0 && !serve_peer(s, &peers[i])) {
                close(peers[i].fd);
                peers[i].fd = -1;
            }
        }
        for (int i = 0; polled[CONNECTIONS_MAX].revents != 0 && i < CONNECTIONS_MAX; i++) {
            if (peers[i].fd >= 0)
                continue;
            peers[i] = (struct peer){.fd = accept(listener, NULL, NULL), .number = atomic_fetch_add(&s->connections, 1)};
            break;
        }
    }
}

/* ---- The test's process ---- */

static struct server *server_new(enum behaviour behaviour, unsigned limit, uint16_t other)
{
    struct server *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    s->behaviour = behaviour;
    s->limit = limit;
    s->other = other;
    int listener = listen_on_free_port(&s->port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(s, listener);
    }
    s->pid = pid; /* by the parent alone: the memory is shared */
    close(listener);
    return s;
}

static void server_free(struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap(s, sizeof *s);
}

static unsigned executed_exactly(const struct server *s, unsigned requests, unsigned times)
{
    unsigned count = 0;
    for (unsigned i = 0; i < requests; i++)
        count += atomic_load(&s->seen[i]) == times;
    return count;
}

static struct load_result result;
static char error[512];

static bool run(struct load_options *o, const uint16_t *ports, size_t count)
{
    static struct load_target targets[4];
    for (size_t i = 0; i < count; i++)
        targets[i] = (struct load_target){.host = "127.0.0.1", .port = ports[i]};
    o->targets = targets;
    o->target_count = count;
    error[0] = '\0';
    return load_run(o, NULL, NULL, &result, error, sizeof error);
}

static struct load_options options(uint64_t requests, uint32_t connections, uint32_t processes)
{
    struct load_options o;
    load_defaults(&o);
    o.requests = requests;
    o.connections = connections;
    o.processes = processes;
    return o;
}

static void every_request_is_sent_once(void **state)
{
    (void)state;
    struct server *s = server_new(ALWAYS_OK, 0, 0);
    struct load_options o = options(5000, 20, 3);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 5000);
    assert_int_equal(result.latency.count, 5000);
    assert_int_equal(result.counts.errors + result.counts.unknown + result.counts.retried + result.counts.moved, 0);
    assert_int_equal(executed_exactly(s, 5000, 1), 5000);
    assert_int_equal(atomic_load(&s->commands), 5000);
    assert_int_equal(atomic_load(&s->connections), 20);
    assert_int_equal(atomic_load(&s->malformed), 0);
    assert_true(result.seconds > 0 && result.cpu_seconds > 0 && result.latency.min > 0);
    server_free(s);
}

static void pipelines_are_matched_in_order(void **state)
{
    (void)state;
    struct server *s = server_new(BYTE_BY_BYTE, 0, 0);
    struct load_options o = options(3000, 4, 2);
    o.pipeline = 16;
    o.command = COMMAND_MIXED;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 3000);
    assert_int_equal(executed_exactly(s, 3000, 1), 3000);
    assert_int_equal(atomic_load(&s->malformed), 0);
    server_free(s);
}

static void oneshot_connects_for_each_request(void **state)
{
    (void)state;
    struct server *s = server_new(ALWAYS_OK, 0, 0);
    struct load_options o = options(300, 5, 2);
    o.oneshot = true;
    o.value_size = 3;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 300);
    assert_int_equal(atomic_load(&s->connections), 300);
    assert_int_equal(executed_exactly(s, 300, 1), 300);
    assert_int_equal(atomic_load(&s->malformed), 0);
    server_free(s);
}

static void errors_are_final(void **state)
{
    (void)state;
    struct server *s = server_new(ALWAYS_ERROR, 0, 0);
    struct load_options o = options(100, 4, 1);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.errors, 100);
    assert_int_equal(result.counts.answered, 0);
    assert_int_equal(result.latency.count, 0);
    assert_string_equal(result.first_error, "ERR no such luck");
    server_free(s);
}

static void moved_is_followed(void **state)
{
    (void)state;
    struct server *leader = server_new(ALWAYS_OK, 0, 0);
    struct server *follower = server_new(ALWAYS_MOVED, 0, leader->port);
    struct load_options o = options(1000, 8, 2);
    o.pipeline = 4;
    assert_true(run(&o, &follower->port, 1)); /* the leader's address comes from the answer alone */
    assert_int_equal(result.counts.answered, 1000);
    assert_int_equal(executed_exactly(leader, 1000, 1), 1000);
    assert_int_equal(result.counts.moved, atomic_load(&follower->commands));
    assert_int_equal(atomic_load(&follower->connections), 8);
    server_free(follower);
    server_free(leader);
}

static void no_leader_is_waited_for(void **state)
{
    (void)state;
    struct server *s = server_new(FIRST_DOWN, 50, 0);
    struct load_options o = options(500, 4, 2);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 500);
    assert_int_equal(result.counts.retried, 50);
    assert_int_equal(executed_exactly(s, 500, 1), 500);
    server_free(s);
}

static void unknown_outcomes_are_counted(void **state)
{
    (void)state;
    struct server *s = server_new(FIRST_UNKNOWN, 7, 0);
    struct load_options o = options(200, 2, 1);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.unknown, 7);
    assert_int_equal(result.counts.answered, 193);
    assert_int_equal(executed_exactly(s, 200, 1), 200); /* none was sent twice */
    server_free(s);
}

static void unknown_outcomes_are_sent_again_if_wanted(void **state)
{
    (void)state;
    struct server *s = server_new(FIRST_UNKNOWN, 7, 0);
    struct load_options o = options(200, 2, 1);
    o.resend = true;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 200);
    assert_int_equal(result.counts.retried, 7);
    assert_int_equal(result.counts.unknown, 0);
    assert_int_equal(atomic_load(&s->commands), 207);
    server_free(s);
}

static void lost_connections_leave_unknown_outcomes(void **state)
{
    (void)state;
    struct server *s = server_new(FIRST_DROPPED, 3, 0);
    struct load_options o = options(200, 3, 1);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.unknown, 3);
    assert_int_equal(result.counts.answered, 197);
    assert_int_equal(executed_exactly(s, 200, 1), 200);
    server_free(s);

    s = server_new(FIRST_DROPPED, 3, 0);
    o.resend = true;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.retried, 3);
    assert_int_equal(result.counts.answered, 200);
    assert_int_equal(executed_exactly(s, 200, 2), 3);
    server_free(s);
}

/* ---- Sessions ---- */

static struct load_options in_sessions(uint64_t requests, uint32_t connections, uint32_t processes)
{
    struct load_options o = options(requests, connections, processes);
    o.sessions = true;
    return o;
}

static uint64_t lost_in_sessions(void)
{
    return result.counts.no_session + result.counts.session_passed + result.counts.session_reply;
}

/* What the load generator says last may still be on its way to the server. */
static void wait_for_closed(struct server *s, unsigned wanted)
{
    for (int i = 0; i < 5000 && atomic_load(&s->closed) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&s->closed), wanted);
}

/* What may have been executed is sent again in its session, which outlives its connection. */
static void in_a_session_each_is_executed_once(void **state)
{
    (void)state;
    static const struct {
        enum behaviour behaviour;
        unsigned limit, pipeline, repeated;
        uint8_t command;
    } rows[] = {{ALWAYS_OK, 0, 4, 0, COMMAND_SET},      {BYTE_BY_BYTE, 0, 128, 0, COMMAND_MIXED},
                {FIRST_UNKNOWN, 7, 4, 7, COMMAND_INCR}, {FIRST_DROPPED, 5, 1, 5, COMMAND_SET},
                {NEVER_ANSWER, 2, 1, 0, COMMAND_SET},   {FIRST_DOWN, 30, 4, 0, COMMAND_SET},
                {BYTE_BY_BYTE, 0, 1024, 0, COMMAND_SET}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server *s = server_new(rows[i].behaviour, rows[i].limit, 0);
        struct load_options o = in_sessions(3000, 4, 2);
        o.pipeline = rows[i].pipeline;
        o.command = rows[i].command;
        o.request_timeout_ms = rows[i].behaviour == NEVER_ANSWER ? 100 : o.request_timeout_ms;
        assert_true(run(&o, &s->port, 1));
        assert_int_equal(result.counts.answered, 3000);
        assert_int_equal(result.counts.errors + result.counts.unknown + lost_in_sessions(), 0);
        assert_int_equal(executed_exactly(s, 3000, 1), 3000);
        assert_int_equal(atomic_load(&s->repeated), rows[i].repeated);
        /* One a connection, however often that was lost; a process that begins late finds no request left. */
        assert_in_range(atomic_load(&s->sessions), 1, 4);
        if (4 * rows[i].pipeline <=
            3000) /* else one that finds all requests taken may be opening its own when the load ends */
            wait_for_closed(s, atomic_load(&s->sessions));
        assert_int_equal(atomic_load(&s->malformed), 0);
        server_free(s);
    }
}

static void a_session_has_many_connections(void **state)
{
    (void)state;
    struct server *s = server_new(FIRST_DROPPED, 20, 0);
    struct load_options o = in_sessions(300, 3, 1);
    o.oneshot = true;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 300);
    assert_int_equal(executed_exactly(s, 300, 1), 300);
    assert_int_equal(atomic_load(&s->sessions), 3);
    wait_for_closed(s, 3);
    assert_int_equal(atomic_load(&s->connections), 323);
    server_free(s);
}

static void a_session_is_opened_where_a_node_leads(void **state)
{
    (void)state;
    uint16_t ports[2];
    struct server *leader = server_new(ALWAYS_OK, 0, 0), *follower = server_new(ALWAYS_MOVED, 0, leader->port);
    ports[0] = follower->port;
    ports[1] = leader->port;
    struct load_options o = in_sessions(100, 4, 1);
    assert_true(run(&o, ports, 2));
    assert_int_equal(result.counts.answered, 100);
    assert_int_equal(result.counts.moved, 4);
    assert_int_equal(atomic_load(&follower->sessions), 0);
    assert_int_equal(atomic_load(&leader->sessions), 4);
    server_free(follower);
    server_free(leader);
}

/* Its number stays the oldest one, and the others do not pass it by more than the window. */
static void a_session_waits_for_one_that_is_refused(void **state)
{
    (void)state;
    struct server *s = server_new(REFUSES_ONE, 40, 0);
    struct load_options o = in_sessions(3000, 1, 1);
    o.pipeline = 4;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 3000);
    assert_int_equal(result.counts.retried, 40);
    assert_int_equal(executed_exactly(s, 3000, 1), 3000);
    server_free(s);
}

static void another_session_takes_the_place_of_a_forgotten_one(void **state)
{
    (void)state;
    struct server *s = server_new(FORGETS, 1000, 0);
    struct load_options o = in_sessions(3000, 4, 2);
    o.pipeline = 8;
    o.command = COMMAND_INCR;
    assert_true(run(&o, &s->port, 1));
    const struct load_counts *c = &result.counts;
    assert_in_range(c->no_session, 1, 4 * 8);
    assert_int_equal(c->answered + c->no_session, 3000);
    assert_int_equal(c->errors + c->unknown + c->session_passed + c->session_reply, 0);
    assert_int_equal(executed_exactly(s, 3000, 1), c->answered);
    assert_int_equal(atomic_load(&s->sessions), 8);
    assert_memory_equal(result.first_error, "NOSESSION", 9);
    server_free(s);
}

static void what_sessions_say_is_counted(void **state)
{
    (void)state;
    struct server *s = server_new(LOSES_REPLIES, 10, 0);
    struct load_options o = in_sessions(100, 2, 1);
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.session_reply, 10);
    assert_int_equal(result.counts.session_passed, 10);
    assert_int_equal(result.counts.answered, 80);
    assert_int_equal(executed_exactly(s, 100, 1), 90);
    server_free(s);
}

static void silent_servers_are_left(void **state)
{
    (void)state;
    struct server *s = server_new(NEVER_ANSWER, 2, 0);
    struct load_options o = options(50, 2, 1);
    o.request_timeout_ms = 100;
    o.resend = true;
    assert_true(run(&o, &s->port, 1));
    assert_int_equal(result.counts.answered, 50);
    assert_int_equal(result.counts.retried, 2);
    assert_true(result.latency.max >= 100 * 1000);
    server_free(s);
}

static void refused_connections_go_to_the_next_address(void **state)
{
    (void)state;
    uint16_t ports[2];
    close(listen_on_free_port(&ports[0])); /* nothing listens there now */
    struct server *s = server_new(ALWAYS_OK, 0, 0);
    ports[1] = s->port;
    struct load_options o = options(100, 4, 2);
    assert_true(run(&o, ports, 2));
    assert_int_equal(result.counts.answered, 100);
    assert_int_equal(result.counts.unknown, 0);
    server_free(s);
}

static void nobody_there_is_an_error_that_says_so(void **state)
{
    (void)state;
    uint16_t port;
    close(listen_on_free_port(&port));
    struct load_options o = options(100, 4, 2);
    o.stall_timeout_ms = 200;
    assert_false(run(&o, &port, 1));
    assert_non_null(strstr(error, "Connection refused"));
    assert_non_null(strstr(error, "no answer for 200 ms"));
}

static void another_protocol_is_an_error_that_says_so(void **state)
{
    (void)state;
    struct server *s = server_new(GARBAGE, 0, 0);
    struct load_options o = options(10, 1, 1);
    assert_false(run(&o, &s->port, 1));
    assert_non_null(strstr(error, "not an answer of this protocol"));
    server_free(s);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    uint16_t port = 1;
    struct load_options o = options(10, 1, 2);
    assert_false(run(&o, &port, 1));
    assert_non_null(strstr(error, "as many connections as processes"));
    o = options(10, 2, 2);
    o.oneshot = true;
    o.pipeline = 2;
    assert_false(run(&o, &port, 1));
    o = options(10, 2, 2);
    assert_false(run(&o, &port, 0));
    o = in_sessions(10, 2, 2);
    o.pipeline = 1025;
    assert_false(run(&o, &port, 1));
    o = in_sessions(10, 2, 2);
    o.protocol = PROTOCOL_ETCD_HTTP;
    assert_false(run(&o, &port, 1));
    o = in_sessions(1000, 500, 2);
    o.pipeline = 1024;
    assert_false(run(&o, &port, 1));
    assert_non_null(strstr(error, "no room in sessions"));
}

/* Some pipelines, as many as fit. */
static void windows_fit_where_sessions_are_kept(void **state)
{
    (void)state;
    struct load_options o = in_sessions(10, 500, 2);
    o.pipeline = 16;
    assert_int_equal(load_session_window(&o), 128);
    o.pipeline = 64;
    assert_int_equal(load_session_window(&o), 512);
    o.connections = 1000;
    assert_in_range(load_session_window(&o), 256, 400);
    assert_true(1000 * (SESSION_BYTES + load_session_window(&o) * SESSION_PLACE_BYTES) <= SESSIONS_BYTES_MAX);
    o.connections = 500;
    o.command = COMMAND_GET;
    o.value_size = 1000;
    assert_int_equal(load_session_window(&o), 0);
    o.connections = 50;
    assert_in_range(load_session_window(&o), 128, 300);
    o.pipeline = 1024;
    o.command = COMMAND_SET;
    assert_int_equal(load_session_window(&o), 1024);
}

static bool stop_after_some(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    bool *marked = context;
    (void)seconds;
    if (!*marked && counts->answered > 0) { /* so the one connection is made */
        load_mark(load);
        *marked = true;
    }
    return counts->answered < 100;
}

enum { MARKS = 5 };

/* A mark after every hundred answers. */
static bool mark_often(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    unsigned *marks = context;
    (void)seconds;
    assert_true(*marks > 0 || !load_recovered(load));
    if (*marks < MARKS && counts->answered >= 100 * (*marks + 1) && (*marks == 0 || load_recovered(load))) {
        load_mark(load);
        assert_false(load_recovered(load));
        ++*marks;
    }
    return *marks < MARKS || !load_recovered(load);
}

static void recoveries_are_counted(void **state)
{
    (void)state;
    unsigned marks = 0;
    struct server *s = server_new(ALWAYS_OK, 0, 0);
    struct load_target target = {.host = "127.0.0.1", .port = s->port};
    struct load_options o = options(UINT64_C(1) << 40, 4, 2);
    o.targets = &target;
    o.target_count = 1;
    o.keyspace = 1000;
    o.oneshot = true; /* so there are new connections */
    o.progress_interval_ms = 1;
    assert_true(load_run(&o, mark_often, &marks, &result, error, sizeof error));
    assert_int_equal(marks, MARKS);
    assert_int_equal(result.recoveries, MARKS);
    assert_in_range(result.recovery_us, 1, 60000000);
    server_free(s);
}

static void it_can_be_stopped(void **state)
{
    (void)state;
    bool marked = false;
    struct server *s = server_new(ALWAYS_OK, 0, 0);
    struct load_target target = {.host = "127.0.0.1", .port = s->port};
    struct load_options o = options(UINT64_C(1) << 40, 1, 1);
    o.targets = &target;
    o.target_count = 1;
    o.keyspace = 1000;
    o.progress_interval_ms = 5;
    assert_true(load_run(&o, stop_after_some, &marked, &result, error, sizeof error));
    assert_true(result.stopped);
    assert_true(result.counts.answered >= 100);
    assert_true(marked);
    assert_int_equal(result.recoveries, 0);
    assert_int_equal(result.recovery_us, 0); /* no connection was made after the mark */
    server_free(s);
}

/* ---- Protocol ---- */

static void answers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint8_t kind;
        const char *text;
    } rows[] = {
        {"+OK\r\n", ANSWER_OK, NULL},
        {":-12\r\n", ANSWER_OK, "-12"},
        {"$-1\r\n", ANSWER_OK, NULL},
        {"$0\r\n\r\n", ANSWER_OK, NULL},
        {"$4\r\n\r\n\r\n\r\n", ANSWER_OK, NULL},
        {"*2\r\n$1\r\na\r\n*1\r\n:5\r\n", ANSWER_OK, NULL},
        {"*-1\r\n", ANSWER_OK, NULL},
        {"%1\r\n+a\r\n_\r\n", ANSWER_OK, NULL},
        {"-ERR what\r\n", ANSWER_ERROR, "ERR what"},
        {"!5\r\nERR x\r\n", ANSWER_ERROR, "ERR x"},
        {"-MOVED 17 [::1]:6001\r\n", ANSWER_MOVED, "[::1]:6001"},
        {"-MOVED \r\n", ANSWER_MOVED, ""},
        {"-CLUSTERDOWN no leader\r\n", ANSWER_BUSY, "CLUSTERDOWN no leader"},
        {"-BUSY\r\n", ANSWER_BUSY, "BUSY"},
        {"-NOROOM here\r\n", ANSWER_BUSY, "NOROOM here"},
        {"-NOSESSION x\r\n", ANSWER_NO_SESSION, "NOSESSION x"},
        {"-SESSIONPASSED x\r\n", ANSWER_SESSION_PASSED, "SESSIONPASSED x"},
        {"-SESSIONREPLY x\r\n", ANSWER_SESSION_REPLY, "SESSIONREPLY x"},
        {"-UNKNOWN outcome\r\n", ANSWER_UNKNOWN, "UNKNOWN outcome"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer a;
        size_t size = strlen(rows[i].bytes);
        char *exact = malloc(size); /* so that a sanitizer sees a byte too many */
        assert_non_null(exact);
        for (size_t len = 0; len < size; len++) {
            char *part = malloc(len + 1);
            memcpy(part, rows[i].bytes, len);
            assert_int_equal(answer_read(PROTOCOL_RESP, part, len, &a), 0);
            free(part);
        }
        memcpy(exact, rows[i].bytes, size);
        assert_int_equal(answer_read(PROTOCOL_RESP, exact, size, &a), size);
        assert_int_equal(a.kind, rows[i].kind);
        if (rows[i].text != NULL) {
            assert_int_equal(a.text_len, strlen(rows[i].text));
            assert_memory_equal(a.text, rows[i].text, a.text_len);
        }
        free(exact);
    }
}

static void unsound_answers_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"hello\r\n", "$x\r\n", "$99999999999\r\n", "*-5\r\n",
                                       "+OK\n",     "\r\n",   "*2000000\r\n"};
    struct answer a;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(answer_read(PROTOCOL_RESP, rows[i], strlen(rows[i]), &a), -1);
}

static void http_answers_are_read(void **state)
{
    (void)state;
    const char *ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\n{}";
    const char *bad = "HTTP/1.1 503 Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct answer a;
    for (size_t len = 0; len < strlen(ok); len++)
        assert_int_equal(answer_read(PROTOCOL_ETCD_HTTP, ok, len, &a), 0);
    assert_int_equal(answer_read(PROTOCOL_ETCD_HTTP, ok, strlen(ok), &a), strlen(ok));
    assert_int_equal(a.kind, ANSWER_OK);
    assert_int_equal(answer_read(PROTOCOL_ETCD_HTTP, bad, strlen(bad), &a), strlen(bad));
    assert_int_equal(a.kind, ANSWER_ERROR);
    assert_true(a.closes);
    assert_int_equal(answer_read(PROTOCOL_ETCD_HTTP, "+OK\r\n\r\n", 7, &a), -1);
    assert_int_equal(answer_read(PROTOCOL_ETCD_HTTP, "HTTP/1.1 200 OK\r\n\r\n", 19, &a), -1); /* no length */
}

static void etcd_requests_carry_base64(void **state)
{
    (void)state;
    struct request_maker m;
    char out[1024];
    assert_true(request_maker_init(&m, PROTOCOL_ETCD_HTTP, COMMAND_SET, 4, 0));
    size_t size = request_make(&m, &(struct request_id){.number = 42}, out);
    assert_true(size < m.size_max);
    out[size] = '\0';
    const char *body = strstr(out, "\r\n\r\n") + 4;
    assert_string_equal(body, "{\"key\":\"a2V5OjAwMDAwMDAwMDA0Mg==\",\"value\":\"MDA0Mg==\"}");
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    assert_non_null(strstr(out, length));
    request_maker_close(&m);
    assert_false(request_maker_init(&m, PROTOCOL_ETCD_HTTP, COMMAND_INCR, 4, 0));
    request_maker_close(&m);
}

static void requests_in_sessions_are_longer(void **state)
{
    (void)state;
    static const char expected[] = "*6\r\n$7\r\nSESSION\r\n$16\r\n9007199254740991\r\n$20\r\n18446744073709551615\r\n"
                                   "$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$4\r\n0042\r\n"
                                   "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000043\r\n";
    const struct request_id requests[] = {{42, SESSION_ID_MAX, UINT64_MAX}, {43, 0, 0}};
    struct request_maker m;
    char out[1024];
    assert_true(request_maker_init(&m, PROTOCOL_RESP, COMMAND_MIXED, 4, 0));
    assert_int_equal(requests_make(&m, requests, 2, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    assert_true(request_make(&m, &requests[0], out) <= m.size_max);
    request_maker_close(&m);
}

/* ---- A real Redis ---- */

static pid_t redis_start(uint16_t port)
{
    pid_t pid = fork();
    if (pid == 0) {
        char text[16];
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(text, sizeof text, "%u", (unsigned)port);
        execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
               NULL);
        _exit(127);
    }
    return pid;
}

/* A connection, as soon as it listens; NULL when there is no such program. */
static redisContext *redis_connect(pid_t pid, uint16_t port)
{
    for (;;) {
        redisContext *c = redisConnect("127.0.0.1", port);
        if (c != NULL && c->err == 0)
            return c;
        redisFree(c);
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return NULL;
        poll(NULL, 0, 5);
    }
}

static void a_real_redis_holds_all_keys(void **state)
{
    (void)state;
    uint16_t port;
    close(listen_on_free_port(&port));
    pid_t pid = redis_start(port);
    assert_true(pid > 0);
    redisContext *c = redis_connect(pid, port);
    if (c == NULL)
        skip();
    struct load_options o = options(3000, 50, 5);
    o.value_size = 100;
    assert_true(run(&o, &port, 1));
    assert_int_equal(result.counts.answered, 3000);
    redisReply *reply = redisCommand(c, "DBSIZE");
    assert_int_equal(reply->integer, 3000);
    freeReplyObject(reply);
    char key[KEY_SIZE + 1], value[100];
    key_of(2999, key);
    value_of(2999, value, sizeof value);
    reply = redisCommand(c, "GET %s", key);
    assert_int_equal(reply->len, sizeof value);
    assert_memory_equal(reply->str, value, sizeof value);
    freeReplyObject(reply);

    o = options(1000, 10, 2);
    o.pipeline = 8;
    o.command = COMMAND_INCR;
    o.keyspace = 1;
    reply = redisCommand(c, "SET key:000000000000 0");
    freeReplyObject(reply);
    assert_true(run(&o, &port, 1));
    assert_int_equal(result.counts.answered, 1000);
    reply = redisCommand(c, "GET key:000000000000");
    assert_string_equal(reply->str, "1000");
    freeReplyObject(reply);

    o.sessions = true;
    assert_false(run(&o, &port, 1));
    assert_non_null(strstr(error, "SESSION OPEN gives ERR unknown command"));
    redisFree(c);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_sent_once),
        cmocka_unit_test(pipelines_are_matched_in_order),
        cmocka_unit_test(oneshot_connects_for_each_request),
        cmocka_unit_test(errors_are_final),
        cmocka_unit_test(moved_is_followed),
        cmocka_unit_test(no_leader_is_waited_for),
        cmocka_unit_test(unknown_outcomes_are_counted),
        cmocka_unit_test(unknown_outcomes_are_sent_again_if_wanted),
        cmocka_unit_test(lost_connections_leave_unknown_outcomes),
        cmocka_unit_test(in_a_session_each_is_executed_once),
        cmocka_unit_test(a_session_has_many_connections),
        cmocka_unit_test(a_session_is_opened_where_a_node_leads),
        cmocka_unit_test(a_session_waits_for_one_that_is_refused),
        cmocka_unit_test(another_session_takes_the_place_of_a_forgotten_one),
        cmocka_unit_test(what_sessions_say_is_counted),
        cmocka_unit_test(silent_servers_are_left),
        cmocka_unit_test(refused_connections_go_to_the_next_address),
        cmocka_unit_test(nobody_there_is_an_error_that_says_so),
        cmocka_unit_test(another_protocol_is_an_error_that_says_so),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(windows_fit_where_sessions_are_kept),
        cmocka_unit_test(recoveries_are_counted),
        cmocka_unit_test(it_can_be_stopped),
        cmocka_unit_test(answers_are_read_whole_or_not_at_all),
        cmocka_unit_test(unsound_answers_are_refused),
        cmocka_unit_test(http_answers_are_read),
        cmocka_unit_test(etcd_requests_carry_base64),
        cmocka_unit_test(requests_in_sessions_are_longer),
        cmocka_unit_test(a_real_redis_holds_all_keys),
    };
    alarm(120); /* a generator that hangs fails instead */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
