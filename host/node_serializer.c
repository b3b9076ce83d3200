/* The serializer as a service of the host: interface serializer of wit/parts.wit by core/formats/serializer.h.
 *
 * Messages and bodies come from a guest. Kinds and lengths have been checked on the way (host/wasmtime-typed); what is left
 * to check is their size. A list may name the same memory again and again, so that a small guest could ask for more than
 * there is. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "host/node_wasm_internal.h"

struct host_serializer {
    struct serializer *serializer;
    uint64_t bytes_max;
    /* The bodies to decode, copied: messages point into them while the guest is already putting the results away. */
    struct packet *bodies;
    uint64_t *words;
    size_t bodies_capacity, words_capacity;
};

static int32_t too_long(struct typed_call *call)
{
    call->error = "a call of the serializer is about more bytes than the node's memory could hold";
    return -1;
}

static int32_t encode(void *env, const struct outgoing *messages, size_t count, struct typed_call *call)
{
    struct host_serializer *s = env;
    uint64_t bytes = 0; /* at least what the bodies take */
    for (size_t i = 0; i < count && bytes <= s->bytes_max; i++) {
        const struct entry_list *entries = &messages[i].message.entries;
        bytes += sizeof messages[i];
        for (size_t e = 0; e < entries->len && bytes <= s->bytes_max; e++)
            bytes += sizeof entries->ptr[e] + 8 * entries->ptr[e].value.words.len;
    }
    if (bytes > s->bytes_max)
        return too_long(call);
    call->result_packets = serializer_encode(s->serializer, messages, count);
    return 0;
}

static int32_t decode(void *env, struct typed_call *call, struct decoded *decoded)
{
    struct host_serializer *s = env;
    const struct packet *bodies = call->packets.ptr;
    size_t count = call->packets.len, words = 0;
    for (size_t i = 0; i < count && words <= s->bytes_max / 8; i++)
        words += bodies[i].words.len;
    if (words > s->bytes_max / 8)
        return too_long(call);
    s->bodies = memory_reserve(s->bodies, &s->bodies_capacity, count, sizeof *s->bodies);
    s->words = memory_reserve(s->words, &s->words_capacity, words, sizeof *s->words);
    uint64_t *next = s->words;
    for (size_t i = 0; i < count; i++) {
        s->bodies[i] = bodies[i];
        s->bodies[i].words.ptr = next;
        if (bodies[i].words.len > 0)
            memcpy(next, bodies[i].words.ptr, 8 * bodies[i].words.len);
        next += bodies[i].words.len;
    }
    *decoded = serializer_decode(s->serializer, s->bodies, count);
    return 0;
}

struct host_serializer *host_serializer_new(uint64_t bytes_max)
{
    struct host_serializer *s = memory_new(1, sizeof *s);
    s->serializer = serializer_new();
    s->bytes_max = bytes_max < UINT32_MAX ? bytes_max : UINT32_MAX; /* a body's length is a u32 */
    return s;
}

void host_serializer_free(struct host_serializer *s)
{
    if (s == NULL)
        return;
    serializer_free(s->serializer);
    free(s->bodies);
    free(s->words);
    free(s);
}

int32_t host_serializer_define(struct host_serializer *s, wasmtime_component_linker_instance_t *instance, char **message)
{
    return typed_define_serializer(instance, encode, decode, s, message);
}
