/* The client that `demo_client: true` asks for: once a cluster, a process beside a node that takes commands sends it some. */
#ifndef SYNOD_LOCAL_DEMO_CLIENT_H
#define SYNOD_LOCAL_DEMO_CLIENT_H

#include <sys/types.h>

#include "host/config.h"

/* Starts the client when the configuration wants one and `group` has the lowest node of those that take commands: a process of its own
 * that waits until the cluster has a leader, sends demo_client_requests, prints what `synod bench` prints, and ends. It ends with
 * this process in any case. The caller must be the only thread of its process (it forks). Gives the client's process id; 0: there
 * is none to start, or it could not be started, which standard error says then. */
pid_t demo_client_start(const struct config *config, const struct config_group *group);

/* Ends the client if it still runs; what it has done so far it prints. 0 is ignored. */
void demo_client_stop(pid_t client);

#endif
