/* `interface client-serializer`: requests by core/formats/resp.h, answers by load/protocol.h. */
#include <string.h>

#include "components/packet.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/resp.h"
#include "load/protocol_internal.h"

typedef exports_synod_paxos_client_serializer_list_packet_t packets;
SAME_LIST(struct packet_list, packets);

/* A growing list of packets whose words are pieces of one buffer; both are used again in the next call. */
struct output {
    struct packet_list list;
    size_t capacity;
    struct words words; /* `len` of them are used */
    size_t words_capacity;
};

/* Adds a packet with a copy of the bytes. Its words are filled in when all packets are there, because the buffer may move
 * until then. */
static void output_add(struct output *o, uint64_t id, uint32_t kind, const void *bytes, size_t len)
{
    const struct packet packet = {id, kind, (uint32_t)len, {NULL, words_for((uint32_t)len)}};
    o->list.ptr = memory_reserve(o->list.ptr, &o->capacity, o->list.len + 1, sizeof packet);
    o->list.ptr[o->list.len++] = packet;
    if (len == 0)
        return;
    o->words.ptr = memory_reserve(o->words.ptr, &o->words_capacity, o->words.len + packet.words.len, sizeof *o->words.ptr);
    o->words.ptr[o->words.len + packet.words.len - 1] = 0; /* zeros the unused bytes of the last word */
    memcpy(&o->words.ptr[o->words.len], bytes, len);
    o->words.len += packet.words.len;
}

static struct packet_list output_end(struct output *o)
{
    uint64_t *at = o->words.ptr;
    for (size_t i = 0; i < o->list.len; i++) {
        o->list.ptr[i].words.ptr = at;
        at += o->list.ptr[i].words.len;
    }
    return o->list;
}

static void encode_batch(struct output *o, const struct packet *batch)
{
    static struct batch_commands commands;
    static struct resp_buffer bytes;
    const struct payload value = {batch->words, batch->len};
    if (!batch_commands_read(&commands, &value))
        return;
    bytes.len = 0;
    for (size_t i = 0; i < commands.count; i++) {
        const struct command *command = &commands.commands[i];
        resp_array(&bytes, command->args.len);
        for (size_t a = 0; a < command->args.len; a++)
            resp_bytes(&bytes, command->args.ptr[a].ptr, command->args.ptr[a].len);
    }
    output_add(o, batch->id, 0, bytes.data, bytes.len);
}

void exports_synod_paxos_client_serializer_encode(packets *batches, packets *ret)
{
    static struct output output;
    output.list.len = output.words.len = 0;
    for (size_t i = 0; i < batches->len; i++)
        encode_batch(&output, (const struct packet *)&batches->ptr[i]);
    *(struct packet_list *)ret = output_end(&output);
}
SHIM_POST(client_serializer_encode, "client-serializer@0.1.0#encode");

/* Returns how many bytes were complete answers. */
static uint32_t decode_bytes(struct output *o, const struct packet *received)
{
    const char *bytes = (const char *)received->words.ptr;
    size_t at = 0;
    while (at < received->len) {
        struct answer answer = {.kind = ANSWER_OK};
        ptrdiff_t size = resp_answer_read(bytes + at, received->len - at, &answer);
        if (size < 0)
            return UINT32_MAX;
        if (size == 0)
            break;
        output_add(o, received->id, answer.kind, answer.text, answer.text_len);
        at += (size_t)size;
    }
    return (uint32_t)at;
}

void exports_synod_paxos_client_serializer_decode(packets *received, exports_synod_paxos_client_serializer_decoded_t *ret)
{
    static struct output output;
    static uint32_t *used;
    static size_t capacity;
    output.list.len = output.words.len = 0;
    used = memory_reserve(used, &capacity, received->len, sizeof *used);
    for (size_t i = 0; i < received->len; i++)
        used[i] = decode_bytes(&output, (const struct packet *)&received->ptr[i]);
    *(struct packet_list *)&ret->answers = output_end(&output);
    ret->used.ptr = used;
    ret->used.len = received->len;
}
SHIM_POST(client_serializer_decode, "client-serializer@0.1.0#decode");
