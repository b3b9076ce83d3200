/* Do all learners have the same state (P13)? Each tells the others the hash of its state at some slots. Two hashes are
 * compared so, each in a struct of its own: the chained one at slots that are multiples of AGREEMENT_INTERVAL, where a
 * learner that differs at one slot differs at all later ones; and the checksum of each snapshot. A part of the learner
 * agent.
 *
 *  1. A learner that has never heard of a different state goes on.
 *  2. Once it has heard of one, it needs evidence that it is with a majority: enough learners, including itself, that had
 *     the same hash at the slot where the difference was found, or later. That a majority might still agree is not enough: a
 *     learner that has not spoken may have stopped because it differs, too.
 *  3. Until it has that evidence it is in doubt: it executes and tells its hash, but answers no client.
 *  4. It stops when so many differ that no majority can agree with it, or when it has been in doubt for AGREEMENT_PATIENCE
 *     intervals. Doubt about snapshots lasts AGREEMENT_SNAPSHOT_US longer, and twice as long as a learner may save: others
 *     may need long for the same one, or leave it out and take the next.
 *  5. What a learner said counts until it says something else, even if it has gone. */
#ifndef SYNOD_CORE_AGENTS_AGREEMENT_H
#define SYNOD_CORE_AGENTS_AGREEMENT_H

#include "core/base/types.h"

enum {
    AGREEMENT_INTERVAL = 64, /* slots */
    AGREEMENT_KEPT = 64,     /* states of this learner */
    AGREEMENT_EARLY = 4,     /* and of each other one, of slots that are not executed here yet */
    AGREEMENT_PATIENCE = 50, /* in units of exec_interval; an idle learner tells its hash every ten of them */
    AGREEMENT_SNAPSHOT_US = 60000000,
};

struct state_at {
    uint64_t slot; /* 0: none */
    uint64_t hash; /* of the state before that slot */
};

/* What this learner knows of another one. Slots; 0: none. */
struct agreement_peer {
    struct state_at early[AGREEMENT_EARLY]; /* what it said of slots that are not executed here yet, rising */
    uint64_t compared_at;                   /* where it was last compared with this learner */
    uint64_t equal_at;                      /* where the two were last equal */
    uint64_t differs_from;                  /* where the two were first found to differ, if they do */
};

enum agreement_state { AGREEMENT_HOLDS, AGREEMENT_DOUBTED, AGREEMENT_LOST };

struct agreement {
    uint32_t node;
    node_set learners;
    uint64_t interval;                   /* exec_interval */
    uint64_t patience_us;                /* in doubt */
    uint64_t slots;                      /* hashes are told of multiples of this */
    struct state_at last;                /* this learner's latest */
    struct state_at own[AGREEMENT_KEPT]; /* the latest ones: slots of snapshots may lie any number apart */
    uint64_t own_count;                  /* so far */
    struct agreement_peer peers[NODE_ID_MAX + 1];
    uint8_t state;       /* enum agreement_state */
    uint64_t lost_at;    /* when lost: the first slot at which another learner was found to differ */
    uint64_t doubted_us; /* time spent in this doubt */
    uint64_t judged_at;
};

/* Hashes of slots that are multiples of `slots` are compared. `patience_us`: how much longer than AGREEMENT_PATIENCE a doubt
 * may last. */
void agreement_init(struct agreement *a, const struct node_config *config, uint64_t slots, uint64_t patience_us);

/* Whose states are compared from now on. `fresh`: what these have said is void. */
void agreement_configure(struct agreement *a, node_set learners, node_set fresh);

/* Every slot below `executed` is executed, and `hash` is the hash of the state. Called with rising slots. */
void agreement_executed(struct agreement *a, uint64_t executed, uint64_t hash);

/* A learner says what the hash of its state at `slot` is. */
void agreement_heard(struct agreement *a, uint32_t learner, uint64_t slot, uint64_t hash);

/* Counts the time that passes in doubt; called once a step. It gives up after AGREEMENT_PATIENCE calls at the earliest. So
 * neither a clock that jumps nor a process that was stopped for a while ends it, before it has heard what the others said
 * meanwhile. */
void agreement_wait(struct agreement *a, uint64_t now);

/* When agreement_wait wants to be called next; UINT64_MAX: not before something is heard. */
uint64_t agreement_wake_at(const struct agreement *a);

#endif
