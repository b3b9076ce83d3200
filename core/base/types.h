/* The words of the protocol as C types.
 *
 * Each struct here has the layout of the WIT record of the same name (wit/types.wit) in the wasm32 build: kinds are
 * uint8_t, options and lists are spelled out, unions follow their tag. The shims in components/ assert size and offsets
 * and then cast. On 64-bit machines only the pointers differ. */
#ifndef SYNOD_CORE_BASE_TYPES_H
#define SYNOD_CORE_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/limits.h"

#define NODE_ID_MAX 63u

/* No cluster lives long enough to reach this slot or round. A runner drops messages that name a larger one (message_fits),
 * so no sum of a slot and a window overflows. */
#define SLOT_MAX (UINT64_C(1) << 62)

/* How many rounds one message may raise an acceptor's promise, or a proposer's next ballot. So enough rounds are left above,
 * whatever round a message names. */
#define ROUND_JUMP_MAX (UINT64_C(1) << 32)

/* What a node does in the protocol; a member may have several roles. */
enum duty { DUTY_PROPOSES = 1, DUTY_ACCEPTS = 2, DUTY_LEARNS = 4, DUTY_ALL = 7 };

typedef uint64_t node_set; /* bit n stands for node n */

static inline node_set node_set_of(uint32_t node) { return UINT64_C(1) << node; }
static inline bool node_set_has(node_set set, uint32_t node) { return node <= NODE_ID_MAX && (set >> node & 1) != 0; }
static inline uint32_t node_set_count(node_set set) { return (uint32_t)__builtin_popcountll(set); }
/* The lowest member of a set that is not empty. */
static inline uint32_t node_set_first(node_set set) { return (uint32_t)__builtin_ctzll(set); }

/* Ordered by round, node, incarnation (P1); all zero is "none". */
struct ballot {
    uint64_t round;
    uint32_t node;
    uint32_t incarnation;
};

/* <0, 0, >0 as a is below, equal to, above b. */
static inline int ballot_compare(struct ballot a, struct ballot b)
{
    if (a.round != b.round)
        return a.round < b.round ? -1 : 1;
    if (a.node != b.node)
        return a.node < b.node ? -1 : 1;
    if (a.incarnation != b.incarnation)
        return a.incarnation < b.incarnation ? -1 : 1;
    return 0;
}

/* Bytes packed little-endian into 64-bit words: `len` bytes, ceil(len / 8) words, unused bytes of the last word zero. */
struct words {
    uint64_t *ptr;
    size_t len;
};
struct payload {
    struct words words;
    uint32_t len;
};

static inline size_t words_for(size_t bytes) { return bytes / 8 + (bytes % 8 != 0); }
static inline uint8_t *payload_bytes(const struct payload *p) { return (uint8_t *)p->words.ptr; }

/* What time it is by the log, in milliseconds: the same on all nodes for each command, and never less than before (P22). */
struct moment {
    uint64_t elapsed; /* since the cluster began: so much has surely passed, whatever clocks were set to */
    uint64_t unix;    /* since 1970, as leaders' wall clocks had it; 0: no leader has said it yet */
};

/* Who makes quorums from a slot on. It is chosen in a slot, as every value is (P11); the first one comes from the
 * configuration file. core/formats/configuration.h has the whole of it, as text; this is what the parts count with. */
struct configuration {
    uint64_t slot;     /* where it was chosen; 0: the first one, which was not chosen */
    uint64_t governs;  /* from this slot on; 0: the first one */
    uint64_t replaces; /* the slot of the one before */
    node_set proposers;
    node_set acceptors;
    node_set learners;
    node_set joining; /* learners that do not count in a majority yet, because they have to catch up first */
    node_set fresh;   /* members whose instance is new with this configuration: what is remembered of them is void */
    uint32_t phase1_quorum;
    uint32_t phase2_quorum;
    uint32_t alpha;
    uint64_t state_bytes_max; /* what the state machine may hold as it executes the slots that are governed; 0: not said */
    bool acceptors_send_learns;
};

/* A configuration with its text, the value of its entry. */
struct configured {
    struct configuration configuration;
    bool settled; /* it governs, and a majority of the learners holds all slots before: the one before is not needed */
    struct payload text; /* none: only that it is settled */
};

enum entry_kind { ENTRY_NOOP, ENTRY_COMMANDS, ENTRY_CONFIGURATION, ENTRY_UPGRADE, ENTRY_KINDS };

struct entry {
    uint64_t slot;
    struct ballot ballot;
    uint8_t kind; /* enum entry_kind */
    struct payload value;
};
struct entry_list {
    struct entry *ptr;
    size_t len;
};

struct batch_id {
    uint32_t origin;
    uint32_t incarnation;
    uint64_t number;
};

static inline bool batch_id_equal(struct batch_id a, struct batch_id b)
{
    return a.origin == b.origin && a.incarnation == b.incarnation && a.number == b.number;
}

/* kind            from -> to   fields used (the others are zero)
 * PREPARE         P -> A       ballot; from: first slot wanted in the next promise chunk; to: slot of the configuration
 *                              under which it is sent
 * PROMISE         A -> P       ballot; [from, to) covered by this chunk; floor; entries: votes; flag LAST
 * ACCEPT          P -> A, L    ballot; entries; as CHOSEN: from, chosen, floor; to: as PREPARE
 * ACCEPTED        A -> P, (L)  ballot; [from, to) voted for
 * NACK            A -> P       ballot: the promise that forbids it; from: 0, or the slot refused
 * HEARTBEAT       P -> all     ballot: highest heard of; flag LEADING: ballot is mine, and as CHOSEN; flag RESIGNED: not to
 *                              be elected, until a heartbeat says otherwise; to: when it was sent, by the sender's clock
 * ALIVE           A -> P       answer to a leader's heartbeat, when no higher ballot is promised (otherwise: NACK); ballot,
 *                              to: those of the heartbeat
 * ASK             P -> A       from: number of the question. "Have you, too, lost the leader?"; flag YES: a claim, although
 *                              there is a leader
 * LOST            A -> P       from: number of the question; flag YES
 * CHOSEN          P -> L       ballot; slots [from, chosen) were chosen at it, all before at some ballot; floor: every
 *                              slot below is held durably by a majority of learners
 * LEARN_REQUEST   L -> L, A    [from, to) wanted
 * LEARN           L, A -> L    entries; flag IS_CHOSEN: they are chosen (from a learner), otherwise votes of the sender;
 *                              flag LAST: the last part of an answer
 * RESULT_REQUEST  P -> L       batch; from: the slot it was proposed in
 * EXECUTED        L -> P       batch; from: its slot; entries[0].value: packed replies; flag ANOTHER: the slot holds
 *                              another batch (no replies); flag FORGOTTEN: executed too long ago to say
 * PROGRESS        L -> all     to: first slot not executed; floor: first slot not durably held; from: a slot up to which all
 *                              is executed (0: none); batch.number: state hash there; chosen: slot of the newest
 *                              configuration that it has executed; batch.incarnation: KiB of state that it has memory for;
 *                              entries[0].value: the moment that its state has reached (core/formats/batch.h, as a no-op);
 *                              entries[1].value, the same way: when something of it ends by itself; none: never
 * FORWARD         P -> P       batch; entries[0].value: the batch
 * HANDOVER        P -> P       ballot: the leader's; to: the node that is to lead (the leader itself: it goes on); from: 0,
 *                              or all slots below are chosen and none from it on was proposed: take over now; flag YES: the
 *                              answer of one that forwards nothing more; flag RESIGNED: and that cannot lead now
 * SNAPSHOT        L -> L       the sender's newest snapshot. from: its slot; to: bytes of the file; batch.number: checksum;
 *                              flag FORGOTTEN: an answer to a LEARN_REQUEST for slots that its journal no longer has
 * SNAPSHOT_FETCH  L -> L       from: slot of the snapshot wanted; to: offset of the next byte; batch.number: checksum
 * SNAPSHOT_PART   L -> L       as SNAPSHOT_FETCH; entries[0].value: bytes from that offset on; no entry: the sender does not
 *                              have that snapshot
 * CONFIGURATION   any -> L     from: slot of the newest configuration that the sender knows; it wants a newer one;
 *                              batch.number: number of the question
 *                 L -> any     from: slot of the newest configuration that the sender has executed; entries[0]: its entry;
 *                              to: from where on it governs; batch.number: number of the question
 * READ_ROUND      P -> A       ballot: the leader's; from: number of the round. "Have you promised a higher ballot?"; to: as
 *                              PREPARE
 * READ_CONFIRMED  A -> P       "No, I have not" (otherwise: NACK); ballot, from: those of the READ_ROUND
 * QUERY           P -> L       batch: an id of the sender's, which is in no slot; entries[0].value: a batch of reads; to: it
 *                              may be answered when every slot below is executed
 * QUERY_ANSWER    L -> P       batch: that of the QUERY; entries[0].value: packed replies; to: first slot not executed
 * READ_INDEX      P, L -> P    from: number of a round of the sender, which follows: the leader is to confirm it;
 *                              batch.incarnation: the sender's
 *                 P -> P, L    flag YES: the leader does. ballot: its own; from, batch.incarnation: those of the question;
 *                              to: as in a QUERY */
enum message_kind {
    MESSAGE_PREPARE,
    MESSAGE_PROMISE,
    MESSAGE_ACCEPT,
    MESSAGE_ACCEPTED,
    MESSAGE_NACK,
    MESSAGE_HEARTBEAT,
    MESSAGE_ALIVE,
    MESSAGE_ASK,
    MESSAGE_LOST,
    MESSAGE_CHOSEN,
    MESSAGE_LEARN_REQUEST,
    MESSAGE_LEARN,
    MESSAGE_RESULT_REQUEST,
    MESSAGE_EXECUTED,
    MESSAGE_PROGRESS,
    MESSAGE_FORWARD,
    MESSAGE_HANDOVER,
    MESSAGE_SNAPSHOT,
    MESSAGE_SNAPSHOT_FETCH,
    MESSAGE_SNAPSHOT_PART,
    MESSAGE_CONFIGURATION,
    MESSAGE_READ_ROUND,
    MESSAGE_READ_CONFIRMED,
    MESSAGE_QUERY,
    MESSAGE_QUERY_ANSWER,
    MESSAGE_READ_INDEX,
    MESSAGE_KINDS
};

enum message_flags {
    MESSAGE_LAST = 1,
    MESSAGE_LEADING = 2,
    MESSAGE_RESIGNED = 4,
    MESSAGE_YES = 8,
    MESSAGE_IS_CHOSEN = 16,
    MESSAGE_ANOTHER = 32,
    MESSAGE_FORGOTTEN = 64,
};

struct message {
    uint8_t kind; /* enum message_kind */
    uint8_t flags;
    struct ballot ballot;
    uint64_t from;
    uint64_t to;
    uint64_t floor;
    uint64_t chosen;
    struct batch_id batch;
    struct entry_list entries;
};

enum record_kind { RECORD_PROMISED, RECORD_ACCEPTED, RECORD_LEARNED, RECORD_CHOSEN, RECORD_FLOOR, RECORD_KINDS };

struct log_record {
    uint64_t lsn;
    uint8_t kind; /* enum record_kind */
    uint64_t to;
    struct entry entry;
};
struct record_list {
    struct log_record *ptr;
    size_t len;
};

/* Pieces of a snapshot (core/formats/snapshot.h). */
enum snapshot_piece_kind {
    SNAPSHOT_END = 0,     /* the last one, which storage makes by itself */
    SNAPSHOT_LEARNER = 1, /* what the learner agent remembers: the last batch executed of each origin */
    SNAPSHOT_STATE = 2,   /* a chunk of the state machine, but the last */
    SNAPSHOT_STATE_LAST = 3,
    SNAPSHOT_SESSIONS = 4, /* a chunk of the sessions of clients, but the last */
    SNAPSHOT_SESSIONS_LAST = 5,
    SNAPSHOT_PIECE_KINDS
};

/* What a node asks of its storage about snapshots, and what it is told. The slot of a snapshot is the first one that is not
 * in it. One snapshot at a time is being written or received; one at a time is being loaded.
 *
 * asks            id           value
 * BEGIN           slot                          begins to write; what was being written or received is given up
 * PIECE           piece kind   body             the next piece: LEARNER, SESSIONS ..., STATE ..., STATE_LAST
 * COMMIT          slot                          makes it durable: STORED, or FAILED
 * ABANDON         slot                          gives up what is being written or received; it is not told FAILED. What
 *                                               has been received stays
 * DISCARD         slot                          removes what has been received and stayed
 * RECEIVE         slot         size, checksum   begins or resumes to receive the bytes of a snapshot: WANTED (or STORED, if
 *                                               it is there already; or FAILED)
 * BYTES           offset       bytes            of the file being received. Those at another offset than WANTED are left
 *                                               out. With the last ones it is checked and made durable: STORED or FAILED
 * READ            slot         offset, length   bytes for a peer: BYTES_READ or GONE. One at a time
 * LOAD            slot                          LOADED_PIECE ..., LOADED; or FAILED, before the first piece
 *
 * tells
 * STORED          slot         size, checksum   it is durable. At start: one for each that is there, the oldest first
 * RECEIVED        slot                          at start: an earlier life has received some of it
 * WRITTEN         bytes                         so many bytes of bodies of what is being written are with the file, in all;
 *                                               or of the file that is being received
 * FAILED          slot                          what was being written, received or loaded is given up; the log says why
 * WANTED          offset                        of the file being received, bytes from here on are wanted
 * BYTES_READ      offset       bytes            none: the file ends there
 * GONE            slot                          it is not there, or not readable
 * LOADED_PIECE    piece kind   body
 * LOADED          slot                          that was all. At start without being asked; slot 0: there is none to load
 *
 * Sizes, checksums, offsets and lengths are words of 64 bits. */
enum snapshot_item_kind {
    SNAPSHOT_BEGIN,
    SNAPSHOT_PIECE,
    SNAPSHOT_COMMIT,
    SNAPSHOT_ABANDON,
    SNAPSHOT_DISCARD,
    SNAPSHOT_RECEIVE,
    SNAPSHOT_BYTES,
    SNAPSHOT_READ,
    SNAPSHOT_LOAD,
    SNAPSHOT_STORED,
    SNAPSHOT_RECEIVED,
    SNAPSHOT_WRITTEN,
    SNAPSHOT_FAILED,
    SNAPSHOT_WANTED,
    SNAPSHOT_BYTES_READ,
    SNAPSHOT_GONE,
    SNAPSHOT_LOADED_PIECE,
    SNAPSHOT_LOADED,
    SNAPSHOT_ITEM_KINDS
};

struct snapshot_item {
    uint8_t kind; /* enum snapshot_item_kind */
    uint64_t id;
    struct payload value;
};

struct delivery {
    uint32_t sender;
    struct message message;
};
struct client_batch {
    uint64_t token;
    struct payload value;
};
struct appended {
    uint64_t lsn;
    uint64_t slot;
    struct ballot ballot;
};

enum event_tag {
    EVENT_MESSAGE,
    EVENT_COMMANDS,
    EVENT_DURABLE,
    EVENT_RECORDS,
    EVENT_RECOVERED,
    EVENT_APPENDED,
    EVENT_STOP,
    EVENT_REQUEST,
    EVENT_SNAPSHOT,
    EVENT_CONFIGURATION,
    EVENT_READS,
    EVENT_WALL_CLOCK,
    EVENT_WATCH
};

struct event {
    uint8_t tag; /* enum event_tag */
    union {
        struct delivery message;
        struct client_batch commands;
        uint64_t durable;
        struct record_list records;
        struct appended appended;
        struct client_batch request; /* an operator's (core/formats/operator_request.h) */
        struct snapshot_item snapshot;
        struct configured configuration; /* slot 0: the first one, complete: it may be proposed */
        struct client_batch reads;       /* commands that change nothing (P9) */
        uint64_t wall_clock;             /* of the host, as it is now: milliseconds since 1970 (P22) */
        uint64_t watch;                  /* what this node's client port wants to be told from now on (P26) */
    } val;
};
struct event_list {
    struct event *ptr;
    size_t len;
};

struct outgoing {
    node_set to;
    uint64_t after; /* lsn that must be durable first; 0: none */
    struct message message;
};
struct read_range {
    uint64_t from;
    uint64_t to;
    uint32_t bytes_max;
};

enum outcome { OUTCOME_EXECUTED, OUTCOME_MOVED, OUTCOME_BUSY, OUTCOME_UNKNOWN };

struct client_reply {
    uint64_t token;
    uint8_t outcome; /* enum outcome */
    uint32_t leader;
    uint64_t slot; /* of the batch, if it was executed; 0: it is in none */
    struct payload replies;
};
struct leadership {
    uint32_t leader;
    struct ballot ballot;
};

/* No record below `lsn` is needed any more, but the sticky ones, once the record `after` is durable. */
struct truncation {
    uint64_t lsn;
    uint64_t after; /* 0: none */
};

enum effect_tag {
    EFFECT_SEND,
    EFFECT_APPEND,
    EFFECT_READ,
    EFFECT_REPLY,
    EFFECT_LEADER,
    EFFECT_DIVERGED,
    EFFECT_DAMAGED,
    EFFECT_SNAPSHOT,
    EFFECT_TRUNCATE,
    EFFECT_UNLOADABLE,
    EFFECT_CONFIGURATION,
    EFFECT_WALL_CLOCK,
    EFFECT_NOTICES
};

struct effect {
    uint8_t tag; /* enum effect_tag */
    union {
        struct outgoing send;
        struct log_record append;
        struct read_range read;
        struct client_reply reply;
        struct leadership leader;
        uint64_t damaged;  /* slot whose value the journal should have and does not */
        uint64_t diverged; /* slot before whose execution this node's state differs from that of a majority */
        struct snapshot_item snapshot;
        struct truncation truncate;
        uint64_t unloadable; /* slot of a snapshot that is sound, but that this node cannot load */
        struct configured configuration;
        int64_t wall_clock;     /* milliseconds by which this leader's is ahead of the log's; negative: behind it */
        struct payload notices; /* for the client port of this node (core/formats/notice.h) */
    } val;
};
struct effect_list {
    struct effect *ptr;
    size_t len;
};

/* How many more batches from clients a node would take now. What is for the log waits for disks, and reads do not (P9): so
 * each has its own. */
struct credit {
    uint32_t commands;
    uint32_t reads;
};

struct step_result {
    struct effect_list effects;
    uint64_t wake_at; /* UINT64_MAX: never */
    struct credit credit;
};

enum leader_rule { LEADER_STICKY, LEADER_HIGHEST };

enum durability { DURABILITY_FSYNC, DURABILITY_OS, DURABILITY_MEMORY };

/* Random bits of a node's life. */
struct seed {
    uint64_t low;
    uint64_t high;
};

/* Times in microseconds. wit/types.wit documents the fields. */
struct node_config {
    uint32_t node;
    uint32_t incarnation;
    uint64_t admitted;
    uint8_t joined; /* bits of enum duty */
    node_set proposers;
    node_set acceptors;
    node_set learners;
    uint32_t phase1_quorum;
    uint32_t phase2_quorum;
    uint32_t alpha;
    uint32_t batches_in_flight;
    uint64_t bytes_in_flight_max;
    uint32_t chunk_bytes_max;
    uint32_t learn_gap_max;
    bool acceptors_send_learns;
    bool learners_send_executed;
    bool forward;
    bool event_driven;
    bool log_decisions;
    uint8_t durability;  /* enum durability */
    uint8_t leader_rule; /* enum leader_rule */
    uint64_t heartbeat_interval;
    uint64_t suspect_timeout;
    uint64_t dead_timeout;
    uint64_t prepare_timeout;
    uint64_t retry_interval;
    uint64_t exec_interval;
    uint64_t request_timeout;
    uint64_t state_bytes_max;
    uint64_t state_bytes_room;
    uint64_t snapshot_bytes;
    uint64_t snapshot_slots;
    uint32_t snapshots_max;
    uint64_t journal_keep_slots;
    uint64_t transfer_rate;
    struct seed seed;
    struct limits limits; /* zeros: standard values */
};

enum proposer_state { PROPOSER_FOLLOWING, PROPOSER_ASKING, PROPOSER_PREPARING, PROPOSER_LEADING };

struct node_status {
    uint32_t node;
    uint32_t incarnation;
    uint32_t leader;
    uint8_t proposer_state; /* enum proposer_state */
    struct ballot ballot;
    struct ballot promised;
    uint64_t chosen;
    uint64_t executed;
    uint64_t held;
    uint64_t state_hash;
    uint64_t commands_executed;
    uint64_t leader_changes;
    uint64_t batches_waiting;
    uint64_t keys;            /* of the state; 0 where none is */
    uint64_t state_bytes;     /* memory that keys and values take */
    uint64_t state_bytes_max; /* that they may take */
    struct moment moment;     /* that the state has reached */
    uint64_t timed_keys;      /* keys that end by themselves */
    uint64_t time_left;       /* milliseconds until they do, on average */
    uint64_t state_age_ms;    /* since the state was surely current (P27), as of the last step; UINT64_MAX: not known */
    uint64_t slots_behind;    /* chosen, as far as is known here, and not executed */
    uint64_t sessions;        /* that are remembered */
    uint64_t session_bytes;   /* memory that they take */
    uint64_t wall_clock;      /* of the host, at the last turn; the runner knows it, otherwise 0 */
};

#endif
