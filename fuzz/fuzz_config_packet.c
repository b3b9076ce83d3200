/* Any words as the packet that tells a node about itself and the cluster, once as they are and once with their checksum
 * mended: what is accepted makes sense and encodes to the same packet, what is refused leaves nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/base/checksum.h"
#include "core/base/memory.h"
#include "io/config_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sound(const struct packet *packet, const struct node_settings *settings)
{
    const struct config *c = &settings->config;
    invariant(config_find(c, settings->node) != NULL && c->node_count <= NODE_ID_MAX);
    invariant(c->cluster[0] != '\0' && strlen(c->cluster) < sizeof c->cluster);
    invariant(settings->folder[0] != '\0' && strlen(settings->folder) < sizeof settings->folder);
    for (size_t i = 0; i < c->node_count; i++) {
        const struct config_node *n = &c->nodes[i];
        invariant(config_find(c, n->id) == n && n->id >= 1 && n->id <= NODE_ID_MAX && n->address.port != 0);
        invariant(n->role <= ROLE_LEARNER && n->network <= NETWORK_GUEST_UDP);
    }
    struct packet again = config_packet_encode(settings);
    invariant(again.len == packet->len && memcmp(again.words.ptr, packet->words.ptr, again.len) == 0);
    free(again.words.ptr);
}

static void check(const struct packet *packet)
{
    struct node_settings settings;
    if (config_packet_decode(packet, &settings)) {
        check_sound(packet, &settings);
        config_close(&settings.config);
    } else {
        invariant(settings.node == 0 && settings.config.nodes == NULL && settings.config.node_count == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packet packet = {.len = (uint32_t)size, .words.len = words_for(size)};
    packet.words.ptr = memory_new(packet.words.len, sizeof(uint64_t));
    if (size > 0)
        memcpy(packet.words.ptr, data, size);
    check(&packet);
    if (size >= sizeof(uint64_t) && size % sizeof(uint64_t) == 0) {
        const size_t end = size - sizeof(uint64_t);
        packet.words.ptr[packet.words.len - 1] = checksum(packet.words.ptr, end, 0);
        check(&packet);
    }
    free(packet.words.ptr);
    return 0;
}
