/* The commands that give a value another key, or remove one that has a certain value, with Redis' semantics and words. */
#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "core/state/kv_events.h"
#include "core/state/kv_reply.h"

/* Whether the state has room for a value of `from` at the key `to`, in place of what is there; then `from` stays or goes. */
static bool has_room(struct state_machine *m, const struct kv_entry *from, const struct bytes *to, bool stays,
                     struct reply *r)
{
    const struct kv_table *t = &m->data.live;
    const struct kv_entry *old = kv_find(m, *to);
    uint64_t bytes = t->bytes + kv_cost(to->len, from->value_len) + (from->timed ? KV_TIME_COST : 0);
    bytes -= old != NULL ? kv_entry_cost(old) : 0;
    bytes -= stays ? 0 : kv_entry_cost(from);
    if (bytes <= m->data.state_bytes_max || bytes <= t->bytes)
        return true;
    return kv_out_of_memory(r);
}

/* Gives the value of `from`, whose key is args[1], and its time to the key args[2]. False: it may not; the error is in
 * `*r`. */
static bool give(struct state_machine *m, const struct kv_entry *from, const struct bytes *args, bool stays, struct reply *r)
{
    if (!kv_may_be_key(&args[2], r) || !has_room(m, from, &args[2], stays, r))
        return false;
    const struct bytes value = kv_value_part(m, from, 0, from->value_len);
    const uint64_t until = kv_versions_until(&m->data, from);
    if (!stays)
        kv_versions_remove(&m->data, args[1]);
    kv_event(m, KEY_EVENT_NEW, "new", args[2]); /* what was there goes, as in Redis */
    kv_versions_set(&m->data, args[2], value);
    if (until != KV_FOREVER)
        kv_versions_set_until(&m->data, args[2], until);
    return true;
}

static bool is_same(const struct bytes *a, const struct bytes *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->ptr, b->ptr, a->len) == 0);
}

/* RENAME and RENAMENX: false if it was not done, which is answered. */
static bool rename_key(struct state_machine *m, const struct bytes *args, bool if_absent, struct reply *r)
{
    const struct kv_entry *from = kv_find(m, args[1]);
    if (from == NULL) {
        reply_error(r, "ERR no such key");
        return false;
    }
    if (if_absent && kv_find(m, args[2]) != NULL) { /* the same key, too */
        reply_integer(r, 0);
        return false;
    }
    if (is_same(&args[1], &args[2]))
        return true;
    if (!give(m, from, args, false, r))
        return false;
    kv_event(m, KEY_EVENT_GENERIC, "rename_from", args[1]);
    kv_event(m, KEY_EVENT_GENERIC, "rename_to", args[2]);
    return true;
}

void kv_rename(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    if (rename_key(m, args, false, r))
        reply_status(r, "OK");
}

void kv_renamenx(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    (void)argc;
    if (rename_key(m, args, true, r))
        reply_integer(r, 1);
}

static bool read_copy_options(const struct bytes *args, size_t argc, bool *replaces, struct reply *r)
{
    int64_t database;
    for (size_t i = 3; i < argc; i++) {
        if (kv_word(&args[i], "replace")) {
            *replaces = true;
        } else if (kv_word(&args[i], "db") && i + 1 < argc) {
            if (!kv_integer(&args[++i], &database, r))
                return false;
            if (database != 0) {
                reply_error(r, "ERR DB index is out of range");
                return false;
            }
        } else {
            reply_error(r, "ERR syntax error");
            return false;
        }
    }
    return true;
}

void kv_copy(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    bool replaces = false;
    if (!read_copy_options(args, argc, &replaces, r))
        return;
    if (is_same(&args[1], &args[2])) {
        reply_error(r, "ERR source and destination objects are the same");
        return;
    }
    const struct kv_entry *from = kv_find(m, args[1]);
    if (from == NULL || (!replaces && kv_find(m, args[2]) != NULL))
        reply_integer(r, 0);
    else if (give(m, from, args, true, r)) {
        kv_event(m, KEY_EVENT_GENERIC, "copy_to", args[2]);
        reply_integer(r, 1);
    }
}

/* DELEX key [IFEQ value | IFNE value]. */
void kv_delex(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    if (argc != 2 && argc != 4) {
        reply_arity(m, r, "delex");
        return;
    }
    const bool equal = argc == 4 && kv_word(&args[2], "ifeq"), other = argc == 4 && kv_word(&args[2], "ifne");
    if (argc == 4 && !equal && !other) {
        reply_error(r, "ERR Invalid condition. Use IFEQ or IFNE");
        return;
    }
    const struct kv_entry *e = kv_find(m, args[1]);
    bool wanted = e != NULL;
    if (wanted && argc == 4)
        wanted = kv_is_value(m, e, &args[3]) == equal;
    reply_integer(r, wanted && kv_remove_key(m, args[1]) ? 1 : 0);
}

/* The first entry that has not ended, of those with hashes from `from` on, then of all. NULL: there is none, or too many
 * have ended, which is answered. */
static const struct kv_entry *first_from(struct state_machine *m, uint64_t from, struct reply *r)
{
    size_t count, ended = 0;
    for (int round = 0; round < 2; round++)
        do {
            struct kv_entry *const *list = kv_table_visit(&m->data.live, from, &count, &from);
            for (size_t i = 0; i < count; i++) {
                if (!kv_is_over(m, list[i]))
                    return list[i];
                if (++ended > KV_ENDED_MAX) {
                    reply_too_costly(r);
                    return NULL;
                }
            }
        } while (from != 0);
    return NULL;
}

/* The first key from some hash on. In the log state and time decide, so that all nodes give the same one; outside of it each
 * read draws by itself. */
void kv_randomkey(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    struct kv_table *t = &m->data.live;
    const uint64_t drawn[] = {t->count, t->bytes, m->now.elapsed, m->now.unix, m->queries ? ++m->drawn : 0};
    (void)args;
    (void)argc;
    const struct kv_entry *e = first_from(m, checksum(drawn, sizeof drawn, 0), r);
    if (e == NULL)
        return;
    const struct bytes key = kv_table_key(t, e);
    if (!kv_has_room(m, scalar_size(REPLY_BYTES, &key), r))
        return;
    r->tag = REPLY_BYTES;
    r->val.bytes = kv_result(m, key.ptr, key.len);
}
