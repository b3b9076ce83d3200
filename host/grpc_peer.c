/* Connections that this node makes, one to each other node (io/dialer.h), each with one call of Deliver, which goes on as
 * long as the connection. A frame waits in the connection's queue until HTTP/2's windows let it go. If they do at once, it
 * is written from the caller's memory; otherwise it is copied, once for all peers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

enum { UNANSWERED_MAX_MS = 10000 /* if a ping was not answered for so long, the peer is gone */ };

/* A message that waits, in two parts: in a parcel, or in what the caller of network_send has. */
struct queued {
    const uint8_t *parts[2];
    size_t lens[2];
    struct grpc_parcel *parcel; /* NULL: the caller has it; batch->frames[index] */
    size_t index;
};

struct connection {
    struct grpc_session session; /* first, for callbacks */
    struct dialed dialed;
    int32_t stream;
    struct queued *queue;
    size_t head, count, capacity; /* the queue is queue[head .. head + count) */
    size_t given;                 /* how many of the first are with the session, all of them */
    size_t taken;                 /* how many bytes of the next one are */
    uint64_t bytes;               /* of the queue, without what is with the session */
    uint64_t pinged;              /* uv_now of a ping that is not answered yet; 0: none */
    bool over;                    /* the call has ended, or will never get anywhere */
    unsigned http_status, status; /* what the answer said */
    char message[NETWORK_WHY_SIZE];
};

static struct connection *connection_of(const struct dialed *dialed)
{
    return (struct connection *)((char *)dialed - offsetof(struct connection, dialed));
}
static struct connection *connection_to(const struct grpc_peer *p) { return connection_of(p->dialer.connection); }
static uv_stream_t *stream_of(struct connection *c) { return (uv_stream_t *)&c->dialed.tcp; }

/* ---- parcels and the queue ---- */

void grpc_parcel_release(struct grpc_parcel *parcel)
{
    if (--parcel->refs == 0)
        free(parcel);
}

/* The message as a parcel of its own memory; the batch holds one reference, the caller gets another. */
static struct grpc_parcel *parcel_of(struct grpc_batch *b, size_t i)
{
    if (b->parcels[i] == NULL) {
        const struct grpc_head *head = &b->heads[i];
        struct grpc_parcel *parcel = malloc(sizeof *parcel + head->len + b->frames[i].len);
        invariant(parcel != NULL);
        parcel->refs = 1;
        memcpy(parcel->bytes, head->bytes, head->len);
        if (b->frames[i].len > 0)
            memcpy(parcel->bytes + head->len, b->frames[i].words.ptr, b->frames[i].len);
        b->parcels[i] = parcel;
    }
    b->parcels[i]->refs++;
    return b->parcels[i];
}

static size_t size_of(const struct queued *m) { return m->lens[0] + m->lens[1]; }

static void queue_push(struct connection *c, const struct queued *m)
{
    if (c->head + c->count == c->capacity && c->head > 0) {
        memmove(c->queue, c->queue + c->head, c->count * sizeof *c->queue);
        c->head = 0;
    }
    c->queue = memory_reserve(c->queue, &c->capacity, c->head + c->count + 1, sizeof *c->queue);
    c->queue[c->head + c->count++] = *m;
    c->bytes += size_of(m);
}

static void queue_pop(struct connection *c)
{
    struct queued *first = &c->queue[c->head];
    c->count--;
    c->head = c->count == 0 ? 0 : c->head + 1;
    if (first->parcel != NULL)
        grpc_parcel_release(first->parcel);
}

/* What the session had is written, or copied. */
static void release_given(struct grpc_session *s)
{
    struct connection *c = (struct connection *)s;
    for (; c->given > 0; c->given--)
        queue_pop(c);
}

/* The caller of network_send takes its memory back. */
static void own_queue(struct connection *c, struct grpc_batch *b)
{
    for (size_t i = c->count; i > 0; i--) {
        struct queued *m = &c->queue[c->head + i - 1];
        if (m->parcel != NULL)
            return; /* and so have all before it */
        m->parcel = parcel_of(b, m->index);
        m->parts[0] = m->parcel->bytes;
        m->parts[1] = m->parcel->bytes + m->lens[0];
    }
}

/* ---- data for the session ---- */

/* How much there is for one frame of HTTP/2. */
static ssize_t on_data_wanted(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t size, uint32_t *flags,
                              nghttp2_data_source *source, void *context)
{
    struct connection *c = context;
    size_t there = 0;
    (void)h2;
    (void)stream;
    (void)out;
    (void)source;
    for (size_t i = c->given; i < c->count && i < c->given + GRPC_FRAMES_A_DATA && there < size; i++)
        there += size_of(&c->queue[c->head + i]) - (i == c->given ? c->taken : 0);
    if (there == 0)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)(there < size ? there : size);
}

static int on_data_given(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t len,
                         nghttp2_data_source *source, void *context)
{
    struct connection *c = context;
    (void)h2;
    (void)frame;
    (void)source;
    if (grpc_session_is_full(&c->session))
        return NGHTTP2_ERR_WOULDBLOCK;
    enum { DATA_HEAD_SIZE = 9 };
    grpc_session_add(&c->session, head, DATA_HEAD_SIZE);
    c->bytes -= len;
    while (len > 0) {
        const struct queued *m = &c->queue[c->head + c->given];
        size_t part = c->taken >= m->lens[0], skip = part ? c->taken - m->lens[0] : c->taken;
        size_t size = m->lens[part] - skip < len ? m->lens[part] - skip : len;
        grpc_session_add_elsewhere(&c->session, m->parts[part] + skip, size);
        len -= size;
        c->taken += size;
        if (c->taken == size_of(m)) {
            c->given++;
            c->taken = 0;
        }
    }
    return 0;
}

/* ---- the connection ---- */

static void explain(const struct connection *c, char *out, size_t size)
{
    if (c->http_status != 0 && c->http_status != 200)
        snprintf(out, size, "HTTP status %u", c->http_status);
    else if (c->status != GRPC_OK || c->message[0] != '\0')
        snprintf(out, size, "%s: %s", grpc_status_name(c->status), c->message);
    else if (c->session.trouble[0] != '\0')
        snprintf(out, size, "%s", c->session.trouble);
    else
        snprintf(out, size, "the call has ended");
}

static void pump(struct connection *c)
{
    const char *why;
    char text[NETWORK_WHY_SIZE + 40];
    if (c->dialed.given_up)
        return;
    if (!grpc_session_pump(&c->session, stream_of(c), release_given, &why)) {
        dialer_failed(c->dialed.dialer, why);
    } else if (c->over && grpc_refusal_of(c->status) != REFUSAL_NONE) {
        network_clean_text(text, sizeof text, c->message, strlen(c->message));
        network_refused_by(c->dialed.dialer->network, c->dialed.dialer->config->id, grpc_refusal_of(c->status), text);
        dialer_refused(c->dialed.dialer);
    } else if (c->over ||
               (nghttp2_session_want_read(c->session.h2) == 0 && nghttp2_session_want_write(c->session.h2) == 0)) {
        explain(c, text, sizeof text);
        dialer_failed(c->dialed.dialer, text);
    }
}

static void on_written(struct grpc_session *s, int status)
{
    struct connection *c = (struct connection *)s;
    if (c->dialed.given_up)
        return;
    if (status < 0)
        dialer_failed(c->dialed.dialer, uv_strerror(status));
    else
        pump(c);
}

void grpc_peer_send(struct grpc_peer *p, struct grpc_batch *b)
{
    struct network *n = p->dialer.network;
    const bool connected = p->dialer.state == DIALER_CONNECTED;
    struct connection *c = connected ? connection_to(p) : NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct packet *frame = &b->frames[i];
        if (b->heads[i].len == 0 || !node_set_has(frame->id, p->dialer.config->id))
            continue;
        const struct queued m = {
            {b->heads[i].bytes, (const uint8_t *)frame->words.ptr}, {b->heads[i].len, frame->len}, NULL, i};
        if (!connected) {
            n->statistics.dropped++;
        } else if (c->bytes > 0 && c->bytes + size_of(&m) > n->options.config->peer_queue_bytes_max) {
            network_queue_full(n, p->dialer.config->id);
        } else {
            queue_push(c, &m);
            n->statistics.frames_out++;
            n->statistics.bytes_out += size_of(&m);
        }
    }
    if (!connected)
        return;
    nghttp2_session_resume_data(c->session.h2, c->stream);
    pump(c);
    own_queue(c, b); /* also of a connection that has just been given up: it is still there */
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t len, uint8_t flags, void *context)
{
    struct connection *c = context;
    char text[sizeof c->message];
    (void)h2;
    (void)flags;
    (void)name_len;
    if (frame->hd.stream_id != c->stream)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)len, (const char *)value);
    if (strcmp((const char *)name, ":status") == 0)
        c->http_status = (unsigned)strtoul(text, NULL, 10);
    else if (strcmp((const char *)name, "grpc-status") == 0)
        c->status = (unsigned)strtoul(text, NULL, 10);
    else if (strcmp((const char *)name, "grpc-message") == 0)
        memcpy(c->message, text, sizeof text);
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct connection *c = context;
    (void)h2;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        c->pinged = 0;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        snprintf(c->session.trouble, sizeof c->session.trouble, "it says goodbye (%s)",
                 nghttp2_http2_strerror(frame->goaway.error_code));
        c->over = true; /* what it has not taken by now is lost */
    }
    if (frame->hd.stream_id == c->stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        c->over |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *context)
{
    struct connection *c = context;
    (void)h2;
    if (stream != c->stream)
        return 0;
    c->over = true;
    if (code != NGHTTP2_NO_ERROR && c->session.trouble[0] == '\0')
        snprintf(c->session.trouble, sizeof c->session.trouble, "the call was reset (%s)", nghttp2_http2_strerror(code));
    return 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct dialed *dialed = handle->data;
    (void)suggested;
    *buffer = uv_buf_init((char *)((struct grpc_network *)dialed->dialer->network)->buffer, GRPC_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct dialed *dialed = stream->data;
    struct connection *c = connection_of(dialed);
    if (dialed->given_up)
        return;
    ssize_t taken = len < 0 ? len : nghttp2_session_mem_recv(c->session.h2, (const uint8_t *)buffer->base, (size_t)len);
    if (len < 0)
        dialer_failed(dialed->dialer, uv_strerror((int)len));
    else if (taken < 0)
        dialer_failed(dialed->dialer, nghttp2_strerror((int)taken));
    else
        pump(c);
}

/* ---- dialing ---- */

static struct dialed *make_connection(void)
{
    struct connection *c = memory_new(1, sizeof *c);
    return &c->dialed;
}

static void release_connection(struct dialed *dialed)
{
    struct connection *c = connection_of(dialed);
    while (c->count > 0)
        queue_pop(c);
    free(c->queue);
    grpc_session_close(&c->session);
    free(c);
}

static nghttp2_session *new_session(struct connection *c)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *h2;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_SIZE}};
    invariant(nghttp2_session_callbacks_new(&callbacks) == 0);
    grpc_session_callbacks(callbacks);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_data_given);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    invariant(nghttp2_session_client_new(&h2, callbacks, c) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    return h2;
}

/* The call of Deliver, and who calls: the greeting. */
static void begin(struct dialer *d)
{
    struct connection *c = connection_of(d->connection);
    const struct endpoint *at = &d->config->address;
    char authority[300];
    snprintf(authority, sizeof authority, strchr(at->host, ':') != NULL ? "[%s]:%u" : "%s:%u", at->host, at->port);
    const nghttp2_nv headers[] = {
        grpc_header(":method", "POST"),
        grpc_header(":scheme", "http"),
        grpc_header(":path", "/synod.v1.Node/Deliver"),
        grpc_header(":authority", authority),
        grpc_header("te", "trailers"),
        grpc_header("content-type", "application/grpc"),
        grpc_header("user-agent", "synod"),
    };
    const nghttp2_data_provider provider = {.source = {.ptr = c}, .read_callback = on_data_wanted};
    const struct packet greeting = network_greeting(d->network, d->config->id);
    struct grpc_head head;
    struct grpc_parcel *parcel = NULL;
    struct grpc_batch batch = {.frames = &greeting, .count = 1, .heads = &head, .parcels = &parcel};
    c->session.on_written = on_written;
    c->session.h2 = new_session(c);
    c->stream = nghttp2_submit_request(c->session.h2, NULL, headers, sizeof headers / sizeof *headers, &provider, NULL);
    invariant(c->stream > 0);
    uv_read_start(stream_of(c), on_alloc, on_read);
    grpc_frame_encode(&d->network->options.origin, greeting.words.ptr, greeting.len, &head);
    grpc_peer_send((struct grpc_peer *)d, &batch);
    if (parcel != NULL)
        grpc_parcel_release(parcel);
}

static bool gone(struct dialer *d) { return network_gone(d->network, &((struct grpc_peer *)d)->admitted); }

void grpc_peer_open(struct grpc_network *n, const struct config_node *config)
{
    static const struct dialer_operations operations = {make_connection, begin, gone, release_connection};
    dialer_open(&n->peers[config->id].dialer, &operations, &n->base, config);
}

void grpc_peer_ping(struct grpc_peer *p)
{
    if (p->dialer.state != DIALER_CONNECTED)
        return;
    struct connection *c = connection_to(p);
    uint64_t now = uv_now(p->dialer.network->loop);
    if (c->pinged != 0 && now - c->pinged >= UNANSWERED_MAX_MS) {
        dialer_failed(&p->dialer, "no answer to a ping");
    } else if (c->pinged == 0) {
        c->pinged = now;
        nghttp2_submit_ping(c->session.h2, NGHTTP2_FLAG_NONE, NULL);
        pump(c);
    }
}

static void say_goodbye(struct grpc_peer *p)
{
    if (p->dialer.state == DIALER_CONNECTED)
        grpc_session_goodbye(&connection_to(p)->session, stream_of(connection_to(p)));
}

void grpc_peer_reborn(struct grpc_peer *p)
{
    if (p->dialer.state != DIALER_CONNECTED)
        return; /* nothing has been said yet, and the greeting will be the new life's */
    say_goodbye(p);
    dialer_again(&p->dialer);
}

void grpc_peer_leave(struct grpc_peer *p)
{
    struct grpc_call *call = p->call;
    say_goodbye(p);
    dialer_idle(&p->dialer);
    p->call = NULL;
    p->admitted = (struct frame_origin){0};
    if (call != NULL)
        grpc_call_end(call, "the node does not belong to the cluster any more, or its disk was replaced");
}

void grpc_peer_close(struct grpc_peer *p)
{
    say_goodbye(p);
    dialer_close(&p->dialer);
}
