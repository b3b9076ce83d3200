/* The load generator in the sandbox: each process of load/load.h runs an instance of the client component (wit/client.wit,
 * nodes/guest-client.wasm), which reaches only the addresses of the options. */
#ifndef SYNOD_LOCAL_GUEST_CLIENT_H
#define SYNOD_LOCAL_GUEST_CLIENT_H

#include "io/problem.h"
#include "load/load.h"

/* Makes `options` run the component. False: it does not exist, or cannot do what they ask; `problem` says which. */
bool guest_client_use(struct load_options *options, struct problem *problem);

#endif
