#include "core/agents/recovery.h"

#include "core/base/kept.h"
#include "core/base/message.h"

struct found {
    struct ballot ballot;
    struct payload value;
    uint8_t kind;
    bool has_value;
};

void recovery_init(struct recovery *r)
{
    *r = (struct recovery){.window = RECOVERY_SLOTS_MAX};
    slot_ring_init(&r->found, sizeof(struct found), 0, 1);
}

/* Frees what was given out. */
static void free_given(struct recovery *r)
{
    for (; r->given > 0; r->given--) {
        struct found *f = slot_ring_at(&r->found, r->found.base);
        if (f != NULL) {
            payload_release(&f->value);
            slot_ring_advance(&r->found);
        } else {
            r->found.base++;
        }
    }
}

void recovery_close(struct recovery *r)
{
    r->given += r->found.capacity;
    free_given(r);
    slot_ring_close(&r->found);
    free(r->entries);
}

void recovery_skip(struct recovery *r, uint64_t slot)
{
    invariant(r->given == 0);
    slot_ring_jump(&r->found, slot);
}

uint64_t recovery_next(const struct recovery *r) { return r->found.base + r->given; }

bool recovery_is_near(const struct recovery *r, uint64_t slot)
{
    return slot >= recovery_next(r) && slot - recovery_next(r) < r->window;
}

void recovery_found(struct recovery *r, const struct entry *e)
{
    free_given(r);
    if (!recovery_is_near(r, e->slot))
        return;
    struct found *f = slot_ring_reach(&r->found, e->slot);
    if (f->has_value && ballot_compare(e->ballot, f->ballot) <= 0)
        return;
    payload_release(&f->value);
    *f = (struct found){.ballot = e->ballot, .value = payload_keep(&e->value), .kind = e->kind, .has_value = true};
}

uint64_t recovery_lacks(const struct recovery *r, uint64_t to)
{
    uint64_t slot = recovery_next(r);
    for (const struct found *f; slot < to && (f = slot_ring_at(&r->found, slot)) != NULL && f->has_value;)
        slot++;
    return slot < to ? slot : to;
}

struct entry_list recovery_take(struct recovery *r, uint64_t to, uint64_t slots_max, uint64_t bytes_max)
{
    size_t count = 0;
    uint64_t bytes = 0;
    free_given(r);
    for (; recovery_next(r) < to && r->given < slots_max; r->given++) {
        const struct found *f = slot_ring_at(&r->found, recovery_next(r));
        if (f == NULL || !f->has_value)
            continue;
        bytes += f->value.len;
        if (count > 0 && bytes > bytes_max)
            break;
        r->entries = memory_reserve(r->entries, &r->entries_capacity, count + 1, sizeof *r->entries);
        r->entries[count++] =
            (struct entry){.slot = recovery_next(r), .ballot = f->ballot, .kind = f->kind, .value = f->value};
    }
    return (struct entry_list){r->entries, count};
}
