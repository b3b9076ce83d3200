/* io/network*.c: several networks on one loop, and strangers that say wrong things. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/formats/frame.h"
#include "core/formats/serializer.h"
#include "io/data_folder.h"
#include "io/network.h"

enum { NODES = 3, FRAME_MAX = 4 << 20 };

struct node {
    uint32_t id;
    char folder_path[96];
    struct data_folder *folder;
    struct network *network;
    struct logger *logger;
    size_t inputs, reborn;
    /* What has been received and was copied. */
    struct packet packets[4096];
    size_t count;
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct config config;
    struct config_node config_nodes[NODES];
    struct node nodes[NODES];
    char root[32];
    size_t closed;
};

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for 20 s");
}

static void on_input(void *context) { ((struct node *)context)->inputs++; }
static void on_closed(void *context) { ++*(size_t *)context; }

static bool accept_peer(void *context, uint32_t peer, const uint8_t instance[16])
{
    return data_folder_accept_peer(((struct node *)context)->folder, peer, instance);
}

static struct network_options options_of(const struct fixture *f, struct node *node)
{
    return (struct network_options){
        .config = &f->config,
        .origin = identity_origin(data_folder_identity(node->folder)),
        .sends = true,
        .receives = true,
        .accept_peer = accept_peer,
        .logger = node->logger,
        .on_input = on_input,
        .context = node,
    };
}

static void open_node(struct fixture *f, size_t i)
{
    struct node *node = &f->nodes[i];
    struct problem problem = {0};
    if (!data_folder_open(&node->folder, disk_posix(), node->folder_path, f->config.cluster, node->id, &problem))
        fail_msg("%s", problem.text);
    const struct network_options options = options_of(f, node);
    if (!tcp_network_open(&node->network, &f->loop, &options, &problem))
        fail_msg("%s", problem.text);
    f->config_nodes[i].address.port = network_port(node->network);
    assert_int_not_equal(f->config_nodes[i].address.port, 0);
}

static void run_until_closed(struct fixture *f, size_t closed)
{
    while (f->closed < closed)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void close_node(struct fixture *f, size_t i)
{
    struct node *node = &f->nodes[i];
    size_t before = f->closed;
    if (node->network == NULL)
        return;
    network_close(node->network, on_closed, &f->closed);
    run_until_closed(f, before + 1);
    node->network = NULL;
    data_folder_close(node->folder);
}

static struct fixture *setup(const char *host)
{
    struct fixture *f = memory_new(1, sizeof *f);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->watchdog);
    uv_timer_start(&f->watchdog, on_watchdog, 20000, 0);
    strcpy(f->root, "/tmp/synod-network-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    strcpy(f->config.cluster, "demo");
    f->config.nodes = f->config_nodes;
    f->config.node_count = NODES;
    f->config.frame_bytes_max = FRAME_MAX;
    f->config.peer_queue_bytes_max = 64 << 20;
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &f->nodes[i];
        struct problem problem = {0};
        node->id = (uint32_t)i + 1;
        node->logger = logger_new(node->id, LOG_ERROR);
        f->config_nodes[i].id = node->id;
        strcpy(f->config_nodes[i].address.host, host);
        snprintf(node->folder_path, sizeof node->folder_path, "%s/node-%u", f->root, node->id);
        if (!data_folder_format(disk_posix(), node->folder_path, f->config.cluster, node->id, NULL, &problem))
            fail_msg("%s", problem.text);
    }
    return f;
}

static void forget(struct node *node)
{
    for (size_t i = 0; i < node->count; i++)
        free(node->packets[i].words.ptr);
    node->count = 0;
}

static void teardown(struct fixture *f)
{
    for (size_t i = 0; i < NODES; i++) {
        close_node(f, i);
        forget(&f->nodes[i]);
        logger_free(f->nodes[i].logger);
    }
    uv_close((uv_handle_t *)&f->watchdog, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* no handle was forgotten */
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
}

/* Whether a body is the notice that its sender began a later life. */
static bool is_rebirth(const struct packet *p)
{
    struct serializer *s = serializer_new();
    struct decoded d = serializer_decode(s, p, 1);
    bool reborn = d.messages.len == 1 && d.messages.ptr[0].message.kind == MESSAGE_HEARTBEAT &&
                  d.messages.ptr[0].message.flags == MESSAGE_RESIGNED;
    serializer_free(s);
    return reborn;
}

static void collect(struct node *node)
{
    struct packet_list list = network_receive(node->network);
    for (size_t i = 0; i < list.len; i++) {
        if (is_rebirth(&list.ptr[i])) {
            node->reborn++;
            continue;
        }
        assert_int_equal((uintptr_t)list.ptr[i].words.ptr % 8, 0);
        assert_int_equal(list.ptr[i].words.len, words_for(list.ptr[i].len));
        assert_true(node->count < 4096);
        const struct payload body = {list.ptr[i].words, list.ptr[i].len};
        node->packets[node->count] = list.ptr[i];
        node->packets[node->count++].words = payload_copy(&body).words;
    }
}

/* A body whose bytes follow from its number. */
static struct packet make(uint64_t to, uint32_t number, uint32_t len)
{
    struct packet p = {.id = to, .len = len, .words = {memory_new(words_for(len), 8), words_for(len)}};
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)p.words.ptr)[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
    return p;
}

static void assert_body(const struct packet *got, uint32_t sender, uint32_t number, uint32_t len)
{
    struct packet expected = make(0, number, len);
    assert_int_equal(got->id, sender);
    assert_int_equal(got->len, len);
    assert_memory_equal(got->words.ptr, expected.words.ptr, words_for(len) * 8);
    free(expected.words.ptr);
}

static void send_one(struct node *node, uint64_t to, uint32_t number, uint32_t len)
{
    struct packet p = make(to, number, len);
    network_send(node->network, &p, 1);
    free(p.words.ptr); /* borrowed only for the call */
}

/* Frames to peers that are not connected are dropped: sends until one was not, and sees it arrive. */
static void wait_connected(struct fixture *f, struct node *from, struct node *to, uint32_t number)
{
    size_t before = to->count;
    uint64_t dropped = network_statistics(from->network).dropped;
    for (send_one(from, node_set_of(to->id), number, 5); network_statistics(from->network).dropped > dropped;
         send_one(from, node_set_of(to->id), number, 5)) {
        dropped = network_statistics(from->network).dropped;
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    while (to->count == before) {
        uv_run(&f->loop, UV_RUN_ONCE);
        collect(to);
    }
    assert_body(&to->packets[before], from->id, number, 5);
    forget(to);
}

static void collect_until(struct fixture *f, struct node *node, size_t count)
{
    for (collect(node); node->count < count; collect(node))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(node->count, count);
}

static void exchange(const char *host)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 4096, 65536, 70001, FRAME_MAX, 3};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct fixture *f = setup(host);
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 9);
    wait_connected(f, b, a, 10);
    struct packet frames[SIZES];
    for (uint32_t i = 0; i < SIZES; i++)
        frames[i] = make(node_set_of(1) | node_set_of(2), i, sizes[i]); /* to itself, too: that is left out */
    network_send(a->network, frames, SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        free(frames[i].words.ptr);
    send_one(b, node_set_of(1), 77, 100);
    collect_until(f, b, SIZES);
    for (uint32_t i = 0; i < SIZES; i++)
        assert_body(&b->packets[i], 1, i, sizes[i]);
    collect_until(f, a, 1);
    assert_body(&a->packets[0], 2, 77, 100);
    assert_true(b->inputs > 0);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

static void test_ipv4(void **state)
{
    (void)state;
    exchange("127.0.0.1");
}
static void test_ipv6(void **state)
{
    (void)state;
    exchange("::1");
}
static void test_name(void **state)
{
    (void)state;
    exchange("localhost");
}

static void test_fan_out(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    wait_connected(f, &f->nodes[0], &f->nodes[1], 1);
    wait_connected(f, &f->nodes[0], &f->nodes[2], 2);
    uint64_t out = network_statistics(f->nodes[0].network).frames_out;
    struct packet frames[] = {make(node_set_of(2) | node_set_of(3), 1, 11), make(node_set_of(3), 2, 12),
                              make(node_set_of(2), 3, 13), make(node_set_of(40), 4, 14)};
    network_send(f->nodes[0].network, frames, 4);
    for (size_t i = 0; i < 4; i++)
        free(frames[i].words.ptr);
    collect_until(f, &f->nodes[1], 2);
    collect_until(f, &f->nodes[2], 2);
    assert_body(&f->nodes[1].packets[0], 1, 1, 11);
    assert_body(&f->nodes[1].packets[1], 1, 3, 13);
    assert_body(&f->nodes[2].packets[0], 1, 1, 11);
    assert_body(&f->nodes[2].packets[1], 1, 2, 12);
    assert_int_equal(network_statistics(f->nodes[0].network).frames_out - out, 4);
    teardown(f);
}

/* What receive gave stays as it is while more arrives, until the next receive. */
static void test_received_stays(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
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
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
    assert_int_equal(network_statistics(f->nodes[0].network).bad_frames, before + 1);
    assert_int_equal(network_receive(f->nodes[0].network).len, 0);
}

struct said {
    uint64_t words[FRAME_HEADER_WORDS + 2];
};

static struct said say(const struct frame_origin *origin, uint32_t len)
{
    struct said said = {{0}};
    said.words[FRAME_HEADER_WORDS] = 1234;
    if (len <= 16)
        frame_encode(origin, said.words + FRAME_HEADER_WORDS, len, said.words);
    return said;
}

static struct frame_origin origin_of(const struct node *node)
{
    const struct identity *identity = data_folder_identity(node->folder);
    struct frame_origin origin = {
        .cluster = frame_cluster("demo", 4), .sender = identity->node, .incarnation = identity->incarnation};
    memcpy(origin.instance, identity->instance, sizeof origin.instance);
    return origin;
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, &f->nodes[1], &f->nodes[0], 1); /* node 1 knows node 2 from now on */
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);

    expect_refusal(f, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody lost in this network\r\n\r\n", 78);
    struct frame_origin o = two;
    o.cluster = frame_cluster("other", 5);
    expect_refusal(f, say(&o, 16).words, 80);
    o = two;
    o.sender = 9; /* not in the configuration */
    expect_refusal(f, say(&o, 16).words, 80);
    o.sender = 1; /* the node itself */
    expect_refusal(f, say(&o, 16).words, 80);
    o = two;
    o.instance[3] ^= 1;
    expect_refusal(f, say(&o, 16).words, 80);
    o = two;
    o.incarnation--;
    expect_refusal(f, say(&o, 16).words, 80);

    struct said said = say(&two, 16);
    ((uint8_t *)said.words)[30] ^= 1; /* header */
    expect_refusal(f, said.words, 80);
    said = say(&two, 16);
    ((uint8_t *)said.words)[79] ^= 0x80; /* body */
    expect_refusal(f, said.words, 80);

    f->config.frame_bytes_max = 15;
    said = say(&two, 16);
    expect_refusal(f, said.words, 80);
    f->config.frame_bytes_max = FRAME_MAX;

    /* A sound frame, then one of somebody else on the same connection: the first arrives, the second does not. */
    struct said both[2] = {say(&two, 16), say(&two, 16)};
    o = two;
    o.incarnation++;
    both[1] = say(&o, 16);
    int fd = connect_to(f->config_nodes[0].address.port);
    uint64_t before = network_statistics(f->nodes[0].network).bad_frames;
    assert_int_equal(send(fd, both, sizeof both, 0), sizeof both);
    while (network_statistics(f->nodes[0].network).bad_frames == before)
        uv_run(&f->loop, UV_RUN_ONCE);
    close(fd);
    collect(&f->nodes[0]);
    assert_int_equal(f->nodes[0].count, 1);
    teardown(f);
}

/* Bytes one by one, and an end in the middle of a frame. */
static void test_slow_sender(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    const struct frame_origin two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    struct said said = say(&two, 13);
    int fd = connect_to(f->config_nodes[0].address.port);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(send(fd, (char *)said.words + i, 1, 0), 1);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    collect_until(f, &f->nodes[0], 1);
    assert_int_equal(f->nodes[0].packets[0].len, 13);
    assert_int_equal(f->nodes[0].packets[0].words.ptr[0], 1234);
    assert_int_equal(send(fd, said.words, 70, 0), 70);
    close(fd);
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(network_receive(f->nodes[0].network).len, 0);
    teardown(f);
}

static void test_reconnect(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
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

static void test_port_in_use(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
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
    struct fixture *f = setup("127.0.0.1");
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

/* Nobody takes what arrives: reading stops, nothing is lost, and goes on with the next receive. */
static void test_pause(void **state)
{
    (void)state;
    struct fixture *f = setup("127.0.0.1");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),           cmocka_unit_test(test_ipv6),      cmocka_unit_test(test_name),
        cmocka_unit_test(test_fan_out),        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_slow_sender),
        cmocka_unit_test(test_received_stays), cmocka_unit_test(test_reconnect), cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_full_queue),     cmocka_unit_test(test_pause),
    };
    signal(SIGPIPE, SIG_IGN); /* as `synod start` does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
