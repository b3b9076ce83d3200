#include "host/limits.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/types.h"

/* What the process takes, and what each node does; with some to spare. */
enum {
    THREADS = 4, /* log, epochs; and as many as there are processors to compile with */
    THREADS_OF_NODE = 5,
    PROCESSORS_MAX = 256,
};
static const size_t ROOM_NATIVE = (size_t)256 << 20, ROOM_WASM = (size_t)2 << 30;

static void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static bool check_threads(size_t nodes, struct problem *problem)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[THREADS + PROCESSORS_MAX + THREADS_OF_NODE * NODE_ID_MAX];
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t compilers = processors < 1 ? 1 : processors < PROCESSORS_MAX ? (size_t)processors : PROCESSORS_MAX;
    const size_t needed = THREADS + compilers + THREADS_OF_NODE * nodes;
    size_t count = 0;
    int error = 0;
    pthread_mutex_lock(&lock); /* so that all are there at the same time */
    while (count < needed && (error = pthread_create(&threads[count], NULL, wait_for_lock, &lock)) == 0)
        count++;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return error == 0 || problem_set(problem, EXIT_TROUBLE,
                                     "cannot start threads: %s: only %zu of the %zu that are needed (ulimit -u, -v, -d)",
                                     strerror(error), count, needed);
}

static bool check_room(size_t bytes, struct problem *problem)
{
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return problem_set(problem, EXIT_TROUBLE, "%s: there are no %zu MiB of address space left (ulimit -v)",
                           strerror(errno), bytes >> 20);
    munmap(room, bytes);
    return true;
}

bool limits_check(size_t nodes, bool native, struct problem *problem)
{
    return check_threads(nodes, problem) && check_room(native ? ROOM_NATIVE : ROOM_WASM, problem);
}

bool limits_have_room(struct problem *problem) { return check_room(ROOM_WASM, problem); }
