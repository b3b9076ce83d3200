/* UDP as programs see it, in virtual time: sockets, datagrams under way, and what becomes of them. The simulator's libuv
 * (sim/uv_udp.c) stands on it. It has the hosts, the time and the cuts of a `struct sockets`.
 *
 * Nothing happens by itself: the owner of a socket asks when there is something to receive, and receives it then.
 *
 * Faults: DROP, DELAY, REORDER, DUPLICATE, REPLAY and DAMAGE of sim/faults.h are rolled and counted for each datagram. A
 * drop is sometimes seen by the sender, as an error. What a socket's buffer has no room for is lost, too, and so is what a
 * cut is in the way of. */
#ifndef SYNOD_SIM_DATAGRAMS_H
#define SYNOD_SIM_DATAGRAMS_H

#include "sim/sockets.h"

struct datagrams;
/* A socket. Its owner closes it once. */
struct dsock;

/* An end: a port of a host. The two families have ports of their own. */
struct datagram_end {
    uint32_t host;
    uint16_t port;
    bool v6;
};

/* The port of TCP that stands for an end: sockets of sim/sockets.h know no families. */
static inline uint16_t tcp_port_of(struct datagram_end end) { return end.v6 ? end.port ^ 0x8000 : end.port; }

struct datagrams_options {
    uint64_t seed;
    uint64_t latency_us;        /* the least that a datagram takes */
    uint64_t latency_spread_us; /* and what may be added */
    uint32_t buffer_bytes;      /* of a socket, each way */
    struct faults *faults;      /* borrowed; rates may change while it runs */
    /* A sound datagram is given to a socket of host `to`. */
    void (*came)(void *context, uint32_t to, const uint64_t *words, size_t size);
    void *context;
};

/* `sockets` outlives it. */
struct datagrams *datagrams_new(const struct datagrams_options *options, struct sockets *sockets);
/* All sockets were closed before. */
void datagrams_free(struct datagrams *d);

enum { DATAGRAM_PAYLOAD_MAX = 65507 };

/* NULL: the port is taken. Port 0: any that is free. */
struct dsock *datagrams_bind(struct datagrams *d, struct datagram_end at);
struct datagram_end dsock_name(const struct dsock *k);
/* What is under way to it may reach the next socket that is bound there. */
void dsock_close(struct dsock *k);

/* Bytes sent, which is `size`, or a negative errno value. */
int dsock_send(struct dsock *k, struct datagram_end to, const void *bytes, size_t size);
/* When there may be something to receive; UINT64_MAX: not before more is sent. */
uint64_t dsock_readable_at(struct dsock *k);
/* Its size (0 and more), -EAGAIN, or another negative errno value, which takes a datagram's place. What is longer than
 * `size` is cut off. */
int dsock_receive(struct dsock *k, void *out, size_t size, struct datagram_end *from);

/* A stranger's datagram arrives after the usual time, whatever it is. */
void datagrams_inject(struct datagrams *d, struct datagram_end from, struct datagram_end to, const void *bytes, size_t size);

/* How many that are damaged, or come from strangers, or were errors, a host's sockets have given. */
uint64_t datagrams_unsound(const struct datagrams *d, uint32_t host);

struct datagrams_statistics {
    uint64_t sent, lost, crowded_out; /* of the lost ones, for want of room in a buffer */
};
struct datagrams_statistics datagrams_statistics(const struct datagrams *d);

#endif
