/* What clients need of the store for transactions under a condition (WATCH). The client port names a set of keys that a
 * connection watches, and makes the condition of its transaction that none of them has changed since. */
#include "core/state/kv_reply.h"

static uint64_t hash_of(struct state_machine *m, const struct bytes *bytes)
{
    m->data.live.work += kv_hash_work(bytes->len);
    return kv_table_hash(&m->data.live, *bytes);
}

/* WATCH set key [key ...] */
void kv_watch(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    const uint64_t set = hash_of(m, &args[1]);
    if (argc - 2 > KV_WATCHES_MAX) {
        reply_error(r, "ERR so many keys cannot be watched");
        return;
    }
    for (size_t i = 2; i < argc; i++)
        kv_watches_add(&m->watches, set, hash_of(m, &args[i]));
    reply_status(r, "OK");
}

/* WATCHED set key [key ...]: 1 if exactly these keys were watched in the set, and none of them has changed; otherwise 0. The
 * set is gone afterwards. */
void kv_watched(struct state_machine *m, const struct bytes *args, size_t argc, struct reply *r)
{
    const bool holds = kv_watches_take(&m->watches, hash_of(m, &args[1]), argc - 2);
    m->data.live.work += (argc - 2) * KV_TOUCH_WORK;
    reply_integer(r, holds);
}
