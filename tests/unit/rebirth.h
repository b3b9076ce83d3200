/* Tells the notice of a later life from bodies that tests send. */
#ifndef SYNOD_TESTS_UNIT_REBIRTH_H
#define SYNOD_TESTS_UNIT_REBIRTH_H

#include "core/formats/serializer.h"

/* Whether a body is the notice that its sender began a later life (io/inbox.h), and not one that was sent. */
static inline bool is_rebirth(const struct packet *p)
{
    struct serializer *s = serializer_new();
    struct decoded d = serializer_decode(s, p, 1);
    bool reborn = d.messages.len == 1 && d.messages.ptr[0].message.kind == MESSAGE_HEARTBEAT &&
                  d.messages.ptr[0].message.flags == MESSAGE_RESIGNED;
    serializer_free(s);
    return reborn;
}

#endif
