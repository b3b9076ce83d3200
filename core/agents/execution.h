/* Executes chosen entries in slot order, with a bounded amount of work in each step: a batch may take several steps. It
 * keeps the entries to be executed, the state machine, the sessions of clients, the last batch of each origin, and the
 * chained hash. A part of the learner agent. */
#ifndef SYNOD_CORE_AGENTS_EXECUTION_H
#define SYNOD_CORE_AGENTS_EXECUTION_H

#include "core/agents/answering.h"
#include "core/agents/changes.h"
#include "core/agents/configurations.h"
#include "core/formats/configuration.h"
#include "core/formats/notice.h"
#include "core/formats/transaction.h"
#include "core/state/sessions.h"

/* A snapshot has what a learner has executed before a slot, in pieces (core/formats/snapshot.h): first SNAPSHOT_LEARNER,
 * then the chunks of the sessions, and those of the state machine. They are functions of the log alone. SNAPSHOT_LEARNER,
 * little-endian:
 *
 *    0  state hash         8      8  commands executed    8
 *   16  seeded             4     20  origins              4
 *   24  configurations     4     28  zero                 4
 *   32  elapsed            8     40  unix                 8   the moment that the state has reached (P22)
 *   48  round              8     56  node                 4   the ballot of the latest leader of whom something was
 *   60  incarnation        4                                  executed (P25)
 *   64  the last batch executed of each origin, by rising origin: origin 4, incarnation 4, number 8
 *       the newest configuration executed, if there is one; and before it the one that it replaces, if that was chosen,
 *       too, and governs slots after the snapshot: slot 8, length 4, zero 4, text (core/formats/configuration.h), zeros up
 *       to 8 */
enum { EXECUTION_PIECE_HEADER = 64, EXECUTION_PIECE_ORIGIN = 16, EXECUTION_PIECE_CONFIGURATION = 16 };
enum {
    EXECUTION_CONFIGURATIONS = 2,
    EXECUTION_PIECE_MAX = EXECUTION_PIECE_HEADER + (NODE_ID_MAX + 1) * EXECUTION_PIECE_ORIGIN +
                          EXECUTION_CONFIGURATIONS * (EXECUTION_PIECE_CONFIGURATION + CONFIGURATION_TEXT_MAX)
};

/* What SNAPSHOT_LEARNER says. */
struct execution_piece {
    uint64_t state_hash, commands_executed;
    bool seeded;
    struct stamp reached;                  /* the moment, and the ballot of the latest leader */
    struct batch_id last[NODE_ID_MAX + 1]; /* by origin; incarnation and number 0: none was executed */
    /* The oldest first. Texts point into the piece. */
    struct configured configurations[EXECUTION_CONFIGURATIONS];
    size_t configuration_count;
};

/* Reads it. False: the piece is malformed. */
bool execution_piece_read(const struct payload *piece, struct execution_piece *said);
/* Writes it into `words`, the caller's (words_for(EXECUTION_PIECE_MAX) of them). */
struct payload execution_piece_write(const struct execution_piece *says, uint64_t *words);

/* Whether a batch comes after the last one that was executed of its origin (P8). */
bool execution_is_newer_batch(struct batch_id id, struct batch_id last);

/* Whether a leader stamped this before the one of whom something was executed last (P25). */
bool execution_is_left_behind(struct stamp stamp, struct ballot led);

/* How far a transaction has come. */
enum transaction_state { TRANSACTION_NONE_BEGUN, TRANSACTION_CONDITION, TRANSACTION_COMMANDS };

/* An entry has been executed. */
struct executed {
    const struct entry *entry; /* lives until execution_add or execution_begin */
    struct batch_header batch; /* id.number 0: no batch, or one that was skipped */
    bool skipped;
    bool configured;        /* a configuration that counts: now the newest one */
    struct payload replies; /* live until the next entry is begun */
};

struct execution {
    struct limits limits; /* `step_work`, `apply`, `apply_bytes` and `replies_bytes` */
    struct state_machine *machine;
    struct entry *entries; /* copies: [0, first) executed in this step, [first, count) not yet */
    size_t first, count, capacity;
    uint64_t work; /* done in this step */

    bool seeded;  /* the state machine has its seed */
    bool stalled; /* the state machine executes nothing until more of its snapshot is saved */
    bool begun;   /* the first entry is a batch, of which some commands may be executed */
    struct batch_header header;
    struct answering answering; /* its commands, without what precedes them in a session */
    struct session_call *calls; /* what each is about */
    size_t calls_capacity;
    struct transaction transaction; /* of the command that is next, if it is one and has begun */
    enum transaction_state transaction_state;
    size_t transaction_done; /* so many of its commands are executed */
    size_t transaction_from; /* where its reply begins */

    uint64_t keys, state_bytes; /* of the state machine, for operators */
    uint64_t timed_keys, time_left;
    uint64_t due;              /* when something of its state ends by itself: agreed milliseconds, or DUE_NEVER */
    uint64_t state_bytes_max;  /* what the state machine was told last; 0: nothing */
    uint64_t state_bytes_room; /* what a snapshot may have */

    struct sessions *sessions;

    uint32_t node, incarnation; /* whose port is told */
    uint64_t watch;             /* what is to be told: bits of notice.h */
    bool machine_tells;         /* the state machine says what happens to keys */
    struct notices notices;     /* of this step */
    struct changes changes;     /* what commands may change */

    struct configurations configurations;  /* executed; the one before is kept as long as there is no newer one */
    struct payload text, text_before;      /* theirs; empty: it was not chosen */
    struct batch_id last[NODE_ID_MAX + 1]; /* last batch executed, by origin */
    struct stamp reached;                  /* the moment, and the ballot of the latest leader (P22, P25); both rise */
    uint64_t state_hash;
    uint64_t commands_executed;
};

/* Uses the limits of `config`, and its bound on the state as that of the first configuration. */
void execution_init(struct execution *x, const struct node_config *config);
void execution_close(struct execution *x);

/* From now on this is to be told. */
void execution_watch(struct execution *x, uint64_t watch);

/* Begins a step: forgets the entries executed in the step before, and what came of them. */
void execution_begin(struct execution *x);

/* Adds chosen entries (copied), in slot order. */
void execution_add(struct execution *x, const struct entry *entries, size_t count);

/* True: of a transaction some commands are executed, and some are not. The state is none that a client may see. */
static inline bool execution_is_in_transaction(const struct execution *x)
{
    return x->transaction_state != TRANSACTION_NONE_BEGUN;
}

/* The entry that is executed next, NULL when there is none. */
const struct entry *execution_next(const struct execution *x);
/* True when the next entry has not been begun. */
bool execution_is_fresh(const struct execution *x);

/* Goes on with the next entry. True: it is executed, and `*done` describes it. False: this step has done enough, or the
 * state machine is `stalled`. */
bool execution_run(struct execution *x, struct executed *done);

/* Slots are left out: who watches is told so, in place of what came of them (P26). */
void execution_left_out(struct execution *x);

/* The moment at which the state machine executes and answers now: during a batch, the batch's (P22). */
struct moment execution_now(const struct execution *x);

/* The agreed time from which on something of the state has ended by itself, if time passes; DUE_NEVER. */
uint64_t execution_due(const struct execution *x);

/* Before the first chunk of a snapshot is loaded into the state machine. The state may be larger than what is governed now,
 * if that was lowered; but it is loaded only if this node has memory for it, however much is or was governed. */
void execution_loads(struct execution *x);

/* The first piece of a snapshot of what is executed now, which is all before `slot`; in `words`, the caller's
 * (words_for(EXECUTION_PIECE_MAX) of them). */
struct payload execution_save(const struct execution *x, uint64_t slot, uint64_t *words);
/* Takes over what the first piece of a snapshot says, and forgets the entries of slots below its own. The state machine is
 * loaded apart. False: the piece is malformed, and nothing has changed. */
bool execution_load(struct execution *x, const struct payload *piece, uint64_t slot);

#endif
