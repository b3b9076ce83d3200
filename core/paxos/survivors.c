#include "core/paxos/survivors.h"

#include "core/base/memory.h"

void survivors_init(struct survivors *s, uint64_t begin)
{
    *s = (struct survivors){.top = begin};
    slot_ring_init(&s->slots, sizeof(struct survivors_slot), 0, begin);
}

void survivors_close(struct survivors *s) { slot_ring_close(&s->slots); }

void survivors_add(struct survivors *s, const struct survivor *survivor)
{
    invariant(s->count < NODE_ID_MAX);
    s->all[s->count++] = *survivor;
}

bool survivors_record(struct survivors *s, const struct entry *entry, const struct survivors_place *place)
{
    if (entry->slot < s->slots.base)
        return true;
    if (entry->slot - s->slots.base >= SURVIVORS_SLOTS_MAX)
        return false;
    struct survivors_slot *slot = slot_ring_reach(&s->slots, entry->slot);
    if (ballot_compare(entry->ballot, slot->ballot) > 0)
        *slot = (struct survivors_slot){.ballot = entry->ballot, .place = *place, .kind = entry->kind};
    if (entry->slot >= s->top)
        s->top = entry->slot + 1;
    return true;
}

const struct survivors_slot *survivors_at(const struct survivors *s, uint64_t slot)
{
    static const struct ballot none;
    const struct survivors_slot *found = slot_ring_at(&s->slots, slot);
    return found != NULL && ballot_compare(found->ballot, none) != 0 ? found : NULL;
}

/* Up to where learners know that all is chosen, and have the values: a learner whose journal begins later than what the
 * others know says nothing of the slots between. */
static uint64_t known_to(const struct survivors *s)
{
    uint64_t known = s->slots.base;
    for (size_t i = 0; i < s->count;) {
        const struct survivor *one = &s->all[i++];
        if (one->complete > known || one->chosen <= known)
            continue;
        known = one->chosen;
        i = 0;
    }
    return known;
}

/* Up to where all was chosen, as far as survivors know. A leader proposes in a slot only when all slots that are `alpha` or
 * more before it are chosen (P5). */
static uint64_t chosen_to(const struct survivors *s, uint64_t known, uint32_t alpha)
{
    uint64_t chosen = known;
    for (size_t i = 0; i < s->count; i++) {
        chosen = s->all[i].chosen > chosen ? s->all[i].chosen : chosen;
        chosen = s->all[i].floor > chosen ? s->all[i].floor : chosen;
    }
    return s->top > chosen && s->top - chosen > alpha ? s->top - alpha : chosen;
}

/* Whether a survivor may have had a record of this slot that is not there any more, or never needed one, because it came
 * when the slot was chosen already (its floor). Then the slot was chosen: without a value it is not one in which nothing was
 * proposed (P4). */
static bool is_forgotten(const struct survivors *s, uint64_t slot)
{
    bool forgotten = false;
    for (size_t i = 0; i < s->count && !forgotten; i++) {
        const struct survivor *one = &s->all[i];
        forgotten = slot < one->votes || slot < one->floor || (slot < one->complete && slot < one->chosen);
    }
    return forgotten;
}

/* Goes through the slots with votes. */
static void walk_votes(const struct survivors *s, struct survivors_found *f)
{
    uint64_t gaps = 0, lost = 0, first = 0;
    for (uint64_t slot = f->known; slot < s->top; slot++) {
        if (survivors_at(s, slot) != NULL) {
            f->end = slot + 1;
            f->gaps = gaps;
            f->lost_gaps = lost;
            f->first_gap = first;
            continue;
        }
        if (is_forgotten(s, slot)) {
            f->forgotten = slot;
            return;
        }
        first = gaps == 0 ? slot : first;
        gaps++;
        lost += slot < f->chosen;
    }
}

struct survivors_found survivors_decide(const struct survivors *s, uint32_t alpha)
{
    struct survivors_found f = {.begin = s->slots.base, .known = known_to(s)};
    f.chosen = chosen_to(s, f.known, alpha);
    f.end = f.known;
    for (uint64_t slot = f.begin; slot < f.known && f.lacks == 0; slot++)
        f.lacks = survivors_at(s, slot) == NULL ? slot : 0;
    walk_votes(s, &f);
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i].votes != 0 && s->all[i].votes <= f.known)
            f.voters |= node_set_of(s->all[i].node);
    return f;
}

bool survivors_meet(node_set voters, const struct configuration *configuration)
{
    const node_set acceptors = configuration->acceptors;
    return node_set_count(acceptors & ~voters) < configuration->phase2_quorum;
}
