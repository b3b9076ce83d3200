/* A client port on a real loop with real sockets, for tests. The test plays the node: it takes the batches, executes them
 * with the kv-store and answers when and in what order it likes. Nothing waits for time: a helper that waits works the loop
 * until what it waits for is there, and fails after PATIENCE_MS. */
#ifndef SYNOD_TESTS_UNIT_CLIENT_NODE_H
#define SYNOD_TESTS_UNIT_CLIENT_NODE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/command_table.h"
#include "core/formats/notice.h"
#include "core/formats/transaction.h"
#include "core/runners/ports.h"
#include "core/state/state_machine.h"
#include "io/client_server.h"

enum { BATCHES_MAX = 4096, PATIENCE_MS = 20000, NS_PER_MS = 1000000 };

/* ---- The port and its node ---- */

struct taken {
    uint64_t token;
    uint32_t count;
    bool reads;
    struct payload value; /* a copy */
};

struct node {
    uv_loop_t loop;
    struct config config;
    struct config_node nodes[3];
    struct logger *logger;
    struct client_server *server;
    struct state_machine *machine;
    uint64_t watch;         /* what the port wants to be told */
    size_t told;            /* how often it has said so */
    struct notices notices; /* not told yet */
    struct taken taken[BATCHES_MAX];
    size_t taken_count;
    size_t inputs;
    struct seed seed;       /* see client_server_options */
    uint64_t stuck_ms;      /* the same */
    struct reply_room room; /* for each batch's replies */
    bool answers;           /* execute and answer at once */
    uint64_t slot;          /* in which the next batches are executed; 0: that is not said */
    bool closed;
};

static inline void on_input(void *context) { ((struct node *)context)->inputs++; }

static inline struct node_status on_status(void *context)
{
    (void)context;
    return (struct node_status){.node = 1,
                                .incarnation = 4,
                                .leader = 1,
                                .proposer_state = PROPOSER_LEADING,
                                .ballot = {7, 1, 4},
                                .chosen = 12,
                                .executed = 11,
                                .held = 10,
                                .state_hash = 0xabc,
                                .commands_executed = 99,
                                .leader_changes = 2,
                                .sessions = 3,
                                .session_bytes = 4000,
                                .moment = {60000, 1700000000000},
                                .wall_clock = 1699999999000,
                                .keys = 5,
                                .timed_keys = 2,
                                .time_left = 700,
                                .state_bytes = 1572864,
                                .state_bytes_max = 104857600};
}

static inline size_t on_info(void *context, char *out, size_t size)
{
    (void)context;
    return (size_t)snprintf(out, size, "synod_extra:yes\r\n");
}

static inline void set_node(struct config_node *n, uint32_t id, const char *host, uint16_t port)
{
    *n = (struct config_node){.id = id, .role = ROLE_COORDINATOR, .address = {.host = "192.0.2.9", .port = 7000}};
    snprintf(n->client.host, sizeof n->client.host, "%s", host);
    n->client.port = port;
}

/* Node 1 of three, not listening yet, so that a test can change its settings. */
static inline struct node *node_new(void)
{
    struct node *n = memory_new(1, sizeof *n);
    assert_int_equal(uv_loop_init(&n->loop), 0);
    set_node(&n->nodes[0], 1, "127.0.0.1", 0);
    set_node(&n->nodes[1], 2, "192.0.2.2", 7002);
    set_node(&n->nodes[2], 3, "", 0);
    n->config = (struct config){.cluster = "test",
                                .nodes = n->nodes,
                                .node_count = 3,
                                .batch_size = 1024,
                                .batch_bytes = 256 * 1024,
                                .command_bytes_max = 4 * 1024 * 1024,
                                .client_connections_max = 100,
                                .client_bytes_max = 16 * 1024 * 1024,
                                .client_bytes_all_max = 64 * 1024 * 1024,
                                .node_config.proposers = 6,
                                .node_config.learners = 6};
    n->logger = logger_new(1, LOG_ERROR);
    n->machine = state_machine_new();
    n->room = REPLY_ROOM_ANY;
    n->answers = true;
    return n;
}

/* Tells the client port what commands there are. */
static inline void node_describe(struct node *n, struct command_info_list commands)
{
    struct words words = {NULL, 0};
    size_t capacity = 0;
    struct packet table;
    command_table_encode(&commands, &words, &capacity, &table);
    assert_true(client_server_describe(n->server, &table));
    free(words.ptr);
}

static inline void node_open(struct node *n)
{
    struct client_server_options options = {.config = &n->config,
                                            .node = 1,
                                            .logger = n->logger,
                                            .on_input = on_input,
                                            .status = on_status,
                                            .info = on_info,
                                            .seed = n->seed,
                                            .stuck_ms = n->stuck_ms,
                                            .context = n};
    struct problem problem;
    signal(SIGPIPE, SIG_IGN); /* as `synod start` does */
    if (!client_server_open(&n->server, &n->loop, &options, &problem))
        fail_msg("%s", problem.text);
    struct command_info all[COMMAND_TABLE_MAX];
    const struct command_info_list theirs = state_machine_describe(n->machine), others = publication_describe();
    memcpy(all, others.ptr, others.len * sizeof *all);
    memcpy(all + others.len, theirs.ptr, theirs.len * sizeof *all);
    node_describe(n, (struct command_info_list){all, others.len + theirs.len});
    client_server_leader(n->server, 1, 1);
}

static inline struct node *node_start(void)
{
    struct node *n = node_new();
    node_open(n);
    return n;
}

/* Takes at most so many batches. */
static inline void take_each(struct node *n, uint32_t commands, uint32_t reads)
{
    struct packet_list list = client_server_receive(n->server, (struct credit){commands, reads});
    for (size_t i = 0; i < list.len; i++) {
        const struct packet *p = &list.ptr[i];
        if (p->kind == CLIENT_WATCH) {
            n->watch = p->id;
            n->told++;
            continue;
        }
        assert_true(n->taken_count < BATCHES_MAX);
        struct payload value = {.words = p->words, .len = p->len};
        n->taken[n->taken_count++] = (struct taken){.token = p->id,
                                                    .count = p->kind & ~CLIENT_READS,
                                                    .reads = (p->kind & CLIENT_READS) != 0,
                                                    .value = payload_copy(&value)};
    }
}

/* Takes at most so many of each kind. */
static inline void take(struct node *n, uint32_t credit) { take_each(n, credit, credit); }

/* Forgets a batch without answering it. */
static inline struct taken untake(struct node *n, size_t index)
{
    assert_true(index < n->taken_count);
    struct taken t = n->taken[index];
    n->taken_count--;
    memmove(&n->taken[index], &n->taken[index + 1], (n->taken_count - index) * sizeof t);
    return t;
}

static inline void answer_outcome(struct node *n, size_t index, uint32_t outcome, uint32_t leader)
{
    struct taken t = untake(n, index);
    struct packet p = {.id = t.token, .kind = leader << 8 | outcome};
    client_server_reply(n->server, &p, 1);
    payload_free(&t.value);
}

static inline void send_notices(struct node *n)
{
    const struct payload told = batch_end(&n->notices.packed);
    const struct packet p = {.kind = CLIENT_NOTICES, .len = told.len, .words = told.words};
    if (n->notices.packed.count > 0)
        client_server_reply(n->server, &p, 1);
    notices_begin(&n->notices);
}

/* What is told next came of command `index` of this batch. */
static inline void set_cause(struct node *n, const struct taken *t, size_t index)
{
    struct batch_header header;
    assert_true(batch_header_read(&t->value, &header));
    notices_cause(&n->notices, (struct notice_cause){header.port_number, (uint32_t)index});
}

static inline void add_message(struct node *n, uint8_t kind, struct bytes channel, struct bytes message)
{
    if ((n->watch & WATCH_MESSAGES) != 0)
        notices_add(&n->notices, &(struct notice){.kind = kind, .channel = channel, .message = message});
}

/* Executes what a command publishes, as learners do. False: it publishes nothing. */
static inline bool publish(struct node *n, const struct command *command, struct reply *r)
{
    const struct publication p = publication_read(&command->args);
    *r = (struct reply){.tag = REPLY_INTEGER};
    if (p.kind == PUBLICATION_MALFORMED)
        reply_error_text(r, p.error);
    else if (p.kind != PUBLICATION_NONE)
        add_message(n, p.kind == PUBLICATION ? NOTICE_MESSAGE : NOTICE_SHARD_MESSAGE, p.channel, p.message);
    return p.kind != PUBLICATION_NONE;
}

/* Executes a transaction, as learners do. */
static inline void answer_transaction(struct node *n, const struct command *command, struct batch_builder *replies)
{
    struct transaction t = {0};
    bool holds = true;
    assert_true(transaction_read(&t, &command->args));
    if (t.condition.args.len > 0) {
        const struct applied said = state_machine_apply(n->machine, MOMENT_ZERO, &t.condition, 1, n->room);
        holds = said.replies.ptr[0].tag == REPLY_INTEGER && said.replies.ptr[0].val.integer == 1;
    }
    if (holds)
        replies_add_array(replies, t.count);
    else
        replies_add(replies, &(struct reply){.tag = REPLY_NIL_ARRAY});
    for (size_t i = 0; holds && i < t.count; i++) {
        struct reply r;
        const bool publishes = publish(n, &t.commands[i], &r);
        replies_add_element(
            replies, publishes ? &r : state_machine_apply(n->machine, MOMENT_ZERO, &t.commands[i], 1, n->room).replies.ptr);
    }
    transaction_free(&t);
}

/* Executes a batch and answers it. */
static inline void answer(struct node *n, size_t index)
{
    struct taken t = untake(n, index);
    struct batch_commands commands = {0};
    struct batch_builder builder = {0};
    assert_true(batch_commands_read(&commands, &t.value));
    assert_int_equal(commands.count, t.count);
    replies_begin(&builder);
    for (size_t done = 0; done < commands.count;) { /* it may stop early */
        const struct command *left = commands.commands + done;
        size_t count = 1;
        struct reply r;
        set_cause(n, &t, done);
        while (done + count < commands.count && !transaction_is(&left[count].args) &&
               publication_read(&left[count].args).kind == PUBLICATION_NONE)
            count++;
        if (publish(n, left, &r)) {
            replies_add(&builder, &r);
            done++;
            continue;
        }
        if (transaction_is(&left->args)) {
            answer_transaction(n, left, &builder);
            done++;
            continue;
        }
        struct reply_list replies = t.reads ? state_machine_query(n->machine, MOMENT_ZERO, left, count, n->room).replies
                                            : state_machine_apply(n->machine, MOMENT_ZERO, left, count, n->room).replies;
        for (size_t i = 0; i < replies.len; i++)
            replies_add(&builder, &replies.ptr[i]);
        done += replies.len;
    }
    send_notices(n);
    struct payload packed = replies_end(&builder);
    const struct packet said[] = {{.id = n->slot, .kind = CLIENT_SLOT},
                                  {.id = t.token, .kind = OUTCOME_EXECUTED, .len = packed.len, .words = packed.words}};
    client_server_reply(n->server, n->slot != 0 ? said : said + 1, n->slot != 0 ? 2 : 1);
    batch_commands_free(&commands);
    batch_builder_free(&builder);
    payload_free(&t.value);
}

/* One turn of the loop, and of the node if it answers by itself. */
static inline void turn(struct node *n)
{
    uv_run(&n->loop, UV_RUN_NOWAIT);
    if (!n->answers || n->closed)
        return;
    take(n, 1000);
    while (n->taken_count > 0)
        answer(n, 0);
}

static inline uint64_t deadline(void) { return uv_hrtime() / 1000000 + PATIENCE_MS; }
static inline void check_deadline(uint64_t at) { assert_true(uv_hrtime() / 1000000 < at); }

static inline void on_closed(void *context) { ((struct node *)context)->closed = true; }

static inline void node_close(struct node *n)
{
    client_server_close(n->server, on_closed, n);
    uint64_t until = deadline();
    while (!n->closed) {
        uv_run(&n->loop, UV_RUN_ONCE);
        check_deadline(until);
    }
}

static inline void node_free(struct node *n)
{
    while (n->taken_count > 0) {
        struct taken t = untake(n, 0);
        payload_free(&t.value);
    }
    uv_run(&n->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&n->loop), 0);
    state_machine_free(n->machine);
    notices_free(&n->notices);
    logger_free(n->logger);
    free(n);
}

static inline void node_stop(struct node *n)
{
    node_close(n);
    node_free(n);
}

/* ---- Clients ---- */

static inline int try_dial(struct node *n, int family)
{
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(client_server_port(n->server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(client_server_port(n->server)), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    int failed = family == AF_INET6 ? connect(fd, (struct sockaddr *)&six, sizeof six)
                                    : connect(fd, (struct sockaddr *)&four, sizeof four);
    if (failed == 0)
        return fd;
    close(fd);
    return -1;
}

static inline int dial(struct node *n)
{
    int fd = try_dial(n, AF_INET);
    assert_true(fd >= 0);
    uint64_t before = client_server_statistics(n->server).connections_total, until = deadline();
    while (client_server_statistics(n->server).connections_total == before) {
        uv_run(&n->loop, UV_RUN_NOWAIT);
        check_deadline(until);
    }
    return fd;
}

/* Sends everything, letting the port read meanwhile. */
static inline void send_bytes(struct node *n, int fd, const void *bytes, size_t len)
{
    uint64_t until = deadline();
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, (const uint8_t *)bytes + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        else
            assert_int_equal(errno, EAGAIN);
        turn(n);
        check_deadline(until);
    }
}

static inline void say(struct node *n, int fd, const char *text) { send_bytes(n, fd, text, strlen(text)); }

/* Receives `len` bytes while the port works; gives what came before the end of the stream. */
static inline size_t receive(struct node *n, int fd, void *out, size_t len)
{
    uint64_t until = deadline();
    size_t at = 0;
    while (at < len) {
        turn(n);
        ssize_t got = recv(fd, (uint8_t *)out + at, len - at, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            break;
        if (got > 0)
            at += (size_t)got;
        else
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1);
        check_deadline(until);
    }
    return at;
}

static inline void hear(struct node *n, int fd, const char *wanted)
{
    size_t len = strlen(wanted);
    char *got = memory_new(len + 1, 1);
    size_t at = receive(n, fd, got, len);
    if (at != len || memcmp(got, wanted, len) != 0)
        fail_msg("got \"%s\", expected \"%s\"", got, wanted);
    free(got);
}

static inline void hear_end(struct node *n, int fd)
{
    char byte;
    assert_int_equal(receive(n, fd, &byte, 1), 0);
    close(fd);
}

static inline void ask(struct node *n, int fd, const char *request, const char *reply)
{
    say(n, fd, request);
    hear(n, fd, reply);
}

/* Lets the port learn that a command's replies are small, so that it takes many of them at a time. The node must answer. */
static inline void teach(struct node *n, const char *request)
{
    enum { TIMES = 100 };
    char reply[256];
    int fd = dial(n);
    for (int i = 0; i < TIMES; i++) {
        say(n, fd, request);
        say(n, fd, "ECHO taught\r\n");
        for (size_t at = 0; at < 12 || memcmp(reply + at - 12, "$6\r\ntaught\r\n", 12) != 0; at++) {
            assert_true(at < sizeof reply);
            assert_int_equal(receive(n, fd, reply + at, 1), 1);
        }
    }
    close(fd);
    uint64_t until = deadline();
    for (uint64_t before = client_server_statistics(n->server).connections;
         client_server_statistics(n->server).connections == before;) {
        turn(n);
        check_deadline(until);
    }
}

/* A bulk string reply, as a C string that the caller frees. */
static inline char *ask_text(struct node *n, int fd, const char *request)
{
    say(n, fd, request);
    char header[32] = "";
    for (size_t at = 0; strchr(header, '\n') == NULL; at++) {
        assert_true(at < sizeof header - 1);
        assert_int_equal(receive(n, fd, header + at, 1), 1);
    }
    int len;
    assert_int_equal(sscanf(header, "$%d\r\n", &len), 1);
    char *text = memory_new((size_t)len + 3, 1);
    assert_int_equal(receive(n, fd, text, (size_t)len + 2), (size_t)len + 2);
    return text;
}

/* A number that INFO tells. */
static inline uint64_t ask_number(struct node *n, int fd, const char *name)
{
    char *info = ask_text(n, fd, "INFO\r\n"), *at = strstr(info, name);
    assert_non_null(at);
    uint64_t number = strtoull(at + strlen(name) + 1, NULL, 10);
    free(info);
    return number;
}

/* Lets the port work until this many connections are left. */
static inline void await_connections(struct node *n, uint64_t connections)
{
    uint64_t until = deadline();
    while (client_server_statistics(n->server).connections != connections) {
        turn(n);
        check_deadline(until);
    }
}

/* Lets the port work until this many commands have arrived. */
static inline void await_commands(struct node *n, uint64_t commands)
{
    uint64_t until = deadline();
    while (client_server_statistics(n->server).commands < commands) {
        turn(n);
        check_deadline(until);
    }
}

static inline void expect_silence(struct node *n, int fd)
{
    char byte;
    for (int i = 0; i < 10; i++)
        turn(n);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

#endif
