/* What a peer can say to the gRPC server on one connection: any bytes, any frames of HTTP/2, calls of any method, messages
 * that are sound, damaged or none at all. In one piece and byte by byte it is the same frames that are taken and the same
 * refusals, unless the connection is given up; and it stays sound if it answers in between. The input is a list of things
 * to say. */
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "host/grpc_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, NODES = 3, SAID_MAX = 64 << 10, STREAMS_MAX = 40 };

struct world {
    struct grpc_network network;
    struct config config;
    struct config_node nodes[NODES];
    struct grpc_service service;
};

struct input {
    const uint8_t *data;
    size_t size, at;
};

/* What is to be said, and which streams there are. */
struct said {
    uint8_t *bytes;
    size_t len;
    uint32_t streams, current;
};

struct result {
    uint64_t hash; /* of what was taken */
    struct network_statistics statistics;
    bool closed; /* the connection was given up */
};

static uint8_t next(struct input *in) { return in->at < in->size ? in->data[in->at++] : 0; }

/* ---- what is said ---- */

static void add(struct said *s, const void *bytes, size_t len)
{
    if (len == 0 || len > SAID_MAX - s->len)
        return;
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
}

static void add_frame(struct said *s, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
    const uint8_t head[] = {(uint8_t)(len >> 16),   (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0,
                            (uint8_t)(stream >> 8), (uint8_t)stream};
    if (sizeof head + len > SAID_MAX - s->len)
        return;
    add(s, head, sizeof head);
    add(s, payload, len);
}

/* A header, spelled out. */
static size_t spell(uint8_t *out, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    out[0] = 0;
    out[1] = (uint8_t)name_len;
    memcpy(out + 2, name, name_len);
    out[2 + name_len] = (uint8_t)value_len;
    memcpy(out + 3 + name_len, value, value_len);
    return 3 + name_len + value_len;
}

static void begin_call(struct said *s, struct input *in)
{
    static const char *const paths[] = {"/synod.v1.Node/Deliver", "/synod.v1.Node/Deliver", "/synod.v1.Node/Status", "/x"};
    static const char *const types[] = {"application/grpc", "application/grpc", "application/grpc+proto;a=b", "text/plain"};
    uint8_t block[512], choice = next(in);
    size_t len = 0;
    if (s->streams == STREAMS_MAX)
        return;
    len += spell(block + len, ":method", choice % 32 == 31 ? "GET" : "POST");
    len += spell(block + len, ":scheme", "http");
    len += spell(block + len, ":path", paths[choice % 4]);
    len += spell(block + len, ":authority", "fuzz");
    len += spell(block + len, "content-type", types[choice / 4 % 4]);
    s->current = 2 * s->streams++ + 1;
    add_frame(s, NGHTTP2_HEADERS, (uint8_t)(NGHTTP2_FLAG_END_HEADERS | (choice >= 224 ? NGHTTP2_FLAG_END_STREAM : 0)),
              s->current, block, len);
}

/* The greeting of a node that may speak, or of one whose governed settings have one other byte. */
static void greet(struct said *s, struct input *in)
{
    struct config config = {.nodes = (struct config_node[NODES]){{.id = 1}, {.id = 2}, {.id = 3}}, .node_count = NODES};
    const struct frame_origin origin = {
        .cluster = 7, .sender = 2 + next(in) % 2, .incarnation = next(in) % 4, .nonce = next(in) % 2, .instance = {1}};
    uint64_t text[GOVERNED_TEXT_MAX / 8] = {0};
    uint8_t out[GRPC_HEAD_MAX + GOVERNED_TEXT_MAX];
    struct grpc_head head;
    governed_print(&config, (char *)text);
    const uint32_t len = (uint32_t)strlen((char *)text);
    if (next(in) % 4 == 0)
        ((uint8_t *)text)[next(in) % len] ^= next(in);
    grpc_frame_encode(&origin, text, len, &head);
    memcpy(out, head.bytes, head.len);
    memcpy(out + head.len, text, len);
    add_frame(s, NGHTTP2_DATA, 0, s->current, out, head.len + len);
}

/* A Frame, and perhaps one of its bytes changed. */
static void deliver(struct said *s, struct input *in, bool damaged)
{
    uint8_t out[GRPC_HEAD_MAX + 256];
    uint64_t body[32] = {0};
    const struct frame_origin origin = {.cluster = next(in) % 8 == 0 ? 8 : 7,
                                        .sender = next(in) % 5,
                                        .incarnation = next(in) % 4,
                                        .nonce = next(in) % 2,
                                        .instance = {(uint8_t)(1 + next(in) % 2)}};
    uint32_t len = next(in);
    struct grpc_head head;
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)body)[i] = next(in);
    grpc_frame_encode(&origin, body, len, &head);
    memcpy(out, head.bytes, head.len);
    memcpy(out + head.len, body, len);
    if (damaged) {
        size_t at = next(in) % (head.len + len);
        out[at] ^= next(in);
    }
    add_frame(s, NGHTTP2_DATA, 0, s->current, out, head.len + len);
}

static void say_something(struct said *s, struct input *in)
{
    uint8_t what = next(in) % 9, bytes[256];
    uint8_t type = what == 4 ? next(in) : NGHTTP2_DATA, flags = what == 4 ? next(in) : 0;
    size_t len;
    switch (what) {
    case 0:
        begin_call(s, in);
        break;
    case 1:
    case 2:
        deliver(s, in, what == 2);
        break;
    case 3:
        add_frame(s, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, s->current, NULL, 0);
        break;
    case 5:
        s->current = next(in) % (2 * STREAMS_MAX);
        break;
    case 8:
        greet(s, in);
        break;
    default: /* bytes: as data, in a frame of any kind, or as they are */
        len = next(in);
        for (size_t i = 0; i < len; i++)
            bytes[i] = next(in);
        if (what == 7)
            add(s, bytes, len);
        else
            add_frame(s, type, flags, s->current, bytes, len);
    }
}

/* ---- who hears it ---- */

static enum peer_verdict accept_peer(void *context, const struct frame_origin *peer)
{
    (void)context;
    invariant(peer->sender != SELF && peer->sender <= NODES);
    return peer->instance[0] == 1 ? PEER_ACCEPTED : PEER_OTHER_INSTANCE;
}

static void on_input(void *context) { (void)context; }
static void on_output(struct grpc_service *s) { (void)s; }

static struct world *open_world(void)
{
    static struct logger *logger;
    struct world *w = memory_new(1, sizeof *w);
    if (logger == NULL)
        logger = logger_new(SELF, LOG_ERROR);
    for (uint32_t i = 0; i < NODES; i++)
        w->nodes[i].id = i + 1;
    w->config.nodes = w->nodes;
    w->config.node_count = NODES;
    w->config.frame_bytes_max = 200;
    w->config.peer_queue_bytes_max = 2048;
    const struct network_options options = {
        .config = &w->config,
        .origin = {.cluster = 7, .sender = SELF},
        .accept_peer = accept_peer,
        .logger = logger,
        .on_input = on_input,
    };
    network_init(&w->network.base, NULL, NULL, &options);
    w->service.on_output = on_output;
    grpc_service_open(&w->service, &w->network, "a peer");
    return w;
}

/* As if the socket took all. */
static void answer(struct world *w)
{
    struct grpc_session *s = &w->service.session;
    do {
        s->len = s->count = s->total = 0;
        invariant(nghttp2_session_send(s->h2) == 0);
    } while (s->total > 0);
}

static uint64_t taken(struct world *w, uint64_t hash)
{
    struct packet_list all = inbox_take(&w->network.base.inbox);
    for (size_t i = 0; i < all.len; i++) {
        const struct packet *p = &all.ptr[i];
        invariant(p->id > SELF && p->id <= NODES && p->words.len == words_for(p->len));
        hash = checksum(p->words.ptr, p->words.len * 8, hash + p->id);
    }
    return hash;
}

/* Hears what is said in steps of so many bytes; `answers`: and answers after each. */
static struct result hear(const struct said *s, size_t step, bool answers)
{
    struct world *w = open_world();
    struct result o = {0};
    bool sound = true;
    for (size_t at = 0; at < s->len && sound; at += step) {
        size_t len = s->len - at < step ? s->len - at : step;
        uint8_t *copy = malloc(len); /* so that a byte read beyond it is noticed */
        invariant(copy != NULL);
        memcpy(copy, s->bytes + at, len);
        sound = grpc_service_take(&w->service, copy, len);
        free(copy);
        if (!answers || !sound)
            continue;
        answer(w);
        sound = !grpc_service_is_over(&w->service);
        o.hash = taken(w, o.hash);
        w->network.base.paused = false;
        grpc_service_resume(&w->service);
    }
    if (sound)
        answer(w);
    o.closed = grpc_service_is_over(&w->service) || !sound;
    o.hash = taken(w, o.hash);
    o.statistics = w->network.base.statistics;
    grpc_service_close(&w->service);
    inbox_close(&w->network.base.inbox);
    grpc_arena_close(&w->network.arena);
    free(w);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size, 0};
    struct said s = {.bytes = malloc(SAID_MAX)};
    invariant(s.bytes != NULL);
    size_t step = (size_t)next(&in) + 1;
    add(&s, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    add_frame(&s, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    while (in.at < in.size)
        say_something(&s, &in);
    struct result at_once = hear(&s, SAID_MAX, false), in_pieces = hear(&s, step, false);
    if (!at_once.closed && !in_pieces.closed) { /* nghttp2 has limits that depend on how bytes arrive */
        invariant(at_once.hash == in_pieces.hash);
        invariant(at_once.statistics.frames_in == in_pieces.statistics.frames_in);
        invariant(at_once.statistics.bad_frames == in_pieces.statistics.bad_frames);
    }
    hear(&s, step, true);
    free(s.bytes);
    return 0;
}
