/* The client port: whose request is taken next, what a client may have asked for, what is kept for those that do not
 * read. */
#include "tests/unit/client_node.h"

enum { BIG = 1000 * 1000 };
static const char get_big[] = "GET big\r\n";

/* Sends without letting the port work. */
static void post(int fd, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT), strlen(text));
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static uint64_t commands(struct node *n) { return client_server_statistics(n->server).commands; }

static void work(struct node *n, size_t turns)
{
    for (size_t i = 0; i < turns; i++)
        turn(n);
}

static void hear_big(struct node *n, int fd)
{
    static char value[BIG + 2];
    hear(n, fd, "$1000000\r\n");
    assert_int_equal(receive(n, fd, value, sizeof value), sizeof value);
}

static struct node *start_with_big(void)
{
    struct node *n = node_new();
    n->config.client_bytes_max = 1024 * 1024;
    n->config.client_bytes_all_max = 16 * 1024 * 1024;
    node_open(n);
    int fd = dial(n);
    ask(n, fd, "SETRANGE big 999999 x\r\n", ":1000000\r\n");
    close(fd);
    await_connections(n, 0);
    return n;
}

/* ---- What a client may have asked for ---- */

/* How large replies are is learned from the first ones; then there is one at a time, and all of them come in the end. */
static void test_large_replies_are_asked_for_one_by_one(void **state)
{
    (void)state;
    enum { REQUESTS = 50 };
    struct node *n = start_with_big();
    uint64_t before = commands(n);
    int fd = dial(n);
    n->answers = false;
    post(fd, get_big, REQUESTS);
    work(n, 20);
    assert_in_range(commands(n) - before, 1, 4);
    n->answers = true;
    for (size_t heard = 1; heard <= REQUESTS; heard++) {
        hear_big(n, fd);
        if (heard > 8)
            assert_true(client_server_statistics(n->server).waiting_bytes < 2 * sizeof get_big + 64);
    }
    close(fd);
    node_stop(n);
}

/* What a client wanted that has gone is not executed. */
static void test_what_a_gone_client_asked_for_is_dropped(void **state)
{
    (void)state;
    struct node *n = start_with_big();
    uint64_t before = commands(n);
    int fd = dial(n), other = dial(n);
    post(fd, get_big, 5000);
    work(n, 3);
    reset(fd);
    ask(n, other, "SET a b\r\n", "+OK\r\n");
    await_connections(n, 1);
    work(n, 50);
    assert_true(commands(n) - before < 20);
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(other);
    node_stop(n);
}

/* Not even what is gathered for the node already. */
static void test_what_is_gathered_for_a_gone_client_is_dropped(void **state)
{
    (void)state;
    struct node *n = node_start();
    teach(n, "SET k v\r\n");
    int gone = dial(n), fd = dial(n);
    ask(n, gone, "SET k v\r\n", "+OK\r\n");
    uint64_t before = commands(n);
    n->answers = false;
    post(gone, "SET k gone\r\n", 3);
    await_commands(n, before + 3);
    post(fd, "SET k 1\r\n", 1);
    await_commands(n, before + 4);
    post(gone, "SET k gone\r\n", 3);
    await_commands(n, before + 7);
    reset(gone);
    await_connections(n, 1);
    take(n, 10);
    assert_int_equal(n->taken_count, 1);
    assert_int_equal(n->taken[0].count, 1);
    answer(n, 0);
    hear(n, fd, "+OK\r\n");
    post(fd, "SET k 2\r\n", 1); /* all alone: there is no batch then */
    await_commands(n, before + 8);
    reset(fd);
    await_connections(n, 0);
    take(n, 10);
    assert_int_equal(n->taken_count, 0);
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    n->answers = true;
    fd = dial(n);
    ask(n, fd, "GET k\r\n", "$1\r\n1\r\n");
    close(fd);
    node_stop(n);
}

/* ---- Clients that have gone, or have not been answered yet ---- */

/* Sends so many requests that the port does not read all of them before it has answered some. */
static void post_more_than_is_read(struct node *n, int fd)
{
    enum { REQUESTS = 9000 };
    static char requests[REQUESTS * (sizeof get_big - 1)];
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(requests + i * (sizeof get_big - 1), get_big, sizeof get_big - 1);
    send_bytes(n, fd, requests, sizeof requests);
    work(n, 5);
}

/* GET is known to ask for much, and one is in flight and not answered: clients that ask for much have to wait. */
static int start_with_one_in_flight(struct node *n)
{
    int fd = dial(n);
    post(fd, get_big, 1);
    hear_big(n, fd);
    n->answers = false;
    const uint64_t before = commands(n);
    post(fd, get_big, 1);
    await_commands(n, before + 1);
    return fd;
}

/* Also when the port does not read any more of what they sent, so that the end of it is out of its sight. */
static void test_gone_clients_that_are_not_read_are_dropped(void **state)
{
    (void)state;
    enum { GONE = 20 };
    struct node *n = start_with_big();
    int first = start_with_one_in_flight(n), gone[GONE];
    const uint64_t before = commands(n);
    for (size_t i = 0; i < GONE; i++) {
        gone[i] = dial(n);
        post_more_than_is_read(n, gone[i]);
    }
    assert_int_equal(client_server_statistics(n->server).connections, GONE + 1);
    for (size_t i = 0; i < GONE; i++)
        reset(gone[i]);
    n->answers = true;
    hear_big(n, first);
    await_connections(n, 1);
    assert_int_equal(commands(n), before);
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(first);
    node_stop(n);
}

/* A client that has ended its sending may wait for replies all the same, and gets them. */
static void test_half_closed_clients_are_answered(void **state)
{
    (void)state;
    enum { CLIENTS = 3, REQUESTS = 4 };
    struct node *n = start_with_big();
    int first = start_with_one_in_flight(n), fds[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        post(fds[i], get_big, REQUESTS);
        shutdown(fds[i], SHUT_WR);
    }
    work(n, 20);
    n->answers = true;
    hear_big(n, first);
    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t r = 0; r < REQUESTS; r++)
            hear_big(n, fds[i]);
        hear_end(n, fds[i]);
    }
    close(first);
    node_stop(n);
}

/* The first request of a new client does not wait for the long pipelines of other new clients. */
static void test_a_new_client_waits_for_nobody(void **state)
{
    (void)state;
    enum { GREEDY = 20 };
    struct node *n = start_with_big();
    int first = start_with_one_in_flight(n), fds[GREEDY], other;
    for (size_t i = 0; i < GREEDY; i++) {
        fds[i] = dial(n);
        if (i % 2 == 0)
            post(fds[i], get_big, 3);
        else
            post_more_than_is_read(n, fds[i]);
    }
    work(n, 20);
    const uint64_t before = commands(n);
    other = dial(n);
    post(other, "GET a\r\n", 1);
    await_commands(n, before + 1);
    take(n, 100);
    while (n->taken_count > 0)
        answer(n, n->taken_count - 1);
    hear(n, other, "$-1\r\n");
    for (size_t i = 0; i < GREEDY; i++)
        reset(fds[i]);
    reset(first);
    close(other);
    n->answers = true;
    node_stop(n);
}

/* Clients that may have gone are not served faster than 16 KiB of replies a millisecond. */
static void test_those_that_may_have_gone_take_little(void **state)
{
    (void)state;
    enum { CLIENTS = 5, MS = BIG / (16 * 1024) };
    struct node *n = start_with_big();
    int first = start_with_one_in_flight(n), fds[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        post(fds[i], get_big, 2);
        shutdown(fds[i], SHUT_WR);
    }
    work(n, 20);
    n->answers = true;
    hear_big(n, first);
    const uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < CLIENTS; i++)
        hear_big(n, fds[i]);
    assert_true((uv_hrtime() - begun) / 1000000 >= (CLIENTS - 2) * MS);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(first);
    node_stop(n);
}

/* Clients that ask for little do not wait for those that ask for much, however many they are. */
static void test_small_requests_overtake_large_ones(void **state)
{
    (void)state;
    enum { CLIENTS = 40 };
    struct node *n = start_with_big();
    int fds[CLIENTS], other = dial(n);
    teach(n, "STRLEN big\r\n");
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        ask(n, fds[i], "STRLEN big\r\n", ":1000000\r\n");
    }
    uint64_t before = commands(n);
    n->answers = false;
    for (size_t i = 0; i < CLIENTS; i++)
        post(fds[i], get_big, 2);
    work(n, 20);
    uint64_t asked = commands(n) - before;
    assert_in_range(asked, 1, 8); /* not yet known to be large */
    take(n, 100);
    post(other, "STRLEN big\r\n", 1);
    await_commands(n, before + asked + 1);
    take(n, 100);
    assert_int_equal(n->taken[n->taken_count - 1].count, 1);
    answer(n, n->taken_count - 1);
    hear(n, other, ":1000000\r\n");
    n->answers = true;
    for (size_t i = 0; i < CLIENTS; i++) {
        hear_big(n, fds[i]);
        hear_big(n, fds[i]);
        close(fds[i]);
    }
    close(other);
    node_stop(n);
}

/* A long pipeline does not fill the batches alone. */
static void test_turns_go_round(void **state)
{
    (void)state;
    enum { CLIENTS = 4, REQUESTS = 4000 };
    struct node *n = node_start();
    int fds[CLIENTS], other = dial(n);
    teach(n, "INCR x\r\n");
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        ask(n, fds[i], "DEL x\r\n", ":1\r\n");
        ask(n, fds[i], "INCR x\r\n", ":1\r\n");
    }
    uint64_t before = commands(n);
    n->answers = false;
    for (size_t i = 0; i < CLIENTS; i++)
        post(fds[i], "INCR x\r\n", REQUESTS);
    await_commands(n, before + 4096);
    work(n, 50);
    uint64_t gathered = commands(n) - before;
    assert_in_range(gathered, 4096, 4096 + 4096 / 2); /* ahead of the node */
    post(other, "INCR y\r\n", 1);
    work(n, 50);
    /* Taking batches makes room: the one request is in before the long pipelines are. */
    n->answers = true;
    uint64_t until = deadline();
    char reply[5];
    while (recv(other, reply, 4, MSG_DONTWAIT) < 0) {
        turn(n);
        check_deadline(until);
    }
    assert_memory_equal(reply, ":1\r\n", 4);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(other);
    node_stop(n);
}

/* ---- Clients that do not read ---- */

/* One that asks for a lot and takes nothing is not served any more; what is kept for it is bounded. */
static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    struct node *n = start_with_big();
    int fd = dial(n), other = dial(n);
    uint64_t before = commands(n);
    post(fd, get_big, 500);
    work(n, 300);
    assert_true(commands(n) - before < 20);                                                /* the socket takes some */
    assert_in_range(ask_number(n, other, "buffered_bytes"), 1000 * 1000, 8 * 1000 * 1000); /* four, with room to grow */
    assert_int_equal(ask_number(n, other, "paused_clients"), 0); /* less than READ_AHEAD is waiting */
    post(fd, get_big, 8000);
    uint64_t until = deadline();
    while (ask_number(n, other, "paused_clients") == 0)
        check_deadline(until);
    ask(n, other, "STRLEN big\r\n", ":1000000\r\n");
    assert_true(commands(n) - before < 20);
    for (size_t i = 0; i < 40; i++) /* it is served again when it reads */
        hear_big(n, fd);
    close(fd);
    close(other);
    node_stop(n);
}

/* The same with what the port answers itself. */
static void test_the_ports_own_replies_are_bounded(void **state)
{
    (void)state;
    enum { IDLE = 90 };
    struct node *n = node_new();
    n->config.client_bytes_max = 256 * 1024;
    node_open(n);
    int idle[IDLE], fd = dial(n), other = dial(n);
    for (size_t i = 0; i < IDLE; i++)
        idle[i] = dial(n);
    post(fd, "CLIENT LIST\r\n", 5000);
    for (size_t i = 0; i < 50; i++) { /* another client is answered within few turns of the loop */
        char reply[7];
        size_t turns = 0;
        post(other, "PING\r\n", 1);
        for (; recv(other, reply, sizeof reply, MSG_DONTWAIT) != sizeof reply; turns++)
            turn(n);
        assert_true(turns < 20);
    }
    assert_true(ask_number(n, other, "buffered_bytes") < 2 * 1024 * 1024);
    close(fd);
    close(other);
    for (size_t i = 0; i < IDLE; i++)
        close(idle[i]);
    node_stop(n);
}

/* With all of client_bytes_all_max held for those that do not read, one that reads is served, and some of the others are
 * closed. */
static void test_those_that_hold_most_are_closed(void **state)
{
    (void)state;
    enum { CLIENTS = 30 };
    struct node *n = start_with_big();
    n->config.client_bytes_all_max = 8 * 1024 * 1024;
    int fds[CLIENTS], other = dial(n), small = 4096;
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        post(fds[i], get_big, 100);
    }
    uint64_t most = 0, until = deadline();
    do {
        ask(n, other, "SET a b\r\n", "+OK\r\n");
        uint64_t held = ask_number(n, other, "buffered_bytes");
        most = held > most ? held : most;
        check_deadline(until);
    } while (client_server_statistics(n->server).connections == CLIENTS + 1);
    assert_true(most > 4 * 1024 * 1024 && most < 14 * 1024 * 1024);
    ask(n, other, "GET a\r\n", "$1\r\nb\r\n");
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(other);
    node_stop(n);
}

/* Replies that wait for an earlier one are counted with what keeping them costs, however small they are; and what was kept
 * for many is given back. */
static void test_early_replies_are_counted(void **state)
{
    (void)state;
    enum { BYTES = 256 * 1024, ROUNDS = 8, PINGS = 1000 };
    struct node *n = node_new();
    n->config.client_bytes_max = BYTES;
    node_open(n);
    teach(n, "SET k v\r\n");
    int fd = dial(n), other = dial(n);
    n->answers = false;
    post(fd, "SET k 1\r\n", 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        post(fd, "PING\r\n", PINGS);
        work(n, 20);
    }
    take(n, 10);
    assert_int_equal(n->taken_count, 1);
    const uint64_t held = ask_number(n, other, "buffered_bytes");
    assert_in_range(held, BYTES, BYTES * 3 / 2); /* and not the 7 bytes of each reply; the others were not taken yet */
    answer(n, 0);
    n->answers = true;
    hear(n, fd, "+OK\r\n");
    for (size_t i = 0; i < ROUNDS * PINGS; i++)
        hear(n, fd, "+PONG\r\n");
    assert_true(ask_number(n, other, "buffered_bytes") < 1000);
    close(fd);
    close(other);
    node_stop(n);
}

/* So is what is known of the arguments of a request that has not come whole. */
static void test_arguments_are_counted(void **state)
{
    (void)state;
    enum { ARGS = 20000 };
    struct node *n = node_start();
    int fd = dial(n), other = dial(n);
    post(fd, "*100000\r\n", 1);
    for (size_t i = 0; i < ARGS / 1000; i++) {
        post(fd, "$0\r\n\r\n", 1000);
        work(n, 20);
    }
    assert_true(ask_number(n, other, "buffered_bytes") > ARGS * (strlen("$0\r\n\r\n") + 8));
    close(fd);
    close(other);
    node_stop(n);
}

static void test_one_that_takes_nothing_for_long_is_closed(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->stuck_ms = 50;
    node_open(n);
    int fd = dial(n), other = dial(n), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ask(n, other, "SETRANGE big 7999999 x\r\n", ":8000000\r\n");
    post(fd, get_big, 2);
    await_connections(n, 1);
    ask(n, other, "PING\r\n", "+PONG\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* A client that has been answered with little once does not wait among those that ask for much, though they ask with the
 * same command. */
static void test_ones_own_replies_tell_more_than_others(void **state)
{
    (void)state;
    enum { GREEDY = 20 };
    struct node *n = start_with_big();
    int fds[GREEDY], other = dial(n);
    ask(n, other, "SET a b\r\n", "+OK\r\n");
    for (size_t i = 0; i < 5; i++) {
        post(other, get_big, 1); /* by now GETs are known to ask for much */
        hear_big(n, other);
    }
    close(other);
    other = dial(n);
    ask(n, other, "GET a\r\n", "$1\r\nb\r\n");
    n->answers = false;
    for (size_t i = 0; i < GREEDY; i++) {
        fds[i] = dial(n);
        post(fds[i], get_big, 3);
    }
    work(n, 20);
    uint64_t before = commands(n);
    post(other, "GET a\r\n", 1);
    await_commands(n, before + 1);
    n->answers = true;
    for (size_t i = 0; i < GREEDY; i++)
        reset(fds[i]);
    close(other);
    node_stop(n);
}

/* A reply that has no room is large, though the error that says so is short. */
static void test_a_refusal_is_not_taken_for_a_small_reply(void **state)
{
    (void)state;
    enum { ROUNDS = 10 };
    struct node *n = start_with_big();
    teach(n, "GET a\r\n");
    int fd = dial(n);
    n->room = (struct reply_room){.large = 0, .small = REPLY_SMALL_MIN};
    n->answers = false;
    const uint64_t before = commands(n);
    post(fd, get_big, 3000);
    await_commands(n, before + 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        work(n, 5);
        take(n, 10);
        while (n->taken_count > 0)
            answer(n, 0);
    }
    work(n, 5);
    assert_in_range(commands(n) - before, ROUNDS, 4 + 2 * ROUNDS);
    hear(n, fd, "-BUSY ");
    reset(fd);
    n->answers = true;
    node_stop(n);
}

/* Commands for the log wait for disks. However many do, in batches and in turns, reads go on; and they do not keep those
 * waiting. */
static void test_reads_wait_for_no_writes(void **state)
{
    (void)state;
    enum { WRITERS = 8, READERS = 8, EACH = 1000 };
    struct node *n = node_start();
    int writers[WRITERS], readers[READERS];
    for (size_t i = 0; i < WRITERS; i++)
        ask(n, writers[i] = dial(n), "SET a 1\r\n", "+OK\r\n");
    for (size_t i = 0; i < READERS; i++)
        ask(n, readers[i] = dial(n), "GET a\r\n", "$1\r\n1\r\n");
    n->answers = false;
    uint64_t before = commands(n);
    for (size_t i = 0; i < WRITERS; i++)
        post(writers[i], "SET a 1\r\n", EACH);
    await_commands(n, before + 4096);
    work(n, 50);
    assert_int_equal(commands(n), before + 4096); /* the others wait for their turns */
    before = commands(n);
    for (size_t i = 0; i < READERS; i++)
        post(readers[i], "GET a\r\n", EACH);
    for (const uint64_t at = deadline(); commands(n) - before < READERS * EACH; check_deadline(at)) {
        work(n, 5);
        take_each(n, 0, 1);
        while (n->taken_count > 0) {
            assert_true(n->taken[0].reads);
            answer(n, 0);
        }
    }
    take_each(n, 2, 0);                                 /* before each, turns are given */
    assert_true(commands(n) - before > READERS * EACH); /* and now more of the others */
    for (size_t i = 0; i < READERS; i++)
        reset(readers[i]);
    for (size_t i = 0; i < WRITERS; i++)
        reset(writers[i]);
    n->answers = true;
    node_stop(n);
}

/* However small all replies were until now, a client that is new may ask for few, and any other one for a bounded number. */
static void test_a_surprise_is_bounded(void **state)
{
    (void)state;
    enum { CLIENTS = 10 };
    struct node *n = start_with_big();
    teach(n, "GET a\r\n");
    int fds[CLIENTS], other = dial(n);
    ask(n, other, "GET a\r\n", "$-1\r\n");
    n->answers = false;
    uint64_t before = commands(n);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        post(fds[i], get_big, 1000);
    }
    work(n, 50);
    assert_in_range(commands(n) - before, CLIENTS, 4 * CLIENTS);
    before = commands(n);
    post(other, get_big, 3000);
    await_commands(n, before + 1024);
    work(n, 50);
    assert_int_equal(commands(n) - before, 1024);
    for (size_t i = 0; i < CLIENTS; i++)
        reset(fds[i]);
    reset(other);
    n->answers = true;
    node_stop(n);
}

/* ---- Requests that are too long ---- */

static void test_too_long_requests_keep_the_connection(void **state)
{
    (void)state;
    enum { LONG = 20 * 1000 * 1000, PIECE = 100 * 1000 };
    struct node *n = node_new();
    n->config.command_bytes_max = 1000 * 1000;
    node_open(n);
    int fd = dial(n), other = dial(n);
    static char piece[PIECE];
    memset(piece, 'x', sizeof piece);
    say(n, fd, "SET a 1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000000\r\n");
    hear(n, fd, "+OK\r\n");
    for (size_t i = 0; i < LONG / PIECE; i++) {
        send_bytes(n, fd, piece, sizeof piece);
        if (i == 100)
            assert_true(ask_number(n, other, "buffered_bytes") < 200 * 1000);
    }
    say(n, fd, "\r\nGET a\r\n");
    hear(n, fd, "-ERR request is longer than command_bytes_max (1000000 bytes); it was not executed\r\n$1\r\n1\r\n");
    send_bytes(n, fd, piece, sizeof piece); /* no array, and no line of 64 KiB either */
    say(n, fd, "\r\nGET a\r\n");
    hear(n, fd, "-ERR too big inline request (1000000 bytes); it was not executed\r\n$1\r\n1\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* ---- What is no client ---- */

static void test_browsers_are_closed(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\nSET evil 1\r\n",
        "PUT / HTTP/1.1\r\nhost: localhost\r\nContent-Length: 12\r\n\r\nSET evil 1\r\n",
        "*1\r\n$4\r\npost\r\n*3\r\n$3\r\nSET\r\n$4\r\nevil\r\n$1\r\n1\r\n",
        "OPTIONS * HTTP/1.1\r\nOrigin: x\r\n\r\nSET evil 1\r\n",
        "get /a b http/1.0\r\nSET evil 1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSET evil 1\r\n",
    };
    struct node *n = node_start();
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = dial(n);
        post(fd, requests[i], 1);
        await_connections(n, 0);
        close(fd);
    }
    int fd = dial(n);
    ask(n, fd, "EXISTS evil\r\n", ":0\r\n");
    close(fd);
    node_stop(n);
}

/* ---- Connections for operators ---- */

static void test_operators_get_in(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.client_connections_max = 2;
    node_open(n);
    int a = dial(n), b = dial(n), idle[CLIENT_CONNECTIONS_RESERVED + 3];
    ask(n, a, "SET k v\r\n", "+OK\r\n");
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        idle[i] = dial(n);
    await_connections(n, 2 + CLIENT_CONNECTIONS_RESERVED);
    for (size_t i = 0; i < 3; i++) { /* those that came first made room */
        hear(n, idle[i], "-ERR max number of clients reached\r\n");
        hear_end(n, idle[i]);
    }
    int late = dial(n);
    char *info = ask_text(n, late, "INFO\r\n");
    assert_non_null(strstr(info, "synod_node:1\r\n"));
    free(info);
    ask(n, late, "CLUSTER KEYSLOT 123456789\r\n", ":12739\r\n");
    ask(n, late, "GET k\r\n", "-ERR max number of clients reached\r\n");
    hear_end(n, late);
    late = dial(n);
    ask(n, late, "PING\r\n", "-ERR max number of clients reached\r\n");
    hear_end(n, late);
    /* With a regular place free again, any of them may have it. */
    close(b);
    for (size_t i = 3; i < sizeof idle / sizeof idle[0] - 1; i++)
        close(idle[i]);
    await_connections(n, 2);
    ask(n, idle[sizeof idle / sizeof idle[0] - 1], "GET k\r\n", "$1\r\nv\r\n");
    close(idle[sizeof idle / sizeof idle[0] - 1]);
    close(a);
    node_stop(n);
}

/* ---- Transactions ---- */

/* What clients send in one go is refused as a whole. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_replies_are_asked_for_one_by_one),
        cmocka_unit_test(test_what_a_gone_client_asked_for_is_dropped),
        cmocka_unit_test(test_what_is_gathered_for_a_gone_client_is_dropped),
        cmocka_unit_test(test_gone_clients_that_are_not_read_are_dropped),
        cmocka_unit_test(test_half_closed_clients_are_answered),
        cmocka_unit_test(test_a_new_client_waits_for_nobody),
        cmocka_unit_test(test_those_that_may_have_gone_take_little),
        cmocka_unit_test(test_small_requests_overtake_large_ones),
        cmocka_unit_test(test_turns_go_round),
        cmocka_unit_test(test_a_client_that_does_not_read),
        cmocka_unit_test(test_the_ports_own_replies_are_bounded),
        cmocka_unit_test(test_those_that_hold_most_are_closed),
        cmocka_unit_test(test_early_replies_are_counted),
        cmocka_unit_test(test_arguments_are_counted),
        cmocka_unit_test(test_ones_own_replies_tell_more_than_others),
        cmocka_unit_test(test_a_refusal_is_not_taken_for_a_small_reply),
        cmocka_unit_test(test_reads_wait_for_no_writes),
        cmocka_unit_test(test_a_surprise_is_bounded),
        cmocka_unit_test(test_one_that_takes_nothing_for_long_is_closed),
        cmocka_unit_test(test_too_long_requests_keep_the_connection),
        cmocka_unit_test(test_browsers_are_closed),
        cmocka_unit_test(test_operators_get_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
