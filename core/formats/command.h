/* Commands, replies, and what is known of a command: what clients, batches and state machines say to each other. As in
 * `interface state-machine` in wit/parts.wit. */
#ifndef SYNOD_CORE_FORMATS_COMMAND_H
#define SYNOD_CORE_FORMATS_COMMAND_H

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

/* REPLY_NIL_ARRAY, which no state machine gives, is nil in place of an array: of a transaction that was not executed. */
enum reply_tag {
    REPLY_NIL,
    REPLY_STATUS,
    REPLY_INTEGER,
    REPLY_BYTES,
    REPLY_ERROR,
    REPLY_ARRAY,
    REPLY_RAW,
    REPLY_NIL_ARRAY,
    REPLY_TAGS
};

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

/* Something that has happened to a key, by the classes and names of Redis' keyspace notifications. */
enum key_event_class {
    KEY_EVENT_GENERIC = 'g',
    KEY_EVENT_STRING = '$',
    KEY_EVENT_EXPIRED = 'x',
    KEY_EVENT_NEW = 'n',
    KEY_EVENT_LOST = '?', /* events are left out from here on, because they would take too much memory: no name, no key */
};
#define KEY_EVENT_OF_TIME UINT32_MAX
struct key_event {
    uint32_t command; /* which one of a call's commands it came of; KEY_EVENT_OF_TIME: of none, time has passed */
    uint8_t kind;     /* enum key_event_class, or another one of Redis' */
    struct bytes name, key;
};
struct key_event_list {
    struct key_event *ptr;
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

/* Bytes that a scalar takes among packed replies (core/formats/batch.h): tag, length, and its bytes padded to a multiple of
 * 4. */
static inline uint64_t scalar_size(uint8_t tag, const struct bytes *bytes)
{
    const bool is_nil = tag == REPLY_NIL || tag == REPLY_NIL_ARRAY;
    return 8 + (tag == REPLY_INTEGER ? 8 : is_nil ? 0 : ((uint64_t)bytes->len + 3) / 4 * 4);
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

/* Makes `r` an error with a constant text; returns it. */
static inline const struct reply *reply_error_text(struct reply *r, const char *text)
{
    *r = (struct reply){.tag = REPLY_ERROR, .val.bytes = {(uint8_t *)(uintptr_t)text, __builtin_strlen(text)}};
    return r;
}

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

/* Where the keys of a command end among its `argc` arguments: after the last one. A negative `last_key` is counted from the
 * end, as in Redis. */
static inline size_t command_keys_end(int32_t last_key, size_t argc)
{
    if (last_key >= 0)
        return (size_t)last_key < argc ? (size_t)last_key + 1 : argc;
    const size_t behind = (size_t)-(int64_t)last_key;
    return behind <= argc ? argc - behind + 1 : 0;
}

#endif
