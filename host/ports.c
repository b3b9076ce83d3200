#include "host/ports.h"

struct packet_list ports_network_receive(struct ports *p) { return p->operations->network_receive(p); }

void ports_network_send(struct ports *p, const struct packet *frames, size_t count)
{
    p->operations->network_send(p, frames, count);
}

struct packet_list ports_client_receive(struct ports *p, struct credit credit)
{
    return p->operations->client_receive(p, credit);
}

void ports_client_reply(struct ports *p, const struct packet *answers, size_t count)
{
    p->operations->client_reply(p, answers, count);
}

void ports_client_leader(struct ports *p, uint64_t node, uint64_t round) { p->operations->client_leader(p, node, round); }

void ports_client_status(struct ports *p, const struct packet *status) { p->operations->client_status(p, status); }

/* A native life cannot be ended within a turn. What it says after a failure is dropped by those who serve these ports. */
struct packet_list ports_storage_recover(struct ports *p)
{
    bool failed = false;
    return p->operations->storage_recover(p, &failed);
}

void ports_storage_append(struct ports *p, const struct packet *records, size_t count)
{
    p->operations->storage_append(p, records, count);
}

uint64_t ports_storage_durable(struct ports *p) { return p->operations->storage_durable(p); }

bool ports_storage_room(struct ports *p) { return p->operations->storage_room(p); }

struct packet_list ports_storage_read(struct ports *p, uint64_t from, uint64_t bytes_max)
{
    return p->operations->storage_read(p, from, bytes_max);
}

void ports_storage_truncate(struct ports *p, uint64_t lsn) { p->operations->storage_truncate(p, lsn); }

void ports_snapshots_ask(struct ports *p, const struct packet *asks, size_t count)
{
    p->operations->snapshots_ask(p, asks, count);
}

struct packet_list ports_snapshots_told(struct ports *p) { return p->operations->snapshots_told(p); }

void ports_log(struct ports *p, uint32_t level, const char *text, size_t len) { p->operations->log(p, level, text, len); }

uint64_t ports_control_command(struct ports *p) { return p->operations->control_command(p); }

uint64_t ports_control_wall_clock(struct ports *p) { return p->operations->control_wall_clock(p); }

struct packet_list ports_configuration_given(struct ports *p) { return p->operations->configuration_given(p); }

void ports_configuration_known(struct ports *p, const struct packet *configuration)
{
    p->operations->configuration_known(p, configuration);
}

void ports_control_fail(struct ports *p, uint64_t code) { p->operations->control_fail(p, code); }
