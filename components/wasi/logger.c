/* io/logger.h by `interface logger` of wit/io.wit. The host decides where and how a line is written. The part that logs is
 * in the text: "network: cannot reach node 2 ...". */
#include "io/logger.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "world.h"

enum { MESSAGE_MAX = 2048 };

struct logger {
    uint32_t level;
};

struct logger *logger_new(uint32_t node, uint32_t level)
{
    struct logger *l = memory_new(1, sizeof *l);
    (void)node; /* the host knows */
    l->level = level;
    return l;
}

void logger_free(struct logger *l) { free(l); }

/* How many bytes the character that begins at `at` has; 0: none begins there. */
static size_t character_len(const uint8_t *at, size_t available)
{
    uint8_t first = at[0];
    size_t len = first < 0x80                     ? 1
                 : first >= 0xc2 && first <= 0xdf ? 2
                 : (first & 0xf0) == 0xe0         ? 3
                 : (first & 0xf8) == 0xf0         ? 4
                                                  : 0;
    if (len < 2 || len > available)
        return len <= available ? len : 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than necessary, half of a pair, or beyond the last character. */
    bool bad = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) || (first == 0xf0 && at[1] < 0x90) ||
               (first == 0xf4 && at[1] > 0x8f) || first > 0xf4;
    return bad ? 0 : len;
}

/* A string that is not UTF-8 traps, so other bytes become '?'. */
static void make_valid(uint8_t *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t character = character_len(text + at, len - at);
        if (character == 0)
            text[at] = '?';
        at += character == 0 ? 1 : character;
    }
}

void logger_log(struct logger *l, uint32_t level, const char *part, const char *format, ...)
{
    char message[MESSAGE_MAX];
    if (level > l->level)
        return;
    int len = snprintf(message, sizeof message, "%s: ", part);
    va_list args;
    va_start(args, format);
    len += vsnprintf(message + len, sizeof message - (size_t)len, format, args);
    va_end(args);
    size_t size = (size_t)len < sizeof message ? (size_t)len : sizeof message - 1;
    make_valid((uint8_t *)message, size);
    wasi_library_string_t text = {(uint8_t *)message, size};
    synod_paxos_logger_log(level, &text);
}
