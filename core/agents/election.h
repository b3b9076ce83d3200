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
    STANDING_UNHEARD, /* too few answered its last question, or it has not asked since it stood back */
    STANDING_BACK,    /* its last attempt failed: the others have their turns first */
};

struct election {
    const struct node_config *config;
    const struct configurations *configurations;
    struct proposer *proposer;
    const struct progress *progress;
    struct effects *effects;
    struct failure_detector *detector;
    node_set watched; /* by the detector */

    /* Under which this node prepares and leads; until then, the one that governs the first slot to be prepared (without
     * members: it is not known). */
    struct configuration acting;
    uint64_t known; /* all configurations in slots below are known */
    bool crossing;  /* it leads, and prepares anew under the next configuration */
    bool replaced;  /* another instance has taken this one's place: it never leads again */

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

    uint64_t question; /* number of the last one asked; of no other life's */
    bool claim;        /* the question is a claim: it was asked although there is a leader */
    uint32_t asked;    /* questions in a row that were answered "no" */
    uint64_t asked_at, ask_again_at;
    node_set lost;     /* acceptors that answered "lost, too" */
    node_set answered; /* acceptors that answered at all */

    uint64_t prepared_at; /* last PREPARE sent */
    uint64_t got_on_at;   /* when phase 1 last made progress */
    uint32_t climbs;      /* further ballots of this attempt */

    uint64_t heartbeat_at; /* last one sent */
    bool told_unfit;       /* what the last heartbeat said */
    uint64_t chosen_told;  /* up to where the learners were told */

    /* What a leader knows about itself. */
    uint64_t answered_at[NODE_ID_MAX + 1]; /* by acceptor: when the message was sent that it last answered at this ballot */
    uint64_t executed;                     /* by a majority of the learners */
    uint64_t result_at;                    /* when that last grew, or there was nothing to execute */
    uint64_t own_from;                     /* first slot that was not recovered in phase 1 */

    uint64_t durable, durable_at; /* to notice a stalled disk */

    /* Handing over (core/agents/handover.h). */
    uint32_t successor;       /* of this leader, that was told to take over; 0: none */
    uint64_t successor_until; /* so long this leader waits for it */
    struct ballot overtaken;  /* of the successor: an acceptor has promised it */
    uint64_t held_until;      /* the leader hands over: up to then nothing is forwarded to it */
    bool held_untold;         /* it does not know that yet */
    bool invited;             /* this node is its successor */
};

/* Pointers passed in must outlive the election. */
void election_init(struct election *e, const struct node_config *config, const struct configurations *configurations,
                   struct proposer *proposer, const struct progress *progress, struct effects *effects);
void election_close(struct election *e);

/* Begins a step at `now`. */
void election_begin(struct election *e, uint64_t now);
/* A message to this proposer, after message_fits. Messages that are not about leadership count as a sign of life. */
void election_message(struct election *e, uint32_t sender, const struct message *m, uint64_t now);
/* Every record up to `lsn` is durable. */
void election_durable(struct election *e, uint64_t lsn, uint64_t now);
/* The node stops: it hands over, and must not be elected any more. */
void election_stop(struct election *e, uint64_t now);
/* The other proposers that are heard; and those of them that stand for election. */
node_set election_heard(const struct election *e, uint64_t now);
node_set election_fit(const struct election *e, uint64_t now);
/* This leader has told `node` to take over: until `until`, a higher ballot of that node is no reason to resign before it
 * leads. */
void election_hand_over(struct election *e, uint32_t node, uint64_t until);
/* True while the leader that this node follows hands over. */
bool election_is_held(const struct election *e);
/* The configurations that are known have changed, or the newest one is settled. */
void election_configured(struct election *e, uint64_t now);
/* The configuration under which this node prepares or leads does not govern any more: it prepares anew under the newest
 * one, without asking, because it is not lost; or leaves, if it is no proposer of that. Precondition: the newest one is
 * settled. */
void election_cross(struct election *e, uint64_t now);
/* All configurations in slots below are known. */
void election_known(struct election *e, uint64_t slot);
/* The first slot of which it is not known that the configuration governs it under which this node prepares and leads. */
uint64_t election_limit(const struct election *e);
/* Whether this node leads, or did until it began to cross. */
static inline bool election_is_led_here(const struct election *e) { return e->state == PROPOSER_LEADING || e->crossing; }
/* Checks the time-outs. Records below `lsn` were appended before this step. */
void election_watch(struct election *e, uint64_t now, uint64_t lsn);
/* Sends heartbeats that are due; `awake`: this node is doing something anyway. */
void election_heartbeat(struct election *e, bool awake, uint64_t now);
/* When to call election_watch again. */
uint64_t election_wake_at(const struct election *e, uint64_t now);

/* Fills in the ballot and what is chosen and held, as leading heartbeats, ACCEPT and CHOSEN tell it. */
void election_fill_word(const struct election *e, const struct proposer_window *w, struct message *m);

#endif
