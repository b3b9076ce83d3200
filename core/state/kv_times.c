#include "core/state/kv_times.h"

#include "core/base/assert.h"

static uint32_t *slot(const struct kv_times *o, uint32_t place)
{
    return &o->segments[place / KV_TIMES_A_SEGMENT][place % KV_TIMES_A_SEGMENT];
}

static struct kv_time *time_at(const struct kv_times *o, const struct kv_table *t, uint32_t place)
{
    return kv_block(t->pool, *slot(o, place));
}

static struct kv_entry *entry_of(const struct kv_table *t, const struct kv_time *time)
{
    return kv_block(t->pool, time->entry);
}

static bool ends_before(struct kv_table *t, const struct kv_time *a, const struct kv_time *b)
{
    t->work += KV_TOUCH_WORK;
    if (a->until != b->until)
        return a->until < b->until;
    return kv_table_order(t, entry_of(t, a), entry_of(t, b)) < 0;
}

static void put(struct kv_times *o, const struct kv_table *t, uint32_t place, uint32_t block)
{
    *slot(o, place) = block;
    time_at(o, t, place)->place = place;
}

/* Moves the one at `place` to where it belongs. */
static void sift(struct kv_times *o, struct kv_table *t, uint32_t place)
{
    const uint32_t block = *slot(o, place);
    const struct kv_time *moving = time_at(o, t, place);
    for (uint32_t parent; place > 0; place = parent) {
        parent = (place - 1) / 2;
        if (!ends_before(t, moving, time_at(o, t, parent)))
            break;
        put(o, t, place, *slot(o, parent));
    }
    for (uint32_t child; (child = 2 * place + 1) < o->count; place = child) {
        if (child + 1 < o->count && ends_before(t, time_at(o, t, child + 1), time_at(o, t, child)))
            child++;
        if (!ends_before(t, time_at(o, t, child), moving))
            break;
        put(o, t, place, *slot(o, child));
    }
    put(o, t, place, block);
}

/* One more place, the last one. */
static uint32_t add_place(struct kv_times *o, struct kv_pieces *pieces)
{
    uint32_t **segment = &o->segments[o->count / KV_TIMES_A_SEGMENT];
    invariant(o->count < KV_SEGMENTS * (uint32_t)KV_TIMES_A_SEGMENT);
    if (*segment == NULL)
        *segment = (uint32_t *)(void *)kv_pieces_take(pieces);
    return o->count++;
}

static uint64_t counted(uint64_t until) { return until < KV_TIMES_FAR ? until : KV_TIMES_FAR; }

static void give_segment(struct kv_times *o, struct kv_pieces *pieces, uint32_t segment)
{
    kv_pieces_give(pieces, (uint8_t *)o->segments[segment]);
    o->segments[segment] = NULL;
}

void kv_times_clear(struct kv_times *o, struct kv_pieces *pieces)
{
    for (uint32_t i = 0; i < KV_SEGMENTS && o->segments[i] != NULL; i++)
        give_segment(o, pieces, i);
    o->count = 0;
    o->sum = 0;
}

void kv_times_set(struct kv_times *o, struct kv_table *t, struct bytes key, uint64_t until)
{
    const struct kv_entry *e = kv_table_find(t, key);
    invariant(e != NULL);
    struct kv_time *time = kv_table_time(t, e);
    if (time == NULL) {
        time = kv_table_add_time(t, key);
        time->place = add_place(o, t->pool->pieces);
        *slot(o, time->place) = e->rest;
    } else {
        o->sum -= counted(time->until);
    }
    o->sum += counted(until);
    time->until = until;
    sift(o, t, time->place);
}

void kv_times_leave(struct kv_times *o, struct kv_table *t, const struct kv_entry *e)
{
    const struct kv_time *time = kv_table_time(t, e);
    const uint32_t place = time->place, last = o->count - 1;
    invariant(place <= last && *slot(o, place) == e->rest);
    o->sum -= counted(time->until);
    const uint32_t block = *slot(o, last);
    o->count = last;
    if (last % KV_TIMES_A_SEGMENT == 0)
        give_segment(o, t->pool->pieces, last / KV_TIMES_A_SEGMENT);
    if (place == last)
        return;
    put(o, t, place, block);
    sift(o, t, place);
}

struct kv_entry *kv_times_first(const struct kv_times *o, const struct kv_table *t)
{
    return o->count > 0 ? entry_of(t, time_at(o, t, 0)) : NULL;
}

uint64_t kv_times_left(const struct kv_times *o, uint64_t elapsed)
{
    const uint64_t until = o->count > 0 ? o->sum / o->count : 0;
    return until > elapsed ? until - elapsed : 0;
}

/* Those at `place` and below it. What ends later than `elapsed` has nothing below it that ends earlier. */
static uint64_t count_over(const struct kv_times *o, struct kv_table *t, uint64_t elapsed, uint32_t place, uint64_t most)
{
    t->work += KV_TOUCH_WORK;
    if (place >= o->count || time_at(o, t, place)->until >= elapsed)
        return 0;
    uint64_t count = 1 + count_over(o, t, elapsed, 2 * place + 1, most);
    return count <= most ? count + count_over(o, t, elapsed, 2 * place + 2, most - count) : count;
}

uint64_t kv_times_over(const struct kv_times *o, struct kv_table *t, uint64_t elapsed, uint64_t most)
{
    return count_over(o, t, elapsed, 0, most);
}
