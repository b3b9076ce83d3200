/* RESP: every request in one piece and in every possible pair of pieces and byte by byte; what is wrong is said; replies in
 * both versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/formats/resp.h"

static const struct resp_limits limits = {.args_max = 100, .bytes_max = 100000};

/* ---- Requests ---- */

/* Parses `len` bytes that come in pieces of `step`, moving all of them at each, in allocations of the exact size. */
static enum resp_result parse_in_steps(const void *bytes, size_t len, size_t step, const struct resp_limits *l,
                                       struct resp_request *request, uint8_t **kept)
{
    struct resp_parser p = {0};
    enum resp_result result = RESP_PARTIAL;
    uint8_t *data = NULL;
    for (size_t have = step < len ? step : len; result == RESP_PARTIAL; have = have + step < len ? have + step : len) {
        uint8_t *moved = malloc(have > 0 ? have : 1);
        assert_non_null(moved);
        memcpy(moved, bytes, have);
        free(data);
        data = moved;
        result = resp_parse(&p, l, data, have, request);
        if (have == len)
            break;
    }
    resp_parser_close(&p);
    *kept = data;
    return result;
}

/* Expects `args` (NULL-terminated C strings) however the bytes come; bytes that follow are not touched. */
static void expect_request(const char *bytes, const char *const *args)
{
    static const char more[] = "PING\r\n";
    size_t len = strlen(bytes);
    char *all = malloc(len + sizeof more);
    memcpy(all, bytes, len);
    memcpy(all + len, more, sizeof more);
    for (size_t step = 1; step <= len + sizeof more; step++) {
        struct resp_request request = {0};
        uint8_t *kept;
        if (parse_in_steps(all, len + sizeof more - 1, step, &limits, &request, &kept) != RESP_WHOLE)
            fail_msg("%s in steps of %zu: %s", bytes, step, request.error);
        assert_int_equal(request.size, len);
        size_t argc = 0;
        for (; args[argc] != NULL; argc++) {
            assert_true(argc < request.argc);
            assert_int_equal(request.args[argc].len, strlen(args[argc]));
            assert_memory_equal(request.args[argc].ptr, args[argc], strlen(args[argc]));
        }
        assert_int_equal(request.argc, argc);
        resp_request_close(&request);
        free(kept);
    }
    free(all);
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ARGS   ((const char *const[]){NULL})

static void test_arrays(void **state)
{
    (void)state;
    expect_request("*1\r\n$4\r\nPING\r\n", ARGS("PING"));
    expect_request("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n", ARGS("SET", "k", "hello\r\nworld"));
    expect_request("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", ARGS("GET", ""));
    expect_request(
        "*10\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n",
        ARGS("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"));
    expect_request("*0\r\n", NO_ARGS);
    expect_request("*-1\r\n", NO_ARGS);
}

static void test_inline(void **state)
{
    (void)state;
    expect_request("PING\r\n", ARGS("PING"));
    expect_request("  set  k\tv \n", ARGS("set", "k", "v"));
    expect_request("\r\n", NO_ARGS);
    expect_request("\n", NO_ARGS);
    expect_request("set k \"a b\\n\\r\\t\\b\\a\\\\\\\"\\x41\\xzz\"\r\n", ARGS("set", "k", "a b\n\r\t\b\a\\\"Axzz"));
    expect_request("set k 'a \"b\\'c\\n' \"\"\r\n", ARGS("set", "k", "a \"b'c\\n", ""));
    expect_request("a\"b c\"\r\n", ARGS("ab c"));
}

static void expect_bad(const char *bytes, const struct resp_limits *l, const char *error)
{
    for (size_t step = 1; step <= strlen(bytes); step++) {
        struct resp_request request = {0};
        uint8_t *kept;
        enum resp_result result = parse_in_steps(bytes, strlen(bytes), step, l, &request, &kept);
        if (result != RESP_BAD)
            fail_msg("%s in steps of %zu: result %d", bytes, step, (int)result);
        assert_string_equal(request.error, error);
        resp_request_close(&request);
        free(kept);
    }
}

static void test_bad_requests(void **state)
{
    (void)state;
    static const struct resp_limits small = {.args_max = 4, .bytes_max = 64};
    expect_bad("*x\r\n", &limits, "invalid multibulk length");
    expect_bad("*1x\r\n", &limits, "invalid multibulk length");
    expect_bad("*99999999999999999999\r\n", &limits, "invalid multibulk length");
    expect_bad("*12345678901234567890123456789012345", &limits, "invalid multibulk length");
    expect_bad("*5\r\n", &small, "invalid multibulk length");
    expect_bad("*1\rx", &limits, "invalid multibulk length");
    expect_bad("*1\r\nPING\r\n", &limits, "expected '$', got 'P'");
    expect_bad("*1\r\n\n", &limits, "expected '$', got '?'");
    expect_bad("*1\r\n$x\r\n", &limits, "invalid bulk length");
    expect_bad("*1\r\n$-1\r\n", &limits, "invalid bulk length");
    expect_bad("*1\r\n$\r\n", &limits, "invalid bulk length");
    expect_bad("*1\r\n$61\r\n", &small, "request is too long to be skipped"); /* `small` skips nothing */
    expect_bad("*2\r\n$30\r\n012345678901234567890123456789\r\n$30\r\n", &small, "request is too long to be skipped");
    expect_bad("*1\r\n$9223372036854775807\r\n", &limits, "request is too long to be skipped");
    expect_bad("*1\r\n$4\r\nPINGxx\r\n", &limits, "bulk does not end where its length says");
    expect_bad("set \"a\r\n", &limits, "unbalanced quotes in request");
    expect_bad("set \"a\"b\r\n", &limits, "unbalanced quotes in request");
    expect_bad("set 'a\r\n", &limits, "unbalanced quotes in request");
    expect_bad("a b c d e\r\n", &small, "too many arguments in inline request");
    expect_bad("01234567890123456789012345678901234567890123456789012345678901234567", &small,
               "request is too long to be skipped");
    expect_bad("0123456789012345678901234567890123456789012345678901234567890123456\n", &small,
               "request is too long to be skipped");
}

/* The last result of a stream that comes in pieces of `step`, of which only what may be asked for again is kept; how many
 * requests were whole and how many too long. */
static enum resp_result parse_stream(const char *bytes, size_t step, const struct resp_limits *l, size_t *whole,
                                     size_t *too_long, struct resp_request *request)
{
    struct resp_parser p = {0};
    size_t len = strlen(bytes), from = 0, have = 0;
    enum resp_result result = RESP_PARTIAL;
    *whole = *too_long = 0;
    while (result != RESP_BAD && (result != RESP_PARTIAL || have < len)) {
        if (result == RESP_PARTIAL)
            have = have + step < len ? have + step : len;
        uint8_t *piece = malloc(have - from + 1); /* of its own, so that the sanitizer sees what lies beyond */
        memcpy(piece, bytes + from, have - from);
        result = resp_parse(&p, l, piece, have - from, request);
        *whole += result == RESP_WHOLE ? 1 : 0;
        *too_long += result == RESP_TOO_LONG ? 1 : 0;
        if (result == RESP_TOO_LONG)
            assert_true(strstr(request->error, "command_bytes_max") || strstr(request->error, "too big inline"));
        if (result != RESP_PARTIAL && result != RESP_BAD)
            from += request->size;
        free(piece);
    }
    resp_parser_close(&p);
    return result;
}

static void test_too_long_requests_are_skipped(void **state)
{
    (void)state;
    static const struct resp_limits small = {.args_max = 100, .bytes_max = 40, .skip_max = 200};
    static const char hundred[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
    char stream[1024];
    snprintf(stream, sizeof stream,
             "PING\r\n"
             "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\n%s\r\n"                     /* one long argument */
             "*1\r\n$4\r\nPING\r\n"                                             /* is understood */
             "*4\r\n$30\r\n%.30s\r\n$4\r\nk\r\nk\r\n$0\r\n\r\n$20\r\n%.20s\r\n" /* many */
             "%s\r\n"                                                           /* a line */
             "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
             hundred, hundred, hundred, hundred);
    for (size_t step = 1; step <= strlen(stream); step++) {
        struct resp_request request = {0};
        size_t whole, too_long;
        assert_int_equal(parse_stream(stream, step, &small, &whole, &too_long, &request), RESP_PARTIAL);
        assert_int_equal(whole, 3);
        assert_int_equal(too_long, 3);
        resp_request_close(&request);
    }
    static const char *const bad[][2] = {
        {"*1\r\n$201\r\n", "request is too long to be skipped"},
        {"*3\r\n$41\r\n01234567890123456789012345678901234567890\r\n$150\r\n", "request is too long to be skipped"},
        {"*3\r\n$41\r\n01234567890123456789012345678901234567890x\n", "bulk does not end where its length says"},
        {"*3\r\n$41\r\n01234567890123456789012345678901234567890\r\nGET\r\n", "expected '$', got 'G'"},
        {"*3\r\n$41\r\n01234567890123456789012345678901234567890\r\n$-1\r\n", "invalid bulk length"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t step = 1; step <= strlen(bad[i][0]); step++) {
            struct resp_request request = {0};
            size_t whole, too_long;
            assert_int_equal(parse_stream(bad[i][0], step, &small, &whole, &too_long, &request), RESP_BAD);
            assert_string_equal(request.error, bad[i][1]);
            resp_request_close(&request);
        }
}

/* A request that never ends takes no more work than it has bytes, and says how many it wants. */
static void test_wanted(void **state)
{
    (void)state;
    struct resp_parser p = {0};
    struct resp_request request = {0};
    uint8_t data[] = "*2\r\n$3\r\nGET\r\n$1000\r\nabc";
    assert_int_equal(resp_parse(&p, &limits, data, sizeof data - 1, &request), RESP_PARTIAL);
    assert_int_equal(p.wanted, sizeof data - 1 - 3 + 1000 + 2);
    assert_int_equal(p.done, 1);
    resp_parser_close(&p);
    resp_request_close(&request);
}

/* ---- Replies ---- */

static void expect_bytes(struct resp_buffer *b, const char *wanted)
{
    assert_int_equal(b->len, strlen(wanted));
    assert_memory_equal(b->data, wanted, b->len);
    b->len = 0;
}

static void test_replies(void **state)
{
    (void)state;
    struct resp_buffer b = {0};
    resp_status_text(&b, "OK");
    expect_bytes(&b, "+OK\r\n");
    resp_error_text(&b, "ERR two\r\nlines");
    expect_bytes(&b, "-ERR two  lines\r\n");
    resp_integer(&b, INT64_MIN);
    resp_integer(&b, INT64_MAX);
    resp_integer(&b, 0);
    expect_bytes(&b, ":-9223372036854775808\r\n:9223372036854775807\r\n:0\r\n");
    resp_bytes(&b, "a\r\nb", 4);
    resp_bytes(&b, NULL, 0);
    expect_bytes(&b, "$4\r\na\r\nb\r\n$0\r\n\r\n");
    resp_nil(&b, 2);
    resp_nil(&b, 3);
    expect_bytes(&b, "$-1\r\n_\r\n");
    resp_map(&b, 2, 3);
    resp_map(&b, 3, 3);
    resp_array(&b, 3);
    expect_bytes(&b, "*6\r\n%3\r\n*3\r\n");
    resp_text(&b, 2, "some text", 9);
    resp_text(&b, 3, "some text", 9);
    expect_bytes(&b, "$9\r\nsome text\r\n=13\r\ntxt:some text\r\n");
    resp_buffer_close(&b);
}

static struct bytes text(const char *s) { return (struct bytes){.ptr = (uint8_t *)(uintptr_t)s, .len = strlen(s)}; }

static void test_packed_replies(void **state)
{
    (void)state;
    struct scalar elements[] = {
        {.tag = REPLY_NIL}, {.tag = REPLY_BYTES, .val.bytes = text("v")}, {.tag = REPLY_INTEGER, .val.integer = -5}};
    struct reply replies[] = {
        {.tag = REPLY_STATUS, .val.bytes = text("OK")},    {.tag = REPLY_ARRAY, .val.array = {elements, 3}},
        {.tag = REPLY_ARRAY, .val.array = {NULL, 0}},      {.tag = REPLY_RAW, .val.bytes = text("*1\r\n:1\r\n")},
        {.tag = REPLY_ERROR, .val.bytes = text("ERR no")}, {.tag = REPLY_RAW, .val.bytes = text("%1\r\n$1\r\na\r\n:1\r\n")},
    };
    static const char *const wanted[][2] = {
        {"+OK\r\n", "+OK\r\n"},         {"*3\r\n$-1\r\n$1\r\nv\r\n:-5\r\n", "*3\r\n_\r\n$1\r\nv\r\n:-5\r\n"},
        {"*0\r\n", "*0\r\n"},           {"*1\r\n:1\r\n", "*1\r\n:1\r\n"},
        {"-ERR no\r\n", "-ERR no\r\n"}, {"*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"},
    };
    struct batch_builder builder = {0};
    struct payload packed = replies_pack(&builder, replies, 6);
    struct resp_buffer b = {0};
    for (int version = 2; version <= 3; version++) {
        size_t offset = 0;
        for (size_t i = 0; i < 6; i++) {
            assert_true(resp_reply(&b, version, &packed, &offset));
            expect_bytes(&b, wanted[i][version - 2]);
        }
        assert_false(resp_reply(&b, version, &packed, &offset));
        assert_int_equal(b.len, 0);
    }
    resp_buffer_close(&b);
    batch_builder_free(&builder);
}

/* An array whose elements are missing adds nothing. */
static void test_unsound_replies(void **state)
{
    (void)state;
    struct scalar elements[] = {{.tag = REPLY_NIL}, {.tag = REPLY_NIL}};
    struct reply reply = {.tag = REPLY_ARRAY, .val.array = {elements, 2}};
    struct batch_builder builder = {0};
    struct payload packed = replies_pack(&builder, &reply, 1);
    packed.len -= 8;
    packed.words.len--;
    struct resp_buffer b = {0};
    size_t offset = 0;
    assert_false(resp_reply(&b, 2, &packed, &offset));
    assert_int_equal(b.len, 0);
    resp_buffer_close(&b);
    batch_builder_free(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),         cmocka_unit_test(test_inline),
        cmocka_unit_test(test_bad_requests),   cmocka_unit_test(test_too_long_requests_are_skipped),
        cmocka_unit_test(test_wanted),         cmocka_unit_test(test_replies),
        cmocka_unit_test(test_packed_replies), cmocka_unit_test(test_unsound_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
