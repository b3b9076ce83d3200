/* One iteration of a loop (uv_run):
 *
 *   1. the time; timers that are due, in that order
 *   2. requests that were done between two iterations
 *   3. what is ready (uvsys_poll)
 *   4. handles that were closed, each after its requests */
#include "core/base/assert.h"
#include "io/uv/core.h"

/* So that due times can be told in microseconds. */
static const uint64_t due_ms_max = UINT64_MAX / 1000;

void uv_update_time(uv_loop_t *loop) { loop->now_ms = uvsys_now_ms(loop); }

uint64_t uv_now(const uv_loop_t *loop) { return loop->now_ms; }

uv_pid_t uv_os_getpid(void) { return 0; }

/* ---- Timers ---- */

static bool timer_active(const uv_handle_t *handle) { return ((const uv_timer_t *)handle)->running; }

static void timer_close(uv_handle_t *handle) { uv_timer_stop((uv_timer_t *)handle); }

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    static const struct uv__kind kind = {.close = timer_close, .active = timer_active};
    uvcore_handle_init(loop, (uv_handle_t *)timer, &kind);
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
    timer->due_ms = timeout_ms < due_ms_max - loop->now_ms ? loop->now_ms + timeout_ms : due_ms_max;
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

void uvcore_request_begin(uv_loop_t *loop, uv_req_t *request, uv_handle_t *owner, void (*call_back)(uv_req_t *request))
{
    request->next = NULL;
    request->owner = owner;
    request->call_back = call_back;
    request->status = 0;
    loop->requests++;
}

void uvcore_request_done(uv_loop_t *loop, uv_req_t *request, int status)
{
    request->status = status;
    request->next = NULL;
    *loop->done_end = request;
    loop->done_end = &request->next;
}

void uvcore_request_end(uv_loop_t *loop, uv_req_t *request, int status)
{
    request->status = status;
    loop->requests--;
    request->call_back(request);
}

/* Calls back about what is done, for one handle or (NULL) for all. */
static void end_requests(uv_loop_t *loop, const uv_handle_t *owner)
{
    uv_req_t *done = loop->done, *next;
    loop->done = NULL;
    loop->done_end = &loop->done;
    for (; done != NULL; done = next) {
        next = done->next;
        if (owner == NULL || done->owner == owner)
            uvcore_request_end(loop, done, done->status);
        else
            uvcore_request_done(loop, done, done->status);
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

void uvcore_handle_init(uv_loop_t *loop, uv_handle_t *handle, const struct uv__kind *kind)
{
    handle->loop = loop;
    handle->kind = kind;
    handle->closing = false;
    handle->unreferenced = false;
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
    uvsys_poll(loop);
    end_closing(loop);
    return is_alive(loop);
}
