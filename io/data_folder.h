/* The folder of one node: identity, boot count, the journal, and what it remembers of its peers.
 * Formatted once by `synod init`; a node never starts on an empty one (rule 12 of the design). */
#ifndef SYNOD_IO_DATA_FOLDER_H
#define SYNOD_IO_DATA_FOLDER_H

#include <stdint.h>

#include "core/formats/frame.h"
#include "io/disk.h"
#include "io/problem.h"

struct identity {
    char cluster[64];
    uint32_t node;
    uint8_t instance[16]; /* random, made by init */
    uint32_t incarnation; /* durable boot count, counted up by each open; from 1 */
};

/* Who speaks in this node's frames. */
struct frame_origin identity_origin(const struct identity *identity);

struct data_folder;

/* Formats `path` (made with its parents) for a node. An existing identity is never overwritten. `instance` is the node's instance id
 * (16 bytes); NULL: a random one. */
bool data_folder_format(struct disk *disk, const char *path, const char *cluster, uint32_t node, const uint8_t *instance,
                        struct problem *problem);

/* Locks the folder, checks that it belongs to this cluster and node, and makes the next incarnation durable. `disk` is borrowed. */
bool data_folder_open(struct data_folder **out, struct disk *disk, const char *path, const char *cluster, uint32_t node,
                      struct problem *problem);
void data_folder_close(struct data_folder *folder);

const struct identity *data_folder_identity(const struct data_folder *folder);
const char *data_folder_path(const struct data_folder *folder);

/* True when `instance` is the one this node knows for `peer`, or the first it hears of (which it then remembers durably).
 * May block for a sync the first time. Thread: the node's. */
bool data_folder_accept_peer(struct data_folder *folder, uint32_t peer, const uint8_t instance[16]);

#endif
