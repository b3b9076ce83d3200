/* The common part of all components with sockets: settings and a log, a loop of their own, and one end for all when one
 * cannot go on. Nothing is opened before the first call, because there is no signal when the others are there. */
#ifndef SYNOD_COMPONENTS_WASI_PART_H
#define SYNOD_COMPONENTS_WASI_PART_H

#include "components/shim.h"
#include "components/wasi/loop.h"
#include "io/config_packet.h"
#include "io/network.h"

struct part {
    uv_loop_t loop;
    struct node_settings settings;
    struct logger *logger;
    bool ran; /* part_run was called since the last part_waits */
};

/* Reads the settings. Anything else ends the node. */
void part_open(struct part *p);

/* Who belongs to the cluster, as far as the host knows now, and by hearsay. */
void part_roster(const struct part *p, struct roster *roster, struct roster *hearsay);

/* Logs the problem and ends the node with its exit code. */
_Noreturn void part_fail(const struct part *p, const struct problem *problem);

/* Does what can be done without waiting. */
void part_run(struct part *p);

/* The same before part_waits, unless the turn has called it: what becomes ready afterwards will still be ready when it is
 * waited for. Asking all sockets again would cost as much as waiting for them. */
void part_run_once(struct part *p);

/* What to wait for after that. `input`: there is something for a turn, so there is no need to wait. */
struct waits part_waits(struct part *p, bool input);

/* ---- part_network.c: a part that is one end of the network, or both ---- */

struct network_part {
    struct part part;
    struct network *network;
    bool input; /* frames have arrived */
    bool early; /* a node was refused that the host may know of by now */
};

/* Opens the network if it is not open yet. */
void network_part_open(struct network_part *n, network_opener *open, bool sends, bool receives);

struct packet_list network_part_receive(struct network_part *n);

struct waits network_part_waits(struct network_part *n);

#endif
