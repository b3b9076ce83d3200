#include "host/snapshots.h"

#include "core/base/memory.h"

/* It lives until the loop has closed it, which may be after the snapshots are gone (`snapshots` is NULL then). */
struct told_handle {
    struct snapshots *snapshots;
    uv_async_t async;
};

struct snapshots {
    struct snapshots_options options;
    struct told_handle *handle;
    uv_thread_t worker;

    /* Guarded by `lock`; the front where it says so. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct snapshot_front *front;
    bool stop;
};

/* ---- The worker ---- */

static void worker(void *context)
{
    struct snapshots *s = context;
    uv_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!snapshot_front_next(s->front)) {
            uv_cond_wait(&s->wake, &s->lock);
            continue;
        }
        uv_mutex_unlock(&s->lock);
        snapshot_front_work(s->front);
        uv_mutex_lock(&s->lock);
        if (snapshot_front_done(s->front))
            uv_async_send(&s->handle->async);
    }
    uv_mutex_unlock(&s->lock);
}

/* ---- The loop ---- */

static void tell_notices(struct snapshots *s)
{
    char text[sizeof((struct problem *)0)->text + 128];
    for (;;) {
        uv_mutex_lock(&s->lock);
        bool noticed = snapshot_front_notice(s->front, text, sizeof text);
        uv_mutex_unlock(&s->lock);
        if (!noticed)
            return;
        s->options.on_notice(s->options.context, text);
    }
}

bool snapshots_waiting(struct snapshots *s)
{
    uv_mutex_lock(&s->lock);
    const bool told = snapshot_front_has_told(s->front);
    uv_mutex_unlock(&s->lock);
    return told;
}

static void on_async(uv_async_t *async)
{
    struct told_handle *handle = async->data;
    struct snapshots *s = handle->snapshots;
    if (s == NULL)
        return;
    tell_notices(s);
    if (snapshots_waiting(s))
        s->options.on_told(s->options.context);
}

void snapshots_ask(struct snapshots *s, const struct packet *asks, size_t count)
{
    uv_mutex_lock(&s->lock);
    snapshot_front_ask(s->front, asks, count);
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
}

struct packet_list snapshots_told(struct snapshots *s)
{
    uv_mutex_lock(&s->lock);
    struct packet_list list = snapshot_front_told(s->front);
    if (list.len > 0)
        uv_cond_signal(&s->wake); /* there may be room to read on */
    if (snapshot_front_has_told(s->front))
        uv_async_send(&s->handle->async);
    uv_mutex_unlock(&s->lock);
    return list;
}

void snapshots_reborn(struct snapshots *s)
{
    uv_mutex_lock(&s->lock);
    snapshot_front_reborn(s->front);
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
}

/* ---- Opening and closing ---- */

static void on_closed(uv_handle_t *handle) { free(handle->data); }

static bool open_handle(struct snapshots *s, uv_loop_t *loop, struct problem *problem)
{
    s->handle = memory_new(1, sizeof *s->handle);
    int error = uv_async_init(loop, &s->handle->async, on_async);
    if (error != 0) {
        free(s->handle);
        return problem_set(problem, EXIT_TROUBLE, "snapshots: %s", uv_strerror(error));
    }
    s->handle->async.data = s->handle;
    s->handle->snapshots = s;
    return true;
}

static void close_handle(struct snapshots *s)
{
    s->handle->snapshots = NULL;
    uv_close((uv_handle_t *)&s->handle->async, on_closed);
}

static void snapshots_free(struct snapshots *s)
{
    if (s->front != NULL)
        snapshot_front_close(s->front);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->wake);
    free(s);
}

bool snapshots_open(struct snapshots **out, uv_loop_t *loop, const struct snapshots_options *options,
                    struct problem *problem)
{
    struct snapshots *s = memory_new(1, sizeof *s);
    s->options = *options;
    uv_mutex_init(&s->lock);
    uv_cond_init(&s->wake);
    bool ok = snapshot_front_open(&s->front, &options->front, problem) && open_handle(s, loop, problem);
    if (ok && uv_thread_create(&s->worker, worker, s) != 0) {
        ok = problem_set(problem, EXIT_TROUBLE, "snapshots: cannot start a thread");
        close_handle(s);
    }
    if (!ok) {
        snapshots_free(s);
        return false;
    }
    uv_async_send(&s->handle->async); /* opening may have something to say */
    *out = s;
    return true;
}

void snapshots_close(struct snapshots *s)
{
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->worker);
    tell_notices(s);
    close_handle(s);
    snapshots_free(s);
}
