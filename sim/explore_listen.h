/* The parts that only listen. What a leader makes of the votes it hears, and all that a learner does, has no effect on
 * proposers and acceptors (but see explore_leader_check); so the worlds are explored without, and these two are taken
 * through everything that they may hear, in every order, on their own:
 *
 *  - a leader, as elected, through every set of votes for what it has proposed;
 *  - a learner through every *board*: all that was ever sent to learners in some world. Messages stay on a board for
 *    ever, so a learner may have heard any of them in any order, or not.
 *
 * Of a board only what makes a difference to a learner is kept: which ballots proposed what, in the order of ballots, and
 * who voted; acceptors and ballots go by labels. A board on which one more vote chooses nothing more need not be tried
 * itself: what a learner may do there, it may do with the vote there, too, and is held to the same choices. */
#ifndef SYNOD_SIM_EXPLORE_LISTEN_H
#define SYNOD_SIM_EXPLORE_LISTEN_H

#include "sim/explore_world.h"

/* Takes a leader through all votes that it may hear from `state` on, where it has heard none (CHOSEN true). Unless votes
 * are messages of the world, also sees to the premises: nothing that it hears makes it say anything; when it takes
 * another ballot, with or without resigning before, nothing is left of it, and votes at the old ballot are nothing to it. */
void explore_leader_check(struct explore_model *m, uint32_t state);

struct explore_boards {
    struct explore_table table;
    uint32_t *worlds; /* by board: the first world that has it */
    size_t world_capacity;
    uint64_t heard, learnings; /* as in struct explore_result */
};

void explore_boards_init(struct explore_boards *b);
void explore_boards_close(struct explore_boards *b);

/* Notes the board of a world. */
void explore_boards_add(struct explore_model *m, struct explore_boards *b, const struct explore_world *world,
                        uint32_t number);

/* Takes a learner through all boards. The number of one on which it breaks a rule (m->failed says how), else
 * EXPLORE_NONE. */
uint32_t explore_boards_hear(struct explore_model *m, struct explore_boards *b);

/* A learner's way to break a rule on the board of `world`: a line for each message that it gets. */
void explore_board_way(struct explore_model *m, const struct explore_world *world, const uint8_t *names, explore_line *line,
                       void *context);

#endif
