/* The part of <netdb.h> that uv_getaddrinfo uses; this C library lacks it. */
#ifndef SYNOD_COMPONENTS_WASI_NETDB_H
#define SYNOD_COMPONENTS_WASI_NETDB_H

#include <netinet/in.h>
#include <sys/socket.h>

struct addrinfo {
    int ai_flags;
    int ai_family;
    int ai_socktype;
    int ai_protocol;
    socklen_t ai_addrlen;
    struct sockaddr *ai_addr;
    char *ai_canonname;
    struct addrinfo *ai_next;
};

#define AI_PASSIVE 0x01 /* without a name: the address that means all of this machine's */

#endif
