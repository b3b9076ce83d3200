#include "host/inquiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/configuration.h"
#include "io/configuration_answer.h"

enum {
    PATIENCE_MS = 3000,
    AGAIN_MS = 1000,
    ANSWER_MAX = CONFIGURATION_TEXT_MAX + 256, /* with the lines before the text, and what RESP has around both */
};

struct question {
    struct inquiry *inquiry; /* NULL: the answer is not wanted any more */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_write_t write;
    unsigned open; /* handles, and the look-up, that libuv still has to call back about */
    size_t len;
    char answer[ANSWER_MAX + 1];
};

static void release(struct question *a)
{
    if (--a->open == 0)
        free(a);
}

static void on_closed(uv_handle_t *handle) { release(handle->data); }

static void end(struct question *a)
{
    if (a->inquiry == NULL)
        return;
    a->inquiry->question = NULL;
    a->inquiry = NULL;
    uv_cancel((uv_req_t *)&a->resolve); /* if it is over, or cannot be cancelled, that does not matter */
    uv_close((uv_handle_t *)&a->tcp, on_closed);
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

/* ---- the answer ---- */

/* A bulk string: "$5\r\n", that many bytes, "\r\n". Returns where it begins, with a zero at its end; NULL: it is not whole
 * yet, or something else, which will not become one. */
static char *bulk_string(struct question *a, bool *wrong)
{
    enum { DIGITS_MAX = 6 };
    const size_t digits = strspn(a->answer + 1, "0123456789"), head = 1 + digits + 2;
    *wrong = a->len == ANSWER_MAX || a->answer[0] != '$' || digits > DIGITS_MAX ||
             (a->len >= head && (digits == 0 || memcmp(a->answer + 1 + digits, "\r\n", 2) != 0));
    if (*wrong || a->len < head)
        return NULL;
    const size_t len = strtoul(a->answer + 1, NULL, 10);
    if (a->len < head + len + 2)
        return NULL;
    a->answer[head + len] = '\0';
    return a->answer + head;
}

static void tell(struct question *a, const char *text)
{
    struct inquiry *q = a->inquiry;
    struct configuration_answer answer;
    end(a);
    if (!configuration_answer_read(text, &answer))
        return;
    const size_t words = words_for(answer.len);
    const struct packet said = {.id = answer.slot, .len = (uint32_t)answer.len, .words = {memory_new(words, 8), words}};
    memcpy(said.words.ptr, answer.bytes, answer.len);
    q->on_answer(q->context, &said);
    free(said.words.ptr);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct question *a = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(a->answer + a->len, (unsigned)(ANSWER_MAX - a->len));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct question *a = stream->data;
    bool wrong = len < 0;
    (void)buffer;
    if (a->inquiry == NULL || len == 0)
        return;
    if (!wrong) {
        a->len += (size_t)len;
        a->answer[a->len] = '\0';
        const char *text = bulk_string(a, &wrong);
        if (text != NULL)
            tell(a, text);
    }
    if (wrong)
        end(a);
}

/* ---- the question ---- */

static void on_written(uv_write_t *write, int status)
{
    if (status < 0)
        end(write->data);
}

static void on_connected(uv_connect_t *connect, int status)
{
    static char words[] = "*2\r\n$5\r\nSYNOD\r\n$13\r\nCONFIGURATION\r\n";
    struct question *a = connect->data;
    const uv_buf_t buffer = uv_buf_init(words, sizeof words - 1);
    if (a->inquiry == NULL)
        return;
    if (status < 0 || uv_write(&a->write, (uv_stream_t *)&a->tcp, &buffer, 1, on_written) != 0 ||
        uv_read_start((uv_stream_t *)&a->tcp, on_alloc, on_read) != 0)
        end(a);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct question *a = resolve->data;
    if (a->inquiry != NULL && (status != 0 || uv_tcp_connect(&a->connect, &a->tcp, found->ai_addr, on_connected) != 0))
        end(a);
    uv_freeaddrinfo(found);
    release(a);
}

static void on_patience_over(uv_timer_t *timer) { end(timer->data); }

bool inquiry_may_ask(const struct inquiry *q)
{
    return q->question == NULL && (q->asked_at == 0 || uv_now(q->loop) - q->asked_at >= AGAIN_MS);
}

void inquiry_ask(struct inquiry *q, const struct endpoint *at)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[8];
    struct question *a = q->question = memory_new(1, sizeof *a);
    a->inquiry = q;
    a->tcp.data = a->timer.data = a->resolve.data = a->connect.data = a->write.data = a;
    q->asked_at = uv_now(q->loop);
    snprintf(port, sizeof port, "%u", at->port);
    uv_tcp_init(q->loop, &a->tcp);
    uv_timer_init(q->loop, &a->timer);
    a->open = 3;
    uv_timer_start(&a->timer, on_patience_over, PATIENCE_MS, 0);
    if (uv_getaddrinfo(q->loop, &a->resolve, on_resolved, at->host, port, &hints) != 0) {
        end(a);
        release(a);
    }
}

void inquiry_close(struct inquiry *q)
{
    if (q->question != NULL)
        end(q->question);
}
