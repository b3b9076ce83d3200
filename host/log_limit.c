#include "host/log_limit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/base/checksum.h"
#include "io/logger.h"

/* What is the same in all lines of a kind. Returns its length, at most that of the text. */
static size_t shape_of(const char *text, char *out)
{
    size_t len = 0;
    while (*text != '\0') {
        const size_t spaces = strspn(text, " "), word = strcspn(text + spaces, " ");
        bool digit = false;
        for (size_t i = 0; i < word; i++)
            digit = digit || isdigit((unsigned char)text[spaces + i]);
        if (!digit) {
            memcpy(out + len, text, spaces + word);
            len += spaces + word;
        }
        text += spaces + word;
    }
    return len;
}

static uint64_t key_of(const struct log_line *line)
{
    char shape[LOG_TEXT_MAX];
    uint64_t key = checksum(line->part, strlen(line->part), (uint64_t)line->node << 8 | line->level);
    return checksum(shape, shape_of(line->text, shape), key);
}

static bool is_over(const struct log_kind *k, uint64_t now) { return now >= k->until && k->withheld == 0; }

/* The kind of that key; one that is not in use, made one of that key; the one that all others share. */
static struct log_kind *find(struct log_limit *l, uint64_t key, uint64_t now)
{
    struct log_kind *unused = NULL;
    for (size_t i = 1; i < LOG_LIMIT_KINDS; i++) {
        struct log_kind *k = &l->kinds[i];
        if (k->until != 0 && k->key == key)
            return k;
        if (unused == NULL && is_over(k, now))
            unused = k;
    }
    if (unused == NULL)
        return &l->kinds[0];
    *unused = (struct log_kind){.key = key};
    return unused;
}

static void withhold(struct log_kind *k, const struct log_line *line)
{
    k->withheld++;
    k->node = line->node;
    k->level = line->level;
    k->part = line->part;
    snprintf(k->text, sizeof k->text, "%.*s", (int)sizeof k->text - 1, line->text);
}

bool log_limit_pass(struct log_limit *l, const struct log_line *line, uint64_t now)
{
    if (line->level >= LOG_DEBUG)
        return true;
    struct log_kind *k = find(l, key_of(line), now);
    if (is_over(k, now)) {
        k->window = LOG_LIMIT_WINDOW_US;
        k->until = now + k->window;
        k->passed = 0;
    }
    if (k->passed < LOG_LIMIT_LINES) {
        k->passed++;
        return true;
    }
    withhold(k, line);
    return false;
}

uint64_t log_limit_next(const struct log_limit *l)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < LOG_LIMIT_KINDS; i++)
        if (l->kinds[i].withheld > 0 && l->kinds[i].until < next)
            next = l->kinds[i].until;
    return next;
}

bool log_limit_tell(struct log_limit *l, uint64_t now, struct log_line *out)
{
    struct log_kind *k = l->kinds;
    while (k < l->kinds + LOG_LIMIT_KINDS && (k->withheld == 0 || now < k->until))
        k++;
    if (k == l->kinds + LOG_LIMIT_KINDS)
        return false;
    out->node = k->node;
    out->level = k->level;
    out->part = k->part;
    snprintf(out->text, sizeof out->text, "%llu more like this one are not logged (of the last %llu s): %s",
             (unsigned long long)k->withheld, (unsigned long long)k->window / 1000000, k->text);
    k->withheld = 0;
    k->passed = 0;
    k->window = k->window < LOG_LIMIT_WINDOW_MAX_US / 2 ? 2 * k->window : LOG_LIMIT_WINDOW_MAX_US;
    k->until += k->window;
    return true;
}
