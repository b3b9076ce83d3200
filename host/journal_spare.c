/* The thread that makes the next segment (io/journal_spare.h) long before it is needed, and removes those that are no longer
 * needed (J11).
 *
 * Why a thread of its own? Filling a segment takes tens of milliseconds, and so may removing a large one, during which the
 * worker goes on with its groups. Making comes first: nothing waits for a removal. */
#include "host/journal_internal.h"

/* Under the lock, which is free meanwhile. A spare that is WANTED is this thread's alone, but for its
 * state. */
static void make_more(struct spare *s)
{
    uv_mutex_unlock(&s->lock);
    uint8_t state = journal_spare_step(&s->made);
    uv_mutex_lock(&s->lock);
    s->made.state = state;
    if (state != SPARE_WANTED)
        uv_cond_broadcast(&s->changed);
}

/* Under the lock, which is free meanwhile. */
static void remove_segment(struct spare *s)
{
    uv_mutex_unlock(&s->lock);
    bool ok = journal_store_remove(s->store, s->unwanted, &s->removal_problem);
    uv_mutex_lock(&s->lock);
    s->removal = ok ? REMOVAL_DONE : REMOVAL_FAILED;
    uv_async_send(s->removed);
}

static void spare_thread(void *context)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    while (!s->stop) {
        if (s->made.state == SPARE_WANTED)
            make_more(s);
        else if (s->removal == REMOVAL_WANTED)
            remove_segment(s);
        else
            uv_cond_wait(&s->changed, &s->lock);
    }
    uv_mutex_unlock(&s->lock);
}

static void spare_want(void *context, uint64_t bytes)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    journal_spare_want(&s->made, bytes);
    uv_cond_broadcast(&s->changed);
    uv_mutex_unlock(&s->lock);
}

/* Lets the thread make it. Under the lock. */
static void await(struct journal_spare *made)
{
    struct spare *s = (struct spare *)made;
    uv_cond_broadcast(&s->changed);
    while (made->state == SPARE_WANTED)
        uv_cond_wait(&s->changed, &s->lock);
}

static bool spare_take(void *context, uint64_t *bytes, int *file, struct problem *problem)
{
    struct spare *s = context;
    uv_mutex_lock(&s->lock);
    bool ok = journal_spare_take(&s->made, await, bytes, file, problem);
    uv_mutex_unlock(&s->lock);
    return ok;
}

bool journal_spare_start(struct spare *s, struct disk *disk, const char *folder, bool sync, struct problem *problem)
{
    *s = (struct spare){.made = {.disk = disk, .folder = folder, .sync = sync ? SPARE_SYNCED : SPARE_NOT_SYNCED}};
    s->spares = (struct journal_spares){.take = spare_take, .want = spare_want, .context = s};
    uv_mutex_init(&s->lock);
    uv_cond_init(&s->changed);
    s->started = uv_thread_create(&s->thread, spare_thread, s) == 0;
    if (s->started)
        return true;
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    return problem_set(problem, EXIT_TROUBLE, "journal %s: cannot start a thread", folder);
}

bool journal_spare_failed(struct spare *s, struct problem *problem)
{
    if (!s->started)
        return false;
    uv_mutex_lock(&s->lock);
    bool failed = s->made.state == SPARE_FAILED;
    if (failed)
        *problem = s->made.problem;
    uv_mutex_unlock(&s->lock);
    return failed;
}

void journal_spare_unwanted(struct spare *s, const struct journal_store *store, uint64_t first_lsn, uv_async_t *removed)
{
    uv_mutex_lock(&s->lock);
    invariant(s->removal == REMOVAL_NONE);
    s->store = store;
    s->unwanted = first_lsn;
    s->removed = removed;
    s->removal = REMOVAL_WANTED;
    uv_cond_broadcast(&s->changed);
    uv_mutex_unlock(&s->lock);
}

bool journal_spare_removed(struct spare *s, enum removal *removal, struct problem *problem)
{
    if (!s->started)
        return false;
    uv_mutex_lock(&s->lock);
    const bool over = s->removal == REMOVAL_DONE || s->removal == REMOVAL_FAILED;
    if (over) {
        *removal = s->removal;
        *problem = s->removal_problem;
        s->removal = REMOVAL_NONE;
    }
    uv_mutex_unlock(&s->lock);
    return over;
}

void journal_spare_stop(struct spare *s)
{
    if (!s->started)
        return;
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_broadcast(&s->changed);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->thread);
    journal_spare_drop(&s->made);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->changed);
    s->started = false;
}
