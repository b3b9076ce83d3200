/* The worlds of an exploration: one state of every part, and what is in the network between them; and the moves from world
 * to world. In the network are:
 *
 *   PREPARE   of each ballot that was taken (sent), to each acceptor, from then on for ever
 *   ACCEPT    of each ballot and slot that a leader proposed a value in (sent.values), likewise
 *   ACCEPTED  of each vote (sent.voters), likewise
 *   PROMISE   to a proposer that still prepares its ballot, until it takes it
 *
 * So any message may be late, come twice, or never, and overtake any other. */
#ifndef SYNOD_SIM_EXPLORE_WORLD_H
#define SYNOD_SIM_EXPLORE_WORLD_H

#include "sim/explore_disk.h"
#include "sim/explore_part.h"

struct explore_sent {
    uint8_t ballot;
    uint8_t members; /* acceptors with which it was prepared, and to which it proposes: bit n is acceptor n */
    uint8_t values[EXPLORE_SLOTS_MAX];
    uint8_t voters[EXPLORE_SLOTS_MAX]; /* bit n: acceptor n */
};

struct explore_world {
    uint32_t acceptors[EXPLORE_ACCEPTORS_MAX]; /* states of parts */
    uint32_t proposers[EXPLORE_PROPOSERS_MAX];
    uint16_t promises[EXPLORE_PROPOSERS_MAX][EXPLORE_ACCEPTORS_MAX]; /* to the proposer, from the acceptor; 0: none */
    struct explore_sent sent[EXPLORE_BALLOTS_MAX];                   /* by ballot, in their order */
    uint16_t crashes;                                                /* that may still come */
};

enum explore_move_kind {
    MOVE_TAKE_BALLOT, /* proposer, ballot: the one it has taken */
    MOVE_COME_BACK,   /* the same, after a crash */
    MOVE_PROMISE,     /* proposer, acceptor: it gets the promise */
    MOVE_ACCEPTED,    /* proposer, acceptor, slot: it gets the vote */
    MOVE_LEARN,       /* proposer: it learns what was chosen in slot 1 */
    MOVE_PREPARE,     /* acceptor, ballot, slot: it gets the PREPARE, and its disk is done at once */
    MOVE_ACCEPT,      /* acceptor, ballot, slot: likewise, the ACCEPT */
    MOVE_CRASH,       /* acceptor, outcome: its disk falls behind, and it crashes and comes back (sim/explore_disk.h) */
};

struct explore_move {
    uint8_t kind;
    uint8_t proposer, acceptor, ballot, slot;
    uint32_t outcome;
};

enum { EXPLORE_PERMUTATIONS_MAX = 120 };

/* What all worlds of an exploration have in common. */
struct explore_model {
    const struct explore_options *options;
    struct explore_words words;
    struct explore_words labels; /* ballots by their rank, where only that matters */
    struct explore_part acceptors, proposers;
    struct explore_part learners, lagging; /* in labels; lagging: acceptors whose disks fall behind */
    uint8_t permutations[EXPLORE_PERMUTATIONS_MAX][EXPLORE_ACCEPTORS_MAX]; /* the new name of each acceptor */
    uint32_t permutation_count;
    struct explore_disks disks;
    struct explore_table leaders; /* states of proposers that explore_leader_check has checked */
    const char *failed;           /* the first broken rule, and how */
    char text[512];
};

void explore_model_init(struct explore_model *m, const struct explore_options *options);
void explore_model_close(struct explore_model *m);

/* What is wrong when PromiseDurable or VoteDurable is broken. */
#define EXPLORE_NOT_DURABLE "what a crash would leave does not hold all that was answered"

/* A rule is broken, unless the options say not to check it. */
void explore_fail(struct explore_model *m, uint8_t check, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "1.P2": round 1 of proposer 2; with its incarnation unless that is 1. One of some buffers that are used in turn. */
const char *explore_ballot_text(const struct explore_words *words, uint8_t ballot);
const char *explore_value_text(const struct explore_words *words, uint8_t value);

void explore_world_init(struct explore_model *m, struct explore_world *world);

/* Calls `visit` for every move that changes something, with the world that it leads to, until that returns false. A move
 * that breaks a rule is visited, too: m->failed says so. */
typedef bool explore_visit(void *context, const struct explore_move *move, const struct explore_world *next);
void explore_world_moves(struct explore_model *m, const struct explore_world *world, explore_visit *visit, void *context);

/* A line for each thing that happens in a move of `world`, with the acceptors' names. */
typedef void explore_line(void *context, const char *text);
void explore_move_text(struct explore_model *m, const struct explore_world *world, const struct explore_move *move,
                       const uint8_t *names, explore_line *line, void *context);

/* A set of acceptors when they have other names. */
static inline uint8_t explore_renamed_set(uint8_t set, const uint8_t *names)
{
    uint8_t result = 0;
    for (uint32_t a = 0; set >> a != 0; a++)
        if (set >> a & 1)
            result |= (uint8_t)(1 << names[a]);
    return result;
}

/* The first slot that the PREPARE of this ballot asks an acceptor for. */
static inline uint8_t explore_world_wanted(const struct explore_model *m, const struct explore_world *world, uint8_t ballot,
                                           uint32_t acceptor)
{
    for (uint32_t p = 0; p < m->options->proposers; p++) {
        const struct explore_sight *sight = explore_part_sight(&m->proposers, world->proposers[p]);
        if (sight->ballot == ballot && sight->mode == EXPLORE_PREPARING && sight->wanted[acceptor] != 0)
            return sight->wanted[acceptor];
    }
    return 1;
}

/* True when nothing that a leader hears from acceptors can make it propose more: see sim/explore_listen.h. */
static inline bool explore_votes_are_apart(const struct explore_options *o) { return o->alpha == 0 || o->alpha >= o->slots; }

/* A world as bytes, explore_world_bytes of them, the last one its crashes. Worlds that differ in the names of acceptors
 * only have the same bytes; the permutation's number is returned: its name for each acceptor of `world` is that in the
 * bytes. */
enum { EXPLORE_WORLD_BYTES = 128 };
size_t explore_world_bytes(const struct explore_options *options);
uint32_t explore_world_pack(struct explore_model *m, const struct explore_world *world, uint8_t *bytes);
void explore_world_unpack(const struct explore_options *options, const uint8_t *bytes, struct explore_world *world);

#endif
