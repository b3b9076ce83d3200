/* Messages of host/synod.proto, and the five bytes that gRPC puts before each: whether it is compressed (0), and its
 * length, the highest byte first. */
#ifndef SYNOD_HOST_GRPC_MESSAGE_H
#define SYNOD_HOST_GRPC_MESSAGE_H

#include "io/network_transport.h"

enum { GRPC_PREFIX_SIZE = 5, GRPC_HEAD_MAX = 64 };

/* Those that this node gives; the numbers are gRPC's. */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_UNAVAILABLE = 14,
};

/* "PERMISSION_DENIED" and the like, for all that gRPC knows. */
const char *grpc_status_name(unsigned status);

/* How a node is told that it is not listened to, and what it hears in that: REFUSAL_NONE for what says something else. */
enum grpc_status grpc_status_of(enum network_refusal refusal);
enum network_refusal grpc_refusal_of(unsigned status);

/* All of a Frame that goes before the bytes of its body, with the prefix. The body itself is never copied. */
struct grpc_head {
    uint8_t bytes[GRPC_HEAD_MAX];
    size_t len;
};
void grpc_frame_encode(const struct frame_origin *origin, const uint64_t *body, uint32_t len, struct grpc_head *head);

/* How long a Frame with a body of at most `body_max` bytes can be, without the prefix. */
size_t grpc_frame_size_max(size_t body_max);

/* Memory that one message is unpacked to. Zero is empty. */
struct grpc_arena {
    uint64_t *words;
    size_t capacity, used; /* bytes */
};
void grpc_arena_close(struct grpc_arena *arena);

struct grpc_frame {
    struct frame_origin origin;
    const uint64_t *body; /* words_for(len) words, what is left of the last one zero */
    uint32_t len;
};

/* Reads a Frame that came from outside: anything may be in it. Not GRPC_OK: `why` says what is wrong. It stays in the arena
 * until that is used again. */
enum grpc_status grpc_frame_decode(struct grpc_arena *arena, const uint8_t *bytes, size_t len, uint64_t cluster,
                                   struct grpc_frame *frame, const char **why);

/* Whether these bytes are a StatusRequest. */
bool grpc_status_request_check(struct grpc_arena *arena, const uint8_t *bytes, size_t len);

/* Answers, each with the prefix and `*len` bytes long in all; freed with free(). */
uint8_t *grpc_delivered_encode(uint64_t frames, uint64_t bytes, size_t *len);
uint8_t *grpc_status_reply_encode(const struct network *n, size_t *len);

#endif
