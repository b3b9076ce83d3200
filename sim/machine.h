/* One node of a simulated world, on a machine of its own: the node as it ships (host/node_life.h, native or component)
 * between simulated ports; the data folder and the journal as they ship on a simulated disk; a clock that may be wrong; and
 * a process that can stop at any point.
 *
 *   DOWN --start--> OPENING (folder and journal; what they write takes the disk's time) --> UP
 *    ^                 |                                                                     |
 *    '-----------------'<------------------------ machine_stop -----------------------------'    RETIRED: for good
 *
 * A machine that is SPARE has no folder, and is no member; once it is added, it is formatted and is DOWN.
 *
 * In between turns the machine does what the host's loop does (host/node_host.c): a turn when something arrived, something
 * became durable or the node asked for it; after each turn it submits what was appended, and takes the next group to the
 * disk, as the journal's front has it (io/journal_front.h). */
#ifndef SYNOD_SIM_MACHINE_H
#define SYNOD_SIM_MACHINE_H

#include "core/formats/batch.h"
#include "core/formats/configuration.h"
#include "host/node_life.h"
#include "io/data_folder.h"
#include "io/journal_front.h"
#include "io/snapshot_front.h"
#include "sim/disk.h"
#include "sim/plan.h"
#include "sim/uv_network.h"
#include "sim/uv_port.h"

struct world;

enum machine_state { MACHINE_DOWN, MACHINE_OPENING, MACHINE_UP, MACHINE_RETIRED, MACHINE_SPARE };

/* What is on its way to the disk. */
enum flight {
    FLIGHT_NONE,
    FLIGHT_WRITTEN, /* the group was written, and when its time is over it is durable */
    FLIGHT_FAILED,  /* it has failed, and when its time is over the process will know */
    FLIGHT_NO_ROOM, /* there was none for it, and when its time is over it is tried again */
};

/* The journal, to which the world gives its time. */
struct storage {
    struct journal_front *front;
    struct journal_front_group *group; /* in flight */
    uint8_t flight;                    /* enum flight */
    uint64_t flying_until;
    uint64_t hangs_until;  /* nothing becomes durable before that (FAULT_LASTING_HANG) */
    uint64_t durable_ever; /* in any life: what must come back */
    uint64_t group_first;  /* the first lsn of the last durable group that had records */
    uint64_t segments;
};

/* The snapshots, the same. */
struct snapshots {
    struct snapshot_front *front;
    struct dice dice;
    bool flying; /* a step */
    uint64_t flying_until;
    uint64_t received; /* in this life, the slot of the one that was last received from peers */
    uint64_t loaded;   /* and of the one that was last loaded; 0: none */
};

/* A configuration in a folder. */
struct known {
    uint64_t slot; /* 0: none */
    struct payload text;
    struct configuration_text *read;
};

enum { MACHINE_GIVES_MAX = 3 };

struct machine {
    struct ports ports; /* first, so that the node's ports lead here */
    struct world *world;
    uint32_t id;
    enum machine_state state;
    struct node_config config;
    struct host_settings host;
    /* Which instance of the node it is, since its folder was formatted. */
    uint8_t instance[MEMBER_INSTANCE_SIZE];
    uint32_t number, disks;
    uint64_t admitted; /* slot of the configuration that its folder began with */
    uint8_t joined;    /* its roles (enum duty), if that was not the first one */
    bool lost;         /* its disk is gone, and another instance will begin here */
    bool removed;      /* it was a member, and has ended because it is none any more */
    bool leaves;       /* ... and will after this turn */
    /* What it knows of configurations, in its folder (sim/machine_members.c). */
    struct known newest, before;
    bool alone;              /* the newest is settled */
    node_set heard;          /* first instances that have greeted it in this life */
    bool given, given_first; /* to the node in this life */
    struct payload first;
    struct packet gives[MACHINE_GIVES_MAX];

    uint64_t regoverned; /* the seed of the governed settings in its file (plan_regovern); 0: they are the cluster's */
    struct node_life *life;
    struct disk_sim *disk;
    struct data_folder *folder;
    struct storage storage;
    struct snapshots snapshots;
    struct serializer *observer; /* decodes what leaves and arrives, for the checks */
    struct faults faults;        /* of its disk */
    struct dice dice;

    /* Times of what happens next; UINT64_MAX: never. The world's time. */
    uint64_t arrival_at; /* of the next frame */
    uint64_t wake_at;
    uint64_t busy_until;
    uint64_t blocked; /* so long it waited for its disk in this turn */
    uint64_t paused_until, paused_at;
    uint64_t opening_until;
    uint64_t restart_at;

    /* The clock: the world's time, going faster by `drift` per million, plus `offset`. */
    uint64_t offset;
    int64_t drift;
    int64_t wall_clock_ahead; /* milliseconds, of the true date */
    bool resumes;             /* the next turn still has the time of `paused_at` */

    struct node_network *network; /* in worlds where it is the one that ships; while the machine is up */
    struct config network_config;
    struct config_node network_nodes[PLAN_NODES_MAX];
    struct packet *frames;  /* that it was given last */
    struct packet *sending; /* that it has sent since the last flush */
    size_t frames_capacity, sending_count, sending_capacity;
    uint64_t stalled_until; /* it reads nothing until then */
    uint64_t network_life;  /* in which it sends (frame_life) */
    bool expelled;          /* its network says that it must end */

    struct client_port *port; /* where its clients connect, in worlds that have sockets; while it is up */
    struct config port_config;
    struct config_node port_nodes[PLAN_NODES_MAX];
    struct credit credit;   /* batches that the node would take */
    uint32_t leader;        /* the leader that it has heard of */
    uint8_t proposer_state; /* enum proposer_state, after its last turn */
    struct ballot ballot;   /* the one that it prepares, leads or follows at, after that */
    uint64_t executed;      /* the first slot that it has not executed, after its last turn */
    bool recovered;         /* the node was given all records of the journal */
    uint64_t recovered_to;  /* their last lsn */
    bool stopping;          /* it was asked to finish, and is stopped at `stop_until` in any case */
    uint64_t stop_until;

    struct batch_builder asks; /* what its operator asks */
    uint64_t watch_told;       /* what this life was told that its client port wants to be told */
    uint64_t asks_token;       /* that its answer must have; 0: the last one was answered */
    enum fault asks_for;       /* what kind of thing */
    bool asks_untold;          /* the node has not received it yet */
    uint32_t moves_to;         /* the node that is to lead */
    struct packet *batches;    /* that it was given last, and that request */
    size_t batches_capacity;

    bool power_fails;  /* while the next group is being written */
    uint64_t power_at; /* at this time */

    int64_t fuse; /* effects until it stops in the middle of a turn; negative: not lit */
    enum fault fuse_fault;
    bool dead;                       /* the fuse has burnt down in this turn */
    bool garbage;                    /* in its next turn it also hands out meaningless bytes */
    uint32_t storm;                  /* crashes that are still to come */
    uint32_t kept;                   /* the incarnation of which there is a copy of its disk; 0: none */
    bool ghost;                      /* it runs on that copy: no node must listen to it */
    node_set refused_by;             /* nodes that have refused to listen to its current life */
    uint32_t known[NODE_ID_MAX + 1]; /* the newest incarnation that each other machine knows of it, durably */
    uint64_t other_state;            /* the difference of its state's hash, before slots from `other_from` on; 0: none */
    uint64_t other_from;
    bool diverged; /* it says that its state is not that of a majority */
    bool refuses;  /* it says that its journal is damaged */
    /* They rewrite messages in which it hears of the others' states, and others of its own. What it has received lives on
     * while it sends. */
    struct serializer *hears, *tells;
    struct outgoing *altered;
    size_t altered_capacity;
    struct problem problem; /* its last complaint */
};

/* It is a member, or may come back as one. */
static inline bool machine_is_there(const struct machine *m)
{
    return m->state != MACHINE_RETIRED && m->state != MACHINE_SPARE;
}

/* --- sim/machine_members.c: configurations --- */

enum { MACHINE_BOOTS_BITS = 20 /* of an incarnation: the lower ones; then the number of the instance */ };

/* An address of a machine, and that of its client port. */
void machine_address(uint32_t node, char address[MEMBER_ADDRESS_MAX], char client[MEMBER_ADDRESS_MAX], bool has_port);
void machine_first_instance(uint32_t node, uint8_t instance[MEMBER_INSTANCE_SIZE]);
void machine_members_close(struct machine *m);
/* Its node has learned a configuration, or that the newest one is settled. */
void machine_knows(struct machine *m, uint64_t slot, const struct payload *text);
void machine_settled(struct machine *m, uint64_t slot);
bool machine_knows_instance(const struct machine *m, uint32_t node, const uint8_t instance[MEMBER_INSTANCE_SIZE]);
/* Its settings, with the nodes of the configurations that it knows and that are needed: messages of these are taken. */
struct node_config machine_members(const struct machine *m);
/* The nodes to which its messages go. */
node_set machine_reaches(const struct machine *m);
/* Whether it listens to what this instance sends. */
enum hearing { HEARD, NOT_YET, REFUSED_FOR_GOOD };
enum hearing machine_hears(const struct machine *m, const struct frame_origin *from);
/* A node that is no member dials the others again and again, even if it has nothing to say: they refuse it. */
void machine_greets(struct machine *m);
/* What its host gives to the node now. Returns how many. */
size_t machine_gives(struct machine *m, struct packet given[MACHINE_GIVES_MAX]);
bool machine_may_give(const struct machine *m);
/* With an empty disk it begins as the instance that `informed` knows. */
void machine_join(struct machine *m, const struct machine *informed);

/* What a node reaches outside (sim/machine_ports.c). */
extern const struct ports_operations machine_ports;

/* An empty disk is formatted, for the instance that the machine is. And everything is forgotten that was on the disk before.
 * */
void machine_format(struct machine *m);
void machine_forget(struct machine *m);

/* A machine that is down, with a formatted data folder. Its node reaches `ports`: machine_ports. */
void machine_init(struct machine *m, struct world *w, uint32_t id, const struct ports_operations *ports);
void machine_close(struct machine *m);

/* Opens folder and journal. If that is refused, the machine stays down, or is retired if its disk was harmed. */
void machine_start(struct machine *m);
/* What it opened is durable: the node begins. */
void machine_begin(struct machine *m);
/* One turn, and what the host does after it. */
void machine_turn(struct machine *m);
/* The group in flight is durable, or has failed. */
void machine_flown(struct machine *m);
/* How often its disk refused a call: after that, what failed may be tried again. */
uint64_t machine_refusals(const struct machine *m);
/* Its journal was read, and what that writes takes the disk's time. False: power failed meanwhile, and the process is
 * dead. */
bool machine_has_read(struct machine *m);
/* The node was given all records of the journal. */
void machine_recovered(struct machine *m);
/* Ends the process of this node at once, because of `fault`. It starts again after `delay` microseconds. */
void machine_stop(struct machine *m, enum fault fault, uint64_t delay);
/* Ends the process in which `node` runs, with all its nodes; it starts again `delay` microseconds later. With `power` its
 * disks lose what is not durable. */
void machine_stop_process(struct world *w, uint32_t node, enum fault fault, uint64_t delay, bool power);
/* Its incarnation: number and boots. */
uint32_t machine_incarnation(const struct machine *m);
/* It ends for good because it is no member any more. */
void machine_leave(struct machine *m);
/* It never comes back. */
void machine_retire(struct machine *m);

/* When the machine wants a turn (not when something else happens to it). */
uint64_t machine_turn_at(const struct machine *m);

/* --- sim/machine_snapshots.c: the front of snapshots that ships, in virtual time --- */

bool machine_snapshots_open(struct machine *m, const char *folder);
void machine_snapshots_close(struct machine *m);
/* A life begins; a step is over; what there is to do is begun. */
void machine_snapshots_begin(struct machine *m);
void machine_snapshots_flown(struct machine *m);
void machine_snapshots_go(struct machine *m);
/* As in io/snapshot_front.h. */
void machine_snapshots_ask(struct machine *m, const struct packet *asks, size_t count);
struct packet_list machine_snapshots_told(struct machine *m);

/* --- sim/machine_network.c: the network that ships, or that of sim/network.c, whichever this world has --- */

/* As in struct network_sim_options; the context is the world. */
bool machine_listens(void *context, uint32_t node, const struct frame_origin *to);
/* Whether it takes from this instance of another node what comes outside of all connections. */
bool machine_takes(void *context, uint32_t node, const struct frame_origin *from);
/* The same for a stranger that greets in the name of a node: false, unless it says only what is known of that node. */
bool machine_greeted(void *context, uint32_t node, const struct frame_origin *as);
/* So many others refuse to listen to it that it must end. */
bool machine_expelled(const struct machine *m);

/* Others can connect from here on; all connections end. */
void machine_network_up(struct machine *m);
void machine_network_down(struct machine *m);
/* When the network that ships has something to do. */
uint64_t machine_network_at(const struct machine *m);
void machine_network_run(struct machine *m);
/* As in sim/network.h. What is sent goes out at the next flush, and its words stay valid until then. */
void machine_network_send(struct machine *m, const struct packet *frame);
void machine_network_flush(struct machine *m);
struct packet_list machine_network_receive(struct machine *m);

/* --- sim/machine_clients.c: the port that ships, or that of sim/clients.c, whichever this world has --- */

/* Clients can connect from here on; all connections end. */
void machine_clients_up(struct machine *m);
void machine_clients_down(struct machine *m);
/* When the port that ships has something to do. */
uint64_t machine_port_at(const struct machine *m);
void machine_port_run(struct machine *m);
/* As in sim/clients.h. */
bool machine_clients_waiting(const struct machine *m);
struct packet_list machine_clients_receive(struct machine *m, struct credit credit);
bool machine_clients_reply(struct machine *m, const struct packet *answer, uint64_t slot);
void machine_clients_leader(struct machine *m, uint64_t node, uint64_t round);
void machine_clients_status(struct machine *m, const struct packet *status);

/* What its wall clock shows: milliseconds since 1970. */
uint64_t machine_wall_clock(const struct machine *m, uint64_t now);
/* What its clock shows at the world's time `now`. */
uint64_t machine_clock(const struct machine *m, uint64_t now);

#endif
