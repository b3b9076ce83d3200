#include "host/grpc_message.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "synod.pb-c.h"

enum {
    FIELDS_MAX = GRPC_HEAD_MAX, /* of a Frame without the bytes of its body */
    ARENA_SPARE = 64 * 1024,    /* for protobuf-c's own structs, and fields that this version does not know */
};

const char *grpc_status_name(unsigned status)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED",
    };
    return status < sizeof names / sizeof *names ? names[status] : "an unknown status";
}

static const enum grpc_status refusals[REFUSALS] = {
    [REFUSAL_NONE] = GRPC_OK,
    [REFUSAL_OTHER] = GRPC_PERMISSION_DENIED,
    [REFUSAL_LIFE] = GRPC_FAILED_PRECONDITION,
    [REFUSAL_GOVERNED] = GRPC_OUT_OF_RANGE,
    [REFUSAL_MEMBER] = GRPC_NOT_FOUND,
    [REFUSAL_EARLY] = GRPC_UNAVAILABLE,
};

enum grpc_status grpc_status_of(enum network_refusal refusal) { return refusals[refusal]; }

enum network_refusal grpc_refusal_of(unsigned status)
{
    for (size_t i = REFUSAL_NONE + 1; i < REFUSALS; i++)
        if (status == refusals[i])
            return (enum network_refusal)i;
    return REFUSAL_NONE;
}

static void write_prefix(uint8_t prefix[GRPC_PREFIX_SIZE], size_t len)
{
    prefix[0] = 0;
    for (size_t i = 0; i < 4; i++)
        prefix[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

/* The checksum of a body covers who it is from, too. */
static uint64_t frame_checksum(const struct frame_origin *origin, const void *body, size_t len)
{
    uint64_t words[5] = {origin->cluster};
    memcpy(words + 1, origin->instance, sizeof origin->instance);
    words[3] = origin->sender | (uint64_t)origin->incarnation << 32;
    words[4] = origin->nonce;
    return checksum(body, len, checksum(words, sizeof words, 0));
}

/* ---- out ---- */

/* Takes all that is packed except the body; of that it notes only the place. */
struct head_writer {
    ProtobufCBuffer base;
    struct grpc_head *head;
    const void *body;
};

static void append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct head_writer *w = (struct head_writer *)buffer;
    if (len == 0 || data == w->body)
        return;
    invariant(len <= sizeof w->head->bytes - w->head->len);
    memcpy(w->head->bytes + w->head->len, data, len);
    w->head->len += len;
}

void grpc_frame_encode(const struct frame_origin *origin, const uint64_t *body, uint32_t len, struct grpc_head *head)
{
    Synod__V1__Frame frame = SYNOD__V1__FRAME__INIT;
    struct head_writer writer = {.base = {append}, .head = head, .body = body};
    frame.cluster = origin->cluster;
    frame.instance = (ProtobufCBinaryData){sizeof origin->instance, (uint8_t *)origin->instance};
    frame.sender = origin->sender;
    frame.incarnation = origin->incarnation;
    frame.nonce = origin->nonce;
    frame.checksum = frame_checksum(origin, body, len);
    frame.body = (ProtobufCBinaryData){len, (uint8_t *)body};
    head->len = GRPC_PREFIX_SIZE;
    protobuf_c_message_pack_to_buffer(&frame.base, &writer.base);
    write_prefix(head->bytes, head->len - GRPC_PREFIX_SIZE + len);
}

size_t grpc_frame_size_max(size_t body_max) { return FIELDS_MAX + body_max; }

static uint8_t *pack(const ProtobufCMessage *message, size_t *len)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *out = memory_new(1, GRPC_PREFIX_SIZE + size);
    write_prefix(out, size);
    protobuf_c_message_pack(message, out + GRPC_PREFIX_SIZE);
    *len = GRPC_PREFIX_SIZE + size;
    return out;
}

uint8_t *grpc_delivered_encode(uint64_t frames, uint64_t bytes, size_t *len)
{
    Synod__V1__Delivered delivered = SYNOD__V1__DELIVERED__INIT;
    delivered.frames = frames;
    delivered.bytes = bytes;
    return pack(&delivered.base, len);
}

uint8_t *grpc_status_reply_encode(const struct network *n, size_t *len)
{
    Synod__V1__StatusReply reply = SYNOD__V1__STATUS_REPLY__INIT;
    const struct frame_origin *origin = &n->options.origin;
    const struct network_statistics *s = &n->statistics;
    reply.node = origin->sender;
    reply.cluster = (char *)n->options.config->cluster;
    reply.incarnation = origin->incarnation;
    reply.frames_in = s->frames_in;
    reply.frames_out = s->frames_out;
    reply.bytes_in = s->bytes_in;
    reply.bytes_out = s->bytes_out;
    reply.dropped = s->dropped;
    reply.bad_frames = s->bad_frames;
    reply.reconnects = s->reconnects;
    return pack(&reply.base, len);
}

/* ---- in ---- */

/* Whatever is allocated starts on 8 bytes and has room up to a multiple of 8. A message that needs more than was set aside
 * is refused: a few bytes cannot cost much memory. */
static void *arena_alloc(void *context, size_t size)
{
    struct grpc_arena *arena = context;
    size_t rounded = (size + 7) / 8 * 8;
    if (rounded < size || rounded > arena->capacity - arena->used)
        return NULL;
    void *p = (char *)arena->words + arena->used;
    arena->used += rounded;
    return p;
}

static void arena_free(void *context, void *p)
{
    (void)context;
    (void)p;
}

/* Makes the arena empty, with room for a message of `len` bytes. */
static void arena_reset(struct grpc_arena *arena, size_t len)
{
    size_t need = len + ARENA_SPARE;
    arena->used = 0;
    if (need <= arena->capacity && (arena->capacity <= KEPT_BYTES_MAX || need > KEPT_BYTES_MAX / 2))
        return;
    size_t words = need / 8 + 1;
    free(arena->words);
    arena->words = malloc(words * sizeof *arena->words);
    invariant(arena->words != NULL);
    arena->capacity = words * sizeof *arena->words;
}

void grpc_arena_close(struct grpc_arena *arena) { free(arena->words); }

static void *unpack(struct grpc_arena *arena, const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t len)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    arena_reset(arena, len);
    return protobuf_c_message_unpack(descriptor, &allocator, len, bytes);
}

enum grpc_status grpc_frame_decode(struct grpc_arena *arena, const uint8_t *bytes, size_t len, uint64_t cluster,
                                   struct grpc_frame *frame, const char **why)
{
    const Synod__V1__Frame *f = unpack(arena, &synod__v1__frame__descriptor, bytes, len);
    if (f == NULL) {
        *why = "not a synod.v1.Frame";
        return GRPC_INVALID_ARGUMENT;
    }
    frame->origin =
        (struct frame_origin){.cluster = f->cluster, .sender = f->sender, .incarnation = f->incarnation, .nonce = f->nonce};
    if (f->instance.len != sizeof frame->origin.instance) {
        *why = "its instance is not 16 bytes long";
        return GRPC_INVALID_ARGUMENT;
    }
    memcpy(frame->origin.instance, f->instance.data, sizeof frame->origin.instance);
    if (f->checksum != frame_checksum(&frame->origin, f->body.data, f->body.len)) {
        *why = frame_error_text(FRAME_BAD_CHECKSUM);
        return GRPC_INVALID_ARGUMENT;
    }
    if (f->cluster != cluster) {
        *why = frame_error_text(FRAME_BAD_CLUSTER);
        return GRPC_PERMISSION_DENIED;
    }
    if (f->sender == 0 || f->sender > NODE_ID_MAX) {
        *why = frame_error_text(FRAME_BAD_SENDER);
        return GRPC_INVALID_ARGUMENT;
    }
    frame->len = (uint32_t)f->body.len;
    frame->body = (const uint64_t *)(const void *)f->body.data;
    if (frame->len % 8 != 0)
        memset(f->body.data + frame->len, 0, 8 - frame->len % 8);
    return GRPC_OK;
}

bool grpc_status_request_check(struct grpc_arena *arena, const uint8_t *bytes, size_t len)
{
    return unpack(arena, &synod__v1__status_request__descriptor, bytes, len) != NULL;
}
