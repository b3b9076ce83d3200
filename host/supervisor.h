/* The lives of a node, one after the other: one breaks, the next one takes over. */
#ifndef SYNOD_HOST_SUPERVISOR_H
#define SYNOD_HOST_SUPERVISOR_H

#include <pthread.h>
#include <uv.h>

#include "host/life_state.h"
#include "host/node_life.h"
#include "host/node_ports.h"
#include "host/watch.h"

/* What the supervisor asks of the node's host. All on the node's thread. */
struct supervisor_operations {
    /* Makes a life that has not begun. False: there is none. */
    bool (*make_life)(void *host, struct node_life **out, struct problem *problem);
    /* The next incarnation is made durable, and the supervisor's new life begins as that. False: nothing may call it. */
    bool (*begin_life)(void *host, struct problem *problem);
    /* Whether another life may follow: not when the node has been told to stop, or ends for another reason. */
    bool (*may_follow)(void *host);
    /* The life is gone, and so is whatever was due of it. */
    void (*on_buried)(void *host);
    /* Wants supervisor_step to be called soon. */
    void (*on_due)(void *host);
    /* No life follows, for this reason. */
    void (*on_failure)(void *host, const struct problem *problem);
};

/* What is pointed to stays the host's, and outlives the supervisor. */
struct supervisor_options {
    const struct supervisor_operations *operations;
    void *host;
    const struct config *config;
    uint32_t node;
    bool sandboxed; /* lives are components. Otherwise there is one life only: native code, whose trap ends the process */
    uint64_t served_ms; /* after so much service a life has no more time for a turn than usual; 0: half a minute */
    struct node_ports *ports;
    struct watch *watch;
    uv_loop_t *loop;
};

/* The fields are for the host to read; `life` is NULL when there is none, and the host makes the first one. */
struct supervisor {
    struct supervisor_options options;
    enum life_state state;
    struct node_life *life;
    struct node_life *spare; /* NULL: there is none */
    bool spare_refused;      /* the log has the reason */
    struct problem problem;  /* why the life is broken */
    /* Microseconds: of the last fault; of the one after which the node was not ready any more; of the end of the backoff; of
     * when this life was ready, 0: it was not. */
    uint64_t fault_at, down_at, begins_at, ready_at;
    uint64_t turn_timeout; /* microseconds that lives may compute in a turn now */
    uint32_t in_row;       /* restarts since a life last served for a while */
    uint64_t restarts, restart_us, restart_us_max;
    const char *last_fault;
    bool *crashed;             /* of each of the configuration's crashes: it has happened */
    uv_timer_t timer;          /* the end of the backoff; the time to make a spare */
    uv_timer_t served;         /* the life has served for long enough to have no more time than usual */
    pthread_mutex_t lock;      /* guards the rest */
    struct node_life *watched; /* what the watch may interrupt; NULL: nothing */
    bool hung;                 /* it has done so */
};

/* Copies the options. The timers are in the loop until supervisor_close. */
void supervisor_init(struct supervisor *s, const struct supervisor_options *options);
/* `s->life`, which is new, has been told to begin. */
void supervisor_begun(struct supervisor *s);
/* The life has recovered. */
void supervisor_ready(struct supervisor *s);
/* A call into the life has failed: nothing may call it again. */
void supervisor_broke(struct supervisor *s, const struct problem *problem);
/* The life's own loop has ended as it should. */
void supervisor_over(struct supervisor *s);
/* Once in each round of the loop, between calls into the life: buries a broken one, begins the next when the time has
 * come. */
void supervisor_step(struct supervisor *s);
/* After each turn: has the node got to a slot at which it is to crash? */
void supervisor_look_for_crash(struct supervisor *s);
/* Ends the call that the life is in, if it can be ended. */
void supervisor_interrupt(struct supervisor *s);
/* The same because the watch has heard nothing of the life for too long. Any thread. */
void supervisor_interrupt_hung(struct supervisor *s);
/* Closes the timers. */
void supervisor_close(struct supervisor *s);
/* Frees what is left, once the loop is done and the watch has stopped. */
void supervisor_free(struct supervisor *s);

#endif
