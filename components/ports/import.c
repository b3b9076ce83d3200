/* core/runners/ports.h by the imports of wit/io.wit. There is only one outside, so `struct ports` stays incomplete and the
 * pointer is unused. What a function returns is valid until its next call. */
#include "core/runners/ports.h"

#include "components/packet.h"

SAME_LIST(struct packet_list, synod_paxos_network_server_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_network_client_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_client_server_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_storage_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_snapshots_list_packet_t);
SAME_LIST(struct packet_list, synod_paxos_host_control_list_packet_t);

struct packet_list ports_network_receive(struct ports *p)
{
    static struct arena results;
    struct packet_list frames;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_network_server_receive((synod_paxos_network_server_list_packet_t *)&frames);
    shim_results_end();
    return frames;
}

void ports_network_send(struct ports *p, const struct packet *frames, size_t count)
{
    (void)p;
    synod_paxos_network_client_list_packet_t list = {(synod_paxos_network_client_packet_t *)frames, count};
    synod_paxos_network_client_send(&list);
}

struct packet_list ports_client_receive(struct ports *p, struct credit credit)
{
    static struct arena results;
    struct packet_list batches;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_client_server_receive(credit.commands, credit.reads, (synod_paxos_client_server_list_packet_t *)&batches);
    shim_results_end();
    return batches;
}

void ports_client_reply(struct ports *p, const struct packet *answers, size_t count)
{
    (void)p;
    synod_paxos_client_server_list_packet_t list = {(synod_paxos_client_server_packet_t *)answers, count};
    synod_paxos_client_server_reply(&list);
}

void ports_client_leader(struct ports *p, uint64_t node, uint64_t round)
{
    (void)p;
    synod_paxos_client_server_leader(node, round);
}

void ports_client_status(struct ports *p, const struct packet *status)
{
    (void)p;
    synod_paxos_client_server_list_packet_t list = {(synod_paxos_client_server_packet_t *)status, 1};
    synod_paxos_client_server_status(&list);
}

struct packet_list ports_storage_recover(struct ports *p)
{
    static struct arena results;
    struct packet_list records;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_storage_recover((synod_paxos_storage_list_packet_t *)&records);
    shim_results_end();
    return records;
}

void ports_storage_append(struct ports *p, const struct packet *records, size_t count)
{
    (void)p;
    synod_paxos_storage_list_packet_t list = {(synod_paxos_storage_packet_t *)records, count};
    synod_paxos_storage_append(&list);
}

uint64_t ports_storage_durable(struct ports *p)
{
    (void)p;
    return synod_paxos_storage_durable();
}

bool ports_storage_room(struct ports *p)
{
    (void)p;
    return synod_paxos_storage_room() != 0;
}

struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    static struct arena results;
    struct packet_list records;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_storage_read(from, bytes_max, (synod_paxos_storage_list_packet_t *)&records);
    shim_results_end();
    return records;
}

void ports_storage_truncate(struct ports *p, uint64_t lsn)
{
    (void)p;
    synod_paxos_storage_truncate(lsn);
}

void ports_snapshots_ask(struct ports *p, const struct packet *asks, size_t count)
{
    (void)p;
    synod_paxos_snapshots_list_packet_t list = {(synod_paxos_snapshots_packet_t *)asks, count};
    synod_paxos_snapshots_ask(&list);
}

struct packet_list ports_snapshots_told(struct ports *p)
{
    static struct arena results;
    struct packet_list told;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_snapshots_told((synod_paxos_snapshots_list_packet_t *)&told);
    shim_results_end();
    return told;
}

/* The text must be UTF-8: the component model traps on anything else. */
void ports_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    (void)p;
    world_string_t string = {(uint8_t *)text, len};
    synod_paxos_logger_log(level, &string);
}

uint64_t ports_control_command(struct ports *p)
{
    (void)p;
    return synod_paxos_host_control_command();
}

uint64_t ports_control_wall_clock(struct ports *p)
{
    (void)p;
    return synod_paxos_host_control_wall_clock();
}

struct packet_list ports_configuration_given(struct ports *p)
{
    static struct arena results;
    struct packet_list given;
    (void)p;
    shim_results_begin(&results);
    synod_paxos_host_control_configuration_given((synod_paxos_host_control_list_packet_t *)&given);
    shim_results_end();
    return given;
}

void ports_configuration_known(struct ports *p, const struct packet *configuration)
{
    (void)p;
    synod_paxos_host_control_list_packet_t list = {(synod_paxos_host_control_packet_t *)configuration, 1};
    synod_paxos_host_control_configuration_known(&list);
}

void ports_control_fail(struct ports *p, uint64_t code)
{
    (void)p;
    synod_paxos_host_control_fail(code);
}
