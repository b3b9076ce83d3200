/* Declarations shared by the kv-store's files: kv_store.c (the contract), kv_strings.c and kv_keys.c (the commands). */
#ifndef SYNOD_CORE_STATE_KV_STORE_H
#define SYNOD_CORE_STATE_KV_STORE_H

#include "core/base/arena.h"
#include "core/formats/command_name.h"
#include "core/state/kv_table.h"

/* Limits that every node applies alike, so that no agreed command can exhaust a node. A command that goes beyond gets an
 * error and changes nothing. A reply must fit a frame between nodes; keys and values must fit the component's memory. */
enum { KV_VALUE_MAX = 8 * 1024 * 1024, KV_KEY_MAX = 1024 * 1024 };
enum { KV_REPLY_MAX = KV_VALUE_MAX + 64 * 1024 };
enum { KV_SCAN_BYTES = 256 * 1024, KV_SCAN_COUNT = 10000 }; /* SCAN stops early after so many bytes or keys */

/* Work is counted in units of about a nanosecond. Two things are counted:
 *
 * 1. What a command needs by its arguments and by the contents of the store, the same on every node. It is decided before
 *    anything changes. A command beyond KV_COMMAND_WORK_MAX gets -TOOCOSTLY.
 * 2. What is really spent (`table.work`), which also depends on where things are in memory. After KV_CALL_WORK_MAX a call to
 *    apply or query leaves the rest for the next call. */
enum { KV_COMMAND_WORK_MAX = 16 * 1024 * 1024, KV_CALL_WORK_MAX = 512 * 1024, KV_SCAN_WORK_MAX = 2 * 1024 * 1024 };
enum {
    KV_COMMAND_WORK = 64, /* a command, whatever it does */
    KV_ARGUMENT_WORK = 8, /* each argument */
    KV_KEY_WORK = 256,    /* each key that a command on many keys looks up, writes or removes */
    KV_VISIT_WORK = 64,   /* each key that KEYS and SCAN look at */
    KV_GLOB_WORK = 4,     /* a step of the matcher */
};

struct state_machine {
    struct kv_table table;
    uint64_t state_bytes_max; /* limit on table.bytes */
    uint32_t call_work;       /* KV_CALL_WORK_MAX, or less */
    struct name_table names;
    struct reply *replies;
    size_t replies_capacity;
    struct arena results;     /* bytes and arrays of the replies */
    struct reply_room room;   /* for the replies that this call still has to make */
    struct kv_entry **picked; /* keys that KEYS and SCAN have found */
    size_t picked_capacity;
    uint8_t *chunk; /* the last chunk saved */
    size_t chunk_capacity;
    bool loading;         /* a snapshot is being loaded */
    uint64_t loaded_hash; /* of the last entry loaded */
};

/* Executes one command that has the right number of arguments. */
typedef void kv_handler(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *reply);

/* kv_strings.c */
kv_handler kv_get, kv_set, kv_setnx, kv_getset, kv_getdel, kv_mget, kv_mset, kv_msetnx, kv_append, kv_strlen, kv_incr,
    kv_decr, kv_incrby, kv_decrby, kv_getrange, kv_setrange;
/* kv_keys.c */
kv_handler kv_del, kv_exists, kv_type, kv_keys, kv_scan, kv_dbsize, kv_flush, kv_remove, kv_clear;

/* ---- Replies ---- */

static inline struct bytes kv_text(const char *text)
{
    return (struct bytes){.ptr = (uint8_t *)(uintptr_t)text, .len = __builtin_strlen(text)};
}
static inline void reply_nil(struct reply *r) { r->tag = REPLY_NIL; }
static inline void reply_integer(struct reply *r, int64_t value)
{
    r->tag = REPLY_INTEGER;
    r->val.integer = value;
}
static inline void reply_status(struct reply *r, const char *text)
{
    r->tag = REPLY_STATUS;
    r->val.bytes = kv_text(text);
}
static inline void reply_error(struct reply *r, const char *text)
{
    r->tag = REPLY_ERROR;
    r->val.bytes = kv_text(text);
}

/* A copy of bytes that lives as long as the replies do. */
struct bytes kv_result(struct state_machine *m, const uint8_t *bytes, size_t len);
/* A copy of a part of a value that lives as long. */
struct bytes kv_value_part(struct state_machine *m, const struct kv_entry *e, size_t offset, size_t len);
/* Replies with a copy of an entry's value, or nil if there is no entry. False: the reply has no room, so nothing may be
 * changed. */
bool reply_value(struct state_machine *m, struct reply *r, struct kv_entry *e);
/* "ERR wrong number of arguments for '<name>' command" */
void reply_arity(struct state_machine *m, struct reply *r, const char *name);

/* True when a reply of this size may be given; otherwise `*r` becomes reply_no_room. To be asked before anything is
 * changed. */
bool kv_has_room(const struct state_machine *m, uint64_t size, struct reply *r);
/* True when a command may cost so much; otherwise the error is in `*r`. */
bool kv_affordable(uint64_t work, struct reply *r);
void reply_too_costly(struct reply *r);

/* Reads an argument as Redis reads integers; false with the error in `*r`. */
bool kv_integer(const struct bytes *arg, int64_t *value, struct reply *r);
/* True when an argument is this word. `word` is in lower case; the argument may be in any case. */
bool kv_word(const struct bytes *arg, const char *word);

#endif
