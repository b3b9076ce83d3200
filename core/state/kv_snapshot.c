/* A snapshot of the kv-store is a sequence of chunks, each as follows, little-endian:
 *
 *    0  magic "SKV2"   4      4  count of entries   4
 *    8  key of the hash 16
 *   24  entries: each  key length 4, value length 4, key, value
 *
 * Entries come in strictly rising order of (SipHash-1-3 of the key, key), also from chunk to chunk. Entries of one hash are
 * in one chunk. All chunks have the same key of the hash. Where a chunk ends depends on the entries alone. */
#include "core/state/kv_store.h"

#include "core/base/cursor.h"
#include "core/base/memory.h"

enum { CHUNK_BYTES = 256 * 1024, CHUNK_HEADER_SIZE = 24 };
/* Work after which a call to save ends, with a chunk or without one: some milliseconds. */
enum { SAVE_WORK = 4 * KV_CALL_WORK_MAX };
static const char chunk_magic[4] = {'S', 'K', 'V', '2'};

/* ---- Saving ---- */

static size_t entry_size(const struct kv_entry *e) { return 8 + (size_t)e->key_len + e->value_len; }

static void begin_chunk(struct state_machine *m)
{
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, CHUNK_HEADER_SIZE, 1);
    m->chunk_len = CHUNK_HEADER_SIZE;
    m->chunk_entries = 0;
}

/* Adds an entry of `t` to the chunk. */
static void save_entry(struct state_machine *m, struct kv_table *t, const struct kv_entry *e)
{
    const size_t at = m->chunk_len;
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, at + entry_size(e), 1);
    cursor_store_u32(m->chunk + at, e->key_len);
    cursor_store_u32(m->chunk + at + 4, e->value_len);
    struct bytes key = kv_table_key(t, e);
    if (key.len > 0)
        memcpy(m->chunk + at + 8, key.ptr, key.len);
    kv_table_read(t, e, 0, e->value_len, m->chunk + at + 8 + key.len);
    m->chunk_len += entry_size(e);
    m->chunk_entries++;
}

/* The key of the hash is that of the begin: the log may have agreed on it since. */
static void save_header(struct state_machine *m, struct siphash_key key)
{
    memcpy(m->chunk, chunk_magic, sizeof chunk_magic);
    cursor_store_u32(m->chunk + 4, m->chunk_entries);
    cursor_store_u64(m->chunk + 8, key.low);
    cursor_store_u64(m->chunk + 16, key.high);
}

uint64_t state_machine_size(struct state_machine *m) { return m->data.live.bytes; }

void state_machine_snapshot_begin(struct state_machine *m)
{
    kv_versions_begin(&m->data);
    begin_chunk(m);
}

/* Why a call ends before an entry, the first one of its hash. */
enum pause { GO_ON, CHUNK_IS_FULL, CALL_IS_LONG };

/* Whether it ends before `e`. `saved` and `seen` are the hashes of the entries before it. What is not in the snapshot must
 * not decide where a chunk ends. */
static enum pause pause_before(const struct state_machine *m, const struct kv_entry *e, bool is_born, uint64_t saved,
                               uint64_t seen)
{
    if (!is_born && m->chunk_len >= CHUNK_BYTES && e->hash != saved)
        return CHUNK_IS_FULL;
    return kv_versions_work(&m->data) >= SAVE_WORK && e->hash != seen ? CALL_IS_LONG : GO_ON;
}

struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m)
{
    struct kv_walk walk = kv_versions_walk(&m->data);
    struct kv_table *source = kv_versions_source(&m->data);
    const struct siphash_key key = m->data.kept.key;
    const struct kv_entry *e;
    uint64_t saved = 0, seen = 0;
    bool is_born;
    enum pause pause = GO_ON;
    kv_versions_work_reset(&m->data);
    while ((e = kv_versions_next(&m->data, &walk, &is_born)) != NULL) {
        pause = pause_before(m, e, is_born, saved, seen);
        if (pause != GO_ON)
            break;
        seen = e->hash;
        if (is_born)
            continue;
        save_entry(m, source, e);
        saved = e->hash;
    }
    kv_versions_passed(&m->data, e != NULL ? e->hash : 0);
    if (pause == CALL_IS_LONG)
        return (struct snapshot_chunk){.last = false};
    save_header(m, key);
    struct snapshot_chunk chunk = {.bytes = {.ptr = m->chunk, .len = m->chunk_len}, .last = e == NULL};
    begin_chunk(m);
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
static bool load_in_order(struct state_machine *m, struct bytes key, struct bytes *last)
{
    uint64_t hash = kv_table_hash(&m->data.live, key);
    if (m->loading && (hash < m->loaded_hash || (hash == m->loaded_hash && (last->ptr == NULL || !key_before(*last, key)))))
        return false;
    m->loading = true;
    m->loaded_hash = hash;
    *last = key;
    return true;
}

/* Adds a chunk's entries. NULL, or what is wrong with the chunk. */
static const char *load_chunk(struct state_machine *m, struct bytes chunk, bool first)
{
    struct read_cursor c = cursor_over(chunk.ptr, chunk.len);
    const uint8_t *magic = cursor_take(&c, sizeof chunk_magic);
    uint32_t count = cursor_read_u32(&c);
    struct siphash_key hash_key = {.low = cursor_read_u64(&c)};
    hash_key.high = cursor_read_u64(&c);
    if (magic == NULL || memcmp(magic, chunk_magic, sizeof chunk_magic) != 0)
        return "kv-store snapshot: a chunk does not begin with SKV2";
    if (first)
        m->data.live.key = hash_key;
    if (hash_key.low != m->data.live.key.low || hash_key.high != m->data.live.key.high)
        return "kv-store snapshot: chunks differ in the key of the hash";
    struct bytes last = {NULL, 0};
    for (uint32_t i = 0; i < count && !c.failed; i++) {
        uint32_t key_len = cursor_read_u32(&c);
        uint32_t value_len = cursor_read_u32(&c);
        const uint8_t *key = cursor_take(&c, key_len);
        const uint8_t *value = cursor_take(&c, value_len);
        if (key == NULL || value == NULL)
            break;
        struct bytes name = {.ptr = (uint8_t *)(uintptr_t)key, .len = key_len};
        if (value_len > KV_VALUE_MAX || key_len > KV_KEY_MAX)
            return "kv-store snapshot: a key or value is too long";
        if (!load_in_order(m, name, &last))
            return "kv-store snapshot: keys are out of order";
        if (m->data.live.bytes + kv_cost(key_len, value_len) > m->data.state_bytes_max)
            return "kv-store snapshot: it is larger than state_bytes_max";
        kv_versions_set(&m->data, name, (struct bytes){(uint8_t *)(uintptr_t)value, value_len});
    }
    return cursor_finished(&c) ? NULL : "kv-store snapshot: a chunk is cut short or has bytes left over";
}

bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error)
{
    if (first) {
        kv_versions_reset(&m->data);
        m->loading = false;
    }
    *error = load_chunk(m, chunk, first);
    if (*error != NULL)
        kv_versions_reset(&m->data);
    if (*error != NULL || last)
        m->loading = false;
    return *error == NULL;
}
