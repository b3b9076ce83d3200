/* The guest of test_host_serializer.c: test_worlds.wit says what each function does. */
#include <stdlib.h>

#include "world.h"

typedef exports_synod_paxos_serializer_driver_list_packet_t packets;

void exports_synod_paxos_serializer_driver_repack(packets *bodies, packets *ret)
{
    synod_paxos_serializer_decoded_t decoded;
    synod_paxos_serializer_decode((synod_paxos_serializer_list_packet_t *)bodies, &decoded);
    exports_synod_paxos_serializer_driver_list_packet_free(bodies);
    size_t count = decoded.messages.len;
    synod_paxos_serializer_list_outgoing_t list = {malloc((count + 1) * sizeof *list.ptr), count};
    if (list.ptr == NULL)
        __builtin_trap();
    for (size_t i = 0; i < count; i++) {
        list.ptr[i].to = UINT64_C(1) << decoded.messages.ptr[i].sender;
        list.ptr[i].after = 0;
        list.ptr[i].message = decoded.messages.ptr[i].message;
    }
    synod_paxos_serializer_encode(&list, (synod_paxos_serializer_list_packet_t *)ret);
    ret->ptr = realloc(ret->ptr, (ret->len + decoded.bad.len) * sizeof *ret->ptr);
    if (ret->ptr == NULL && ret->len + decoded.bad.len > 0)
        __builtin_trap();
    for (size_t i = 0; i < decoded.bad.len; i++)
        ret->ptr[ret->len++] = (exports_synod_paxos_serializer_driver_packet_t){.id = decoded.bad.ptr[i], .kind = 1};
    free(list.ptr); /* what the messages point to is `decoded`'s */
    synod_paxos_serializer_decoded_free(&decoded);
}

enum { WORDS = 8192, ENTRIES = 1024 };

uint64_t exports_synod_paxos_serializer_driver_lie(uint64_t how)
{
    static uint64_t words[WORDS];
    static synod_paxos_types_entry_t entries[ENTRIES];
    static synod_paxos_serializer_packet_t bodies[ENTRIES];
    synod_paxos_serializer_outgoing_t outgoing = {.to = 2, .message.entries = {entries, 1}};
    synod_paxos_serializer_list_outgoing_t list = {&outgoing, 1};
    synod_paxos_serializer_list_packet_t frames = {NULL, 0}, many = {bodies, ENTRIES};
    synod_paxos_serializer_decoded_t decoded;
    for (size_t i = 0; i < ENTRIES; i++) {
        entries[i].value = (synod_paxos_types_payload_t){{words, WORDS}, 8 * WORDS};
        bodies[i] = (synod_paxos_serializer_packet_t){.id = 1, .len = 8 * WORDS, .words = {words, WORDS}};
    }
    switch (how) {
    case 1:
        entries[0].value.len++;
        break;
    case 2:
        outgoing.message.kind = UINT8_MAX;
        break;
    case 3:
        entries[0].kind = 4;
        break;
    case 4:
        outgoing.message.entries.len = ENTRIES;
        break;
    case 5:
        synod_paxos_serializer_decode(&many, &decoded);
        return decoded.bad.len;
    default:
        break;
    }
    synod_paxos_serializer_encode(&list, &frames);
    return frames.len;
}
