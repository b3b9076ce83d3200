#include "host/node_ports.h"

#include <string.h>

static struct node_ports *of(struct ports *ports) { return (struct node_ports *)ports; }

static struct packet_list receive_frames(struct ports *ports) { return network_receive(of(ports)->network); }

static void send_frames(struct ports *ports, const struct packet *frames, size_t count)
{
    network_send(of(ports)->network, frames, count);
}

static struct packet_list receive_batches(struct ports *ports, uint64_t credit)
{
    struct node_ports *p = of(ports);
    p->credit = credit;
    if (credit == 0 || p->clients == NULL || p->stopping)
        return (struct packet_list){NULL, 0};
    return client_server_receive(p->clients, credit);
}

static void reply(struct ports *ports, const struct packet *answers, size_t count)
{
    struct node_ports *p = of(ports);
    if (p->clients != NULL)
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

static struct packet_list recover_records(struct ports *ports)
{
    struct node_ports *p = of(ports);
    struct packet_list records = journal_recover(p->journal);
    p->recovered = p->recovered || records.len == 0;
    return records;
}

static void append_records(struct ports *ports, const struct packet *records, size_t count)
{
    journal_append(of(ports)->journal, records, count);
}

static uint64_t durable_lsn(struct ports *ports) { return journal_durable(of(ports)->journal); }

static struct packet_list read_records(struct ports *ports, uint64_t from, uint64_t bytes_max)
{
    return journal_read(of(ports)->journal, from, bytes_max);
}

static void log_text(struct ports *ports, uint32_t level, const char *text, size_t len)
{
    enum { TEXT_MAX = 4096 };
    logger_log(of(ports)->logger, level <= LOG_DEBUG ? level : LOG_DEBUG, "node", "%.*s",
               (int)(len < TEXT_MAX ? len : TEXT_MAX), text);
}

static uint64_t command(struct ports *ports) { return of(ports)->stopping; }

void node_ports_init(struct node_ports *p)
{
    static const struct ports_operations operations = {
        .network_receive = receive_frames,
        .network_send = send_frames,
        .client_receive = receive_batches,
        .client_reply = reply,
        .client_leader = tell_leader,
        .storage_recover = recover_records,
        .storage_append = append_records,
        .storage_durable = durable_lsn,
        .storage_read = read_records,
        .log = log_text,
        .control_command = command,
    };
    memset(p, 0, sizeof *p);
    p->ports.operations = &operations;
}
