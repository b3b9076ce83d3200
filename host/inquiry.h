/* Asks another node at its client port who belongs to the cluster (SYNOD CONFIGURATION), as an operator would. For a node
 * that knows none of those that are there now, because all have been replaced while it was down: it takes no word of theirs
 * at its own port, and only they could tell it.
 *
 * One question at a time, and at most one a second; an answer is bounded in bytes and in time. */
#ifndef SYNOD_HOST_INQUIRY_H
#define SYNOD_HOST_INQUIRY_H

#include <uv.h>

#include "core/formats/packet.h"
#include "io/config.h"

struct question;

struct inquiry {
    uv_loop_t *loop;
    /* What was answered: the text of a configuration (core/formats/configuration.h), not read yet, with its slot as `id`.
     * Valid during the call. */
    void (*on_answer)(void *context, const struct packet *configuration);
    void *context;
    struct question *question; /* the one that is under way */
    uint64_t asked_at;         /* uv_now; 0: never */
};

/* Whether a question may be asked now. */
bool inquiry_may_ask(const struct inquiry *q);
/* Asks at this client port. Precondition: it may. That no answer comes is not told. */
void inquiry_ask(struct inquiry *q, const struct endpoint *at);
/* No answer is wanted any more. What libuv still has to call back about is released by itself. */
void inquiry_close(struct inquiry *q);

#endif
