/* One process of the load generator: no allocation a request, and one read and one write of a socket.
 *
 * A connection is in one of four states:
 *
 *   WAITING     closed, opens again when its pause is over
 *   CONNECTING
 *   OPEN        `sent` holds the requests that are outstanding, in order; `again` those that must be sent another time.
 *               Both together never exceed the pipeline. While `moving`, `blocked` or paused it sends nothing new.
 *               Over RESP its first request asks about the cluster, as clients do that follow -MOVED: so a node that does
 *               not lead sends it to the leader, and passes nothing on. The answer to that may be any, and counts as none.
 *               Where requests are in sessions, and it has none, it opens one first, and sends nothing until it has its id.
 *               When no request is left, it closes its session, once, so that it takes no room from others.
 *   DONE        closed, no request left for it
 *
 * It makes no system call and knows no format: sockets are those of load/load_sockets.h, bytes those of load/protocol.h,
 * and both have a second life, so that the client component is this same file (components/paxos-client). */
#include "load/load_worker.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"
#include "load/session_numbers.h"

enum {
    ADDRESSES_MAX = 64,
    PAUSE_MIN_US = 5000,
    PAUSE_MAX_US = 100000,
    TICK_MS = 100,       /* between checks of time-outs and the stop flag */
    TICK_WAITING_MS = 5, /* the same, while a connection pauses */
    REFUSALS_BEFORE_ANOTHER = 8,
    SESSION_WINDOWS = 8, /* pipelines in the window of a session */
    OWN_BYTES_MAX = 64,  /* of the greeting, and of what opens or closes a session */
};

/* Who knows clusters is sent to the leader; or is answered where it asks. */
static const struct {
    char text[16];
    size_t len;
} greetings[] = {{"CLUSTER MYID\r\n", 14}, {"READONLY\r\n", 10}};

enum connection_state { STATE_WAITING, STATE_CONNECTING, STATE_OPEN, STATE_DONE };

struct request {
    struct request_id id;
    uint64_t first_sent_us;
};

/* A connection's session. It stays when another connection takes the place of this one. */
struct session {
    uint64_t id;    /* 0: there is none yet */
    bool forgotten; /* takes no new requests; another one takes its place when the last of them was answered */
    struct session_numbers numbers;
};

struct connection {
    uint8_t state;
    bool moving;  /* opens again, at `address`, when nothing is outstanding */
    bool closing; /* the server, or the mode, wants a new connection */
    bool blocked; /* the socket has not taken all of the last requests */
    bool greets;  /* the next request is the first one */
    bool greeted; /* the next answer is the one to the greeting */
    bool asks;    /* for a session; nothing else is outstanding */
    bool ends;    /* its session; nothing else is outstanding */
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
    struct session session;
};

struct load_worker {
    const struct load_options *options;
    struct load_shared *shared;
    struct load_share *share;
    struct request_maker maker;
    struct load_sockets *sockets;
    struct connection *connections;
    uint32_t count, active, paused;
    struct load_address addresses[ADDRESSES_MAX];
    struct load_target names[ADDRESSES_MAX];
    uint32_t address_count, preferred;
    bool exhausted; /* every request's number has been taken */
    uint64_t last_answer_us;
    struct request_id *requests; /* a whole pipeline of them... */
    char *out;                   /* ... and their bytes */
    struct answer_list answers;
    char trouble[192]; /* the last thing that went wrong */
};

/* Joins texts, cut at `size`; NULL ends them. (Formatted output would bring files into the sandbox.) */
static void say(char *out, size_t size, ...)
{
    size_t used = 0;
    va_list texts;
    va_start(texts, size);
    for (const char *text = va_arg(texts, const char *); text != NULL; text = va_arg(texts, const char *)) {
        size_t len = strlen(text);
        len = len < size - 1 - used ? len : size - 1 - used;
        memcpy(out + used, text, len);
        used += len;
    }
    va_end(texts);
    out[used] = '\0';
}

static const char *decimal(uint64_t number, char out[DECIMAL_MAX + 1])
{
    out[decimal_write_unsigned(number, (uint8_t *)out)] = '\0';
    return out;
}

/* A counter with one writer needs no locked instruction. */
static void bump(atomic_uint_fast64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void note_trouble(struct load_worker *w, const struct connection *c, const char *what)
{
    const struct load_target *t = &w->names[c->address];
    char port[DECIMAL_MAX + 1];
    say(w->trouble, sizeof w->trouble, t->host, " port ", decimal(t->port, port), ": ", what, NULL);
}

static void give_up(struct load_worker *w, const char *why)
{
    if (w->share->problem[0] == '\0')
        say(w->share->problem, sizeof w->share->problem, why, NULL);
}

/* ---- Pauses ---- */

static void pause_connection(struct load_worker *w, struct connection *c)
{
    if (c->resume_us == 0)
        w->paused++;
    c->pause_us = c->pause_us == 0 ? PAUSE_MIN_US : c->pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : c->pause_us * 2;
    c->resume_us = load_now_us() + c->pause_us;
}

static void end_pause(struct load_worker *w, struct connection *c)
{
    if (c->resume_us != 0)
        w->paused--;
    c->resume_us = 0;
}

/* ---- Sessions ---- */

/* What a place takes in which a reply to these requests is kept. */
static uint64_t place_bytes(const struct load_options *o)
{
    const bool reads = o->command == COMMAND_GET || o->command == COMMAND_MIXED;
    return SESSION_PLACE_BYTES + (reads ? SESSION_LONG_REPLY_BYTES + o->value_size + o->value_size / 8 : 0);
}

uint32_t load_session_window(const struct load_options *o)
{
    const uint64_t each = SESSIONS_BYTES_MAX / o->connections;
    const uint64_t fit = each > SESSION_BYTES ? (each - SESSION_BYTES) / place_bytes(o) : 0;
    const uint64_t most = fit < SESSION_WINDOW_MAX ? fit : SESSION_WINDOW_MAX,
                   wanted = (uint64_t)o->pipeline * SESSION_WINDOWS;
    if (o->pipeline > most)
        return 0;
    return (uint32_t)(wanted < most ? wanted : most);
}

static void session_begin(const struct load_worker *w, struct connection *c)
{
    c->session = (struct session){.id = 0};
    session_numbers_init(&c->session.numbers, load_session_window(w->options));
}

/* Whether a new request has a place in the session. */
static bool session_has_room(const struct load_worker *w, const struct connection *c)
{
    return !w->options->sessions || (!c->session.forgotten && session_numbers_left(&c->session.numbers));
}

/* This request will not be sent again. */
static void session_answered(const struct load_worker *w, struct connection *c, const struct request *r)
{
    if (!w->options->sessions)
        return;
    session_numbers_answered(&c->session.numbers, r->id.session_number);
    if (c->session.forgotten && c->sent_count + c->again_count == 0)
        session_begin(w, c);
}

/* ---- Requests ---- */

/* The next request for this connection: one that must be sent again, otherwise a new one. False: there is none. */
static bool take_request(struct load_worker *w, struct connection *c, uint64_t now, struct request *out)
{
    if (c->again_count > 0) {
        *out = c->again[--c->again_count];
        return true;
    }
    if (w->exhausted || !session_has_room(w, c))
        return false;
    *out = (struct request){.id.number = atomic_fetch_add_explicit(&w->shared->next, 1, memory_order_relaxed),
                            .first_sent_us = now};
    w->exhausted = out->id.number >= w->options->requests;
    if (!w->exhausted && w->options->sessions)
        out->id.session_number = session_numbers_give(&c->session.numbers);
    return !w->exhausted;
}

static struct request pop_sent(const struct load_worker *w, struct connection *c)
{
    struct request r = c->sent[c->sent_head];
    c->sent_head = c->sent_head + 1 == w->options->pipeline ? 0 : c->sent_head + 1;
    c->sent_count--;
    return r;
}

static void push_sent(const struct load_worker *w, struct connection *c, struct request r)
{
    uint32_t at = c->sent_head + c->sent_count++;
    c->sent[at >= w->options->pipeline ? at - w->options->pipeline : at] = r;
}

/* It is unknown whether this one was executed. */
static void request_unknown(struct load_worker *w, struct connection *c, struct request r)
{
    if (w->options->resend || w->options->sessions) {
        bump(&w->share->retried);
        c->again[c->again_count++] = r;
    } else {
        bump(&w->share->unknown);
    }
}

/* ---- Opening and closing ---- */

static uint32_t number_of(const struct load_worker *w, const struct connection *c) { return (uint32_t)(c - w->connections); }

static void connection_close(struct load_worker *w, struct connection *c)
{
    load_sockets_close(w->sockets, number_of(w, c));
    c->moving = c->closing = c->blocked = c->greets = c->greeted = c->asks = c->ends = false;
    c->in_len = 0;
}

static void connection_done(struct load_worker *w, struct connection *c)
{
    connection_close(w, c);
    end_pause(w, c);
    c->state = STATE_DONE;
    w->active--;
}

/* Closes after a failure; the outcome of what was outstanding is unknown. Tries again after a pause: where the leader was
 * last seen, or, if that was here, at the next address. */
static void connection_lost(struct load_worker *w, struct connection *c, const char *why)
{
    note_trouble(w, c, why);
    while (c->sent_count > 0)
        request_unknown(w, c, pop_sent(w, c));
    connection_close(w, c);
    c->address = c->address != w->preferred ? w->preferred : (c->address + 1) % w->address_count;
    c->state = STATE_WAITING;
    pause_connection(w, c);
}

/* Puts the greeting before the first requests of a connection. Returns its size. */
static size_t greet(struct load_worker *w, struct connection *c)
{
    if (!c->greets)
        return 0;
    c->greets = false;
    c->greeted = true;
    const size_t len = greetings[w->options->readonly].len;
    memcpy(w->out, greetings[w->options->readonly].text, len);
    return len;
}

/* Sends the first `size` bytes of `out`. */
static void connection_send(struct load_worker *w, struct connection *c, size_t size)
{
    const char *why;
    enum load_socket_result sent = load_sockets_send(w->sockets, number_of(w, c), w->out, size, &why);
    c->blocked = sent == SOCKET_LATER;
    if (sent == SOCKET_FAILED)
        connection_lost(w, c, why);
}

/* No request is left for this connection. */
static void connection_finish(struct load_worker *w, struct connection *c)
{
    if (c->state != STATE_OPEN || c->session.id == 0) {
        connection_done(w, c);
        return;
    }
    c->ends = true;
    c->since_us = load_now_us();
    size_t size = greet(w, c);
    size += decimal_between(w->out + size, OWN_BYTES_MAX - size, "SESSION CLOSE ", c->session.id, "\r\n");
    connection_send(w, c, size);
}

static void ask_for_session(struct load_worker *w, struct connection *c)
{
    if (w->exhausted && c->again_count == 0) {
        connection_done(w, c);
        return;
    }
    c->asks = true;
    c->since_us = load_now_us();
    size_t size = greet(w, c);
    size += decimal_between(w->out + size, OWN_BYTES_MAX - size, "SESSION OPEN ", load_session_window(w->options), "\r\n");
    connection_send(w, c, size);
}

/* Fills the pipeline with one write; a connection with nothing left to do is done. */
static void connection_fill(struct load_worker *w, struct connection *c)
{
    if (c->blocked || c->moving || c->closing || c->resume_us != 0 || c->asks || c->ends)
        return;
    if (w->options->sessions && c->session.id == 0) {
        ask_for_session(w, c);
        return;
    }
    size_t count = 0;
    uint64_t now = load_now_us();
    struct request r;
    bool was_idle = c->sent_count == 0;
    while (c->sent_count < w->options->pipeline && take_request(w, c, now, &r)) {
        r.id.session = c->session.id;
        w->requests[count++] = r.id;
        push_sent(w, c, r);
    }
    if (c->sent_count == 0) {
        connection_finish(w, c);
        return;
    }
    if (count == 0)
        return;
    if (was_idle)
        c->since_us = now;
    if (w->share->first_sent_us == 0)
        w->share->first_sent_us = now;
    size_t size = greet(w, c);
    size += requests_make(&w->maker, w->requests, count, w->out + size);
    connection_send(w, c, size);
}

static void connection_opened(struct load_worker *w, struct connection *c)
{
    c->state = STATE_OPEN;
    c->greets = w->options->protocol == PROTOCOL_RESP;
    c->connected_us = load_now_us();
    connection_fill(w, c);
}

/* Starts connecting. In mode oneshot the request is taken now, because its latency includes connecting. */
static void connection_open(struct load_worker *w, struct connection *c)
{
    uint64_t now = load_now_us();
    if (w->options->oneshot && c->again_count == 0) {
        struct request r;
        if (take_request(w, c, now, &r)) {
            c->again[c->again_count++] = r;
        } else if (c->session.id == 0) {
            connection_done(w, c);
            return;
        }
    }
    const char *why;
    c->since_us = now;
    c->state = STATE_CONNECTING;
    enum load_socket_result opened = load_sockets_connect(w->sockets, number_of(w, c), &w->addresses[c->address], &why);
    if (opened == SOCKET_DONE)
        connection_opened(w, c);
    else if (opened == SOCKET_FAILED)
        connection_lost(w, c, why);
}

static void connection_reopen(struct load_worker *w, struct connection *c)
{
    connection_close(w, c);
    c->state = STATE_WAITING;
    if (c->resume_us == 0)
        connection_open(w, c);
}

/* ---- Answers ---- */

/* The index of host:port among the addresses; looked up and added when it is new. False: it is not an address. */
static bool find_address(struct load_worker *w, const char *text, size_t len, uint32_t *index)
{
    struct load_target t = {0};
    uint64_t port;
    size_t host_len = len;
    while (host_len > 0 && text[host_len - 1] != ':')
        host_len--;
    if (host_len == 0 || !decimal_read_unsigned((const uint8_t *)text + host_len, len - host_len, &port) || port == 0 ||
        port > UINT16_MAX)
        return false;
    host_len--;                                                         /* the colon */
    if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') { /* IPv6 */
        text++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= sizeof t.host)
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

static void answered(struct load_worker *w, struct connection *c, struct request r, uint64_t now)
{
    struct load_share *share = w->share;
    histogram_record(&share->latency, now - r.first_sent_us);
    bump(&share->answered);
    c->refusals = 0;
    c->pause_us = 0;
    uint64_t mark = atomic_load_explicit(&w->shared->mark_us, memory_order_relaxed);
    if (mark != atomic_load_explicit(&share->recovered_mark, memory_order_relaxed) && c->connected_us > mark) {
        atomic_store_explicit(&share->recovered_us, now, memory_order_relaxed);
        atomic_store_explicit(&share->recovered_mark, mark, memory_order_release);
    }
}

/* The node does not do it now: this connection goes elsewhere, or waits. */
static void refused(struct load_worker *w, struct connection *c, const struct answer *answer)
{
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
    /* Two nodes may name each other for a while, so only the first hop goes without a pause. */
    if (answer->kind != ANSWER_MOVED || c->refusals > 2)
        pause_connection(w, c);
}

/* What an answer says, as a text, cut at `size`. */
static void text_of(const struct answer *answer, char *out, size_t size)
{
    const size_t len = answer->text_len < size - 1 ? answer->text_len : size - 1;
    if (len > 0)
        memcpy(out, answer->text, len);
    out[len] = '\0';
}

/* The answer to SESSION OPEN. */
static void session_opened(struct load_worker *w, struct connection *c, const struct answer *answer)
{
    char text[128], said[sizeof text + 32];
    c->asks = false;
    c->since_us = load_now_us();
    c->closing = answer->closes;
    if (answer->kind == ANSWER_MOVED || answer->kind == ANSWER_BUSY || answer->kind == ANSWER_UNKNOWN) {
        refused(w, c, answer);
    } else if (answer->kind != ANSWER_OK ||
               !decimal_read_unsigned((const uint8_t *)answer->text, answer->text_len, &c->session.id) ||
               c->session.id == 0) {
        text_of(answer, text, sizeof text);
        say(said, sizeof said, "SESSION OPEN gives ", text[0] != '\0' ? text : "no number", NULL);
        note_trouble(w, c, said);
        give_up(w, w->trouble);
    }
}

static void note_error(struct load_worker *w, const struct answer *answer)
{
    if (w->share->first_error[0] == '\0')
        text_of(answer, w->share->first_error, sizeof w->share->first_error);
}

static atomic_uint_fast64_t *error_counter(struct load_share *share, uint8_t kind)
{
    switch (kind) {
    case ANSWER_NO_SESSION:
        return &share->no_session;
    case ANSWER_SESSION_PASSED:
        return &share->session_passed;
    case ANSWER_SESSION_REPLY:
        return &share->session_reply;
    default:
        return &share->errors;
    }
}

static void handle_answer(struct load_worker *w, struct connection *c, const struct answer *answer, uint64_t now)
{
    struct request r = pop_sent(w, c);
    c->since_us = now;
    c->closing = answer->closes || w->options->oneshot;
    if (answer->kind == ANSWER_MOVED || answer->kind == ANSWER_BUSY) {
        c->again[c->again_count++] = r;
        refused(w, c, answer);
        return;
    }
    w->last_answer_us = w->share->last_answer_us = now;
    if (answer->kind == ANSWER_UNKNOWN) {
        request_unknown(w, c, r);
        return;
    }
    if (answer->kind == ANSWER_OK) {
        answered(w, c, r, now);
    } else {
        bump(error_counter(w->share, answer->kind));
        note_error(w, answer);
        c->session.forgotten |= answer->kind == ANSWER_NO_SESSION;
    }
    session_answered(w, c, &r);
}

/* Handles all complete answers in `bytes`; keeps the rest. False: the bytes are not the protocol's. */
static bool handle_bytes(struct load_worker *w, struct connection *c, const char *bytes, size_t len)
{
    uint64_t now = load_now_us();
    ptrdiff_t used = answers_read(w->options->protocol, bytes, len, &w->answers);
    size_t at = 0;
    if (used < 0 || w->answers.len > c->sent_count + c->greeted + c->asks + c->ends)
        return false;
    if (c->greeted && at < w->answers.len) {
        c->greeted = false;
        at++;
    }
    if (c->asks && at < w->answers.len)
        session_opened(w, c, &w->answers.ptr[at++]);
    if (c->ends && at < w->answers.len) { /* whatever it says */
        connection_done(w, c);
        return true;
    }
    for (; at < w->answers.len; at++)
        handle_answer(w, c, &w->answers.ptr[at], now);
    c->in_len = len - (size_t)used;
    if (c->in_len > 0) {
        c->in = memory_reserve(c->in, &c->in_capacity, c->in_len, 1);
        memmove(c->in, bytes + used, c->in_len);
    }
    return true;
}

/* ---- What the sockets tell ---- */

static void on_connected(void *owner, uint32_t i)
{
    struct load_worker *w = owner;
    connection_opened(w, &w->connections[i]);
}

static void on_sent(void *owner, uint32_t i)
{
    struct load_worker *w = owner;
    w->connections[i].blocked = false;
    connection_fill(w, &w->connections[i]);
}

static void on_lost(void *owner, uint32_t i, const char *why)
{
    struct load_worker *w = owner;
    connection_lost(w, &w->connections[i], why);
}

static void on_received(void *owner, uint32_t i, const char *bytes, size_t len)
{
    struct load_worker *w = owner;
    struct connection *c = &w->connections[i];
    if (c->in_len > 0) {
        c->in = memory_reserve(c->in, &c->in_capacity, c->in_len + len, 1);
        memcpy(c->in + c->in_len, bytes, len);
        bytes = c->in;
        len += c->in_len;
    }
    if (!handle_bytes(w, c, bytes, len)) {
        note_trouble(w, c, "not an answer of this protocol");
        give_up(w, w->trouble);
        return;
    }
    if ((c->moving || c->closing) && c->sent_count == 0)
        connection_reopen(w, c);
    else if (c->state != STATE_DONE)
        connection_fill(w, c);
}

/* ---- The loop ---- */

/* Pauses that are over, answers that do not come. */
static void tick_connection(struct load_worker *w, struct connection *c, uint64_t now)
{
    uint64_t timeout = (uint64_t)w->options->request_timeout_ms * 1000;
    bool idle = c->sent_count == 0 && c->again_count == 0;
    if (c->state == STATE_DONE)
        return;
    if (idle && w->exhausted && !c->ends) {
        connection_finish(w, c);
    } else if (c->resume_us != 0 && now >= c->resume_us) {
        end_pause(w, c);
        if (c->state == STATE_WAITING)
            connection_open(w, c);
        else if (c->state == STATE_OPEN)
            connection_fill(w, c);
    } else if (c->state == STATE_CONNECTING && now > c->since_us + timeout) {
        connection_lost(w, c, "cannot connect: no answer in time");
    } else if (c->state == STATE_OPEN && (c->sent_count > 0 || c->asks || c->ends) && now > c->since_us + timeout) {
        connection_lost(w, c, "no answer in time");
    }
}

static void tick(struct load_worker *w, uint64_t now)
{
    for (uint32_t i = 0; i < w->count; i++)
        tick_connection(w, &w->connections[i], now);
    if (now > w->last_answer_us + (uint64_t)w->options->stall_timeout_ms * 1000) {
        char why[sizeof w->trouble + 64], ms[DECIMAL_MAX + 1];
        say(why, sizeof why, "no answer for ", decimal(w->options->stall_timeout_ms, ms), " ms",
            w->trouble[0] != '\0' ? "; " : "", w->trouble, NULL);
        give_up(w, why);
    }
}

static void loop(struct load_worker *w)
{
    uint64_t next_tick = 0;
    while (w->active > 0 && w->share->problem[0] == '\0' && !atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
        load_sockets_wait(w->sockets, w->paused > 0 ? TICK_WAITING_MS : TICK_MS);
        uint64_t now = load_now_us();
        if (now >= next_tick) {
            tick(w, now);
            next_tick = now + (w->paused > 0 ? UINT64_C(1000) * TICK_WAITING_MS : UINT64_C(1000) * TICK_MS);
        }
    }
}

static void close_all(struct load_worker *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct connection *c = &w->connections[i];
        free(c->sent);
        free(c->again);
        free(c->in);
    }
    if (w->sockets != NULL)
        load_sockets_free(w->sockets);
    free(w->connections);
    free(w->requests);
    free(w->out);
    free(w->answers.ptr);
    request_maker_close(&w->maker);
    free(w);
}

static void open_all(struct load_worker *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct connection *c = &w->connections[i];
        c->sent = memory_new(w->options->pipeline, sizeof *c->sent);
        c->again = memory_new(w->options->pipeline, sizeof *c->again);
        session_begin(w, c);
        w->active++;
        connection_open(w, c);
    }
}

static const struct load_socket_events socket_events = {on_connected, on_sent, on_received, on_lost};

void load_worker_run(const struct load_options *options, const struct load_address *addresses, uint32_t connections,
                     struct load_shared *shared, struct load_share *share)
{
    struct load_worker *w = memory_new(1, sizeof *w);
    w->options = options;
    w->shared = shared;
    w->share = share;
    w->address_count = (uint32_t)(options->target_count < ADDRESSES_MAX ? options->target_count : ADDRESSES_MAX);
    memcpy(w->addresses, addresses, w->address_count * sizeof *addresses);
    memcpy(w->names, options->targets, w->address_count * sizeof *options->targets);
    w->count = connections;
    w->connections = memory_new(connections, sizeof *w->connections);
    w->sockets = load_sockets_new(&socket_events, w, connections);
    w->last_answer_us = load_now_us();
    if (w->sockets == NULL ||
        !request_maker_init(&w->maker, options->protocol, options->command, options->value_size, options->keyspace)) {
        give_up(w, "cannot prepare the requests: out of memory, or a command that the protocol does not have");
    } else {
        w->requests = memory_new(options->pipeline, sizeof *w->requests);
        w->out = memory_new(OWN_BYTES_MAX + options->pipeline * w->maker.size_max, 1);
        open_all(w);
        loop(w);
    }
    close_all(w);
    share->finished = true;
}
