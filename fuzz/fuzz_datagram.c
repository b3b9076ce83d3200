/* Datagrams from any sender, as a UDP network takes them: any bytes; frames that are sound, of any node, instance and life;
 * and frames that were sound until one byte changed. In between, nodes greet over TCP, in any life, some with other governed
 * settings. Taken are exactly the sound datagrams of the life of a node whose greeting was taken last. Nothing else changes
 * anything. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/udp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, NODES = 3, SENDERS = 5, BODY_MAX = 64, QUEUE_MAX = 1024, CLUSTER = 7 };

struct world {
    struct udp_network network;
    struct config config;
    struct config_node nodes[NODES];
    struct frame_origin known[SENDERS];   /* its latest life; zero: never heard */
    struct frame_origin greeted[SENDERS]; /* the life that greeted last; zero: never */
    size_t inputs;
};

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next(struct input *in) { return in->at < in->size ? in->data[in->at++] : 0; }

static enum peer_verdict accept_peer(void *context, const struct frame_origin *peer)
{
    struct world *w = context;
    struct frame_origin *known = &w->known[peer->sender];
    invariant(peer->sender != SELF && peer->sender <= NODES);
    if (known->sender != 0 && known->instance[0] != peer->instance[0])
        return PEER_OTHER_INSTANCE;
    if (known->sender != 0 && peer->incarnation < known->incarnation)
        return PEER_EARLIER_LIFE;
    if (known->sender != 0 && peer->incarnation == known->incarnation && peer->nonce != known->nonce)
        return PEER_ANOTHER_LIFE;
    *known = *peer;
    return PEER_ACCEPTED;
}

static void on_input(void *context) { ((struct world *)context)->inputs++; }

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
    w->config.nodes = w->nodes;
    w->config.node_count = NODES;
    w->config.frame_bytes_max = BODY_MAX;
    w->config.peer_queue_bytes_max = QUEUE_MAX;
    const struct network_options options = {
        .config = &w->config,
        .origin = {.cluster = CLUSTER, .sender = SELF},
        .accept_peer = accept_peer,
        .logger = logger,
        .on_input = on_input,
        .context = w,
    };
    network_init(&w->network.tcp.base, NULL, &loop, &options);
    for (uint32_t i = 0; i < NODES; i++)
        w->network.tcp.peers[i + 1].dialer.config = &w->nodes[i];
    w->network.tcp.links.network = &w->network.tcp.base;
    w->network.tcp.links.operations = &tcp_link_operations;
    w->network.tcp.base.open = 1; /* so that the last link does not release it */
}

/* Whether a datagram of this origin is to be taken. */
static bool expected(const struct world *w, const struct frame_origin *o)
{
    return o->cluster == CLUSTER && o->sender != 0 && network_same_origin(o, &w->greeted[o->sender]);
}

static struct frame_origin any_origin(struct input *in)
{
    return (struct frame_origin){.cluster = next(in) % 8 == 0 ? 8 : CLUSTER,
                                 .sender = next(in) % SENDERS,
                                 .incarnation = next(in) % 4,
                                 .nonce = next(in) % 2,
                                 .instance = {(uint8_t)(1 + next(in) % 2)}};
}

/* A peer connects, greets, and hangs up. */
static void greet(struct world *w, struct input *in)
{
    struct tcp_network *n = &w->network.tcp;
    const struct frame_origin origin = any_origin(in);
    const struct packet greeting = network_greeting(&n->base, 0);
    uint64_t words[FRAME_HEADER_WORDS + GOVERNED_TEXT_MAX / 8] = {0};
    const bool differs = next(in) % 4 == 0;
    const uint64_t before = n->base.statistics.frames_in;
    struct tcp_link *l = (struct tcp_link *)link_new(&n->links);
    memcpy(words + FRAME_HEADER_WORDS, greeting.words.ptr, greeting.len);
    if (differs)
        ((char *)(words + FRAME_HEADER_WORDS))[next(in) % greeting.len] ^= 1;
    frame_encode(&origin, words + FRAME_HEADER_WORDS, greeting.len, words);
    memcpy(l->buffer, words, FRAME_HEADER_SIZE + words_for(greeting.len) * 8);
    tcp_link_take(l, FRAME_HEADER_SIZE + words_for(greeting.len) * 8);
    if (n->base.statistics.frames_in > before) {
        invariant(!differs);
        w->greeted[origin.sender] = origin;
    }
    link_close(&l->link);
    uv_run(n->base.loop, UV_RUN_NOWAIT);
}

static void take(struct world *w, const uint64_t *words, size_t size)
{
    const struct sockaddr_in from = {.sin_family = AF_INET};
    uint64_t *copy = malloc(size > 0 ? (size + 7) / 8 * 8 : 8); /* so that a byte read beyond it is noticed */
    invariant(copy != NULL);
    memcpy(copy, words, size);
    udp_take(&w->network, copy, size, (const struct sockaddr *)&from);
    free(copy);
}

/* A sound frame, and then the same with a byte changed. */
static void speak(struct world *w, struct input *in)
{
    struct network *n = &w->network.tcp.base;
    uint64_t words[FRAME_HEADER_WORDS + BODY_MAX / 8] = {0};
    const struct frame_origin origin = any_origin(in);
    uint32_t len = next(in) % (BODY_MAX + 1);
    for (uint32_t i = 0; i < len; i++)
        ((uint8_t *)(words + FRAME_HEADER_WORDS))[i] = next(in);
    size_t size = FRAME_HEADER_SIZE + words_for(len) * 8, damage = next(in), before = inbox_bytes(&n->inbox);
    uint8_t difference = next(in);
    frame_encode(&origin, words + FRAME_HEADER_WORDS, len, words);
    const struct network_statistics was = n->statistics;
    const bool allowed = expected(w, &origin);
    take(w, words, size);
    const bool full = n->statistics.dropped != was.dropped && allowed;
    invariant(n->statistics.frames_in == was.frames_in + (allowed && !full));
    invariant(n->statistics.bad_frames + n->statistics.dropped == was.bad_frames + was.dropped + (!allowed || full));
    invariant(full || inbox_bytes(&n->inbox) == before + (allowed ? words_for(len) * 8 : 0));

    const struct network_statistics then = n->statistics;
    ((uint8_t *)words)[damage % size] ^= difference;
    take(w, words, size - (difference == 0));
    invariant(n->statistics.frames_in == then.frames_in && n->statistics.bad_frames == then.bad_frames + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size, 0};
    struct world *w = memory_new(1, sizeof *w);
    open_world(w);
    while (in.at < in.size) {
        const uint8_t what = next(&in) % 8;
        if (what < 2) {
            greet(w, &in);
        } else if (what < 6) {
            speak(w, &in);
        } else if (next(&in) % 2 == 0) {
            struct packet_list all = inbox_take(&w->network.tcp.base.inbox);
            for (size_t i = 0; i < all.len; i++)
                invariant(all.ptr[i].id >= 1 && all.ptr[i].id <= NODES && all.ptr[i].id != SELF);
        } else { /* any bytes */
            size_t len = next(&in);
            uint64_t words[32] = {0};
            len = len < in.size - in.at ? len : in.size - in.at;
            memcpy(words, in.data + in.at, len);
            in.at += len;
            take(w, words, len);
        }
    }
    inbox_close(&w->network.tcp.base.inbox);
    free(w);
    return 0;
}
