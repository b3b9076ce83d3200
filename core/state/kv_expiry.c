/* The commands on the time of keys, with Redis' semantics and words. */
#include "core/state/kv_expiry.h"
#include "core/state/kv_events.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

const struct kv_unit kv_seconds = {"ex", 1000, false}, kv_milliseconds = {"px", 1, false};
static const struct kv_unit absolute_seconds = {"exat", 1000, true}, absolute_milliseconds = {"pxat", 1, true};

bool kv_read_lifetime(const struct bytes *args, size_t argc, size_t *i, struct kv_lifetime *l)
{
    static const struct kv_unit *const units[] = {&kv_seconds, &kv_milliseconds, &absolute_seconds, &absolute_milliseconds};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        if (!kv_word(&args[*i], units[u]->word))
            continue;
        if (*i + 1 >= argc || (l->unit != NULL && l->unit != units[u]))
            return false;
        *l = (struct kv_lifetime){units[u], &args[++*i]};
        return true;
    }
    return false;
}

/* ---- Times of the wall clock ---- */

static int64_t at_most_int64(uint64_t value) { return value < INT64_MAX ? (int64_t)value : INT64_MAX; }

static int64_t wall_clock(const struct state_machine *m) { return at_most_int64(m->now.unix); }

/* The time after so many units, in milliseconds. */
static bool add_units(const struct state_machine *m, const struct kv_unit *unit, int64_t units, const char *invalid,
                      int64_t *when, struct reply *r)
{
    const int64_t from = unit->absolute ? 0 : wall_clock(m);
    if (!__builtin_mul_overflow(units, unit->ms, when) && !__builtin_add_overflow(*when, from, when))
        return true;
    reply_error(r, invalid);
    return false;
}

bool kv_deadline(const struct state_machine *m, const struct kv_lifetime *l, const char *invalid, int64_t *when,
                 struct reply *r)
{
    int64_t units;
    if (!kv_integer(l->number, &units, r))
        return false;
    if (units > 0)
        return add_units(m, l->unit, units, invalid, when, r);
    reply_error(r, invalid);
    return false;
}

bool kv_has_passed(const struct state_machine *m, int64_t when) { return when < wall_clock(m); }

void kv_end_at(struct state_machine *m, struct bytes key, int64_t when)
{
    uint64_t until;
    invariant(!kv_has_passed(m, when));
    if (__builtin_add_overflow(m->now.elapsed, (uint64_t)(when - wall_clock(m)), &until) || until == KV_FOREVER)
        until = KV_FOREVER - 1;
    kv_versions_set_until(&m->data, key, until);
}

/* ---- EXPIRE ---- */

struct conditions {
    bool if_none, if_some, if_later, if_sooner;
};

static void unsupported_option(struct state_machine *m, const struct bytes *option, struct reply *r)
{
    static const char begin[] = "ERR Unsupported option ";
    const struct bytes size = {.len = sizeof begin + option->len};
    if (!kv_has_room(m, scalar_size(REPLY_ERROR, &size), r))
        return;
    struct bytes text = {arena_new(&m->results, size.len), sizeof begin - 1};
    memcpy(text.ptr, begin, text.len);
    for (size_t i = 0; i < option->len && option->ptr[i] != 0; i++)
        text.ptr[text.len++] = option->ptr[i] == '\r' || option->ptr[i] == '\n' ? ' ' : option->ptr[i];
    r->tag = REPLY_ERROR;
    r->val.bytes = text;
}

static bool read_conditions(struct state_machine *m, const struct bytes *args, size_t argc, struct conditions *c,
                            struct reply *r)
{
    *c = (struct conditions){.if_none = false};
    for (size_t i = 3; i < argc; i++) {
        bool *said = kv_word(&args[i], "nx")   ? &c->if_none
                     : kv_word(&args[i], "xx") ? &c->if_some
                     : kv_word(&args[i], "gt") ? &c->if_later
                     : kv_word(&args[i], "lt") ? &c->if_sooner
                                               : NULL;
        if (said == NULL) {
            unsupported_option(m, &args[i], r);
            return false;
        }
        *said = true;
    }
    if (c->if_none && (c->if_some || c->if_later || c->if_sooner))
        reply_error(r, "ERR NX and XX, GT or LT options at the same time are not compatible");
    else if (c->if_later && c->if_sooner)
        reply_error(r, "ERR GT and LT options at the same time are not compatible");
    else
        return true;
    return false;
}

/* When an entry ends, by the wall clock, in milliseconds. Precondition: it has a time, and is not over. */
static int64_t deadline_of(const struct state_machine *m, const struct kv_entry *e)
{
    const uint64_t left = kv_versions_until(&m->data, e) - m->now.elapsed;
    const uint64_t most = INT64_MAX - (uint64_t)wall_clock(m);
    return wall_clock(m) + (int64_t)(left < most ? left : most);
}

/* Whether a key may end at `when` instead of what it has. One without a time ends later than any other. */
static bool is_wanted(const struct state_machine *m, const struct kv_entry *e, int64_t when, const struct conditions *c)
{
    if (!e->timed)
        return !c->if_some && !c->if_later;
    const int64_t now = deadline_of(m, e);
    return !c->if_none && (!c->if_later || when > now) && (!c->if_sooner || when < now);
}

static void expire(struct state_machine *m, const struct bytes *args, size_t argc, const struct kv_unit *unit,
                   const char *invalid, struct reply *r)
{
    struct conditions c;
    int64_t units, when;
    if (!read_conditions(m, args, argc, &c, r) || !kv_integer(&args[2], &units, r) ||
        !add_units(m, unit, units, invalid, &when, r))
        return;
    const struct kv_entry *e = kv_find(m, args[1]);
    reply_integer(r, e != NULL && is_wanted(m, e, when, &c) ? 1 : 0);
    if (r->val.integer == 0)
        return;
    if (when <= wall_clock(m)) {
        kv_remove_key(m, args[1]);
    } else if (kv_may_store_timed(m, &args[1], e->value_len, r)) {
        kv_end_at(m, args[1], when);
        kv_event(m, KEY_EVENT_GENERIC, "expire", args[1]);
    }
}

void kv_expire(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    expire(m, args, argc, &kv_seconds, KV_INVALID_TIME("expire"), r);
}

void kv_pexpire(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    expire(m, args, argc, &kv_milliseconds, KV_INVALID_TIME("pexpire"), r);
}

void kv_expireat(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    expire(m, args, argc, &absolute_seconds, KV_INVALID_TIME("expireat"), r);
}

void kv_pexpireat(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    expire(m, args, argc, &absolute_milliseconds, KV_INVALID_TIME("pexpireat"), r);
}

static void persist(struct state_machine *m, struct kv_entry *e, struct bytes key)
{
    kv_versions_persist(&m->data, e);
    kv_event(m, KEY_EVENT_GENERIC, "persist", key);
}

void kv_persist(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct kv_entry *e = kv_find(m, args[1]);
    (void)argc;
    const bool timed = e != NULL && e->timed;
    if (timed)
        persist(m, e, args[1]);
    reply_integer(r, timed ? 1 : 0);
}

/* ---- TTL ---- */

static void reply_time(struct state_machine *m, struct bytes key, const struct kv_unit *unit, struct reply *r)
{
    enum { NO_KEY = -2, NO_TIME = -1 };
    const struct kv_entry *e = kv_find(m, key);
    if (e == NULL || !e->timed) {
        reply_integer(r, e == NULL ? NO_KEY : NO_TIME);
        return;
    }
    const uint64_t ms = (uint64_t)(deadline_of(m, e) - (unit->absolute ? 0 : wall_clock(m)));
    reply_integer(r, (int64_t)(unit->ms == 1 ? ms : (ms + 500) / 1000));
}

void kv_ttl(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_time(m, args[1], &kv_seconds, r);
}

void kv_pttl(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_time(m, args[1], &kv_milliseconds, r);
}

void kv_expiretime(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_time(m, args[1], &absolute_seconds, r);
}

void kv_pexpiretime(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_time(m, args[1], &absolute_milliseconds, r);
}

/* ---- GETEX and TIME ---- */

/* GETEX key [EX seconds | PX milliseconds | EXAT time | PXAT time | PERSIST]. */
void kv_getex(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct kv_lifetime l = {NULL, NULL};
    bool persists = false;
    int64_t when = 0;
    for (size_t i = 2; i < argc; i++) {
        const bool persist = kv_word(&args[i], "persist");
        if (persist ? l.unit != NULL : persists || !kv_read_lifetime(args, argc, &i, &l)) {
            reply_error(r, "ERR syntax error");
            return;
        }
        persists |= persist;
    }
    struct kv_entry *e = kv_find(m, args[1]);
    if (e == NULL) {
        reply_nil(r);
        return;
    }
    if (l.unit != NULL &&
        (!kv_deadline(m, &l, KV_INVALID_TIME("getex"), &when, r) || !kv_may_store_timed(m, &args[1], e->value_len, r)))
        return;
    if (!reply_value(m, r, e))
        return;
    if (persists && e->timed) {
        persist(m, e, args[1]);
    } else if (l.unit != NULL && l.unit->absolute && when <= wall_clock(m)) {
        kv_remove_key(m, args[1]);
    } else if (l.unit != NULL) {
        kv_end_at(m, args[1], when);
        kv_event(m, KEY_EVENT_GENERIC, "expire", args[1]);
    }
}

static struct scalar decimal(struct state_machine *m, uint64_t value)
{
    uint8_t text[DECIMAL_MAX];
    return (struct scalar){.tag = REPLY_BYTES, .val.bytes = kv_result(m, text, decimal_write_unsigned(value, text))};
}

void kv_time(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct scalar *parts = arena_new(&m->results, 2 * sizeof *parts);
    (void)args;
    (void)argc;
    parts[0] = decimal(m, m->now.unix / 1000);
    parts[1] = decimal(m, m->now.unix % 1000 * 1000);
    r->tag = REPLY_ARRAY;
    r->val.array = (struct scalar_list){.ptr = parts, .len = 2};
}
