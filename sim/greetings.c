#include "sim/greetings.h"

#include <errno.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/governed.h"
#include "sim/uv_network.h"

enum { HOST = 230, BODY_MAX = 512, FRAME_WORDS = FRAME_HEADER_WORDS + GOVERNED_TEXT_MAX / sizeof(uint64_t) };

struct stranger {
    struct sock *sock;
    size_t size, written;
    uint64_t frame[FRAME_WORDS];
};

struct greetings {
    struct sockets *sockets;
    struct stranger *all;
    size_t count, capacity;
};

struct greetings *greetings_new(struct sockets *sockets)
{
    struct greetings *g = memory_new(1, sizeof *g);
    g->sockets = sockets;
    return g;
}

void greetings_free(struct greetings *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->count; i++)
        sock_close(g->all[i].sock);
    free(g->all);
    free(g);
}

void greetings_add(struct greetings *g, struct datagram_end to, const struct frame_origin *as, const char *governed)
{
    const size_t len = strlen(governed);
    invariant(len < GOVERNED_TEXT_MAX);
    g->all = memory_reserve(g->all, &g->capacity, g->count + 1, sizeof *g->all);
    struct stranger *a = &g->all[g->count++];
    *a = (struct stranger){.sock = sockets_connect(g->sockets, HOST, to.host, tcp_port_of(to))};
    memcpy(a->frame + FRAME_HEADER_WORDS, governed, len);
    frame_encode(as, a->frame + FRAME_HEADER_WORDS, (uint32_t)len, a->frame);
    a->size = FRAME_HEADER_SIZE + words_for((uint32_t)len) * sizeof(uint64_t);
}

/* A frame with a body of chance. Returns its size. */
static size_t make_frame(uint64_t *words, const struct frame_origin *as, struct dice *dice)
{
    const uint32_t len = (uint32_t)(dice_range(dice, 1, BODY_MAX / sizeof(uint64_t)) * sizeof(uint64_t));
    for (size_t i = 0; i < words_for(len); i++)
        words[FRAME_HEADER_WORDS + i] = dice_next(dice);
    frame_encode(as, words + FRAME_HEADER_WORDS, len, words);
    return FRAME_HEADER_SIZE + words_for(len) * sizeof(uint64_t);
}

void greetings_send(struct datagrams *d, struct datagram_end to, const struct frame_origin *as, struct dice *dice)
{
    const struct datagram_end from = {HOST, to.port, to.v6};
    for (uint64_t left = dice_range(dice, 1, 4); left > 0; left--) {
        uint64_t words[FRAME_HEADER_WORDS + BODY_MAX / sizeof(uint64_t)] = {0};
        struct frame_origin origin = *as;
        origin.nonce ^= 1; /* as far as is known, no life has it */
        switch (dice_roll(dice, 5)) {
        case 0:
            origin.cluster ^= 1;
            break;
        case 1:
            origin.instance[dice_roll(dice, sizeof origin.instance)] ^= 1;
            break;
        case 2:
            origin.sender = to.host;
            break;
        default:
            break;
        }
        size_t size = make_frame(words, &origin, dice);
        if (dice_chance(dice, 200000))
            words[dice_roll(dice, FRAME_HEADER_WORDS)] ^= dice_next(dice);
        if (dice_chance(dice, 200000))
            size = dice_roll(dice, size);
        datagrams_inject(d, from, to, words, size);
    }
}

static uint64_t next_of(const struct greetings *g, const struct stranger *a)
{
    const uint64_t connected = sock_connected_at(a->sock);
    return connected > sockets_now(g->sockets) ? connected : sock_writable_at(a->sock);
}

uint64_t greetings_next(const struct greetings *g)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < g->count; i++) {
        const uint64_t at = next_of(g, &g->all[i]);
        next = at < next ? at : next;
    }
    return next;
}

/* False: it has nothing more to say, or cannot. */
static bool goes_on(struct stranger *a)
{
    if (sock_connected(a->sock) != 0)
        return false;
    const ptrdiff_t taken = sock_write(a->sock, (const uint8_t *)a->frame + a->written, a->size - a->written);
    if (taken > 0)
        a->written += (size_t)taken;
    return taken == -EAGAIN || (taken > 0 && a->written < a->size);
}

void greetings_run(struct greetings *g)
{
    for (size_t i = 0; i < g->count;) {
        struct stranger *a = &g->all[i];
        if (next_of(g, a) > sockets_now(g->sockets) || goes_on(a)) {
            i++;
            continue;
        }
        sock_close(a->sock);
        *a = g->all[--g->count];
    }
}
