/* ExactlyOnce (P21): no command of a session is executed twice, and a client that has an answer has the first reply. */
#include <inttypes.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/command.h"
#include "sim/checks_internal.h"

static int compare(const void *left, const void *right)
{
    const struct session_answer *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* Whether an operation was answered with this reply. Of a long value the history has only the beginning. */
static bool is_answer(const struct operation *o, const struct session_answer *a)
{
    switch (a->tag) {
    case REPLY_INTEGER:
        return o->answer == NULL && o->integer == a->integer;
    case REPLY_NIL:
        return o->nil;
    case REPLY_STATUS:
        return o->answer == NULL && operation_sets(o->kind);
    case REPLY_BYTES:
        if (o->answer == NULL || o->answer_len > a->len)
            return false;
        if (o->answer_len == a->len)
            return checksum(o->answer, a->len, 0) == a->hash;
        return o->answer_len <= sizeof a->begin && memcmp(o->answer, a->begin, o->answer_len) == 0;
    default:
        return false;
    }
}

static void judge(struct checks *c, const struct operation *o, const struct session_answer *sorted, size_t count)
{
    const struct session_answer wanted = {.id = o->session, .number = o->number};
    if (o->session == 0 || o->outcome != OPERATION_OK)
        return;
    const struct session_answer *a = count > 0 ? bsearch(&wanted, sorted, count, sizeof *sorted, compare) : NULL;
    if (a == NULL)
        checks_fail(c, CHECK_EXACTLY_ONCE, "command %" PRIu64 " of session %" PRIu64 " was answered, and never executed",
                    o->number, o->session);
    else if (!is_answer(o, a))
        checks_fail(c, CHECK_EXACTLY_ONCE, "command %" PRIu64 " of session %" PRIu64 " was answered with another reply",
                    o->number, o->session);
}

size_t checks_sessions(const struct checks *c)
{
    return c->reference != NULL ? reference_sessions_open_now(c->reference) : 0;
}

void checks_history(struct checks *c, const struct history *h)
{
    size_t count;
    if (c->reference == NULL)
        return;
    c->reached[REACHED_SESSION_ENDED] = reference_sessions_ended(c->reference);
    const struct session_answer *answers = reference_answers(c->reference, &count);
    struct session_answer *sorted = memory_new(count, sizeof *sorted);
    if (count > 0)
        memcpy(sorted, answers, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; i < count; i++)
        if (compare(&sorted[i - 1], &sorted[i]) == 0)
            checks_fail(c, CHECK_EXACTLY_ONCE, "command %" PRIu64 " of session %" PRIu64 " was executed twice",
                        sorted[i].number, sorted[i].id);
    for (size_t i = 0; i < history_count(h); i++)
        judge(c, history_get(h, i), sorted, count);
    free(sorted);
}
