/* core/formats/serializer.h by the import of `interface serializer`. */
#include "core/formats/serializer.h"

#include "components/packet.h"
#include "components/types.h"

SAME_LIST(struct packet_list, synod_paxos_serializer_list_packet_t);
SAME_LIST(struct delivery_list, synod_paxos_serializer_list_delivery_t);
SAME_LAYOUT(struct decoded, synod_paxos_serializer_decoded_t, messages, bad, bad.ptr, bad.len);

struct serializer {
    struct arena results;
};

static struct serializer imported;

struct serializer *serializer_new(void) { return &imported; }

void serializer_free(struct serializer *s) { (void)s; }

struct packet_list serializer_encode(struct serializer *s, const struct outgoing *messages, size_t count)
{
    struct packet_list packets;
    synod_paxos_serializer_list_outgoing_t list = {(synod_paxos_serializer_outgoing_t *)messages, count};
    shim_results_begin(&s->results);
    synod_paxos_serializer_encode(&list, (synod_paxos_serializer_list_packet_t *)&packets);
    shim_results_end();
    return packets;
}

struct decoded serializer_decode(struct serializer *s, const struct packet *bodies, size_t count)
{
    struct decoded decoded;
    synod_paxos_serializer_list_packet_t list = {(synod_paxos_serializer_packet_t *)bodies, count};
    shim_results_begin(&s->results);
    synod_paxos_serializer_decode(&list, (synod_paxos_serializer_decoded_t *)&decoded);
    shim_results_end();
    return decoded;
}
