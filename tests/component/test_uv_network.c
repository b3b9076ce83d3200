/* The network of a node in the sandbox (io/network.h over WASI) and native networks, over real sockets. The argument is
 * the folder with uv-tcp.wasm and uv-udp.wasm. */
#include <signal.h>

#include "tests/component/uv_parts.h"

enum { ROUNDS = 2000, QUEUE_MAX = 64 << 20 };

static wasmtime_component_t *tcp, *udp;

static int load(void **state)
{
    (void)state;
    tcp = wasi_guest_load(parts_engine, parts_folder, "uv-tcp");
    udp = wasi_guest_load(parts_engine, parts_folder, "uv-udp");
    return 0;
}

/* Node 1 open and native, node 2 the guest; nothing is at the port of node 3. All ports are known before a network is
 * opened. */
static struct parts *begin(network_opener *opener, wasmtime_component_t *component, const char *host, uint64_t queue_max)
{
    struct fixture *f = setup(opener, host);
    f->config.datagram_bytes_max = 1400;
    f->config.client_connections_max = 10;
    f->config.peer_queue_bytes_max = queue_max;
    f->config.node_config = parts_node_config();
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    for (size_t i = 0; i < NODES; i++)
        close_node(f, i);
    open_node(f, 0);
    return parts_new(f, component);
}

static void end(struct parts *p)
{
    struct fixture *f = p->fixture;
    parts_free(p);
    teardown(f);
}

/* Sends from the guest until something arrives at node 1: frames to a node that is not connected are dropped. They are
 * too long for datagrams. */
static void await_guest(struct parts *p)
{
    struct node *native = &p->fixture->nodes[0];
    for (uint32_t i = 0; native->count == 0; i++) {
        struct packet frame = make(node_set_of(1), i, 2000);
        parts_send(p, &frame, 1);
        free(frame.words.ptr);
        parts_work(p);
        collect(native);
    }
    for (size_t i = 0; i < 20; i++) { /* what of it is still on its way */
        parts_work(p);
        collect(native);
    }
    forget(native);
}

static void await_native(struct parts *p)
{
    for (uint32_t i = 0; p->node->count == 0; i++) {
        send_one(&p->fixture->nodes[0], node_set_of(2), i, 2000);
        parts_work(p);
        parts_collect(p);
    }
    for (size_t i = 0; i < 20; i++) {
        parts_work(p);
        parts_collect(p);
    }
    forget(p->node);
}

/* All sizes in both directions; the bodies as they were, in order where the transport keeps it. */
static void exchange(struct parts *p, bool ordered)
{
    static const uint32_t sizes[] = {1, 7, 8, 9, 1300, 4096, 65536, 70001, FRAME_MAX, 3};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct node *native = &p->fixture->nodes[0];
    struct packet there[SIZES], back[SIZES];
    await_guest(p);
    await_native(p);
    for (uint32_t i = 0; i < SIZES; i++) {
        there[i] = make(node_set_of(2), i, sizes[i]);
        back[i] = make(node_set_of(1) | node_set_of(2), 100 + i, sizes[i]); /* to itself, too: that is left out */
    }
    network_send(native->network, there, SIZES);
    parts_send(p, back, SIZES);
    while (native->count < SIZES || p->node->count < SIZES) {
        if (parts_work(p))
            parts_collect(p);
        collect(native);
    }
    for (uint32_t i = 0; i < SIZES; i++) {
        uint32_t k = 0, m = 0;
        while (!ordered && k + 1 < SIZES && p->node->packets[k].len != sizes[i])
            k++;
        while (!ordered && m + 1 < SIZES && native->packets[m].len != sizes[i])
            m++;
        assert_body(&p->node->packets[ordered ? i : k], 1, i, sizes[i]);
        assert_body(&native->packets[ordered ? i : m], 2, 100 + i, sizes[i]);
        free(there[i].words.ptr);
        free(back[i].words.ptr);
    }
    assert_int_equal(native->count, SIZES);
    assert_int_equal(p->node->count, SIZES);
    assert_int_equal(network_statistics(native->network).bad_frames, 0);
    assert_true(p->peers_asked >= 1);
    assert_int_equal(p->failed, 0);
}

/* Node 1 ends while the guest hears node 3: the half of its network that is dialled notices, though it never sends. */
static void process_ends_natively(network_opener *opener, wasmtime_component_t *component)
{
    struct parts *p = begin(opener, component, "127.0.0.1", QUEUE_MAX);
    struct fixture *f = p->fixture;
    open_node(f, 2);
    await_native(p);
    for (uint32_t i = 0; p->node->count == 0; i++) {
        send_one(&f->nodes[2], node_set_of(2), i, 2000);
        parts_work(p);
        parts_collect(p);
    }
    assert_int_equal(p->node->reborn, 0);
    close_node(f, 0);
    while (p->node->reborn == 0) {
        parts_work(p);
        parts_collect(p);
    }
    assert_int_equal(p->node->reborn, 1);
    end(p);
}

static void tcp_process_ends(void **state)
{
    (void)state;
    process_ends_natively(tcp_network_open, tcp);
}

static void udp_process_ends(void **state)
{
    (void)state;
    process_ends_natively(udp_network_open, udp);
}

static void tcp_ipv4(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    exchange(p, true);
    end(p);
}

static void tcp_ipv6(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "::1", QUEUE_MAX);
    exchange(p, true);
    end(p);
}

static void tcp_name(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "localhost", QUEUE_MAX);
    exchange(p, true);
    end(p);
}

static void udp_ipv4(void **state)
{
    (void)state;
    struct parts *p = begin(udp_network_open, udp, "127.0.0.1", QUEUE_MAX);
    exchange(p, false);
    end(p);
}

static void udp_name(void **state)
{
    (void)state;
    struct parts *p = begin(udp_network_open, udp, "localhost", QUEUE_MAX);
    exchange(p, false);
    end(p);
}

/* To and fro without a leak: the guest's memory is limited. */
static void many_rounds(void **state)
{
    (void)state;
    enum { LEN = 40000 };
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    struct node *native = &p->fixture->nodes[0];
    await_guest(p);
    await_native(p);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        send_one(native, node_set_of(2), i, LEN);
        while (p->node->count == 0)
            if (parts_work(p))
                parts_collect(p);
        assert_body(&p->node->packets[0], 1, i, LEN);
        struct packet back = p->node->packets[0];
        back.id = node_set_of(1);
        parts_send(p, &back, 1);
        while (native->count == 0) {
            parts_work(p);
            collect(native);
        }
        assert_body(&native->packets[0], 2, i, LEN);
        forget(native);
        forget(p->node);
        if (i % 100 == 0)
            uv_timer_start(&p->fixture->watchdog, on_watchdog, 20000, 0);
    }
    end(p);
}

/* A peer goes away and comes back. */
static void peer_returns(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    await_guest(p);
    await_native(p);
    close_node(p->fixture, 0);
    while (strstr(p->log, "2 network: lost the connection to node 1: end of file") == NULL)
        parts_work(p);
    open_node(p->fixture, 0);
    await_guest(p);
    await_native(p);
    end(p);
}

/* A peer that hangs without hanging up: what does not fit into sockets and queue is dropped, the rest arrives when it
 * goes on. */
static void slow_peer(void **state)
{
    (void)state;
    enum { LEN = 1 << 20, COUNT = 100 };
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", 8 << 20);
    struct node *native = &p->fixture->nodes[0];
    await_guest(p);
    struct packet frame = make(node_set_of(1), 1, LEN);
    for (size_t i = 0; i < COUNT; i++) {
        struct typed_call call = {.scalars = {1}};
        parts_send(p, &frame, 1);
        parts_call(p, p->work, &call);
    }
    assert_non_null(strstr(p->log, "1 network: the queue to node 1 is full"));
    for (size_t quiet = 0, before = 0; quiet < 200; quiet++) {
        parts_work(p);
        collect(native);
        quiet = native->count > before ? 0 : quiet;
        before = native->count;
    }
    assert_true(native->count >= 8 && native->count < COUNT);
    for (size_t i = 0; i < native->count; i++)
        assert_body(&native->packets[i], 2, 1, LEN);
    assert_int_equal(network_statistics(native->network).bad_frames, 0);
    free(frame.words.ptr);
    end(p);
}

static void stranger_is_refused(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    p->stranger_comes = true;
    while (strstr(p->log, "it has another data folder (instance id) than the one known here") == NULL)
        parts_work(p);
    assert_int_equal(p->failed, 0);
    end(p);
}

/* ---- what ends a node ---- */

static void expect_failure(struct parts *p, uint64_t code, const char *why)
{
    char *message = NULL;
    struct typed_call call = {.scalars = {1}};
    wasm_signals_restore();
    assert_int_equal(typed_func_call(p->work, p->guest.context, &call, &message), TYPED_TRAP);
    assert_int_equal(p->failed, code);
    if (strstr(p->log, why) == NULL)
        fail_msg("\"%s\" is not in: %s", why, p->log);
    typed_message_free(message);
    end(p);
}

static void port_in_use(void **state)
{
    (void)state;
    char why[128];
    struct fixture *f = setup(tcp_network_open, "127.0.0.1");
    for (size_t i = 0; i < NODES; i++)
        open_node(f, i);
    uint16_t port = f->config_nodes[2].address.port;
    close_node(f, 1);
    f->config_nodes[1].address.port = port;
    snprintf(why, sizeof why, "0 node: node 2: cannot listen on 127.0.0.1 port %u for other nodes: address already in use",
             port);
    expect_failure(parts_new(f, tcp), EXIT_BAD_INPUT, why);
}

static void no_settings(void **state)
{
    (void)state;
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    p->settings.words.ptr[3] ^= 1;
    expect_failure(p, EXIT_BAD_INPUT, "0 node: what the host gave as settings is none, or of another version");
}

static void no_identity(void **state)
{
    (void)state;
    static uint64_t why[3];
    struct parts *p = begin(tcp_network_open, tcp, "127.0.0.1", QUEUE_MAX);
    memcpy(why, "the folder is empty", 19);
    p->identity_packet = (struct packet){.kind = EXIT_DATA, .len = 19, .words = {why, 3}};
    expect_failure(p, EXIT_DATA, "0 node: the folder is empty\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_ipv4),         cmocka_unit_test(tcp_ipv6),         cmocka_unit_test(tcp_name),
        cmocka_unit_test(udp_ipv4),         cmocka_unit_test(udp_name),         cmocka_unit_test(many_rounds),
        cmocka_unit_test(peer_returns),     cmocka_unit_test(slow_peer),        cmocka_unit_test(stranger_is_refused),
        cmocka_unit_test(port_in_use),      cmocka_unit_test(no_settings),      cmocka_unit_test(no_identity),
        cmocka_unit_test(tcp_process_ends), cmocka_unit_test(udp_process_ends),
    };
    parts_folder = argc > 1 ? argv[1] : ".";
    signal(SIGPIPE, SIG_IGN);
    parts_engine = wasm_engine_new();
    wasm_signals_keep();
    return cmocka_run_group_tests(tests, load, NULL);
}
