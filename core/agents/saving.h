/* Taking snapshots. A snapshot is due at slots that the log alone fixes, so all learners with the same settings take the
 * same ones: when the values
 * executed since the last one was due have `snapshot_bytes` bytes, and as many as the state had then; or after
 * `snapshot_slots` slots. A learner that is still saving the one before, or that is not recovered yet, leaves one out.
 *
 * It is saved while commands go on: at most a chunk in each step (decision 0035), and no more than SAVING_RATE, because all
 * learners save at the same time, and clients wait for their processors and disks. But commands that wait for what is saved
 * are not made to wait for that. So that what is saved does not pile up in memory, at most SAVING_AHEAD_MAX bytes wait for
 * the file. If the file cannot be written, the rest is saved all the same and dropped: that is how the state machine ends a
 * snapshot.
 *
 *               due         the last chunk    all before it is held     STORED, or FAILED
 *     NOTHING -------> STATE --------------> WHOLE --------------> COMMIT ----------> NOTHING
 *                        | FAILED, or given up                                          ^
 *                        +------> REST -------------------------------------------------+    the last chunk
 *
 * A part of the learner agent. */
#ifndef SYNOD_CORE_AGENTS_SAVING_H
#define SYNOD_CORE_AGENTS_SAVING_H

#include "core/agents/effects.h"
#include "core/agents/execution.h"

/* Whose chunk is the next one. */
enum saving_part { SAVING_SESSIONS, SAVING_MACHINE };
enum saving_state { SAVING_NOTHING, SAVING_STATE, SAVING_WHOLE, SAVING_COMMIT, SAVING_REST };

enum {
    SAVING_AHEAD_MAX = 4 << 20,
    SAVING_RATE = 32 << 20, /* bytes a second, unless commands wait for what is saved */
    /* What a slot counts at least: a journal needs some room for each, however short its value is. */
    SAVING_SLOT_BYTES = 1024,
};

struct saving {
    uint64_t bytes_min, slots_max; /* snapshot_bytes and snapshot_slots; 0: none */
    uint64_t interval;             /* bytes after which the next snapshot is due */
    uint64_t bytes, slots;         /* executed since the last one was due */
    uint8_t state;                 /* enum saving_state */
    uint8_t part;                  /* enum saving_part */
    uint64_t slot;                 /* of the snapshot in progress */
    uint64_t given, written;       /* bytes of its pieces: handed over to storage, and with the file */
    uint64_t next_at;              /* when the next chunk may be saved */
    uint64_t first[EXECUTION_PIECE_MAX / 8];
    uint64_t *chunk; /* handed over in this step */
    size_t chunk_capacity;
};

/* How long a learner saves at most, in microseconds, unless its disk is slow. */
static inline uint64_t saving_longest_us(const struct node_config *config)
{
    return config->state_bytes_room / (SAVING_RATE >> 20) * 1000000 >> 20;
}

void saving_init(struct saving *s, const struct node_config *config);
void saving_close(struct saving *s);

/* Counts an executed slot, whose value has `bytes` bytes. True: a snapshot is due after it. */
bool saving_executed(struct saving *s, uint64_t bytes, struct execution *x);
/* Begins the snapshot of all slots before `slot`, unless another one is in progress. */
void saving_begin(struct saving *s, uint64_t slot, struct execution *x, struct effects *effects);
/* Saves a chunk, if there is one to save, room for it, and it is time for it; `held`: the first slot not durably held. True:
 * there is more to do at once. */
bool saving_step(struct saving *s, struct execution *x, uint64_t held, uint64_t now, struct effects *effects);
/* When the next chunk may be saved. */
uint64_t saving_wake_at(const struct saving *s);
/* Gives up the snapshot in progress, if there is one. Its rest is still to be saved (saving_step), unless another state is
 * loaded (saving_loaded). */
void saving_give_up(struct saving *s, struct effects *effects);
/* Another state begins to be loaded: then the state machine has no snapshot in progress. */
void saving_loading(struct saving *s);
/* It was loaded. A snapshot was due there. */
void saving_loaded(struct saving *s, struct execution *x);
/* Whether the state machine, and perhaps the sessions, have a snapshot in progress. */
static inline bool saving_is_in_machine(const struct saving *s)
{
    return s->state == SAVING_STATE || s->state == SAVING_REST;
}
/* What has come of the snapshot in progress. */
void saving_told(struct saving *s, const struct snapshot_item *item);

#endif
