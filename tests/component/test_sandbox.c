/* host/node_sandbox.c: a component that is allowed little tries to do more, with real files and sockets. What it may do
 * works; the rest is refused, and sockets with a word. The argument is the folder with sandbox-guest.wasm. */
#include "tests/component/life_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { DENIED = 2 }; /* 1 + access-denied of wasi:sockets */

/* 127.0.0.HERE and so on: addresses that are hardly used otherwise, so that ports that were free a moment ago still are. */
enum { ANY = 0, LOCALHOST = 1, HERE = 101, THERE = 102 };

static void begin(struct fixture *f)
{
    struct problem problem;
    if (!fixture_begin(f, "sandbox-guest", f->folder, &problem))
        fail_msg("%s", problem.text);
}

static uint64_t try(struct fixture *f, enum sandbox_order order, uint64_t host, uint64_t argument)
{
    struct problem problem;
    uint64_t result;
    f->refused[0] = '\0';
    if (!f->life->operations->turn(f->life, sandbox_order(order, host, argument), &result, &problem))
        fail_msg("%s", problem.text);
    return result;
}

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    for (size_t i = 0; i < FIXTURE_NODES; i++)
        snprintf(f->nodes[i].address.host, sizeof f->nodes[i].address.host, "127.0.0.%d", HERE);
    return mkdir(f->folder, 0700);
}

/* A socket at 127.0.0.`host`, which listens if it is TCP. */
static int open_socket(int type, uint8_t host, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* A port that is free HERE. */
static uint16_t free_port(int type)
{
    uint16_t port;
    close(open_socket(type, HERE, &port));
    return port;
}

static bool arrives(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, timeout_ms) == 1;
}

static void expect_refused(struct fixture *f, const char *what, unsigned host, unsigned port)
{
    char text[256];
    snprintf(text, sizeof text, "the sandbox refused %s 127.0.0.%u port %u", what, host, port);
    assert_string_equal(f->refused, text);
}

static void test_tcp(void **state)
{
    struct fixture *f = *state;
    uint16_t peer_port, other_port, client_port = free_port(SOCK_STREAM), own_port = free_port(SOCK_STREAM);
    int peer = open_socket(SOCK_STREAM, HERE, &peer_port), other = open_socket(SOCK_STREAM, HERE, &other_port);
    f->nodes[0].network = NETWORK_GUEST_TCP;
    f->nodes[0].address.port = own_port;
    f->nodes[0].client.port = client_port;
    snprintf(f->nodes[0].client.host, sizeof f->nodes[0].client.host, "127.0.0.%d", THERE);
    f->nodes[1].address.port = peer_port;
    begin(f);
    assert_int_equal(try(f, ORDER_TCP_CONNECT, HERE, peer_port), 0);
    assert_true(arrives(peer, 10000));
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, own_port), 0);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, THERE, client_port), 0);
    assert_int_equal(atomic_load(&f->refusals), 0);

    assert_int_equal(try(f, ORDER_TCP_CONNECT, HERE, other_port), DENIED);
    expect_refused(f, "a TCP connection to", HERE, other_port);
    assert_int_equal(try(f, ORDER_TCP_CONNECT, THERE, peer_port), DENIED);
    expect_refused(f, "a TCP connection to", THERE, peer_port);
    assert_int_equal(try(f, ORDER_TCP_CONNECT, HERE, own_port), DENIED);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, client_port), DENIED);
    expect_refused(f, "a TCP socket at", HERE, client_port);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, 0), DENIED);
    expect_refused(f, "a TCP socket at", HERE, 0);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, ANY, own_port), DENIED);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, ANY, 0), DENIED); /* it may be bound, but then it cannot listen */
    assert_non_null(strstr(f->refused, "the sandbox refused to listen at 0.0.0.0 port "));
    assert_int_not_equal(try(f, ORDER_UDP_BIND, HERE, own_port), 0); /* there is no UDP at all */
    assert_int_equal(atomic_load(&f->refusals), 7);
    assert_false(arrives(other, 100));
    close(peer);
    close(other);
}

static void test_any_port(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].network = NETWORK_GUEST_TCP;
    begin(f);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, 0), 0);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, free_port(SOCK_STREAM)), 0);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, THERE, 0), DENIED);
    assert_int_equal(try(f, ORDER_TCP_LISTEN, ANY, 0), DENIED);
}

static void test_udp(void **state)
{
    struct fixture *f = *state;
    uint16_t peer_port, other_port, own_port = free_port(SOCK_DGRAM);
    int peer = open_socket(SOCK_DGRAM, HERE, &peer_port), other = open_socket(SOCK_DGRAM, HERE, &other_port);
    f->nodes[0].network = NETWORK_GUEST_UDP;
    f->nodes[0].address.port = own_port;
    f->nodes[0].client = f->nodes[0].address;
    f->nodes[0].client.port = free_port(SOCK_DGRAM);
    f->nodes[1].address.port = peer_port;
    begin(f);
    assert_int_equal(try(f, ORDER_UDP_BIND, HERE, own_port), 0);
    assert_int_equal(try(f, ORDER_UDP_BIND, ANY, 0), 0);
    assert_int_equal(try(f, ORDER_UDP_SEND, HERE, peer_port), 0);
    assert_true(arrives(peer, 10000));
    assert_int_equal(try(f, ORDER_TCP_LISTEN, HERE, own_port), 0); /* for what is too long */
    assert_int_equal(atomic_load(&f->refusals), 0);

    assert_int_equal(try(f, ORDER_UDP_BIND, HERE, f->nodes[0].client.port), DENIED);
    expect_refused(f, "a UDP socket at", HERE, f->nodes[0].client.port);
    assert_int_equal(try(f, ORDER_UDP_BIND, ANY, own_port), DENIED);
    assert_int_equal(try(f, ORDER_UDP_SEND, HERE, other_port), DENIED);
    expect_refused(f, "to send datagrams to", HERE, other_port);
    assert_false(arrives(other, 100));
    close(peer);
    close(other);
}

/* With its network in the host, it has no sockets, whatever the configuration says. */
static void test_no_network(void **state)
{
    struct fixture *f = *state;
    uint16_t peer_port;
    int peer = open_socket(SOCK_STREAM, HERE, &peer_port);
    f->nodes[1].address.port = peer_port;
    begin(f);
    assert_int_not_equal(try(f, ORDER_TCP_CONNECT, HERE, peer_port), 0);
    assert_int_not_equal(try(f, ORDER_TCP_LISTEN, HERE, 0), 0);
    assert_int_not_equal(try(f, ORDER_UDP_BIND, ANY, 0), 0);
    assert_int_not_equal(try(f, ORDER_LOOK_UP, 0, 0), 0);
    assert_false(arrives(peer, 100));
    close(peer);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    uint16_t peer_port, other_port;
    int peer = open_socket(SOCK_STREAM, LOCALHOST, &peer_port), other = open_socket(SOCK_STREAM, THERE, &other_port);
    f->nodes[0].network = NETWORK_GUEST_TCP;
    f->nodes[1].address.port = peer_port;
    begin(f);
    assert_int_not_equal(try(f, ORDER_LOOK_UP, 0, 0), 0); /* all addresses are numeric: no name may be looked up */
    assert_int_not_equal(try(f, ORDER_LOOK_UP, 0, 1), 0);
    f->life->operations->free(f->life);

    strcpy(f->nodes[1].address.host, "localhost");
    begin(f);
    assert_int_equal(try(f, ORDER_LOOK_UP, 0, 0), 0);
    assert_int_equal(try(f, ORDER_TCP_CONNECT, LOCALHOST, peer_port), 0);
    assert_true(arrives(peer, 10000));
    assert_int_equal(try(f, ORDER_TCP_CONNECT, THERE, other_port), DENIED);
    expect_refused(f, "a TCP connection to", THERE, other_port);
    assert_false(arrives(other, 100));
    close(peer);
    close(other);
}

static void test_refusals_end(void **state)
{
    struct fixture *f = *state;
    f->nodes[0].network = NETWORK_GUEST_TCP;
    begin(f);
    for (unsigned i = 1; i <= 100; i++)
        assert_int_equal(try(f, ORDER_TCP_CONNECT, HERE, i), DENIED);
    assert_non_null(strstr(f->refused, "says no more"));
    assert_int_equal(try(f, ORDER_TCP_CONNECT, HERE, 101), DENIED);
    assert_int_equal(atomic_load(&f->refusals), 100);
}

static void make_file(const struct fixture *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void test_files(void **state)
{
    struct fixture *f = *state;
    char path[128];
    make_file(f, "outside");
    make_file(f, "node-1/inside");
    snprintf(path, sizeof path, "%s/folder", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/link-out", f->folder);
    assert_int_equal(symlink("../outside", path), 0);
    snprintf(path, sizeof path, "%s/link-in", f->folder);
    assert_int_equal(symlink("folder/../inside", path), 0);
    begin(f);
    for (size_t i = 0; i < sizeof sandbox_paths / sizeof *sandbox_paths; i++) {
        bool allowed = strcmp(sandbox_paths[i], "inside") == 0 || strcmp(sandbox_paths[i], "link-in") == 0;
        bool opened = try(f, ORDER_OPEN, 0, i) == 0;
        if (opened != allowed)
            fail_msg("%s: %s", sandbox_paths[i], opened ? "opened" : "not opened");
    }
    assert_int_not_equal(try(f, ORDER_LINK, 0, 0), 0);
}

static void test_nothing_is_inherited(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(setenv("SYNOD_SECRET", "secret", 1), 0);
    begin(f);
    assert_int_equal(try(f, ORDER_COUNT, 0, 0), 0);
}

static void test_no_folder(void **state)
{
    struct fixture *f = *state;
    struct problem problem;
    uint64_t result;
    if (!fixture_begin(f, "sandbox-guest", NULL, &problem))
        fail_msg("%s", problem.text);
    assert_false(f->life->operations->turn(f->life, sandbox_order(ORDER_OPEN, 0, 0), &result, &problem));
    assert_string_equal(f->life->fault, "trap");
}

static void test_missing_folder(void **state)
{
    struct fixture *f = *state;
    struct problem problem;
    assert_false(fixture_begin(f, "sandbox-guest", "/nonexistent/folder", &problem));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    assert_non_null(strstr(problem.text, "/nonexistent/folder"));
}

/* Without a configuration or surroundings there is nothing for such a node. */
static void test_not_given(void **state)
{
    struct fixture *f = *state;
    struct problem problem;
    char file[4096];
    snprintf(file, sizeof file, "%s/sandbox-guest.wasm", fixture_folder);
    struct node_wasm_options options = {
        .engine = f->engine, .file = file, .memory_bytes_max = 4 << 20, .turn_timeout = TURN_TIMEOUT_US};
    assert_false(node_wasm_new(&f->life, &options, &f->ports, &problem));
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "it imports wasi:"));
    options.config = &f->config;
    options.node = 1;
    f->nodes[0].storage = PLACE_HOST; /* nor for one with all of it in the host */
    assert_false(node_wasm_new(&f->life, &options, &f->ports, &problem));
    assert_non_null(strstr(problem.text, "it imports wasi:"));
    f->nodes[0].storage = PLACE_GUEST;
    assert_false(node_wasm_new(&f->life, &options, &f->ports, &problem));
    assert_non_null(strstr(problem.text, "it imports synod:paxos/settings@0.1.0#get, which this host does not give"));
    f->life = NULL;
}

/* ---- Whose data folder it is ---- */

static void test_identity(void **state)
{
    struct fixture *f = *state;
    struct problem problem;
    struct frame_origin origin;
    uint64_t words[4] = {77, 1, 2, 11};
    uint8_t instance[16] = {1, [8] = 2};
    struct frame_origin peer = {.instance = {1, [8] = 2}, .sender = 3, .incarnation = 8, .nonce = 9};
    begin(f);
    f->settings = (struct packet){.id = 5, .kind = 7, .len = 32, .words = {words, 4}};
    assert_true(f->life->operations->open_identity(f->life, &origin, &problem));
    assert_int_equal(origin.cluster, 77);
    assert_int_equal(origin.sender, 5);
    assert_int_equal(origin.incarnation, 7);
    assert_int_equal(origin.nonce, 11);
    assert_memory_equal(origin.instance, instance, 16);
    assert_int_equal(f->life->operations->accept_peer(f->life, &peer), PEER_ACCEPTED);
    peer.sender = 4;
    assert_int_equal(f->life->operations->accept_peer(f->life, &peer), PEER_UNKNOWN_WHY);
    assert_true(f->life->operations->close_identity(f->life, &problem));
    peer.sender = 9;
    assert_int_equal(f->life->operations->accept_peer(f->life, &peer), PEER_UNKNOWN_WHY); /* at which it traps */
    assert_non_null(strstr(f->log, "accepting a peer trapped"));
}

static void test_no_identity(void **state)
{
    struct fixture *f = *state;
    struct problem problem;
    struct frame_origin origin;
    uint64_t words[2];
    memcpy(words, "empty\nfolder\0\0\0\0", sizeof words);
    begin(f);
    f->settings = (struct packet){.kind = EXIT_DATA, .len = 12, .words = {words, 2}};
    assert_false(f->life->operations->open_identity(f->life, &origin, &problem));
    assert_int_equal(problem.exit_code, EXIT_DATA);
    assert_string_equal(problem.text, "empty folder");
    f->settings = (struct packet){.id = 64, .kind = 1, .len = 16, .words = {words, 2}};
    assert_false(f->life->operations->open_identity(f->life, &origin, &problem));
    assert_int_equal(problem.exit_code, EXIT_TROUBLE);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tcp, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_any_port, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_udp, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_network, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refusals_end, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_inherited, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_folder, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_missing_folder, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_not_given, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_identity, setup, fixture_teardown),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    fixture_folder = argv[1];
    fixture_keep_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
