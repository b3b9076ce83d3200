/* What a node in the sandbox is told about itself and the cluster (`interface settings` of wit/io.wit), as one packet. It is
 * also the file that `synod config export` writes for a node under any WASI host. */
#ifndef SYNOD_IO_CONFIG_PACKET_H
#define SYNOD_IO_CONFIG_PACKET_H

#include "core/formats/packet.h"
#include "io/config.h"

struct node_settings {
    struct config config; /* without `file` */
    uint32_t node;
    char folder[256]; /* where its data is, below the one folder that it can see; "." for that folder itself */
    bool exclusive;   /* the host of the node makes sure that no other uses the data folder meanwhile */
};

/* Packs the settings. The words are allocated, and the caller frees them. */
struct packet config_packet_encode(const struct node_settings *settings);

/* Unpacks them; config_close(&settings->config) releases what is in it. The packet comes from outside and may contain
 * anything. False: not such a packet, of another version, damaged (it ends with a checksum), or a field beyond its range. */
bool config_packet_decode(const struct packet *packet, struct node_settings *settings);

#endif
