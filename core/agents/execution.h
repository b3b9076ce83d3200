/* Executes chosen entries in slot order, with a bounded amount of work in each step: a batch may take several steps. It
 * keeps the entries to be executed, the state machine, the last batch of each origin, and the chained hash. A part of the
 * learner agent. */
#ifndef SYNOD_CORE_AGENTS_EXECUTION_H
#define SYNOD_CORE_AGENTS_EXECUTION_H

#include "core/formats/batch.h"
#include "core/state/state_machine.h"

/* An entry has been executed. */
struct executed {
    const struct entry *entry; /* lives until execution_add or execution_begin */
    struct batch_header batch; /* id.number 0: no batch, or one that was skipped */
    bool skipped;
    struct payload replies; /* live until the next entry is begun */
};

struct execution {
    struct limits limits; /* `step_work`, `apply`, `apply_bytes` and `replies_bytes` */
    struct state_machine *machine;
    struct entry *entries; /* copies: [0, first) executed in this step, [first, count) not yet */
    size_t first, count, capacity;
    uint64_t work; /* done in this step */

    bool seeded; /* the state machine has its seed */
    bool begun;  /* the first entry is a batch of which `applied` commands are executed */
    size_t applied;
    struct batch_header header;
    struct batch_commands commands;
    struct batch_builder replies;
    struct reply_room room; /* for the replies that the rest of the batch still makes */

    struct batch_id last[NODE_ID_MAX + 1]; /* last batch executed, by origin */
    uint64_t state_hash;
    uint64_t commands_executed;
};

/* Uses the limits of `config` and its bound on the state. */
void execution_init(struct execution *x, const struct node_config *config);
void execution_close(struct execution *x);

/* Begins a step: forgets the entries executed in the step before. */
void execution_begin(struct execution *x);

/* Adds chosen entries (copied), in slot order. */
void execution_add(struct execution *x, const struct entry *entries, size_t count);

/* The entry that is executed next, NULL when there is none. */
const struct entry *execution_next(const struct execution *x);
/* True when the next entry has not been begun. */
bool execution_is_fresh(const struct execution *x);

/* Goes on with the next entry. True: it is executed, and `*done` describes it. False: this step has done enough. */
bool execution_run(struct execution *x, struct executed *done);

#endif
