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

/* Another node; without a `config` there is no such node. */
struct udp_peer {
    struct udp_network *network;
    const struct config_node *config;
    struct udp_address to;    /* where its datagrams go */
    struct udp_address heard; /* where its latest datagram came from */
    bool resolving;
    uint32_t lookups;
    uint64_t lookup_due; /* uv_now */
    uv_getaddrinfo_t resolve;
};

struct udp_network {
    struct tcp_network tcp;
    struct udp_socket {
        uv_udp_t udp;
        bool open;
    } sockets[FAMILIES]; /* one bound to this node's address, and one of the other family if a peer has an address of that */
    enum family family;  /* of the first of these */
    uv_timer_t timer;    /* when names are looked up */
    struct udp_peer peers[PEERS_MAX];
    uint64_t *datagram;                   /* DATAGRAM_SIZE_MAX bytes, for the datagram being received */
    uint64_t refusal_logged, drop_logged; /* uv_now */
};

/* ---- udp_datagram.c ---- */
/* Takes `size` bytes that came as one datagram. */
void udp_take(struct udp_network *n, const uint64_t *words, size_t size, const struct sockaddr *from);
/* Something is wrong with a datagram, or with receiving: counts it, and logs it once a second. */
void udp_refuse(struct udp_network *n, const struct sockaddr *from, const char *why);
/* Whether both addresses are known and equal. */
bool udp_same_address(const struct udp_address *a, const struct udp_address *b);
/* An address that the system gave. It is unknown if it is of neither family. */
struct udp_address udp_address_of(const struct sockaddr *address);

#endif
