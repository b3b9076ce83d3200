/* One client connection.
 *
 * Replies leave in the order of the requests. Each request takes a place in a ring. A reply whose turn it is goes directly
 * to the output. One that is early (a PING after a SET) waits in its place.
 *
 * An event (bytes were read, commands answered, output written) does its own work. Then client_connection_update decides
 * what follows for the connection: whether it is read, whether its next request gets a turn, whether it is closed. */
#include <stdio.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

enum { RING_START = 8, KEEPALIVE_S = 60 };

static const char full[] = "ERR max number of clients reached";

/* ---- Addresses ---- */

typedef int address_getter(const uv_tcp_t *tcp, struct sockaddr *name, int *len);

static const char *address_text(const struct client_connection *c, address_getter *get, char text[CLIENT_ADDRESS_SIZE])
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char host[64] = "?";
    unsigned port = 0;
    if (text[0] != '\0')
        return text;
    int failed = get(&c->tcp, (struct sockaddr *)&address, &len);
    if (failed == 0 && address.ss_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
        uv_ip6_name(six, host, sizeof host);
        port = ntohs(six->sin6_port);
    } else if (failed == 0) {
        struct sockaddr_in *four = (struct sockaddr_in *)&address;
        uv_ip4_name(four, host, sizeof host);
        port = ntohs(four->sin_port);
    }
    snprintf(text, CLIENT_ADDRESS_SIZE, "%.63s:%u", host, port & 0xffff);
    return text;
}

const char *client_connection_address(struct client_connection *c)
{
    return address_text(c, uv_tcp_getpeername, c->address);
}

const char *client_connection_local_address(struct client_connection *c)
{
    return address_text(c, uv_tcp_getsockname, c->local_address);
}

/* ---- Places ---- */

static bool has_regular_place(const struct client_server *s)
{
    return s->statistics.connections - s->operator_count < s->options.config->client_connections_max;
}

static void leave_operators(struct client_connection *c)
{
    struct client_server *s = c->server;
    size_t i = 0;
    if (c->place != PLACE_OPERATOR)
        return;
    while (s->operators[i] != c)
        i++;
    s->operators[i] = s->operators[--s->operator_count];
    c->place = PLACE_REGULAR;
}

bool client_connection_promote(struct client_connection *c)
{
    if (c->place == PLACE_REGULAR)
        return true;
    if (!has_regular_place(c->server))
        return false;
    leave_operators(c);
    return true;
}

/* Makes room for one more operator: the connection that has been silent for longest is closed. */
static void refuse_oldest_operator(struct client_server *s)
{
    struct client_connection *oldest = s->operators[0];
    for (size_t i = 1; i < s->operator_count; i++) {
        struct client_connection *c = s->operators[i];
        if (c->active_ms < oldest->active_ms || (c->active_ms == oldest->active_ms && c->generation < oldest->generation))
            oldest = c;
    }
    resp_error_text(&oldest->out, full);
    client_output_flush(oldest);
    client_connection_close(oldest);
}

static void enter_operators(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (s->operator_count == CLIENT_CONNECTIONS_RESERVED)
        refuse_oldest_operator(s);
    s->operators[s->operator_count++] = c;
    c->place = PLACE_OPERATOR;
}

/* ---- Opening and closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct client_connection *c = handle->data;
    struct client_server *s = c->server;
    for (; c->head != c->tail; c->head++)
        free(c->ring[c->head & (c->ring_size - 1)].early);
    free(c->ring);
    free(c->in);
    free(c->estimates);
    resp_parser_close(&c->parser);
    resp_buffer_close(&c->out);
    resp_buffer_close(&c->sent);
    free(c);
    client_server_handle_closed(s);
}

void client_connection_close(struct client_connection *c)
{
    struct client_server *s = c->server;
    if (c->state == CLIENT_CLOSED)
        return;
    c->state = CLIENT_CLOSED;
    s->has_gone |= c->in_flight > 0;
    client_turns_leave(c);
    leave_operators(c);
    s->buffered -= c->buffered;
    s->connections[c->index] = NULL;
    s->free_indices[s->free_count++] = c->index;
    s->statistics.connections--;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void client_connection_drop(struct client_connection *c, const char *why)
{
    logger_log(c->server->options.logger, LOG_WARNING, "clients", "%s: closed: %s", client_connection_address(c), why);
    client_connection_close(c);
}

struct client_connection *client_connection_find(const struct client_server *s, uint32_t index, uint32_t generation)
{
    struct client_connection *c = s->connections[index];
    return c != NULL && c->generation == generation ? c : NULL;
}

void client_connection_update(struct client_connection *c)
{
    if (c->state == CLIENT_CLOSED)
        return;
    if (c->input == INPUT_ROOM && client_turns_has_room(c))
        client_turns_wait(c, c->charge);
    client_input_update(c);
    bool over = c->state == CLIENT_FINISHING || (c->state == CLIENT_ENDED && c->input == INPUT_TAKEN);
    if (over && c->head == c->tail && c->out.len == 0 && !c->sending)
        client_connection_close(c);
}

void client_connection_finish(struct client_connection *c)
{
    if (c->state == CLIENT_CLOSED)
        return;
    c->state = CLIENT_FINISHING;
    client_turns_leave(c);
    c->input = INPUT_TAKEN;
    client_connection_update(c);
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

/* Moves early replies to the output, up to the next one that is missing. */
static void release_early(struct client_connection *c)
{
    while (c->head != c->tail && place(c, c->head)->early != NULL) {
        struct client_pending *p = place(c, c->head);
        resp_raw(&c->out, p->early, p->len);
        c->early -= p->len + CLIENT_REQUEST_OVERHEAD;
        free(p->early);
        c->head++;
    }
}

void client_connection_replied(struct client_connection *c, uint32_t position)
{
    if (position == c->head) {
        c->head++;
        release_early(c);
        return;
    }
    struct resp_buffer *early = &c->server->scratch;
    struct client_pending *p = place(c, position);
    p->early = memory_new(early->len, 1);
    p->len = early->len;
    memcpy(p->early, early->data, early->len);
    c->early += p->len + CLIENT_REQUEST_OVERHEAD;
    if (early->capacity > CLIENT_READ_SIZE)
        resp_buffer_close(early);
}

void client_connection_error(struct client_connection *c, const char *what)
{
    uint32_t position = client_connection_expect(c);
    client_print(client_connection_reply(c, position), "-%s\r\n", what);
    client_connection_replied(c, position);
    c->server->statistics.errors++;
}

/* ---- Events of many connections ---- */

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
        client_output_flush(s->dirty[i]);
        client_connection_update(s->dirty[i]);
    }
    s->dirty_count = 0;
    client_turns_go_on(s);
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
    c->estimates = memory_new(COMMAND_TABLE_MAX + 1, sizeof *c->estimates);
    bool regular = has_regular_place(s);
    take_index(s, c);
    s->handles++;
    s->statistics.connections++;
    s->statistics.connections_total++;
    if (!regular)
        enter_operators(c);
    int failed = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (failed != 0) {
        logger_log(s->options.logger, LOG_WARNING, "clients", "a connection cannot be accepted: %s", uv_strerror(failed));
        client_connection_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    client_connection_update(c);
}
