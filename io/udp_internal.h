/* Declarations shared by the two files of the UDP network: udp_network.c (the face; datagrams out), udp_datagram.c
 * (datagrams in). */
#ifndef SYNOD_IO_UDP_INTERNAL_H
#define SYNOD_IO_UDP_INTERNAL_H

#include "io/tcp_internal.h"

enum { DATAGRAM_SIZE_MAX = 65536 }; /* no datagram is longer */

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

struct udp_address {
    bool known;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

struct udp_network {
    struct tcp_network tcp;
    struct udp_socket {
        uv_udp_t udp;
        bool open;
    } sockets[FAMILIES]; /* one bound to this node's address, and one of the other family if a peer has an address of that */
    struct udp_address to[PEERS_MAX];     /* by node: where its datagrams go */
    uint64_t *datagram;                   /* DATAGRAM_SIZE_MAX bytes, for the datagram being received */
    uint64_t refusal_logged, drop_logged; /* uv_now */
};

/* ---- udp_datagram.c ---- */
/* Takes `size` bytes that came as one datagram. */
void udp_take(struct udp_network *n, const uint64_t *words, size_t size, const struct sockaddr *from);
/* Something is wrong with a datagram, or with receiving: counts it, and logs it once a second. */
void udp_refuse(struct udp_network *n, const struct sockaddr *from, const char *why);

#endif
