/* A leader hands over to another node, because an operator asks for it. A part of the proposer agent; handover.c begins with
 * the description. */
#ifndef SYNOD_CORE_AGENTS_HANDOVER_H
#define SYNOD_CORE_AGENTS_HANDOVER_H

#include "core/agents/election.h"

enum handover_state {
    HANDOVER_NONE,
    HANDOVER_DRAINING, /* nothing new is taken; what was taken is proposed, and is being chosen */
    HANDOVER_WAITING,  /* the other node was told to take over */
};

struct handover {
    const struct node_config *config;
    struct election *election;
    struct effects *effects;

    uint8_t state; /* enum handover_state */
    uint32_t to;
    uint64_t token; /* of the operator who waits for the answer */
    uint64_t since;
    uint64_t until;   /* the state ends then */
    uint64_t said_at; /* when the others were last told */
    uint64_t next;    /* HANDOVER_WAITING: the first slot that was never proposed */
    bool declined;    /* the successor has said that it cannot lead now */
    node_set stopped; /* proposers that have said that they forward nothing more */
};

/* Pointers passed in must outlive the handover. */
void handover_init(struct handover *h, const struct node_config *config, struct election *election, struct effects *effects);

/* An operator asks this leader to let `node` lead. The answer may come at once or later. Token 0: no operator waits
 * for it. */
void handover_ask(struct handover *h, uint32_t node, uint64_t token, uint64_t now);
/* A HANDOVER message from another proposer, after election_message. */
void handover_message(struct handover *h, uint32_t sender, const struct message *m);
/* Looks whether it can go on or has come to its end. `drained`: nothing waits to be proposed, and every slot below `next` is
 * chosen; `next` was never proposed. After everything else of a step. */
void handover_watch(struct handover *h, bool drained, uint64_t next, uint64_t now);
/* True while no new batches are taken. */
static inline bool handover_is_on(const struct handover *h) { return h->state != HANDOVER_NONE; }
/* False once the other node was told to take over: nothing must be proposed then. */
static inline bool handover_may_propose(const struct handover *h) { return h->state != HANDOVER_WAITING; }
/* When to call handover_watch again at the latest; UINT64_MAX: no matter when. */
uint64_t handover_wake_at(const struct handover *h);

#endif
