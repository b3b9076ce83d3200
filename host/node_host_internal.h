/* Declarations shared by the files of a node's host. No other file includes this. Each calls only those below it:
 *
 *   node_host.c          the thread, the loop, the end
 *   node_parts.c         what is opened for a node, and how a life of it begins
 *   node_info.c          what INFO says of all this
 *   node_members.c       who belongs to the cluster: from the folder, to the network and the client port
 *   node_surroundings.c  what a life asks of its host when its network or storage is in the sandbox
 *   node_drivers.c       calls into the life: turns, and the two ways in which the loop and the life share the thread
 *   supervisor.c         a life breaks, and the next one takes over; it knows nothing of those above, and calls them back
 *   node_events.c        what happens to the node, for the loop to act on */
#ifndef SYNOD_HOST_NODE_HOST_INTERNAL_H
#define SYNOD_HOST_NODE_HOST_INTERNAL_H

#include "host/faults.h"
#include "host/inquiry.h"
#include "host/node_host.h"
#include "host/supervisor.h"
#include "io/data_folder.h"
#include "io/own_members.h"

/* How far the node's end has come. */
enum phase { RUNNING, DRAINING, CLOSING, CLIENTS_CLOSED, CLOSED };

/* How much of grace_period is over. GRACE_OVER, also after a failed sync: it ends by force. */
enum grace { GRACE_NOT_BEGUN, GRACE_FIRST_HALF, GRACE_SECOND_HALF, GRACE_OVER };

/* Who belongs to the cluster, as far as this host knows. */
struct node_members {
    struct own_members own;
    uint8_t instances[NODE_ID_MAX + 1][16]; /* of the file's nodes, as they have greeted */
    node_set greeted;                       /* those that have, in this life or an earlier one, and the node itself */
    struct packet first;                    /* the complete first configuration; no words: not all have greeted yet */
    struct inquiry inquiry;
    size_t asked;                 /* client ports, so far */
    struct frame_origin early;    /* who was refused when one was asked last */
    struct packet hearsay;        /* the configuration that was answered; slot 0: none */
    bool kept_given, first_given; /* to this life */
    struct packet given[3];
};

struct node_host {
    struct node_host_options options;
    const struct config_node *self;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `reachable`, `stop_wanted` */
    bool reachable;       /* the loop can be woken through `wake` */
    bool stop_wanted;
    int exit_code;

    uv_loop_t loop;
    uv_async_t wake;
    uv_check_t check;
    uv_idle_t idle;   /* active: the next poll does not wait */
    uv_timer_t timer; /* the node's deadline */
    uv_timer_t grace_timer;
    uv_timer_t ping; /* so that the loop gives signs of life when nothing happens */
    struct watch *watch;
    enum phase phase;
    enum grace grace;
    bool due;               /* a turn, or a change of phase */
    struct problem problem; /* what ends the node; exit code EXIT_OK: nothing does */

    const struct loop_driver *driver;
    struct supervisor supervisor; /* has the life */
    bool entered;                 /* a call into the life is under way: a guest may not be entered again */
    bool announced;               /* it was ready once */
    struct node_members members;
    struct surroundings surroundings;
    struct faults faults;   /* that clients have ordered */
    struct packet settings; /* for the life; no words: not packed yet */
    struct packet told[4];  /* what it was told last: these, and configurations */

    char path[4096];            /* of the data folder */
    struct data_folder *folder; /* NULL: storage is in the sandbox */
    int folder_lock;            /* then; -1: not held */
    struct frame_origin origin;
    struct node_ports ports;
    char file[4096];           /* the component; empty: the node is native code */
    struct node_status status; /* as of turn `status_turn` */
    uint64_t status_turn;
    uint64_t turns, turn_us_max, turn_us_total, started_us;
};

static inline uint64_t now_us(void) { return uv_hrtime() / 1000; }
static inline bool is_network_in_host(const struct node_host *h) { return !config_network_is_in_guest(h->self); }
static inline bool is_storage_in_host(const struct node_host *h) { return h->self->storage == PLACE_HOST; }

/* ---- node_events.c ---- */

/* There is something to do: a turn, or a change of phase. */
void host_make_due(struct node_host *h);
/* Ends the node; the first problem counts. */
void host_fail(struct node_host *h, const struct problem *problem);
bool host_has_failed(const struct node_host *h);

/* ---- node_drivers.c ---- */

/* How the host's loop and the life share the thread. */
struct loop_driver {
    /* Whether the life is a component of the kind that is driven so. */
    bool (*fits)(const struct node_host *h);
    /* The life's first words. False: nothing may call it. */
    bool (*begin)(struct node_host *h, struct problem *problem);
    /* From the loop's check: the turn that is due. Precondition: the life may be called. */
    void (*turn)(struct node_host *h);
    /* Once round the loop. False: nothing keeps it alive any more. */
    bool (*go_round)(struct node_host *h);
    /* Whether no client waits any more for a node that has been told to stop. */
    bool (*is_drained)(struct node_host *h);
    /* The node has ended in good order: closes what the life has opened. */
    bool (*end)(struct node_host *h, struct problem *problem);
    /* A life that recovers asks at most so often in a turn what is wanted of it; one that has recovered asks once more. */
    uint32_t asked_in_recovery;
};

/* Where its network is, decides. */
const struct loop_driver *driver_choose(const struct config_node *self);
/* The life is sound, it is not being called, and nothing ends the node: it may be called. */
bool driver_may_call(const struct node_host *h);
/* The node's status, asked of it at most once a turn; the last one known where it cannot be asked. */
struct node_status driver_status(struct node_host *h);
/* As network_options.accept_peer: asks the holder of the data folder. While there is none, every peer must come again. */
enum peer_verdict driver_accept_peer(void *node_host, const struct frame_origin *peer);
/* From within a life that has the thread: the host's loop goes round once, without waiting. Within how many microseconds it
 * must go round again. */
uint64_t driver_come_round(struct node_host *h);

/* ---- node_members.c ---- */

/* Reads what the folder knows, which this host keeps from others. False: the node has no place in the cluster any more, or
 * not this one. */
bool members_open(struct node_host *h, struct problem *problem);
/* Network and client port have been opened: they hear of it. */
void members_connect(struct node_host *h);
/* What the node begins with. A life begins. */
struct node_config members_begin(struct node_host *h);
/* Whether this peer is a member with this instance, or may be, because none was named yet. A network in the host knows that
 * by itself. */
bool members_have(const struct node_host *h, const struct frame_origin *peer);
/* This peer has greeted, and is believed. */
void members_greeted(struct node_host *h, const struct frame_origin *peer);
/* As network_options.on_early; the node may be early, or another one. */
void members_early(void *node_host, const struct frame_origin *peer);
/* What a part in the sandbox is told: the configurations of the log that the node knows, the earlier one first, and after
 * them what is hearsay (CONFIGURATION_HEARSAY). They stay the host's. Returns how many. */
size_t members_told(const struct node_host *h, struct packet out[3]);
/* Before the loop's handles are closed. */
void members_ask_no_more(struct node_host *h);
void members_close(struct node_host *h);

/* ---- node_surroundings.c ---- */

void surroundings_init(struct node_host *h);
void surroundings_close(struct node_host *h);

/* ---- node_info.c ---- */

/* Lines for INFO. `context` is the node's host. */
size_t info_of(void *context, char *out, size_t size);

/* ---- node_parts.c ---- */

/* Opens everything, and tells the first life to begin. False: what was opened is the caller's to close. */
bool parts_open(struct node_host *h, struct problem *problem);
/* Another life on the same parts: the next incarnation, and the supervisor's life (which is new) is told to begin with
 * it. */
bool parts_reborn(struct node_host *h, struct problem *problem);
/* Makes a life that has not begun. */
bool parts_make_life(struct node_host *h, struct node_life **out, struct problem *problem);

#endif
