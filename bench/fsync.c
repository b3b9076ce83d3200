/* What this machine gives, to be read beside any latency that Synod reports: the median and 99th percentile of
 *
 *   an fdatasync of 4 KiB in a file that was filled with zeros and synced before, as the journal's segments are;
 *   a round trip of 64 bytes over loopback TCP between two threads.
 *
 * usage: fsync [folder, default "."] [rounds, default 1000] */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 1024, MESSAGE = 64 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *what, uint64_t *ns, size_t rounds)
{
    qsort(ns, rounds, sizeof *ns, compare);
    printf("%-32s median %8.1f us   p99 %8.1f us\n", what, (double)ns[rounds / 2] / 1000,
           (double)ns[rounds * 99 / 100] / 1000);
}

static void die(const char *what)
{
    fprintf(stderr, "fsync: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void bench_fdatasync(const char *folder, uint64_t *ns, size_t rounds)
{
    static char page[PAGE];
    char path[4096];
    snprintf(path, sizeof path, "%s/fsync-XXXXXX", folder);
    int fd = mkstemp(path);
    if (fd < 0)
        die(path);
    unlink(path);
    for (int i = 0; i < PAGES; i++) {
        if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE)
            die(path);
    }
    if (fsync(fd) != 0)
        die(path);
    memset(page, 1, sizeof page);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t began = now_ns();
        if (pwrite(fd, page, PAGE, (off_t)(i % PAGES) * PAGE) != PAGE || fdatasync(fd) != 0)
            die(path);
        ns[i] = now_ns() - began;
    }
    close(fd);
    report("fdatasync of 4 KiB", ns, rounds);
}

static bool receive(int fd, char *message) { return recv(fd, message, MESSAGE, MSG_WAITALL) == MESSAGE; }

static void no_delay(int fd)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        die("TCP_NODELAY");
}

static void *echo(void *context)
{
    char message[MESSAGE];
    int fd = accept(*(int *)context, NULL, NULL);
    if (fd < 0)
        die("accept");
    no_delay(fd);
    while (receive(fd, message)) {
        if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
            die("send");
    }
    close(fd);
    return NULL;
}

static void bench_loopback(uint64_t *ns, size_t rounds)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char message[MESSAGE] = {0};
    pthread_t thread;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    if (pthread_create(&thread, NULL, echo, &listener) != 0 || connect(fd, (struct sockaddr *)&address, len) != 0)
        die("connect");
    no_delay(fd);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t began = now_ns();
        if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE || !receive(fd, message))
            die("round trip");
        ns[i] = now_ns() - began;
    }
    close(fd);
    pthread_join(thread, NULL);
    close(listener);
    report("loopback TCP round trip, 64 B", ns, rounds);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    if (argc > 3 || rounds == 0 || rounds > 1000000) {
        fprintf(stderr, "usage: %s [folder] [rounds, at most 1000000]\n", argv[0]);
        return 2;
    }
    uint64_t *ns = calloc(rounds, sizeof *ns);
    if (ns == NULL)
        die("memory");
    bench_fdatasync(argc > 1 ? argv[1] : ".", ns, rounds);
    bench_loopback(ns, rounds);
    free(ns);
    return 0;
}
