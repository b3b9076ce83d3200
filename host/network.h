/* Host TCP between nodes: frames with length, checksum, version, cluster, node, instance id and incarnation
 * (docs/wire-format.md). Reconnects with backoff; bounded queues drop, the protocol retransmits. */
#ifndef SYNOD_HOST_NETWORK_H
#define SYNOD_HOST_NETWORK_H

#include <uv.h>

#include "core/formats/packet.h"
#include "host/config.h"
#include "host/data_folder.h"
#include "host/logger.h"

struct network;

struct network_options {
    const struct config *config; /* outlives the network */
    uint32_t node;
    struct data_folder *folder;
    struct logger *logger;
    /* Called on the loop's thread when frames have arrived. */
    void (*on_input)(void *context);
    void *context;
};

/* Listens on the node's address and starts connecting to every other node. Port in use is an error that says so. */
bool network_open(struct network **out, uv_loop_t *loop, const struct network_options *options, struct problem *problem);

/* All frame bodies that have arrived: id is the sender. Valid until the next call. */
struct packet_list network_receive(struct network *n);

/* Sends each body to the nodes of its set (packet id); checksums once, never blocks. */
void network_send(struct network *n, const struct packet *frames, size_t count);

struct network_statistics {
    uint64_t frames_in, frames_out, bytes_in, bytes_out, dropped, bad_frames, reconnects;
};
struct network_statistics network_statistics(const struct network *n);

/* The port that it listens on: tests ask for port 0, which means any. */
uint16_t network_port(const struct network *n);

/* Closes everything; the memory is released when the loop has run its close callbacks (`on_closed` then). */
void network_close(struct network *n, void (*on_closed)(void *context), void *context);

#endif
