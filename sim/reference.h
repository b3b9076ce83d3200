/* The reference: what is chosen, executed by the letter. One machine, which gets one command at a time, never stops in the middle and
 * never starts again; with the rules of a batch (what is executed at most once, what room replies have) written down once more, and
 * not taken from core/agents/execution.c. What learners come to, in whatever pieces and lives, has to be the same (PrefixEquality). */
#ifndef SYNOD_SIM_REFERENCE_H
#define SYNOD_SIM_REFERENCE_H

#include "core/base/types.h"

struct reference;

/* Of `config` it needs what is governed: the state's size, and the room of replies. */
struct reference *reference_new(const struct node_config *config);
void reference_free(struct reference *r);

/* Executes the next batch of the log. Precondition: it is one that learners execute. Returns the chained hash of all so far. */
uint64_t reference_execute(struct reference *r, const struct payload *batch);

#endif
