/* Declarations shared by the files of the checks: the ground truth (what is chosen, and by which durable votes), what each
 * node has said and written so far, and the batches that clients submitted. */
#ifndef SYNOD_SIM_CHECKS_INTERNAL_H
#define SYNOD_SIM_CHECKS_INTERNAL_H

#include <inttypes.h>

#include "core/base/memory.h"
#include "core/formats/notice.h"
#include "core/formats/record.h"
#include "sim/checks.h"
#include "sim/hash_index.h"
#include "sim/reference.h"

/* ---- Ballots as numbers ---- */

/* An incarnation is the number of the node's instance, and its boots. */
enum {
    BOOTS_BITS = 20,
    RANK_BOOTS_BITS = 12,
    RANK_NUMBER_BITS = 5,
    RANK_INCARNATION_BITS = RANK_NUMBER_BITS + RANK_BOOTS_BITS,
    RANK_NODE_BITS = 6,
};

/* A ballot as one number in the order of ballots: 41 bits of round, then node, then incarnation. 0: none. A ballot that does
 * not fit becomes RANK_NONE_SUCH, which no node ever had. */
#define RANK_NONE_SUCH UINT64_MAX

static inline uint64_t rank_of(struct ballot b)
{
    const uint32_t number = b.incarnation >> BOOTS_BITS;
    const uint32_t boots = b.incarnation & ((UINT32_C(1) << BOOTS_BITS) - 1);
    if (b.round >> (64 - RANK_NODE_BITS - RANK_INCARNATION_BITS) != 0 || b.node > NODE_ID_MAX ||
        boots >> RANK_BOOTS_BITS != 0 || number >> RANK_NUMBER_BITS != 0)
        return RANK_NONE_SUCH;
    return b.round << (RANK_NODE_BITS + RANK_INCARNATION_BITS) | (uint64_t)b.node << RANK_INCARNATION_BITS |
           number << RANK_BOOTS_BITS | boots;
}

static inline uint32_t rank_node(uint64_t rank) { return (uint32_t)(rank >> RANK_INCARNATION_BITS & NODE_ID_MAX); }

/* "round.node.incarnation", with "number/boots" for a later instance, for a message. rank_text(rank).text is valid as long
 * as the expression that it is in. */
struct rank_text {
    char text[48];
};
struct rank_text rank_text(uint64_t rank);

/* ---- Values ---- */

struct value_hash {
    uint64_t value; /* of kind and bytes */
    uint64_t batch; /* of what a client port collected: all but the header; 0: it is no batch */
    uint64_t named; /* of that, and of what its proposer has added: all but the leader's stamp */
};
struct value_hash checks_hash(uint8_t kind, const struct payload *value);

/* ---- The ground truth ---- */

/* A value in a slot at a ballot. */
struct proposal {
    uint64_t rank;
    uint64_t hash;    /* value_hash.value */
    node_set voters;  /* acceptors with a durable vote for it */
    node_set counted; /* those that had it as acceptors of the configuration that governs the slot */
    node_set latest;  /* those of them without a durable vote at a higher ballot in this slot */
    uint32_t batch;   /* 0: a no-op */
    uint32_t bytes;   /* of the value */
    uint32_t next;    /* the proposal for this slot at the next lower ballot; 0: none */
    struct stamp stamp;
    int64_t stamped_at; /* by the fastest clock that there could be (sim/checks_time.c) */
    uint8_t kind;
    bool has_stamp;
    bool chosen;
};

struct slot_truth {
    uint32_t proposals; /* the one at the highest ballot; 0: none */
    uint32_t chosen;    /* the chosen one at the lowest ballot; 0: none */
    /* Before this slot is executed: */
    uint64_t state_hash;
    struct stamp reached;
    struct {
        uint64_t size, checksum; /* 0, 0: none is stored yet */
    } snapshot;
    uint64_t commands; /* executed so far, valid up to the prefix */
    uint64_t changes;  /* of the keys that its batch may have changed: what reference_changes says */
    bool state_known;
    bool ballots_differed, values_differed; /* of its votes; each is counted once */
};

/* Commands that clients submitted together. */
struct batch {
    uint64_t hash, token;            /* value_hash.batch; the client port's */
    uint64_t stamped;                /* value_hash.named with its header filled in; 0: not seen yet */
    uint64_t number;                 /* of its id, from the header */
    uint64_t chosen_in, executed_in; /* slots; 0: none yet */
    struct payload value;            /* with its header filled in, until learners have executed it or skipped it */
    uint32_t node, incarnation;      /* the life it was submitted to */
    uint32_t commands;
    uint32_t port_number; /* as its client port numbers it */
    bool forwarded;
    bool answered;
    uint8_t outcome; /* enum outcome, when answered */
    bool reads;      /* only: it need not be in a slot */
    uint64_t least;  /* then: a learner that answers it has executed every slot below */
    uint64_t shown;  /* what a learner of another node had executed when it answered; 0: none has */
};

/* ---- Nodes ---- */

/* A record that is appended but not durable yet. */
struct pending_record {
    uint8_t kind; /* enum record_kind */
    uint64_t slot, to;
    uint64_t rank;
    uint64_t window;   /* RECORD_CHOSEN */
    uint64_t hash;     /* of the value */
    uint32_t proposal; /* RECORD_ACCEPTED */
};

/* Of the records that recovery would find in its window for a slot, the one with the highest ballot. */
struct held_record {
    uint64_t slot, rank, hash;
    uint64_t lsn; /* of the last record with that value */
};

/* What the records say, for those appended and for those durable. */
struct record_state {
    uint64_t promise;          /* the highest rank */
    uint64_t promise_recorded; /* the highest rank of a RECORD_PROMISED */
    uint64_t floor;            /* the highest RECORD_FLOOR */
    uint64_t mark;             /* the end of the last RECORD_CHOSEN */
    uint64_t window;           /* what it says about how far records count after it; 0: there is none */
};

struct checked_record {
    uint64_t hash;
    uint64_t slot;
    uint8_t kind; /* enum record_kind */
};

struct sticky_record {
    uint64_t lsn;
    uint8_t kind; /* enum record_kind */
};

/* Who makes quorums from a slot on. */
struct checked_configuration {
    uint64_t slot;                           /* in which it was chosen; 0: the one that the cluster began with */
    uint64_t governs;                        /* from this slot on */
    node_set proposers, acceptors, learners; /* learners that count in a majority */
    uint32_t phase1_quorum, phase2_quorum, alpha;
    uint64_t state_bytes_max;         /* 0: what it began with */
    uint32_t number[NODE_ID_MAX + 1]; /* of the instance of each member */
    uint64_t hash;                    /* value_hash.value of its text */
    node_set joining, fresh;
    uint64_t executed_by_majority; /* of its learners, by executed_most */
};

/* The text of a configuration that was proposed. */
struct proposed_text {
    uint64_t hash; /* value_hash.value */
    struct payload value;
};

/* An earlier instance of a node, whose disk is gone. */
struct former_instance {
    uint32_t node, number;
    uint32_t incarnation; /* its last one */
    uint64_t promise;
};

struct checked_node {
    uint32_t number;   /* of its instance */
    uint64_t admitted; /* the first slot in which this instance counts as an acceptor */
    uint32_t incarnation;
    uint64_t bytes_in_flight_max, bytes_in_flight_most; /* in this life, and the most of all lives */
    bool up, retired;
    bool unheard; /* it has come back and said nothing about itself yet */

    /* journal */
    struct checked_record *records; /* by lsn - 1 */
    size_t records_capacity;
    uint64_t appended, durable, recovered; /* lsns */
    uint64_t truncated;                    /* it said that it needs no record below this lsn */
    struct sticky_record *sticky;          /* all of them, by lsn */
    size_t sticky_count, sticky_capacity;
    uint64_t sticky_found[RECORD_KINDS]; /* the last one of each kind that recovery has found */
    bool found_others;                   /* recovery has found a record that is not sticky */
    struct pending_record *pending;      /* by lsn, modulo pending_capacity (a power of two): (durable, appended] */
    uint64_t pending_capacity;
    struct record_state written, safe; /* of (0, appended], of (0, durable] */
    struct held_record *held;          /* by slot, modulo checks.held_capacity */
    uint64_t *values;                  /* by slot: the lsn of its chosen value, once it is held; 0: not in the journal */
    size_t values_capacity;
    uint64_t promise_lsn; /* of the last durable record that carries the highest promise */
    uint64_t votes_end;   /* no durable vote is at or above this slot */

    /* messages */
    uint64_t promise_told;                     /* the last promise that others know of, in any life */
    uint64_t promise_found;                    /* the promise that recovery found */
    uint64_t elected_rank;                     /* of the ballot at which a quorum was seen to have elected it */
    uint64_t claim_rank, claim_from, claim_to; /* slots that it said were chosen at this ballot, and that are */

    /* leadership, in this life (sim/checks_leadership.c) */
    uint64_t question;                  /* the last one asked */
    node_set lost;                      /* acceptors that have answered it with yes */
    uint64_t invited_rank;              /* of the leader that told it to take over; 0: none */
    uint32_t invitations;               /* that it has not followed: each may be, also several in one turn */
    uint64_t prepared_rank;             /* the highest ballot prepared */
    size_t prepared_with;               /* number of the configuration with which it was */
    uint64_t stamps_rank, stamps_since; /* when it proposed first at this ballot (sim/checks_time.c) */
    uint64_t stamps_from, stamps_first; /* when it knew the time first, and that time; or zero */
    uint64_t turn, turn_leapt;          /* when it acted last, and checks.leapt then */
    uint64_t pause_from, pause_to;      /* it did nothing for long */
    uint64_t pause_leapt;               /* checks.leapt when that began */
    uint64_t stamps_log;                /* that the log had reached then */
    uint64_t handed_rank, handed_from;  /* at this ballot it proposes nothing from this slot on; 0: it has not handed over */

    /* learner */
    uint64_t executed;      /* in this life */
    uint64_t read_least;    /* where no proposer is beside it: for what it read in this turn, all below must be executed */
    uint64_t executed_most; /* in any life */
    uint64_t snapshot;      /* the slot of its newest snapshot on disk */
    struct {                /* what its client port is told, in this life (sim/checks_watch.c) */
        bool on;
        uint64_t from;             /* messages are told from this slot on, of this one perhaps */
        uint64_t next;             /* the next message is of this slot or a later one */
        uint64_t slot;             /* whose message was told last: keys that are told now are of its batch; 0: not known */
        uint64_t changes;          /* chained checksum of these keys */
        struct notice_cause cause; /* of what is told now, as the node says */
        bool lacks;                /* something was not told in the last turn */
    } watch;

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
    struct frame_sent {
        uint64_t life, sum;
        uint32_t came, taken; /* in datagrams, so often */
    } *all;
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
    uint64_t prefix;     /* the first slot that is not chosen */
    uint64_t answered;   /* the first slot after all whose batches were answered, or shown by reads that were */
    uint64_t floor_most; /* a majority of the learners durably held every slot below at some time */
    struct checked_configuration
        *configurations; /* those that were chosen, in order; the first one is the cluster's first */
    size_t configuration_count, configuration_capacity;
    struct configuration_text *text; /* of the newest; NULL: it is the first one */
    struct proposed_text *texts;
    size_t text_count, text_capacity;
    struct former_instance *former;
    size_t former_count, former_capacity;

    struct batch *batches; /* the first one stands for "none" */
    size_t batch_count, batch_capacity;
    struct hash_index batch_by_hash, batch_by_token;
    struct batch_id executed_last[NODE_ID_MAX + 1]; /* by origin */
    struct reference *reference;                    /* NULL: there is none */
    uint64_t reference_hash;                        /* before the prefix */
    uint64_t now, leapt;                            /* checks_clock */
    uint64_t latest;                                /* the highest `now`: what a slow turn does is said with its beginning */
    uint64_t formed_at;                             /* when a node led for the first time; 0: not yet */
    struct ballot led;                              /* of the latest leader of whom something was executed (P25) */
    int64_t lag_most; /* of any slot's agreed time, when its value was stamped (sim/checks_time.c) */

    struct frames_sent *frames; /* from each node to each other (sim/checks_frames.c); NULL: none yet */

    struct checked_node nodes[NODE_ID_MAX + 1];
    uint64_t held_capacity; /* of each node's window of records: a power of two, 4 alpha_most slots at least */
};

/* ---- checks_verdict.c ---- */

/* The node, if what it does is still checked: it exists, no rule is broken yet, and it is not retired. Otherwise NULL. */
struct checked_node *checks_node(struct checks *c, uint32_t node);

/* ---- checks_batches.c ---- */

/* The number of the batch in a value that a node proposes or forwards. It must have been submitted, and be stamped once, for
 * the life that got it. 0: a no-op; or a rule is broken. */
uint32_t checks_value(struct checks *c, uint32_t node, uint8_t kind, const struct payload *value, struct value_hash hash);
/* `node` asks a learner to answer reads, or is the learner that does (P9). */
void checks_query(struct checks *c, uint32_t node, const struct message *m);
void checks_query_answer(struct checks *c, uint32_t node, const struct message *m);

/* The number of the batch with this token; 0: there is none. */
uint32_t checks_batch_by_token(const struct checks *c, uint64_t token);

/* ---- checks_configurations.c: which configuration governs a slot ---- */

void checks_configurations_open(struct checks *c);
void checks_configurations_close(struct checks *c);
/* A configuration is proposed: what its text is is remembered. */
void checks_propose_configuration(struct checks *c, uint32_t node, const struct payload *value, struct value_hash hash);
/* The proposal with this hash is chosen in the first slot that was not chosen: does it count? */
void checks_choose_configuration(struct checks *c, uint64_t hash);
/* The slot of the newest configuration that is chosen below `slot`. */
uint64_t checks_newest_below(const struct checks *c, uint64_t slot);
/* A node that has written nothing. */
void checks_node_open(struct checks *c, uint32_t node);
void checks_node_close(struct checked_node *n);
/* The configuration that governs a slot, as far as what is chosen decides that. Valid until another one is chosen. */
struct checked_configuration *checks_governing(const struct checks *c, uint64_t slot);
/* The last one that was chosen: it governs, or will. */
struct checked_configuration *checks_newest(const struct checks *c);
/* How many slots beyond what is held there may be votes, and records that recovery keeps. */
uint64_t checks_window(const struct checks *c);
/* The configuration with which a PREPARE says that it is sent; NULL: there is none. And the one with which `node` prepared
 * the ballot at which it leads. */
const struct checked_configuration *checks_prepares_with(const struct checks *c, const struct message *prepare);
const struct checked_configuration *checks_prepared_with(const struct checks *c, uint32_t node, uint64_t rank);
/* `node` proposes an entry at a ballot: of that ballot's configuration, the slots that it governs. */
void checks_configuration_of(struct checks *c, uint32_t node, uint64_t rank, uint64_t slot);
/* Whether `node` is the acceptor that a configuration means: the instance, not an earlier or a later one. */
bool checks_is_acceptor(const struct checks *c, const struct checked_configuration *of, uint32_t node);
/* The acceptors of a configuration that have durably promised `rank` or a higher ballot. */
node_set checks_promised(const struct checks *c, const struct checked_configuration *of, uint64_t rank);
/* Nodes that are or have been proposers. */
node_set checks_proposers(const struct checks *c);

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
/* The highest number that a majority of a configuration's learners has reached. An instance that is not meant there has
 * reached slot 1. */
uint64_t checks_majority(const struct checks *c, const struct checked_configuration *of,
                         uint64_t (*reached)(const struct checked_node *n));
/* The same, of any of the configurations by which nodes may count at this time. */
uint64_t checks_majority_of_any(const struct checks *c, uint64_t (*reached)(const struct checked_node *n));
/* What a majority of the learners has executed, for a leader that proposes in a slot: by the configuration that governs it,
 * or by the one before as long as that is not over. */
uint64_t checks_followed(const struct checks *c, uint64_t slot);
/* Another configuration counts: the slots that a majority of the learners holds may be more. */
void checks_count_held(struct checks *c);
/* A node has answered reads of its clients, which must show all below `least`. */
void checks_read_own(struct checks *c, uint32_t node, uint64_t least);
/* A learner has executed more than before. */
void checks_count_executed(struct checks *c);
/* Whether `node` is or was a learner, an acceptor, in any configuration. */
bool checks_learns(const struct checks *c, uint32_t node);
bool checks_votes(const struct checks *c, uint32_t node);

/* ---- checks_time.c ---- */

/* A leader proposes a value that it does not repeat from another ballot. */
void checks_stamped(struct checks *c, uint64_t slot, struct proposal *p);
/* `node` says that its state before `slot` has reached this moment, and, if it says so, whose that is. */
void checks_moment(struct checks *c, uint32_t node, uint64_t slot, struct moment moment, const struct ballot *led);
/* `slot` has this value, and the log before the next one has reached its moment. */
void checks_passed(struct checks *c, uint64_t slot, const struct proposal *p);

/* ---- checks_watch.c ---- */

/* `node` has executed what it now says. */
void checks_watched(struct checks *c, uint32_t node);

/* ---- checks_messages.c ---- */

/* Checks what a message claims. */
void checks_message(struct checks *c, uint32_t node, const struct message *m);

/* ---- checks_leadership.c ---- */

void leadership_starts(struct checked_node *n);
void leadership_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m);
void leadership_sent(struct checks *c, uint32_t node, const struct message *m);

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
