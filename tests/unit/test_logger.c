#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host/log_limit.h"
#include "host/logger.h"

/* Standard error becomes a socket that keeps the borders of writes, so that a line in two writes is seen. */
static int saved = -1, lines = -1;

static void capture(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    saved = dup(STDERR_FILENO);
    assert_true(dup2(pair[1], STDERR_FILENO) >= 0);
    close(pair[1]);
    lines = pair[0];
}

enum { PATIENCE_MS = 30000 };

static void restore(void)
{
    logger_flush(PATIENCE_MS);
    dup2(saved, STDERR_FILENO);
    close(saved);
}

/* The next write, zero-terminated; its length. 0: there is none. */
static size_t next_write(char *out, size_t size)
{
    ssize_t n = recv(lines, out, size - 1, MSG_DONTWAIT);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static json_t *next_line(void)
{
    char text[8192];
    const size_t len = next_write(text, sizeof text);
    assert_true(len > 0);
    assert_int_equal(text[len - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    json_error_t error;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (line == NULL)
        fail_msg("%s: %s", error.text, text);
    assert_int_equal(json_object_size(line), 5);
    return line;
}

static const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    assert_non_null(text);
    return text;
}

static void expect_message(const char *message)
{
    json_t *line = next_line();
    assert_string_equal(text_of(line, "message"), message);
    json_decref(line);
}

static void test_json(void **state)
{
    (void)state;
    capture();
    struct logger *l = logger_new(3, LOG_DEBUG);
    const time_t before = time(NULL);
    logger_log(l, LOG_WARNING, "journal", "cut at %d of %s", 8192, "x");
    const time_t after = time(NULL);
    logger_free(l);
    restore();
    json_t *line = next_line();
    assert_string_equal(text_of(line, "level"), "warning");
    assert_string_equal(text_of(line, "part"), "journal");
    assert_string_equal(text_of(line, "message"), "cut at 8192 of x");
    assert_int_equal(json_integer_value(json_object_get(line, "node")), 3);
    struct tm tm = {0};
    const char *rest = strptime(text_of(line, "time"), "%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(rest);
    assert_true(rest[0] == '.' && strlen(rest) == 5 && rest[4] == 'Z');
    assert_in_range(timegm(&tm), before, after);
    json_decref(line);
    close(lines);
}

static void test_level(void **state)
{
    (void)state;
    char text[1024];
    capture();
    struct logger *l = logger_new(0, LOG_WARNING);
    logger_log(l, LOG_INFO, "p", "no");
    logger_log(l, LOG_DEBUG, "p", "no");
    logger_log(l, LOG_WARNING, "p", "yes");
    logger_log(l, LOG_ERROR, "p", "too");
    logger_free(l);
    l = logger_new(0, UINT32_MAX);
    logger_log(l, 17, "p", "no such level");
    logger_free(l);
    restore();
    expect_message("yes");
    expect_message("too");
    assert_int_equal(next_write(text, sizeof text), 0);
    close(lines);
}

static void test_any_bytes(void **state)
{
    (void)state;
    char big[5000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    capture();
    struct logger *l = logger_new(1, LOG_DEBUG);
    logger_log(l, LOG_INFO, "p", "%s", "\"quoted\\\" \n\t\x01\x1b[31m h\xc3\xa9");
    logger_log(l, LOG_INFO, "p", "%s", "not UTF-8: \xff\xc3(");
    logger_log(l, LOG_INFO, "p", "%s", "");
    logger_log(l, LOG_INFO, "p", "%s", big);
    logger_free(l);
    restore();
    expect_message("\"quoted\\\" \n\t\x01\x1b[31m h\xc3\xa9");
    expect_message("not UTF-8: ?"
                   "?(");
    expect_message("");
    json_t *line = next_line();
    assert_int_equal(strlen(text_of(line, "message")), 2047); /* cut, not lost */
    json_decref(line);
    close(lines);
}

enum { THREADS = 4, EACH = 50 };

static void *log_many(void *argument)
{
    for (int i = 0; i < EACH; i++)
        logger_log(argument, LOG_DEBUG, "thread", "line %d", i);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    capture();
    struct logger *l = logger_new(1, LOG_DEBUG);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, l), 0);
    for (int i = 0; i < THREADS * EACH; i++) {
        char text[8192];
        ssize_t n = recv(lines, text, sizeof text - 1, 0);
        assert_true(n > 0 && text[n - 1] == '\n');
        text[n] = '\0';
        json_t *line = json_loads(text, 0, NULL);
        assert_non_null(line);
        json_decref(line);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    logger_free(l);
    restore();
    close(lines);
}

/* The log is not read: the line is lost, the program is not. */
static void test_closed_output(void **state)
{
    (void)state;
    const int keep = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    struct logger *l = logger_new(1, LOG_INFO);
    logger_log(l, LOG_ERROR, "p", "lost");
    logger_free(l);
    logger_flush(PATIENCE_MS);
    assert_int_equal(dup2(keep, STDERR_FILENO), STDERR_FILENO);
    close(keep);
}

static void test_terminal(void **state)
{
    (void)state;
    char text[4096];
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        skip();
    int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    const int keep = dup(STDERR_FILENO);
    assert_true(dup2(slave, STDERR_FILENO) >= 0);
    struct logger *l = logger_new(7, LOG_INFO), *process = logger_new(0, LOG_INFO);
    logger_log(l, LOG_ERROR, "network", "forged\nline \033[2J %d", 5);
    logger_log(process, LOG_INFO, "start", "hello");
    logger_free(l);
    logger_free(process);
    logger_flush(PATIENCE_MS);
    dup2(keep, STDERR_FILENO);
    close(keep);
    size_t len = 0;
    text[0] = '\0';
    while (strstr(text, "hello\r\n") == NULL) {
        ssize_t n = read(terminal, text + len, sizeof text - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        text[len] = '\0';
    }
    /* "12:34:56.789 " first, then: */
    static const char first[] = " \033[31merror  \033[0m node 7   network: forged line  [2J 5\r\n";
    assert_true(len > 12 + sizeof first);
    assert_memory_equal(text + 12, first, sizeof first - 1);
    assert_non_null(strstr(text, " info    process  start: hello\r\n"));
    close(slave);
    close(terminal);
}

/* ---- a reader that is too slow, or has stopped ---- */

enum { FLOOD_THREADS = 4, FLOOD_EACH = 10000 };

static void *log_flood(void *argument)
{
    for (int i = 0; i < FLOOD_EACH; i++)
        logger_log(argument, LOG_DEBUG, "flood", "%ld line %d", (long)pthread_self() % 1000000, i);
    return NULL;
}

/* Reads lines from a pipe until so many were written or are said to be missing. Returns how many were written. */
static uint64_t read_lines(int from, uint64_t logged)
{
    char text[8192];
    uint64_t dropped = 0, written = 0, here;
    FILE *in = fdopen(from, "r");
    while (written + dropped < logged && fgets(text, sizeof text, in) != NULL) {
        json_t *line = json_loads(text, 0, NULL);
        if (line == NULL)
            fail_msg("no line: %s", text);
        if (strcmp(text_of(line, "part"), "log") == 0 &&
            sscanf(text_of(line, "message"), "%" SCNu64 " lines dropped", &here) == 1)
            dropped += here;
        else
            written++;
        json_decref(line);
    }
    assert_int_equal(written + dropped, logged);
    fclose(in);
    return written;
}

/* The log is not read, and the program goes on. Then it is read, and each line was written completely or is counted. */
static void test_stopped_reader(void **state)
{
    (void)state;
    pthread_t threads[FLOOD_THREADS];
    int ends[2];
    saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    struct logger *l = logger_new(1, LOG_DEBUG);
    for (int i = 0; i < FLOOD_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_flood, l), 0);
    for (int i = 0; i < FLOOD_THREADS; i++)
        pthread_join(threads[i], NULL);
    logger_flush(50); /* returns although the log is not read */
    assert_true(read_lines(ends[0], FLOOD_THREADS * FLOOD_EACH) < FLOOD_THREADS * FLOOD_EACH);
    logger_free(l);
    restore();
}

/* A flood of one kind: some lines, and how many more there were. */
static void test_too_many_of_a_kind(void **state)
{
    (void)state;
    enum { FLOOD = 1000 };
    char text[8192];
    unsigned long long sum = 0, withheld;
    capture();
    struct logger *l = logger_new(4, LOG_INFO);
    for (int i = 0; i < FLOOD; i++)
        logger_log(l, LOG_WARNING, "network", "closed the connection from 10.0.0.%d port %d: no frame", i % 256, 40000 + i);
    logger_free(l);
    restore();
    unsigned written = 0;
    for (; sum < FLOOD; written++) {
        json_t *line = next_line();
        const bool tells = sscanf(text_of(line, "message"), "%llu more like this one", &withheld) == 1;
        sum += tells ? withheld : 1;
        assert_int_equal(json_integer_value(json_object_get(line, "node")), 4);
        assert_string_equal(text_of(line, "level"), "warning");
        assert_string_equal(text_of(line, "part"), "network");
        json_decref(line);
    }
    assert_int_equal(sum, FLOOD);
    assert_in_range(written, LOG_LIMIT_LINES + 1, FLOOD / 2);
    assert_int_equal(next_write(text, sizeof text), 0);
    close(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),           cmocka_unit_test(test_level),
        cmocka_unit_test(test_any_bytes),      cmocka_unit_test(test_threads),
        cmocka_unit_test(test_closed_output),  cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_stopped_reader), cmocka_unit_test(test_too_many_of_a_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
