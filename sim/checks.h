/* The rules (docs/rules.md), checked while a world runs. The checks see what no node sees: all messages as they leave, all
 * records as they are appended and as they become durable, every answer, every state. They find out by themselves what is
 * chosen: a value for which a phase-2 quorum of acceptors has durable votes at one ballot. */
#ifndef SYNOD_SIM_CHECKS_H
#define SYNOD_SIM_CHECKS_H

#include <stdarg.h>

#include "core/base/types.h"
#include "core/formats/configuration.h"
#include "sim/history.h"

enum check {
    CHECK_AGREEMENT, /* no two values are chosen in a slot, and learners release the chosen one */
    CHECK_VALIDITY,  /* what is chosen was submitted by a client, or is a no-op; what is asked about was proposed */
    CHECK_ONE_VALUE_PER_BALLOT, /* no two values are proposed in a slot at one ballot */
    CHECK_BALLOT_UNIQUE,        /* a ballot is used by one life of the node in it, and names that life */
    /* no promise leaves before its record is durable; promises survive restarts and never fall */
    CHECK_PROMISE_DURABLE,
    CHECK_VOTE_DURABLE,        /* the same for votes */
    CHECK_CHOSEN_TRUE,         /* a node that says that a slot is chosen (at a ballot) is right */
    CHECK_AT_MOST_ONCE,        /* no batch is executed twice, or chosen after its clients heard that it was refused */
    CHECK_PREFIX_EQUALITY,     /* equal state hashes before equal slots */
    CHECK_LINEARIZABILITY,     /* of what clients were told (sim/history.h) */
    CHECK_READS_CURRENT,       /* a read without a slot reflects all that was answered before its node got it */
    CHECK_TRUNCATION_SAFE,     /* a majority of the learners durably holds what acceptors forget */
    CHECK_RECOVERY,            /* a node comes back with all that was durable, or refuses */
    CHECK_LIFE_UNIQUE,         /* a life on an older copy of a disk is not listened to; a life on a sound disk is heard */
    CHECK_LIVENESS_AFTER_HEAL, /* when faults stop, all is answered, survivors converge, and the cluster serves */
    CHECK_LIVENESS_WHILE_CUT,  /* in a partition that lasts, the side that has quorums serves, and its leader stays */
    CHECK_LIVENESS_GAP,        /* where nodes only end and pause: while all quorums are up, clients get answers */
    CHECK_REPLIES,             /* from the client port that ships: in the order of requests, and none to another's request */
    CHECK_FRAMES,   /* from the network that ships: whole, of the life that is heard, in order, each as often as it came */
    CHECK_BOUNDS,   /* memory, window, bytes in flight, message size */
    CHECK_ACCOUNTS, /* what a node counts is what it has (core/runners/runner.h, runner_audit) */
    CHECK_TRAP,     /* no part breaks an invariant of its own */
    CHECK_ASKED_FIRST, /* who prepares has heard of a quorum that has lost the leader, or the leader wants it */
    CHECK_HANDOVER, /* a leader hands over what is chosen, to a node that keeps up, and is silent then; no request fails */
    CHECK_LIVENESS_WHILE_HUNG, /* while the disk of one node hangs, the others serve, and that node does not lead */
    CHECK_EXACTLY_ONCE,        /* a command of a session is executed once, and each answer to it is its first reply */
    CHECK_TIME_AGREED, /* one time in the log, which never runs ahead of the real one, and keeps up where a leader serves */
    CHECK_EXPIRY,      /* a key is there for as long as was said, and then it is gone for good */
    CHECK_WATCHED,     /* who wants to be told messages gets each once, in the order of the log, or hears that some lack */
    CHECK_ENDED,       /* a node takes the process of another one for ended only if it is, or refuses to be dialled */
    CHECK_CONFIGURATIONS, /* one line of configurations; a ballot is prepared with the one that governs what it proposes */
    CHECKS
};

const char *check_name(enum check check); /* "Agreement", "OneValuePerBallot", ... */

/* Situations that a simulation must reach: one that it never reaches is not tested. */
enum reached {
    REACHED_DIFFERING_BALLOTS,     /* durable votes at different ballots in one slot */
    REACHED_DIFFERING_VALUES,      /* ... for different values */
    REACHED_PROMISE_IN_CHUNKS,     /* a promise of several chunks */
    REACHED_CHANGE_BETWEEN_CHUNKS, /* another ballot is promised between two chunks of a promise */
    REACHED_TWO_LEADERS,           /* two nodes lead at once, at different ballots */
    REACHED_DUELLING_PREPARES,     /* two nodes prepare at once */
    REACHED_GAP_NOOP,              /* a gap was filled by a no-op that was chosen */
    REACHED_VALUE_ADOPTED,         /* a leader proposes what another one proposed before */
    REACHED_CHOSEN_AT_TWO_BALLOTS, /* a slot is chosen again at a higher ballot, with the same value */
    REACHED_NACK,
    REACHED_VOTE_OVERTAKEN,        /* an acceptor votes again in a slot, at a higher ballot */
    REACHED_LEARNED_FROM_PEER,     /* a learner catches up from a learner */
    REACHED_LEARNED_FROM_ACCEPTOR, /* ... from acceptors' votes */
    REACHED_LEARNED_FROM_DISK,     /* ... with what the other one read back from its journal */
    REACHED_FORWARDED,
    REACHED_RESULT_REQUESTED,      /* an origin asks a learner for results that it missed */
    REACHED_EXECUTED_ANOTHER,      /* ... and hears that the slot holds another batch */
    REACHED_TRUNCATED,             /* acceptors forgot votes */
    REACHED_FLOOR_RAISED,          /* a promise's truncation floor is above the slot where the proposer began */
    REACHED_RESIGNED,              /* a leader resigns by itself */
    REACHED_WINDOW_FULL,           /* alpha slots are in flight */
    REACHED_HELD_AT_CRASH,         /* a node crashes while messages are withheld */
    REACHED_PROMISE_AFTER_RESTART, /* an acceptor comes back and refuses a ballot below a promise of an earlier life */
    REACHED_LEADER_RESTARTED,      /* a node that led leads again in a later life */
    REACHED_ALL_DOWN,              /* no node is up */
    REACHED_TORN_TAIL,             /* recovery cut a torn tail */
    REACHED_SEGMENT_ROLLED,        /* a journal grew into another segment */
    REACHED_SEGMENT_REMOVED,       /* ... and lost one that was not needed any more */
    REACHED_NO_ROOM,               /* a journal had no room for another segment */
    REACHED_SNAPSHOT_LOST,         /* a snapshot was given up, or is damaged or unreadable */
    REACHED_GOVERNED_REFUSED,      /* a node refused to start with other governed settings */
    REACHED_RECOVERY_REFUSED,      /* a node refused to start on a damaged journal */
    REACHED_DIVERGED,              /* a node stopped because its state is not that of a majority */
    REACHED_OUTCOME_UNKNOWN,       /* a client was told so */
    REACHED_NO_REPLY_ROOM,         /* the state machine refused a command because of its batch's replies */
    REACHED_NO_STATE_ROOM,         /* ... because of its value */
    REACHED_BUSY,
    REACHED_MOVED,
    REACHED_PORT_FULL,        /* a client port that ships keeps as much for its clients as it may */
    REACHED_CONNECTION_RESET, /* a connection to such a port was reset */
    REACHED_NETWORK_FULL,     /* a network that ships drops frames, or reads no more */
    REACHED_LINK_RESET,       /* a connection of such networks was reset */
    REACHED_LEADER_MOVED,     /* an operator has moved leadership */
    REACHED_LEADER_NOT_MOVED, /* ... or could not: the answer says why */
    REACHED_CROWDED_OUT,      /* a socket had no room for a datagram of such networks */
    REACHED_MEMBER_ADDED,     /* an operator has added a node */
    REACHED_MEMBER_REMOVED,   /* ... or removed one */
    REACHED_MEMBER_REPLACED,  /* ... or replaced one whose disk was gone */
    REACHED_SETTINGS_CHANGED, /* ... or changed quorums */
    REACHED_CHANGE_REFUSED,   /* ... or has given up: it was refused, or no node answered */
    REACHED_REMOVED_ENDED,    /* a node that was removed has ended */
    REACHED_FORMED,           /* the first configuration was chosen */
    REACHED_PROMOTED,         /* a node that had caught up became a voter */
    REACHED_VOID_CHANGE,      /* a configuration was chosen that does not count */
    REACHED_OTHER_QUORUMS,    /* a value was chosen by a quorum that would be none of the first configuration */
    REACHED_READ,             /* a batch of reads was answered that is in no slot */
    REACHED_READ_ELSEWHERE,   /* ... by the learner of another node */
    REACHED_READ_APART,       /* ... by a learner that has no proposer beside it, for its own clients */
    REACHED_STALE_READ,       /* a batch of reads that may be stale has come to a node */
    REACHED_READ_WAITED,      /* ... or it was asked for slots that it had not executed yet */
    REACHED_READ_REFUSED,     /* an acceptor refuses a round, because it has promised a higher ballot */
    REACHED_READ_FOLLOWED,    /* a leader confirms the round of a node that follows */
    REACHED_SESSION_ENDED,    /* a session was not used for some time, and ended */
    REACHED_MESSAGE_TOLD,     /* a learner tells its client port a message */
    REACHED_MESSAGES_MISSED,  /* ... or that some are missing, because it goes on from a snapshot */
    REACHED_PROCESS_MISSED,   /* a network that ships says that the process of another node has ended */
    REACHED_STATES
};

const char *reached_name(enum reached state);

struct checks;

struct checks_options {
    uint32_t nodes;
    uint32_t drift_max; /* clocks go faster or slower by so much, per million */
    node_set proposers, acceptors, learners;
    uint32_t phase1_quorum, phase2_quorum;
    uint32_t alpha, alpha_most; /* the first, and the largest that there may be */
    uint64_t bytes_in_flight_max;
    uint64_t frame_bytes_max;
    const struct node_config
        /* executes what is chosen, with the governed settings in here (sim/reference.h); NULL: nothing is executed */
        *executes;
    bool lied_to; /* there are hostile messages, so what a node believes about others may be false for a while */
};

struct checks *checks_new(const struct checks_options *options);
void checks_free(struct checks *c);

/* --- what the world reports, in order --- */

/* The client port of `node` wants to be told messages from now on, or no more. */
void checks_watch(struct checks *c, uint32_t node, bool on);
/* It is told this (core/formats/notice.h). `loaded` is the slot of the snapshot that this life has loaded last; 0: none. */
void checks_notices(struct checks *c, uint32_t node, const struct payload *told, uint64_t loaded);

/* The time of the world as `node`, which acts next, sees it, in microseconds; and by how much clocks have run ahead of it in
 * all, by leaps. */
void checks_clock(struct checks *c, uint32_t node, uint64_t now, uint64_t leapt);

/* A client port hands the node a batch, which may be one of reads only; `value` is as the node gets it (its header is not
 * stamped yet). No two have the same bytes or the same token. */
void checks_submitted(struct checks *c, uint32_t node, uint64_t token, const struct payload *value, bool reads);
/* Clients of a batch were told this; their port, that it was executed in this slot (0: in none). */
void checks_answered(struct checks *c, uint64_t token, uint8_t outcome, uint64_t slot);
/* `node` hands a message to the network. */
void checks_sent(struct checks *c, uint32_t node, node_set to, const struct message *m, uint32_t body_bytes);
/* `node`, in this life, hands bytes with this checksum to the network that ships. */
void checks_frame_sent(struct checks *c, uint32_t node, node_set to, uint64_t life, uint64_t sum);
/* The system gives `node` a datagram with them, whole. */
void checks_datagram_came(struct checks *c, uint32_t node, uint32_t from, uint64_t life, uint64_t sum);
/* How the network that ships brought bytes. */
enum frame_way { FRAME_BEGINS /* as the first ones of a connection */, FRAME_FOLLOWS, FRAME_IN_DATAGRAM };
/* `node` receives them from that network; `life`: the one of the sender that it listens to. */
void checks_frame_received(struct checks *c, uint32_t node, uint32_t from, uint64_t life, uint64_t sum, enum frame_way way);
/* A node received a message. */
void checks_received(struct checks *c, uint32_t node, uint32_t from, const struct message *m);
/* `node` appends a record; the disk has everything up to `lsn`. */
void checks_appended(struct checks *c, uint32_t node, const struct log_record *record);
void checks_durable(struct checks *c, uint32_t node, uint64_t lsn);
/* `node` says that it needs no record below `lsn` any more, but for the latest one of each sticky kind. */
void checks_truncated(struct checks *c, uint32_t node, uint64_t lsn);
/* `node` reads records back from its journal for a peer. */
void checks_read(struct checks *c, uint32_t node);
/* `node` is down. */
void checks_down(struct checks *c, uint32_t node);
/* `node` begins a life. The records that recovery found follow by checks_recovered, in order, then checks_up: before the
 * node sends or appends anything, and before its first status. With checks_up all of them count as durable. */
void checks_starts(struct checks *c, uint32_t node, uint32_t incarnation);
void checks_recovered(struct checks *c, uint32_t node, const struct log_record *record);
/* The bytes that `node` may have in flight from now on; until then options.bytes_in_flight_max. */
void checks_bytes_in_flight(struct checks *c, uint32_t node, uint64_t bytes_max);
void checks_up(struct checks *c, uint32_t node);
/* Its disk is worse than the promises cover: it must not come back, and what it does is no longer checked. (Nodes that heard
 * what it held cannot know that: for TruncationSafe it still counts.) */
void checks_retired(struct checks *c, uint32_t node);
/* The disk of `node` is gone for good, or it had none, and it begins anew, as the instance with this number. Its folder
 * begins with the configuration that was chosen in slot `admitted`. */
void checks_replaced(struct checks *c, uint32_t node, uint32_t number, uint64_t admitted);
/* `node` says that the configuration in a slot was chosen, with this text; or (NULL) that it is settled. */
void checks_configured(struct checks *c, uint32_t node, uint64_t slot, const struct payload *text);
/* After each turn of `node`. */
void checks_status(struct checks *c, uint32_t node, const struct node_status *status);
/* At the end: what clients were told. */
void checks_history(struct checks *c, const struct history *h);
/* How many sessions there are after what is chosen. */
size_t checks_sessions(const struct checks *c);
/* It is told that its snapshot before this slot is stored: those of all nodes are equal. `taken`: it has taken it in this
 * life; then its journal goes on from there. */
void checks_snapshot(struct checks *c, uint32_t node, uint64_t slot, uint64_t size, uint64_t checksum, bool taken);

/* --- results --- */

/* A rule is broken. The first one counts. */
void checks_fail(struct checks *c, enum check check, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct checks_verdict {
    bool failed;
    enum check check;
    char text[1024];
};
const struct checks_verdict *checks_verdict(const struct checks *c);

/* How often each situation was reached, by enum reached. The world adds those that only it sees. */
uint64_t *checks_reached(struct checks *c);

/* The newest configuration that was chosen and counts; `learners` are those that count in a majority. Its text is NULL for
 * the first one, and valid until the next one. */
struct configuration checks_configuration(const struct checks *c);
const struct configuration_text *checks_configuration_text(const struct checks *c);
/* It governs, and a majority of its learners holds all slots before. */
bool checks_settled(const struct checks *c);

/* The first slot that is not known to be chosen. */
uint64_t checks_chosen_prefix(const struct checks *c);

#endif
