/* System calls that hang, as a library for LD_PRELOAD. Once there is a file $SYNOD_HANG, accept4 waits for ever. While there
 * is a file $SYNOD_HANG_SYNC, no fsync and no fdatasync returns: the disk hangs, and everything else goes on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int (*original)(int, struct sockaddr *, socklen_t *, int);
    *(void **)&original = dlsym(RTLD_NEXT, "accept4");
    while (getenv("SYNOD_HANG") != NULL && access(getenv("SYNOD_HANG"), F_OK) == 0)
        pause();
    return original(fd, address, len, flags);
}

static int sync_later(const char *name, int fd)
{
    int (*original)(int);
    *(void **)&original = dlsym(RTLD_NEXT, name);
    while (getenv("SYNOD_HANG_SYNC") != NULL && access(getenv("SYNOD_HANG_SYNC"), F_OK) == 0)
        usleep(1000);
    return original(fd);
}

int fsync(int fd) { return sync_later("fsync", fd); }
int fdatasync(int fd) { return sync_later("fdatasync", fd); }
