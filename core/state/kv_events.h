/* What happens to keys, by the names of Redis' keyspace notifications, as long as that is asked for. It is no state, and no
 * reply depends on it. */
#ifndef SYNOD_CORE_STATE_KV_EVENTS_H
#define SYNOD_CORE_STATE_KV_EVENTS_H

#include "core/state/kv_reply.h"

/* A call begins, and a command of it. */
void kv_events_begin(struct state_machine *m);
void kv_events_command(struct state_machine *m, size_t command);

/* Adds an event of the command that is executed, or of time. */
void kv_events_add(struct state_machine *m, uint32_t command, uint8_t class, const char *name, struct bytes key);

/* Something has happened to a key by the command that is executed. */
static inline void kv_event(struct state_machine *m, uint8_t class, const char *name, struct bytes key)
{
    if (m->events.on)
        kv_events_add(m, m->events.command, class, name, key);
}
/* The command is going to write a key, which there may not be yet. To be called before it does. */
static inline void kv_event_write(struct state_machine *m, struct bytes key)
{
    if (m->events.on && kv_find(m, key) == NULL)
        kv_event(m, KEY_EVENT_NEW, "new", key);
}
/* Removes a key. False: there is none. */
bool kv_remove_key(struct state_machine *m, struct bytes key);
/* The key has ended, and leaves the state. */
void kv_event_ended(struct state_machine *m, struct bytes key);

#endif
