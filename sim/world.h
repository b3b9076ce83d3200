/* A simulated world: some machines, a network, clients, virtual time, and everything that goes wrong. One seed decides all
 * of it.
 *
 * Time jumps to the next event. A run has three parts, or up to five. *Faults*: for as many turns as the plan says. In some
 * worlds a *partition that lasts*, and a *disk that hangs*, after all other faults have stopped (sim/lasting.c). *Healing*:
 * all faults stop, everything that was asked must be answered, and all survivors must agree. *Service*: every key in use is
 * read once more. Everything that happens passes through the checks (sim/checks.h). */
#ifndef SYNOD_SIM_WORLD_H
#define SYNOD_SIM_WORLD_H

#include "host/engine.h"
#include "sim/checks.h"
#include "sim/greetings.h"
#include "sim/history.h"
#include "sim/letters.h"
#include "sim/machine.h"
#include "sim/operators.h"
#include "sim/plan.h"
#include "sim/strangers.h"
#include "sim/trace.h"

/* Real time that a component may take for a turn: much, because a slow machine must not change what happens. */
enum { WORLD_TURN_TIMEOUT_US = 60 * 1000000 };
/* Tokens of requests about members begin here: no batch has them. */
#define OPERATOR_TOKENS (UINT64_MAX - (UINT64_C(1) << 40))
enum { WORLD_STRIKE_EVERY_US = 20000 };
enum { WORLD_DRIFT_MAX = 50000 };               /* of clocks, per million */
#define WORLD_BEGINS_MS UINT64_C(1750000000000) /* by wall clocks */
/* Moves of leadership are judged from then on: before, the first elections may end in a duel. */
enum { WORLD_MOVES_JUDGED_US = 10 * 1000000 };

struct world_options {
    struct plan_options plan;
    struct engine *engine;    /* nodes run as components; NULL: natively */
    const char *nodes_folder; /* where the components are */
    uint8_t granularity;      /* enum granularity of io/config.h: what nodes are composed of */
    FILE *trace;              /* every event as a line; NULL: none */
    FILE *history;            /* what clients did, at the end (sim/history.h); NULL: none */
    FILE *report;             /* about a failure: the plan and the last events; NULL: none */
    uint64_t fault_budget;    /* faults started by the world after which it starts no more; UINT64_MAX: unlimited */
};

/* The result of a run. */
struct world_result {
    bool failed;
    enum check check;
    char why[1024];
    uint64_t trace_hash;
    uint64_t events; /* turns */
    uint64_t simulated_us;
    uint64_t struck; /* faults started by the world (the others are rolled where they happen) */
    uint64_t fired[FAULTS];
    uint64_t refused;      /* nodes that refused to start on a harmed disk */
    uint64_t cut_silently; /* harm to the last group that looked like a torn write to recovery */
    uint64_t reached[REACHED_STATES];
    struct clients_statistics clients;
    uint64_t undecided; /* keys whose history could not be judged within the steps */
};

struct world {
    struct world_options options;
    struct plan plan;
    uint64_t now;
    struct dice dice;                            /* of strikes */
    struct faults faults;                        /* of the network, and those that the world starts */
    struct machine machines[PLAN_NODES_MAX + 1]; /* by node */
    struct network_sim *network;
    struct clients *clients;
    struct sockets *sockets;     /* NULL: clients have none in this world */
    struct strangers *strangers; /* on those */
    struct sockets *links;       /* of nodes with each other; NULL: they have none in this world */
    struct greetings *greetings; /* on those, by strangers */
    struct datagrams *datagrams; /* beside those; NULL: there are none in this world */
    uint64_t resignation;        /* the checksum of what a network itself says of another node; 0: not known yet */
    struct history *history;
    struct checks *checks;
    struct letters letters;
    node_set refuses[PLAN_NODES_MAX + 1];    /* by node: those that it has ever refused to be dialled by (world_refuse) */
    node_set black_hole[PLAN_NODES_MAX + 1]; /* by sender: the nodes that get none of its proposals */
    uint64_t lasted_us;                      /* how long what lasts did so, while nodes fell back that were out of it */
    struct operator operator;                /* of members and settings, in worlds where those change */
    bool judges_gaps;                        /* only nodes fail, so one can see whether quorums are up */
    bool judges_moves;                       /* nothing happens but that leadership is moved */
    uint64_t moves;                          /* so often an operator has asked for that */
    uint64_t gap_since, gap_executed;        /* since when no batch was executed although quorums are up */
    uint64_t led;                            /* how often a node began to lead */
    uint64_t leapt;                          /* by so much clocks were set forward, all together */
    uint64_t executed;                       /* batches that were answered as executed */
    struct trace trace;
    struct {
        node_set left; /* between these and the others */
        uint8_t kind;  /* only messages of this kind pass */
        uint64_t until;
    } sieve;
    bool healing;
    uint64_t strike_at; /* the next opportunity */
    uint64_t memory_before;
    struct world_result *result;
};

/* Runs the world of a seed to its end, or to the first broken rule. */
void world_run(const struct world_options *options, struct world_result *result);

/* The files of a world, each above those before it: world_base.c, machine_network.c, strikes_messages.c and hostile.c,
 * machine_clients.c, machine.c, machine_ports.c, strikes.c, world_events.c, lasting.c, world.c. */

/* --- sim/world_base.c --- */

void world_trace(struct world *w, uint32_t node, enum trace_kind kind, uint64_t a, uint64_t b, uint64_t c);
/* The operator does not hear what has become of the change that he has asked this machine for. */
void world_leave_in_doubt(struct world *w, const struct machine *m);

/* Looks again when something arrives at these nodes. */
void world_arrivals(struct world *w, node_set nodes);

/* Whether the newest configuration has the instance that a machine is. */
bool world_is_member(const struct world *w, uint32_t node);

/* The plan's configuration, with the members and quorums of the newest one that was chosen. */
struct node_config world_members(const struct world *w);

/* The configuration under which the cluster takes longest: the longest of each time that any node has now. */
struct node_config world_slowest(const struct world *w);

/* --- sim/machine_network.c --- */

/* As in sim/network.h, on whichever network this world has. */
void world_cut(struct world *w, node_set from, node_set to, uint64_t until);
void world_half_open(struct world *w, uint32_t from, uint32_t to, uint64_t until);
/* The connections that others have made to a node end, and with `both` those that it has made; it refuses to be dialled by
 * them until then, though its process lives. False: there are none in this world. */
bool world_refuse(struct world *w, uint32_t node, node_set others, bool both, uint64_t until);
void world_stall_reader(struct world *w, struct machine *m, uint64_t until);
void world_greet(struct world *w, struct machine *to, const struct frame_origin *as, uint64_t arrival);
void world_heal_network(struct world *w);
/* A datagram of a node was given to another one (sim/datagrams.h). */
void world_datagram_came(void *context, uint32_t to, const uint64_t *words, size_t size);

/* --- sim/strikes_messages.c --- */

/* Whether a message is lost (FAULT_DROP). Some leaders end soon after one of their proposals was lost like that: the next
 * leader finds a gap. */
bool world_swallows(struct world *w, struct machine *m, uint8_t message_kind);
/* What is sent through the holes of a sieve (FAULT_SIEVE) arrives. */
void world_slip(struct world *w, uint32_t from, uint8_t message_kind, const struct packet *frame);
/* Old answers come once more to a proposer that prepares or was elected. */
void world_replay(struct world *w, struct machine *m);
/* A component out of its mind sends bytes to all others (FAULT_GARBAGE). */
void world_garbage(struct world *w, struct machine *m);

/* --- sim/hostile.c --- */

/* Absurd messages for a node, in the name of another. */
bool world_hostile(struct world *w, struct machine *to);
/* A node is greeted in the name of another. */
bool world_hostile_greeting(struct world *w, struct machine *to);

/* --- sim/strikes.c --- */

/* An opportunity for each kind of fault that the world starts. */
void world_strike(struct world *w);
/* Clocks that are wrong are wrong from the beginning. */
void world_drift(struct world *w);

/* --- sim/world_events.c --- */

/* The earliest thing to happen happens. */
void world_happen(struct world *w);

/* --- sim/lasting.c --- */

/* After all other faults: links are lost for good, and meanwhile the side that has quorums must serve. Ends with all links
 * as before. */
void world_last(struct world *w);
/* After that: no sync of one node's disk returns for a long time, while its network works. The others must serve. */
void world_hang(struct world *w);

#endif
