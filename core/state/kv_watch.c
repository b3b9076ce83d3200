#include "core/state/kv_watch.h"

#include "core/base/assert.h"
#include "core/base/cursor.h"
#include "core/base/memory.h"

enum watch_state { WATCH_FREE, WATCH_UNCHANGED, WATCH_CHANGED };

/* The neighbours in a list, counted from 1; 0: none. */
struct link {
    uint16_t before, after;
};

/* One that has changed is in no list of its key: it need not be touched again. */
struct kv_watch {
    uint64_t key, set;
    struct link of_key, of_set;
    uint8_t state; /* enum watch_state */
};

enum { BUCKETS = KV_WATCHES_MAX, MAGIC = 0x31574b53 }; /* "SKW1" */
_Static_assert(KV_WATCHES_MAX < UINT16_MAX && (BUCKETS & (BUCKETS - 1)) == 0, "places fit a link");

void kv_watches_close(struct kv_watches *w)
{
    free(w->ring);
    free(w->keys);
    free(w->sets);
    *w = (struct kv_watches){0};
}

void kv_watches_reset(struct kv_watches *w) { kv_watches_close(w); }

static struct kv_watch *at(const struct kv_watches *w, uint16_t number) { return &w->ring[number - 1]; }

static uint16_t *bucket(uint16_t *buckets, uint64_t hash) { return &buckets[hash & (BUCKETS - 1)]; }

/* ---- Lists ---- */

static void hang_by_key(struct kv_watches *w, uint16_t number)
{
    struct kv_watch *one = at(w, number);
    uint16_t *first = bucket(w->keys, one->key);
    one->of_key = (struct link){.after = *first};
    if (*first != 0)
        at(w, *first)->of_key.before = number;
    *first = number;
}

static void hang_by_set(struct kv_watches *w, uint16_t number)
{
    struct kv_watch *one = at(w, number);
    uint16_t *first = bucket(w->sets, one->set);
    one->of_set = (struct link){.after = *first};
    if (*first != 0)
        at(w, *first)->of_set.before = number;
    *first = number;
}

static void leave_key(struct kv_watches *w, const struct kv_watch *one)
{
    const struct link l = one->of_key;
    if (l.before != 0)
        at(w, l.before)->of_key.after = l.after;
    else
        *bucket(w->keys, one->key) = l.after;
    if (l.after != 0)
        at(w, l.after)->of_key.before = l.before;
}

static void leave_set(struct kv_watches *w, const struct kv_watch *one)
{
    const struct link l = one->of_set;
    if (l.before != 0)
        at(w, l.before)->of_set.after = l.after;
    else
        *bucket(w->sets, one->set) = l.after;
    if (l.after != 0)
        at(w, l.after)->of_set.before = l.before;
}

static void forget(struct kv_watches *w, struct kv_watch *one)
{
    if (one->state == WATCH_FREE)
        return;
    if (one->state == WATCH_UNCHANGED)
        leave_key(w, one);
    leave_set(w, one);
    *one = (struct kv_watch){.state = WATCH_FREE};
    w->count--;
}

/* ---- Watches ---- */

static void begin(struct kv_watches *w)
{
    if (w->ring != NULL)
        return;
    w->ring = memory_new(KV_WATCHES_MAX, sizeof *w->ring);
    w->keys = memory_new(BUCKETS, sizeof *w->keys);
    w->sets = memory_new(BUCKETS, sizeof *w->sets);
}

/* Puts a watch in a place that is free. */
static void put(struct kv_watches *w, uint32_t place, const struct kv_watch *is)
{
    struct kv_watch *one = &w->ring[place];
    invariant(one->state == WATCH_FREE);
    *one = *is;
    hang_by_set(w, (uint16_t)(place + 1));
    if (one->state == WATCH_UNCHANGED)
        hang_by_key(w, (uint16_t)(place + 1));
    w->count++;
}

void kv_watches_add(struct kv_watches *w, uint64_t set, uint64_t key)
{
    begin(w);
    forget(w, &w->ring[w->next]);
    put(w, w->next, &(struct kv_watch){.key = key, .set = set, .state = WATCH_UNCHANGED});
    w->next = (w->next + 1) % KV_WATCHES_MAX;
}

uint64_t kv_watches_touch(struct kv_watches *w, uint64_t key)
{
    uint64_t looked = 0;
    if (w->count == 0)
        return 0;
    for (uint16_t number = *bucket(w->keys, key); number != 0; looked++) {
        struct kv_watch *one = at(w, number);
        number = one->of_key.after;
        if (one->key != key)
            continue;
        leave_key(w, one);
        one->state = WATCH_CHANGED;
    }
    return looked;
}

void kv_watches_touch_those(struct kv_watches *w, kv_watches_is_there *is_there, void *context)
{
    for (uint32_t place = 0; w->count > 0 && place < KV_WATCHES_MAX; place++) {
        struct kv_watch *one = &w->ring[place];
        if (one->state != WATCH_UNCHANGED || !is_there(context, one->key))
            continue;
        leave_key(w, one);
        one->state = WATCH_CHANGED;
    }
}

bool kv_watches_take(struct kv_watches *w, uint64_t set, size_t count)
{
    size_t unchanged = 0, found = 0;
    if (w->count == 0)
        return count == 0;
    for (uint16_t number = *bucket(w->sets, set); number != 0;) {
        struct kv_watch *one = at(w, number);
        number = one->of_set.after;
        if (one->set != set)
            continue;
        found++;
        unchanged += one->state == WATCH_UNCHANGED;
        forget(w, one);
    }
    return found == count && unchanged == count;
}

/* ---- Snapshots ---- */

size_t kv_watches_save(const struct kv_watches *w, uint8_t *out)
{
    uint8_t *to = out + KV_WATCHES_HEADER;
    cursor_store_u32(out, MAGIC);
    cursor_store_u32(out + 4, w->count);
    cursor_store_u32(out + 8, w->next);
    cursor_store_u32(out + 12, 0);
    for (uint32_t place = 0; w->count > 0 && place < KV_WATCHES_MAX; place++) {
        const struct kv_watch *one = &w->ring[place];
        if (one->state == WATCH_FREE)
            continue;
        cursor_store_u32(to, place);
        cursor_store_u32(to + 4, one->state == WATCH_CHANGED);
        cursor_store_u64(to + 8, one->key);
        cursor_store_u64(to + 16, one->set);
        to += KV_WATCHES_ENTRY;
    }
    return (size_t)(to - out);
}

bool kv_watches_is_chunk(struct bytes chunk) { return chunk.len >= 4 && cursor_load_u32(chunk.ptr) == MAGIC; }

static bool load(struct kv_watches *w, struct bytes chunk)
{
    struct read_cursor c = cursor_over(chunk.ptr, chunk.len);
    const bool is_chunk = cursor_read_u32(&c) == MAGIC;
    const uint32_t count = cursor_read_u32(&c), next = cursor_read_u32(&c), zero = cursor_read_u32(&c);
    if (c.failed || !is_chunk || zero != 0 || next >= KV_WATCHES_MAX || count > KV_WATCHES_MAX)
        return false;
    begin(w);
    w->next = next;
    for (uint32_t i = 0, least = 0; i < count; i++) {
        const uint32_t place = cursor_read_u32(&c), changed = cursor_read_u32(&c);
        const uint64_t key = cursor_read_u64(&c), set = cursor_read_u64(&c);
        if (c.failed || place < least || place >= KV_WATCHES_MAX || changed > 1)
            return false;
        put(w, place, &(struct kv_watch){.key = key, .set = set, .state = changed ? WATCH_CHANGED : WATCH_UNCHANGED});
        least = place + 1;
    }
    return cursor_finished(&c);
}

bool kv_watches_load(struct kv_watches *w, struct bytes chunk)
{
    kv_watches_reset(w);
    const bool loaded = load(w, chunk);
    if (!loaded)
        kv_watches_reset(w);
    return loaded;
}
