/* What the parts that talk to sockets have in common: settings and a log, a loop of their own, and an end for all when
 * one cannot go on. Nothing is opened before the first call, since nobody says when the others are there. */
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
    bool settled; /* part_run has been called since the last part_waits */
};

/* Reads the settings; what is no settings ends the node. */
void part_open(struct part *p);

/* Logs the problem and ends the node with its exit code. */
_Noreturn void part_fail(const struct part *p, const struct problem *problem);

/* Does what can be done without waiting. */
void part_run(struct part *p);

/* The same before part_waits, unless the turn has done it: what is ready since then will still be when it is waited for.
 * To ask all sockets again would cost as much as to wait for them. */
void part_settle(struct part *p);

/* What to wait for after that; `input`: there is something for a turn, so nobody need wait. */
struct waits part_waits(struct part *p, bool input);

/* ---- part_network.c: a part that is one end of the network, or both ---- */

struct network_part {
    struct part part;
    struct network *network;
    bool input; /* frames have arrived */
};

/* Opens the network if it is not open yet. */
void network_part_open(struct network_part *n, network_opener *open, bool sends, bool receives);

struct packet_list network_part_receive(struct network_part *n);

struct waits network_part_waits(struct network_part *n);

#endif
