/* Replaces the C library's <poll.h>: there are no file descriptors, so there is nothing to poll. */
#ifndef SYNOD_COMPONENTS_WASI_POLL_H
#define SYNOD_COMPONENTS_WASI_POLL_H

#include <errno.h>

enum { POLLERR = 0x008, POLLHUP = 0x010, POLLRDHUP = 0x2000 };

struct pollfd {
    int fd;
    short events;
    short revents;
};

static inline int poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
    (void)fds;
    (void)count;
    (void)timeout_ms;
    errno = EBADF;
    return -1;
}

#endif
