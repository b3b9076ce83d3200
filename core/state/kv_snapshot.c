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
static const char chunk_magic[4] = {'S', 'K', 'V', '2'};

/* ---- Saving ---- */

static size_t entry_size(const struct kv_entry *e) { return 8 + (size_t)e->key_len + e->value_len; }

/* Adds an entry of `t` to the chunk, which has `len` bytes. Returns how many it has then. */
static size_t save_entry(struct state_machine *m, struct kv_table *t, const struct kv_entry *e, size_t len)
{
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, len + entry_size(e), 1);
    cursor_store_u32(m->chunk + len, e->key_len);
    cursor_store_u32(m->chunk + len + 4, e->value_len);
    struct bytes key = kv_table_key(t, e);
    if (key.len > 0)
        memcpy(m->chunk + len + 8, key.ptr, key.len);
    kv_table_read(t, e, 0, e->value_len, m->chunk + len + 8 + key.len);
    return len + entry_size(e);
}

static void save_header(struct state_machine *m, uint32_t entries)
{
    memcpy(m->chunk, chunk_magic, sizeof chunk_magic);
    cursor_store_u32(m->chunk + 4, entries);
    cursor_store_u64(m->chunk + 8, m->data.live.key.low);
    cursor_store_u64(m->chunk + 16, m->data.live.key.high);
}

void state_machine_snapshot_begin(struct state_machine *m) { kv_versions_begin(&m->data); }

struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m)
{
    struct kv_walk walk = kv_versions_walk(&m->data);
    struct kv_table *source = kv_versions_source(&m->data);
    const struct kv_entry *e;
    size_t len = CHUNK_HEADER_SIZE;
    uint32_t entries = 0;
    uint64_t hash = 0; /* of the last entry */
    m->chunk = memory_reserve(m->chunk, &m->chunk_capacity, CHUNK_HEADER_SIZE, 1);
    while ((e = kv_versions_next(&m->data, &walk)) != NULL && (len < CHUNK_BYTES || e->hash == hash)) {
        len = save_entry(m, source, e, len);
        hash = e->hash;
        entries++;
    }
    save_header(m, entries);
    kv_versions_passed(&m->data, e != NULL ? e->hash : 0);
    return (struct snapshot_chunk){.bytes = {.ptr = m->chunk, .len = len}, .last = e == NULL};
}

/* ---- Loading ---- */

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
