/* node-config and node-status as bytes: the packet in which they cross between host and node. First the version, then the
 * fields in the order of core/base/types.h, each as a little-endian 64-bit word. */
#ifndef SYNOD_CORE_FORMATS_CONFIG_FRAME_H
#define SYNOD_CORE_FORMATS_CONFIG_FRAME_H

#include "core/formats/packet.h"

enum { CONFIG_FRAME_WORDS = 56, STATUS_FRAME_WORDS = 32 };

/* The kind of a packet with a status: whether the node has room for records. */
enum { STATUS_ROOM, STATUS_NO_ROOM, STATUS_COMMANDS /* a command_table, not a status */ };

/* Packs into `words` (CONFIG_FRAME_WORDS, STATUS_FRAME_WORDS of them), which the caller owns; the packet points there. */
void config_frame_encode(const struct node_config *config, uint64_t *words, struct packet *packet);
void status_frame_encode(const struct node_status *status, uint64_t *words, struct packet *packet);

/* False: not such a packet, another version, or a field beyond its range. */
bool config_frame_decode(const struct packet *packet, struct node_config *config);
bool status_frame_decode(const struct packet *packet, struct node_status *status);

#endif
