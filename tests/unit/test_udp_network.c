/* io/udp_*.c: networks that send datagrams, strangers that send any, and a relay that loses, doubles and reorders them. */
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/network_fixture.h"

#include "tests/unit/copies.h"
#include "tests/unit/other_settings.h"
#include "tests/unit/roster_fixture.h"

enum { DATAGRAM_MAX = 1400 };

/* All nodes with all ports known: peers' addresses are read when a network is opened. */
static struct fixture *setup_udp(const char *host)
{
    struct fixture *f = setup(udp_network_open, host);
    f->config.datagram_bytes_max = DATAGRAM_MAX;
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    for (size_t i = 0; i < NODES; i++)
        close_node(f, i);
    return f;
}

static void exchange(struct fixture *f)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 1300, DATAGRAM_MAX - FRAME_HEADER_SIZE, DATAGRAM_MAX, 65536, FRAME_MAX, 3};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    bool seen[SIZES] = {false};
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 9);
    wait_connected(f, b, a, 10);
    uint64_t dropped = network_statistics(a->network).dropped;
    struct packet frames[SIZES];
    for (uint32_t i = 0; i < SIZES; i++)
        frames[i] = make(node_set_of(1) | node_set_of(2), i, sizes[i]); /* to itself, too: that is left out */
    network_send(a->network, frames, SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        free(frames[i].words.ptr);
    send_one(b, node_set_of(1), 77, 100);
    collect_until(f, b, SIZES);
    for (uint32_t k = 0; k < SIZES; k++) { /* in any order */
        uint32_t i = 0;
        while (i < SIZES && (seen[i] || b->packets[k].len != sizes[i]))
            i++;
        assert_true(i < SIZES);
        seen[i] = true;
        assert_body(&b->packets[k], 1, i, sizes[i]);
    }
    collect_until(f, a, 1);
    assert_body(&a->packets[0], 2, 77, 100);
    assert_true(b->inputs > 0);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    assert_int_equal(network_statistics(a->network).dropped, dropped);
    teardown(f);
}

static void test_ipv4(void **state)
{
    (void)state;
    exchange(setup_udp("127.0.0.1"));
}
static void test_ipv6(void **state)
{
    (void)state;
    exchange(setup_udp("::1"));
}
static void test_name(void **state)
{
    (void)state;
    exchange(setup_udp("localhost"));
}

/* Nodes whose addresses are of two families: each sends from a socket of the other one's. */
static void test_both_families(void **state)
{
    (void)state;
    struct fixture *f = setup(udp_network_open, "127.0.0.1");
    f->config.datagram_bytes_max = DATAGRAM_MAX;
    strcpy(f->config_nodes[1].address.host, "::1");
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    for (size_t i = 0; i < NODES; i++)
        close_node(f, i);
    exchange(f);
}

static void test_fan_out(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    struct node *a = &f->nodes[0], *b = &f->nodes[1], *c = &f->nodes[2];
    wait_connected(f, a, b, 1);
    wait_connected(f, a, c, 2);
    uint64_t out = network_statistics(a->network).frames_out;
    struct packet frames[] = {make(node_set_of(2) | node_set_of(3), 1, 11), make(node_set_of(3), 2, 12),
                              make(node_set_of(2) | node_set_of(3), 3, 5000), make(node_set_of(40), 4, 14)};
    network_send(a->network, frames, 4);
    for (size_t i = 0; i < 4; i++)
        free(frames[i].words.ptr);
    collect_until(f, b, 2);
    collect_until(f, c, 3);
    assert_int_equal(network_statistics(a->network).frames_out - out, 5);
    for (size_t i = 0; i < 2; i++)
        assert_body(&b->packets[i], 1, b->packets[i].len == 11 ? 1 : 3, b->packets[i].len == 11 ? 11 : 5000);
    teardown(f);
}

/* ---- plain sockets ---- */

static int datagram_socket(uint16_t port)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void say(int fd, uint16_t port, const void *bytes, size_t len)
{
    struct sockaddr_in to;
    uv_ip4_addr("127.0.0.1", port, &to);
    assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof to), len);
}

/* What is sent as a datagram is the frame and nothing else, and what is too long is not sent as one, reachable or not. */
static void test_datagram_is_frame(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    int fd = datagram_socket(0);
    f->config_nodes[1].address.port = port_of(fd);
    open_node(f, 0);
    send_one(&f->nodes[0], node_set_of(2), 1, DATAGRAM_MAX - FRAME_HEADER_SIZE + 1);
    assert_int_equal(network_statistics(f->nodes[0].network).dropped, 1); /* there is no node to connect to */
    send_one(&f->nodes[0], node_set_of(2), 2, DATAGRAM_MAX - FRAME_HEADER_SIZE);
    uint64_t got[DATAGRAM_MAX / 8 + 1];
    assert_int_equal(recv(fd, got, sizeof got, 0), DATAGRAM_MAX);
    struct frame_header header;
    assert_int_equal(frame_parse(got, frame_cluster("demo", 4), FRAME_MAX, &header), FRAME_OK);
    assert_int_equal(frame_check_body(&header, got + FRAME_HEADER_WORDS), FRAME_OK);
    assert_int_equal(header.len, DATAGRAM_MAX - FRAME_HEADER_SIZE);
    assert_int_equal(header.origin.sender, 1);
    assert_true(recv(fd, got, sizeof got, MSG_DONTWAIT) < 0);
    close(fd);
    teardown(f);
}

/* A peer without an address: what is sent to it is dropped and counted, and delays no other. */
static void test_no_address(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    struct node *a = &f->nodes[0], *c = &f->nodes[2];
    strcpy(f->config_nodes[1].address.host, "nobody.invalid");
    open_node(f, 0);
    open_node(f, 2);
    for (uint32_t i = 0; i < 10; i++)
        send_one(a, node_set_of(2), i, 8);
    assert_int_equal(network_statistics(a->network).dropped, 10);
    wait_connected(f, a, c, 2);
    teardown(f);
}

struct said {
    uint64_t words[FRAME_HEADER_WORDS + 3];
};

static struct said frame_of(const struct frame_origin *origin)
{
    struct said said = {{0}};
    said.words[FRAME_HEADER_WORDS] = 1234;
    frame_encode(origin, said.words + FRAME_HEADER_WORDS, 16, said.words);
    return said;
}

/* Sends a datagram to node 1 and waits until `*count` of its statistics has grown; nothing else may have come of it. */
static void expect(struct fixture *f, int fd, const void *bytes, size_t len, bool refused)
{
    struct network *n = f->nodes[0].network;
    struct network_statistics before = network_statistics(n), after;
    say(fd, f->config_nodes[0].address.port, bytes, len);
    do {
        uv_run(&f->loop, UV_RUN_ONCE);
        after = network_statistics(n);
    } while (after.bad_frames + after.dropped == before.bad_frames + before.dropped);
    assert_int_equal(after.bad_frames, before.bad_frames + refused);
    assert_int_equal(after.dropped, before.dropped + !refused);
    assert_int_equal(after.frames_in, before.frames_in);
    assert_int_equal(network_receive(n).len, 0);
}

static void expect_sound(struct fixture *f, int fd, const struct frame_origin *origin)
{
    struct said said = frame_of(origin);
    forget(&f->nodes[0]);
    say(fd, f->config_nodes[0].address.port, said.words, 80);
    collect_until(f, &f->nodes[0], 1);
    assert_int_equal(f->nodes[0].packets[0].words.ptr[0], 1234);
    assert_int_equal(f->nodes[0].packets[0].id, origin->sender);
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, &f->nodes[1], &f->nodes[0], 1); /* node 1 knows node 2 from now on */
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    int fd = datagram_socket(0);
    static const uint8_t zeros[60000];

    expect(f, fd, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody lost in this network\r\n\r\n", 78, true);
    expect(f, fd, "", 0, true);
    expect(f, fd, zeros, 63, true);
    expect(f, fd, zeros, sizeof zeros, true);
    struct frame_origin o = two;
    o.cluster = frame_cluster("other", 5);
    expect(f, fd, frame_of(&o).words, 80, true);
    o = two;
    o.sender = 9; /* not in the configuration */
    expect(f, fd, frame_of(&o).words, 80, true);
    o.sender = 1; /* the node itself */
    expect(f, fd, frame_of(&o).words, 80, true);
    o.sender = 64; /* no possible node */
    expect(f, fd, frame_of(&o).words, 80, true);
    o = two;
    o.sender = 3; /* has not greeted */
    expect(f, fd, frame_of(&o).words, 80, false);
    o = two;
    o.instance[3] ^= 1;
    expect(f, fd, frame_of(&o).words, 80, false);

    struct said said = frame_of(&two);
    ((uint8_t *)said.words)[30] ^= 1; /* header */
    expect(f, fd, said.words, 80, true);
    said = frame_of(&two);
    ((uint8_t *)said.words)[79] ^= 0x80; /* body */
    expect(f, fd, said.words, 80, true);
    said = frame_of(&two);
    expect(f, fd, said.words, 72, true);
    expect(f, fd, said.words, 79, true);
    expect(f, fd, said.words, 88, true);
    f->config.frame_bytes_max = 15;
    expect(f, fd, said.words, 80, true);
    f->config.frame_bytes_max = FRAME_MAX;
    expect_sound(f, fd, &two);
    close(fd);
    teardown(f);
}

/* Datagrams are heard of the life that greeted last over TCP, and of no other; over UDP that is no fault. */
static void test_lives(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    struct node *a = &f->nodes[0];
    open_node(f, 0);
    open_node(f, 1);
    const struct frame_origin first = origin_of(&f->nodes[1]);
    wait_connected(f, &f->nodes[1], a, 1);
    close_node(f, 1);
    int fd = datagram_socket(0);
    expect_sound(f, fd, &first);

    open_node(f, 1); /* greets over TCP alone */
    const struct frame_origin second = origin_of(&f->nodes[1]);
    assert_int_equal(second.incarnation, first.incarnation + 1);
    while (a->reborn == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
        collect(a);
    }
    expect(f, fd, frame_of(&first).words, 80, false);
    expect_sound(f, fd, &second);

    struct frame_origin third = second; /* may come yet, but has not greeted: nothing that lasts comes of it */
    third.incarnation++;
    expect(f, fd, frame_of(&third).words, 80, false);
    third = second;
    third.nonce++;
    expect(f, fd, frame_of(&third).words, 80, false);
    assert_int_equal(a->reborn, 1);
    send_one(&f->nodes[1], node_set_of(1), 5, 100000);
    forget(a);
    collect_until(f, a, 1);
    assert_body(&a->packets[0], 2, 5, 100000);
    expect_sound(f, fd, &second);
    close(fd);
    teardown(f);
}

/* ---- between two nodes, a relay ---- */

struct relay {
    uv_udp_t udp;
    struct sockaddr_in to;
    uint64_t seen, kept_len;
    uint8_t buffer[65536], kept[65536];
};

static void on_relay_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    *buffer = uv_buf_init((char *)((struct relay *)handle->data)->buffer, 65536);
}

static void pass_on(struct relay *r, uint8_t *bytes, size_t len)
{
    const uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)len);
    assert_int_equal(uv_udp_try_send(&r->udp, &buffer, 1, (struct sockaddr *)&r->to), len);
}

/* Of ten datagrams one is lost, one comes twice, one comes four later, and one is damaged. */
static void on_relayed(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
    struct relay *r = udp->data;
    (void)buffer;
    (void)flags;
    if (from == NULL)
        return;
    assert_true(len > 0);
    switch (r->seen++ % 10) {
    case 1:
        return;
    case 2:
        pass_on(r, r->buffer, (size_t)len);
        break;
    case 3:
        memcpy(r->kept, r->buffer, (size_t)len);
        r->kept_len = (uint64_t)len;
        return;
    case 5:
        r->buffer[(size_t)len / 2] ^= 4;
        break;
    case 7:
        pass_on(r, r->kept, r->kept_len);
        break;
    }
    pass_on(r, r->buffer, (size_t)len);
}

/* Says to node `to` what a connection of node `from` begins with, and hangs up when it is heard. */
static void greet_for(struct fixture *f, const struct node *from, const struct node *to)
{
    uint64_t words[FRAME_HEADER_WORDS + GOVERNED_TEXT_MAX / 8];
    const uint32_t len = greeting_of(&f->config, words + FRAME_HEADER_WORDS);
    const size_t size = FRAME_HEADER_SIZE + words_for(len) * 8;
    const struct frame_origin origin = origin_of(from);
    const uint64_t heard = network_statistics(to->network).frames_in;
    struct sockaddr_in address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    uv_ip4_addr("127.0.0.1", network_port(to->network), &address);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    frame_encode(&origin, words + FRAME_HEADER_WORDS, len, words);
    assert_int_equal(send(fd, words, size, MSG_NOSIGNAL), size);
    while (network_statistics(to->network).frames_in == heard)
        uv_run(&f->loop, UV_RUN_ONCE);
    close(fd);
}

/* Whatever becomes of datagrams on their way, what arrives is what was sent, and nothing is ended for it. */
static void test_relay(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct fixture *f = setup_udp("127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    struct relay *r = memory_new(1, sizeof *r);
    struct sockaddr_in any;
    uv_ip4_addr("127.0.0.1", 0, &any);
    uv_ip4_addr("127.0.0.1", f->config_nodes[1].address.port, &r->to);
    r->udp.data = r;
    uv_udp_init(&f->loop, &r->udp);
    assert_int_equal(uv_udp_bind(&r->udp, (struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_udp_recv_start(&r->udp, on_relay_alloc, on_relayed), 0);
    int len = sizeof any;
    assert_int_equal(uv_udp_getsockname(&r->udp, (struct sockaddr *)&any, &len), 0);
    open_node(f, 1);
    f->config_nodes[1].address.port = ntohs(any.sin_port); /* that is where node 1 thinks that node 2 is */
    open_node(f, 0);
    greet_for(f, a, b); /* the relay passes datagrams on, and no connections */
    for (uint32_t i = 0; i < COUNT; i++) {
        send_one(a, node_set_of(2), i, 8 + i);
        while (r->seen <= i)
            uv_run(&f->loop, UV_RUN_ONCE);
    }
    uint32_t times[COUNT] = {0}, overtaken = 0, last = 0;
    collect_until(f, b, COUNT / 10 * 9);
    for (size_t k = 0; k < b->count; k++) {
        uint32_t number = b->packets[k].len - 8;
        assert_body(&b->packets[k], 1, number, 8 + number);
        times[number]++;
        overtaken += number < last;
        last = number;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(times[i], i % 10 == 1 || i % 10 == 5 ? 0 : i % 10 == 2 ? 2 : 1);
    assert_int_equal(overtaken, COUNT / 10);
    assert_int_equal(network_statistics(b->network).bad_frames, COUNT / 10);
    uv_close((uv_handle_t *)&r->udp, NULL);
    teardown(f);
    free(r);
}

/* What arrives is not taken: beyond the limit it is dropped and counted, and with the next receive all goes on. */
static void test_bounded_inbox(void **state)
{
    (void)state;
    enum { COUNT = 400, SIZE = 1000 };
    struct fixture *f = setup_udp("127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    struct network_statistics before = network_statistics(b->network), after;
    f->config.peer_queue_bytes_max = 100 * SIZE;
    for (uint32_t i = 0; i < COUNT; i++) {
        send_one(a, node_set_of(2), i, SIZE);
        do {
            uv_run(&f->loop, UV_RUN_NOWAIT);
            after = network_statistics(b->network);
        } while (after.frames_in + after.dropped - before.frames_in - before.dropped <= i);
    }
    assert_int_equal(after.dropped - before.dropped, COUNT - 100);
    collect_until(f, b, 100);
    for (uint32_t i = 0; i < 100; i++)
        assert_body(&b->packets[i], 1, i, SIZE);
    forget(b);
    send_one(a, node_set_of(2), 7, SIZE);
    collect_until(f, b, 1);
    teardown(f);
}

/* A life begun anew within the process is believed over both, and its earlier frames are not. */
static void test_reborn(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    struct frame_origin again = origin_of(a);
    again.incarnation++;
    network_reborn(a->network, &again);
    wait_connected(f, a, b, 3);
    assert_int_equal(b->reborn, 1);
    assert_int_equal(network_statistics(a->network).reconnects, 1);
    send_one(a, node_set_of(2), 4, 100000);
    collect_until(f, b, 1);
    assert_body(&b->packets[0], 1, 4, 100000);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

static void expect_no_port(struct fixture *f, const char *text)
{
    struct node *b = &f->nodes[1];
    struct problem problem = {0};
    struct network *n = NULL;
    assert_true(data_folder_open(&b->folder, disk_posix(), b->folder_path, "demo", 2, &problem));
    const struct network_options options = options_of(f, b);
    assert_false(udp_network_open(&n, &f->loop, &options, &problem));
    assert_null(n);
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, text));
    assert_non_null(strstr(problem.text, "address already in use"));
    data_folder_close(b->folder);
    b->folder = NULL;
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    open_node(f, 0);
    f->config_nodes[1].address.port = f->config_nodes[0].address.port;
    expect_no_port(f, "cannot listen on 127.0.0.1 port");
    close_node(f, 0);
    int fd = datagram_socket(f->config_nodes[0].address.port); /* free for TCP, but not for UDP */
    expect_no_port(f, "cannot receive datagrams of other nodes at 127.0.0.1 port");
    close(fd);
    teardown(f);
}

static void test_process_ends(void **state)
{
    (void)state;
    process_ends(udp_network_open, false);
}

static void test_copies(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_copies(f);
    teardown(f);
}

static void test_other_settings(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_other_settings(f);
    teardown(f);
}

static void test_members_come_and_go(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_come_and_go(f);
    teardown(f);
}

static void test_member_replaced(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_replaced(f);
    teardown(f);
}

static void test_member_moved(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_moved(f);
    teardown(f);
}

static void test_hearsay(void **state)
{
    (void)state;
    struct fixture *f = setup_udp("127.0.0.1");
    check_hearsay(f);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_ends),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_datagram_is_frame),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_relay),
        cmocka_unit_test(test_bounded_inbox),
        cmocka_unit_test(test_reborn),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_members_come_and_go),
        cmocka_unit_test(test_member_replaced),
        cmocka_unit_test(test_member_moved),
        cmocka_unit_test(test_hearsay),
    };
    signal(SIGPIPE, SIG_IGN); /* as `synod start` does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
