/* A node's client port as it ships (io/client_server.h), in the simulated world. This header has no type of libuv's, so that
 * files that are compiled against the real one can use it.
 *
 * Batches are handed on with a command of the simulation in front (PUBLISH of the token; GET where it is reads only), so
 * that no two have the same bytes; its reply is taken off the answer again. */
#ifndef SYNOD_SIM_UV_PORT_H
#define SYNOD_SIM_UV_PORT_H

#include "core/formats/packet.h"
#include "io/config.h"
#include "sim/sockets.h"

struct client_port;

/* Where clients find it, on the host that has the node's number: in the configuration, too. */
enum { CLIENT_PORT_NUMBER = 6379 };

struct client_port_options {
    struct sockets *sockets;          /* outlives the port */
    const struct config *config;      /* the same */
    uint32_t node;                    /* the host that it listens on */
    uint64_t (*token)(void *context); /* one that no batch had */
    void *context;
};

bool client_port_open(struct client_port **out, const struct client_port_options *options, struct problem *problem);
/* The process ends: its system closes all connections. */
void client_port_kill(struct client_port *p);

/* When its loop has something to do; UINT64_MAX: not before something else happens. */
uint64_t client_port_next(struct client_port *p);
/* One iteration of its loop. */
void client_port_run(struct client_port *p);

/* As in io/client_server.h. */
bool client_port_waiting(const struct client_port *p, struct credit credit);
struct packet_list client_port_receive(struct client_port *p, struct credit credit);
/* False: it is an answer to no batch, or does not fit the commands. */
bool client_port_reply(struct client_port *p, const struct packet *answer, uint64_t slot);
void client_port_leader(struct client_port *p, uint64_t node, uint64_t round);
/* What the node says of itself (ports_client_status). */
void client_port_status(struct client_port *p, const struct packet *status);

/* Batches that the node has not answered. */
size_t client_port_in_flight(const struct client_port *p);
/* Whether what the port counts is what it holds, and no more than its bounds. NULL: so it is; otherwise what is wrong.
 * After an iteration, or an answer. */
const char *client_port_audit(struct client_port *p);

/* It keeps as much for its clients as it may. */
bool client_port_full(const struct client_port *p);

#endif
