/* Which log lines are too many of their kind.
 *
 * Lines are of one kind when node, level, part and text are the same, where each word of the text that has a digit in it
 * (addresses, ports, slots, counts) counts for nothing. Of each kind LOG_LIMIT_LINES are let through in a window of time;
 * the others are counted, and told of in one line when the window ends. The first window lasts a second. While a flood goes
 * on each window is twice as long as the one before, up to a minute. There is room for so many kinds; when all are in use,
 * further ones share a window. Lines of level debug are not limited: an operator who asks for them wants them all. */
#ifndef SYNOD_HOST_LOG_LIMIT_H
#define SYNOD_HOST_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_LIMIT_LINES = 20,
    LOG_LIMIT_KINDS = 64,
    LOG_LIMIT_WINDOW_US = 1000 * 1000,
    LOG_LIMIT_WINDOW_MAX_US = 64 * 1000 * 1000,
    LOG_TEXT_MAX = 2048,
};

/* One line. `part` is a literal. */
struct log_line {
    uint32_t node, level;
    const char *part;
    char text[LOG_TEXT_MAX];
};

struct log_kind {
    uint64_t key, window, until; /* microseconds */
    uint64_t withheld;
    uint32_t passed;
    uint32_t node, level; /* those of the last one withheld, as are part and text */
    const char *part;
    char text[256];
};

/* All zeros at first. The caller's lock guards it. */
struct log_limit {
    struct log_kind kinds[LOG_LIMIT_KINDS]; /* the first one is shared by those that find no room */
};

/* Whether the line may be written; it is counted if not. `now`: microseconds of a clock that is never set. */
bool log_limit_pass(struct log_limit *l, const struct log_line *line, uint64_t now);

/* When the next window ends of which there is something to tell. UINT64_MAX: there is none. */
uint64_t log_limit_next(const struct log_limit *l);

/* Takes what is to be told of a window that has ended by `now`. False: nothing. */
bool log_limit_tell(struct log_limit *l, uint64_t now, struct log_line *out);

#endif
