/* What `synod-lab crossings` calls: the components of components/crossings, and an idle node that is a cluster of its
 * own. */
#ifndef SYNOD_LAB_GUEST_H
#define SYNOD_LAB_GUEST_H

#include "core/formats/packet.h"
#include "host/engine.h"

/* ---- nodes/crossings.wasm ---- */

struct lab_guest;

/* Opens an engine, and the component in it. False: *out is NULL. */
bool lab_guest_open(struct lab_guest **out, struct problem *problem);
void lab_guest_close(struct lab_guest *g);
struct engine *lab_guest_engine(const struct lab_guest *g);

/* The host calls it `count` times with a packet. */
bool lab_guest_take(struct lab_guest *g, uint64_t count, const struct packet *packet, struct problem *problem);

/* It calls `count` times with `len` bytes: the host, another component, ... */
enum guest_loop {
    GUEST_TO_HOST,
    GUEST_TO_SINK_BYTES,
    GUEST_TO_SINK_WORDS,
    GUEST_TO_SINK_BLOCKS,
    GUEST_TO_SERIALIZER,
    GUEST_TO_CLOCK,
    GUEST_LOOPS
};
bool lab_guest_loop(struct lab_guest *g, enum guest_loop loop, uint64_t count, uint64_t len, struct problem *problem);

/* ---- An idle node ---- */

struct lab_idle;

/* A coordinator that leads itself and has nothing to do: as a component with an engine, natively with NULL. False: *out is
 * NULL. */
bool lab_idle_open(struct lab_idle **out, struct engine *engine, struct problem *problem);
void lab_idle_close(struct lab_idle *idle);
bool lab_idle_turns(struct lab_idle *idle, uint64_t count, struct problem *problem);

#endif
