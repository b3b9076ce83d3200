/* UDP in virtual time (sim/datagrams.h), and the network with datagrams that ships, in it (sim/uv_network.h). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "sim/uv_network.h"

enum { PORT = 7000, LATENCY = 100, COUNT = 1000, BUFFER = 128 << 10 };

static const struct datagram_end one = {1, PORT, false}, two = {2, PORT, false};

struct world {
    struct sockets *sockets;
    struct datagrams *datagrams;
    struct faults faults;
    struct dsock *a, *b;
    size_t came;
};

static void on_came(void *context, uint32_t to, const uint64_t *words, size_t size)
{
    struct world *w = context;
    (void)words;
    assert_true(to == 1 || to == 2);
    w->came += size > 0;
}

static struct world *world_new(void)
{
    struct world *w = memory_new(1, sizeof *w);
    const struct sockets_options sockets = {
        .seed = 1, .latency_us = LATENCY, .window_bytes = 1 << 20, .patience_us = 5000000, .faults = &w->faults};
    const struct datagrams_options datagrams = {
        .seed = 1, .latency_us = LATENCY, .buffer_bytes = BUFFER, .faults = &w->faults, .came = on_came, .context = w};
    w->sockets = sockets_new(&sockets);
    sockets_hear_time(w->sockets, 1000000);
    w->datagrams = datagrams_new(&datagrams, w->sockets);
    return w;
}

static struct world *world_with_ends(void)
{
    struct world *w = world_new();
    w->a = datagrams_bind(w->datagrams, one);
    w->b = datagrams_bind(w->datagrams, two);
    assert_non_null(w->a);
    assert_non_null(w->b);
    return w;
}

static void world_free(struct world *w)
{
    if (w->a != NULL)
        dsock_close(w->a);
    if (w->b != NULL)
        dsock_close(w->b);
    datagrams_free(w->datagrams);
    sockets_free(w->sockets);
    free(w);
}

static void later(struct world *w, uint64_t us) { sockets_hear_time(w->sockets, sockets_now(w->sockets) + us); }

static void say(struct world *w, uint64_t number)
{
    assert_int_equal(dsock_send(w->a, two, &number, sizeof number), sizeof number);
}

/* Returns its size, or an error. */
static int hear(struct world *w, uint64_t *number)
{
    struct datagram_end from = {0};
    const int size = dsock_receive(w->b, number, sizeof *number, &from);
    if (size >= 0)
        assert_true(from.host == 1 && from.port == PORT && !from.v6);
    return size;
}

static void test_arrives(void **state)
{
    (void)state;
    struct world *w = world_with_ends();
    uint64_t number;
    assert_true(dsock_readable_at(w->b) == UINT64_MAX);
    const uint64_t changes = sockets_changes(w->sockets, 2);
    say(w, 7);
    assert_true(sockets_changes(w->sockets, 2) > changes);
    assert_int_equal(dsock_readable_at(w->b), sockets_now(w->sockets) + LATENCY);
    assert_int_equal(hear(w, &number), -EAGAIN);
    later(w, LATENCY);
    assert_int_equal(hear(w, &number), sizeof number);
    assert_int_equal(number, 7);
    assert_int_equal(hear(w, &number), -EAGAIN);
    assert_int_equal(w->came, 1);
    assert_null(datagrams_bind(w->datagrams, two));
    world_free(w);
}

/* What is sent to a port goes to the socket that is there when it arrives, if one is. */
static void test_next_socket(void **state)
{
    (void)state;
    struct world *w = world_with_ends();
    uint64_t number;
    say(w, 1);
    dsock_close(w->b);
    w->b = datagrams_bind(w->datagrams, two);
    later(w, LATENCY);
    assert_int_equal(hear(w, &number), sizeof number);
    say(w, 2);
    dsock_close(w->b);
    later(w, LATENCY);
    w->b = datagrams_bind(w->datagrams, two);
    assert_int_equal(hear(w, &number), -EAGAIN);
    world_free(w);
}

static void test_cut(void **state)
{
    (void)state;
    struct world *w = world_with_ends();
    uint64_t number;
    say(w, 1);
    sockets_cut(w->sockets, 1, 2, sockets_now(w->sockets) + 1000);
    say(w, 2);
    later(w, 1001);
    assert_int_equal(hear(w, &number), -EAGAIN);
    say(w, 3);
    later(w, LATENCY);
    assert_int_equal(hear(w, &number), sizeof number);
    assert_int_equal(number, 3);
    assert_int_equal(datagrams_statistics(w->datagrams).lost, 2);
    world_free(w);
}

/* Buffers that are full: of a reader that stands still, and of a sender that sends too much at once. */
static void test_buffers(void **state)
{
    (void)state;
    struct world *w = world_with_ends();
    static uint64_t large[1000];
    struct datagram_end from;
    size_t sent = 0, heard = 0;
    for (size_t round = 0; round < 2; round++) {
        while (dsock_send(w->a, two, large, sizeof large) == sizeof large)
            sent += sizeof large;
        later(w, LATENCY);
    }
    assert_int_equal(sent, 2 * (BUFFER / sizeof large) * sizeof large);
    while (dsock_receive(w->b, large, sizeof large, &from) == sizeof large)
        heard += sizeof large;
    assert_int_equal(heard, BUFFER / sizeof large * sizeof large);
    assert_true(datagrams_statistics(w->datagrams).crowded_out > 0);
    assert_int_equal(dsock_send(w->a, two, large, DATAGRAM_PAYLOAD_MAX + 1), -EMSGSIZE);
    world_free(w);
}

/* Everything that can happen to datagrams happens, and what comes whole is what was sent. */
static void test_faults(void **state)
{
    (void)state;
    struct world *w = world_with_ends();
    static const enum fault kinds[] = {FAULT_DROP, FAULT_DELAY, FAULT_REORDER, FAULT_DUPLICATE, FAULT_REPLAY, FAULT_DAMAGE};
    uint32_t times[COUNT] = {0}, overtaken = 0, twice = 0, never = 0, errors = 0;
    uint64_t number = 0, last = 0, sound = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        w->faults.rate[kinds[i]] = 100000;
    for (uint64_t i = 0; i < COUNT; i++) {
        const int sent = dsock_send(w->a, two, &i, sizeof i);
        errors += sent < 0;
        later(w, 10);
    }
    memset(w->faults.rate, 0, sizeof w->faults.rate);
    later(w, 60000000);
    for (int size; (size = hear(w, &number)) != -EAGAIN;) {
        if (w->came == sound)
            continue; /* it is damaged, or an error */
        sound = w->came;
        assert_true(size == sizeof number && number < COUNT);
        times[number]++;
        overtaken += number < last;
        last = number;
    }
    for (size_t i = 0; i < COUNT; i++) {
        never += times[i] == 0;
        twice += times[i] > 1;
    }
    assert_true(never > 50 && never < 300);
    assert_true(twice > 50 && overtaken > 50 && errors > 5);
    assert_true(datagrams_unsound(w->datagrams, 2) > 50);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_true(w->faults.fired[kinds[i]] > 0);
    world_free(w);
}

/* ---- Networks that ship ---- */

struct pair {
    struct world *w;
    struct config config;
    struct config_node nodes[2];
    struct node_network *networks[2];
};

static enum peer_verdict believe(void *context, const struct frame_origin *peer)
{
    (void)context;
    (void)peer;
    return PEER_ACCEPTED;
}

static void on_expelled(void *context, int exit_code, const char *reason)
{
    (void)context;
    fail_msg("%d: %s", exit_code, reason);
}

static void open_network(struct pair *p, uint32_t i, uint32_t incarnation)
{
    struct problem problem;
    const struct node_network_options options = {.sockets = p->w->sockets,
                                                 .datagrams = p->w->datagrams,
                                                 .config = &p->config,
                                                 .origin = {.cluster = 1, .sender = i + 1, .incarnation = incarnation},
                                                 .accept_peer = believe,
                                                 .on_expelled = on_expelled};
    assert_true(node_network_open(&p->networks[i], &options, &problem));
}

static struct pair *pair_new(const char *first, const char *second)
{
    struct pair *p = memory_new(1, sizeof *p);
    p->w = world_new();
    p->config = (struct config){.nodes = p->nodes,
                                .node_count = 2,
                                .frame_bytes_max = 1 << 20,
                                .peer_queue_bytes_max = 1 << 20,
                                .datagram_bytes_max = 1400};
    for (uint32_t i = 0; i < 2; i++) {
        p->nodes[i] = (struct config_node){.id = i + 1, .address.port = PORT};
        strcpy(p->nodes[i].address.host, i == 0 ? first : second);
    }
    for (uint32_t i = 0; i < 2; i++)
        open_network(p, i, 1);
    return p;
}

static void pair_free(struct pair *p)
{
    for (size_t i = 0; i < 2; i++)
        node_network_kill(p->networks[i]);
    world_free(p->w);
    free(p);
}

static void run(struct pair *p, uint64_t us)
{
    const uint64_t end = sockets_now(p->w->sockets) + us;
    while (sockets_now(p->w->sockets) < end) {
        for (size_t i = 0; i < 2; i++)
            if (node_network_next(p->networks[i]) <= sockets_now(p->w->sockets))
                node_network_run(p->networks[i]);
        later(p->w, 10);
    }
}

/* Each sends a short frame, which the other one takes from a datagram. */
static void exchange_frames(struct pair *p)
{
    uint64_t words[2] = {1, 2};
    for (size_t i = 0; i < 2; i++) {
        const size_t came = p->w->came;
        const struct packet frame = {.id = node_set_of((uint32_t)(2 - i)), .len = sizeof words, .words = {words, 2}};
        node_network_send(p->networks[i], &frame, 1);
        run(p, 10000);
        assert_int_equal(p->w->came, came + 1);
        const struct packet_list frames = node_network_receive(p->networks[1 - i]);
        assert_true(frames.len > 0); /* the network itself may say something about the sender first */
        assert_int_equal(frames.ptr[frames.len - 1].id, i + 1);
        assert_int_equal(frames.ptr[frames.len - 1].len, sizeof words);
        assert_null(node_network_audit(p->networks[1 - i]));
        assert_false(node_network_heard_broken(p->networks[1 - i]));
    }
}

/* Whatever family of addresses each listens with. */
static void exchange(const char *first, const char *second)
{
    struct pair *p = pair_new(first, second);
    run(p, 4000000);
    exchange_frames(p);
    pair_free(p);
}

static void test_numeric(void **state)
{
    (void)state;
    exchange("192.0.2.1", "192.0.2.2");
    exchange("2001:db8::1", "2001:db8::2");
    exchange("192.0.2.1", "2001:db8::2");
}

/* A name has addresses of both families, and its node listens at the first one. */
static void test_names(void **state)
{
    (void)state;
    exchange("node-1", "node-2");
    exchange("192.0.2.1", "node-2");
    exchange("2001:db8::1", "node-2");
}

/* The machine of a node loses power, so nothing ends the connection that the other node made to it. The next life must hear
 * that one's datagrams all the same. */
static void test_power_failure(void **state)
{
    (void)state;
    struct pair *p = pair_new("192.0.2.1", "192.0.2.2");
    run(p, 4000000);
    sockets_vanish(p->w->sockets, 2);
    node_network_kill(p->networks[1]);
    open_network(p, 1, 2);
    run(p, 4000000);
    exchange_frames(p);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrives), cmocka_unit_test(test_next_socket),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_buffers), cmocka_unit_test(test_faults),        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_power_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
