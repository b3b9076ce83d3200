/* Frames between nodes, by one of several transports (docs/wire-format.md): TCP, UDP or gRPC. The protocol treats all of
 * them as lossy: queues are bounded and drop; what matters is sent again.
 *
 * TCP and UDP are written against libuv's API, of which components/wasi has an implementation for WASI. So the same files
 * are the host's network and that of a node whose network is in the sandbox. */
#ifndef SYNOD_IO_NETWORK_H
#define SYNOD_IO_NETWORK_H

#include <uv.h>

#include "core/formats/frame.h"
#include "core/formats/packet.h"
#include "io/config.h"
#include "io/data_folder.h"
#include "io/logger.h"
#include "io/roster.h"

struct network;

struct network_options {
    const struct config *config; /* outlives the network */
    struct frame_origin origin;  /* which node this is; in each of its frames */
    bool sends, receives;        /* which halves are wanted; a node whose network is two components has one in each */
    /* As data_folder_accept_peer (P12). */
    enum peer_verdict (*accept_peer)(void *context, const struct frame_origin *peer);
    /* This node must end, because others refuse to hear it. Either a phase-1 quorum of acceptors knows a later life of it or
     * another one, so its folder is an older copy or runs twice (EXIT_DATA); or knows that it was removed, or that its disk
     * was replaced (EXIT_REMOVED). Or most acceptors have other governed settings (EXIT_BAD_INPUT). `reason` says which.
     * Called once at most. */
    void (*on_expelled)(void *context, int exit_code, const char *reason);
    /* A node is refused because this one does not know a configuration yet in which it is a member (network_hearsay may
     * help). NULL: that is all. It must not call the network from inside. */
    void (*on_early)(void *context, const struct frame_origin *peer);
    struct logger *logger;
    /* Called on the loop's thread when frames have arrived. */
    void (*on_input)(void *context);
    void *context;
};

/* Opens a network. One that receives listens on the node's address; one that sends keeps trying to reach every other node. A
 * port in use is an error that says so. */
typedef bool network_opener(struct network **out, uv_loop_t *loop, const struct network_options *options,
                            struct problem *problem);
network_opener tcp_network_open;
network_opener udp_network_open;

/* All frame bodies that have arrived: id is the sender. Valid until the next call. */
struct packet_list network_receive(struct network *n);
/* True when that would return something, or let connections go on that are not read meanwhile. */
bool network_waiting(const struct network *n);

/* Sends each body to the nodes of its set (packet id); checksums once, never blocks. */
void network_send(struct network *n, const struct packet *frames, size_t count);

/* The node begins another life. From now on frames carry `origin`. What is still queued for other nodes is dropped, because
 * the effects of the old life died with it. The nodes are greeted again at once. What has arrived stays. Never to be called
 * from inside another call. */
void network_reborn(struct network *n, const struct frame_origin *origin);

/* From now on the node speaks with the nodes that belong to this roster, which is copied: a later one than before, or
 * the same whose leaving nodes have left. (Before, those of options.config.) Connections of nodes that do not belong to it,
 * or with another instance than before, end at once, and what has come on them and waits is dropped; new nodes are dialled.
 * The other connections stay. Never to be called from inside another call, but for those of the node's turn. */
void network_members(struct network *n, const struct roster *roster);

/* Another node says that these belong to the cluster: a later roster than this node can know, because all that it knows
 * have been replaced meanwhile. From now on members with a new disk are heard and dialled by that roster, too, until this
 * node knows as much. Nothing else follows from it: no node is refused because of it, and nothing of it is remembered. It
 * takes the place of what was said before. */
void network_hearsay(struct network *n, const struct roster *said);

struct network_statistics {
    uint64_t frames_in, frames_out, bytes_in, bytes_out, dropped, bad_frames, reconnects;
};
struct network_statistics network_statistics(const struct network *n);

/* The port that it listens on. Tests ask for port 0, which means any. */
uint16_t network_port(const struct network *n);

/* Closes everything. The memory is released when the loop has run its close callbacks; then `on_closed` is called. */
void network_close(struct network *n, void (*on_closed)(void *context), void *context);

#endif
