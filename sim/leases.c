#include "sim/leases.h"

#include <inttypes.h>
#include <string.h>

enum { US_A_MS = 1000, MILLION = 1000000, FOREVER = -1, NOTHING = -2 };

struct judged {
    const struct operation *const *operations;
    size_t count;
    struct lease_clocks clocks;
};

static bool is_before(const struct operation *a, const struct operation *b) { return a->return_us < b->call_us; }

static bool found_nothing(const struct operation *o)
{
    return o->outcome == OPERATION_OK &&
           ((o->kind == OPERATION_GET && o->nil) || (o->kind == OPERATION_PTTL && o->integer == NOTHING));
}

/* Whether it may have written or removed something. */
static bool may_change(const struct operation *o)
{
    return o->outcome != OPERATION_REFUSED && (o->kind == OPERATION_LEASE || o->kind == OPERATION_DEL);
}

/* The most agreed time that can have passed between two operations. */
static uint64_t passed_us(const struct judged *j, const struct operation *from, const struct operation *to)
{
    const uint64_t us = to->return_us - from->call_us;
    return us + us / MILLION * j->clocks.drift_max + us % MILLION * j->clocks.drift_max / MILLION + j->clocks.leapt_us;
}

/* Whether nothing but the passing of time can have changed what `made` has made, when `read` looks at it. */
static bool is_alone(const struct judged *j, const struct operation *made, const struct operation *read)
{
    bool alone = made->outcome == OPERATION_OK && is_before(made, read);
    for (size_t i = 0; i < j->count && alone; i++) {
        const struct operation *o = j->operations[i];
        alone = o == made || !may_change(o) || is_before(o, made) || is_before(read, o);
    }
    return alone;
}

/* The lease that `read` must be about; NULL: it may be one of several, or gone. */
static const struct operation *lease_of(const struct judged *j, const struct operation *read)
{
    for (size_t i = 0; i < j->count; i++)
        if (j->operations[i]->kind == OPERATION_LEASE && is_alone(j, j->operations[i], read))
            return j->operations[i];
    return NULL;
}

static const struct operation *writer_of(const struct judged *j, const struct operation *read)
{
    for (size_t i = 0; i < j->count; i++) {
        const struct operation *o = j->operations[i];
        if (o->kind == OPERATION_LEASE && strlen(o->value) == read->answer_len &&
            memcmp(o->value, read->answer, read->answer_len) == 0)
            return o;
    }
    return NULL;
}

static bool may_have_persisted(const struct judged *j, const struct operation *read)
{
    for (size_t i = 0; i < j->count; i++) {
        const struct operation *o = j->operations[i];
        if (o->kind == OPERATION_PERSIST && o->outcome != OPERATION_REFUSED && !is_before(read, o))
            return true;
    }
    return false;
}

/* Something that was over before `read` began, though what it reads was there before that. */
static const struct operation *end_of(const struct judged *j, const struct operation *made, const struct operation *read)
{
    for (size_t i = 0; i < j->count; i++) {
        const struct operation *o = j->operations[i];
        const bool ends = found_nothing(o) || (may_change(o) && o->outcome == OPERATION_OK);
        if (o != made && ends && is_before(made, o) && is_before(o, read))
            return o;
    }
    return NULL;
}

/* NULL, or what is wrong with what was read. `*other` is what does not fit with it. */
static const char *judge_read(const struct judged *j, const struct operation *read, const struct operation **other)
{
    const struct operation *lease = *other = lease_of(j, read);
    if (found_nothing(read))
        return lease != NULL && passed_us(j, lease, read) < (uint64_t)lease->ms * US_A_MS ? "it is gone too early" : NULL;
    if (read->kind == OPERATION_GET) {
        const struct operation *writer = *other = writer_of(j, read);
        if (writer == NULL || writer->outcome == OPERATION_REFUSED || is_before(read, writer))
            return "it was not written";
        *other = end_of(j, writer, read);
        return *other != NULL ? "it comes back" : NULL;
    }
    if (read->integer == FOREVER)
        return may_have_persisted(j, read) ? NULL : "it does not end";
    if (lease == NULL)
        return NULL;
    if (read->integer < 0 || read->integer > lease->ms)
        return "it lasts too long";
    return (uint64_t)read->integer * US_A_MS + passed_us(j, lease, read) < ((uint64_t)lease->ms - 1) * US_A_MS
               ? "too little is left of it"
               : NULL;
}

static void explain(const struct operation *read, const struct operation *other, const char *wrong, char *why, size_t size)
{
    const int len = snprintf(
        why, size, "lease k%" PRIu32 ": %s: client %" PRIu32 " reads \"%s\" %" PRId64 " at [%" PRIu64 " us, %" PRIu64 " us]",
        read->key, wrong, read->client, read->answer != NULL ? read->answer : "nil", read->integer, read->call_us,
        read->return_us);
    if (other != NULL && len > 0 && (size_t)len < size)
        snprintf(why + len, size - (size_t)len, "; %s %s, for %" PRIu32 " ms, at [%" PRIu64 " us, %" PRIu64 " us]",
                 other->kind == OPERATION_LEASE ? "set" : "ended", other->value, other->ms, other->call_us,
                 other->return_us);
}

bool judge_lease(const struct operation *const *operations, size_t count, struct lease_clocks clocks, char *why,
                 size_t why_size)
{
    const struct judged j = {operations, count, clocks};
    for (size_t i = 0; i < count; i++) {
        const struct operation *read = operations[i], *other;
        if (read->outcome != OPERATION_OK || !operation_reads(read->kind))
            continue;
        const char *wrong = judge_read(&j, read, &other);
        if (wrong == NULL)
            continue;
        explain(read, other, wrong, why, why_size);
        return false;
    }
    return true;
}
