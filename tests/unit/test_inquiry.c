/* host/inquiry.h: a question to one who answers rightly, wrongly, slowly, too much, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "host/inquiry.h"

/* It speaks with one client at a time. */
struct other {
    uv_tcp_t listener, *client; /* the last one */
    uv_write_t write;
    const char *says; /* NULL: nothing */
    size_t say_len, said, step;
    bool hangs_up;
    char heard[128];
    size_t heard_len;
    size_t clients;
};

static uv_loop_t loop;
static struct other other;
static struct inquiry inquiry;
static struct endpoint at;
static size_t answers;
static uint64_t slot;
static char text[64];

static void on_answer(void *context, const struct packet *said)
{
    assert_ptr_equal(context, &other);
    answers++;
    slot = said->id;
    snprintf(text, sizeof text, "%.*s", (int)said->len, (const char *)said->words.ptr);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(other.heard + other.heard_len, (unsigned)(sizeof other.heard - 1 - other.heard_len));
}

static void on_closed(uv_handle_t *handle) { free(handle); }

static void hang_up(uv_tcp_t *client)
{
    if (!uv_is_closing((uv_handle_t *)client))
        uv_close((uv_handle_t *)client, on_closed);
}

static void say(void);

static void on_written(uv_write_t *write, int status)
{
    (void)write;
    if (status == 0)
        say();
}

/* In pieces of `step` bytes. */
static void say(void)
{
    const size_t left = other.say_len - other.said, len = left < other.step ? left : other.step;
    if (len == 0) {
        if (other.hangs_up)
            hang_up(other.client);
        return;
    }
    const uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)other.says + other.said, (unsigned)len);
    other.said += len;
    assert_int_equal(uv_write(&other.write, (uv_stream_t *)other.client, &buffer, 1, on_written), 0);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    (void)buffer;
    if (len < 0 || stream != (uv_stream_t *)other.client) {
        hang_up((uv_tcp_t *)stream);
        return;
    }
    other.heard_len += (size_t)len;
    if (strstr(other.heard, "CONFIGURATION\r\n") != NULL)
        say();
}

static void on_connection(uv_stream_t *listener, int status)
{
    assert_int_equal(status, 0);
    memset(other.heard, 0, sizeof other.heard);
    other.heard_len = other.said = 0;
    other.clients++;
    other.client = memory_new(1, sizeof *other.client);
    uv_tcp_init(&loop, other.client);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)other.client), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)other.client, on_alloc, on_read), 0);
}

static int enter(void **state)
{
    struct sockaddr_in any;
    struct sockaddr_storage bound;
    int len = sizeof bound;
    (void)state;
    memset(&other, 0, sizeof other);
    answers = 0;
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &other.listener);
    uv_ip4_addr("127.0.0.1", 0, &any);
    uv_tcp_bind(&other.listener, (struct sockaddr *)&any, 0);
    uv_listen((uv_stream_t *)&other.listener, 8, on_connection);
    uv_tcp_getsockname(&other.listener, (struct sockaddr *)&bound, &len);
    at = (struct endpoint){.host = "127.0.0.1", .port = ntohs(((struct sockaddr_in *)&bound)->sin_port)};
    inquiry = (struct inquiry){.loop = &loop, .on_answer = on_answer, .context = &other};
    return 0;
}

static int leave(void **state)
{
    (void)state;
    inquiry_close(&inquiry);
    uv_close((uv_handle_t *)&other.listener, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop); /* no handle was forgotten */
}

/* Asks one who says this, and waits until that is over. */
static void ask(const char *says, size_t len, size_t step, bool hangs_up)
{
    other.says = says;
    other.say_len = len;
    other.step = step;
    other.hangs_up = hangs_up;
    inquiry.asked_at = 0;
    assert_true(inquiry_may_ask(&inquiry));
    inquiry_ask(&inquiry, &at);
    assert_false(inquiry_may_ask(&inquiry));
    while (inquiry.question != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    assert_false(inquiry_may_ask(&inquiry)); /* at most one a second */
}

static void an_answer(void **state)
{
    static const char says[] = "$45\r\nslot 813\ngoverns 877\nsettled true\nreplaces 5\n\r\n";
    (void)state;
    for (size_t step = 1; step <= sizeof says; step += 7) {
        answers = 0;
        ask(says, sizeof says - 1, step, false);
        assert_int_equal(answers, 1);
        assert_int_equal(slot, 813);
        assert_string_equal(text, "replaces 5\n");
    }
    assert_string_equal(other.heard, "*2\r\n$5\r\nSYNOD\r\n$13\r\nCONFIGURATION\r\n");
}

static void no_answer(void **state)
{
    static const char *const texts[] = {
        "-ERR the cluster has not formed yet\r\n",
        "+OK\r\n",
        "$5\r\nhello\r\n",
        "$-1\r\n",
        "$x\r\nhello\r\n",
        "hello",
        "",
        "$",
        "$\r\n\r\n",
        "$45 \r\nslot 813\ngoverns 877\nsettled true\nreplaces 5\n\r\n",
        "$9999999999999999999\r\n",
        "$45\r\nslot 813\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ask(texts[i], strlen(texts[i]), 100, true);
    assert_int_equal(answers, 0);
    assert_int_equal(other.clients, sizeof texts / sizeof *texts);
}

/* More than any answer has, with and without an end of the first line. */
static void too_much(void **state)
{
    enum { LEN = 4 * CONFIGURATION_TEXT_MAX };
    char *says = memory_new(LEN, 1);
    (void)state;
    memset(says, 'x', LEN);
    ask(says, LEN, LEN, false);
    memcpy(says, "$999999\r\n", 9);
    ask(says, LEN, LEN, false);
    memcpy(says, "$", 1);
    memset(says + 1, '1', LEN - 1);
    ask(says, LEN, LEN, false);
    free(says);
    assert_int_equal(answers, 0);
}

static void nobody_there(void **state)
{
    (void)state;
    at.port = 1;
    inquiry_ask(&inquiry, &at);
    while (inquiry.question != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    strcpy(at.host, "no.such.name.invalid");
    inquiry_ask(&inquiry, &at);
    while (inquiry.question != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(answers, 0);
}

/* The node ends at any moment of it. */
static void it_is_closed(void **state)
{
    (void)state;
    for (int rounds = 0; rounds < 6; rounds++) {
        inquiry_ask(&inquiry, &at); /* nothing is said */
        for (int i = 0; i < rounds; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        inquiry_close(&inquiry);
        assert_null(inquiry.question);
    }
    assert_int_equal(answers, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(an_answer), TEST(no_answer), TEST(too_much), TEST(nobody_there), TEST(it_is_closed),
    };
    return cmocka_run_group_tests_name("inquiry", tests, NULL, NULL);
}
