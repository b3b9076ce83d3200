/* What a part that talks to sockets waits for (wit/wasi.wit, the records `waits`). libuv's loop waits for itself; here
 * one component waits for all parts of the node, and each of them hands out what to wait for.
 *
 * The pollables are made each time and belong to the caller. The loop's own must not leave, because it needs them to find
 * out which of its sockets is ready. WASI forbids to drop a socket or stream while it has a pollable. The order of events
 * guarantees that: the receiver drops the pollables before it calls the part again, and only a call of the part can close
 * anything. */
#ifndef SYNOD_COMPONENTS_WASI_LOOP_H
#define SYNOD_COMPONENTS_WASI_LOOP_H

#include <uv.h>

#include "world.h"

struct waits {
    struct {
        wasi_io_poll_own_pollable_t *ptr; /* the memory is the loop's, valid until the next call */
        size_t len;
    } pollables;
    uint64_t
        timeout; /* microseconds until the next timer; UINT64_MAX: there is none; 0: uv_run has something to do at once */
};

struct waits loop_waits(uv_loop_t *loop);

#endif
