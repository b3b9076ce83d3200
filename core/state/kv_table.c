/* A chained hash table whose bucket is the *top* bits of the hash, so that walking the buckets is walking the hashes in
 * order. What that buys:
 *
 * 1. KEYS, SCAN and snapshots come in order of (hash, key): the same on every node whatever the history of its table,
 *    also on one that started from a snapshot. A SCAN cursor is simply the next hash; it survives resizing.
 * 2. Doubling splits bucket b into 2b and 2b+1, halving joins them. A resize goes on in order of hash too, a few buckets
 *    at each change, so one comparison tells in which of the two arrays a hash is to be looked for, and no command
 *    ever waits for a whole table to move:
 *
 *      hash  0 .................... frontier ......................... 2^64
 *            entries are in target | entries are still in buckets
 *
 * 3. The new array need not be cleared: each of its buckets is written when the frontier passes it.
 *
 * An entry is one allocation with key and value behind a small header. A cleared table becomes a discard, which the
 * following changes free a few buckets at a time. */
#include "core/state/kv_table.h"

#include "core/base/checksum.h"
#include "core/base/memory.h"

enum { BITS_MIN = 6, BITS_MAX = 30, MOVES_A_CHANGE = 4, DISCARDS_A_CHANGE = 32 };

struct kv_discard {
    struct kv_discard *next;
    struct kv_entry **buckets;
    uint64_t at;
    uint64_t end;
};

static struct kv_entry **buckets_new(uint32_t bits)
{
    struct kv_entry **buckets = malloc(((size_t)1 << bits) * sizeof *buckets);
    invariant(buckets != NULL);
    return buckets;
}

static uint64_t hash_of(struct bytes key) { return checksum(key.ptr, key.len, 0); }

static uint32_t smaller_bits(const struct kv_table *t) { return t->bits < t->target_bits ? t->bits : t->target_bits; }

static bool in_target(const struct kv_table *t, uint64_t hash)
{
    return t->target != NULL && hash >> (64 - smaller_bits(t)) < t->moved;
}

static struct kv_entry **bucket_of(const struct kv_table *t, uint64_t hash)
{
    return in_target(t, hash) ? &t->target[hash >> (64 - t->target_bits)] : &t->buckets[hash >> (64 - t->bits)];
}

/* ---- Growing, shrinking, giving back ---- */

static void free_chain(struct kv_table *t, struct kv_entry *e)
{
    while (e != NULL) {
        struct kv_entry *next = e->next;
        t->work += 2 * KV_TOUCH_WORK;
        free(e);
        e = next;
    }
}

static void split_bucket(struct kv_table *t, uint64_t bucket)
{
    struct kv_entry *e = t->buckets[bucket];
    struct kv_entry **halves = &t->target[bucket * 2];
    halves[0] = halves[1] = NULL;
    while (e != NULL) {
        struct kv_entry *next = e->next;
        t->work += KV_TOUCH_WORK;
        struct kv_entry **half = &halves[e->hash >> (64 - t->target_bits) & 1];
        e->next = *half;
        *half = e;
        e = next;
    }
}

static void join_buckets(struct kv_table *t, uint64_t bucket)
{
    struct kv_entry **end = &t->target[bucket];
    *end = t->buckets[bucket * 2];
    while (*end != NULL) {
        t->work += KV_TOUCH_WORK;
        end = &(*end)->next;
    }
    *end = t->buckets[bucket * 2 + 1];
}

static void move_some(struct kv_table *t)
{
    uint64_t total = UINT64_C(1) << smaller_bits(t);
    for (int i = 0; i < MOVES_A_CHANGE && t->moved < total; i++, t->moved++) {
        t->work += KV_TOUCH_WORK;
        if (t->target_bits > t->bits)
            split_bucket(t, t->moved);
        else
            join_buckets(t, t->moved);
    }
    if (t->moved == total) {
        free(t->buckets);
        t->buckets = t->target;
        t->bits = t->target_bits;
        t->target = NULL;
        t->target_bits = 0;
        t->moved = 0;
    }
}

static void discard(struct kv_table *t, struct kv_entry **buckets, uint64_t from, uint64_t to)
{
    struct kv_discard *d = memory_new(1, sizeof *d);
    *d = (struct kv_discard){.next = t->discards, .buckets = buckets, .at = from, .end = to};
    t->discards = d;
}

static void free_some(struct kv_table *t, uint64_t some)
{
    struct kv_discard *d = t->discards;
    t->work += some * KV_NEXT_WORK;
    for (uint64_t i = 0; i < some && d->at < d->end; i++, d->at++)
        free_chain(t, d->buckets[d->at]);
    if (d->at == d->end) {
        t->discards = d->next;
        free(d->buckets);
        free(d);
    }
}

/* The share of a change in the work that is spread over all changes. Entries stay where they are, buckets do not. */
static void work(struct kv_table *t)
{
    if (t->discards != NULL)
        free_some(t, DISCARDS_A_CHANGE);
    if (t->target == NULL) {
        uint64_t size = UINT64_C(1) << t->bits;
        if (t->count > size && t->bits < BITS_MAX)
            t->target_bits = t->bits + 1;
        else if (t->count < size / 8 && t->bits > BITS_MIN)
            t->target_bits = t->bits - 1;
        else
            return;
        t->target = buckets_new(t->target_bits);
    }
    move_some(t);
}

/* ---- Public ---- */

static void start_empty(struct kv_table *t)
{
    t->bits = BITS_MIN;
    t->buckets = memory_new((size_t)1 << BITS_MIN, sizeof *t->buckets);
    t->target = NULL;
    t->target_bits = 0;
    t->moved = 0;
    t->count = 0;
    t->bytes = 0;
}

void kv_table_init(struct kv_table *t)
{
    *t = (struct kv_table){0};
    start_empty(t);
}

void kv_table_clear(struct kv_table *t)
{
    if (t->count == 0)
        return;
    uint64_t in_buckets = 0;
    if (t->target != NULL) {
        discard(t, t->target, 0, t->moved << (t->target_bits - smaller_bits(t)));
        in_buckets = t->moved << (t->bits - smaller_bits(t));
    }
    discard(t, t->buckets, in_buckets, UINT64_C(1) << t->bits);
    start_empty(t);
}

void kv_table_close(struct kv_table *t)
{
    kv_table_clear(t);
    while (t->discards != NULL)
        free_some(t, UINT64_MAX);
    free(t->buckets);
    free(t->target);
    free(t->visited);
    *t = (struct kv_table){0};
}

/* The link to the entry of a key, or the end of the chain where it would be. */
static struct kv_entry **link_of(struct kv_table *t, struct bytes key, uint64_t hash)
{
    struct kv_entry **link = bucket_of(t, hash);
    t->work += KV_TOUCH_WORK + kv_hash_work(key.len);
    for (; *link != NULL; link = &(*link)->next) {
        struct kv_entry *e = *link;
        t->work += KV_TOUCH_WORK + (e->hash == hash ? kv_copy_work(key.len) : 0);
        if (e->hash == hash && e->key_len == key.len && (key.len == 0 || memcmp(e->bytes, key.ptr, key.len) == 0))
            break;
    }
    return link;
}

struct kv_entry *kv_table_find(struct kv_table *t, struct bytes key) { return *link_of(t, key, hash_of(key)); }

struct kv_entry *kv_table_reserve(struct kv_table *t, struct bytes key, size_t capacity, size_t slack)
{
    invariant(key.len <= INT32_MAX && capacity <= INT32_MAX && slack <= INT32_MAX);
    work(t);
    uint64_t hash = hash_of(key);
    struct kv_entry **link = link_of(t, key, hash);
    struct kv_entry *e = *link;
    /* A much too large block is given back: what was long once need not stay so. */
    if (e != NULL && e->value_capacity >= capacity && e->value_capacity / 4 <= (capacity > 64 ? capacity : 64))
        return e;
    size_t kept = e != NULL && e->value_len > capacity ? e->value_len : capacity; /* the old value is still wanted */
    bool is_new = e == NULL;
    t->work += KV_TOUCH_WORK + kv_copy_work(key.len + (is_new ? 0 : e->value_len));
    e = realloc(e, sizeof *e + key.len + kept + slack);
    invariant(e != NULL);
    if (is_new) {
        *e = (struct kv_entry){.key_len = (uint32_t)key.len, .hash = hash};
        if (key.len > 0)
            memcpy(e->bytes, key.ptr, key.len);
        t->count++;
        t->bytes += KV_ENTRY_OVERHEAD + key.len;
    }
    e->value_capacity = (uint32_t)(kept + slack);
    *link = e;
    return e;
}

void kv_table_resized(struct kv_table *t, struct kv_entry *e, size_t value_len)
{
    invariant(value_len <= e->value_capacity);
    t->bytes = t->bytes - e->value_len + value_len;
    e->value_len = (uint32_t)value_len;
}

bool kv_table_remove(struct kv_table *t, struct bytes key)
{
    work(t);
    struct kv_entry **link = link_of(t, key, hash_of(key));
    struct kv_entry *e = *link;
    if (e == NULL)
        return false;
    *link = e->next;
    t->count--;
    t->bytes -= KV_ENTRY_OVERHEAD + (uint64_t)e->key_len + e->value_len;
    free(e);
    return true;
}

/* ---- Visiting in order ---- */

static bool before(const struct kv_entry *a, const struct kv_entry *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash;
    uint32_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order < 0 : a->key_len < b->key_len;
}

/* Chains are short: insertion sort. */
static size_t collect(struct kv_table *t, struct kv_entry *chain, uint64_t from)
{
    size_t count = 0;
    for (struct kv_entry *e = chain; e != NULL; e = e->next) {
        t->work += KV_TOUCH_WORK;
        if (e->hash < from)
            continue;
        t->visited = memory_reserve(t->visited, &t->visited_capacity, count + 1, sizeof *t->visited);
        size_t at = count++;
        for (; at > 0 && before(e, t->visited[at - 1]); at--) {
            t->work += KV_TOUCH_WORK;
            t->visited[at] = t->visited[at - 1];
        }
        t->visited[at] = e;
    }
    return count;
}

struct kv_entry *const *kv_table_visit(struct kv_table *t, uint64_t from, size_t *count, uint64_t *next)
{
    *count = 0;
    for (;;) {
        uint32_t bits = in_target(t, from) ? t->target_bits : t->bits;
        uint64_t bucket = from >> (64 - bits);
        t->work += KV_NEXT_WORK;
        *count = collect(t, *bucket_of(t, from), from);
        /* The first hash of the next bucket; 0 after the last one. */
        *next = (bucket + 1) << (64 - bits);
        if (*count > 0 || *next == 0)
            return t->visited;
        from = *next;
    }
}
