/* The configuration of a cluster, as every node has it. host/config.h reads it from a file; io/config_packet.h passes it to
 * a node in the sandbox. */
#ifndef SYNOD_IO_CONFIG_H
#define SYNOD_IO_CONFIG_H

#include <stddef.h>

#include "core/base/types.h"
#include "io/problem.h"

enum role { ROLE_COORDINATOR, ROLE_PROPOSER, ROLE_ACCEPTOR, ROLE_LEARNER };

/* Which network a node has: in the host or the guest, and over which protocol. */
enum network_kind { NETWORK_HOST_TCP, NETWORK_HOST_UDP, NETWORK_GRPC, NETWORK_GUEST_TCP, NETWORK_GUEST_UDP };
/* Where a part of a node runs: in the host, or in the sandbox with the node. */
enum place { PLACE_HOST, PLACE_GUEST };
/* How much of a node is one component: each part, each agent with all that it calls, or the whole node. */
enum granularity { GRANULARITY_PARTS, GRANULARITY_AGENTS, GRANULARITY_NODE };
/* How a node waits for something to do. */
enum waiting { WAITING_EVENTS, WAITING_POLLING };

struct endpoint {
    char host[256]; /* name or numeric address, IPv6 without brackets; empty: none */
    uint16_t port;
    uint32_t line; /* of the file in which it is configured; 0: none */
    char key[48];  /* its key there: "nodes[0].address" */
};

struct config_node {
    uint32_t id;
    uint8_t role;            /* enum role */
    struct endpoint address; /* where other nodes reach it */
    struct endpoint client;  /* where clients reach it; none: no client port */
    uint8_t network;         /* enum network_kind */
    uint8_t storage;         /* enum place */
    uint8_t serializer;      /* enum place */
    uint8_t granularity;     /* enum granularity */
};

/* A slot at which a node crashes, for an experiment. */
struct config_crash {
    uint32_t node;
    uint64_t slot;
};

struct config_group {
    uint32_t nodes[64]; /* ids that one process hosts */
    size_t count;
};

struct config {
    char *file;
    char cluster[64];
    uint32_t log_level; /* enum log_level of core/runners/ports.h */
    char *data;         /* absolute; node N has <data>/node-N */
    struct config_node *nodes;
    size_t node_count;
    struct config_group *groups; /* every node is in exactly one */
    size_t group_count;
    /* What the node itself needs of `settings:`; node and incarnation are zero here. */
    struct node_config node_config;
    uint32_t batch_size;        /* commands in a batch, at most */
    uint32_t batch_bytes;       /* a batch of so many bytes is full */
    uint32_t command_bytes_max; /* of a single command, at most */
    uint32_t frame_bytes_max;
    uint32_t client_connections_max;
    uint64_t client_bytes_max;     /* of waiting requests, for one client */
    uint64_t client_bytes_all_max; /* of waiting requests, for all clients */
    uint64_t peer_queue_bytes_max;
    uint64_t segment_bytes;
    bool load_snapshots;         /* a node begins with its newest one */
    uint64_t memory_bytes_max;   /* each component's linear memory */
    uint64_t turn_timeout;       /* microseconds of guest time a turn may take */
    uint64_t turn_timeout_max;   /* microseconds up to which it is doubled, after a life that needed more */
    uint64_t grace_period;       /* microseconds for a graceful stop */
    uint32_t datagram_bytes_max; /* of a frame, for UDP; longer ones go over TCP */
    uint32_t restarts_max;       /* restarts in a row of a node that breaks, until its process ends; 0: none */
    uint64_t restart_backoff;    /* microseconds before the second restart in a row; doubles up to ten seconds */
    uint64_t ping_timeout;       /* microseconds without a sign of life after which a node counts as hung */
    uint8_t waiting;             /* enum waiting */
    uint64_t tick;               /* microseconds between turns of a node that polls */
    bool debug_commands;         /* clients may cause faults */
    bool demo_client;            /* the process of a node that takes commands sends it some */
    uint64_t demo_client_requests;
    struct config_crash *crashes;
    size_t crash_count;
};

/* Releases what the fields point to. */
void config_close(struct config *config);

/* Reads "HOST:PORT" or "[HOST]:PORT". False: it is neither. */
bool endpoint_read(const char *text, struct endpoint *out);
enum { ENDPOINT_TEXT_MAX = 272 };
/* The same in reverse; "-": there is none. */
void endpoint_print(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_MAX]);

/* The node with this id; NULL when there is none. */
const struct config_node *config_find(const struct config *config, uint32_t id);
/* Where an endpoint of node `id` was configured, as the beginning of an error: "FILE:LINE: key 'nodes[0].address'", or "node
 * ID". */
void config_place(const struct config *config, uint32_t id, const struct endpoint *endpoint, char *out, size_t size);
/* The group that hosts this node. */
const struct config_group *config_group_of(const struct config *config, uint32_t id);
const char *role_name(uint8_t role);
/* The name in the configuration, "host-tcp" for instance. */
const char *network_name(uint8_t network);
/* What each component of the node may take, where one that is a single part may take `memory_bytes_max`. */
uint64_t config_component_bytes_max(const struct config_node *node, uint64_t memory_bytes_max);
/* The names in the configuration, by enum granularity; NULL ends them. */
extern const char *const granularity_names[];
/* Whether the node runs its own loop, because its network is in the sandbox. */
static inline bool config_network_is_in_guest(const struct config_node *node)
{
    return node->network == NETWORK_GUEST_TCP || node->network == NETWORK_GUEST_UDP;
}

#endif
