/* The proposer: ballots, phase 1 over all slots from a floor on, and a window of slots in phase 2 (Lamport, "Paxos Made
 * Simple", sections 2.2 and 3; van Renesse and Altinbuken, "Paxos Made Moderately Complex", section 2).
 *
 * Slots [first, chosen) were chosen at the current ballot, [chosen, next) are in flight. A slot is given out only below
 * chosen + alpha (P5).
 *
 * A leadership has one configuration: promises and votes of its acceptors count, and nothing is proposed at or above a
 * limit, from where on another one may govern (P11). */
#ifndef SYNOD_CORE_PAXOS_PROPOSER_H
#define SYNOD_CORE_PAXOS_PROPOSER_H

#include "core/base/types.h"

/* Phase 1 covers at most so many slots beyond the floor: it bounds what a promise can make a proposer remember. Acceptors
 * have votes in fewer slots: four times alpha, and after a restart alpha more. The bound fits the largest alpha, not this
 * node's, since votes may be older than the setting. */
enum { PROPOSER_RECOVERED_MAX = 1 << 16 };

struct proposer;

enum promise_outcome { PROMISE_IGNORED, PROMISE_MORE, PROMISE_WAITING, PROMISE_ELECTED };

struct promise_result {
    uint8_t outcome; /* enum promise_outcome */
    uint64_t next;   /* PROMISE_MORE: first slot of the chunk to ask for next */
};

struct proposer_window {
    struct ballot ballot; /* none while not leading */
    uint64_t first;
    uint64_t chosen;
    uint64_t next;
    uint64_t bytes; /* of values in flight */
};

/* A proposer under the first configuration, without a limit. */
struct proposer *proposer_new(const struct node_config *config);
void proposer_free(struct proposer *p);

/* From the next proposer_prepare on, this configuration counts. Stops leading or preparing. */
void proposer_configure(struct proposer *p, const struct configuration *configuration);

/* Nothing is proposed in `slot` and above. What was recovered there stays, and is sent when the limit rises. It never
 * falls during a leadership: what was proposed stays proposed. */
void proposer_limit(struct proposer *p, uint64_t slot);

/* Phase 1a: takes a new ballot and prepares every slot from `floor` on. Its round is above that of `above` (but at most
 * ROUND_JUMP_MAX above the last one) and above all that this proposer had. Forgets any earlier leadership. Preconditions:
 * `floor` is at least 1, and everything below is chosen. */
struct ballot proposer_prepare(struct proposer *p, struct ballot above, uint64_t floor);

/* Phase 1b: takes one promise chunk. An acceptor counts once contiguous chunks cover floor to last. In each slot the value
 * of the highest ballot wins. A truncation floor above this proposer's raises it (P4). */
struct promise_result proposer_promise(struct proposer *p, uint32_t sender, const struct message *chunk);

/* First slot of the chunk that `acceptor` still owes; 0 when it owes none, or nothing is being prepared. */
uint64_t proposer_promise_wanted(struct proposer *p, uint32_t acceptor);

/* Phase 2a: gives `value` (copied) the next slot. Returns 0 when this proposer does not lead, the window is full, or
 * recovered slots still wait to be sent. */
uint64_t proposer_propose(struct proposer *p, uint8_t kind, const struct payload *value);

/* Entries to send for the first time, in slot order: about `bytes_max` bytes, one at least if there are any. First come
 * values recovered in phase 1 (no-ops for gaps) as the window allows, then what proposer_propose took. The entries are the
 * proposer's, valid until its next call. */
struct entry_list proposer_pending(struct proposer *p, uint32_t bytes_max);

/* Phase 2b: counts the vote of `sender` for slots [from, to) at `ballot`; other ballots are ignored. */
struct proposer_window proposer_accepted(struct proposer *p, uint32_t sender, struct ballot ballot, uint64_t from,
                                         uint64_t to);

/* Every slot below `slot` is settled: a majority of the learners holds it durably, so it was chosen, at some ballot. Nothing
 * is left to do there, even if this proposer never heard the votes. `first` moves along, because those slots may have been
 * chosen at another ballot. */
struct proposer_window proposer_settle(struct proposer *p, uint64_t slot);

struct proposer_window proposer_window_now(struct proposer *p);

/* Entries already sent that are not chosen and that `acceptor` has not voted for, in slot order, about `bytes_max` bytes: to
 * be sent again. Ownership as proposer_pending. */
struct entry_list proposer_unanswered(struct proposer *p, uint32_t acceptor, uint32_t bytes_max);

/* Stops leading or preparing. The highest round used stays remembered. */
void proposer_resign(struct proposer *p);

/* For tests: traps unless its counters agree with its contents. */
void proposer_audit(const struct proposer *p);

#endif
