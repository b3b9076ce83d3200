/* libuv's API over WASI (components/wasi), in a guest that talks to blocking sockets of this process. What is tested is in
 * uv_guest.c; here are the servers. The argument is the folder with uv-guest.wasm. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/component/uv_tests.h"
#include "tests/component/wasi_guest.h"

#define GUEST "synod:paxos/uv-guest@0.1.0"

enum { MEMORY_MAX = 96 * 1024 * 1024, SMALL_MEMORY_MAX = 4 * 1024 * 1024, SLOW_MS = 300 };

static const char *folder;
static wasm_engine_t *engine;
static wasmtime_component_t *component;
static uint16_t port;       /* of the servers; the one after it is free */
static int reserved;        /* which this socket sees to: bound, and not listening */
static uint64_t slow_count; /* of the last slow connection, when it has ended */

/* ---- The servers ---- */

static void echo(int fd)
{
    uint8_t bytes[64 * 1024];
    for (ssize_t len; (len = read(fd, bytes, sizeof bytes)) > 0;)
        for (ssize_t at = 0, n; at < len; at += n)
            if ((n = write(fd, bytes + at, (size_t)(len - at))) < 0)
                return;
}

static void count_slowly(int fd)
{
    uint8_t bytes[64 * 1024];
    uint64_t count = 0;
    usleep(SLOW_MS * 1000);
    for (ssize_t len; (len = read(fd, bytes, sizeof bytes)) > 0;)
        count += (uint64_t)len;
    __atomic_store_n(&slow_count, count, __ATOMIC_SEQ_CST);
}

static void compare_total(int fd)
{
    uint64_t total;
    if (recv(fd, &total, sizeof total, MSG_WAITALL) != sizeof total)
        return;
    for (int i = 0; i < 1000 && __atomic_load_n(&slow_count, __ATOMIC_SEQ_CST) != total; i++)
        usleep(1000);
    if (__atomic_load_n(&slow_count, __ATOMIC_SEQ_CST) == total && write(fd, "", 1) != 1)
        perror("write");
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    const struct linger none = {.l_onoff = 1};
    char what = 0;
    if (read(fd, &what, 1) == 1) {
        if (what == UV_SERVER_ECHO)
            echo(fd);
        else if (what == UV_SERVER_SLOW)
            count_slowly(fd);
        else if (what == UV_SERVER_TOTAL)
            compare_total(fd);
        else if (what == UV_SERVER_RESET)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    close(fd);
    return NULL;
}

static void *accept_all(void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int fd; (fd = accept((int)(intptr_t)argument, NULL, NULL)) >= 0;)
        pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd);
    return NULL;
}

static void *return_datagrams(void *argument)
{
    static uint8_t bytes[65536];
    int fd = (int)(intptr_t)argument;
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t len = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
        if (len < 0)
            return NULL;
        sendto(fd, bytes, (size_t)len, 0, (struct sockaddr *)&from, size);
    }
}

static int bound(int family, int type, uint16_t at)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(at), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, type, 0);
    int failed =
        family == AF_INET ? bind(fd, (struct sockaddr *)&v4, sizeof v4) : bind(fd, (struct sockaddr *)&v6, sizeof v6);
    if (failed == 0 && (type == SOCK_DGRAM || listen(fd, 128) == 0))
        return fd;
    close(fd);
    return -1;
}

static int reserve(uint16_t at)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void in_thread(void *(*run)(void *), int fd)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, (void *)(intptr_t)fd), 0);
    pthread_detach(thread);
}

/* All on one port. */
static int start_servers(void **state)
{
    int fds[3] = {-1, -1, -1};
    (void)state;
    for (port = 20000 + (uint16_t)(getpid() % 5000); fds[2] < 0; port++) {
        fds[0] = bound(AF_INET, SOCK_STREAM, port);
        fds[1] = bound(AF_INET6, SOCK_STREAM, port);
        fds[2] = bound(AF_INET, SOCK_DGRAM, port);
        reserved = reserve((uint16_t)(port + 1));
        if (fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0 && reserved >= 0)
            break;
        for (int i = 0; i < 3; i++)
            close(fds[i]);
        close(reserved);
        fds[2] = -1;
    }
    in_thread(accept_all, fds[0]);
    in_thread(accept_all, fds[1]);
    in_thread(return_datagrams, fds[2]);
    component = wasi_guest_load(engine, folder, "uv-guest");
    return 0;
}

/* ---- The tests ---- */

static void run(enum uv_test test, int64_t memory_max)
{
    struct wasi_guest guest;
    struct typed_call call = {.scalars = {test, port}};
    char *message = NULL;
    wasi_guest_prepare(&guest, engine, component, memory_max);
    wasi_guest_start(&guest);
    struct typed_func *func = wasi_guest_find(&guest, GUEST, "run", (struct typed_shape){2, false, TYPED_GIVES_U64});
    if (typed_func_call(func, guest.context, &call, &message) != TYPED_OK)
        fail_msg("%s", message);
    if (call.result != 0)
        fail_msg("tests/component/uv_guest.c:%u", (unsigned)call.result);
    typed_func_free(func);
    wasi_guest_end(&guest);
}

static void timers(void **state)
{
    (void)state;
    run(UV_TEST_TIMERS, SMALL_MEMORY_MAX);
}

static void echo_over_ipv4(void **state)
{
    (void)state;
    run(UV_TEST_ECHO, SMALL_MEMORY_MAX);
}

static void echo_over_ipv6(void **state)
{
    (void)state;
    run(UV_TEST_ECHO_IPV6, SMALL_MEMORY_MAX);
}

static void large_writes(void **state)
{
    (void)state;
    run(UV_TEST_LARGE, MEMORY_MAX);
}

static void reading_pauses(void **state)
{
    (void)state;
    run(UV_TEST_PAUSE, SMALL_MEMORY_MAX);
}

static void refused_connection(void **state)
{
    (void)state;
    run(UV_TEST_REFUSED, SMALL_MEMORY_MAX);
}

static void names_and_numbers(void **state)
{
    (void)state;
    run(UV_TEST_NAMES, SMALL_MEMORY_MAX);
}

static void listening(void **state)
{
    (void)state;
    run(UV_TEST_LISTEN, SMALL_MEMORY_MAX);
}

static void closing_cancels(void **state)
{
    (void)state;
    run(UV_TEST_CANCEL, MEMORY_MAX);
}

static void closing_loses_nothing(void **state)
{
    (void)state;
    run(UV_TEST_LINGER, SMALL_MEMORY_MAX);
}

static void reset_connection(void **state)
{
    (void)state;
    run(UV_TEST_RESET, SMALL_MEMORY_MAX);
}

static void datagrams(void **state)
{
    (void)state;
    run(UV_TEST_DATAGRAMS, SMALL_MEMORY_MAX);
}

/* A leak of 40 bytes a round trip would end in a trap. */
static void round_trips_without_leaks(void **state)
{
    (void)state;
    run(UV_TEST_ROUND_TRIPS, SMALL_MEMORY_MAX);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void connections_without_leaks(void **state)
{
    (void)state;
    run(UV_TEST_ECHO, SMALL_MEMORY_MAX);
    size_t before = open_files();
    run(UV_TEST_CONNECTIONS, SMALL_MEMORY_MAX);
    for (int i = 0; i < 1000 && open_files() > before; i++)
        usleep(1000); /* the servers close their ends */
    assert_true(open_files() <= before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers),
        cmocka_unit_test(echo_over_ipv4),
        cmocka_unit_test(echo_over_ipv6),
        cmocka_unit_test(large_writes),
        cmocka_unit_test(reading_pauses),
        cmocka_unit_test(refused_connection),
        cmocka_unit_test(names_and_numbers),
        cmocka_unit_test(listening),
        cmocka_unit_test(closing_cancels),
        cmocka_unit_test(closing_loses_nothing),
        cmocka_unit_test(reset_connection),
        cmocka_unit_test(datagrams),
        cmocka_unit_test(round_trips_without_leaks),
        cmocka_unit_test(connections_without_leaks),
    };
    folder = argc > 1 ? argv[1] : ".";
    signal(SIGPIPE, SIG_IGN);
    engine = wasm_engine_new();
    return cmocka_run_group_tests(tests, start_servers, NULL);
}
