/* Strangers that dial a node over its sockets, greet it in the name of another node, and leave. */
#ifndef SYNOD_SIM_GREETINGS_H
#define SYNOD_SIM_GREETINGS_H

#include "core/formats/frame.h"
#include "sim/sockets.h"

struct greetings;

struct greetings *greetings_new(struct sockets *sockets);
void greetings_free(struct greetings *g);

/* Dials `to` and says, when it is connected, that it is `as`, with these governed settings. */
void greetings_add(struct greetings *g, uint32_t to, const struct frame_origin *as, const char *governed);

/* When one of them has something to do; UINT64_MAX: never, as things are. */
uint64_t greetings_next(const struct greetings *g);
void greetings_run(struct greetings *g);

#endif
