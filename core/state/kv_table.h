/* The hash table of the kv-store: keys and values as byte strings, visited in an order that depends on nothing but them. */
#ifndef SYNOD_CORE_STATE_KV_TABLE_H
#define SYNOD_CORE_STATE_KV_TABLE_H

#include "core/state/state_machine.h"

struct kv_entry {
    struct kv_entry *next;
    uint32_t key_len;
    uint32_t value_len;
    uint32_t value_capacity;
    uint64_t hash;
    uint8_t bytes[]; /* the key, then the value */
};

struct kv_discard;

struct kv_table {
    struct kv_entry **buckets;
    uint32_t bits; /* log2 of the number of buckets */
    /* While resizing: entries whose hash is below the frontier are in `target`. Both NULL and 0 otherwise. */
    struct kv_entry **target;
    uint32_t target_bits;
    uint64_t moved; /* buckets of the smaller array that are done */
    uint64_t count;
    uint64_t bytes; /* of all keys and values, with KV_ENTRY_OVERHEAD for each: a function of the contents alone */
    struct kv_discard *discards;
    uint64_t work;             /* counts up with every loop over keys, values, chains and buckets, see KV_COMMAND_WORK_MAX */
    struct kv_entry **visited; /* result of kv_table_visit */
    size_t visited_capacity;
};

enum { KV_ENTRY_OVERHEAD = 48 };
/* Work, in units of about a nanosecond: an entry or bucket looked at somewhere in memory, one next to the one before, and
 * bytes that are hashed, copied, compared or zeroed. */
enum { KV_TOUCH_WORK = 64, KV_NEXT_WORK = 1 };
static inline uint64_t kv_hash_work(size_t len) { return len / 4 + 1; }
static inline uint64_t kv_copy_work(size_t len) { return len / 8 + 1; }

static inline uint8_t *kv_key(struct kv_entry *e) { return e->bytes; }
static inline uint8_t *kv_value(struct kv_entry *e) { return e->bytes + e->key_len; }

void kv_table_init(struct kv_table *t);
void kv_table_close(struct kv_table *t);

/* The entry of a key, NULL when there is none; valid until the table is changed. */
struct kv_entry *kv_table_find(struct kv_table *t, struct bytes key);

/* The entry of a key (a new one has an empty value) with room for `capacity` value bytes, and `slack` more if it has to
 * move anyway. The caller writes the value and then calls kv_table_resized. Precondition: lengths fit 31 bits. */
struct kv_entry *kv_table_reserve(struct kv_table *t, struct bytes key, size_t capacity, size_t slack);

/* Sets the length of an entry's value (within its capacity). */
void kv_table_resized(struct kv_table *t, struct kv_entry *e, size_t value_len);

/* Removes a key; false when it was not there. */
bool kv_table_remove(struct kv_table *t, struct bytes key);

/* Removes everything, in constant time: memory is given back bit by bit by the calls that follow. */
void kv_table_clear(struct kv_table *t);

/* Some entries with hashes from `from` on, in order of hash and key: all with a hash below `*next`, where the next visit
 * goes on; 0 when these were the last. Valid until the table is changed or visited again. */
struct kv_entry *const *kv_table_visit(struct kv_table *t, uint64_t from, size_t *count, uint64_t *next);

#endif
