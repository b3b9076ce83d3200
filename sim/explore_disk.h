/* What may happen to an acceptor whose disk falls behind and which then crashes: it has got messages, in some order, whose
 * records are lost, and it may have said something about them.
 *
 * An acceptor whose disk is behind, and that says nothing about that (P2), makes no difference to others until the disk has
 * caught up. Then it is as if the messages had arrived only then; messages stay in the network, so they can. So in the
 * worlds of an exploration disks are done at once. All that may happen while a disk is behind is tried here, for each state
 * of an acceptor and each set of messages that may reach it: every order of every choice of them, with records becoming
 * durable one by one. Two things are checked:
 *
 * - A crash at any point leaves the acceptor as it was before the first message whose record is lost, and nothing has been
 *   said about later messages. Anything else is an outcome, and the exploration goes on from it. - The first record that
 *   becomes durable leads to the state in which the acceptor would be if the disk had been done with that record at once,
 *   and had fallen behind with the next one. What is said then would have been said there, too.
 *
 * To an acceptor a ballot is higher or lower than another one, and a value is bytes. So this is done once for all states and
 * messages that differ only in the names of ballots and in values: ballots have labels, in their order, each with a value of
 * its own. */
#ifndef SYNOD_SIM_EXPLORE_DISK_H
#define SYNOD_SIM_EXPLORE_DISK_H

#include "sim/explore_part.h"

struct explore_model;
struct explore_world;

enum { EXPLORE_MESSAGES_MAX = EXPLORE_BALLOTS_MAX * (EXPLORE_SLOTS_MAX + 1) };

/* Messages that an acceptor gets before it crashes, with a result different from nothing having happened. */
struct explore_outcome {
    struct explore_event messages[EXPLORE_MESSAGES_MAX]; /* in labels */
    uint32_t count;
};
/* A number of outcomes, by their numbers. */
struct explore_outcomes {
    uint32_t first, count;
};

/* An acceptor's state in labels, in a world. */
struct explore_labelled {
    uint32_t state;                      /* of m->lagging */
    uint8_t labels[EXPLORE_BALLOTS_MAX]; /* of the world's ballots */
};

struct explore_disks {
    struct explore_table inboxes; /* an acceptor in labels, and what it may get */
    struct explore_outcomes *by_inbox;
    struct explore_outcome *outcomes;
    size_t by_inbox_capacity, outcome_count, outcome_capacity;
    struct explore_table labellings; /* an acceptor, and the ballots of a world */
    struct explore_labelled *labelled;
    size_t labelled_capacity;
    uint64_t behind; /* states behind the disk, over all inboxes */
};

void explore_disks_init(struct explore_disks *d);
void explore_disks_close(struct explore_disks *d);

/* What may happen to an acceptor of `world` that crashes. */
struct explore_outcomes explore_disk_outcomes(struct explore_model *m, const struct explore_world *world, uint32_t acceptor);

/* The messages of an outcome as they are in `world`. Returns their number. */
uint32_t explore_disk_messages(struct explore_model *m, const struct explore_world *world, uint32_t acceptor,
                               uint32_t outcome, struct explore_event *messages);

#endif
