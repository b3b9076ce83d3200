/* Connections that this node makes, one to each other node, to send on (io/dialer.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/tcp_internal.h"

enum { FRAMES_A_WRITE = 32 };

static struct connection *connection_of(const struct peer *p) { return (struct connection *)p->dialer.connection; }

/* ---- parcels and the queue of a connection ---- */

void parcel_release(struct parcel *parcel)
{
    if (--parcel->refs == 0)
        free(parcel);
}

/* The frame as a parcel with memory of its own. The batch has one reference, the caller gets another. */
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

static void enqueue(struct peer *p, struct batch *b, size_t i)
{
    struct network *n = p->dialer.network;
    struct connection *c = connection_of(p);
    size_t size = FRAME_HEADER_SIZE + words_for(b->frames[i].len) * sizeof(uint64_t);
    if (c->bytes + size > n->options.config->peer_queue_bytes_max) {
        network_queue_full(n, p->dialer.config->id);
        return;
    }
    queue_push(c, parcel_of(b, i));
}

/* ---- writing ---- */

static void write_queue(struct connection *c);

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    for (; c->writing > 0; c->writing--)
        queue_pop(c);
    if (c->dialed.given_up)
        return;
    if (status < 0)
        dialer_failed(c->dialed.dialer, uv_strerror(status));
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
    int error = uv_write(&c->write, (uv_stream_t *)&c->dialed.tcp, buffers, count, on_written);
    if (error != 0) {
        c->writing = 0;
        dialer_failed(c->dialed.dialer, uv_strerror(error));
    }
}

/* Up to FRAMES_A_WRITE frames for this peer from `*i` on, as buffers; moves `*i` after them. */
static unsigned gather(const struct peer *p, const struct batch *b, size_t *i, uv_buf_t *buffers, size_t *frames,
                       size_t *bytes)
{
    unsigned count = 0;
    *bytes = 0;
    for (; *i < b->count && count < FRAMES_A_WRITE; ++*i) {
        const struct packet *frame = &b->frames[*i];
        if (!node_set_has(frame->id, p->dialer.config->id) || b->headers[*i][0] == 0)
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
            queue_push(connection_of(p), parcel_of(b, frames[k]));
            connection_of(p)->written = written;
            written = 0;
        } else {
            enqueue(p, b, frames[k]);
        }
    }
}

void peer_send(struct peer *p, struct batch *b)
{
    struct network_statistics *statistics = &p->dialer.network->statistics;
    uv_buf_t buffers[2 * FRAMES_A_WRITE];
    size_t frames[FRAMES_A_WRITE], bytes, i = 0;
    unsigned count;
    while ((count = gather(p, b, &i, buffers, frames, &bytes)) > 0) {
        struct connection *c = connection_of(p);
        if (p->dialer.state != DIALER_CONNECTED) {
            statistics->dropped += count;
            continue;
        }
        int written = c->count > 0 ? UV_EAGAIN : uv_try_write((uv_stream_t *)&c->dialed.tcp, buffers, 2 * count);
        if (written < 0 && written != UV_EAGAIN) {
            statistics->dropped += count;
            dialer_failed(&p->dialer, uv_strerror(written));
            continue;
        }
        statistics->frames_out += count;
        statistics->bytes_out += bytes;
        if (written < 0 || (size_t)written < bytes)
            queue_rest(p, b, frames, count, written < 0 ? 0 : (size_t)written);
    }
    if (p->dialer.state == DIALER_CONNECTED)
        write_queue(connection_of(p));
}

/* ---- dialing ---- */

static struct dialed *make_connection(void) { return memory_new(1, sizeof(struct connection)); }

static void release_connection(struct dialed *dialed)
{
    struct connection *c = (struct connection *)dialed;
    while (c->count > 0)
        queue_pop(c);
    free(c->queue);
    free(c);
}

/* On a connection that we made, the other side says only why it refuses us. Reading also tells when the connection has
 * ended. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *c = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)c->said + c->said_len, (unsigned)(sizeof c->said - c->said_len));
}

/* Reads what the other side says, once it is complete. False: it is not something that it may say. */
static bool hear_refusal(struct connection *c)
{
    struct dialer *d = c->dialed.dialer;
    const uint64_t *body = c->said + FRAME_HEADER_WORDS;
    struct frame_header header;
    char why[NETWORK_WHY_SIZE];
    if (c->said_len < FRAME_HEADER_SIZE)
        return true;
    if (frame_parse(c->said, d->network->options.origin.cluster, REFUSAL_WORDS * sizeof *body, &header) != FRAME_OK ||
        header.origin.sender != d->config->id || header.len < sizeof *body)
        return false;
    if (c->said_len < FRAME_HEADER_SIZE + words_for(header.len) * sizeof *body)
        return true;
    if (frame_check_body(&header, body) != FRAME_OK || body[0] == REFUSAL_NONE || body[0] >= REFUSALS)
        return false;
    network_clean_text(why, sizeof why, (const char *)(body + 1), header.len - sizeof *body);
    network_refused_by(d->network, d->config->id, (enum network_refusal)body[0], why);
    dialer_refused(d);
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *c = stream->data;
    (void)buffer;
    if (c->dialed.given_up || len == 0)
        return;
    if (len < 0) {
        dialer_failed(c->dialed.dialer, uv_strerror((int)len));
        return;
    }
    c->said_len += (size_t)len;
    if (!hear_refusal(c))
        dialer_failed(c->dialed.dialer, "it speaks on a connection that is ours to speak on");
}

static void greet(struct dialer *d)
{
    const struct packet greeting = network_greeting(d->network, d->config->id);
    const struct tcp_network *n = (const struct tcp_network *)d->network;
    uint64_t header[1][FRAME_HEADER_WORDS];
    struct parcel *parcel = NULL;
    struct batch batch = {.frames = &greeting, .count = 1, .headers = header, .parcels = &parcel};
    if (n->reached != NULL)
        n->reached((struct peer *)d);
    connection_of((struct peer *)d)->write.data = d->connection;
    uv_read_start((uv_stream_t *)&d->connection->tcp, on_alloc, on_read);
    frame_encode(&d->network->options.origin, greeting.words.ptr, greeting.len, header[0]);
    peer_send((struct peer *)d, &batch);
    if (parcel != NULL)
        parcel_release(parcel);
}

static bool gone(struct dialer *d) { return network_gone(d->network, &((struct peer *)d)->admitted); }

void peer_open(struct tcp_network *n, const struct config_node *config)
{
    static const struct dialer_operations operations = {make_connection, greet, gone, release_connection};
    dialer_open(&n->peers[config->id].dialer, &operations, &n->base, config);
}

void peer_leave(struct peer *p)
{
    dialer_idle(&p->dialer);
    if (p->link != NULL)
        link_close(&p->link->link);
    p->admitted = (struct frame_origin){0};
}

void peer_reborn(struct peer *p)
{
    /* A connection that is not there yet has sent nothing: its greeting will be the new life's. */
    if (p->dialer.state == DIALER_CONNECTED)
        dialer_again(&p->dialer);
}
