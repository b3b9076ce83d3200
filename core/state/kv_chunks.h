/* A snapshot of a table (kv_versions.h) is a sequence of chunks, each as follows, little-endian:
 *
 *    0  magic "SKV2"   4      4  count of entries   4
 *    8  key of the hash 16
 *   24  entries: each  key length 4, value length 4, [time 8,] key, value
 *
 * The highest bit of the key length says that there is a time: the last moment at which the key is there (kv_table.h).
 * Entries come in strictly rising order of (SipHash-1-3 of the key, key), also from chunk to chunk. Entries of one hash are
 * in one chunk. All chunks have the same key of the hash. Where a chunk ends depends on the entries alone (S3). */
#ifndef SYNOD_CORE_STATE_KV_CHUNKS_H
#define SYNOD_CORE_STATE_KV_CHUNKS_H

#include "core/state/kv_versions.h"

/* Saving and loading the chunks of one table; zero-initialized is neither. */
struct kv_chunks {
    uint8_t *chunk; /* the last chunk saved, or as much of the next one as there is */
    size_t len, capacity;
    uint32_t entries;     /* of the chunk */
    bool loading;         /* a snapshot is being loaded */
    uint64_t loaded_hash; /* of the last entry loaded */
};

/* What an entry that is loaded may have. */
struct kv_entry_limits {
    uint32_t key_max, value_max;
    bool times;
};

void kv_chunks_close(struct kv_chunks *c);

/* As state_machine_snapshot_begin, _save and _load, for the table `v`. A call to save ends after `work_max` units. The bytes
 * of a chunk are those of `c`, valid until its next call. */
void kv_chunks_begin(struct kv_chunks *c, struct kv_versions *v);
struct snapshot_chunk kv_chunks_save(struct kv_chunks *c, struct kv_versions *v, uint64_t work_max);
/* NULL, or what is wrong, a constant text; then the table is empty. */
const char *kv_chunks_load(struct kv_chunks *c, struct kv_versions *v, struct bytes chunk, bool first, bool last,
                           struct kv_entry_limits most);

/* How many keys a chunk says that it has. False: it is no chunk. */
bool kv_chunk_count(struct bytes chunk, uint32_t *count);

#endif
