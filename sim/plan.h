/* What a seed decides before a simulated world begins: the cluster and its settings, the internal limits of nodes
 * (core/base/limits.h), the clients, and which faults are on and how often. This is "swarm testing" (Groce et al. 2012): a
 * world with few kinds of faults, each frequent, reaches situations that one with a little of everything never reaches. */
#ifndef SYNOD_SIM_PLAN_H
#define SYNOD_SIM_PLAN_H

#include <stdio.h>

#include "io/config.h"
#include "io/governed.h"
#include "sim/clients.h"
#include "sim/datagrams.h"
#include "sim/faults.h"
#include "sim/network.h"

enum deployment { DEPLOYMENT_ANY, DEPLOYMENT_COORDINATOR, DEPLOYMENT_STANDALONE, DEPLOYMENT_SHARED, DEPLOYMENTS };

/* "any", "coordinator", ...; ends with NULL. */
extern const char *const deployment_names[DEPLOYMENTS + 1];

/* Which client port nodes have: the one that ships, or a model of it (sim/clients.c). */
enum twin { TWIN_ANY, TWIN_SHIPPED, TWIN_MODEL, TWINS };

/* "any", "shipped", "model"; ends with NULL. */
extern const char *const twin_names[TWINS + 1];

/* Which network nodes have: a model (sim/network.c), or one that ships, with TCP alone or with datagrams. */
enum wire { WIRE_ANY, WIRE_MODEL, WIRE_TCP, WIRE_UDP, WIRES };

/* "any", "model", "tcp", "udp"; ends with NULL. */
extern const char *const wire_names[WIRES + 1];

/* How a node's address is written in the configuration. */
enum address { ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_NAME, ADDRESSES };

enum { PLAN_NODES_MAX = 12, PLAN_EVENTS = 20000, PLAN_ALPHA_MAX = 512 };

struct plan_options {
    uint64_t seed;
    uint64_t events;     /* turns of nodes while faults happen; 0: PLAN_EVENTS */
    uint64_t faults;     /* bit set of enum fault: those that the seed may switch on */
    uint32_t deployment; /* enum deployment */
    uint32_t port;       /* enum twin: of the client port */
    uint32_t network;    /* enum wire */
    bool changes;        /* members and settings change wherever that is possible, not only in a share of the worlds */
    bool sessions;       /* clients have sessions in all worlds */
    bool leases;         /* some keys end in all worlds */
};

/* Settings of a node's host. */
struct host_settings {
    uint64_t segment_bytes;
    uint32_t group_bytes;                            /* of a group of the journal that other groups wait for, about */
    uint32_t index_bytes, recover_bytes, scan_bytes; /* struct journal_store_options */
    uint32_t batch_commands_max;                     /* of its clients */
};

struct plan {
    uint64_t seed, events;
    uint32_t deployment;
    uint32_t nodes;                       /* machines: ids 1 to nodes */
    uint8_t roles[PLAN_NODES_MAX + 1];    /* of each: bits of enum duty */
    node_set spares;                      /* those that are no members at first */
    bool changes;                         /* there may be other configurations than the first one */
    uint32_t process[PLAN_NODES_MAX + 1]; /* by node; the nodes of one process fail together */
    struct node_config config;            /* of all nodes; node and incarnation are set for each */
    uint64_t turn_us;                     /* time of a turn, about; what arrives meanwhile is the next turn's */
    struct host_settings host;
    uint32_t frame_bytes_max;
    struct network_sim_options network;  /* without faults */
    struct clients_options clients;      /* without history */
    bool shipped_port;                   /* clients have sockets, and nodes the client port that ships */
    struct sockets_options sockets;      /* then; without faults */
    struct config port;                  /* then: what the port goes by, without nodes */
    uint32_t strangers;                  /* then: who does not behave (sim/strangers.h) */
    enum wire wire;                      /* WIRE_TCP, WIRE_UDP: nodes have sockets, and the network that ships */
    struct sockets_options link;         /* then; without faults */
    struct config links;                 /* then: what the network goes by, without nodes */
    struct datagrams_options datagrams;  /* with WIRE_UDP; without faults */
    uint8_t address[PLAN_NODES_MAX + 1]; /* by node: enum address */
    uint32_t rate[FAULTS];
    bool moves_only;     /* nothing happens but that leadership is moved */
    node_set fragile;    /* nodes whose disks may be lost or damaged; without them every quorum is there */
    bool fragile_return; /* those of them that are sound come back when faults stop */
};

void plan_draw(struct plan *plan, const struct plan_options *options);

/* One paragraph for people. */
void plan_print(const struct plan *plan, FILE *out);

/* A number between `from` and `to`, with an even logarithm: so rare and frequent are equally likely. */
uint32_t plan_rate(struct dice *dice, uint32_t from, uint32_t to);
uint32_t plan_draw_alpha(struct dice *dice);

/* Draws settings that may differ from one life of a node to the next, and that an operator could give it
 * (host/config_check.h). */
void plan_reconfigure(const struct plan *plan, struct node_config *config, struct host_settings *host, struct dice *dice);

/* Draws governed settings that differ from the plan's, and that an operator could give: the same ones for the same seed. */
void plan_regovern(const struct plan *plan, struct node_config *config, uint64_t seed);
/* Restores those of the plan. */
void plan_govern(const struct plan *plan, struct node_config *config);
/* The governed settings in the file of a node with this configuration. */
void plan_governed(const struct plan *plan, const struct node_config *config, char text[GOVERNED_TEXT_MAX]);

#endif
