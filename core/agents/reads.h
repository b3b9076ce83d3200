/* Reads without a slot (P9): messages and time-outs. read_rounds.h has what is known of each batch. A part of
 * the proposer agent. */
#ifndef SYNOD_CORE_AGENTS_READS_H
#define SYNOD_CORE_AGENTS_READS_H

#include "core/agents/election.h"
#include "core/agents/read_rounds.h"

struct reads {
    const struct node_config *config;
    struct election *election;
    struct effects *effects;
    struct read_rounds rounds;
    uint64_t prompt_until; /* followers wait for slots below this one */
    bool tells_learner;    /* the learner of this node has reads that may be stale */
    uint64_t told_at;      /* `confirmed_at` of the round of which it has heard last */
};

/* Pointers passed in must outlive the reads. */
void reads_init(struct reads *r, const struct node_config *config, struct election *election, struct effects *effects);
void reads_close(struct reads *r);

/* Takes a batch (copied). Precondition: this node leads, or reads_may_follow. */
void reads_add(struct reads *r, const struct client_batch *batch, uint64_t now);
/* This node's learner has got reads that a state may answer which is so old. */
void reads_stale(struct reads *r, uint64_t age_us, uint64_t now);
/* Whether the node that leads can be asked to confirm reads. */
bool reads_may_follow(const struct reads *r);
/* READ_CONFIRMED, READ_INDEX and QUERY_ANSWER, after message_fits. */
void reads_message(struct reads *r, uint32_t sender, const struct message *m);
/* Begins a round, or repeats an open one, while this node leads with this window. Before anything more is proposed. */
void reads_lead(struct reads *r, const struct proposer_window *w, uint64_t now);
/* Asks the leader that this node follows, and learners about what is confirmed; gives up what cannot be answered here, or
 * has waited too long. */
void reads_watch(struct reads *r, uint64_t now);
/* When to call both again; UINT64_MAX: when something comes. */
uint64_t reads_wake_at(const struct reads *r);
/* Batches without an answer. */
static inline uint64_t reads_count(const struct reads *r) { return r->rounds.count; }

#endif
