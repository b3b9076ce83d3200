/* A node's network as it ships (io/tcp_network.c, io/udp_network.c), in the simulated world. This header has no type of
 * libuv's, so that files that are compiled against the real one can use it. */
#ifndef SYNOD_SIM_UV_NETWORK_H
#define SYNOD_SIM_UV_NETWORK_H

#include "core/formats/packet.h"
#include "io/config.h"
#include "io/data_folder.h"
#include "sim/datagrams.h"

struct node_network;

/* Where other nodes find it, on the host that has the node's number: in the configuration, too. */
enum { NODE_PORT_NUMBER = 7379 };

static inline uint64_t frame_life(const struct frame_origin *origin)
{
    return (uint64_t)origin->incarnation << 32 | origin->nonce;
}

struct node_network_options {
    struct sockets *sockets;     /* outlives the network */
    struct datagrams *datagrams; /* the same; NULL: it has TCP alone */
    const struct config *config; /* the same */
    struct frame_origin origin;
    /* As in io/network.h. */
    enum peer_verdict (*accept_peer)(void *context, const struct frame_origin *peer);
    void (*on_expelled)(void *context, int exit_code, const char *reason);
    void *context;
};

bool node_network_open(struct node_network **out, const struct node_network_options *options, struct problem *problem);
/* The process ends: its system closes all connections. */
void node_network_kill(struct node_network *n);

/* As network_members in io/network.h. */
struct roster;
void node_network_members(struct node_network *n, const struct roster *roster);

/* When its loop has something to do; UINT64_MAX: not before something else happens. */
uint64_t node_network_next(struct node_network *n);
/* One iteration of its loop. */
void node_network_run(struct node_network *n);

/* Frames have arrived. */
bool node_network_waiting(const struct node_network *n);
/* As in io/network.h. */
struct packet_list node_network_receive(struct node_network *n);
/* The life of `sender` that it listened to when the i-th frame that was received last arrived (frame_life), and whether that
 * may be the first one of a connection. To be asked in their order, once for each. */
uint64_t node_network_life(struct node_network *n, uint32_t sender, size_t i, bool *begins);
void node_network_send(struct node_network *n, const struct packet *frames, size_t count);

/* A stranger is about to greet it, so it may refuse one greeting more than those of nodes. */
void node_network_expect_stranger(struct node_network *n);

/* Whether what it holds is what it counts, and no more than its bounds. NULL: so it is; otherwise what is wrong. */
const char *node_network_audit(struct node_network *n);
/* It has refused a connection because of what came, and not because of who dialled. */
bool node_network_heard_broken(const struct node_network *n);
/* So much is queued for a peer, or has come, that it drops frames or reads no more. */
bool node_network_full(const struct node_network *n);

#endif
