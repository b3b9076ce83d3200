/* Any bytes as the one packet in which a configuration or a status crosses between host and node: what is accepted encodes
 * to the same packet, what is refused leaves nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/formats/config_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct packet *a, const struct packet *b)
{
    return a->len == b->len && a->words.len == b->words.len && memcmp(a->words.ptr, b->words.ptr, a->len) == 0;
}

/* True when no field says anything: all bytes after the magic are zero. */
static bool is_blank(const struct packet *packet)
{
    uint64_t any = 0;
    for (size_t i = 1; i < packet->words.len; i++)
        any |= packet->words.ptr[i];
    return any == 0;
}

static void check_config(const struct packet *packet)
{
    uint64_t words[CONFIG_FRAME_WORDS];
    struct packet again;
    struct node_config config;
    bool sound = config_frame_decode(packet, &config);
    config_frame_encode(&config, words, &again);
    invariant(sound ? same(packet, &again) : is_blank(&again));
    invariant(!sound || (config.node >= 1 && config.node <= NODE_ID_MAX && config.durability <= DURABILITY_MEMORY));
}

static void check_status(const struct packet *packet)
{
    uint64_t words[STATUS_FRAME_WORDS];
    struct packet again;
    struct node_status status;
    bool sound = status_frame_decode(packet, &status);
    status_frame_encode(&status, words, &again);
    invariant(sound ? same(packet, &again) : is_blank(&again));
    invariant(!sound || (status.node <= NODE_ID_MAX && status.proposer_state <= PROPOSER_LEADING));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packet packet = {.len = (uint32_t)size, .words.len = words_for(size)};
    packet.words.ptr = memory_new(packet.words.len, sizeof(uint64_t));
    if (size > 0)
        memcpy(packet.words.ptr, data, size);
    check_config(&packet);
    check_status(&packet);
    free(packet.words.ptr);
    return 0;
}
