/* Snapshots between learners, both sides. A learner that lacks slots which no peer has in its journal any more fetches a
 * snapshot, part by part, and goes on from its slot. Equal states have equal files, so it may take the parts of one
 * snapshot from several peers. Storage checks the whole before it counts.
 *
 *             a peer says FORGOTTEN     WANTED        all bytes        STORED       LOADED
 *     NOTHING ----------------> OPENING ------> PARTS ----------> WHOLE ------> LOADING -------> NOTHING
 *
 * From each of OPENING, PARTS and WHOLE it goes back to NOTHING when storage says FAILED, when no peer has the snapshot any
 * more, or when its slots have been executed meanwhile. What is on disk then stays there, and a later try goes on from it.
 * It is removed when its slots have been executed, in this life or a later one.
 * Peers that store newer snapshots meanwhile still have it, until one says that it has not: a fetch that began anew with
 * each of them would never end under a steady load.
 *
 * A peer that sends less than it could, or nothing, is asked again only after the others that have the snapshot. So no peer
 * can make a fetch last for ever by short parts. If no other has it, TRANSFER_SHORTS_MAX of them count as answers: a learner
 * that fetches asks for no slots and takes no snapshots. A later try goes on from what has come.
 *
 * A peer is served one part at a time, each when it asks for it, and all of them together `transfer_rate` bytes a second.
 *
 * A part of the learner agent. */
#ifndef SYNOD_CORE_AGENTS_TRANSFER_H
#define SYNOD_CORE_AGENTS_TRANSFER_H

#include "core/agents/effects.h"
#include "core/formats/snapshot.h"

enum fetch_state { FETCH_NOTHING, FETCH_OPENING, FETCH_PARTS, FETCH_WHOLE, FETCH_LOADING };

enum {
    TRANSFER_STORED_MAX = 16,     /* snapshots that this learner has, and remembers to have */
    TRANSFER_PART_MAX = 1 << 20,  /* bytes in a message */
    TRANSFER_PART_MIN = 1 << 10,  /* the last part may be shorter; any other one counts as no answer */
    TRANSFER_AHEAD_MAX = 4 << 20, /* bytes that have come and are not with the file yet */
    TRANSFER_TRIES = 20,          /* without an answer, then the fetch is given up */
    /* Short parts one after the other; any further one counts as no answer. A later try goes on after the last piece that
     * has come whole, so each must have the time for one. */
    TRANSFER_SHORTS_MAX = SNAPSHOT_PIECE_MAX / TRANSFER_PART_MIN + 1,
};

struct snapshot_id {
    uint64_t slot; /* 0: none */
    uint64_t size;
    uint64_t checksum;
};

/* A part that a peer wants. */
struct transfer_request {
    struct snapshot_id wanted;
    uint64_t offset;
};

struct transfer {
    struct node_config config;
    node_set learners;
    struct snapshot_id stored[TRANSFER_STORED_MAX]; /* the oldest first */
    size_t stored_count;
    struct snapshot_id lent; /* one that went while it was served: storage has it a while longer; slot 0: none */
    struct snapshot_id peers[NODE_ID_MAX + 1]; /* the newest of each learner, as it said last */
    uint64_t announced_at;

    /* Serving. */
    struct transfer_request requests[NODE_ID_MAX + 1]; /* by peer; slot 0: none */
    uint32_t reading;                                  /* the peer for whom a part is being read; 0: none */
    struct transfer_request read;                      /* that part */
    uint32_t served;                                   /* the peer served last */
    uint64_t budget, budget_at;                        /* bytes that may be sent, and when that was counted */

    /* Fetching. */
    uint8_t state; /* enum fetch_state */
    struct snapshot_id fetched;
    uint64_t received;        /* the slot of one that was given up, of which storage has a part; 0: none */
    node_set sources;         /* the peers that have said that they have it, also if they have newer ones by now */
    uint64_t offset, written; /* the next byte that is wanted; bytes that are with the file */
    uint32_t source;          /* the peer that was asked last */
    uint32_t tries;           /* since a part came that is not short */
    uint32_t shorts;          /* parts since then */
    uint64_t asked_at;        /* 0: not yet */
    uint64_t words[2];        /* of what storage is asked in this step about a file that is read */
    uint64_t opening[2];      /* and about one that is received */
    struct effects *effects;
};

/* `effects` is the agent's. */
void transfer_init(struct transfer *t, const struct node_config *config, struct effects *effects);

/* Who is told of snapshots from now on. `fresh`: what these have said is void. */
void transfer_configure(struct transfer *t, node_set learners, node_set fresh);

/* The newest snapshot that is stored here; slot 0: none. */
struct snapshot_id transfer_newest(const struct transfer *t);
/* The oldest one that is kept; slot 0: none. */
struct snapshot_id transfer_oldest(const struct transfer *t);

/* Snapshots after that of `slot` cannot be used. */
void transfer_forget_after(struct transfer *t, uint64_t slot);

/* ---- Messages; `executed`: the first slot not executed here ---- */

/* A learner has a snapshot. True: its journal lacks what this learner asked it for, so the snapshot should be fetched. */
bool transfer_heard(struct transfer *t, uint32_t sender, const struct message *m, uint64_t executed);
/* Begins to fetch the newest snapshot of `source`. No other one is being written. Precondition: transfer_heard said so. */
void transfer_fetch(struct transfer *t, uint32_t source);
/* A learner wants a part of a snapshot. */
void transfer_wanted(struct transfer *t, uint32_t sender, const struct message *m);
/* A part has come. */
void transfer_part(struct transfer *t, uint32_t sender, const struct message *m);
/* Tells a learner that what it asked for has gone, and which snapshot it may have instead. */
void transfer_offer(struct transfer *t, uint32_t learner);

/* What storage says, except pieces that are loaded. */
void transfer_told(struct transfer *t, const struct snapshot_item *item, uint64_t executed);

/* Goes on in both directions, after the messages of a step. */
void transfer_step(struct transfer *t, uint64_t executed, uint64_t now);
uint64_t transfer_wake_at(const struct transfer *t);

/* Tells all learners at once which snapshot is the newest here. */
void transfer_announce(struct transfer *t, uint64_t now);

#endif
