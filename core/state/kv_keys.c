/* The commands on single keys and on all keys. */
#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/formats/glob.h"
#include "core/state/kv_events.h"
#include "core/state/kv_reply.h"

void kv_del(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    int64_t removed = 0;
    for (size_t i = 1; i < argc; i++)
        removed += kv_remove_key(m, args[i]) ? 1 : 0;
    reply_integer(r, removed);
}

/* The reference system's remove: replies with the value that was there. */
void kv_remove(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    kv_getdel(m, args, argc, r);
}

void kv_exists(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    int64_t found = 0;
    for (size_t i = 1; i < argc; i++)
        found += kv_find(m, args[i]) != NULL ? 1 : 0;
    reply_integer(r, found);
}

void kv_type(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    reply_status(r, kv_find(m, args[1]) != NULL ? "string" : "none");
}

void kv_dbsize(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct kv_table *t = &m->data.live;
    const uint64_t over = kv_times_over(&m->data.times, t, m->now.elapsed, KV_ENDED_MAX);
    (void)args;
    (void)argc;
    if (over > KV_ENDED_MAX)
        reply_too_costly(r);
    else
        reply_integer(r, (int64_t)(t->count - over));
}

void kv_flush(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    if (argc > 2 || (argc == 2 && !kv_word(&args[1], "async") && !kv_word(&args[1], "sync"))) {
        reply_error(r, "ERR syntax error");
        return;
    }
    kv_versions_clear(&m->data);
    reply_status(r, "OK");
}

/* The reference system's clear. */
void kv_clear(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)args;
    (void)argc;
    kv_versions_clear(&m->data);
    reply_status(r, "OK");
}

/* ---- About one key ---- */

static void unknown_subcommand(struct reply *r) { reply_error(r, "ERR unknown subcommand"); }

/* MEMORY USAGE key [SAMPLES count]: what the key counts for in state_bytes_max. */
void kv_memory(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    int64_t samples = 0;
    if (!kv_word(&args[1], "usage")) {
        unknown_subcommand(r);
        return;
    }
    if (argc == 5 && kv_word(&args[3], "samples")) {
        if (!kv_integer(&args[4], &samples, r))
            return;
    } else if (argc != 3) {
        samples = -1;
    }
    const struct kv_entry *e = kv_find(m, args[2]);
    if (samples < 0)
        reply_error(r, "ERR syntax error");
    else if (e != NULL)
        reply_integer(r, (int64_t)kv_entry_cost(e));
}

/* How Redis would keep a value. */
static const char *encoding(struct state_machine *m, const struct kv_entry *e)
{
    enum { EMBEDDED_MAX = 44 };
    uint8_t text[DECIMAL_MAX];
    int64_t number;
    if (e->value_len <= DECIMAL_MAX) {
        kv_table_read(&m->data.live, e, 0, e->value_len, text);
        if (decimal_read(text, e->value_len, &number))
            return "int";
    }
    return e->value_len <= EMBEDDED_MAX ? "embstr" : "raw";
}

void kv_object(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    const struct kv_entry *e = kv_find(m, args[2]);
    const bool frequency = kv_word(&args[1], "freq"), time = kv_word(&args[1], "idletime"),
               references = kv_word(&args[1], "refcount");
    if (!kv_word(&args[1], "encoding") && !frequency && !time && !references) {
        unknown_subcommand(r);
    } else if (e == NULL) {
        reply_nil(r);
    } else if (frequency) {
        reply_error(r, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
                       "switching between policies at runtime LRU and LFU data will take some time to adjust.");
    } else if (time || references) {
        reply_integer(r, references ? 1 : 0);
    } else {
        r->tag = REPLY_BYTES;
        r->val.bytes = kv_text(encoding(m, e));
    }
}

/* ---- KEYS and SCAN ---- */

/* What a command that visits keys may still spend. It depends only on the keys and the pattern, so it is the same on every
 * node. */
struct visit {
    const struct bytes *pattern; /* NULL: all */
    uint64_t left;
    uint64_t key_max; /* work that one key may take */
    size_t picked;    /* keys that match, in m->picked */
    uint64_t size;    /* bytes of a reply that names them */
};

/* Looks at one key and picks it when it matches. False: not enough is left to spend. */
static bool visit_key(struct state_machine *m, struct visit *v, struct kv_entry *e)
{
    if (v->left < KV_VISIT_WORK)
        return false;
    v->left -= KV_VISIT_WORK;
    enum glob_result matches = GLOB_MATCHES;
    struct bytes key = kv_table_key(&m->data.live, e);
    uint64_t granted = (v->left < v->key_max ? v->left : v->key_max) / KV_GLOB_WORK, steps = granted;
    if (v->pattern != NULL)
        matches = glob_match(v->pattern->ptr, v->pattern->len, key.ptr, key.len, &steps);
    v->left -= (granted - steps) * KV_GLOB_WORK;
    m->data.live.work += KV_TOUCH_WORK + (granted - steps) * KV_GLOB_WORK;
    if (matches == GLOB_TOO_COSTLY)
        return false;
    if (matches == GLOB_DIFFERS || kv_is_over(m, e))
        return true;
    m->picked = memory_reserve(m->picked, &m->picked_capacity, v->picked + 1, sizeof *m->picked);
    m->picked[v->picked++] = e;
    v->size += scalar_size(REPLY_BYTES, &(struct bytes){.len = e->key_len});
    return true;
}

void kv_keys(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    struct visit v = {.pattern = &args[1], .left = KV_COMMAND_WORK_MAX, .key_max = KV_COMMAND_WORK_MAX, .size = 8};
    uint64_t next = 0;
    do {
        size_t count;
        struct kv_entry *const *list = kv_table_visit(&m->data.live, next, &count, &next);
        for (size_t i = 0; i < count && v.size <= KV_REPLY_MAX; i++)
            if (!visit_key(m, &v, list[i])) {
                reply_too_costly(r);
                return;
            }
    } while (next != 0 && v.size <= KV_REPLY_MAX);
    if (v.size > KV_REPLY_MAX) {
        reply_error(r, "ERR the reply would exceed 8 MiB: use SCAN");
        return;
    }
    if (!kv_has_room(m, v.size, r))
        return;
    struct scalar *keys = arena_new(&m->results, v.picked * sizeof *keys);
    for (size_t i = 0; i < v.picked; i++) {
        keys[i].tag = REPLY_BYTES;
        struct bytes key = kv_table_key(&m->data.live, m->picked[i]);
        keys[i].val.bytes = kv_result(m, key.ptr, key.len);
    }
    r->tag = REPLY_ARRAY;
    r->val.array = (struct scalar_list){.ptr = keys, .len = v.picked};
}

struct scan_options {
    const struct bytes *pattern; /* NULL: all */
    int64_t count;
    bool none; /* TYPE asks for a type that no key has */
};

static bool read_scan_options(const struct bytes *args, size_t argc, struct scan_options *o, struct reply *r)
{
    *o = (struct scan_options){.pattern = NULL, .count = 10};
    for (size_t i = 2; i < argc; i += 2) {
        bool has_value = i + 1 < argc;
        if (has_value && kv_word(&args[i], "count")) {
            if (!kv_integer(&args[i + 1], &o->count, r))
                return false;
            if (o->count >= 1)
                continue;
        } else if (has_value && kv_word(&args[i], "match")) {
            o->pattern = &args[i + 1];
            continue;
        } else if (has_value && kv_word(&args[i], "type")) {
            o->none = !kv_word(&args[i + 1], "string");
            continue;
        }
        reply_error(r, "ERR syntax error");
        return false;
    }
    return true;
}

/* A client is told a hash without its last bits, as its cursor: libraries keep that in a signed integer (phpredis 5) or in a
 * double, which holds 53 bits. Redis' cursors are as large as its table, so theirs get by. */
enum { CURSOR_SHIFT = 64 - 53 };

/* Visits keys from hash `*cursor` on until it has seen or spent enough. Moves the cursor to the hash of the first key not
 * seen; to 0 when there is none. The cursor is never the beginning of a bucket, which would depend on the size of the table.
 * Keys that a cursor cannot tell apart stay together. False: the next keys alone are too costly. */
static bool scan(struct state_machine *m, const struct scan_options *o, uint64_t *cursor, struct visit *v)
{
    int64_t seen = 0;
    uint64_t reserve = v->left - KV_SCAN_WORK_MAX;
    do {
        size_t count;
        struct kv_entry *const *list = kv_table_visit(&m->data.live, *cursor, &count, cursor);
        for (size_t i = 0; i < count; i++, seen++) {
            struct kv_entry *e = list[i];
            bool enough = seen >= o->count || seen >= KV_SCAN_COUNT || v->size >= KV_SCAN_BYTES || v->left < reserve;
            if (enough && (i == 0 || e->hash >> CURSOR_SHIFT != list[i - 1]->hash >> CURSOR_SHIFT)) {
                *cursor = e->hash;
                return true;
            }
            if (!o->none && !visit_key(m, v, e))
                return false;
        }
    } while (*cursor != 0);
    return true;
}

/* A list in a list, so it is encoded here: [cursor, [key...]]. */
void kv_scan(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    enum { LENGTH_MAX = KV_RAW_LINE_MAX, BULK_MAX = LENGTH_MAX + 2 };
    struct scan_options o;
    uint64_t cursor;
    if (!decimal_read_unsigned(args[1].ptr, args[1].len, &cursor)) {
        reply_error(r, "ERR invalid cursor");
        return;
    }
    if (!read_scan_options(args, argc, &o, r))
        return;
    /* If the first key may be looked at, so may the last. */
    struct visit v = {.pattern = o.pattern,
                      .left = KV_COMMAND_WORK_MAX,
                      .key_max = KV_COMMAND_WORK_MAX - KV_SCAN_WORK_MAX - KV_VISIT_WORK};
    cursor <<= CURSOR_SHIFT;
    if (!scan(m, &o, &cursor, &v)) {
        reply_too_costly(r);
        return;
    }
    size_t size = 2 * LENGTH_MAX + BULK_MAX + DECIMAL_MAX;
    for (size_t i = 0; i < v.picked; i++)
        size += BULK_MAX + m->picked[i]->key_len;
    if (!kv_has_room(m, scalar_size(REPLY_RAW, &(struct bytes){.len = size}), r))
        return;
    m->data.live.work += size;
    uint8_t *start = arena_new(&m->results, size);
    uint8_t text[DECIMAL_MAX];
    struct bytes written = {text, decimal_write_unsigned(cursor >> CURSOR_SHIFT, text)};
    uint8_t *out = kv_write_line(start, '*', 2);
    out = kv_write_bulk(out, written);
    out = kv_write_line(out, '*', v.picked);
    for (size_t i = 0; i < v.picked; i++)
        out = kv_write_bulk(out, kv_table_key(&m->data.live, m->picked[i]));
    r->tag = REPLY_RAW;
    r->val.bytes = (struct bytes){.ptr = start, .len = (size_t)(out - start)};
}
