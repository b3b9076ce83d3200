/* Time is counted in looks, four to a timeout, and not read from a clock. So when the whole process or machine was stopped
 * for a while, that is one look without a sign, and no alarm. */
#include "host/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/memory.h"

enum { LOOKS = 4 };

struct watch {
    uint64_t interval; /* of the start */
    _Atomic uint64_t timeout;
    void (*on_silence)(void *context, unsigned times);
    void *context;
    _Atomic uint64_t signs;
    _Atomic bool expected;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop; /* under the lock */
};

/* Waits for the next look. False: it is over. */
static bool wait_for_look(struct watch *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + atomic_load(&w->timeout) * 1000 / LOOKS;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&w->lock);
    while (!w->stop && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
        ;
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static void *watch_thread(void *argument)
{
    struct watch *w = argument;
    uint64_t seen = 0;
    unsigned silent = 0; /* looks */
    while (wait_for_look(w)) {
        uint64_t signs = atomic_load(&w->signs);
        silent = signs != seen || !atomic_load(&w->expected) ? 0 : silent + 1;
        seen = signs;
        if (silent > 0 && silent % LOOKS == 0)
            w->on_silence(w->context, silent / LOOKS);
    }
    return NULL;
}

bool watch_start(struct watch **out, uint64_t timeout, void (*on_silence)(void *context, unsigned times), void *context)
{
    struct watch *w = memory_new(1, sizeof *w);
    pthread_condattr_t monotonic;
    w->interval = timeout / LOOKS;
    atomic_init(&w->timeout, timeout);
    w->on_silence = on_silence;
    w->context = context;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&w->thread, NULL, watch_thread, w) != 0) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
        free(w);
        return false;
    }
    pthread_setname_np(w->thread, "watch");
    *out = w;
    return true;
}

uint64_t watch_interval(const struct watch *w) { return w->interval; }

void watch_allow(struct watch *w, uint64_t timeout) { atomic_store(&w->timeout, timeout); }

void watch_sign(struct watch *w) { atomic_fetch_add(&w->signs, 1); }

void watch_expect(struct watch *w, bool expected)
{
    atomic_store(&w->expected, expected);
    watch_sign(w);
}

void watch_stop(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}
