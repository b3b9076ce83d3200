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
    LOOK_AGAIN_MS = 5,            /* after a dial of a node that is missed */
    LOOKS_MAX = 4,                /* such dials */
    PLACES_MAX = 3,               /* of a node */
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
    uv_timer_start(&d->timer, on_retry, delay, 0);
}

static void dial_later(struct dialer *d)
{
    d->state = DIALER_WAITING;
    if (d->presence == PRESENCE_MISSED && d->looks < LOOKS_MAX) {
        d->looks++;
        uv_timer_start(&d->timer, on_retry, LOOK_AGAIN_MS, 0);
    } else if (d->network->options.sends || d->presence == PRESENCE_MISSED) {
        retry_later(d);
    }
}

static bool is_heard(const struct dialer *d) { return node_set_has(d->network->heard, d->config->id); }

/* No connection is left with a node that was heard. */
static void miss(struct dialer *d)
{
    d->presence = PRESENCE_MISSED;
    d->looks = d->refusals = d->choices = 0;
    dialer_again(d);
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
    if (connected && d->presence == PRESENCE_HEARD && !is_heard(d))
        miss(d);
    else
        dial_later(d);
}

void dialer_refused(struct dialer *d)
{
    d->refused = true;
    dialer_failed(d, "the peer refuses this node");
}

/* ---- dialing ---- */

/* A dial of a node that is missed was refused. */
static void missed_refuses(struct dialer *d)
{
    if (++d->refusals < d->choices) {
        d->attempt++;
        dialer_again(d);
        return;
    }
    d->refusals = 0;
    if (d->operations->gone(d))
        d->presence = PRESENCE_UNKNOWN;
    dialer_failed(d, uv_strerror(UV_ECONNREFUSED));
}

static void not_connected(struct dialer *d, int status)
{
    if (d->presence == PRESENCE_MISSED && status == UV_ECONNREFUSED) {
        missed_refuses(d);
        return;
    }
    d->refusals = 0;
    dialer_failed(d, uv_strerror(status));
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct dialed *c = connect->data;
    struct dialer *d = c->dialer;
    if (c->given_up)
        return;
    if (status < 0) {
        not_connected(d, status);
        return;
    }
    struct network *n = d->network;
    uv_timer_stop(&d->timer);
    d->refusals = 0;
    if (!n->options.sends) {
        give_up_connection(d);
        dial_later(d);
        return;
    }
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

/* Where to dial, by turns: as hearsay has it, as the log says, and as this node's file says. A node that is not the wanted
 * one refuses, or is refused; but a member that has the place now would take the greeting for its own, and end the
 * connection that this node has to it. Returns how many there are. */
static uint32_t places_of(const struct dialer *d, const struct endpoint *places[PLACES_MAX])
{
    const struct network *n = d->network;
    const struct config_node *file = config_find(n->options.config, d->config->id);
    const struct endpoint *hearsay = network_place_by_hearsay(n, d->config->id);
    uint32_t count = 0;
    if (hearsay != NULL)
        places[count++] = hearsay;
    places[count++] = &d->config->address;
    if (n->roster.slot != 0 && file != NULL && file->address.port != 0 &&
        !roster_gives_to_another(&n->roster, &file->address, d->config->id))
        places[count++] = &file->address;
    return count;
}

/* Where to dial this time. */
static const struct endpoint *place_of(const struct dialer *d)
{
    const struct endpoint *places[PLACES_MAX];
    const uint32_t count = places_of(d, places);
    return places[d->attempt % count];
}

/* The place that is dialled now has so many addresses. As many dials in a row as there are choices try all of them. Returns
 * which address it is this time. */
static uint32_t choose(struct dialer *d, uint32_t addresses)
{
    const struct endpoint *places[PLACES_MAX];
    const uint32_t count = places_of(d, places), choices = count * addresses;
    d->choices = choices > d->choices ? choices : d->choices;
    return d->attempt / count % addresses;
}

/* One of the addresses of a name: another one each time. */
static void connect_to_one(struct dialer *d, const struct addrinfo *found)
{
    uint32_t count = 0;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
        count++;
    const struct addrinfo *a = found;
    for (uint32_t skip = count > 0 ? choose(d, count) : 0; skip > 0; skip--)
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
    if (uv_ip4_addr(at->host, at->port, &address.v4) != 0 && uv_ip6_addr(at->host, at->port, &address.v6) != 0) {
        look_up(d);
        return;
    }
    choose(d, 1);
    connect_to(d, &address.any);
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

void dialer_heard(struct dialer *d)
{
    if (d->state == DIALER_IDLE)
        return;
    bool stuck = d->state == DIALER_CONNECTING && uv_now(d->network->loop) - d->connection->since >= REDIAL_AFTER_MS;
    d->network->heard |= node_set_of(d->config->id);
    d->presence = PRESENCE_HEARD;
    if (d->network->options.sends && (d->state == DIALER_WAITING || stuck))
        dialer_again(d);
}

void dialer_unheard(struct dialer *d)
{
    if (d->state == DIALER_IDLE)
        return;
    d->network->heard &= ~node_set_of(d->config->id);
    if (d->presence == PRESENCE_HEARD && d->state != DIALER_CONNECTED && !d->network->closing)
        miss(d);
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
    d->presence = PRESENCE_UNKNOWN;
    d->network->heard &= ~node_set_of(d->config->id);
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
