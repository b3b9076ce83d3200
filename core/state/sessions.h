/* Sessions: what clients need so that a command that they send again is executed once (P21). A session has an id, and each
 * of its commands a number that its client chose. What was executed is remembered with its reply, so a command that comes
 * again gets the first reply. That is part of the replicated state, and of snapshots: it is a function of the log alone.
 * (Ongaro, "Consensus: Bridging Theory and Practice", section 6.3; Lee et al., "Implementing Linearizability at Large Scale
 * and Low Latency", SOSP 2015.)
 *
 * A session of window w has w places. The command of number n is remembered in place n mod w, until the next one of that
 * place is executed. So its client has at most w commands without an answer, and none executed is ever executed again: the
 * place has its number or a higher one.
 *
 * All of it is in one table (kv_versions.h), which can be saved while commands go on:
 *
 *   key                       value
 *   (nothing)                 the ids of the sessions used longest ago and last
 *   id 8                      window 4, a page 4, the session used before this one 8, the one after 8, when it was used
 *                             last 8 (agreed milliseconds; what is used all the time says so now and then)
 *   id 8, page 4              the next page 4, then for each of its 6 places: number 8 (0: it was not used yet), length of
 *                             the reply 4 (0: it was too long to be kept), and the reply if it has 20 bytes at most, packed
 *                             (core/formats/batch.h) 20
 *   id 8, 2^31 + place 4      a longer packed reply
 *
 * Places are side by side because a client takes its numbers in order: the next command touches the memory of the last one.
 * Six fill two blocks (kv_table.h).
 * The pages in use are linked, each with one added, so that to forget a session takes no longer than what was remembered.
 *
 * The table is bounded: after each batch, the sessions used longest ago are forgotten until it is small enough. (Within a
 * batch nothing is forgotten, so how a node cuts a batch into steps does not matter.) And one that is not used for some time
 * is forgotten when time passes (P22), a few at each stamp of the log. Which one was used longest ago is known to a
 * thousandth part of that time. Who goes on with one of them gets an error, never a
 * second execution. */
#ifndef SYNOD_CORE_STATE_SESSIONS_H
#define SYNOD_CORE_STATE_SESSIONS_H

#include "core/formats/session_call.h"
#include "core/state/state_machine.h"

enum {
    SESSIONS_ENDED_MAX = 16,
    SESSION_REPLY_MAX = 4096, /* bytes of a reply, packed, that is kept */
};

struct sessions;

enum session_state {
    SESSION_FRESH,      /* the command was not executed */
    SESSION_EXECUTED,   /* it was; this is its reply */
    SESSION_REPLY_LOST, /* it was, and its reply was too long */
    SESSION_PASSED,     /* its place has a higher number */
    SESSION_UNKNOWN,    /* there is no such session */
};

struct sessions *sessions_new(void);
void sessions_free(struct sessions *s);

/* How many bytes they may take, for a governed state_bytes_max. */
void sessions_limit(struct sessions *s, uint64_t state_bytes_max);
/* It is `elapsed` by the log: forgets some of the sessions, SESSIONS_ENDED_MAX at most, that were not used for `idle_ms`. */
void sessions_pass(struct sessions *s, uint64_t elapsed, uint32_t idle_ms);
/* When the one used longest ago ends, if it is not used; UINT64_MAX: there is none. */
uint64_t sessions_due(struct sessions *s, uint32_t idle_ms);
/* A batch has been executed: forgets what is too much. */
void sessions_trim(struct sessions *s);

/* Opens a session: the first id from `wanted` on that is not in use. Precondition: `wanted` is 1 to SESSION_ID_MAX. */
uint64_t sessions_open(struct sessions *s, uint64_t wanted, uint32_t window);
/* False: there is none. */
bool sessions_forget(struct sessions *s, uint64_t id);
/* What is known of a command. SESSION_EXECUTED: `*reply` is its packed reply, valid until the next call. */
enum session_state sessions_look(struct sessions *s, const struct session_call *call, struct bytes *reply);
/* It is the session used last. Precondition: it is there. */
void sessions_used(struct sessions *s, uint64_t id);
/* The command was executed, with this packed reply, and its session used. Precondition: it is SESSION_FRESH. */
void sessions_executed(struct sessions *s, const struct session_call *call, struct bytes reply);

uint64_t sessions_count(const struct sessions *s);
/* Bytes of memory that they take: a function of their contents alone. */
uint64_t sessions_size(const struct sessions *s);
/* What was spent since the last call, in the units of kv_table.h. */
uint64_t sessions_work(struct sessions *s);
/* False: while a snapshot is in progress, nothing can be executed until more of it is saved. */
bool sessions_have_room(const struct sessions *s);

/* As state_machine_snapshot_begin, _save and _load. */
void sessions_snapshot_begin(struct sessions *s);
struct snapshot_chunk sessions_snapshot_save(struct sessions *s);
/* False: the bytes are malformed; then there are no sessions. */
bool sessions_snapshot_load(struct sessions *s, struct bytes chunk, bool first, bool last);

#endif
