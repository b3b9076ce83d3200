/* The parser understands each part of a request once, in however many pieces the request comes: `at` is where it goes on.
 * What it has found is kept as offsets, because the bytes may have moved by the next call. It waits for the whole of an
 * argument, whose length it knows. It searches a line for its end only beyond what it searched before.
 *
 * A request that is too long is skipped: its lengths tell where the next one begins. So none of it has to be kept, and the
 * connection does not lose its place. */
#include "core/formats/resp.h"

#include "core/base/memory.h"
#include "core/formats/decimal.h"

enum { LINE_MAX = 64 * 1024, LENGTH_LINE_MAX = 32 };

static const char too_long_to_skip[] = "request is too long to be skipped";
static const char wrong_end[] = "bulk does not end where its length says";

/* ---- Requests ---- */

static enum resp_result bad(struct resp_request *request, const char *what)
{
    size_t len = strlen(what);
    invariant(len < RESP_ERROR_MAX);
    memcpy(request->error, what, len + 1);
    return RESP_BAD;
}

static void start_again(struct resp_parser *p)
{
    p->mode = RESP_KEEPS;
    p->expected = p->done = p->at = p->wanted = 0;
    p->skipped = p->left = 0;
    if (p->spans != NULL) {
        free(p->spans);
        p->spans = NULL;
        p->spans_capacity = 0;
    }
}

static struct resp_span *span_at(struct resp_parser *p, uint32_t index)
{
    return index < RESP_SPANS_INSIDE ? &p->inside[index] : &p->spans[index - RESP_SPANS_INSIDE];
}

static void add_span(struct resp_parser *p, uint32_t at, uint32_t len)
{
    if (p->done >= RESP_SPANS_INSIDE) {
        size_t capacity = p->spans_capacity;
        p->spans = memory_reserve(p->spans, &capacity, p->done + 1 - RESP_SPANS_INSIDE, sizeof *p->spans);
        p->spans_capacity = (uint32_t)capacity;
    }
    *span_at(p, p->done) = (struct resp_span){.at = at, .len = len};
    p->done++;
}

static struct bytes *add_arg(struct resp_request *request)
{
    request->args = memory_reserve(request->args, &request->capacity, request->argc + 1, sizeof *request->args);
    return &request->args[request->argc++];
}

static enum resp_result whole(struct resp_parser *p, const uint8_t *data, struct resp_request *request)
{
    request->args = memory_reserve(request->args, &request->capacity, p->done, sizeof *request->args);
    for (uint32_t i = 0; i < p->done; i++) {
        const struct resp_span *span = span_at(p, i);
        request->args[i] = (struct bytes){.ptr = (uint8_t *)(uintptr_t)data + span->at, .len = span->len};
    }
    request->argc = p->done;
    request->size = p->at;
    start_again(p);
    return RESP_WHOLE;
}

/* Reads the number of the line "<mark><number>\r\n" at `p->at`, and moves after it. `what` is the error for a number that is
 * not one. */
static enum resp_result length_line(struct resp_parser *p, const uint8_t *data, size_t len, int64_t *value, const char *what,
                                    struct resp_request *request)
{
    const uint8_t *text = data + p->at + 1;
    size_t left = len - p->at - 1;
    /* Most lengths have one or two digits. */
    if (left >= 3 && text[1] == '\r' && text[0] >= '0' && text[0] <= '9') {
        if (text[2] != '\n')
            return bad(request, what);
        *value = text[0] - '0';
        p->at += 4;
        return RESP_WHOLE;
    }
    const uint8_t *end = memchr(text, '\r', left < LENGTH_LINE_MAX ? left : LENGTH_LINE_MAX);
    if (end == NULL)
        return left < LENGTH_LINE_MAX ? RESP_PARTIAL : bad(request, what);
    size_t digits = (size_t)(end - text);
    if (digits + 1 >= left)
        return RESP_PARTIAL;
    if (end[1] != '\n' || !decimal_read(text, digits, value))
        return bad(request, what);
    p->at += (uint32_t)digits + 3;
    return RESP_WHOLE;
}

static enum resp_result wrong_mark(struct resp_request *request, uint8_t found)
{
    bad(request, "expected '$', got '?'");
    if (found >= ' ' && found < 0x7f)
        request->error[strlen(request->error) - 2] = (char)found;
    return RESP_BAD;
}

/* The longest request after which the connection still goes on. */
static uint32_t longest_of(const struct resp_limits *limits)
{
    return limits->skip_max > limits->bytes_max ? limits->skip_max : limits->bytes_max;
}

/* The length of the next argument. The request may be longer than what is kept, but not than what is skipped. */
static enum resp_result argument_length(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data,
                                        size_t len, int64_t *size, struct resp_request *request)
{
    if (p->at >= len)
        return RESP_PARTIAL;
    if (data[p->at] != '$')
        return wrong_mark(request, data[p->at]);
    enum resp_result result = length_line(p, data, len, size, "invalid bulk length", request);
    if (result != RESP_WHOLE)
        return result;
    if (*size < 0)
        return bad(request, "invalid bulk length");
    uint32_t longest = longest_of(limits);
    if (*size > longest || p->skipped + p->at + (uint64_t)*size + 2 > longest)
        return bad(request, too_long_to_skip);
    return RESP_WHOLE;
}

/* ---- Skipping ---- */

/* What has been skipped so far does not have to be given again. */
static enum resp_result skipped(struct resp_parser *p, struct resp_request *request)
{
    if (p->at == 0)
        return RESP_PARTIAL;
    request->size = p->at;
    p->skipped += p->at;
    p->at = 0;
    return RESP_SKIPPED;
}

static enum resp_result too_long(struct resp_parser *p, struct resp_request *request)
{
    bad(request, p->expected > 0 ? "request is longer than command_bytes_max" : "too big inline request");
    request->size = p->at;
    request->argc = 0;
    start_again(p);
    return RESP_TOO_LONG;
}

/* The rest of an array, from where the last call stopped. */
static enum resp_result skip_array(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                                   struct resp_request *request)
{
    for (;;) {
        if (p->mode == RESP_SKIPS_LENGTH) {
            int64_t size = 0;
            if (p->done == p->expected)
                return too_long(p, request);
            enum resp_result result = argument_length(p, limits, data, len, &size, request);
            if (result != RESP_WHOLE)
                return result == RESP_PARTIAL ? skipped(p, request) : result;
            p->left = (uint64_t)size;
            p->mode = RESP_SKIPS_BYTES;
        }
        if (p->mode == RESP_SKIPS_BYTES) {
            size_t some = p->left < len - p->at ? (size_t)p->left : len - p->at;
            p->at += (uint32_t)some;
            p->left -= some;
            if (p->left > 0)
                return skipped(p, request);
            p->mode = RESP_SKIPS_END;
        }
        if (len - p->at < 2)
            return skipped(p, request);
        if (data[p->at] != '\r' || data[p->at + 1] != '\n')
            return bad(request, wrong_end);
        p->at += 2;
        p->done++;
        p->mode = RESP_SKIPS_LENGTH;
    }
}

/* The rest of an inline command. */
static enum resp_result skip_line(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                                  struct resp_request *request)
{
    const uint8_t *newline = memchr(data + p->at, '\n', len - p->at);
    size_t end = newline != NULL ? (size_t)(newline - data) : len;
    if (p->skipped + end > longest_of(limits))
        return bad(request, too_long_to_skip);
    p->at = (uint32_t)(newline != NULL ? end + 1 : end);
    return newline != NULL ? too_long(p, request) : skipped(p, request);
}

/* ---- Arrays ---- */

/* The arguments of an array, from where the last call stopped. */
static enum resp_result parse_args(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                                   struct resp_request *request)
{
    while (p->done < p->expected) {
        uint32_t mark = p->at;
        int64_t size = 0;
        enum resp_result result = argument_length(p, limits, data, len, &size, request);
        if (result != RESP_WHOLE)
            return result;
        if (p->at + (uint64_t)size + 2 > limits->bytes_max) {
            p->left = (uint64_t)size;
            p->mode = RESP_SKIPS_BYTES;
            return skip_array(p, limits, data, len, request);
        }
        if (len - p->at < (uint64_t)size + 2) {
            p->wanted = p->at + (uint32_t)size + 2;
            p->at = mark; /* the length is read again when the rest has come */
            return RESP_PARTIAL;
        }
        const uint8_t *end = data + p->at + size;
        if (end[0] != '\r' || end[1] != '\n')
            return bad(request, wrong_end);
        add_span(p, p->at, (uint32_t)size);
        p->at += (uint32_t)size + 2;
    }
    return whole(p, data, request);
}

static enum resp_result parse_array(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                                    struct resp_request *request)
{
    if (p->expected == 0) {
        int64_t count;
        enum resp_result result = length_line(p, data, len, &count, "invalid multibulk length", request);
        if (result != RESP_WHOLE)
            return result;
        if (count > limits->args_max)
            return bad(request, "invalid multibulk length");
        if (count <= 0)
            return whole(p, data, request);
        p->expected = (uint32_t)count;
    }
    return parse_args(p, limits, data, len, request);
}

/* ---- Inline commands ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character inside double quotes: reads at `*in`, which moves on. */
static uint8_t quoted_character(const uint8_t *line, size_t len, size_t *in)
{
    uint8_t c = line[(*in)++];
    if (c != '\\' || *in >= len)
        return c;
    c = line[(*in)++];
    if (c == 'x' && *in + 1 < len && hex_digit(line[*in]) >= 0 && hex_digit(line[*in + 1]) >= 0) {
        c = (uint8_t)(hex_digit(line[*in]) * 16 + hex_digit(line[*in + 1]));
        *in += 2;
        return c;
    }
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0; }

/* Takes the argument at line[*in] and writes it to text[*out] and on (never ahead of `*in`). False: its quotes are not
 * closed, or something follows them directly. */
static bool take_word(const uint8_t *line, size_t len, size_t *in, uint8_t *text, size_t *out)
{
    uint8_t quote = 0;
    while (*in < len) {
        uint8_t c = line[*in];
        if (quote == 0) {
            if (is_blank(c))
                return true;
            ++*in;
            if (c == '"' || c == '\'')
                quote = c;
            else
                text[(*out)++] = c;
        } else if (c == quote) {
            ++*in;
            return *in == len || is_blank(line[*in]);
        } else if (quote == '"') {
            c = quoted_character(line, len, in);
            text[(*out)++] = c;
        } else {
            if (c == '\\' && *in + 1 < len && line[*in + 1] == '\'')
                ++*in;
            text[(*out)++] = line[(*in)++];
        }
    }
    return quote == 0;
}

/* The arguments of a line, without their quotes. */
static enum resp_result split_line(const struct resp_limits *limits, const uint8_t *line, size_t len,
                                   struct resp_request *request)
{
    request->argc = 0;
    request->text = memory_reserve(request->text, &request->text_capacity, len, 1);
    for (size_t in = 0;;) {
        while (in < len && is_blank(line[in]))
            in++;
        if (in == len)
            return RESP_WHOLE;
        size_t start = in, out = in;
        if (!take_word(line, len, &in, request->text, &out))
            return bad(request, "unbalanced quotes in request");
        if (request->argc == limits->args_max)
            return bad(request, "too many arguments in inline request");
        *add_arg(request) = (struct bytes){.ptr = request->text + start, .len = out - start};
    }
}

static enum resp_result parse_line(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                                   struct resp_request *request)
{
    uint32_t longest = limits->bytes_max < LINE_MAX ? limits->bytes_max : LINE_MAX;
    const uint8_t *newline = memchr(data + p->at, '\n', len - p->at);
    if (newline == NULL ? len > longest : (size_t)(newline - data) > longest) {
        p->mode = RESP_SKIPS_LINE;
        return skip_line(p, limits, data, len, request);
    }
    if (newline == NULL) {
        p->at = (uint32_t)len;
        return RESP_PARTIAL;
    }
    size_t line_len = (size_t)(newline - data);
    request->size = line_len + 1;
    if (line_len > 0 && data[line_len - 1] == '\r')
        line_len--;
    start_again(p);
    return split_line(limits, data, line_len, request);
}

enum resp_result resp_parse(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                            struct resp_request *request)
{
    if (len == 0)
        return RESP_PARTIAL;
    if (p->mode == RESP_SKIPS_LINE)
        return skip_line(p, limits, data, len, request);
    if (p->mode != RESP_KEEPS)
        return skip_array(p, limits, data, len, request);
    if (data[0] == '*')
        return parse_array(p, limits, data, len, request);
    return parse_line(p, limits, data, len, request);
}

size_t resp_parser_bytes(const struct resp_parser *p) { return p->spans_capacity * sizeof *p->spans; }

void resp_parser_close(struct resp_parser *p) { start_again(p); }

void resp_request_close(struct resp_request *request)
{
    free(request->args);
    free(request->text);
    *request = (struct resp_request){0};
}

/* ---- Replies ---- */

static uint8_t *room(struct resp_buffer *b, size_t len)
{
    b->data = memory_reserve(b->data, &b->capacity, b->len + len, 1);
    return b->data + b->len;
}

void resp_raw(struct resp_buffer *b, const void *bytes, size_t len)
{
    uint8_t *at = room(b, len);
    if (len > 0)
        memcpy(at, bytes, len);
    b->len += len;
}

static void line(struct resp_buffer *b, uint8_t mark, struct bytes text)
{
    uint8_t *at = room(b, text.len + 3);
    *at++ = mark;
    for (size_t i = 0; i < text.len; i++)
        *at++ = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i];
    *at++ = '\r';
    *at = '\n';
    b->len += text.len + 3;
}

static void number_line(struct resp_buffer *b, uint8_t mark, int64_t value)
{
    uint8_t *at = room(b, DECIMAL_MAX + 3);
    at[0] = mark;
    size_t len = 1 + decimal_write(value, at + 1);
    at[len++] = '\r';
    at[len++] = '\n';
    b->len += len;
}

void resp_status(struct resp_buffer *b, struct bytes text) { line(b, '+', text); }
void resp_error(struct resp_buffer *b, struct bytes text) { line(b, '-', text); }
void resp_integer(struct resp_buffer *b, int64_t value) { number_line(b, ':', value); }
void resp_array(struct resp_buffer *b, size_t elements) { number_line(b, '*', (int64_t)elements); }
void resp_push(struct resp_buffer *b, int version, size_t elements)
{
    number_line(b, version >= 3 ? '>' : '*', (int64_t)elements);
}

void resp_bytes(struct resp_buffer *b, const void *bytes, size_t len)
{
    number_line(b, '$', (int64_t)len);
    uint8_t *at = room(b, len + 2);
    if (len > 0)
        memcpy(at, bytes, len);
    at[len] = '\r';
    at[len + 1] = '\n';
    b->len += len + 2;
}

void resp_nil(struct resp_buffer *b, int version) { resp_raw(b, version >= 3 ? "_\r\n" : "$-1\r\n", version >= 3 ? 3 : 5); }

void resp_map(struct resp_buffer *b, int version, size_t pairs)
{
    if (version >= 3)
        number_line(b, '%', (int64_t)pairs);
    else
        number_line(b, '*', (int64_t)pairs * 2);
}

void resp_set(struct resp_buffer *b, int version, size_t elements)
{
    number_line(b, version >= 3 ? '~' : '*', (int64_t)elements);
}

void resp_text(struct resp_buffer *b, int version, const void *text, size_t len)
{
    if (version < 3) {
        resp_bytes(b, text, len);
        return;
    }
    number_line(b, '=', (int64_t)len + 4);
    resp_raw(b, "txt:", 4);
    resp_raw(b, text, len);
    resp_raw(b, "\r\n", 2);
}

static struct bytes text_of(const char *text)
{
    return (struct bytes){.ptr = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

void resp_status_text(struct resp_buffer *b, const char *text) { resp_status(b, text_of(text)); }
void resp_error_text(struct resp_buffer *b, const char *text) { resp_error(b, text_of(text)); }
void resp_string(struct resp_buffer *b, const char *text) { resp_bytes(b, text, strlen(text)); }

/* What a command has encoded itself, in version 3. Of what version 2 does not have, it has a map at its beginning only. */
static void encoded(struct resp_buffer *b, int version, struct bytes bytes)
{
    int64_t pairs = 0;
    const uint8_t *end = bytes.len > 0 ? memchr(bytes.ptr, '\r', bytes.len) : NULL;
    const size_t head = end != NULL ? (size_t)(end - bytes.ptr) + 2 : 0;
    const bool is_map = head > 3 && head <= bytes.len && bytes.ptr[0] == '%' &&
                        decimal_read(bytes.ptr + 1, head - 3, &pairs) && pairs >= 0 && pairs <= UINT32_MAX;
    const size_t skipped = version < 3 && is_map ? head : 0;
    if (skipped > 0)
        resp_map(b, version, (size_t)pairs);
    resp_raw(b, bytes.ptr + skipped, bytes.len - skipped);
}

static void one_item(struct resp_buffer *b, int version, const struct reply_item *item)
{
    switch (item->tag) {
    case REPLY_STATUS:
        resp_status(b, item->bytes);
        break;
    case REPLY_INTEGER:
        resp_integer(b, item->integer);
        break;
    case REPLY_BYTES:
        resp_bytes(b, item->bytes.ptr, item->bytes.len);
        break;
    case REPLY_ERROR:
        resp_error(b, item->bytes);
        break;
    case REPLY_ARRAY:
        resp_array(b, item->elements);
        break;
    case REPLY_RAW:
        encoded(b, version, item->bytes);
        break;
    case REPLY_NIL_ARRAY:
        resp_raw(b, version >= 3 ? "_\r\n" : "*-1\r\n", version >= 3 ? 3 : 5);
        break;
    default:
        resp_nil(b, version);
        break;
    }
}

bool resp_reply(struct resp_buffer *b, int version, const struct payload *replies, size_t *offset)
{
    size_t start = b->len;
    struct reply_item item;
    for (uint64_t left = 1; left > 0; left--) {
        if (!replies_next(replies, offset, &item)) {
            b->len = start;
            return false;
        }
        one_item(b, version, &item);
        left += item.tag == REPLY_ARRAY ? item.elements : 0;
    }
    return true;
}

void resp_buffer_close(struct resp_buffer *b)
{
    free(b->data);
    *b = (struct resp_buffer){0};
}
