/* gRPC between nodes (host/synod.proto; docs/wire-format.md, "gRPC"): for where only HTTP/2 gets through, and for clients
 * in any language. As with every transport, queues are bounded and drop, and what matters is sent again. */
#ifndef SYNOD_HOST_GRPC_NETWORK_H
#define SYNOD_HOST_GRPC_NETWORK_H

#include "io/network.h"

network_opener grpc_network_open;

#endif
