/* What a peer can say on a TCP connection between nodes: any bytes, greetings that are right, nearly right or anything,
 * frames that are sound or damaged. In one piece and in small ones it is the same frames that are taken and the same
 * refusals; no peer is listened to that did not begin with exactly the governed settings of this node; and what is said
 * about it can stand in a log line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/tcp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, NODES = 3, SENDERS = 5, CLUSTER = 7, SAID_MAX = 32 << 10, BODY_MAX = 2600, FRAME_BYTES_MAX = 4096 };

struct world {
    struct tcp_network network;
    struct config config;
    struct config_node nodes[NODES];
};

struct input {
    const uint8_t *data;
    size_t size, at;
};

struct said {
    uint64_t words[SAID_MAX / 8];
    size_t len;
};

struct result {
    uint64_t hash; /* of what was taken */
    struct network_statistics statistics;
    bool heard, closed;
};

static uint8_t next(struct input *in) { return in->at < in->size ? in->data[in->at++] : 0; }

/* ---- who hears it ---- */

static enum peer_verdict accept_peer(void *context, const struct frame_origin *peer)
{
    (void)context;
    invariant(peer->sender != SELF && peer->sender <= NODES);
    return peer->instance[0] == 1 ? PEER_ACCEPTED : PEER_OTHER_INSTANCE;
}

static void on_input(void *context) { (void)context; }

static void open_world(struct world *w)
{
    static struct logger *logger;
    static uv_loop_t loop;
    if (logger == NULL) {
        logger = logger_new(SELF, LOG_ERROR);
        uv_loop_init(&loop);
    }
    for (uint32_t i = 0; i < NODES; i++)
        w->nodes[i].id = i + 1;
    w->config = (struct config){.nodes = w->nodes,
                                .node_count = NODES,
                                .frame_bytes_max = FRAME_BYTES_MAX,
                                .peer_queue_bytes_max = 1 << 20,
                                .node_config = {.alpha = 64, .phase1_quorum = 2, .phase2_quorum = 2}};
    const struct network_options options = {
        .config = &w->config,
        .origin = {.cluster = CLUSTER, .sender = SELF},
        .receives = true,
        .accept_peer = accept_peer,
        .logger = logger,
        .on_input = on_input,
    };
    network_init(&w->network.base, NULL, &loop, &options);
    for (uint32_t i = 0; i < NODES; i++)
        w->network.peers[i + 1].dialer.config = &w->nodes[i];
    w->network.links.network = &w->network.base;
    w->network.links.operations = &tcp_link_operations;
    w->network.base.open = 1; /* so that the last link does not release it */
}

/* ---- what is said ---- */

static void add_frame(struct said *s, struct input *in, const void *body, uint32_t len, bool damaged)
{
    uint64_t *words = s->words + s->len / 8;
    const size_t size = FRAME_HEADER_SIZE + words_for(len) * 8;
    const struct frame_origin origin = {.cluster = next(in) % 16 == 15 ? 8 : CLUSTER,
                                        .sender = 1 + (next(in) + 1) % SENDERS,
                                        .incarnation = 1 + next(in) % 2,
                                        .instance = {(uint8_t)(1 + next(in) / 200)}};
    if (s->len % 8 != 0 || size > SAID_MAX - s->len)
        return;
    if (len > 0)
        memcpy(words + FRAME_HEADER_WORDS, body, len);
    frame_encode(&origin, words + FRAME_HEADER_WORDS, len, words);
    s->len += size;
    if (damaged)
        ((uint8_t *)words)[(next(in) + 256u * next(in)) % size] ^= next(in);
}

static void say_something(struct said *s, struct input *in, const char *own)
{
    char text[BODY_MAX] = {0};
    const uint8_t what = next(in) % 8;
    uint32_t len = (uint32_t)strlen(own);
    strcpy(text, own);
    switch (what) {
    case 0: /* a greeting; again, it is a message like any other */
    case 1:
        break;
    case 2: /* nearly one */
        text[next(in) % len] = (char)next(in);
        break;
    case 3:
        len = (uint32_t)(len * next(in) / 200);
        break;
    case 4: /* lines of words */
        len = next(in) * 10u;
        for (uint32_t i = 0; i < len; i++)
            text[i] = "alpha 64\nnode-1 8\n\"\\\t \0~"[next(in) % 24];
        break;
    default:
        len = next(in);
        for (uint32_t i = 0; i < len; i++)
            text[i] = (char)next(in);
    }
    if (what == 7 && len <= SAID_MAX - s->len) {
        memcpy((char *)s->words + s->len, text, len);
        s->len += len;
    } else if (what != 7) {
        add_frame(s, in, text, len, what == 6);
    }
}

/* ---- */

/* Whether this begins with a sound frame that holds the text. */
static bool begins_right(const struct said *s, const char *own)
{
    struct frame_header header;
    return s->len > FRAME_HEADER_SIZE && frame_parse(s->words, CLUSTER, GOVERNED_TEXT_MAX, &header) == FRAME_OK &&
           header.len == strlen(own) && memcmp(s->words + FRAME_HEADER_WORDS, own, header.len) == 0;
}

static struct result hear(const struct said *s, size_t step)
{
    struct world *w = memory_new(1, sizeof *w);
    struct result o = {0};
    open_world(w);
    struct network *base = &w->network.base;
    struct tcp_link *l = (struct tcp_link *)link_new(&w->network.links);
    for (size_t at = 0; at < s->len && !l->link.closing; at += step) {
        const size_t len = s->len - at < step ? s->len - at : step;
        invariant(l->capacity - l->len >= len);
        memcpy((char *)l->buffer + l->len, (const char *)s->words + at, len);
        tcp_link_take(l, len);
    }
    o.closed = l->link.closing;
    o.statistics = base->statistics;
    struct packet_list all = inbox_take(&base->inbox);
    for (size_t i = 0; i < all.len; i++) {
        const struct packet *p = &all.ptr[i];
        invariant(p->id > SELF && p->id <= NODES && p->words.len == words_for(p->len));
        o.hash = checksum(p->words.ptr, p->words.len * 8, o.hash + p->id);
    }
    for (size_t i = 0; i <= NODES; i++)
        o.heard |= w->network.peers[i].admitted.sender != 0;
    invariant(!o.heard || begins_right(s, (const char *)base->greeting));
    invariant(o.heard || all.len == 0);
    link_close(&l->link);
    uv_run(base->loop, UV_RUN_NOWAIT);
    inbox_close(&base->inbox);
    free(w);
    return o;
}

/* What the two nodes say of each other's texts is the same, and fit to be printed. */
static void compare(struct input *in, const char *own)
{
    struct world *one = memory_new(1, sizeof *one), *two = memory_new(1, sizeof *two);
    char text[GOVERNED_TEXT_MAX] = {0}, why[2][NETWORK_WHY_SIZE] = {{0}};
    const struct frame_origin first = {.cluster = CLUSTER, .sender = SELF, .instance = {1}},
                              second = {.cluster = CLUSTER, .sender = 2, .instance = {1}};
    size_t len = strlen(own);
    memcpy(text, own, len);
    for (uint8_t changes = next(in) % 8; changes > 0; changes--)
        text[next(in) % len] = (char)next(in);
    open_world(one);
    open_world(two);
    two->network.base.options.origin = second;
    two->network.base.members = node_set_of(SELF);
    memcpy(two->network.base.greeting, text, sizeof text);
    const enum network_refusal here = network_admit(&one->network.base, &second, text, len, why[0], sizeof why[0]);
    invariant((here == REFUSAL_NONE) == (memcmp(text, own, len) == 0));
    for (const char *c = why[0]; *c != '\0'; c++)
        invariant(*c >= ' ' && *c <= '~');
    if (here == REFUSAL_GOVERNED) {
        invariant(network_admit(&two->network.base, &first, own, len, why[1], sizeof why[1]) == REFUSAL_GOVERNED);
        invariant(strcmp(why[0], why[1]) == 0);
    }
    free(one);
    free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size, 0};
    struct said *s = memory_new(1, sizeof *s);
    struct world *w = memory_new(1, sizeof *w);
    const size_t step = (size_t)next(&in) + 1;
    open_world(w);
    const char *own = (const char *)w->network.base.greeting;
    compare(&in, own);
    while (in.at < in.size)
        say_something(s, &in, own);
    const struct result at_once = hear(s, SAID_MAX), in_pieces = hear(s, step);
    invariant(at_once.hash == in_pieces.hash && at_once.closed == in_pieces.closed && at_once.heard == in_pieces.heard);
    invariant(at_once.statistics.frames_in == in_pieces.statistics.frames_in);
    invariant(at_once.statistics.bad_frames == in_pieces.statistics.bad_frames);
    free(w);
    free(s);
    return 0;
}
