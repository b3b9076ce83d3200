/* `interface crossing-guest`: loops around one call each. They return the sum of what the calls returned. */
#include "components/packet.h"
#include "core/base/memory.h"
#include "core/formats/serializer.h"

typedef exports_synod_paxos_crossing_guest_list_packet_t packets;
SAME_LIST(struct packet_list, packets);

uint64_t exports_synod_paxos_crossing_guest_take(packets *taken)
{
    uint64_t len = 0;
    for (size_t i = 0; i < taken->len; i++)
        len += taken->ptr[i].len;
    shim_call_done();
    return len;
}

/* `len` bytes, the same at each call. */
static struct payload some_bytes(uint64_t len)
{
    static struct words words;
    static size_t capacity;
    words.ptr = memory_reserve(words.ptr, &capacity, words_for((size_t)len) + 1, sizeof *words.ptr);
    return (struct payload){{words.ptr, words_for((size_t)len)}, (uint32_t)len};
}

uint64_t exports_synod_paxos_crossing_guest_to_host(uint64_t count, uint64_t len)
{
    const struct payload payload = some_bytes(len);
    struct packet packet = {.len = payload.len, .words = payload.words};
    synod_paxos_crossing_host_list_packet_t list = {(synod_paxos_crossing_host_packet_t *)&packet, 1};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += synod_paxos_crossing_host_take(&list);
    shim_call_done();
    return sum;
}

uint64_t exports_synod_paxos_crossing_guest_to_sink_bytes(uint64_t count, uint64_t len)
{
    crossing_caller_world_list_u8_t list = {(uint8_t *)some_bytes(len).words.ptr, (size_t)len};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += synod_paxos_crossing_sink_bytes(&list);
    shim_call_done();
    return sum;
}

uint64_t exports_synod_paxos_crossing_guest_to_sink_words(uint64_t count, uint64_t len)
{
    const struct payload payload = some_bytes(len);
    crossing_caller_world_list_u64_t list = {payload.words.ptr, payload.words.len};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += synod_paxos_crossing_sink_words(&list);
    shim_call_done();
    return sum;
}

uint64_t exports_synod_paxos_crossing_guest_to_sink_blocks(uint64_t count, uint64_t len)
{
    const uint64_t size = sizeof(synod_paxos_crossing_sink_block_t), blocks = (len + size - 1) / size;
    const struct payload payload = some_bytes(blocks * size);
    synod_paxos_crossing_sink_list_block_t list = {(synod_paxos_crossing_sink_block_t *)payload.words.ptr, (size_t)blocks};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += synod_paxos_crossing_sink_blocks(&list);
    shim_call_done();
    return sum;
}

uint64_t exports_synod_paxos_crossing_guest_to_serializer(uint64_t count, uint64_t len)
{
    struct entry entry = {.slot = 1, .kind = ENTRY_COMMANDS, .value = some_bytes(len)};
    const struct outgoing message = {.to = 2, .message = {.kind = MESSAGE_ACCEPT, .entries = {.ptr = &entry, .len = 1}}};
    struct serializer *serializer = serializer_new();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += serializer_encode(serializer, &message, 1).len;
    serializer_free(serializer);
    shim_call_done();
    return sum;
}

uint64_t exports_synod_paxos_crossing_guest_to_clock(uint64_t count, uint64_t len)
{
    uint64_t sum = len;
    for (uint64_t i = 0; i < count; i++)
        sum += wasi_clocks_monotonic_clock_now();
    shim_call_done();
    return sum;
}
