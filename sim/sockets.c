/* How it works.
 *
 * A connection is a pair of ends. What one end writes lies in the other end's *inflow*: one run of bytes, and marks that
 * say up to where they arrive when. So nothing is moved when time goes on: to arrive is to be asked later.
 *
 *   1. Order. Marks of an inflow have rising times, and the end of the stream comes after the last of them. What is written
 *      at the same moment travels together.
 *   2. Window. An inflow holds at most window_bytes. A writer that found it full hears of room a latency after the reader
 *      has made some. One that wrote in part hears of it after a latency, too.
 *   3. Reset. Each end has a time from which on it fails with an error; what was not read by then is lost. A reset travels
 *      behind the bytes that were under way.
 *   4. Half open: the pair is `lost`. Nothing that is written arrives, and neither end is told; the window fills up. The
 *      keepalive of an end that has one ends it, and so does an answer of the peer's host, once it listens there
 *      again: it does not know the connection.
 *   5. A pair is freed when both its ends are closed.
 *   6. Cut: what one host sends to another during a cut arrives after its end, as the system sends it again, and so does
 *      what says that something has arrived. An end that hears nothing about what it has written for `patience_us` fails.
 *      How long a cut lasts is known when it begins, so it is decided then, or when something is written. */
#include "sim/sockets.h"

#include <errno.h>

#include "core/base/memory.h"
#include "sim/dice.h"

enum {
    STREAM = 0x736f636b, /* of the dice */
    HOSTS = 256,
    FIRST_PORT = 32768, /* of those that connect */
    UNREACHABLE_US = 3000000,
    DELAY_MAX_US = 300000, /* of a write, by FAULT_DELAY */
};

static const uint64_t never = UINT64_MAX;

struct mark {
    uint64_t at;
    size_t to; /* bytes of the inflow up to here arrive at that time */
};

struct inflow {
    uint8_t *bytes;
    size_t len, capacity;
    struct mark *marks;
    size_t mark_count, mark_capacity;
    uint64_t last_at;  /* the last arrival so far */
    uint64_t wrote_at; /* when the last mark was made */
    uint64_t end_at;   /* when the end of the stream arrives */
};

struct pair;

struct sock {
    struct pair *pair;
    struct sock *peer;
    uint32_t host;
    uint16_t port;
    struct inflow in;
    uint64_t room_at; /* before this it is not told that it may write; never: until the peer has read */
    size_t vanished;  /* bytes written that will never be read */
    uint64_t fails_at;
    int error; /* then */
    uint64_t keepalive_us, heard_at;
    bool shut, closed;
    bool broken; /* what it writes is lost, and it will hear of a reset */
};

struct pair {
    struct sockets *sockets;
    struct pair *next, *previous;
    struct sock ends[2]; /* the one that connected, and the one that is, or would be, accepted */
    uint64_t arrives_at; /* at the listener */
    uint64_t decided_at; /* the one that connected knows what became of it */
    bool held;           /* a cut delays both */
    int refused;         /* 0: it is a connection */
    bool lost;
    uint32_t gone; /* the host whose power failed; 0: none */
    bool back;     /* that host listens again */
};

struct sock_listener {
    struct sockets *sockets;
    struct sock_listener *next;
    uint32_t host;
    uint16_t port;
    struct pair **waiting; /* by arrival */
    size_t count, capacity;
};

struct sockets {
    struct sockets_options options;
    uint64_t now;
    struct dice dice, faults;
    bool healed;
    uint16_t next_port;
    struct sock_listener *listeners;
    struct pair *pairs;
    struct sockets_statistics statistics;
    uint64_t changes[HOSTS], changes_of_all;                 /* sockets_changes */
    uint64_t cuts[SOCKETS_CUT_HOSTS][SOCKETS_CUT_HOSTS];     /* until when nothing gets from one host to another */
    uint64_t refusals[SOCKETS_CUT_HOSTS][SOCKETS_CUT_HOSTS]; /* until when dials of one host are refused by another */
};

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

struct sockets *sockets_new(const struct sockets_options *options)
{
    struct sockets *s = memory_new(1, sizeof *s);
    invariant(options->window_bytes > 0);
    s->options = *options;
    s->dice = dice_new(options->seed, STREAM);
    s->faults = dice_new(options->seed, STREAM + 1);
    s->next_port = FIRST_PORT;
    return s;
}

void sockets_free(struct sockets *s)
{
    if (s == NULL)
        return;
    invariant(s->pairs == NULL && s->listeners == NULL);
    free(s);
}

uint64_t sockets_now(const struct sockets *s) { return s->now; }

void sockets_hear_time(struct sockets *s, uint64_t now) { s->now = later(s->now, now); }

uint64_t sockets_changes(const struct sockets *s, uint32_t host) { return s->changes[host] + s->changes_of_all; }

void sockets_note_change(struct sockets *s, uint32_t host) { s->changes[host]++; }

/* Something is different for both ends of a connection, or may be. */
static void note_change(const struct pair *p)
{
    p->sockets->changes[p->ends[0].host]++;
    p->sockets->changes[p->ends[1].host]++;
}

struct sockets_statistics sockets_statistics(const struct sockets *s) { return s->statistics; }

static uint64_t latency(struct sockets *s)
{
    return s->options.latency_us + dice_roll(&s->dice, s->options.latency_spread_us + 1);
}

uint64_t sockets_cut_until(const struct sockets *s, uint32_t from, uint32_t to)
{
    return from < SOCKETS_CUT_HOSTS && to < SOCKETS_CUT_HOSTS ? s->cuts[from][to] : 0;
}

/* When what is sent at `at` arrives. */
static uint64_t arrival(struct sockets *s, uint32_t from, uint32_t to, uint64_t at)
{
    return later(at, sockets_cut_until(s, from, to)) + latency(s);
}

static bool strikes(struct sockets *s, enum fault kind)
{
    if (s->healed || s->options.faults == NULL || !dice_chance(&s->faults, s->options.faults->rate[kind]))
        return false;
    fault_fired(s->options.faults, kind);
    return true;
}

/* How many of `len` bytes a call goes on with. */
static size_t part(struct sockets *s, size_t len)
{
    return len > 1 && dice_chance(&s->dice, s->options.pieces) ? (size_t)dice_range(&s->dice, 1, len) : len;
}

/* ---- Pairs ---- */

static struct pair *pair_new(struct sockets *s, uint32_t from, uint32_t to, uint16_t port)
{
    struct pair *p = memory_new(1, sizeof *p);
    invariant(from < HOSTS && to < HOSTS);
    p->sockets = s;
    for (size_t i = 0; i < 2; i++)
        p->ends[i] = (struct sock){.pair = p,
                                   .peer = &p->ends[1 - i],
                                   .host = i == 0 ? from : to,
                                   .port = i == 0 ? s->next_port : port,
                                   .in.end_at = never,
                                   .fails_at = never,
                                   .heard_at = s->now};
    s->next_port = s->next_port == UINT16_MAX ? FIRST_PORT : (uint16_t)(s->next_port + 1);
    p->next = s->pairs;
    if (s->pairs != NULL)
        s->pairs->previous = p;
    s->pairs = p;
    s->statistics.open += 2;
    note_change(p);
    return p;
}

static void inflow_clear(struct inflow *in)
{
    free(in->bytes);
    free(in->marks);
    *in = (struct inflow){.last_at = in->last_at, .end_at = in->end_at};
}

static void pair_release(struct pair *p)
{
    if (!p->ends[0].closed || !p->ends[1].closed)
        return;
    if (p->previous != NULL)
        p->previous->next = p->next;
    else
        p->sockets->pairs = p->next;
    if (p->next != NULL)
        p->next->previous = p->previous;
    free(p);
}

static void fail_at(struct sock *k, uint64_t at, int error)
{
    if (at >= k->fails_at)
        return;
    note_change(k->pair);
    k->fails_at = at;
    k->error = error;
}

/* The reset goes behind what is under way. */
static void reset_peer(struct sock *k)
{
    struct sock *peer = k->peer;
    struct sockets *s = k->pair->sockets;
    if (k->pair->lost)
        return;
    s->statistics.resets++;
    fail_at(peer, later(arrival(s, k->host, peer->host, s->now), peer->in.last_at + 1), -ECONNRESET);
}

static void closes(struct sock *k)
{
    struct pair *p = k->pair;
    invariant(!k->closed);
    note_change(p);
    k->closed = true;
    p->sockets->statistics.open--;
    inflow_clear(&k->in);
    pair_release(p);
}

/* ---- Hosts ---- */

static void lose(struct pair *p)
{
    p->lost = true;
    for (size_t i = 0; i < 2; i++) {
        struct sock *k = &p->ends[i];
        if (k->keepalive_us > 0)
            fail_at(k, later(k->heard_at + k->keepalive_us, p->sockets->now), -ETIMEDOUT);
    }
}

static bool is_cut(const struct pair *p)
{
    const uint32_t a = p->ends[0].host, b = p->ends[1].host;
    return later(sockets_cut_until(p->sockets, a, b), sockets_cut_until(p->sockets, b, a)) > p->sockets->now;
}

void sockets_heal(struct sockets *s)
{
    s->healed = true;
    s->changes_of_all++;
    for (struct pair *p = s->pairs; p != NULL; p = p->next)
        for (size_t i = 0; i < 2 && (p->lost || is_cut(p)); i++)
            fail_at(&p->ends[i], s->now + s->options.latency_us, -ETIMEDOUT);
    memset(s->cuts, 0, sizeof s->cuts);
    memset(s->refusals, 0, sizeof s->refusals);
}

void sockets_vanish(struct sockets *s, uint32_t host)
{
    for (struct pair *p = s->pairs; p != NULL; p = p->next)
        if (!p->lost && (p->ends[0].host == host || p->ends[1].host == host)) {
            lose(p);
            p->gone = host;
        }
}

void sockets_half_open(struct sockets *s, uint32_t from, uint32_t to)
{
    for (struct pair *p = s->pairs; p != NULL; p = p->next)
        if (!p->lost && p->ends[0].host == from && p->ends[1].host == to)
            lose(p);
}

void sockets_end(struct sockets *s, uint32_t from, uint32_t to)
{
    for (struct pair *p = s->pairs; p != NULL; p = p->next)
        if (!p->lost && p->refused == 0 && p->ends[0].host == from && p->ends[1].host == to)
            for (size_t i = 0; i < 2; i++)
                if (!p->ends[i].closed)
                    reset_peer(p->ends[i].peer);
}

void sockets_refuse(struct sockets *s, uint32_t from, uint32_t to, uint64_t until)
{
    invariant(from < SOCKETS_CUT_HOSTS && to < SOCKETS_CUT_HOSTS);
    s->refusals[from][to] = later(s->refusals[from][to], until);
}

static bool is_refused(const struct sockets *s, uint32_t from, uint32_t to)
{
    return from < SOCKETS_CUT_HOSTS && to < SOCKETS_CUT_HOSTS && s->refusals[from][to] > s->now;
}

static struct sock_listener *find_listener(const struct sockets *s, uint32_t host, uint16_t port)
{
    struct sock_listener *l = s->listeners;
    while (l != NULL && (l->host != host || l->port != port))
        l = l->next;
    return l;
}

/* ---- Listening ---- */

struct sock_listener *sockets_listen(struct sockets *s, uint32_t host, uint16_t port)
{
    if (find_listener(s, host, port) != NULL)
        return NULL;
    struct sock_listener *l = memory_new(1, sizeof *l);
    *l = (struct sock_listener){.sockets = s, .next = s->listeners, .host = host, .port = port};
    s->listeners = l;
    s->changes_of_all++;
    for (struct pair *p = s->pairs; p != NULL; p = p->next)
        p->back = p->back || p->gone == host;
    return l;
}

uint64_t sock_listener_ready_at(const struct sock_listener *l)
{
    return l->count > 0 ? later(l->waiting[0]->arrives_at, l->sockets->now) : never;
}

static struct pair *take_waiting(struct sock_listener *l)
{
    struct pair *p = l->waiting[0];
    note_change(p);
    memmove(l->waiting, l->waiting + 1, --l->count * sizeof(struct pair *));
    return p;
}

struct sock *sock_accept(struct sock_listener *l)
{
    return sock_listener_ready_at(l) <= l->sockets->now ? &take_waiting(l)->ends[1] : NULL;
}

void sock_listener_close(struct sock_listener *l)
{
    struct sock_listener **at = &l->sockets->listeners;
    while (l->count > 0)
        sock_abort(&take_waiting(l)->ends[1]);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    free(l->waiting);
    free(l);
}

static void wait_at(struct sock_listener *l, struct pair *p)
{
    size_t at = l->count;
    l->waiting = memory_reserve(l->waiting, &l->capacity, l->count + 1, sizeof(struct pair *));
    for (; at > 0 && l->waiting[at - 1]->arrives_at > p->arrives_at; at--)
        l->waiting[at] = l->waiting[at - 1];
    l->waiting[at] = p;
    l->count++;
}

/* ---- Connecting ---- */

struct sock *sockets_connect(struct sockets *s, uint32_t from, uint32_t to, uint16_t port)
{
    struct sock_listener *l = is_refused(s, from, to) ? NULL : find_listener(s, to, port);
    struct pair *p = pair_new(s, from, to, port);
    const bool swallowed = strikes(s, FAULT_HALF_OPEN);
    p->held = is_cut(p);
    p->arrives_at = arrival(s, from, to, p->held ? sockets_cut_until(s, to, from) : s->now);
    p->decided_at = arrival(s, to, from, p->arrives_at);
    s->statistics.connections++;
    if (l != NULL && !swallowed) {
        wait_at(l, p);
        return &p->ends[0];
    }
    p->refused = swallowed ? -ETIMEDOUT : -ECONNREFUSED;
    p->decided_at += swallowed ? UNREACHABLE_US : 0;
    s->statistics.refused++;
    closes(&p->ends[1]);
    return &p->ends[0];
}

uint64_t sock_connected_at(const struct sock *k) { return k->pair->decided_at; }

int sock_connected(const struct sock *k) { return k->pair->decided_at > k->pair->sockets->now ? -EAGAIN : k->pair->refused; }

/* ---- Reading ---- */

static size_t arrived(const struct sock *k)
{
    const struct inflow *in = &k->in;
    size_t i = in->mark_count;
    while (i > 0 && in->marks[i - 1].at > k->pair->sockets->now)
        i--;
    return i > 0 ? in->marks[i - 1].to : 0;
}

uint64_t sock_readable_at(const struct sock *k)
{
    const struct inflow *in = &k->in;
    uint64_t at = in->mark_count > 0 ? in->marks[0].at : in->end_at;
    at = sooner(at, k->fails_at);
    return at == never ? never : later(at, k->pair->sockets->now);
}

static void take_bytes(struct inflow *in, void *out, size_t len)
{
    size_t kept = 0;
    memcpy(out, in->bytes, len);
    in->len -= len;
    memmove(in->bytes, in->bytes + len, in->len);
    for (size_t i = 0; i < in->mark_count; i++)
        if (in->marks[i].to > len)
            in->marks[kept++] = (struct mark){in->marks[i].at, in->marks[i].to - len};
    in->mark_count = kept;
}

ptrdiff_t sock_read(struct sock *k, void *out, size_t size)
{
    struct sockets *s = k->pair->sockets;
    if (k->fails_at <= s->now) {
        note_change(k->pair);
        inflow_clear(&k->in);
        return k->error;
    }
    size_t len = arrived(k);
    if (len == 0)
        return k->in.mark_count == 0 && k->in.end_at <= s->now ? SOCK_END : -EAGAIN;
    len = part(s, len < size ? len : size);
    note_change(k->pair);
    take_bytes(&k->in, out, len);
    k->heard_at = s->now;
    if (k->peer->room_at == never)
        k->peer->room_at = arrival(s, k->host, k->peer->host, s->now);
    return (ptrdiff_t)len;
}

/* ---- Writing ---- */

uint64_t sock_writable_at(const struct sock *k)
{
    uint64_t at = sooner(k->room_at, k->fails_at);
    return at == never ? never : later(at, k->pair->sockets->now);
}

static void add_bytes(struct sock *k, const void *bytes, size_t len)
{
    struct sockets *s = k->pair->sockets;
    struct inflow *in = &k->peer->in;
    in->bytes = memory_reserve(in->bytes, &in->capacity, in->len + len, 1);
    memcpy(in->bytes + in->len, bytes, len);
    in->len += len;
    s->statistics.bytes += len;
    if (in->mark_count > 0 && in->wrote_at == s->now && in->marks[in->mark_count - 1].at > s->now) {
        in->marks[in->mark_count - 1].to = in->len;
        return;
    }
    const uint64_t delay = strikes(s, FAULT_DELAY) ? dice_range(&s->faults, 1, DELAY_MAX_US) : 0;
    in->last_at = later(in->last_at, arrival(s, k->host, k->peer->host, s->now) + delay);
    in->marks = memory_reserve(in->marks, &in->mark_capacity, in->mark_count + 1, sizeof *in->marks);
    in->marks[in->mark_count++] = (struct mark){in->last_at, in->len};
    in->wrote_at = s->now;
}

/* The connection ends in the middle of what is being written: its first bytes arrive, then both ends hear of a reset. */
static void break_off(struct sock *k)
{
    struct sockets *s = k->pair->sockets;
    s->statistics.resets++;
    k->broken = k->peer->broken = true;
    fail_at(k->peer, later(s->now, k->peer->in.last_at) + 1, -ECONNRESET);
    fail_at(k, s->now + latency(s), -ECONNRESET);
}

/* An end does not hear about what it has written. */
static void lose_patience(struct sock *k)
{
    const struct sockets *s = k->pair->sockets;
    if (s->options.patience_us > 0)
        fail_at(k, s->now + s->options.patience_us, -ETIMEDOUT);
}

/* Whether what is sent now, or that it has arrived, takes longer than the sender waits. */
static bool takes_too_long(const struct sock *k)
{
    const struct sockets *s = k->pair->sockets;
    const uint64_t until = later(sockets_cut_until(s, k->host, k->peer->host), sockets_cut_until(s, k->peer->host, k->host));
    return s->options.patience_us > 0 && until > s->now + s->options.patience_us;
}

/* The other end reads no more. */
static void write_in_vain(struct sock *k)
{
    struct sockets *s = k->pair->sockets;
    lose_patience(k);
    if (!k->pair->lost || (k->pair->back && k->pair->gone == k->peer->host))
        fail_at(k, s->now + latency(s) + latency(s), -ECONNRESET);
}

ptrdiff_t sock_write(struct sock *k, const void *bytes, size_t len)
{
    struct sockets *s = k->pair->sockets;
    struct inflow *to = &k->peer->in;
    if (k->fails_at <= s->now)
        return k->error;
    if (k->shut)
        return -EPIPE;
    note_change(k->pair);
    const size_t full = to->len + k->vanished;
    size_t room = full < s->options.window_bytes ? s->options.window_bytes - full : 0;
    if (k->room_at > s->now || len == 0)
        return len == 0 ? 0 : -EAGAIN;
    if (room == 0) {
        k->room_at = never;
        return -EAGAIN;
    }
    size_t taken = part(s, len < room ? len : room);
    if (taken < len)
        k->room_at = taken == room ? never : s->now + latency(s);
    if (strikes(s, FAULT_HALF_OPEN) || (takes_too_long(k) && sockets_cut_until(s, k->host, k->peer->host) > s->now))
        lose(k->pair);
    if (k->broken)
        return (ptrdiff_t)taken;
    if (k->peer->closed || k->pair->lost) {
        k->vanished += taken;
        write_in_vain(k);
        return (ptrdiff_t)taken;
    }
    const bool breaks = strikes(s, FAULT_RESET);
    const size_t arrives = breaks ? (size_t)dice_roll(&s->dice, taken + 1) : taken;
    if (arrives > 0)
        add_bytes(k, bytes, arrives);
    if (breaks)
        break_off(k);
    if (takes_too_long(k))
        lose_patience(k);
    return (ptrdiff_t)taken;
}

/* ---- Ends ---- */

void sock_shutdown(struct sock *k)
{
    struct sockets *s = k->pair->sockets;
    struct inflow *to = &k->peer->in;
    if (k->shut)
        return;
    k->shut = true;
    note_change(k->pair);
    if (k->pair->lost)
        return;
    to->last_at = later(to->last_at, arrival(s, k->host, k->peer->host, s->now));
    to->end_at = to->last_at;
}

/* It gives up a connection of which its peer has not heard, because of a cut: the peer never will. */
static void withdraw(struct sock *k)
{
    struct pair *p = k->pair;
    struct sock_listener *l = find_listener(p->sockets, k->peer->host, k->peer->port);
    if (!p->held || k != &p->ends[0] || p->arrives_at <= p->sockets->now || l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++) {
        if (l->waiting[i] != p)
            continue;
        memmove(l->waiting + i, l->waiting + i + 1, (--l->count - i) * sizeof(struct pair *));
        closes(&p->ends[1]);
        return;
    }
}

void sock_close(struct sock *k)
{
    withdraw(k);
    if (k->in.len > 0)
        reset_peer(k);
    else
        sock_shutdown(k);
    if (k->peer->room_at == never && !k->pair->lost) /* so that it hears of it */
        k->peer->room_at = k->pair->sockets->now;
    closes(k);
}

void sock_abort(struct sock *k)
{
    reset_peer(k);
    closes(k);
}

void sock_keepalive(struct sock *k, uint64_t after_us)
{
    k->keepalive_us = after_us;
    if (k->pair->lost && after_us > 0)
        fail_at(k, later(k->heard_at + after_us, k->pair->sockets->now), -ETIMEDOUT);
}

/* ---- Cuts ---- */

/* What `from` has sent to this end, and is under way, is held until then. */
static void hold(struct sock *k, uint64_t until)
{
    const uint64_t now = k->pair->sockets->now;
    struct inflow *in = &k->in;
    uint64_t *times[] = {&in->last_at, &in->end_at, &k->room_at};
    for (size_t i = 0; i < in->mark_count; i++)
        if (in->marks[i].at > now)
            in->marks[i].at = later(in->marks[i].at, until);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (*times[i] > now && *times[i] != never)
            *times[i] = later(*times[i], until);
    if (k->fails_at > now && k->fails_at != never && k->error == -ECONNRESET)
        k->fails_at = later(k->fails_at, until);
}

/* What has not arrived at this end never will. */
static void forget_under_way(struct sock *k)
{
    struct inflow *in = &k->in;
    size_t kept = 0;
    while (kept < in->mark_count && in->marks[kept].at <= k->pair->sockets->now)
        kept++;
    k->peer->vanished += in->len - (kept > 0 ? in->marks[kept - 1].to : 0);
    in->len = kept > 0 ? in->marks[kept - 1].to : 0;
    in->mark_count = kept;
    in->end_at = in->end_at > k->pair->sockets->now ? never : in->end_at;
}

static void cut_pair(struct pair *p, struct sock *to, uint64_t until)
{
    struct sockets *s = p->sockets;
    if (p->lost || to->closed)
        return;
    if (p->decided_at > s->now) {
        p->held = true;
        p->decided_at = later(p->decided_at, until);
        if (p->arrives_at > s->now)
            p->arrives_at = later(p->arrives_at, until);
        return;
    }
    if (s->options.patience_us > 0 && until > s->now + s->options.patience_us && to->in.last_at > s->now) {
        lose_patience(to->peer);
        forget_under_way(to);
        lose(p);
        return;
    }
    hold(to, until);
}

/* Those that wait have other times now. */
static void sort_waiting(struct sock_listener *l)
{
    const size_t count = l->count;
    for (l->count = 0; l->count < count;)
        wait_at(l, l->waiting[l->count]);
}

void sockets_cut(struct sockets *s, uint32_t from, uint32_t to, uint64_t until)
{
    invariant(from < SOCKETS_CUT_HOSTS && to < SOCKETS_CUT_HOSTS);
    if (until <= s->cuts[from][to])
        return;
    s->cuts[from][to] = until;
    s->changes_of_all++;
    for (struct pair *p = s->pairs, *next; p != NULL; p = next) {
        next = p->next;
        for (size_t i = 0; i < 2; i++)
            if (p->ends[i].host == to && p->ends[1 - i].host == from)
                cut_pair(p, &p->ends[i], until);
    }
    for (struct sock_listener *l = s->listeners; l != NULL; l = l->next)
        sort_waiting(l);
}

enum sock_peer sock_peer(const struct sock *k)
{
    const uint64_t now = k->pair->sockets->now;
    if (k->fails_at <= now)
        return SOCK_PEER_GONE;
    return k->in.end_at <= now ? SOCK_PEER_SENDS_NO_MORE : SOCK_PEER_THERE;
}

uint32_t sock_host(const struct sock *k) { return k->host; }
uint16_t sock_port(const struct sock *k) { return k->port; }
uint32_t sock_peer_host(const struct sock *k) { return k->peer->host; }
uint16_t sock_peer_port(const struct sock *k) { return k->peer->port; }
