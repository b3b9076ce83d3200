/* Cuts in simulated TCP (sim/sockets.h): what is held, what ends, and what a host does not hear of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sockets.h"

enum { A = 1, B = 2, PORT = 7000, LATENCY = 100, SECOND = 1000000, PATIENCE = 5 * SECOND };

struct pair {
    struct sockets *sockets;
    struct faults faults;
    struct sock_listener *listener;
    struct sock *a, *b; /* a connected to b */
};

static void wait_us(struct pair *p, uint64_t us) { sockets_hear_time(p->sockets, sockets_now(p->sockets) + us); }

static void set_up(struct pair *p)
{
    memset(p, 0, sizeof *p);
    const struct sockets_options options = {
        .seed = 1, .latency_us = LATENCY, .window_bytes = 1024, .patience_us = PATIENCE, .faults = &p->faults};
    p->sockets = sockets_new(&options);
    wait_us(p, SECOND);
    p->listener = sockets_listen(p->sockets, B, PORT);
    p->a = sockets_connect(p->sockets, A, B, PORT);
    wait_us(p, 2 * LATENCY);
    assert_int_equal(sock_connected(p->a), 0);
    p->b = sock_accept(p->listener);
    assert_non_null(p->b);
}

static void tear_down(struct pair *p)
{
    sock_close(p->a);
    sock_close(p->b);
    sock_listener_close(p->listener);
    assert_int_equal(sockets_statistics(p->sockets).open, 0);
    sockets_free(p->sockets);
}

static void write_word(struct sock *from) { assert_int_equal(sock_write(from, "word", 4), 4); }

static void assert_reads(struct sock *to, ptrdiff_t len)
{
    char bytes[16];
    assert_int_equal(sock_read(to, bytes, sizeof bytes), len);
}

/* What is under way, and what is sent later, arrives after the cut, in order; the other direction goes on. */
static void test_short_cut_holds(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    write_word(p.a);
    sockets_cut(p.sockets, A, B, sockets_now(p.sockets) + SECOND);
    write_word(p.b);
    write_word(p.a);
    wait_us(&p, 2 * LATENCY);
    assert_reads(p.a, 4);
    assert_reads(p.b, -EAGAIN);
    assert_true(sock_readable_at(p.b) >= sockets_now(p.sockets) + SECOND - 2 * LATENCY);
    wait_us(&p, SECOND);
    assert_reads(p.b, 8);
    tear_down(&p);
}

/* An end that waits too long for word of what it wrote fails; the other one is not told. */
static void test_long_cut_ends(void **state)
{
    struct pair p;
    (void)state;
    for (int under_way = 0; under_way < 2; under_way++) {
        set_up(&p);
        if (under_way)
            write_word(p.a);
        sockets_cut(p.sockets, A, B, sockets_now(p.sockets) + 60 * SECOND);
        if (!under_way)
            write_word(p.a);
        wait_us(&p, PATIENCE - 1);
        assert_reads(p.a, -EAGAIN);
        wait_us(&p, 1);
        assert_reads(p.a, -ETIMEDOUT);
        assert_int_equal(sock_write(p.a, "word", 4), -ETIMEDOUT);
        wait_us(&p, 100 * SECOND);
        assert_reads(p.b, -EAGAIN);
        tear_down(&p);
    }
}

/* If only the word that bytes have arrived is lost, the reader has them, and the writer fails. */
static void test_word_of_arrival_lost(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    sockets_cut(p.sockets, B, A, sockets_now(p.sockets) + 60 * SECOND);
    write_word(p.a);
    wait_us(&p, 2 * LATENCY);
    assert_reads(p.b, 4);
    wait_us(&p, PATIENCE);
    assert_reads(p.a, -ETIMEDOUT);
    tear_down(&p);
}

/* A connection is made after a cut, whichever direction it has; one that was given up is not accepted then. */
static void test_connect_waits(void **state)
{
    struct pair p;
    (void)state;
    for (uint32_t from = A; from <= B; from++) {
        set_up(&p);
        sockets_cut(p.sockets, from, A + B - from, sockets_now(p.sockets) + SECOND);
        struct sock *given_up = sockets_connect(p.sockets, A, B, PORT);
        struct sock *patient = sockets_connect(p.sockets, A, B, PORT);
        wait_us(&p, SECOND / 2);
        assert_int_equal(sock_connected(patient), -EAGAIN);
        sock_close(given_up);
        wait_us(&p, SECOND);
        assert_int_equal(sock_connected(patient), 0);
        struct sock *accepted = sock_accept(p.listener);
        assert_non_null(accepted);
        assert_null(sock_accept(p.listener));
        sock_close(accepted);
        sock_close(patient);
        tear_down(&p);
    }
}

/* A cut that begins while a connection is being made delays it, too; those that wait stay in order. */
static void test_cut_while_connecting(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    struct sock *late = sockets_connect(p.sockets, A, B, PORT);
    sockets_cut(p.sockets, A, B, sockets_now(p.sockets) + SECOND);
    struct sock *other = sockets_connect(p.sockets, 3, B, PORT);
    wait_us(&p, 2 * LATENCY);
    struct sock *first = sock_accept(p.listener);
    assert_int_equal(sock_peer_host(first), 3);
    assert_null(sock_accept(p.listener));
    wait_us(&p, SECOND);
    assert_int_equal(sock_connected(late), 0);
    struct sock *second = sock_accept(p.listener);
    assert_int_equal(sock_peer_host(second), A);
    sock_close(first);
    sock_close(second);
    sock_close(late);
    sock_close(other);
    tear_down(&p);
}

/* After it nothing is cut, and what was ends. */
static void test_heal(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    sockets_cut(p.sockets, A, B, sockets_now(p.sockets) + 1000 * SECOND);
    sockets_heal(p.sockets);
    wait_us(&p, 2 * LATENCY);
    assert_reads(p.a, -ETIMEDOUT);
    assert_reads(p.b, -ETIMEDOUT);
    struct sock *again = sockets_connect(p.sockets, A, B, PORT);
    wait_us(&p, 3 * LATENCY);
    assert_int_equal(sock_connected(again), 0);
    struct sock *accepted = sock_accept(p.listener);
    write_word(again);
    wait_us(&p, 2 * LATENCY);
    assert_reads(accepted, 4);
    sock_close(again);
    sock_close(accepted);
    tear_down(&p);
}

/* The connections that A made to B lose all that is written, and A gives up. */
static void test_half_open(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    sockets_half_open(p.sockets, B, A); /* B made none */
    write_word(p.a);
    wait_us(&p, 2 * LATENCY);
    assert_reads(p.b, 4);
    sockets_half_open(p.sockets, A, B);
    write_word(p.a);
    wait_us(&p, PATIENCE);
    assert_reads(p.b, -EAGAIN);
    assert_reads(p.a, -ETIMEDOUT);
    tear_down(&p);
}

/* Connections that end on demand, and dials that are refused for a while though there is a listener. */
static void test_refused(void **state)
{
    struct pair p;
    (void)state;
    set_up(&p);
    sockets_end(p.sockets, B, A); /* b has made none */
    write_word(p.a);
    wait_us(&p, LATENCY);
    assert_reads(p.b, 4);
    sockets_end(p.sockets, A, B);
    sockets_refuse(p.sockets, A, B, sockets_now(p.sockets) + SECOND);
    wait_us(&p, LATENCY);
    assert_reads(p.a, -ECONNRESET);
    assert_reads(p.b, -ECONNRESET);
    struct sock *refused = sockets_connect(p.sockets, A, B, PORT), *other = sockets_connect(p.sockets, 3, B, PORT);
    wait_us(&p, 2 * LATENCY);
    assert_int_equal(sock_connected(refused), -ECONNREFUSED);
    assert_int_equal(sock_connected(other), 0);
    sock_close(refused);
    sock_close(other);
    sock_close(sock_accept(p.listener));
    wait_us(&p, SECOND);
    struct sock *again = sockets_connect(p.sockets, A, B, PORT);
    wait_us(&p, 2 * LATENCY);
    assert_int_equal(sock_connected(again), 0);
    sock_close(again);
    sock_close(sock_accept(p.listener));
    tear_down(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_cut_holds),
        cmocka_unit_test(test_long_cut_ends),
        cmocka_unit_test(test_word_of_arrival_lost),
        cmocka_unit_test(test_connect_waits),
        cmocka_unit_test(test_cut_while_connecting),
        cmocka_unit_test(test_heal),
        cmocka_unit_test(test_half_open),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
