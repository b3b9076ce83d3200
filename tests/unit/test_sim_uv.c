/* libuv's API in virtual time (sim/include/uv.h): loops, timers, connections, what becomes of them; one seed, one story. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "core/base/memory.h"
#include "sim/sockets.h"

enum { SERVER = 1, CLIENT = 2, PORT = 7000, WINDOW = 4096, STORY_MAX = 1 << 20 };

/* ---- A world of two hosts: one listens and sends back what it gets, one connects ---- */

struct echo {
    uv_tcp_t tcp; /* first */
    struct world *world;
    uv_write_t write;
    char kept[WINDOW];
};

struct world {
    struct sockets *sockets;
    struct faults faults;
    uv_loop_t server, client;
    uv_tcp_t listener, dialed;
    uv_connect_t connect;
    uv_write_t write;
    struct echo *echoes[16];
    size_t echo_count;
    char buffer[1024];
    int connected, read_status, write_status;
    size_t connects, writes, closes, read_len;
    bool echoes_back, slow;
    char *story; /* what the client has read, with the times */
    size_t story_len;
};

static void tell(struct world *w, const char *what, ssize_t number)
{
    int more = snprintf(w->story + w->story_len, STORY_MAX - w->story_len, "%llu %s %zd\n",
                        (unsigned long long)sockets_now(w->sockets), what, number);
    assert_true(more > 0 && w->story_len + (size_t)more < STORY_MAX);
    w->story_len += (size_t)more;
}

static struct world *world_new(uint64_t seed, uint32_t pieces)
{
    struct world *w = memory_new(1, sizeof *w);
    const struct sockets_options options = {.seed = seed,
                                            .latency_us = 100,
                                            .latency_spread_us = 50,
                                            .window_bytes = WINDOW,
                                            .pieces = pieces,
                                            .faults = &w->faults};
    w->sockets = sockets_new(&options);
    sockets_hear_time(w->sockets, 1000);
    simuv_loop_init(&w->server, w->sockets, NULL, SERVER);
    simuv_loop_init(&w->client, w->sockets, NULL, CLIENT);
    w->connected = w->read_status = w->write_status = 1;
    w->story = memory_new(STORY_MAX, 1);
    return w;
}

/* Goes on to the next thing that happens. False: nothing does, within `until`. */
static bool step(struct world *w, uint64_t until)
{
    const uint64_t a = simuv_next(&w->server), b = simuv_next(&w->client);
    const uint64_t at = a < b ? a : b;
    if (at > until)
        return false;
    sockets_hear_time(w->sockets, at);
    uv_run(a <= b ? &w->server : &w->client, UV_RUN_NOWAIT);
    return true;
}

static void run(struct world *w, uint64_t us)
{
    const uint64_t until = sockets_now(w->sockets) + us;
    while (step(w, until))
        ;
    sockets_hear_time(w->sockets, until);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct world *w = handle->data;
    assert_true(suggested > 0);
    *buffer = uv_buf_init(w->buffer, sizeof w->buffer);
}

static void on_closed(uv_handle_t *handle) { ((struct world *)handle->data)->closes++; }

static void on_echo_written(uv_write_t *write, int status)
{
    struct echo *e = write->data;
    if (status == 0 && !e->world->slow)
        assert_int_equal(uv_read_start(&e->tcp, on_alloc, e->tcp.read_cb), 0);
}

static void on_echo_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct echo *e = (struct echo *)stream;
    struct world *w = e->world;
    tell(w, "server read", len);
    if (len < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    if (!w->echoes_back)
        return;
    uv_read_stop(stream);
    memcpy(e->kept, buffer->base, (size_t)len);
    const uv_buf_t out = uv_buf_init(e->kept, (unsigned)len);
    e->write.data = e;
    assert_int_equal(uv_write(&e->write, stream, &out, 1, on_echo_written), 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct world *w = listener->data;
    struct echo *e = memory_new(1, sizeof *e);
    assert_int_equal(status, 0);
    w->echoes[w->echo_count++] = e;
    e->world = w;
    e->tcp.data = w;
    assert_int_equal(uv_tcp_init(&w->server, &e->tcp), 0);
    assert_int_equal(uv_accept(listener, &e->tcp), 0);
    if (!w->slow)
        assert_int_equal(uv_read_start(&e->tcp, on_alloc, on_echo_read), 0);
}

static void listen_at(struct world *w)
{
    struct sockaddr_in at;
    assert_int_equal(uv_ip4_addr("192.0.2.1", PORT, &at), 0);
    w->listener.data = w;
    assert_int_equal(uv_tcp_init(&w->server, &w->listener), 0);
    assert_int_equal(uv_tcp_bind(&w->listener, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen(&w->listener, 16, on_connection), 0);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct world *w = connect->data;
    w->connects++;
    w->connected = status;
    tell(w, "connected", status);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct world *w = stream->data;
    (void)buffer;
    tell(w, "client read", len);
    if (len < 0)
        w->read_status = (int)len;
    else
        w->read_len += (size_t)len;
}

static void on_written(uv_write_t *write, int status)
{
    struct world *w = write->data;
    w->writes++;
    w->write_status = status;
    tell(w, "written", status);
}

static void dial(struct world *w)
{
    struct sockaddr_in to;
    assert_int_equal(uv_ip4_addr("192.0.2.1", PORT, &to), 0);
    w->dialed.data = w->connect.data = w;
    assert_int_equal(uv_tcp_init(&w->client, &w->dialed), 0);
    assert_int_equal(uv_tcp_connect(&w->connect, &w->dialed, (struct sockaddr *)&to, on_connected), 0);
}

static void connect_both(struct world *w)
{
    listen_at(w);
    dial(w);
    run(w, 10000);
    assert_int_equal(w->connected, 0);
    assert_int_equal(w->echo_count, 1);
    assert_int_equal(uv_read_start(&w->dialed, on_alloc, on_read), 0);
}

static void world_free(struct world *w)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&w->listener, (uv_handle_t *)&w->dialed};
    for (size_t i = 0; i < 2; i++)
        if (handles[i]->loop != NULL && !uv_is_closing(handles[i]))
            uv_close(handles[i], on_closed);
    for (size_t i = 0; i < w->echo_count; i++)
        if (!uv_is_closing((uv_handle_t *)&w->echoes[i]->tcp))
            uv_close((uv_handle_t *)&w->echoes[i]->tcp, on_closed);
    run(w, 1000);
    assert_int_equal(uv_run(&w->server, UV_RUN_NOWAIT), 0);
    assert_int_equal(uv_run(&w->client, UV_RUN_NOWAIT), 0);
    for (size_t i = 0; i < w->echo_count; i++)
        free(w->echoes[i]);
    simuv_loop_close(&w->server);
    simuv_loop_close(&w->client);
    assert_int_equal(sockets_statistics(w->sockets).open, 0);
    sockets_free(w->sockets);
    free(w->story);
    free(w);
}

/* ---- Loops and timers ---- */

struct alarm {
    uv_timer_t timer;
    int *order, number;
};

static void on_alarm(uv_timer_t *timer)
{
    const struct alarm *a = (const struct alarm *)timer;
    *a->order = *a->order * 10 + a->number;
}

static void test_timers(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    struct alarm alarms[3];
    int order = 0;
    for (int i = 0; i < 3; i++) {
        alarms[i] = (struct alarm){.order = &order, .number = i + 1, .timer.data = w};
        uv_timer_init(&w->client, &alarms[i].timer);
    }
    uv_timer_start(&alarms[0].timer, on_alarm, 20, 0);
    uv_timer_start(&alarms[1].timer, on_alarm, 10, 10);
    uv_timer_start(&alarms[2].timer, on_alarm, 15, 0);
    assert_int_equal(simuv_next(&w->client), 11000);
    run(w, 15000); /* at 16 ms */
    assert_int_equal(order, 23);
    run(w, 15000); /* at 31 ms */
    assert_int_equal(order, 23122);
    assert_true(uv_is_active((uv_handle_t *)&alarms[1].timer));
    uv_timer_stop(&alarms[1].timer);
    assert_true(simuv_next(&w->client) == UINT64_MAX);
    assert_false(uv_run(&w->client, UV_RUN_NOWAIT));
    uv_timer_start(&alarms[0].timer, on_alarm, UINT64_MAX, 0); /* too long to be told in microseconds */
    assert_true(simuv_next(&w->client) > UINT64_MAX - 1000);
    for (int i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&alarms[i].timer, on_closed);
    assert_true(uv_run(&w->client, UV_RUN_NOWAIT) == 0);
    assert_int_equal(w->closes, 3);
    world_free(w);
}

/* ---- Connections ---- */

static void test_connect(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    dial(w); /* no host listens */
    run(w, 10000);
    assert_int_equal(w->connected, UV_ECONNREFUSED);
    uv_close((uv_handle_t *)&w->dialed, on_closed);
    run(w, 1);
    connect_both(w);
    struct sockaddr_in name;
    int size = sizeof name;
    char text[32];
    assert_int_equal(uv_tcp_getpeername(&w->echoes[0]->tcp, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(uv_ip4_name(&name, text, sizeof text), 0);
    assert_string_equal(text, "192.0.2.2");
    uv_tcp_t second = {.data = w};
    assert_int_equal(uv_ip4_addr("192.0.2.1", PORT, &name), 0);
    uv_tcp_init(&w->server, &second);
    assert_int_equal(uv_tcp_bind(&second, (struct sockaddr *)&name, 0), UV_EADDRINUSE);
    uv_close((uv_handle_t *)&second, on_closed);
    run(w, 1000);
    world_free(w);
}

/* A connection that was not accepted ends with its listener. */
static void test_never_accepted(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    listen_at(w);
    dial(w);
    uv_close((uv_handle_t *)&w->listener, on_closed);
    run(w, 10000);
    assert_int_equal(w->connected, 0);
    assert_int_equal(uv_read_start(&w->dialed, on_alloc, on_read), 0);
    run(w, 10000);
    assert_int_equal(w->read_status, UV_ECONNRESET);
    world_free(w);
}

static void send_all(struct world *w, const void *bytes, size_t len)
{
    const uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    w->write.data = w;
    assert_int_equal(uv_write(&w->write, &w->dialed, &buffer, 1, on_written), 0);
}

static void test_echo(void **state)
{
    (void)state;
    struct world *w = world_new(1, 300000);
    static char many[50000];
    w->echoes_back = true;
    connect_both(w);
    send_all(w, many, sizeof many);
    run(w, 1000000);
    assert_int_equal(w->writes, 1);
    assert_int_equal(w->write_status, 0);
    assert_int_equal(w->read_len, sizeof many);
    uv_close((uv_handle_t *)&w->dialed, on_closed);
    run(w, 1000000);
    assert_non_null(strstr(w->story, "server read -4095\n")); /* UV_EOF */
    world_free(w);
}

/* Who does not read is not written to beyond the window; when it reads, the writer goes on. */
static void test_backpressure(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    static char many[3 * WINDOW];
    w->slow = true;
    connect_both(w);
    const uv_buf_t buffer = uv_buf_init(many, sizeof many);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), WINDOW);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), UV_EAGAIN);
    send_all(w, many, WINDOW);
    run(w, 60000000);
    assert_int_equal(w->writes, 0);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), UV_EAGAIN); /* behind the other one */
    w->slow = false;
    assert_int_equal(uv_read_start(&w->echoes[0]->tcp, on_alloc, on_echo_read), 0);
    run(w, 100000);
    assert_int_equal(w->writes, 1);
    assert_int_equal(w->write_status, 0);
    world_free(w);
}

/* What is written in several buffers comes in their order; a stopped reader gets nothing. */
static void test_order(void **state)
{
    (void)state;
    struct world *w = world_new(3, 500000);
    connect_both(w);
    uv_read_stop(&w->echoes[0]->tcp);
    uv_buf_t buffers[] = {uv_buf_init("one ", 4), uv_buf_init("", 0), uv_buf_init("two ", 4), uv_buf_init("three", 5)};
    w->write.data = w;
    assert_int_equal(uv_write(&w->write, &w->dialed, buffers, 4, on_written), 0);
    run(w, 100000);
    assert_null(strstr(w->story, "server read"));
    char got[16] = "";
    for (size_t len = 0; len < 13;) {
        ptrdiff_t more = sock_read(w->echoes[0]->tcp.sock, got + len, sizeof got - len);
        len += more > 0 ? (size_t)more : 0;
        run(w, 1000);
    }
    assert_string_equal(got, "one two three");
    world_free(w);
}

/* ---- What goes wrong ---- */

static void test_reset(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    static char many[WINDOW];
    connect_both(w);
    w->faults.rate[FAULT_RESET] = 1000000;
    send_all(w, many, sizeof many);
    w->faults.rate[FAULT_RESET] = 0;
    run(w, 100000);
    assert_int_equal(w->faults.fired[FAULT_RESET], 1);
    assert_int_equal(w->read_status, UV_ECONNRESET);
    assert_non_null(strstr(w->story, "server read -104\n"));
    const uv_buf_t buffer = uv_buf_init(many, 1);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), UV_ECONNRESET);
    world_free(w);
}

/* Neither end is told; the window fills up, and keepalive ends it. */
static void test_half_open(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    static char many[2 * WINDOW];
    connect_both(w);
    assert_int_equal(uv_tcp_keepalive(&w->dialed, 1, 60), 0);
    sockets_vanish(w->sockets, SERVER);
    send_all(w, many, sizeof many);
    run(w, 60000000);
    assert_int_equal(w->writes, 0);
    assert_int_equal(w->read_status, 1);
    run(w, 60000000);
    assert_int_equal(w->read_status, UV_ETIMEDOUT);
    assert_int_equal(w->write_status, UV_ETIMEDOUT);
    world_free(w);
}

/* A host that comes back after its power failed knows nothing of a connection from before. */
static void test_power(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    connect_both(w);
    sockets_vanish(w->sockets, SERVER);
    simuv_kill(&w->server);
    run(w, 1000000);
    assert_int_equal(w->read_status, 1);
    struct sock_listener *again = sockets_listen(w->sockets, SERVER, PORT);
    send_all(w, "?", 1);
    run(w, 1000000);
    assert_int_equal(w->read_status, UV_ECONNRESET);
    sock_listener_close(again);
    world_free(w);
}

/* The process of the server is killed: its system says so to the client, and its handles can still be closed. */
static void test_kill(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    connect_both(w);
    simuv_kill(&w->server);
    run(w, 100000);
    assert_int_equal(w->read_status, UV_EOF);
    const uv_buf_t buffer = uv_buf_init("lost", 4);
    assert_int_equal(uv_try_write(&w->echoes[0]->tcp, &buffer, 1), UV_ECONNRESET);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), 4); /* it does not know yet */
    run(w, 100000);
    assert_int_equal(uv_try_write(&w->dialed, &buffer, 1), UV_ECONNRESET);
    world_free(w);
}

/* Unread bytes at the end mean a reset, and the write that waits is cancelled. */
static void test_close_unread(void **state)
{
    (void)state;
    struct world *w = world_new(1, 0);
    static char many[3 * WINDOW];
    w->slow = true;
    connect_both(w);
    send_all(w, many, sizeof many);
    run(w, 10000);
    uv_close((uv_handle_t *)&w->echoes[0]->tcp, on_closed);
    run(w, 100000);
    assert_int_equal(w->read_status, UV_ECONNRESET);
    assert_int_equal(w->write_status, UV_ECONNRESET);
    uv_write_t late = {.data = w};
    w->write_status = 1;
    const uv_buf_t buffer = uv_buf_init(many, 1);
    assert_int_equal(uv_write(&late, &w->dialed, &buffer, 1, on_written), 0);
    uv_close((uv_handle_t *)&w->dialed, on_closed);
    run(w, 1);
    assert_true(w->write_status < 0);
    world_free(w);
}

/* ---- One seed, one story ---- */

static char *story_of(uint64_t seed)
{
    struct world *w = world_new(seed, 400000);
    static char many[20000];
    w->echoes_back = true;
    connect_both(w);
    w->faults.rate[FAULT_RESET] = 5000;
    send_all(w, many, sizeof many);
    run(w, 1000000);
    char *story = w->story;
    w->story = memory_new(STORY_MAX, 1);
    w->story_len = 0;
    world_free(w);
    return story;
}

static void test_same_story(void **state)
{
    (void)state;
    char *first = story_of(7), *again = story_of(7), *other = story_of(8);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    free(first);
    free(again);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers), cmocka_unit_test(test_connect),      cmocka_unit_test(test_never_accepted),
        cmocka_unit_test(test_echo),   cmocka_unit_test(test_backpressure), cmocka_unit_test(test_order),
        cmocka_unit_test(test_reset),  cmocka_unit_test(test_half_open),    cmocka_unit_test(test_kill),
        cmocka_unit_test(test_power),  cmocka_unit_test(test_close_unread), cmocka_unit_test(test_same_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
