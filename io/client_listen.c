/* Listening, and accepting connections. Those beyond client_connections_max are for operators (client_server.h). */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "io/client_internal.h"

enum { BACKLOG = 1024, ACCEPT_LOG_MS = 1000, KEEPALIVE_S = 60 };

/* ---- Accepting ---- */

/* Makes room for one more operator: the connection that has been silent for longest is closed. */
static void refuse_oldest_operator(struct client_server *s)
{
    struct client_connection *oldest = s->operators[0];
    for (size_t i = 1; i < s->operator_count; i++) {
        struct client_connection *c = s->operators[i];
        if (c->active_ms < oldest->active_ms ||
            (c->active_ms == oldest->active_ms && slots_number(c->token) < slots_number(oldest->token)))
            oldest = c;
    }
    resp_error_text(&oldest->out, CLIENT_FULL);
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

/* Takes over a connection that waits at `listener`. */
static void accept_one(struct client_server *s, uv_stream_t *listener)
{
    const bool regular = client_connection_has_place(s);
    struct client_connection *c = client_connection_new(s);
    if (c == NULL)
        return;
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
    client_input_update(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct client_server *s = listener->data;
    uint64_t now = uv_now(s->loop);
    if (status == 0 && !s->closing) {
        accept_one(s, listener);
    } else if (status != 0 && (s->logged_ms == 0 || now - s->logged_ms >= ACCEPT_LOG_MS)) {
        s->logged_ms = now;
        logger_log(s->options.logger, LOG_WARNING, "clients", "connections cannot be accepted: %s", uv_strerror(status));
    }
}

/* ---- Listening ---- */

/* Where the system chose a port, further addresses of the same name take the same one. */
static int listen_on(struct client_server *s, struct sockaddr *address)
{
    uint16_t *port = address->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                                    : &((struct sockaddr_in *)address)->sin_port;
    *port = htons(s->port);
    uv_tcp_t *listener = &s->listeners[s->listener_count];
    int failed = uv_tcp_init(s->loop, listener);
    if (failed != 0)
        return failed;
    listener->data = s;
    s->listener_count++;
    s->handles++;
    failed = uv_tcp_bind(listener, address, address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    if (failed == 0)
        failed = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
    struct sockaddr_storage bound;
    int len = sizeof bound;
    if (failed == 0)
        failed = uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &len);
    if (failed == 0)
        s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                    : ((struct sockaddr_in *)&bound)->sin_port);
    return failed;
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

/* True when the lookup gave this address before: some systems give 127.0.0.1 twice for localhost. */
static bool listed_before(const struct addrinfo *list, const struct addrinfo *a)
{
    for (; list != a; list = list->ai_next)
        if (same_host(list->ai_addr, a->ai_addr))
            return true;
    return false;
}

bool client_listen(struct client_server *s, const struct endpoint *at, struct problem *problem)
{
    char place[512];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t lookup;
    config_place(s->options.config, s->options.node, at, place, sizeof place);
    int failed = uv_getaddrinfo(s->loop, &lookup, NULL, at->host, NULL, &hints);
    if (failed != 0)
        return problem_set(problem, EXIT_BAD_INPUT, "%s: client address %s cannot be resolved: %s", place, at->host,
                           uv_strerror(failed));
    size_t listening = 0;
    int error = UV_EADDRNOTAVAIL;
    for (struct addrinfo *a = lookup.addrinfo; a != NULL && s->listener_count < CLIENT_LISTENERS_MAX; a = a->ai_next) {
        if (listed_before(lookup.addrinfo, a))
            continue;
        failed = listen_on(s, a->ai_addr);
        listening += failed == 0 ? 1 : 0;
        error = failed != 0 ? failed : error;
        if (failed == UV_EADDRINUSE)
            break;
    }
    uv_freeaddrinfo(lookup.addrinfo);
    if (listening > 0 && failed != UV_EADDRINUSE)
        return true;
    return problem_set(problem, EXIT_BAD_INPUT, "%s: cannot listen for clients on %s port %u: %s", place, at->host, at->port,
                       error == UV_EADDRINUSE ? "the port is in use" : uv_strerror(error));
}
