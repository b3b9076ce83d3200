/* TCP, as far as it is the same over every kind of sockets: requests to connect, and writes that wait for room. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/uv/core.h"

/* Small writes are never held back. */
int uv_tcp_nodelay(uv_tcp_t *tcp, int enable)
{
    (void)tcp;
    return enable ? 0 : UV_ENOTSUP;
}

/* ---- Connecting ---- */

static void connect_call_back(uv_req_t *request)
{
    uv_connect_t *connect = (uv_connect_t *)request;
    connect->callback(connect, connect->status);
}

void uvcore_connect_begin(uv_connect_t *request, uv_tcp_t *tcp, uv_connect_cb callback)
{
    uvcore_request_begin(tcp->loop, (uv_req_t *)request, (uv_handle_t *)tcp, connect_call_back);
    request->handle = tcp;
    request->callback = callback;
    tcp->connecting = request;
}

void uvcore_connect_end(uv_tcp_t *tcp, int status)
{
    uv_connect_t *request = tcp->connecting;
    tcp->connecting = NULL;
    uvcore_request_end(tcp->loop, (uv_req_t *)request, status);
}

/* ---- Writing ---- */

bool uvcore_cursor_is_at_end(struct uv__cursor *c)
{
    while (c->at < c->count && c->skip == c->buffers[c->at].len) {
        c->at++;
        c->skip = 0;
    }
    return c->at == c->count;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t buffers[], unsigned count)
{
    struct uv__cursor cursor = {buffers, count, 0, 0};
    const int may = uvsys_may_write(stream);
    if (may != 0)
        return may;
    if (stream->writes != NULL)
        return UV_EAGAIN;
    const ssize_t written = uvsys_write_some(stream, &cursor);
    return written == 0 && !uvcore_cursor_is_at_end(&cursor) ? UV_EAGAIN : (int)written;
}

static void write_call_back(uv_req_t *request)
{
    uv_write_t *write = (uv_write_t *)request;
    free(write->buffers);
    if (write->callback != NULL)
        write->callback(write, write->status);
}

/* Takes the oldest write away if it is over; returns it, or NULL. */
static uv_write_t *writes_take(uv_tcp_t *tcp, int *status)
{
    uv_write_t *write = tcp->writes;
    if (write == NULL)
        return NULL;
    const ssize_t written = uvsys_write_some(tcp, &write->cursor);
    if (written >= 0 && !uvcore_cursor_is_at_end(&write->cursor))
        return NULL;
    *status = written < 0 ? (int)written : 0;
    tcp->writes = write->behind;
    if (tcp->writes == NULL)
        tcp->writes_end = &tcp->writes;
    return write;
}

void uvcore_writes_go_on(uv_tcp_t *tcp)
{
    int status;
    for (uv_write_t *write; !tcp->closing && (write = writes_take(tcp, &status)) != NULL;)
        uvcore_request_end(tcp->loop, (uv_req_t *)write, status);
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t buffers[], unsigned count, uv_write_cb callback)
{
    int status;
    const int may = uvsys_may_write(stream);
    if (may != 0 && may != UV_EAGAIN)
        return may;
    uvcore_request_begin(stream->loop, (uv_req_t *)request, (uv_handle_t *)stream, write_call_back);
    request->handle = stream;
    request->callback = callback;
    request->buffers = memory_new(count, sizeof *buffers);
    memcpy(request->buffers, buffers, count * sizeof *buffers);
    request->cursor = (struct uv__cursor){request->buffers, count, 0, 0};
    request->behind = NULL;
    *stream->writes_end = request;
    stream->writes_end = &request->behind;
    if (stream->writes == request && may == 0 && writes_take(stream, &status) != NULL)
        uvcore_request_done(stream->loop, (uv_req_t *)request, status);
    else
        uvsys_await_room(stream);
    return 0;
}

void uvcore_stream_cancel(uv_tcp_t *tcp)
{
    if (tcp->connecting != NULL)
        uvcore_request_done(tcp->loop, (uv_req_t *)tcp->connecting, UV_ECANCELED);
    tcp->connecting = NULL;
    while (tcp->writes != NULL) {
        uv_write_t *write = tcp->writes;
        tcp->writes = write->behind;
        uvcore_request_done(tcp->loop, (uv_req_t *)write, UV_ECANCELED);
    }
    tcp->writes_end = &tcp->writes;
}
