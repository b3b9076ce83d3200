/* The server of one connection: HTTP/2 (nghttp2) and, on it, the calls of host/synod.proto. It has no socket: bytes come
 * in, and what it has to say waits in its session.
 *
 *   request   HEADERS :method POST, :path /synod.v1.Node/Deliver, content-type application/grpc; DATA: messages; END_STREAM
 *   answer    HEADERS :status 200; DATA: one message; HEADERS grpc-status 0
 *   error     HEADERS :status 200, grpc-status, grpc-message; RST_STREAM NO_ERROR if the request goes on
 *   no gRPC   HEADERS :status 405 or 415
 *
 *   1. An error in a call is one log line and the end of that call. An error in HTTP/2 ends the connection.
 *   2. A message longer than its sender may send is refused before it is received. So strangers cannot fill memory.
 *   3. Bytes are consumed, in the sense of HTTP/2's flow control, as they arrive. While the inbox is full they are consumed
 *      at the next network_receive, so the sender stops when its window is used up. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

static const char service_path[] = "/synod.v1.Node/";

static struct network *base_of(const struct grpc_call *c) { return &c->service->network->base; }

/* ---- answers ---- */

static void end_request(struct grpc_call *c)
{
    c->answered = true;
    free(c->message);
    c->message = NULL;
    c->message_capacity = 0;
}

/* Headers that are all of the answer. */
static void answer_with_headers(struct grpc_call *c, const nghttp2_nv *headers, size_t count)
{
    nghttp2_session *h2 = c->service->session.h2;
    end_request(c);
    invariant(nghttp2_submit_response(h2, c->id, headers, count, NULL) != NGHTTP2_ERR_NOMEM);
}

/* Text as grpc-message has it: what is not plain ASCII as %XX. */
static void percent_encode(const char *text, char *out, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (; *text != '\0' && len + 4 <= size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = digits[c >> 4];
        out[len++] = digits[c & 15];
    }
    out[len] = '\0';
}

/* Ends a call with an error. */
static void end_call(struct grpc_call *c, enum grpc_status status, const char *why)
{
    char number[8], message[600];
    snprintf(number, sizeof number, "%u", (unsigned)status);
    percent_encode(why, message, sizeof message);
    const nghttp2_nv headers[] = {grpc_header(":status", "200"), grpc_header("content-type", "application/grpc"),
                                  grpc_header("grpc-status", number), grpc_header("grpc-message", message)};
    answer_with_headers(c, headers, sizeof headers / sizeof *headers);
}

static void complain_at(uint32_t level, struct grpc_service *s, const struct grpc_call *c, const char *what, const char *why)
{
    struct network *n = &s->network->base;
    n->statistics.bad_frames++;
    if (c != NULL && c->admitted)
        logger_log(n->options.logger, level, "network", "%s node %u at %s: %s", what, c->origin.sender, s->from, why);
    else
        logger_log(n->options.logger, level, "network", "%s %s: %s", what, s->from, why);
}

static void complain(struct grpc_service *s, const struct grpc_call *c, const char *what, const char *why)
{
    complain_at(LOG_WARNING, s, c, what, why);
}

/* Something is wrong with a call: the one line that says what, and its end. Returns false. */
static bool refuse(struct grpc_call *c, enum grpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(struct grpc_call *c, enum grpc_status status, const char *format, ...)
{
    char why[NETWORK_WHY_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    complain(c->service, c, "refused a call from", why);
    end_call(c, status, why);
    return false;
}

static void refuse_http(struct grpc_call *c, const char *status, const char *why)
{
    const nghttp2_nv headers[] = {grpc_header(":status", status)};
    complain(c->service, c, "refused a request from", why);
    answer_with_headers(c, headers, 1);
}

static ssize_t on_reply(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t size, uint32_t *flags,
                        nghttp2_data_source *source, void *context)
{
    struct grpc_call *c = source->ptr;
    size_t left = c->reply_len - c->reply_sent;
    (void)context;
    if (size > left)
        size = left;
    memcpy(out, c->reply + c->reply_sent, size);
    c->reply_sent += size;
    if (size < left)
        return (ssize_t)size;
    const nghttp2_nv trailers[] = {grpc_header("grpc-status", "0")};
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(h2, stream, trailers, 1);
    return (ssize_t)size;
}

static void answer(struct grpc_call *c, uint8_t *reply, size_t len)
{
    const nghttp2_nv headers[] = {grpc_header(":status", "200"), grpc_header("content-type", "application/grpc")};
    const nghttp2_data_provider provider = {.source = {.ptr = c}, .read_callback = on_reply};
    end_request(c);
    c->reply = reply;
    c->reply_len = len;
    invariant(nghttp2_submit_response(c->service->session.h2, c->id, headers, 2, &provider) != NGHTTP2_ERR_NOMEM);
}

/* ---- messages ---- */

/* Who speaks? Asked of the first frame, the greeting. */
static bool identify(struct grpc_call *c, const struct grpc_frame *greeting)
{
    const struct frame_origin *origin = &greeting->origin;
    struct grpc_network *n = c->service->network;
    char why[NETWORK_WHY_SIZE];
    const enum network_refusal refusal = network_admit(&n->base, origin, greeting->body, greeting->len, why, sizeof why);
    if (refusal != REFUSAL_NONE) {
        const uint32_t level = network_refusal_level(&n->base, origin->sender, refusal, why);
        complain_at(level, c->service, c, "refused a call from", why);
        end_call(c, grpc_status_of(refusal), why);
        return false;
    }
    struct grpc_peer *p = &n->peers[origin->sender];
    struct grpc_call *before = p->call;
    p->call = c;
    c->admitted = true;
    c->origin = p->admitted = *origin;
    if (before != NULL) { /* left over from before the peer connected again */
        end_call(before, GRPC_ABORTED, "the node has begun another stream");
        if (before->service != c->service)
            before->service->on_output(before->service);
    }
    dialer_heard(&p->dialer);
    return true;
}

void grpc_call_end(struct grpc_call *c, const char *why)
{
    struct grpc_service *s = c->service;
    end_call(c, GRPC_ABORTED, why);
    s->on_output(s);
}

static void take_frame(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    struct grpc_network *n = c->service->network;
    struct network *base = &n->base;
    struct grpc_frame frame;
    const char *why;
    enum grpc_status status = grpc_frame_decode(&n->arena, bytes, len, base->options.origin.cluster, &frame, &why);
    if (status != GRPC_OK) {
        refuse(c, status, "%s", why);
        return;
    }
    const bool greets = !c->admitted;
    if (greets && !identify(c, &frame))
        return;
    if (!network_same_origin(&c->origin, &frame.origin)) {
        refuse(c, GRPC_INVALID_ARGUMENT, "the sender changed within a stream");
        return;
    }
    base->statistics.frames_in++;
    base->statistics.bytes_in += GRPC_PREFIX_SIZE + len;
    c->frames++;
    c->bytes += frame.len;
    if (!greets && frame.len > 0)
        inbox_add(&base->inbox, &frame.origin, frame.body, frame.len);
    if (inbox_bytes(&base->inbox) > base->options.config->peer_queue_bytes_max)
        base->paused = true;
}

static void take_message(struct grpc_call *c, const uint8_t *bytes)
{
    c->messages++;
    c->prefix_len = 0;
    c->message_got = 0;
    if (c->method == METHOD_DELIVER)
        take_frame(c, bytes, c->message_len);
    else if (c->messages > 1)
        refuse(c, GRPC_INVALID_ARGUMENT, "more than one message");
    else if (!grpc_status_request_check(&c->service->network->arena, bytes, c->message_len))
        refuse(c, GRPC_INVALID_ARGUMENT, "not a synod.v1.StatusRequest");
}

/* The prefix of a message is there: may it be that long? */
static bool begin_message(struct grpc_call *c)
{
    size_t len = 0, len_max = GRPC_UNKNOWN_MESSAGE_SIZE;
    for (size_t i = 1; i < GRPC_PREFIX_SIZE; i++)
        len = len << 8 | c->prefix[i];
    if (c->prefix[0] == 1)
        return refuse(c, GRPC_UNIMPLEMENTED, "a compressed message");
    if (c->prefix[0] != 0)
        return refuse(c, GRPC_INVALID_ARGUMENT, "bytes that do not begin a message");
    if (c->admitted)
        len_max = grpc_frame_size_max(base_of(c)->options.config->frame_bytes_max);
    if (len > len_max)
        return refuse(c, GRPC_RESOURCE_EXHAUSTED, "a message of %zu bytes, %zu are allowed", len, len_max);
    c->message_len = len;
    return true;
}

/* Appends to the message that is being received, and takes it once it is whole. Returns how many bytes belonged to it. */
static size_t continue_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    size_t missing = c->message_len - c->message_got;
    if (c->message_got == 0 && len >= missing) {
        take_message(c, bytes); /* from where it lies */
        return missing;
    }
    size_t part = len < missing ? len : missing;
    if (c->message_got == 0 && (c->message_capacity < c->message_len || c->message_capacity > KEPT_BYTES_MAX)) {
        c->message_capacity = c->message_len;
        c->message = realloc(c->message, c->message_len);
        invariant(c->message != NULL);
    }
    memcpy(c->message + c->message_got, bytes, part);
    c->message_got += part;
    if (c->message_got == c->message_len)
        take_message(c, c->message);
    return part;
}

static void take_bytes(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    while (!c->answered && (len > 0 || c->prefix_len == GRPC_PREFIX_SIZE)) {
        if (c->prefix_len == GRPC_PREFIX_SIZE) {
            if (len == 0 && c->message_len > 0)
                return;
            size_t taken = continue_message(c, bytes, len);
            bytes += taken;
            len -= taken;
            continue;
        }
        c->prefix[c->prefix_len++] = *bytes++;
        len--;
        if (c->prefix_len == GRPC_PREFIX_SIZE && !begin_message(c))
            return;
    }
}

/* ---- calls ---- */

static void begin_call(struct grpc_call *c)
{
    if (!c->is_post) {
        refuse_http(c, "405", "not a POST");
    } else if (!c->is_grpc) {
        refuse_http(c, "415", "its content-type is not application/grpc");
    } else if (strncmp(c->path, service_path, sizeof service_path - 1) == 0) {
        const char *name = c->path + sizeof service_path - 1;
        c->method = strcmp(name, "Deliver") == 0  ? METHOD_DELIVER
                    : strcmp(name, "Status") == 0 ? METHOD_STATUS
                                                  : METHOD_UNKNOWN;
    }
    if (!c->answered && c->method == METHOD_UNKNOWN)
        refuse(c, GRPC_UNIMPLEMENTED, "there is no method %s", c->path);
}

/* The other end has said all. */
static void end_of_request(struct grpc_call *c)
{
    size_t len;
    if (c->answered)
        return;
    if (c->prefix_len > 0) {
        refuse(c, GRPC_INVALID_ARGUMENT, "the stream ends within a message");
    } else if (c->method == METHOD_DELIVER) {
        uint8_t *reply = grpc_delivered_encode(c->frames, c->bytes, &len);
        answer(c, reply, len);
    } else if (c->messages == 0) {
        refuse(c, GRPC_INVALID_ARGUMENT, "no message");
    } else {
        uint8_t *reply = grpc_status_reply_encode(base_of(c), &len);
        answer(c, reply, len);
    }
}

static void call_free(struct grpc_call *c)
{
    struct grpc_service *s = c->service;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        s->calls = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    struct grpc_peer *p = c->admitted ? &s->network->peers[c->origin.sender] : NULL;
    if (p != NULL && p->call == c) {
        p->call = NULL;
        dialer_unheard(&p->dialer);
    }
    s->unconsumed += c->unconsumed;
    free(c->message);
    free(c->reply);
    free(c);
}

/* ---- what nghttp2 tells ---- */

static struct grpc_call *call_of(nghttp2_session *h2, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(h2, stream);
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct grpc_service *s = context;
    if (!is_request(frame))
        return 0;
    struct grpc_call *c = memory_new(1, sizeof *c);
    c->service = s;
    c->id = frame->hd.stream_id;
    c->next = s->calls;
    if (s->calls != NULL)
        s->calls->previous = c;
    s->calls = c;
    nghttp2_session_set_stream_user_data(h2, c->id, c);
    return 0;
}

static bool is(const uint8_t *text, size_t len, const char *expected)
{
    return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

/* "application/grpc", with or without the name of the encoding that this node has, and parameters. */
static bool is_grpc(const uint8_t *type, size_t len)
{
    static const char *const known[] = {"application/grpc+proto", "application/grpc"};
    const uint8_t *end = memchr(type, ';', len);
    size_t bare = end != NULL ? (size_t)(end - type) : len;
    return is(type, bare, known[0]) || is(type, bare, known[1]);
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t len, uint8_t flags, void *context)
{
    struct grpc_call *c = call_of(h2, frame->hd.stream_id);
    (void)flags;
    (void)context;
    if (c == NULL || !is_request(frame))
        return 0;
    if (is(name, name_len, ":method"))
        c->is_post = is(value, len, "POST");
    else if (is(name, name_len, "content-type"))
        c->is_grpc = is_grpc(value, len);
    else if (is(name, name_len, ":path"))
        snprintf(c->path, sizeof c->path, "%.*s", (int)len, (const char *)value);
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct grpc_call *c = call_of(h2, frame->hd.stream_id);
    (void)context;
    if (c == NULL || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    c->ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_request(frame))
        begin_call(c);
    if (c->ended)
        end_of_request(c);
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len, void *context)
{
    struct grpc_service *s = context;
    struct grpc_call *c = call_of(h2, stream);
    if (c != NULL && !c->answered) {
        c->ended = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
        take_bytes(c, bytes, len);
    }
    if (c != NULL && s->network->base.paused)
        c->unconsumed += len;
    else
        nghttp2_session_consume(h2, stream, len);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *context)
{
    struct grpc_call *c = call_of(h2, stream);
    (void)code;
    (void)context;
    if (c != NULL)
        call_free(c);
    return 0;
}

/* Tells the other end of a call that was answered before its end not to go on. nghttp2 ends a connection by itself when what
 * it hears is no HTTP/2. */
static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct grpc_session *s = context;
    const struct grpc_call *c = call_of(h2, frame->hd.stream_id);
    if (c != NULL && !c->ended && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_NO_ERROR);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && s->trouble[0] == '\0')
        snprintf(s->trouble, sizeof s->trouble, "%s, %.*s", nghttp2_http2_strerror(frame->goaway.error_code),
                 (int)frame->goaway.opaque_data_len, (const char *)frame->goaway.opaque_data);
    return 0;
}

/* ---- the server ---- */

static nghttp2_session *new_session(struct grpc_service *s)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *h2;
    invariant(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
    grpc_session_callbacks(callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    invariant(nghttp2_session_server_new2(&h2, callbacks, s, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return h2;
}

void grpc_service_open(struct grpc_service *s, struct grpc_network *network, const char *from)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_CALLS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW_SIZE},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, GRPC_DATA_SIZE},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_SIZE},
    };
    s->network = network;
    s->from = from;
    s->session.h2 = new_session(s);
    nghttp2_submit_settings(s->session.h2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(s->session.h2, NGHTTP2_FLAG_NONE, 0, GRPC_WINDOW_SIZE);
}

bool grpc_service_take(struct grpc_service *s, const uint8_t *bytes, size_t len)
{
    ssize_t taken = nghttp2_session_mem_recv(s->session.h2, bytes, len);
    if (taken >= 0)
        return true;
    complain(s, NULL, "closed the connection from", nghttp2_strerror((int)taken));
    return false;
}

bool grpc_service_is_over(struct grpc_service *s)
{
    if (s->session.trouble[0] != '\0')
        complain(s, NULL, "bad HTTP/2 from", s->session.trouble);
    s->session.trouble[0] = '\0';
    return nghttp2_session_want_read(s->session.h2) == 0 && nghttp2_session_want_write(s->session.h2) == 0;
}

void grpc_service_resume(struct grpc_service *s)
{
    for (struct grpc_call *c = s->calls; c != NULL; c = c->next) {
        nghttp2_session_consume(s->session.h2, c->id, c->unconsumed);
        c->unconsumed = 0;
    }
    nghttp2_session_consume_connection(s->session.h2, s->unconsumed);
    s->unconsumed = 0;
}

bool grpc_service_is_known(const struct grpc_service *s)
{
    for (const struct grpc_call *c = s->calls; c != NULL; c = c->next)
        if (c->admitted)
            return true;
    return false;
}

void grpc_service_close(struct grpc_service *s)
{
    while (s->calls != NULL)
        call_free(s->calls);
    grpc_session_close(&s->session);
}
