/* The reference: executes what is chosen, in the simplest way. It is one machine that gets one command at a time, never
 * stops in the middle and never starts again. The rules of a batch (what is executed at most once, what room replies have)
 * are written here once more, and not taken from core/agents/execution.c. Learners must get the same results, in whatever
 * pieces and lives (PrefixEquality). */
#ifndef SYNOD_SIM_REFERENCE_H
#define SYNOD_SIM_REFERENCE_H

#include "core/formats/batch.h"

struct reference;

/* Uses the governed part of `config`: the state's size, and the room of replies. */
struct reference *reference_new(const struct node_config *config);
void reference_free(struct reference *r);

/* Executes the next batch of the log, in `slot`, while the state may take so many bytes (0: as before). Precondition: it is
 * one that learners execute. Returns the chained hash of all so far. */
uint64_t reference_execute(struct reference *r, uint64_t slot, const struct payload *batch, uint64_t state_bytes_max);
/* The same for a no-op with a stamp: time passes. */
uint64_t reference_pass(struct reference *r, struct stamp stamp);
/* Of the keys that commands of the last batch may have changed, in order: a chained checksum. */
/* The same with something that has happened to a key; but for what has ended, which belongs to no batch. */
uint64_t reference_event(uint64_t changes, const struct key_event *e);
uint64_t reference_changes(const struct reference *r);
/* The moment that the state has reached. */
struct moment reference_moment(const struct reference *r);
/* What was wrong with a reply to a command on a lease (sim/reference_leases.h); NULL: nothing so far. */
const char *reference_wrong(const struct reference *r);
/* The same as reference_execute for a configuration that counts: no state changes but the hash. */
uint64_t reference_configure(struct reference *r, const struct payload *text);

/* How many sessions there are, and how many have ended by time. */
size_t reference_sessions_open_now(const struct reference *r);
uint64_t reference_sessions_ended(const struct reference *r);

/* The reply that the state machine gave to a command of a session. */
struct session_answer {
    uint64_t id, number;
    int64_t integer; /* REPLY_INTEGER */
    uint64_t len;    /* the others: of the text, and its checksum */
    uint64_t hash;
    uint8_t tag; /* enum reply_tag */
    char begin[24];
};
/* All of them, in the order of the log. */
const struct session_answer *reference_answers(const struct reference *r, size_t *count);

#endif
