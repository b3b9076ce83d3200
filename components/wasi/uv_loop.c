/* One iteration of a loop (uv_run):
 *
 *   1. the time; timers that are due, in that order
 *   2. requests that were done between two iterations
 *   3. one host call asks which of all that is waited for is ready; what is, is done without waiting
 *   4. handles that were closed, each after its requests
 *
 * Asking once is what keeps a loop with a thousand idle connections cheap: reading from a socket to find nothing costs as
 * much as a hundred questions. */
#include "components/wasi/uv_internal.h"

#include "components/shim.h"
#include "components/wasi/loop.h"

/* ---- Time ---- */

uint64_t uv_hrtime(void) { return wasi_clocks_monotonic_clock_now(); }

void uv_update_time(uv_loop_t *loop) { loop->now_ms = uv_hrtime() / 1000000; }

uint64_t uv_now(const uv_loop_t *loop) { return loop->now_ms; }

uv_pid_t uv_os_getpid(void) { return 0; }

/* ---- Watches ---- */

void uv__watch_init(struct uv__watch *w, uv_loop_t *loop, uv__resource from, uv__resource (*subscribe)(uv__resource from),
                    void (*ready)(void *owner), void *owner)
{
    *w = (struct uv__watch){.loop = loop, .subscribe = subscribe, .ready = ready, .owner = owner, .from = from};
}

void uv__watch_start(struct uv__watch *w)
{
    uv_loop_t *loop = w->loop;
    if (w->on)
        return;
    if (w->pollable == 0)
        w->pollable = w->subscribe(w->from);
    loop->watches =
        memory_reserve(loop->watches, &loop->watches_capacity, loop->watches_count + 1, sizeof(struct uv__watch *));
    w->place = loop->watches_count++;
    loop->watches[w->place] = w;
    w->on = true;
}

void uv__watch_stop(struct uv__watch *w)
{
    if (!w->on)
        return;
    struct uv__watch *last = w->loop->watches[--w->loop->watches_count];
    w->loop->watches[w->place] = last;
    last->place = w->place;
    w->on = false;
}

void uv__watch_close(struct uv__watch *w)
{
    uv__watch_stop(w);
    if (w->pollable != 0)
        wasi_io_poll_pollable_drop_own((wasi_io_poll_own_pollable_t){w->pollable});
    w->pollable = 0;
}

void uv__block(uv__resource pollable)
{
    wasi_io_poll_method_pollable_block((wasi_io_poll_borrow_pollable_t){pollable});
    wasi_io_poll_pollable_drop_own((wasi_io_poll_own_pollable_t){pollable});
}

/* Adds something that is always ready, so that the question does not wait. */
static wasi_io_poll_borrow_pollable_t always(uv_loop_t *loop)
{
    if (loop->always == 0)
        loop->always = wasi_clocks_monotonic_clock_subscribe_duration(0).__handle;
    return (wasi_io_poll_borrow_pollable_t){loop->always};
}

/* Asks which watches are ready: those are then first in `asked`. Returns how many. */
static size_t ask(uv_loop_t *loop, struct uv__watch **asked, size_t count)
{
    static wasi_io_poll_borrow_pollable_t *pollables;
    static size_t capacity;
    static struct arena results;
    pollables = memory_reserve(pollables, &capacity, count + 1, sizeof *pollables);
    for (size_t i = 0; i < count; i++)
        pollables[i] = (wasi_io_poll_borrow_pollable_t){asked[i]->pollable};
    pollables[count] = always(loop);
    wasi_library_list_u32_t indices;
    shim_results_begin(&results);
    wasi_io_poll_poll(&(wasi_io_poll_list_borrow_pollable_t){pollables, count + 1}, &indices);
    shim_results_end();
    size_t ready = 0;
    for (size_t i = 0; i < indices.len; i++)
        if (indices.ptr[i] < count) {
            struct uv__watch *w = asked[indices.ptr[i]];
            asked[indices.ptr[i]] = asked[ready];
            asked[ready++] = w;
        }
    return ready;
}

/* Lets everything that is ready do its work. */
static void poll_watches(uv_loop_t *loop)
{
    static struct uv__watch **asked;
    static size_t capacity;
    size_t count = loop->watches_count;
    if (count == 0)
        return;
    asked = memory_reserve(asked, &capacity, count, sizeof(struct uv__watch *));
    memcpy(asked, loop->watches, count * sizeof(struct uv__watch *));
    size_t ready = ask(loop, asked, count);
    for (size_t i = 0; i < ready; i++)
        if (asked[i]->on) /* it is still on */
            asked[i]->ready(asked[i]->owner);
}

struct waits loop_waits(uv_loop_t *loop)
{
    static wasi_io_poll_own_pollable_t *pollables;
    static size_t capacity;
    struct waits waits = {.timeout = UINT64_MAX};
    pollables = memory_reserve(pollables, &capacity, loop->watches_count, sizeof *pollables);
    for (size_t i = 0; i < loop->watches_count; i++)
        pollables[i] = (wasi_io_poll_own_pollable_t){loop->watches[i]->subscribe(loop->watches[i]->from)};
    waits.pollables.ptr = pollables;
    waits.pollables.len = loop->watches_count;
    if (loop->done != NULL || loop->closing != NULL) {
        waits.timeout = 0;
    } else if (loop->timers != NULL) {
        uint64_t now = uv_hrtime() / 1000, due = loop->timers->due_ms * 1000;
        waits.timeout = due > now ? due - now : 0;
    }
    return waits;
}

/* ---- Timers ---- */

static bool timer_active(const uv_handle_t *handle) { return ((const uv_timer_t *)handle)->running; }

static void timer_close(uv_handle_t *handle) { uv_timer_stop((uv_timer_t *)handle); }

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    static const struct uv__kind kind = {timer_close, timer_active};
    uv__handle_init(loop, (uv_handle_t *)timer, &kind);
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
    timer->due_ms = timeout_ms < UINT64_MAX - loop->now_ms ? loop->now_ms + timeout_ms : UINT64_MAX;
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

void uv__request_begin(uv_loop_t *loop, uv_req_t *request, uv_handle_t *owner, void (*call_back)(uv_req_t *request))
{
    request->next = NULL;
    request->owner = owner;
    request->call_back = call_back;
    request->status = 0;
    loop->requests++;
}

void uv__request_done(uv_loop_t *loop, uv_req_t *request, int status)
{
    request->status = status;
    request->next = NULL;
    *loop->done_end = request;
    loop->done_end = &request->next;
}

void uv__request_end(uv_loop_t *loop, uv_req_t *request, int status)
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
            uv__request_end(loop, done, done->status);
        else
            uv__request_done(loop, done, done->status);
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

void uv__handle_init(uv_loop_t *loop, uv_handle_t *handle, const struct uv__kind *kind)
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

int uv_loop_init(uv_loop_t *loop)
{
    *loop = (uv_loop_t){0};
    loop->done_end = &loop->done;
    uv_update_time(loop);
    return 0;
}

wasi_sockets_network_borrow_network_t uv__network(uv_loop_t *loop)
{
    if (loop->network == 0)
        loop->network = wasi_sockets_instance_network_instance_network().__handle;
    return (wasi_sockets_network_borrow_network_t){loop->network};
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
    poll_watches(loop);
    end_closing(loop);
    return is_alive(loop);
}
