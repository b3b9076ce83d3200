/* Exhaustive exploration: where the simulator rolls dice, this tries everything. A small cluster of the real core (proposer,
 * acceptor with its agent, learner) is taken through every order in which messages, disks, time-outs and crashes may take
 * effect, breadth first. Each state is met once. If nothing is found, nothing is there, within the bounds that the options
 * set. sim/explore.c says what is left out, and why that loses nothing.
 *
 * Loss needs no option: a lost message is one that is not delivered, and the search always also explores what follows if a
 * message stays where it is. */
#ifndef SYNOD_SIM_EXPLORE_H
#define SYNOD_SIM_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXPLORE_ACCEPTORS_MAX = 5,
    EXPLORE_PROPOSERS_MAX = 3,
    EXPLORE_SLOTS_MAX = 3,
    EXPLORE_BALLOTS_MAX = 4,
    EXPLORE_CRASHES_MAX = 2
};

/* The rules (docs/rules.md) that every state must keep, and the search's own premises. */
enum explore_check {
    EXPLORE_AGREEMENT,            /* no two values are chosen in a slot, and a learner releases the chosen one only */
    EXPLORE_VALIDITY,             /* only client values and no-ops are proposed */
    EXPLORE_ONE_VALUE_PER_BALLOT, /* no two values are proposed in a slot at one ballot */
    EXPLORE_BALLOT_UNIQUE,        /* no ballot is taken twice, and each names its proposer */
    EXPLORE_PROMISE_DURABLE,      /* what recovery would find holds every promise that was answered */
    EXPLORE_VOTE_DURABLE,         /* ... and every vote */
    EXPLORE_CHOSEN_TRUE,          /* what a leader that has heard votes, or a learner, calls chosen is chosen */
    EXPLORE_CONFIGURATIONS,       /* a slot is proposed at a ballot prepared with what governs it, when that is decided */
    EXPLORE_PREMISE,              /* what is left out of the search makes no difference */
    EXPLORE_CHECKS
};

const char *explore_check_name(enum explore_check check); /* "Agreement", "OneValuePerBallot", ... */

/* Mistakes to plant around the real parts, to show that each check finds something. (Those of mutants/ are found, too, where
 * they matter here, but they are in no build that ships.) */
enum explore_flaw {
    EXPLORE_SOUND,
    EXPLORE_EARLY_ANSWERS,    /* acceptors answer before their records are durable */
    EXPLORE_LOST_PROMISES,    /* acceptors forget promises in a crash */
    EXPLORE_SMALL_QUORUM,     /* one promise elects a leader */
    EXPLORE_HIDDEN_VOTES,     /* promises do not contain votes */
    EXPLORE_TWO_VALUES,       /* a leader proposes a no-op as well as what it has */
    EXPLORE_MADE_UP_VALUE,    /* a leader proposes what no client has sent */
    EXPLORE_SAME_INCARNATION, /* a proposer comes back with the incarnation that it had */
    EXPLORE_EARLY_CHOSEN,     /* a leader calls chosen what it has proposed */
    EXPLORE_VOTES_BY_SLOT,    /* a leader counts votes at any ballot */
    EXPLORE_CHOSEN_BY_SLOT,   /* a learner believes "chosen" without its ballot */
    EXPLORE_NARROW_WINDOW,    /* a leader proposes one slot at a time, which the search does not know */
    EXPLORE_OVER_BOUNDARY,    /* with a change: a leader proposes where it does not know which configuration governs */
    EXPLORE_NOT_ANEW,         /* ... goes on at its ballot where the other configuration governs */
    EXPLORE_FLAWS
};

/* What the values of the first proposer's clients are in slot 1: with a change, each is the same other configuration, which
 * governs from slot 2 on if one is chosen (P11). Those of other proposers are any values. */
enum explore_change {
    EXPLORE_NO_CHANGE, /* any value */
    EXPLORE_REPLACED,  /* first all acceptors but the last, then all but the first */
    EXPLORE_ADDED,     /* first all acceptors but the last, then all */
};

struct explore_progress {
    uint64_t states, transitions;
    uint64_t waiting; /* states whose successors are not known yet */
    uint32_t depth;
};

struct explore_options {
    uint32_t acceptors, proposers; /* a majority of the acceptors is a quorum */
    bool learners;                 /* whether to take a learner through all that it may hear */
    uint32_t slots;
    uint32_t ballots;         /* taken in all */
    uint32_t crashes;         /* in all, of acceptors and proposers */
    uint32_t alpha;           /* slots in flight; 0: as many as there are */
    uint32_t chunk_bytes_max; /* of a promise, a value being 8 bytes; 0: a promise is one chunk */
    uint64_t states_max;      /* the search gives up beyond; 0: never */
    uint8_t flaw;             /* enum explore_flaw */
    uint8_t change;           /* enum explore_change; then there are no learners, and two slots at least */
    uint32_t unchecked;       /* bit n: check number n is left out, to see what follows from breaking it */
    void (*progress)(void *context, const struct explore_progress *progress); /* now and then; may be NULL */
    void *context;
};

struct explore_result {
    uint64_t states, transitions;
    uint32_t depth;        /* transitions on the shortest path to the farthest state */
    uint64_t behind;       /* states of acceptors whose disk is behind (sim/explore_disk.h) */
    uint64_t boards;       /* different sets of what learners may hear (sim/explore_listen.h) */
    uint64_t boards_heard; /* those of them that a learner had to be taken through */
    uint64_t learnings;    /* states of learners, over all of these */
    uint64_t part_states;  /* states of a single part: what the real code was run for */
    uint64_t part_steps;   /* ... and its steps */
    bool finished;         /* every state was met; otherwise a check failed, or states_max was reached */
    const char *failed;    /* the name of the check that failed, NULL: none */
    char *path;            /* the shortest path there, and what is wrong; one line for each transition */
};

/* The standard configuration: 3 acceptors, 2 proposers, learners, 2 slots, 3 ballots, one crash; a promise tells of one vote
 * at a time. */
struct explore_options explore_standard(void);

/* With a change, from 3 of 4 acceptors to other 3, or to all: two proposers, 2 slots, 3 ballots, no crash. */
struct explore_options explore_change(enum explore_change change);

/* NULL when `options` are within the bounds above; otherwise what is wrong with them. */
const char *explore_problem(const struct explore_options *options);

/* Explores; `options` must have no problem. True when every state was met and nothing failed. The result's path is
 * released by explore_result_close. */
bool explore_run(const struct explore_options *options, struct explore_result *result);
void explore_result_close(struct explore_result *result);

#endif
