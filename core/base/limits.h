/* Bounds of a node's own making: how much it takes on at once, holds, or remembers. They are no settings: what ships has the
 * standard ones, and a field that is 0 stands for that, so who has nothing to say of a limit leaves it out. The simulator
 * draws them, tiny ones too (sim/plan.c): whatever they are, nothing may go wrong but speed.
 *
 * Those under "governed" decide what the state machine's clients are answered: they must be the same on all learners. */
#ifndef SYNOD_CORE_BASE_LIMITS_H
#define SYNOD_CORE_BASE_LIMITS_H

#include <stdint.h>

/* wit/types.wit, core/formats/config_frame.c and components/types.h list the same. */
struct limits {
    /* acceptor agent, learner agent */
    uint32_t
        chunk_bytes; /* of a promise or of an answer to who lacks slots, below the setting chunk_bytes_max; 0: as that says */

    /* proposer agent */
    uint32_t accept_bytes; /* of values in one ACCEPT, about: one value at least */
    uint32_t forwarded;    /* batches from other nodes that wait for room; beyond that they are dropped: "unknown" */

    /* learner agent */
    uint32_t release_bytes; /* of values taken from the learner at a time, about */
    uint32_t step_work;     /* done by a step: bytes of values and replies, and what the state machine says it has spent */
    uint32_t apply;         /* commands that the state machine gets at a time */
    uint32_t apply_bytes;   /* and bytes of their arguments, about: one command at least */
    uint32_t call_work;     /* after which the state machine leaves the rest of them for later; 0: as it says */
    uint32_t results_bytes; /* of recent results that are remembered */
    uint32_t read_bytes;    /* read back from the journal in one step for a peer, however small the messages may be */
    uint32_t requests;      /* of peers that lack slots which wait; beyond that they are dropped, and ask again */

    /* runner */
    uint32_t held;       /* messages that wait for the disk; beyond that they are dropped, as a network might */
    uint32_t held_bytes; /* of their values */
    uint32_t unsynced;   /* bytes of records that wait for the disk, about; beyond that only who leads is heard */

    /* governed */
    uint32_t replies_bytes; /* of a batch; a command whose reply would go beyond is not executed */
};

/* The limits with the standard ones in the place of zeros. */
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
        .held = l->held != 0 ? l->held : UINT32_C(1) << 16,
        .held_bytes = l->held_bytes != 0 ? l->held_bytes : UINT32_C(64) << 20,
        .unsynced = l->unsynced != 0 ? l->unsynced : UINT32_C(64) << 20,
        .replies_bytes = l->replies_bytes != 0 ? l->replies_bytes : UINT32_C(32) << 20,
    };
}

/* How large a chunk may be that the setting allows `setting` bytes. */
static inline uint32_t limits_chunk_bytes(const struct limits *l, uint32_t setting)
{
    return l->chunk_bytes != 0 && l->chunk_bytes < setting ? l->chunk_bytes : setting;
}

#endif
