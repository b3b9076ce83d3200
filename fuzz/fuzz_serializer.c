/* Any bytes as frame bodies: what is accepted has known kinds and encodes to the same bytes, everything else is counted
 * as bad. The first byte says where the input is cut in two bodies, so that a bad one stands beside a good one. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/formats/serializer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A body in memory of exactly its size. */
static struct packet body_of(const uint8_t *data, size_t size, uint64_t sender)
{
    struct packet body = {.id = sender, .len = (uint32_t)size, .words = {NULL, words_for(size)}};
    body.words.ptr = calloc(body.words.len + (size == 0), sizeof(uint64_t));
    invariant(body.words.ptr != NULL);
    if (size > 0)
        memcpy(body.words.ptr, data, size);
    return body;
}

static void check(struct serializer *s, const struct packet *body, const struct message *message)
{
    struct outgoing outgoing = {.to = 2, .message = *message};
    invariant(message->kind < MESSAGE_KINDS && message->ballot.node <= NODE_ID_MAX);
    for (size_t i = 0; i < message->entries.len; i++)
        invariant(message->entries.ptr[i].kind < ENTRY_KINDS && message->entries.ptr[i].ballot.node <= NODE_ID_MAX);
    struct packet_list packets = serializer_encode(s, &outgoing, 1);
    invariant(packets.len == 1 && packets.ptr[0].len == body->len);
    invariant(memcmp(packets.ptr[0].words.ptr, body->words.ptr, body->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t first = (size_t)data[0] * 8;
    data++, size--;
    if (first > size)
        first = size;
    struct packet bodies[2] = {body_of(data, first, 1), body_of(data + first, size - first, 2)};
    struct serializer *decoder = serializer_new(), *encoder = serializer_new();
    struct decoded decoded = serializer_decode(decoder, bodies, 2);
    invariant(decoded.messages.len + decoded.bad.len == 2);
    for (size_t i = 0; i < decoded.messages.len; i++) {
        const struct delivery *delivery = &decoded.messages.ptr[i];
        invariant(delivery->sender == 1 || delivery->sender == 2);
        check(encoder, &bodies[delivery->sender - 1], &delivery->message);
    }
    serializer_free(decoder);
    serializer_free(encoder);
    free(bodies[0].words.ptr);
    free(bodies[1].words.ptr);
    return 0;
}
