#include "host/ports.h"

struct packet_list ports_network_receive(struct ports *p) { return network_receive(p->network); }

void ports_network_send(struct ports *p, const struct packet *frames, size_t count)
{
    network_send(p->network, frames, count);
}

struct packet_list ports_client_receive(struct ports *p, uint64_t credit)
{
    p->credit = credit;
    if (credit == 0 || p->clients == NULL || p->stopping)
        return (struct packet_list){NULL, 0};
    return client_server_receive(p->clients, credit);
}

void ports_client_reply(struct ports *p, const struct packet *answers, size_t count)
{
    if (p->clients != NULL)
        client_server_reply(p->clients, answers, count);
}

void ports_client_leader(struct ports *p, uint64_t node, uint64_t round)
{
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

struct packet_list ports_storage_recover(struct ports *p)
{
    struct packet_list records = journal_recover(p->journal);
    p->recovered = p->recovered || records.len == 0;
    return records;
}

void ports_storage_append(struct ports *p, const struct packet *records, size_t count)
{
    journal_append(p->journal, records, count);
}

uint64_t ports_storage_durable(struct ports *p) { return journal_durable(p->journal); }

struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    return journal_read(p->journal, from, bytes_max);
}

void ports_log(struct ports *p, uint32_t level, const char *text, size_t len)
{
    enum { TEXT_MAX = 4096 };
    logger_log(p->logger, level <= LOG_DEBUG ? level : LOG_DEBUG, "node", "%.*s", (int)(len < TEXT_MAX ? len : TEXT_MAX),
               text);
}

uint64_t ports_control_command(struct ports *p) { return p->stopping; }
