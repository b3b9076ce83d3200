/* TCP as programs see it, in virtual time: listeners, connections, bytes under way, and what becomes of them. The
 * simulator's libuv (sim/uv_*.c) stands on it, and so do simulated clients.
 *
 * A host is a number; a connection is between two hosts, and its bytes have latency. Nothing happens by itself: the owner of
 * a socket asks when something can be done with it (sock_readable_at and so on), and does it then.
 *
 * Faults: RESET, HALF_OPEN and DELAY of sim/faults.h are rolled and counted for each write; the world starts cuts. A write
 * may also take fewer bytes than there is room for, and a read may give fewer than have come. All of it comes from the dice
 * of one seed. */
#ifndef SYNOD_SIM_SOCKETS_H
#define SYNOD_SIM_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/faults.h"

/* All hosts, and the connections between them. */
struct sockets;
/* One end of a connection. Its owner closes it once. */
struct sock;
struct sock_listener;

struct sockets_options {
    uint64_t seed;
    uint64_t latency_us;        /* the least that bytes take */
    uint64_t latency_spread_us; /* and what may be added */
    uint32_t window_bytes;      /* of one direction: written, and not read yet */
    uint32_t pieces;            /* per million writes and reads that go on in part only */
    uint64_t patience_us;       /* an end that hears so long nothing about what it has written fails; 0: it waits on */
    struct faults *faults;      /* borrowed; rates may change while it runs */
};

struct sockets *sockets_new(const struct sockets_options *options);
/* All sockets and listeners were closed before. */
void sockets_free(struct sockets *s);

uint64_t sockets_now(const struct sockets *s);
/* Time goes on; it never goes back. */
void sockets_hear_time(struct sockets *s, uint64_t now);

/* Rises whenever it may be another time than before that a socket or listener of this host is ready for something, apart
 * from what its owner does to another one. */
uint64_t sockets_changes(const struct sockets *s, uint32_t host);
/* For what else is under way between these hosts (sim/datagrams.h). */
void sockets_note_change(struct sockets *s, uint32_t host);

/* No fault happens any more by itself, and no host is cut off. Connections that were cut, or are half open, end, as they
 * would when the system had asked long enough. */
void sockets_heal(struct sockets *s);
/* The connections that `from` has made to `to` end: both are reset. */
void sockets_end(struct sockets *s, uint32_t from, uint32_t to);
/* `to` refuses to be dialled by `from` until then; both below SOCKETS_CUT_HOSTS. */
void sockets_refuse(struct sockets *s, uint32_t from, uint32_t to, uint64_t until);
/* The power of a host fails: no peer hears of that, so all its connections are half open. Its sockets still have to
 * be closed: the simulation frees them then. */
void sockets_vanish(struct sockets *s, uint32_t host);
/* The connections that `from` has made to `to` are half open from now on. */
void sockets_half_open(struct sockets *s, uint32_t from, uint32_t to);
enum { SOCKETS_CUT_HOSTS = 16 };
/* Nothing gets from one host to another (both below SOCKETS_CUT_HOSTS) until then; a cut that lasts longer goes on. */
void sockets_cut(struct sockets *s, uint32_t from, uint32_t to, uint64_t until);
/* Nothing gets from one host to another until then, if that is later than now. */
uint64_t sockets_cut_until(const struct sockets *s, uint32_t from, uint32_t to);

/* ---- Listening ---- */

/* NULL: the port is taken. */
struct sock_listener *sockets_listen(struct sockets *s, uint32_t host, uint16_t port);
/* When a connection may be accepted; UINT64_MAX: none is on its way. */
uint64_t sock_listener_ready_at(const struct sock_listener *l);
/* The next connection that has come; NULL: none. */
struct sock *sock_accept(struct sock_listener *l);
/* Who has not been accepted is reset. */
void sock_listener_close(struct sock_listener *l);

/* ---- Connections ---- */

/* Results of the calls below beside 0 and more; others are negative errno values. */
enum { SOCK_END = -4095 };

struct sock *sockets_connect(struct sockets *s, uint32_t from, uint32_t to, uint16_t port);
/* When it is decided; then 0, or why there is no connection. Before that -EAGAIN. */
uint64_t sock_connected_at(const struct sock *k);
int sock_connected(const struct sock *k);

/* When a read gives something: bytes, the end, or an error. */
uint64_t sock_readable_at(const struct sock *k);
/* Bytes read (more than 0); -EAGAIN; SOCK_END: the peer sends nothing more; or an error, after which nothing comes. */
ptrdiff_t sock_read(struct sock *k, void *out, size_t size);

uint64_t sock_writable_at(const struct sock *k);
/* Bytes taken, -EAGAIN, or an error. What is taken is not yet delivered. */
ptrdiff_t sock_write(struct sock *k, const void *bytes, size_t len);

/* Sends no more; what was taken still arrives. */
void sock_shutdown(struct sock *k);
/* As close() does it: if there is something unread the peer is reset, otherwise it gets what was taken, and the end. */
void sock_close(struct sock *k);
/* As close() without lingering: the peer is reset. */
void sock_abort(struct sock *k);

/* After so long without a word from a peer that does not answer any more, the connection is over (ETIMEDOUT); 0: never. */
void sock_keepalive(struct sock *k, uint64_t after_us);
/* What the system knows of the peer, even if there are bytes that were not read. */
enum sock_peer { SOCK_PEER_THERE, SOCK_PEER_SENDS_NO_MORE, SOCK_PEER_GONE };
enum sock_peer sock_peer(const struct sock *k);

uint32_t sock_host(const struct sock *k);
uint16_t sock_port(const struct sock *k);
uint32_t sock_peer_host(const struct sock *k);
uint16_t sock_peer_port(const struct sock *k);

struct sockets_statistics {
    uint64_t connections, refused, resets, bytes;
    uint64_t open; /* ends that are not closed */
};
struct sockets_statistics sockets_statistics(const struct sockets *s);

#endif
