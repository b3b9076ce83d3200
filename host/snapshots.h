/* The snapshots of a node on a loop: the front (io/snapshot_front.h) with a thread of its own, which reads, writes and
 * syncs. The journal's threads never wait for it, and the loop neither. */
#ifndef SYNOD_HOST_SNAPSHOTS_H
#define SYNOD_HOST_SNAPSHOTS_H

#include <uv.h>

#include "io/snapshot_front.h"

struct snapshots;

struct snapshots_options {
    struct snapshot_front_options front; /* its disk's calls come from another thread */
    /* Called on the loop's thread when there is something to tell. */
    void (*on_told)(void *context);
    /* The same, for what an operator should know. */
    void (*on_notice)(void *context, const char *text);
    void *context;
};

/* Opens the snapshots and begins to look for the newest one. False: a problem. */
bool snapshots_open(struct snapshots **out, uv_loop_t *loop, const struct snapshots_options *options,
                    struct problem *problem);

/* As in core/runners/ports.h. What is told is valid until the next call. */
void snapshots_ask(struct snapshots *s, const struct packet *asks, size_t count);
struct packet_list snapshots_told(struct snapshots *s);
/* True when there is something to tell. */
bool snapshots_waiting(struct snapshots *s);

/* The next life of the node begins. */
void snapshots_reborn(struct snapshots *s);

/* Gives up what is not finished. Blocks as long as the step that is under way. */
void snapshots_close(struct snapshots *s);

#endif
