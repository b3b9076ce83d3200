/* The network of a simulated world: one stream of frames from each node to each other one, as TCP gives them, and
 * everything that can become of such streams.
 *
 * Frames are real bytes (core/formats/frame.h). They are checked where they arrive as the host checks them: a frame that
 * does not check out ends the connection, and so does an earlier life of a sender than one that was heard already. What
 * was under way on a connection that ends is lost; a new one takes its place after a while.
 *
 * Faults: those of the network in sim/faults.h. DROP, DELAY, REORDER, DUPLICATE, REPLAY and RESET are rolled and counted
 * for each frame that is sent on a connection; the others are struck, and counted, by the world (network_sim_cut and so
 * on). */
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
    uint64_t latency_us;        /* the least that a frame takes */
    uint64_t latency_spread_us; /* and what may be added */
    uint64_t queue_bytes_max;   /* of one stream; what does not fit is dropped (docs/wire-format.md) */
    struct faults *faults;      /* borrowed; rates may change while it runs */
    /* Whether `node` listens to this life of another one, as it asks its data folder (data_folder_accept_peer); NULL: to any that is
     * not earlier than one that it has heard itself. */
    bool (*listens)(void *context, uint32_t node, const struct frame_origin *to);
    /* The same of a stranger that greets in the name of a node (network_sim_greet): whether it is taken for that one. */
    bool (*greeted)(void *context, uint32_t node, const struct frame_origin *as);
    void *context;
};

struct network_sim *network_sim_new(const struct network_sim_options *options);
void network_sim_free(struct network_sim *n);

/* `node` is up from now on, in the life with this nonce; its connections are made anew. */
void network_sim_start(struct network_sim *n, uint32_t node, uint32_t incarnation, uint32_t nonce, uint64_t now);
/* `node` is gone. What it sent and what is still in the network goes on its way, unless `flush` (replays do in any case);
 * what arrives at it is lost. */
void network_sim_stop(struct network_sim *n, uint32_t node, bool flush);

/* Frame bodies from `node`, which is up, to the nodes of each one's set (packet id), at `now`. Copied. Ids of nodes that do
 * not exist are ignored. */
void network_sim_send(struct network_sim *n, uint32_t node, const struct packet *bodies, size_t count, uint64_t now);

/* When `node` has something to receive: the time of arrival of its next frame (which may have passed), or the end of its
 * stall if that is later; UINT64_MAX: nothing is under way to it, or it is down. Asked after every send and receive, so O(1)
 * or nearly. A send changes it for its receivers, a receive for its node, everything else for anybody. */
uint64_t network_sim_next(const struct network_sim *n, uint32_t node);

/* The bodies that have arrived at `node` by `now` (packet id: the sender), taken out. Valid until the next call for it. */
struct packet_list network_sim_receive(struct network_sim *n, uint32_t node, uint64_t now);

/* A body that `from` sent to `to` before arrives there again at `arrival`, outside of all connections: a replay that the world times. */
void network_sim_replay(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival);

/* The same of a body that is sent just now, past a cut: a partition that lets something through. Not counted. */
void network_sim_slip(struct network_sim *n, uint32_t from, uint32_t to, const struct packet *body, uint64_t arrival);

/* Somebody dials `to` at `arrival`, says that it is `as` (whose cluster is filled in) and is gone again. Where it is believed, the true
 * connection ends. Not counted. */
void network_sim_greet(struct network_sim *n, uint32_t to, const struct frame_origin *as, uint64_t arrival);
/* The instance id that a node's frames have. */
void network_sim_instance(uint32_t node, uint8_t instance[16]);

/* --- faults that the world strikes; each lasts from the time that was given last until `until`, or network_sim_heal --- */

/* Nothing gets from any of `from` to any of `to`. */
void network_sim_cut(struct network_sim *n, node_set from, node_set to, uint64_t until);
/* `to` holds the connection for dead, `from` sends into it and hears nothing of that: all that it sends is lost until its
 * next connection, at `until`. */
void network_sim_half_open(struct network_sim *n, uint32_t from, uint32_t to, uint64_t until);
/* `node` takes nothing from the network until then; it waits in the streams (up to queue_bytes_max of each). */
void network_sim_stall_reader(struct network_sim *n, uint32_t node, uint64_t until);
/* Ends all of these, and rolls no fault any more. */
void network_sim_heal(struct network_sim *n);

/* A frame to three nodes counts three times. What was sent, with the copies that DUPLICATE and REPLAY made, is by now one of
 * received, refused, broken, dropped_full and lost, or is still under way. */
struct network_sim_statistics {
    uint64_t frames_sent, frames_received, bytes_sent, refused /* frames of an earlier life */, dropped_full;
    uint64_t broken;    /* frames of which only a part arrived */
    uint64_t lost;      /* no connection, or one that ended; a node that is down; DROP */
    uint64_t under_way; /* some of these may be lost already */
};
struct network_sim_statistics network_sim_statistics(const struct network_sim *n);

#endif
