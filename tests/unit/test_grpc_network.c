/* host/grpc_*.c: several networks on one loop, and clients made of nghttp2 that say right and wrong things. The same with
 * another implementation of gRPC: tests/e2e/test_grpc.py. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <nghttp2/nghttp2.h>

#include "host/grpc_message.h"
#include "host/grpc_network.h"
#include "tests/unit/network_fixture.h"

#include "tests/unit/copies.h"
#include "tests/unit/other_settings.h"
#include "tests/unit/roster_fixture.h"

/* ---- networks ---- */

static void test_ipv4(void **state)
{
    (void)state;
    exchange_frames(grpc_network_open, "127.0.0.1");
}
static void test_ipv6(void **state)
{
    (void)state;
    exchange_frames(grpc_network_open, "::1");
}
static void test_name(void **state)
{
    (void)state;
    exchange_frames(grpc_network_open, "localhost");
}

static void test_fan_out(void **state)
{
    (void)state;
    fan_out(grpc_network_open);
}

/* A peer that never reads: what its queue does not hold is dropped, memory stays bounded, others are not held up; and a
 * frame that goes to both arrives at the other whole. */
static void test_full_queue(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *c = &f->nodes[2];
    f->config.peer_queue_bytes_max = 1 << 20;
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(bind(deaf, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(deaf, 4), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&address, &len), 0);
    open_node(f, 0);
    open_node(f, 2);
    f->config_nodes[1].address.port = ntohs(address.sin_port);
    tell_port(f);
    wait_connected(f, a, c, 1);
    uint64_t out = network_statistics(a->network).frames_out;
    while (network_statistics(a->network).frames_out == out) { /* until the deaf one is connected */
        send_one(a, node_set_of(2), 1, 8);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    uint64_t dropped = network_statistics(a->network).dropped;
    for (uint32_t i = 0; i < 40; i++) {
        send_one(a, node_set_of(2) | node_set_of(3), i, 256 * 1024);
        collect_until(f, c, i + 1);
        assert_body(&c->packets[i], 1, i, 256 * 1024);
    }
    assert_true(network_statistics(a->network).dropped > dropped + 30);
    close(deaf);
    teardown(f);
}

/* What arrives is not taken: senders stop when their windows are used up, nothing is lost, and goes on with the next
 * receive. */
static void test_pause(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    uint64_t dropped = network_statistics(a->network).dropped;
    enum { COUNT = 400, SIZE = 64 * 1024 };
    for (uint32_t i = 0; i < COUNT; i++)
        send_one(a, node_set_of(2), i, SIZE);
    f->config.peer_queue_bytes_max = 1 << 20; /* the receiver's limit from now on */
    for (int i = 0; i < 500; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    uint64_t arrived = network_statistics(b->network).frames_in;
    assert_true(arrived < COUNT / 2);
    collect_until(f, b, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_body(&b->packets[i], 1, i, SIZE);
    assert_int_equal(network_statistics(a->network).dropped, dropped);
    teardown(f);
}

static void test_reconnect(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    wait_connected(f, b, a, 2);
    for (uint32_t life = 0; life < 3; life++) {
        close_node(f, 1); /* and again on the same port, with the next incarnation */
        open_node(f, 1);
        wait_connected(f, a, b, 3);
        wait_connected(f, b, a, 4);
        assert_int_equal(a->reborn, life + 1);
    }
    assert_int_equal(network_statistics(a->network).reconnects, 3);
    assert_int_equal(network_statistics(a->network).bad_frames, 0);
    teardown(f);
}

static void test_reborn(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, a, b, 1);
    struct frame_origin again = origin_of(a);
    again.incarnation++;
    network_reborn(a->network, &again);
    wait_connected(f, a, b, 3);
    assert_int_equal(b->reborn, 1);
    assert_int_equal(network_statistics(a->network).reconnects, 1);
    assert_int_equal(network_statistics(b->network).bad_frames, 0);
    teardown(f);
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    open_node(f, 0);
    f->config_nodes[1].address.port = f->config_nodes[0].address.port;
    struct node *b = &f->nodes[1];
    struct problem problem = {0};
    assert_true(data_folder_open(&b->folder, disk_posix(), b->folder_path, "demo", 2, &problem));
    const struct network_options options = options_of(f, b);
    struct network *n = NULL;
    assert_false(grpc_network_open(&n, &f->loop, &options, &problem));
    assert_null(n);
    assert_int_equal(problem.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(problem.text, "address already in use"));
    data_folder_close(b->folder);
    teardown(f);
}

/* ---- strangers ---- */

/* A client of its own, with one call at a time. */
struct client {
    struct fixture *f;
    int fd;
    nghttp2_session *h2;
    bool hung_up, goaway;
    /* The call. */
    int32_t stream;
    const uint8_t *body;
    size_t body_len, body_sent;
    bool body_ends, over;
    char http[8], status[8], message[300], type[40];
    uint32_t reset;
    uint8_t reply[512];
    size_t reply_len;
};

static ssize_t on_body(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t size, uint32_t *flags,
                       nghttp2_data_source *source, void *context)
{
    struct client *c = source->ptr;
    (void)h2;
    (void)stream;
    (void)context;
    size_t left = c->body_len - c->body_sent;
    size = size < left ? size : left;
    if (size == 0 && !c->body_ends)
        return NGHTTP2_ERR_DEFERRED;
    if (size > 0)
        memcpy(out, c->body + c->body_sent, size);
    c->body_sent += size;
    if (c->body_ends && size == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static int on_client_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                            const uint8_t *value, size_t len, uint8_t flags, void *context)
{
    struct client *c = context;
    (void)h2;
    (void)flags;
    (void)name_len;
    (void)len;
    if (frame->hd.stream_id != c->stream)
        return 0;
    if (strcmp((const char *)name, ":status") == 0)
        snprintf(c->http, sizeof c->http, "%s", value);
    if (strcmp((const char *)name, "grpc-status") == 0)
        snprintf(c->status, sizeof c->status, "%s", value);
    if (strcmp((const char *)name, "grpc-message") == 0)
        snprintf(c->message, sizeof c->message, "%s", value);
    if (strcmp((const char *)name, "content-type") == 0)
        snprintf(c->type, sizeof c->type, "%s", value);
    return 0;
}

static int on_client_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
                          void *context)
{
    struct client *c = context;
    (void)h2;
    (void)flags;
    (void)stream;
    assert_true(c->reply_len + len <= sizeof c->reply);
    memcpy(c->reply + c->reply_len, bytes, len);
    c->reply_len += len;
    return 0;
}

static int on_client_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *context)
{
    struct client *c = context;
    (void)h2;
    if (stream == c->stream) {
        c->over = true;
        c->reset = code;
    }
    return 0;
}

static int on_client_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *context)
{
    struct client *c = context;
    (void)h2;
    c->goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static struct client *client_new(struct fixture *f)
{
    struct client *c = memory_new(1, sizeof *c);
    nghttp2_session_callbacks *callbacks;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", f->config_nodes[0].address.port, &address);
    c->f = f;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    const int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_client_frame);
    nghttp2_session_client_new(&c->h2, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, NULL, 0);
    return c;
}

static void client_free(struct client *c)
{
    close(c->fd);
    nghttp2_session_del(c->h2);
    free(c);
}

/* Says all that the socket takes, runs the loop, and hears what is there. */
static void client_step(struct client *c)
{
    static uint8_t in[65536];
    const uint8_t *out;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(c->h2, &out)) > 0)
        for (ssize_t sent = 0, part; sent < len; sent += part > 0 ? part : 0) {
            part = send(c->fd, out + sent, (size_t)(len - sent), MSG_NOSIGNAL);
            if (part < 0 && errno != EAGAIN)
                return;
            uv_run(&c->f->loop, UV_RUN_NOWAIT);
        }
    uv_run(&c->f->loop, UV_RUN_NOWAIT);
    len = recv(c->fd, in, sizeof in, 0);
    if (len == 0 || (len < 0 && errno != EAGAIN))
        c->hung_up = true;
    if (len > 0)
        assert_int_equal(nghttp2_session_mem_recv(c->h2, in, (size_t)len), len);
}

struct request {
    const char *method, *path, *type;
    const void *body;
    size_t len;
    bool goes_on; /* the stream is not ended with the body */
};

/* Makes a call; returns when the body is gone. */
static void call_begin(struct client *c, const struct request *r)
{
    const char *const values[][2] = {{":method", r->method != NULL ? r->method : "POST"},
                                     {":scheme", "http"},
                                     {":path", r->path != NULL ? r->path : "/synod.v1.Node/Deliver"},
                                     {":authority", "test"},
                                     {"te", "trailers"},
                                     {"content-type", r->type != NULL ? r->type : "application/grpc"}};
    nghttp2_nv headers[6];
    for (size_t i = 0; i < 6; i++)
        headers[i] = (nghttp2_nv){(uint8_t *)values[i][0], (uint8_t *)values[i][1], strlen(values[i][0]),
                                  strlen(values[i][1]), NGHTTP2_NV_FLAG_NONE};
    const nghttp2_data_provider provider = {.source = {.ptr = c}, .read_callback = on_body};
    c->body = r->body;
    c->body_len = r->len;
    c->body_sent = 0;
    c->body_ends = !r->goes_on;
    c->over = false;
    c->reset = 0;
    c->reply_len = 0;
    c->http[0] = c->status[0] = c->message[0] = c->type[0] = '\0';
    c->stream = nghttp2_submit_request(c->h2, NULL, headers, 6, &provider, NULL);
    assert_true(c->stream > 0);
    while (c->body_sent < c->body_len && !c->over)
        client_step(c);
    client_step(c);
}

static void call(struct client *c, const struct request *r)
{
    for (call_begin(c, r); !c->over && !c->hung_up;)
        client_step(c);
}

/* The call must end with this status and text, count one bad frame, and bring nothing in. */
static void expect_refusal(struct client *c, const struct request *r, enum grpc_status status, const char *text)
{
    struct network *n = c->f->nodes[0].network;
    uint64_t before = network_statistics(n).bad_frames;
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)status);
    call(c, r);
    assert_true(c->over);
    assert_int_equal(c->reset, NGHTTP2_NO_ERROR);
    assert_string_equal(c->http, "200");
    assert_string_equal(c->status, number);
    assert_non_null(strstr(c->message, text));
    assert_int_equal(c->reply_len, 0);
    assert_int_equal(network_statistics(n).bad_frames, before + 1);
    assert_int_equal(network_receive(n).len, 0);
}

/* Frames, one after the other. */
struct said {
    uint8_t bytes[16384];
    size_t len;
};

static void say_bytes(struct said *s, const struct frame_origin *origin, const uint64_t *words, uint32_t len)
{
    struct grpc_head head;
    grpc_frame_encode(origin, words, len, &head);
    memcpy(s->bytes + s->len, head.bytes, head.len);
    memcpy(s->bytes + s->len + head.len, words, len);
    s->len += head.len + len;
}

static void say(struct said *s, const struct frame_origin *origin, uint64_t word, uint32_t len)
{
    say_bytes(s, origin, &word, len);
}

static struct said greet(const struct fixture *f, const struct frame_origin *origin)
{
    struct said s = {.len = 0};
    uint64_t text[GOVERNED_TEXT_MAX / 8];
    const uint32_t len = greeting_of(&f->config, text);
    say_bytes(&s, origin, text, len);
    return s;
}

static struct request delivery(const struct said *s) { return (struct request){.body = s->bytes, .len = s->len}; }

static struct fixture *setup_with_known_peer(struct frame_origin *two)
{
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    open_node(f, 0);
    open_node(f, 1);
    wait_connected(f, &f->nodes[1], &f->nodes[0], 1); /* node 1 knows node 2 from now on */
    *two = origin_of(&f->nodes[1]);
    close_node(f, 1);
    return f;
}

/* Frames of a known node, one of them in two pieces: they are taken, and in the end the client hears how many. */
static void test_delivered(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    struct said s = greet(f, &two);
    uint64_t text[GOVERNED_TEXT_MAX / 8];
    const size_t bytes = greeting_of(&f->config, text) + 442;
    for (uint64_t i = 0; i < 100; i++)
        say(&s, &two, i, (uint32_t)(i % 8) + 1);
    const struct request first = {.body = s.bytes, .len = s.len - 3, .goes_on = true};
    call_begin(c, &first);
    collect_until(f, &f->nodes[0], 99);
    c->body_len += 3;
    c->body_ends = true;
    nghttp2_session_resume_data(c->h2, c->stream);
    while (!c->over)
        client_step(c);
    collect_until(f, &f->nodes[0], 100);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(f->nodes[0].packets[i].len, i % 8 + 1);
        assert_int_equal(f->nodes[0].packets[i].id, 2);
        assert_int_equal(f->nodes[0].packets[i].words.ptr[0], i);
    }
    assert_string_equal(c->http, "200");
    assert_string_equal(c->type, "application/grpc");
    assert_string_equal(c->status, "0");
    const uint8_t expected[] = {0, 0, 0, 0, 5, 1 << 3, 101, 2 << 3, (uint8_t)(0x80 | bytes % 128), (uint8_t)(bytes / 128)};
    size_t expected_bytes = 0;
    for (size_t i = 0; i < 100; i++)
        expected_bytes += i % 8 + 1;
    assert_int_equal(expected_bytes, 442);
    assert_int_equal(c->reply_len, sizeof expected);
    assert_memory_equal(c->reply, expected, sizeof expected);
    client_free(c);
    teardown(f);
}

static void test_status(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    const uint8_t request[] = {0, 0, 0, 0, 0};
    const struct request status = {.path = "/synod.v1.Node/Status", .body = request, .len = 5};
    call(c, &status);
    assert_string_equal(c->status, "0");
    const uint8_t begin[] = {1 << 3, 1, 2 << 3 | 2, 4, 'd', 'e', 'm', 'o', 4 << 3};
    assert_true(c->reply_len > 5 + sizeof begin && c->reply[4] == c->reply_len - 5);
    assert_memory_equal(c->reply + 5, begin, sizeof begin);
    const struct frame_origin one = origin_of(&f->nodes[0]);
    assert_null(
        memmem(c->reply, c->reply_len, one.instance, sizeof one.instance)); /* a node that knows it could be that node */

    struct request r = status;
    const uint8_t twice[10] = {0}, garbage[] = {0, 0, 0, 0, 1, 0xff};
    r.body = twice;
    r.len = 10;
    expect_refusal(c, &r, GRPC_INVALID_ARGUMENT, "more than one message");
    r.len = 0;
    expect_refusal(c, &r, GRPC_INVALID_ARGUMENT, "no message");
    r.body = garbage;
    r.len = 6;
    expect_refusal(c, &r, GRPC_INVALID_ARGUMENT, "not a synod.v1.StatusRequest");
    client_free(c);
    teardown(f);
}

static void test_refused_calls(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    struct request r = {.path = "/synod.v1.Node/Destroy"};
    expect_refusal(c, &r, GRPC_UNIMPLEMENTED, "there is no method /synod.v1.Node/Destroy");
    r.path = "/other.Service/Deliver";
    expect_refusal(c, &r, GRPC_UNIMPLEMENTED, "there is no method");
    r.path = "/synod.v1.Node/Deliver/and/so/on/and/so/on/and/so/on/and/so/on/and/so/on/and/so/on";
    expect_refusal(c, &r, GRPC_UNIMPLEMENTED, "there is no method");
    r.path = "/100%\xc3\xbc"; /* is not plain, and comes back as such */
    expect_refusal(c, &r, GRPC_UNIMPLEMENTED, "/100%25%C3%BC");

    const struct request plain[] = {{.method = "GET"}, {.type = "text/html"}, {.type = "application/grpcx"}};
    for (size_t i = 0; i < 3; i++) {
        call(c, &plain[i]);
        assert_string_equal(c->http, i == 0 ? "405" : "415");
        assert_string_equal(c->status, "");
    }
    struct said s = greet(f, &two); /* after all that, on the same connection */
    say(&s, &two, 5, 1);
    r = delivery(&s);
    r.type = "application/grpc+proto;x=y";
    call(c, &r);
    assert_string_equal(c->status, "0");
    collect_until(f, &f->nodes[0], 1);
    client_free(c);
    teardown(f);
}

static void refused_frame(struct client *c, const struct frame_origin *origin, enum grpc_status status, const char *text)
{
    struct said s = greet(c->f, origin);
    say(&s, origin, 1234, 8);
    struct request r = delivery(&s);
    expect_refusal(c, &r, status, text);
    r.goes_on = true; /* and if the client would have more to say */
    expect_refusal(c, &r, status, text);
}

static void test_refused_frames(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    struct frame_origin o = two;
    o.cluster = frame_cluster("other", 5);
    refused_frame(c, &o, GRPC_PERMISSION_DENIED, "another cluster");
    o = two;
    o.sender = 9;
    refused_frame(c, &o, GRPC_PERMISSION_DENIED, "it says that it is node 9, which is not in the configuration");
    o.sender = 1;
    refused_frame(c, &o, GRPC_PERMISSION_DENIED, "which is this one");
    o.sender = 64;
    refused_frame(c, &o, GRPC_INVALID_ARGUMENT, "no possible node id");
    o = two;
    o.instance[3] ^= 1;
    refused_frame(c, &o, GRPC_PERMISSION_DENIED, "another data folder");
    o = two;
    o.incarnation--;
    refused_frame(c, &o, GRPC_FAILED_PRECONDITION, "an earlier life");
    o = two;
    o.nonce++;
    refused_frame(c, &o, GRPC_FAILED_PRECONDITION, "another life of this incarnation");

    struct said s = greet(f, &two), damaged;
    say(&s, &two, 1234, 8);
    for (size_t i = 0; i < s.len; i++) { /* every bit matters: of the prefix, of who it is, of the body */
        damaged = s;
        damaged.bytes[i] ^= 0x01;
        struct request r = delivery(&damaged);
        call(c, &r);
        assert_true(c->over);
        assert_string_not_equal(c->status, "0");
        assert_int_equal(network_receive(f->nodes[0].network).len, 0);
    }
    struct request r = delivery(&s);
    r.len--;
    expect_refusal(c, &r, GRPC_INVALID_ARGUMENT, "ends within a message");
    s.bytes[0] = 1;
    r.len++;
    expect_refusal(c, &r, GRPC_UNIMPLEMENTED, "compressed");
    const uint8_t empty[] = {0, 0, 0, 0, 0}; /* a Frame in which nothing is said */
    r = (struct request){.body = empty, .len = 5};
    expect_refusal(c, &r, GRPC_INVALID_ARGUMENT, "instance");
    const uint8_t long_one[] = {0, 0, 0, 0x10, 0x01}; /* 4097 bytes of an unknown node: refused before they come */
    r = (struct request){.body = long_one, .len = 5, .goes_on = true};
    expect_refusal(c, &r, GRPC_RESOURCE_EXHAUSTED, "a message of 4097 bytes, 4096 are allowed");
    client_free(c);
    teardown(f);
}

/* A node that does not begin with governed settings is refused, even if the frame is valid. */
static void test_hostile_greetings(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    uint64_t long_one[GOVERNED_TEXT_MAX / 8];
    const uint32_t len = greeting_of(&f->config, long_one);
    const uint32_t lens[] = {0, 1, len - 1, len + 1, 2559, 2560, 4000 - FRAME_HEADER_SIZE};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        uint64_t text[4000 / 8] = {0};
        struct said s = {.len = 0};
        memcpy(text, long_one, sizeof long_one);
        say_bytes(&s, &two, text, lens[i]);
        struct request r = delivery(&s);
        expect_refusal(c, &r, GRPC_PERMISSION_DENIED, "does not begin with its governed settings");
    }
    f->config.node_config.alpha = 8;
    struct said s = greet(f, &two);
    say(&s, &two, 1234, 8);
    struct request r = delivery(&s);
    expect_refusal(c, &r, GRPC_OUT_OF_RANGE, "the governed setting alpha is 0 on node 1 and 8 on node 2: ");
    client_free(c);
    teardown(f);
}

static void test_other_settings(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_other_settings(f);
    teardown(f);
}

/* A sound frame first, and then something wrong: the first arrives, the second ends the call. */
static void test_refused_later(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    struct said s = greet(f, &two);
    struct frame_origin o = two;
    o.incarnation++;
    say(&s, &two, 1, 8);
    say(&s, &o, 2, 8);
    struct request r = delivery(&s);
    call(c, &r);
    assert_string_equal(c->status, "3");
    assert_non_null(strstr(c->message, "the sender changed within a stream"));
    collect_until(f, &f->nodes[0], 1);
    forget(&f->nodes[0]);

    f->config.frame_bytes_max = 100000;
    s = greet(f, &two);
    say(&s, &two, 1, 8);
    const uint8_t long_one[] = {0, 1, 0, 0, 0}; /* 16 MiB */
    memcpy(s.bytes + s.len, long_one, 5);
    s.len += 5;
    r = delivery(&s);
    r.goes_on = true;
    call(c, &r);
    assert_string_equal(c->status, "8");
    collect_until(f, &f->nodes[0], 1);
    client_free(c);
    teardown(f);
}

/* A node that begins another stream: it takes the place of the first, whether of the same life or of the next. */
static void test_replaced(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *first = client_new(f), *second = client_new(f);
    struct said s = greet(f, &two);
    say(&s, &two, 1, 8);
    struct request r = delivery(&s);
    r.goes_on = true;
    call_begin(first, &r);
    collect_until(f, &f->nodes[0], 1);
    assert_false(first->over);
    call_begin(second, &r);
    while (!first->over)
        client_step(first);
    assert_string_equal(first->status, "10");
    collect_until(f, &f->nodes[0], 2);

    two.incarnation++;
    s = greet(f, &two);
    say(&s, &two, 1, 8);
    r.len = s.len;
    call_begin(first, &r);
    collect_until(f, &f->nodes[0], 3);
    while (!second->over)
        client_step(second);
    assert_string_equal(second->status, "10");
    assert_int_equal(f->nodes[0].reborn, 1);
    client_free(first);
    client_free(second);
    teardown(f);
}

/* What is no HTTP/2 is told so, and hung up on. */
static void test_no_http2(void **state)
{
    (void)state;
#define MAGIC "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    static const char http1[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody lost in this network\r\n\r\n";
    static const char huge[] = MAGIC "\xff\xff\xff\x04\0\0\0\0\0"; /* settings of 16 MiB */
    static const char both[] = MAGIC "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char *const said[] = {http1, huge, both};
    static const size_t lens[] = {sizeof http1 - 1, sizeof huge - 1, sizeof both - 1};
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    for (size_t i = 0; i < 3; i++) {
        struct client *c = client_new(f);
        uint64_t before = network_statistics(f->nodes[0].network).bad_frames;
        assert_int_equal(send(c->fd, said[i], lens[i], MSG_NOSIGNAL), lens[i]);
        char byte;
        ssize_t len;
        do {
            uv_run(&f->loop, UV_RUN_NOWAIT);
            len = recv(c->fd, &byte, 1, 0);
        } while (len > 0 || (len < 0 && errno == EAGAIN));
        assert_int_equal(network_statistics(f->nodes[0].network).bad_frames, before + 1);
        client_free(c);
    }
    teardown(f);
}

/* Nodes that are connected when a node closes are told; and a ping is answered. */
static void test_goaway(void **state)
{
    (void)state;
    struct frame_origin two;
    struct fixture *f = setup_with_known_peer(&two);
    struct client *c = client_new(f);
    nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, NULL);
    for (int i = 0; i < 20; i++)
        client_step(c);
    assert_false(c->hung_up || c->goaway);
    network_close(f->nodes[0].network, on_closed, &f->closed);
    while (!c->hung_up)
        client_step(c);
    assert_true(c->goaway);
    f->nodes[0].network = NULL;
    data_folder_close(f->nodes[0].folder);
    client_free(c);
    teardown(f);
}

/* The client's side: a server that answers nonsense is dialed again and again, and one that is sound at last is connected
 * to. */
static void test_bad_server(void **state)
{
    (void)state;
#define SETTINGS "\0\0\0\x04\0\0\0\0\0"
    /* No HTTP/2; a goodbye; a reset; status 404 and no more. */
    static const char http1[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static const char goaway[] = SETTINGS "\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    static const char reset[] = SETTINGS "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
    static const char not_found[] = SETTINGS "\0\0\x01\x01\x05\0\0\0\x01\x8d";
    static const char *const answers[] = {http1, goaway, reset, not_found};
    static const size_t lens[] = {sizeof http1 - 1, sizeof goaway - 1, sizeof reset - 1, sizeof not_found - 1};
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    struct node *a = &f->nodes[0], *b = &f->nodes[1];
    open_node(f, 1);
    uint16_t port = f->config_nodes[1].address.port;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    f->config_nodes[1].address.port = ntohs(address.sin_port);
    tell_port(f);
    open_node(f, 0);
    for (size_t i = 0; i < 4; i++) {
        int fd;
        while ((fd = accept(listener, NULL, NULL)) < 0)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(send(fd, answers[i], lens[i], MSG_NOSIGNAL), lens[i]);
        char bytes[1024];
        ssize_t len;
        do {
            uv_run(&f->loop, UV_RUN_NOWAIT);
            len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        } while (len > 0 || (len < 0 && errno == EAGAIN));
        close(fd);
    }
    close(listener);
    f->config_nodes[1].address.port = port;
    tell_port(f);
    wait_connected(f, a, b, 1);
    assert_int_equal(network_statistics(a->network).reconnects, 3); /* at its new place it is connected for the first time */
    teardown(f);
}

static void test_process_ends(void **state)
{
    (void)state;
    process_ends(grpc_network_open, false);
}

static void test_copies(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_copies(f);
    teardown(f);
}

static void test_members_come_and_go(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_come_and_go(f);
    teardown(f);
}

static void test_member_replaced(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_replaced(f);
    teardown(f);
}

static void test_member_moved(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_moved(f);
    teardown(f);
}

static void test_hearsay(void **state)
{
    (void)state;
    struct fixture *f = setup(grpc_network_open, "127.0.0.1");
    check_hearsay(f);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_ends),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_reborn),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_refused_calls),
        cmocka_unit_test(test_refused_frames),
        cmocka_unit_test(test_refused_later),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_no_http2),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_bad_server),
        cmocka_unit_test(test_hostile_greetings),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_members_come_and_go),
        cmocka_unit_test(test_member_replaced),
        cmocka_unit_test(test_member_moved),
        cmocka_unit_test(test_hearsay),
    };
    signal(SIGPIPE, SIG_IGN); /* as `synod start` does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
