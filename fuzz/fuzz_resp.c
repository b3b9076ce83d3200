/* Any bytes as a stream of requests: in one piece and in pieces it is the same requests, whose arguments lie within it. The first
 * byte says how long the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resp_limits limits = {.args_max = 64, .bytes_max = 4096};

struct parsed {
    uint64_t hash; /* over all requests and the error, if any */
    size_t taken;
    enum resp_result last;
};

static void add_request(struct parsed *o, const struct resp_request *request, const uint8_t *from, size_t len)
{
    invariant(request->size > 0 && request->size <= len && request->argc <= limits.args_max);
    o->hash = checksum(&request->argc, sizeof request->argc, o->hash);
    for (size_t i = 0; i < request->argc; i++) {
        const struct bytes *arg = &request->args[i];
        invariant(arg->ptr >= from && arg->ptr + arg->len <= from + request->size);
        o->hash = checksum(arg->ptr, arg->len, o->hash + arg->len);
    }
    o->taken += request->size;
}

/* Parses the stream, of which `step` more bytes are there each time the parser wants more. */
static struct parsed parse(const uint8_t *data, size_t size, size_t step)
{
    struct parsed o = {.last = RESP_PARTIAL};
    struct resp_parser parser = {0};
    struct resp_request request = {0};
    uint8_t *copy = malloc(size > 0 ? size : 1);
    invariant(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    size_t there = step < size ? step : size;
    for (;;) {
        o.last = resp_parse(&parser, &limits, copy + o.taken, there - o.taken, &request);
        if (o.last == RESP_WHOLE) {
            add_request(&o, &request, copy + o.taken, there - o.taken);
        } else if (o.last == RESP_BAD) {
            invariant(strlen(request.error) > 0);
            o.hash = checksum(request.error, strlen(request.error), o.hash);
            break;
        } else if (there == size) {
            break;
        } else {
            there = size - there > step ? there + step : size;
        }
    }
    resp_parser_close(&parser);
    resp_request_close(&request);
    free(copy);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct parsed at_once = parse(data + 1, size - 1, SIZE_MAX);
    struct parsed in_pieces = parse(data + 1, size - 1, (size_t)data[0] + 1);
    invariant(at_once.hash == in_pieces.hash && at_once.taken == in_pieces.taken && at_once.last == in_pieces.last);
    return 0;
}
