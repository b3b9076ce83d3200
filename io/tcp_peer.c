/* Connections that this node makes, one to each other node, to send on.
 *
 *   WAITING --timer, or the peer dials us--> RESOLVING --address--> CONNECTING --connected--> CONNECTED
 *      ^------------- any failure; 50 ms doubling to 1 s, and up to a quarter more ---------------'
 *
 * The extra quarter is a hash of who dials whom for the how-manieth time: nodes that lost each other at one moment do not
 * come back at one moment, and yet the same run gives the same times. */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/tcp_internal.h"

enum {
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 1000,
    CONNECT_PATIENCE_MS = 2000,
    REDIAL_AFTER_MS = 200,        /* a dial this old is begun anew when the peer shows up */
    STABLE_AFTER_MS = 1000,       /* a connection that lasted this long starts the backoff again from its minimum */
    UNACKNOWLEDGED_MAX_MS = 5000, /* sent and never acknowledged: the connection is dead */
    QUIET_ATTEMPTS = 4, /* dials before a log line says that a peer is out of reach: it may just be starting, too */
    FRAMES_A_WRITE = 32,
};

static void dial(struct peer *p);

/* ---- parcels and the queue of a connection ---- */

void parcel_release(struct parcel *parcel)
{
    if (--parcel->refs == 0)
        free(parcel);
}

/* The frame as a parcel of its own memory; the batch holds one reference, the caller gets another. */
static struct parcel *parcel_of(struct batch *b, size_t i)
{
    if (b->parcels[i] == NULL) {
        size_t body = words_for(b->frames[i].len) * sizeof(uint64_t);
        struct parcel *parcel = malloc(sizeof *parcel + FRAME_HEADER_SIZE + body);
        invariant(parcel != NULL);
        parcel->refs = 1;
        parcel->size = FRAME_HEADER_SIZE + body;
        memcpy(parcel->words, b->headers[i], FRAME_HEADER_SIZE);
        if (body > 0)
            memcpy(parcel->words + FRAME_HEADER_WORDS, b->frames[i].words.ptr, body);
        b->parcels[i] = parcel;
    }
    b->parcels[i]->refs++;
    return b->parcels[i];
}

static void queue_push(struct connection *c, struct parcel *parcel)
{
    if (c->head + c->count == c->capacity && c->head > 0) {
        memmove(c->queue, c->queue + c->head, c->count * sizeof *c->queue);
        c->head = 0;
    }
    c->queue = memory_reserve(c->queue, &c->capacity, c->head + c->count + 1, sizeof *c->queue);
    c->queue[c->head + c->count++] = parcel;
    c->bytes += parcel->size;
}

static void queue_pop(struct connection *c)
{
    struct parcel *first = c->queue[c->head];
    c->bytes -= first->size;
    c->written = 0;
    c->count--;
    c->head = c->count == 0 ? 0 : c->head + 1;
    parcel_release(first);
}

static void log_drop(struct tcp_network *n, const struct peer *p)
{
    uint64_t now = uv_now(n->loop);
    if (n->drop_logged != 0 && now - n->drop_logged < 1000)
        return;
    n->drop_logged = now;
    logger_log(n->base.options.logger, LOG_WARNING, "network",
               "the queue to node %u is full (peer_queue_bytes_max): frames are dropped, %llu so far to all nodes",
               p->config->id, (unsigned long long)n->base.statistics.dropped);
}

static void enqueue(struct peer *p, struct batch *b, size_t i)
{
    struct tcp_network *n = p->network;
    struct connection *c = p->connection;
    size_t size = FRAME_HEADER_SIZE + words_for(b->frames[i].len) * sizeof(uint64_t);
    if (c->bytes + size > n->base.options.config->peer_queue_bytes_max) {
        n->base.statistics.dropped++;
        log_drop(n, p);
        return;
    }
    queue_push(c, parcel_of(b, i));
}

/* ---- the end of a connection ---- */

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    while (c->count > 0)
        queue_pop(c);
    free(c->queue);
    struct tcp_network *n = c->network;
    free(c);
    tcp_released(n);
}

static void give_up_connection(struct peer *p)
{
    struct connection *c = p->connection;
    if (c == NULL)
        return;
    p->connection = NULL;
    c->peer = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void on_retry(uv_timer_t *timer) { dial(timer->data); }

static void retry_later(struct peer *p)
{
    struct tcp_network *n = p->network;
    uint32_t shift = p->attempt < 5 ? p->attempt : 5;
    uint64_t delay = (uint64_t)RETRY_MIN_MS << shift;
    if (delay > RETRY_MAX_MS)
        delay = RETRY_MAX_MS;
    const uint32_t who[] = {n->base.options.origin.sender, p->config->id, p->attempt};
    delay += checksum(who, sizeof who, 0) % (delay / 4);
    p->attempt++;
    p->state = PEER_WAITING;
    uv_timer_start(&p->timer, on_retry, delay, 0);
}

/* A dial or a connection came to an end that this node did not want. */
static void failed(struct peer *p, const char *why)
{
    struct tcp_network *n = p->network;
    bool connected = p->state == PEER_CONNECTED;
    if (connected && uv_now(n->loop) - p->connection->since >= STABLE_AFTER_MS)
        p->attempt = 0;
    give_up_connection(p);
    if (connected)
        logger_log(n->base.options.logger, LOG_INFO, "network", "lost the connection to node %u: %s", p->config->id, why);
    else if (p->attempt == QUIET_ATTEMPTS)
        logger_log(n->base.options.logger, LOG_WARNING, "network", "cannot reach node %u at %s port %u: %s; going on trying",
                   p->config->id, p->config->address.host, p->config->address.port, why);
    retry_later(p);
}

/* ---- writing ---- */

static void write_queue(struct connection *c);

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    for (; c->writing > 0; c->writing--)
        queue_pop(c);
    if (c->peer == NULL)
        return;
    if (status < 0)
        failed(c->peer, uv_strerror(status));
    else
        write_queue(c);
}

/* Hands the next parcels to libuv, unless it still has some. */
static void write_queue(struct connection *c)
{
    uv_buf_t buffers[FRAMES_A_WRITE];
    unsigned count = 0;
    if (c->writing > 0)
        return;
    for (; count < FRAMES_A_WRITE && count < c->count; count++) {
        struct parcel *parcel = c->queue[c->head + count];
        size_t skip = count == 0 ? c->written : 0;
        buffers[count] = uv_buf_init((char *)parcel->words + skip, (unsigned)(parcel->size - skip));
    }
    if (count == 0)
        return;
    c->writing = count;
    int error = uv_write(&c->write, (uv_stream_t *)&c->tcp, buffers, count, on_written);
    if (error != 0) {
        c->writing = 0;
        failed(c->peer, uv_strerror(error));
    }
}

/* Up to FRAMES_A_WRITE frames for this peer from `*i` on, as buffers; moves `*i` behind them. */
static unsigned gather(const struct peer *p, const struct batch *b, size_t *i, uv_buf_t *buffers, size_t *frames,
                       size_t *bytes)
{
    unsigned count = 0;
    *bytes = 0;
    for (; *i < b->count && count < FRAMES_A_WRITE; ++*i) {
        const struct packet *frame = &b->frames[*i];
        if (!node_set_has(frame->id, p->config->id) || b->headers[*i][0] == 0)
            continue;
        size_t body = words_for(frame->len) * sizeof(uint64_t);
        buffers[2 * count] = uv_buf_init((char *)b->headers[*i], FRAME_HEADER_SIZE);
        buffers[2 * count + 1] = uv_buf_init((char *)frame->words.ptr, (unsigned)body);
        frames[count++] = *i;
        *bytes += FRAME_HEADER_SIZE + body;
    }
    return count;
}

/* Queues what a write of `frames` left over after `written` bytes. The rest of a frame that has begun is never dropped. */
static void queue_rest(struct peer *p, struct batch *b, const size_t *frames, unsigned count, size_t written)
{
    for (unsigned k = 0; k < count; k++) {
        size_t size = FRAME_HEADER_SIZE + words_for(b->frames[frames[k]].len) * sizeof(uint64_t);
        if (written >= size) {
            written -= size;
        } else if (written > 0) {
            queue_push(p->connection, parcel_of(b, frames[k]));
            p->connection->written = written;
            written = 0;
        } else {
            enqueue(p, b, frames[k]);
        }
    }
}

void peer_send(struct peer *p, struct batch *b)
{
    struct network_statistics *statistics = &p->network->base.statistics;
    uv_buf_t buffers[2 * FRAMES_A_WRITE];
    size_t frames[FRAMES_A_WRITE], bytes, i = 0;
    unsigned count;
    while ((count = gather(p, b, &i, buffers, frames, &bytes)) > 0) {
        struct connection *c = p->connection;
        if (p->state != PEER_CONNECTED) {
            statistics->dropped += count;
            continue;
        }
        int written = c->count > 0 ? UV_EAGAIN : uv_try_write((uv_stream_t *)&c->tcp, buffers, 2 * count);
        if (written < 0 && written != UV_EAGAIN) {
            statistics->dropped += count;
            failed(p, uv_strerror(written));
            continue;
        }
        statistics->frames_out += count;
        statistics->bytes_out += bytes;
        if (written < 0 || (size_t)written < bytes)
            queue_rest(p, b, frames, count, written < 0 ? 0 : (size_t)written);
    }
    if (p->state == PEER_CONNECTED)
        write_queue(p->connection);
}

/* ---- dialing ---- */

/* Nothing is ever said on a connection that we made; reading only tells that it has ended. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char nowhere[64];
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(nowhere, sizeof nowhere);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *c = stream->data;
    (void)buffer;
    if (c->peer != NULL && len != 0)
        failed(c->peer, len > 0 ? "it speaks on a connection that is ours to speak on" : uv_strerror((int)len));
}

static void greet(struct peer *p)
{
    const struct packet greeting = {.id = node_set_of(p->config->id)};
    uint64_t header[1][FRAME_HEADER_WORDS];
    struct parcel *parcel = NULL;
    struct batch batch = {.frames = &greeting, .count = 1, .headers = header, .parcels = &parcel};
    frame_encode(&p->network->base.options.origin, NULL, 0, header[0]);
    peer_send(p, &batch);
    if (parcel != NULL)
        parcel_release(parcel);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct connection *c = connect->data;
    struct peer *p = c->peer;
    if (p == NULL)
        return;
    if (status < 0) {
        failed(p, uv_strerror(status));
        return;
    }
    struct tcp_network *n = p->network;
    uv_timer_stop(&p->timer);
    p->state = PEER_CONNECTED;
    c->since = uv_now(n->loop);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_os_fd_t fd;
    const unsigned patience = UNACKNOWLEDGED_MAX_MS;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    n->base.statistics.reconnects += p->was_connected;
    p->was_connected = true;
    logger_log(n->base.options.logger, LOG_INFO, "network", "connected to node %u at %s port %u", p->config->id,
               p->config->address.host, p->config->address.port);
    greet(p);
}

static void on_patience_over(uv_timer_t *timer) { failed(timer->data, "no answer"); }

static void connect_to(struct peer *p, const struct sockaddr *address)
{
    struct tcp_network *n = p->network;
    struct connection *c = memory_new(1, sizeof *c);
    c->network = n;
    c->peer = p;
    c->tcp.data = c;
    c->connect.data = c;
    c->write.data = c;
    c->since = uv_now(n->loop);
    uv_tcp_init(n->loop, &c->tcp);
    n->open++;
    p->connection = c;
    p->state = PEER_CONNECTING;
    int error = uv_tcp_connect(&c->connect, &c->tcp, address, on_connected);
    if (error != 0)
        failed(p, uv_strerror(error));
    else
        uv_timer_start(&p->timer, on_patience_over, CONNECT_PATIENCE_MS, 0);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct peer *p = resolve->data;
    struct tcp_network *n = p->network;
    if (!n->closing && status != 0)
        failed(p, uv_strerror(status));
    if (!n->closing && status == 0) {
        /* A name with several addresses: another one each time. */
        uint32_t count = 0;
        for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
            count++;
        const struct addrinfo *a = found;
        for (uint32_t skip = count > 0 ? p->attempt % count : 0; skip > 0; skip--)
            a = a->ai_next;
        if (a == NULL)
            failed(p, "the name has no address");
        else
            connect_to(p, a->ai_addr);
    }
    uv_freeaddrinfo(found);
    tcp_released(n);
}

/* Addresses are looked up again at each dial: a name may have moved. Numeric ones cost no thread. */
static void dial(struct peer *p)
{
    struct tcp_network *n = p->network;
    const struct endpoint *at = &p->config->address;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    if (uv_ip4_addr(at->host, at->port, &address.v4) == 0 || uv_ip6_addr(at->host, at->port, &address.v6) == 0) {
        connect_to(p, &address.any);
        return;
    }
    char port[8];
    snprintf(port, sizeof port, "%u", at->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    p->resolve.data = p;
    p->state = PEER_RESOLVING;
    int error = uv_getaddrinfo(n->loop, &p->resolve, on_resolved, at->host, port, &hints);
    if (error != 0)
        failed(p, uv_strerror(error));
    else
        n->open++;
}

void peer_open(struct tcp_network *n, const struct config_node *config)
{
    struct peer *p = &n->peers[config->id];
    p->network = n;
    p->config = config;
    p->timer.data = p;
    uv_timer_init(n->loop, &p->timer);
    n->open++;
    if (n->base.options.sends)
        uv_timer_start(&p->timer, on_retry, 0, 0); /* the first dial belongs to the loop's first iteration */
}

void peer_retry(struct peer *p)
{
    bool stuck = p->state == PEER_CONNECTING && uv_now(p->network->loop) - p->connection->since >= REDIAL_AFTER_MS;
    if (p->state != PEER_WAITING && !stuck)
        return;
    give_up_connection(p);
    uv_timer_stop(&p->timer);
    dial(p);
}

void peer_reborn(struct peer *p)
{
    if (p->state != PEER_CONNECTED)
        return; /* nothing has been said yet, and the greeting will be the new life's */
    give_up_connection(p);
    dial(p);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    tcp_released(p->network);
}

void peer_close(struct peer *p)
{
    give_up_connection(p);
    if (p->state == PEER_RESOLVING)
        uv_cancel((uv_req_t *)&p->resolve); /* if it cannot be cancelled, on_resolved sees that the network is closing */
    p->state = PEER_WAITING;
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
