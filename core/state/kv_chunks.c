#include "core/state/kv_chunks.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum { CHUNK_BYTES = 256 * 1024, CHUNK_HEADER_SIZE = 24, LENGTHS_SIZE = 8, TIME_SIZE = 8 };
#define TIMED (UINT32_C(1) << 31)
static const char chunk_magic[4] = {'S', 'K', 'V', '2'};

void kv_chunks_close(struct kv_chunks *c) { free(c->chunk); }

/* ---- Saving ---- */

static size_t entry_size(const struct kv_entry *e)
{
    return (size_t)LENGTHS_SIZE + (e->timed ? TIME_SIZE : 0) + e->key_len + e->value_len;
}

static void begin_chunk(struct kv_chunks *c)
{
    c->chunk = memory_reserve(c->chunk, &c->capacity, CHUNK_HEADER_SIZE, 1);
    c->len = CHUNK_HEADER_SIZE;
    c->entries = 0;
}

/* Adds an entry of `t` to the chunk. */
static void save_entry(struct kv_chunks *c, struct kv_table *t, const struct kv_entry *e)
{
    c->chunk = memory_reserve(c->chunk, &c->capacity, c->len + entry_size(e), 1);
    uint8_t *out = c->chunk + c->len;
    cursor_store_u32(out, e->key_len | (e->timed ? TIMED : 0));
    cursor_store_u32(out + 4, e->value_len);
    out += LENGTHS_SIZE;
    if (e->timed) {
        cursor_store_u64(out, kv_table_time(t, e)->until);
        out += TIME_SIZE;
    }
    struct bytes key = kv_table_key(t, e);
    if (key.len > 0)
        memcpy(out, key.ptr, key.len);
    kv_table_read(t, e, 0, e->value_len, out + key.len);
    c->len += entry_size(e);
    c->entries++;
}

/* The key of the hash is that of the begin: the log may have agreed on it since. */
static void save_header(struct kv_chunks *c, struct siphash_key key)
{
    memcpy(c->chunk, chunk_magic, sizeof chunk_magic);
    cursor_store_u32(c->chunk + 4, c->entries);
    cursor_store_u64(c->chunk + 8, key.low);
    cursor_store_u64(c->chunk + 16, key.high);
}

void kv_chunks_begin(struct kv_chunks *c, struct kv_versions *v)
{
    kv_versions_begin(v);
    begin_chunk(c);
}

/* Why a call ends before an entry, the first one of its hash. */
enum pause { GO_ON, CHUNK_IS_FULL, CALL_IS_LONG };

/* The call that saves. `saved` and `seen` are the hashes of the entries before the next one. */
struct call {
    uint64_t work_max, saved, seen;
};

/* Whether it ends before `e`. What is not in the snapshot must not decide where a chunk ends. */
static enum pause pause_before(const struct kv_chunks *c, const struct kv_versions *v, const struct call *call,
                               const struct kv_entry *e, bool is_born)
{
    if (!is_born && c->len >= CHUNK_BYTES && e->hash != call->saved)
        return CHUNK_IS_FULL;
    return kv_versions_work(v) >= call->work_max && e->hash != call->seen ? CALL_IS_LONG : GO_ON;
}

struct snapshot_chunk kv_chunks_save(struct kv_chunks *c, struct kv_versions *v, uint64_t work_max)
{
    struct kv_walk walk = kv_versions_walk(v);
    struct kv_table *source = kv_versions_source(v);
    struct call call = {.work_max = work_max};
    const struct siphash_key key = v->kept.key;
    const struct kv_entry *e;
    bool is_born;
    enum pause pause = GO_ON;
    kv_versions_work_reset(v);
    while ((e = kv_versions_next(v, &walk, &is_born)) != NULL) {
        pause = pause_before(c, v, &call, e, is_born);
        if (pause != GO_ON)
            break;
        call.seen = e->hash;
        if (is_born)
            continue;
        save_entry(c, source, e);
        call.saved = e->hash;
    }
    kv_versions_passed(v, e != NULL ? e->hash : 0);
    if (pause == CALL_IS_LONG)
        return (struct snapshot_chunk){.last = false};
    save_header(c, key);
    struct snapshot_chunk chunk = {.bytes = {.ptr = c->chunk, .len = c->len}, .last = e == NULL};
    begin_chunk(c);
    return chunk;
}

/* ---- Loading ---- */

bool kv_chunk_count(struct bytes chunk, uint32_t *count)
{
    if (chunk.len < CHUNK_HEADER_SIZE || memcmp(chunk.ptr, chunk_magic, sizeof chunk_magic) != 0)
        return false;
    *count = cursor_load_u32(chunk.ptr + sizeof chunk_magic);
    return true;
}

static bool key_before(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order < 0 : a.len < b.len;
}

/* True when `key` comes after `*last`, the last key of this chunk (NULL: none yet), and after all earlier chunks. */
static bool load_in_order(struct kv_chunks *c, const struct kv_versions *v, struct bytes key, struct bytes *last)
{
    uint64_t hash = kv_table_hash(&v->live, key);
    if (c->loading && (hash < c->loaded_hash || (hash == c->loaded_hash && (last->ptr == NULL || !key_before(*last, key)))))
        return false;
    c->loading = true;
    c->loaded_hash = hash;
    *last = key;
    return true;
}

/* Adds a chunk's entries. NULL, or what is wrong with the chunk. */
static const char *load_chunk(struct kv_chunks *c, struct kv_versions *v, struct bytes chunk, bool first,
                              struct kv_entry_limits most)
{
    struct read_cursor from = cursor_over(chunk.ptr, chunk.len);
    const uint8_t *magic = cursor_take(&from, sizeof chunk_magic);
    uint32_t count = cursor_read_u32(&from);
    struct siphash_key hash_key = {.low = cursor_read_u64(&from)};
    hash_key.high = cursor_read_u64(&from);
    if (magic == NULL || memcmp(magic, chunk_magic, sizeof chunk_magic) != 0)
        return "kv-store snapshot: a chunk does not begin with SKV2";
    if (first)
        v->live.key = hash_key;
    if (hash_key.low != v->live.key.low || hash_key.high != v->live.key.high)
        return "kv-store snapshot: chunks differ in the key of the hash";
    struct bytes last = {NULL, 0};
    for (uint32_t i = 0; i < count && !from.failed; i++) {
        const uint32_t lengths = cursor_read_u32(&from), value_len = cursor_read_u32(&from), key_len = lengths & ~TIMED;
        const bool timed = (lengths & TIMED) != 0;
        const uint64_t until = timed ? cursor_read_u64(&from) : KV_FOREVER;
        const uint8_t *key = cursor_take(&from, key_len);
        const uint8_t *value = cursor_take(&from, value_len);
        if (key == NULL || value == NULL)
            break;
        struct bytes name = {.ptr = (uint8_t *)(uintptr_t)key, .len = key_len};
        if (value_len > most.value_max || key_len > most.key_max)
            return "kv-store snapshot: a key or value is too long";
        if (timed && (!most.times || until == KV_FOREVER))
            return "kv-store snapshot: a key has a time that it may not have";
        if (!load_in_order(c, v, name, &last))
            return "kv-store snapshot: keys are out of order";
        if (v->live.bytes + kv_cost(key_len, value_len) + (timed ? KV_TIME_COST : 0) > v->state_bytes_max)
            return "kv-store snapshot: it is larger than state_bytes_max";
        kv_versions_set(v, name, (struct bytes){(uint8_t *)(uintptr_t)value, value_len});
        if (timed)
            kv_versions_set_until(v, name, until);
    }
    return cursor_finished(&from) ? NULL : "kv-store snapshot: a chunk is cut short or has bytes left over";
}

const char *kv_chunks_load(struct kv_chunks *c, struct kv_versions *v, struct bytes chunk, bool first, bool last,
                           struct kv_entry_limits most)
{
    if (first) {
        kv_versions_reset(v);
        c->loading = false;
    }
    const char *error = load_chunk(c, v, chunk, first, most);
    if (error != NULL)
        kv_versions_reset(v);
    if (error != NULL || last)
        c->loading = false;
    return error;
}
