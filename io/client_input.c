/* What clients send: reading, and taking requests from what was read, each connection in its turn.
 *
 * An event (bytes were read, commands answered, output written) does its own work. Then client_input_update decides what
 * follows for the connection: whether it is read, whether its next request gets a turn, whether it is closed.
 *
 * 1. All connections read into one buffer of the server. Only what is not taken is kept: the beginning of a request that has
 *    not arrived completely, and requests that have to wait (client_turns.c).
 * 2. Requests are taken as far as one turn allows. Then the connection waits for its next turn. So a client that sends much
 *    does not keep others waiting, whether its requests go to the node or to the port itself.
 * 3. A connection that waits is read up to READ_AHEAD, and no further.
 * 4. Bytes that are no request, and what a browser sends, end the connection. What follows them is not taken. */
#include <poll.h>
#include <stdio.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

enum {
    READ_AHEAD = 64 * 1024,
    READ_MIN = 16 * 1024,
    TURN_WORK = 64 * 1024, /* of requests and replies in one turn; each request counts at least as much as a small one */
    REQUEST_WORK = 64,
    LOOK_WORK = 512,        /* what asking the system about a client counts as */
    LOOP_WORK = 256 * 1024, /* in one iteration of the loop; what others wait for takes several iterations */
    TURNS_MS = 1,           /* with 0 the loop would not serve others in between */
};

static size_t kept(const struct client_connection *c) { return c->in_end - c->in_at; }

/* ---- Taking requests ---- */

static void protocol_error(struct client_connection *c, const char *what)
{
    struct client_server *s = c->server;
    logger_log(s->options.logger, LOG_WARNING, "clients", "%s: protocol error: %s", client_connection_address(c), what);
    uint32_t position = client_replies_expect(c);
    client_print(client_replies_begin(c, position), "-ERR Protocol error: %s\r\n", what);
    client_replies_end(c, position);
    s->statistics.errors++;
    client_connection_finish(c);
}

static void too_long(struct client_connection *c, const char *what)
{
    char text[RESP_ERROR_MAX + 64];
    snprintf(text, sizeof text, "ERR %s (%u bytes); it was not executed", what,
             (unsigned)c->server->options.config->command_bytes_max);
    client_replies_error(c, text);
}

/* True when the client speaks HTTP: a web page can make a browser (or a service that fetches for others) send commands
 * inside a request to a web server. The first line gives it away, whatever the method; otherwise the header that every
 * request has. */
static bool is_http(const struct resp_request *request, bool is_inline)
{
    const struct bytes *words = request->args;
    if (client_is_word(&words[0], "post") || client_is_word(&words[0], "host:"))
        return true;
    const struct bytes start = {words[request->argc - 1].ptr, sizeof "HTTP/" - 1};
    return is_inline && request->argc >= 3 && words[request->argc - 1].len > start.len && client_is_word(&start, "http/");
}

/* Takes the request, or lets it wait. False: it waits, or nothing more is taken from this connection. */
static bool take(struct client_connection *c, const struct resp_request *request, bool is_inline, size_t behind)
{
    if (request->argc == 0)
        return true;
    if (is_http(request, is_inline)) {
        client_connection_drop(c, "it speaks HTTP; a web page may be trying to have commands executed");
        return false;
    }
    const struct client_server *s = c->server;
    const struct client_named named = client_describe(s, &request->args[0]);
    if (client_pubsub_waits(c, named.port) || (s->pause_kind != PAUSE_NONE && client_pause_holds(c, &named, request))) {
        c->input = INPUT_ROOM;
        return false;
    }
    c->wants = c->wants == WANTS_NOT_THE_NEXT ? WANTS_NOT_THIS : c->wants;
    if (!client_commands_answer(c, &named, request)) {
        const uint32_t command = s->asked != NULL ? client_describe(s, &s->asked->args[0]).index : named.index;
        switch (client_batches_command(c, command, s->asked != NULL ? s->asked : request, behind)) {
        case MUST_WAIT_ITS_TURN:
            client_turns_wait(c, c->charge);
            return false;
        case MUST_WAIT_FOR_ROOM:
            c->input = INPUT_ROOM;
            return false;
        default:
            if (s->asked != NULL)
                client_transactions_taken(c, request);
        }
    }
    client_tracking_taken(c, request);
    c->wants = c->wants == WANTS_NOT_THIS ? WANTS_REPLIES : c->wants;
    return true;
}

/* True when the next request may be looked at. If not, the connection waits. */
static bool may_go_on(struct client_connection *c, uint64_t work)
{
    if (c->state != CLIENT_SERVED && c->state != CLIENT_ENDED)
        return false;
    if (!client_turns_has_room(c)) {
        c->input = INPUT_ROOM;
        return false;
    }
    if (work >= TURN_WORK) {
        client_turns_wait(c, 0);
        return false;
    }
    return true;
}

/* Takes requests one after the other. Returns the bytes that they had, and adds to `work`. */
static size_t take_requests(struct client_connection *c, const uint8_t *data, size_t len, uint64_t *work)
{
    struct client_server *s = c->server;
    struct resp_request *request = &s->request;
    size_t at = 0;
    c->input = INPUT_TAKEN;
    c->charge = 0;
    c->unproven = c->after_reads = c->after_all = false;
    while (at < len && may_go_on(c, *work)) {
        uint64_t unread = client_replies_unread(c);
        s->spent = 0;
        enum resp_result result = resp_parse(&c->parser, &s->limits, data + at, len - at, request);
        if (result == RESP_PARTIAL)
            break;
        if (result == RESP_BAD) {
            protocol_error(c, request->error);
            break;
        }
        if (result == RESP_TOO_LONG)
            too_long(c, request->error);
        else if (result == RESP_WHOLE && !take(c, request, data[at] != '*', len - at - request->size))
            break;
        at += request->size;
        *work += REQUEST_WORK + request->size + (client_replies_unread(c) - unread) + s->spent;
    }
    return at;
}

/* Keeps what was not taken, at the beginning of the connection's own buffer. */
static void keep(struct client_connection *c, const uint8_t *rest, size_t len)
{
    if (len > 0) {
        if (c->in_capacity < len) {
            /* Bytes of c->in itself never get here: they fit. */
            c->in = realloc(c->in, len);
            invariant(c->in != NULL);
            c->in_capacity = len;
        }
        memmove(c->in, rest, len);
    } else if (c->in != NULL) {
        free(c->in);
        c->in = NULL;
        c->in_capacity = 0;
    }
    c->in_at = 0;
    c->in_end = len;
}

/* Takes requests from `data`, which may be the connection's own buffer. Returns the work that this was. */
static uint64_t take_from(struct client_connection *c, const uint8_t *data, size_t len)
{
    uint64_t work = 0;
    size_t taken = take_requests(c, data, len, &work);
    bool over = c->state == CLIENT_FINISHING || c->state == CLIENT_CLOSED;
    if (!over && c->input != INPUT_TAKEN && c->in != NULL && data == c->in + c->in_at)
        c->in_at += taken; /* the rest is moved when more is read */
    else
        keep(c, data + taken, over ? 0 : len - taken);
    client_output_flush(c);
    client_input_update(c);
    return work;
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct client_connection *c = handle->data;
    struct client_server *s = c->server;
    size_t have = kept(c);
    if (c->input == INPUT_TAKEN && have <= CLIENT_REST_MAX) {
        if (have > 0)
            memcpy(s->read_buffer, c->in + c->in_at, have);
        *buf = uv_buf_init((char *)s->read_buffer + have, CLIENT_READ_SIZE);
        return;
    }
    /* Room for the rest of the request. But the client's word for its length is not trusted: at most as much again as has
     * come. */
    size_t room = c->parser.wanted > have ? c->parser.wanted - have : have;
    room = room < have ? room : have;
    room = room > READ_MIN ? room : READ_MIN;
    if (c->in_at > 0)
        memmove(c->in, c->in + c->in_at, have);
    c->in_at = 0;
    c->in_end = have;
    if (c->in_capacity < have + room) {
        c->in = realloc(c->in, have + room);
        invariant(c->in != NULL);
        c->in_capacity = have + room;
    }
    *buf = uv_buf_init((char *)c->in + have, (unsigned)(c->in_capacity - have));
}

static void on_bytes(struct client_connection *c, const uint8_t *base, size_t len)
{
    struct client_server *s = c->server;
    s->statistics.bytes_in += len;
    c->active_ms = uv_now(s->loop);
    bool own = c->in != NULL && base == c->in + c->in_end;
    size_t have = kept(c);
    if (own)
        c->in_end += len;
    if (c->input != INPUT_TAKEN) {
        invariant(own);
        client_output_flush(c); /* updates the count of buffered bytes */
        client_input_update(c);
        return;
    }
    uint64_t commands = s->statistics.commands;
    take_from(c, own ? c->in : s->read_buffer, have + len);
    if (s->statistics.commands != commands)
        s->options.on_input(s->options.context);
    if (c->queue != NULL && c->queue->first == c)
        client_input_go_on(s);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct client_connection *c = stream->data;
    if (nread == UV_EOF) { /* earlier requests are still answered */
        c->state = c->state == CLIENT_SERVED ? CLIENT_ENDED : c->state;
        client_turns_ended(c);
        client_input_update(c);
    } else if (nread < 0) {
        client_connection_close(c);
    } else if (nread > 0) {
        on_bytes(c, (const uint8_t *)buf->base, (size_t)nread);
    }
}

static bool should_read(const struct client_connection *c)
{
    if (c->state != CLIENT_SERVED)
        return false;
    return c->input == INPUT_TAKEN || (kept(c) < READ_AHEAD && !client_turns_pressed(c->server));
}

/* Starts or stops reading, as the connection's state requires. */
static void read_or_not(struct client_connection *c)
{
    bool read = should_read(c);
    if (read == c->reading)
        return;
    if (!read)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        client_connection_close(c);
    c->reading = read;
}

void client_input_update(struct client_connection *c)
{
    if (c->state == CLIENT_CLOSED)
        return;
    if (c->input == INPUT_ROOM && client_turns_has_room(c))
        client_turns_wait(c, c->charge);
    read_or_not(c);
    bool over = c->state == CLIENT_FINISHING || (c->state == CLIENT_ENDED && c->input == INPUT_TAKEN);
    if (over && c->head == c->tail && c->out.len == 0 && !c->sending)
        client_connection_close(c);
}

/* ---- Turns of connections that wait ---- */

/* What the system knows of the other end, even if there are bytes that have not been read. */
enum peer { PEER_THERE, PEER_SENDS_NO_MORE, PEER_GONE };

static enum peer peer_of(const struct client_connection *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) != 0)
        return PEER_THERE;
    struct pollfd peer = {.fd = fd, .events = POLLRDHUP};
    if (poll(&peer, 1, 0) <= 0)
        return PEER_THERE;
    return (peer.revents & (POLLHUP | POLLERR)) != 0 ? PEER_GONE : PEER_SENDS_NO_MORE;
}

/* True when the client is there, as far as one can tell. If not, it is closed, or moved to those that may have gone. */
static bool is_there(struct client_connection *c)
{
    if (c->kind == TURNS_LIGHT || c->kind == TURNS_READS)
        return true;
    c->server->work += LOOK_WORK;
    const enum peer peer = peer_of(c);
    if (peer == PEER_SENDS_NO_MORE && c->presence == PRESENT)
        c->presence = PERHAPS_GONE;
    if (peer == PEER_GONE)
        client_connection_close(c);
    else if (c->presence == PERHAPS_GONE && c->kind != TURNS_UNSURE)
        client_turns_wait(c, c->charge);
    else
        return true;
    return false;
}

static void give_turns_of(struct client_server *s, enum turn_queue kind)
{
    struct client_connection *c;
    while (s->work < LOOP_WORK && (c = client_turns_next(s, kind)) != NULL) {
        client_turns_leave(c);
        if (!is_there(c))
            continue;
        client_turns_begin(c);
        s->work += take_from(c, c->in + c->in_at, kept(c));
        client_turns_end(s);
    }
}

static bool any_may_go_on(const struct client_server *s)
{
    return client_turns_next(s, TURNS_LIGHT) != NULL || client_turns_next(s, TURNS_READS) != NULL ||
           client_turns_next(s, TURNS_FIRST) != NULL || client_turns_next(s, TURNS_HEAVY) != NULL;
}

static void on_timer(uv_timer_t *timer) { client_input_go_on(timer->data); }

void client_input_give_turns(struct client_server *s)
{
    bool pending = uv_is_active((uv_handle_t *)&s->turns);
    if (s->closing || s->served != NULL)
        return;
    if (!pending)
        s->work = 0;
    give_turns_of(s, TURNS_FIRST);
    give_turns_of(s, TURNS_HEAVY);
    give_turns_of(s, s->reads_first ? TURNS_READS : TURNS_LIGHT);
    give_turns_of(s, s->reads_first ? TURNS_LIGHT : TURNS_READS);
    s->reads_first = !s->reads_first;
    if (!pending && any_may_go_on(s))
        uv_timer_start(&s->turns, on_timer, TURNS_MS, 0);
    const uint64_t unsure_ms = client_turns_unsure_ms(s);
    if (unsure_ms > 0)
        uv_timer_start(&s->unsure, on_timer, unsure_ms, 0);
}

void client_input_go_on(struct client_server *s)
{
    uint64_t commands = s->statistics.commands;
    client_input_give_turns(s);
    if (s->statistics.commands != commands)
        s->options.on_input(s->options.context);
}
