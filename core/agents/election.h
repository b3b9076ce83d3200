/* Who leads, and whether this node should: the part of the proposer agent that asks, prepares, leads and resigns (P15).
 * election.c begins with the description. */
#ifndef SYNOD_CORE_AGENTS_ELECTION_H
#define SYNOD_CORE_AGENTS_ELECTION_H

#include "core/agents/effects.h"
#include "core/agents/progress.h"
#include "core/paxos/failure_detector.h"
#include "core/paxos/proposer.h"

/* Whether the others should wait for this node to lead. */
enum standing {
    STANDING_READY,
    STANDING_UNHEARD, /* no quorum answered its last question, or it has not asked since it stood back */
    STANDING_BACK,    /* its last attempt failed: the others have their turns first */
};

struct election {
    const struct node_config *config;
    struct proposer *proposer;
    const struct progress *progress;
    struct effects *effects;
    struct failure_detector *detector;

    uint64_t begun_at; /* the last step */
    uint64_t late;     /* total time in which this node should have been awake and was not */

    uint8_t state;        /* enum proposer_state */
    uint32_t leader;      /* 0: none known */
    struct ballot ballot; /* the leader's; without one, the highest heard of */

    uint8_t standing;   /* enum standing */
    uint64_t failed_at; /* STANDING_BACK: since when, and for how long */
    uint64_t back;
    uint32_t failures; /* in a row; FAILURES_MAX at most */
    node_set unfit;    /* proposers that asked not to be elected */
    bool elected;      /* the rule elected this node when last asked */
    bool stopping;

    uint64_t question; /* number of the last one asked */
    bool claim;        /* the question is a claim: it was asked although there is a leader */
    uint32_t asked;    /* questions in a row that were answered "no" */
    uint64_t asked_at, ask_again_at;
    node_set lost;     /* acceptors that answered "lost, too" */
    node_set answered; /* acceptors that answered at all */

    uint64_t prepared_at; /* last PREPARE sent */
    uint64_t got_on_at;   /* when phase 1 last made progress */

    uint64_t heartbeat_at; /* last one sent */
    bool told_unfit;       /* what the last heartbeat said */
    uint64_t chosen_told;  /* up to where the learners were told */

    /* What a leader knows about itself. */
    uint64_t answered_at[NODE_ID_MAX + 1]; /* by acceptor: when the message was sent that it last answered at this ballot */
    uint64_t executed;                     /* by a majority of the learners */
    uint64_t result_at;                    /* when that last grew, or there was nothing to execute */
    uint64_t own_from;                     /* first slot that was not recovered in phase 1 */

    uint64_t durable, durable_at; /* to notice a stalled disk */
};

/* Pointers passed in must outlive the election. */
void election_init(struct election *e, const struct node_config *config, struct proposer *proposer,
                   const struct progress *progress, struct effects *effects);
void election_close(struct election *e);

/* Begins a step at `now`. */
void election_begin(struct election *e, uint64_t now);
/* A message to this proposer, after message_fits. Messages that are not about leadership count as a sign of life. */
void election_message(struct election *e, uint32_t sender, const struct message *m, uint64_t now);
/* Every record up to `lsn` is durable. */
void election_durable(struct election *e, uint64_t lsn, uint64_t now);
/* The node stops: it hands over, and must not be elected any more. */
void election_stop(struct election *e, uint64_t now);
/* Checks the time-outs. Records below `lsn` were appended before this step. */
void election_watch(struct election *e, uint64_t now, uint64_t lsn);
/* Sends heartbeats that are due; `awake`: this node is doing something anyway. */
void election_heartbeat(struct election *e, bool awake, uint64_t now);
/* When to call election_watch again. */
uint64_t election_wake_at(const struct election *e, uint64_t now);

/* Fills in the ballot and what is chosen and held, as leading heartbeats, ACCEPT and CHOSEN tell it. */
void election_fill_word(const struct election *e, const struct proposer_window *w, struct message *m);

#endif
