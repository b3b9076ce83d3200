/* Declarations shared by the files of the checks: the ground truth (what is chosen, and by which durable votes), what each
 * node has said and written so far, and the batches that clients submitted. */
#ifndef SYNOD_SIM_CHECKS_INTERNAL_H
#define SYNOD_SIM_CHECKS_INTERNAL_H

#include <inttypes.h>

#include "core/base/memory.h"
#include "sim/checks.h"
#include "sim/hash_index.h"
#include "sim/reference.h"

/* ---- Ballots as numbers ---- */

enum { RANK_INCARNATION_BITS = 12, RANK_NODE_BITS = 6 };

/* A ballot as one number in the order of ballots: 46 bits of round, then node, then incarnation. 0: none. A ballot that does
 * not fit becomes RANK_NONE_SUCH, which no node ever had. */
#define RANK_NONE_SUCH UINT64_MAX

static inline uint64_t rank_of(struct ballot b)
{
    if (b.round >> (64 - RANK_NODE_BITS - RANK_INCARNATION_BITS) != 0 || b.node > NODE_ID_MAX ||
        b.incarnation >> RANK_INCARNATION_BITS != 0)
        return RANK_NONE_SUCH;
    return b.round << (RANK_NODE_BITS + RANK_INCARNATION_BITS) | (uint64_t)b.node << RANK_INCARNATION_BITS | b.incarnation;
}

static inline uint32_t rank_node(uint64_t rank) { return (uint32_t)(rank >> RANK_INCARNATION_BITS & NODE_ID_MAX); }

/* "round.node.incarnation", for a message. rank_text(rank).text is valid as long as the expression that it is in. */
struct rank_text {
    char text[48];
};
struct rank_text rank_text(uint64_t rank);

/* ---- Values ---- */

struct value_hash {
    uint64_t value; /* of kind and bytes */
    uint64_t batch; /* of what a client port collected: all but the stamp in the header; 0: it is no batch */
};
struct value_hash checks_hash(uint8_t kind, const struct payload *value);

/* ---- The ground truth ---- */

/* A value in a slot at a ballot. */
struct proposal {
    uint64_t rank;
    uint64_t hash;   /* value_hash.value */
    node_set voters; /* acceptors with a durable vote for it */
    node_set latest; /* those of them without a durable vote at a higher ballot in this slot */
    uint32_t batch;  /* 0: a no-op */
    uint32_t bytes;  /* of the value */
    uint32_t next;   /* the proposal for this slot at the next lower ballot; 0: none */
    uint8_t kind;
    bool chosen;
};

struct slot_truth {
    uint32_t proposals; /* the one at the highest ballot; 0: none */
    uint32_t chosen;    /* the chosen one at the lowest ballot; 0: none */
    /* Before this slot is executed: */
    uint64_t state_hash;
    uint64_t commands; /* executed so far, valid up to the prefix */
    bool state_known;
    bool ballots_differed, values_differed; /* of its votes; each is counted once */
};

/* Commands that clients submitted together. */
struct batch {
    uint64_t hash, token;            /* value_hash.batch; the client port's */
    uint64_t stamped;                /* value_hash.value with its header filled in; 0: not seen yet */
    uint64_t number;                 /* of its id, from the stamp */
    uint64_t chosen_in, executed_in; /* slots; 0: none yet */
    struct payload value;            /* with its header filled in, until learners have executed it or skipped it */
    uint32_t node, incarnation;      /* the life it was submitted to */
    uint32_t commands;
    bool forwarded;
    bool answered;
    uint8_t outcome; /* enum outcome, when answered */
};

/* ---- Nodes ---- */

/* A record that is appended but not durable yet. */
struct pending_record {
    uint8_t kind; /* enum record_kind */
    uint64_t slot, to;
    uint64_t rank;
    uint64_t hash;     /* of the value */
    uint32_t proposal; /* RECORD_ACCEPTED */
};

/* Of the records that recovery would find in its window for a slot, the one with the highest ballot. */
struct held_record {
    uint64_t slot, rank, hash;
};

/* What the records say, for those appended and for those durable. */
struct record_state {
    uint64_t promise; /* the highest rank */
    uint64_t floor;   /* the highest RECORD_FLOOR */
    uint64_t mark;    /* the end of the last RECORD_CHOSEN */
};

struct checked_node {
    uint32_t incarnation;
    uint64_t bytes_in_flight_max, bytes_in_flight_most; /* in this life, and the most of all lives */
    bool up, retired;
    bool unheard; /* it has come back and said nothing about itself yet */

    /* journal */
    uint64_t *records; /* a hash of each, by lsn - 1 */
    size_t records_capacity;
    uint64_t appended, durable, recovered; /* lsns */
    struct pending_record *pending;        /* by lsn, modulo pending_capacity (a power of two): (durable, appended] */
    uint64_t pending_capacity;
    struct record_state written, safe; /* of (0, appended], of (0, durable] */
    struct held_record *held;          /* by slot, modulo checks.held_capacity */
    uint64_t votes_end;                /* no durable vote is at or above this slot */

    /* messages */
    uint64_t promise_told;                     /* the last promise that others know of, in any life */
    uint64_t promise_found;                    /* the promise that recovery found */
    uint64_t elected_rank;                     /* of the ballot at which a quorum was seen to have elected it */
    uint64_t claim_rank, claim_from, claim_to; /* slots that it said were chosen at this ballot, and that are */

    /* learner */
    uint64_t executed;      /* in this life */
    uint64_t executed_most; /* in any life */

    /* for the reached states (sim/checks_reached.c) */
    uint8_t proposer_state;
    uint64_t leading_rank;
    uint32_t led_in; /* the incarnation in which it last led */
    uint64_t prepare_rank, prepare_from;
    uint64_t chunk_rank, chunk_to; /* of a promise whose last chunk has not been sent, and how far it got; 0: none */
    bool has_read;
};

/* Frames that a node handed to the network that ships, for one other node. */
struct frames_sent {
    uint64_t *sums;
    size_t count, capacity;
    size_t next; /* what that node receives next is this one or a later one */
};

struct checks {
    struct checks_options options;
    struct checks_verdict verdict;
    uint64_t reached[REACHED_STATES];

    struct slot_truth *slots; /* by slot; zero beyond what was ever needed */
    size_t slot_count, slot_capacity;
    struct proposal *proposals; /* the first one stands for "none" */
    size_t proposal_count, proposal_capacity;
    uint64_t prefix;               /* the first slot that is not chosen */
    uint64_t floor_most;           /* a majority of the learners durably held every slot below at some time */
    uint64_t executed_by_majority; /* by learners' executed_most */

    struct batch *batches; /* the first one stands for "none" */
    size_t batch_count, batch_capacity;
    struct hash_index batch_by_hash, batch_by_token;
    struct batch_id executed_last[NODE_ID_MAX + 1]; /* by origin */
    struct reference *reference;                    /* NULL: there is none */
    uint64_t reference_hash;                        /* before the prefix */

    struct frames_sent *frames; /* from each node to each other (sim/checks_frames.c); NULL: none yet */

    struct checked_node nodes[NODE_ID_MAX + 1];
    uint64_t held_capacity; /* of each node's window of records: a power of two, 4 alpha slots at least */
};

/* ---- checks_verdict.c ---- */

/* The node, if what it does is still checked: it exists, no rule is broken yet, and it is not retired. Otherwise NULL. */
struct checked_node *checks_node(struct checks *c, uint32_t node);

/* ---- checks_batches.c ---- */

/* The number of the batch in a value that a node proposes or forwards. It must have been submitted, and be stamped once, for
 * the life that got it. 0: a no-op; or a rule is broken. */
uint32_t checks_value(struct checks *c, uint32_t node, uint8_t kind, const struct payload *value, struct value_hash hash);

/* ---- checks_votes.c: the ground truth ---- */

/* The slot. Precondition: at most `prefix` plus the windows that bound what is proposed. Valid until the next call. */
struct slot_truth *checks_slot(struct checks *c, uint64_t slot);
/* The proposal in a slot at a ballot; NULL: none is known. */
struct proposal *checks_proposal(struct checks *c, uint64_t slot, uint64_t rank);
/* What is chosen in a slot, at the lowest ballot; NULL: nothing yet. */
const struct proposal *checks_chosen(const struct checks *c, uint64_t slot);
/* `node` proposes, or votes for, a value in a slot at a ballot. Returns the number of the proposal; 0: it breaks a rule. */
uint32_t checks_propose(struct checks *c, uint32_t node, uint64_t rank, const struct entry *entry, struct value_hash hash);
/* The vote of `node` for a proposal in `slot` is durable. */
void checks_vote(struct checks *c, uint32_t node, uint64_t slot, uint32_t number);
/* The highest ballot below `below` at which `node` has a durable vote in the slot; NULL: it has none. */
const struct proposal *checks_vote_below(const struct checks *c, uint32_t node, uint64_t slot, uint64_t below);
/* Whether the batch was proposed in this slot. */
bool checks_is_proposed(const struct checks *c, uint64_t slot, struct batch_id batch);
/* Whether the ballot names a life that a proposer has had. */
bool checks_ballot_known(const struct checks *c, struct ballot ballot);

/* ---- checks_frames.c ---- */

void checks_frames_close(struct checks *c);

/* ---- checks_states.c ---- */

/* `node` says that its state before `slot` has this hash. */
void checks_state(struct checks *c, uint32_t node, uint64_t slot, uint64_t hash);
/* `node` has executed all slots below `executed` at some time. */
void checks_executed(struct checks *c, uint32_t node, uint64_t executed);
/* The highest number that a majority of the learners has reached. */
uint64_t checks_majority(const struct checks *c, uint64_t (*reached)(const struct checked_node *n));

/* ---- checks_messages.c ---- */

/* Checks what a message claims. */
void checks_message(struct checks *c, uint32_t node, const struct message *m);

/* ---- checks_reached.c ---- */

void reached_proposed(struct checks *c, const struct slot_truth *slot, const struct proposal *p);
void reached_voted(struct checks *c, struct slot_truth *slot, bool overtakes);
void reached_chosen(struct checks *c, const struct proposal *p, bool again);
void reached_appended(struct checks *c, struct checked_node *n, const struct log_record *record);
void reached_sent(struct checks *c, uint32_t node, const struct message *m);
void reached_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m);
void reached_answered(struct checks *c, uint8_t outcome);
void reached_down(struct checked_node *n);
void reached_status(struct checks *c, uint32_t node, const struct node_status *status);

#endif
