/* `interface network-server` over TCP, by io/network.h: the end that other nodes' connections come to. */
#include "components/packet.h"
#include "components/wasi/part.h"

SAME_LIST(struct packet_list, exports_synod_paxos_network_server_list_packet_t);
SAME_LAYOUT(struct waits, exports_synod_paxos_network_server_waits_waits_t, pollables, pollables.ptr, pollables.len,
            timeout);

static struct network_part server;

static void open_server(void) { network_part_open(&server, tcp_network_open, false, true); }

void exports_synod_paxos_network_server_receive(exports_synod_paxos_network_server_list_packet_t *ret)
{
    open_server();
    *(struct packet_list *)ret = network_part_receive(&server);
}
SHIM_POST(network_server_receive, "network-server@0.1.0#receive");

void exports_synod_paxos_network_server_waits_wait_for(exports_synod_paxos_network_server_waits_waits_t *ret)
{
    open_server();
    *(struct waits *)ret = network_part_waits(&server);
}
SHIM_POST(network_server_waits_wait_for, "network-server-waits@0.1.0#wait-for");
