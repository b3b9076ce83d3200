/* How it works.
 *
 *   1. What is sent lies in a list of its receiving host, by arrival. So nothing is moved when time goes on: to arrive is to
 *      be asked later. What has arrived when a socket is asked goes into that socket's buffer first, in order, if there is
 *      room. No socket was asked in between, so it is as if each had gone there when it arrived.
 *   2. Datagrams of one moment to one host travel together, and none overtakes another one between the same hosts, unless
 *      REORDER strikes.
 *   3. A datagram knows a host and a port, and not a socket: when the process on that host is another one by then, that one
 *      gets it.
 *   4. A socket takes as many bytes to send as its buffer has room for; after `latency_us` it is empty again. */
#include "sim/datagrams.h"

#include <errno.h>

#include "core/base/memory.h"
#include "sim/dice.h"

enum {
    STREAM = 0x64677261, /* of the dice */
    HOSTS = 256,
    FIRST_PORT = 32768, /* of those that the system chooses */
    DELAY_MAX_US = 300000,
    STRAY_MAX_US = 50000, /* how late a reordered one is, that others overtake */
    REPLAY_MIN_US = 50000,
    REPLAY_MAX_US = 20000000,
    SEEN = 250000, /* of a million drops, those that the sender is told of */
};

static const uint64_t never = UINT64_MAX;

enum soundness { SOUND, UNSOUND, ERROR_INSTEAD };

struct datagram {
    uint64_t arrival;
    struct datagram_end from, to;
    enum soundness soundness;
    size_t size;
    uint64_t words[]; /* so that a frame in it is aligned */
};

struct dsock {
    struct datagrams *datagrams;
    struct dsock *next;
    struct datagram_end at;
    struct datagram **arrived;
    size_t count, capacity, bytes;
    uint64_t sent_at;
    size_t sent_bytes; /* since then */
};

struct host {
    struct datagram **coming; /* by arrival */
    size_t count, capacity;
    uint64_t unsound;
    uint64_t burst_at[HOSTS], burst_arrival[HOSTS]; /* of what each other one sends to it */
};

struct datagrams {
    struct datagrams_options options;
    struct sockets *sockets;
    struct dice dice, faults;
    struct dsock *open;
    uint16_t next_port;
    struct host *hosts[HOSTS];
    struct datagrams_statistics statistics;
};

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

struct datagrams *datagrams_new(const struct datagrams_options *options, struct sockets *sockets)
{
    struct datagrams *d = memory_new(1, sizeof *d);
    invariant(options->buffer_bytes >= DATAGRAM_PAYLOAD_MAX);
    d->options = *options;
    d->sockets = sockets;
    d->dice = dice_new(options->seed, STREAM);
    d->faults = dice_new(options->seed, STREAM + 1);
    d->next_port = FIRST_PORT;
    return d;
}

void datagrams_free(struct datagrams *d)
{
    if (d == NULL)
        return;
    invariant(d->open == NULL);
    for (size_t i = 0; i < HOSTS; i++) {
        for (size_t k = 0; d->hosts[i] != NULL && k < d->hosts[i]->count; k++)
            free(d->hosts[i]->coming[k]);
        if (d->hosts[i] != NULL)
            free(d->hosts[i]->coming);
        free(d->hosts[i]);
    }
    free(d);
}

static struct host *host_of(struct datagrams *d, uint32_t host)
{
    invariant(host < HOSTS);
    if (d->hosts[host] == NULL)
        d->hosts[host] = memory_new(1, sizeof *d->hosts[host]);
    return d->hosts[host];
}

struct datagrams_statistics datagrams_statistics(const struct datagrams *d) { return d->statistics; }

uint64_t datagrams_unsound(const struct datagrams *d, uint32_t host)
{
    return d->hosts[host] != NULL ? d->hosts[host]->unsound : 0;
}

static bool strikes(struct datagrams *d, enum fault kind)
{
    if (d->options.faults == NULL || !dice_chance(&d->faults, d->options.faults->rate[kind]))
        return false;
    fault_fired(d->options.faults, kind);
    return true;
}

/* ---- Under way ---- */

static void lose(struct datagrams *d, struct datagram *g)
{
    d->statistics.lost++;
    free(g);
}

static struct dsock *socket_at(const struct datagrams *d, struct datagram_end at)
{
    struct dsock *k = d->open;
    while (k != NULL && (k->at.host != at.host || k->at.port != at.port || k->at.v6 != at.v6))
        k = k->next;
    return k;
}

/* Gives what has arrived at a host to its sockets. */
static void arrive(struct datagrams *d, uint32_t host)
{
    struct host *h = host_of(d, host);
    size_t count = 0;
    for (; count < h->count && h->coming[count]->arrival <= sockets_now(d->sockets); count++) {
        struct datagram *g = h->coming[count];
        struct dsock *k = socket_at(d, g->to);
        const bool full = k != NULL && k->bytes + g->size > d->options.buffer_bytes;
        d->statistics.crowded_out += full;
        if (k == NULL || full || sockets_cut_until(d->sockets, g->from.host, host) > g->arrival) {
            lose(d, g);
            continue;
        }
        k->arrived = memory_reserve(k->arrived, &k->capacity, k->count + 1, sizeof(struct datagram *));
        k->arrived[k->count++] = g;
        k->bytes += g->size;
    }
    h->count -= count;
    if (count > 0)
        memmove(h->coming, h->coming + count, h->count * sizeof(struct datagram *));
}

static void launch(struct datagrams *d, const struct datagram *like, uint64_t arrival)
{
    struct host *h = host_of(d, like->to.host);
    struct datagram *g = malloc(sizeof *g + like->size);
    invariant(g != NULL);
    memcpy(g, like, sizeof *g + like->size);
    g->arrival = arrival;
    size_t at = h->count;
    h->coming = memory_reserve(h->coming, &h->capacity, h->count + 1, sizeof(struct datagram *));
    for (; at > 0 && h->coming[at - 1]->arrival > arrival; at--)
        h->coming[at] = h->coming[at - 1];
    h->coming[at] = g;
    h->count++;
    sockets_note_change(d->sockets, like->to.host);
}

static uint64_t latency(struct datagrams *d)
{
    return d->options.latency_us + dice_roll(&d->dice, d->options.latency_spread_us + 1);
}

/* Point 2. */
static uint64_t arrival_of(struct datagrams *d, const struct datagram *g)
{
    const uint64_t now = sockets_now(d->sockets);
    struct host *h = host_of(d, g->to.host);
    uint64_t *burst_at = &h->burst_at[g->from.host], *arrival = &h->burst_arrival[g->from.host];
    if (strikes(d, FAULT_REORDER))
        return now + latency(d) + (dice_chance(&d->faults, 500000) ? 0 : dice_range(&d->faults, 1, STRAY_MAX_US));
    if (*burst_at != now || *arrival == 0)
        *arrival = later(*arrival, now + latency(d));
    *burst_at = now;
    if (strikes(d, FAULT_DELAY))
        return *arrival + dice_range(&d->faults, 1, DELAY_MAX_US);
    return *arrival;
}

/* ---- Damage ---- */

/* A byte is another one, or its end is missing, or there is more at its end, or an error comes in its place. */
static struct datagram *damage(struct datagrams *d, struct datagram *g)
{
    enum { MORE_MAX = 64 };
    struct dice *dice = &d->faults;
    g->soundness = UNSOUND;
    switch (g->size > 0 ? dice_roll(dice, 4) : 3) {
    case 0:
        ((uint8_t *)g->words)[dice_roll(dice, g->size)] ^= (uint8_t)dice_range(dice, 1, UINT8_MAX);
        return g;
    case 1:
        g->size = dice_roll(dice, g->size);
        return g;
    case 2: {
        const size_t more = g->size <= DATAGRAM_PAYLOAD_MAX - MORE_MAX ? dice_range(dice, 1, MORE_MAX) : 0;
        struct datagram *longer = realloc(g, sizeof *g + g->size + more);
        invariant(longer != NULL);
        for (size_t i = 0; i < more; i++)
            ((uint8_t *)longer->words)[longer->size++] = (uint8_t)dice_next(dice);
        longer->soundness = more > 0 ? UNSOUND : SOUND;
        return longer;
    }
    default:
        g->soundness = ERROR_INSTEAD;
        return g;
    }
}

/* ---- Sending ---- */

/* What a system may say when it does not send. */
static int refusal(struct datagrams *d)
{
    static const int errors[] = {-EAGAIN, -ENOBUFS, -EACCES, -EHOSTUNREACH, -ENOMEM};
    return errors[dice_roll(&d->faults, sizeof errors / sizeof errors[0])];
}

static bool has_room(struct dsock *k, size_t size)
{
    const struct datagrams *d = k->datagrams;
    const uint64_t now = sockets_now(d->sockets);
    if (now - k->sent_at >= d->options.latency_us) {
        k->sent_at = now;
        k->sent_bytes = 0;
    }
    k->sent_bytes += size;
    return k->sent_bytes <= d->options.buffer_bytes;
}

static struct datagram *datagram_new(struct datagram_end from, struct datagram_end to, const void *bytes, size_t size)
{
    struct datagram *g = malloc(sizeof *g + size);
    invariant(g != NULL);
    *g = (struct datagram){.from = from, .to = to, .size = size};
    if (size > 0)
        memcpy(g->words, bytes, size);
    return g;
}

int dsock_send(struct dsock *k, struct datagram_end to, const void *bytes, size_t size)
{
    struct datagrams *d = k->datagrams;
    const uint64_t now = sockets_now(d->sockets);
    if (size > DATAGRAM_PAYLOAD_MAX)
        return -EMSGSIZE;
    if (!has_room(k, size)) {
        d->statistics.crowded_out++;
        return -EAGAIN;
    }
    const bool dropped = strikes(d, FAULT_DROP);
    if (dropped && dice_chance(&d->faults, SEEN))
        return refusal(d);
    d->statistics.sent++;
    struct datagram *g = datagram_new(k->at, to, bytes, size);
    if (dropped || sockets_cut_until(d->sockets, k->at.host, to.host) > now) {
        lose(d, g);
        return (int)size;
    }
    const uint64_t arrival = arrival_of(d, g);
    if (strikes(d, FAULT_DUPLICATE))
        launch(d, g, arrival_of(d, g));
    if (strikes(d, FAULT_REPLAY))
        launch(d, g, now + dice_range(&d->faults, REPLAY_MIN_US, REPLAY_MAX_US));
    if (strikes(d, FAULT_DAMAGE))
        g = damage(d, g);
    launch(d, g, arrival);
    free(g);
    return (int)size;
}

void datagrams_inject(struct datagrams *d, struct datagram_end from, struct datagram_end to, const void *bytes, size_t size)
{
    struct datagram *g = datagram_new(from, to, bytes, size);
    g->soundness = UNSOUND;
    launch(d, g, sockets_now(d->sockets) + latency(d));
    free(g);
}

/* ---- Receiving ---- */

uint64_t dsock_readable_at(struct dsock *k)
{
    const struct host *h = host_of(k->datagrams, k->at.host);
    const uint64_t now = sockets_now(k->datagrams->sockets);
    arrive(k->datagrams, k->at.host);
    if (k->count > 0)
        return now;
    return h->count > 0 ? later(h->coming[0]->arrival, now) : never;
}

int dsock_receive(struct dsock *k, void *out, size_t size, struct datagram_end *from)
{
    struct datagrams *d = k->datagrams;
    arrive(d, k->at.host);
    if (k->count == 0)
        return -EAGAIN;
    struct datagram *g = k->arrived[0];
    const enum soundness soundness = g->soundness;
    size = g->size < size ? g->size : size;
    memmove(k->arrived, k->arrived + 1, --k->count * sizeof(struct datagram *));
    k->bytes -= g->size;
    *from = g->from;
    if (size > 0)
        memcpy(out, g->words, size);
    host_of(d, k->at.host)->unsound += soundness != SOUND;
    if (soundness == SOUND && d->options.came != NULL)
        d->options.came(d->options.context, k->at.host, g->words, g->size);
    free(g);
    return soundness == ERROR_INSTEAD ? -ECONNREFUSED : (int)size;
}

/* ---- Sockets ---- */

struct dsock *datagrams_bind(struct datagrams *d, struct datagram_end at)
{
    for (uint32_t tries = 0; at.port == 0 || (tries > 0 && socket_at(d, at) != NULL); tries++) {
        at.port = d->next_port;
        d->next_port = d->next_port == UINT16_MAX ? FIRST_PORT : (uint16_t)(d->next_port + 1);
    }
    if (socket_at(d, at) != NULL)
        return NULL;
    arrive(d, at.host); /* what came before it is lost */
    struct dsock *k = memory_new(1, sizeof *k);
    *k = (struct dsock){.datagrams = d, .next = d->open, .at = at};
    d->open = k;
    return k;
}

struct datagram_end dsock_name(const struct dsock *k) { return k->at; }

void dsock_close(struct dsock *k)
{
    struct datagrams *d = k->datagrams;
    struct dsock **at = &d->open;
    arrive(d, k->at.host);
    for (size_t i = 0; i < k->count; i++)
        lose(d, k->arrived[i]);
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    free(k->arrived);
    free(k);
}
