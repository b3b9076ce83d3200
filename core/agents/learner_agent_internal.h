/* What the files of the learner agent share. learner_agent.c uses the others. */
#ifndef SYNOD_CORE_AGENTS_LEARNER_AGENT_INTERNAL_H
#define SYNOD_CORE_AGENTS_LEARNER_AGENT_INTERNAL_H

#include "core/agents/agreement.h"
#include "core/agents/catch_up.h"
#include "core/agents/effects.h"
#include "core/agents/execution.h"
#include "core/agents/learner_agent.h"
#include "core/agents/progress.h"
#include "core/agents/queries.h"
#include "core/agents/read_rounds.h"
#include "core/agents/recovery.h"
#include "core/agents/results.h"
#include "core/agents/saving.h"
#include "core/agents/transfer.h"
#include "core/base/slot_ring.h"
#include "core/formats/snapshot.h"
#include "core/paxos/learner.h"

/* A state that has executed all below `index` was current at the time `at`: it has all that was answered before. */
struct known_current {
    uint64_t at, index;
};

/* A RECORD_CHOSEN: slots below `to` are held once `lsn` is durable. */
struct holding {
    uint64_t to;
    uint64_t lsn;
    uint64_t bytes; /* of the values that this life executed before `to` */
};

/* How far a snapshot has been loaded. */
enum loading_state {
    LOADING_NOTHING,
    LOADING_STATE,
    LOADING_WHOLE,
    LOADING_REFUSED,
    LOADING_LOST /* the rest cannot be read: at start, another one follows */
};

struct loading {
    uint8_t state;        /* enum loading_state */
    uint64_t chunks;      /* of the sessions and the state machine, so far */
    uint32_t piece;       /* kind of the last one */
    struct payload first; /* the first piece (a copy), which counts when the last chunk has been loaded */
    uint64_t lost;        /* the slot of a snapshot of which a part was loaded; 0: of none */
};

struct learner_agent {
    struct node_config config;
    struct learner *learner;
    bool recovered;
    struct recovery recovery;
    uint64_t window;         /* the learner's; packed: the value of a RECORD_CHOSEN */
    uint64_t window_written; /* the window in the last RECORD_CHOSEN; 0: there is none */
    bool found_records;
    uint64_t damaged_at; /* the slot whose value is missing; 0: the journal is sound */

    struct execution execution;
    uint64_t executed; /* first slot not executed */

    struct configurations contacts; /* whose members are peers: those executed, or newer ones that the host knows */
    struct progress progress;       /* of all learners */
    bool replaced;                  /* another instance has taken this one's place: it is silent for good */
    uint64_t leader_configuration;  /* the slot of the one under which the leader acts */
    uint64_t lacks_since;           /* that one is not known; 0: it is */
    uint64_t question;              /* for it, to the leader: its number; 0: none is open */

    struct slot_ring recorded; /* of slots not executed yet: the highest ballot of their records in the journal, or none */
    struct holding held;       /* durably */
    struct holding *holdings;  /* those after it, which are not durable yet */
    size_t holding_count, holding_capacity;
    uint64_t chosen_recorded_at; /* when the last RECORD_CHOSEN was written */

    uint64_t progress_sent_at, progress_sent, held_sent;
    uint64_t due_told;       /* when something of the state ends by itself, as the last PROGRESS said */
    uint64_t executed_bytes; /* of values, in this life */
    uint64_t executed_bytes_sent, held_bytes_sent; /* as they were at the last PROGRESS */
    struct ballot leader_ballot;                   /* of the leader last heard */
    struct leadership told;
    bool progress_wanted;

    struct results results;
    node_set told_configuration; /* nodes to which this step has told the newest one */
    uint64_t results_told;       /* bytes of replies in this step's answers to RESULT_REQUEST */
    struct queries queries;
    struct read_rounds reads;                        /* of this node's clients, where no proposer is beside this learner */
    struct queries stale;                            /* of this node's clients: reads that may be stale, by time */
    uint64_t stepped_at;                             /* the time of the last step */
    uint64_t current_at;                             /* when the state as it is was surely current (P27); 0: not known */
    struct known_current next_current, last_current; /* what will be known when more is executed; index 0: nothing */
    struct catch_up catch_up;
    struct agreement agreement;           /* of the chained hash */
    struct agreement snapshots_agreement; /* of their checksums */
    bool ending;                          /* the others have been told; now this learner stops */

    struct saving saving;
    struct transfer transfer;
    struct loading loading;
    uint64_t loaded_slot;   /* of the snapshot that this life has loaded last; 0: none */
    bool announce_wanted;   /* the others should hear of the newest snapshot */
    bool truncate_wanted;   /* the journal may be cut, at the end of the step */
    uint64_t unloadable;    /* the slot of a snapshot that this node cannot load; 0: none */
    uint64_t truncated_lsn; /* what was said last: records below are not needed */
    struct effects effects;
};

/* ---- learner_marks.c ---- */

/* The end of the last RECORD_CHOSEN, durable or not. */
uint64_t learner_agent_recorded(const struct learner_agent *agent);

/* The journal has a record, at `lsn`, of the slot's value at `ballot`. It counts only if the slot is in the window after the
 * last RECORD_CHOSEN before it. If not, the value is written again, even if recovery keeps a larger window: before the first
 * RECORD_CHOSEN, and after a snapshot that was loaded, but may be damaged at the next start. */
void learner_agent_note_recorded(struct learner_agent *agent, uint64_t slot, struct ballot ballot, uint64_t lsn);

/* Appends the value of a slot that is to be executed next, unless the journal has it. */
void learner_agent_append_if_not_recorded(struct learner_agent *agent, const struct entry *e);

/* Records that all that is executed is chosen. */
void learner_agent_append_chosen(struct learner_agent *agent);

/* Records count by a window that a configuration has widened only after a RECORD_CHOSEN that says so. */
void learner_agent_mark_window(struct learner_agent *agent);

/* The slots below that of the snapshot are not in the journal; the journal says from now on that they are held, so that a
 * snapshot that is lost is noticed. */
void learner_agent_mark_snapshot(struct learner_agent *agent);

/* ---- learner_configurations.c ---- */

/* The members there are now are this learner's peers. `fresh`: what is known of these is void. */
void learner_agent_reach(struct learner_agent *agent, node_set fresh);

/* A configuration was executed, or loaded with a snapshot: it is the newest one now. */
void learner_agent_note_configuration(struct learner_agent *agent);

/* The configurations of a snapshot are those executed now. */
void learner_agent_load_configurations(struct learner_agent *agent);

/* When a majority of the learners holds all before it, the newest configuration is the only one. */
void learner_agent_settle(struct learner_agent *agent);

/* Whether the newest configuration begins to govern between two slots: others wait to hear of that. */
bool learner_agent_is_at_boundary(const struct learner_agent *agent, uint64_t told, uint64_t now);

/* The host knows of a configuration. */
void learner_agent_configuration(struct learner_agent *agent, const struct configured *said);

/* A node wants to know the newest configuration, or the leader tells it as it was asked. */
void learner_agent_configuration_message(struct learner_agent *agent, uint32_t sender, const struct message *m);

/* A learner apart executes what its peers send. If all the others were replaced while it was down, it hears none of them. So
 * when a leader that it hears has acted under a newer configuration for a while, it asks the leader for that one. */
void learner_agent_ask_for_configuration(struct learner_agent *agent, uint64_t now);

/* ---- learner_reads.c ---- */

/* Reads have come from this node's client port. */
void learner_agent_read(struct learner_agent *agent, const struct client_batch *batch, uint64_t now);

/* Has the leader confirm them, and this learner answer them. */
void learner_agent_go_on_with_reads(struct learner_agent *agent, uint64_t now);

/* The leader has confirmed a round of this learner. */
void learner_agent_read_confirmed(struct learner_agent *agent, uint32_t sender, const struct message *m);

/* Answers reads that may be stale. Precondition: the state may answer clients now. True: there is more to do. */
bool learner_agent_answer_stale(struct learner_agent *agent, uint64_t *work);

/* Replies to clients of this node, if the query is theirs. The replies are borrowed until the end of the step. */
bool learner_agent_read_answered(struct learner_agent *agent, const struct query *answered, const struct payload *replies);

/* When to call it again; UINT64_MAX: when something comes. */
uint64_t learner_agent_reads_wake_at(const struct learner_agent *agent);

/* A state that has executed all below `index` was current when a round of this node began. */
void learner_agent_note_current(struct learner_agent *agent, uint64_t at, uint64_t index);

/* How many more batches of reads this learner takes. */
struct credit learner_agent_credit(const struct learner_agent *agent);

/* ---- learner_snapshots.c ---- */

/* Slots that this learner lacks. Where it has heard of none from a leader or acceptors, its peers may have executed more: a
 * leader that it does not know yet may be all there is (P11). Then it is no large gap, because a leader may just be about to
 * say so. */
struct learner_gap learner_agent_missing(const struct learner_agent *agent);

/* Storage says something about a snapshot, or gives a piece of one. */
void learner_agent_snapshot(struct learner_agent *agent, const struct snapshot_item *item);

/* A learner has a snapshot, which may be the only way to go on. What is being saved here is of an earlier slot. It is given
 * up for an answer alone, so that no peer can keep this learner from saving by offers. */
void learner_agent_snapshot_of_peer(struct learner_agent *agent, uint32_t sender, const struct message *m);

/* Saves, sends and fetches. Returns whether there is more to do at once; `more`: commands are left to be executed. A state
 * machine that waits for its snapshot, which waits for the disk, is called again when some of it has been written. */
bool learner_agent_go_on_with_snapshots(struct learner_agent *agent, uint64_t now, bool more);

#endif
