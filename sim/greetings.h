/* Strangers that dial a node, greet it in the name of another one, and leave; or that send it datagrams. */
#ifndef SYNOD_SIM_GREETINGS_H
#define SYNOD_SIM_GREETINGS_H

#include "core/formats/frame.h"
#include "sim/datagrams.h"
#include "sim/dice.h"

struct greetings;

struct greetings *greetings_new(struct sockets *sockets);
void greetings_free(struct greetings *g);

/* Dials `to` and says, when it is connected, that it is `as`, with these governed settings. */
void greetings_add(struct greetings *g, struct datagram_end to, const struct frame_origin *as, const char *governed);

/* Sends datagrams to `to` that it must not believe: frames of other lives than `as`, folders and clusters, and no frames. */
void greetings_send(struct datagrams *d, struct datagram_end to, const struct frame_origin *as, struct dice *dice);

/* When one of them has something to do; UINT64_MAX: never, as things are. */
uint64_t greetings_next(const struct greetings *g);
void greetings_run(struct greetings *g);

#endif
