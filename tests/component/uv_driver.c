/* The component of that name: uv_driver.wit says what each function does. */
#include "components/packet.h"
#include "core/base/memory.h"

enum { POLLABLES_MAX = 1024 };

struct waiting {
    wasi_io_poll_own_pollable_t owned[POLLABLES_MAX];
    size_t count;
    uint64_t timeout;
};

static void add(struct waiting *w, const wasi_io_poll_own_pollable_t *pollables, size_t count, uint64_t timeout)
{
    invariant(w->count + count < POLLABLES_MAX);
    if (count > 0)
        memcpy(w->owned + w->count, pollables, count * sizeof *pollables);
    w->count += count;
    w->timeout = timeout < w->timeout ? timeout : w->timeout;
}

static void gather(struct waiting *w)
{
    static struct arena results;
    synod_paxos_network_server_waits_waits_t server;
    synod_paxos_network_client_waits_waits_t client;
    synod_paxos_client_server_waits_waits_t clients;
    shim_results_begin(&results);
    synod_paxos_network_server_waits_wait_for(&server);
    synod_paxos_network_client_waits_wait_for(&client);
    synod_paxos_client_server_waits_wait_for(&clients);
    shim_results_end();
    add(w, server.pollables.ptr, server.pollables.len, server.timeout);
    add(w, client.pollables.ptr, client.pollables.len, client.timeout);
    add(w, clients.pollables.ptr, clients.pollables.len, clients.timeout);
}

static void poll(struct waiting *w)
{
    static struct arena results;
    static wasi_io_poll_borrow_pollable_t list[POLLABLES_MAX];
    uv_driver_world_list_u32_t ready;
    w->owned[w->count++] = wasi_clocks_monotonic_clock_subscribe_duration(w->timeout * 1000);
    for (size_t i = 0; i < w->count; i++)
        list[i] = wasi_io_poll_borrow_pollable(w->owned[i]);
    shim_results_begin(&results);
    wasi_io_poll_poll(&(wasi_io_poll_list_borrow_pollable_t){list, w->count}, &ready);
    shim_results_end();
}

uint64_t exports_synod_paxos_uv_driver_work(uint64_t timeout)
{
    static struct waiting w;
    w.count = 0;
    w.timeout = timeout;
    gather(&w);
    bool input = w.timeout == 0 && timeout > 0;
    if (!input)
        poll(&w);
    for (size_t i = 0; i < w.count; i++)
        wasi_io_poll_pollable_drop_own(w.owned[i]);
    return input;
}

void exports_synod_paxos_uv_driver_receive(exports_synod_paxos_uv_driver_list_packet_t *ret)
{
    static struct arena results;
    shim_results_begin(&results);
    synod_paxos_network_server_receive((synod_paxos_network_server_list_packet_t *)ret);
    shim_results_end();
}
SHIM_POST(uv_driver_receive, "uv-driver@0.1.0#receive");

void exports_synod_paxos_uv_driver_send(exports_synod_paxos_uv_driver_list_packet_t *frames)
{
    synod_paxos_network_client_send((synod_paxos_network_client_list_packet_t *)frames);
    shim_call_done();
}

void exports_synod_paxos_uv_driver_commands(uint64_t commands, uint64_t reads,
                                            exports_synod_paxos_uv_driver_list_packet_t *ret)
{
    static struct arena results;
    shim_results_begin(&results);
    synod_paxos_client_server_receive(commands, reads, (synod_paxos_client_server_list_packet_t *)ret);
    shim_results_end();
}
SHIM_POST(uv_driver_commands, "uv-driver@0.1.0#commands");

void exports_synod_paxos_uv_driver_reply(exports_synod_paxos_uv_driver_list_packet_t *answers)
{
    synod_paxos_client_server_reply((synod_paxos_client_server_list_packet_t *)answers);
    shim_call_done();
}

void exports_synod_paxos_uv_driver_leader(uint64_t node, uint64_t round) { synod_paxos_client_server_leader(node, round); }

void exports_synod_paxos_uv_driver_status(exports_synod_paxos_uv_driver_list_packet_t *status)
{
    synod_paxos_client_server_status((synod_paxos_client_server_list_packet_t *)status);
    shim_call_done();
}
