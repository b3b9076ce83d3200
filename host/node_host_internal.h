/* What the files of a node's host share. Nobody else includes this.
 *
 *   node_host.c          the thread, the loop, turns, the end
 *   node_parts.c         what is opened for a node, and how a life of it begins
 *   node_surroundings.c  what a life asks of its host when its network or storage is in the sandbox
 *   supervisor.c         a life breaks, and the next one takes over
 *   node_info.c          what INFO says of all this */
#ifndef SYNOD_HOST_NODE_HOST_INTERNAL_H
#define SYNOD_HOST_NODE_HOST_INTERNAL_H

#include <pthread.h>

#include "host/faults.h"
#include "host/node_host.h"
#include "host/node_life.h"
#include "host/node_ports.h"
#include "host/watch.h"
#include "io/data_folder.h"

enum phase { RUNNING, DRAINING, CLOSING, CLOSED };

struct supervisor {
    struct node_life *spare; /* NULL: there is none */
    bool spare_refused;      /* the log has the reason */
    bool broken;             /* the life is; the next check looks after that */
    bool restarting;         /* there is no life; the next begins when the journal has settled and the backoff is over */
    struct problem problem;
    /* Microseconds: of the last fault; of the one after which the node was not ready any more; of the end of the backoff; of
     * when this life was ready, 0: it was not. */
    uint64_t fault_at, down_at, begins_at, ready_at;
    uint64_t turn_timeout; /* microseconds that lives may compute in a turn now */
    uint32_t in_row;       /* restarts since a life last served for a while */
    uint64_t restarts, restart_us, restart_us_max;
    const char *last_fault;
    bool *crashed;     /* of each of the configuration's crashes: it has happened */
    uv_timer_t timer;  /* the end of the backoff; the time to make a spare */
    uv_timer_t served; /* the life has served for long enough to have no more time than usual */
};

struct node_host {
    struct node_host_options options;
    const struct config_node *self;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `reachable`, `stop_wanted`, `watched`, `hung` */
    bool reachable;       /* the loop can be woken through `wake` */
    bool stop_wanted;
    struct node_life *watched; /* what the watch may interrupt */
    bool hung;                 /* it has done so */
    int exit_code;

    uv_loop_t loop;
    uv_async_t wake;
    uv_check_t check;
    uv_idle_t idle;   /* active: the next poll does not wait */
    uv_timer_t timer; /* the node's deadline */
    uv_timer_t grace;
    uv_timer_t ping; /* so that the loop gives signs of life when nothing happens */
    struct watch *watch;
    enum phase phase;
    bool due, in_turn, ready, clients_closed;
    bool announced;       /* it was ready once */
    bool hurried, forced; /* half of the grace period, and all of it, is over */
    bool runs;            /* the life has the thread, and calls the loop from within (node_surroundings.c) */
    bool over;            /* it has come back as it should */
    bool failed;          /* `problem` ends the node */
    struct problem problem;

    char path[4096];            /* of the data folder */
    struct data_folder *folder; /* NULL: storage is in the sandbox */
    int folder_lock;            /* then; -1: not held */
    struct frame_origin origin;
    struct node_ports ports;
    struct node_life *life;
    struct supervisor supervisor;
    struct surroundings surroundings;
    struct faults faults;   /* that clients have ordered */
    struct packet settings; /* for the life; no words: not packed yet */
    char file[4096];
    struct node_status status; /* as of turn `status_turn` */
    uint64_t status_turn;
    uint64_t turns, turn_us_max, turn_us_total, started_us;
};

static inline uint64_t now_us(void) { return uv_hrtime() / 1000; }
static inline bool host_network(const struct node_host *h) { return !config_network_in_guest(h->self); }
static inline bool host_storage(const struct node_host *h) { return h->self->storage == PLACE_HOST; }

/* ---- node_host.c ---- */

/* There is something to do: a turn, or a change of phase. */
void host_make_due(struct node_host *h);
/* Ends the node; the first problem counts. */
void host_fail(struct node_host *h, const struct problem *problem);
/* The node's status, asked of it at most once a turn; the last one known where it cannot be asked. */
struct node_status host_status(struct node_host *h);
/* The life in `h->life` has been told to begin. */
void host_begin(struct node_host *h);
/* What follows each turn, but the next one. */
void host_after_turn(struct node_host *h);
/* Ends the call that the life is in, if it can be ended. */
void host_interrupt(struct node_host *h);

/* ---- node_parts.c ---- */

/* Opens everything, and begins the first life. False: what was opened is the caller's to close. */
bool parts_open(struct node_host *h, struct problem *problem);
/* Another life on the same parts: the next incarnation, and `h->life` (which is new) begins with it. */
bool parts_reborn(struct node_host *h, struct problem *problem);
/* Makes a life that has not begun. */
bool parts_make_life(struct node_host *h, struct node_life **out, struct problem *problem);

/* ---- node_surroundings.c ---- */

void surroundings_init(struct node_host *h);
void surroundings_close(struct node_host *h);
enum peer_verdict surroundings_accept_peer(void *node_host, const struct frame_origin *peer);

/* ---- supervisor.c ---- */

void supervisor_init(struct node_host *h);
/* A call into the life has failed: nothing may call it again. */
void supervisor_broke(struct node_host *h, const struct problem *problem);
/* From the loop's check: buries a broken life, begins the next when the time has come. */
void supervisor_step(struct node_host *h);
/* The life has recovered. */
void supervisor_ready(struct node_host *h);
/* After each turn: has the node got to a slot at which it is to crash? */
void supervisor_look_for_crash(struct node_host *h);
/* Closes the timers. */
void supervisor_close(struct node_host *h);
/* Frees what is left, once the loop is done. */
void supervisor_free(struct node_host *h);

/* ---- node_info.c ---- */

/* Lines for INFO. `context` is the node's host. */
size_t info_of(void *context, char *out, size_t size);

#endif
