/* The replies of a connection. They leave in the order of the requests. Each request takes a place in a ring. A reply whose
 * turn it is goes directly to the output. One that is early (a PING after a SET) waits in its place. One that the client
 * does not want (CLIENT REPLY) has a place, too, and is dropped.
 *
 * A place that is free is all zeros, and so is one whose reply is wanted and not there yet. So the ring, which for most
 * requests is far away in memory, is not touched for them. */
#include "core/base/memory.h"
#include "io/client_internal.h"

enum { RING_START = 8 };

static struct client_pending *place(struct client_connection *c, uint32_t position)
{
    return &c->ring[position & (c->ring_size - 1)];
}

uint32_t client_replies_expect(struct client_connection *c)
{
    if (c->tail - c->head == c->ring_size) {
        uint32_t size = c->ring_size == 0 ? RING_START : c->ring_size * 2;
        struct client_pending *ring = memory_new(size, sizeof *ring);
        for (uint32_t p = c->head; p != c->tail; p++)
            ring[p & (size - 1)] = *place(c, p);
        free(c->ring);
        c->ring = ring;
        c->ring_size = size;
    }
    if (c->wants != WANTS_REPLIES) {
        place(c, c->tail)->unwanted = true;
        c->unwanted++;
    }
    return c->tail++;
}

struct resp_buffer *client_replies_begin(struct client_connection *c, uint32_t position)
{
    if (position == c->head && (c->unwanted == 0 || !place(c, position)->unwanted))
        return &c->out;
    c->server->scratch.len = 0;
    return &c->server->scratch;
}

/* The client has got one more reply: what has to come after that follows. */
static void move_on(struct client_connection *c)
{
    c->head++;
    if (c->late != NULL)
        c->server->upcalls->answered(c);
}

/* Moves early replies to the output, up to the next one that is missing. */
static void release_early(struct client_connection *c)
{
    while (c->head != c->tail && place(c, c->head)->early != NULL) {
        struct client_pending *p = place(c, c->head);
        resp_raw(&c->out, p->early, p->len);
        c->early -= p->len + CLIENT_REQUEST_OVERHEAD;
        free(p->early);
        *p = (struct client_pending){0};
        move_on(c);
    }
}

/* The server's buffer for replies that do not go to the output at once. A large one is not kept. */
static void scratch_done(struct resp_buffer *scratch)
{
    scratch->len = 0;
    if (scratch->capacity > CLIENT_READ_SIZE)
        resp_buffer_close(scratch);
}

/* Drops the reply, which is in the server's buffer, if it is not wanted. */
static void drop_unwanted(struct client_connection *c, uint32_t position)
{
    struct client_pending *p = place(c, position);
    if (!p->unwanted)
        return;
    p->unwanted = false;
    c->unwanted--;
    c->server->spent += c->server->scratch.len;
    scratch_done(&c->server->scratch);
}

void client_replies_end(struct client_connection *c, uint32_t position)
{
    struct resp_buffer *early = &c->server->scratch;
    if (c->unwanted > 0)
        drop_unwanted(c, position);
    if (position == c->head) {
        move_on(c);
        release_early(c);
        return;
    }
    struct client_pending *p = place(c, position);
    p->early = memory_new(early->len, 1);
    p->len = early->len;
    if (p->len > 0)
        memcpy(p->early, early->data, p->len);
    c->early += p->len + CLIENT_REQUEST_OVERHEAD;
    scratch_done(early);
}

void client_replies_error(struct client_connection *c, const char *what)
{
    uint32_t position = client_replies_expect(c);
    client_print(client_replies_begin(c, position), "-%s\r\n", what);
    client_replies_end(c, position);
    c->server->statistics.errors++;
}

uint64_t client_replies_unread(const struct client_connection *c)
{
    return c->out.len + (c->sent.len - c->sent_at) + c->early + c->late_bytes;
}

void client_replies_touch(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->dirty)
        return;
    c->dirty = true;
    s->dirty = memory_reserve(s->dirty, &s->dirty_capacity, s->dirty_count + 1, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = c;
}

struct client_connection *client_replies_next(const struct client_server *s, size_t *at)
{
    while (*at < s->dirty_count)
        if (s->dirty[(*at)++] != NULL)
            return s->dirty[*at - 1];
    return NULL;
}

void client_replies_leave(struct client_connection *c)
{
    struct client_server *s = c->server;
    for (size_t i = 0; c->dirty && i < s->dirty_count; i++)
        if (s->dirty[i] == c)
            s->dirty[i] = NULL;
    c->dirty = false;
}

void client_replies_close(struct client_connection *c)
{
    for (; c->head != c->tail; c->head++)
        free(place(c, c->head)->early);
    free(c->ring);
    resp_buffer_close(&c->out);
    resp_buffer_close(&c->sent);
}
