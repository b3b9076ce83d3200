/* A local cluster for `synod demo` and the experiments of `synod-lab`: configuration and data in a folder of its own, one
 * child process for each group of nodes. Each runs the program `synod` beside this executable, or this executable itself.
 * Only these children are ever signalled, by their process id. */
#ifndef SYNOD_LOCAL_CLUSTER_H
#define SYNOD_LOCAL_CLUSTER_H

#include <sys/types.h>

#include "host/config.h"
#include "load/info.h"
#include "load/load.h"

struct cluster_plan {
    const char *deployment; /* "coordinator", "standalone" or "shared" */
    uint32_t nodes;         /* of each role */
    bool native;            /* nodes run the native build of the core */
    /* As in the configuration; NULL: its default. */
    const char *network, *storage, *serializer, *granularity, *leader_rule;
    const char *settings;     /* more lines of the map `settings`, each with its line feed; NULL: none */
    const char *nodes_folder; /* where the composed nodes are; NULL: where `synod start` looks */
};

struct cluster_process {
    pid_t pid;       /* 0: it does not run */
    bool by_group;   /* started with --group, otherwise with --node */
    uint32_t number; /* of the group or node */
    char name[32];   /* "node 3" or "group 2" */
    char log[512];   /* file that its output goes to */
    char died[160];  /* how it ended without being asked to; empty: it did not */
};

struct cluster {
    char folder[256];
    char config_file[512];
    char executable[512];
    bool native;
    const char *nodes_folder;
    struct config config;
    struct cluster_process processes[NODE_ID_MAX];
    size_t process_count;
    struct node_info info[NODE_ID_MAX + 1]; /* by node id, as of the last look */
    bool answers[NODE_ID_MAX + 1];
    double cpu_seconds_ended; /* of processes that have ended */
};

/* Makes the folder (in $TMPDIR, otherwise /var/tmp, otherwise /tmp), writes the configuration with free ports, and formats
 * every node's folder with `synod init`. False: `problem` says why; what was made is removed. */
bool cluster_create(struct cluster *c, const struct cluster_plan *plan, struct problem *problem);

/* Starts every process that does not run. */
bool cluster_start(struct cluster *c, struct problem *problem);

/* Waits until every node answers and all proposers agree on a leader that leads. Gives up when a process dies, when
 * `*interrupted` becomes true, or at the deadline. */
bool cluster_wait_ready(struct cluster *c, uint32_t timeout_ms, const volatile int *interrupted, struct problem *problem);

/* Asks every node for its status (info, answers). Returns how many answered. */
size_t cluster_look(struct cluster *c, int timeout_ms);

/* The node that leads with the highest ballot, as of the last look; NULL: none. */
const struct config_node *cluster_leader(const struct cluster *c);

/* The client ports of all nodes that take commands, the leader's first. Returns their number, at most NODE_ID_MAX. */
size_t cluster_targets(const struct cluster *c, struct load_target *out);

/* True when the node executes commands. */
bool cluster_executes(const struct config_node *node);
/* True when the node takes commands from clients. */
bool cluster_proposes(const struct config_node *node);

/* False when a process has ended that was not asked to; `problem` says how, with the last lines of its log. */
bool cluster_alive(struct cluster *c, struct problem *problem);

/* Kills the process that hosts a node with SIGKILL and waits for its end. */
void cluster_kill(struct cluster *c, uint32_t node);

/* Processor time of all processes since they were started. */
double cluster_cpu_seconds(const struct cluster *c);
/* Resident memory of all processes that run. Shared memory counts for each. */
uint64_t cluster_resident_bytes(const struct cluster *c);

/* Ends all processes: SIGTERM, then SIGKILL after `grace_ms`. False: one had to be killed, or said that it had failed. */
bool cluster_stop(struct cluster *c, uint32_t grace_ms, struct problem *problem);

/* Releases memory; removes the folder unless `keep`. Processes must have been stopped. */
void cluster_close(struct cluster *c, bool keep);

/* True when the folder is on a file system in memory, where a sync costs nothing. */
bool cluster_in_memory(const struct cluster *c);

#endif
