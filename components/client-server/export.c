/* `interface client-server` by io/client_server.h. */
#include "components/packet.h"
#include "components/wasi/part.h"
#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "io/client_server.h"

SAME_LIST(struct packet_list, exports_synod_paxos_client_server_list_packet_t);
SAME_LAYOUT(struct waits, exports_synod_paxos_client_server_waits_waits_t, pollables, pollables.ptr, pollables.len, timeout);

static struct part part;
static struct client_server *server; /* NULL: a node without a client port */
static struct credit credit;         /* as last given; more input than that is no reason for a turn */
static struct node_status status;    /* as last told */

static void on_input(void *context) { (void)context; }

static struct node_status last_status(void *context)
{
    (void)context;
    return status;
}

static size_t more_info(void *context, char *out, size_t size)
{
    (void)context;
    int len = snprintf(out, size, "synod_life:component\r\n");
    return (size_t)len;
}

static void open_server(void)
{
    static bool open;
    struct problem problem;
    if (open)
        return;
    open = true;
    part_open(&part);
    const struct config *config = &part.settings.config;
    const struct client_server_options options = {
        .config = config,
        .node = part.settings.node,
        .logger = part.logger,
        .on_input = on_input,
        .status = last_status,
        .info = more_info,
        .seed = {wasi_random_random_get_random_u64(), wasi_random_random_get_random_u64()},
    };
    if (config_find(config, options.node)->client.host[0] == '\0')
        return;
    if (!client_server_open(&server, &part.loop, &options, &problem))
        part_fail(&part, &problem);
}

void exports_synod_paxos_client_server_receive(uint64_t commands, uint64_t reads,
                                               exports_synod_paxos_client_server_list_packet_t *ret)
{
    struct packet_list batches = {NULL, 0};
    open_server();
    credit = (struct credit){(uint32_t)commands, (uint32_t)reads};
    if (server != NULL) {
        if ((credit.commands > 0 || credit.reads > 0) && !client_server_waiting(server, credit))
            part_run(&part);
        batches = client_server_receive(server, credit);
    }
    *(struct packet_list *)ret = batches;
}
SHIM_POST(client_server_receive, "client-server@0.1.0#receive");

void exports_synod_paxos_client_server_reply(exports_synod_paxos_client_server_list_packet_t *answers)
{
    open_server();
    if (server != NULL)
        client_server_reply(server, (const struct packet *)answers->ptr, answers->len);
    shim_call_done();
}

static void log_leader(uint64_t node, uint64_t round)
{
    static uint64_t last;
    if (node == last)
        return;
    last = node;
    if (node == 0)
        logger_log(part.logger, LOG_INFO, "node", "no leader is known");
    else
        logger_log(part.logger, LOG_INFO, "node", "node %u leads (round %llu)", (unsigned)node, (unsigned long long)round);
}

void exports_synod_paxos_client_server_leader(uint64_t node, uint64_t round)
{
    open_server();
    log_leader(node, round);
    if (server != NULL)
        client_server_leader(server, node, round);
}

void exports_synod_paxos_client_server_status(exports_synod_paxos_client_server_list_packet_t *told)
{
    struct node_status now;
    const struct packet *packet = (const struct packet *)told->ptr;
    open_server();
    if (told->len == 1 && packet->kind == STATUS_COMMANDS) {
        if (server != NULL)
            client_server_describe(server, packet);
        shim_call_done();
        return;
    }
    if (server != NULL && told->len == 1)
        client_server_room(server, packet->kind != STATUS_NO_ROOM);
    if (told->len == 1 && status_frame_decode(packet, &now))
        status = now;
    shim_call_done();
}

void exports_synod_paxos_client_server_waits_wait_for(exports_synod_paxos_client_server_waits_waits_t *ret)
{
    open_server();
    part_run_once(&part);
    *(struct waits *)ret = part_waits(&part, server != NULL && client_server_waiting(server, credit));
}
SHIM_POST(client_server_waits_wait_for, "client-server-waits@0.1.0#wait-for");
