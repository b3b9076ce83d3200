/* A node's client port in the simulated world. In worlds that have sockets it is the one that ships, in a loop beside
 * the node's turns as in the host; the others have the one of sim/clients.c. */
#include <stdio.h>

#include "sim/world.h"

enum { POWER_FAILS = 200000 /* per million ends of a process: its clients hear nothing of it */ };

static bool has_port(const struct machine *m) { return node_set_has(m->world->plan.clients.ports, m->id); }

static uint64_t new_token(void *context) { return clients_token(((struct world *)context)->clients); }

/* What the port asks the configuration for. */
static void configure(struct machine *m)
{
    const struct plan *plan = &m->world->plan;
    struct config *c = &m->port_config;
    *c = plan->port;
    c->nodes = m->port_nodes;
    c->node_config = m->config;
    c->batch_size = m->host.batch_commands_max;
    c->batch_bytes = c->batch_size * c->command_bytes_max;
    c->node_count = plan->nodes;
    for (uint32_t i = 0; i < plan->nodes; i++) {
        struct config_node *n = &m->port_nodes[i];
        *n = (struct config_node){.id = i + 1};
        if (!node_set_has(plan->clients.ports, i + 1))
            continue;
        snprintf(n->client.host, sizeof n->client.host, "192.0.2.%u", i + 1);
        n->client.port = CLIENT_PORT_NUMBER;
    }
}

static void open_port(struct machine *m)
{
    struct world *w = m->world;
    const struct client_port_options options = {
        .sockets = w->sockets, .config = &m->port_config, .node = m->id, .token = new_token, .context = w};
    if (!has_port(m))
        return;
    configure(m);
    if (!client_port_open(&m->port, &options, &m->problem))
        checks_fail(w->checks, CHECK_TRAP, "node %u has no client port: %s", m->id, m->problem.text);
}

void machine_clients_up(struct machine *m)
{
    struct world *w = m->world;
    const bool forwards = m->config.forward && (w->plan.roles[m->id] & DUTY_PROPOSES) != 0;
    if (w->sockets != NULL) {
        clients_forward(w->clients, m->id, forwards);
        open_port(m);
        return;
    }
    clients_node_up(w->clients, m->id, w->now);
    clients_forward(w->clients, m->id, forwards);
    clients_limit_batches(w->clients, m->id, m->host.batch_commands_max);
}

void machine_clients_down(struct machine *m)
{
    struct world *w = m->world;
    if (w->sockets == NULL) {
        clients_node_down(w->clients, m->id, w->now);
        return;
    }
    clients_forward(w->clients, m->id, false);
    if (!w->healing && dice_chance(&m->dice, POWER_FAILS))
        sockets_vanish(w->sockets, m->id);
    if (m->port != NULL)
        client_port_kill(m->port);
    m->port = NULL;
}

/* ---- The port that ships ---- */

uint64_t machine_port_at(const struct machine *m)
{
    const uint64_t at = m->port != NULL ? client_port_next(m->port) : UINT64_MAX;
    return at < m->paused_until ? m->paused_until : at;
}

/* After whatever the port did. */
static void look(struct machine *m)
{
    struct checks *checks = m->world->checks;
    const char *wrong = client_port_audit(m->port);
    checks_reached(checks)[REACHED_PORT_FULL] += client_port_full(m->port);
    if (wrong != NULL)
        checks_fail(checks, CHECK_BOUNDS, "the client port of node %u: %s", m->id, wrong);
}

void machine_port_run(struct machine *m)
{
    client_port_run(m->port);
    look(m);
}

/* ---- For the node ---- */

bool machine_clients_waiting(const struct machine *m)
{
    if (m->world->sockets != NULL)
        return m->port != NULL && client_port_waiting(m->port, m->credit);
    return clients_waiting(m->world->clients, m->id, m->credit);
}

struct packet_list machine_clients_receive(struct machine *m, struct credit credit)
{
    struct world *w = m->world;
    if (m->port != NULL)
        return client_port_receive(m->port, credit);
    return clients_receive(w->clients, m->id, credit, w->now);
}

bool machine_clients_reply(struct machine *m, const struct packet *answer, uint64_t slot)
{
    struct world *w = m->world;
    if (m->port == NULL)
        return clients_reply(w->clients, m->id, answer, 1, w->now);
    const bool fits = client_port_reply(m->port, answer, slot);
    look(m);
    return fits;
}

void machine_clients_leader(struct machine *m, uint64_t node, uint64_t round)
{
    if (m->port != NULL)
        client_port_leader(m->port, node, round);
    else if (m->world->sockets == NULL)
        clients_leader(m->world->clients, m->id, (uint32_t)node);
}

void machine_clients_status(struct machine *m, const struct packet *status)
{
    if (m->port != NULL)
        client_port_status(m->port, status);
}
