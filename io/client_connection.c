/* One client connection: its life, its place, its addresses. */
#include <stdio.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

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

bool client_connection_has_place(const struct client_server *s)
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
    if (!client_connection_has_place(c->server))
        return false;
    leave_operators(c);
    return true;
}

/* ---- Opening and closing ---- */

struct client_connection *client_connection_new(struct client_server *s)
{
    struct client_connection *c = memory_new(1, sizeof *c);
    if (uv_tcp_init(s->loop, &c->tcp) != 0) {
        free(c);
        return NULL;
    }
    c->tcp.data = c;
    c->server = s;
    c->version = 2;
    c->opened_ms = c->active_ms = uv_now(s->loop);
    c->estimates = memory_new(COMMAND_TABLE_MAX + 1, sizeof *c->estimates);
    c->token = slots_put(&s->connections, c);
    s->handles++;
    s->statistics.connections++;
    s->statistics.connections_total++;
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct client_connection *c = handle->data;
    struct client_server *s = c->server;
    invariant(!c->dirty); /* the server has no other hold on it */
    client_replies_close(c);
    client_transactions_end(c);
    client_batches_end_own(c);
    free(c->in);
    free(c->estimates);
    resp_parser_close(&c->parser);
    free(c);
    s->upcalls->handle_closed(s);
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
    client_channels_remove_all(&s->channels, &c->subscriptions);
    s->upcalls->goes(c);
    client_replies_leave(c);
    s->buffered -= c->buffered;
    slots_take(&s->connections, c->token);
    s->statistics.connections--;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void client_connection_drop(struct client_connection *c, const char *why)
{
    logger_log(c->server->options.logger, LOG_WARNING, "clients", "%s: closed: %s", client_connection_address(c), why);
    client_connection_close(c);
}

void client_connection_finish(struct client_connection *c)
{
    if (c->state == CLIENT_CLOSED)
        return;
    c->state = CLIENT_FINISHING;
    client_turns_leave(c);
    c->input = INPUT_TAKEN;
}
