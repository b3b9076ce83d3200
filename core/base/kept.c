/* The table is open-addressed with linear probing, at most half full, and goes with the last payload in it. */
#include "core/base/kept.h"

#include "core/base/memory.h"

struct kept {
    uint64_t holders;
    uint64_t words[];
};

enum { SLOTS_MIN = 64 };

static _Thread_local struct {
    uint64_t **slots; /* the words of what is kept, each where its address leads, or in the next free place after that */
    size_t capacity;  /* a power of two */
    size_t count;
} table;

static struct kept *kept_of(uint64_t *words) { return (struct kept *)((uint8_t *)words - offsetof(struct kept, words)); }

/* Where a search for this address begins. */
static size_t home(const uint64_t *words)
{
    return (size_t)((uint64_t)(uintptr_t)words * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (table.capacity - 1);
}

static size_t next(size_t at) { return (at + 1) & (table.capacity - 1); }

/* The place of this address, or the free one where it belongs. */
static size_t find(const uint64_t *words)
{
    size_t at = home(words);
    while (table.slots[at] != NULL && table.slots[at] != words)
        at = next(at);
    return at;
}

static bool is_kept(const uint64_t *words) { return table.count > 0 && table.slots[find(words)] != NULL; }

static void grow(void)
{
    uint64_t **const before = table.slots;
    const size_t capacity = table.capacity;
    table.capacity = capacity > 0 ? 2 * capacity : SLOTS_MIN;
    table.slots = memory_new(table.capacity, sizeof(uint64_t *));
    for (size_t i = 0; i < capacity; i++)
        if (before[i] != NULL)
            table.slots[find(before[i])] = before[i];
    free(before);
}

static void add(uint64_t *words)
{
    if (2 * (table.count + 1) > table.capacity)
        grow();
    const size_t at = find(words);
    invariant(table.slots[at] == NULL);
    table.slots[at] = words;
    table.count++;
}

/* Those after a place that gets free move up, unless that is before their home. */
static void take_out(const uint64_t *words)
{
    size_t gap = find(words);
    invariant(table.slots[gap] == words);
    for (size_t at = next(gap); table.slots[at] != NULL; at = next(at)) {
        const size_t from_home = (at - home(table.slots[at])) & (table.capacity - 1);
        if (from_home < ((at - gap) & (table.capacity - 1)))
            continue;
        table.slots[gap] = table.slots[at];
        gap = at;
    }
    table.slots[gap] = NULL;
    if (--table.count > 0)
        return;
    free(table.slots);
    table.slots = NULL;
    table.capacity = 0;
}

static struct payload copy_of(const struct payload *from)
{
    const size_t words = words_for(from->len);
    struct kept *kept = malloc(sizeof *kept + words * sizeof(uint64_t));
    invariant(kept != NULL);
    kept->holders = 1;
    memcpy(kept->words, from->words.ptr, words * sizeof(uint64_t));
    add(kept->words);
    return (struct payload){.words = {kept->words, words}, .len = from->len};
}

struct payload payload_keep(const struct payload *from)
{
    if (from->len == 0)
        return (struct payload){0};
    if (!is_kept(from->words.ptr))
        return copy_of(from);
    kept_of(from->words.ptr)->holders++;
    return *from;
}

void payload_release(struct payload *p)
{
    if (p->len > 0) {
        invariant(is_kept(p->words.ptr)); /* it was kept, and not released before */
        struct kept *kept = kept_of(p->words.ptr);
        if (--kept->holders == 0) {
            take_out(p->words.ptr);
            free(kept);
        }
    }
    *p = (struct payload){0};
}

void payload_alone(struct payload *p)
{
    if (p->len == 0 || kept_of(p->words.ptr)->holders == 1)
        return;
    const struct payload copy = copy_of(p);
    payload_release(p);
    *p = copy;
}

size_t payloads_kept(void) { return table.count; }
