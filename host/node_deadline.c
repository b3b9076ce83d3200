/* How long a node's component may compute in one call.
 *
 * What is limited is the time that the thread spends on the processor. So a guest that waits for its sockets or for the disk
 * is not cut off, and neither is one on a loaded machine. The epoch deadline (host/engine.h) comes at every tick. Then the
 * host looks how much the guest has computed since the first tick of the call, or since the first one after its last sign of
 * life. Not since the call began: that clock is a system call, which took more time than a turn with little to do. So a
 * guest has a tick more at most. */
#include <time.h>

#include <wasmtime.h>

#include "host/node_wasm_internal.h"

static uint64_t computed_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void node_deadline_allow(struct node_wasm *w, uint64_t allowed)
{
    w->allowed = allowed;
    w->ticked = false;
    wasmtime_context_set_epoch_deadline(w->context, 1);
}

uint64_t node_deadline_on_tick(void *node_wasm)
{
    struct node_wasm *w = node_wasm;
    const uint64_t computed = computed_us();
    if (!w->ticked)
        w->computed_since = computed;
    w->ticked = true;
    return !atomic_load(&w->interrupted) && computed - w->computed_since < w->allowed;
}
