/* What clients are sent, and what happens to those that do not take it.
 *
 * 1. What an event has added to the output is written with one system call. Only what the socket does not take is left to
 *    libuv, in pieces, so that one can see whether the client takes any.
 * 2. A client with client_bytes_max of untaken replies is not served until it has taken some (client_turns.c). It can have
 *    more than that only by what it had already asked for.
 * 3. All that is kept for clients, requests and replies, is client_bytes_all_max. Above that, only clients without
 *    outstanding commands are served, and the client that has most is closed if it has taken nothing for a while. Above that
 *    and a quarter, it is closed at once.
 * 4. A client that takes nothing for a minute is closed. */
#include "core/base/memory.h"
#include "io/client_internal.h"

enum {
    WRITE_MAX = 256 * 1024, /* in one write of libuv */
    WATCH_MS = 1000,
    PRESSED_MS = 1000, /* "a while" in 3. */
    STUCK_MS = 60 * 1000,
    RING_KEPT = 1024,
};

/* ---- What is kept for clients ---- */

/* Memory of a buffer, without what every idle connection keeps. */
static size_t memory_of(const struct resp_buffer *b) { return b->capacity > CLIENT_BUFFER_KEPT ? b->capacity : b->len; }

/* The connection that has most, among those that have taken and sent nothing since `idle_ms`. */
static struct client_connection *largest(const struct client_server *s, uint64_t idle_ms)
{
    struct client_connection *found = NULL, *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        if (c->buffered <= CLIENT_BUFFER_KEPT || (c->sending ? c->moved_ms : c->active_ms) > idle_ms)
            continue;
        if (found == NULL || c->buffered > found->buffered)
            found = c;
    }
    return found;
}

static void close_largest(struct client_server *s, uint64_t bytes_max, uint64_t idle_ms)
{
    struct client_connection *c;
    while (client_turns_kept(s) > bytes_max && (c = largest(s, idle_ms)) != NULL)
        client_connection_drop(c, "it holds more than others, and all clients together more than client_bytes_all_max");
}

/* Frees places for replies when many were needed and none is any more. */
static void shrink_ring(struct client_connection *c)
{
    if (c->head != c->tail || c->ring_size <= RING_KEPT)
        return;
    free(c->ring);
    c->ring = NULL;
    c->ring_size = 0;
}

/* Memory of places for replies, without what is already counted for each waiting request and early reply, and without what
 * every idle connection keeps. */
static size_t memory_of_ring(const struct client_connection *c)
{
    const size_t spare = c->ring_size - (c->tail - c->head);
    return c->ring_size > RING_KEPT ? spare * sizeof *c->ring : 0;
}

static void on_watch(uv_timer_t *watch);

/* Updates the server's count of buffered bytes. */
static void account(struct client_connection *c)
{
    struct client_server *s = c->server;
    uint64_t limit = s->options.config->client_bytes_all_max;
    shrink_ring(c);
    uint64_t now = memory_of(&c->out) + memory_of(&c->sent) + c->early + c->late_bytes + c->in_capacity + memory_of_ring(c) +
                   resp_parser_bytes(&c->parser);
    bool more = now > c->buffered;
    s->buffered += now - c->buffered;
    c->buffered = now;
    if (more && client_turns_kept(s) > limit + limit / 4)
        close_largest(s, limit, UINT64_MAX);
    if (more && client_turns_kept(s) >= limit && !uv_is_active((uv_handle_t *)&s->watch))
        uv_timer_start(&s->watch, on_watch, WATCH_MS, 0);
}

static void on_watch(uv_timer_t *watch)
{
    struct client_server *s = watch->data;
    uint64_t now = uv_now(s->loop), stuck_ms = s->options.stuck_ms > 0 ? s->options.stuck_ms : STUCK_MS;
    bool again = client_turns_pressed(s);
    struct client_connection *c;
    for (size_t at = 0; (c = slots_next(&s->connections, &at)) != NULL;) {
        if (!c->sending)
            continue;
        if (now - c->moved_ms >= stuck_ms)
            client_connection_drop(c, "it has long taken nothing of its replies");
        else
            again = true;
    }
    if (client_turns_pressed(s) && now >= PRESSED_MS)
        close_largest(s, s->options.config->client_bytes_all_max / 4 * 3, now - PRESSED_MS);
    if (again && !s->closing)
        uv_timer_start(&s->watch, on_watch, stuck_ms < WATCH_MS ? stuck_ms : WATCH_MS, 0);
    s->upcalls->go_on(s);
}

/* ---- Writing ---- */

static void empty(struct resp_buffer *b)
{
    b->len = 0;
    if (b->capacity > CLIENT_BUFFER_KEPT)
        resp_buffer_close(b);
}

static void send_piece(struct client_connection *c);

static void on_written(uv_write_t *write, int status)
{
    struct client_connection *c = write->data;
    c->sending = false;
    if (c->state == CLIENT_CLOSED)
        return;
    if (status < 0) {
        client_connection_close(c);
        return;
    }
    c->moved_ms = uv_now(c->server->loop);
    c->sent_at += c->sent_len;
    if (c->sent_at < c->sent.len) {
        send_piece(c);
    } else {
        c->sent_at = 0;
        empty(&c->sent);
    }
    client_output_flush(c);
    c->server->upcalls->taken(c);
}

/* Hands the next piece of what is to be sent to libuv, which writes it when the socket takes more. */
static void send_piece(struct client_connection *c)
{
    struct client_server *s = c->server;
    size_t rest = c->sent.len - c->sent_at;
    c->sent_len = rest < WRITE_MAX ? rest : WRITE_MAX;
    uv_buf_t buf = uv_buf_init((char *)c->sent.data + c->sent_at, (unsigned)c->sent_len);
    c->write.data = c;
    c->sending = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        c->sending = false;
        client_connection_close(c);
    } else if (!uv_is_active((uv_handle_t *)&s->watch) && !s->closing) {
        uv_timer_start(&s->watch, on_watch, WATCH_MS, 0);
    }
}

/* Leaves the rest of the output to libuv. */
static void send_later(struct client_connection *c, size_t written)
{
    struct resp_buffer free_one = c->sent;
    c->sent = c->out;
    c->sent_at = written;
    c->out = free_one;
    c->moved_ms = uv_now(c->server->loop);
    send_piece(c);
}

void client_output_flush(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->state == CLIENT_CLOSED)
        return;
    if (c->out.len > 0 && !c->sending) {
        size_t len = c->out.len;
        uv_buf_t buf = uv_buf_init((char *)c->out.data, (unsigned)len);
        int written = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (written < 0 && written != UV_EAGAIN) {
            client_connection_close(c);
            return;
        }
        s->statistics.bytes_out += len;
        if (written >= 0 && (size_t)written == len)
            empty(&c->out);
        else
            send_later(c, written < 0 ? 0 : (size_t)written);
    }
    if (c->state != CLIENT_CLOSED)
        account(c);
}
