/* The configuration: one YAML file for a whole cluster. docs/configuration.md lists every key. */
#ifndef SYNOD_HOST_CONFIG_H
#define SYNOD_HOST_CONFIG_H

#include <stddef.h>

#include "core/base/types.h"
#include "host/problem.h"

enum role { ROLE_COORDINATOR, ROLE_PROPOSER, ROLE_ACCEPTOR, ROLE_LEARNER };

struct endpoint {
    char host[256]; /* name or numeric address, IPv6 without brackets; empty: none */
    uint16_t port;
    uint32_t line; /* of the file that it stands in; 0: in none */
    char key[48];  /* there: "nodes[0].address" */
};

struct config_node {
    uint32_t id;
    uint8_t role;            /* enum role */
    struct endpoint address; /* where other nodes reach it */
    struct endpoint client;  /* where clients reach it; none: no client port */
};

struct config_group {
    uint32_t nodes[64]; /* ids that one process hosts */
    size_t count;
};

struct config {
    char *file;
    char cluster[64];
    uint32_t log_level; /* enum log_level of core/runners/ports.h */
    char *data;         /* absolute; node N lives in <data>/node-N */
    struct config_node *nodes;
    size_t node_count;
    struct config_group *groups; /* every node is in exactly one */
    size_t group_count;
    /* Everything of `settings:` that the node itself needs; node and incarnation are zero here. */
    struct node_config node_config;
    uint32_t batch_size;        /* commands a batch at most */
    uint32_t batch_bytes;       /* bytes after which a batch is full */
    uint32_t command_bytes_max; /* a single command at most */
    uint32_t frame_bytes_max;
    uint32_t client_connections_max;
    uint64_t client_bytes_max;     /* of requests waiting, one client */
    uint64_t client_bytes_all_max; /* of requests waiting, all clients */
    uint64_t peer_queue_bytes_max;
    uint64_t segment_bytes;
    uint64_t memory_bytes_max; /* each component's linear memory */
    uint64_t turn_timeout;     /* microseconds of guest time a turn may take */
    uint64_t grace_period;     /* microseconds for a graceful stop */
};

/* Reads, checks and completes a configuration. False: `problem` has one line naming file, line and key. */
bool config_load(struct config *config, const char *file, struct problem *problem);
void config_close(struct config *config);

/* The node with this id, NULL when there is none. */
const struct config_node *config_find(const struct config *config, uint32_t id);
/* Where an endpoint of node `id` was configured, as errors begin: "FILE:LINE: key 'nodes[0].address'", or "node ID". */
void config_place(const struct config *config, uint32_t id, const struct endpoint *endpoint, char *out, size_t size);
/* The group that hosts this node. */
const struct config_group *config_group_of(const struct config *config, uint32_t id);
const char *role_name(uint8_t role);

/* Every key with type, default, range and meaning, as the Markdown tables of docs/configuration.md. The caller frees it;
 * NULL: out of memory. */
char *config_describe(void);

#endif
