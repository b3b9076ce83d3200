#include "io/slots.h"

#include <stdlib.h>

#include "core/base/memory.h"

static void grow(struct slots *t)
{
    const size_t old = t->capacity;
    t->ptr = memory_reserve(t->ptr, &t->capacity, old + 1, sizeof *t->ptr);
    invariant(t->capacity < UINT32_MAX);
    for (size_t i = t->capacity; i > old; i--) {
        t->ptr[i - 1] = (struct slot){.next_free = t->first_free};
        t->first_free = (uint32_t)i;
    }
}

uint64_t slots_put(struct slots *t, void *item)
{
    invariant(item != NULL);
    if (t->first_free == 0)
        grow(t);
    const uint32_t index = t->first_free - 1;
    struct slot *slot = &t->ptr[index];
    t->first_free = slot->next_free;
    *slot = (struct slot){.item = item, .serial = ++t->serial};
    return (uint64_t)slot->serial << 32 | index;
}

void *slots_find(const struct slots *t, uint64_t token)
{
    const uint32_t index = (uint32_t)token;
    return index < t->capacity && t->ptr[index].serial == slots_number(token) ? t->ptr[index].item : NULL;
}

void *slots_take(struct slots *t, uint64_t token)
{
    void *item = slots_find(t, token);
    if (item != NULL) {
        const uint32_t index = (uint32_t)token;
        t->ptr[index] = (struct slot){.next_free = t->first_free};
        t->first_free = index + 1;
    }
    return item;
}

void *slots_next(const struct slots *t, size_t *at)
{
    while (*at < t->capacity && t->ptr[*at].item == NULL)
        ++*at;
    return *at < t->capacity ? t->ptr[(*at)++].item : NULL;
}

void slots_close(struct slots *t)
{
    free(t->ptr);
    *t = (struct slots){0};
}
