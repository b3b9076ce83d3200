/* Log lines. On a terminal:
 *
 *   12:34:56.789 info    node 3  journal: cut a torn tail at 8192
 *
 * otherwise one JSON object a line:
 *
 *   {"time":"2025-01-31T12:34:56.789Z","level":"info","node":3,"part":"journal","message":"cut a torn tail at 8192"}
 *
 * A line is one write(), so lines of threads and processes that share standard error do not mix. */
#include "io/logger.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

enum { MESSAGE_MAX = 2048 };

/* Immutable after logger_new: that is what makes it safe from any thread. */
struct logger {
    uint32_t node;
    uint32_t level;
    bool terminal;
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const level_colours[] = {"\033[31m", "\033[33m", "", "\033[2m"};

struct logger *logger_new(uint32_t node, uint32_t level)
{
    struct logger *l = memory_new(1, sizeof *l);
    *l = (struct logger){.node = node, .level = level, .terminal = isatty(STDERR_FILENO) == 1};
    return l;
}

void logger_free(struct logger *l) { free(l); }

static void write_line(const char *line, size_t len)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line, len);
    while (n < 0 && errno == EINTR); /* any other failure: there is nowhere left to say so */
}

/* Replaces control characters: a message must not forge lines, nor steer a terminal. */
static void make_plain(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

static void write_terminal(const struct logger *l, uint32_t level, const char *part, char *message,
                           const struct timespec *now)
{
    char line[MESSAGE_MAX + 256], node[32] = "process";
    struct tm tm;
    localtime_r(&now->tv_sec, &tm);
    make_plain(message);
    if (l->node != 0)
        snprintf(node, sizeof node, "node %u", l->node);
    const char *colour = level_colours[level];
    int len = snprintf(line, sizeof line, "%02d:%02d:%02d.%03d %s%-7s%s %-7s  %s: %s\n", tm.tm_hour, tm.tm_min, tm.tm_sec,
                       (int)(now->tv_nsec / 1000000), colour, level_names[level], colour[0] != '\0' ? "\033[0m" : "", node,
                       part, message);
    write_line(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

/* JSON is UTF-8: bytes that are not become '?'. */
static json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *copy = strdup(text);
    invariant(copy != NULL);
    for (char *p = copy; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static void write_json(const struct logger *l, uint32_t level, const char *part, const char *message,
                       const struct timespec *now)
{
    char time[64];
    struct tm tm;
    gmtime_r(&now->tv_sec, &tm);
    size_t len = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(time + len, sizeof time - len, ".%03dZ", (int)(now->tv_nsec / 1000000));
    json_t *object = json_pack("{s:s, s:s, s:I, s:o, s:o}", "time", time, "level", level_names[level], "node",
                               (json_int_t)l->node, "part", json_text(part), "message", json_text(message));
    invariant(object != NULL);
    char *text = json_dumps(object, JSON_COMPACT);
    invariant(text != NULL);
    len = strlen(text);
    text[len] = '\n'; /* over the terminating zero: exactly one line to write */
    write_line(text, len + 1);
    free(text);
    json_decref(object);
}

void logger_log(struct logger *l, uint32_t level, const char *part, const char *format, ...)
{
    if (level > l->level || level > LOG_DEBUG)
        return;
    char message[MESSAGE_MAX];
    struct timespec now;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    if (l->terminal)
        write_terminal(l, level, part, message, &now);
    else
        write_json(l, level, part, message, &now);
}
