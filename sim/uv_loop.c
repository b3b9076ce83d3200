/* The loops of the simulated world: its time, and which handles are ready. */
#include "sim/uv_internal.h"

enum { MS_US = 1000 };

static const uint64_t never = UINT64_MAX;

/* ---- Time ---- */

uint64_t uvsys_now_ms(const uv_loop_t *loop) { return sockets_now(loop->sockets) / MS_US; }

/* ---- The loop ---- */

void simuv_loop_init(uv_loop_t *loop, struct sockets *sockets, struct datagrams *datagrams, uint32_t host)
{
    *loop = (uv_loop_t){.sockets = sockets, .datagrams = datagrams, .host = host, .stale = true};
    loop->done_end = &loop->done;
    uv_update_time(loop);
}

void simuv_loop_close(uv_loop_t *loop)
{
    invariant(loop->open == NULL && loop->closing == NULL && loop->requests == 0);
    free(loop->ready);
}

void simuv_kill(uv_loop_t *loop)
{
    loop->stale = true;
    for (uv_handle_t *handle = loop->open; handle != NULL; handle = handle->next)
        if (handle->kind->kill != NULL)
            handle->kind->kill(handle);
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

/* The oldest handle first. */
void uvsys_poll(uv_loop_t *loop)
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
    loop->stale = true;
}
