/* Catching up, both sides: asking peers for chosen slots that this learner lacks, and serving such requests by reading the
 * journal back (P7). A part of the learner agent. */
#ifndef SYNOD_CORE_AGENTS_CATCH_UP_H
#define SYNOD_CORE_AGENTS_CATCH_UP_H

#include "core/agents/effects.h"
#include "core/base/slot_ring.h"
#include "core/paxos/learner.h"

/* Where the journal holds the records of a block of slots: all lie at lsns [first, last). */
struct block {
    uint64_t first;
    uint64_t last;
};

struct catch_up_request {
    uint32_t sender;
    uint64_t from, to;
};

struct catch_up {
    struct node_config config;
    node_set learners, acceptors; /* that may be asked */
    struct limits limits;         /* `read_bytes` and `requests` */
    struct slot_ring blocks;      /* by slot / 64 */
    uint64_t block_end;           /* no block from here on has a record */
    uint64_t kept_from;           /* the journal has all slots from here on that were executed */

    /* Asking. */
    uint64_t progress[NODE_ID_MAX + 1]; /* first slot each learner has not executed */
    uint64_t gap_from, gap_since, asked_from, asked_at, wake_at;
    uint32_t asked; /* the learner that was asked last */
    bool answered;  /* the last request was answered completely, so the next one need not wait */
    bool waiting;   /* the last request has had no answer yet */

    /* Serving: one request at a time; the others wait. */
    struct catch_up_request *requests;
    size_t request_count;
    bool reading;
    struct catch_up_request serving;
    uint64_t cursor, end; /* lsns that are still to be read */
    struct entry *found;  /* by slot - serving.from; ballot none: not found */
    size_t found_capacity;
};

void catch_up_init(struct catch_up *c, const struct node_config *config);
void catch_up_close(struct catch_up *c);
/* Who is asked from now on. `fresh`: what these have said is void. */
void catch_up_configure(struct catch_up *c, node_set learners, node_set acceptors, node_set fresh);
/* Begins a step. */
void catch_up_begin(struct catch_up *c);

/* The journal has a record of this slot's value at `lsn`. */
void catch_up_note_record(struct catch_up *c, uint64_t slot, uint64_t lsn);
/* The slot is executed; every record it needs lies below `lsn`. */
void catch_up_note_executed(struct catch_up *c, uint64_t slot, uint64_t lsn);

/* Slots below `slot` are no longer served: a snapshot has them. */
void catch_up_keep_from(struct catch_up *c, uint64_t slot);
/* The lowest lsn at which a slot that is still served may have a record; `next` if there is none. `next`: of the next
 * record. */
uint64_t catch_up_oldest(const struct catch_up *c, uint64_t next);

/* A learner says how far it has executed. */
void catch_up_progress(struct catch_up *c, uint32_t learner, uint64_t executed);
/* Chosen entries came in; `last`: they end the answer to a request. */
void catch_up_answered(struct catch_up *c, bool last);
/* Asks for the gap when it has lasted long enough, when it is large, or when an answer has been used up (`executing`: slots
 * that came in are left for the next step). An answer that brought nothing new is no reason to ask at once. Otherwise, where
 * one question gets several answers, each of them would lead to another question. */
void catch_up_ask(struct catch_up *c, struct learner_gap gap, bool executing, uint64_t now, struct effects *effects);
/* When catch_up_ask or catch_up_serve wants to be called again. */
uint64_t catch_up_wake_at(const struct catch_up *c);

/* `sender` wants slots [from, to). All of them are executed here. False: the first of them is no longer served. */
bool catch_up_request(struct catch_up *c, uint32_t sender, uint64_t from, uint64_t to);
/* Takes records that were read back. When all are there, it sends the answer. */
void catch_up_records(struct catch_up *c, const struct record_list *records, struct effects *effects);
/* Starts on the next request. */
void catch_up_serve(struct catch_up *c, struct effects *effects);

/* For tests: traps unless its counters agree with its contents. */
void catch_up_audit(const struct catch_up *c);

#endif
