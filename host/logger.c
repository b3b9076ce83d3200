/* Log lines. On a terminal:
 *
 *   12:34:56.789 info    node 3  journal: cut a torn tail at 8192
 *
 * otherwise one JSON object a line:
 *
 *   {"time":"2025-01-31T12:34:56.789Z","level":"info","node":3,"part":"journal","message":"cut a torn tail at 8192"}
 *
 * A line is one write(), so lines of processes that share standard error do not mix.
 *
 * 1. Logging never waits. The reader of standard error may have stopped (a full pipe, a terminal after Ctrl-S), and write()
 *    waits for them. So lines go into a queue of QUEUE_BYTES, and one thread of the process, which does nothing else,
 *    writes them. The lock is held while bytes are copied, never during a system call that can wait.
 * 2. A line that finds no room is dropped and counted. The count is written as soon as there is room again, at the place
 *    where the lines are missing.
 * 3. Lines that are too many of a kind (host/log_limit.h) do not get that far.
 * 4. Before the process ends, logger_flush is called, which waits for a bounded time. */
#include "host/logger.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "host/log_limit.h"

enum { QUEUE_BYTES = 256 << 10 };

/* Immutable after logger_new: that is what makes it safe from any thread. */
struct logger {
    uint32_t node;
    uint32_t level;
};

/* A line in the queue; its text follows. */
struct queued {
    struct timespec at;
    uint64_t dropped; /* lines between the one before and this one */
    const char *part;
    uint32_t node, level, len;
};

/* The only one of the process. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wanted, idle; /* there is something to do; there is nothing left to do */
    bool started, writing, flushing;
    uint64_t dropped;  /* since the last line that was queued */
    uint64_t wakes_at; /* when the thread looks at the queue by itself */
    size_t head, len;  /* the oldest byte; how many */
    struct log_limit limit;
    uint8_t bytes[QUEUE_BYTES];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const level_colours[] = {"\033[31m", "\033[33m", "", "\033[2m"};

/* ---- Writing ---- */

/* Writes all of it, unless standard error is gone: then there is no place to say so. */
static void write_line(const char *line, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDERR_FILENO, line + done, len - done);
        if (n < 0 && errno == EAGAIN) { /* another user of it does not want to wait */
            struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
            poll(&writable, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return;
        }
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Replaces control characters: a message must not forge lines, nor steer a terminal. */
static void make_plain(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

static void write_terminal(struct log_line *l, const struct timespec *at)
{
    char line[LOG_TEXT_MAX + 256], node[32] = "process";
    struct tm tm;
    localtime_r(&at->tv_sec, &tm);
    make_plain(l->text);
    if (l->node != 0)
        snprintf(node, sizeof node, "node %u", l->node);
    const char *colour = level_colours[l->level];
    int len = snprintf(line, sizeof line, "%02d:%02d:%02d.%03d %s%-7s%s %-7s  %s: %s\n", tm.tm_hour, tm.tm_min, tm.tm_sec,
                       (int)(at->tv_nsec / 1000000), colour, level_names[l->level], colour[0] != '\0' ? "\033[0m" : "", node,
                       l->part, l->text);
    write_line(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

/* JSON is UTF-8: bytes that are not become '?'. */
static json_t *json_text(char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(text);
}

static void write_json(struct log_line *l, const struct timespec *at)
{
    char time[64];
    struct tm tm;
    gmtime_r(&at->tv_sec, &tm);
    size_t len = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(time + len, sizeof time - len, ".%03dZ", (int)(at->tv_nsec / 1000000));
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:o}", "time", time, "level", level_names[l->level], "node",
                               (json_int_t)l->node, "part", l->part, "message", json_text(l->text));
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text != NULL) { /* otherwise there is no memory for it */
        len = strlen(text);
        text[len] = '\n'; /* over the terminating zero: exactly one line to write */
        write_line(text, len + 1);
    }
    free(text);
    json_decref(object);
}

static void write_out(struct log_line *line, const struct timespec *at)
{
    if (isatty(STDERR_FILENO) == 1)
        write_terminal(line, at);
    else
        write_json(line, at);
}

static void write_dropped(uint64_t dropped, const struct timespec *at)
{
    static struct log_line line; /* large, and the thread's alone */
    line = (struct log_line){.level = LOG_WARNING, .part = "log"};
    snprintf(line.text, sizeof line.text, "%llu lines dropped: they came faster than they were read",
             (unsigned long long)dropped);
    write_out(&line, at);
}

/* ---- The queue. All of it under its lock ---- */

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void put_bytes(const void *from, size_t len)
{
    const size_t at = (queue.head + queue.len) % QUEUE_BYTES, first = len < QUEUE_BYTES - at ? len : QUEUE_BYTES - at;
    memcpy(queue.bytes + at, from, first);
    memcpy(queue.bytes, (const uint8_t *)from + first, len - first);
    queue.len += len;
}

static void take_bytes(void *to, size_t len)
{
    const size_t first = len < QUEUE_BYTES - queue.head ? len : QUEUE_BYTES - queue.head;
    memcpy(to, queue.bytes + queue.head, first);
    memcpy((uint8_t *)to + first, queue.bytes, len - first);
    queue.head = (queue.head + len) % QUEUE_BYTES;
    queue.len -= len;
}

static void put(const struct log_line *line, const struct timespec *at)
{
    struct queued head = {*at, queue.dropped, line->part, line->node, line->level, (uint32_t)strlen(line->text)};
    if (queue.len + sizeof head + head.len > QUEUE_BYTES) {
        queue.dropped++;
        return;
    }
    queue.dropped = 0;
    put_bytes(&head, sizeof head);
    put_bytes(line->text, head.len);
    pthread_cond_signal(&queue.wanted);
}

/* What is to be written next: a number of dropped lines, or a line (its part is not NULL), or both in this order. False:
 * nothing. */
static bool take(struct log_line *line, struct timespec *at, uint64_t *dropped)
{
    struct queued head = {0};
    if (queue.len > 0) {
        take_bytes(&head, sizeof head);
        take_bytes(line->text, head.len);
        line->text[head.len] = '\0';
        line->node = head.node;
        line->level = head.level;
        line->part = head.part;
        *at = head.at;
        *dropped = head.dropped;
        return true;
    }
    line->part = NULL;
    clock_gettime(CLOCK_REALTIME, at);
    *dropped = queue.dropped;
    queue.dropped = 0;
    return log_limit_tell(&queue.limit, queue.flushing ? UINT64_MAX : now_us(), line) || *dropped > 0;
}

/* ---- The thread ---- */

static void wait_until(pthread_cond_t *changed, uint64_t time_us)
{
    if (time_us == UINT64_MAX) {
        pthread_cond_wait(changed, &queue.lock);
        return;
    }
    const struct timespec until = {.tv_sec = (time_t)(time_us / 1000000), .tv_nsec = (long)(time_us % 1000000) * 1000};
    pthread_cond_timedwait(changed, &queue.lock, &until);
}

static void *writer(void *argument)
{
    static struct log_line line; /* large, and the thread's alone */
    struct timespec at;
    uint64_t dropped;
    pthread_mutex_lock(&queue.lock);
    for (;;) {
        while (!take(&line, &at, &dropped)) {
            queue.writing = false;
            pthread_cond_broadcast(&queue.idle);
            queue.wakes_at = log_limit_next(&queue.limit);
            wait_until(&queue.wanted, queue.wakes_at);
        }
        queue.writing = true;
        pthread_mutex_unlock(&queue.lock);
        if (dropped > 0)
            write_dropped(dropped, &at);
        if (line.part != NULL)
            write_out(&line, &at);
        pthread_mutex_lock(&queue.lock);
    }
    return argument;
}

static void open_queue(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.wanted, &monotonic);
    pthread_cond_init(&queue.idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool logger_start(struct problem *problem)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_t thread;
    pthread_once(&once, open_queue);
    pthread_mutex_lock(&queue.lock);
    int error = queue.started ? 0 : pthread_create(&thread, NULL, writer, NULL);
    if (error == 0 && !queue.started) {
        pthread_setname_np(thread, "log");
        pthread_detach(thread);
        queue.started = true;
    }
    pthread_mutex_unlock(&queue.lock);
    return error == 0 || problem_set(problem, EXIT_TROUBLE, "cannot start a thread for the log: %s", strerror(error));
}

static bool is_idle(void)
{
    return queue.len == 0 && queue.dropped == 0 && !queue.writing && log_limit_next(&queue.limit) == UINT64_MAX;
}

void logger_flush(uint32_t timeout_ms)
{
    const uint64_t until = now_us() + (uint64_t)timeout_ms * 1000;
    pthread_mutex_lock(&queue.lock);
    queue.flushing = queue.started;
    if (queue.started)
        pthread_cond_signal(&queue.wanted);
    while (queue.started && !is_idle() && now_us() < until)
        wait_until(&queue.idle, until);
    queue.flushing = false;
    pthread_mutex_unlock(&queue.lock);
}

/* ---- The face ---- */

struct logger *logger_new(uint32_t node, uint32_t level)
{
    struct problem problem;
    struct logger *l = memory_new(1, sizeof *l);
    *l = (struct logger){.node = node, .level = level};
    (void)logger_start(&problem); /* a caller that wants to know has called it before */
    return l;
}

void logger_free(struct logger *l) { free(l); }

void logger_log(struct logger *l, uint32_t level, const char *part, const char *format, ...)
{
    if (level > l->level || level > LOG_DEBUG)
        return;
    struct log_line line;
    struct timespec at;
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    line.node = l->node;
    line.level = level;
    line.part = part;
    clock_gettime(CLOCK_REALTIME, &at);
    pthread_mutex_lock(&queue.lock);
    if (log_limit_pass(&queue.limit, &line, now_us()))
        put(&line, &at);
    else if (log_limit_next(&queue.limit) < queue.wakes_at)
        pthread_cond_signal(&queue.wanted);
    pthread_mutex_unlock(&queue.lock);
}
