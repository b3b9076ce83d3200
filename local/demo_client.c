#include "local/demo_client.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load/info.h"
#include "local/cluster.h"
#include "local/load_report.h"

enum { CONNECTIONS = 50, LOOK_INTERVAL_MS = 100, LOOK_TIMEOUT_MS = 1000 };

static bool serves(const struct config_node *node) { return cluster_proposes(node) && node->client.host[0] != '\0'; }

/* The client ports of all nodes that take commands. */
static size_t find_targets(const struct config *config, struct load_target *out)
{
    size_t count = 0;
    for (size_t i = 0; i < config->node_count; i++) {
        const struct config_node *node = &config->nodes[i];
        if (!serves(node))
            continue;
        snprintf(out[count].host, sizeof out[count].host, "%s", node->client.host);
        out[count++].port = node->client.port;
    }
    return count;
}

/* The node whose process starts the cluster's client; 0: none. */
static uint32_t lowest_server(const struct config *config)
{
    uint32_t lowest = 0;
    for (size_t i = 0; i < config->node_count; i++)
        if (serves(&config->nodes[i]) && (lowest == 0 || config->nodes[i].id < lowest))
            lowest = config->nodes[i].id;
    return lowest;
}

static bool one_leads(const struct load_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct node_info info;
        char error[256];
        if (info_fetch(targets[i].host, targets[i].port, LOOK_TIMEOUT_MS, &info, error, sizeof error) &&
            strcmp(info.proposer_state, "leading") == 0)
            return true;
    }
    return false;
}

static bool go_on(void *context, struct load *load, const struct load_counts *counts, double seconds)
{
    (void)context;
    (void)load;
    (void)counts;
    (void)seconds;
    return !interrupted;
}

static void run(const struct config *config)
{
    static struct load_target targets[NODE_ID_MAX];
    static struct load_result result; /* has a histogram: large */
    const struct timespec pause = {.tv_nsec = LOOK_INTERVAL_MS * 1000000L};
    struct load_options options;
    char error[512] = "";
    load_defaults(&options);
    options.targets = targets;
    options.target_count = find_targets(config, targets);
    options.requests = config->demo_client_requests;
    options.connections = options.requests < CONNECTIONS ? (uint32_t)options.requests : CONNECTIONS;
    while (!interrupted && !one_leads(targets, options.target_count))
        nanosleep(&pause, NULL); /* a signal ends it early */
    if (interrupted)
        return;
    const bool ok = load_run(&options, go_on, NULL, &result, error, sizeof error);
    printf("demo client: %" PRIu64 " requests to cluster '%s'%s\n", options.requests, config->cluster,
           result.stopped ? ", stopped before all were answered" : "");
    report_statistics(&result);
    if (!ok)
        fprintf(stderr, "demo client: %s\n", error);
}

pid_t demo_client_start(const struct config *config, const struct config_group *group)
{
    const uint32_t starter = config->demo_client && config->demo_client_requests > 0 ? lowest_server(config) : 0;
    if (starter == 0 || config_group_of(config, starter) != group)
        return 0;
    fflush(NULL); /* otherwise both would write what is buffered */
    const pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        fprintf(stderr, "demo client: cannot start: %s\n", strerror(errno));
        return 0;
    }
    if (pid > 0)
        return pid;
    catch_interrupts();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        run(config);
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}

void demo_client_stop(pid_t client)
{
    if (client == 0)
        return;
    kill(client, SIGTERM);
    while (waitpid(client, NULL, 0) < 0 && errno == EINTR)
        ;
}
