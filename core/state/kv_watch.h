/* Keys that clients watch (WATCH), so that a transaction is executed only if none of them has changed since: part of the
 * kv-store's state, and of its snapshots.
 *
 * A watch belongs to a set, which its client's port has named, and to a key; both are known by their keyed hashes. (Keys of
 * one hash count as changed together: that fails a transaction which its client then tries again.) There are KV_WATCHES_MAX
 * of them, in a ring: the oldest one makes place for the next. A set that lacks one of its watches does not hold, so nothing
 * needs to be told when a client gives up or is gone. */
#ifndef SYNOD_CORE_STATE_KV_WATCH_H
#define SYNOD_CORE_STATE_KV_WATCH_H

#include "core/formats/command.h"

enum { KV_WATCHES_MAX = 4096 };

struct kv_watch;

/* Zero-initialized: none. */
struct kv_watches {
    struct kv_watch *ring; /* NULL: there was none yet */
    uint16_t *keys, *sets; /* by the low bits of a hash: the first one, counted from 1; 0: none */
    uint32_t count, next;  /* watches; the place of the next one */
};

void kv_watches_close(struct kv_watches *w);
/* Forgets all of them. */
void kv_watches_reset(struct kv_watches *w);

void kv_watches_add(struct kv_watches *w, uint64_t set, uint64_t key);
/* A key was changed. Returns how many watches were looked at. */
uint64_t kv_watches_touch(struct kv_watches *w, uint64_t key);
/* All keys that are there were. */
typedef bool kv_watches_is_there(void *context, uint64_t key);
void kv_watches_touch_those(struct kv_watches *w, kv_watches_is_there *is_there, void *context);
/* Whether a set has `count` watches, and none of its keys has changed. The set is gone afterwards. */
bool kv_watches_take(struct kv_watches *w, uint64_t set, size_t count);

/* A chunk of a snapshot, little-endian; equal states give equal bytes (S3):
 *
 *    0  magic "SKW1"   4      4  count   4      8  place of the next one  4     12  zero  4
 *   16  by rising place: place 4, changed 4, key 8, set 8 */
enum { KV_WATCHES_HEADER = 16, KV_WATCHES_ENTRY = 24 };
enum { KV_WATCHES_CHUNK_MAX = KV_WATCHES_HEADER + KV_WATCHES_MAX * KV_WATCHES_ENTRY };

/* Whether there is anything to save. */
static inline bool kv_watches_any(const struct kv_watches *w) { return w->count > 0 || w->next > 0; }
/* Writes it into `out`, of KV_WATCHES_CHUNK_MAX bytes. Returns its size. */
size_t kv_watches_save(const struct kv_watches *w, uint8_t *out);
/* Whether a chunk begins like one of these. */
bool kv_watches_is_chunk(struct bytes chunk);
/* False: it is malformed, and there are none. */
bool kv_watches_load(struct kv_watches *w, struct bytes chunk);

#endif
