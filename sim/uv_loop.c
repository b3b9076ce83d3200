/* One iteration of a loop (uv_run):
 *
 *   1. the time; timers that are due, in that order
 *   2. requests that were done between two iterations
 *   3. handles for which something is ready, in the order in which they were made
 *   4. handles that were closed, each after its requests */
#include "sim/uv_internal.h"

enum { MS_US = 1000 };

static const uint64_t never = UINT64_MAX;

/* ---- Time ---- */

void uv_update_time(uv_loop_t *loop) { loop->now_ms = sockets_now(loop->sockets) / MS_US; }

uint64_t uv_now(const uv_loop_t *loop) { return loop->now_ms; }

uv_pid_t uv_os_getpid(void) { return 0; }

/* ---- Timers ---- */

static bool timer_active(const uv_handle_t *handle) { return ((const uv_timer_t *)handle)->running; }

static void timer_close(uv_handle_t *handle) { uv_timer_stop((uv_timer_t *)handle); }

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    static const struct uv__kind kind = {.close = timer_close, .active = timer_active};
    simuv_handle_init(loop, (uv_handle_t *)timer, &kind);
    timer->running = false;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms)
{
    uv_loop_t *loop = timer->loop;
    if (timer->closing || callback == NULL)
        return UV_EINVAL;
    uv_timer_stop(timer);
    timer->callback = callback;
    timer->repeat_ms = repeat_ms;
    timer->due_ms = timeout_ms < UINT64_MAX / MS_US - loop->now_ms ? loop->now_ms + timeout_ms : UINT64_MAX / MS_US;
    timer->running = true;
    uv_timer_t **at = &loop->timers;
    while (*at != NULL && (*at)->due_ms <= timer->due_ms)
        at = &(*at)->later;
    timer->later = *at;
    *at = timer;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    if (!timer->running)
        return 0;
    uv_timer_t **at = &timer->loop->timers;
    while (*at != timer)
        at = &(*at)->later;
    *at = timer->later;
    timer->running = false;
    return 0;
}

static void run_timers(uv_loop_t *loop)
{
    /* A timer that is started with timeout 0 meanwhile is due in the next iteration. */
    size_t due = 0;
    for (const uv_timer_t *timer = loop->timers; timer != NULL && timer->due_ms <= loop->now_ms; timer = timer->later)
        due++;
    for (; due > 0 && loop->timers != NULL && loop->timers->due_ms <= loop->now_ms; due--) {
        uv_timer_t *timer = loop->timers;
        uv_timer_stop(timer);
        if (timer->repeat_ms > 0)
            uv_timer_start(timer, timer->callback, timer->repeat_ms, timer->repeat_ms);
        timer->callback(timer);
    }
}

/* ---- Requests ---- */

void simuv_request_begin(uv_loop_t *loop, uv_req_t *request, uv_handle_t *owner, void (*call_back)(uv_req_t *request))
{
    request->next = NULL;
    request->owner = owner;
    request->call_back = call_back;
    request->status = 0;
    loop->requests++;
}

void simuv_request_done(uv_loop_t *loop, uv_req_t *request, int status)
{
    request->status = status;
    request->next = NULL;
    *loop->done_end = request;
    loop->done_end = &request->next;
}

void simuv_request_end(uv_loop_t *loop, uv_req_t *request, int status)
{
    request->status = status;
    loop->requests--;
    request->call_back(request);
}

/* Calls back about what is done, of one handle or (NULL) of all. */
static void end_requests(uv_loop_t *loop, const uv_handle_t *owner)
{
    uv_req_t *done = loop->done, *next;
    loop->done = NULL;
    loop->done_end = &loop->done;
    for (; done != NULL; done = next) {
        next = done->next;
        if (owner == NULL || done->owner == owner)
            simuv_request_end(loop, done, done->status);
        else
            simuv_request_done(loop, done, done->status);
    }
}

/* ---- Handles ---- */

static void unlink_handle(uv_handle_t **list, uv_handle_t *handle)
{
    if (handle->previous != NULL)
        handle->previous->next = handle->next;
    else
        *list = handle->next;
    if (handle->next != NULL)
        handle->next->previous = handle->previous;
}

static void link_handle(uv_handle_t **list, uv_handle_t *handle)
{
    handle->previous = NULL;
    handle->next = *list;
    if (*list != NULL)
        (*list)->previous = handle;
    *list = handle;
}

void simuv_handle_init(uv_loop_t *loop, uv_handle_t *handle, const struct uv__kind *kind)
{
    handle->loop = loop;
    handle->kind = kind;
    handle->closing = false;
    handle->unreferenced = false;
    loop->stale = true;
    link_handle(&loop->open, handle);
}

int uv_is_closing(const uv_handle_t *handle) { return handle->closing; }

int uv_is_active(const uv_handle_t *handle) { return !handle->closing && handle->kind->active(handle); }

void uv_ref(uv_handle_t *handle) { handle->unreferenced = false; }

void uv_unref(uv_handle_t *handle) { handle->unreferenced = true; }

int uv_fileno(const uv_handle_t *handle, uv_os_fd_t *fd)
{
    (void)handle;
    (void)fd;
    return UV_ENOTSUP;
}

void uv_close(uv_handle_t *handle, uv_close_cb close_cb)
{
    invariant(!handle->closing);
    handle->closing = true;
    handle->loop->stale = true;
    handle->close_cb = close_cb;
    handle->kind->close(handle);
    unlink_handle(&handle->loop->open, handle);
    link_handle(&handle->loop->closing, handle);
}

static void end_closing(uv_loop_t *loop)
{
    uv_handle_t *closing = loop->closing, *next;
    loop->closing = NULL;
    for (; closing != NULL; closing = next) {
        next = closing->next;
        end_requests(loop, closing);
        if (closing->close_cb != NULL)
            closing->close_cb(closing);
    }
}

/* ---- The loop ---- */

void simuv_loop_init(uv_loop_t *loop, struct sockets *sockets, uint32_t host)
{
    *loop = (uv_loop_t){.sockets = sockets, .host = host, .stale = true};
    loop->done_end = &loop->done;
    uv_update_time(loop);
}

void simuv_loop_close(uv_loop_t *loop)
{
    invariant(loop->open == NULL && loop->closing == NULL && loop->requests == 0);
    free(loop->ready);
}

static uint64_t ready_at(const uv_handle_t *handle)
{
    return handle->kind->ready_at != NULL ? handle->kind->ready_at(handle) : never;
}

static void look_at_handles(uv_loop_t *loop)
{
    loop->stale = false;
    loop->changes = sockets_changes(loop->sockets, loop->host);
    loop->next_ready = never;
    for (const uv_handle_t *handle = loop->open; handle != NULL; handle = handle->next) {
        const uint64_t at = ready_at(handle);
        loop->next_ready = at < loop->next_ready ? at : loop->next_ready;
    }
}

uint64_t simuv_next(uv_loop_t *loop)
{
    const uint64_t now = sockets_now(loop->sockets), due = loop->timers != NULL ? loop->timers->due_ms * MS_US : never;
    if (loop->done != NULL || loop->closing != NULL)
        return now;
    if (loop->stale || loop->changes != sockets_changes(loop->sockets, loop->host))
        look_at_handles(loop);
    const uint64_t ready = loop->next_ready < now ? now : loop->next_ready;
    return ready < due ? ready : due;
}

static void run_ready(uv_loop_t *loop)
{
    size_t count = 0;
    for (uv_handle_t *handle = loop->open; handle != NULL; handle = handle->next) {
        if (ready_at(handle) > sockets_now(loop->sockets))
            continue;
        loop->ready = memory_reserve(loop->ready, &loop->ready_capacity, count + 1, sizeof(uv_handle_t *));
        loop->ready[count++] = handle;
    }
    while (count > 0) {
        uv_handle_t *handle = loop->ready[--count]; /* the list has the newest first */
        if (!handle->closing)
            handle->kind->ready(handle);
    }
}

static bool is_alive(const uv_loop_t *loop)
{
    if (loop->requests > 0 || loop->closing != NULL)
        return true;
    for (const uv_handle_t *handle = loop->open; handle != NULL; handle = handle->next)
        if (!handle->unreferenced && uv_is_active(handle))
            return true;
    return false;
}

int uv_run(uv_loop_t *loop, uv_run_mode mode)
{
    invariant(mode == UV_RUN_NOWAIT);
    uv_update_time(loop);
    run_timers(loop);
    end_requests(loop, NULL);
    run_ready(loop);
    end_closing(loop);
    loop->stale = true;
    return is_alive(loop);
}
