/* The parts that only listen. What a leader makes of the votes that it hears, and all that a learner does, has no effect on
 * proposers and acceptors (but see explore_leader_check). So the worlds are explored without that. These two are taken
 * separately through everything that they may hear, in every order:
 *
 * - a leader, as elected, through every set of votes for what it has proposed; - a learner through every *board*: all that
 *   was ever sent to learners in some world. Messages stay on a board for ever, so a learner may have heard any of them in
 *   any order, or not.
 *
 * A board keeps only what makes a difference to a learner: which ballots proposed what, in the order of ballots, and who
 * voted. Acceptors and ballots have labels. A board on which one more vote chooses nothing more need not be tried itself:
 * what a learner may do there, it may also do with the vote, and the same is chosen. */
#ifndef SYNOD_SIM_EXPLORE_LISTEN_H
#define SYNOD_SIM_EXPLORE_LISTEN_H

#include "sim/explore_world.h"

/* Takes a leader through all votes that it may hear from `state` on, where it has heard none (ChosenTrue). Unless votes are
 * messages of the world, also checks the premises: nothing that it hears makes it say anything; when it takes another
 * ballot, with or without resigning before, nothing is left of that; and votes at the old ballot have no effect. */
void explore_leader_check(struct explore_model *m, uint32_t state);

struct explore_boards {
    struct explore_table table;
    uint32_t *worlds; /* by board: the first world that has it */
    size_t world_capacity;
    uint64_t heard, learnings; /* as in struct explore_result */
};

void explore_boards_init(struct explore_boards *b);
void explore_boards_close(struct explore_boards *b);

/* Adds the board of a world. */
void explore_boards_add(struct explore_model *m, struct explore_boards *b, const struct explore_world *world,
                        uint32_t number);

/* Takes a learner through all boards. Returns the number of a board on which it breaks a rule (m->failed says how),
 * otherwise EXPLORE_NONE. */
uint32_t explore_boards_hear(struct explore_model *m, struct explore_boards *b);

/* How a learner comes to break a rule on the board of `world`: a line for each message that it gets. */
void explore_board_way(struct explore_model *m, const struct explore_world *world, const uint8_t *names, explore_line *line,
                       void *context);

#endif
