/* One process of the load generator: one epoll, one read and one write a request, no allocation a request.
 *
 * A connection is in one of four states:
 *
 *   WAITING     closed, opens again when its pause is over
 *   CONNECTING
 *   OPEN        `sent` holds the requests that are outstanding, in order; `again` those that must be sent another time.
 *               Both together never exceed the pipeline. While `moving` or paused it sends nothing new.
 *   DONE        closed, no request left for it
 *
 * Answers are read into a buffer of the process; a connection has one of its own only while an answer is incomplete, or
 * while its socket has not taken all of a write. */
#include "client/load_worker.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

enum {
    ADDRESSES_MAX = 64,
    EVENTS_MAX = 128,
    READ_BYTES = 64 * 1024,
    PAUSE_MIN_US = 5000,
    PAUSE_MAX_US = 100000,
    TICK_MS = 100,       /* looks at time-outs and the stop flag */
    TICK_WAITING_MS = 5, /* the same, while a connection pauses */
    REFUSALS_BEFORE_ANOTHER = 8,
};

enum connection_state { STATE_WAITING, STATE_CONNECTING, STATE_OPEN, STATE_DONE };

struct request {
    uint64_t number;
    uint64_t first_sent_us;
};

struct connection {
    int fd; /* -1: none */
    uint8_t state;
    bool moving;  /* opens again, at `address`, when nothing is outstanding */
    bool closing; /* the server, or the mode, wants a new connection */
    uint32_t address;
    uint32_t refusals; /* since the last answer that counted */
    uint32_t sent_head, sent_count, again_count;
    struct request *sent;  /* a ring of `pipeline` */
    struct request *again; /* a stack of `pipeline` */
    uint64_t since_us;     /* the beginning of the connecting, or the last answer, or the first send after idling */
    uint64_t connected_us;
    uint64_t resume_us; /* end of the pause; 0: none */
    uint64_t pause_us;
    char *in; /* the beginning of an incomplete answer */
    size_t in_len, in_capacity;
    char *out; /* what the socket did not take */
    size_t out_at, out_len;
};

struct worker {
    const struct load_options *options;
    struct load_shared *shared;
    struct load_share *share;
    struct request_maker maker;
    int epoll;
    struct connection *connections;
    uint32_t count, active, paused;
    struct load_address addresses[ADDRESSES_MAX];
    struct load_target names[ADDRESSES_MAX];
    uint32_t address_count, preferred;
    bool exhausted; /* every request's number has been taken */
    uint64_t last_answer_us;
    char *in;          /* READ_BYTES */
    char *out;         /* a whole pipeline of requests */
    char trouble[192]; /* the last thing that went wrong */
};

uint64_t load_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool load_resolve(const char *host, uint16_t port, struct load_address *out, char *error, size_t error_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_size, "cannot look up %.200s: %s", host, gai_strerror(rc));
        return false;
    }
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    out->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* A counter with one writer needs no locked instruction. */
static void bump(atomic_uint_fast64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void note_trouble(struct worker *w, const struct connection *c, const char *what)
{
    const struct load_target *t = &w->names[c->address];
    snprintf(w->trouble, sizeof w->trouble, "%.80s port %u: %.80s", t->host, (unsigned)t->port, what);
}

static void give_up(struct worker *w, const char *why)
{
    if (w->share->problem[0] == '\0')
        snprintf(w->share->problem, sizeof w->share->problem, "%s", why);
}

/* ---- Pauses ---- */

static void pause_connection(struct worker *w, struct connection *c)
{
    if (c->resume_us == 0)
        w->paused++;
    c->pause_us = c->pause_us == 0 ? PAUSE_MIN_US : c->pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : c->pause_us * 2;
    c->resume_us = load_now_us() + c->pause_us;
}

static void end_pause(struct worker *w, struct connection *c)
{
    if (c->resume_us != 0)
        w->paused--;
    c->resume_us = 0;
}

/* ---- Requests ---- */

/* The next request for this connection: one to be sent again, else a new one. False: there is none. */
static bool take_request(struct worker *w, struct connection *c, uint64_t now, struct request *out)
{
    if (c->again_count > 0) {
        *out = c->again[--c->again_count];
        return true;
    }
    if (w->exhausted)
        return false;
    out->number = atomic_fetch_add_explicit(&w->shared->next, 1, memory_order_relaxed);
    out->first_sent_us = now;
    w->exhausted = out->number >= w->options->requests;
    return !w->exhausted;
}

static struct request pop_sent(const struct worker *w, struct connection *c)
{
    struct request r = c->sent[c->sent_head];
    c->sent_head = c->sent_head + 1 == w->options->pipeline ? 0 : c->sent_head + 1;
    c->sent_count--;
    return r;
}

static void push_sent(const struct worker *w, struct connection *c, struct request r)
{
    uint32_t at = c->sent_head + c->sent_count++;
    c->sent[at >= w->options->pipeline ? at - w->options->pipeline : at] = r;
}

/* Nobody can tell whether this one was executed. */
static void request_unknown(struct worker *w, struct connection *c, struct request r)
{
    if (w->options->resend) {
        bump(&w->share->retried);
        c->again[c->again_count++] = r;
    } else {
        bump(&w->share->unknown);
    }
}

/* ---- Opening and closing ---- */

static void connection_close(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd); /* leaves the epoll by that */
    c->fd = -1;
    c->moving = c->closing = false;
    c->in_len = c->out_at = c->out_len = 0;
}

static void connection_done(struct worker *w, struct connection *c)
{
    connection_close(c);
    end_pause(w, c);
    c->state = STATE_DONE;
    w->active--;
}

/* Closes after a failure; what was outstanding is of unknown outcome. Tries again after a pause: where the leader was
 * last seen, or if that was here, at the next address. */
static void connection_lost(struct worker *w, struct connection *c, const char *why)
{
    note_trouble(w, c, why);
    while (c->sent_count > 0)
        request_unknown(w, c, pop_sent(w, c));
    connection_close(c);
    c->address = c->address != w->preferred ? w->preferred : (c->address + 1) % w->address_count;
    c->state = STATE_WAITING;
    pause_connection(w, c);
}

static void watch(struct worker *w, struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(w->epoll, operation, c->fd, &event) != 0)
        give_up(w, "epoll_ctl failed");
}

/* Sends what fits; the rest waits for the socket. False: the connection is lost. */
static bool connection_send(struct worker *w, struct connection *c, const char *bytes, size_t size)
{
    ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        connection_lost(w, c, strerror(errno));
        return false;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    if (taken == size)
        return true;
    if (c->out == NULL)
        c->out = memory_new(w->options->pipeline, w->maker.size_max);
    memcpy(c->out, bytes + taken, size - taken);
    c->out_at = 0;
    c->out_len = size - taken;
    watch(w, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return true;
}

/* Fills the pipeline with one write; a connection with nothing left to do is done. */
static void connection_fill(struct worker *w, struct connection *c)
{
    if (c->out_len > 0 || c->moving || c->closing || c->resume_us != 0)
        return;
    size_t size = 0;
    uint64_t now = load_now_us();
    struct request r;
    bool was_idle = c->sent_count == 0;
    while (c->sent_count < w->options->pipeline && take_request(w, c, now, &r)) {
        size += request_make(&w->maker, r.number, w->out + size);
        push_sent(w, c, r);
    }
    if (c->sent_count == 0) {
        connection_done(w, c);
        return;
    }
    if (was_idle)
        c->since_us = now;
    if (w->share->first_sent_us == 0)
        w->share->first_sent_us = now;
    if (size > 0)
        connection_send(w, c, w->out, size);
}

static void connection_opened(struct worker *w, struct connection *c)
{
    c->state = STATE_OPEN;
    c->connected_us = load_now_us();
    connection_fill(w, c);
}

/* Starts connecting. In mode oneshot the request is taken now, since its latency includes the connecting. */
static void connection_open(struct worker *w, struct connection *c)
{
    uint64_t now = load_now_us();
    if (w->options->oneshot && c->again_count == 0) {
        struct request r;
        if (!take_request(w, c, now, &r)) {
            connection_done(w, c);
            return;
        }
        c->again[c->again_count++] = r;
    }
    const struct load_address *address = &w->addresses[c->address];
    int one = 1;
    c->since_us = now;
    c->state = STATE_CONNECTING;
    c->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        connection_lost(w, c, strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int rc = connect(c->fd, (const struct sockaddr *)&address->address, address->size);
    if (rc != 0 && errno != EINPROGRESS) {
        connection_lost(w, c, strerror(errno));
        return;
    }
    watch(w, c, EPOLL_CTL_ADD, rc == 0 ? EPOLLIN : EPOLLOUT);
    if (rc == 0)
        connection_opened(w, c);
}

static void connection_reopen(struct worker *w, struct connection *c)
{
    connection_close(c);
    c->state = STATE_WAITING;
    if (c->resume_us == 0)
        connection_open(w, c);
}

/* ---- Answers ---- */

/* The index of host:port among the addresses, looked up and added when it is new. False: it is none. */
static bool find_address(struct worker *w, const char *text, size_t len, uint32_t *index)
{
    const char *colon = memrchr(text, ':', len);
    struct load_target t = {0};
    if (colon == NULL)
        return false;
    size_t host_len = (size_t)(colon - text);
    if (host_len >= 2 && text[0] == '[' && colon[-1] == ']') { /* IPv6 */
        text++;
        host_len -= 2;
    }
    unsigned long port = strtoul(colon + 1, NULL, 10); /* the bytes end with \r\n, so it stops in time */
    if (host_len == 0 || host_len >= sizeof t.host || port == 0 || port > UINT16_MAX)
        return false;
    memcpy(t.host, text, host_len);
    t.port = (uint16_t)port;
    for (uint32_t i = 0; i < w->address_count; i++) {
        if (w->names[i].port == t.port && strcmp(w->names[i].host, t.host) == 0) {
            *index = i;
            return true;
        }
    }
    if (w->address_count == ADDRESSES_MAX ||
        !load_resolve(t.host, t.port, &w->addresses[w->address_count], w->trouble, sizeof w->trouble))
        return false;
    w->names[w->address_count] = t;
    *index = w->address_count++;
    return true;
}

static void answered(struct worker *w, struct connection *c, struct request r, uint64_t now)
{
    struct load_share *share = w->share;
    histogram_record(&share->latency, now - r.first_sent_us);
    bump(&share->answered);
    c->refusals = 0;
    c->pause_us = 0;
    uint64_t mark = atomic_load_explicit(&w->shared->mark_us, memory_order_relaxed);
    if (mark != 0 && share->recovered_us == 0 && c->connected_us > mark)
        share->recovered_us = now;
}

static void not_executed(struct worker *w, struct connection *c, struct request r, const struct answer *answer)
{
    c->again[c->again_count++] = r;
    c->refusals++;
    uint32_t to = c->address;
    if (answer->kind == ANSWER_MOVED) {
        bump(&w->share->moved);
        if (find_address(w, answer->text, answer->text_len, &to))
            w->preferred = to;
        c->moving = true;
        c->address = to;
    } else {
        bump(&w->share->retried);
        if (c->refusals % REFUSALS_BEFORE_ANOTHER == 0) {
            c->moving = true;
            c->address = (c->address + 1) % w->address_count;
        }
    }
    /* Two nodes may name each other for a while: only the first hop goes without a pause. */
    if (answer->kind != ANSWER_MOVED || c->refusals > 2)
        pause_connection(w, c);
}

static void handle_answer(struct worker *w, struct connection *c, const struct answer *answer, uint64_t now)
{
    struct request r = pop_sent(w, c);
    c->since_us = now;
    c->closing = answer->closes || w->options->oneshot;
    if (answer->kind == ANSWER_MOVED || answer->kind == ANSWER_BUSY) {
        not_executed(w, c, r, answer);
        return;
    }
    w->last_answer_us = w->share->last_answer_us = now;
    if (answer->kind == ANSWER_OK) {
        answered(w, c, r, now);
    } else if (answer->kind == ANSWER_UNKNOWN) {
        request_unknown(w, c, r);
    } else {
        bump(&w->share->errors);
        if (w->share->first_error[0] == '\0')
            snprintf(w->share->first_error, sizeof w->share->first_error, "%.*s", (int)answer->text_len, answer->text);
    }
}

/* Handles all complete answers in `bytes`; keeps what is left. False: not the protocol's bytes. */
static bool handle_bytes(struct worker *w, struct connection *c, const char *bytes, size_t len)
{
    size_t at = 0;
    uint64_t now = load_now_us();
    while (at < len) {
        struct answer answer;
        ptrdiff_t size = answer_read(w->options->protocol, bytes + at, len - at, &answer);
        if (size < 0 || (size > 0 && c->sent_count == 0))
            return false;
        if (size == 0)
            break;
        handle_answer(w, c, &answer, now);
        at += (size_t)size;
    }
    c->in_len = len - at;
    if (c->in_len > 0) {
        c->in = memory_reserve(c->in, &c->in_capacity, c->in_len, 1);
        memmove(c->in, bytes + at, c->in_len);
    }
    return true;
}

static void connection_readable(struct worker *w, struct connection *c)
{
    char *buffer = w->in;
    size_t have = c->in_len;
    if (have > 0) {
        c->in = memory_reserve(c->in, &c->in_capacity, have + READ_BYTES, 1);
        buffer = c->in;
    }
    ssize_t n = recv(c->fd, buffer + have, READ_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        connection_lost(w, c, n == 0 ? "connection closed by the server" : strerror(errno));
        return;
    }
    if (!handle_bytes(w, c, buffer, have + (size_t)n)) {
        char why[sizeof w->trouble + 32];
        note_trouble(w, c, "not an answer of this protocol");
        snprintf(why, sizeof why, "%s", w->trouble);
        give_up(w, why);
        return;
    }
    if ((c->moving || c->closing) && c->sent_count == 0)
        connection_reopen(w, c);
    else
        connection_fill(w, c);
}

/* ---- The loop ---- */

static void connection_event(struct worker *w, struct connection *c, uint32_t events)
{
    if (c->state == STATE_CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            connection_lost(w, c, strerror(error));
            return;
        }
        watch(w, c, EPOLL_CTL_MOD, EPOLLIN);
        connection_opened(w, c);
        return;
    }
    if (c->state == STATE_OPEN && (events & EPOLLOUT) != 0 && c->out_len > 0) {
        size_t at = c->out_at;
        ssize_t n = send(c->fd, c->out + at, c->out_len, MSG_NOSIGNAL);
        if (n > 0) {
            c->out_at += (size_t)n;
            c->out_len -= (size_t)n;
        }
        if (c->out_len == 0) {
            watch(w, c, EPOLL_CTL_MOD, EPOLLIN);
            connection_fill(w, c);
        }
    }
    if (c->state == STATE_OPEN && (events & ~(uint32_t)EPOLLOUT) != 0)
        connection_readable(w, c);
}

/* Pauses that are over, answers that do not come. */
static void tick_connection(struct worker *w, struct connection *c, uint64_t now)
{
    uint64_t timeout = (uint64_t)w->options->request_timeout_ms * 1000;
    bool idle = c->sent_count == 0 && c->again_count == 0;
    if (c->state == STATE_DONE)
        return;
    if (idle && w->exhausted) {
        connection_done(w, c);
    } else if (c->resume_us != 0 && now >= c->resume_us) {
        end_pause(w, c);
        if (c->state == STATE_WAITING)
            connection_open(w, c);
        else if (c->state == STATE_OPEN)
            connection_fill(w, c);
    } else if (c->state == STATE_CONNECTING && now > c->since_us + timeout) {
        connection_lost(w, c, "cannot connect: no answer in time");
    } else if (c->state == STATE_OPEN && c->sent_count > 0 && now > c->since_us + timeout) {
        connection_lost(w, c, "no answer in time");
    }
}

static void tick(struct worker *w, uint64_t now)
{
    for (uint32_t i = 0; i < w->count; i++)
        tick_connection(w, &w->connections[i], now);
    if (now > w->last_answer_us + (uint64_t)w->options->stall_timeout_ms * 1000) {
        char why[sizeof w->trouble + 64];
        snprintf(why, sizeof why, "no answer for %u ms%s%s", (unsigned)w->options->stall_timeout_ms,
                 w->trouble[0] != '\0' ? "; " : "", w->trouble);
        give_up(w, why);
    }
}

static void loop(struct worker *w)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t next_tick = 0;
    while (w->active > 0 && w->share->problem[0] == '\0' && !atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
        int n = epoll_wait(w->epoll, events, EVENTS_MAX, w->paused > 0 ? TICK_WAITING_MS : TICK_MS);
        for (int i = 0; i < n; i++)
            connection_event(w, events[i].data.ptr, events[i].events);
        uint64_t now = load_now_us();
        if (now >= next_tick) {
            tick(w, now);
            next_tick = now + (w->paused > 0 ? UINT64_C(1000) * TICK_WAITING_MS : UINT64_C(1000) * TICK_MS);
        }
    }
}

static void close_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct connection *c = &w->connections[i];
        connection_close(c);
        free(c->sent);
        free(c->again);
        free(c->in);
        free(c->out);
    }
    free(w->connections);
    free(w->in);
    free(w->out);
    close(w->epoll);
    request_maker_close(&w->maker);
}

static void open_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct connection *c = &w->connections[i];
        c->fd = -1;
        c->sent = memory_new(w->options->pipeline, sizeof *c->sent);
        c->again = memory_new(w->options->pipeline, sizeof *c->again);
        w->active++;
        connection_open(w, c);
    }
}

void load_worker_run(const struct load_options *options, const struct load_address *addresses, size_t address_count,
                     uint32_t connections, struct load_shared *shared, struct load_share *share)
{
    struct worker *w = memory_new(1, sizeof *w);
    w->options = options;
    w->shared = shared;
    w->share = share;
    w->address_count = (uint32_t)(address_count < ADDRESSES_MAX ? address_count : ADDRESSES_MAX);
    memcpy(w->addresses, addresses, w->address_count * sizeof *addresses);
    memcpy(w->names, options->targets, w->address_count * sizeof *options->targets);
    w->count = connections;
    w->connections = memory_new(connections, sizeof *w->connections);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->in = memory_new(1, READ_BYTES);
    w->last_answer_us = load_now_us();
    if (w->epoll < 0 ||
        !request_maker_init(&w->maker, options->protocol, options->command, options->value_size, options->keyspace)) {
        give_up(w, "cannot prepare the requests: out of memory, or a command that the protocol does not have");
    } else {
        w->out = memory_new(options->pipeline, w->maker.size_max);
        open_all(w);
        loop(w);
    }
    close_all(w);
    free(w);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    share->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    share->finished = true;
}
