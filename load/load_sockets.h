/* The sockets of one process of the load generator: what load/load_worker.c needs of its system. There are two
 * implementations: epoll (load/load_sockets.c) and the sockets of WASI (components/paxos-client/sockets.c).
 *
 * Sockets have the numbers of their connections. Only load_sockets_wait waits, and it tells their owner what has happened.
 * The owner may then call anything except load_sockets_wait and load_sockets_free. */
#ifndef SYNOD_LOAD_LOAD_SOCKETS_H
#define SYNOD_LOAD_LOAD_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address that has been looked up. */
struct load_address {
    uint8_t bytes[16]; /* in network byte order; IPv4 has the first four */
    uint32_t scope;    /* of a link-local IPv6 address */
    uint16_t port;
    bool is_ipv6;
};

/* Looks up a host. False: `error` says what is wrong. */
bool load_resolve(const char *host, uint16_t port, struct load_address *out, char *error, size_t error_size);

/* Monotonic microseconds. */
uint64_t load_now_us(void);

/* What the owner of sockets is told of socket `i`, while it waits. */
struct load_socket_events {
    void (*connected)(void *owner, uint32_t i);
    /* The bytes that were kept have left. */
    void (*sent)(void *owner, uint32_t i);
    /* `bytes` are valid for the call. */
    void (*received)(void *owner, uint32_t i, const char *bytes, size_t len);
    /* The connection failed, or was closed at the other end. */
    void (*lost)(void *owner, uint32_t i, const char *why);
};

struct load_sockets;

/* For `count` connections. NULL: the system refuses. */
struct load_sockets *load_sockets_new(const struct load_socket_events *events, void *owner, uint32_t count);
void load_sockets_free(struct load_sockets *s);

enum load_socket_result {
    SOCKET_DONE,
    SOCKET_LATER,  /* the owner will be told */
    SOCKET_FAILED, /* *why: a text that stays valid until the next call */
};

/* Connects socket `i`, which is closed. */
enum load_socket_result load_sockets_connect(struct load_sockets *s, uint32_t i, const struct load_address *address,
                                             const char **why);
/* Sends bytes. SOCKET_LATER: some are kept and leave when possible; nothing more may be sent until the owner is told that
 * they have. */
enum load_socket_result load_sockets_send(struct load_sockets *s, uint32_t i, const char *bytes, size_t size,
                                          const char **why);
/* Closes it, and drops the bytes that were kept. It may be closed already. */
void load_sockets_close(struct load_sockets *s, uint32_t i);

/* Waits until something happens, `timeout_ms` at most, and tells the owner. */
void load_sockets_wait(struct load_sockets *s, uint32_t timeout_ms);

#endif
