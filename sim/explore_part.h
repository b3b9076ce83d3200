/* The parts of an explored cluster, each as a table of what the real code does: its states, numbered, and its steps from
 * state to state. The real code runs a step once, however many worlds take it.
 *
 * A part cannot be copied, because its fields are private. Of a state, the steps that first led to it are kept. To go on
 * from there, a fresh part is led through them again and then takes one more step. Two states are the same when all fields
 * that the part may ever read again are the same. explore_<part>.c writes these down, the only place that knows them.
 *
 * What a part hears in a step, and what it says, are events. In them ballots, values and promises are small numbers (struct
 * explore_words). */
#ifndef SYNOD_SIM_EXPLORE_PART_H
#define SYNOD_SIM_EXPLORE_PART_H

#include "core/base/types.h"
#include "sim/explore.h"
#include "sim/explore_table.h"

/* --- words -------------------------------------------------------------------------------------------------------- */

enum { EXPLORE_BALLOT_NAMES = 64, EXPLORE_LABELS = 12 };

/* Values are named after the ballot and slot in which they were first proposed. */
enum { EXPLORE_NO_VALUE = 0, EXPLORE_NOOP = 1, EXPLORE_VALUES = 2, EXPLORE_FOREIGN_VALUE = UINT8_MAX };

struct explore_vote {
    uint8_t slot, ballot, value;
};
/* What a PROMISE says. */
struct explore_promise {
    uint8_t ballot, from, to, floor, last, count;
    struct explore_vote votes[EXPLORE_SLOTS_MAX];
};

struct explore_words {
    const struct explore_options *options;
    struct ballot ballots[EXPLORE_BALLOT_NAMES]; /* 0: none */
    uint32_t ballot_count;
    struct explore_table promises;
    uint64_t payloads[UINT8_MAX + 1]; /* the bytes of each value */
};

void explore_words_init(struct explore_words *w, const struct explore_options *options);
void explore_words_close(struct explore_words *w);

uint8_t explore_ballot(struct explore_words *w, struct ballot ballot);
uint16_t explore_promise(struct explore_words *w, const struct explore_promise *promise);
static inline const struct explore_promise *explore_promise_at(const struct explore_words *w, uint32_t number)
{
    return explore_table_at(&w->promises, number);
}

/* The value that a client of the leader of `ballot` has for `slot`. */
static inline uint8_t explore_value(const struct explore_words *w, uint8_t ballot, uint32_t slot)
{
    return (uint8_t)(EXPLORE_VALUES + (ballot - 1u) * w->options->slots + slot - 1);
}
/* The ballot that a client's value is named after. */
static inline uint8_t explore_value_ballot(const struct explore_words *w, uint8_t value)
{
    return (uint8_t)((value - EXPLORE_VALUES) / w->options->slots + 1);
}

/* The entry that carries a value, and the value that an entry carries: EXPLORE_FOREIGN_VALUE if it was never made. */
struct entry explore_entry(struct explore_words *w, uint8_t ballot, uint8_t slot, uint8_t value);
uint8_t explore_entry_value(const struct explore_words *w, const struct entry *entry);

/* Proposers are nodes 1 to 3, acceptors 11 to 15. */
enum { EXPLORE_FIRST_PROPOSER = 1, EXPLORE_FIRST_ACCEPTOR = 11, EXPLORE_LEARNER = 21 };

/* The acceptors of the first configuration (0) or the other one (1): bit n is acceptor n. A majority of them is a quorum. */
uint8_t explore_members(const struct explore_options *options, uint32_t configuration);
struct node_config explore_config(const struct explore_options *options, uint32_t node);

/* --- inputs, and what is said ------------------------------------------------------------------------------------- */

enum explore_event_kind {
    /* what a part hears */
    EXPLORE_PREPARE,  /* acceptor: ballot, slot: first one wanted. Proposer, to take a ballot: ballot: highest it heard of */
    EXPLORE_ACCEPT,   /* acceptor, learner: ballot, slot, value */
    EXPLORE_DURABLE,  /* acceptor: one more record is durable */
    EXPLORE_CRASH,    /* acceptor, proposer: it crashes and comes back */
    EXPLORE_PROMISE,  /* proposer: who, number */
    EXPLORE_ACCEPTED, /* proposer, learner: who, ballot, slot */
    EXPLORE_RESIGN,   /* proposer */
    EXPLORE_CHOSEN,   /* learner: ballot, slot: the first one not chosen at it */
    EXPLORE_LEARN,    /* learner: ballot, slot, value. Proposer: value: whether slot 1 has the other configuration */
    /* any: who: number of a permutation. Leads to the state in which it would be if acceptors had these names */
    EXPLORE_RENAME,
    /* what a part says, besides EXPLORE_ACCEPT (proposer), EXPLORE_PROMISE and EXPLORE_ACCEPTED (acceptor) */
    EXPLORE_TAKEN,    /* proposer: ballot, value: number of the configuration with which it prepares */
    EXPLORE_RELEASED, /* learner: slot, value */
};

struct explore_event {
    uint8_t kind;
    uint8_t slot;
    uint8_t who;           /* an acceptor, counted from 0; heard by an acceptor, 1: the disk is done at once */
    uint8_t ballot, value; /* EXPLORE_PROMISE: the lower and the upper half of its number */
};

static inline uint32_t explore_pack(struct explore_event e)
{
    return e.kind | (uint32_t)e.slot << 4 | (uint32_t)e.who << 8 | (uint32_t)e.ballot << 16 | (uint32_t)e.value << 24;
}
static inline struct explore_event explore_unpack(uint32_t packed)
{
    return (struct explore_event){.kind = packed & 15,
                                  .slot = packed >> 4 & 15,
                                  .who = packed >> 8 & 255,
                                  .ballot = packed >> 16 & 255,
                                  .value = (uint8_t)(packed >> 24)};
}

static inline struct explore_event explore_prepare_event(uint8_t ballot, uint32_t slot)
{
    return (struct explore_event){.kind = EXPLORE_PREPARE, .slot = (uint8_t)slot, .ballot = ballot};
}
static inline struct explore_event explore_accept_event(uint8_t ballot, uint32_t slot, uint8_t value)
{
    return (struct explore_event){.kind = EXPLORE_ACCEPT, .slot = (uint8_t)slot, .ballot = ballot, .value = value};
}
static inline struct explore_event explore_accepted_event(uint32_t who, uint8_t ballot, uint32_t slot)
{
    return (struct explore_event){.kind = EXPLORE_ACCEPTED, .slot = (uint8_t)slot, .who = (uint8_t)who, .ballot = ballot};
}
static inline struct explore_event explore_promise_event(uint32_t who, uint16_t number)
{
    return (struct explore_event){
        .kind = EXPLORE_PROMISE, .who = (uint8_t)who, .ballot = (uint8_t)number, .value = (uint8_t)(number >> 8)};
}
static inline uint16_t explore_promise_number(struct explore_event e) { return (uint16_t)(e.ballot | e.value << 8); }

/* --- parts -------------------------------------------------------------------------------------------------------- */

enum { EXPLORE_SAID_MAX = 32, EXPLORE_KEY_BYTES = 192 };

/* What a part says in a step, and the check that it broke (EXPLORE_CHECKS: none). */
struct explore_saying {
    struct explore_event said[EXPLORE_SAID_MAX];
    uint8_t count;
    uint8_t broken;
};

/* What the search must see of a state. */
struct explore_sight {
    uint8_t mode;                          /* proposer: enum explore_mode */
    uint8_t ballot;                        /* proposer: its latest */
    uint8_t first;                         /* proposer that leads: it says that [first, chosen) is chosen */
    uint8_t chosen;                        /* ... learner: everything below */
    uint8_t knows;                         /* proposer: enum explore_knowledge */
    uint8_t sent;                          /* proposer that leads: it has sent everything below */
    uint8_t behind;                        /* acceptor: records that are not durable */
    uint8_t wanted[EXPLORE_ACCEPTORS_MAX]; /* proposer that prepares: first slot that each acceptor owes it; 0: none */
};
/* What a proposer knows of slot 1, where a configuration may be chosen. */
enum explore_knowledge { EXPLORE_NOTHING, EXPLORE_UNCHANGED, EXPLORE_CHANGED };
enum explore_mode { EXPLORE_IDLE, EXPLORE_PREPARING, EXPLORE_LEADING };

/* The fields of a state. */
struct explore_key {
    uint8_t bytes[EXPLORE_KEY_BYTES];
    size_t len, size;
};
void explore_key_add(struct explore_key *key, uint64_t number); /* below 256 */
void explore_say(struct explore_saying *saying, struct explore_event said);

/* A kind of part. `root` tells parts of one kind apart from the start (which proposer). */
struct explore_part_kind {
    size_t key_bytes; /* at most */
    void *(*make)(struct explore_words *words, uint32_t root);
    void (*drop)(void *node);
    void (*apply)(void *node, struct explore_event input, struct explore_saying *saying);
    /* The last call before drop; it may change the node. */
    void (*look)(void *node, struct explore_sight *sight, struct explore_key *key);
};
extern const struct explore_part_kind explore_acceptor, explore_proposer, explore_learner;

struct explore_step {
    uint32_t next; /* state */
    uint32_t said; /* where in explore_part.said */
    uint8_t count;
    uint8_t broken;
};

struct explore_part {
    const struct explore_part_kind *kind;
    struct explore_words *words;
    struct explore_table states; /* by key */
    struct explore_origin {
        uint32_t before; /* EXPLORE_NONE: a root */
        uint32_t input;  /* a root: its number */
    } *origins;
    struct explore_sight *sights;
    size_t origin_capacity, sight_capacity;
    struct explore_known_step {
        uint32_t state, input; /* EXPLORE_NONE: free */
        uint32_t next;
        uint32_t loud; /* number in loud_steps, if it says or breaks anything; otherwise EXPLORE_NONE */
    } *steps;          /* open addressing; the steps of a state are close together */
    size_t step_places, step_count;
    struct explore_step *loud_steps;
    size_t loud_count, loud_capacity;
    struct explore_event *said;
    size_t said_count, said_capacity;
    const uint8_t (*permutations)[EXPLORE_ACCEPTORS_MAX]; /* for RENAME: the new name of each acceptor */
};

void explore_part_init(struct explore_part *part, const struct explore_part_kind *kind, struct explore_words *words);
void explore_part_close(struct explore_part *part);

/* The state in which part number `root` begins. */
uint32_t explore_part_root(struct explore_part *part, uint32_t root);

struct explore_step explore_part_step(struct explore_part *part, uint32_t state, struct explore_event input);

static inline const struct explore_sight *explore_part_sight(const struct explore_part *part, uint32_t state)
{
    return &part->sights[state];
}

/* True when a step changes nothing and says nothing. */
static inline bool explore_step_is_idle(const struct explore_step *step, uint32_t state)
{
    return step->next == state && step->count == 0 && step->broken == EXPLORE_CHECKS;
}

#endif
