/* The contract of a state machine: the C face of `interface state-machine` in wit/parts.wit. The kv-store (state/kv_store.c)
 * implements it. Any component with world state-machine can take its place. */
#ifndef SYNOD_CORE_STATE_STATE_MACHINE_H
#define SYNOD_CORE_STATE_STATE_MACHINE_H

#include "core/base/types.h"
#include "core/formats/command.h"

#define MOMENT_ZERO ((struct moment){0, 0})

struct applied {
    struct reply_list replies;
    uint64_t work;        /* spent by this call, in units of about a nanosecond */
    uint64_t keys, bytes; /* that the state has after it, for operators: keys, and memory that keys and values take */
    uint64_t due;         /* the elapsed time from which on something of the state has ended by itself; DUE_NEVER */
    uint64_t timed_keys, time_left; /* for operators: keys that end by themselves; milliseconds, on average, until they do */
    struct key_event_list events;   /* what has happened to keys, in order, if that is asked for */
};
#define DUE_NEVER UINT64_MAX

struct snapshot_chunk {
    struct bytes bytes;
    bool last;
};

struct state_machine;

struct state_machine *state_machine_new(void);
void state_machine_free(struct state_machine *m);

/* To be called before the first command, and again between commands and chunks when `state_bytes_max` changes: the state
 * stays as it is. `state_bytes_max` is equal on all nodes: bytes of memory that keys and values may take. If they take more
 * already, only what needs more is refused. `call_work` is this node's own: the work after which apply and query stop early;
 * 0: the machine's own measure. Without this call a machine takes standard values. */
void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work);
enum { STATE_BYTES_MAX_STANDARD = 512 * 1024 * 1024 };

/* Random bits that the log has agreed on. To be called once, before the first command, unless a snapshot was loaded (which
 * contains them). No reply may reveal them. Precondition: the state is empty. */
void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high);

/* From now on apply says what happens to keys, or does not. That is no state, and changes no reply. False: it never does. */
bool state_machine_tell_events(struct state_machine *m, bool on);

/* Executes commands in order, at the moment `now`, and gives one reply for each. After much work it may stop early: then
 * there are fewer replies than commands, but at least one. The rest was not executed and must be given again, with the same
 * moment. While a snapshot is in progress it may give no reply at all: then it executes nothing until more of the snapshot
 * was saved. The work of one command is bounded: a command that would take more gets an error and changes nothing. Results
 * are the machine's, valid until its next call.
 *
 * Without commands it lets time pass, and no more: what has ended by then may leave the state, a bounded part of it in each
 * call. If `due` is not after `now` yet, there is more. Such a call counts like a command: all nodes make the same ones, at
 * the same places of the log. */
struct applied state_machine_apply(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room);

/* Answers read-only commands; any other gets an error reply. Nothing changes, by time neither: what has ended at `now`, that
 * of the last commands that were executed, is not seen, whether it has left the state or not. May stop early like apply.
 * Ownership as apply. */
struct applied state_machine_query(struct state_machine *m, struct moment now, const struct command *commands, size_t count,
                                   struct reply_room room);

/* All commands that the machine knows. Constant. */
struct command_info_list state_machine_describe(struct state_machine *m);

/* About how many bytes a snapshot of the state would have. A function of the state alone. */
uint64_t state_machine_size(struct state_machine *m);

/* Fixes what the snapshot will have: the state as it is now. Commands may be executed while it is saved. Precondition: no
 * snapshot is in progress. */
void state_machine_snapshot_begin(struct state_machine *m);
/* The next chunk of the snapshot in progress; of no bytes if there is more to do for it than a call should take: then the
 * next call goes on. With the last one the snapshot is no longer in progress. Equal states give equal bytes,
 * whatever is executed meanwhile. The bytes are the machine's, valid until its next call. */
struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m);

/* Loads chunks in order; the first one replaces all state and ends a snapshot in progress. False: the bytes are malformed,
 * and `*error` is a constant text. */
bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error);

#endif
