/* What `synod bench crossings` calls: the components of components/crossings, and a node that is a cluster of its own and
 * idle. */
#ifndef SYNOD_CLI_BENCH_GUEST_H
#define SYNOD_CLI_BENCH_GUEST_H

#include "core/formats/packet.h"
#include "host/engine.h"

/* ---- nodes/crossings.wasm ---- */

struct bench_guest;

/* Opens an engine, and the component in it. False: *out is NULL. */
bool bench_guest_open(struct bench_guest **out, struct problem *problem);
void bench_guest_close(struct bench_guest *g);
struct engine *bench_guest_engine(const struct bench_guest *g);

/* The host calls it `count` times with a packet. */
bool bench_guest_take(struct bench_guest *g, uint64_t count, const struct packet *packet, struct problem *problem);

/* It calls `count` times with `len` bytes: the host, another component, ... */
enum guest_loop {
    GUEST_TO_HOST,
    GUEST_TO_SINK_BYTES,
    GUEST_TO_SINK_WORDS,
    GUEST_TO_SERIALIZER,
    GUEST_TO_CLOCK,
    GUEST_LOOPS
};
bool bench_guest_loop(struct bench_guest *g, enum guest_loop loop, uint64_t count, uint64_t len, struct problem *problem);

/* ---- An idle node ---- */

struct bench_idle;

/* A coordinator that leads itself and has nothing to do; with an engine as a component, with NULL natively. False: *out is
 * NULL. */
bool bench_idle_open(struct bench_idle **out, struct engine *engine, struct problem *problem);
void bench_idle_close(struct bench_idle *idle);
bool bench_idle_turns(struct bench_idle *idle, uint64_t count, struct problem *problem);

#endif
