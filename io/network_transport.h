/* What every transport begins with (its struct has a struct network as its first field): who may speak, what has arrived,
 * what is counted. Only transports include this. */
#ifndef SYNOD_IO_NETWORK_TRANSPORT_H
#define SYNOD_IO_NETWORK_TRANSPORT_H

#include "io/inbox.h"
#include "io/network.h"

enum { PEERS_MAX = NODE_ID_MAX + 1 };

/* As the functions of the same names in io/network.h. */
struct network_operations {
    struct packet_list (*receive)(struct network *n);
    void (*send)(struct network *n, const struct packet *frames, size_t count);
    /* The new origin stands in `options` already. */
    void (*reborn)(struct network *n);
    uint16_t (*port)(const struct network *n);
    void (*close)(struct network *n, void (*on_closed)(void *context), void *context);
};

struct network {
    const struct network_operations *operations;
    struct network_options options;
    struct network_statistics statistics;
    node_set members;                  /* all others */
    uint32_t incarnations[PEERS_MAX];  /* of each, the highest heard of */
    struct inbox inbox;
};

void network_init(struct network *n, const struct network_operations *operations, const struct network_options *options);

/* Whether this sender may be listened to (rule 12 of the design); false: `why` says what is wrong with it. A later life than the
 * one heard before puts its notice into the inbox (inbox_add_rebirth). */
bool network_admit(struct network *n, const struct frame_origin *origin, char *why, size_t size);

/* A frame that is longer than anybody would take is not sent: counts and logs it, and returns true. */
bool network_too_long(struct network *n, const struct packet *frame);

/* "key 'address' of node 3" and the like, for errors about this node's own address. */
void network_place(const struct network *n, char *out, size_t size);

/* Whether two frames come from the same life of the same node. */
bool network_same_origin(const struct frame_origin *a, const struct frame_origin *b);

#endif
