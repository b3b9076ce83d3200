/* Declarations shared by the files of the kv-store: kv_reply.c (what all commands answer with), above it kv_strings.c,
 * kv_numbers.c, kv_bits.c, kv_lcs.c, kv_moves.c, kv_keys.c, kv_expiry.c and kv_transactions.c (the commands), above them
 * kv_store.c (the contract). */
#ifndef SYNOD_CORE_STATE_KV_STORE_H
#define SYNOD_CORE_STATE_KV_STORE_H

#include "core/base/arena.h"
#include "core/formats/command_name.h"
#include "core/state/kv_chunks.h"

/* Limits that every node applies alike, so that no agreed command can exhaust a node. A command that goes beyond gets an
 * error and changes nothing. A reply must fit a frame between nodes; keys and values must fit the component's memory. */
enum { KV_VALUE_MAX = 8 * 1024 * 1024, KV_KEY_MAX = 1024 * 1024 };
enum { KV_REPLY_MAX = KV_VALUE_MAX + 64 * 1024 };
enum { KV_SCAN_BYTES = 256 * 1024, KV_SCAN_COUNT = 10000 }; /* SCAN stops early after so many bytes or keys */

/* Work is counted in units of about a nanosecond. Two things are counted:
 *
 * 1. What a command needs by its arguments and by the contents of the store, the same on every node. It is decided before
 *    anything changes. A command beyond KV_COMMAND_WORK_MAX gets -TOOCOSTLY.
 * 2. What is really spent (kv_versions_work), which also depends on where things are in memory. After KV_CALL_WORK_MAX a
 *    call to apply or query leaves the rest for the next call. */
enum { KV_COMMAND_WORK_MAX = 16 * 1024 * 1024, KV_CALL_WORK_MAX = 512 * 1024, KV_SCAN_WORK_MAX = 2 * 1024 * 1024 };
enum {
    KV_COMMAND_WORK = 64, /* a command, whatever it does */
    KV_ARGUMENT_WORK = 8, /* each argument */
    KV_KEY_WORK = 256,    /* each key that a command on many keys looks up, writes or removes */
    KV_VISIT_WORK = 64,   /* each key that KEYS and SCAN look at */
    KV_GLOB_WORK = 4,     /* a step of the matcher */
};

/* Keys that have ended and leave the state: before each command, and when time passes without one. So a command waits for a
 * few only, however many end at once, and what is left depends on the log alone, not on how a learner divides its work. */
enum { KV_LEAVE_A_COMMAND = 4, KV_LEAVE_A_PAUSE = 1024 };
enum { KV_ENDED_MAX = KV_COMMAND_WORK_MAX / KV_VISIT_WORK }; /* that have not left, and a command looks at */

/* What has happened to keys (kv_events.h). */
struct kv_events {
    bool on;
    struct key_event *list; /* in this call */
    size_t count, capacity;
    uint64_t bytes;   /* of keys */
    uint32_t command; /* that is executed: its place in the call */
};

struct state_machine {
    struct kv_versions data;
    struct moment now;  /* of the command that is executed */
    bool queries;       /* what is executed now is not in the log */
    uint64_t drawn;     /* how often RANDOMKEY was asked outside of the log */
    uint32_t call_work; /* KV_CALL_WORK_MAX, or less */
    struct name_table names;
    struct reply *replies;
    size_t replies_capacity;
    struct arena results;     /* bytes and arrays of the replies */
    struct reply_room room;   /* for the replies that this call still has to make */
    struct kv_entry **picked; /* keys that KEYS and SCAN have found */
    size_t picked_capacity;
    struct kv_chunks chunks;
    struct kv_watches watches;
    struct kv_events events;
    uint8_t *watches_chunk; /* of the snapshot in progress */
    size_t watches_len;     /* 0: there is none, or it was saved */
    bool loading_first;     /* of the snapshot that is being loaded there are the watches so far */
};

/* Executes one command that has the right number of arguments. */
typedef void kv_handler(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *reply);

/* kv_strings.c */
kv_handler kv_get, kv_set, kv_setex, kv_psetex, kv_setnx, kv_getset, kv_getdel, kv_mget, kv_mset, kv_msetnx, kv_append,
    kv_strlen, kv_incr, kv_decr, kv_incrby, kv_decrby, kv_getrange, kv_setrange;
/* kv_numbers.c, kv_bits.c, kv_lcs.c, kv_moves.c */
kv_handler kv_incrbyfloat, kv_setbit, kv_getbit, kv_bitcount, kv_bitpos, kv_bitop, kv_lcs;
kv_handler kv_rename, kv_renamenx, kv_copy, kv_delex, kv_randomkey;
/* kv_transactions.c */
kv_handler kv_watch, kv_watched;
/* kv_keys.c */
kv_handler kv_del, kv_exists, kv_type, kv_keys, kv_scan, kv_dbsize, kv_flush, kv_remove, kv_clear, kv_memory, kv_object;
/* kv_expiry.c */
kv_handler kv_expire, kv_pexpire, kv_expireat, kv_pexpireat, kv_ttl, kv_pttl, kv_expiretime, kv_pexpiretime, kv_persist,
    kv_getex, kv_time;

#endif
