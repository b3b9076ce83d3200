/* What a seed decides before a simulated world begins: the cluster and its settings, the internal limits of nodes (core/base/limits.h), the clients, and which faults are on and
 * how often ("swarm testing": Groce et al. 2012. A world with few kinds of faults, each frequent, gets to places that one
 * with a little of everything never sees). */
#ifndef SYNOD_SIM_PLAN_H
#define SYNOD_SIM_PLAN_H

#include <stdio.h>

#include "io/governed.h"
#include "sim/clients.h"
#include "sim/faults.h"
#include "sim/network.h"

enum deployment { DEPLOYMENT_ANY, DEPLOYMENT_COORDINATOR, DEPLOYMENT_STANDALONE, DEPLOYMENT_SHARED, DEPLOYMENTS };

/* "any", "coordinator", ...; ends with NULL. */
extern const char *const deployment_names[DEPLOYMENTS + 1];

enum { PLAN_NODES_MAX = 9, PLAN_EVENTS = 20000 };

struct plan_options {
    uint64_t seed;
    uint64_t events;     /* turns of nodes while faults happen; 0: PLAN_EVENTS */
    uint64_t faults;     /* bit set of enum fault: those that the seed may switch on */
    uint32_t deployment; /* enum deployment */
};

/* What a node's host goes by. */
struct host_settings {
    uint64_t segment_bytes;
    uint32_t group_bytes;                            /* of a group of the journal that others wait behind, about */
    uint32_t index_bytes, recover_bytes, scan_bytes; /* struct journal_store_options */
    uint32_t batch_commands_max;                     /* of its clients */
};

struct plan {
    uint64_t seed, events;
    uint32_t deployment;
    uint32_t nodes;                       /* ids 1 to nodes */
    uint32_t process[PLAN_NODES_MAX + 1]; /* by node: nodes of one process fall together */
    struct node_config config;            /* of all nodes; node and incarnation are each one's own */
    uint64_t turn_us;                     /* that a turn takes, about: what arrives meanwhile is the next turn's */
    struct host_settings host;
    uint32_t frame_bytes_max;
    struct network_sim_options network; /* without faults */
    struct clients_options clients;     /* without history */
    uint32_t rate[FAULTS];
    node_set fragile;    /* whose disks may be lost or damaged: without them every quorum is there */
    bool fragile_return; /* those of them that are sound come back when faults stop */
};

void plan_draw(struct plan *plan, const struct plan_options *options);

/* One paragraph for people. */
void plan_print(const struct plan *plan, FILE *out);

/* A number whose logarithm is even between those of `from` and `to`: so that rare and frequent are equally likely. */
uint32_t plan_rate(struct dice *dice, uint32_t from, uint32_t to);

/* Settings that may differ from one life of a node to the next, such as an operator could give them (host/config_check.h). */
void plan_reconfigure(const struct plan *plan, struct node_config *config, struct host_settings *host, struct dice *dice);

/* Governed settings that are not those of the plan, and such as an operator could give them: the same ones for the same seed. */
void plan_regovern(const struct plan *plan, struct node_config *config, uint64_t seed);
/* Those of the plan again. */
void plan_govern(const struct plan *plan, struct node_config *config);
/* The governed settings of the file that a node with this configuration has. */
void plan_governed(const struct plan *plan, const struct node_config *config, char text[GOVERNED_TEXT_MAX]);

#endif
