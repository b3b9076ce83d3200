/* io/network*.c: several networks on one loop, and strangers that say wrong things. */
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/network_fixture.h"

#include "io/tcp_internal.h"
#include "tests/unit/copies.h"
#include "tests/unit/other_settings.h"
#include "tests/unit/roster_fixture.h"

static void test_ipv4(void **state)
{
    (void)state;
    exchange_frames(tcp_network_open, "127.0.0.1");
}
static void test_ipv6(void **state)
{
    (void)state;
    exchange_frames(tcp_network_open, "::1");
}
static void test_name(void **state)
{
    (void)state;
    exchange_frames(tcp_network_open, "localhost");
}

static void test_fan_out(void **state)
{
    (void)state;
    fan_out(tcp_network_open);
}

/* What receive gave stays as it is while more arrives, until the next receive. */
static void test_received_stays(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    for (uint32_t round = 0; round < 50; round++) {
        send_one(a, node_set_of(2), round, 1000);
        struct packet_list list;
        while ((list = network_receive(b->network)).len == 0)
            uv_run(&f->loop, UV_RUN_ONCE);
        size_t inputs = b->inputs;
        send_one(a, node_set_of(2), round + 100, 2000 * (round + 1));
        while (b->inputs == inputs)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(list.len, 1);
        assert_body(&list.ptr[0], 1, round, 1000);
        list = network_receive(b->network);
        assert_int_equal(list.len, 1);
        assert_body(&list.ptr[0], 1, round + 100, 2000 * (round + 1));
    }
    teardown(f);
}

/* ---- strangers ---- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Says `bytes` to node 1 and expects that it hangs up and counts one bad frame. */
static void expect_refusal(struct fixture *f, const void *bytes, size_t len)
{
    uint64_t before = network_statistics(f->nodes[0].network).bad_frames;
    int fd = connect_to(f->config_nodes[0].address.port);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    while (network_statistics(f->nodes[0].network).bad_frames == before)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    char why[1024]; /* it may say why */
    while (recv(fd, why, sizeof why, 0) > 0)
        continue;
    close(fd);
    assert_int_equal(network_statistics(f->nodes[0].network).bad_frames, before + 1);
    assert_int_equal(network_receive(f->nodes[0].network).len, 0);
}

/* Frames, one after the other. */
struct said {
    uint64_t words[2 * (FRAME_HEADER_WORDS + GOVERNED_TEXT_MAX / 8)];
    size_t size;
};

static void say_bytes(struct said *s, const struct frame_origin *origin, const void *bytes, uint32_t len)
{
    uint64_t *words = s->words + s->size / 8;
    memcpy(words + FRAME_HEADER_WORDS, bytes, len);
    frame_encode(origin, words + FRAME_HEADER_WORDS, len, words);
    s->size += FRAME_HEADER_SIZE + words_for(len) * 8;
}

static void say(struct said *s, const struct frame_origin *origin, uint32_t len)
{
    static const uint64_t body[2] = {1234};
    say_bytes(s, origin, body, len);
}

static struct said greet(const struct fixture *f, const struct frame_origin *origin)
{
    struct said s = {.size = 0};
    uint64_t text[GOVERNED_TEXT_MAX / 8];
    const uint32_t len = greeting_of(&f->config, text);
    say_bytes(&s, origin, text, len);
    return s;
}

static void expect_refused_greeting(struct fixture *f, const struct frame_origin *origin)
{
    const struct said said = greet(f, origin);
    expect_refusal(f, said.words, said.size);
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, &f->nodes[1], &f->nodes[0], 1); /* node 1 knows node 2 from now on */
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);

    expect_refusal(f, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody lost in this network\r\n\r\n", 78);
    struct frame_origin o = two;
    o.cluster = frame_cluster("other", 5);
    expect_refused_greeting(f, &o);
    o = two;
    o.sender = 9; /* not in the configuration */
    expect_refused_greeting(f, &o);
    o.sender = 1; /* the node itself */
    expect_refused_greeting(f, &o);
    o = two;
    o.instance[3] ^= 1;
    expect_refused_greeting(f, &o);
    o = two;
    o.incarnation--;
    expect_refused_greeting(f, &o);

    struct said said = greet(f, &two);
    ((uint8_t *)said.words)[30] ^= 1; /* header */
    expect_refusal(f, said.words, said.size);
    said = greet(f, &two);
    ((uint8_t *)said.words)[FRAME_HEADER_SIZE] ^= 0x80; /* body */
    expect_refusal(f, said.words, said.size);

    f->config.frame_bytes_max = 15;
    said = greet(f, &two);
    say(&said, &two, 16);
    expect_refusal(f, said.words, said.size);
    f->config.frame_bytes_max = FRAME_MAX;

    /* A valid frame, then one of another node on the same connection: the first arrives, the second does not. */
    said = greet(f, &two);
    say(&said, &two, 16);
    o = two;
    o.incarnation++;
    say(&said, &o, 16);
    int fd = connect_to(f->config_nodes[0].address.port);
    uint64_t before = network_statistics(f->nodes[0].network).bad_frames;
    assert_int_equal(send(fd, said.words, said.size, 0), said.size);
    while (network_statistics(f->nodes[0].network).bad_frames == before)
        uv_run(&f->loop, UV_RUN_ONCE);
    close(fd);
    collect(&f->nodes[0]);
    assert_int_equal(f->nodes[0].count, 1);
    teardown(f);
}

/* A node that does not begin with governed settings is refused before its life is remembered, even if the frame is valid. */
static void test_hostile_greetings(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    uint64_t text[GOVERNED_TEXT_MAX / 8], long_one[GOVERNED_TEXT_MAX / 8];
    const uint32_t len = greeting_of(&f->config, text);
    memset(long_one, 'a', sizeof long_one);
    const struct {
        const void *bytes;
        uint32_t len;
    } greetings[] = {
        {"", 0},
        {"\0\0\0\0\0\0\0", 8},
        {"alpha 64\n\0", 10},
        {"alpha \x1b[2J\n", 12},
        {"alpha 8", 7},
        {"alpha  8\n", 9},
        {"alpha 8\n\n", 9},
        {"another_setting none\n", 21}, /* differs in nothing that has a name */
        {text, len - 1},
        {long_one, 2559},
        {long_one, 2560},
    };
    two.incarnation += 1000; /* remembered, it would lock the real node out */
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        struct said said = {.size = 0};
        say_bytes(&said, &two, greetings[i].bytes, greetings[i].len);
        expect_refusal(f, said.words, said.size);
    }
    struct said said = {.size = 0}; /* a length that is not worth waiting for */
    const struct packet huge = make(0, 1, 1 << 20);
    frame_encode(&two, huge.words.ptr, huge.len, said.words);
    free(huge.words.ptr);
    expect_refusal(f, said.words, FRAME_HEADER_SIZE);
    open_node(f, 1);
    wait_connected(f, &f->nodes[1], &f->nodes[0], 1);
    teardown(f);
}

/* Bytes one by one, and an end in the middle of a frame. */
static void test_slow_sender(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    struct said said = greet(f, &two);
    const size_t greeting = said.size;
    say(&said, &two, 13);
    int fd = connect_to(f->config_nodes[0].address.port);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
    for (size_t i = 0; i < said.size; i++) {
        assert_int_equal(send(fd, (char *)said.words + i, 1, 0), 1);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    collect_until(f, &f->nodes[0], 1);
    assert_int_equal(f->nodes[0].packets[0].len, 13);
    assert_int_equal(f->nodes[0].packets[0].words.ptr[0], 1234);
    assert_int_equal(send(fd, (char *)said.words + greeting, 70, 0), 70);
    close(fd);
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(network_receive(f->nodes[0].network).len, 0);
    teardown(f);
}

static void test_reconnect(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    wait_connected(f, b, a, 2);
    for (uint32_t life = 0; life < 3; life++) {
        close_node(f, 1); /* and again on the same port, with the next incarnation */
        open_node(f, 1);
        wait_connected(f, a, b, 3);
        wait_connected(f, b, a, 4);
        assert_int_equal(a->reborn, life + 1);
    }
    assert_int_equal(network_statistics(a->network).reconnects, 3);
    assert_int_equal(network_statistics(a->network).bad_frames, 0);
    teardown(f);
}

/* Another life of a node, on the sockets that it has: what waits for a node that does not read is not sent any more, and
 * both are connected again at once. */
static void test_reborn(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    f->config.peer_queue_bytes_max = 8 << 20;
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    wait_connected(f, b, a, 2);
    for (uint32_t life = 1; life <= 3; life++) {
        struct problem problem;
        uint64_t dropped = network_statistics(a->network).dropped;
        uint32_t sent = 0;
        for (; network_statistics(a->network).dropped == dropped; sent++) /* until sockets and queue are full */
            send_one(a, node_set_of(2), 100 + sent, FRAME_MAX / 4);
        assert_true(data_folder_reboot(a->folder, &problem));
        const struct frame_origin next = origin_of(a);
        network_reborn(a->network, &next);
        while (b->reborn < life) {
            uv_run(&f->loop, UV_RUN_ONCE);
            collect(b);
        }
        assert_in_range(b->count, 0, sent - 8); /* the queue held seven, and one was dropped */
        forget(b);
        wait_connected(f, a, b, 3);
        wait_connected(f, b, a, 4); /* its connection to the node is the one it had */
    }
    assert_int_equal(network_statistics(a->network).reconnects, 3);
    assert_int_equal(network_statistics(b->network).reconnects, 0);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

/* Before there is a connection there is nothing to be done again: the greeting is the new life's. */
static void test_reborn_before_connecting(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    struct problem problem;
    open_node(f, 1);
    open_node(f, 0);
    assert_true(data_folder_reboot(a->folder, &problem));
    const struct frame_origin next = origin_of(a);
    network_reborn(a->network, &next);
    wait_connected(f, a, b, 1);
    assert_int_equal(b->reborn, 0);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

static void test_process_ends(void **state)
{
    (void)state;
    process_ends(tcp_network_open, false);
}

static void test_process_ends_unheard(void **state)
{
    (void)state;
    process_ends(tcp_network_open, true);
}

static const struct dialer *dialer_of(const struct node *node, uint32_t peer)
{
    return &((const struct tcp_network *)node->network)->peers[peer].dialer;
}

/* Node 1 hears no quorum when node 2 ends. Later it does: then it says so. */
static void test_quorum_is_heard_later(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    const struct dialer *d = dialer_of(a, 2);
    wait_connected(f, b, a, 1);
    close_node(f, 1);
    while (d->presence != PRESENCE_MISSED || d->looks < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    collect(a);
    assert_int_equal(a->reborn, 0);
    open_node(f, 2);
    wait_connected(f, &f->nodes[2], a, 2);
    wait_over(f, a, 1);
    teardown(f);
}

/* Listens in place of node 2. */
static int listen_as_two(struct fixture *f)
{
    struct sockaddr_in at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    uv_ip4_addr("127.0.0.1", f->config_nodes[1].address.port, &at);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int wait_dialled(struct fixture *f, int listener)
{
    int fd;
    while ((fd = accept(listener, NULL, NULL)) < 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    return fd;
}

/* Dials meanwhile get a connection that ends at once. */
static void run_while(struct fixture *f, const struct dialer *d, enum dialer_presence presence, int listener)
{
    while (d->presence == presence) {
        uv_run(&f->loop, UV_RUN_ONCE);
        close(accept(listener, NULL, NULL));
    }
}

/* Its connections end, one before the other, and its process takes others: it has not ended. Then its listener ends, too. */
static void end_connections(bool ours_first)
{
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0];
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    wait_connected(f, &f->nodes[2], a, 1);
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    const struct dialer *d = dialer_of(a, 2);
    const struct said said = greet(f, &two);
    int listener = listen_as_two(f), from = connect_to(f->config_nodes[0].address.port);
    assert_int_equal(send(from, said.words, said.size, MSG_NOSIGNAL), said.size);
    while (d->presence != PRESENCE_HEARD || d->state != DIALER_CONNECTED)
        uv_run(&f->loop, UV_RUN_ONCE);
    int to = wait_dialled(f, listener);
    collect(a);
    const size_t before = a->reborn;
    close(ours_first ? from : to);
    for (int i = 0; i < 10; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(d->presence, PRESENCE_HEARD); /* it is heard, or could say that it refuses */
    }
    close(ours_first ? to : from);
    run_while(f, d, PRESENCE_HEARD, listener);
    to = wait_dialled(f, listener);
    assert_int_equal(d->presence, PRESENCE_MISSED);
    collect(a);
    assert_int_equal(a->reborn, before);
    close(listener);
    close(to);
    run_while(f, d, PRESENCE_MISSED, -1);
    wait_over(f, a, before + 1);
    teardown(f);
}

static void test_connections_end(void **state)
{
    (void)state;
    end_connections(false);
    end_connections(true);
}

/* A process that is just ending takes one more connection. This node does not send, so it learns nothing from that one. */
static void test_ending_takes_connections(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0];
    a->only_receives = true;
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    wait_connected(f, &f->nodes[2], a, 1);
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    const struct dialer *d = dialer_of(a, 2);
    const struct said said = greet(f, &two);
    int listener = listen_as_two(f), from = connect_to(f->config_nodes[0].address.port);
    assert_int_equal(send(from, said.words, said.size, MSG_NOSIGNAL), said.size);
    while (d->presence != PRESENCE_HEARD)
        uv_run(&f->loop, UV_RUN_ONCE);
    collect(a);
    const size_t before = a->reborn;
    close(from);
    close(wait_dialled(f, listener));
    close(listener);
    wait_over(f, a, before + 1);
    teardown(f);
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    open_node(f, 0);
    f->config_nodes[1].address.port = f->config_nodes[0].address.port;
    struct node *b = &f->nodes[1];
    struct problem problem = {0};
    assert_true(data_folder_open(&b->folder, disk_posix(), b->folder_path, "demo", 2, &problem));
    const struct network_options options = options_of(f, b);
    struct network *n = NULL;
    assert_false(tcp_network_open(&n, &f->loop, &options, &problem));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "address already in use"));
    data_folder_close(b->folder);
    teardown(f);
}

/* A peer that never reads: what its queue does not hold is dropped, memory stays bounded, others are not held up. */
static void test_full_queue(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *c = &f->nodes[2];
    f->config.peer_queue_bytes_max = 1 << 20;
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(bind(deaf, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(deaf, 4), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&address, &len), 0);
    open_node(f, 0);
    open_node(f, 2);
    f->config_nodes[1].address.port = ntohs(address.sin_port);
    tell_port(f);
    wait_connected(f, a, c, 1);
    uint64_t out = network_statistics(a->network).frames_out;
    while (network_statistics(a->network).frames_out == out) { /* until the deaf one is connected */
        send_one(a, node_set_of(2), 1, 8);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    uint64_t dropped = network_statistics(a->network).dropped;
    for (uint32_t i = 0; i < 200; i++)
        send_one(a, node_set_of(2), i, 256 * 1024);
    assert_true(network_statistics(a->network).dropped > dropped);
    wait_connected(f, a, c, 2);
    close(deaf);
    teardown(f);
}

/* What arrives is not taken: reading stops, nothing is lost, and reading goes on with the next receive. */
static void test_pause(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    enum { COUNT = 400, SIZE = 64 * 1024 };
    for (uint32_t i = 0; i < COUNT; i++)
        send_one(a, node_set_of(2), i, SIZE);
    f->config.peer_queue_bytes_max = 1 << 20; /* the receiver's limit from now on */
    for (int i = 0; i < 200; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    uint64_t arrived = network_statistics(b->network).frames_in;
    assert_true(arrived < COUNT / 2);
    collect_until(f, b, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_body(&b->packets[i], 1, i, SIZE);
    teardown(f);
}

static void test_copies(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_copies(f);
    teardown(f);
}

static void test_other_settings(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_other_settings(f);
    teardown(f);
}

static void test_members_come_and_go(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_come_and_go(f);
    teardown(f);
}

static void test_member_replaced(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_replaced(f);
    teardown(f);
}

static void test_removed_as_quorum_grows(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_removed_as_quorum_grows(f);
    teardown(f);
}

static void test_removed_where_one_is_a_quorum(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_removed_where_one_is_a_quorum(f);
    teardown(f);
}

static void test_member_moved(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_moved(f);
    teardown(f);
}

static void test_hearsay(void **state)
{
    (void)state;
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    check_hearsay(f);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_slow_sender),
        cmocka_unit_test(test_received_stays),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_process_ends),
        cmocka_unit_test(test_process_ends_unheard),
        cmocka_unit_test(test_quorum_is_heard_later),
        cmocka_unit_test(test_connections_end),
        cmocka_unit_test(test_ending_takes_connections),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_reborn),
        cmocka_unit_test(test_reborn_before_connecting),
        cmocka_unit_test(test_hostile_greetings),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_members_come_and_go),
        cmocka_unit_test(test_member_replaced),
        cmocka_unit_test(test_removed_as_quorum_grows),
        cmocka_unit_test(test_removed_where_one_is_a_quorum),
        cmocka_unit_test(test_member_moved),
        cmocka_unit_test(test_hearsay),
    };
    signal(SIGPIPE, SIG_IGN); /* as `synod start` does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
