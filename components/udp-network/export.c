/* `interface network-server` and `interface network-client` over UDP, by io/network.h. Both ends are one network; the
 * server's `waits` are for both. */
#include "components/packet.h"
#include "components/wasi/part.h"

SAME_LIST(struct packet_list, exports_synod_paxos_network_server_list_packet_t);
SAME_LIST(struct packet_list, exports_synod_paxos_network_client_list_packet_t);
SAME_LAYOUT(struct waits, exports_synod_paxos_network_server_waits_waits_t, pollables, pollables.ptr, pollables.len,
            timeout);
SAME_LAYOUT(struct waits, exports_synod_paxos_network_client_waits_waits_t, pollables, pollables.ptr, pollables.len,
            timeout);

static struct network_part both;

static void open_both(void) { network_part_open(&both, udp_network_open, true, true); }

void exports_synod_paxos_network_server_receive(exports_synod_paxos_network_server_list_packet_t *ret)
{
    open_both();
    *(struct packet_list *)ret = network_part_receive(&both);
}
SHIM_POST(network_server_receive, "network-server@0.1.0#receive");

void exports_synod_paxos_network_client_send(exports_synod_paxos_network_client_list_packet_t *frames)
{
    open_both();
    network_send(both.network, (const struct packet *)frames->ptr, frames->len);
    shim_call_done();
}

void exports_synod_paxos_network_server_waits_wait_for(exports_synod_paxos_network_server_waits_waits_t *ret)
{
    open_both();
    *(struct waits *)ret = network_part_waits(&both);
}
SHIM_POST(network_server_waits_wait_for, "network-server-waits@0.1.0#wait-for");

void exports_synod_paxos_network_client_waits_wait_for(exports_synod_paxos_network_client_waits_waits_t *ret)
{
    *(struct waits *)ret = (struct waits){.timeout = UINT64_MAX};
}
SHIM_POST(network_client_waits_wait_for, "network-client-waits@0.1.0#wait-for");
