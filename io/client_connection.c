/* One client connection.
 *
 * 1. All connections read into one buffer of the server; only the beginning of a request that has not arrived whole is
 *    kept, and then the rest is read straight behind it.
 * 2. Replies leave in the order of the requests. Each request takes a place in a ring; a reply whose turn it is goes straight
 *    to the output, one that is early (a PING behind a SET) is held at its place.
 * 3. What a read or an answer of the node has added to the output is written with one system call. Only what the
 *    socket does not take then is left to libuv.
 * 4. A connection with too much waiting is not read; one that does not take its replies is dropped. */
#include <stdio.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

enum { RING_START = 8, BUFFER_KEPT = 16 * 1024 };

static void flush(struct client_connection *c);

/* ---- Opening and closing ---- */

void client_connection_address(const struct client_connection *c, bool peer, char *out, size_t size)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char host[64] = "?";
    unsigned port = 0;
    int failed = peer ? uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &len)
                      : uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&address, &len);
    if (failed == 0 && address.ss_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
        uv_ip6_name(six, host, sizeof host);
        port = ntohs(six->sin6_port);
    } else if (failed == 0) {
        struct sockaddr_in *four = (struct sockaddr_in *)&address;
        uv_ip4_name(four, host, sizeof host);
        port = ntohs(four->sin_port);
    }
    snprintf(out, size, "%s:%u", host, port);
}

static void on_closed(uv_handle_t *handle)
{
    struct client_connection *c = handle->data;
    struct client_server *s = c->server;
    for (; c->head != c->tail; c->head++)
        free(c->ring[c->head & (c->ring_size - 1)].held);
    free(c->ring);
    free(c->in);
    resp_parser_close(&c->parser);
    resp_buffer_close(&c->out);
    resp_buffer_close(&c->sent);
    free(c);
    client_server_handle_closed(s);
}

void client_connection_close(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->closed)
        return;
    c->closed = true;
    if (c->paused)
        s->paused--;
    s->buffered -= c->buffered;
    s->connections[c->index] = NULL;
    s->free_indices[s->free_count++] = c->index;
    s->statistics.connections--;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

struct client_connection *client_connection_find(const struct client_server *s, uint32_t index, uint32_t generation)
{
    struct client_connection *c = s->connections[index];
    return c != NULL && c->generation == generation ? c : NULL;
}

static void stop_reading(struct client_connection *c)
{
    if (c->reading)
        uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
}

static void finish_if_done(struct client_connection *c)
{
    if (c->finishing && c->head == c->tail && c->out.len == 0 && !c->sending)
        client_connection_close(c);
}

void client_connection_finish(struct client_connection *c)
{
    stop_reading(c);
    c->finishing = true;
    finish_if_done(c);
}

static void take_index(struct client_server *s, struct client_connection *c)
{
    if (s->free_count == 0) {
        size_t old = s->connections_capacity, capacity = old;
        s->connections = memory_reserve(s->connections, &capacity, old + 1, sizeof *s->connections);
        s->free_indices = realloc(s->free_indices, capacity * sizeof *s->free_indices);
        invariant(s->free_indices != NULL);
        s->connections_capacity = capacity;
        for (size_t i = capacity; i > old; i--) {
            s->connections[i - 1] = NULL;
            s->free_indices[s->free_count++] = (uint32_t)(i - 1);
        }
    }
    c->index = s->free_indices[--s->free_count];
    c->generation = ++s->generation;
    s->connections[c->index] = c;
}

/* ---- The order of replies ---- */

static struct client_pending *place(struct client_connection *c, uint32_t position)
{
    return &c->ring[position & (c->ring_size - 1)];
}

uint32_t client_connection_expect(struct client_connection *c)
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
    *place(c, c->tail) = (struct client_pending){0};
    return c->tail++;
}

struct resp_buffer *client_connection_reply(struct client_connection *c, uint32_t position)
{
    if (position == c->head)
        return &c->out;
    c->server->scratch.len = 0;
    return &c->server->scratch;
}

/* Moves replies that have been held to the output, up to the next one that is missing. */
static void release_held(struct client_connection *c)
{
    while (c->head != c->tail && place(c, c->head)->held != NULL) {
        struct client_pending *p = place(c, c->head);
        resp_raw(&c->out, p->held, p->len);
        c->held -= p->len;
        free(p->held);
        c->head++;
    }
}

void client_connection_replied(struct client_connection *c, uint32_t position)
{
    if (position == c->head) {
        c->head++;
        release_held(c);
        return;
    }
    const struct resp_buffer *early = &c->server->scratch;
    struct client_pending *p = place(c, position);
    p->held = memory_new(early->len, 1);
    p->len = early->len;
    memcpy(p->held, early->data, early->len);
    c->held += p->len;
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct client_connection *c = handle->data;
    struct client_server *s = c->server;
    if (c->in_len == 0) {
        *buf = uv_buf_init((char *)s->read_buffer, sizeof s->read_buffer);
        return;
    }
    /* Room for the rest of the request, but not on the client's word alone: at most as much again as has come. */
    size_t rest = c->parser.wanted > c->in_len ? c->parser.wanted - c->in_len : 0;
    size_t room = rest > CLIENT_READ_SIZE ? rest : CLIENT_READ_SIZE;
    if (room > c->in_len + CLIENT_READ_SIZE)
        room = c->in_len + CLIENT_READ_SIZE;
    if (c->in_capacity < c->in_len + room) {
        c->in = realloc(c->in, c->in_len + room);
        invariant(c->in != NULL);
        c->in_capacity = c->in_len + room;
    }
    *buf = uv_buf_init((char *)c->in + c->in_len, (unsigned)room);
}

static void protocol_error(struct client_connection *c, const char *what)
{
    struct client_server *s = c->server;
    char address[80];
    client_connection_address(c, true, address, sizeof address);
    logger_log(s->options.logger, LOG_WARNING, "clients", "%s: protocol error: %s", address, what);
    uint32_t position = client_connection_expect(c);
    client_print(client_connection_reply(c, position), "-ERR Protocol error: %s\r\n", what);
    client_connection_replied(c, position);
    s->statistics.errors++;
    client_connection_finish(c);
}

/* Handles all whole requests; returns the bytes they took. */
static size_t handle_requests(struct client_connection *c, uint8_t *data, size_t len)
{
    struct client_server *s = c->server;
    size_t at = 0;
    while (at < len && !c->finishing) {
        enum resp_result result = resp_parse(&c->parser, &s->limits, data + at, len - at, &s->request);
        if (result == RESP_PARTIAL)
            break;
        if (result == RESP_BAD) {
            protocol_error(c, s->request.error);
            break;
        }
        if (s->request.argc > 0 && !client_commands_answer(c, &s->request))
            client_server_command(c, &s->request);
        at += s->request.size;
    }
    return at;
}

/* Keeps what follows the whole requests, at the beginning of the connection's own buffer. */
static void keep_rest(struct client_connection *c, const uint8_t *rest, size_t len)
{
    if (len > 0 && rest != c->in) {
        if (c->in_capacity < len) {
            /* Never with bytes of c->in itself: those fit. */
            c->in = realloc(c->in, len);
            invariant(c->in != NULL);
            c->in_capacity = len;
        }
        memmove(c->in, rest, len);
    }
    c->in_len = len;
    if (len == 0 && c->in != NULL) {
        free(c->in);
        c->in = NULL;
        c->in_capacity = 0;
    }
}

static uint64_t unread(const struct client_connection *c) { return c->out.len + c->sent.len + c->held; }

static void pause_if_full(struct client_connection *c)
{
    const struct client_server *s = c->server;
    const struct config *config = s->options.config;
    if (!c->reading || c->closed)
        return;
    if (c->waiting + unread(c) < config->client_bytes_max && s->statistics.waiting_bytes < config->client_bytes_all_max)
        return;
    stop_reading(c);
    c->paused = true;
    c->server->paused++;
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct client_connection *c = stream->data;
    struct client_server *s = c->server;
    if (nread == 0)
        return;
    if (nread == UV_EOF) { /* what was asked is still answered */
        client_connection_finish(c);
        return;
    }
    if (nread < 0) {
        client_connection_close(c);
        return;
    }
    s->statistics.bytes_in += (uint64_t)nread;
    c->active_ms = uv_now(s->loop);
    uint64_t commands = s->statistics.commands;
    uint8_t *data = (uint8_t *)buf->base;
    size_t len = (size_t)nread;
    if (c->in_len > 0) {
        data = c->in;
        len += c->in_len;
    }
    size_t taken = handle_requests(c, data, len);
    keep_rest(c, data + taken, c->finishing ? 0 : len - taken);
    flush(c);
    pause_if_full(c);
    if (s->statistics.commands != commands)
        s->options.on_input(s->options.context);
}

static void start_reading(struct client_connection *c)
{
    c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
    if (!c->reading)
        client_connection_close(c);
}

static void resume_if_room(struct client_connection *c)
{
    struct client_server *s = c->server;
    const struct config *config = s->options.config;
    if (!c->paused || c->closed || c->finishing)
        return;
    if (c->waiting + unread(c) > config->client_bytes_max / 2 ||
        s->statistics.waiting_bytes > config->client_bytes_all_max / 4 * 3)
        return;
    c->paused = false;
    s->paused--;
    start_reading(c);
}

/* ---- Writing ---- */

static void drop(struct client_connection *c, const char *why)
{
    char address[80];
    client_connection_address(c, true, address, sizeof address);
    logger_log(c->server->options.logger, LOG_WARNING, "clients", "%s: dropped: %s", address, why);
    client_connection_close(c);
}

/* Brings the server's count of buffered bytes up to date, and drops the connection where it holds too many. */
static void account(struct client_connection *c)
{
    struct client_server *s = c->server;
    const struct config *config = s->options.config;
    uint64_t now = unread(c) + c->in_capacity;
    s->buffered += now - c->buffered;
    c->buffered = now;
    if (now < CLIENT_READ_SIZE * 2)
        return;
    if (unread(c) > config->client_bytes_max + CLIENT_OUT_MAX)
        drop(c, "it does not take its replies");
    else if (s->buffered > config->client_bytes_all_max * 2)
        drop(c, "partial requests and untaken replies exceed twice client_bytes_all_max");
}

static void on_written(uv_write_t *write, int status)
{
    struct client_connection *c = write->data;
    c->sending = false;
    c->sent.len = 0;
    if (c->closed)
        return;
    if (status < 0) {
        client_connection_close(c);
        return;
    }
    flush(c);
    resume_if_room(c);
}

/* Hands the rest of the output to libuv, which writes when the socket takes more. */
static void send_later(struct client_connection *c, size_t written)
{
    struct resp_buffer free_one = c->sent;
    c->sent = c->out;
    c->out = free_one;
    c->out.len = 0;
    uv_buf_t buf = uv_buf_init((char *)c->sent.data + written, (unsigned)(c->sent.len - written));
    c->write.data = c;
    c->sending = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        c->sending = false;
        client_connection_close(c);
    }
}

/* Writes what is ready, closes a finished connection. */
static void flush(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->closed)
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
        if (written >= 0 && (size_t)written == len) {
            c->out.len = 0;
            if (c->out.capacity > BUFFER_KEPT)
                resp_buffer_close(&c->out);
        } else {
            send_later(c, written < 0 ? 0 : (size_t)written);
        }
    }
    if (!c->closed)
        account(c);
    if (!c->closed)
        finish_if_done(c);
}

void client_connection_touch(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->dirty)
        return;
    c->dirty = true;
    s->dirty = memory_reserve(s->dirty, &s->dirty_capacity, s->dirty_count + 1, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = c;
}

void client_connection_flush_all(struct client_server *s)
{
    for (size_t i = 0; i < s->dirty_count; i++) {
        s->dirty[i]->dirty = false;
        flush(s->dirty[i]);
    }
    s->dirty_count = 0;
    for (size_t i = 0; s->paused > 0 && i < s->connections_capacity; i++)
        if (s->connections[i] != NULL)
            resume_if_room(s->connections[i]);
}

/* ---- Accepting ---- */

void client_connection_accept(struct client_server *s, uv_stream_t *listener)
{
    struct client_connection *c = memory_new(1, sizeof *c);
    if (uv_tcp_init(s->loop, &c->tcp) != 0) {
        free(c);
        return;
    }
    c->tcp.data = c;
    c->server = s;
    c->version = 2;
    c->opened_ms = c->active_ms = uv_now(s->loop);
    take_index(s, c);
    s->handles++;
    s->statistics.connections++;
    s->statistics.connections_total++;
    int failed = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (failed != 0) {
        logger_log(s->options.logger, LOG_WARNING, "clients", "a connection cannot be accepted: %s", uv_strerror(failed));
        client_connection_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, 60);
    if (s->statistics.connections > s->options.config->client_connections_max) {
        resp_error_text(&c->out, "ERR max number of clients reached");
        c->finishing = true;
        flush(c);
        return;
    }
    start_reading(c);
}
