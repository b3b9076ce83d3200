/* A system call that never comes back, as a library for LD_PRELOAD: once there is a file $SYNOD_HANG, accept4 waits for
 * ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int (*original)(int, struct sockaddr *, socklen_t *, int);
    *(void **)&original = dlsym(RTLD_NEXT, "accept4");
    while (access(getenv("SYNOD_HANG"), F_OK) == 0)
        pause();
    return original(fd, address, len, flags);
}
