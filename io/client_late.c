/* What a connection hears only after one of its replies (P26).
 *
 * 1. What it has caused itself - a message, the change of a key - comes after the reply to its own command.
 * 2. Messages keep their order: while one waits, those that follow wait behind it, whatever has caused them.
 * 3. The change of a key comes after the reply to the read for which the key is remembered.
 *
 * What waits has places of its own, one for each reply that it waits for, in the order of replies. There are no more of them
 * than commands without a reply; and what waits counts as output that the client has not taken. */
#include "core/base/cursor.h"
#include "core/base/memory.h"
#include "io/client_internal.h"

enum { LIST_HEAD = 8 /* of a list of keys: how many they are, and bytes */ };
enum { FLUSHED_AT = 64 * 1024 /* bytes for a connection that are gathered before they are written */ };

static bool is_later(uint32_t position, uint32_t than) { return (int32_t)(position - than) > 0; }

/* The place after the reply at `position`. */
static struct client_late *place(struct client_connection *c, uint32_t position)
{
    struct client_late **at = &c->late;
    while (*at != NULL && is_later(position, (*at)->position))
        at = &(*at)->next;
    if (*at == NULL || (*at)->position != position) {
        struct client_late *new = memory_new(1, sizeof *new);
        *new = (struct client_late){.next = *at, .position = position};
        *at = new;
        c->late_bytes += sizeof *new;
    }
    return *at;
}

/* The last place where something waits that keeps its order; NULL: there is none. */
static struct client_late *last_pushed(struct client_connection *c)
{
    struct client_late *last = NULL;
    for (struct client_late *at = c->late; at != NULL; at = at->next)
        last = at->pushes.len > 0 ? at : last;
    return last;
}

bool client_late_is_own(const struct client_connection *c) { return c->server->cause.connection == c->token; }

uint32_t client_late_after(const struct client_connection *c, uint32_t position)
{
    const uint32_t own = c->server->cause.position;
    return client_late_is_own(c) && is_later(own, position) ? own : position;
}

/* ---- What is told in order ---- */

struct resp_buffer *client_late_begin(struct client_connection *c)
{
    struct client_server *s = c->server;
    const bool waits = client_late_is_own(c) && !client_replies_given(c, s->cause.position);
    if (!waits && last_pushed(c) == NULL)
        return &c->out;
    s->late.len = 0;
    return &s->late;
}

static void push_late(struct client_connection *c, struct resp_buffer *late)
{
    const struct client_late *last = last_pushed(c);
    uint32_t position = last != NULL ? last->position : c->server->cause.position;
    if (last != NULL && client_late_is_own(c) && !client_replies_given(c, c->server->cause.position))
        position = client_late_after(c, position);
    resp_raw(&place(c, position)->pushes, late->data, late->len);
    c->late_bytes += late->len;
    if (late->capacity > CLIENT_READ_SIZE)
        resp_buffer_close(late);
}

void client_late_end(struct client_connection *c, struct resp_buffer *out)
{
    if (out != &c->out)
        push_late(c, out);
    client_replies_touch(c);
    if (c->out.len >= FLUSHED_AT)
        client_output_flush(c);
}

/* ---- Keys that have changed ---- */

void client_late_keys(struct client_connection *c, uint32_t position, struct bytes encoded, size_t count)
{
    struct client_late *at = place(c, position);
    uint8_t head[LIST_HEAD];
    cursor_store_u32(head, (uint32_t)count);
    cursor_store_u32(head + 4, (uint32_t)encoded.len);
    resp_raw(&at->keys, head, sizeof head);
    resp_raw(&at->keys, encoded.ptr, encoded.len);
    c->late_bytes += sizeof head + encoded.len;
    client_replies_touch(c);
}

bool client_late_next_keys(const struct client_late *late, size_t *at, struct bytes *encoded, size_t *count)
{
    if (*at == late->keys.len)
        return false;
    const uint8_t *head = late->keys.data + *at;
    *count = cursor_load_u32(head);
    *encoded = (struct bytes){late->keys.data + *at + LIST_HEAD, cursor_load_u32(head + 4)};
    *at += LIST_HEAD + encoded->len;
    return true;
}

/* ---- Afterwards ---- */

struct client_late *client_late_take(struct client_connection *c)
{
    struct client_late *first = c->late;
    if (first == NULL || !client_replies_given(c, first->position))
        return NULL;
    c->late = first->next;
    c->late_bytes -= sizeof *first + first->pushes.len + first->keys.len;
    resp_raw(&c->out, first->pushes.data, first->pushes.len);
    return first;
}

void client_late_free(struct client_late *late)
{
    resp_buffer_close(&late->pushes);
    resp_buffer_close(&late->keys);
    free(late);
}

void client_late_close(struct client_connection *c)
{
    while (c->late != NULL) {
        struct client_late *first = c->late;
        c->late = first->next;
        client_late_free(first);
    }
    c->late_bytes = 0;
}
