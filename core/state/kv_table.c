/* A hash table in which the *top* bits of the hash choose the bucket. So visiting the buckets in order visits the hashes in
 * order. The gains:
 *
 * 1. KEYS, SCAN and snapshots come in order of (hash, key). That order is the same on every node, whatever the history of
 *    its table, and also on a node that started from a snapshot. A SCAN cursor is simply the next hash, and it survives
 *    resizing.
 * 2. Doubling splits bucket b into 2b and 2b+1; halving joins them. A resize also goes in order of hash, a few buckets at
 *    each change. One comparison tells which of the two arrays a hash is in, and no command ever waits for a whole table to
 *    move:
 *
 *      hash  0 .................... frontier ......................... 2^64
 *            entries are in target | entries are still in buckets
 *
 * 3. The new array need not be cleared: each of its buckets is written when the frontier passes it.
 *
 * The entries of a bucket are not a chain but a digital search tree: below an entry, those whose next bit of the hash is 0
 * are on the left, the others on the right. Usually there are one or two entries. But SCAN shows clients the order of
 * hashes, so clients can find keys whose hashes begin alike, with twice as many tries for each bit. In a chain such keys
 * would make every search longer. In the tree a search is never longer than the bits of the hash, except for entries of one
 * whole hash, of which clients can find only a few. Splitting, joining and removing are searches, too:
 *
 *      split:  the two subtrees are the new buckets; the root is hung into one of them
 *      join:   a leaf of either tree becomes the root of both
 *      remove: a leaf from below takes the place of the entry
 *
 * Blocks, buckets and their links are counted and bounded, see kv_entry_cost. */
#include "core/state/kv_table.h"

#include "core/base/memory.h"

enum { BITS_MIN = 6, MOVES_A_CHANGE = 4 };
enum { FIRST = sizeof((struct kv_entry *)0)->bytes, FURTHER = KV_BLOCK - sizeof(uint32_t) };

static struct kv_entry *entry_at(const struct kv_table *t, uint32_t number) { return kv_block(t->pool, number); }

/* ---- Arrays of buckets ---- */

static uint32_t segments_of(uint32_t bits) { return bits <= 16 ? 1 : UINT32_C(1) << (bits - 16); }
_Static_assert(KV_BUCKETS_A_SEGMENT == 1 << 16, "segments_of and bucket_at know how many there are");

static uint32_t *bucket_at(const struct kv_buckets *a, uint64_t index) { return &a->segments[index >> 16][index & 0xffff]; }

/* The same, for a segment that may not be allocated yet. */
static uint32_t *bucket_made(struct kv_table *t, struct kv_buckets *a, uint64_t index)
{
    uint32_t **segment = &a->segments[index >> 16];
    if (*segment == NULL)
        *segment = (uint32_t *)(void *)kv_pieces_take(t->pool->pieces);
    return bucket_at(a, index);
}

static void give_segments(struct kv_table *t, struct kv_buckets *a)
{
    for (uint32_t i = 0; i < segments_of(a->bits); i++) {
        t->work += KV_TOUCH_WORK;
        if (a->segments[i] == NULL)
            continue;
        kv_pieces_give(t->pool->pieces, (uint8_t *)a->segments[i]);
        a->segments[i] = NULL;
    }
    a->bits = 0;
}

static uint32_t smaller_bits(const struct kv_table *t)
{
    return t->buckets.bits < t->target.bits ? t->buckets.bits : t->target.bits;
}

static const struct kv_buckets *array_of(const struct kv_table *t, uint64_t hash)
{
    bool done = t->target.bits != 0 && hash >> (64 - smaller_bits(t)) < t->moved;
    return done ? &t->target : &t->buckets;
}

/* ---- Trees ---- */

/* Whether the next bit of the hash, after `depth` bits, leads to the right. Entries of one whole hash hang to the right. */
static bool goes_right(uint64_t hash, uint32_t depth) { return depth >= 64 || (hash >> (63 - depth) & 1) != 0; }

/* Takes a leaf out of the tree at `*root`, which is not empty. */
static uint32_t take_leaf(struct kv_table *t, uint32_t *root)
{
    uint32_t *link = root;
    for (;;) {
        struct kv_entry *e = entry_at(t, *link);
        t->work += KV_TOUCH_WORK;
        if (e->left != 0) {
            link = &e->left;
        } else if (e->right != 0) {
            link = &e->right;
        } else {
            uint32_t number = *link;
            *link = 0;
            return number;
        }
    }
}

/* Hangs an entry without children into the tree at `*link`, whose root is at `depth`. */
static void hang(struct kv_table *t, uint32_t *link, uint32_t depth, uint32_t number)
{
    uint64_t hash = entry_at(t, number)->hash;
    while (*link != 0) {
        struct kv_entry *e = entry_at(t, *link);
        t->work += KV_TOUCH_WORK;
        link = goes_right(hash, depth++) ? &e->right : &e->left;
    }
    *link = number;
}

static void split_bucket(struct kv_table *t, uint64_t bucket)
{
    uint32_t root = *bucket_at(&t->buckets, bucket), depth = t->target.bits;
    uint32_t *left = bucket_made(t, &t->target, bucket * 2), *right = bucket_made(t, &t->target, bucket * 2 + 1);
    *left = *right = 0;
    if (root == 0)
        return;
    struct kv_entry *e = entry_at(t, root);
    t->work += KV_TOUCH_WORK;
    *left = e->left;
    *right = e->right;
    e->left = e->right = 0;
    hang(t, goes_right(e->hash, depth - 1) ? right : left, depth, root);
}

static void join_buckets(struct kv_table *t, uint64_t bucket)
{
    uint32_t left = *bucket_at(&t->buckets, bucket * 2), right = *bucket_at(&t->buckets, bucket * 2 + 1), root = 0;
    if (left != 0 || right != 0) {
        root = take_leaf(t, left != 0 ? &left : &right);
        struct kv_entry *e = entry_at(t, root);
        e->left = left;
        e->right = right;
    }
    *bucket_made(t, &t->target, bucket) = root;
}

/* ---- Growing and shrinking ---- */

static void move_some(struct kv_table *t)
{
    uint64_t total = UINT64_C(1) << smaller_bits(t);
    for (int i = 0; i < MOVES_A_CHANGE && t->moved < total; i++, t->moved++) {
        t->work += 8 * KV_NEXT_WORK;
        if (t->target.bits > t->buckets.bits)
            split_bucket(t, t->moved);
        else
            join_buckets(t, t->moved);
    }
    if (t->moved == total) {
        give_segments(t, &t->buckets);
        t->work += kv_copy_work(segments_of(t->target.bits) * sizeof(uint32_t *));
        memcpy(t->buckets.segments, t->target.segments, segments_of(t->target.bits) * sizeof(uint32_t *));
        t->buckets.bits = t->target.bits;
        memset(t->target.segments, 0, segments_of(t->target.bits) * sizeof(uint32_t *));
        t->target.bits = 0;
        t->moved = 0;
    }
}

/* Does a change's share of the work of resizing. It moves buckets, not entries. */
static void resize_some(struct kv_table *t)
{
    if (t->target.bits == 0) {
        uint64_t size = UINT64_C(1) << t->buckets.bits;
        if (t->count > size && t->buckets.bits < KV_BITS_MAX)
            t->target.bits = t->buckets.bits + 1;
        else if (t->count < size / 8 && t->buckets.bits > BITS_MIN)
            t->target.bits = t->buckets.bits - 1;
        else
            return;
    }
    move_some(t);
}

static void start_empty(struct kv_table *t)
{
    t->buckets.bits = BITS_MIN;
    t->target.bits = 0;
    t->moved = 0;
    t->count = 0;
    t->bytes = 0;
    t->work += kv_copy_work(sizeof(uint32_t) << BITS_MIN);
    memset(bucket_made(t, &t->buckets, 0), 0, sizeof(uint32_t) << BITS_MIN);
}

void kv_table_init(struct kv_table *t, struct kv_pool *pool)
{
    *t = (struct kv_table){.pool = pool};
    start_empty(t);
}

static void give_all_segments(struct kv_table *t)
{
    give_segments(t, &t->buckets);
    if (t->target.bits != 0)
        give_segments(t, &t->target);
}

void kv_table_clear(struct kv_table *t)
{
    give_all_segments(t);
    start_empty(t);
}

void kv_table_close(struct kv_table *t)
{
    give_all_segments(t);
    free(t->visited);
    free(t->text);
    *t = (struct kv_table){0};
}

/* ---- The bytes of an entry ---- */

/* A place in the bytes of an entry: how many follow it without a break, and the link to the rest. */
struct place {
    uint8_t *at;
    size_t left;
    const uint32_t *link;
};

/* How many further blocks `len` bytes of key and value need. */
static size_t further(size_t len) { return len > FIRST ? (len - FIRST + FURTHER - 1) / FURTHER : 0; }

static size_t length(const struct kv_entry *e) { return (size_t)e->key_len + e->value_len; }

/* All further blocks of an entry. */
static uint32_t further_of(const struct kv_entry *e) { return (uint32_t)further(length(e)) + e->timed; }

/* The link to the first further block that has bytes. */
static const uint32_t *link_to_bytes(const struct kv_table *t, const struct kv_entry *e)
{
    return e->timed ? kv_block_link(t->pool, e->rest) : &e->rest;
}

static struct place place_in(const struct kv_table *t, uint32_t number, size_t used)
{
    uint8_t *block = kv_block(t->pool, number);
    return (struct place){block + sizeof(uint32_t) + used, FURTHER - used, (const uint32_t *)(const void *)block};
}

static struct place place_of(struct kv_table *t, const struct kv_entry *e, size_t offset)
{
    struct place p = {(uint8_t *)(uintptr_t)e->bytes, FIRST, link_to_bytes(t, e)};
    while (offset > p.left) {
        offset -= p.left;
        t->work += KV_TOUCH_WORK / 4; /* blocks taken one after the other are usually neighbours in memory */
        p = place_in(t, *p.link, 0);
    }
    p.at += offset;
    p.left -= offset;
    return p;
}

/* The place after the last byte. */
static struct place place_at_end(const struct kv_table *t, struct kv_entry *e)
{
    size_t len = length(e);
    if (len <= FIRST)
        return (struct place){e->bytes + len, FIRST - len, link_to_bytes(t, e)};
    return place_in(t, e->last, (len - FIRST - 1) % FURTHER + 1);
}

enum transfer { TRANSFER_OUT, TRANSFER_IN, TRANSFER_ZEROS, TRANSFER_COMPARE };

/* Moves `len` bytes between a place and `bytes`. TRANSFER_COMPARE: less than, equal to, more than 0 as memcmp. */
static int transfer(struct kv_table *t, struct place p, enum transfer how, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        if (p.left == 0) {
            t->work += KV_TOUCH_WORK / 4;
            p = place_in(t, *p.link, 0);
        }
        size_t some = len < p.left ? len : p.left;
        t->work += kv_copy_work(some);
        int order = 0;
        if (how == TRANSFER_OUT)
            memcpy(bytes, p.at, some);
        else if (how == TRANSFER_IN)
            memcpy(p.at, bytes, some);
        else if (how == TRANSFER_ZEROS)
            memset(p.at, 0, some);
        else
            order = memcmp(p.at, bytes, some);
        if (order != 0)
            return order;
        bytes = how == TRANSFER_ZEROS ? NULL : bytes + some;
        p.at += some;
        p.left -= some;
        len -= some;
    }
    return 0;
}

/* Cuts key and value to `len` bytes in all and gives back the blocks that are no longer needed. The caller changes the
 * lengths. */
static void cut(struct kv_table *t, struct kv_entry *e, size_t len)
{
    size_t keep = further(len) + e->timed;
    uint32_t given = (uint32_t)(further_of(e) - keep);
    if (given == 0)
        return;
    if (keep == 0) {
        kv_pool_give(t->pool, e->rest, e->last, given);
        e->rest = e->last = 0;
        return;
    }
    uint32_t kept = e->rest;
    for (; keep > 1; keep--) {
        t->work += KV_TOUCH_WORK / 4;
        kept = *kv_block_link(t->pool, kept);
    }
    kv_pool_give(t->pool, *kv_block_link(t->pool, kept), e->last, given);
    e->last = kept;
}

/* Adds bytes (zeros when `bytes` is NULL) after the last one. The caller changes the lengths. */
static void extend(struct kv_table *t, struct kv_entry *e, const uint8_t *bytes, size_t len)
{
    struct place end = place_at_end(t, e);
    size_t old = length(e);
    uint32_t *link = e->last != 0 ? kv_block_link(t->pool, e->last) : &e->rest;
    for (size_t more = further(old + len) - further(old); more > 0; more--) {
        t->work += KV_TOUCH_WORK / 4;
        e->last = kv_pool_take(t->pool);
        *link = e->last;
        link = kv_block_link(t->pool, e->last);
    }
    transfer(t, end, bytes != NULL ? TRANSFER_IN : TRANSFER_ZEROS, (uint8_t *)(uintptr_t)bytes, len);
}

/* ---- Keys ---- */

uint64_t kv_table_hash(const struct kv_table *t, struct bytes key) { return siphash13(t->key, key.ptr, key.len); }

static bool key_is(struct kv_table *t, const struct kv_entry *e, struct bytes key)
{
    if (e->key_len != key.len)
        return false;
    if (key.len <= FIRST) {
        t->work += kv_copy_work(key.len);
        return key.len == 0 || memcmp(e->bytes, key.ptr, key.len) == 0;
    }
    return transfer(t, place_of(t, e, 0), TRANSFER_COMPARE, key.ptr, key.len) == 0;
}

/* The link to the entry of a key; if there is none, the link where it would hang. */
static uint32_t *link_of(struct kv_table *t, struct bytes key, uint64_t hash)
{
    const struct kv_buckets *array = array_of(t, hash);
    uint32_t depth = array->bits;
    uint32_t *link = bucket_at(array, hash >> (64 - depth));
    t->work += KV_TOUCH_WORK + kv_hash_work(key.len);
    while (*link != 0) {
        struct kv_entry *e = entry_at(t, *link);
        t->work += KV_TOUCH_WORK;
        if (e->hash == hash && key_is(t, e, key))
            break;
        link = goes_right(hash, depth++) ? &e->right : &e->left;
    }
    return link;
}

struct kv_entry *kv_table_find(struct kv_table *t, struct bytes key)
{
    uint32_t number = *link_of(t, key, kv_table_hash(t, key));
    return number != 0 ? entry_at(t, number) : NULL;
}

/* The entry of a key. A new entry has an empty value. */
static struct kv_entry *find_or_add(struct kv_table *t, struct bytes key)
{
    resize_some(t);
    uint64_t hash = kv_table_hash(t, key);
    uint32_t *link = link_of(t, key, hash);
    if (*link != 0)
        return entry_at(t, *link);
    uint32_t number = kv_pool_take(t->pool);
    struct kv_entry *e = entry_at(t, number);
    t->work += KV_TOUCH_WORK;
    e->hash = hash;
    e->left = e->right = e->rest = e->last = e->value_len = 0;
    e->key_len = e->timed = 0;
    extend(t, e, key.ptr, key.len);
    e->key_len = (uint32_t)key.len & INT32_MAX;
    *link = number;
    t->count++;
    t->bytes += kv_cost(key.len, 0);
    return e;
}

static void set_length(struct kv_table *t, struct kv_entry *e, size_t value_len)
{
    t->bytes = t->bytes - kv_cost(e->key_len, e->value_len) + kv_cost(e->key_len, value_len);
    e->value_len = (uint32_t)value_len;
}

struct kv_entry *kv_table_set(struct kv_table *t, struct bytes key, struct bytes value)
{
    invariant(key.len <= INT32_MAX && value.len <= INT32_MAX - key.len);
    struct kv_entry *e = find_or_add(t, key);
    size_t within = value.len < e->value_len ? value.len : e->value_len; /* overwrites these bytes; the rest is appended */
    if (within < e->value_len) {
        cut(t, e, key.len + within);
        set_length(t, e, within);
    }
    transfer(t, place_of(t, e, key.len), TRANSFER_IN, value.ptr, within);
    if (within < value.len) {
        extend(t, e, value.ptr + within, value.len - within);
        set_length(t, e, value.len);
    }
    return e;
}

struct kv_entry *kv_table_append(struct kv_table *t, struct bytes key, const uint8_t *bytes, size_t len)
{
    struct kv_entry *e = find_or_add(t, key);
    invariant(len <= INT32_MAX - length(e));
    extend(t, e, bytes, len);
    set_length(t, e, e->value_len + len);
    return e;
}

void kv_table_overwrite(struct kv_table *t, struct kv_entry *e, size_t offset, struct bytes bytes)
{
    invariant(offset <= e->value_len && bytes.len <= e->value_len - offset);
    transfer(t, place_of(t, e, e->key_len + offset), TRANSFER_IN, bytes.ptr, bytes.len);
}

void kv_table_read(struct kv_table *t, const struct kv_entry *e, size_t offset, size_t len, uint8_t *out)
{
    invariant(offset <= e->value_len && len <= e->value_len - offset);
    transfer(t, place_of(t, e, e->key_len + offset), TRANSFER_OUT, out, len);
}

struct bytes kv_table_key(struct kv_table *t, const struct kv_entry *e)
{
    if (e->key_len <= FIRST)
        return (struct bytes){(uint8_t *)(uintptr_t)e->bytes, e->key_len};
    t->text = memory_reserve(t->text, &t->text_capacity, e->key_len, 1);
    transfer(t, place_of(t, e, 0), TRANSFER_OUT, t->text, e->key_len);
    return (struct bytes){t->text, e->key_len};
}

/* Takes the entry at `*link` out of its tree. */
static struct kv_entry *unhang(struct kv_table *t, uint32_t *link)
{
    uint32_t number = *link, leaf = take_leaf(t, link);
    struct kv_entry *e = entry_at(t, number);
    if (leaf != number) {
        entry_at(t, leaf)->left = e->left;
        entry_at(t, leaf)->right = e->right;
        *link = leaf;
    }
    t->count--;
    t->bytes -= kv_entry_cost(e);
    return e;
}

bool kv_table_remove(struct kv_table *t, struct bytes key)
{
    resize_some(t);
    uint32_t *link = link_of(t, key, kv_table_hash(t, key));
    uint32_t number = *link;
    if (number == 0)
        return false;
    struct kv_entry *e = unhang(t, link);
    if (e->rest != 0)
        kv_pool_give(t->pool, e->rest, e->last, further_of(e));
    kv_pool_give(t->pool, number, number, 1);
    return true;
}

/* ---- Times ---- */

struct kv_time *kv_table_time(const struct kv_table *t, const struct kv_entry *e)
{
    return e->timed ? kv_block(t->pool, e->rest) : NULL;
}

struct kv_time *kv_table_add_time(struct kv_table *t, struct bytes key)
{
    const uint32_t number = *link_of(t, key, kv_table_hash(t, key));
    invariant(number != 0);
    struct kv_entry *e = entry_at(t, number);
    if (e->timed)
        return kv_table_time(t, e);
    const uint32_t block = kv_pool_take(t->pool);
    struct kv_time *time = kv_block(t->pool, block);
    *time = (struct kv_time){.link = e->rest, .entry = number};
    t->work += KV_TOUCH_WORK;
    e->rest = block;
    e->last = e->last != 0 ? e->last : block;
    e->timed = 1;
    t->bytes += KV_TIME_COST;
    return time;
}

void kv_table_remove_time(struct kv_table *t, struct kv_entry *e)
{
    const uint32_t block = e->rest;
    invariant(e->timed);
    e->rest = e->last != block ? *kv_block_link(t->pool, block) : 0;
    e->last = e->last != block ? e->last : 0;
    e->timed = 0;
    t->bytes -= KV_TIME_COST;
    kv_pool_give(t->pool, block, block, 1);
}

/* ---- Two tables ---- */

static bool may_share(const struct kv_table *a, const struct kv_table *b)
{
    return a->pool == b->pool && a->key.low == b->key.low && a->key.high == b->key.high;
}

/* Adds an entry that has its hash, lengths and blocks. */
static void add_entry(struct kv_table *t, uint32_t number)
{
    struct kv_entry *e = entry_at(t, number);
    const struct kv_buckets *array = array_of(t, e->hash);
    e->left = e->right = 0;
    hang(t, bucket_at(array, e->hash >> (64 - array->bits)), array->bits, number);
    t->count++;
    t->bytes += kv_entry_cost(e);
}

void kv_table_move(struct kv_table *from, struct kv_table *to, struct bytes key)
{
    invariant(may_share(from, to));
    resize_some(from);
    resize_some(to);
    uint32_t *link = link_of(from, key, kv_table_hash(from, key)), number = *link;
    invariant(number != 0);
    unhang(from, link);
    add_entry(to, number);
}

void kv_table_copy(struct kv_table *t, const struct kv_entry *from)
{
    uint32_t number = kv_pool_take(t->pool), source = from->rest;
    struct kv_entry *e = entry_at(t, number);
    uint32_t *link = &e->rest;
    resize_some(t);
    *e = *from;
    for (size_t more = further_of(from); more > 0; more--) {
        e->last = kv_pool_take(t->pool);
        memcpy(kv_block(t->pool, e->last), kv_block(t->pool, source), KV_BLOCK);
        t->work += KV_TOUCH_WORK / 4 + kv_copy_work(KV_BLOCK);
        *link = e->last;
        link = kv_block_link(t->pool, e->last);
        source = *kv_block_link(t->pool, source);
    }
    if (e->timed)
        kv_table_time(t, e)->entry = number;
    add_entry(t, number);
}

/* ---- Visiting in order ---- */

int kv_table_order(struct kv_table *t, const struct kv_entry *a, const struct kv_entry *b)
{
    t->work += KV_TOUCH_WORK / 4;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    struct bytes key = kv_table_key(t, b);
    size_t shorter = a->key_len < key.len ? a->key_len : key.len;
    int order = transfer(t, place_of(t, a, 0), TRANSFER_COMPARE, key.ptr, shorter);
    return order != 0 ? order : (a->key_len > key.len) - (a->key_len < key.len);
}

static bool before(struct kv_table *t, const struct kv_entry *a, const struct kv_entry *b)
{
    return kv_table_order(t, a, b) < 0;
}

static void sift_down(struct kv_table *t, struct kv_entry **heap, size_t at, size_t count)
{
    struct kv_entry *sinking = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(t, heap[child], heap[child + 1]))
            child++;
        if (!before(t, sinking, heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = sinking;
}

/* Heapsort: its time is bounded whatever the keys are, which clients choose. */
static void sort(struct kv_table *t, struct kv_entry **list, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(t, list, i, count);
    for (size_t end = count; end-- > 1;) {
        struct kv_entry *last = list[0];
        list[0] = list[end];
        list[end] = last;
        sift_down(t, list, 0, end);
    }
}

static size_t add_visited(struct kv_table *t, size_t count, uint32_t number)
{
    if (number == 0)
        return count;
    t->work += KV_TOUCH_WORK;
    t->visited = memory_reserve(t->visited, &t->visited_capacity, count + 1, sizeof *t->visited);
    t->visited[count] = entry_at(t, number);
    return count + 1;
}

/* The entries of a tree with hashes from `from` on, in order. */
static size_t collect(struct kv_table *t, uint32_t root, uint64_t from)
{
    size_t all = add_visited(t, 0, root), count = 0;
    for (size_t i = 0; i < all; i++) {
        struct kv_entry *e = t->visited[i];
        all = add_visited(t, all, e->left);
        all = add_visited(t, all, e->right);
        if (e->hash >= from)
            t->visited[count++] = e;
    }
    sort(t, t->visited, count);
    return count;
}

struct kv_entry *const *kv_table_visit(struct kv_table *t, uint64_t from, size_t *count, uint64_t *next)
{
    *count = 0;
    for (;;) {
        const struct kv_buckets *array = array_of(t, from);
        uint64_t bucket = from >> (64 - array->bits);
        t->work += KV_NEXT_WORK;
        *count = collect(t, *bucket_at(array, bucket), from);
        /* The first hash of the next bucket; 0 after the last one. */
        *next = (bucket + 1) << (64 - array->bits);
        if (*count > 0 || *next == 0)
            return t->visited;
        from = *next;
    }
}

bool kv_table_has_hash(struct kv_table *t, uint64_t hash)
{
    const struct kv_buckets *array = array_of(t, hash);
    t->work += KV_TOUCH_WORK;
    return collect(t, *bucket_at(array, hash >> (64 - array->bits)), hash) > 0 && t->visited[0]->hash == hash;
}
