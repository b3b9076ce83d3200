/* The acceptor: promises and votes (Lamport, "Paxos Made Simple", section 2.2, P1a; "Phase 1 (b)", "Phase 2 (b)").
 *
 * Votes are kept for a window of slots [floor, floor + window) and for about acceptor_bytes_max() bytes of values. A
 * majority of the learners holds what is below the floor. The acceptor does not wait for disks: it says which promises and
 * votes are new, and its agent withholds the answers until their records are durable (P2). */
#ifndef SYNOD_CORE_PAXOS_ACCEPTOR_H
#define SYNOD_CORE_PAXOS_ACCEPTOR_H

#include "core/base/types.h"

struct acceptor;

struct acceptor_prepare_result {
    bool granted;
    bool is_new; /* the promise went up: write its record before answering */
    struct ballot promised;
};

struct acceptor_vote_chunk {
    uint64_t from;
    uint64_t to;
    uint64_t floor;
    bool last;
    struct entry_list entries; /* the acceptor's, valid until its next call */
};

struct acceptor_vote_run {
    uint64_t from;
    uint64_t to;
    bool is_new;
};
struct acceptor_vote_runs {
    struct acceptor_vote_run *ptr;
    size_t len;
};
struct acceptor_accept_result {
    bool granted;
    struct ballot promised;
    struct acceptor_vote_runs runs; /* the acceptor's, valid until its next call */
};

/* An acceptor for this node, with nothing promised. The window is acceptor_window(config->alpha) slots. */
struct acceptor *acceptor_new(const struct node_config *config);
void acceptor_free(struct acceptor *a);

/* So many slots may be in flight from now on. The window grows with that; it never becomes smaller, because votes that were
 * cast stay. */
void acceptor_widen(struct acceptor *a, uint32_t alpha);

/* Slots above the floor in which votes are taken. That is enough for the alpha slots in flight, and for the delay with which
 * the floor follows what is chosen. */
static inline uint64_t acceptor_window(uint32_t alpha) { return (uint64_t)alpha * 4; }

/* Bytes of values beyond which a new vote is cast only in the slot at the floor. That is what a leader may have in flight,
 * and as much again for the delay with which the floor follows. */
static inline uint64_t acceptor_bytes_max(const struct node_config *config) { return config->bytes_in_flight_max * 2; }

/* Bytes of the values of all votes. */
uint64_t acceptor_bytes(const struct acceptor *a);

/* Phase 1b: grants every ballot not below the promised one, and promises it. */
struct acceptor_prepare_result acceptor_prepare(struct acceptor *a, struct ballot ballot);

/* The votes from slot `from` on, in slot order: about `bytes_max` bytes of values, one entry at least. The chunk covers
 * [from, to). If `from` is below the floor, the chunk starts at the floor and says so. `last` is true when no vote is at or
 * beyond `to`. */
struct acceptor_vote_chunk acceptor_votes(struct acceptor *a, uint64_t from, uint32_t bytes_max);

/* Phase 2b: votes for the entries (whose own ballot field is ignored) unless a higher ballot is promised.
 *
 * `runs` says, in the entries' order, which slots now have a vote at `ballot`. A run is new when its votes were not there
 * before; those need records. A new vote raises the promise to `ballot`, and its record carries that.
 *
 * Some slots are in no run: those below the floor, those beyond the window, and those for whose values there is no room. A
 * vote that was cast is never dropped, so a new one waits until the floor rises. The slot at the floor always has room, so
 * that the floor can rise; and so has a value that is no longer than the one it replaces. */
struct acceptor_accept_result acceptor_accept(struct acceptor *a, struct ballot ballot, const struct entry *entries,
                                              size_t count);

/* Forgets the votes below `floor`, which never goes back. Returns the floor in force. */
uint64_t acceptor_truncate(struct acceptor *a, uint64_t floor);

/* Puts back what a record of the journal says. Kinds that belong to other roles are ignored. */
void acceptor_restore(struct acceptor *a, const struct log_record *record);

/* For tests: traps unless its counters agree with its contents, and with what its agent takes for the floor. */
void acceptor_audit(const struct acceptor *a, uint64_t floor);

#endif
