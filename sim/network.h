/* The network of a simulated world: one stream of frames from each node to each other one, as over TCP, and everything that
 * can happen to such streams.
 *
 * Frames are real bytes (core/formats/frame.h). Receivers check them as the host does. A frame that fails the checks ends
 * the connection, and so does an earlier life of a sender than one that was heard already. What was on its way on a
 * connection that ends is lost; a new connection replaces it after a while.
 *
 * Faults: those of the network in sim/faults.h. DROP, DELAY, REORDER, DUPLICATE, REPLAY and RESET are rolled and counted for
 * each frame that is sent on a connection. The world starts and counts the others (network_sim_cut and so on). */
#ifndef SYNOD_SIM_NETWORK_H
#define SYNOD_SIM_NETWORK_H

#include "core/formats/frame.h"
#include "core/formats/packet.h"
#include "sim/dice.h"
#include "sim/faults.h"

struct network_sim;

struct network_sim_options {
    uint64_t seed;
    uint32_t nodes;             /* ids 1 to nodes */
    uint64_t latency_us;        /* the least time that a frame takes */
    uint64_t latency_spread_us; /* and how much more, at most */
    uint64_t queue_bytes_max;   /* of one stream; more is dropped (docs/wire-format.md) */
    struct faults *faults;      /* borrowed; rates may change while it runs */
    /* Whether `node` listens to this life of another one, according to its data folder (data_folder_accept_peer). NULL: to
     * any that is not earlier than one that it has heard itself. */
    bool (*listens)(void *context, uint32_t node, const struct frame_origin *to);
    /* The same for a stranger that greets in the name of a node (network_sim_greet): whether it is believed. */
    bool (*greeted)(void *context, uint32_t node, const struct frame_origin *as);
    /* Whether `node` takes what belongs to no connection from this instance of another one. NULL: from any. */
    bool (*takes)(void *context, uint32_t node, const struct frame_origin *from);
    void *context;
    bool only_outside; /* it carries what belongs to no connection; nodes have other connections */
};

struct network_sim *network_sim_new(const struct network_sim_options *options);
void network_sim_free(struct network_sim *n);

/* `node` is up from now on, in the life with this nonce. Its connections are made again. */
void network_sim_start(struct network_sim *n, uint32_t node, uint32_t incarnation, uint32_t nonce, uint64_t now);
/* `node` is gone. What it sent, and is still in the network, goes on, unless `flush` (replays do in any case). What arrives
 * at the node is lost. */
void network_sim_stop(struct network_sim *n, uint32_t node, bool flush);

/* Frame bodies from `node`, which is up, each to its set of nodes (packet id), at `now`. Copied. Ids of nodes that do not
 * exist are ignored. */
void network_sim_send(struct network_sim *n, uint32_t node, const struct packet *bodies, size_t count, uint64_t now);

/* When `node` has something to receive: the arrival of its next frame (which may have passed), or the end of its stall if
 * that is later. UINT64_MAX: nothing is on its way to it, or it is down. It is asked after every send and receive, so it is
 * O(1) or nearly. A send changes it for its receivers, a receive for its node, everything else for any node. */
uint64_t network_sim_next(const struct network_sim *n, uint32_t node);

/* Takes out the bodies that have arrived at `node` by `now` (packet id: the sender). Valid until the next call for it. */
struct packet_list network_sim_receive(struct network_sim *n, uint32_t node, uint64_t now);

/* A body that `from` sent to `to` before arrives there again at `arrival`, outside of all connections: a replay timed by the
 * world. */
void network_sim_replay(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival);

/* The same for a body that is sent just now, past a cut: a partition that lets something through. Not counted. */
void network_sim_slip(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival);

/* A stranger dials `to` at `arrival`, says that it is `as` (whose cluster is filled in) and leaves again. If it is believed,
 * the true connection ends. Not counted. */
void network_sim_greet(struct network_sim *n, uint32_t to, const struct frame_origin *as, uint64_t arrival);
/* From now on `node` is another instance, with this id. */
void network_sim_reinstall(struct network_sim *n, uint32_t node, const uint8_t instance[16]);
/* The instance id that a node's frames have. */
void network_sim_instance(uint32_t node, uint8_t instance[16]);

/* --- faults that the world starts; each lasts from the last time that was told until `until`, or network_sim_heal --- */

/* Nothing gets from any of `from` to any of `to`. */
void network_sim_cut(struct network_sim *n, node_set from, node_set to, uint64_t until);
/* `to` thinks that the connection is dead, and `from` does not know that: all that it sends is lost until its next
 * connection, at `until`. */
void network_sim_half_open(struct network_sim *n, uint32_t from, uint32_t to, uint64_t until);
/* `node` takes nothing from the network until then. Frames wait in the streams (up to queue_bytes_max in each). */
void network_sim_stall_reader(struct network_sim *n, uint32_t node, uint64_t until);
/* Ends all of these, and rolls no fault from now on. */
void network_sim_heal(struct network_sim *n);

/* A frame to three nodes counts three times. All that was sent, including copies made by DUPLICATE and REPLAY, is by now one
 * of received, refused, broken, dropped_full and lost, or is still on its way. */
struct network_sim_statistics {
    uint64_t frames_sent, frames_received, bytes_sent, refused /* frames of an earlier life */, dropped_full;
    uint64_t broken;    /* frames of which only a part arrived */
    uint64_t lost;      /* no connection, or one that ended; a node that is down; DROP */
    uint64_t under_way; /* some of these may be lost already */
};
struct network_sim_statistics network_sim_statistics(const struct network_sim *n);

#endif
