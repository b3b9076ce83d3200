/* The client port of a node in the sandbox (io/client_server.h over WASI), with clients over real sockets. The test plays
 * the node: it executes the commands with the kv-store. The argument is the folder with uv-tcp.wasm. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "core/formats/batch.h"
#include "core/formats/config_frame.h"
#include "core/state/state_machine.h"
#include "tests/component/uv_parts.h"

enum { ROUNDS = 5000, CLIENTS = 40, LARGE = 1 << 20 };

static wasmtime_component_t *component;
static struct state_machine *machine;
static uint16_t port;
static bool idle; /* the node takes nothing */
static size_t batches;

static int load(void **state)
{
    (void)state;
    component = wasi_guest_load(parts_engine, parts_folder, "uv-tcp");
    machine = state_machine_new();
    return 0;
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void lead(struct parts *p, uint64_t node)
{
    struct typed_call call = {.scalars = {node, 1}};
    parts_call(p, p->leader, &call);
}

static struct parts *begin(void)
{
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    f->config.batch_size = 1024;
    f->config.batch_bytes = 256 * 1024;
    f->config.command_bytes_max = 4 << 20;
    f->config.client_connections_max = CLIENTS + 2;
    f->config.client_bytes_max = 16 << 20;
    f->config.client_bytes_all_max = 64 << 20;
    for (size_t i = 0; i < NODES; i++)
        f->config_nodes[i].address.port = free_port();
    port = free_port();
    f->config_nodes[1].client.port = port;
    strcpy(f->config_nodes[1].client.host, "127.0.0.1");
    f->config_nodes[2].client.port = 7777;
    strcpy(f->config_nodes[2].client.host, "127.0.0.1");
    struct parts *p = parts_new(f, component);
    idle = false;
    batches = 0;
    lead(p, 2);
    return p;
}

static void end(struct parts *p)
{
    struct fixture *f = p->fixture;
    assert_int_equal(p->failed, 0);
    parts_free(p);
    teardown(f);
}

/* ---- The node ---- */

static void execute(struct parts *p, const struct packet *batch)
{
    struct batch_commands commands = {0};
    struct batch_builder builder = {0};
    const struct payload value = {batch->words, batch->len};
    assert_true(batch_commands_read(&commands, &value));
    assert_int_equal(commands.count, batch->kind);
    replies_begin(&builder);
    for (size_t done = 0; done < commands.count;) {
        struct reply_list replies =
            state_machine_apply(machine, MOMENT_ZERO, commands.commands + done, commands.count - done, REPLY_ROOM_ANY)
                .replies;
        for (size_t i = 0; i < replies.len; i++)
            replies_add(&builder, &replies.ptr[i]);
        done += replies.len;
    }
    struct payload packed = replies_end(&builder);
    struct packet answer = {.id = batch->id, .kind = OUTCOME_EXECUTED, .len = packed.len, .words = packed.words};
    struct typed_call call = {.packets = {&answer, 1}};
    parts_call(p, p->reply, &call);
    batch_commands_free(&commands);
    batch_builder_free(&builder);
    batches++;
}

static void take(struct parts *p, uint64_t credit)
{
    struct typed_call call = {.scalars = {credit, credit}};
    parts_call(p, p->commands, &call);
    assert_true(call.result_packets.len <= 2 * credit);
    for (size_t i = 0; i < call.result_packets.len; i++)
        execute(p, &call.result_packets.ptr[i]);
}

static void turn(struct parts *p)
{
    if (parts_work(p) && !idle)
        take(p, 4);
}

/* ---- Clients ---- */

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void say(struct parts *p, int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(fd, (const uint8_t *)bytes + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        else
            turn(p);
    }
}

/* Receives `len` bytes; fewer before the end of the stream. */
static size_t hear(struct parts *p, int fd, void *out, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t got = recv(fd, (uint8_t *)out + at, len - at, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        if (got > 0)
            at += (size_t)got;
        else
            turn(p);
    }
    return at;
}

static void expect(struct parts *p, int fd, const char *reply)
{
    char got[1024] = "";
    size_t len = strlen(reply);
    assert_true(len < sizeof got);
    if (hear(p, fd, got, len) != len || memcmp(got, reply, len) != 0)
        fail_msg("got \"%s\", expected \"%s\"\n%s", got, reply, p->log);
}

static void ask(struct parts *p, int fd, const char *request, const char *reply)
{
    say(p, fd, request, strlen(request));
    expect(p, fd, reply);
}

/* ---- Tests ---- */

static void commands(void **state)
{
    (void)state;
    struct parts *p = begin();
    take(p, 1);
    int fd = dial();
    ask(p, fd, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"); /* the port's own */
    assert_int_equal(batches, 0);
    ask(p, fd, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n", "+OK\r\n");
    ask(p, fd, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "$5\r\nvalue\r\n");
    assert_int_equal(batches, 2);
    ask(p, fd, "GET k\r\nPING\r\nGET none\r\n", "$5\r\nvalue\r\n+PONG\r\n$-1\r\n"); /* in the order of the requests */
    ask(p, fd, "*bad\r\n", "-ERR Protocol error");
    char rest[64];
    assert_true(hear(p, fd, rest, sizeof rest) < sizeof rest); /* it hangs up */
    assert_non_null(strstr(p->log, "1 clients: 127.0.0.1:"));
    close(fd);
    end(p);
}

static void another_leads(void **state)
{
    (void)state;
    struct parts *p = begin();
    take(p, 1);
    int fd = dial();
    lead(p, 3);
    ask(p, fd, "SET k v\r\n", "-MOVED 7629 127.0.0.1:7777\r\n");
    lead(p, 0);
    ask(p, fd, "SET k v\r\n", "-CLUSTERDOWN no leader\r\n");
    assert_int_equal(batches, 0);
    close(fd);
    end(p);
}

/* Without credit, commands are no reason for a turn; with it, they are. */
static void credit(void **state)
{
    (void)state;
    struct parts *p = begin();
    take(p, 0);
    int fd = dial();
    say(p, fd, "SET k v\r\n", 9);
    int turns = 0;
    for (int i = 0; i < 50; i++)
        turns += parts_work(p);
    assert_true(turns < 25); /* a timer of the port may be due, too; commands would be a reason each time */
    struct typed_call call = {.scalars = {1, 1}};
    parts_call(p, p->commands, &call);
    assert_int_equal(call.result_packets.len, 1);
    execute(p, call.result_packets.ptr);
    expect(p, fd, "+OK\r\n");
    say(p, fd, "SET k v\r\n", 9);
    while (!parts_work(p))
        continue;
    take(p, 1);
    expect(p, fd, "+OK\r\n");
    close(fd);
    end(p);
}

static void status_for_info(void **state)
{
    (void)state;
    uint64_t words[STATUS_FRAME_WORDS];
    struct packet told;
    struct parts *p = begin();
    const struct node_status status = {.node = 2, .incarnation = 5, .leader = 3, .chosen = 1234567};
    status_frame_encode(&status, words, &told);
    struct typed_call call = {.packets = {&told, 1}};
    parts_call(p, p->status, &call);
    int fd = dial();
    char text[4096] = "";
    say(p, fd, "INFO\r\n", 6);
    while (strstr(text, "synod_batches_waiting") == NULL) {
        size_t at = strlen(text);
        assert_int_equal(hear(p, fd, text + at, 1), 1);
    }
    assert_non_null(strstr(text, "synod_chosen:1234567\r\n"));
    assert_non_null(strstr(text, "synod_incarnation:5\r\n"));
    assert_non_null(strstr(text, "connected_clients:1\r\n"));
    assert_non_null(strstr(text, "process_id:0\r\n"));
    close(fd);
    end(p);
}

/* A mebibyte there and back. */
static void large_value(void **state)
{
    (void)state;
    char head[64];
    char *value = memory_new(LARGE, 1), *got = memory_new(LARGE, 1);
    struct parts *p = begin();
    take(p, 1);
    for (size_t i = 0; i < LARGE; i++)
        value[i] = (char)(i * 7 + (i >> 10));
    int fd = dial();
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", LARGE);
    say(p, fd, head, (size_t)len);
    say(p, fd, value, LARGE);
    say(p, fd, "\r\n", 2);
    expect(p, fd, "+OK\r\n");
    len = snprintf(head, sizeof head, "$%d\r\n", LARGE);
    ask(p, fd, "GET k\r\n", head);
    assert_int_equal(hear(p, fd, got, LARGE), LARGE);
    assert_memory_equal(got, value, LARGE);
    expect(p, fd, "\r\n");
    close(fd);
    free(value);
    free(got);
    end(p);
}

/* A client that asks for much, says that this was all, and reads late gets all of it. */
static void late_reader(void **state)
{
    (void)state;
    enum { TIMES = 10 };
    const int small = 64 * 1024;
    char head[64];
    struct parts *p = begin();
    take(p, 1);
    int fd = dial();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    char *value = memory_new(LARGE, 1);
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", LARGE);
    say(p, fd, head, (size_t)len);
    say(p, fd, value, LARGE);
    say(p, fd, "\r\n", 2);
    expect(p, fd, "+OK\r\n");
    for (int i = 0; i < TIMES; i++)
        say(p, fd, "GET k\r\n", 7);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 200; i++)
        turn(p);
    for (int i = 0; i < TIMES; i++) {
        snprintf(head, sizeof head, "$%d\r\n", LARGE);
        expect(p, fd, head);
        assert_int_equal(hear(p, fd, value, LARGE), LARGE);
        expect(p, fd, "\r\n");
    }
    char byte;
    assert_int_equal(hear(p, fd, &byte, 1), 0);
    close(fd);
    free(value);
    end(p);
}

/* Many clients at once, again and again, in bounded memory; one too many is told so. */
static void many_clients(void **state)
{
    (void)state;
    int fds[CLIENTS];
    struct parts *p = begin();
    take(p, 1);
    for (size_t i = 0; i < CLIENTS; i++)
        fds[i] = dial();
    for (uint32_t round = 0; round < ROUNDS / CLIENTS; round++) {
        char text[64];
        for (uint32_t i = 0; i < CLIENTS; i++) {
            int len = snprintf(text, sizeof text, "SET key-%u %u\r\nGET key-%u\r\n", i, 100000 + round, i);
            say(p, fds[i], text, (size_t)len);
        }
        snprintf(text, sizeof text, "+OK\r\n$6\r\n%u\r\n", 100000 + round);
        for (size_t i = 0; i < CLIENTS; i++)
            expect(p, fds[i], text);
        close(fds[round % CLIENTS]);
        fds[round % CLIENTS] = dial();
        uv_timer_start(&p->fixture->watchdog, on_watchdog, 20000, 0);
    }
    int more[3] = {dial(), dial(), dial()};
    ask(p, more[0], "PING\r\n", "+PONG\r\n");
    ask(p, more[1], "PING\r\n", "+PONG\r\n");
    ask(p, more[2], "PING\r\n", "-ERR max number of clients reached\r\n");
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    for (size_t i = 0; i < 3; i++)
        close(more[i]);
    end(p);
}

/* Without a file descriptor for them, connections wait; the log says so, and it takes no processor time. */
static void no_descriptor(void **state)
{
    (void)state;
    enum { TURNS = 400 };
    struct rlimit limit, low;
    struct parts *p = begin();
    take(p, 1);
    int fd = dial();
    ask(p, fd, "PING\r\n", "+PONG\r\n");
    int late = dial(), next = dup(late); /* what the next descriptor would be */
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < TURNS && strstr(p->log, "connections cannot be accepted") == NULL; i++)
        turn(p);
    assert_non_null(strstr(p->log, "connections cannot be accepted"));
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < TURNS; i++) /* each waits for a while, as there is nothing to do */
        turn(p);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    assert_true(us > TURNS * WAIT_US / 2);
    ask(p, fd, "PING\r\n", "+PONG\r\n");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ask(p, late, "PING\r\n", "+PONG\r\n");
    close(fd);
    close(late);
    end(p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),        cmocka_unit_test(another_leads), cmocka_unit_test(credit),
        cmocka_unit_test(status_for_info), cmocka_unit_test(large_value),   cmocka_unit_test(late_reader),
        cmocka_unit_test(many_clients),    cmocka_unit_test(no_descriptor),
    };
    parts_folder = argc > 1 ? argv[1] : ".";
    signal(SIGPIPE, SIG_IGN);
    parts_engine = wasm_engine_new();
    wasm_signals_keep();
    return cmocka_run_group_tests(tests, load, NULL);
}
