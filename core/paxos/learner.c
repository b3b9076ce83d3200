/* For each slot in the window the learner keeps the value proposed at the highest ballot it has seen, the votes at the
 * highest ballot it has seen votes for, and the ballot at which the slot is known to be chosen. It also keeps what a
 * leader told last: slots [from, to) were chosen at its ballot, and those before `from` at some ballot. That is consulted
 * only when a slot is about to be released.
 *
 * A slot may be released when its value was proposed at the ballot that was chosen, or at a higher one: a value
 * proposed at a higher ballot is the same value (Paxos Made Simple, section 2.2, P2b). */
#include "core/paxos/learner.h"

#include "core/base/kept.h"
#include "core/base/memory.h"
#include "core/base/slot_ring.h"

struct learnable {
    struct payload value;
    struct ballot value_ballot;
    struct ballot vote_ballot;
    struct ballot chosen_ballot;
    node_set voters;
    uint8_t kind;
    bool has_value;
    bool chosen;
};

struct learner {
    struct configuration before, newest; /* the last two */
    uint64_t unjudged, unjudged_last;    /* the first and last configuration released and not judged yet; 0: none */
    uint64_t counted;                    /* votes for slots below count: their configuration is known */
    uint64_t window;
    uint64_t bytes, bytes_max; /* of the values */
    uint64_t top;              /* no value is at or above this slot */
    uint64_t next;             /* first slot not released; ring items below it are freed at the next call */
    uint64_t heard;            /* no slot at or above it is known, by itself, to be chosen */
    struct ballot told_ballot;
    uint64_t told_from, told_to; /* every slot below `told_to` is known to be chosen, at some ballot */
    struct slot_ring slots;
    struct entry *entries;
    size_t entries_capacity;
};

struct learner *learner_new(const struct node_config *config)
{
    struct learner *l = memory_new(1, sizeof *l);
    l->newest.alpha = config->alpha;
    if (config->joined == 0) {
        l->newest.acceptors = config->acceptors;
        l->newest.phase2_quorum = config->phase2_quorum;
        invariant(l->newest.phase2_quorum > 0 && l->newest.phase2_quorum <= node_set_count(l->newest.acceptors));
    }
    l->before = l->newest;
    l->counted = 1 + l->newest.alpha;
    l->window = learner_window(config->alpha);
    l->bytes_max = learner_bytes_max(config);
    l->top = l->next = l->heard = l->told_from = l->told_to = 1;
    slot_ring_init(&l->slots, sizeof(struct learnable), l->window, 1);
    return l;
}

uint64_t learner_bytes(const struct learner *l) { return l->bytes; }

static void drop_value(struct learner *l, struct learnable *item)
{
    l->bytes -= item->value.len;
    payload_release(&item->value);
    item->has_value = false;
}

/* Frees the values that the last release gave out. */
static void free_released(struct learner *l)
{
    while (l->slots.base < l->next) {
        drop_value(l, slot_ring_at(&l->slots, l->slots.base));
        slot_ring_advance(&l->slots);
    }
}

void learner_free(struct learner *l)
{
    l->next = l->slots.base + l->slots.capacity;
    free_released(l);
    slot_ring_close(&l->slots);
    free(l->entries);
    free(l);
}

/* The item of a slot that is not released yet and is within the window; otherwise NULL. */
static struct learnable *item_at(struct learner *l, uint64_t slot)
{
    return slot >= l->next && slot - l->next < l->window ? slot_ring_reach(&l->slots, slot) : NULL;
}

/* Drops the values of the highest slots while those below them fill the bound. One value may cross the bound, however long
 * it is. The value of the slot that is released next is never dropped. */
static void drop_highest(struct learner *l)
{
    while (l->top > l->next + 1) {
        struct learnable *item = slot_ring_at(&l->slots, l->top - 1);
        if (l->bytes - item->value.len < l->bytes_max)
            break;
        drop_value(l, item);
        l->top--;
    }
}

static void keep_value(struct learner *l, struct learnable *item, const struct entry *e)
{
    if (item->has_value && ballot_compare(e->ballot, item->value_ballot) <= 0)
        return;
    l->bytes = l->bytes - item->value.len + e->value.len;
    payload_release(&item->value);
    item->value = payload_keep(&e->value);
    item->value_ballot = e->ballot;
    item->kind = e->kind;
    item->has_value = true;
    if (e->slot >= l->top)
        l->top = e->slot + 1;
    drop_highest(l);
}

static void note_chosen(struct learner *l, struct learnable *item, uint64_t slot, struct ballot ballot)
{
    if (!item->chosen || ballot_compare(ballot, item->chosen_ballot) < 0)
        item->chosen_ballot = ballot; /* the lower of two is the earlier choice, and admits more values */
    item->chosen = true;
    if (slot >= l->heard)
        l->heard = slot + 1;
}

/* Whether a quorum of the configuration that governs the slot voted for it. One without acceptors is not known. */
static bool is_quorum(const struct learner *l, const struct learnable *item, uint64_t slot)
{
    const struct configuration *c = slot >= l->newest.governs ? &l->newest : &l->before;
    return c->acceptors != 0 && node_set_count(item->voters & c->acceptors) >= c->phase2_quorum;
}

/* Counts the votes of slots whose configuration has become known. */
static void count_more(struct learner *l)
{
    const uint64_t known = l->unjudged != 0 ? l->unjudged : l->next, end = known + l->newest.alpha;
    if (l->counted < l->next)
        l->counted = l->next;
    for (; l->counted < end; l->counted++) {
        struct learnable *item = slot_ring_at(&l->slots, l->counted);
        if (item != NULL && item->voters != 0 && is_quorum(l, item, l->counted))
            note_chosen(l, item, l->counted, item->vote_ballot);
    }
}

/* Votes of an instance before that have the node number of a new one do not count: the new one did not cast them. If a
 * configuration was skipped, it is not known whose are. */
static void forget_voters(struct learner *l, const struct configuration *configuration)
{
    const node_set forgotten = configuration->replaces == l->newest.slot ? configuration->fresh : ~(node_set)0;
    uint64_t slot = configuration->governs > l->next ? configuration->governs : l->next;
    for (struct learnable *item; (item = slot_ring_at(&l->slots, slot)) != NULL; slot++)
        item->voters &= ~forgotten;
}

void learner_configure(struct learner *l, const struct configuration *configuration)
{
    free_released(l);
    forget_voters(l, configuration);
    l->before = configuration->replaces == l->newest.slot ? l->newest : (struct configuration){0};
    l->newest = *configuration;
    const uint64_t window = learner_window(configuration->alpha);
    l->window = window > l->window ? window : l->window;
}

void learner_limit(struct learner *l, uint64_t slot)
{
    free_released(l);
    l->unjudged = slot > l->unjudged_last ? 0 : slot;
    count_more(l);
}

void learner_proposed(struct learner *l, const struct entry *entries, size_t count)
{
    free_released(l);
    for (size_t i = 0; i < count; i++) {
        struct learnable *item = item_at(l, entries[i].slot);
        if (item != NULL)
            keep_value(l, item, &entries[i]);
    }
}

void learner_voted(struct learner *l, uint32_t sender, struct ballot ballot, uint64_t from, uint64_t to)
{
    free_released(l);
    if (sender > NODE_ID_MAX)
        return;
    uint64_t slot = from > l->next ? from : l->next;
    uint64_t end = to < l->next + l->window ? to : l->next + l->window;
    for (; slot < end; slot++) {
        struct learnable *item = item_at(l, slot);
        int order = ballot_compare(ballot, item->vote_ballot);
        if (order < 0)
            continue;
        if (order > 0) {
            item->vote_ballot = ballot;
            item->voters = 0;
        }
        item->voters |= node_set_of(sender);
        if (slot < l->counted && is_quorum(l, item, slot))
            note_chosen(l, item, slot, ballot);
    }
}

void learner_chosen(struct learner *l, struct ballot ballot, uint64_t from, uint64_t to)
{
    free_released(l);
    if (from > to)
        return;
    /* What another leader tells replaces what is kept, whatever the order of the two ballots: both are true, but only one
     * is kept. The slots of the replaced one are still known to be chosen, but not at which ballot. Peers tell their
     * values. */
    bool other = ballot_compare(ballot, l->told_ballot) != 0;
    if (!other && to < l->told_from)
        return;
    bool replaces = other || from > l->told_to;
    if (replaces || from < l->told_from)
        l->told_from = from;
    if (replaces || to > l->told_to)
        l->told_to = to;
    l->told_ballot = ballot;
}

void learner_learned(struct learner *l, const struct entry *entries, size_t count)
{
    free_released(l);
    for (size_t i = 0; i < count; i++) {
        struct learnable *item = item_at(l, entries[i].slot);
        if (item == NULL)
            continue;
        keep_value(l, item, &entries[i]);
        note_chosen(l, item, entries[i].slot, entries[i].ballot);
    }
}

void learner_skip(struct learner *l, uint64_t slot)
{
    free_released(l);
    if (l->unjudged != 0 && l->unjudged < slot)
        l->unjudged = l->unjudged_last < slot ? 0 : slot;
    if (slot <= l->next)
        return;
    for (uint64_t left = l->slots.capacity; left > 0 && l->slots.base < slot; left--) {
        drop_value(l, slot_ring_at(&l->slots, l->slots.base));
        slot_ring_advance(&l->slots);
    }
    l->slots.base = l->next = slot;
    l->top = l->top > slot ? l->top : slot;
    l->heard = l->heard > slot ? l->heard : slot;
    count_more(l);
}

static bool releasable(const struct learner *l, uint64_t slot)
{
    const struct learnable *item = slot_ring_at(&l->slots, slot);
    if (item == NULL || !item->has_value)
        return false;
    if (item->chosen && ballot_compare(item->value_ballot, item->chosen_ballot) >= 0)
        return true;
    return slot >= l->told_from && slot < l->told_to && ballot_compare(item->value_ballot, l->told_ballot) >= 0;
}

struct entry_list learner_release(struct learner *l, uint32_t bytes_max)
{
    size_t count = 0;
    uint64_t bytes = 0;
    free_released(l);
    while ((count == 0 || bytes < bytes_max) && releasable(l, l->next)) {
        const struct learnable *item = slot_ring_at(&l->slots, l->next);
        l->entries = memory_reserve(l->entries, &l->entries_capacity, count + 1, sizeof *l->entries);
        l->entries[count++] =
            (struct entry){.slot = l->next, .ballot = item->value_ballot, .kind = item->kind, .value = item->value};
        bytes += item->value.len;
        if (item->kind == ENTRY_CONFIGURATION) {
            l->unjudged = l->unjudged != 0 ? l->unjudged : l->next;
            l->unjudged_last = l->next;
        }
        l->next++;
    }
    if (count > 0)
        count_more(l);
    return (struct entry_list){l->entries, count};
}

uint64_t learner_next(struct learner *l) { return l->next; }

uint64_t learner_known_chosen(struct learner *l) { return l->told_to > l->next ? l->told_to : l->next; }

struct learner_gap learner_missing(struct learner *l)
{
    uint64_t end = l->heard > l->told_to ? l->heard : l->told_to;
    uint64_t from = l->next;
    if (from >= end || releasable(l, from))
        return (struct learner_gap){from, from};
    if (end - from > l->window)
        end = from + l->window;
    uint64_t to = from + 1;
    while (to < end && !releasable(l, to))
        to++;
    return (struct learner_gap){from, to};
}

void learner_audit(const struct learner *l)
{
    uint64_t bytes = 0, released = 0, highest = 0;
    invariant(l->slots.base <= l->next && l->told_from <= l->told_to);
    for (uint64_t slot = l->slots.base; slot < l->next; slot++)
        released += ((const struct learnable *)slot_ring_at(&l->slots, slot))->value.len;
    for (uint64_t slot = l->next; slot < l->slots.base + l->slots.capacity; slot++) {
        const struct learnable *item = slot_ring_at(&l->slots, slot);
        invariant(item->has_value || item->value.words.ptr == NULL);
        invariant(!item->chosen || slot < l->heard);
        invariant(!item->has_value || slot < l->top);
        bytes += item->value.len;
        highest = slot + 1 == l->top ? item->value.len : highest;
    }
    invariant(released + bytes == l->bytes && (bytes <= highest + l->bytes_max || l->top <= l->next + 1));
}
