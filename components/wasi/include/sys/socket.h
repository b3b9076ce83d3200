/* The C library's <sys/socket.h>, and setsockopt, which it lacks: sockets of WASI have functions instead of options, and
 * no file descriptors. */
#ifndef SYNOD_COMPONENTS_WASI_SYS_SOCKET_H
#define SYNOD_COMPONENTS_WASI_SYS_SOCKET_H

#include_next <sys/socket.h>

#include <errno.h>

static inline int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    (void)fd;
    (void)level;
    (void)option;
    (void)value;
    (void)size;
    errno = ENOTSOCK;
    return -1;
}

#endif
