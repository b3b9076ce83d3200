/* The learner: finds out what was chosen and releases it in slot order (Lamport, "Paxos Made Simple", section 2.3).
 *
 * Chosen is known by (slot, ballot), never by slot alone (P6): a value counts when it was proposed at the ballot known to be
 * chosen, or at a higher one, which can only carry the same value.
 *
 * Votes count by the configuration that governs their slot (P11). It is known for alpha slots beyond the first one that is
 * not released, unless an entry with a configuration was released that is not judged yet. Votes for slots beyond are kept,
 * and count when that has become known. */
#ifndef SYNOD_CORE_PAXOS_LEARNER_H
#define SYNOD_CORE_PAXOS_LEARNER_H

#include "core/base/types.h"

struct learner;

struct learner_gap {
    uint64_t from;
    uint64_t to;
};

/* A learner that knows the first configuration; none, if the node joined later. */
struct learner *learner_new(const struct node_config *config);
void learner_free(struct learner *l);

/* A newer configuration than those so far was executed, or loaded with a snapshot. The last two are known. */
void learner_configure(struct learner *l, const struct configuration *configuration);

/* All configurations in slots below `slot`, which were released, have been given to learner_configure. */
void learner_limit(struct learner *l, uint64_t slot);

/* How many slots a learner keeps, from the first one not released on; alpha: the largest one of the configurations that it
 * was given. */
static inline uint64_t learner_window(uint32_t alpha) { return (uint64_t)alpha * 4; }

/* Beyond so many bytes a learner drops the values of the highest slots, though never that of the first one not released. It
 * asks for the dropped ones when their turn comes. */
static inline uint64_t learner_bytes_max(const struct node_config *config) { return config->bytes_in_flight_max * 2; }

/* Bytes of all values kept. */
uint64_t learner_bytes(const struct learner *l);

/* Values proposed at a ballot (each entry's own). They have no effect until their ballot is known to be chosen. */
void learner_proposed(struct learner *l, const struct entry *entries, size_t count);

/* `sender` voted at `ballot` for slots [from, to). A phase-2 quorum of votes at one ballot makes a slot chosen. */
void learner_voted(struct learner *l, uint32_t sender, struct ballot ballot, uint64_t from, uint64_t to);

/* The leader of `ballot` says: slots [from, to) were chosen at it, and all slots before `from` at some ballot. */
void learner_chosen(struct learner *l, struct ballot ballot, uint64_t from, uint64_t to);

/* Entries that a learner says are chosen. */
void learner_learned(struct learner *l, const struct entry *entries, size_t count);

/* Every slot below `slot` is known by a snapshot. None of them is released any more. */
void learner_skip(struct learner *l, uint64_t slot);

/* The next chosen entries in slot order, each given once: about `bytes_max` bytes of values, one at least if there are any.
 * An entry's ballot is one at which its value was proposed, and not below the ballot at which it was chosen. The entries are
 * the learner's, valid until its next call. */
struct entry_list learner_release(struct learner *l, uint32_t bytes_max);

/* The first run of slots that cannot be released although they, or later slots, are known to be chosen or were voted for.
 * from = to when there is none. */
struct learner_gap learner_missing(struct learner *l);

/* First slot not yet released. */
uint64_t learner_next(struct learner *l);

/* Every slot below is known to be chosen (its value may still be missing). */
uint64_t learner_known_chosen(struct learner *l);

/* For tests: traps unless its counters agree with its contents. */
void learner_audit(const struct learner *l);

#endif
