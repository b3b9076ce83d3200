#include "core/state/kv_versions.h"

#include "core/base/assert.h"

/* What a snapshot may keep aside, and a command need, beyond what the state takes. A small store needs less. */
enum { ASIDE_BYTES = 80 << 20, ROUNDING_PIECES = 16 };

/* Pieces that all blocks take at most. */
static uint64_t slabs_max(uint64_t state_bytes_max)
{
    uint64_t aside = 4 * state_bytes_max < ASIDE_BYTES ? 4 * state_bytes_max : ASIDE_BYTES;
    return (state_bytes_max + aside) / KV_PIECE + ROUNDING_PIECES;
}

uint64_t kv_versions_pieces_max(uint64_t state_bytes_max)
{
    uint64_t blocks = slabs_max(state_bytes_max);
    return blocks + blocks / 8 + ROUNDING_PIECES;
}

void kv_versions_init(struct kv_versions *v, uint64_t state_bytes_max)
{
    *v = (struct kv_versions){.state_bytes_max = state_bytes_max};
    for (int i = 0; i < 2; i++)
        kv_pool_init(&v->pools[i], &v->pieces);
    kv_table_init(&v->live, &v->pools[0]);
}

/* Nothing is in the live table any more, and none of its memory is in use. */
static void empty(struct kv_versions *v)
{
    kv_times_clear(&v->times, &v->pieces);
    kv_table_clear(&v->live);
    kv_pool_reset(v->live.pool);
}

/* Drops what is there for the snapshot alone. */
static void end(struct kv_versions *v)
{
    if (v->snapshot == KV_NO_SNAPSHOT)
        return;
    kv_table_close(&v->kept);
    kv_table_close(&v->born);
    if (v->snapshot == KV_SNAPSHOT_OF_FROZEN) {
        struct kv_pool *pool = v->frozen.pool;
        kv_table_close(&v->frozen);
        kv_pool_reset(pool);
    }
    v->snapshot = KV_NO_SNAPSHOT;
    if (v->live.count == 0)
        empty(v);
}

void kv_versions_reset(struct kv_versions *v)
{
    end(v);
    kv_times_clear(&v->times, &v->pieces);
    kv_table_clear(&v->live);
    for (int i = 0; i < 2; i++)
        kv_pool_reset(&v->pools[i]);
}

void kv_versions_close(struct kv_versions *v)
{
    end(v);
    kv_times_clear(&v->times, &v->pieces);
    kv_table_close(&v->live);
    for (int i = 0; i < 2; i++)
        kv_pool_close(&v->pools[i]);
    kv_pieces_close(&v->pieces);
}

/* ---- Changes ---- */

enum change { CHANGES_IN_PLACE, CHANGES_WHOLE };

/* Whether the snapshot still needs to know what this key had. */
static bool awaited(struct kv_versions *v, struct bytes key)
{
    return v->snapshot == KV_SNAPSHOT_OF_LIVE && kv_table_hash(&v->live, key) >= v->cursor;
}

static bool has(struct kv_table *t, struct bytes key) { return t->count > 0 && kv_table_find(t, key) != NULL; }

/* Before an entry leaves the live table. */
static void leave_times(struct kv_versions *v, const struct kv_entry *e)
{
    if (e != NULL && e->timed)
        kv_times_leave(&v->times, &v->live, e);
}

/* Leaves the trace of a change, before it. With CHANGES_WHOLE the key is in the live table no longer. */
static void leave_trace(struct kv_versions *v, struct bytes key, enum change how)
{
    if (!awaited(v, key) || has(&v->born, key) || has(&v->kept, key))
        return;
    const struct kv_entry *e = kv_table_find(&v->live, key);
    if (e == NULL) {
        kv_table_set(&v->born, key, (struct bytes){NULL, 0});
    } else if (how == CHANGES_IN_PLACE) {
        kv_table_copy(&v->kept, e);
    } else {
        leave_times(v, e);
        kv_table_move(&v->live, &v->kept, key);
    }
}

static void forget_time(struct kv_versions *v, struct kv_entry *e)
{
    leave_times(v, e);
    kv_table_remove_time(&v->live, e);
}

/* Tells those who watch a key. */
static void tell(struct kv_versions *v, uint64_t hash)
{
    v->live.work += KV_NEXT_WORK + KV_TOUCH_WORK * kv_watches_touch(v->watches, hash);
}

static bool is_watched(const struct kv_versions *v) { return v->watches != NULL && v->watches->count > 0; }

static void tell_of(struct kv_versions *v, struct bytes key)
{
    if (is_watched(v))
        tell(v, kv_table_hash(&v->live, key));
}

void kv_versions_set(struct kv_versions *v, struct bytes key, struct bytes value)
{
    tell_of(v, key);
    leave_trace(v, key, CHANGES_WHOLE);
    struct kv_entry *e = kv_table_set(&v->live, key, value);
    if (e->timed)
        forget_time(v, e);
}

void kv_versions_replace(struct kv_versions *v, struct bytes key, struct bytes value)
{
    tell_of(v, key);
    leave_trace(v, key, CHANGES_IN_PLACE);
    kv_table_set(&v->live, key, value);
}

struct kv_entry *kv_versions_append(struct kv_versions *v, struct bytes key, const uint8_t *bytes, size_t len)
{
    tell_of(v, key);
    leave_trace(v, key, CHANGES_IN_PLACE);
    return kv_table_append(&v->live, key, bytes, len);
}

void kv_versions_overwrite(struct kv_versions *v, struct kv_entry *e, size_t offset, struct bytes bytes)
{
    if (is_watched(v))
        tell(v, e->hash);
    leave_trace(v, kv_table_key(&v->live, e), CHANGES_IN_PLACE);
    kv_table_overwrite(&v->live, e, offset, bytes);
}

/* A table without entries keeps no buckets: a visit of its keys would go through them. */
static bool remove_live(struct kv_versions *v, struct bytes key)
{
    bool removed = kv_table_remove(&v->live, key);
    if (removed && v->live.count == 0 && v->snapshot != KV_SNAPSHOT_OF_LIVE)
        empty(v);
    return removed;
}

/* Removes a key that has left the times. */
static bool remove_key(struct kv_versions *v, struct bytes key)
{
    if (!awaited(v, key) || has(&v->kept, key) || (v->born.count > 0 && kv_table_remove(&v->born, key)))
        return remove_live(v, key);
    if (!has(&v->live, key))
        return false;
    kv_table_move(&v->live, &v->kept, key);
    return true;
}

bool kv_versions_remove(struct kv_versions *v, struct bytes key)
{
    if (v->times.count > 0)
        leave_times(v, kv_table_find(&v->live, key));
    const bool removed = remove_key(v, key);
    if (removed)
        tell_of(v, key);
    return removed;
}

void kv_versions_set_until(struct kv_versions *v, struct bytes key, uint64_t until)
{
    tell_of(v, key);
    leave_trace(v, key, CHANGES_IN_PLACE);
    kv_times_set(&v->times, &v->live, key, until);
}

void kv_versions_persist(struct kv_versions *v, struct kv_entry *e)
{
    if (is_watched(v))
        tell(v, e->hash);
    leave_trace(v, kv_table_key(&v->live, e), CHANGES_IN_PLACE);
    forget_time(v, e);
}

uint64_t kv_versions_until(const struct kv_versions *v, const struct kv_entry *e)
{
    return e->timed ? kv_table_time(&v->live, e)->until : KV_FOREVER;
}

uint64_t kv_versions_first_until(const struct kv_versions *v)
{
    const struct kv_entry *e = kv_times_first(&v->times, &v->live);
    return e != NULL ? kv_versions_until(v, e) : KV_FOREVER;
}

struct bytes kv_versions_first(const struct kv_versions *v)
{
    return kv_table_key((struct kv_table *)(uintptr_t)&v->live, kv_times_first(&v->times, &v->live));
}

void kv_versions_remove_first(struct kv_versions *v)
{
    const struct kv_entry *e = kv_times_first(&v->times, &v->live);
    if (is_watched(v))
        tell(v, e->hash);
    leave_times(v, e);
    remove_key(v, kv_table_key(&v->live, e));
}

/* The live table becomes the snapshot's, and what was kept for it stays in its pool. */
static void freeze(struct kv_versions *v)
{
    struct kv_pool *other = v->live.pool == &v->pools[0] ? &v->pools[1] : &v->pools[0];
    v->frozen = v->live;
    kv_table_init(&v->live, other);
    v->live.key = v->frozen.key;
    v->snapshot = KV_SNAPSHOT_OF_FROZEN;
}

static bool is_there(void *table, uint64_t hash) { return kv_table_has_hash(table, hash); }

void kv_versions_clear(struct kv_versions *v)
{
    if (is_watched(v))
        kv_watches_touch_those(v->watches, is_there, &v->live);
    kv_times_clear(&v->times, &v->pieces);
    if (v->snapshot == KV_SNAPSHOT_OF_LIVE)
        freeze(v);
    else
        empty(v);
}

/* ---- Work and room ---- */

uint64_t kv_versions_work(const struct kv_versions *v)
{
    return v->live.work + v->kept.work + v->born.work + v->frozen.work;
}

void kv_versions_work_reset(struct kv_versions *v) { v->live.work = v->kept.work = v->born.work = v->frozen.work = 0; }

bool kv_versions_has_room(const struct kv_versions *v, uint64_t bytes)
{
    if (v->snapshot == KV_NO_SNAPSHOT)
        return true;
    uint64_t bytes_max = v->snapshot_bytes > v->state_bytes_max ? v->snapshot_bytes : v->state_bytes_max;
    uint64_t most = slabs_max(bytes_max), have = (uint64_t)v->pools[0].slab_count + v->pools[1].slab_count;
    uint64_t left = kv_pool_left(v->live.pool) + (have < most ? most - have : 0) * KV_BLOCKS_A_PIECE;
    return left * KV_BLOCK >= bytes;
}

/* ---- The snapshot ---- */

void kv_versions_begin(struct kv_versions *v)
{
    invariant(v->snapshot == KV_NO_SNAPSHOT);
    kv_table_init(&v->kept, v->live.pool);
    kv_table_init(&v->born, v->live.pool);
    v->kept.key = v->born.key = v->live.key;
    v->cursor = 0;
    v->snapshot_bytes = v->live.bytes;
    v->snapshot = KV_SNAPSHOT_OF_LIVE;
}

struct kv_table *kv_versions_source(struct kv_versions *v)
{
    return v->snapshot == KV_SNAPSHOT_OF_FROZEN ? &v->frozen : &v->live;
}

struct kv_walk kv_versions_walk(struct kv_versions *v)
{
    invariant(v->snapshot != KV_NO_SNAPSHOT);
    return (struct kv_walk){.source = {.table = kv_versions_source(v), .next = v->cursor},
                            .kept = {.table = &v->kept, .next = v->cursor}};
}

/* The next entry of a run, which is not taken yet. */
static struct kv_entry *head(struct kv_run *r)
{
    while (r->at == r->count) {
        if (r->state == KV_RUN_GOES_ON && r->next == 0)
            return NULL;
        r->list = kv_table_visit(r->table, r->next, &r->count, &r->next);
        r->at = 0;
        r->state = KV_RUN_GOES_ON;
    }
    return r->list[r->at];
}

const struct kv_entry *kv_versions_next(struct kv_versions *v, struct kv_walk *w, bool *is_born)
{
    struct kv_entry *before = head(&w->kept), *now = head(&w->source);
    *is_born = false;
    if (before == NULL && now == NULL)
        return NULL;
    int order = before == NULL ? 1 : now == NULL ? -1 : kv_table_order(w->source.table, before, now);
    if (order >= 0)
        w->source.at++;
    if (order <= 0) {
        w->kept.at++;
        return before;
    }
    *is_born = has(&v->born, kv_table_key(w->source.table, now));
    return now;
}

/* Removes the entries with hashes from `from` on that are below `limit`; 0: all of them. */
static void drop_below(struct kv_table *t, uint64_t from, uint64_t limit)
{
    do {
        size_t count;
        struct kv_entry *const *list = kv_table_visit(t, from, &count, &from);
        for (size_t i = 0; i < count; i++) {
            if (limit != 0 && list[i]->hash >= limit)
                return;
            kv_table_remove(t, kv_table_key(t, list[i]));
        }
    } while (from != 0 && t->count > 0);
}

void kv_versions_passed(struct kv_versions *v, uint64_t cursor)
{
    drop_below(&v->kept, v->cursor, cursor);
    drop_below(&v->born, v->cursor, cursor);
    v->cursor = cursor;
    if (cursor == 0)
        end(v);
}
