/* `interface network-client` over TCP, by io/network.h: the end that dials the other nodes. */
#include "components/packet.h"
#include "components/wasi/part.h"

SAME_LIST(struct packet_list, exports_synod_paxos_network_client_list_packet_t);
SAME_LAYOUT(struct waits, exports_synod_paxos_network_client_waits_waits_t, pollables, pollables.ptr, pollables.len,
            timeout);

static struct network_part client;

static void open_client(void) { network_part_open(&client, tcp_network_open, true, false); }

/* What the sockets take, they get at once. The rest, and events of the connections, are for wait-for. */
void exports_synod_paxos_network_client_send(exports_synod_paxos_network_client_list_packet_t *frames)
{
    open_client();
    network_send(client.network, (const struct packet *)frames->ptr, frames->len);
    shim_call_done();
}

void exports_synod_paxos_network_client_waits_wait_for(exports_synod_paxos_network_client_waits_waits_t *ret)
{
    open_client();
    *(struct waits *)ret = network_part_waits(&client);
}
SHIM_POST(network_client_waits_wait_for, "network-client-waits@0.1.0#wait-for");
