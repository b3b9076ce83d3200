/* The client that `demo_client: true` asks for: in one process of the cluster, a process beside a node that takes commands
 * sends it some. */
#ifndef SYNOD_LOCAL_DEMO_CLIENT_H
#define SYNOD_LOCAL_DEMO_CLIENT_H

#include <sys/types.h>

#include "host/config.h"

/* Starts the client if the configuration asks for one and `group` has the lowest node that takes commands: a process of its
 * own that waits until the cluster has a leader, sends demo_client_requests, prints what `synod bench` prints, and ends. It
 * ends with this process in any case. The caller must be the only thread of its process (it forks). Returns the client's
 * process id. 0: there is none to start, or it could not be started; standard error then says so. */
pid_t demo_client_start(const struct config *config, const struct config_group *group);

/* Ends the client if it still runs. It prints what it has done so far. 0 is ignored. */
void demo_client_stop(pid_t client);

#endif
