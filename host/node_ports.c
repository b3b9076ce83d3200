#include "host/node_ports.h"

#include <string.h>
#include <time.h>

#include "core/formats/command_table.h"
#include "core/formats/config_frame.h"
#include "core/formats/record.h"

enum { EXIT_CODE_MAX = 255 };

static struct node_ports *of(struct ports *ports) { return (struct node_ports *)ports; }

/* A node asks whether it is to go on once in each life, at least: that tells when it has recovered (node_drivers.c). Storage
 * in the sandbox may always have something. */
static struct news news(struct ports *ports)
{
    const struct node_ports *p = of(ports);
    const bool clients = p->clients != NULL && !p->stopping;
    const bool command = p->crash || p->stopping || p->configure || p->asked == 0;
    return (struct news){
        .bits = (p->network != NULL && network_waiting(p->network) ? NEWS_FRAMES : 0u) |
                (clients && client_server_waiting(p->clients, p->credit) ? NEWS_BATCHES : 0u) |
                (p->journal == NULL ? NEWS_DURABLE : 0u) |
                (p->snapshots == NULL || snapshots_waiting(p->snapshots) ? NEWS_SNAPSHOTS : 0u) |
                (command ? NEWS_COMMAND : 0u),
        .durable = p->journal != NULL ? journal_durable(p->journal) : 0,
    };
}

static struct packet_list receive_frames(struct ports *ports)
{
    struct network *network = of(ports)->network;
    return network != NULL ? network_receive(network) : (struct packet_list){NULL, 0};
}

static void send_frames(struct ports *ports, const struct packet *frames, size_t count)
{
    if (of(ports)->network != NULL && !of(ports)->silent)
        network_send(of(ports)->network, frames, count);
}

static struct packet_list receive_batches(struct ports *ports, struct credit credit)
{
    struct node_ports *p = of(ports);
    p->credit = credit;
    if (p->clients == NULL || p->stopping)
        return (struct packet_list){NULL, 0};
    return client_server_receive(p->clients, credit);
}

static void reply(struct ports *ports, const struct packet *answers, size_t count)
{
    struct node_ports *p = of(ports);
    if (p->clients != NULL && !p->silent)
        client_server_reply(p->clients, answers, count);
}

static void tell_leader(struct ports *ports, uint64_t node, uint64_t round)
{
    struct node_ports *p = of(ports);
    if (node != p->leader) {
        p->leader = node;
        if (node == 0)
            logger_log(p->logger, LOG_INFO, "node", "no leader is known");
        else
            logger_log(p->logger, LOG_INFO, "node", "node %u leads (round %llu)", (unsigned)node, (unsigned long long)round);
    }
    if (p->clients != NULL)
        client_server_leader(p->clients, node, round);
}

static void reached(struct node_ports *p, uint64_t slot)
{
    if (slot > p->slot)
        p->slot = slot;
}

/* The status is not for INFO, which asks the node itself (client_server_options): it is what remains of a life that
 * breaks. */
static void take_status(struct ports *ports, const struct packet *packet)
{
    struct node_ports *p = of(ports);
    struct node_status status;
    if (packet->kind == STATUS_COMMANDS) {
        if (p->clients != NULL)
            client_server_describe(p->clients, packet);
        return;
    }
    if (p->clients != NULL)
        client_server_room(p->clients, packet->kind != STATUS_NO_ROOM);
    if (status_frame_decode(packet, &status))
        reached(p, p->role == ROLE_PROPOSER ? status.chosen : status.executed);
}

static struct packet_list recover_records(struct ports *ports, bool *failed)
{
    struct node_ports *p = of(ports);
    struct packet_list found = {NULL, 0};
    p->silent = *failed = p->journal != NULL && !journal_recover(p->journal, &found);
    return found;
}

static void append_records(struct ports *ports, const struct packet *records, size_t count)
{
    struct node_ports *p = of(ports);
    struct log_record record;
    if (p->journal == NULL)
        return;
    journal_append(p->journal, records, count);
    for (size_t i = 0; i < count; i++)
        if (record_decode(&records[i], &record))
            reached(p, record.entry.slot);
}

static uint64_t durable_lsn(struct ports *ports)
{
    struct journal *journal = of(ports)->journal;
    return journal != NULL ? journal_durable(journal) : 0;
}

static bool has_room(struct ports *ports)
{
    struct journal *journal = of(ports)->journal;
    return journal == NULL || journal_has_room(journal);
}

static struct packet_list read_records(struct ports *ports, uint64_t from, uint64_t bytes_max)
{
    struct journal *journal = of(ports)->journal;
    return journal != NULL ? journal_read(journal, from, bytes_max) : (struct packet_list){NULL, 0};
}

static void truncate_records(struct ports *ports, uint64_t lsn)
{
    if (of(ports)->journal != NULL)
        journal_truncate(of(ports)->journal, lsn);
}

static void ask_snapshots(struct ports *ports, const struct packet *asks, size_t count)
{
    struct snapshots *snapshots = of(ports)->snapshots;
    if (snapshots != NULL)
        snapshots_ask(snapshots, asks, count);
}

static struct packet_list told_of_snapshots(struct ports *ports)
{
    struct snapshots *snapshots = of(ports)->snapshots;
    return snapshots != NULL ? snapshots_told(snapshots) : (struct packet_list){NULL, 0};
}

static void log_text(struct ports *ports, uint32_t level, const char *text, size_t len)
{
    enum { TEXT_MAX = 4096 };
    logger_log(of(ports)->logger, level <= LOG_DEBUG ? level : LOG_DEBUG, "node", "%.*s",
               (int)(len < TEXT_MAX ? len : TEXT_MAX), text);
}

static uint64_t command(struct ports *ports)
{
    struct node_ports *p = of(ports);
    p->asked++;
    return p->crash ? CONTROL_CRASH : p->stopping ? CONTROL_STOP : p->configure ? CONTROL_CONFIGURE : CONTROL_RUN;
}

static struct packet_list give_configurations(struct ports *ports)
{
    struct node_ports *p = of(ports);
    p->configure = false;
    return p->given != NULL ? p->given(p->members) : (struct packet_list){NULL, 0};
}

static void take_configuration(struct ports *ports, const struct packet *configuration)
{
    struct node_ports *p = of(ports);
    if (p->known != NULL && !p->silent)
        p->known(p->members, configuration);
}

static uint64_t wall_clock(struct ports *ports)
{
    struct timespec t;
    (void)ports;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void cannot_go_on(struct ports *ports, uint64_t code) { node_ports_fail(of(ports), code); }

void node_ports_fail(struct node_ports *p, uint64_t code)
{
    if (p->exit_code == EXIT_OK)
        p->exit_code = code > EXIT_OK && code <= EXIT_CODE_MAX ? (int)code : EXIT_TROUBLE;
}

void node_ports_reset(struct node_ports *p)
{
    p->crash = false;
    p->credit = (struct credit){0};
    p->asked = 0;
}

void node_ports_init(struct node_ports *p, uint8_t role)
{
    static const struct ports_operations operations = {
        .news = news,
        .network_receive = receive_frames,
        .network_send = send_frames,
        .client_receive = receive_batches,
        .client_reply = reply,
        .client_leader = tell_leader,
        .client_status = take_status,
        .storage_recover = recover_records,
        .storage_append = append_records,
        .storage_durable = durable_lsn,
        .storage_room = has_room,
        .storage_read = read_records,
        .storage_truncate = truncate_records,
        .snapshots_ask = ask_snapshots,
        .snapshots_told = told_of_snapshots,
        .log = log_text,
        .control_command = command,
        .control_wall_clock = wall_clock,
        .configuration_given = give_configurations,
        .configuration_known = take_configuration,
        .control_fail = cannot_go_on,
    };
    memset(p, 0, sizeof *p);
    p->ports.operations = &operations;
    p->role = role;
}
