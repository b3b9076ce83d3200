/* The contract of a state machine: the C face of `interface state-machine` in wit/parts.wit. The kv-store (state/kv_store.c)
 * implements it. Any component with world state-machine can take its place. */
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

/* Bytes that the replies of one call may take when packed (reply_size). A reply of at most `small` bytes always has room;
 * longer ones share `large`. A command whose reply has no room is not executed: it gets the error REPLY_NO_ROOM. */
struct reply_room {
    uint64_t large;
    uint32_t small;
};
#define REPLY_ROOM_ANY ((struct reply_room){.large = UINT64_MAX, .small = UINT32_MAX})
/* The first word of that error: who reads it knows that the command was not executed and may be sent again. */
#define REPLY_BUSY    "BUSY "
#define REPLY_NO_ROOM REPLY_BUSY "the replies of this batch leave no room for this one: not executed, send it again"
enum { REPLY_SMALL_MIN = 128 }; /* the least value of `small`, so that every command can be answered */

struct applied {
    struct reply_list replies;
    uint64_t work; /* spent by this call, in units of about a nanosecond */
};

struct command_info {
    struct bytes name; /* lower case */
    int32_t arity;     /* as in Redis: negative means "at least" */
    bool read_only;
    uint32_t first_key;
    int32_t last_key;
    uint32_t key_step;
};
/* Bytes that a scalar takes among packed replies (core/formats/batch.h): tag, length, and its bytes padded to a multiple of
 * 4. */
static inline uint64_t scalar_size(uint8_t tag, const struct bytes *bytes)
{
    return 8 + (tag == REPLY_INTEGER ? 8 : tag == REPLY_NIL ? 0 : ((uint64_t)bytes->len + 3) / 4 * 4);
}

static inline uint64_t reply_size(const struct reply *r)
{
    if (r->tag != REPLY_ARRAY)
        return scalar_size(r->tag, &r->val.bytes);
    uint64_t size = 8;
    for (size_t i = 0; i < r->val.array.len; i++)
        size += scalar_size(r->val.array.ptr[i].tag, &r->val.array.ptr[i].val.bytes);
    return size;
}

struct command_info_list {
    struct command_info *ptr;
    size_t len;
};

struct snapshot_chunk {
    uint64_t cursor; /* for the next call; 0: this is the last chunk */
    struct bytes bytes;
};

struct state_machine;

struct state_machine *state_machine_new(void);
void state_machine_free(struct state_machine *m);

/* To be called before the first command. `state_bytes_max` is equal on all nodes: bytes of memory that keys and values may
 * take. `call_work` is this node's own: the work after which apply and query stop early; 0: the machine's own measure.
 * Without this call a machine takes standard values. */
void state_machine_start(struct state_machine *m, uint64_t state_bytes_max, uint32_t call_work);
enum { STATE_BYTES_MAX_STANDARD = 512 * 1024 * 1024 };

/* Random bits that the log has agreed on. To be called once, before the first command, unless a snapshot was loaded (which
 * contains them). No reply may reveal them. Precondition: the state is empty. */
void state_machine_seed(struct state_machine *m, uint64_t low, uint64_t high);

/* Executes commands in order and gives one reply for each. After much work it may stop early: then there are fewer replies
 * than commands, but at least one. The rest was not executed and must be given again. The work of one command is bounded: a
 * command that would take more gets an error and changes nothing. Results are the machine's, valid until its next call. */
struct applied state_machine_apply(struct state_machine *m, const struct command *commands, size_t count,
                                   struct reply_room room);

/* Answers read-only commands; any other gets an error reply. May stop early like apply. Ownership as apply. */
struct applied state_machine_query(struct state_machine *m, const struct command *commands, size_t count,
                                   struct reply_room room);

/* All commands that the machine knows. Constant. */
struct command_info_list state_machine_describe(struct state_machine *m);

/* The state as chunks. Equal states give equal bytes. Cursor 0 begins. */
struct snapshot_chunk state_machine_snapshot_save(struct state_machine *m, uint64_t cursor);

/* Loads chunks in order; the first one replaces all state. False: the bytes are malformed, and `*error` is a constant
 * text. */
bool state_machine_snapshot_load(struct state_machine *m, struct bytes chunk, bool first, bool last, const char **error);

#endif
