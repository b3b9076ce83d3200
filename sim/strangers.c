#include "sim/strangers.h"

#include <errno.h>

#include "core/base/memory.h"
#include "sim/dice.h"
#include "sim/uv_port.h"

enum {
    STREAM = 0x73747200,
    HOST = 201, /* the first one's */
    PAUSE_US_MIN = 1000,
    PAUSE_US_MAX = 200000,
    STAYS_US_MAX = 5000000,
    WRITES_MAX = 16, /* at a time */
    PIECE_MAX = 2048,
};

static const uint64_t never = UINT64_MAX;

/* What one connection of a stranger is like. */
enum manner {
    FLOODS,  /* asks and asks, and reads nothing */
    SIPS,    /* asks much, and reads a little now and then */
    STOPS,   /* sends half a request, and waits */
    BABBLES, /* sends bytes */
    CALLS,   /* asks the port itself */
    MANNERS
};

struct stranger {
    struct dice dice;
    uint32_t host;
    struct sock *sock; /* NULL: it is away */
    uint8_t manner;    /* enum manner */
    bool quiet;        /* it sends nothing more */
    uint64_t next_at, leaves_at;
};

struct strangers {
    struct sockets *sockets;
    node_set ports;
    uint32_t count;
    struct stranger *all;
};

struct strangers *strangers_new(uint64_t seed, uint32_t count, struct sockets *sockets, node_set ports)
{
    struct strangers *s = memory_new(1, sizeof *s);
    *s = (struct strangers){.sockets = sockets, .ports = ports, .count = count, .all = memory_new(count, sizeof *s->all)};
    for (uint32_t i = 0; i < count; i++) {
        s->all[i] = (struct stranger){.dice = dice_new(seed, STREAM + i), .host = HOST + i};
        s->all[i].next_at = sockets_now(sockets) + dice_range(&s->all[i].dice, PAUSE_US_MIN, STAYS_US_MAX);
    }
    return s;
}

static void leave(struct stranger *a)
{
    if (a->sock == NULL)
        return;
    if (dice_roll(&a->dice, 2) == 0)
        sock_close(a->sock);
    else
        sock_abort(a->sock);
    a->sock = NULL;
}

void strangers_free(struct strangers *s)
{
    if (s == NULL)
        return;
    strangers_stop(s);
    free(s->all);
    free(s);
}

void strangers_stop(struct strangers *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        leave(&s->all[i]);
        s->all[i].next_at = never;
    }
}

uint64_t strangers_next(const struct strangers *s)
{
    uint64_t next = never;
    for (uint32_t i = 0; i < s->count; i++)
        next = s->all[i].next_at < next ? s->all[i].next_at : next;
    return next;
}

static uint32_t any_node(const struct strangers *s, struct dice *d)
{
    node_set ports = s->ports;
    for (uint64_t skip = dice_roll(d, node_set_count(ports)); skip > 0; skip--)
        ports &= ports - 1;
    return node_set_first(ports);
}

static void come(struct strangers *s, struct stranger *a)
{
    a->sock = sockets_connect(s->sockets, a->host, any_node(s, &a->dice), CLIENT_PORT_NUMBER);
    a->manner = (uint8_t)dice_roll(&a->dice, MANNERS);
    a->quiet = false;
    a->leaves_at = sockets_now(s->sockets) + dice_roll(&a->dice, STAYS_US_MAX);
}

/* What it says next; returns how many bytes. What does not fit into the socket is lost, which makes other requests of it. */
static size_t say(struct stranger *a, uint8_t out[PIECE_MAX])
{
    static const char get[] = "*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n", call[] = "ECHO hello\r\nCLIENT ID\r\nINFO\r\n";
    const char *words = a->manner == CALLS ? call : get;
    const size_t each = strlen(words);
    size_t len = 0;
    if (a->manner == BABBLES) {
        for (len = 0; len < PIECE_MAX; len++)
            out[len] = (uint8_t)dice_next(&a->dice);
        return 1 + (size_t)dice_roll(&a->dice, PIECE_MAX);
    }
    for (; len + each <= PIECE_MAX; len += each)
        memcpy(out + len, words, each);
    if (a->manner == STOPS) {
        a->quiet = true;
        return 1 + (size_t)dice_roll(&a->dice, len);
    }
    return len;
}

/* False: the connection has ended. */
static bool act(struct stranger *a)
{
    uint8_t bytes[PIECE_MAX];
    for (size_t i = 0; i < WRITES_MAX && !a->quiet; i++) {
        const size_t len = say(a, bytes);
        const ptrdiff_t taken = sock_write(a->sock, bytes, len);
        if (taken == -EAGAIN)
            break;
        if (taken < 0)
            return false;
    }
    const size_t wants = a->manner == FLOODS ? 0 : a->manner == SIPS ? 16 : sizeof bytes;
    const ptrdiff_t got = wants > 0 ? sock_read(a->sock, bytes, wants) : -EAGAIN;
    return got >= 0 || got == -EAGAIN;
}

static void run(struct strangers *s, struct stranger *a)
{
    const uint64_t now = sockets_now(s->sockets);
    if (a->sock == NULL)
        come(s, a);
    else if (now >= a->leaves_at || (sock_connected(a->sock) != 0 && sock_connected(a->sock) != -EAGAIN))
        leave(a);
    else if (sock_connected(a->sock) == 0 && !act(a))
        leave(a);
    a->next_at = now + dice_range(&a->dice, PAUSE_US_MIN, PAUSE_US_MAX);
}

void strangers_run(struct strangers *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->all[i].next_at <= sockets_now(s->sockets))
            run(s, &s->all[i]);
}
