/* The clients of a simulated world. Each keeps a connection to some node, sends some commands at once, waits for all
 * answers, and goes on. It follows -MOVED, backs off after -BUSY, goes elsewhere when its node is gone, and never repeats a
 * command that may have been executed, unless it has a session: then it sends it again, until it has an answer.
 *
 * In most worlds a node's client port is part of this file: it gathers what its clients sent into batches, as
 * io/client_batches.c does. In worlds with sockets, clients speak RESP with the port that ships (sim/uv_port.h), and check
 * that replies come in the order of their requests and that none is another's. What was sent and answered is a history
 * (sim/history.h) for the judge. Tokens never repeat, and every batch begins with a command of its own that
 * names the token (PUBLISH; GET where it is reads only), so no two batches have the same bytes.
 *
 * A refused command is sent again, as the same operation. Now and then its client drops it, and then the history says that
 * it never happened. While all is well, a client's round of 1 to pipeline_max commands takes think_us and the latency L of
 * an answer. So clients make count * (1 + pipeline_max) / 2 operations every think_us + L. */
#ifndef SYNOD_SIM_CLIENTS_H
#define SYNOD_SIM_CLIENTS_H

#include "core/base/types.h"
#include "core/formats/packet.h"
#include "sim/dice.h"
#include "sim/history.h"
#include "sim/sockets.h"

struct clients;

struct clients_options {
    uint64_t seed;
    uint32_t count;              /* clients */
    uint32_t pipeline_max;       /* commands that a client sends at once */
    uint64_t think_us;           /* on average, between answers and the next commands */
    uint64_t patience_us;        /* after which a client gives up, with the outcome unknown */
    uint32_t keys;               /* in use at a time; after some operations a new key replaces an old one */
    uint32_t value_bytes_max;    /* some values are padded to this (in the command only: see operation.value) */
    uint32_t long_value_once_in; /* one of so many, of the values that are not read as numbers or appended to */
    uint32_t batch_commands_max;
    uint32_t reads_rate;     /* rounds of a client that are reads only, per million */
    uint32_t readers;        /* so many clients do nothing but read; every second one at any node (READONLY) */
    uint32_t stale_ms;       /* those also by a state that may be so old (READONLY STALE); 0: not */
    node_set states;         /* nodes that have one */
    bool may_be_refused;     /* by the state machine: it is small, or the replies of a batch have little room */
    bool sessions;           /* clients open sessions, and send what writes in them */
    bool leases;             /* some keys end by themselves */
    bool transactions;       /* one changes a counter and its twin; not where commands may be refused, or with sockets */
    node_set ports;          /* nodes with a client port */
    struct sockets *sockets; /* borrowed; NULL: clients give commands to ports of their own */
    struct history *history; /* borrowed */
};

struct clients *clients_new(const struct clients_options *options);
void clients_free(struct clients *c);

/* When a client wants to do something next; UINT64_MAX: when an answer comes. */
uint64_t clients_next(const struct clients *c);
/* Does what clients want to do by now. Returns the nodes at which commands wait now that did not before. */
node_set clients_run(struct clients *c, uint64_t now);
/* True when commands wait at `node` of which it would take a batch with this credit. */
bool clients_waiting(const struct clients *c, uint32_t node, struct credit credit);

/* --- ports of a world without sockets --- */

/* The node's client port: at most `credit` batches (packet id: token, kind: number of commands). Valid until the next call.
 */
struct packet_list clients_receive(struct clients *c, uint32_t node, struct credit credit, uint64_t now);
/* Answers (wit/io.wit, client-server.reply). False: a token that is not waited for, or replies that do not fit the
 * commands. */
bool clients_reply(struct clients *c, uint32_t node, const struct packet *answers, size_t count, uint64_t now);
/* Hears which node leads (0: none), as the node's port does. While another node leads, its clients are told at once. */
void clients_leader(struct clients *c, uint32_t node, uint32_t leader);
/* The node's port keeps commands for it while another node leads (node_config.forward). False again after
 * clients_node_up. */
void clients_forward(struct clients *c, uint32_t node, bool forward);
/* The node's port gathers at most so many commands in a batch; until it is told, options.batch_commands_max. */
void clients_limit_batches(struct clients *c, uint32_t node, uint32_t commands_max);
/* The node is up with an empty client port, or gone. What its clients waited for is unknown; what no batch had yet is
 * refused. */
void clients_node_up(struct clients *c, uint32_t node, uint64_t now);
void clients_node_down(struct clients *c, uint32_t node, uint64_t now);
/* The node's process stands still until then. Commands for which its port has no room have no answer, not even BUSY. */
void clients_node_pauses(struct clients *c, uint32_t node, uint64_t until);

/* --- all worlds --- */

/* A token that no batch has had. */
uint64_t clients_token(struct clients *c);
/* What was wrong with a reply that a client read; NULL: nothing so far. */
const char *clients_wrong(const struct clients *c);

/* Clients know that the node has a port, or that it has none (any more). At first all of options.ports are known. */
void clients_serve(struct clients *c, uint32_t node, bool serves);
/* No client begins anything new from now on. */
void clients_stop(struct clients *c);
/* Every command has its answer, and every batch. After clients_resume: and every key in use was read. */
bool clients_done(const struct clients *c);
/* Begins again after clients_stop: one read of each key in use, through any node, to see that the cluster serves. Failed
 * reads are repeated. */
void clients_resume(struct clients *c, uint64_t now);

struct clients_statistics {
    uint64_t commands, executed, refused, unknown; /* operations begun, and their outcomes */
    uint64_t batches;                              /* handed to nodes */
    uint64_t no_reply_room, no_state_room;         /* commands that the state machine refused */
    uint64_t moved, busy;                          /* answers of commands that were refused so, perhaps only for a while */
};
struct clients_statistics clients_statistics(const struct clients *c);

#endif
