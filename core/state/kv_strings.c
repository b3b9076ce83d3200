/* The commands on one value or several: GET, SET and their kin, with Redis' semantics and words. */
#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/state/kv_events.h"
#include "core/state/kv_expiry.h"

void kv_get(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_value(m, r, kv_find(m, args[1]));
}

struct set_options {
    bool if_absent;
    bool if_present;
    const struct bytes *if_equal, *if_other; /* NULL: whatever the value is */
    bool get;
    bool keeps_time;
    struct kv_lifetime lifetime;
    int64_t when; /* that it is over */
};

/* Only one condition may be given; NX and XX may be repeated. */
static bool has_condition(const struct set_options *o, bool absent, bool present)
{
    return (o->if_absent && !absent) || (o->if_present && !present) || o->if_equal != NULL || o->if_other != NULL;
}

static bool read_set_options(const struct state_machine *m, const struct bytes *args, size_t argc, struct set_options *o,
                             struct reply *r)
{
    *o = (struct set_options){0};
    for (size_t i = 3; i < argc; i++) {
        const bool has_value = i + 1 < argc && !has_condition(o, false, false);
        if (kv_word(&args[i], "nx") && !has_condition(o, true, false)) {
            o->if_absent = true;
        } else if (kv_word(&args[i], "xx") && !has_condition(o, false, true)) {
            o->if_present = true;
        } else if (kv_word(&args[i], "ifeq") && has_value) {
            o->if_equal = &args[++i];
        } else if (kv_word(&args[i], "ifne") && has_value) {
            o->if_other = &args[++i];
        } else if (kv_word(&args[i], "get")) {
            o->get = true;
        } else if (kv_word(&args[i], "keepttl") && o->lifetime.unit == NULL) {
            o->keeps_time = true;
        } else if (o->keeps_time || !kv_read_lifetime(args, argc, &i, &o->lifetime)) {
            reply_error(r, "ERR syntax error");
            return false;
        }
    }
    return o->lifetime.unit == NULL || kv_deadline(m, &o->lifetime, KV_INVALID_TIME("set"), &o->when, r);
}

/* Whether the options let a key with this entry (NULL: none) be set. */
static bool is_wanted(struct state_machine *m, const struct kv_entry *e, const struct set_options *o)
{
    if (e == NULL)
        return !o->if_present && o->if_equal == NULL;
    if (o->if_equal != NULL)
        return kv_is_value(m, e, o->if_equal);
    return !o->if_absent && (o->if_other == NULL || !kv_is_value(m, e, o->if_other));
}

/* Whether the state has room for what SET stores. */
static bool may_set(struct state_machine *m, const struct bytes *key, const struct bytes *value, const struct set_options *o,
                    struct reply *r)
{
    return o->lifetime.unit != NULL ? kv_may_store_timed(m, key, value->len, r) : kv_may_store(m, key, value->len, r);
}

/* Sets a key that has no time then. */
static void store(struct state_machine *m, const struct bytes *key, const struct bytes *value)
{
    kv_event_write(m, *key);
    kv_event(m, KEY_EVENT_STRING, "set", *key);
    kv_versions_set(&m->data, *key, *value);
}

static void set(struct state_machine *m, const struct bytes *key, const struct bytes *value, const struct set_options *o)
{
    if (o->lifetime.unit == NULL && !o->keeps_time) {
        store(m, key, value);
        return;
    }
    kv_event_write(m, *key);
    kv_event(m, KEY_EVENT_STRING, "set", *key);
    if (o->lifetime.unit != NULL)
        kv_event(m, KEY_EVENT_GENERIC, "expire", *key);
    if (o->keeps_time) {
        kv_versions_replace(&m->data, *key, *value);
    } else if (kv_has_passed(m, o->when)) {
        kv_versions_remove(&m->data, *key);
        kv_event(m, KEY_EVENT_EXPIRED, "expired", *key);
    } else {
        kv_versions_set(&m->data, *key, *value);
        kv_end_at(m, *key, o->when);
    }
}

/* SET key value, as most are. */
static void set_plainly(struct state_machine *m, const struct bytes *key, const struct bytes *value, struct reply *r)
{
    if (!kv_may_store(m, key, value->len, r))
        return;
    store(m, key, value);
    reply_status(r, "OK");
}

void kv_set(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct set_options o;
    if (argc == 3) {
        set_plainly(m, &args[1], &args[2], r);
        return;
    }
    if (!read_set_options(m, args, argc, &o, r))
        return;
    if (!may_set(m, &args[1], &args[2], &o, r))
        return;
    bool wanted = true;
    if (has_condition(&o, false, false) || o.get) {
        struct kv_entry *e = kv_find(m, args[1]);
        wanted = is_wanted(m, e, &o);
        if (o.get && !reply_value(m, r, e))
            return;
    }
    if (wanted) {
        set(m, &args[1], &args[2], &o);
        if (!o.get)
            reply_status(r, "OK");
    }
}

static void set_with_time(struct state_machine *m, const struct bytes *args, const struct kv_unit *unit, const char *invalid,
                          struct reply *r)
{
    struct set_options o = {.lifetime = {unit, &args[2]}};
    if (!kv_deadline(m, &o.lifetime, invalid, &o.when, r) || !may_set(m, &args[1], &args[3], &o, r))
        return;
    set(m, &args[1], &args[3], &o);
    reply_status(r, "OK");
}

/* SETEX key seconds value. */
void kv_setex(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    set_with_time(m, args, &kv_seconds, KV_INVALID_TIME("setex"), r);
}

void kv_psetex(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    set_with_time(m, args, &kv_milliseconds, KV_INVALID_TIME("psetex"), r);
}

void kv_setnx(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    if (!kv_may_store(m, &args[1], args[2].len, r))
        return;
    bool absent = kv_find(m, args[1]) == NULL;
    if (absent)
        store(m, &args[1], &args[2]);
    reply_integer(r, absent ? 1 : 0);
}

void kv_getset(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    if (!kv_may_store(m, &args[1], args[2].len, r))
        return;
    if (reply_value(m, r, kv_find(m, args[1])))
        store(m, &args[1], &args[2]);
}

void kv_getdel(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    if (reply_value(m, r, kv_find(m, args[1])))
        kv_remove_key(m, args[1]);
}

void kv_mget(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct scalar *values = arena_new(&m->results, (argc - 1) * sizeof *values);
    uint64_t size = 8;
    for (size_t i = 1; i < argc; i++) {
        struct kv_entry *e = kv_find(m, args[i]);
        struct scalar *value = &values[i - 1];
        *value = (struct scalar){.tag = e != NULL ? REPLY_BYTES : REPLY_NIL};
        size += scalar_size(value->tag, &(struct bytes){.len = e != NULL ? e->value_len : 0});
        if (size > KV_REPLY_MAX) {
            reply_error(r, "ERR the reply would exceed 8 MiB: ask for fewer keys at once");
            return;
        }
        if (!kv_has_room(m, size, r))
            return;
        if (e != NULL)
            value->val.bytes = kv_value_part(m, e, 0, e->value_len);
    }
    r->tag = REPLY_ARRAY;
    r->val.array = (struct scalar_list){.ptr = values, .len = argc - 1};
}

/* What MSET and MSETNX check before they change anything: all pairs or none. */
static bool may_store_pairs(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    uint64_t total = 0;
    for (size_t i = 1; i < argc; i += 2) {
        if (!kv_may_be_key(&args[i], r) || !kv_may_be_long(args[i + 1].len, r))
            return false;
        total += kv_cost(args[i].len, args[i + 1].len); /* as if all keys were new; that matters only near the limit */
    }
    return m->data.live.bytes + total <= m->data.state_bytes_max || kv_out_of_memory(r);
}

static void store_pairs(struct state_machine *m, const struct bytes *args, size_t argc)
{
    for (size_t i = 1; i < argc; i += 2)
        store(m, &args[i], &args[i + 1]);
}

void kv_mset(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    if (argc % 2 == 0) {
        reply_arity(m, r, "mset");
    } else if (may_store_pairs(m, args, argc, r)) {
        store_pairs(m, args, argc);
        reply_status(r, "OK");
    }
}

void kv_msetnx(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    if (argc % 2 == 0) {
        reply_arity(m, r, "msetnx");
        return;
    }
    if (!may_store_pairs(m, args, argc, r))
        return;
    for (size_t i = 1; i < argc; i += 2)
        if (kv_find(m, args[i]) != NULL) {
            reply_integer(r, 0);
            return;
        }
    store_pairs(m, args, argc);
    reply_integer(r, 1);
}

void kv_append(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    struct kv_entry *e = kv_find(m, args[1]);
    size_t old = e != NULL ? e->value_len : 0;
    if (!kv_may_store(m, &args[1], (uint64_t)old + args[2].len, r))
        return;
    kv_event_write(m, args[1]);
    kv_event(m, KEY_EVENT_STRING, "append", args[1]);
    e = kv_versions_append(&m->data, args[1], args[2].ptr, args[2].len);
    reply_integer(r, (int64_t)e->value_len);
}

void kv_strlen(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    const struct kv_entry *e = kv_find(m, args[1]);
    reply_integer(r, e != NULL ? (int64_t)e->value_len : 0);
}

static void add(struct state_machine *m, const struct bytes *key, int64_t delta, struct reply *r)
{
    if (!kv_may_store(m, key, DECIMAL_MAX, r))
        return;
    struct kv_entry *e = kv_find(m, *key);
    int64_t value = 0;
    uint8_t text[DECIMAL_MAX];
    /* anything longer is not a number */
    struct bytes old = {text, e != NULL && e->value_len <= DECIMAL_MAX ? e->value_len : 0};
    if (e != NULL) {
        kv_table_read(&m->data.live, e, 0, old.len, text);
        if (!kv_integer(&old, &value, r))
            return;
    }
    if (__builtin_add_overflow(value, delta, &value)) {
        reply_error(r, "ERR increment or decrement would overflow");
        return;
    }
    struct bytes written = {text, decimal_write(value, text)};
    kv_event_write(m, *key);
    kv_event(m, KEY_EVENT_STRING, "incrby", *key);
    kv_versions_replace(&m->data, *key, written);
    reply_integer(r, value);
}

void kv_incr(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    add(m, &args[1], 1, r);
}

void kv_decr(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    add(m, &args[1], -1, r);
}

void kv_incrby(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    int64_t delta;
    if (kv_integer(&args[2], &delta, r))
        add(m, &args[1], delta, r);
}

void kv_decrby(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    int64_t delta;
    if (!kv_integer(&args[2], &delta, r))
        return;
    if (delta == INT64_MIN)
        reply_error(r, "ERR decrement would overflow");
    else
        add(m, &args[1], -delta, r);
}

void kv_getrange(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    int64_t start, end;
    if (!kv_integer(&args[2], &start, r) || !kv_integer(&args[3], &end, r))
        return;
    struct kv_entry *e = kv_find(m, args[1]);
    int64_t len = e != NULL ? (int64_t)e->value_len : 0;
    bool reversed = start < 0 && end < 0 && start > end;
    start = start < 0 ? (start < -len ? 0 : start + len) : start;
    end = end < 0 ? (end < -len ? 0 : end + len) : end;
    if (end >= len)
        end = len - 1;
    struct bytes part = kv_text("");
    if (len > 0 && !reversed && start <= end)
        part.len = (size_t)(end - start + 1);
    if (!kv_has_room(m, scalar_size(REPLY_BYTES, &part), r))
        return;
    r->tag = REPLY_BYTES;
    r->val.bytes = part.len > 0 ? kv_value_part(m, e, (size_t)start, part.len) : part;
}

void kv_setrange(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    int64_t offset;
    if (!kv_integer(&args[2], &offset, r))
        return;
    if (offset < 0) {
        reply_error(r, "ERR offset is out of range");
        return;
    }
    struct kv_entry *e = kv_find(m, args[1]);
    size_t old = e != NULL ? e->value_len : 0;
    if (args[3].len == 0) {
        reply_integer(r, (int64_t)old);
        return;
    }
    if ((uint64_t)offset > KV_VALUE_MAX) {
        kv_may_be_long((uint64_t)offset, r);
        return;
    }
    size_t end = (size_t)offset + args[3].len;
    if (!kv_may_store(m, &args[1], end > old ? end : old, r))
        return;
    size_t within = (size_t)offset >= old ? 0
                    : end < old           ? args[3].len
                                          : old - (size_t)offset; /* overwrites these bytes; the rest is appended */
    kv_event_write(m, args[1]);
    kv_event(m, KEY_EVENT_STRING, "setrange", args[1]);
    if (within > 0)
        kv_versions_overwrite(&m->data, e, (size_t)offset, (struct bytes){args[3].ptr, within});
    if ((size_t)offset > old)
        kv_versions_append(&m->data, args[1], NULL, (size_t)offset - old);
    if (within < args[3].len)
        e = kv_versions_append(&m->data, args[1], args[3].ptr + within, args[3].len - within);
    reply_integer(r, (int64_t)e->value_len);
}
