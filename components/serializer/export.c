/* `interface serializer` by core/formats/serializer.h. */
#include "core/formats/serializer.h"

#include "components/packet.h"
#include "components/types.h"

SAME_LIST(struct packet_list, exports_synod_paxos_serializer_list_packet_t);
SAME_LIST(struct delivery_list, exports_synod_paxos_serializer_list_delivery_t);
SAME_LAYOUT(struct decoded, exports_synod_paxos_serializer_decoded_t, messages, bad, bad.ptr, bad.len);

/* The serializer, made at its first use: this contract has no `start`. */
static struct serializer *serializer(void)
{
    static struct serializer *one;
    if (one == NULL)
        one = serializer_new();
    return one;
}

void exports_synod_paxos_serializer_encode(exports_synod_paxos_serializer_list_outgoing_t *messages,
                                           exports_synod_paxos_serializer_list_packet_t *ret)
{
    *(struct packet_list *)ret = serializer_encode(serializer(), (const struct outgoing *)messages->ptr, messages->len);
}
SHIM_POST(serializer_encode, "serializer@0.1.0#encode");

/* The messages' values may point into the bodies, which live until the post-return function. */
void exports_synod_paxos_serializer_decode(exports_synod_paxos_serializer_list_packet_t *bodies,
                                           exports_synod_paxos_serializer_decoded_t *ret)
{
    *(struct decoded *)ret = serializer_decode(serializer(), (const struct packet *)bodies->ptr, bodies->len);
}
SHIM_POST(serializer_decode, "serializer@0.1.0#decode");
