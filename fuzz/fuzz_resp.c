/* Any bytes as a stream of requests: in one piece and in pieces it is the same requests, kept and skipped, whose arguments
 * lie within it. The first byte says how long the pieces are; a request that is kept parses the same when it is parsed
 * again. */
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "core/formats/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resp_limits limits = {.args_max = 64, .bytes_max = 256, .skip_max = 1024};

struct parsed {
    uint64_t hash; /* over all requests and the error, if any */
    size_t taken;  /* by requests that are over */
    size_t at;     /* where the parser goes on: after what it has skipped, too */
    enum resp_result last;
};

static bool lies_within(const struct bytes *arg, const uint8_t *from, size_t len)
{
    return arg->ptr >= from && arg->len <= len && arg->ptr <= from + (len - arg->len);
}

static void add_request(struct parsed *o, const struct resp_request *request, const uint8_t *from, size_t len)
{
    invariant(request->size > 0 && request->size <= len && request->argc <= limits.args_max);
    o->hash = checksum(&request->argc, sizeof request->argc, o->hash);
    for (size_t i = 0; i < request->argc; i++) {
        const struct bytes *arg = &request->args[i];
        invariant(lies_within(arg, from, request->size) || lies_within(arg, request->text, request->text_capacity));
        o->hash = checksum(arg->ptr, arg->len, o->hash + arg->len);
    }
    o->taken = o->at += request->size;
}

static void add_error(struct parsed *o, const struct resp_request *request)
{
    invariant(strlen(request->error) > 0);
    o->hash = checksum(request->error, strlen(request->error), o->hash);
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
    do {
        o.last = resp_parse(&parser, &limits, copy + o.at, there - o.at, &request);
        if (o.last == RESP_WHOLE) {
            uint64_t before = o.hash;
            add_request(&o, &request, copy + o.at, there - o.at);
            struct parsed again = {.hash = before, .at = o.at - request.size};
            invariant(resp_parse(&parser, &limits, copy + again.at, there - again.at, &request) == RESP_WHOLE);
            add_request(&again, &request, copy + again.at, there - again.at);
            invariant(again.hash == o.hash && again.at == o.at);
        } else if (o.last == RESP_SKIPPED || o.last == RESP_TOO_LONG) {
            invariant(request.size > 0 && request.size <= there - o.at);
            o.at += request.size;
            if (o.last == RESP_TOO_LONG) {
                add_error(&o, &request);
                invariant(o.at - o.taken > limits.bytes_max && o.at - o.taken <= limits.skip_max + 1u);
                o.taken = o.at;
            }
        } else if (o.last == RESP_BAD) {
            add_error(&o, &request);
        } else if (there < size) {
            there = size - there > step ? there + step : size;
            o.last = RESP_SKIPPED; /* not the last */
        }
    } while (o.last != RESP_BAD && o.last != RESP_PARTIAL);
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
