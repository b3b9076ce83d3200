/* The contract of a state machine: the C face of `interface state-machine` in wit/parts.wit. The kv-store
 * (state/kv_store.c) implements it; any component with world state-machine takes its place. */
#ifndef SYNOD_CORE_STATE_STATE_MACHINE_H
#define SYNOD_CORE_STATE_STATE_MACHINE_H

#include "core/base/types.h"

struct bytes {
    uint8_t *ptr;
    size_t len;
};
struct bytes_list {
    struct bytes *ptr;
    size_t len;
};

struct command {
    struct bytes_list args;
};

enum reply_tag { REPLY_NIL, REPLY_STATUS, REPLY_INTEGER, REPLY_BYTES, REPLY_ERROR, REPLY_ARRAY, REPLY_RAW, REPLY_TAGS };

struct scalar {
    uint8_t tag; /* enum reply_tag below REPLY_ARRAY */
    union {
        struct bytes bytes;
        int64_t integer;
    } val;
};
struct scalar_list {
    struct scalar *ptr;
    size_t len;
};
struct reply {
    uint8_t tag; /* enum reply_tag */
    union {
        struct bytes bytes;
        int64_t integer;
        struct scalar_list array;
    } val;
};
struct reply_list {
    struct reply *ptr;
    size_t len;
};

struct command_info {
    struct bytes name; /* lower case */
    int32_t arity;     /* as in Redis: negative means "at least" */
    bool read_only;
    uint32_t first_key;
    int32_t last_key;
    uint32_t key_step;
};
struct command_info_list {
    struct command_info *ptr;
    size_t len;
};

struct snapshot_chunk {
    uint64_t cursor; /* for the next call; 0: this was the last chunk */
    struct bytes bytes;
};

struct state_machine;

struct state_machine *state_machine_new(void);
void state_machine_free(struct state_machine *m);

/* Executes commands in order, one reply each. After much work it may stop early: then there are fewer replies than commands
 * (one at least), the rest has not been executed and is given again. Results are the machine's, valid until its next call. */
struct reply_list state_machine_apply(struct state_machine *m, const struct command *commands, size_t count);

/* Answers read-only commands; any other gets an error reply. May stop early like apply. Ownership as apply. */
struct reply_list state_machine_query(struct state_machine *m, const struct command *commands, size_t count);

/* All commands the machine knows; constant. */
struct command_info_list state_machine_describe(struct state_machine *m);

/* The state as chunks; equal states give equal bytes. Cursor 0 begins. */
struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m, uint64_t cursor);

/* Loads chunks in order; the first replaces all state. False: bad bytes; `*error` is a constant text. */
bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error);

#endif
