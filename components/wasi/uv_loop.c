/* What a loop waits for. In an iteration one host call asks which of all that is waited for is ready; what is, is done
 * without waiting.
 *
 * Asking once is what keeps a loop with a thousand idle connections cheap: reading from a socket to find nothing costs as
 * much as a hundred questions. */
#include "components/wasi/uv_internal.h"

#include "components/shim.h"
#include "components/wasi/loop.h"

/* ---- Time ---- */

uint64_t uv_hrtime(void) { return wasi_clocks_monotonic_clock_now(); }

uint64_t uvsys_now_ms(const uv_loop_t *loop)
{
    (void)loop;
    return uv_hrtime() / 1000000;
}

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

void uvsys_poll(uv_loop_t *loop)
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
