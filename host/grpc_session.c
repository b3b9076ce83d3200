#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "host/grpc_internal.h"

enum {
    WRITE_SIZE = 256 << 10, /* so much is gathered for one write, and a little more */
    COPIED_MAX = 2048,      /* pieces up to this length are copied */
    PIECES_MAX = 64,        /* of one write, but for those of one more frame */
    BUFFERS_MAX = PIECES_MAX + 2 * GRPC_FRAMES_A_DATA + 2,
};

nghttp2_nv grpc_header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* ---- what is to be said ---- */

static void add_piece(struct grpc_session *s, const void *elsewhere, size_t len)
{
    s->total += len;
    if (elsewhere == NULL && s->count > 0 && s->pieces[s->count - 1].elsewhere == NULL) {
        s->pieces[s->count - 1].len += len;
        return;
    }
    s->pieces = memory_reserve(s->pieces, &s->pieces_capacity, s->count + 1, sizeof *s->pieces);
    s->pieces[s->count++] = (struct grpc_piece){elsewhere, len};
}

void grpc_session_add(struct grpc_session *s, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    s->bytes = memory_reserve(s->bytes, &s->capacity, s->len + len, 1);
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
    add_piece(s, NULL, len);
}

void grpc_session_add_elsewhere(struct grpc_session *s, const void *bytes, size_t len)
{
    if (len <= COPIED_MAX)
        grpc_session_add(s, bytes, len);
    else
        add_piece(s, bytes, len);
}

bool grpc_session_is_full(const struct grpc_session *s) { return s->total >= WRITE_SIZE || s->count >= PIECES_MAX; }

static void empty(struct grpc_session *s) { s->len = s->count = s->total = 0; }

/* The pieces from byte `skip` on, as buffers. */
static unsigned gather(const struct grpc_session *s, size_t skip, uv_buf_t *buffers)
{
    unsigned count = 0;
    const uint8_t *copies = s->bytes;
    for (size_t i = 0; i < s->count; i++) {
        const uint8_t *from = s->pieces[i].elsewhere;
        size_t len = s->pieces[i].len;
        if (from == NULL) {
            from = copies;
            copies += len;
        }
        if (skip >= len) {
            skip -= len;
            continue;
        }
        buffers[count++] = uv_buf_init((char *)from + skip, (unsigned)(len - skip));
        skip = 0;
    }
    return count;
}

static void on_rest_written(uv_write_t *write, int status)
{
    struct grpc_session *s = write->data;
    free(s->rest);
    s->rest = NULL;
    s->on_written(s, status);
}

/* Gives libuv what the socket did not take, as a copy. Returns an error of libuv. */
static int write_rest(struct grpc_session *s, uv_stream_t *stream, size_t skip)
{
    uv_buf_t buffers[BUFFERS_MAX];
    unsigned count = gather(s, skip, buffers);
    size_t len = 0;
    s->rest = malloc(s->total - skip);
    invariant(s->rest != NULL);
    for (unsigned i = 0; i < count; i++) {
        memcpy(s->rest + len, buffers[i].base, buffers[i].len);
        len += buffers[i].len;
    }
    const uv_buf_t rest = uv_buf_init((char *)s->rest, (unsigned)len);
    s->write.data = s;
    int error = uv_write(&s->write, stream, &rest, 1, on_rest_written);
    if (error != 0) {
        free(s->rest);
        s->rest = NULL;
    }
    return error;
}

/* Writes all pieces. Returns an error of libuv. */
static int write_pieces(struct grpc_session *s, uv_stream_t *stream)
{
    uv_buf_t buffers[BUFFERS_MAX];
    int error = 0, written = uv_try_write(stream, buffers, gather(s, 0, buffers));
    if (written < 0 && written != UV_EAGAIN)
        error = written;
    else if (written < 0 || (size_t)written < s->total)
        error = write_rest(s, stream, written < 0 ? 0 : (size_t)written);
    empty(s);
    return error;
}

bool grpc_session_pump(struct grpc_session *s, uv_stream_t *stream, void (*after_write)(struct grpc_session *s),
                       const char **why)
{
    while (s->rest == NULL) {
        int error = nghttp2_session_send(s->h2);
        if (error != 0) {
            *why = nghttp2_strerror(error);
            return false;
        }
        if (s->total == 0)
            return true;
        error = write_pieces(s, stream);
        if (after_write != NULL)
            after_write(s);
        if (error != 0) {
            *why = uv_strerror(error);
            return false;
        }
    }
    return true;
}

void grpc_session_goodbye(struct grpc_session *s, uv_stream_t *stream)
{
    uv_buf_t buffers[BUFFERS_MAX];
    if (s->rest != NULL)
        return; /* the socket is full */
    nghttp2_session_terminate_session(s->h2, NGHTTP2_NO_ERROR);
    nghttp2_session_send(s->h2);
    if (s->count > 0)
        uv_try_write(stream, buffers, gather(s, 0, buffers));
    empty(s);
}

void grpc_session_close(struct grpc_session *s)
{
    nghttp2_session_del(s->h2);
    free(s->bytes);
    free(s->pieces);
    free(s->rest);
}

/* ---- callbacks ---- */

static ssize_t on_send(nghttp2_session *h2, const uint8_t *bytes, size_t len, int flags, void *context)
{
    struct grpc_session *s = context;
    (void)h2;
    (void)flags;
    if (grpc_session_is_full(s))
        return NGHTTP2_ERR_WOULDBLOCK;
    grpc_session_add(s, bytes, len);
    return (ssize_t)len;
}

static ssize_t on_data_size(nghttp2_session *h2, uint8_t type, int32_t stream, int32_t session_window, int32_t stream_window,
                            uint32_t frame_size_max, void *context)
{
    (void)h2;
    (void)type;
    (void)stream;
    (void)context;
    ssize_t size = GRPC_DATA_SIZE;
    size = session_window < size ? session_window : size;
    size = stream_window < size ? stream_window : size;
    return frame_size_max < (uint32_t)size ? (ssize_t)frame_size_max : size;
}

static int on_error(nghttp2_session *h2, int code, const char *text, size_t len, void *context)
{
    struct grpc_session *s = context;
    (void)h2;
    (void)code;
    snprintf(s->trouble, sizeof s->trouble, "%.*s", (int)len, text);
    return 0;
}

void grpc_session_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_data_size);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
}
