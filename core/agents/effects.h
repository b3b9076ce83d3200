/* The growing list of effects that an agent's step returns. */
#ifndef SYNOD_CORE_AGENTS_EFFECTS_H
#define SYNOD_CORE_AGENTS_EFFECTS_H

#include "core/base/memory.h"
#include "core/base/message.h"
#include "core/base/types.h"

struct effects {
    struct effect *items;
    size_t count;
    size_t capacity;
    uint64_t lsn;         /* of the next append */
    struct message *kept; /* copies that live until the next step */
    size_t kept_count;
    size_t kept_capacity;
};

/* Empties the list for a step whose first append gets `lsn`. */
static inline void effects_begin(struct effects *e, uint64_t lsn)
{
    e->count = 0;
    e->lsn = lsn;
    for (size_t i = 0; i < e->kept_count; i++)
        message_free(&e->kept[i]);
    e->kept_count = 0;
}

static inline void effects_close(struct effects *e)
{
    effects_begin(e, 0);
    free(e->items);
    free(e->kept);
}

/* A copy of a message, for entries that would not live until the step's end. */
static inline const struct message *effects_keep(struct effects *e, const struct message *message)
{
    e->kept = memory_reserve(e->kept, &e->kept_capacity, e->kept_count + 1, sizeof *e->kept);
    e->kept[e->kept_count] = message_copy(message);
    return &e->kept[e->kept_count++];
}

static inline struct effect *effects_add(struct effects *e, uint8_t tag)
{
    e->items = memory_reserve(e->items, &e->capacity, e->count + 1, sizeof *e->items);
    struct effect *added = &e->items[e->count++];
    memset(added, 0, sizeof *added);
    added->tag = tag;
    return added;
}

/* A message that may leave at once. Entries are borrowed until the agent's next step. */
static inline void effects_send(struct effects *e, node_set to, const struct message *message)
{
    if (to == 0)
        return;
    struct effect *added = effects_add(e, EFFECT_SEND);
    added->val.send.to = to;
    added->val.send.message = *message;
}

/* A message that depends on what was appended so far. It leaves when all of that is durable (P2). */
static inline void effects_send_durable(struct effects *e, node_set to, const struct message *message)
{
    if (to == 0)
        return;
    effects_send(e, to, message);
    e->items[e->count - 1].val.send.after = e->lsn - 1;
}

/* Appends a record and returns its lsn. The value is borrowed until the agent's next step. */
static inline uint64_t effects_append(struct effects *e, uint8_t kind, const struct entry *entry, uint64_t to)
{
    struct effect *added = effects_add(e, EFFECT_APPEND);
    added->val.append = (struct log_record){.lsn = e->lsn, .kind = kind, .to = to, .entry = *entry};
    return e->lsn++;
}

/* Asks storage about snapshots (enum snapshot_item_kind). The value is borrowed until the agent's next step. */
static inline void effects_snapshot(struct effects *e, uint8_t kind, uint64_t id, struct payload value)
{
    effects_add(e, EFFECT_SNAPSHOT)->val.snapshot = (struct snapshot_item){.kind = kind, .id = id, .value = value};
}

/* Says that this node knows a configuration. Its text is copied. */
static inline void effects_configuration(struct effects *e, const struct configured *said)
{
    struct entry entry = {.kind = ENTRY_CONFIGURATION, .slot = said->configuration.slot, .value = said->text};
    const struct message m = {.kind = MESSAGE_CONFIGURATION, .entries = {&entry, 1}};
    struct configured *told = &effects_add(e, EFFECT_CONFIGURATION)->val.configuration;
    *told = *said;
    told->text = effects_keep(e, &m)->entries.ptr[0].value;
}

/* Says who leads, if that has changed; `told` is what was said last. */
static inline void effects_tell_leader(struct effects *e, struct leadership *told, struct leadership now)
{
    if (now.leader == told->leader && (now.leader == 0 || ballot_compare(now.ballot, told->ballot) == 0))
        return;
    effects_add(e, EFFECT_LEADER)->val.leader = now;
    *told = now;
}

static inline struct step_result effects_end(struct effects *e, uint64_t wake_at, struct credit credit)
{
    return (struct step_result){.effects = {e->items, e->count}, .wake_at = wake_at, .credit = credit};
}

#endif
