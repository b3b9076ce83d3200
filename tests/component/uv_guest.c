/* The guest of test_uv_wasi.c: io/'s libuv in the sandbox, through its paces. Waits as a node does: for what the loop
 * says. */
#include <string.h>

#include "components/shim.h"
#include "components/wasi/loop.h"
#include "core/base/memory.h"
#include "tests/component/uv_tests.h"

enum {
    PATIENCE_S = 60,
    SMALL = 5000,
    LARGE = 8 * 1024 * 1024,
    ROUND_TRIPS = 100 * 1000,
    CONNECTIONS = 2000,
    HANDLES_MAX = 40
};

#define CHECK(condition)                                                                                                    \
    do {                                                                                                                    \
        if (!(condition))                                                                                                   \
            return __LINE__;                                                                                                \
    } while (0)

static uv_loop_t loop;

/* ---- Waiting ---- */

static void wait_once(void)
{
    static wasi_io_poll_borrow_pollable_t list[256];
    static struct arena results;
    struct waits waits = loop_waits(&loop);
    const uint64_t most = 1000 * 1000, us = waits.timeout < most ? waits.timeout : most;
    wasi_io_poll_own_pollable_t clock = wasi_clocks_monotonic_clock_subscribe_duration(us * 1000);
    invariant(waits.pollables.len < 256);
    for (size_t i = 0; i < waits.pollables.len; i++)
        list[i] = wasi_io_poll_borrow_pollable(waits.pollables.ptr[i]);
    list[waits.pollables.len] = wasi_io_poll_borrow_pollable(clock);
    uv_guest_world_list_u32_t ready;
    shim_results_begin(&results);
    wasi_io_poll_poll(&(wasi_io_poll_list_borrow_pollable_t){list, waits.pollables.len + 1}, &ready);
    shim_results_end();
    for (size_t i = 0; i < waits.pollables.len; i++)
        wasi_io_poll_pollable_drop_own(waits.pollables.ptr[i]);
    wasi_io_poll_pollable_drop_own(clock);
}

/* Works the loop until `*what` is `least` or more. False: it took too long. */
static bool until(const size_t *what, size_t least)
{
    uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_S * 1000000000;
    while (uv_run(&loop, UV_RUN_NOWAIT), *what < least) {
        if (uv_hrtime() > end)
            return false;
        wait_once();
    }
    return true;
}

/* The same until no closed connection has anything on its way. */
static bool until_drained(void)
{
    uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_S * 1000000000;
    while (loop.lingering > 0 && uv_hrtime() < end) {
        wait_once();
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    return loop.lingering == 0;
}

/* ---- A connection to the server ---- */

struct talk {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t writes[8];
    size_t connected, written, ended, closed; /* how often */
    int connect_status, write_status, end_status;
    size_t written_when_closed;
    size_t received;
    bool wrong;      /* not what was sent */
    size_t stop_at;  /* bytes after which it stops reading; 0: none */
    bool close_soon; /* at the first byte */
    uint8_t in[64 * 1024];
};

static uint8_t pattern(size_t at) { return (uint8_t)(at ^ at >> 8 ^ at >> 16); }

static struct talk *talk_new(void)
{
    struct talk *t = memory_new(1, sizeof *t);
    t->tcp.data = t->connect.data = t;
    uv_tcp_init(&loop, &t->tcp);
    return t;
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct talk *t = connect->data;
    t->connect_status = status;
    t->connected++;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct talk *t = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)t->in, sizeof t->in);
}

static void on_close(uv_handle_t *handle)
{
    struct talk *t = handle->data;
    t->closed++;
    t->written_when_closed = t->written;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct talk *t = stream->data;
    if (len < 0) {
        t->end_status = (int)len;
        t->ended++;
        return;
    }
    for (ssize_t i = 0; i < len; i++)
        t->wrong = t->wrong || (uint8_t)buffer->base[i] != pattern(t->received + (size_t)i);
    t->received += (size_t)len;
    if (t->stop_at != 0 && t->received >= t->stop_at)
        uv_read_stop(stream);
    if (t->close_soon && t->received > 0)
        uv_close((uv_handle_t *)stream, on_close);
}

static void on_write(uv_write_t *write, int status)
{
    struct talk *t = write->data;
    t->write_status = status;
    t->written++;
}

/* Frees it as well. */
static bool talk_close(struct talk *t)
{
    uv_close((uv_handle_t *)&t->tcp, on_close);
    bool closed = until(&t->closed, 1);
    free(t);
    return closed;
}

static bool talk_open(struct talk *t, const char *host, uint16_t port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    if (uv_ip4_addr(host, port, &at.v4) != 0 && uv_ip6_addr(host, port, &at.v6) != 0)
        return false;
    return uv_tcp_connect(&t->connect, &t->tcp, &at.any, on_connect) == 0 && until(&t->connected, 1) &&
           t->connect_status == 0;
}

static bool talk_say(struct talk *t, char what) { return uv_try_write(&t->tcp, &(uv_buf_t){&what, 1}, 1) == 1; }

/* ---- The tests ---- */

static struct {
    size_t fired;
    char order[16];
} timers;

static void on_timer(uv_timer_t *timer)
{
    if (timers.fired < sizeof timers.order)
        timers.order[timers.fired] = *(char *)timer->data;
    timers.fired++;
}

static uint64_t test_timers(uint16_t port)
{
    uv_timer_t a, b, c;
    (void)port;
    memset(&timers, 0, sizeof timers);
    uv_timer_init(&loop, &a);
    uv_timer_init(&loop, &b);
    uv_timer_init(&loop, &c);
    a.data = "a";
    b.data = "b";
    c.data = "c";
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    uint64_t began = uv_now(&loop);
    uv_timer_start(&a, on_timer, 40, 0);
    uv_timer_start(&b, on_timer, 20, 20);
    uv_timer_start(&c, on_timer, 30, 0);
    CHECK(uv_run(&loop, UV_RUN_NOWAIT));
    CHECK(timers.fired == 0);
    uv_timer_stop(&c);
    CHECK(until(&timers.fired, 1));
    CHECK(uv_now(&loop) - began >= 20);
    CHECK(until(&timers.fired, 4));
    CHECK(uv_now(&loop) - began >= 60);
    CHECK(memcmp(timers.order, "babb", 4) == 0 || memcmp(timers.order, "bbab", 4) == 0); /* b may be late, a is not */
    uv_unref((uv_handle_t *)&b);
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    uv_close((uv_handle_t *)&a, NULL);
    uv_close((uv_handle_t *)&b, NULL);
    uv_close((uv_handle_t *)&c, NULL);
    CHECK(uv_is_closing((uv_handle_t *)&b));
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(loop_waits(&loop).timeout == UINT64_MAX);
    return 0;
}

static uint64_t echo(const char *host, uint16_t port)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    char text[64];
    struct talk *t = talk_new();
    CHECK(uv_tcp_getpeername(&t->tcp, (struct sockaddr *)&name, &size) < 0);
    CHECK(uv_try_write(&t->tcp, &(uv_buf_t){text, 1}, 1) == UV_ENOTCONN);
    CHECK(uv_read_start(&t->tcp, on_alloc, on_read) == UV_ENOTCONN);
    CHECK(talk_open(t, host, port));
    CHECK(uv_tcp_getpeername(&t->tcp, (struct sockaddr *)&name, &size) == 0);
    if (name.ss_family == AF_INET6)
        uv_ip6_name((struct sockaddr_in6 *)&name, text, sizeof text);
    else
        uv_ip4_name((struct sockaddr_in *)&name, text, sizeof text);
    CHECK(strcmp(text, host) == 0 && ntohs(((struct sockaddr_in *)&name)->sin_port) == port);
    CHECK(uv_tcp_nodelay(&t->tcp, 1) == 0 && uv_tcp_keepalive(&t->tcp, 1, 10) == 0);
    uint8_t out[SMALL];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = pattern(i);
    const uv_buf_t parts[] = {{"e", 1}, {NULL, 0}, {(char *)out, 3}, {(char *)out + 3, SMALL - 3}};
    CHECK(uv_try_write(&t->tcp, parts, 4) == SMALL + 1);
    CHECK(uv_read_start(&t->tcp, on_alloc, on_read) == 0);
    CHECK(uv_read_start(&t->tcp, on_alloc, on_read) == UV_EALREADY);
    CHECK(until(&t->received, SMALL));
    CHECK(t->received == SMALL && !t->wrong && t->ended == 0);
    CHECK(talk_close(t));
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    return 0;
}

static uint64_t test_echo(uint16_t port) { return echo("127.0.0.1", port); }

static uint64_t test_echo_ipv6(uint16_t port) { return echo("::1", port); }

/* Eight writes at once, of a mebibyte each in uneven pieces; the same comes back meanwhile. */
static uint64_t test_large(uint16_t port)
{
    enum { PART = LARGE / 8 };
    struct talk *t = talk_new();
    uint8_t *out = memory_new(LARGE, 1);
    for (size_t i = 0; i < LARGE; i++)
        out[i] = pattern(i);
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_ECHO));
    uv_read_start(&t->tcp, on_alloc, on_read);
    for (size_t i = 0; i < 8; i++) {
        char *at = (char *)out + i * PART;
        const uv_buf_t parts[] = {{at, 64}, {at + 64, 100000}, {at + 100064, PART - 100064}};
        t->writes[i].data = t;
        CHECK(uv_write(&t->writes[i], &t->tcp, parts, 3, on_write) == 0);
    }
    CHECK(t->written == 0); /* not from within uv_write */
    CHECK(until(&t->written, 8));
    CHECK(t->write_status == 0);
    CHECK(until(&t->received, LARGE));
    CHECK(t->received == LARGE && !t->wrong);
    CHECK(talk_close(t));
    free(out);
    return 0;
}

/* What is not read stays in the socket until it is. */
static uint64_t test_pause(uint16_t port)
{
    enum { TOTAL = 300 * 1024, FIRST = 1000 };
    struct talk *t = talk_new();
    uint8_t *out = memory_new(TOTAL, 1);
    for (size_t i = 0; i < TOTAL; i++)
        out[i] = pattern(i);
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_ECHO));
    t->stop_at = FIRST;
    uv_read_start(&t->tcp, on_alloc, on_read);
    t->writes[0].data = t;
    CHECK(uv_write(&t->writes[0], &t->tcp, &(uv_buf_t){(char *)out, TOTAL}, 1, on_write) == 0);
    CHECK(until(&t->written, 1));
    CHECK(until(&t->received, FIRST));
    size_t received = t->received;
    CHECK(received < TOTAL);
    uv_timer_t timer = {.data = "t"};
    memset(&timers, 0, sizeof timers);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 50, 0);
    CHECK(until(&timers.fired, 1));
    CHECK(t->received == received);
    uv_close((uv_handle_t *)&timer, NULL);
    t->stop_at = 0;
    CHECK(uv_read_start(&t->tcp, on_alloc, on_read) == 0);
    CHECK(until(&t->received, TOTAL));
    CHECK(!t->wrong);
    free(out);
    CHECK(talk_close(t));
    return 0;
}

/* Nothing listens one port further: the test makes sure of that. */
static uint64_t test_refused(uint16_t port)
{
    struct talk *t = talk_new();
    CHECK(!talk_open(t, "127.0.0.1", (uint16_t)(port + 1)));
    CHECK(t->connected == 1 && t->connect_status == UV_ECONNREFUSED);
    CHECK(strcmp(uv_strerror(t->connect_status), "connection refused") == 0);
    CHECK(talk_close(t));
    CHECK(t->closed == 1);
    return 0;
}

static struct {
    size_t called;
    int status;
    struct addrinfo *found;
} names;

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    (void)request;
    names.called++;
    names.status = status;
    names.found = found;
}

static bool is_loopback(const struct addrinfo *a, uint16_t port)
{
    char text[64] = "";
    if (a->ai_family == AF_INET)
        uv_ip4_name((struct sockaddr_in *)a->ai_addr, text, sizeof text);
    else
        uv_ip6_name((struct sockaddr_in6 *)a->ai_addr, text, sizeof text);
    return ntohs(((struct sockaddr_in *)a->ai_addr)->sin_port) == port &&
           (strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0);
}

static uint64_t test_names(uint16_t port)
{
    const struct addrinfo stream = {.ai_socktype = SOCK_STREAM}, six = {.ai_family = AF_INET6};
    uv_getaddrinfo_t request;
    memset(&names, 0, sizeof names);
    CHECK(uv_getaddrinfo(&loop, &request, on_found, "localhost", "77", &stream) == 0);
    CHECK(names.called == 0 && until(&names.called, 1));
    CHECK(names.status == 0 && names.found != NULL && names.found->ai_socktype == SOCK_STREAM);
    for (const struct addrinfo *a = names.found; a != NULL; a = a->ai_next)
        CHECK(is_loopback(a, 77));
    uv_freeaddrinfo(names.found);
    /* Numbers, which need no lookup. */
    CHECK(uv_getaddrinfo(&loop, &request, on_found, "127.0.0.1", "78", NULL) == 0);
    CHECK(names.called == 1 && until(&names.called, 2));
    CHECK(names.status == 0 && is_loopback(names.found, 78) && names.found->ai_next == NULL);
    uv_freeaddrinfo(names.found);
    /* Waiting for the answer. */
    CHECK(uv_getaddrinfo(&loop, &request, NULL, "localhost", NULL, &stream) == 0);
    CHECK(is_loopback(request.addrinfo, 0));
    uv_freeaddrinfo(request.addrinfo);
    CHECK(uv_getaddrinfo(&loop, &request, NULL, "::1", NULL, &six) == 0);
    CHECK(request.addrinfo->ai_family == AF_INET6 && is_loopback(request.addrinfo, 0));
    uv_freeaddrinfo(request.addrinfo);
    /* What there is not. */
    CHECK(uv_getaddrinfo(&loop, &request, NULL, "no such name.invalid", NULL, NULL) == UV_EAI_NONAME);
    CHECK(uv_getaddrinfo(&loop, &request, NULL, "localhost", "http", NULL) == UV_EAI_SERVICE);
    CHECK(uv_getaddrinfo(&loop, &request, NULL, NULL, NULL, NULL) == UV_EINVAL);
    CHECK(uv_getaddrinfo(&loop, &request, on_found, "name.invalid", "1", NULL) == 0);
    CHECK(until(&names.called, 3));
    CHECK(names.status < 0 && names.found == NULL);
    /* Not wanted any more. */
    CHECK(uv_getaddrinfo(&loop, &request, on_found, "name.invalid", "1", NULL) == 0);
    if (uv_cancel((uv_req_t *)&request) == 0) {
        CHECK(names.called == 3);
        CHECK(until(&names.called, 4));
        CHECK(names.status == UV_EAI_CANCELED);
    } else {
        CHECK(until(&names.called, 4)); /* it was known at once */
    }
    CHECK(uv_cancel((uv_req_t *)&request) != 0);
    (void)port;
    return 0;
}

static struct {
    size_t calls, accepted;
    int status;
    struct talk *talk;
    bool late; /* accept outside of the callback */
} listener_seen;

static void on_connection(uv_stream_t *listener, int status)
{
    listener_seen.calls++;
    listener_seen.status = status;
    if (listener_seen.late)
        return;
    listener_seen.talk = talk_new();
    listener_seen.status = uv_accept(listener, &listener_seen.talk->tcp);
    listener_seen.accepted++;
}

/* Both ends in one loop. */
static uint64_t test_listen(uint16_t port)
{
    struct sockaddr_in at, name;
    int size = sizeof name;
    uv_tcp_t listener, second;
    memset(&listener_seen, 0, sizeof listener_seen);
    (void)port;
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_init(&loop, &listener);
    CHECK(uv_listen(&listener, 10, on_connection) == UV_EINVAL);
    CHECK(uv_tcp_bind(&listener, (struct sockaddr *)&at, 0) == 0);
    CHECK(uv_listen(&listener, 10, on_connection) == 0);
    CHECK(uv_tcp_getsockname(&listener, (struct sockaddr *)&name, &size) == 0 && size == sizeof name);
    CHECK(uv_accept(&listener, &second) == UV_EAGAIN);
    uv_tcp_init(&loop, &second);
    int failed = uv_tcp_bind(&second, (struct sockaddr *)&name, 0);
    if (failed == 0)
        failed = uv_listen(&second, 10, on_connection);
    CHECK(failed == UV_EADDRINUSE);
    uv_close((uv_handle_t *)&second, NULL);
    struct talk *t = talk_new();
    CHECK(talk_open(t, "127.0.0.1", ntohs(name.sin_port)));
    CHECK(until(&listener_seen.accepted, 1) && listener_seen.status == 0);
    struct talk *other = listener_seen.talk;
    uv_read_start(&other->tcp, on_alloc, on_read);
    const char zero = (char)pattern(0);
    CHECK(uv_try_write(&t->tcp, &(uv_buf_t){(char *)&zero, 1}, 1) == 1);
    CHECK(until(&other->received, 1) && !other->wrong);
    CHECK(talk_close(t));
    CHECK(until(&other->ended, 1) && other->end_status == UV_EOF && !uv_is_active((uv_handle_t *)&other->tcp));
    CHECK(talk_close(other));
    /* Taken when it suits. */
    listener_seen.late = true;
    struct talk *first = talk_new(), *next = talk_new();
    CHECK(talk_open(first, "127.0.0.1", ntohs(name.sin_port)));
    CHECK(talk_open(next, "127.0.0.1", ntohs(name.sin_port)));
    CHECK(until(&listener_seen.calls, 2));
    for (size_t i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(listener_seen.calls == 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK(until(&listener_seen.calls, 2 + i));
        other = talk_new();
        CHECK(uv_accept(&listener, &other->tcp) == 0);
        CHECK(talk_close(other));
    }
    uv_read_start(&first->tcp, on_alloc, on_read);
    uv_read_start(&next->tcp, on_alloc, on_read);
    CHECK(until(&first->ended, 1) && until(&next->ended, 1));
    CHECK(talk_close(first) && talk_close(next));
    uv_close((uv_handle_t *)&listener, NULL);
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    return 0;
}

/* What is under way when a handle is closed is called back about before the handle is. */
static uint64_t test_cancel(uint16_t port)
{
    struct sockaddr_in at;
    uint8_t *out = memory_new(LARGE, 1);
    struct talk *t = talk_new();
    uv_ip4_addr("127.0.0.1", port, &at);
    CHECK(uv_tcp_connect(&t->connect, &t->tcp, (struct sockaddr *)&at, on_connect) == 0);
    uv_close((uv_handle_t *)&t->tcp, on_close);
    CHECK(t->connected == 0 && t->closed == 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(t->connected == 1 && t->connect_status == UV_ECANCELED && t->closed == 1);
    free(t);
    t = talk_new();
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_SLOW));
    for (size_t i = 0; i < 8; i++) {
        t->writes[i].data = t;
        CHECK(uv_write(&t->writes[i], &t->tcp, &(uv_buf_t){(char *)out, LARGE}, 1, on_write) == 0);
    }
    CHECK(uv_try_write(&t->tcp, &(uv_buf_t){"x", 1}, 1) == UV_EAGAIN); /* not before what was there first */
    uv_close((uv_handle_t *)&t->tcp, on_close);
    CHECK(t->closed == 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK(t->written == 8 && t->write_status == UV_ECANCELED && t->closed == 1);
    free(t);
    /* The same from within a callback. */
    t = talk_new();
    t->close_soon = true;
    memset(out, pattern(0), LARGE);
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_ECHO));
    for (size_t i = 0; i < 8; i++) {
        t->writes[i].data = t;
        CHECK(uv_write(&t->writes[i], &t->tcp, &(uv_buf_t){(char *)out, LARGE}, 1, on_write) == 0);
    }
    uv_read_start(&t->tcp, on_alloc, on_read);
    CHECK(until(&t->closed, 1));
    CHECK(t->written_when_closed == 8 && t->write_status == UV_ECANCELED);
    free(t);
    free(out);
    CHECK(until_drained());
    return 0;
}

/* All that was taken arrives, although the connection is closed at once, and nothing waits for that. */
static uint64_t test_linger(uint16_t port)
{
    enum { PART = 256 * 1024 };
    char *out = memory_new(PART, 1);
    struct talk *t = talk_new();
    size_t total = 0;
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_SLOW));
    int written = 0;
    while (total < UV_LINGER_BYTES && (written = uv_try_write(&t->tcp, &(uv_buf_t){out, PART}, 1)) > 0)
        total += (size_t)written;
    CHECK(written == UV_EAGAIN && total > 0);
    uint64_t began = uv_hrtime();
    CHECK(talk_close(t));
    CHECK(uv_hrtime() - began < 100 * 1000000u);
    CHECK(loop.lingering == 1);
    CHECK(until_drained());
    CHECK(loop_waits(&loop).pollables.len == 0);
    /* The server says whether that is what came. */
    uint64_t count = total;
    t = talk_new();
    CHECK(talk_open(t, "127.0.0.1", port));
    uv_read_start(&t->tcp, on_alloc, on_read);
    const uv_buf_t question[] = {{(char[]){UV_SERVER_TOTAL}, 1}, {(char *)&count, sizeof count}};
    CHECK(uv_try_write(&t->tcp, question, 2) == 1 + sizeof count);
    CHECK(until(&t->ended, 1));
    CHECK(t->received == 1);
    CHECK(talk_close(t));
    free(out);
    return 0;
}

static uint64_t test_reset(uint16_t port)
{
    struct talk *t = talk_new();
    CHECK(talk_open(t, "127.0.0.1", port));
    uv_read_start(&t->tcp, on_alloc, on_read);
    CHECK(talk_say(t, UV_SERVER_RESET));
    CHECK(until(&t->ended, 1));
    CHECK(t->end_status == UV_ECONNRESET);
    int written = 0;
    for (size_t i = 0; i < 10 && written >= 0; i++)
        written = uv_try_write(&t->tcp, &(uv_buf_t){"x", 1}, 1);
    CHECK(written == UV_EPIPE || written == UV_ECONNRESET);
    t->writes[0].data = t;
    CHECK(uv_write(&t->writes[0], &t->tcp, &(uv_buf_t){"x", 1}, 1, on_write) == 0);
    CHECK(until(&t->written, 1));
    CHECK(t->write_status < 0);
    CHECK(talk_close(t));
    return 0;
}

static struct {
    size_t received, bytes;
    bool wrong, cut;
    uint16_t from;
    size_t room;
} datagrams;

static void on_datagram_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char in[64 * 1024];
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(in, (unsigned)datagrams.room);
}

static void on_datagram(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
    (void)udp;
    if (len == 0 && from == NULL)
        return;
    datagrams.received++;
    datagrams.bytes += len > 0 ? (size_t)len : 0;
    datagrams.cut = flags & UV_UDP_PARTIAL;
    datagrams.from = ntohs(((const struct sockaddr_in *)from)->sin_port);
    for (ssize_t i = 0; i < len; i++)
        datagrams.wrong = datagrams.wrong || (uint8_t)buffer->base[i] != pattern((size_t)i);
}

static uint64_t test_datagrams(uint16_t port)
{
    static uint8_t out[60000];
    struct sockaddr_in at, any, name;
    int size = sizeof name, buffer = 0;
    uv_udp_t udp;
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = pattern(i);
    datagrams.room = 64 * 1024;
    uv_ip4_addr("127.0.0.1", port, &at);
    uv_ip4_addr("127.0.0.1", 0, &any);
    uv_udp_init(&loop, &udp);
    CHECK(uv_udp_recv_start(&udp, on_datagram_alloc, on_datagram) == UV_EINVAL);
    CHECK(uv_udp_bind(&udp, (struct sockaddr *)&any, 0) == 0);
    CHECK(uv_udp_getsockname(&udp, (struct sockaddr *)&name, &size) == 0 && name.sin_port != 0);
    CHECK(uv_recv_buffer_size((uv_handle_t *)&udp, &buffer) == 0 && buffer > 0);
    buffer = 256 * 1024;
    CHECK(uv_send_buffer_size((uv_handle_t *)&udp, &buffer) == 0);
    CHECK(uv_udp_recv_start(&udp, on_datagram_alloc, on_datagram) == 0);
    static const size_t sizes[] = {0, 1, 64, 1400, 60000};
    size_t bytes = 0;
    for (size_t i = 0; i < 5; i++) {
        const size_t half = sizes[i] / 2;
        const uv_buf_t parts[] = {{(char *)out, half}, {(char *)out + half, sizes[i] - half}};
        CHECK(uv_udp_try_send(&udp, parts, 2, (struct sockaddr *)&at) == (int)sizes[i]);
        CHECK(until(&datagrams.received, i + 1));
        bytes += sizes[i];
        CHECK(datagrams.bytes == bytes && !datagrams.wrong && !datagrams.cut && datagrams.from == port);
    }
    const uv_buf_t huge[] = {{(char *)out, 60000}, {(char *)out, 60000}};
    CHECK(uv_udp_try_send(&udp, huge, 2, (struct sockaddr *)&at) == UV_EMSGSIZE);
    datagrams.room = 100;
    CHECK(uv_udp_try_send(&udp, huge, 1, (struct sockaddr *)&at) == 60000);
    CHECK(until(&datagrams.received, 6));
    CHECK(datagrams.cut && datagrams.bytes == bytes + 100);
    uv_udp_recv_stop(&udp);
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    uv_close((uv_handle_t *)&udp, NULL);
    CHECK(!uv_run(&loop, UV_RUN_NOWAIT));
    return 0;
}

/* The table of handles hands out the lowest free number: leaks would make it grow. */
static bool handles_are_few(void)
{
    wasi_io_poll_own_pollable_t one = wasi_clocks_monotonic_clock_subscribe_duration(0);
    wasi_io_poll_pollable_drop_own(one);
    return one.__handle < HANDLES_MAX;
}

static uint64_t test_round_trips(uint16_t port)
{
    struct talk *t = talk_new();
    CHECK(talk_open(t, "127.0.0.1", port));
    CHECK(talk_say(t, UV_SERVER_ECHO));
    uv_read_start(&t->tcp, on_alloc, on_read);
    for (size_t i = 0; i < ROUND_TRIPS; i++) {
        uint8_t out[64];
        for (size_t k = 0; k < sizeof out; k++)
            out[k] = pattern(i * sizeof out + k);
        CHECK(uv_try_write(&t->tcp, &(uv_buf_t){(char *)out, sizeof out}, 1) == sizeof out);
        CHECK(until(&t->received, (i + 1) * sizeof out));
    }
    CHECK(!t->wrong);
    CHECK(talk_close(t));
    CHECK(handles_are_few());
    return 0;
}

static uint64_t test_connections(uint16_t port)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct talk *t = talk_new();
        CHECK(talk_open(t, "127.0.0.1", port));
        uint8_t byte = pattern(0);
        CHECK(talk_say(t, UV_SERVER_ECHO));
        uv_read_start(&t->tcp, on_alloc, on_read);
        CHECK(uv_try_write(&t->tcp, &(uv_buf_t){(char *)&byte, 1}, 1) == 1);
        CHECK(until(&t->received, 1));
        CHECK(talk_close(t));
    }
    CHECK(handles_are_few());
    return 0;
}

uint64_t exports_synod_paxos_uv_guest_run(uint64_t test, uint64_t port)
{
    static uint64_t (*const tests[])(uint16_t port) = {
        [UV_TEST_TIMERS] = test_timers,
        [UV_TEST_ECHO] = test_echo,
        [UV_TEST_ECHO_IPV6] = test_echo_ipv6,
        [UV_TEST_LARGE] = test_large,
        [UV_TEST_PAUSE] = test_pause,
        [UV_TEST_REFUSED] = test_refused,
        [UV_TEST_NAMES] = test_names,
        [UV_TEST_LISTEN] = test_listen,
        [UV_TEST_CANCEL] = test_cancel,
        [UV_TEST_LINGER] = test_linger,
        [UV_TEST_RESET] = test_reset,
        [UV_TEST_DATAGRAMS] = test_datagrams,
        [UV_TEST_ROUND_TRIPS] = test_round_trips,
        [UV_TEST_CONNECTIONS] = test_connections,
    };
    uv_loop_init(&loop);
    return tests[test]((uint16_t)port);
}
