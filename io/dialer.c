#include "io/dialer.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/base/checksum.h"

enum {
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 1000,
    CONNECT_PATIENCE_MS = 2000,
    REDIAL_AFTER_MS = 200,        /* when the peer shows up, a dial older than this is begun again */
    STABLE_AFTER_MS = 1000,       /* after a connection that lasted so long, the backoff starts again at its minimum */
    UNACKNOWLEDGED_MAX_MS = 5000, /* unacknowledged for so long: the connection is dead */
    QUIET_ATTEMPTS = 4,           /* dials before the log says that a peer is out of reach: it may just be starting */
};

static void dial(struct dialer *d);

/* ---- the end of a connection ---- */

static void on_connection_closed(uv_handle_t *handle)
{
    struct dialed *c = handle->data;
    struct dialer *d = c->dialer;
    d->operations->release(c);
    network_released(d->network);
}

static void give_up_connection(struct dialer *d)
{
    struct dialed *c = d->connection;
    if (c == NULL)
        return;
    d->connection = NULL;
    c->given_up = true;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void on_retry(uv_timer_t *timer) { dial(timer->data); }

static void retry_later(struct dialer *d)
{
    uint32_t shift = d->attempt < 5 ? d->attempt : 5;
    uint64_t delay = (uint64_t)RETRY_MIN_MS << shift;
    if (delay > RETRY_MAX_MS)
        delay = RETRY_MAX_MS;
    const uint32_t who[] = {d->network->options.origin.sender, d->config->id, d->attempt};
    delay += checksum(who, sizeof who, 0) % (delay / 4);
    d->attempt++;
    d->state = DIALER_WAITING;
    uv_timer_start(&d->timer, on_retry, delay, 0);
}

void dialer_failed(struct dialer *d, const char *why)
{
    struct logger *logger = d->network->options.logger;
    const struct config_node *peer = d->config;
    bool connected = d->state == DIALER_CONNECTED;
    if (connected && uv_now(d->network->loop) - d->connection->since >= STABLE_AFTER_MS) {
        d->attempt = 0;
        d->refused = false;
    }
    give_up_connection(d);
    if (connected)
        logger_log(logger, d->refused ? LOG_DEBUG : LOG_INFO, "network", "lost the connection to node %u: %s", peer->id,
                   why);
    else if (d->attempt == QUIET_ATTEMPTS)
        logger_log(logger, LOG_WARNING, "network", "cannot reach node %u at %s port %u: %s; going on trying", peer->id,
                   peer->address.host, peer->address.port, why);
    retry_later(d);
}

void dialer_refused(struct dialer *d)
{
    d->refused = true;
    dialer_failed(d, "the peer refuses this node");
}

/* ---- dialing ---- */

static void on_connected(uv_connect_t *connect, int status)
{
    struct dialed *c = connect->data;
    struct dialer *d = c->dialer;
    if (c->given_up)
        return;
    if (status < 0) {
        dialer_failed(d, uv_strerror(status));
        return;
    }
    struct network *n = d->network;
    uv_timer_stop(&d->timer);
    d->state = DIALER_CONNECTED;
    c->since = uv_now(n->loop);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_os_fd_t fd;
    const unsigned patience = UNACKNOWLEDGED_MAX_MS;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    n->statistics.reconnects += d->was_connected;
    d->was_connected = true;
    logger_log(n->options.logger, d->refused ? LOG_DEBUG : LOG_INFO, "network", "connected to node %u at %s port %u",
               d->config->id, d->config->address.host, d->config->address.port);
    d->operations->connected(d);
}

static void on_patience_over(uv_timer_t *timer) { dialer_failed(timer->data, "no answer"); }

static void connect_to(struct dialer *d, const struct sockaddr *address)
{
    struct network *n = d->network;
    struct dialed *c = d->operations->make();
    c->dialer = d;
    c->tcp.data = c;
    c->connect.data = c;
    c->since = uv_now(n->loop);
    uv_tcp_init(n->loop, &c->tcp);
    n->open++;
    d->connection = c;
    d->state = DIALER_CONNECTING;
    int error = uv_tcp_connect(&c->connect, &c->tcp, address, on_connected);
    if (error != 0)
        dialer_failed(d, uv_strerror(error));
    else
        uv_timer_start(&d->timer, on_patience_over, CONNECT_PATIENCE_MS, 0);
}

/* Where to dial this time: by turns as hearsay has it, as the log says, and as this node's file says. A node that is not the
 * wanted one refuses, or is refused; but a member that has the place now would take the greeting for its own, and end the
 * connection that this node has to it. */
static const struct endpoint *place_of(const struct dialer *d)
{
    const struct network *n = d->network;
    const struct config_node *file = config_find(n->options.config, d->config->id);
    const struct endpoint *places[3], *hearsay = network_place_by_hearsay(n, d->config->id);
    uint32_t count = 0;
    if (hearsay != NULL)
        places[count++] = hearsay;
    places[count++] = &d->config->address;
    if (n->roster.slot != 0 && file != NULL && file->address.port != 0 &&
        !roster_gives_to_another(&n->roster, &file->address, d->config->id))
        places[count++] = &file->address;
    return places[d->attempt % count];
}

/* One of the addresses of a name: another one each time. */
static void connect_to_one(struct dialer *d, const struct addrinfo *found)
{
    uint32_t count = 0;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
        count++;
    const struct addrinfo *a = found;
    for (uint32_t skip = count > 0 ? (d->attempt + d->attempt / 2) % count : 0; skip > 0; skip--)
        a = a->ai_next;
    if (a == NULL)
        dialer_failed(d, "the name has no address");
    else
        connect_to(d, a->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct dialer *d = resolve->data;
    struct network *n = d->network;
    const bool stale = d->lookup == LOOKUP_IS_STALE, wanted = d->state == DIALER_RESOLVING && !n->closing;
    d->lookup = LOOKUP_NONE;
    if (wanted && stale)
        dial(d);
    else if (wanted && status != 0)
        dialer_failed(d, uv_strerror(status));
    else if (wanted)
        connect_to_one(d, found);
    uv_freeaddrinfo(found);
    network_released(n);
}

/* Looks a name up. One that is still being looked up for an earlier place of the node ends first. */
static void look_up(struct dialer *d)
{
    struct network *n = d->network;
    const struct endpoint *at = place_of(d);
    char port[8];
    d->state = DIALER_RESOLVING;
    if (d->lookup != LOOKUP_NONE)
        return;
    snprintf(port, sizeof port, "%u", at->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    d->resolve.data = d;
    int error = uv_getaddrinfo(n->loop, &d->resolve, on_resolved, at->host, port, &hints);
    if (error != 0) {
        dialer_failed(d, uv_strerror(error));
        return;
    }
    d->lookup = LOOKUP_RUNS;
    n->open++;
}

/* Looks addresses up again at each dial, because a name may have moved. Numeric ones cost no thread. */
static void dial(struct dialer *d)
{
    const struct endpoint *at = place_of(d);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    if (uv_ip4_addr(at->host, at->port, &address.v4) == 0 || uv_ip6_addr(at->host, at->port, &address.v6) == 0)
        connect_to(d, &address.any);
    else
        look_up(d);
}

void dialer_open(struct dialer *d, const struct dialer_operations *operations, struct network *network,
                 const struct config_node *config)
{
    d->config = config;
    if (!dialer_is_open(d)) {
        d->operations = operations;
        d->network = network;
        d->timer.data = d;
        uv_timer_init(network->loop, &d->timer);
        network->open++;
    }
    d->state = DIALER_WAITING;
    if (network->options.sends)
        uv_timer_start(&d->timer, on_retry, 0, 0); /* the first dial is made in the loop's next iteration */
}

void dialer_retry(struct dialer *d)
{
    bool stuck = d->state == DIALER_CONNECTING && uv_now(d->network->loop) - d->connection->since >= REDIAL_AFTER_MS;
    if (d->state == DIALER_WAITING || stuck)
        dialer_again(d);
}

void dialer_again(struct dialer *d)
{
    give_up_connection(d);
    uv_timer_stop(&d->timer);
    dial(d);
}

void dialer_idle(struct dialer *d)
{
    give_up_connection(d);
    uv_timer_stop(&d->timer);
    if (d->lookup != LOOKUP_NONE) {
        d->lookup = LOOKUP_IS_STALE;
        uv_cancel((uv_req_t *)&d->resolve); /* if it cannot be cancelled, on_resolved sees what it is */
    }
    d->state = DIALER_IDLE;
    d->attempt = 0;
    d->was_connected = d->refused = false;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dialer *d = handle->data;
    network_released(d->network);
}

void dialer_close(struct dialer *d)
{
    dialer_idle(d);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}
