/* Messages to frame bodies and back. The bytes are drawn in serializer.c and docs/wire-format.md. */
#ifndef SYNOD_CORE_FORMATS_SERIALIZER_H
#define SYNOD_CORE_FORMATS_SERIALIZER_H

#include "core/formats/packet.h"

struct serializer;

struct delivery_list {
    struct delivery *ptr;
    size_t len;
};
struct sender_list {
    uint32_t *ptr;
    size_t len;
};
struct decoded {
    struct delivery_list messages; /* in order; values may point into the bodies */
    struct sender_list bad;        /* the sender of each body that is not a message */
};

struct serializer *serializer_new(void);
void serializer_free(struct serializer *s);

/* One packet for each message: `id` is the set of nodes it goes to, the words are its frame body. The packets are the
 * serializer's, valid until its next call. */
struct packet_list serializer_encode(struct serializer *s, const struct outgoing *messages, size_t count);

/* The messages in `bodies` (packet id: the sending node). Bodies come from outside and may contain anything. Values point
 * into the bodies; the rest of the result is the serializer's, valid until its next call. */
struct decoded serializer_decode(struct serializer *s, const struct packet *bodies, size_t count);

#endif
