/* The outside of a node that is a cluster of its own. Its disk is always done and is never read from, the network has
 * no other node on it, and its one client sends the next batch of two commands as soon as the last is answered. */
#include "components/packet.h"
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "core/runners/ports.h"

static uint64_t durable;
static uint64_t asked, answered;
static struct batch_builder builder;

static void nothing(void *list) { *(struct packet_list *)list = (struct packet_list){0}; }

void exports_synod_paxos_network_server_receive(exports_synod_paxos_network_server_list_packet_t *ret) { nothing(ret); }
SHIM_POST(network_server_receive, "network-server@0.1.0#receive");

void exports_synod_paxos_network_client_send(exports_synod_paxos_network_client_list_packet_t *frames)
{
    (void)frames;
    shim_call_done();
}

static struct bytes text(const char *s) { return (struct bytes){(uint8_t *)s, strlen(s)}; }

void exports_synod_paxos_client_server_receive(uint64_t commands, uint64_t reads,
                                               exports_synod_paxos_client_server_list_packet_t *ret)
{
    static struct packet packet;
    (void)reads;
    nothing(ret);
    if (commands == 0 || asked > answered)
        return;
    char key[] = "key-a";
    key[4] = (char)('a' + asked % 26);
    batch_begin(&builder);
    batch_add(&builder, (struct bytes[]){text("SET"), text(key), text("a value of some length")}, 3);
    batch_add(&builder, (struct bytes[]){text("INCR"), text("count")}, 2);
    struct payload batch = batch_end(&builder);
    packet = (struct packet){.id = ++asked, .kind = 2, .len = batch.len, .words = batch.words};
    *(struct packet_list *)ret = (struct packet_list){&packet, 1};
}
SHIM_POST(client_server_receive, "client-server@0.1.0#receive");

/* A client that asks before there is a leader is told so, and asks again. */
void exports_synod_paxos_client_server_reply(exports_synod_paxos_client_server_list_packet_t *answers)
{
    const struct packet_list *list = (const struct packet_list *)answers;
    for (size_t i = 0; i < list->len; i++) {
        const struct packet *answer = &list->ptr[i];
        struct payload replies = {answer->words, answer->len};
        if (answer->kind == CLIENT_SLOT)
            continue;
        invariant(answer->id == ++answered);
        if ((answer->kind & 255) == OUTCOME_EXECUTED)
            invariant(replies_count(&replies) == 2);
    }
    shim_call_done();
}

void exports_synod_paxos_client_server_leader(uint64_t node, uint64_t round)
{
    (void)node;
    (void)round;
}

/* It reads what it is told as any client port does. */
void exports_synod_paxos_client_server_status(exports_synod_paxos_client_server_list_packet_t *status)
{
    const struct packet_list *list = (const struct packet_list *)status;
    struct node_status told;
    struct command_table commands;
    invariant(list->len == 1 &&
              (status_frame_decode(&list->ptr[0], &told) || command_table_decode(&list->ptr[0], &commands)));
    shim_call_done();
}

void exports_synod_paxos_storage_recover(exports_synod_paxos_storage_list_packet_t *ret) { nothing(ret); }
SHIM_POST(storage_recover, "storage@0.1.0#recover");

void exports_synod_paxos_storage_append(exports_synod_paxos_storage_list_packet_t *records)
{
    const struct packet_list *list = (const struct packet_list *)records;
    for (size_t i = 0; i < list->len; i++)
        invariant(list->ptr[i].id == ++durable);
    shim_call_done();
}

uint64_t exports_synod_paxos_storage_durable(void) { return durable; }

uint64_t exports_synod_paxos_storage_room(void) { return 1; }

void exports_synod_paxos_storage_read(uint64_t from, uint64_t bytes_max, exports_synod_paxos_storage_list_packet_t *ret)
{
    (void)from;
    (void)bytes_max;
    nothing(ret);
}
SHIM_POST(storage_read, "storage@0.1.0#read");

void exports_synod_paxos_storage_truncate(uint64_t lsn) { invariant(lsn <= durable); }

/* There are no snapshots, and none is asked for. */
void exports_synod_paxos_snapshots_ask(exports_synod_paxos_snapshots_list_packet_t *asks)
{
    invariant(asks->len == 0);
    shim_call_done();
}

void exports_synod_paxos_snapshots_told(exports_synod_paxos_snapshots_list_packet_t *ret)
{
    static struct packet none = {.kind = SNAPSHOT_LOADED};
    static bool is_told;
    *(struct packet_list *)ret = (struct packet_list){&none, is_told ? 0 : 1};
    is_told = true;
}
SHIM_POST(snapshots_told, "snapshots@0.1.0#told");

void exports_synod_paxos_logger_log(uint32_t level, loopback_world_string_t *text)
{
    (void)level;
    (void)text;
    shim_call_done();
}

uint64_t exports_synod_paxos_host_control_command(void) { return 0; }

uint64_t exports_synod_paxos_host_control_wall_clock(void) { return 1; }

void exports_synod_paxos_host_control_configuration_given(exports_synod_paxos_host_control_list_packet_t *ret)
{
    *(struct packet_list *)ret = (struct packet_list){0};
}
SHIM_POST(host_control_configuration_given, "host-control@0.1.0#configuration-given");

void exports_synod_paxos_host_control_configuration_known(exports_synod_paxos_host_control_list_packet_t *configuration)
{
    (void)configuration;
    shim_call_done();
}

void exports_synod_paxos_host_control_fail(uint64_t code)
{
    (void)code;
    invariant(false);
}
