/* Bounds that a node sets itself: how much it takes on at once, keeps, or remembers. They are no settings. A field that is 0
 * stands for the standard value, which is what ships. The simulator draws other values, tiny ones too (sim/plan.c): they may
 * change how fast a node is, never what it does right.
 *
 * Those under "governed" decide what clients of the state machine are answered: they must be the same on all learners. */
#ifndef SYNOD_CORE_BASE_LIMITS_H
#define SYNOD_CORE_BASE_LIMITS_H

#include <stdint.h>

/* wit/types.wit, core/formats/config_frame.c and components/types.h list the same. */
struct limits {
    /* acceptor agent, learner agent */
    uint32_t chunk_bytes; /* of a promise or an answer to a LEARN_REQUEST; at most the setting chunk_bytes_max; 0: as that */

    /* proposer agent */
    uint32_t accept_bytes; /* of values in one ACCEPT, about; one value at least */
    /* batches from other nodes that wait for room; more are dropped, and their clients hear "unknown" */
    uint32_t forwarded;

    /* learner agent */
    uint32_t release_bytes; /* of values taken from the learner at a time, about */
    uint32_t step_work;     /* done by a step: bytes of values and replies, and what the state machine says it has spent */
    uint32_t apply;         /* commands that the state machine gets at a time */
    uint32_t apply_bytes;   /* of their arguments, about; one command at least */
    uint32_t call_work;     /* after this much work the state machine leaves the rest for later; 0: its own measure */
    uint32_t results_bytes; /* of recent results that are remembered */
    uint32_t read_bytes;    /* read back from the journal for a peer in one step, even if messages are smaller */
    uint32_t requests;      /* from peers that lack slots, waiting; more are dropped, and the peer asks again */
    uint32_t part_bytes;    /* of a snapshot, in one message */
    uint32_t queries;       /* batches of reads, waiting; more are dropped, and the proposer asks again */

    /* runner */
    uint32_t withheld;       /* messages that wait for the disk; more are dropped, as a network might */
    uint32_t withheld_bytes; /* of their values */
    uint32_t unsynced;       /* bytes of records that wait for the disk, about; beyond, only what adds none is heard */

    /* governed */
    uint32_t replies_bytes;   /* of a batch; a command whose reply would not fit is not executed */
    uint32_t session_idle_ms; /* of agreed time; a session that is not used for so long ends (core/state/sessions.h) */
};

/* The limits, with standard values for the zeros. */
static inline struct limits limits_effective(const struct limits *l)
{
    return (struct limits){
        .chunk_bytes = l->chunk_bytes,
        .accept_bytes = l->accept_bytes != 0 ? l->accept_bytes : UINT32_C(1) << 20,
        .forwarded = l->forwarded != 0 ? l->forwarded : 256,
        .release_bytes = l->release_bytes != 0 ? l->release_bytes : UINT32_C(4) << 20,
        .step_work = l->step_work != 0 ? l->step_work : UINT32_C(1) << 20,
        .apply = l->apply != 0 ? l->apply : 256,
        .apply_bytes = l->apply_bytes != 0 ? l->apply_bytes : UINT32_C(64) << 10,
        .call_work = l->call_work,
        .results_bytes = l->results_bytes != 0 ? l->results_bytes : UINT32_C(16) << 20,
        .read_bytes = l->read_bytes != 0 ? l->read_bytes : UINT32_C(64) << 10,
        .requests = l->requests != 0 ? l->requests : 64,
        .part_bytes = l->part_bytes != 0 ? l->part_bytes : UINT32_C(512) << 10,
        .queries = l->queries != 0 ? l->queries : 256,
        .withheld = l->withheld != 0 ? l->withheld : UINT32_C(1) << 16,
        .withheld_bytes = l->withheld_bytes != 0 ? l->withheld_bytes : UINT32_C(64) << 20,
        .unsynced = l->unsynced != 0 ? l->unsynced : UINT32_C(64) << 20,
        .replies_bytes = l->replies_bytes != 0 ? l->replies_bytes : UINT32_C(32) << 20,
        .session_idle_ms = l->session_idle_ms != 0 ? l->session_idle_ms : UINT32_C(3600) * 1000,
    };
}

/* The size of a chunk where the setting allows `setting` bytes. */
static inline uint32_t limits_chunk_bytes(const struct limits *l, uint32_t setting)
{
    return l->chunk_bytes != 0 && l->chunk_bytes < setting ? l->chunk_bytes : setting;
}

#endif
