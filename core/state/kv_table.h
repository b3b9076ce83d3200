/* The hash table of the kv-store. Keys and values are byte strings. The order of a visit depends only on the keys and on the
 * key of the hash. */
#ifndef SYNOD_CORE_STATE_KV_TABLE_H
#define SYNOD_CORE_STATE_KV_TABLE_H

#include "core/base/siphash.h"
#include "core/state/kv_pool.h"
#include "core/state/state_machine.h"

/* The first block of an entry. Its bytes are the key, then the value. What does not fit is in further blocks. */
struct kv_entry {
    uint64_t hash;
    uint32_t left, right; /* blocks of entries in the same bucket, see kv_table.c */
    uint32_t rest, last;  /* the first and the last further block; both 0 if there is none */
    uint32_t key_len : 31;
    uint32_t timed : 1; /* the entry ends by itself: its first further block is a kv_time */
    uint32_t value_len;
    uint8_t bytes[KV_BLOCK - 32];
};
_Static_assert(sizeof(struct kv_entry) == KV_BLOCK, "an entry begins with one block");

/* When an entry ends. */
struct kv_time {
    uint32_t link;  /* to the next further block */
    uint32_t entry; /* whose it is */
    uint32_t place; /* among the times of the table (kv_times.h) */
    uint64_t until; /* the last moment, in elapsed milliseconds, at which it is there */
};
_Static_assert(sizeof(struct kv_time) <= KV_BLOCK, "a time is one block");
#define KV_FOREVER UINT64_MAX

enum {
    KV_BUCKETS_A_SEGMENT = KV_PIECE / sizeof(uint32_t),
    KV_BITS_MAX = 26,
    KV_SEGMENTS = (1 << KV_BITS_MAX) / KV_BUCKETS_A_SEGMENT
};

/* 2^bits buckets in segments. A bucket is the number of an entry's block, or 0. */
struct kv_buckets {
    uint32_t *segments[KV_SEGMENTS];
    uint32_t bits;
};

struct kv_table {
    struct siphash_key key;
    struct kv_pool *pool; /* of its entries; other tables may have entries in it, too */
    struct kv_buckets buckets;
    /* While resizing: entries whose hash is below the frontier are in `target`. */
    struct kv_buckets target; /* bits 0: not resizing */
    uint64_t moved;           /* buckets of the smaller array that are done */
    uint64_t count;
    uint64_t bytes;            /* sum of kv_entry_cost: a function of the contents alone */
    uint64_t work;             /* counts every loop over keys, values, links and buckets, see KV_COMMAND_WORK_MAX */
    struct kv_entry **visited; /* result of kv_table_visit */
    size_t visited_capacity;
    uint8_t *text; /* result of kv_table_key */
    size_t text_capacity;
};

/* Memory that an entry takes: its blocks, and its share of the buckets. While the table grows there are at most three
 * buckets for each entry, of four bytes each. So a table takes at most the highest value that `bytes` ever had, an eighth
 * more (because blocks and entries may have been most at different times), and 1 MiB for rounding up to slabs and
 * segments. */
static inline uint64_t kv_cost(uint64_t key_len, uint64_t value_len)
{
    enum { FIRST = sizeof((struct kv_entry *)0)->bytes, FURTHER = KV_BLOCK - sizeof(uint32_t), BUCKETS = 16 };
    uint64_t len = key_len + value_len;
    return BUCKETS + KV_BLOCK * (1 + (len > FIRST ? (len - FIRST + FURTHER - 1) / FURTHER : 0));
}
/* What the time of an entry takes beside: its block, and its place in order. */
enum { KV_TIME_COST = KV_BLOCK + 8 };
static inline uint64_t kv_entry_cost(const struct kv_entry *e)
{
    return kv_cost(e->key_len, e->value_len) + (e->timed ? KV_TIME_COST : 0);
}

/* Work in units of about a nanosecond, for three things: reading memory at any place, reading memory next to the last place,
 * and hashing, copying, comparing or zeroing bytes. */
enum { KV_TOUCH_WORK = 64, KV_NEXT_WORK = 1 };
static inline uint64_t kv_hash_work(size_t len) { return len / 4 + 1; }
static inline uint64_t kv_copy_work(size_t len) { return len / 8 + 1; }

/* Until it is set, the key of the hash is zero. It may be set only while the table is empty. The pool stays the caller's. */
void kv_table_init(struct kv_table *t, struct kv_pool *pool);
/* The blocks of its entries stay in the pool. */
void kv_table_close(struct kv_table *t);

uint64_t kv_table_hash(const struct kv_table *t, struct bytes key);
/* Whether an entry has this hash. */
bool kv_table_has_hash(struct kv_table *t, uint64_t hash);

/* The entry of a key; NULL when there is none. Valid until the table is changed. */
struct kv_entry *kv_table_find(struct kv_table *t, struct bytes key);

/* Sets the value of a key, new or not; its time stays. Precondition: the sum of both lengths fits 31 bits. */
struct kv_entry *kv_table_set(struct kv_table *t, struct bytes key, struct bytes value);
/* Appends `len` bytes, or zeros when `bytes` is NULL, to the value of a key. A key that is not there is added first. */
struct kv_entry *kv_table_append(struct kv_table *t, struct bytes key, const uint8_t *bytes, size_t len);
/* Overwrites a part of a value. Precondition: the value has that part. */
void kv_table_overwrite(struct kv_table *t, struct kv_entry *e, size_t offset, struct bytes bytes);

/* Copies a part of a value. Precondition: the value has that part. */
void kv_table_read(struct kv_table *t, const struct kv_entry *e, size_t offset, size_t len, uint8_t *out);
/* The key of an entry, in one piece. Valid until the next call or until the table is changed. */
struct bytes kv_table_key(struct kv_table *t, const struct kv_entry *e);

/* The time of an entry; NULL when it has none. */
struct kv_time *kv_table_time(const struct kv_table *t, const struct kv_entry *e);
/* Gives the entry of a key a time, if it has none. Precondition: the key is there. */
struct kv_time *kv_table_add_time(struct kv_table *t, struct bytes key);
void kv_table_remove_time(struct kv_table *t, struct kv_entry *e);

/* Removes a key; false when it was not there. */
bool kv_table_remove(struct kv_table *t, struct bytes key);

/* Moves the entry of a key, which `from` has and `to` has not, without copying it. Precondition: both have one pool and one
 * key of the hash. */
void kv_table_move(struct kv_table *from, struct kv_table *to, struct bytes key);
/* Adds a copy of an entry of another table, which has the same pool and key of the hash. Precondition: `t` does not have
 * that key. */
void kv_table_copy(struct kv_table *t, const struct kv_entry *e);

/* Forgets everything, in constant time (plus a little for each 65,536 buckets). The blocks of its entries stay in the
 * pool. */
void kv_table_clear(struct kv_table *t);

/* The order of two entries by (hash, key): less than, equal to, more than 0. Either may be another table's of the same
 * pool. */
int kv_table_order(struct kv_table *t, const struct kv_entry *a, const struct kv_entry *b);

/* Entries with hashes from `from` on, in order of hash and key: all whose hash is below `*next`, where the next visit
 * begins. `*next` is 0 when these were the last. Valid until the table is visited again. Entries stay where they are until
 * they are removed. */
struct kv_entry *const *kv_table_visit(struct kv_table *t, uint64_t from, size_t *count, uint64_t *next);

#endif
