/* The part of <netdb.h>, which this C library lacks, that uv_getaddrinfo speaks in. */
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
