#include "core/state/kv_events.h"

#include "core/base/memory.h"

enum { EVENTS_BYTES_MAX = 2 * KV_KEY_MAX };

bool state_machine_tell_events(struct state_machine *m, bool on)
{
    m->events.on = on;
    return true;
}

void kv_events_begin(struct state_machine *m)
{
    m->events.count = 0;
    m->events.bytes = 0;
}

void kv_events_command(struct state_machine *m, size_t command) { m->events.command = (uint32_t)command; }

static void push(struct kv_events *all, const struct key_event *e)
{
    all->list = memory_reserve(all->list, &all->capacity, all->count + 1, sizeof *all->list);
    all->list[all->count++] = *e;
}

void kv_events_add(struct state_machine *m, uint32_t command, uint8_t class, const char *name, struct bytes key)
{
    struct kv_events *all = &m->events;
    if (m->queries || (all->count > 0 && all->list[all->count - 1].kind == KEY_EVENT_LOST))
        return;
    all->bytes += key.len;
    if (all->bytes > EVENTS_BYTES_MAX)
        push(all, &(struct key_event){.command = KEY_EVENT_OF_TIME, .kind = KEY_EVENT_LOST});
    else
        push(all, &(struct key_event){command, class, kv_text(name), kv_result(m, key.ptr, key.len)});
}

void kv_event_ended(struct state_machine *m, struct bytes key)
{
    if (m->events.on)
        kv_events_add(m, KEY_EVENT_OF_TIME, KEY_EVENT_EXPIRED, "expired", key);
}

bool kv_remove_key(struct state_machine *m, struct bytes key)
{
    const bool removed = kv_versions_remove(&m->data, key);
    if (removed)
        kv_event(m, KEY_EVENT_GENERIC, "del", key);
    return removed;
}
