/* The native side of core/runners/ports.h: what a node's runner reaches outside, be it linked in or in a component. The code
 * that hosts a node gives it functions: the host's own (host/node_ports.h), or a simulated world's. */
#ifndef SYNOD_HOST_PORTS_H
#define SYNOD_HOST_PORTS_H

#include "core/runners/ports.h"

/* But for the first one, as the functions of the same names in core/runners/ports.h. */
struct ports_operations {
    /* What there is, before a turn. */
    struct news (*news)(struct ports *p);
    struct packet_list (*network_receive)(struct ports *p);
    void (*network_send)(struct ports *p, const struct packet *frames, size_t count);
    struct packet_list (*client_receive)(struct ports *p, struct credit credit);
    void (*client_reply)(struct ports *p, const struct packet *answers, size_t count);
    void (*client_leader)(struct ports *p, uint64_t node, uint64_t round);
    void (*client_status)(struct ports *p, const struct packet *status);
    /* `*failed`: the journal cannot be read, and nothing that this life does may have an effect outside any more. */
    struct packet_list (*storage_recover)(struct ports *p, bool *failed);
    void (*storage_append)(struct ports *p, const struct packet *records, size_t count);
    uint64_t (*storage_durable)(struct ports *p);
    bool (*storage_room)(struct ports *p);
    struct packet_list (*storage_read)(struct ports *p, uint64_t from, uint64_t bytes_max);
    void (*storage_truncate)(struct ports *p, uint64_t lsn);
    void (*snapshots_ask)(struct ports *p, const struct packet *asks, size_t count);
    struct packet_list (*snapshots_told)(struct ports *p);
    void (*log)(struct ports *p, uint32_t level, const char *text, size_t len);
    uint64_t (*control_command)(struct ports *p);
    uint64_t (*control_wall_clock)(struct ports *p);
    struct packet_list (*configuration_given)(struct ports *p);
    void (*configuration_known)(struct ports *p, const struct packet *configuration);
    void (*control_fail)(struct ports *p, uint64_t code);
};

struct ports {
    const struct ports_operations *operations;
};

#endif
