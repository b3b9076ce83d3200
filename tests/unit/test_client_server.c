/* The client port: batches, the order of replies, leadership, bounds, ends. */
#include "tests/unit/client_node.h"

/* ---- Commands, batches, order ---- */

static void test_commands(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", "+OK\r\n");
    ask(n, fd, "GET k\r\nGET none\r\nINCR n\r\nNOSUCH\r\n",
        "$1\r\nv\r\n$-1\r\n:1\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    ask(n, fd, "MGET k none\r\n\r\n*0\r\nSCAN 0 MATCH k\r\n", "*2\r\n$1\r\nv\r\n$-1\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
    ask(n, fd, "HELLO 3\r\nGET none\r\n",
        "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n"
        "$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n_\r\n");
    assert_true(n->inputs > 0);
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(fd);
    node_stop(n);
}

static void test_requests_in_pieces(void **state)
{
    (void)state;
    enum { VALUE = 3 * 1000 * 1000 };
    struct node *n = node_start();
    int fd = dial(n);
    for (const char *c = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nGET k\r\n"; *c != 0; c++)
        send_bytes(n, fd, c, 1);
    hear(n, fd, "+OK\r\n$1\r\nv\r\n");
    /* A value much larger than the read buffer, with more requests before and after it, and it comes back completely. */
    char header[64];
    int header_len = snprintf(header, sizeof header, "PING\r\n*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", VALUE);
    uint8_t *value = malloc(VALUE), *back = malloc(VALUE + 2);
    for (size_t i = 0; i < VALUE; i++)
        value[i] = (uint8_t)(i * 7 + i / 251);
    send_bytes(n, fd, header, (size_t)header_len);
    send_bytes(n, fd, value, VALUE);
    say(n, fd, "\r\nGET big\r\nPING\r\n");
    snprintf(header, sizeof header, "+PONG\r\n+OK\r\n$%d\r\n", VALUE);
    hear(n, fd, header);
    assert_int_equal(receive(n, fd, back, VALUE + 2), VALUE + 2);
    assert_memory_equal(back, value, VALUE);
    hear(n, fd, "+PONG\r\n");
    free(value);
    free(back);
    close(fd);
    node_stop(n);
}

static void test_batches_are_cut(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 3;
    node_open(n);
    teach(n, "SET a 1\r\n");
    teach(n, "GET a\r\n");
    struct client_server_statistics before = client_server_statistics(n->server);
    n->answers = false;
    int a = dial(n), b = dial(n);
    assert_false(client_server_waiting(n->server, (struct credit){1, 1}));
    say(n, a, "SET a 1\r\nSET b 2\r\nSET c 3\r\nSET d 4\r\n");
    await_commands(n, before.commands + 4);
    say(n, b, "SET e 5\r\nSET f 6\r\nGET a\r\n");
    await_commands(n, before.commands + 7);
    assert_true(client_server_waiting(n->server, (struct credit){1, 1}));
    take(n, 0);
    assert_int_equal(n->taken_count, 0);
    take(n, 1);
    assert_int_equal(n->taken_count, 1);
    take(n, 10);
    assert_int_equal(n->taken_count, 3);
    assert_int_equal(n->taken[0].count, 3);
    assert_int_equal(n->taken[1].count, 3);
    assert_int_equal(n->taken[2].count, 1);
    assert_false(client_server_waiting(n->server, (struct credit){1, 1}));
    while (n->taken_count > 0)
        answer(n, 0);
    hear(n, a, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    hear(n, b, "+OK\r\n+OK\r\n$1\r\n1\r\n");
    assert_int_equal(client_server_statistics(n->server).batches - before.batches, 3);
    close(a);
    close(b);
    node_stop(n);
}

static void test_batches_are_cut_by_bytes(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_bytes = 1000;
    node_open(n);
    teach(n, "SET k v\r\n");
    int fd = dial(n);
    ask(n, fd, "SET k v\r\n", "+OK\r\n");
    n->answers = false;
    uint64_t before = client_server_statistics(n->server).commands;
    char line[512];
    memset(line, 'v', sizeof line);
    memcpy(line, "SET k ", 6);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    for (int i = 0; i < 5; i++)
        say(n, fd, line);
    await_commands(n, before + 5);
    take(n, 100);
    assert_int_equal(n->taken_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(n->taken[i].value.len <= 1000);
    close(fd);
    node_stop(n);
}

/* Every command a batch of its own, answered last first, with the port's own answers in between. */
static void test_replies_keep_the_order(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 1;
    n->answers = false;
    node_open(n);
    int fd = dial(n);
    say(n, fd, "SET a 1\r\nPING one\r\nSET b 2\r\nSETNX c 3\r\nECHO two\r\nPING three\r\nDBSIZE\r\n");
    await_commands(n, 4);
    take(n, 100);
    assert_int_equal(n->taken_count, 4);
    answer(n, 3);
    answer(n, 2);
    answer(n, 1);
    expect_silence(n, fd);
    answer(n, 0);
    hear(n, fd, "+OK\r\n$3\r\none\r\n+OK\r\n:1\r\n$3\r\ntwo\r\n$5\r\nthree\r\n:0\r\n");
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
}

/* More requests in the air than any ring starts with, over many rounds, so that positions wrap around it. */
static void test_long_pipelines(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 7;
    node_open(n);
    int fd = dial(n);
    char request[32], reply[32];
    int next = 1;
    for (int round = 0; round < 40; round++) {
        int first = next;
        for (; next < first + 61; next++)
            say(n, fd, next % 5 == 0 ? "INCR x\r\nPING\r\n" : "INCR x\r\n");
        for (int i = first; i < next; i++) {
            snprintf(reply, sizeof reply, i % 5 == 0 ? ":%d\r\n+PONG\r\n" : ":%d\r\n", i);
            hear(n, fd, reply);
        }
    }
    snprintf(request, sizeof request, "GET x\r\n");
    snprintf(reply, sizeof reply, "$4\r\n%d\r\n", next - 1);
    ask(n, fd, request, reply);
    close(fd);
    node_stop(n);
}

/* ---- Reads ---- */

/* A batch has reads or others, and each kind comes as its own credit allows. */
static void reads_have_batches_of_their_own(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->answers = false;
    node_open(n);
    int reader = dial(n), writer = dial(n);
    say(n, reader, "GET a\r\nMGET a b\r\n");
    await_commands(n, 2);
    say(n, writer, "SET a 1\r\n");
    await_commands(n, 3);
    assert_true(client_server_waiting(n->server, (struct credit){.commands = 1}));
    take_each(n, 1, 0);
    assert_int_equal(n->taken_count, 1);
    assert_false(n->taken[0].reads);
    assert_false(client_server_waiting(n->server, (struct credit){.commands = 1}));
    assert_true(client_server_waiting(n->server, (struct credit){.reads = 1}));
    say(n, writer, "SET a 2\r\n");
    await_commands(n, 4);
    take_each(n, 0, 1);
    assert_int_equal(n->taken_count, 2);
    assert_true(n->taken[1].reads);
    assert_int_equal(n->taken[1].count, 2);
    answer(n, 1);
    hear(n, reader, "$-1\r\n*2\r\n$-1\r\n$-1\r\n");
    take(n, 1);
    answer(n, 0);
    answer(n, 0);
    hear(n, writer, "+OK\r\n+OK\r\n");
    close(reader);
    close(writer);
    node_stop(n);
}

/* P9: a read sees the writes before it on its connection, because it goes the same way. */
static void a_read_follows_the_writes_before_it(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->answers = false;
    node_open(n);
    int fd = dial(n);
    say(n, fd, "SET a 1\r\nGET a\r\n");
    await_commands(n, 2);
    take(n, 10);
    say(n, fd, "GET a\r\n"); /* the write is not answered yet */
    await_commands(n, 3);
    take(n, 10);
    assert_int_equal(n->taken_count, 2);
    assert_false(n->taken[0].reads || n->taken[1].reads);
    answer(n, 0);
    answer(n, 0);
    hear(n, fd, "+OK\r\n$1\r\n1\r\n$1\r\n1\r\n");
    say(n, fd, "GET a\r\n"); /* now nothing is in the log */
    await_commands(n, 4);
    take(n, 10);
    assert_true(n->taken[0].reads);
    answer(n, 0);
    hear(n, fd, "$1\r\n1\r\n");
    close(fd);
    node_stop(n);
}

/* And it does not see the writes after it. */
static void a_write_waits_for_the_reads_before_it(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->answers = false;
    node_open(n);
    int fd = dial(n), other = dial(n);
    say(n, fd, "GET a\r\nPING\r\nGET b\r\nSET a 1\r\nGET a\r\nPING\r\n");
    await_commands(n, 2);
    say(n, other, "SET b 2\r\n"); /* another connection does not wait */
    await_commands(n, 3);
    take(n, 10);
    assert_int_equal(n->taken_count, 2);
    assert_int_equal(client_server_statistics(n->server).commands, 3);
    answer(n, n->taken[0].reads ? 1 : 0);
    hear(n, other, "+OK\r\n");
    assert_int_equal(client_server_statistics(n->server).commands, 3);
    assert_true(n->taken[0].reads);
    assert_int_equal(n->taken[0].count, 2);
    answer(n, 0);
    hear(n, fd, "$-1\r\n+PONG\r\n$1\r\n2\r\n");
    await_commands(n, 5);
    take(n, 10);
    assert_int_equal(n->taken_count, 1);
    assert_false(n->taken[0].reads);
    answer(n, 0);
    hear(n, fd, "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(fd);
    close(other);
    node_stop(n);
}

/* READONLY: reads, and only those, are taken where another node leads. */
static void a_follower_takes_reads_of_who_asks_for_it(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    ask(n, fd, "SET a 1\r\n", "+OK\r\n");
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "GET a\r\n", "-MOVED 15495 192.0.2.2:7002\r\n");
    ask(n, fd, "READONLY\r\nGET a\r\nSET a 2\r\n", "+OK\r\n$1\r\n1\r\n-MOVED 15495 192.0.2.2:7002\r\n");
    client_server_leader(n->server, 0, 1);
    ask(n, fd, "GET a\r\n", "-CLUSTERDOWN no leader\r\n");
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "GET a\r\nREADWRITE\r\nGET a\r\n", "$1\r\n1\r\n+OK\r\n-MOVED 15495 192.0.2.2:7002\r\n");
    ask(n, fd, "READONLY\r\nRESET\r\nGET a\r\n", "+OK\r\n+RESET\r\n-MOVED 15495 192.0.2.2:7002\r\n");
    close(fd);
    node_stop(n);
}

/* A learner apart takes reads of all who would not find the leader by themselves. It passes nothing on. */
static void a_learner_apart_takes_reads(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.node_config.proposers = 4;
    n->config.node_config.learners = 2;
    node_open(n);
    int plain = dial(n), cluster = dial(n);
    ask(n, plain, "GET a\r\n", "$-1\r\n"); /* as if it led */
    client_server_leader(n->server, 2, 1);
    ask(n, plain, "GET a\r\nSET a 1\r\nGET a\r\n", "$-1\r\n-MOVED 15495 192.0.2.2:7002\r\n$-1\r\n");
    free(ask_text(n, cluster, "CLUSTER MYID\r\n"));
    ask(n, cluster, "GET a\r\n", "-MOVED 15495 192.0.2.2:7002\r\n");
    ask(n, cluster, "READONLY\r\nGET a\r\n", "+OK\r\n$-1\r\n");
    client_server_leader(n->server, 0, 1);
    ask(n, plain, "GET a\r\n", "-CLUSTERDOWN no leader\r\n");
    close(plain);
    close(cluster);
    node_stop(n);
}

/* READONLY STALE: reads have batches of their own, which say how old the state may be. No leader is needed. */
static void stale_reads_say_how_old(void **state)
{
    static const char wrong[] =
        "-ERR READONLY takes nothing, or STALE and how old the state may be: milliseconds, 100 at least\r\n";
    (void)state;
    struct node *n = node_new();
    n->config.node_config.learners = 2;
    n->answers = false;
    node_open(n);
    int fd = dial(n), other = dial(n);
    client_server_leader(n->server, 0, 1);
    ask(n, fd, "READONLY STALE\r\n", wrong);
    ask(n, fd, "READONLY STALE 99\r\n", wrong);
    ask(n, fd, "READONLY OLD 100\r\n", wrong);
    ask(n, fd, "GET a\r\n", "-CLUSTERDOWN no leader\r\n");
    ask(n, fd, "READONLY STALE 100\r\n", "+OK\r\n");
    ask(n, other, "READONLY STALE 2000\r\n", "+OK\r\n");
    say(n, fd, "GET a\r\nGET b\r\n");
    await_commands(n, 2);
    say(n, other, "GET a\r\n");
    await_commands(n, 3);
    take(n, 10);
    assert_int_equal(n->taken_count, 2);
    for (size_t i = 0; i < 2; i++) {
        uint64_t age = 0;
        assert_true(n->taken[i].reads && batch_may_be_stale(&n->taken[i].value, &age));
        assert_int_equal(age, i == 0 ? 100000 : 2000000);
    }
    answer_outcome(n, 0, OUTCOME_BUSY, 0);
    hear(n, fd, "-BUSY this node's state may be older than READONLY STALE allows, try another node, or again later\r\n");
    hear(n, fd, "-BUSY this node's state may be older than READONLY STALE allows, try another node, or again later\r\n");
    answer(n, 0);
    hear(n, other, "$-1\r\n");
    ask(n, fd, "SET a 1\r\n", "-CLUSTERDOWN no leader\r\n");
    ask(n, fd, "READONLY\r\nGET a\r\n", "+OK\r\n-CLUSTERDOWN no leader\r\n");
    close(fd);
    close(other);
    node_stop(n);
}

/* A read that is lost with the life that had it has no effect, so it may be sent again. */
static void a_lost_read_was_not_executed(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->answers = false;
    node_open(n);
    int fd = dial(n);
    say(n, fd, "GET a\r\nSET a 1\r\n");
    await_commands(n, 1);
    take(n, 10);
    struct taken lost = untake(n, 0);
    payload_free(&lost.value);
    client_server_lost(n->server);
    hear(n, fd, "-BUSY too many requests are waiting, try again later\r\n");
    await_commands(n, 2);
    take(n, 10);
    answer(n, 0);
    hear(n, fd, "+OK\r\n");
    close(fd);
    node_stop(n);
}

/* A life that has just begun knows no leader, and would refuse reads that need one. They wait for it, as commands do. */
static void a_new_life_takes_no_reads_before_it_knows_a_leader(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->answers = false;
    node_open(n);
    int fd = dial(n);
    client_server_lost(n->server);
    say(n, fd, "GET a\r\n");
    await_commands(n, 1);
    assert_false(client_server_waiting(n->server, (struct credit){.reads = 1}));
    take_each(n, 0, 10);
    assert_int_equal(n->taken_count, 0);
    client_server_leader(n->server, 1, 2);
    assert_true(client_server_waiting(n->server, (struct credit){.reads = 1}));
    take_each(n, 0, 10);
    answer(n, 0);
    hear(n, fd, "$-1\r\n");
    close(fd);
    node_stop(n);
}

/* ---- Leadership and outcomes ---- */

static void test_nobody_or_another_leads(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    client_server_leader(n->server, 0, 1);
    ask(n, fd, "GET foo\r\nPING\r\n", "-CLUSTERDOWN no leader\r\n+PONG\r\n");
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "GET foo\r\nSET {foo}bar 1\r\nDBSIZE\r\n",
        "-MOVED 12182 192.0.2.2:7002\r\n-MOVED 12182 192.0.2.2:7002\r\n-MOVED 0 192.0.2.2:7002\r\n");
    node_describe(n, (struct command_info_list){NULL, 0}); /* it is not known yet where a command has its key */
    ask(n, fd, "MYOWN foo\r\n", "-MOVED 12182 192.0.2.2:7002\r\n");
    node_describe(n, state_machine_describe(n->machine));
    client_server_leader(n->server, 3, 1); /* has no client port */
    ask(n, fd, "GET foo\r\n", "-CLUSTERDOWN no leader\r\n");
    client_server_leader(n->server, 1, 2);
    ask(n, fd, "GET foo\r\n", "$-1\r\n");
    assert_int_equal(client_server_statistics(n->server).errors, 6);
    close(fd);
    node_stop(n);
}

/* What the node would have to propose is refused; the rest goes where it always goes. */
static void test_no_room(void **state)
{
    static const char refused[] = "-NOROOM this node's disk is full; nothing was executed, try again later\r\n";
    (void)state;
    struct node *n = node_new();
    n->config.node_config.forward = true;
    node_open(n);
    int fd = dial(n);
    ask(n, fd, "SET foo 1\r\n", "+OK\r\n");
    n->answers = false;
    say(n, fd, "SET foo 2\r\n");
    await_commands(n, 2);
    client_server_room(n->server, false);
    client_server_leader(n->server, 0, 1); /* a node whose disk stalls does not lead for long */
    hear(n, fd, refused);
    n->answers = true;
    ask(n, fd, "SET foo 2\r\nPING\r\n",
        "-NOROOM this node's disk is full; nothing was executed, try again later\r\n+PONG\r\n");
    client_server_leader(n->server, 1, 1);
    ask(n, fd, "GET foo\r\n", refused);
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "GET foo\r\n", "$1\r\n1\r\n"); /* forwarded */
    client_server_leader(n->server, 1, 1);
    client_server_room(n->server, true);
    ask(n, fd, "GET foo\r\n", "$1\r\n1\r\n");
    close(fd);
    node_stop(n);
}

static void test_leader_changes_before_the_node_asks(void **state)
{
    (void)state;
    struct node *n = node_start();
    n->answers = false;
    int fd = dial(n);
    say(n, fd, "GET foo\r\n");
    await_commands(n, 1);
    client_server_leader(n->server, 2, 2);
    hear(n, fd, "-MOVED 12182 192.0.2.2:7002\r\n");
    assert_false(client_server_waiting(n->server, (struct credit){1, 1}));
    close(fd);
    node_stop(n);
}

/* Answers an operator's request with a text. */
static void answer_text(struct node *n, uint8_t tag, const char *text)
{
    struct taken t = untake(n, 0);
    struct batch_builder builder = {0};
    const struct reply reply = {.tag = tag, .val.bytes = {(uint8_t *)(uintptr_t)text, strlen(text)}};
    const struct payload packed = replies_pack(&builder, &reply, 1);
    const struct packet p = {.id = t.token, .kind = OUTCOME_EXECUTED, .len = packed.len, .words = packed.words};
    client_server_reply(n->server, &p, 1);
    batch_builder_free(&builder);
    payload_free(&t.value);
}

/* It reaches a node that takes no commands, in the order of its connection, and does not become one. */
static void test_an_operators_request_is_for_the_node(void **state)
{
    (void)state;
    struct node *n = node_start();
    struct batch_commands words = {0};
    n->answers = false;
    int fd = dial(n);
    client_server_leader(n->server, 2, 2);
    say(n, fd, "PING\r\nsynod Leader move 2\r\nPING\r\n");
    await_commands(n, 1);
    assert_true(client_server_waiting(n->server, (struct credit){0}));
    take(n, 0);
    assert_int_equal(n->taken_count, 1);
    assert_int_equal(n->taken[0].count, 0);
    assert_true(batch_commands_read(&words, &n->taken[0].value) && words.count == 1);
    assert_int_equal(words.commands[0].args.len, 3);
    assert_memory_equal(words.commands[0].args.ptr[0].ptr, "Leader", 6);
    batch_commands_free(&words);
    assert_false(client_server_waiting(n->server, (struct credit){0}));
    hear(n, fd, "+PONG\r\n");
    answer_text(n, REPLY_STATUS, "node 2 leads");
    hear(n, fd, "+node 2 leads\r\n+PONG\r\n");
    say(n, fd, "SYNOD LEADER MOVE 1\r\nSYNOD\r\n");
    await_commands(n, 2);
    take(n, 0);
    answer_outcome(n, 0, OUTCOME_MOVED, 2);
    char reply[16];
    assert_int_equal(receive(n, fd, reply, 7), 7);
    assert_memory_equal(reply, "-MOVED ", 7);
    close(fd);
    node_stop(n);
}

static void test_operators_requests_are_bounded_and_end_with_the_port(void **state)
{
    (void)state;
    struct node *n = node_start();
    n->answers = false;
    int fd = dial(n);
    for (int i = 0; i < 9; i++)
        say(n, fd, "SYNOD LEADER MOVE 2\r\n");
    await_commands(n, 8);
    take(n, 0);
    assert_int_equal(n->taken_count, 8);
    for (int i = 0; i < 7; i++)
        answer_text(n, REPLY_ERROR, "ERR no");
    for (int i = 0; i < 7; i++)
        hear(n, fd, "-ERR no\r\n");
    say(n, fd, "SYNOD LEADER MOVE 2\r\n"); /* not received by the node */
    await_commands(n, 9);
    client_server_lost(n->server);
    payload_free(&n->taken[0].value);
    n->taken_count = 0;
    hear(n, fd, "-UNKNOWN outcome\r\n-ERR too many requests to this node are waiting\r\n");
    close(fd);
    node_stop(n);
}

static void test_a_request_at_a_node_that_is_no_proposer(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.node_config.proposers = 4; /* node 2 */
    node_open(n);
    int fd = dial(n);
    client_server_leader(n->server, 2, 1);
    ask(n, fd, "SYNOD LEADER MOVE 2\r\n", "-MOVED 0 192.0.2.2:7002\r\n");
    assert_false(client_server_waiting(n->server, (struct credit){1, 1}));
    close(fd);
    node_stop(n);
}

static void test_forwarding(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.node_config.forward = true;
    node_open(n);
    int fd = dial(n);
    client_server_leader(n->server, 2, 2);
    ask(n, fd, "SET a 1\r\n", "+OK\r\n");
    client_server_leader(n->server, 0, 2);
    ask(n, fd, "SET a 1\r\n", "-CLUSTERDOWN no leader\r\n");
    close(fd);
    node_stop(n);
    /* Only a proposer can forward. */
    n = node_new();
    n->config.node_config.forward = true;
    n->config.node_config.proposers = node_set_of(2);
    node_open(n);
    fd = dial(n);
    client_server_leader(n->server, 2, 2);
    ask(n, fd, "SET foo 1\r\n", "-MOVED 12182 192.0.2.2:7002\r\n");
    close(fd);
    node_stop(n);
}

/* A client that has asked about the cluster can follow -MOVED, and is told where the leader is. Any other is served here. */
static void test_who_is_sent_to_the_leader(void **state)
{
    static const char unreachable[] =
        "-CLUSTERDOWN the leader cannot be reached from here now: not executed, send it again\r\n";
    (void)state;
    struct node *n = node_new();
    n->config.node_config.forward = true;
    node_open(n);
    int plain = dial(n), knowing = dial(n);
    client_server_leader(n->server, 2, 2);
    ask(n, knowing, "SET foo 1\r\nCLUSTER KEYSLOT foo\r\n", "+OK\r\n:12182\r\n");
    ask(n, knowing, "GET foo\r\n", "-MOVED 12182 192.0.2.2:7002\r\n");
    ask(n, plain, "GET foo\r\n", "$1\r\n1\r\n");
    ask(n, knowing, "RESET\r\nGET foo\r\n", "+RESET\r\n$1\r\n1\r\n");
    ask(n, knowing, "CLUSTER NOSUCH\r\nGET foo\r\n",
        "-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n-MOVED 12182 192.0.2.2:7002\r\n");

    /* What the node has taken and cannot pass on. */
    n->answers = false;
    client_server_leader(n->server, 1, 3);
    say(n, plain, "GET foo\r\n");
    say(n, knowing, "GET foo\r\n");
    await_commands(n, 5);
    take(n, 2);
    while (n->taken_count > 0)
        answer_outcome(n, 0, OUTCOME_MOVED, 2);
    hear(n, plain, unreachable);
    hear(n, knowing, "-MOVED 12182 192.0.2.2:7002\r\n");
    close(plain);
    close(knowing);
    node_stop(n);
}

/* Commands that are none, or have another number of arguments, get the same error on every node, led or not. They take no
 * place in the log. */
static void test_what_is_no_command(void **state)
{
    static const char request[] = "GET\r\nNOSUCH a b\r\nget a b\r\n*2\r\n$4\r\nGET\0\r\n$1\r\na\r\nMSET a\r\n";
    static const char errors[] = "-ERR wrong number of arguments for 'get' command\r\n"
                                 "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' \r\n"
                                 "-ERR wrong number of arguments for 'get' command\r\n"
                                 "-ERR unknown command 'GET', with args beginning with: 'a' \r\n"
                                 "-ERR wrong number of arguments for 'mset' command\r\n";
    (void)state;
    for (int forwards = 0; forwards < 2; forwards++) {
        struct node *n = node_new();
        n->config.node_config.forward = forwards != 0;
        node_open(n);
        int fd = dial(n);
        for (uint32_t leader = 0; leader < 3; leader++) {
            client_server_leader(n->server, leader, leader);
            send_bytes(n, fd, request, sizeof request - 1);
            hear(n, fd, errors);
        }
        assert_int_equal(client_server_statistics(n->server).commands, 0);
        assert_int_equal(client_server_statistics(n->server).errors, 15);

        /* A machine that has more commands than it could tell is asked itself. */
        struct command_info some[] = {{.name = {(uint8_t *)(uintptr_t)"get", 3}, .arity = 2},
                                      {.name = {(uint8_t *)(uintptr_t)"a.name", 6}, .arity = 2}};
        node_describe(n, (struct command_info_list){some, 2});
        client_server_leader(n->server, 1, 3);
        ask(n, fd, "NOSUCH a\r\nGET\r\n",
            "-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n"
            "-ERR wrong number of arguments for 'get' command\r\n");
        assert_int_equal(client_server_statistics(n->server).commands, 1);
        close(fd);
        node_stop(n);
    }
}

static void test_outcomes(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 2;
    node_open(n);
    teach(n, "GET a\r\n");
    int fd = dial(n);
    ask(n, fd, "GET a\r\n", "$-1\r\n");
    uint64_t before = client_server_statistics(n->server).commands;
    n->answers = false;
    say(n, fd, "SET foo 1\r\nDBSIZE\r\nGET a\r\nGET b\r\nGET c\r\nGET d\r\nGET e\r\nGET f\r\nGET g\r\nGET h\r\n");
    await_commands(n, before + 10);
    take(n, 10);
    assert_int_equal(n->taken_count, 5);
    answer_outcome(n, 0, OUTCOME_MOVED, 2);
    hear(n, fd, "-MOVED 12182 192.0.2.2:7002\r\n-MOVED 0 192.0.2.2:7002\r\n");
    answer_outcome(n, 0, OUTCOME_MOVED, 0);
    hear(n, fd, "-CLUSTERDOWN no leader\r\n-CLUSTERDOWN no leader\r\n");
    answer_outcome(n, 0, OUTCOME_BUSY, 0);
    hear(n, fd,
         "-BUSY too many requests are waiting, try again later\r\n-BUSY too many requests are waiting, try again later\r\n");
    answer_outcome(n, 0, OUTCOME_UNKNOWN, 0);
    hear(n, fd, "-UNKNOWN outcome\r\n-UNKNOWN outcome\r\n");
    uint64_t token = n->taken[0].token;
    answer(n, 0);
    hear(n, fd, "$-1\r\n$-1\r\n");
    /* The same answer again, and answers to nothing, are ignored. */
    struct packet strays[] = {{.id = token, .kind = OUTCOME_UNKNOWN}, {.id = 12345}, {.id = UINT64_MAX}};
    client_server_reply(n->server, strays, 3);
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
}

/* The life that took batches is gone. What it had is unknown, the next one gets the rest, and replies keep their order. */
static void test_lost(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 2;
    n->answers = false;
    node_open(n);
    int fd = dial(n), other = dial(n);
    say(n, fd, "SET a 1\r\nSET b 2\r\nPING\r\nSET c 3\r\nSET d 4\r\n");
    await_commands(n, 4);
    take(n, 1);
    assert_int_equal(n->taken_count, 1);
    struct taken lost = untake(n, 0);
    payload_free(&lost.value);
    client_server_lost(n->server);
    hear(n, fd, "-UNKNOWN outcome\r\n-UNKNOWN outcome\r\n+PONG\r\n");
    struct packet late = {.id = lost.token, .kind = OUTCOME_UNKNOWN};
    client_server_reply(n->server, &late, 1);
    ask(n, other, "PING\r\n", "+PONG\r\n"); /* no client was cut off */
    take(n, 10);
    assert_int_equal(n->taken_count, 1);
    answer(n, 0);
    hear(n, fd, "+OK\r\n+OK\r\n");
    client_server_lost(n->server); /* it had nothing */
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(fd);
    close(other);
    node_stop(n);
}

static void test_unsound_answers(void **state)
{
    (void)state;
    struct node *n = node_start();
    n->answers = false;
    int fd = dial(n);
    say(n, fd, "DEL a\r\nDEL b\r\n");
    await_commands(n, 2);
    take(n, 1);
    struct reply one = {.tag = REPLY_NIL};
    struct batch_builder builder = {0};
    struct payload packed = replies_pack(&builder, &one, 1);
    struct taken t = untake(n, 0);
    struct packet p = {.id = t.token, .kind = OUTCOME_EXECUTED, .len = packed.len, .words = packed.words};
    client_server_reply(n->server, &p, 1);
    hear(n, fd, "-UNKNOWN outcome\r\n-UNKNOWN outcome\r\n");
    batch_builder_free(&builder);
    payload_free(&t.value);
    close(fd);
    node_stop(n);
}

/* ---- Bounds ---- */

static void test_a_full_client_is_not_read(void **state)
{
    (void)state;
    enum { REQUESTS = 20000 };
    struct node *n = node_new();
    n->config.client_bytes_max = 4096;
    node_open(n);
    teach(n, "INCR x\r\n");
    int fd = dial(n), other = dial(n);
    ask(n, fd, "INCR x\r\n", ":101\r\n");
    n->answers = false;
    static const char request[] = "INCR counter-with-a-long-name\r\n";
    size_t len = sizeof request - 1, sent = 0;
    /* As much as the port and the system take. */
    for (int idle = 0; idle < 50 && sent < REQUESTS * len;) {
        ssize_t took = send(fd, request + sent % len, len - sent % len, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += took > 0 ? (size_t)took : 0;
        idle = took > 0 ? 0 : idle + 1;
        if (took < 0 || sent % 100 == 0)
            turn(n);
    }
    struct client_server_statistics s = client_server_statistics(n->server);
    assert_true(s.waiting_bytes >= 4096);
    assert_true(s.waiting_bytes < 4096 + 64 * 1024 * 4); /* one read, with what a request costs besides */
    assert_true(s.commands < REQUESTS);
    n->answers = true;
    ask(n, other, "PING\r\n", "+PONG\r\n");
    size_t whole = sent / len;
    for (size_t i = 1; i <= whole; i++) {
        char reply[32];
        snprintf(reply, sizeof reply, ":%zu\r\n", i);
        hear(n, fd, reply);
    }
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(fd);
    close(other);
    node_stop(n);
}

/* With more than client_bytes_all_max waiting, requests stay where they are; each is answered in the end. */
static void test_all_clients_are_bounded(void **state)
{
    (void)state;
    enum { REQUESTS = 200, CLIENTS = 4 };
    struct node *n = node_new();
    n->config.client_bytes_all_max = 4096;
    node_open(n);
    teach(n, "INCR y\r\n");
    uint64_t before = client_server_statistics(n->server).commands;
    n->answers = false;
    char burst[REQUESTS * 8 + 1] = "", reply[32];
    int fds[CLIENTS];
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(burst + i * 8, "INCR x\r\n", 9);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = dial(n);
        assert_int_equal(send(fds[i], burst, REQUESTS * 8, 0), REQUESTS * 8);
    }
    for (size_t i = 0; i < 20; i++)
        turn(n);
    uint64_t accepted = client_server_statistics(n->server).commands - before;
    assert_true(accepted > 10 && accepted < REQUESTS);
    assert_true(client_server_statistics(n->server).waiting_bytes < 4096 + CLIENTS * 128);
    n->answers = true;
    uint64_t sum = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < REQUESTS; k++) {
            size_t at = 0;
            do
                assert_int_equal(receive(n, fds[i], &reply[at], 1), 1);
            while (reply[at++] != '\n');
            reply[at] = '\0';
            assert_int_equal(reply[0], ':');
            sum += strtoull(reply + 1, NULL, 10);
        }
    assert_int_equal(sum, CLIENTS * REQUESTS * (CLIENTS * REQUESTS + 1) / 2);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    node_stop(n);
}

/* ---- Ends ---- */

static void test_protocol_error(void **state)
{
    (void)state;
    struct node *n = node_start();
    n->answers = false;
    int fd = dial(n);
    say(n, fd, "SET a 1\r\n*1\r\nPING\r\n");
    await_commands(n, 1);
    expect_silence(n, fd);
    n->answers = true;
    hear(n, fd, "+OK\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
    hear_end(n, fd);
    fd = dial(n);
    say(n, fd, "*1\r\n$999999999\r\n");
    hear(n, fd, "-ERR Protocol error: request is too long to be skipped\r\n");
    hear_end(n, fd);
    node_stop(n);
}

static void test_quit_and_end_of_input(void **state)
{
    (void)state;
    struct node *n = node_start();
    int fd = dial(n);
    say(n, fd, "INCR a\r\nQUIT\r\nINCR a\r\n");
    hear(n, fd, ":1\r\n+OK\r\n");
    hear_end(n, fd);
    fd = dial(n);
    n->answers = false;
    say(n, fd, "INCR a\r\nGET a\r\n");
    shutdown(fd, SHUT_WR);
    await_commands(n, 3);
    expect_silence(n, fd);
    n->answers = true;
    hear(n, fd, ":2\r\n$1\r\n2\r\n");
    hear_end(n, fd);
    node_stop(n);
}

/* An answer to a connection that has gone goes nowhere, least of all to the one that took its place. */
static void test_client_goes_before_the_answer(void **state)
{
    (void)state;
    struct node *n = node_start();
    n->answers = false;
    int fd = dial(n);
    say(n, fd, "SET a 1\r\n");
    await_commands(n, 1);
    take(n, 1);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    uint64_t until = deadline();
    while (client_server_statistics(n->server).connections > 0) {
        turn(n);
        check_deadline(until);
    }
    fd = dial(n);
    say(n, fd, "GET a\r\n");
    await_commands(n, 2);
    answer(n, 0);
    expect_silence(n, fd);
    n->answers = true;
    hear(n, fd, "$1\r\n1\r\n");
    assert_int_equal(client_server_statistics(n->server).waiting_bytes, 0);
    close(fd);
    node_stop(n);
}

static void test_close(void **state)
{
    (void)state;
    struct node *n = node_new();
    n->config.batch_size = 1;
    n->answers = false;
    node_open(n);
    int fd = dial(n), idle = dial(n);
    say(n, fd, "SET a 1\r\nPING\r\nSET b 2\r\nSET c 3\r\n");
    await_commands(n, 3);
    take(n, 2); /* the third is never received */
    uint16_t port = client_server_port(n->server);
    assert_true(port > 0);
    node_close(n);
    hear(n, fd, "-UNKNOWN outcome\r\n+PONG\r\n-UNKNOWN outcome\r\n-UNKNOWN outcome\r\n");
    hear_end(n, fd);
    hear_end(n, idle);
    node_free(n);
}

static void test_cannot_listen(void **state)
{
    (void)state;
    struct node *n = node_start();
    struct client_server *second;
    struct problem problem;
    struct client_server_options options = {
        .config = &n->config, .node = 1, .logger = n->logger, .on_input = on_input, .status = on_status, .context = n};
    n->nodes[0].client.port = client_server_port(n->server);
    assert_false(client_server_open(&second, &n->loop, &options, &problem));
    assert_null(second);
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "the port is in use"));
    options.node = 3;
    assert_false(client_server_open(&second, &n->loop, &options, &problem));
    assert_non_null(strstr(problem.text, "node 3 has no client address"));
    node_stop(n);
}

static void test_names_and_ipv6(void **state)
{
    (void)state;
    struct node *n = node_new();
    snprintf(n->nodes[0].client.host, sizeof n->nodes[0].client.host, "localhost");
    node_open(n);
    int fd = dial(n);
    ask(n, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    node_stop(n);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_six = probe >= 0 && bind(probe, (struct sockaddr *)&six, sizeof six) == 0;
    close(probe);
    if (!has_six)
        skip();
    n = node_new();
    snprintf(n->nodes[0].client.host, sizeof n->nodes[0].client.host, "::1");
    node_open(n);
    fd = try_dial(n, AF_INET6);
    assert_true(fd >= 0);
    ask(n, fd, "PING\r\nSET a 1\r\n", "+PONG\r\n+OK\r\n");
    close(fd);
    node_stop(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_requests_in_pieces),
        cmocka_unit_test(test_batches_are_cut),
        cmocka_unit_test(test_batches_are_cut_by_bytes),
        cmocka_unit_test(test_replies_keep_the_order),
        cmocka_unit_test(test_long_pipelines),
        cmocka_unit_test(reads_have_batches_of_their_own),
        cmocka_unit_test(a_read_follows_the_writes_before_it),
        cmocka_unit_test(a_write_waits_for_the_reads_before_it),
        cmocka_unit_test(a_new_life_takes_no_reads_before_it_knows_a_leader),
        cmocka_unit_test(a_follower_takes_reads_of_who_asks_for_it),
        cmocka_unit_test(a_learner_apart_takes_reads),
        cmocka_unit_test(stale_reads_say_how_old),
        cmocka_unit_test(a_lost_read_was_not_executed),
        cmocka_unit_test(test_nobody_or_another_leads),
        cmocka_unit_test(test_leader_changes_before_the_node_asks),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_an_operators_request_is_for_the_node),
        cmocka_unit_test(test_operators_requests_are_bounded_and_end_with_the_port),
        cmocka_unit_test(test_a_request_at_a_node_that_is_no_proposer),
        cmocka_unit_test(test_forwarding),
        cmocka_unit_test(test_who_is_sent_to_the_leader),
        cmocka_unit_test(test_what_is_no_command),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_unsound_answers),
        cmocka_unit_test(test_a_full_client_is_not_read),
        cmocka_unit_test(test_all_clients_are_bounded),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_quit_and_end_of_input),
        cmocka_unit_test(test_client_goes_before_the_answer),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_cannot_listen),
        cmocka_unit_test(test_names_and_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
